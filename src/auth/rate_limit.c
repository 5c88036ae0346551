/* rate_limit - see rate_limit.h for the model.
 *
 * A shard is an array of entries, linked twice: by hash (chains from buckets) and by age (a list,
 * the one used last in front). An entry's counters are a ring: step s of time is at s % SLOTS, and
 * newest tells which steps the ring holds at present. Of a limit that servers share there is a
 * second ring for each entry, of what the others counted, and the oldest step that they have not
 * been told.
 */
#include "auth/rate_limit.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "base/crypto/siphash.h"

#define STEPS            60 /* of a window */
#define SLOTS            (STEPS + 1)
#define SHARDS           16
#define MAX_KEYS_DEFAULT 16384
#define WINDOW_DEFAULT   60000
#define LIMIT_MAX        ((int64_t)1 << 31)
#define NONE             UINT32_MAX
#define TOLD             INT64_MAX

struct entry {
    uint64_t hash;
    int64_t newest;         /* step */
    uint32_t next;          /* in the bucket's chain, or the free list; NONE */
    uint32_t newer, older;  /* neighbours by age; NONE */
    uint32_t counts[SLOTS]; /* requests of each step in newest - STEPS .. newest */
};

struct ring {
    uint32_t counts[SLOTS]; /* as in struct entry */
};

struct shard {
    pthread_mutex_t lock;  /* guards all below */
    struct entry *entries; /* (capacity,) owned */
    struct ring *others;   /* (capacity,) of the other servers; owned; NULL: not shared */
    int64_t *untold;       /* (capacity,) the oldest step that has changed, or TOLD; likewise */
    uint32_t *buckets;     /* (bucket_count,) first of each chain; owned */
    uint32_t used;         /* entries in use are 0..used-1; none is ever given back */
    uint32_t first, last;  /* by age: used last, used longest ago; NONE */
};

struct tars_rate_limit {
    atomic_llong limit;    /* 0: none */
    atomic_llong ahead_ms; /* of the servers' common clock before the callers' */
    int64_t step_ms;
    bool is_shared;
    uint32_t capacity;     /* of a shard */
    uint32_t bucket_count; /* of a shard; a power of two */
    unsigned char seed[TARS_SIPHASH_SEED_BYTES];
    struct shard shards[SHARDS];
};

/* --------------------------------------------------------------- life cycle */

static uint32_t buckets_for(uint32_t capacity)
{
    uint32_t count = 1;

    while (count < capacity)
        count *= 2;
    return count;
}

static tars_status shard_init(struct shard *shard, const struct tars_rate_limit *limiter)
{
    shard->entries = calloc(limiter->capacity, sizeof(*shard->entries));
    shard->buckets = calloc(limiter->bucket_count, sizeof(*shard->buckets));
    shard->first = shard->last = NONE;
    if (!shard->entries || !shard->buckets)
        return TARS_ENOMEM;
    memset(shard->buckets, 0xff, limiter->bucket_count * sizeof(*shard->buckets));
    if (!limiter->is_shared)
        return TARS_OK;
    shard->others = calloc(limiter->capacity, sizeof(*shard->others));
    shard->untold = malloc(limiter->capacity * sizeof(*shard->untold));
    return shard->others && shard->untold ? TARS_OK : TARS_ENOMEM;
}

tars_status tars_rate_limit_new(const struct tars_rate_limit_config *config,
                                struct tars_rate_limit **limiter)
{
    int64_t window_ms = config->window_ms ? config->window_ms : WINDOW_DEFAULT;
    size_t max_keys = config->max_keys ? config->max_keys : MAX_KEYS_DEFAULT;
    struct tars_rate_limit *made;
    tars_status status = TARS_OK;

    if (config->limit < 0 || config->limit > LIMIT_MAX || window_ms < STEPS ||
        max_keys > (size_t)1 << 24)
        return TARS_EINVAL;
    made = calloc(1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    atomic_init(&made->limit, config->limit);
    atomic_init(&made->ahead_ms, 0);
    made->is_shared = config->is_shared;
    made->step_ms = (window_ms + STEPS - 1) / STEPS;
    made->capacity = (uint32_t)((max_keys + SHARDS - 1) / SHARDS);
    made->bucket_count = buckets_for(made->capacity);
    memcpy(made->seed, config->seed, sizeof(made->seed));
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&made->shards[i].lock, NULL);
    for (size_t i = 0; i < SHARDS && status == TARS_OK; i++)
        status = shard_init(&made->shards[i], made);
    if (status != TARS_OK) {
        tars_rate_limit_free(made);
        return status;
    }
    *limiter = made;
    return TARS_OK;
}

