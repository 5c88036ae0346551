/* vectors - what is the same for every back end; see vectors.h.
 *
 * A server gives windows, several of which may be of one passage, and some of which the call may
 * not accept. So more than k are asked for, and if fewer than k passages remain, four times as
 * many again. A search with few accepted passages names them to the server instead (runs), which
 * then gives nothing else.
 */
#include "vectors/vectors.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys/clock.h"
#include "index/distance.h"

#define WINDOWS_EACH 3  /* windows asked for, for each passage that is wanted */
#define WINDOWS_MORE 32 /* and these besides */
#define GROWTH       4
#define NS_PER_MS    INT64_C(1000000)

/* ------------------------------------------------------------------- search */

/* The runs that a narrow filter accepts, where they are few enough to be named. */
static tars_status name_runs(const struct tars_vectors_wish *wish, struct tars_arena *arena,
                             struct tars_vectors_ask *ask)
{
    struct tars_index_run *runs;
    struct tars_index_run run;
    uint64_t from = 0;
    size_t count = 0;

    if (!wish->filter || !wish->is_narrow || !wish->filter->next)
        return TARS_OK;
    runs = tars_arena_calloc(arena, TARS_VECTORS_RUNS_MAX, sizeof(*runs));
    if (!runs)
        return TARS_ENOMEM;
    while (wish->filter->next(wish->filter->ctx, from, &run)) {
        if (count > 0 && runs[count - 1].last + 1 == run.first) {
            runs[count - 1].last = run.last;
        } else if (count == TARS_VECTORS_RUNS_MAX) {
            return TARS_OK;
        } else {
            runs[count++] = run;
        }
        if (run.last == UINT64_MAX)
            break;
        from = run.last + 1;
    }
    ask->runs = runs;
    ask->run_count = count;
    for (size_t i = 0; i < count; i++) {
        uint64_t more = runs[i].last - runs[i].first + 1;

        ask->run_passages += more;
        if (more == 0 || ask->run_passages < more)
            ask->run_passages = UINT64_MAX;
    }
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

static int by_id(const void *a, const void *b)
{
    const struct tars_index_hit *x = a;
    const struct tars_index_hit *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->score < y->score) - (x->score > y->score);
}

/* One hit a passage, its best, and only of what is accepted; best first. Returns how many. */
static size_t distil(const struct tars_vectors_wish *wish, struct tars_index_hit *hits, size_t n)
{
    const struct tars_index_filter *filter = wish->filter;
    size_t kept = 0;

    qsort(hits, n, sizeof(*hits), by_id);
    for (size_t i = 0; i < n; i++) {
        bool is_known = kept > 0 && hits[kept - 1].id == hits[i].id;

        if (!is_known && isfinite(hits[i].score) &&
            (!filter || filter->accepts(filter->ctx, hits[i].id)))
            hits[kept++] = hits[i];
    }
    qsort(hits, kept, sizeof(*hits), by_score);
    return kept;
}

static bool is_over(const struct tars_vectors_wish *wish)
{
    return wish->call && (atomic_load_explicit(&wish->call->cancelled, memory_order_relaxed) != 0);
}

static bool is_late(const struct tars_vectors_wish *wish)
{
    return wish->until_ns > 0 && tars_clock_mono_ns() >= wish->until_ns;
}

static bool is_away(tars_status status)
{
    return status == TARS_ETIMEOUT || status == TARS_EUNAVAILABLE || status == TARS_EIO;
}

/* Ask for limit windows; *found and *count: the passages of them. *is_all: there are no more. */
static tars_status ask_server(struct tars_vectors *vectors, const struct tars_vectors_ask *ask,
                              struct tars_arena *arena, struct tars_index_hit **found,
                              size_t *count, bool *is_all, struct tars_err *err)
{
    struct tars_index_hit *hits = tars_arena_calloc(arena, ask->limit, sizeof(*hits));
    size_t given = 0;
    tars_status status;

    if (!hits)
        return TARS_ENOMEM;
    status = vectors->ops->search(vectors, ask, hits, &given, err);
    if (status != TARS_OK)
        return status;
    assert(given <= ask->limit);
    *found = hits;
    *count = distil(ask->wish, hits, given);
    *is_all = given < ask->limit;
    return TARS_OK;
}

