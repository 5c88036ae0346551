/* hnsw_walk - searching the graph; see hnsw.h.
 *
 * The best node that was not expanded yet is expanded: its links are compared, and the pool
 * (hnsw_pool.h) keeps what is good enough. When all in the pool were expanded, it is the result.
 *
 * Most of the time goes to waiting for memory, so what will be compared is asked for some nodes
 * ahead, and the links of the next one to be expanded while the links of this one are compared.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/hnsw_internal.h"

#define AHEAD       6       /* nodes on their way into the cache while one is compared */
#define THROUGH_MAX 64      /* nodes that one expansion gives when it looks through refused ones */
#define SCORE_NONE  (-8.0F) /* under any cosine: what is not a number gets it */
#define LINE        64      /* bytes of a cache line */
#define WORD_BITS   64

/* ------------------------------------------------------------------ scratch */

tars_status tars_hnsw_scratch_fit(struct tars_hnsw_scratch *scratch, uint32_t count)
{
    size_t words = (size_t)count / WORD_BITS + 1;
    size_t cap = words + words / 2;
    uint64_t *visited = NULL;
    uint64_t *bridges = NULL;
    uint32_t *touched = NULL;

    scratch->limit = count;
    if (words <= scratch->words)
        return TARS_OK;
    visited = calloc(cap, sizeof(*visited));
    bridges = calloc(cap, sizeof(*bridges));
    touched = malloc(cap * sizeof(*touched));
    if (!visited || !bridges || !touched) {
        free(visited);
        free(bridges);
        free(touched);
        return TARS_ENOMEM;
    }
    free(scratch->visited);
    free(scratch->bridges);
    free(scratch->touched);
    scratch->visited = visited;
    scratch->bridges = bridges;
    scratch->touched = touched;
    scratch->words = cap;
    return TARS_OK;
}

tars_status tars_hnsw_scratch_new(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch **scratch)
{
    struct tars_hnsw_scratch *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->codes = calloc(1, hnsw->stride);
    if (!made->codes) {
        tars_hnsw_scratch_free(made);
        return TARS_ENOMEM;
    }
    *scratch = made;
    return TARS_OK;
}

void tars_hnsw_scratch_free(struct tars_hnsw_scratch *scratch)
{
    if (!scratch)
        return;
    tars_hnsw_pool_release(&scratch->pool);
    free(scratch->visited);
    free(scratch->bridges);
    free(scratch->touched);
    free(scratch->codes);
    free(scratch);
}

/* Spares are no part of what a const graph means to its callers. */
static _Atomic(struct tars_hnsw_scratch *) *spare_of(const struct tars_hnsw *hnsw, size_t i)
{
    return &((struct tars_hnsw *)hnsw)->spares[i];
}

tars_status tars_hnsw_begin(const struct tars_hnsw *hnsw, const float *query,
                            struct tars_hnsw_scratch **scratch)
{
    struct tars_hnsw_scratch *taken = NULL;
    tars_status status = TARS_OK;
    int32_t sum;

    for (size_t i = 0; i < TARS_HNSW_SPARES && !taken; i++)
        taken = atomic_exchange_explicit(spare_of(hnsw, i), NULL, memory_order_acquire);
    if (!taken)
        status = tars_hnsw_scratch_new(hnsw, &taken);
    if (status != TARS_OK)
        return status;
    if (!tars_distance_quantise(query, hnsw->dim, taken->codes, &taken->scale, &sum)) {
        tars_hnsw_end(hnsw, taken);
        return TARS_EINVAL;
    }
    *scratch = taken;
    return TARS_OK;
}

void tars_hnsw_end(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch)
{
    for (size_t i = 0; i < TARS_HNSW_SPARES; i++) {
        struct tars_hnsw_scratch *none = NULL;

        if (atomic_compare_exchange_strong_explicit(spare_of(hnsw, i), &none, scratch,
                                                    memory_order_release, memory_order_relaxed))
            return;
    }
    tars_hnsw_scratch_free(scratch);
}

