/* bm25 - see bm25.h. */
#include "index/bm25.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "index/bm25_internal.h"

#define SLACK 1.000001 /* bounds are summed in another order than scores */
#define AHEAD 8        /* postings from a passage's prefetch to its use */

/* ------------------------------------------------------------------ weights */

static double df_of(const struct tars_bm25 *bm25, uint32_t number)
{
    if (number == TARS_POSTINGS_NONE)
        return 0;
    return atomic_load_explicit(&tars_postings_term_at(bm25->postings, number)->df,
                                memory_order_relaxed);
}

static double idf_at(double n, double df)
{
    df = df < n ? df : n;
    return log(1 + (n - df + 0.5) / (df + 0.5));
}

static double idf_of(const struct tars_bm25 *bm25, const struct tars_index_query_term *term,
                     uint32_t number)
{
    return term->idf > 0 ? term->idf : idf_at(bm25->view.count, df_of(bm25, number));
}

static double part_bound(const struct tars_bm25_scorer *scorer, const struct tars_bm25_list *list,
                         uint32_t bound)
{
    if (bound == 0)
        return 0;
    return SLACK * tars_bm25_part(list, bound >> 16, tars_bm25_norm(scorer, list, bound & 0xffff));
}

static uint32_t number_of(const struct tars_bm25 *bm25, const struct tars_index_query_term *term)
{
    if (term->len == 0 || term->len > TARS_POSTINGS_TERM_MAX ||
        (unsigned)term->field >= TARS_INDEX_FIELDS || !(term->weight > 0) ||
        !isfinite(term->weight) || isinf(term->idf))
        return TARS_POSTINGS_NONE;
    return tars_postings_find(bm25->postings, term->ptr, term->len, term->field);
}

/* Passages with the term that filter accepts. */
static double count_accepted(const struct tars_bm25 *bm25, uint32_t number,
                             const struct tars_index_filter *filter)
{
    struct tars_postings_cursor cursor;
    double df = 0;

    tars_postings_cursor_init(&cursor, bm25->postings, number);
    while (cursor.ordinal < bm25->view.count) {
        const struct tars_passage *passage =
            tars_passages_seen(bm25->passages, &bm25->view, cursor.ordinal);

        df += passage && filter->accepts(filter->ctx, passage->id);
        tars_postings_seek(&cursor, cursor.ordinal + 1);
    }
    return df;
}

double tars_bm25_idf(const struct tars_bm25 *bm25, const struct tars_index_query_term *term,
                     const struct tars_index_filter *filter, uint64_t n)
{
    uint32_t number = number_of(bm25, term);
    double df = df_of(bm25, number);

    if (!filter || !filter->accepts || df > TARS_INDEX_IDF_EXACT)
        return idf_at(bm25->view.count, df);
    return idf_at((double)n, df > 0 ? count_accepted(bm25, number, filter) : 0);
}

double tars_bm25_ceiling(const struct tars_bm25 *bm25, const struct tars_index_query_term *terms,
                         size_t n_terms)
{
    double sum = 0;

    for (size_t i = 0; i < n_terms && i < TARS_BM25_TERMS_MAX; i++) {
        if (terms[i].weight > 0 && isfinite(terms[i].weight))
            sum += (double)terms[i].weight * idf_of(bm25, &terms[i], number_of(bm25, &terms[i]));
    }
    return sum * (bm25->k1 + 1);
}

/* -------------------------------------------------------------------- setup */

static void release(struct tars_bm25_scorer *scorer)
{
    for (size_t i = 0; i < scorer->count; i++) {
        struct tars_bm25_list *list = scorer->query[i];

        if (list)
            free(list->entries);
        free(list);
    }
    free((void *)scorer->query);
    free((void *)scorer->lists);
    free(scorer->reach);
    tars_top_release(&scorer->top);
}