/* Ask for more and more windows until k passages are found, or there are no more. What an earlier
 * ask gave is not lost by a later one. */
static tars_status search_windows(struct tars_vectors *vectors, struct tars_vectors_ask *ask,
                                  struct tars_arena *arena, struct tars_index_hit **found,
                                  size_t *count, struct tars_err *err)
{
    size_t k = ask->wish->k;
    bool is_all = false;

    for (size_t limit = k * WINDOWS_EACH + WINDOWS_MORE;; limit *= GROWTH) {
        tars_status status;

        ask->limit = limit < TARS_VECTORS_WINDOWS_MAX ? limit : TARS_VECTORS_WINDOWS_MAX;
        status = ask_server(vectors, ask, arena, found, count, &is_all, err);
        if (*found && is_away(status))
            break;
        if (status != TARS_OK || *count >= k || is_all)
            return status;
        if (limit >= TARS_VECTORS_WINDOWS_MAX || is_late(ask->wish))
            break;
        if (is_over(ask->wish))
            return TARS_ECANCELED;
    }
    if (ask->wish->is_cut)
        *ask->wish->is_cut = true;
    return TARS_OK;
}

/* The end of all asks: the earliest of what the wish, its call and the back end say. */
static int64_t end_of(const struct tars_vectors *vectors, const struct tars_vectors_wish *wish)
{
    int64_t end_ns = wish->until_ns > 0 ? wish->until_ns : INT64_MAX;
    int64_t deadline_ms = wish->call ? wish->call->deadline_ms : 0;
    int64_t now_ns = tars_clock_mono_ns();

    if (vectors->search_ms > 0 && vectors->search_ms < (INT64_MAX - now_ns) / NS_PER_MS &&
        now_ns + vectors->search_ms * NS_PER_MS < end_ns)
        end_ns = now_ns + vectors->search_ms * NS_PER_MS;
    if (deadline_ms > 0 && deadline_ms < end_ns / NS_PER_MS)
        end_ns = deadline_ms * NS_PER_MS;
    return end_ns == INT64_MAX ? 0 : end_ns;
}

tars_status tars_vectors_search(struct tars_vectors *vectors, const struct tars_vectors_wish *wish,
                                struct tars_arena *arena, struct tars_index_hit *hits, size_t *n,
                                struct tars_err *err)
{
    struct tars_vectors_wish bounded = *wish;
    struct tars_vectors_ask ask = {
        .wish = &bounded, .limit = wish->k, .generation = atomic_load(&vectors->generation)};
    struct tars_index_hit *found = NULL;
    size_t count = 0;
    tars_status status;

    if (wish->k > TARS_INDEX_K_MAX)
        return tars_fail(TARS_EINVAL, err, "%zu passages are too many to look for", wish->k);
    if (vectors->ops->is_by_passage)
        return vectors->ops->search(vectors, &ask, hits, n, err);
    bounded.until_ns = end_of(vectors, wish);
    *n = 0;
    if (wish->k == 0 || (!wish->visible->all && wish->visible->count == 0))
        return TARS_OK;
    if (atomic_load(&vectors->is_closed)) {
        return tars_fail(TARS_EUNAVAILABLE, err, "%s has no vectors of these documents yet",
                         vectors->ops->name);
    }
    status = name_runs(wish, arena, &ask);
    if (status != TARS_OK || (ask.runs && ask.run_count == 0))
        return status;
    status = search_windows(vectors, &ask, arena, &found, &count, err);
    if (status == TARS_EAGAIN) {
        atomic_store(&vectors->is_doubted, true);
        return tars_fail(TARS_EUNAVAILABLE, err, "%s was emptied by somebody else",
                         vectors->ops->name);
    }
    if (status != TARS_OK)
        return status;
    *n = count < wish->k ? count : wish->k;
    if (*n > 0)
        memcpy(hits, found, *n * sizeof(*hits));
    return TARS_OK;
}

