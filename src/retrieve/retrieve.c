/* retrieve - see retrieve.h for the contract.
 *
 * One call, in the caller's thread: the vector of the question, its terms, both searches, fusion,
 * relevance, and one read of the winners. All of its memory is the call's arena.
 *
 * Analyzers have state, so each call borrows one from a small stock (a lock for two pointer moves).
 */
#include "retrieve/retrieve.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "index/index.h"
#include "model/encoder.h"
#include "retrieve/coverage.h"
#include "retrieve/fill.h"
#include "retrieve/filter.h"
#include "retrieve/fuse.h"
#include "retrieve/kin.h"
#include "retrieve/languages.h"
#include "retrieve/missing.h"
#include "retrieve/near.h"
#include "retrieve/question.h"
#include "retrieve/rarity.h"
#include "retrieve/relevance.h"
#include "retrieve/retrieve_internal.h"
#include "retrieve/scope.h"
#include "retrieve/traced.h"
#include "retrieve/typos.h"
#include "retrieve/wording.h"
#include "store/store.h"
#include "text/analyzer.h"
#include "vectors/vectors.h"

#define ALPHA_DEFAULT 0.5
#define STOCK_MAX     64 /* analyzers kept for the next call */
#define POOL_FACTOR   2  /* candidates from each side, for each passage that is wanted */
#define DISTINCT_MORE 4  /* the same, when passages of one document collapse into one */

struct tars_retriever {
    struct tars_retriever_config config; /* with every default filled in */
    bool english_only;                   /* the encoder's vocabulary is English */
    struct tars_scopes *scopes;
    struct tars_vectors *own; /* of the index, where no others were given */
    pthread_mutex_t lock;     /* guards stock, stocked */
    struct tars_analyzer *stock[STOCK_MAX];
    size_t stocked;
};

/* What the steps of one call share. */
struct search {
    struct tars_retriever *retriever;
    const struct tars_retrieve_request *request;
    struct tars_call *call;
    struct tars_err *err;
    struct tars_scope *scope;    /* what the call may find */
    struct tars_wording wording; /* what the question demands besides */
    size_t top_k;
    size_t pool;                    /* candidates from each side */
    struct tars_index_hit *vectors; /* (vector_count,) best first */
    bool is_cut;                    /* not all that may be found was compared with the question */
    size_t vector_count;
    struct tars_index_hit *words; /* (word_count,) best first */
    size_t word_count;
    struct tars_coverage *coverage; /* NULL: the question has no words, or they were not asked */
    const float *vector;            /* of the question, or NULL */
    bool vector_cached;
    struct tars_vectors_held *held; /* vectors of the candidates, where vector is set */
    struct tars_index_query_term *terms;
    size_t term_count;
    struct tars_index_stats stats;
};

/* --------------------------------------------------------------- life cycle */

tars_status tars_retriever_new(const struct tars_retriever_config *config,
                               struct tars_retriever **retriever)
{
    struct tars_retriever *made;

    if (!config->store || !config->index || config->alpha > 1)
        return TARS_EINVAL;
    made = calloc(1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    made->config = *config;
    if (!config->vectors && tars_vectors_lend(config->index, &made->own) == TARS_OK)
        made->config.vectors = made->own;
    if (!made->config.vectors || tars_scopes_new(config->store, &made->scopes)) {
        tars_vectors_close(made->own);
        free(made);
        return TARS_ENOMEM;
    }
    if (config->alpha < 0)
        made->config.alpha = ALPHA_DEFAULT;
    made->english_only = true;
    (void)pthread_mutex_init(&made->lock, NULL);
    *retriever = made;
    return TARS_OK;
}

void tars_retriever_free(struct tars_retriever *retriever)
{
    if (!retriever)
        return;
    for (size_t i = 0; i < retriever->stocked; i++)
        tars_analyzer_free(retriever->stock[i]);
    tars_scopes_free(retriever->scopes);
    tars_vectors_close(retriever->own);
    (void)pthread_mutex_destroy(&retriever->lock);
    free(retriever);
}

/* An analyzer of one's own until give_back(); NULL when there is no memory. */
static struct tars_analyzer *borrow(struct tars_retriever *retriever)
{
    struct tars_analyzer *analyzer = NULL;

