/* gauges - see gauges.h for the contract. */
#include "api/gauges.h"

#include <math.h>

#include "analytics/analytics.h"
#include "api/api_internal.h"
#include "base/sys/process.h"
#include "llm/llm.h"

#define ARENA_MAX ((size_t)4 << 20)

static void sample_process(struct tars_metrics *metrics, int64_t started_us)
{
    struct tars_process_use use;

    tars_process_read(&use);
    tars_metrics_set(metrics, TARS_METRIC_PROCESS_CPU, use.cpu_s);
    tars_metrics_set(metrics, TARS_METRIC_PROCESS_RESIDENT, use.resident_bytes);
    tars_metrics_set(metrics, TARS_METRIC_PROCESS_VIRTUAL, use.virtual_bytes);
    tars_metrics_set(metrics, TARS_METRIC_PROCESS_FDS, use.open_fds);
    tars_metrics_set(metrics, TARS_METRIC_PROCESS_MAX_FDS, use.max_fds);
    tars_metrics_set(metrics, TARS_METRIC_PROCESS_THREADS, use.threads);
    tars_metrics_set(metrics, TARS_METRIC_PROCESS_START, (double)started_us / 1e6);
}

/* 0 for what a processor does not tell, or none tells (contract section 3). */
static double known(double value)
{
    return isnan(value) ? 0 : value;
}

static void sample_gpu(struct tars_metrics *metrics, const struct tars_gpu_use *use)
{
    tars_metrics_set(metrics, TARS_METRIC_SYSTEM_GPU, known(use->percent));
    tars_metrics_set(metrics, TARS_METRIC_SYSTEM_GPU_MEMORY, known(use->memory_percent));
    tars_metrics_set(metrics, TARS_METRIC_GPU_UTILIZATION, known(use->percent));
    tars_metrics_set(metrics, TARS_METRIC_GPU_MEMORY, known(use->memory_used));
    tars_metrics_set(metrics, TARS_METRIC_GPU_TEMPERATURE, known(use->temperature_c));
}

static void sample_machine(const struct tars_api *api)
{
    static const struct tars_gpu_use none = {.percent = 0};
    struct tars_metrics *metrics = api->config.metrics;
    struct tars_machine machine;

    if (tars_api_machine(api, &machine) != TARS_OK)
        return;
    tars_metrics_set(metrics, TARS_METRIC_SYSTEM_CPU, machine.cpu_percent);
    tars_metrics_set(metrics, TARS_METRIC_SYSTEM_MEMORY, machine.memory.percent);
    sample_gpu(metrics, machine.has_gpu ? &machine.gpu : &none);
}

static double age_s(int64_t since_us)
{
    int64_t now_us = tars_clock_wall_us();

    return since_us > 0 && now_us > since_us ? (double)(now_us - since_us) / 1e6 : 0;
}

static void set_jobs(struct tars_metrics *metrics, const char *state, int64_t count)
{
    tars_series_set(tars_metrics_series(metrics, TARS_METRIC_RAG_INGEST_JOBS, state),
                    (double)count);
}

static void sample_collection(const struct tars_api_config *config, struct tars_arena *arena)
{
    struct tars_metrics *metrics = config->metrics;
    struct tars_vitals vitals;

    if (config->service->vitals(config->service_ctx, arena, &vitals) != TARS_OK)
        return;
    tars_metrics_set(metrics, TARS_METRIC_VECTOR_STORE_DOCUMENTS, (double)vitals.documents);
    tars_metrics_set(metrics, TARS_METRIC_VECTOR_STORE_CHUNKS, (double)vitals.chunks);
    tars_metrics_set(metrics, TARS_METRIC_DOCUMENT_QUEUE,
                     (double)(vitals.jobs_queued + vitals.jobs_running));
    set_jobs(metrics, "queued", vitals.jobs_queued);
    set_jobs(metrics, "running", vitals.jobs_running);
    tars_metrics_set(metrics, TARS_METRIC_RAG_INGEST_OLDEST, age_s(vitals.oldest_job_us));
    tars_metrics_set(metrics, TARS_METRIC_RAG_INDEX_VECTORS, (double)vitals.index_vectors);
    tars_metrics_set(metrics, TARS_METRIC_RAG_INDEX_TOMBSTONES, (double)vitals.index_removed);
    tars_metrics_set(metrics, TARS_METRIC_RAG_INDEX_UNSAVED, (double)vitals.index_unsaved);
    tars_metrics_set(metrics, TARS_METRIC_RAG_DISK, vitals.disk_bytes);
    tars_metrics_set(metrics, TARS_METRIC_RAG_DISK_FREE, vitals.disk_free_bytes);
}

void tars_gauges_read(void *ctx)
{
    const struct tars_api *api = ctx;
    const struct tars_api_config *config = &api->config;
    struct tars_metrics *metrics = config->metrics;
    struct tars_arena arena;

    sample_process(metrics, api->started_us);
    sample_machine(api);
    tars_arena_init(&arena, ARENA_MAX);
    sample_collection(config, &arena);
    tars_arena_release(&arena);
    config->service->cache_sample(config->service_ctx);
    if (config->connections) {
        tars_metrics_set(metrics, TARS_METRIC_ACTIVE_CONNECTIONS,
                         config->connections(config->connections_ctx));
    }
    if (config->llm) {
        tars_series_set(
            tars_metrics_series(metrics, TARS_METRIC_RAG_BACKEND_BREAKER, "language_model"),
            tars_llm_breaker(config->llm));
    }
    tars_metrics_set(metrics, TARS_METRIC_ANALYTICS_DROPPED,
                     (double)tars_analytics_counts(config->analytics).dropped);
    tars_metrics_set(metrics, TARS_METRIC_RAG_ANALYTICS_WAITING,
                     (double)tars_analytics_counts(config->analytics).queued_bytes);
    tars_metrics_set(metrics, TARS_METRIC_LOG_DROPPED, (double)tars_log_dropped(config->log));
}
