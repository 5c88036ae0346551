/* nearest - see nearest.h. */
#include "index/nearest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/hnsw.h"
#include "index/top.h"

#define SAMPLE    128 /* passages asked to guess how many a filter accepts */
#define SEEDS_MAX 32  /* accepted ones of the sample that a walk begins at, too */
#define SELDOM_BELOW                                                            \
    0.35 /* share of accepted passages under which a walk looks through refused \
          */

/* Costs, in nodes compared by a scan; measured, see docs/internals/index.md. */
#define WALK_COST   60.0   /* expanding a node on a walk */
#define SELDOM_COST 1200.0 /* the same, looking through refused nodes */
#define RUN_COST    6.0    /* finding a run of accepted passages */
#define ASK_COST    1.5    /* asking a filter about a passage */

/* Passages of these many were asked, and so many said yes. */
struct sample {
    double share;
    uint32_t seeds[SEEDS_MAX]; /* nodes of accepted ones */
    size_t seed_count;
};

/* One search. */
struct search {
    const struct tars_nearest *nearest;
    const struct tars_hnsw *hnsw;
    const struct tars_passages *passages;
    const struct tars_index_filter *filter; /* NULL: all */
    const float *query;
    size_t k;
    struct tars_hnsw_scratch *scratch;
    struct sample sample;
    uint32_t nodes; /* that this search may touch */
};

static bool accepts_owner(void *ctx, uint32_t owner)
{
    const struct search *search = ctx;
    const struct tars_passage *passage =
        tars_passages_seen(search->passages, &search->nearest->view, owner);

    return passage &&
           (!search->filter || search->filter->accepts(search->filter->ctx, passage->id));
}

static bool is_seen(void *ctx, uint32_t owner)
{
    const struct search *search = ctx;

    return tars_passages_seen(search->passages, &search->nearest->view, owner) != NULL;
}

/* Nodes of passages that the view has: unless marked, they are found unasked. */
static uint32_t sure_nodes(const struct search *search)
{
    uint32_t at = search->nearest->view.count;

    while (at > 0) {
        const struct tars_passage *passage = tars_passages_at(search->passages, at - 1);
        uint64_t end = (uint64_t)passage->window_first + passage->window_count;

        if (passage->window_count > 0)
            return end < search->nodes ? (uint32_t)end : search->nodes;
        at--;
    }
    return 0;
}

/* ---------------------------------------------------------------- which way */

static void take_sample(struct search *search)
{
    struct sample *sample = &search->sample;
    uint32_t count = search->nearest->view.count;
    uint32_t step = count / SAMPLE + 1;
    uint32_t asked = 0;
    uint32_t yes = 0;

    sample->share = 1;
    sample->seed_count = 0;
    if (!search->filter)
        return;
    for (uint32_t i = step / 2; i < count; i += step, asked++) {
        const struct tars_passage *passage = tars_passages_at(search->passages, i);

        if (!accepts_owner(search, i))
            continue;
        yes++;
        if (sample->seed_count < SEEDS_MAX && passage->window_count > 0 &&
            passage->window_first < search->nodes)
            sample->seeds[sample->seed_count++] = passage->window_first;
    }
    /* None of them is not none at all. */
    if (asked > 0)
        sample->share = ((double)yes + 0.25) / ((double)asked + 0.25);
}

enum way {
    WALK,
    SELDOM,
    SCAN,
};

static enum way choose(const struct search *search, size_t ef)
{
    double nodes = search->nodes;
    double share = search->sample.share;
    enum way walk = share < SELDOM_BELOW ? SELDOM : WALK;
    double walk_cost = (double)ef * (walk == WALK ? WALK_COST / share : SELDOM_COST);
    double scan_cost = share * nodes;

    if (!search->filter)
        return nodes < (double)search->nearest->exact_below ? SCAN : WALK;
    if (nodes < (double)search->nearest->exact_below || share * nodes < (double)ef * 2)
        return SCAN;
    if (search->filter->next) {
        scan_cost += share * nodes * RUN_COST / 4;
    } else {
        scan_cost += (double)search->nearest->view.count * ASK_COST;
    }
    return scan_cost < walk_cost ? SCAN : walk;
}

