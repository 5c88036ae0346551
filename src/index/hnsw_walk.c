/* hnsw_walk - searching the graph; see hnsw.h.
 *
 * The classic best-first walk: open holds what is to be expanded, best what was found. It ends when
 * the best open node is worse than the worst of ef found ones. With a filter only accepted nodes
 * count as found, so the walk goes on through refused ones until enough are accepted.
 *
 * When there is no memory to open one more node, it is left out: the walk sees a little less.
 */
#include <stdlib.h>
#include <string.h>

#include "index/hnsw_internal.h"

#define OPEN_FIRST 256
#define SCORE_NONE (-8.0F) /* under any cosine: what is not a number gets it */

/* -------------------------------------------------------------------- heaps */

static bool above(const struct heap *heap, struct tars_hnsw_found a, struct tars_hnsw_found b)
{
    if (a.score != b.score)
        return heap->sign > 0 ? a.score > b.score : a.score < b.score;
    return heap->sign > 0 ? a.node < b.node : a.node > b.node;
}

static void sift_down(struct heap *heap, size_t at, struct tars_hnsw_found item)
{
    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && above(heap, heap->items[child + 1], heap->items[child]))
            child++;
        if (!above(heap, heap->items[child], item))
            break;
        heap->items[at] = heap->items[child];
        at = child;
    }
    heap->items[at] = item;
}

static bool heap_fit(struct heap *heap, size_t need)
{
    size_t cap = heap->cap ? heap->cap : OPEN_FIRST;
    struct tars_hnsw_found *items;

    if (need <= heap->cap)
        return true;
    while (cap < need)
        cap *= 2;
    items = realloc(heap->items, cap * sizeof(*items));
    if (!items)
        return false;
    heap->items = items;
    heap->cap = cap;
    return true;
}