static bool visit(struct tars_hnsw_scratch *scratch, uint32_t node)
{
    uint64_t bit = UINT64_C(1) << (node % WORD_BITS);
    uint64_t *word = &scratch->visited[node / WORD_BITS];

    if (*word & bit)
        return false;
    if (*word == 0)
        scratch->touched[scratch->touched_count++] = node / WORD_BITS;
    *word |= bit;
    return true;
}

static void forget_visits(struct tars_hnsw_scratch *scratch)
{
    for (size_t i = 0; i < scratch->touched_count; i++) {
        scratch->visited[scratch->touched[i]] = 0;
        scratch->bridges[scratch->touched[i]] = 0;
    }
    scratch->touched_count = 0;
}

/* ------------------------------------------------------------------- scores */

float tars_hnsw_score(const struct tars_hnsw *hnsw, const struct tars_hnsw_scratch *scratch,
                      uint32_t node)
{
    const struct tars_hnsw_node *at = tars_hnsw_node_at(hnsw, node);
    int32_t dot = hnsw->distance->dot_codes(scratch->codes, at->codes, hnsw->stride, at->sum);
    float score = (float)dot * at->scale * scratch->scale;

    return score > SCORE_NONE ? score : SCORE_NONE;
}

/* Each code is off by a standard deviation of scale / sqrt(12), so the product of two unit vectors
 * by 0.29 of either scale; this is about seven times that. */
float tars_hnsw_margin(const struct tars_hnsw *hnsw, const struct tars_hnsw_scratch *scratch,
                       uint32_t node)
{
    float margin = 2 * (tars_hnsw_node_at(hnsw, node)->scale + scratch->scale);

    return margin > 0 ? margin : 0;
}

void tars_hnsw_expect_exact(const struct tars_hnsw *hnsw, uint32_t node)
{
    const char *at = tars_column_at(&hnsw->exact, node);

    for (size_t i = 0; i < hnsw->dim * sizeof(float); i += LINE)
        __builtin_prefetch(at + i);
}

static void expect(const struct tars_hnsw *hnsw, uint32_t node)
{
    const char *at = (const char *)tars_hnsw_node_at(hnsw, node);

    for (size_t i = 0; i < sizeof(struct tars_hnsw_node) + hnsw->stride; i += LINE)
        __builtin_prefetch(at + i);
}

static void expect_links(const struct tars_hnsw *hnsw, uint32_t node)
{
    const char *at = tars_column_at(&hnsw->links0, node);

    for (size_t i = 0; i < sizeof(struct tars_hnsw_links0); i += LINE)
        __builtin_prefetch(at + i);
}

/* -------------------------------------------------------------------- links */

_Atomic uint32_t *tars_hnsw_links(const struct tars_hnsw *hnsw, uint32_t node, uint32_t layer,
                                  uint32_t *max)
{
    const struct tars_hnsw_node *at;
    uint64_t index;

    if (layer == 0) {
        *max = TARS_HNSW_M0;
        return ((struct tars_hnsw_links0 *)tars_column_at(&hnsw->links0, node))->ids;
    }
    at = tars_hnsw_node_at(hnsw, node);
    index = (uint64_t)at->upper + layer - 1;
    /* What lies behind the base was written by this process and needs no check. */
    if (layer > at->layer || (node < hnsw->nodes.base_count && index >= hnsw->upper.base_count))
        return NULL;
    *max = TARS_HNSW_M;
    return ((struct tars_hnsw_links *)tars_column_at(&hnsw->upper, (uint32_t)index))->ids;
}

uint32_t tars_hnsw_descend(const struct tars_hnsw *hnsw, const struct tars_hnsw_scratch *scratch,
                           uint32_t start, uint32_t layer)
{
    uint32_t best = start;
    float best_score = tars_hnsw_score(hnsw, scratch, start);
    bool moved = true;

    while (moved) {
        uint32_t max = 0;
        _Atomic uint32_t *ids = tars_hnsw_links(hnsw, best, layer, &max);

        moved = false;
        for (uint32_t i = 0; ids && i < max; i++) {
            uint32_t node = atomic_load_explicit(&ids[i], memory_order_acquire);
            float score;

            if (node >= scratch->limit)
                continue;
            score = tars_hnsw_score(hnsw, scratch, node);
            if (score > best_score) {
                best_score = score;
                best = node;
                moved = true;
            }
        }
    }
    return best;
}