static tars_status add_list(struct tars_bm25_scorer *scorer,
                            const struct tars_index_query_term *term)
{
    const struct tars_bm25 *bm25 = scorer->bm25;
    uint32_t number = number_of(bm25, term);
    struct tars_bm25_list *list;

    if (number == TARS_POSTINGS_NONE)
        return TARS_OK;
    list = malloc(sizeof(*list));
    if (!list)
        return TARS_ENOMEM;
    list->entries = NULL;
    list->entry_cap = 0;
    list->at = 0;
    list->number = number;
    list->in_query = scorer->count;
    list->field = term->field;
    list->per_word = scorer->per_word[term->field];
    list->factor = (double)term->weight * idf_of(bm25, term, number) * (bm25->k1 + 1);
    list->bound =
        part_bound(scorer, list,
                   atomic_load_explicit(&tars_postings_term_at(bm25->postings, number)->bound,
                                        memory_order_relaxed));
    scorer->query[scorer->count] = list;
    scorer->lists[scorer->count++] = list;
    return TARS_OK;
}

static int weakest_first(const void *a, const void *b)
{
    const struct tars_bm25_list *left = *(struct tars_bm25_list *const *)a;
    const struct tars_bm25_list *right = *(struct tars_bm25_list *const *)b;

    if (left->bound != right->bound)
        return left->bound < right->bound ? -1 : 1;
    return (left->in_query > right->in_query) - (left->in_query < right->in_query);
}

double tars_bm25_mean(const struct tars_bm25 *bm25, enum tars_index_field field)
{
    double length =
        (double)atomic_load_explicit(&bm25->passages->lengths[field], memory_order_relaxed);

    return length > 0 && bm25->view.count > 0 ? length / bm25->view.count : 1;
}

static tars_status prepare(struct tars_bm25_scorer *scorer, const struct tars_bm25 *bm25,
                           const struct tars_index_query_term *terms, size_t n_terms, size_t k)
{
    tars_status status = tars_top_init(&scorer->top, k);

    n_terms = n_terms < TARS_BM25_TERMS_MAX ? n_terms : TARS_BM25_TERMS_MAX;
    scorer->bm25 = bm25;
    scorer->norm = bm25->k1 * (1 - bm25->b);
    for (int field = 0; field < TARS_INDEX_FIELDS; field++)
        scorer->per_word[field] = bm25->k1 * bm25->b / tars_bm25_mean(bm25, field);
    scorer->lists = (struct tars_bm25_list **)calloc(n_terms + 1, sizeof(*scorer->lists));
    scorer->query = (struct tars_bm25_list **)calloc(n_terms + 1, sizeof(*scorer->query));
    scorer->reach = calloc(n_terms + 1, sizeof(*scorer->reach));
    if (status != TARS_OK || !scorer->lists || !scorer->query || !scorer->reach)
        return TARS_ENOMEM;
    for (size_t i = 0; i < n_terms && status == TARS_OK; i++)
        status = add_list(scorer, &terms[i]);
    qsort((void *)scorer->lists, scorer->count, sizeof(struct tars_bm25_list *), weakest_first);
    for (size_t i = 0; i < scorer->count; i++)
        scorer->reach[i + 1] = scorer->reach[i] + scorer->lists[i]->bound;
    return status;
}

/* ------------------------------------------------------------------- search */

/* The least ordinal that a list from first on stands on. */
static uint32_t least(const struct tars_bm25_scorer *scorer, size_t first)
{
    uint32_t ordinal = TARS_POSTINGS_END;

    for (size_t i = first; i < scorer->count; i++) {
        if (scorer->lists[i]->cursor.ordinal < ordinal)
            ordinal = scorer->lists[i]->cursor.ordinal;
    }
    return ordinal;
}

/* What list adds to the passage; its cursor goes there. */
static double take(const struct tars_bm25_scorer *scorer, struct tars_bm25_list *list,
                   uint32_t ordinal, const struct tars_passage *passage)
{
    if (list->cursor.ordinal < ordinal)
        tars_postings_seek(&list->cursor, ordinal);
    list->score = 0;
    if (list->cursor.ordinal == ordinal) {
        double length = tars_passages_length(passage, list->field);

        list->score = tars_bm25_part(list, list->cursor.tf, tars_bm25_norm(scorer, list, length));
    }
    return list->score;
}

/* The passage's score, 0 when it cannot be over floor. Lists from first on are taken in any case.
 */
