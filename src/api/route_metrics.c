/* route_metrics - measurements: as JSON (contract section 1.6) and for Prometheus (section 3). */
#include <math.h>

#include "analytics/analytics.h"
#include "api/api_internal.h"
#include "api/reader.h"
#include "api/rights.h"
#include "api/words.h"

#define BYTES_PER_MB       1048576.0
#define INTERVAL_DEFAULT_S 60
#define INTERVAL_MIN_S     10
#define INTERVAL_MAX_S     3600

/* Milliseconds on average; 0 before the first. */
static double average_ms(struct tars_metrics *metrics, enum tars_metric metric)
{
    double count = tars_metrics_total(metrics, metric);

    return count > 0 ? 1000 * tars_metrics_sum(metrics, metric) / count : 0;
}

/* Not the usual shape of errors: the contract has it so here. */
static void fail(struct tars_exchange *ex, int status, const char *words)
{
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "error", words);
    tars_json_text(&ex->json, "request_id", ex->call.request_id);
    tars_exchange_send(ex, status);
}

static void write_known(struct tars_json *json, const char *key, double value)
{
    if (isnan(value)) {
        tars_json_null(json, key);
    } else {
        tars_json_fixed(json, key, value, 2);
    }
}

static void write_gpu(struct tars_json *json, const struct tars_gpu_use *use)
{
    tars_json_text(json, "gpu_name", use->name);
    write_known(json, "gpu_percent", use->percent);
    write_known(json, "gpu_memory_percent", use->memory_percent);
    write_known(json, "gpu_memory_used_mb", use->memory_used / BYTES_PER_MB);
    write_known(json, "gpu_memory_total_mb", use->memory_total / BYTES_PER_MB);
}

/* Questions of all, to who sees the server; to others those of their tenant. */
static int64_t questions_of(const struct tars_exchange *ex)
{
    struct tars_metrics *metrics = ex->api->config.metrics;
    const char *tenant = ex->caller.tenant ? ex->caller.tenant : "";

    if (tars_api_sees_server(ex))
        return (int64_t)tars_metrics_total(metrics, TARS_METRIC_RAG_QUERIES);
    return (int64_t)tars_series_value(
        tars_metrics_series(metrics, TARS_METRIC_TENANT_QUESTIONS, tenant));
}

void tars_route_metrics_system(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_collection_stats stats;
    struct tars_machine machine;
    struct tars_err err = {{0}};
    tars_status status = tars_api_machine(ex->api, &machine);

    if (status != TARS_OK) {
        fail(ex, 500, "The machine does not tell how busy it is");
        return;
    }
    status = config->service->stats(config->service_ctx, tars_api_visible(ex), ex->call.arena,
                                    &stats, &err);
    if (status != TARS_OK) {
        fail(ex, 500, tars_words_of(ex->api, &ex->call, status, &err));
        return;
    }
    tars_exchange_json(ex);
    tars_json_fixed(&ex->json, "cpu_percent", machine.cpu_percent, 2);
    tars_json_fixed(&ex->json, "memory_percent", machine.memory.percent, 2);
    tars_json_fixed(&ex->json, "memory_used_mb", machine.memory.used_mb, 2);
    tars_json_fixed(&ex->json, "memory_total_mb", machine.memory.total_mb, 2);
    tars_json_int(&ex->json, "documents_indexed", stats.documents);
    tars_json_int(&ex->json, "chunks_stored", stats.chunks);
    tars_json_int(&ex->json, "queries_processed", questions_of(ex));
    tars_json_fixed(&ex->json, "average_retrieval_time_ms",
                    average_ms(config->metrics, TARS_METRIC_RAG_RETRIEVAL_DURATION), 2);
    tars_exchange_time(ex, "timestamp");
    if (machine.has_gpu)
        write_gpu(&ex->json, &machine.gpu);
    tars_exchange_send(ex, 200);
}

/* --------------------------------------------------------------- historical */

struct period {
    const char *start_time, *end_time; /* as they were asked for */
    struct tars_analytics_range range;
    int64_t interval_s;
    bool is_known; /* both are times */
};

/* False when the reply is given. */
static bool read_period(struct tars_exchange *ex, struct period *period)
{
    struct tars_reader reader;
    bool good;

    *period = (struct period){0};
    tars_reader_init_query(&reader, ex->call.arena, ex->query);
    period->start_time = tars_reader_text(&reader, "start_time", TARS_READER_REQUIRED);
    period->end_time = tars_reader_text(&reader, "end_time", TARS_READER_REQUIRED);
    period->interval_s =
        tars_reader_int(&reader, "interval", INTERVAL_DEFAULT_S, INTERVAL_MIN_S, INTERVAL_MAX_S);
    good = !tars_reader_is_bad(&reader);
    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
    tars_reader_release(&reader);
    if (good) {
        period->is_known = tars_clock_parse(period->start_time, &period->range.from_us) &&
                           tars_clock_parse(period->end_time, &period->range.to_us);
    }
    return good;
}

static void write_count(struct tars_json *json, const char *key, int64_t value)
{
    if (value < 0) {
        tars_json_null(json, key);
    } else {
        tars_json_int(json, key, value);
    }
}

static void write_sample(struct tars_json *json, const struct tars_system_row *row)
{
    tars_json_object(json, NULL);
    tars_api_write_time(json, "timestamp", row->time_us);
    write_known(json, "cpu_percent", row->cpu_usage_percent);
    write_known(json, "memory_percent", row->memory_usage_percent);
    if (!isnan(row->gpu_usage_percent))
        write_known(json, "gpu_percent", row->gpu_usage_percent);
    if (!isnan(row->gpu_memory_usage_percent))
        write_known(json, "gpu_memory_percent", row->gpu_memory_usage_percent);
    write_count(json, "documents_indexed", row->total_documents);
    write_count(json, "chunks_stored", row->total_chunks);
    write_known(json, "queries_per_minute", row->queries_per_minute);
    write_known(json, "average_query_time_ms", row->avg_query_time_ms);
    write_known(json, "average_retrieval_time_ms", row->avg_retrieval_time_ms);
    write_known(json, "average_generation_time_ms", row->avg_generation_time_ms);
    write_known(json, "cache_hit_rate", row->cache_hit_rate);
    write_count(json, "active_connections", row->active_connections);
    tars_json_end(json);
}