    (void)pthread_mutex_lock(&retriever->lock);
    if (retriever->stocked > 0)
        analyzer = retriever->stock[--retriever->stocked];
    (void)pthread_mutex_unlock(&retriever->lock);
    if (!analyzer && tars_analyzer_new(&analyzer) != TARS_OK)
        return NULL;
    return analyzer;
}

static void give_back(struct tars_retriever *retriever, struct tars_analyzer *analyzer)
{
    (void)pthread_mutex_lock(&retriever->lock);
    if (retriever->stocked < STOCK_MAX) {
        retriever->stock[retriever->stocked++] = analyzer;
        analyzer = NULL;
    }
    (void)pthread_mutex_unlock(&retriever->lock);
    tars_analyzer_free(analyzer);
}

/* ------------------------------------------------------------------- search */

static tars_status make_terms(struct search *search)
{
    struct tars_retriever *retriever = search->retriever;
    struct tars_span query = search->request->query;
    struct tars_analyzer *analyzer = borrow(retriever);
    struct tars_terms terms = {0};
    int langs[TARS_LANGUAGES_ASKED];
    size_t lang_count = tars_languages_held(&search->stats, langs);
    const struct tars_index_filter *rights = tars_scope_rights(search->scope);
    float *neighbours = NULL; /* what the terms behind own weigh */
    size_t own;
    tars_status status;

    if (!analyzer)
        return TARS_ENOMEM;
    status = tars_analyze_query(analyzer, search->call->arena, langs, lang_count, query.ptr,
                                query.len, &terms);
    give_back(retriever, analyzer);
    own = terms.count;
    if (status == TARS_OK && retriever->config.typos) {
        status = tars_typos_widen(search->call->arena, retriever->config.index, &terms, &own,
                                  &neighbours);
    }
    if (status != TARS_OK || terms.count == 0)
        return status;
    search->terms = tars_arena_calloc(search->call->arena, terms.count, sizeof(*search->terms));
    if (!search->terms)
        return TARS_ENOMEM;
    for (size_t i = 0; i < terms.count; i++) {
        search->terms[i].ptr = terms.items[i].ptr;
        search->terms[i].len = terms.items[i].len;
        search->terms[i].weight = (float)terms.items[i].count;
        if (i >= own)
            search->terms[i].weight *= neighbours[i - own];
        /* How often others use a word is nothing to the caller. */
        if (rights) {
            search->terms[i].idf = tars_index_idf(retriever->config.index, &search->terms[i],
                                                  rights, tars_scope_passages(search->scope));
        }
    }
    search->term_count = terms.count;
    tars_rarity_weigh(retriever->config.index, search->terms, search->term_count);
    return tars_coverage_new(search->call->arena, retriever->config.index, &terms, search->terms,
                             &search->coverage);
}

/* What both searches may find; NULL: everything. */
static const struct tars_index_filter *filter_of(struct search *search)
{
    return tars_wording_filter(&search->wording, tars_scope_filter(search->scope));
}

static tars_status search_words(struct search *search)
{
    const struct tars_index_filter *filter = filter_of(search);

    if (search->term_count == 0)
        return TARS_OK;
    search->words = tars_arena_calloc(search->call->arena, search->pool, sizeof(*search->words));
    if (!search->words)
        return TARS_ENOMEM;
    return tars_index_search_words(search->retriever->config.index, search->terms,
                                   search->term_count, search->pool, filter, search->words,
                                   &search->word_count);
}

static tars_status embed_query(struct search *search)
{
    const struct tars_retriever_config *config = &search->retriever->config;

    return tars_question_vector(config->encoder, config->cache, search->request->query,
                                search->call, &search->vector, &search->vector_cached, search->err);
}

static tars_status search_vectors(struct search *search, bool *is_away)
{
    const struct tars_index_filter *filter = filter_of(search);

    const struct tars_vectors_wish wish = {
        .query = search->vector,
        .dim = tars_encoder_info(search->retriever->config.encoder)->dim,
        .k = search->pool,
        .filter = filter,
        .visible = tars_scope_visible(search->scope),
        .is_narrow = search->wording.binds || tars_scope_is_narrow(search->scope),
        .call = search->call,
        .is_cut = &search->is_cut,
    };

    search->vectors =
        tars_arena_calloc(search->call->arena, search->pool, sizeof(*search->vectors));
    if (!search->vectors)
        return TARS_ENOMEM;
    return tars_near_search(search->retriever->config.vectors, &wish, search->vectors,
                            &search->vector_count, is_away, search->err);
}

/* ------------------------------------------------------------------ ranking */

/* Least and greatest score of a list; a list of words that ended early goes down to 0. */
static struct tars_fuse_range range_of(const struct tars_index_hit *hits, size_t count, double rest)
{
    if (count == 0)
        return (struct tars_fuse_range){0, 1};
    return (struct tars_fuse_range){hits[count - 1].score < rest ? hits[count - 1].score : rest,
                                    hits[0].score};
}

/* The weight of the words, and the name of what was done. */
static double alpha_of(const struct search *search, const char **method)
{
    const struct tars_retriever *retriever = search->retriever;
    struct tars_span query = search->request->query;

    if (!search->vector || search->request->mode != TARS_RETRIEVE_HYBRID) {
        *method = search->vector ? "vectors" : "words";
        return search->vector ? 0 : 1;
    }
    *method = retriever->config.fusion == TARS_FUSION_RRF ? "rrf" : "linear";
    return tars_fuse_alpha(retriever->config.alpha, retriever->english_only,
                           tars_language_detect(query.ptr, query.len),
                           tars_languages_english_share(&search->stats));
}

/* What the vectors' half gives is not to be had: the words go on alone. */
static void do_without_vectors(struct search *search, struct tars_retrieved *result)
{
    search->vector = NULL;
    search->vector_count = 0;
    result->by_vector = false;
    result->degraded = true;
    result->degraded_part = "vectors";
}

/* The exact vectors of both lists' candidates. */
static tars_status hold_vectors(struct search *search, struct tars_retrieved *result)
{
    const struct tars_retriever_config *config = &search->retriever->config;
    struct tars_near_lists lists = {.near = search->vectors,
                                    .near_count = search->vector_count,
                                    .others = search->words,
                                    .other_count = search->word_count};
    tars_status status;

    if (!search->vector)
        return TARS_OK;
    status = tars_near_hold(config->vectors, config->store, search->vector,
                            tars_encoder_info(config->encoder)->dim, search->call->arena, &lists,
                            &search->held, search->err);
    search->vector_count = lists.near_count;
    if (status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT) {
        do_without_vectors(search, result);
        status = TARS_OK;
    }
    return status;
}

static tars_status fuse(struct search *search, struct tars_fused *fused, size_t *n,
                        struct tars_retrieved *result)
{
    const struct tars_retriever_config *config = &search->retriever->config;
    tars_status status = hold_vectors(search, result);
    double alpha = alpha_of(search, &result->fusion_method);
    size_t count;

