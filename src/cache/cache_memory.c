/* cache_memory - see cache_memory.h for the contract.
 *
 * INVARIANTS of a shard, while its lock is not held
 *
 *   1. Every entry is in one chain and in the list from newest to oldest; count entries in all.
 *   2. bytes is the sum over entries of entry_bytes(), plus the table's; it is at most max.
 *
 * True recency costs nothing here that a clock hand would save: the lock is held anyway while the
 * value is copied, and moving an entry to the front is four pointers.
 */
#include "cache/cache_memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto/digest.h"
#include "base/crypto/siphash.h"
#include "cache/glob.h"

#define MIN_BYTES     ((size_t)64 * 1024)
#define CHAINS_FIRST  32 /* a power of two */
#define LARGEST_SHARE 4  /* of a shard, that one entry may take */
#define HEAP_BYTES    16 /* what the allocator adds to an entry */

struct entry {
    struct entry *chained;       /* next of the chain */
    struct entry *newer, *older; /* by last use */
    uint64_t hash;
    int64_t ends_ms; /* 0: never */
    uint32_t key_len, value_len;
    enum tars_cache_kind kind;
    char bytes[]; /* key, then value */
};

struct shard {
    pthread_mutex_t lock;  /* guards all below */
    struct entry **chains; /* (mask + 1,) */
    size_t mask;
    size_t count;
    size_t bytes, max;
    struct entry *newest, *oldest;
    struct tars_cache_counts counts[TARS_CACHE_KINDS];
};

struct memory {
    struct tars_cache base; /* first */
    unsigned char seed[TARS_SIPHASH_SEED_BYTES];
    tars_clock_fn *now;
    void *now_ctx;
    int64_t ttl_ms[TARS_CACHE_KINDS];
    size_t shard_count; /* whose lock is made; for a half-made object */
    struct shard shards[TARS_CACHE_MEMORY_SHARDS];
};

static struct memory *memory_of(struct tars_cache *cache)
{
    return (struct memory *)cache;
}

static size_t entry_bytes(const struct entry *entry)
{
    return sizeof(*entry) + entry->key_len + entry->value_len + HEAP_BYTES;
}

static uint64_t hash_of(const struct memory *memory, enum tars_cache_kind kind,
                        struct tars_span key)
{
    /* Kinds may meet in a chain; they are told apart there. */
    return tars_siphash(memory->seed, key.ptr, key.len) + (uint64_t)kind;
}

/* The low bits pick the chain, the high ones the shard. */
static struct shard *shard_of(struct memory *memory, uint64_t hash)
{
    return &memory->shards[(hash >> 56U) % TARS_CACHE_MEMORY_SHARDS];
}

/* ------------------------------------------------------------ under the lock */

static void unlink_recency(struct shard *shard, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &shard->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &shard->oldest) = entry->newer;
}

static void link_newest(struct shard *shard, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = shard->newest;
    *(entry->older ? &entry->older->newer : &shard->oldest) = entry;
    shard->newest = entry;
}

static struct entry *find(struct shard *shard, uint64_t hash, enum tars_cache_kind kind,
                          struct tars_span key)
{
    struct entry *entry = shard->chains[hash & shard->mask];

    while (entry && !(entry->hash == hash && entry->kind == kind &&
                      tars_span_equal(tars_span(entry->bytes, entry->key_len), key)))
        entry = entry->chained;
    return entry;
}

static void discard(struct shard *shard, struct entry *entry)
{
    struct entry **at = &shard->chains[entry->hash & shard->mask];

    while (*at != entry)
        at = &(*at)->chained;
    *at = entry->chained;
    unlink_recency(shard, entry);
    shard->count--;
    shard->bytes -= entry_bytes(entry);
    shard->counts[entry->kind].entries--;
    shard->counts[entry->kind].bytes -= entry_bytes(entry);
    free(entry);
}

static void insert(struct shard *shard, struct entry *entry)
{
    struct entry **chain = &shard->chains[entry->hash & shard->mask];

    entry->chained = *chain;
    *chain = entry;
    link_newest(shard, entry);
    shard->count++;
    shard->bytes += entry_bytes(entry);
    shard->counts[entry->kind].entries++;
    shard->counts[entry->kind].bytes += entry_bytes(entry);
}

/* Longer chains are slower, not wrong: without room or memory the table stays as it is. */
static void widen(struct shard *shard)
{
    size_t chains = 2 * (shard->mask + 1);
    size_t more = (shard->mask + 1) * sizeof(*shard->chains);
    struct entry **table;

    if (shard->count <= shard->mask || shard->bytes + more > shard->max / 2)
        return;
    table = calloc(chains, sizeof(struct entry *));
    if (!table)
        return;
    for (struct entry *entry = shard->newest; entry; entry = entry->older) {
        struct entry **chain = &table[entry->hash & (chains - 1)];

        entry->chained = *chain;
        *chain = entry;
    }
    free(shard->chains);
    shard->chains = table;
    shard->mask = chains - 1;
    shard->bytes += more;
}