static void heap_push(struct heap *heap, struct tars_hnsw_found item)
{
    size_t at = heap->count;

    if (!heap_fit(heap, heap->count + 1))
        return;
    heap->count++;
    while (at > 0 && above(heap, item, heap->items[(at - 1) / 2])) {
        heap->items[at] = heap->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->items[at] = item;
}

static struct tars_hnsw_found heap_pop(struct heap *heap)
{
    struct tars_hnsw_found top = heap->items[0];

    heap->count--;
    if (heap->count > 0)
        sift_down(heap, 0, heap->items[heap->count]);
    return top;
}

/* Keep the ef best of what is offered. */
static void keep(struct heap *best, size_t ef, struct tars_hnsw_found item)
{
    if (best->count < ef) {
        heap_push(best, item);
    } else if (above(best, best->items[0], item)) {
        sift_down(best, 0, item);
    }
}

/* ------------------------------------------------------------------ scratch */

tars_status tars_hnsw_scratch_fit(struct tars_hnsw_scratch *scratch, size_t ef, uint32_t count)
{
    size_t words = (size_t)count / 64 + 1;
    uint64_t *visited;

    if (!heap_fit(&scratch->best, ef) || !heap_fit(&scratch->open, OPEN_FIRST))
        return TARS_ENOMEM;
    if (words > scratch->words) {
        size_t cap = words + words / 2;

        visited = calloc(cap, sizeof(*visited));
        if (!visited)
            return TARS_ENOMEM;
        free(scratch->visited);
        scratch->visited = visited;
        scratch->words = cap;
    }
    scratch->limit = count;
    return TARS_OK;
}

tars_status tars_hnsw_scratch_new(const struct tars_hnsw *hnsw, size_t ef,
                                  struct tars_hnsw_scratch **scratch)
{
    struct tars_hnsw_scratch *made = calloc(1, sizeof(*made));
    tars_status status = TARS_ENOMEM;

    if (!made)
        return TARS_ENOMEM;
    made->open.sign = 1;
    made->best.sign = -1;
    made->codes = calloc(1, hnsw->stride);
    if (made->codes) {
        status = tars_hnsw_scratch_fit(made, ef,
                                       atomic_load_explicit(&hnsw->count, memory_order_acquire));
    }
    if (status != TARS_OK) {
        tars_hnsw_scratch_free(made);
        return status;
    }
    *scratch = made;
    return TARS_OK;
}

void tars_hnsw_scratch_free(struct tars_hnsw_scratch *scratch)
{
    if (!scratch)
        return;
    free(scratch->open.items);
    free(scratch->best.items);
    free(scratch->visited);
    free(scratch->codes);
    free(scratch);
}

static bool visit(struct tars_hnsw_scratch *scratch, uint32_t node)
{
    uint64_t bit = UINT64_C(1) << (node % 64);

    if (scratch->visited[node / 64] & bit)
        return false;
    scratch->visited[node / 64] |= bit;
    return true;
}

/* --------------------------------------------------------------------- walk */

float tars_hnsw_score(const struct tars_hnsw *hnsw, const struct tars_hnsw_scratch *scratch,
                      uint32_t node)
{
    const struct tars_hnsw_node *at = tars_hnsw_node_at(hnsw, node);
    int32_t dot = hnsw->distance->dot_codes(scratch->codes, at->codes, hnsw->stride, at->sum);
    float score = (float)dot * at->scale * scratch->scale;

    return score > SCORE_NONE ? score : SCORE_NONE;
}

_Atomic uint32_t *tars_hnsw_links(const struct tars_hnsw *hnsw, uint32_t node, uint32_t layer,
                                  uint32_t *count)
{
    const struct tars_hnsw_node *at = tars_hnsw_node_at(hnsw, node);
    struct tars_hnsw_links0 *links0;
    struct tars_hnsw_links *links;
    uint64_t index = (uint64_t)at->upper + layer - 1;

    if (layer == 0) {
        links0 = tars_column_at(&hnsw->links0, node);
        *count = atomic_load_explicit(&links0->count, memory_order_acquire);
        *count = *count < TARS_HNSW_M0 ? *count : TARS_HNSW_M0;
        return links0->ids;
    }
    /* What lies behind the base was written by this process and needs no check. */
    if (layer > at->layer || (node < hnsw->nodes.base_count && index >= hnsw->upper.base_count))
        return NULL;
    links = tars_column_at(&hnsw->upper, (uint32_t)index);
    *count = atomic_load_explicit(&links->count, memory_order_acquire);
    *count = *count < TARS_HNSW_M ? *count : TARS_HNSW_M;
    return links->ids;
}

uint32_t tars_hnsw_descend(const struct tars_hnsw *hnsw, const struct tars_hnsw_scratch *scratch,
                           uint32_t start, uint32_t layer)
{
    uint32_t best = start;
    float best_score = tars_hnsw_score(hnsw, scratch, start);
    bool moved = true;

    while (moved) {
        uint32_t count = 0;
        _Atomic uint32_t *ids = tars_hnsw_links(hnsw, best, layer, &count);

        moved = false;
        for (uint32_t i = 0; ids && i < count; i++) {
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

static void prefetch(const struct tars_hnsw *hnsw, uint32_t node)
{
    const char *at = (const char *)tars_hnsw_node_at(hnsw, node);

    for (size_t i = 0; i < hnsw->stride && i < 512; i += 64)
        __builtin_prefetch(at + i);
}

/* The neighbours of a node that were not visited yet, marked and on their way into the cache. */
static size_t neighbours(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch,
                         uint32_t from, uint32_t layer, uint32_t *out)
{
    uint32_t count = 0;
    _Atomic uint32_t *ids = tars_hnsw_links(hnsw, from, layer, &count);
    size_t fresh = 0;

    for (uint32_t i = 0; ids && i < count; i++) {
        uint32_t node = atomic_load_explicit(&ids[i], memory_order_acquire);

        if (node >= scratch->limit || !visit(scratch, node))
            continue;
        prefetch(hnsw, node);
        out[fresh++] = node;
    }
    return fresh;
}

static bool accepted(const struct tars_hnsw *hnsw, const struct tars_hnsw_accept *accept,
                     uint32_t node)
{
    return !accept || accept->accepts(accept->ctx, tars_hnsw_node_at(hnsw, node)->owner);
}

static void meet(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch, uint32_t node,
                 size_t ef, const struct tars_hnsw_accept *accept)
{
    struct tars_hnsw_found found = {tars_hnsw_score(hnsw, scratch, node), node};

    if (scratch->best.count >= ef && found.score <= scratch->best.items[0].score)
        return;
    heap_push(&scratch->open, found);
    if (accepted(hnsw, accept, node))
        keep(&scratch->best, ef, found);
}

void tars_hnsw_walk(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch, uint32_t start,
                    uint32_t layer, size_t ef, const struct tars_hnsw_accept *accept)
{
    uint32_t fresh[TARS_HNSW_M0];

    memset(scratch->visited, 0, ((size_t)scratch->limit / 64 + 1) * sizeof(*scratch->visited));
    scratch->open.count = 0;
    scratch->best.count = 0;
    (void)visit(scratch, start);
    meet(hnsw, scratch, start, ef, accept);
    while (scratch->open.count > 0) {
        struct tars_hnsw_found from = heap_pop(&scratch->open);
        size_t n;

        if (scratch->best.count >= ef && from.score < scratch->best.items[0].score)
            break;
        n = neighbours(hnsw, scratch, from.node, layer, fresh);
        for (size_t i = 0; i < n; i++)
            meet(hnsw, scratch, fresh[i], ef, accept);
    }
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

/* Scratch that holds the query's codes. */
static tars_status begin(const struct tars_hnsw *hnsw, const float *query, size_t ef,
                         struct tars_hnsw_scratch **scratch)
{
    tars_status status = tars_hnsw_scratch_new(hnsw, ef, scratch);
    int32_t sum;

    if (status != TARS_OK)
        return status;
    if (tars_distance_quantise(query, hnsw->dim, (*scratch)->codes, &(*scratch)->scale, &sum))
        return TARS_OK;
    tars_hnsw_scratch_free(*scratch);
    return TARS_EINVAL;
}

/* Gives the results, sorted, and frees the rest. */
static void finish(struct tars_hnsw_scratch *scratch, struct tars_hnsw_found **found, size_t *n)
{
    qsort(scratch->best.items, scratch->best.count, sizeof(**found), tars_hnsw_found_order);
    *found = scratch->best.items;
    *n = scratch->best.count;
    scratch->best.items = NULL;
    tars_hnsw_scratch_free(scratch);
}

tars_status tars_hnsw_search(const struct tars_hnsw *hnsw, const float *query, size_t ef,
                             const struct tars_hnsw_accept *accept, struct tars_hnsw_found **found,
                             size_t *n)
{
    struct tars_hnsw_scratch *scratch;
    tars_status status = begin(hnsw, query, ef, &scratch);
    uint64_t entry;
    uint32_t at;

    if (status != TARS_OK)
        return status;
    entry = atomic_load_explicit(&hnsw->entry, memory_order_acquire);
    at = (uint32_t)entry;
    /* The entry may be newer than the count that scratch was made for. */
    if (scratch->limit > 0 && at >= scratch->limit)
        status = tars_hnsw_scratch_fit(scratch, ef, at + 1);
    if (status != TARS_OK) {
        tars_hnsw_scratch_free(scratch);
        return status;
    }
    if (scratch->limit > 0) {
        for (uint32_t layer = (uint32_t)(entry >> 32); layer > 0; layer--)
            at = tars_hnsw_descend(hnsw, scratch, at, layer);
        tars_hnsw_walk(hnsw, scratch, at, 0, ef, accept);
    }
    finish(scratch, found, n);
    return TARS_OK;
}

tars_status tars_hnsw_scan(const struct tars_hnsw *hnsw, const float *query, size_t ef,
                           const struct tars_hnsw_accept *accept, struct tars_hnsw_found **found,
                           size_t *n)
{
    struct tars_hnsw_scratch *scratch;
    tars_status status = begin(hnsw, query, ef, &scratch);

    if (status != TARS_OK)
        return status;
    for (uint32_t node = 0; node < scratch->limit; node++) {
        if (accepted(hnsw, accept, node)) {
            keep(&scratch->best, ef,
                 (struct tars_hnsw_found){tars_hnsw_score(hnsw, scratch, node), node});
        }
    }
    finish(scratch, found, n);
    return TARS_OK;
}
