/* near - see near.h. */
#include "retrieve/near.h"

#include <stdlib.h>
#include <string.h>

tars_status tars_near_search(struct tars_vectors *vectors, const struct tars_vectors_wish *wish,
                             struct tars_index_hit *hits, size_t *n, bool *is_away,
                             struct tars_err *err)
{
    struct tars_err why = {{0}};
    tars_status status = tars_vectors_search(vectors, wish, wish->call->arena, hits, n, &why);

    *is_away = false;
    if (status == TARS_OK)
        return status;
    *n = 0;
    /* Whatever a server says of a search, words can be searched without it. */
    if (status == TARS_ECANCELED || !vectors->ops->waits || wish->k > TARS_INDEX_K_MAX)
        return tars_fail(status, err, "%s", why.text);
    if (tars_call_is_over(wish->call))
        return TARS_ETIMEOUT;
    *is_away = true;
    return TARS_OK;
}

static int by_score(const void *a, const void *b)
{
    const struct tars_index_hit *x = a;
    const struct tars_index_hit *y = b;

    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The passages of both lists, each once; returns how many. */
static size_t join(const struct tars_near_lists *lists, uint64_t *ids)
{
    size_t n = 0;
    size_t kept = 0;

    for (size_t i = 0; i < lists->near_count; i++)
        ids[n++] = lists->near[i].id;
    for (size_t i = 0; i < lists->other_count; i++)
        ids[n++] = lists->others[i].id;
    qsort(ids, n, sizeof(*ids), by_number);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || ids[kept - 1] != ids[i])
            ids[kept++] = ids[i];
    }
    return kept;
}

static void score_exactly(const struct tars_vectors_held *held, const float *query,
                          struct tars_near_lists *lists)
{
    size_t kept = 0;

    for (size_t i = 0; i < lists->near_count; i++) {
        struct tars_index_hit hit = lists->near[i];

        if (tars_vectors_score(held, query, hit.id, &hit.score) == TARS_OK)
            lists->near[kept++] = hit;
    }
    lists->near_count = kept;
    if (kept > 0)
        qsort(lists->near, kept, sizeof(*lists->near), by_score);
}

tars_status tars_near_hold(struct tars_vectors *vectors, struct tars_store *store,
                           const float *query, size_t dim, struct tars_arena *arena,
                           struct tars_near_lists *lists, struct tars_vectors_held **held,
                           struct tars_err *err)
{
    bool is_elsewhere = !vectors->ops->score;
    uint64_t *ids = NULL;
    size_t n = 0;
    tars_status status;

    if (is_elsewhere) {
        ids = tars_arena_calloc(arena, lists->near_count + lists->other_count + 1, sizeof(*ids));
        if (!ids)
            return TARS_ENOMEM;
        n = join(lists, ids);
    }
    status = tars_vectors_load(vectors, store, dim, ids, n, arena, held, err);
    if (status == TARS_OK && is_elsewhere)
        score_exactly(*held, query, lists);
    return status;
}
