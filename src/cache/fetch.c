/* fetch - see fetch.h for the contract.
 *
 * A flight is on the heap, in the list of its shard while it is in the air. Its key is its
 * leader's, so nobody may compare with it once the leader has taken it out. The last one who knows
 * it frees it: the leader when nobody waits at its end, else the last who waits.
 */
#include "cache/fetch.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/crypto/digest.h"
#include "base/crypto/siphash.h"
#include "base/sys/clock.h"

#define SHARDS 16

struct flight {
    struct flight *next;
    uint64_t hash;
    enum tars_cache_kind kind;
    struct tars_span key; /* the leader's; valid while in the list */
    pthread_cond_t done;
    unsigned waiting; /* who still knows of it, besides the leader */
    bool has_landed;
    bool is_good; /* value is to be had */
    char *value;  /* (len,); owned */
    size_t len;
};

struct shard {
    pthread_mutex_t lock; /* guards the list and all of its flights, but a value that has landed */
    struct flight *first;
};

struct tars_flights {
    unsigned char seed[TARS_SIPHASH_SEED_BYTES];
    atomic_ullong shared;
    struct shard shards[SHARDS];
};

/* --------------------------------------------------------------- life cycle */

tars_status tars_cache_share(struct tars_cache *cache)
{
    struct tars_flights *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    if (tars_random_bytes(made->seed, sizeof(made->seed)) != TARS_OK) {
        free(made);
        return TARS_EIO;
    }
    for (size_t i = 0; i < SHARDS; i++)
        (void)pthread_mutex_init(&made->shards[i].lock, NULL);
    tars_flights_free(cache->flights);
    cache->flights = made;
    return TARS_OK;
}

void tars_flights_free(struct tars_flights *flights)
{
    if (!flights)
        return;
    for (size_t i = 0; i < SHARDS; i++)
        (void)pthread_mutex_destroy(&flights->shards[i].lock);
    free(flights);
}

uint64_t tars_flights_shared(const struct tars_flights *flights)
{
    return flights ? atomic_load_explicit(&flights->shared, memory_order_relaxed) : 0;
}

static void free_flight(struct flight *flight)
{
    (void)pthread_cond_destroy(&flight->done);
    free(flight->value);
    free(flight);
}

/* NULL without memory. */
static struct flight *new_flight(uint64_t hash, const struct tars_cache_wish *wish)
{
    struct flight *flight = calloc(1, sizeof(*flight));
    pthread_condattr_t attr;

    if (!flight)
        return NULL;
    flight->hash = hash;
    flight->kind = wish->kind;
    flight->key = wish->key;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&flight->done, &attr);
    (void)pthread_condattr_destroy(&attr);
    return flight;
}

/* ------------------------------------------------------------ joining a flight */

static struct flight *find(struct shard *shard, uint64_t hash, const struct tars_cache_wish *wish)
{
    struct flight *flight = shard->first;

    while (flight && !(flight->hash == hash && flight->kind == wish->kind &&
                       tars_span_equal(flight->key, wish->key)))
        flight = flight->next;
    return flight;
}

/* The flight of this key: *leads is true for who has just begun it. NULL: without memory. */
static struct flight *join(struct shard *shard, uint64_t hash, const struct tars_cache_wish *wish,
                           bool *leads)
{
    struct flight *flight;

    (void)pthread_mutex_lock(&shard->lock);
    flight = find(shard, hash, wish);
    *leads = !flight;
    if (flight) {
        flight->waiting++;
    } else {
        flight = new_flight(hash, wish);
        if (flight) {
            flight->next = shard->first;
            shard->first = flight;
        }
    }
    (void)pthread_mutex_unlock(&shard->lock);
    return flight;
}

static void take_out(struct shard *shard, const struct flight *flight)
{
    struct flight **at = &shard->first;

    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
}

/* The leader's end: made is NULL where there is nothing for others. */
static void land(struct shard *shard, struct flight *flight, const struct tars_cache_made *made)
{
    bool is_wanted;
    char *copy = NULL;

    (void)pthread_mutex_lock(&shard->lock);
    take_out(shard, flight); /* from here on nobody joins it */
    is_wanted = made && flight->waiting > 0;
    (void)pthread_mutex_unlock(&shard->lock);
    if (is_wanted) {
        copy = malloc(made->value.len ? made->value.len : 1);
        if (copy && made->value.len)
            memcpy(copy, made->value.ptr, made->value.len);
    }
    (void)pthread_mutex_lock(&shard->lock);
    flight->value = copy;
    flight->len = copy ? made->value.len : 0;
    flight->is_good = copy != NULL;
    flight->has_landed = true;
    is_wanted = flight->waiting > 0;
    if (is_wanted)
        (void)pthread_cond_broadcast(&flight->done);
    (void)pthread_mutex_unlock(&shard->lock);
    if (!is_wanted)
        free_flight(flight);
}