/* --------------------------------------------------------------------- walk */

static bool is_marked(const struct tars_hnsw *hnsw, uint32_t node)
{
    const _Atomic uint64_t *word = tars_column_at(&hnsw->marks, node / WORD_BITS);

    return atomic_load_explicit(word, memory_order_relaxed) >> (node % WORD_BITS) & 1;
}

static bool is_refused(const struct tars_hnsw *hnsw, const struct tars_hnsw_accept *accept,
                       uint32_t node)
{
    if (!accept || (node < accept->sure && !is_marked(hnsw, node)))
        return false;
    return !accept->accepts(accept->ctx, tars_hnsw_node_at(hnsw, node)->owner);
}

/* The links of a node that were not visited yet, marked. */
static size_t fresh_links(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch,
                          uint32_t from, uint32_t layer, uint32_t *out)
{
    uint32_t max = 0;
    _Atomic uint32_t *ids = tars_hnsw_links(hnsw, from, layer, &max);
    size_t n = 0;

    for (uint32_t i = 0; ids && i < max; i++) {
        uint32_t node = atomic_load_explicit(&ids[i], memory_order_acquire);

        if (node == TARS_HNSW_NONE)
            break;
        if (node < scratch->limit && visit(scratch, node))
            out[n++] = node;
    }
    return n;
}

/* Keep a node that was visited now if it is accepted, else remember that it may be looked through.
 */
static bool sift(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch,
                 const struct tars_hnsw_accept *accept, uint32_t node)
{
    if (!is_refused(hnsw, accept, node))
        return true;
    scratch->bridges[node / WORD_BITS] |= UINT64_C(1) << (node % WORD_BITS);
    return false;
}

/* The refused links of a node that were not looked through yet: no bridges any more. */
static size_t take_bridges(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch,
                           uint32_t from, uint32_t *out)
{
    uint32_t max = 0;
    _Atomic uint32_t *ids = tars_hnsw_links(hnsw, from, 0, &max);
    size_t n = 0;

    for (uint32_t i = 0; i < max; i++) {
        uint32_t node = atomic_load_explicit(&ids[i], memory_order_acquire);
        uint64_t bit = UINT64_C(1) << (node % WORD_BITS);

        if (node >= scratch->limit || !(scratch->bridges[node / WORD_BITS] & bit))
            continue;
        scratch->bridges[node / WORD_BITS] &= ~bit;
        expect_links(hnsw, node);
        out[n++] = node;
    }
    return n;
}

/* Accepted nodes that were not visited yet: links of a node, or links of its refused links. Out has
 * room for THROUGH_MAX + TARS_HNSW_M0. */
static size_t fresh_through(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch,
                            uint32_t from, const struct tars_hnsw_accept *accept, uint32_t *out)
{
    uint32_t links[TARS_HNSW_M0];
    uint32_t bridges[TARS_HNSW_M0];
    size_t count = fresh_links(hnsw, scratch, from, 0, links);
    size_t bridge_count;
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (sift(hnsw, scratch, accept, links[i]))
            out[n++] = links[i];
    }
    bridge_count = take_bridges(hnsw, scratch, from, bridges);
    for (size_t b = 0; b < bridge_count && n < THROUGH_MAX; b++) {
        count = fresh_links(hnsw, scratch, bridges[b], 0, links);
        for (size_t i = 0; i < count; i++) {
            if (sift(hnsw, scratch, accept, links[i]))
                out[n++] = links[i];
        }
    }
    return n;
}

/* Compare a node and put it into the pool if it is good enough. */
static void meet(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch, uint32_t node,
                 const struct tars_hnsw_accept *accept)
{
    float score = tars_hnsw_score(hnsw, scratch, node);

    if (!tars_hnsw_pool_wants(&scratch->pool, score))
        return;
    tars_hnsw_pool_put(&scratch->pool, score,
                       node | (is_refused(hnsw, accept, node) ? TARS_POOL_REFUSED : 0));
}