/* --------------------------------------------------------------------- scan */

/* Compare the windows of passages first..first + count - 1, those that are seen. */
static void scan_passages(struct search *search, uint32_t first, uint32_t count,
                          const struct tars_hnsw_accept *accept)
{
    const struct tars_passage *passage;
    uint32_t from = 0;
    uint64_t end = 0;

    for (uint32_t i = first; i < first + count; i++) {
        passage = tars_passages_at(search->passages, i);
        if (passage->window_count == 0)
            continue;
        if (passage->window_first != end || end == 0) {
            tars_hnsw_scan(search->hnsw, search->scratch, from, (uint32_t)(end - from), accept);
            from = passage->window_first;
        }
        end = (uint64_t)passage->window_first + passage->window_count;
        end = end < search->nodes ? end : search->nodes;
        if (end < from)
            end = from;
    }
    tars_hnsw_scan(search->hnsw, search->scratch, from, (uint32_t)(end - from), accept);
}

static bool is_under(const struct search *search, uint64_t ordinal, uint64_t id)
{
    return ordinal < search->nearest->view.count &&
           tars_passages_at(search->passages, (uint32_t)ordinal)->id < id;
}

/* The first ordinal from `from` on whose id is not under id. Ids mostly ascend by ones, so leaps
 * are as long as the gap of ids, and hit. */