/* ------------------------------------------------- exact vectors of candidates */

struct tars_vectors_held {
    struct tars_vectors *vectors;            /* that has them itself; NULL: they are below */
    const struct tars_store_passage **items; /* (count,) by id */
    size_t count;
    size_t dim;
    const struct tars_distance *distance;
};

static int by_passage(const void *a, const void *b)
{
    const struct tars_store_passage *const *x = a;
    const struct tars_store_passage *const *y = b;

    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static tars_status read_store(struct tars_store *store, const uint64_t *ids, size_t n,
                              struct tars_arena *arena, struct tars_vectors_held *held,
                              struct tars_err *err)
{
    struct tars_store_passages passages = {0};
    tars_status status =
        tars_store_passages(store, ids, n, TARS_LOAD_VECTORS, arena, &passages, err);

    if (status != TARS_OK)
        return status;
    held->items = tars_arena_calloc(arena, passages.count + 1, sizeof(const void *));
    if (!held->items)
        return TARS_ENOMEM;
    for (size_t i = 0; i < passages.count; i++) {
        if (passages.items[i].vectors && passages.items[i].dim == held->dim)
            held->items[held->count++] = &passages.items[i];
    }
    qsort(held->items, held->count, sizeof(const void *), by_passage);
    return TARS_OK;
}

tars_status tars_vectors_load(struct tars_vectors *vectors, struct tars_store *store, size_t dim,
                              const uint64_t *ids, size_t n, struct tars_arena *arena,
                              struct tars_vectors_held **held, struct tars_err *err)
{
    struct tars_vectors_held *made = tars_arena_calloc(arena, 1, sizeof(*made));
    tars_status status = TARS_OK;

    if (!made)
        return TARS_ENOMEM;
    made->dim = dim;
    made->distance = tars_distance_best();
    if (vectors->ops->score) {
        made->vectors = vectors;
    } else if (n > 0) {
        status = read_store(store, ids, n, arena, made, err);
    }
    if (status == TARS_OK)
        *held = made;
    return status;
}

static const struct tars_store_passage *find(const struct tars_vectors_held *held, uint64_t id)
{
    size_t low = 0;
    size_t high = held->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (held->items[middle]->id == id)
            return held->items[middle];
        if (held->items[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* The best window of a passage; NULL: it has none. */
static const float *best_window(const struct tars_vectors_held *held, const float *query,
                                uint64_t id, float *score)
{
    const struct tars_store_passage *passage = find(held, id);
    const float *best = NULL;

    for (size_t i = 0; passage && i < passage->window_count; i++) {
        const float *vector = passage->vectors + i * held->dim;
        float dot = held->distance->dot(query, vector, held->dim);

        if (!best || dot > *score) {
            best = vector;
            *score = dot;
        }
    }
    return best;
}

tars_status tars_vectors_score(const struct tars_vectors_held *held, const float *query,
                               uint64_t id, float *score)
{
    float best = 0;

    if (held->vectors)
        return held->vectors->ops->score(held->vectors, query, id, score);
    if (!best_window(held, query, id, &best))
        return TARS_ENOTFOUND;
    *score = best;
    return TARS_OK;
}

tars_status tars_vectors_add(const struct tars_vectors_held *held, const float *query, uint64_t id,
                             double weight, float *sum)
{
    const float *best;
    float score = 0;

    if (held->vectors)
        return held->vectors->ops->add(held->vectors, query, id, weight, sum);
    best = best_window(held, query, id, &score);
    if (!best)
        return TARS_ENOTFOUND;
    for (size_t i = 0; i < held->dim; i++)
        sum[i] += (float)weight * best[i];
    return TARS_OK;
}