/* Compare n nodes, each asked for some nodes before. */
static void meet_all(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch,
                     const uint32_t *fresh, size_t n, const struct tars_hnsw_accept *accept)
{
    uint32_t next;

    for (size_t i = 0; i < n && i < AHEAD; i++)
        expect(hnsw, fresh[i]);
    if (tars_hnsw_pool_peek(&scratch->pool, &next))
        expect_links(hnsw, next);
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            expect(hnsw, fresh[i + AHEAD]);
        meet(hnsw, scratch, fresh[i], accept);
    }
}

void tars_hnsw_walk(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch, uint32_t start,
                    uint32_t layer, const struct tars_hnsw_accept *accept)
{
    uint32_t fresh[THROUGH_MAX + TARS_HNSW_M0];
    bool through = accept && accept->seldom;
    uint32_t from;

    if (visit(scratch, start))
        meet(hnsw, scratch, start, accept);
    while (tars_hnsw_pool_take(&scratch->pool, &from)) {
        size_t n = through ? fresh_through(hnsw, scratch, from, accept, fresh)
                           : fresh_links(hnsw, scratch, from, layer, fresh);

        meet_all(hnsw, scratch, fresh, n, accept);
    }
    forget_visits(scratch);
}

/* ------------------------------------------------------------------- search */

int tars_hnsw_found_order(const void *a, const void *b)
{
    const struct tars_hnsw_found *left = a;
    const struct tars_hnsw_found *right = b;

    if (left->score != right->score)
        return left->score > right->score ? -1 : 1;
    return (left->node > right->node) - (left->node < right->node);
}

tars_status tars_hnsw_search(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch,
                             size_t ef, const struct tars_hnsw_accept *accept,
                             const uint32_t *seeds, size_t n_seeds)
{
    uint32_t count = atomic_load_explicit(&hnsw->count, memory_order_acquire);
    uint64_t entry = atomic_load_explicit(&hnsw->entry, memory_order_acquire);
    uint32_t at = (uint32_t)entry;
    tars_status status = tars_hnsw_pool_start(&scratch->pool, ef);

    /* The entry may be newer than the count. */
    if (status == TARS_OK && count > 0)
        status = tars_hnsw_scratch_fit(scratch, at < count ? count : at + 1);
    if (status != TARS_OK || count == 0)
        return status;
    for (uint32_t layer = (uint32_t)(entry >> 32); layer > 0; layer--)
        at = tars_hnsw_descend(hnsw, scratch, at, layer);
    for (size_t i = 0; i < n_seeds; i++) {
        if (seeds[i] < scratch->limit && visit(scratch, seeds[i]))
            meet(hnsw, scratch, seeds[i], accept);
    }
    tars_hnsw_walk(hnsw, scratch, at, 0, accept);
    (void)tars_hnsw_pool_finish(&scratch->pool);
    return TARS_OK;
}

tars_status tars_hnsw_scan_start(struct tars_hnsw_scratch *scratch, size_t ef)
{
    return tars_hnsw_pool_start(&scratch->pool, ef);
}

void tars_hnsw_scan(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch, uint32_t first,
                    uint32_t count, const struct tars_hnsw_accept *accept)
{
    uint32_t limit = atomic_load_explicit(&hnsw->count, memory_order_acquire);

    if (first >= limit)
        return;
    if (count > limit - first)
        count = limit - first;
    for (uint32_t node = first; node < first + count; node++) {
        float score = tars_hnsw_score(hnsw, scratch, node);

        if (tars_hnsw_pool_wants(&scratch->pool, score) && !is_refused(hnsw, accept, node))
            tars_hnsw_pool_put(&scratch->pool, score, node);
    }
}

void tars_hnsw_scan_finish(struct tars_hnsw_scratch *scratch)
{
    (void)tars_hnsw_pool_finish(&scratch->pool);
}

const struct tars_hnsw_found *tars_hnsw_result(const struct tars_hnsw_scratch *scratch, size_t *n)
{
    *n = scratch->pool.count;
    return scratch->pool.items;
}