static uint32_t seek(const struct search *search, uint32_t from, uint64_t id)
{
    uint64_t count = search->nearest->view.count;
    uint64_t low = from;
    uint64_t high = from;
    uint64_t step = 1;

    while (is_under(search, high, id)) {
        uint64_t gap = id - tars_passages_at(search->passages, (uint32_t)high)->id;
        uint64_t leap = gap > step ? gap : step;

        low = high + 1;
        high = leap < count - high ? high + leap : count;
        step *= 2;
    }
    while (low < high) {
        uint64_t middle = is_under(search, high - 1, id) ? high : low + (high - low) / 2;

        if (middle == high)
            break;
        if (is_under(search, middle, id)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (uint32_t)high;
}

/* Go from run to run of what the filter accepts. */
static void scan_runs(struct search *search, const struct tars_hnsw_accept *accept)
{
    const struct tars_index_filter *filter = search->filter;
    struct tars_index_run run;
    uint64_t from = 0;
    uint32_t at = 0;
    uint32_t end;

    while (at < search->nearest->view.count && filter->next(filter->ctx, from, &run)) {
        at = seek(search, at, run.first);
        if (run.last == UINT64_MAX) {
            end = search->nearest->view.count;
        } else {
            end = seek(search, at, run.last + 1);
        }
        if (end > at)
            scan_passages(search, at, end - at, accept);
        if (run.last == UINT64_MAX)
            break;
        at = end;
        from = run.last + 1;
        /* No passage is in runs before the next one: of gaps in the ids there may be many. */
        if (at < search->nearest->view.count && tars_passages_at(search->passages, at)->id > from)
            from = tars_passages_at(search->passages, at)->id;
    }
}

/* Ask the filter about every passage. */
static void scan_asking(struct search *search, const struct tars_hnsw_accept *accept)
{
    uint32_t count = search->nearest->view.count;

    for (uint32_t i = 0; i < count; i++) {
        const struct tars_passage *passage = tars_passages_at(search->passages, i);

        if (search->filter->accepts(search->filter->ctx, passage->id))
            scan_passages(search, i, 1, accept);
    }
}

static tars_status scan(struct search *search, size_t ef)
{
    const struct tars_hnsw_accept accept = {
        .accepts = is_seen, .ctx = search, .sure = sure_nodes(search)};
    tars_status status = tars_hnsw_scan_start(search->scratch, ef);

    if (status != TARS_OK)
        return status;
    if (!search->filter) {
        tars_hnsw_scan(search->hnsw, search->scratch, 0, search->nodes, &accept);
    } else if (search->filter->next) {
        scan_runs(search, &accept);
    } else {
        scan_asking(search, &accept);
    }
    tars_hnsw_scan_finish(search->scratch);
    return TARS_OK;
}

static tars_status walk(struct search *search, size_t ef, bool seldom)
{
    const struct tars_hnsw_accept accept = {
        .accepts = accepts_owner,
        .ctx = search,
        .sure = search->filter ? 0 : sure_nodes(search),
        .seldom = seldom,
    };

    return tars_hnsw_search(search->hnsw, search->scratch, ef, &accept, search->sample.seeds,
                            seldom ? search->sample.seed_count : 0);
}

/* ------------------------------------------------------------------ ranking */

/* The windows of a passage that are its own: a damaged snapshot may give it windows of others. */
static uint32_t own_windows(const struct search *search, uint32_t ordinal, uint32_t *first)
{
    const struct tars_passage *passage = tars_passages_at(search->passages, ordinal);
    uint32_t max = passage->window_count < TARS_INDEX_WINDOWS_MAX ? passage->window_count
                                                                  : TARS_INDEX_WINDOWS_MAX;
    uint32_t count = 0;

    *first = passage->window_first;
    while (count < max && (uint64_t)*first + count < search->nodes &&
           tars_hnsw_node_at(search->hnsw, *first + count)->owner == ordinal)
        count++;
    return count;
}

/* The exact score of the passage's best window. Windows that the codes say are worse than another
 * by more than they can be wrong are left out. */
static bool best_window(const struct search *search, uint32_t ordinal, float *score)
{
    uint32_t first;
    uint32_t count = own_windows(search, ordinal, &first);
    float floor = -2;
    bool any = false;

    for (uint32_t i = 0; search->scratch && count > 1 && i < count; i++) {
        float at_least = tars_hnsw_score(search->hnsw, search->scratch, first + i) -
                         tars_hnsw_margin(search->hnsw, search->scratch, first + i);

        floor = at_least > floor ? at_least : floor;
    }
    for (uint32_t i = 0; i < count; i++) {
        float exact;

        if (search->scratch && count > 1 &&
            tars_hnsw_score(search->hnsw, search->scratch, first + i) +
                    tars_hnsw_margin(search->hnsw, search->scratch, first + i) <
                floor)
            continue;
        exact = tars_hnsw_exact(search->hnsw, search->query, first + i);
        if (!any || exact > *score)
            *score = exact;
        any = true;
    }
    return any;
}

/* Ordinals that were ranked: open addressing, NONE where free. */
struct owners {
    uint32_t *slots; /* (mask + 1,) owned */
    uint32_t mask;
};

static bool add_owner(struct owners *owners, uint32_t owner)
{
    uint32_t at = owner * UINT32_C(0x9e3779b1) & owners->mask;

    while (owners->slots[at] != TARS_PASSAGES_NONE) {
        if (owners->slots[at] == owner)
            return false;
        at = (at + 1) & owners->mask;
    }
    owners->slots[at] = owner;
    return true;
}

static tars_status make_owners(struct owners *owners, size_t n)
{
    size_t size = 64;

    while (size < n * 2)
        size *= 2;
    owners->slots = malloc(size * sizeof(*owners->slots));
    if (!owners->slots)
        return TARS_ENOMEM;
    memset(owners->slots, 0xff, size * sizeof(*owners->slots));
    owners->mask = (uint32_t)(size - 1);
    return TARS_OK;
}

/* The k best passages of what was found, rescored. Their number is k unless there were fewer. */
static tars_status rank(const struct search *search, struct tars_index_hit *hits, size_t *kept)
{
    size_t n;
    const struct tars_hnsw_found *found = tars_hnsw_result(search->scratch, &n);
    struct owners owners = {0};
    struct tars_top top = {0};
    tars_status status = tars_top_init(&top, search->k);

    if (status == TARS_OK)
        status = make_owners(&owners, n);
    for (size_t i = 0; i < n && i < 2 && status == TARS_OK; i++)
        tars_hnsw_expect_exact(search->hnsw, found[i].node);
    for (size_t i = 0; i < n && status == TARS_OK; i++) {
        uint32_t owner = tars_hnsw_node_at(search->hnsw, found[i].node)->owner;
        float score = 0;

        if (top.count == search->k &&
            found[i].score + tars_hnsw_margin(search->hnsw, search->scratch, found[i].node) <
                (float)tars_top_floor(&top))
            break;
        if (i + 2 < n)
            tars_hnsw_expect_exact(search->hnsw, found[i + 2].node);
        if (accepts_owner((void *)search, owner) && add_owner(&owners, owner) &&
            best_window(search, owner, &score))
            tars_top_offer(&top, tars_passages_at(search->passages, owner)->id, score);
    }
    if (status == TARS_OK)
        *kept = tars_top_sorted(&top, hits);
    free(owners.slots);
    tars_top_release(&top);
    return status;
}

/* ------------------------------------------------------------------- search */

static tars_status look(struct search *search, enum way way, size_t ef, size_t *found)
{
    tars_status status = way == SCAN ? scan(search, ef) : walk(search, ef, way == SELDOM);

    if (status == TARS_OK)
        (void)tars_hnsw_result(search->scratch, found);
    return status;
}

/* Search with more and more candidates until there are k distinct passages, or all were seen. */
static tars_status search_more(struct search *search, struct tars_index_hit *hits, size_t *n)
{
    size_t ef = search->nearest->ef > search->k * 3 / 2 ? search->nearest->ef : search->k * 3 / 2;

    for (;; ef *= 2) {
        enum way way = choose(search, ef);
        size_t found = 0;
        size_t kept = 0;
        tars_status status = look(search, way, ef, &found);

        /* A walk that a filter led nowhere. */
        if (status == TARS_OK && way == SELDOM && found < ef) {
            way = SCAN;
            status = look(search, way, ef, &found);
        }
        if (status == TARS_OK)
            status = rank(search, hits, &kept);
        if (status != TARS_OK)
            return status;
        *n = kept;
        if (kept >= search->k || ef >= search->nodes || (way == SCAN && found < ef))
            return TARS_OK;
    }
}

tars_status tars_nearest_search(const struct tars_nearest *nearest, const float *query, size_t k,
                                const struct tars_index_filter *filter, struct tars_index_hit *hits,
                                size_t *n)
{
    const struct tars_hnsw *hnsw = &nearest->shadow->hnsw;
    struct search search = {
        .nearest = nearest,
        .hnsw = hnsw,
        .passages = &nearest->shadow->passages,
        .filter = filter,
        .query = query,
        .k = k,
        .nodes = atomic_load_explicit(&hnsw->count, memory_order_acquire),
    };
    tars_status status = tars_hnsw_begin(hnsw, query, &search.scratch);

    if (status != TARS_OK)
        return status;
    take_sample(&search);
    status = search_more(&search, hits, n);
    tars_hnsw_end(hnsw, search.scratch);
    return status;
}

static struct search search_of(const struct tars_nearest *nearest, const float *query)
{
    const struct tars_hnsw *hnsw = &nearest->shadow->hnsw;

    return (struct search){
        .nearest = nearest,
        .hnsw = hnsw,
        .passages = &nearest->shadow->passages,
        .query = query,
        .nodes = atomic_load_explicit(&hnsw->count, memory_order_acquire),
    };
}

bool tars_nearest_score(const struct tars_nearest *nearest, const float *query, uint32_t ordinal,
                        float *score)
{
    const struct search search = search_of(nearest, query);

    return best_window(&search, ordinal, score);
}

bool tars_nearest_add(const struct tars_nearest *nearest, const float *query, uint32_t ordinal,
                      double weight, float *sum)
{
    const struct search search = search_of(nearest, query);
    const float *vector = NULL;
    float best = 0;
    uint32_t first;
    uint32_t count = own_windows(&search, ordinal, &first);

    for (uint32_t i = 0; i < count; i++) {
        float exact = tars_hnsw_exact(search.hnsw, query, first + i);

        if (!vector || exact > best) {
            vector = tars_column_at(&search.hnsw->exact, first + i);
            best = exact;
        }
    }
    for (size_t i = 0; vector && i < nearest->shadow->dim; i++) {
        if (isfinite(vector[i]))
            sum[i] += (float)weight * vector[i];
    }
    return vector != NULL;
}