void tars_rate_limit_free(struct tars_rate_limit *limiter)
{
    if (!limiter)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&limiter->shards[i].lock);
        free(limiter->shards[i].entries);
        free(limiter->shards[i].buckets);
        free(limiter->shards[i].others);
        free(limiter->shards[i].untold);
    }
    free(limiter);
}

void tars_rate_limit_set(struct tars_rate_limit *limiter, int64_t limit)
{
    assert(limit >= 0 && limit <= LIMIT_MAX);
    if (limiter)
        atomic_store(&limiter->limit, limit);
}

/* -------------------------------------------------------------------- table */

static void unlink_age(struct shard *shard, uint32_t at)
{
    struct entry *entry = &shard->entries[at];

    if (entry->newer != NONE) {
        shard->entries[entry->newer].older = entry->older;
    } else {
        shard->first = entry->older;
    }
    if (entry->older != NONE) {
        shard->entries[entry->older].newer = entry->newer;
    } else {
        shard->last = entry->newer;
    }
}

static void put_first(struct shard *shard, uint32_t at)
{
    struct entry *entry = &shard->entries[at];

    entry->newer = NONE;
    entry->older = shard->first;
    if (shard->first != NONE) {
        shard->entries[shard->first].newer = at;
    } else {
        shard->last = at;
    }
    shard->first = at;
}

static uint32_t *bucket_of(const struct tars_rate_limit *limiter, struct shard *shard,
                           uint64_t hash)
{
    return &shard->buckets[hash / SHARDS & (limiter->bucket_count - 1)];
}

static uint32_t find(const struct tars_rate_limit *limiter, struct shard *shard, uint64_t hash)
{
    uint32_t at = *bucket_of(limiter, shard, hash);

    while (at != NONE && shard->entries[at].hash != hash)
        at = shard->entries[at].next;
    return at;
}

static void unchain(const struct tars_rate_limit *limiter, struct shard *shard, uint32_t at)
{
    uint32_t *link = bucket_of(limiter, shard, shard->entries[at].hash);

    while (*link != at) {
        assert(*link != NONE);
        link = &shard->entries[*link].next;
    }
    *link = shard->entries[at].next;
}

/* A fresh entry, or the oldest one emptied; in the chain and in front. */
static uint32_t claim(const struct tars_rate_limit *limiter, struct shard *shard, uint64_t hash,
                      int64_t step)
{
    uint32_t *bucket = bucket_of(limiter, shard, hash);
    uint32_t at = shard->used;

    if (shard->used < limiter->capacity) {
        shard->used++;
    } else {
        at = shard->last;
        unlink_age(shard, at);
        unchain(limiter, shard, at);
    }
    shard->entries[at] = (struct entry){.hash = hash, .newest = step, .next = *bucket};
    if (limiter->is_shared) {
        shard->others[at] = (struct ring){{0}};
        shard->untold[at] = TOLD;
    }
    *bucket = at;
    put_first(shard, at);
    return at;
}

/* ------------------------------------------------------------------ counting */

static void forget(uint32_t *counts, int64_t newest, int64_t step)
{
    if (step - newest >= SLOTS) {
        memset(counts, 0, SLOTS * sizeof(*counts));
    } else {
        for (int64_t s = newest + 1; s <= step; s++)
            counts[s % SLOTS] = 0;
    }
}

/* Make the rings hold step, if that is newer. */
static void advance(struct shard *shard, uint32_t at, int64_t step)
{
    struct entry *entry = &shard->entries[at];

    if (step <= entry->newest)
        return;
    forget(entry->counts, entry->newest, step);
    if (shard->others)
        forget(shard->others[at].counts, entry->newest, step);
    entry->newest = step;
}

/* On all servers. */
static int64_t count_at(const struct shard *shard, uint32_t at, size_t slot)
{
    int64_t count = shard->entries[at].counts[slot];

    return shard->others ? count + shard->others[at].counts[slot] : count;
}

static int64_t total(const struct shard *shard, uint32_t at)
{
    int64_t sum = 0;

    for (size_t i = 0; i < SLOTS; i++)
        sum += count_at(shard, at, i);
    return sum;
}

/* The count of our own at step has changed. */
static void note(struct shard *shard, uint32_t at, int64_t step)
{
    if (shard->untold && step < shard->untold[at])
        shard->untold[at] = step;
}

/* When enough of the oldest has been forgotten that one more passes, in seconds, at least 1. */
static int64_t wait_s(const struct tars_rate_limit *limiter, const struct shard *shard, uint32_t at,
                      int64_t over, int64_t now_ms)
{
    int64_t newest = shard->entries[at].newest;
    int64_t step = newest - STEPS;
    int64_t wait_ms;

    while (step < newest) {
        over -= step >= 0 ? count_at(shard, at, (size_t)(step % SLOTS)) : 0;
        if (over < 0)
            break;
        step++;
    }
    /* Its step is forgotten when SLOTS steps have begun after it. */
    wait_ms = (step + SLOTS) * limiter->step_ms - now_ms;
    return wait_ms <= 1000 ? 1 : (wait_ms + 999) / 1000;
}

