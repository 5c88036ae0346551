/* hnsw_pool - the best nodes that a walk has met, in order: what was found and what is to be
 * expanded in one array.
 *
 *     best                                          worst
 *     [ e ][ e ][ e r ][   ][ e ][   r ][   ] ...          e: was expanded    r: is refused
 *                        ^ next to be expanded
 *
 * Refused nodes (filtered out, or removed) lead on but are not found: they take no place of the ef
 * that count, and what is worse than the ef-th found one is dropped, as nothing worse need be
 * expanded. So the last item is the bound once ef are found. A step is a halving search and a move
 * of the worse ones; at these sizes that is cheaper than two heaps.
 *
 * Bounds    Grows with the refused ones. Without memory the item is left out: the walk sees less.
 */
#ifndef TARS_INDEX_HNSW_POOL_H
#define TARS_INDEX_HNSW_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TARS_POOL_EXPANDED (UINT32_C(1) << 31)
#define TARS_POOL_REFUSED  (UINT32_C(1) << 30)
#define TARS_POOL_NODE     (TARS_POOL_REFUSED - 1) /* the node in found.node */

struct tars_hnsw_found {
    float score;   /* approximate cosine */
    uint32_t node; /* inside a pool with the flags above */
};

struct tars_hnsw_pool {
    struct tars_hnsw_found *items; /* (count,) of (cap,), best first; owned */
    size_t count;
    size_t cap;
    size_t ef;    /* found ones wanted */
    size_t found; /* items that are not refused */
    size_t next;  /* no item before it is to be expanded */
};

/* Empty, with room for ef items. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_hnsw_pool_start(struct tars_hnsw_pool *pool, size_t ef);
void tars_hnsw_pool_release(struct tars_hnsw_pool *pool);
/* Put a node in its place; see tars_hnsw_pool_offer(). */
void tars_hnsw_pool_put(struct tars_hnsw_pool *pool, float score, uint32_t node);

/* Whether a node of this score would be kept. */
static inline bool tars_hnsw_pool_wants(const struct tars_hnsw_pool *pool, float score)
{
    return pool->found < pool->ef || score > pool->items[pool->count - 1].score;
}

/* The one that would be taken next. */
static inline bool tars_hnsw_pool_peek(struct tars_hnsw_pool *pool, uint32_t *node)
{
    while (pool->next < pool->count && (pool->items[pool->next].node & TARS_POOL_EXPANDED))
        pool->next++;
    if (pool->next >= pool->count)
        return false;
    *node = pool->items[pool->next].node & TARS_POOL_NODE;
    return true;
}

/* The best node that was not expanded yet, marked as expanded; false when there is none. */
static inline bool tars_hnsw_pool_take(struct tars_hnsw_pool *pool, uint32_t *node)
{
    if (!tars_hnsw_pool_peek(pool, node))
        return false;
    pool->items[pool->next].node |= TARS_POOL_EXPANDED;
    return true;
}

/* Drop the refused and the flags: what is left is the result, best first; how many. */
size_t tars_hnsw_pool_finish(struct tars_hnsw_pool *pool);

#endif
