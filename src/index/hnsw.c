/* hnsw - building the graph; see hnsw.h. Searching is in hnsw_walk.c.
 *
 * A new node is complete, its own links too, before any link to it is stored. The order of stores:
 * node and vector; its links, layer by layer; the links of others to it (release); count; entry.
 */
#include "index/hnsw.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/hnsw_internal.h"

#define FIRST_LOG 8
#define MARK_BITS 64 /* in a word of marks */

void tars_hnsw_init(struct tars_hnsw *hnsw, size_t dim)
{
    *hnsw = (struct tars_hnsw){.dim = dim, .stride = tars_distance_stride(dim)};
    hnsw->distance = tars_distance_best();
    tars_column_init(&hnsw->nodes, sizeof(struct tars_hnsw_node) + hnsw->stride, FIRST_LOG);
    tars_column_init(&hnsw->exact, dim * sizeof(float), FIRST_LOG);
    tars_column_init(&hnsw->links0, sizeof(struct tars_hnsw_links0), FIRST_LOG);
    tars_column_init(&hnsw->upper, sizeof(struct tars_hnsw_links), FIRST_LOG - 3);
    tars_column_init(&hnsw->marks, sizeof(_Atomic uint64_t), FIRST_LOG - 3);
}

void tars_hnsw_release(struct tars_hnsw *hnsw)
{
    tars_column_release(&hnsw->nodes);
    tars_column_release(&hnsw->exact);
    tars_column_release(&hnsw->links0);
    tars_column_release(&hnsw->upper);
    tars_column_release(&hnsw->marks);
    free(hnsw->marks_base);
    hnsw->marks_base = NULL;
    tars_hnsw_scratch_free(hnsw->scratch);
    hnsw->scratch = NULL;
    for (size_t i = 0; i < TARS_HNSW_SPARES; i++)
        tars_hnsw_scratch_free(atomic_exchange(&hnsw->spares[i], NULL));
}

/* -------------------------------------------------------------------- marks */

tars_status tars_hnsw_adopt(struct tars_hnsw *hnsw)
{
    uint32_t words = hnsw->nodes.count / MARK_BITS + (hnsw->nodes.count % MARK_BITS != 0);

    if (words == 0)
        return TARS_OK;
    hnsw->marks_base = calloc(words, sizeof(_Atomic uint64_t));
    if (!hnsw->marks_base)
        return TARS_ENOMEM;
    tars_column_set_base(&hnsw->marks, hnsw->marks_base, words);
    return TARS_OK;
}

void tars_hnsw_mark(struct tars_hnsw *hnsw, uint32_t first, uint32_t count)
{
    for (uint32_t node = first; node - first < count && node < hnsw->nodes.count; node++) {
        _Atomic uint64_t *word = tars_column_at(&hnsw->marks, node / MARK_BITS);

        atomic_fetch_or_explicit(word, UINT64_C(1) << (node % MARK_BITS), memory_order_relaxed);
    }
}

float tars_hnsw_exact(const struct tars_hnsw *hnsw, const float *query, uint32_t node)
{
    float score = hnsw->distance->dot(query, tars_column_at(&hnsw->exact, node), hnsw->dim);

    return isfinite(score) ? score : 0;
}

float tars_hnsw_between(const struct tars_hnsw *hnsw, uint32_t a, uint32_t b)
{
    const struct tars_hnsw_node *left = tars_hnsw_node_at(hnsw, a);
    const struct tars_hnsw_node *right = tars_hnsw_node_at(hnsw, b);
    int32_t dot = hnsw->distance->dot_codes(left->codes, right->codes, hnsw->stride, right->sum);

    return (float)dot * left->scale * right->scale;
}

/* -------------------------------------------------------------------- links */

static bool is_diverse(const struct tars_hnsw *hnsw, const struct tars_hnsw_found *picked, size_t n,
                       struct tars_hnsw_found candidate)
{
    for (size_t i = 0; i < n; i++) {
        if (tars_hnsw_between(hnsw, candidate.node, picked[i].node) > candidate.score)
            return false;
    }
    return true;
}