/* What a tenant may know of all: how busy the machine is, not who did what. */
static void hide_others(struct tars_system_row *row)
{
    row->total_documents = -1;
    row->total_chunks = -1;
    row->active_connections = -1;
    row->queries_per_minute = NAN;
    row->avg_query_time_ms = NAN;
    row->avg_retrieval_time_ms = NAN;
    row->avg_generation_time_ms = NAN;
    row->cache_hit_rate = NAN;
}

static const char *note_of(const struct tars_exchange *ex, const struct period *period,
                           size_t count)
{
    if (!tars_analytics_is_on(ex->api->config.analytics))
        return "Nothing is stored: ANALYTICS_ENABLED is off";
    if (!period->is_known)
        return "start_time and end_time are not both ISO 8601 times, so no sample lies between";
    return count ? "Stored samples, averaged over each interval" : "No sample was stored then";
}

void tars_route_metrics_historical(struct tars_exchange *ex)
{
    struct tars_system_row *rows = NULL;
    struct tars_err err = {{0}};
    struct period period;
    size_t count = 0;
    tars_status status = TARS_OK;

    if (!read_period(ex, &period))
        return;
    if (period.is_known) {
        status = tars_analytics_history(ex->api->config.analytics, &period.range, period.interval_s,
                                        ex->call.arena, &rows, &count, &err);
    }
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "metrics");
    for (size_t i = 0; i < count; i++) {
        if (!tars_api_sees_server(ex))
            hide_others(&rows[i]);
        write_sample(&ex->json, &rows[i]);
    }
    tars_json_end(&ex->json);
    tars_json_text(&ex->json, "start_time", period.start_time);
    tars_json_text(&ex->json, "end_time", period.end_time);
    tars_json_int(&ex->json, "interval", period.interval_s);
    tars_json_text(&ex->json, "note", note_of(ex, &period, count));
    tars_exchange_send(ex, 200);
}

/* ------------------------------------------------------------ health, summary */

void tars_route_metrics_health(struct tars_exchange *ex)
{
    struct tars_cpu_ticks ticks;
    struct tars_memory_use memory;
    struct tars_gpu_use gpu;
    bool cpu = tars_cpu_read(&ticks) == TARS_OK;
    bool ram = tars_memory_read(&memory) == TARS_OK;

    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", cpu && ram ? "healthy" : "unhealthy");
    tars_exchange_time(ex, "timestamp");
    tars_json_bool(&ex->json, "cpu_available", cpu);
    tars_json_bool(&ex->json, "memory_available", ram);
    tars_json_bool(&ex->json, "gpu_available", tars_gpu_last(ex->api->config.gpu, &gpu));
    tars_json_bool(&ex->json, "prometheus_enabled", ex->api->config.prometheus);
    tars_json_bool(&ex->json, "metrics_collected", ex->api->config.metrics != NULL);
    if (!cpu || !ram)
        tars_json_text(&ex->json, "error", "The machine does not tell how busy it is");
    tars_exchange_send(ex, cpu && ram ? 200 : 503);
}

void tars_route_metrics_summary(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_collection_stats stats = {.language_model = ""};
    struct tars_machine machine = {0};
    struct tars_cache_view cache;

    if (!config->prometheus) {
        tars_exchange_not_found(ex, NULL);
        return;
    }
    (void)!tars_api_machine(ex->api, &machine);
    (void)!config->service->stats(config->service_ctx, tars_api_visible(ex), ex->call.arena, &stats,
                                  NULL);
    config->service->cache_view(config->service_ctx, false, ex->call.arena, &cache);
    tars_exchange_json(ex);
    tars_json_object(&ex->json, "application");
    tars_json_text(&ex->json, "version", TARS_SERVICE_VERSION);
    tars_json_text(&ex->json, "environment", config->environment);
    tars_json_text(&ex->json, "model", stats.language_model);
    tars_json_end(&ex->json);
    tars_json_object(&ex->json, "cache");
    tars_json_bool(&ex->json, "enabled", cache.enabled);
    tars_json_fixed(&ex->json, "hit_rate_percent", cache.total.hit_rate_percent, 2);
    tars_json_int(&ex->json, "total_hits", (int64_t)cache.total.hits);
    tars_json_int(&ex->json, "total_misses", (int64_t)cache.total.misses);
    tars_json_int(&ex->json, "total_sets", (int64_t)cache.total.sets);
    tars_json_end(&ex->json);
    tars_json_object(&ex->json, "system");
    tars_json_fixed(&ex->json, "cpu_percent", machine.cpu_percent, 2);
    tars_json_fixed(&ex->json, "memory_percent", machine.memory.percent, 2);
    tars_json_end(&ex->json);
    tars_exchange_send(ex, 200);
}

/* ------------------------------------------------------------------- uptime */

void tars_route_metrics(struct tars_exchange *ex)
{
    tars_exchange_json(ex);
    tars_api_name_service(ex);
    tars_json_int(&ex->json, "uptime_seconds", tars_api_uptime_seconds(ex));
    tars_api_write_time(&ex->json, "startup_time", ex->api->started_us);
    tars_exchange_time(ex, "timestamp");
    tars_exchange_send(ex, 200);
}