static double score_of(struct tars_bm25_scorer *scorer, size_t first, uint32_t ordinal,
                       const struct tars_passage *passage, double floor)
{
    double sum = 0;

    for (size_t i = first; i < scorer->count; i++)
        sum += take(scorer, scorer->lists[i], ordinal, passage);
    for (size_t i = first; i-- > 0;) {
        struct tars_bm25_list *list = scorer->lists[i];

        if ((sum + scorer->reach[i + 1]) * SLACK <= floor)
            return 0;
        list->score = 0;
        if (list->cursor.ordinal < ordinal) {
            uint32_t bound = tars_postings_peek(&list->cursor, ordinal);

            if ((sum + scorer->reach[i] + part_bound(scorer, list, bound)) * SLACK <= floor)
                return 0;
        }
        sum += take(scorer, list, ordinal, passage);
    }
    sum = 0;
    for (size_t i = 0; i < scorer->count; i++) {
        const struct tars_bm25_list *list = scorer->query[i];

        assert(list);
        sum += list->score;
    }
    return sum;
}

void tars_bm25_offer(struct tars_bm25_scorer *scorer, uint32_t ordinal, double score)
{
    const struct tars_bm25 *bm25 = scorer->bm25;
    const struct tars_passage *passage = tars_passages_seen(bm25->passages, &bm25->view, ordinal);

    if (passage && (!scorer->filter || scorer->filter->accepts(scorer->filter->ctx, passage->id)))
        tars_top_offer(&scorer->top, passage->id, (float)score);
}

/* Score the passage and keep it if it is good enough. */
static void consider(struct tars_bm25_scorer *scorer, size_t first, uint32_t ordinal, double floor)
{
    const struct tars_passage *passage = tars_passages_at(scorer->bm25->passages, ordinal);
    double score = score_of(scorer, first, ordinal, passage, floor);

    if (score > 0 && (float)score > floor)
        tars_bm25_offer(scorer, ordinal, score);
}

/* The next posting of list, and a passage that will be looked at soon on its way into the cache:
 * waiting for passages is most of what a search does. */
static void advance(const struct tars_bm25_scorer *scorer, struct tars_bm25_list *list,
                    uint32_t ordinal)
{
    struct tars_postings_cursor *cursor = &list->cursor;

    tars_postings_seek(cursor, ordinal);
    if (cursor->at + AHEAD < cursor->count &&
        cursor->ordinals[cursor->at + AHEAD] < scorer->bm25->view.count) {
        __builtin_prefetch(
            tars_passages_at(scorer->bm25->passages, cursor->ordinals[cursor->at + AHEAD]));
    }
}

static void run(struct tars_bm25_scorer *scorer, bool prune)
{
    size_t first = 0; /* lists before it cannot bring in a passage alone */

    for (;;) {
        double floor = prune ? tars_top_floor(&scorer->top) : -1;
        uint32_t ordinal;

        while (first < scorer->count && scorer->reach[first + 1] * SLACK <= floor)
            first++;
        ordinal = least(scorer, first);
        if (ordinal >= scorer->bm25->view.count)
            break;
        consider(scorer, first, ordinal, floor);
        for (size_t i = first; i < scorer->count; i++) {
            if (scorer->lists[i]->cursor.ordinal <= ordinal)
                advance(scorer, scorer->lists[i], ordinal + 1);
        }
    }
}

/* Stand on the first posting of each list, or on the first that is not mapped. */
static void set_cursors(struct tars_bm25_scorer *scorer, bool tail)
{
    for (size_t i = 0; i < scorer->count; i++) {
        struct tars_bm25_list *list = scorer->query[i];

        if (tail) {
            tars_postings_cursor_tail(&list->cursor, scorer->bm25->postings, list->number);
        } else {
            tars_postings_cursor_init(&list->cursor, scorer->bm25->postings, list->number);
        }
    }
}