    if (status != TARS_OK)
        return status;
    count = tars_fuse_join(search->vectors, search->vector_count, search->words, search->word_count,
                           fused);
    *n = count;
    status = tars_fill_scores(config->index, search->held, search->vector, search->terms,
                              search->term_count, search->call->arena, fused, count);
    if (status != TARS_OK)
        return status;
    if (config->fusion == TARS_FUSION_RRF) {
        tars_fuse_rrf(fused, count, alpha);
        return TARS_OK;
    }
    tars_fuse_linear(fused, count, range_of(search->vectors, search->vector_count, INFINITY),
                     range_of(search->words, search->word_count,
                              search->word_count < search->pool ? 0 : INFINITY),
                     alpha);
    if (!search->vector || search->request->mode != TARS_RETRIEVE_HYBRID)
        return TARS_OK;
    return tars_kin_mix(search->held, search->call->arena, search->vector,
                        tars_encoder_info(config->encoder)->dim, tars_kin_weight(alpha), fused,
                        count);
}

/* --------------------------------------------------------------- the winners */

static bool is_known(const struct tars_found *found, size_t count, const char *document_id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(found[i].passage->document->document_id, document_id) == 0)
            return true;
    }
    return false;
}

/* Keep the candidates that are still in the store and may be shown, each beside its passage.
 * passages are in the order of fused but for those that are gone. Returns how many. */