static void make_room(struct shard *shard, size_t need)
{
    while (shard->oldest && shard->bytes + need > shard->max) {
        shard->counts[shard->oldest->kind].evictions++;
        discard(shard, shard->oldest);
    }
}

/* ------------------------------------------------------------------ the ops */

static tars_status look(struct memory *memory, enum tars_cache_kind kind, struct tars_span key,
                        bool counts_misses, struct tars_arena *arena, struct tars_span *value)
{
    uint64_t hash = hash_of(memory, kind, key);
    struct shard *shard = shard_of(memory, hash);
    int64_t now_ms = memory->now(memory->now_ctx);
    tars_status status = TARS_ENOTFOUND;
    struct entry *entry;

    (void)pthread_mutex_lock(&shard->lock);
    entry = find(shard, hash, kind, key);
    if (entry && entry->ends_ms && now_ms >= entry->ends_ms) {
        discard(shard, entry);
        entry = NULL;
    }
    if (entry) {
        char *copy = tars_arena_strndup(arena, entry->bytes + entry->key_len, entry->value_len);

        status = copy ? TARS_OK : TARS_ENOMEM;
        if (copy)
            *value = tars_span(copy, entry->value_len);
        unlink_recency(shard, entry);
        link_newest(shard, entry);
    }
    shard->counts[kind].hits += status == TARS_OK;
    shard->counts[kind].misses += counts_misses && status == TARS_ENOTFOUND;
    shard->counts[kind].errors += status == TARS_ENOMEM;
    (void)pthread_mutex_unlock(&shard->lock);
    return status;
}

static tars_status get(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                       struct tars_arena *arena, struct tars_span *value)
{
    return look(memory_of(cache), kind, key, true, arena, value);
}

static tars_status get_near(struct tars_cache *cache, enum tars_cache_kind kind,
                            struct tars_span key, struct tars_arena *arena, struct tars_span *value)
{
    return look(memory_of(cache), kind, key, false, arena, value);
}

static struct entry *new_entry(const struct memory *memory, enum tars_cache_kind kind,
                               struct tars_span key, struct tars_span value)
{
    struct entry *entry = malloc(sizeof(*entry) + key.len + value.len);

    if (!entry)
        return NULL;
    *entry = (struct entry){.hash = hash_of(memory, kind, key),
                            .key_len = (uint32_t)key.len,
                            .value_len = (uint32_t)value.len,
                            .kind = kind};
    if (memory->ttl_ms[kind])
        entry->ends_ms = memory->now(memory->now_ctx) + memory->ttl_ms[kind];
    if (key.len)
        memcpy(entry->bytes, key.ptr, key.len);
    if (value.len)
        memcpy(entry->bytes + key.len, value.ptr, value.len);
    return entry;
}

static void count_error(struct shard *shard, enum tars_cache_kind kind)
{
    (void)pthread_mutex_lock(&shard->lock);
    shard->counts[kind].errors++;
    (void)pthread_mutex_unlock(&shard->lock);
}

static tars_status set(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                       struct tars_span value)
{
    struct memory *memory = memory_of(cache);
    size_t largest = memory->shards[0].max / LARGEST_SHARE;
    struct entry *entry;
    struct entry *old;
    struct shard *shard;

    if (key.len > largest || value.len > largest - key.len)
        return TARS_ETOOBIG;
    entry = new_entry(memory, kind, key, value);
    if (!entry) {
        count_error(&memory->shards[0], kind);
        return TARS_ENOMEM;
    }
    shard = shard_of(memory, entry->hash);
    (void)pthread_mutex_lock(&shard->lock);
    old = find(shard, entry->hash, kind, key);
    if (old)
        discard(shard, old);
    make_room(shard, entry_bytes(entry));
    insert(shard, entry);
    widen(shard);
    shard->counts[kind].sets++;
    (void)pthread_mutex_unlock(&shard->lock);
    return TARS_OK;
}

static bool drop(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key)
{
    struct memory *memory = memory_of(cache);
    uint64_t hash = hash_of(memory, kind, key);
    struct shard *shard = shard_of(memory, hash);
    struct entry *entry;

    (void)pthread_mutex_lock(&shard->lock);
    entry = find(shard, hash, kind, key);
    if (entry)
        discard(shard, entry);
    (void)pthread_mutex_unlock(&shard->lock);
    return entry != NULL;
}

/* Discard what doomed() says; returns how many. */
static uint64_t sweep(struct memory *memory, bool (*doomed)(const struct entry *, const void *),
                      const void *ctx)
{
    uint64_t count = 0;

    for (size_t i = 0; i < TARS_CACHE_MEMORY_SHARDS; i++) {
        struct shard *shard = &memory->shards[i];
        struct entry *older;

        (void)pthread_mutex_lock(&shard->lock);
        for (struct entry *entry = shard->newest; entry; entry = older) {
            older = entry->older;
            if (!doomed(entry, ctx))
                continue;
            discard(shard, entry);
            count++;
        }
        (void)pthread_mutex_unlock(&shard->lock);
    }
    return count;
}

