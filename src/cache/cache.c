/* cache - see cache.h. Here is only what is the same for every back end. */
#include "cache/cache.h"

#include <stdio.h>
#include <string.h>

#include "base/crypto/digest.h"
#include "cache/cache_internal.h"
#include "cache/fetch.h"

const char *tars_cache_kind_text(enum tars_cache_kind kind)
{
    switch (kind) {
#define X(id, number, name) \
    case id:                \
        return name;
        TARS_CACHE_KIND_LIST(X)
#undef X
    case TARS_CACHE_KINDS:
        break;
    }
    return "all";
}

static void count_level_into(struct tars_cache *level, struct tars_metrics *metrics)
{
    static const char *const results[] = {"hit", "miss", "error"};

    for (int kind = 0; kind < TARS_CACHE_KINDS; kind++) {
        for (size_t i = 0; i < 3; i++) {
            level->looks[kind][i] =
                tars_metrics_series(metrics, TARS_METRIC_RAG_CACHE_LOOKUPS, level->ops->name,
                                    tars_cache_kind_text((enum tars_cache_kind)kind), results[i]);
        }
    }
    level->metrics = metrics;
    level->is_redis = strcmp(level->ops->name, "redis") == 0;
}

void tars_cache_count_into(struct tars_cache *cache, struct tars_metrics *metrics)
{
    struct tars_cache *level;

    for (size_t i = 0; (level = tars_cache_level(cache, i)) != NULL; i++)
        count_level_into(level, metrics);
    cache->metrics = metrics;
    cache->hits = tars_metrics_series(metrics, TARS_METRIC_CACHE_OPERATIONS, "get", "hit");
    cache->misses = tars_metrics_series(metrics, TARS_METRIC_CACHE_OPERATIONS, "get", "miss");
    cache->sets = tars_metrics_series(metrics, TARS_METRIC_CACHE_OPERATIONS, "set", "success");
    cache->errors = tars_metrics_series(metrics, TARS_METRIC_CACHE_OPERATIONS, "all", "error");
}

static void count_get(struct tars_cache *cache, enum tars_cache_kind kind, tars_status status)
{
    bool hit = status == TARS_OK;

    if (!hit && status != TARS_ENOTFOUND) {
        tars_series_add(cache->errors, 1);
        return;
    }
    tars_series_add(hit ? cache->hits : cache->misses, 1);
    tars_metrics_add(cache->metrics, hit ? TARS_METRIC_CACHE_HITS : TARS_METRIC_CACHE_MISSES, 1);
    if (kind == TARS_CACHE_EMBEDDING) {
        tars_metrics_add(
            cache->metrics,
            hit ? TARS_METRIC_EMBEDDING_CACHE_HITS : TARS_METRIC_EMBEDDING_CACHE_MISSES, 1);
    }
}

static void count_look(struct tars_cache *level, enum tars_cache_kind kind, tars_status status)
{
    bool hit = status == TARS_OK;

    if (status == TARS_EUNAVAILABLE) /* nobody looked */
        return;
    tars_series_add(level->looks[kind][hit ? 0 : (status == TARS_ENOTFOUND ? 1 : 2)], 1);
    if (level->is_redis && (hit || status == TARS_ENOTFOUND)) {
        tars_metrics_add(level->metrics,
                         hit ? TARS_METRIC_REDIS_CACHE_HITS : TARS_METRIC_REDIS_CACHE_MISSES, 1);
    }
}

tars_status tars_cache_look(struct tars_cache *level, enum tars_cache_kind kind,
                            struct tars_span key, struct tars_arena *arena, struct tars_span *value)
{
    tars_status status = level->ops->get(level, kind, key, arena, value);

    count_look(level, kind, status);
    return status;
}

tars_status tars_cache_look_near(struct tars_cache *level, enum tars_cache_kind kind,
                                 struct tars_span key, struct tars_arena *arena,
                                 struct tars_span *value)
{
    tars_status status = TARS_ENOTFOUND;

    if (level->ops->get_near)
        status = level->ops->get_near(level, kind, key, arena, value);
    if (status == TARS_OK)
        count_look(level, kind, status);
    return status;
}