static size_t keep_shown(const struct search *search, struct tars_fused *fused, size_t count,
                         struct tars_store_passages *passages)
{
    size_t at = 0;
    size_t kept = 0;

    for (size_t i = 0; i < count && at < passages->count; i++) {
        if (passages->items[at].id != fused[i].id)
            continue;
        /* The searches have seen to it; a second look costs nothing and forgives no mistake. */
        if (tars_scope_shows(search->scope, passages->items[at].document->collection)) {
            fused[kept] = fused[i];
            passages->items[kept++] = passages->items[at];
        }
        at++;
    }
    return kept;
}

/* One that stays below the threshold; the best of these is remembered. */
static void pass_over(struct tars_retrieved *result, const struct tars_store_passage *passage,
                      double relevance)
{
    struct tars_retrieve_absence *absence = &result->absence;

    if (absence->nearest && absence->relevance >= relevance)
        return;
    absence->nearest = passage;
    absence->relevance = relevance;
}

/* Take candidates in their order until top_k are found: not below the threshold, and with
 * distinct_documents only the first of each document. Relevance is measured by what is shown. */
static tars_status pick(struct search *search, struct tars_fused *fused, size_t count,
                        struct tars_store_passages *passages, struct tars_retrieved *result)
{
    size_t shown = keep_shown(search, fused, count, passages);
    double strongest = tars_relevance_strongest(search->coverage, fused, shown);

    result->found = tars_arena_calloc(search->call->arena, search->top_k, sizeof(*result->found));
    if (!result->found)
        return TARS_ENOMEM;
    for (size_t i = 0; i < shown && result->count < search->top_k; i++) {
        const struct tars_store_passage *passage = &passages->items[i];
        double coverage = search->coverage ? tars_coverage_of(search->coverage, fused[i].id) : 0;
        double relevance =
            tars_relevance(tars_relevance_evidence(fused[i].vector, coverage), i, strongest);

        if (search->request->distinct_documents &&
            is_known(result->found, result->count, passage->document->document_id))
            continue;
        if (relevance < search->request->threshold) {
            pass_over(result, passage, relevance);
            continue;
        }
        result->found[result->count++] = (struct tars_found){
            .passage_id = fused[i].id,
            .passage = passage,
            .relevance = relevance,
            .fused = fused[i].fused,
            .vector_score = fused[i].vector,
            .bm25_score = fused[i].words,
            .coverage = coverage,
            .rerank_score = fused[i].is_reranked ? fused[i].rerank_score : (double)NAN};
    }
    return TARS_OK;
}

/* How many of the candidates may be needed: all, where some will be passed over; else those that
 * are found, and those that they are measured by. */
static size_t reach(const struct search *search, size_t count)
{
    size_t least = search->top_k > TARS_RELEVANCE_BESIDE ? search->top_k : TARS_RELEVANCE_BESIDE;
    bool passes_over = search->request->distinct_documents || search->request->threshold > 0;

    return passes_over || count < least ? count : least;
}

static tars_status fetch(struct search *search, struct tars_fused *fused, size_t count,
                         struct tars_retrieved *result)
{
    struct tars_arena *arena = search->call->arena;
    struct tars_store_passages passages = {0};
    uint64_t *ids = tars_arena_calloc(arena, count ? count : 1, sizeof(*ids));
    tars_status status;

    if (!ids)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++)
        ids[i] = fused[i].id;
    status = tars_store_passages(search->retriever->config.store, ids, count, TARS_LOAD_TEXT, arena,
                                 &passages, search->err);
    return status == TARS_OK ? pick(search, fused, count, &passages, result) : status;
}

/* ----------------------------------------------------------------- the call */

