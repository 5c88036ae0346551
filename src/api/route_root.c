/* route_root - what the service is, whether it lives, whether it is ready, and its metrics. */
#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "api/api_internal.h"
#include "base/version.h"

static bool asks_for_page(struct tars_span accept)
{
    return accept.len >= 9 && memmem(accept.ptr, accept.len, "text/html", 9);
}

/* "/" and "/api/v1/" but not "/api/v1": a relative reference differs. */
static bool ends_with_slash(struct tars_span path)
{
    return path.len > 0 && path.ptr[path.len - 1] == '/';
}

/* Clients of the API get the contract's JSON; a browser, which asks for HTML, gets the page. */
void tars_route_root(struct tars_exchange *ex)
{
    static const char *const facts[][2] = {
        {"service", TARS_SERVICE_NAME},
        {"version", TARS_SERVICE_VERSION},
        {"phase", "Phase 6 - Production Scaling & Security"},
        {"status", "production"},
        {"docs", "/docs"},
        {"health", "/health"},
        {"ready", "/ready"},
        {"auth", "/auth/token"},
        {"websocket", "/ws/chat"},
        {"rag", "/rag/query"},
        {"conversation", "/conversation/list"},
        {"metrics", "/metrics/system"},
        {"prometheus", "/metrics/prometheus"},
        {"analytics", "/analytics/summary"},
        {"nas_stats", "/rag/stats"},
    };

    if (asks_for_page(ex->accept)) {
        ex->location = ends_with_slash(ex->path) ? "ui" : "v1/ui";
        tars_exchange_send_bytes(ex, 303, "text/plain; charset=utf-8", "", 0);
        return;
    }
    tars_exchange_json(ex);
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
        tars_json_text(&ex->json, facts[i][0], facts[i][1]);
    tars_json_text(&ex->json, "build", TARS_VERSION);
    tars_exchange_send(ex, 200);
}

static void name_service(struct tars_exchange *ex)
{
    tars_json_text(&ex->json, "service", TARS_SERVICE_NAME);
    tars_json_text(&ex->json, "version", TARS_SERVICE_VERSION);
}

void tars_route_health(struct tars_exchange *ex)
{
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "healthy");
    name_service(ex);
    tars_exchange_time(ex, "timestamp");
    tars_exchange_send(ex, 200);
}

static int64_t uptime_seconds(const struct tars_exchange *ex)
{
    return (tars_clock_mono_ms() - ex->api->started_ms) / 1000;
}

struct check {
    const char *contract; /* its name in the reply */
    const char *part;     /* its name in the registry */
};

/* The contract's four; readiness is that all are well. */
static const struct check checks[] = {
    {"ollama", "language_model"},
    {"chromadb", "store"},
    {"embedding_model", "embedding_model"},
    {"conversation_service", "store"},
};
#define CHECKS (sizeof(checks) / sizeof(checks[0]))

static bool is_well(const struct tars_exchange *ex, const char *part)
{
    return tars_health_check(ex->api->config.health, part, NULL) == TARS_OK;
}

void tars_route_ready(struct tars_exchange *ex)
{
    const struct tars_health *health = ex->api->config.health;
    bool well[CHECKS];
    bool is_ready = true;

    for (size_t i = 0; i < CHECKS; i++) {
        well[i] = is_well(ex, checks[i].part);
        is_ready = is_ready && well[i];
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", is_ready ? "ready" : "degraded");
    name_service(ex);
    tars_json_int(&ex->json, "uptime_seconds", uptime_seconds(ex));
    tars_exchange_time(ex, "timestamp");
    tars_json_object(&ex->json, "checks");
    for (size_t i = 0; i < CHECKS; i++)
        tars_json_text(&ex->json, checks[i].contract, well[i] ? "healthy" : "unhealthy");
    tars_json_text(&ex->json, "nas_watcher", is_well(ex, "watcher") ? "enabled" : "disabled");
    tars_json_text(&ex->json, "redis_cache", "disabled");
    tars_json_text(&ex->json, "postgres", "disabled");
    tars_json_end(&ex->json);
    tars_json_array(&ex->json, "degraded");
    for (size_t i = 0; i < health->count; i++) {
        if (!is_well(ex, health->parts[i].name))
            tars_json_text(&ex->json, NULL, health->parts[i].name);
    }
    tars_exchange_send(ex, 200);
}

void tars_route_metrics(struct tars_exchange *ex)
{
    tars_exchange_json(ex);
    name_service(ex);
    tars_json_int(&ex->json, "uptime_seconds", uptime_seconds(ex));
    tars_api_write_time(&ex->json, "startup_time", ex->api->started_us);
    tars_exchange_time(ex, "timestamp");
    tars_exchange_send(ex, 200);
}

/* ------------------------------------------------------------------------------------- exposition
 */

static double open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double count = 0;

    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", "..", and the folder itself */
}