/* What callers say is the time, in the servers' common clock. */
static int64_t common_ms(struct tars_rate_limit *limiter, int64_t now_ms)
{
    return now_ms + atomic_load_explicit(&limiter->ahead_ms, memory_order_relaxed);
}

enum action { PEEK, TAKE };

static struct tars_rate look(struct tars_rate_limit *limiter, struct tars_span key, int64_t limit,
                             int64_t callers_ms, enum action action)
{
    int64_t now_ms = common_ms(limiter, callers_ms);
    uint64_t hash = tars_siphash(limiter->seed, key.ptr, key.len);
    struct shard *shard = &limiter->shards[hash % SHARDS];
    struct tars_rate rate = {.allowed = true, .limit = limit, .remaining = limit};
    int64_t step = now_ms / limiter->step_ms;
    uint32_t at;

    pthread_mutex_lock(&shard->lock);
    at = find(limiter, shard, hash);
    if (at == NONE && action == TAKE) {
        at = claim(limiter, shard, hash, step);
    } else if (at != NONE) {
        advance(shard, at, step);
        unlink_age(shard, at);
        put_first(shard, at);
    }
    if (at != NONE) {
        struct entry *entry = &shard->entries[at];
        int64_t before = total(shard, at);

        rate.allowed = before < limit;
        if (!rate.allowed)
            rate.retry_after_s = wait_s(limiter, shard, at, before - limit, now_ms);
        if (rate.allowed && action == TAKE) {
            entry->counts[entry->newest % SLOTS]++;
            note(shard, at, entry->newest);
        }
        rate.remaining = rate.allowed ? limit - before - (action == TAKE ? 1 : 0) : 0;
    }
    pthread_mutex_unlock(&shard->lock);
    return rate;
}

struct tars_rate tars_rate_limit_take_of(struct tars_rate_limit *limiter, struct tars_span key,
                                         int64_t limit, int64_t now_ms)
{
    if (limiter && limit <= 0)
        limit = atomic_load(&limiter->limit);
    if (!limiter || limit <= 0)
        return (struct tars_rate){.allowed = true};
    return look(limiter, key, limit < LIMIT_MAX ? limit : LIMIT_MAX, now_ms, TAKE);
}

struct tars_rate tars_rate_limit_take(struct tars_rate_limit *limiter, struct tars_span key,
                                      int64_t now_ms)
{
    return tars_rate_limit_take_of(limiter, key, 0, now_ms);
}

struct tars_rate tars_rate_limit_peek(struct tars_rate_limit *limiter, struct tars_span key,
                                      int64_t now_ms)
{
    int64_t limit = limiter ? atomic_load(&limiter->limit) : 0;

    if (limit == 0)
        return (struct tars_rate){.allowed = true};
    return look(limiter, key, limit, now_ms, PEEK);
}

void tars_rate_limit_refund(struct tars_rate_limit *limiter, struct tars_span key, int64_t now_ms)
{
    uint64_t hash;
    struct shard *shard;
    uint32_t at;

    if (!limiter || atomic_load(&limiter->limit) == 0)
        return;
    hash = tars_siphash(limiter->seed, key.ptr, key.len);
    shard = &limiter->shards[hash % SHARDS];
    pthread_mutex_lock(&shard->lock);
    at = find(limiter, shard, hash);
    if (at != NONE) {
        struct entry *entry = &shard->entries[at];

        advance(shard, at, common_ms(limiter, now_ms) / limiter->step_ms);
        for (int64_t s = entry->newest; s >= 0 && s >= entry->newest - STEPS; s--) {
            if (entry->counts[s % SLOTS]) {
                entry->counts[s % SLOTS]--;
                note(shard, at, s);
                break;
            }
        }
    }
    pthread_mutex_unlock(&shard->lock);
}

/* ------------------------------------------------------------------- sharing */

bool tars_rate_limit_is_over(struct tars_rate_limit *limiter, struct tars_span key, int64_t now_ms)
{
    int64_t limit = limiter ? atomic_load(&limiter->limit) : 0;
    uint64_t hash;
    struct shard *shard;
    bool is_over = false;
    uint32_t at;

    if (limit == 0)
        return false;
    hash = tars_siphash(limiter->seed, key.ptr, key.len);
    shard = &limiter->shards[hash % SHARDS];
    pthread_mutex_lock(&shard->lock);
    at = find(limiter, shard, hash);
    if (at != NONE) {
        advance(shard, at, common_ms(limiter, now_ms) / limiter->step_ms);
        is_over = total(shard, at) > limit;
    }
    pthread_mutex_unlock(&shard->lock);
    return is_over;
}

