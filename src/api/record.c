/* record - see record.h for the contract. */
#include "api/record.h"

#include "analytics/analytics.h"
#include "api/api_internal.h"

const char *tars_record_type(tars_status status)
{
    return tars_status_name(status);
}

void tars_record_error(const struct tars_api *api, const struct tars_call *call, const char *type,
                       const char *operation, const char *words)
{
    const struct tars_error_row row = {
        .tenant = call ? call->tenant : NULL,
        .error_type = type,
        .error_message = words,
        .service = TARS_SERVICE_NAME,
        .operation = operation,
        .client_id = call ? call->client_id : NULL,
        .request_id = call ? call->request_id : NULL,
    };

    tars_analytics_error(api->config.analytics, &row);
}

/* ------------------------------------------------------------------ metrics */

void tars_record_stage(struct tars_metrics *metrics, const struct tars_call *call,
                       const char *stage, double ms)
{
    tars_series_observe_traced(tars_metrics_series(metrics, TARS_METRIC_RAG_STAGE_DURATION, stage),
                               ms / 1000, call->trace.id);
}

static bool any_reranked(const struct tars_rag_answer *answer)
{
    for (size_t i = 0; i < answer->source_count; i++) {
        if (answer->sources[i].reranked)
            return true;
    }
    return false;
}

static bool any_hybrid(const struct tars_rag_answer *answer)
{
    for (size_t i = 0; i < answer->source_count; i++) {
        if (answer->sources[i].hybrid)
            return true;
    }
    return false;
}

static void count_sources(struct tars_metrics *metrics, const struct tars_rag_answer *answer)
{
    double sum = 0;

    for (size_t i = 0; i < answer->source_count; i++)
        sum += answer->sources[i].similarity_score;
    tars_metrics_observe(metrics, TARS_METRIC_RAG_SOURCES, (double)answer->source_count);
    if (answer->source_count) {
        tars_metrics_observe(metrics, TARS_METRIC_RAG_RELEVANCE,
                             sum / (double)answer->source_count);
    }
    if (any_hybrid(answer))
        tars_metrics_add(metrics, TARS_METRIC_RAG_HYBRID, 1);
    if (any_reranked(answer))
        tars_metrics_add(metrics, TARS_METRIC_RAG_RERANKING, 1);
    if (answer->expansions)
        tars_metrics_add(metrics, TARS_METRIC_RAG_EXPANSION, 1);
    if (answer->used_history)
        tars_metrics_add(metrics, TARS_METRIC_RAG_MEMORY, 1);
}

/* What the passages say to each sentence; one that claims nothing needs no support. */
static void count_citations(struct tars_metrics *metrics, const struct tars_rag_answer *answer)
{
    uint64_t counts[2] = {0, 0};

    for (size_t i = 0; i < answer->citation_count; i++) {
        if (answer->citations[i].verdict != TARS_CITE_NO_CLAIM)
            counts[answer->citations[i].supported]++;
    }
    tars_series_add(tars_metrics_series(metrics, TARS_METRIC_RAG_CITATIONS, "unsupported"),
                    counts[0]);
    tars_series_add(tars_metrics_series(metrics, TARS_METRIC_RAG_CITATIONS, "verified"), counts[1]);
}

/* Also of an answer that failed: as far as it went. */
static void count_stages(struct tars_metrics *metrics, const struct tars_call *call,
                         const struct tars_rag_answer *answer)
{
    for (int stage = 0; stage < TARS_RAG_STAGES; stage++) {
        if (answer->stage_ms[stage] > 0)
            tars_record_stage(metrics, call, tars_rag_stage_text(stage), answer->stage_ms[stage]);
    }
    if (answer->first_token_ms > 0) {
        tars_metrics_observe_traced(metrics, TARS_METRIC_RAG_FIRST_TOKEN,
                                    answer->first_token_ms / 1000, call->trace.id);
    }
}

void tars_record_found(struct tars_metrics *metrics, size_t count, bool cached)
{
    if (count > 0) {
        tars_series_add(
            tars_metrics_series(metrics, TARS_METRIC_RAG_FOUND, cached ? "true" : "false"), 1);
    }
}

