/* rerank - see rerank.h for the contract. */
#include "retrieve/rerank.h"

#include <math.h>
#include <stdlib.h>

#include "base/sys/clock.h"
#include "obs/trace.h"
#include "retrieve/scores.h"
#include "store/store.h"

#define NS_IN_MS 1000000LL

/* What the steps of one reranking share. */
struct reranking {
    const struct tars_rerank_config *config;
    struct tars_call *call;
    struct tars_span question;
    struct tars_span *passages; /* (n,) text, in the order of the candidates */
    const char **chunk_ids;     /* (n,) */
    size_t n;
    int64_t until_ns;
    size_t scored;
};

/* -------------------------------------------------------------------- order */

static double scaled(double value, double low, double high)
{
    return high > low ? (value - low) / (high - low) : 1;
}

/* Best first; equal ones by ascending id, as fuse.h has it. */
static int by_rank(const void *a, const void *b)
{
    const struct tars_fused *x = a;
    const struct tars_fused *y = b;

    if (x->rank != y->rank)
        return x->rank > y->rank ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

void tars_rerank_order(struct tars_fused *fused, const float *scores, size_t n, double weight)
{
    double low = INFINITY;
    double high = -INFINITY;

    for (size_t i = 0; i < n; i++) {
        low = fmin(low, fused[i].fused);
        high = fmax(high, fused[i].fused);
    }
    for (size_t i = 0; i < n; i++) {
        fused[i].is_reranked = true;
        fused[i].rerank_score = (double)scores[i];
        fused[i].rank =
            (1 - weight) * scaled(fused[i].fused, low, high) + weight * (double)scores[i];
    }
    qsort(fused, n, sizeof(*fused), by_rank);
}

/* ------------------------------------------------------------------- scores */

static tars_status read_passages(struct reranking *run, struct tars_store *store,
                                 const struct tars_fused *fused, struct tars_err *err)
{
    struct tars_arena *arena = run->call->arena;
    struct tars_store_passages found = {0};
    uint64_t *ids = tars_arena_calloc(arena, run->n, sizeof(*ids));
    size_t n = 0;
    tars_status status;

    run->passages = tars_arena_calloc(arena, run->n, sizeof(*run->passages));
    run->chunk_ids = tars_arena_calloc(arena, run->n, sizeof(*run->chunk_ids));
    if (!ids || !run->passages || !run->chunk_ids)
        return TARS_ENOMEM;
    for (size_t i = 0; i < run->n; i++)
        ids[i] = fused[i].id;
    status = tars_store_passages(store, ids, run->n, TARS_LOAD_TEXT, arena, &found, err);
    if (status != TARS_OK)
        return status;
    /* They come in the order asked for, without those that are gone: then only what comes before is
     * reranked, so that places and passages agree. */
    while (n < run->n && n < found.count && found.items[n].id == ids[n]) {
        run->passages[n] = tars_span(found.items[n].text, found.items[n].text_len);
        run->chunk_ids[n] = found.items[n].chunk_id;
        n++;
    }
    run->n = n;
    return TARS_OK;
}

static tars_status score(void *ctx, float *scores, bool *is_whole, struct tars_err *err)
{
    struct reranking *run = ctx;
    const struct tars_reranker_wish wish = {.question = run->question,
                                            .passages = run->passages,
                                            .n = run->n,
                                            .until_ns = run->until_ns,
                                            .call = run->call};
    tars_status status =
        tars_reranker_score(run->config->reranker, &wish, scores, &run->scored, err);

    *is_whole = run->scored == run->n;
    return status;
}

static int64_t patience_ms(const struct reranking *run)
{
    int64_t ms = (run->until_ns - tars_clock_mono_ns()) / NS_IN_MS;

    return ms > 0 ? ms : 1;
}

static tars_status fetch_scores(struct reranking *run, struct tars_cache *cache, float *scores,
                                struct tars_reranked *out, struct tars_err *err)
{
    const struct tars_scores_wish wish = {.model = run->config->reranker->identity,
                                          .query = run->question,
                                          .chunk_ids = run->chunk_ids,
                                          .count = run->n,
                                          .wait_ms = patience_ms(run),
                                          .score = score,
                                          .ctx = run};
    enum tars_cache_source source = TARS_CACHE_COMPUTED;
    tars_status status = tars_scores_fetch(cache, &wish, run->call->arena, scores, &source, err);

    if (status != TARS_OK)
        return status;
    out->is_cached = source != TARS_CACHE_COMPUTED;
    out->scored = out->is_cached ? run->n : run->scored;
    out->is_partial = out->scored < run->n;
    return TARS_OK;
}

/* --------------------------------------------------------------------- call */

static int64_t until_of(const struct tars_rerank_config *config, const struct tars_call *call)
{
    int64_t budget_ms = config->budget_ms ? config->budget_ms : TARS_RERANK_BUDGET_MS_DEFAULT;
    int64_t until_ns = tars_clock_mono_ns() + budget_ms * NS_IN_MS;

    if (call->deadline_ms && call->deadline_ms * NS_IN_MS < until_ns)
        until_ns = call->deadline_ms * NS_IN_MS;
    return until_ns;
}

/* Only what is over with the call, or with its memory, is the call's own failure. */
static tars_status forgive(const struct reranking *run, tars_status status,
                           struct tars_reranked *out)
{
    if (status == TARS_OK || status == TARS_ENOMEM)
        return status;
    if (atomic_load_explicit(&run->call->cancelled, memory_order_relaxed))
        return TARS_ECANCELED;
    if (tars_call_is_over(run->call))
        return TARS_ETIMEOUT;
    out->has_failed = true;
    return TARS_OK;
}

static tars_status run_all(struct reranking *run, struct tars_store *store,
                           struct tars_cache *cache, struct tars_fused *fused,
                           struct tars_reranked *out, struct tars_err *err)
{
    const struct tars_rerank_config *config = run->config;
    float *scores = tars_arena_calloc(run->call->arena, run->n, sizeof(*scores));
    tars_status status = scores ? read_passages(run, store, fused, err) : TARS_ENOMEM;

    if (status != TARS_OK || run->n < 2)
        return status;
    status = fetch_scores(run, cache, scores, out, err);
    if (status == TARS_OK && out->scored > 0) {
        tars_rerank_order(fused, scores, out->scored,
                          config->weight < 0 ? TARS_RERANK_WEIGHT_DEFAULT : config->weight);
    }
    return status;
}

tars_status tars_rerank(const struct tars_rerank_config *config, struct tars_store *store,
                        struct tars_cache *cache, struct tars_span question, struct tars_call *call,
                        struct tars_fused *fused, size_t count, struct tars_reranked *out,
                        struct tars_err *err)
{
    size_t top_k = config->top_k ? config->top_k : TARS_RERANK_TOP_DEFAULT;
    struct reranking run = {.config = config,
                            .call = call,
                            .question = question,
                            .n = count < top_k ? count : top_k,
                            .until_ns = until_of(config, call)};
    int64_t start = tars_clock_mono_ns();
    struct tars_trace_span span;
    struct tars_err why = {""};
    tars_status status;

    *out = (struct tars_reranked){.scored = 0};
    if (!config->reranker || run.n < 2)
        return TARS_OK;
    tars_trace_begin(&call->trace, &span, "rerank", TARS_SPAN_INTERNAL);
    tars_trace_subject(&span, config->reranker->model);
    status = run_all(&run, store, cache, fused, out, &why);
    out->ms = (double)(tars_clock_mono_ns() - start) / 1e6;
    tars_trace_int(&span, "tars.rerank.candidates", (int64_t)run.n);
    tars_trace_int(&span, "tars.rerank.scored", (int64_t)out->scored);
    tars_trace_flag(&span, "tars.rerank.cached", out->is_cached);
    tars_trace_status(&span, status, &why);
    tars_trace_end(&span);
    status = forgive(&run, status, out);
    return status == TARS_OK || !why.text[0] ? status : tars_fail(status, err, "%s", why.text);
}