static tars_status check_request(const struct tars_retrieve_request *request, struct tars_err *err)
{
    if (request->top_k > TARS_RETRIEVE_TOP_MAX) {
        return tars_fail(TARS_EINVAL, err, "top_k is %zu; it must be 1 to %d", request->top_k,
                         TARS_RETRIEVE_TOP_MAX);
    }
    if (request->threshold > 1) {
        return tars_fail(TARS_EINVAL, err, "relevance_threshold is %g; it must be 0 to 1",
                         request->threshold);
    }
    return TARS_OK;
}

static bool is_blank(struct tars_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!strchr(" \t\r\n", text.ptr[i]))
            return false;
    }
    return true;
}

static tars_status check_call(struct tars_call *call)
{
    if (atomic_load_explicit(&call->cancelled, memory_order_relaxed))
        return TARS_ECANCELED;
    return tars_call_is_over(call) ? TARS_ETIMEOUT : TARS_OK;
}

static double ms_since(int64_t start_ns)
{
    return (double)(tars_clock_mono_ns() - start_ns) / 1e6;
}

/* Vectors elsewhere are not counted for each search: they are there if passages are. */
static bool has_vectors(const struct search *search)
{
    return search->retriever->config.vectors->ops->waits ? search->stats.passages > 0
                                                         : search->stats.windows > 0;
}

/* The vector of the question, once a call, where it is asked for and there is something to lay it
 * beside. */
static tars_status need_vector(struct search *search, struct tars_retrieved *result)
{
    int64_t start = tars_clock_mono_ns();
    tars_status status;

    if (search->request->mode == TARS_RETRIEVE_WORDS || search->vector)
        return TARS_OK;
    if (!search->retriever->config.encoder || !has_vectors(search)) {
        result->degraded = search->stats.passages > 0;
        result->degraded_part = result->degraded ? "vectors" : NULL;
        return TARS_OK;
    }
    status = embed_query(search);
    result->embedded = status == TARS_OK;
    result->embed_cached = search->vector_cached;
    result->embed_ms = ms_since(start);
    return status;
}

/* Vectors of what the index knows are still to be written to their server. */
static bool is_behind(const struct search *search)
{
    const struct tars_vectors *vectors = search->retriever->config.vectors;

    return vectors->ops->waits && atomic_load(&vectors->seq) < search->stats.seq;
}

/* Without its server a search goes on by words. */
static tars_status search_by_vector(struct search *search, struct tars_retrieved *result)
{
    int64_t start = tars_clock_mono_ns();
    struct tars_trace_span span;
    bool is_away = false;
    tars_status status;

    tars_trace_begin(&search->call->trace, &span, "search vectors", TARS_SPAN_INTERNAL);
    result->is_behind = is_behind(search);
    status = search_vectors(search, &is_away);
    tars_retrieve_trace_step(&span, "tars.search.hits", search->vector_count, status);
    result->by_vector = true;
    /* It may have been emptied meanwhile. */
    result->is_behind = result->is_behind || is_behind(search);
    if (is_away)
        do_without_vectors(search, result);
    if (search->is_cut) {
        result->degraded = true;
        result->degraded_part = "vectors";
    }
    result->vector_ms = ms_since(start);
    return status;
}

/* The words are wanted for relevance even where nothing is looked for by them. */
static tars_status search_by_words(struct search *search, bool looks)
{
    struct tars_trace_span span;
    tars_status status;

    tars_trace_begin(&search->call->trace, &span, "search words", TARS_SPAN_INTERNAL);
    status = make_terms(search);
    if (status == TARS_OK && looks)
        status = search_words(search);
    tars_trace_int(&span, "tars.search.terms", (int64_t)search->term_count);
    tars_retrieve_trace_step(&span, "tars.search.hits", search->word_count, status);
    return status;
}

/* Both lists. A side that is switched off or away stays empty. */
static tars_status gather(struct search *search, struct tars_retrieved *result)
{
    enum tars_retrieve_mode mode = search->request->mode;
    tars_status status = need_vector(search, result);
    int64_t start = tars_clock_mono_ns();

    if (status == TARS_OK && search->vector)
        status = search_by_vector(search, result);
    if (status == TARS_OK)
        status = search_by_words(search, mode != TARS_RETRIEVE_VECTORS || !search->vector);
    result->search_ms = ms_since(start);
    return status;
}