int64_t tars_rate_limit_step_ms(const struct tars_rate_limit *limiter)
{
    return limiter->step_ms;
}

void tars_rate_limit_set_clock(struct tars_rate_limit *limiter, int64_t ahead_ms)
{
    atomic_store_explicit(&limiter->ahead_ms, ahead_ms, memory_order_relaxed);
}

/* Those of one entry, as far as there is room; returns how many. */
static size_t tell(struct shard *shard, uint32_t at, struct tars_rate_count *out, size_t max)
{
    const struct entry *entry = &shard->entries[at];
    int64_t oldest = entry->newest > STEPS ? entry->newest - STEPS : 0;
    int64_t step = shard->untold[at] > oldest ? shard->untold[at] : oldest;
    size_t count = 0;

    while (step <= entry->newest && count < max) {
        out[count++] = (struct tars_rate_count){entry->hash, step, entry->counts[step % SLOTS]};
        step++;
    }
    shard->untold[at] = step > entry->newest ? TOLD : step;
    return count;
}

size_t tars_rate_limit_collect(struct tars_rate_limit *limiter, struct tars_rate_count *out,
                               size_t max)
{
    size_t count = 0;

    for (size_t i = 0; limiter->is_shared && i < SHARDS; i++) {
        struct shard *shard = &limiter->shards[i];

        pthread_mutex_lock(&shard->lock);
        for (uint32_t at = 0; at < shard->used && count < max; at++) {
            if (shard->untold[at] != TOLD)
                count += tell(shard, at, out + count, max - count);
        }
        pthread_mutex_unlock(&shard->lock);
    }
    return count;
}

void tars_rate_limit_tell_again(struct tars_rate_limit *limiter)
{
    for (size_t i = 0; limiter->is_shared && i < SHARDS; i++) {
        struct shard *shard = &limiter->shards[i];

        pthread_mutex_lock(&shard->lock);
        for (uint32_t at = 0; at < shard->used; at++) {
            for (int64_t back = 0; back <= STEPS && back <= shard->entries[at].newest; back++) {
                int64_t step = shard->entries[at].newest - back;

                if (shard->entries[at].counts[step % SLOTS])
                    note(shard, at, step);
            }
        }
        pthread_mutex_unlock(&shard->lock);
    }
}

void tars_rate_limit_heard(struct tars_rate_limit *limiter, struct tars_rate_count heard)
{
    struct shard *shard = &limiter->shards[heard.key % SHARDS];
    uint32_t at;

    if (!limiter->is_shared || heard.step < 0)
        return;
    pthread_mutex_lock(&shard->lock);
    at = find(limiter, shard, heard.key);
    if (at == NONE && heard.count)
        at = claim(limiter, shard, heard.key, heard.step);
    if (at != NONE) {
        advance(shard, at, heard.step);
        if (heard.step >= shard->entries[at].newest - STEPS)
            shard->others[at].counts[heard.step % SLOTS] = heard.count;
    }
    pthread_mutex_unlock(&shard->lock);
}

/* ---------------------------------------------------------------------- keys */

static struct tars_span finish(char *out, int len)
{
    if (len < 0)
        len = 0;
    return tars_span(out, len < TARS_RATE_KEY_BYTES ? (size_t)len : TARS_RATE_KEY_BYTES - 1);
}

struct tars_span tars_rate_key_of(const struct tars_principal *principal, char *out)
{
    int len;

    if (principal->credential == TARS_CREDENTIAL_OWNER) {
        len = snprintf(out, TARS_RATE_KEY_BYTES, "owner");
    } else if (principal->key_id) {
        len = snprintf(out, TARS_RATE_KEY_BYTES, "key %lld", (long long)principal->key_id);
    } else {
        len = snprintf(out, TARS_RATE_KEY_BYTES, "client %s %s", principal->tenant,
                       principal->client_id);
    }
    return finish(out, len);
}

struct tars_span tars_rate_key_of_address(const char *address, char *out)
{
    unsigned char bytes[16];
    int len;

    if (inet_pton(AF_INET6, address, bytes) == 1 &&
        memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) != 0) {
        len =
            snprintf(out, TARS_RATE_KEY_BYTES, "net %02x%02x:%02x%02x:%02x%02x:%02x%02x", bytes[0],
                     bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]);
    } else if (strncmp(address, "::ffff:", 7) == 0) {
        len = snprintf(out, TARS_RATE_KEY_BYTES, "address %s", address + 7);
    } else {
        len = snprintf(out, TARS_RATE_KEY_BYTES, "address %s", address);
    }
    return finish(out, len);
}