tars_status tars_cache_get(struct tars_cache *cache, enum tars_cache_kind kind,
                           struct tars_span key, struct tars_arena *arena, struct tars_span *value)
{
    tars_status status;

    if (!cache)
        return TARS_ENOTFOUND;
    status = tars_cache_look(cache, kind, key, arena, value);
    if (status == TARS_EUNAVAILABLE)
        status = TARS_ENOTFOUND;
    count_get(cache, kind, status);
    return status;
}

static void count_set(struct tars_cache *cache, tars_status status)
{
    if (status == TARS_OK) {
        tars_series_add(cache->sets, 1);
    } else if (status != TARS_ETOOBIG) { /* what is not kept is made again */
        tars_series_add(cache->errors, 1);
    }
}

void tars_cache_set(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                    struct tars_span value)
{
    if (cache)
        count_set(cache, cache->ops->set(cache, kind, key, value));
}

void tars_cache_set_near(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                         struct tars_span value)
{
    if (!cache)
        return;
    if (cache->ops->set_near) {
        count_set(cache, cache->ops->set_near(cache, kind, key, value));
    } else if (cache->ops->is_fast) {
        tars_cache_set(cache, kind, key, value);
    }
}

bool tars_cache_drop(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key)
{
    return cache && cache->ops->drop(cache, kind, key);
}

uint64_t tars_cache_clear(struct tars_cache *cache, enum tars_cache_kind kind)
{
    uint64_t count = 0;

    if (!cache)
        return 0;
    for (int each = 0; each < TARS_CACHE_KINDS; each++) {
        if (kind == TARS_CACHE_KINDS || (int)kind == each)
            count += cache->ops->clear(cache, (enum tars_cache_kind)each);
    }
    return count;
}

tars_status tars_cache_clear_matching(struct tars_cache *cache, const char *pattern,
                                      uint64_t *removed, struct tars_err *err)
{
    *removed = 0;
    if (strlen(pattern) > TARS_CACHE_PATTERN_MAX)
        return tars_fail(TARS_EINVAL, err, "pattern is longer than %d", TARS_CACHE_PATTERN_MAX);
    if (!cache)
        return TARS_OK;
    if (!cache->ops->clear_matching) {
        return tars_fail(TARS_EUNAVAILABLE, err, "%s cannot be cleared by pattern",
                         cache->ops->name);
    }
    return cache->ops->clear_matching(cache, pattern, removed, err);
}

tars_status tars_cache_count_matching(struct tars_cache *cache, const char *pattern,
                                      uint64_t *count, struct tars_err *err)
{
    struct tars_cache *far = NULL;
    struct tars_cache *level;

    *count = 0;
    for (size_t i = 0; (level = tars_cache_level(cache, i)) != NULL; i++)
        far = level;
    if (!far || !far->ops->count_matching || strlen(pattern) > TARS_CACHE_PATTERN_MAX)
        return tars_fail(TARS_EUNAVAILABLE, err, "the cache does not say how much it holds");
    return far->ops->count_matching(far, pattern, count, err);
}

tars_status tars_cache_name(enum tars_cache_kind kind, struct tars_span key, char *out)
{
    char hex[TARS_SHA256_HEX_BYTES];
    tars_status status = tars_sha256_hex(key.ptr ? key.ptr : "", key.len, hex);

    if (status == TARS_OK) {
        (void)snprintf(out, TARS_CACHE_NAME_BYTES, "tars:%s:%s", tars_cache_kind_text(kind), hex);
    }
    return status;
}

void tars_cache_stats(struct tars_cache *cache, struct tars_cache_stats *stats)
{
    *stats = (struct tars_cache_stats){0};
    if (!cache)
        return;
    cache->ops->stats(cache, stats);
    stats->shared = tars_flights_shared(cache->flights);
}