static tars_status make_scope(struct search *search, bool exact)
{
    const struct tars_scope_wish wish = {
        .visible = search->call->visible,
        .collection = search->request->collection,
        .filters_json = search->request->filters_json,
        .seq = search->stats.seq,
        .exact = exact,
    };

    return tars_scope_new(search->retriever->scopes, &wish, search->call->arena, &search->scope,
                          search->err);
}

/* Both lists, of what the call may find. While it searched without a filter, because there was
 * nothing that it may not see, such a thing may have come: then again, with one. */
static tars_status gather_visible(struct search *search, struct tars_retrieved *result)
{
    tars_status status = gather(search, result);

    if (status != TARS_OK ||
        !tars_scope_has_expired(search->scope, tars_index_seq(search->retriever->config.index)))
        return status;
    tars_scope_release(search->scope);
    search->scope = NULL;
    search->vector_count = 0;
    search->word_count = 0;
    tars_index_stats(search->retriever->config.index, &search->stats);
    status = make_scope(search, true);
    return status == TARS_OK ? gather(search, result) : status;
}

static tars_status fuse_lists(struct search *search, struct tars_fused *fused, size_t *count,
                              struct tars_retrieved *result)
{
    struct tars_trace_span span;
    tars_status status;

    tars_trace_begin(&search->call->trace, &span, "fuse", TARS_SPAN_INTERNAL);
    status = fuse(search, fused, count, result);
    tars_retrieve_trace_step(&span, "tars.search.candidates", *count, status);
    return status;
}

static tars_status fetch_winners(struct search *search, struct tars_fused *fused, size_t count,
                                 struct tars_retrieved *result)
{
    int64_t start = tars_clock_mono_ns();
    struct tars_trace_span span;
    tars_status status;

    tars_trace_begin(&search->call->trace, &span, "fetch", TARS_SPAN_INTERNAL);
    status = fetch(search, fused, reach(search, count), result);
    result->fetch_ms = ms_since(start);
    tars_retrieve_trace_step(&span, "tars.retrieval.passages", result->count, status);
    return status;
}

/* Let the reranker read the first candidates. One that fails costs just that. */
static tars_status rerank(struct search *search, struct tars_fused *fused, size_t count,
                          struct tars_retrieved *result)
{
    const struct tars_retriever_config *config = &search->retriever->config;
    struct tars_reranked done;
    tars_status status;

    if (!search->request->rerank || !config->rerank.reranker)
        return TARS_OK;
    status = tars_rerank(&config->rerank, config->store, config->cache, search->request->query,
                         search->call, fused, count, &done, search->err);
    result->reranked = done.scored > 0;
    result->rerank_is_partial = done.is_partial;
    result->rerank_ms = done.ms;
    if (done.has_failed && !result->degraded) {
        result->degraded = true;
        result->degraded_part = "reranker";
    }
    return status;
}

static tars_status run(struct search *search, struct tars_retrieved *result)
{
    struct tars_fused *fused;
    size_t count = 0;
    tars_status status = gather_visible(search, result);

    if (status == TARS_OK)
        status = check_call(search->call);
    if (status != TARS_OK)
        return status;
    fused = tars_arena_calloc(search->call->arena, 2 * search->pool, sizeof(*fused));
    if (!fused)
        return TARS_ENOMEM;
    status = fuse_lists(search, fused, &count, result);
    if (status == TARS_OK)
        status = rerank(search, fused, count, result);
    return status == TARS_OK ? fetch_winners(search, fused, count, result) : status;
}

/* What the question is read against; langs has room for TARS_LANGUAGES_ASKED. The analyzer, NULL
 * without memory, is to be given back. */
static struct tars_wording_from reading(struct search *search, int *langs)
{
    return (struct tars_wording_from){.arena = search->call->arena,
                                      .analyzer = borrow(search->retriever),
                                      .index = search->retriever->config.index,
                                      .visible = tars_scope_filter(search->scope),
                                      .langs = langs,
                                      .lang_count = tars_languages_held(&search->stats, langs)};
}