static bool is_of_kind(const struct entry *entry, const void *kind)
{
    return entry->kind == *(const enum tars_cache_kind *)kind;
}

static uint64_t clear(struct tars_cache *cache, enum tars_cache_kind kind)
{
    return sweep(memory_of(cache), is_of_kind, &kind);
}

/* What has no name, because it could not be worked out, goes too: it may be what was meant. */
static bool has_such_a_name(const struct entry *entry, const void *pattern)
{
    char name[TARS_CACHE_NAME_BYTES];

    return tars_cache_name(entry->kind, tars_span(entry->bytes, entry->key_len), name) != TARS_OK ||
           tars_glob_matches(pattern, name);
}

static tars_status clear_matching(struct tars_cache *cache, const char *pattern, uint64_t *removed,
                                  struct tars_err *err)
{
    (void)err; /* it cannot fail */
    *removed = sweep(memory_of(cache), has_such_a_name, pattern);
    return TARS_OK;
}

struct census {
    const char *pattern;
    uint64_t *count;
};

static bool is_counted(const struct entry *entry, const void *ctx)
{
    const struct census *census = ctx;

    *census->count += has_such_a_name(entry, census->pattern);
    return false; /* it stays */
}

static tars_status count_matching(struct tars_cache *cache, const char *pattern, uint64_t *count,
                                  struct tars_err *err)
{
    const struct census census = {pattern, count};

    (void)err; /* it cannot fail */
    *count = 0;
    (void)sweep(memory_of(cache), is_counted, &census);
    return TARS_OK;
}

static void add_counts(struct tars_cache_counts *to, const struct tars_cache_counts *from)
{
    to->hits += from->hits;
    to->misses += from->misses;
    to->sets += from->sets;
    to->errors += from->errors;
    to->evictions += from->evictions;
    to->entries += from->entries;
    to->bytes += from->bytes;
}

static void stats(struct tars_cache *cache, struct tars_cache_stats *out)
{
    struct memory *memory = memory_of(cache);

    for (size_t i = 0; i < TARS_CACHE_MEMORY_SHARDS; i++) {
        struct shard *shard = &memory->shards[i];

        (void)pthread_mutex_lock(&shard->lock);
        for (int kind = 0; kind < TARS_CACHE_KINDS; kind++)
            add_counts(&out->kind[kind], &shard->counts[kind]);
        (void)pthread_mutex_unlock(&shard->lock);
    }
}

/* --------------------------------------------------------------- life cycle */

static void free_entries(struct entry *entry)
{
    while (entry) {
        struct entry *older = entry->older;

        free(entry);
        entry = older;
    }
}

static void free_memory(struct tars_cache *cache)
{
    struct memory *memory = memory_of(cache);

    for (size_t i = 0; i < memory->shard_count; i++) {
        struct shard *shard = &memory->shards[i];

        free_entries(shard->newest);
        free(shard->chains);
        (void)pthread_mutex_destroy(&shard->lock);
    }
    free(memory);
}

static const struct tars_cache_ops ops = {
    .name = "memory",
    .is_fast = true,
    .get = get,
    .set = set,
    .drop = drop,
    .clear = clear,
    .clear_matching = clear_matching,
    .count_matching = count_matching,
    .get_near = get_near,
    .stats = stats,
    .free = free_memory,
};

static tars_status open_shard(struct shard *shard, size_t max)
{
    shard->chains = calloc(CHAINS_FIRST, sizeof(struct entry *));
    if (!shard->chains)
        return TARS_ENOMEM;
    (void)pthread_mutex_init(&shard->lock, NULL);
    shard->mask = CHAINS_FIRST - 1;
    shard->max = max;
    shard->bytes = CHAINS_FIRST * sizeof(struct entry *);
    return TARS_OK;
}

tars_status tars_cache_memory_open(const struct tars_cache_memory_config *config,
                                   struct tars_cache **cache)
{
    size_t each = config->max_bytes / TARS_CACHE_MEMORY_SHARDS;
    struct memory *made;
    tars_status status;

    if (config->max_bytes < MIN_BYTES || each / LARGEST_SHARE > UINT32_MAX)
        return TARS_EINVAL;
    made = calloc(1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    made->base.ops = &ops;
    made->now = config->now ? config->now : tars_clock_mono;
    made->now_ctx = config->now_ctx;
    for (int kind = 0; kind < TARS_CACHE_KINDS; kind++)
        made->ttl_ms[kind] = config->ttl_s[kind] * 1000;
    status = tars_random_bytes(made->seed, sizeof(made->seed));
    while (status == TARS_OK && made->shard_count < TARS_CACHE_MEMORY_SHARDS) {
        status = open_shard(&made->shards[made->shard_count], each);
        made->shard_count += status == TARS_OK;
    }
    if (status != TARS_OK) {
        free_memory(&made->base);
        return status;
    }
    *cache = &made->base;
    return TARS_OK;
}