/* Wait for the leader. True: *value is a copy in arena. */
static bool wait_for(struct shard *shard, struct flight *flight, int64_t wait_ms,
                     struct tars_arena *arena, struct tars_span *value)
{
    int64_t until_ms = tars_clock_mono_ms() + wait_ms;
    const struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    int error = 0;
    bool is_last;
    char *copy = NULL;

    (void)pthread_mutex_lock(&shard->lock);
    while (!flight->has_landed && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&flight->done, &shard->lock, &until);
    if (flight->has_landed && flight->is_good) {
        /* What has landed does not change, and lives until the last has left. */
        (void)pthread_mutex_unlock(&shard->lock);
        copy = tars_arena_strndup(arena, flight->value, flight->len);
        if (copy)
            *value = tars_span(copy, flight->len);
        (void)pthread_mutex_lock(&shard->lock);
    }
    flight->waiting--;
    is_last = flight->has_landed && flight->waiting == 0;
    (void)pthread_mutex_unlock(&shard->lock);
    if (is_last)
        free_flight(flight);
    return copy != NULL;
}

/* -------------------------------------------------------------------- fetch */

static bool is_good(const struct tars_cache_wish *wish, struct tars_span value)
{
    return !wish->is_good || wish->is_good(wish->ctx, value);
}

static tars_status compute(struct tars_cache *cache, const struct tars_cache_wish *wish,
                           struct tars_arena *arena, struct tars_cache_made *made,
                           struct tars_err *err)
{
    tars_status status = wish->compute(wish->ctx, arena, made, err);

    if (status == TARS_OK && !made->is_mine_alone && wish->key.len > 0)
        tars_cache_set(cache, wish->kind, wish->key, made->value);
    return status;
}

/* In every level, then computed. */
static tars_status get_or_compute(struct tars_cache *cache, const struct tars_cache_wish *wish,
                                  struct tars_arena *arena, struct tars_cache_made *made,
                                  enum tars_cache_source *source, struct tars_err *err)
{
    *source = TARS_CACHE_FOUND;
    if (tars_cache_get(cache, wish->kind, wish->key, arena, &made->value) == TARS_OK &&
        is_good(wish, made->value))
        return TARS_OK;
    *source = TARS_CACHE_COMPUTED;
    *made = (struct tars_cache_made){{NULL, 0}, false};
    return compute(cache, wish, arena, made, err);
}

static tars_status fly(struct tars_cache *cache, const struct tars_cache_wish *wish,
                       struct tars_arena *arena, struct tars_cache_made *made,
                       enum tars_cache_source *source, struct tars_err *err)
{
    struct tars_flights *flights = cache->flights;
    uint64_t hash = tars_siphash(flights->seed, wish->key.ptr, wish->key.len);
    struct shard *shard = &flights->shards[hash % SHARDS];
    int64_t wait_ms = wish->wait_ms > 0 ? wish->wait_ms : TARS_CACHE_WAIT_MS;
    bool leads;
    struct flight *flight = join(shard, hash, wish, &leads);
    tars_status status;

    if (flight && !leads && wait_for(shard, flight, wait_ms, arena, &made->value)) {
        *source = TARS_CACHE_SHARED;
        (void)atomic_fetch_add_explicit(&flights->shared, 1, memory_order_relaxed);
        tars_metrics_add(cache->metrics, TARS_METRIC_RAG_CACHE_SHARED, 1);
        return TARS_OK;
    }
    status = get_or_compute(cache, wish, arena, made, source, err);
    if (flight && leads)
        land(shard, flight, status == TARS_OK && !made->is_mine_alone ? made : NULL);
    return status;
}

tars_status tars_cache_fetch(struct tars_cache *cache, const struct tars_cache_wish *wish,
                             struct tars_arena *arena, struct tars_span *value,
                             enum tars_cache_source *source, struct tars_err *err)
{
    struct tars_cache_made made = {{NULL, 0}, false};
    enum tars_cache_source from = TARS_CACHE_COMPUTED;
    tars_status status = TARS_OK;

    if (!cache || wish->key.len == 0) {
        status = compute(NULL, wish, arena, &made, err);
    } else if (tars_cache_get_near(cache, wish->kind, wish->key, arena, &made.value) == TARS_OK &&
               is_good(wish, made.value)) {
        from = TARS_CACHE_FOUND;
    } else if (cache->flights) {
        status = fly(cache, wish, arena, &made, &from, err);
    } else {
        status = get_or_compute(cache, wish, arena, &made, &from, err);
    }
    if (status != TARS_OK)
        return status;
    *value = made.value;
    if (source)
        *source = from;
    return TARS_OK;
}