/* What failed since the last time, whoever comes first. */
static void tell_failures(struct tars_metrics *metrics, struct tars_cache *level, uint64_t errors)
{
    unsigned long long told = atomic_load_explicit(&level->told_errors, memory_order_relaxed);

    while (told < errors &&
           !atomic_compare_exchange_weak_explicit(&level->told_errors, &told, errors,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    tars_series_add(tars_metrics_series(metrics, TARS_METRIC_RAG_BACKEND_FAILURES, "redis"),
                    told < errors ? errors - told : 0);
}

static void sample_redis(struct tars_metrics *metrics, struct tars_cache *level, uint64_t errors)
{
    struct tars_cache_state state;

    tars_cache_state(level, &state);
    tars_series_set(tars_metrics_series(metrics, TARS_METRIC_RAG_BACKEND_UP, "redis"),
                    state.is_connected);
    tars_series_set(tars_metrics_series(metrics, TARS_METRIC_RAG_BACKEND_BREAKER, "redis"),
                    state.breaker);
    tars_metrics_set(metrics, TARS_METRIC_REDIS_MEMORY_USAGE, (double)state.used_memory);
    tars_metrics_set(metrics, TARS_METRIC_REDIS_MEMORY_MAX, (double)state.max_memory);
    tell_failures(metrics, level, errors);
}

void tars_cache_sample(struct tars_cache *cache)
{
    struct tars_cache_stats stats;
    struct tars_cache_counts total;
    struct tars_cache *level;
    struct tars_metrics *metrics = cache ? cache->metrics : NULL;

    if (!metrics)
        return;
    tars_cache_stats(cache, &stats);
    total = tars_cache_total(&stats);
    tars_metrics_set(metrics, TARS_METRIC_CACHE_HIT_RATE, tars_cache_hit_percent(&total));
    tars_metrics_set(metrics, TARS_METRIC_CACHE_BYTES, (double)total.bytes);
    for (size_t i = 0; (level = tars_cache_level(cache, i)) != NULL; i++) {
        const char *name = level->ops->name;

        tars_cache_stats(level, &stats);
        total = tars_cache_total(&stats);
        if (level->is_redis) {
            sample_redis(metrics, level, total.errors);
            continue; /* what a server keeps for others, too, is in its own memory's family */
        }
        tars_series_set(tars_metrics_series(metrics, TARS_METRIC_RAG_CACHE_BYTES, name),
                        (double)total.bytes);
        tars_series_set(tars_metrics_series(metrics, TARS_METRIC_RAG_CACHE_ENTRIES, name),
                        (double)total.entries);
    }
}

struct tars_cache_counts tars_cache_total(const struct tars_cache_stats *stats)
{
    struct tars_cache_counts total = {0};

    for (int i = 0; i < TARS_CACHE_KINDS; i++) {
        total.hits += stats->kind[i].hits;
        total.misses += stats->kind[i].misses;
        total.sets += stats->kind[i].sets;
        total.errors += stats->kind[i].errors;
        total.evictions += stats->kind[i].evictions;
        total.entries += stats->kind[i].entries;
        total.bytes += stats->kind[i].bytes;
    }
    return total;
}

double tars_cache_hit_percent(const struct tars_cache_counts *counts)
{
    uint64_t reads = counts->hits + counts->misses;

    return reads ? 100.0 * (double)counts->hits / (double)reads : 0;
}

tars_status tars_cache_get_near(struct tars_cache *cache, enum tars_cache_kind kind,
                                struct tars_span key, struct tars_arena *arena,
                                struct tars_span *value)
{
    tars_status status;

    if (!cache)
        return TARS_ENOTFOUND;
    status = tars_cache_look_near(cache, kind, key, arena, value);
    if (status != TARS_OK)
        return TARS_ENOTFOUND;
    count_get(cache, kind, status);
    return status;
}

struct tars_cache *tars_cache_level(struct tars_cache *cache, size_t i)
{
    if (cache && cache->ops->level)
        return cache->ops->level(cache, i);
    return i == 0 ? cache : NULL;
}

const char *tars_cache_level_name(const struct tars_cache *cache)
{
    return cache ? cache->ops->name : "none";
}

void tars_cache_state(struct tars_cache *cache, struct tars_cache_state *state)
{
    *state = (struct tars_cache_state){0};
    if (cache && cache->ops->state)
        cache->ops->state(cache, state);
}

bool tars_cache_is_fast(const struct tars_cache *cache)
{
    return cache && cache->ops->is_fast;
}

void tars_cache_free(struct tars_cache *cache)
{
    struct tars_flights *flights = cache ? cache->flights : NULL;

    if (cache)
        cache->ops->free(cache);
    tars_flights_free(flights);
}