size_t tars_hnsw_pick(const struct tars_hnsw *hnsw, struct tars_hnsw_found *candidates, size_t n,
                      size_t max)
{
    struct tars_hnsw_found spare[TARS_HNSW_M0];
    size_t picked = 0;
    size_t spared = 0;

    for (size_t i = 0; i < n && picked < max; i++) {
        struct tars_hnsw_found candidate = candidates[i];

        if (is_diverse(hnsw, candidates, picked, candidate)) {
            candidates[picked++] = candidate;
        } else if (spared < TARS_HNSW_M0) {
            spare[spared++] = candidate;
        }
    }
    for (size_t i = 0; i < spared && picked < max; i++)
        candidates[picked++] = spare[i];
    return picked;
}

/* Readers may see some of the old and some of the new; what is left over of the old is ended by
 * NONE, in a list whose other links are complete. */
static void set_links(_Atomic uint32_t *ids, const struct tars_hnsw_found *picked, size_t n,
                      size_t max)
{
    for (size_t i = 0; i < n; i++)
        atomic_store_explicit(&ids[i], picked[i].node, memory_order_release);
    for (size_t i = n; i < max; i++)
        atomic_store_explicit(&ids[i], TARS_HNSW_NONE, memory_order_release);
}

/* Let node link to made, giving up the link that is missed least when its list is full. */
static void link_back(const struct tars_hnsw *hnsw, uint32_t node, uint32_t made, float score,
                      uint32_t layer)
{
    struct tars_hnsw_found all[TARS_HNSW_M0 + 1];
    size_t n = 0;
    uint32_t max = 0;
    _Atomic uint32_t *ids = tars_hnsw_links(hnsw, node, layer, &max);

    if (!ids)
        return;
    for (uint32_t i = 0; i < max; i++) {
        uint32_t other = atomic_load_explicit(&ids[i], memory_order_relaxed);

        if (other == TARS_HNSW_NONE) {
            atomic_store_explicit(&ids[i], made, memory_order_release);
            return;
        }
        if (other < made)
            all[n++] = (struct tars_hnsw_found){tars_hnsw_between(hnsw, node, other), other};
    }
    all[n++] = (struct tars_hnsw_found){score, made};
    qsort(all, n, sizeof(all[0]), tars_hnsw_found_order);
    set_links(ids, all, tars_hnsw_pick(hnsw, all, n, max), max);
}

/* ---------------------------------------------------------------------- add */

/* Layers above 0: each with a sixteenth of the one below. */
static uint32_t draw_layer(uint32_t owner, uint32_t number)
{
    uint64_t x = ((uint64_t)owner << 32 | number) + UINT64_C(0x9e3779b97f4a7c15);
    uint32_t layer = 0;

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    while ((x & (TARS_HNSW_M - 1)) == 0 && layer < TARS_HNSW_LAYERS) {
        x >>= 4;
        layer++;
    }
    return layer;
}

/* All the memory that a new node may need. */
static tars_status prepare(struct tars_hnsw *hnsw, uint32_t layer)
{
    uint32_t count = atomic_load_explicit(&hnsw->count, memory_order_relaxed);
    tars_status status = TARS_OK;

    if (!hnsw->scratch)
        status = tars_hnsw_scratch_new(hnsw, &hnsw->scratch);
    if (status == TARS_OK)
        status = tars_hnsw_scratch_fit(hnsw->scratch, count);
    if (status == TARS_OK)
        status = tars_hnsw_pool_start(&hnsw->scratch->pool, TARS_HNSW_EF_CONSTRUCTION);
    if (status == TARS_OK)
        status = tars_column_prepare(&hnsw->nodes, 1);
    if (status == TARS_OK)
        status = tars_column_prepare(&hnsw->exact, 1);
    if (status == TARS_OK)
        status = tars_column_prepare(&hnsw->links0, 1);
    if (status == TARS_OK && layer > 0)
        status = tars_column_prepare(&hnsw->upper, layer);
    if (status == TARS_OK && hnsw->nodes.count / MARK_BITS >= hnsw->marks.count)
        status = tars_column_prepare(&hnsw->marks, 1);
    if (status == TARS_OK && hnsw->nodes.count >= TARS_HNSW_NODES_MAX)
        status = TARS_ETOOBIG;
    return status;
}

