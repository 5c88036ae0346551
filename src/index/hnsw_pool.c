/* hnsw_pool - see hnsw_pool.h. */
#include "index/hnsw_pool.h"

#include <stdlib.h>
#include <string.h>

#define SPARE 64 /* items that fit beside ef before it has to grow */

static bool grow(struct tars_hnsw_pool *pool, size_t need)
{
    size_t cap = pool->cap * 2 > need ? pool->cap * 2 : need;
    struct tars_hnsw_found *items;

    if (need <= pool->cap)
        return true;
    items = realloc(pool->items, cap * sizeof(*items));
    if (!items)
        return false;
    pool->items = items;
    pool->cap = cap;
    return true;
}

tars_status tars_hnsw_pool_start(struct tars_hnsw_pool *pool, size_t ef)
{
    if (!grow(pool, ef + SPARE))
        return TARS_ENOMEM;
    pool->ef = ef;
    pool->count = 0;
    pool->found = 0;
    pool->next = 0;
    return TARS_OK;
}

void tars_hnsw_pool_release(struct tars_hnsw_pool *pool)
{
    free(pool->items);
    *pool = (struct tars_hnsw_pool){0};
}

/* How many items are at least as good. */
static size_t place_of(const struct tars_hnsw_pool *pool, float score)
{
    const struct tars_hnsw_found *at = pool->items;
    size_t n = pool->count;

    if (n == 0)
        return 0;
    while (n > 1) { /* without a branch on what is read */
        size_t half = n / 2;

        at += at[half - 1].score >= score ? half : 0;
        n -= half;
    }
    return (size_t)(at - pool->items) + (at[0].score >= score ? 1 : 0);
}

/* What is worse than the ef-th found one goes. */
static void trim(struct tars_hnsw_pool *pool)
{
    while (pool->found > pool->ef ||
           (pool->found == pool->ef && (pool->items[pool->count - 1].node & TARS_POOL_REFUSED))) {
        pool->count--;
        pool->found -= (pool->items[pool->count].node & TARS_POOL_REFUSED) == 0;
    }
}

void tars_hnsw_pool_put(struct tars_hnsw_pool *pool, float score, uint32_t node)
{
    size_t at = place_of(pool, score);

    if (pool->ef == 0 || (pool->count == pool->cap && !grow(pool, pool->count + 1)))
        return;
    memmove(pool->items + at + 1, pool->items + at, (pool->count - at) * sizeof(*pool->items));
    pool->items[at] = (struct tars_hnsw_found){score, node};
    pool->count++;
    pool->found += (node & TARS_POOL_REFUSED) == 0;
    if (at < pool->next)
        pool->next = at;
    trim(pool);
}

size_t tars_hnsw_pool_finish(struct tars_hnsw_pool *pool)
{
    size_t kept = 0;

    for (size_t i = 0; i < pool->count; i++) {
        struct tars_hnsw_found item = pool->items[i];

        if (item.node & TARS_POOL_REFUSED)
            continue;
        item.node &= TARS_POOL_NODE;
        pool->items[kept++] = item;
    }
    pool->count = kept;
    return kept;
}