/* Take the demands out of the question; asked is what is left of the request. */
static tars_status read_wording(struct search *search, struct tars_retrieve_request *asked)
{
    int langs[TARS_LANGUAGES_ASKED];
    struct tars_wording_from from = reading(search, langs);
    tars_status status;

    if (!from.analyzer)
        return TARS_ENOMEM;
    status = tars_wording_read(&from, asked->query, &search->wording);
    give_back(search->retriever, from.analyzer);
    if (status == TARS_OK)
        asked->query = search->wording.text;
    return status;
}

/* Name the words that nothing holds. What was searched without a filter is asked with one: what has
 * come since may be hidden. */
static tars_status explain(struct search *search, struct tars_retrieved *result)
{
    struct tars_retrieve_absence *absence = &result->absence;
    int langs[TARS_LANGUAGES_ASKED];
    struct tars_wording_from from;
    tars_status status = TARS_OK;

    if (!tars_scope_filter(search->scope)) {
        tars_scope_release(search->scope);
        search->scope = NULL;
        status = make_scope(search, true);
    }
    if (status != TARS_OK)
        return status;
    from = reading(search, langs);
    if (!from.analyzer)
        return TARS_ENOMEM;
    absence->is_empty = tars_missing_all(from.index, from.visible);
    if (!absence->is_empty) {
        status = tars_missing_words(&from, search->request->query, &absence->missing,
                                    &absence->missing_count);
    }
    give_back(search->retriever, from.analyzer);
    return status;
}

tars_status tars_retrieve_anew(struct tars_retriever *retriever,
                               const struct tars_retrieve_request *request, struct tars_call *call,
                               struct tars_retrieved *result, struct tars_err *err)
{
    struct tars_retrieve_request asked = *request;
    struct search search = {.retriever = retriever, .request = &asked, .call = call, .err = err};
    struct tars_retrieved made = {.fusion_method = "linear"};
    uint64_t partial = tars_store_partial(retriever->config.store);
    tars_status status;

    search.top_k = request->top_k ? request->top_k : TARS_RETRIEVE_TOP_DEFAULT;
    search.pool = search.top_k * (request->distinct_documents ? DISTINCT_MORE : POOL_FACTOR);
    if (search.pool < TARS_RETRIEVE_POOL)
        search.pool = TARS_RETRIEVE_POOL;
    tars_index_stats(retriever->config.index, &search.stats);
    made.index_seq = search.stats.seq;
    status = make_scope(&search, false);
    if (status != TARS_OK)
        return status;
    made.searched = !is_blank(request->query) && !tars_scope_is_empty(search.scope);
    if (made.searched)
        status = read_wording(&search, &asked);
    if (made.searched && status == TARS_OK)
        status = run(&search, &made);
    if (made.searched && status == TARS_OK && request->explain && made.count == 0)
        status = explain(&search, &made);
    made.unmet = search.wording.unmet;
    if (tars_store_partial(retriever->config.store) != partial && !made.degraded) {
        made.degraded = true;
        made.degraded_part = "texts";
    }
    tars_scope_release(search.scope);
    if (status == TARS_OK)
        *result = made;
    return status;
}

static tars_status answer(struct tars_retriever *retriever,
                          const struct tars_retrieve_request *request, struct tars_call *call,
                          struct tars_retrieved *result, struct tars_err *err)
{
    struct tars_retrieved made = {.fusion_method = "linear"};
    tars_status status = check_request(request, err);

    if (status == TARS_OK)
        status = check_call(call);
    if (status == TARS_OK)
        status = tars_retrieve_kept(retriever, &retriever->config, request, call, &made, err);
    if (status == TARS_OK && retriever->config.observe)
        retriever->config.observe(retriever->config.observe_ctx, &made);
    if (status == TARS_OK)
        *result = made;
    return status;
}

tars_status tars_retrieve(struct tars_retriever *retriever,
                          const struct tars_retrieve_request *request, struct tars_call *call,
                          struct tars_retrieved *result, struct tars_err *err)
{
    struct tars_trace_span span;
    tars_status status;

    tars_trace_begin(&call->trace, &span, "retrieval", TARS_SPAN_INTERNAL);
    status = answer(retriever, request, call, result, err);
    tars_retrieve_trace_end(&span, request, call, result, status, err);
    return status;
}