/* Find neighbours in one layer, link to them and back; returns where to go on below. */
static uint32_t connect(struct tars_hnsw *hnsw, uint32_t made, uint32_t start, uint32_t layer)
{
    struct tars_hnsw_pool *pool = &hnsw->scratch->pool;
    const struct tars_hnsw_found *found;
    _Atomic uint32_t *ids;
    uint32_t next;
    uint32_t max;
    size_t picked;

    /* There is room for ef: prepare() saw to it. */
    (void)!tars_hnsw_pool_start(pool, TARS_HNSW_EF_CONSTRUCTION);
    tars_hnsw_walk(hnsw, hnsw->scratch, start, layer, NULL);
    (void)tars_hnsw_pool_finish(pool);
    found = pool->items;
    next = found[0].node;
    picked = tars_hnsw_pick(hnsw, pool->items, pool->count, TARS_HNSW_M);
    ids = tars_hnsw_links(hnsw, made, layer, &max);
    for (size_t i = 0; i < picked; i++)
        atomic_store_explicit(&ids[i], found[i].node, memory_order_release);
    for (size_t i = 0; i < picked; i++)
        link_back(hnsw, found[i].node, made, found[i].score, layer);
    return next;
}

/* No links yet, in any layer. */
static void clear_links(struct tars_hnsw *hnsw, uint32_t made, uint32_t layer)
{
    for (uint32_t l = 0; l <= layer; l++) {
        uint32_t max = 0;
        _Atomic uint32_t *ids = tars_hnsw_links(hnsw, made, l, &max);

        set_links(ids, NULL, 0, max);
    }
}

static void join(struct tars_hnsw *hnsw, uint32_t made, uint32_t layer)
{
    uint64_t entry = atomic_load_explicit(&hnsw->entry, memory_order_relaxed);
    uint32_t top = (uint32_t)(entry >> 32);
    uint32_t at = (uint32_t)entry;

    if (made > 0) {
        for (uint32_t l = top; l > layer; l--)
            at = tars_hnsw_descend(hnsw, hnsw->scratch, at, l);
        for (uint32_t l = layer < top ? layer : top;; l--) {
            at = connect(hnsw, made, at, l);
            if (l == 0)
                break;
        }
    }
    if (made == 0 || layer > top)
        atomic_store_explicit(&hnsw->entry, (uint64_t)layer << 32 | made, memory_order_release);
    atomic_store_explicit(&hnsw->count, made + 1, memory_order_release);
}

tars_status tars_hnsw_add(struct tars_hnsw *hnsw, const float *vector, uint32_t owner,
                          uint32_t number)
{
    uint32_t layer = draw_layer(owner, number);
    tars_status status = prepare(hnsw, layer);
    struct tars_hnsw_scratch *scratch = hnsw->scratch;
    struct tars_hnsw_node *node;
    uint32_t made;
    int32_t sum;

    if (status != TARS_OK)
        return status;
    if (!tars_distance_quantise(vector, hnsw->dim, scratch->codes, &scratch->scale, &sum))
        return TARS_EINVAL;
    made = tars_column_take(&hnsw->nodes, 1);
    (void)tars_column_take(&hnsw->links0, 1);
    memcpy(tars_column_at(&hnsw->exact, tars_column_take(&hnsw->exact, 1)), vector,
           hnsw->dim * sizeof(*vector));
    assert(hnsw->links0.count == hnsw->nodes.count && hnsw->exact.count == hnsw->nodes.count);
    node = tars_hnsw_node_at(hnsw, made);
    node->scale = scratch->scale;
    node->sum = sum;
    node->owner = owner;
    node->layer = layer;
    node->upper = layer > 0 ? tars_column_take(&hnsw->upper, layer) : 0;
    memcpy(node->codes, scratch->codes, hnsw->stride);
    if (made / MARK_BITS >= hnsw->marks.count)
        (void)tars_column_take(&hnsw->marks, 1);
    clear_links(hnsw, made, layer);
    join(hnsw, made, layer);
    return TARS_OK;
}
