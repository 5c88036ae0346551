/* cache_levels - see cache_levels.h for the contract. */
#include "cache/cache_levels.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "cache/cache_internal.h"

struct counts {
    atomic_ullong hits, misses, sets, errors;
};

struct levels {
    struct tars_cache base; /* first */
    struct tars_cache *near, *far;
    struct counts counts[TARS_CACHE_KINDS]; /* of the whole */
};

static struct levels *levels_of(struct tars_cache *cache)
{
    return (struct levels *)cache;
}

static void count(atomic_ullong *counter)
{
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static tars_status get(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                       struct tars_arena *arena, struct tars_span *value)
{
    struct levels *levels = levels_of(cache);
    struct counts *counts = &levels->counts[kind];
    tars_status status = tars_cache_look(levels->near, kind, key, arena, value);

    if (status != TARS_OK) {
        status = tars_cache_look(levels->far, kind, key, arena, value);
        if (status == TARS_OK)
            (void)!levels->near->ops->set(levels->near, kind, key, *value);
    }
    if (status == TARS_EUNAVAILABLE)
        status = TARS_ENOTFOUND;
    count(status == TARS_OK ? &counts->hits
                            : (status == TARS_ENOTFOUND ? &counts->misses : &counts->errors));
    return status;
}

static tars_status get_near(struct tars_cache *cache, enum tars_cache_kind kind,
                            struct tars_span key, struct tars_arena *arena, struct tars_span *value)
{
    struct levels *levels = levels_of(cache);
    tars_status status = tars_cache_look_near(levels->near, kind, key, arena, value);

    if (status == TARS_OK)
        count(&levels->counts[kind].hits);
    return status;
}

static tars_status set(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                       struct tars_span value)
{
    struct levels *levels = levels_of(cache);
    tars_status near = levels->near->ops->set(levels->near, kind, key, value);
    tars_status far = levels->far->ops->set(levels->far, kind, key, value);

    if (near != TARS_OK && far != TARS_OK) {
        if (near != TARS_ETOOBIG)
            count(&levels->counts[kind].errors);
        return near;
    }
    count(&levels->counts[kind].sets);
    return TARS_OK;
}

static tars_status set_near(struct tars_cache *cache, enum tars_cache_kind kind,
                            struct tars_span key, struct tars_span value)
{
    struct levels *levels = levels_of(cache);
    tars_status status = levels->near->ops->set(levels->near, kind, key, value);

    if (status == TARS_OK) {
        count(&levels->counts[kind].sets);
    } else if (status != TARS_ETOOBIG) {
        count(&levels->counts[kind].errors);
    }
    return status;
}

static bool drop(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key)
{
    struct levels *levels = levels_of(cache);
    /* The far one first: what it still has would come back into the near one. */
    bool far = levels->far->ops->drop(levels->far, kind, key);
    bool near = levels->near->ops->drop(levels->near, kind, key);

    return near || far;
}

static uint64_t clear(struct tars_cache *cache, enum tars_cache_kind kind)
{
    struct levels *levels = levels_of(cache);
    uint64_t far = levels->far->ops->clear(levels->far, kind);
    uint64_t near = levels->near->ops->clear(levels->near, kind);

    return near > far ? near : far;
}

static tars_status clear_matching(struct tars_cache *cache, const char *pattern, uint64_t *removed,
                                  struct tars_err *err)
{
    struct levels *levels = levels_of(cache);
    uint64_t far_removed = 0;
    uint64_t near_removed = 0;
    tars_status far = tars_cache_clear_matching(levels->far, pattern, &far_removed, err);
    tars_status near = tars_cache_clear_matching(levels->near, pattern, &near_removed,
                                                 far == TARS_OK ? err : NULL);

    *removed = near_removed > far_removed ? near_removed : far_removed;
    return far != TARS_OK ? far : near;
}

static struct tars_cache *level(struct tars_cache *cache, size_t i)
{
    struct levels *levels = levels_of(cache);

    if (i > 1)
        return NULL;
    return i == 0 ? levels->near : levels->far;
}

static void state(struct tars_cache *cache, struct tars_cache_state *out)
{
    tars_cache_state(levels_of(cache)->far, out);
}

static void stats(struct tars_cache *cache, struct tars_cache_stats *out)
{
    struct levels *levels = levels_of(cache);
    struct tars_cache_stats near;

    tars_cache_stats(levels->near, &near);
    for (int kind = 0; kind < TARS_CACHE_KINDS; kind++) {
        struct counts *counts = &levels->counts[kind];

        out->kind[kind] = (struct tars_cache_counts){
            .hits = atomic_load_explicit(&counts->hits, memory_order_relaxed),
            .misses = atomic_load_explicit(&counts->misses, memory_order_relaxed),
            .sets = atomic_load_explicit(&counts->sets, memory_order_relaxed),
            .errors = atomic_load_explicit(&counts->errors, memory_order_relaxed),
            .evictions = near.kind[kind].evictions,
            .entries = near.kind[kind].entries,
            .bytes = near.kind[kind].bytes,
        };
    }
}

static void free_levels(struct tars_cache *cache)
{
    struct levels *levels = levels_of(cache);

    tars_cache_free(levels->near);
    tars_cache_free(levels->far);
    free(levels);
}

static const struct tars_cache_ops ops = {
    .name = "levels",
    .get = get,
    .set = set,
    .drop = drop,
    .clear = clear,
    .clear_matching = clear_matching,
    .get_near = get_near,
    .set_near = set_near,
    .level = level,
    .state = state,
    .stats = stats,
    .free = free_levels,
};

tars_status tars_cache_levels_open(struct tars_cache *near, struct tars_cache *far,
                                   struct tars_cache **cache)
{
    struct levels *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->base.ops = &ops;
    made->near = near;
    made->far = far;
    *cache = &made->base;
    return TARS_OK;
}