static double resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long total = 0;
    unsigned long resident = 0;

    if (file && fscanf(file, "%lu %lu", &total, &resident) != 2) /* NOLINT(cert-err34-c) */
        resident = 0;
    if (file)
        (void)fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void sample_process(struct tars_metrics *metrics, int64_t started_us)
{
    struct rusage usage;
    struct sysinfo machine;

    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        tars_metrics_set(metrics, TARS_METRIC_PROCESS_CPU,
                         seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
    }
    tars_metrics_set(metrics, TARS_METRIC_PROCESS_RESIDENT, resident_bytes());
    tars_metrics_set(metrics, TARS_METRIC_PROCESS_FDS, open_descriptors());
    tars_metrics_set(metrics, TARS_METRIC_PROCESS_START, (double)started_us / 1e6);
    if (sysinfo(&machine) == 0 && machine.totalram > 0) {
        double cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);
        double load = (double)machine.loads[0] / (1 << SI_LOAD_SHIFT) / (cpus > 0 ? cpus : 1) * 100;

        tars_metrics_set(metrics, TARS_METRIC_SYSTEM_CPU, load < 100 ? load : 100);
        tars_metrics_set(metrics, TARS_METRIC_SYSTEM_MEMORY,
                         100 - 100 * ((double)machine.freeram + (double)machine.bufferram) /
                                   (double)machine.totalram);
    }
}

static void sample_collection(struct tars_exchange *ex)
{
    static const struct tars_visible everything = {.all = true}; /* sums only */
    const struct tars_api_config *config = &ex->api->config;
    struct tars_collection_stats stats;

    if (config->service->stats(config->service_ctx, &everything, ex->call.arena, &stats, NULL) !=
        TARS_OK)
        return;
    tars_metrics_set(config->metrics, TARS_METRIC_VECTOR_STORE_DOCUMENTS, (double)stats.documents);
    tars_metrics_set(config->metrics, TARS_METRIC_VECTOR_STORE_CHUNKS, (double)stats.chunks);
    tars_metrics_set(config->metrics, TARS_METRIC_DOCUMENT_QUEUE,
                     (double)(stats.jobs_queued + stats.jobs_running));
}

static void sample_cache(const struct tars_api_config *config)
{
    struct tars_cache_view view;

    config->service->cache_view(config->service_ctx, &view);
    tars_metrics_set(config->metrics, TARS_METRIC_CACHE_HIT_RATE, view.hit_rate_percent);
    tars_metrics_set(config->metrics, TARS_METRIC_CACHE_BYTES, (double)view.bytes);
}

void tars_route_prometheus(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;

    if (!config->prometheus) {
        tars_exchange_not_found(ex, NULL);
        return;
    }
    sample_process(config->metrics, ex->api->started_us);
    sample_collection(ex);
    sample_cache(config);
    if (config->connections) {
        tars_metrics_set(config->metrics, TARS_METRIC_ACTIVE_CONNECTIONS,
                         config->connections(config->connections_ctx));
    }
    tars_metrics_set(config->metrics, TARS_METRIC_LOG_DROPPED,
                     (double)tars_log_dropped(config->log));
    tars_buf_clear(&ex->out);
    tars_metrics_write(config->metrics, &ex->out);
    if (ex->out.status != TARS_OK) {
        tars_exchange_broken(ex, "the exposition did not fit");
        return;
    }
    tars_exchange_send_bytes(ex, 200, "text/plain; version=0.0.4; charset=utf-8", ex->out.ptr,
                             ex->out.len);
}