static void count_answer(struct tars_metrics *metrics, const struct tars_call *call,
                         tars_status status, const struct tars_rag_answer *answer)
{
    const char *outcome = status == TARS_OK ? "success" : "failed";
    const char *trace_id = call->trace.id;

    tars_series_add(tars_metrics_series(metrics, TARS_METRIC_RAG_QUERIES, outcome), 1);
    count_stages(metrics, call, answer);
    if (status != TARS_OK) {
        tars_metrics_add(metrics, TARS_METRIC_RAG_QUERIES_FAILED, 1);
        return;
    }
    tars_metrics_observe_traced(metrics, TARS_METRIC_RAG_QUERY_DURATION,
                                answer->total_time_ms / 1000, trace_id);
    tars_metrics_observe_traced(metrics, TARS_METRIC_RAG_RETRIEVAL_DURATION,
                                answer->retrieval_time_ms / 1000, trace_id);
    tars_metrics_observe_traced(metrics, TARS_METRIC_RAG_GENERATION_DURATION,
                                answer->generation_time_ms / 1000, trace_id);
    if (answer->source_count == 0)
        tars_metrics_add(metrics, TARS_METRIC_RAG_EMPTY, 1);
    if (answer->refused)
        tars_metrics_add(metrics, TARS_METRIC_RAG_REFUSALS, 1);
    tars_record_found(metrics, answer->source_count, answer->cached);
    count_sources(metrics, answer);
    count_citations(metrics, answer);
}

/* ---------------------------------------------------------------- analytics */

/* NULL without memory: then the row goes without its accesses. */
static struct tars_access_row *accesses_of(const struct tars_call *call,
                                           const struct tars_rag_answer *answer)
{
    struct tars_access_row *rows =
        tars_arena_calloc(call->arena, answer->source_count + 1, sizeof(*rows));

    for (size_t i = 0; rows && i < answer->source_count; i++) {
        const struct tars_rag_source *source = &answer->sources[i];

        rows[i] = (struct tars_access_row){
            .document_id = source->document_id,
            .file_name = source->file_name,
            .chunk_id = source->chunk_id,
            .collection = source->collection,
            .relevance_score = source->similarity_score,
            .rank = (int)i + 1,
        };
    }
    return rows;
}

static const char *words_of(const struct tars_answered *answered)
{
    if (answered->status == TARS_OK)
        return NULL;
    return answered->err && answered->err->text[0] ? answered->err->text
                                                   : tars_status_text(answered->status);
}

void tars_record_answer(const struct tars_api *api, const struct tars_call *call,
                        const struct tars_answered *answered)
{
    const struct tars_rag_answer *answer = answered->answer;
    struct tars_query_row row = {
        .tenant = call->tenant,
        .client_id = call->client_id,
        .query_text = answer->query ? answer->query : answered->request->query,
        .model_used = answer->model,
        .request_id = call->request_id,
        .conversation_id = answered->conversation_id,
        .error_message = words_of(answered),
        .used_history = answer->used_history,
        .used_query_expansion = answer->expansions > 0,
        .expansion_count = (int)answer->expansions,
    };

    if (answered->status == TARS_EINVAL)
        return;
    count_answer(api->config.metrics, call, answered->status, answer);
    tars_series_add(tars_metrics_series(api->config.metrics, TARS_METRIC_TENANT_QUESTIONS,
                                        call->tenant ? call->tenant : TARS_TENANT),
                    1);
    if (answered->status == TARS_OK) {
        row.retrieval_time_ms = answer->retrieval_time_ms;
        row.generation_time_ms = answer->generation_time_ms;
        row.total_time_ms = answer->total_time_ms;
        row.tokens_generated = (int)answer->total_tokens;
        row.used_reranking = any_reranked(answer);
        row.used_hybrid_search = any_hybrid(answer);
        row.accesses = accesses_of(call, answer);
        row.access_count = row.accesses ? answer->source_count : 0;
    }
    tars_analytics_query(api->config.analytics, &row);
    if (tars_analytics_is_on(api->config.analytics)) {
        tars_metrics_add(api->config.metrics, TARS_METRIC_ANALYTICS_QUERIES, 1);
        tars_metrics_add(api->config.metrics, TARS_METRIC_ANALYTICS_ACCESSES, row.access_count);
    }
    /* Who went away has not failed. */
    if (answered->status != TARS_OK && answered->status != TARS_ECANCELED) {
        tars_record_error(api, call, tars_record_type(answered->status), answered->operation,
                          row.error_message);
    }
}
