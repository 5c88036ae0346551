/* cache - see cache.h. Here is only what is the same for every back end. */
#include "cache/cache.h"

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

void tars_cache_count_into(struct tars_cache *cache, struct tars_metrics *metrics)
{
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

tars_status tars_cache_get(struct tars_cache *cache, enum tars_cache_kind kind,
                           struct tars_span key, struct tars_arena *arena, struct tars_span *value)
{
    tars_status status;

    if (!cache)
        return TARS_ENOTFOUND;
    status = cache->ops->get(cache, kind, key, arena, value);
    count_get(cache, kind, status);
    return status;
}

void tars_cache_set(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                    struct tars_span value)
{
    tars_status status;

    if (!cache)
        return;
    status = cache->ops->set(cache, kind, key, value);
    if (status == TARS_OK) {
        tars_series_add(cache->sets, 1);
    } else if (status != TARS_ETOOBIG) { /* what is not kept is made again */
        tars_series_add(cache->errors, 1);
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

void tars_cache_stats(struct tars_cache *cache, struct tars_cache_stats *stats)
{
    *stats = (struct tars_cache_stats){0};
    if (cache)
        cache->ops->stats(cache, stats);
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
    if (!cache || (!cache->ops->get_near && !cache->ops->is_fast))
        return TARS_ENOTFOUND;
    if (!cache->ops->get_near)
        return tars_cache_get(cache, kind, key, arena, value);
    return cache->ops->get_near(cache, kind, key, arena, value);
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
    if (cache)
        cache->ops->free(cache);
}
