/* wiring_metrics - what the rooms below tell of their work, into the registry: they hold none
 * themselves. Each function is called once where the thing happens, so that nothing is counted
 * twice however many paths lead there. */
#include <string.h>

#include "app/wiring_internal.h"
#include "obs/metrics.h"

static void count_stage(struct tars_metrics *metrics, enum tars_metric family, const char *stage,
                        double ms)
{
    tars_series_observe(tars_metrics_series(metrics, family, stage), ms / 1000);
}

static void count_failure(struct tars_metrics *metrics, const char *backend)
{
    tars_series_add(tars_metrics_series(metrics, TARS_METRIC_RAG_BACKEND_FAILURES, backend), 1);
}

/* ---------------------------------------------------------------------- gpu */

tars_status tars_wiring_open_gpu(struct tars_wiring *w, struct tars_err *err)
{
    const char *library = tars_settings_text(w->settings, TARS_SET_TARS_NVML);
    struct tars_err why = {{0}};
    tars_status status;

    if (!library[0])
        return TARS_OK;
    status = tars_gpu_open(library, &w->gpu, &why);
    if (status == TARS_ENOMEM)
        return tars_fail(status, err, "%s", why.text);
    if (status != TARS_OK)
        tars_log_debug(w->log, "app", "%s", why.text);
    return TARS_OK;
}

/* ------------------------------------------------------------------- search */

static void count_embedding(struct tars_metrics *metrics, const char *type, double ms,
                            uint64_t texts)
{
    tars_series_add(tars_metrics_series(metrics, TARS_METRIC_EMBEDDING_OPERATIONS, type), 1);
    tars_metrics_observe(metrics, TARS_METRIC_EMBEDDING_DURATION, ms / 1000);
    tars_metrics_add(metrics, TARS_METRIC_EMBEDDINGS_GENERATED, texts);
}

void tars_wiring_count_search(void *ctx, const struct tars_retrieved *found)
{
    struct tars_metrics *metrics = ctx;

    if (found->is_kept)
        count_stage(metrics, TARS_METRIC_RAG_STAGE_DURATION, "fetch", found->fetch_ms);
    if (!found->searched)
        return;
    if (found->embedded) {
        count_stage(metrics, TARS_METRIC_RAG_STAGE_DURATION, "embed", found->embed_ms);
        if (!found->embed_cached)
            count_embedding(metrics, "query", found->embed_ms, 1);
    }
    count_stage(metrics, TARS_METRIC_RAG_STAGE_DURATION, "search", found->search_ms);
    if (found->rerank_ms > 0)
        count_stage(metrics, TARS_METRIC_RAG_STAGE_DURATION, "rerank", found->rerank_ms);
    count_stage(metrics, TARS_METRIC_RAG_STAGE_DURATION, "fetch", found->fetch_ms);
    if (!found->by_vector)
        return;
    tars_metrics_add(metrics, TARS_METRIC_VECTOR_SEARCHES, 1);
    tars_metrics_observe(metrics, TARS_METRIC_VECTOR_SEARCH_DURATION, found->vector_ms / 1000);
    tars_series_add(tars_metrics_series(metrics, TARS_METRIC_CHROMADB_OPERATIONS, "query"), 1);
    tars_metrics_observe(metrics, TARS_METRIC_CHROMADB_QUERY_DURATION, found->vector_ms / 1000);
}

/* ----------------------------------------------------------------- language */

/* The back end is at fault, not who asked or went away. */
static bool is_fault(tars_status status)
{
    return status == TARS_EUNAVAILABLE || status == TARS_EFORMAT || status == TARS_ETIMEOUT ||
           status == TARS_EIO;
}

void tars_wiring_count_generation(void *ctx, const struct tars_llm_ended *ended)
{
    struct tars_metrics *metrics = ctx;
    const struct tars_llm_result *result = ended->result;
    const char *model = result->model[0] ? result->model : "none";

    if (result->tokens > 0) {
        tars_metrics_add(metrics, TARS_METRIC_LLM_TOKENS, result->tokens);
        tars_series_add(tars_metrics_series(metrics, TARS_METRIC_LLM_TOKENS_GENERATED, model),
                        result->tokens);
    }
    if (ended->status == TARS_OK) {
        tars_series_observe(tars_metrics_series(metrics, TARS_METRIC_LLM_INFERENCE_DURATION, model),
                            ended->ms / 1000);
        if (ended->ms > 0) {
            tars_metrics_set(metrics, TARS_METRIC_LLM_TOKEN_RATE,
                             (double)result->tokens * 1000 / ended->ms);
        }
    } else if (is_fault(ended->status)) {
        count_failure(metrics, "language_model");
    }
}

/* ---------------------------------------------------------------- documents */

static void on_embedded(void *ctx, size_t windows, double ms, tars_status status)
{
    if (status == TARS_OK) {
        count_embedding(ctx, "batch", ms, windows);
    } else {
        count_failure(ctx, "embedding_model");
    }
}

static void on_changed(void *ctx, int64_t added, int64_t removed)
{
    tars_series_add(tars_metrics_series(ctx, TARS_METRIC_CHROMADB_OPERATIONS, "add"),
                    (uint64_t)added);
    tars_series_add(tars_metrics_series(ctx, TARS_METRIC_CHROMADB_OPERATIONS, "delete"),
                    (uint64_t)removed);
}

struct tars_ingest_observer tars_wiring_ingest_observer(struct tars_metrics *metrics)
{
    return (struct tars_ingest_observer){on_embedded, on_changed, metrics};
}

static void count_indexed(const struct tars_wiring *w, const struct tars_ingest_event *event)
{
    struct tars_metrics *metrics = w->metrics;

    tars_metrics_observe(metrics, TARS_METRIC_DOCUMENT_CHUNKS, (double)event->chunks);
    tars_metrics_observe(metrics, TARS_METRIC_DOCUMENT_DURATION, event->ms / 1000);
    if (tars_settings_flag(w->settings, TARS_SET_USE_SEMANTIC_CHUNKING))
        tars_metrics_add(metrics, TARS_METRIC_RAG_SEMANTIC_CHUNKING, 1);
    if (event->stage_ms[TARS_INGEST_STAGE_EMBED] > 0) {
        tars_series_add(tars_metrics_series(metrics, TARS_METRIC_EMBEDDING_OPERATIONS, "document"),
                        1);
    }
}

void tars_wiring_count_file(const struct tars_wiring *w, const struct tars_ingest_event *event)
{
    struct tars_metrics *metrics = w->metrics;
    const char *status = event->outcome == TARS_INGEST_INDEXED     ? "success"
                         : event->outcome == TARS_INGEST_UNCHANGED ? "already_indexed"
                                                                   : "failed";

    /* A file that was passed over while walking, or that nobody wants any more, was not tried. */
    if (event->job_id == 0 || event->status == TARS_ECANCELED)
        return;
    tars_series_add(tars_metrics_series(metrics, TARS_METRIC_DOCUMENTS_INDEXED, status), 1);
    tars_metrics_add(metrics, TARS_METRIC_DOCUMENTS_PROCESSED, 1);
    tars_metrics_observe(metrics, TARS_METRIC_DOCUMENT_PROCESSING_DURATION, event->ms / 1000);
    for (int stage = 0; stage < TARS_INGEST_STAGES; stage++) {
        if (event->stage_ms[stage] > 0) {
            count_stage(metrics, TARS_METRIC_RAG_INGEST_STAGE_DURATION,
                        tars_ingest_stage_text(stage), event->stage_ms[stage]);
        }
    }
    if (event->outcome == TARS_INGEST_INDEXED)
        count_indexed(w, event);
}