static tars_status search(const struct tars_bm25 *bm25, const struct tars_index_query_term *terms,
                          size_t n_terms, size_t k, const struct tars_index_filter *filter,
                          bool prune, struct tars_index_hit *hits, size_t *n)
{
    struct tars_bm25_scorer scorer = {.filter = filter && filter->accepts ? filter : NULL};
    bool by_ranges = prune && tars_bm25_ranges_fit(bm25);
    tars_status status = prepare(&scorer, bm25, terms, n_terms, k);

    if (status == TARS_OK && scorer.count > 0 && k > 0) {
        if (by_ranges)
            status = tars_bm25_ranges_run(&scorer);
        set_cursors(&scorer, by_ranges);
        if (status == TARS_OK)
            run(&scorer, prune);
    }
    if (status == TARS_OK)
        *n = tars_top_sorted(&scorer.top, hits);
    release(&scorer);
    return status;
}

tars_status tars_bm25_search(const struct tars_bm25 *bm25,
                             const struct tars_index_query_term *terms, size_t n_terms, size_t k,
                             const struct tars_index_filter *filter, struct tars_index_hit *hits,
                             size_t *n)
{
    return search(bm25, terms, n_terms, k, filter, true, hits, n);
}

tars_status tars_bm25_search_all(const struct tars_bm25 *bm25,
                                 const struct tars_index_query_term *terms, size_t n_terms,
                                 size_t k, const struct tars_index_filter *filter,
                                 struct tars_index_hit *hits, size_t *n)
{
    return search(bm25, terms, n_terms, k, filter, false, hits, n);
}

/* ---------------------------------------------------------- passages apart */

/* How often the passage has the term; its cursor is of the tail, and goes there. */
static uint32_t tf_of(const struct tars_bm25 *bm25, struct tars_bm25_list *list, uint32_t ordinal)
{
    if (list->mapped && ordinal < bm25->postings->base_passages)
        return tars_postings_tf(&list->ranges, ordinal);
    if (!list->more || ordinal < list->at)
        tars_postings_cursor_tail(&list->cursor, bm25->postings, list->number);
    list->more = true;
    list->at = ordinal;
    if (list->cursor.ordinal < ordinal)
        tars_postings_seek(&list->cursor, ordinal);
    return list->cursor.ordinal == ordinal ? list->cursor.tf : 0;
}

static float score_apart(const struct tars_bm25_scorer *scorer, uint32_t ordinal)
{
    const struct tars_passage *passage = tars_passages_at(scorer->bm25->passages, ordinal);
    double sum = 0;

    for (size_t i = 0; i < scorer->count; i++) {
        struct tars_bm25_list *list = scorer->query[i];
        uint32_t tf = tf_of(scorer->bm25, list, ordinal);
        double length = tars_passages_length(passage, list->field);

        if (tf > 0)
            sum += tars_bm25_part(list, tf, tars_bm25_norm(scorer, list, length));
    }
    return (float)sum;
}

tars_status tars_bm25_scores(const struct tars_bm25 *bm25,
                             const struct tars_index_query_term *terms, size_t n_terms,
                             const uint32_t *ordinals, size_t n, float *scores)
{
    struct tars_bm25_scorer scorer = {0};
    tars_status status = prepare(&scorer, bm25, terms, n_terms, 1);

    for (size_t i = 0; i < scorer.count && status == TARS_OK; i++) {
        struct tars_bm25_list *list = scorer.query[i];

        assert(list);
        list->mapped = tars_postings_list(bm25->postings, list->number, &list->ranges);
        list->more = false;
    }
    for (size_t i = 0; i < n && status == TARS_OK; i++)
        scores[i] = ordinals[i] == TARS_PASSAGES_NONE ? NAN : score_apart(&scorer, ordinals[i]);
    release(&scorer);
    return status;
}

void tars_bm25_held(const struct tars_bm25 *bm25, const struct tars_index_query_term *terms,
                    size_t n_terms, uint32_t ordinal, bool *held)
{
    struct tars_bm25_list list;

    for (size_t i = 0; i < n_terms; i++) {
        list.number = number_of(bm25, &terms[i]);
        held[i] = false;
        if (list.number == TARS_POSTINGS_NONE)
            continue;
        list.mapped = tars_postings_list(bm25->postings, list.number, &list.ranges);
        list.more = false;
        held[i] = tf_of(bm25, &list, ordinal) > 0;
    }
}
