/* route_root - what the service is, whether it lives, whether it is ready. */
#include <string.h>

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

void tars_api_name_service(struct tars_exchange *ex)
{
    tars_json_text(&ex->json, "service", TARS_SERVICE_NAME);
    tars_json_text(&ex->json, "version", TARS_SERVICE_VERSION);
}

void tars_route_health(struct tars_exchange *ex)
{
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "healthy");
    tars_api_name_service(ex);
    tars_exchange_time(ex, "timestamp");
    tars_exchange_send(ex, 200);
}

int64_t tars_api_uptime_seconds(const struct tars_exchange *ex)
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

bool tars_api_is_well(const struct tars_exchange *ex, const char *part)
{
    return tars_health_check(ex->api->config.health, part, NULL) == TARS_OK;
}

void tars_route_ready(struct tars_exchange *ex)
{
    const struct tars_health *health = ex->api->config.health;
    bool well[CHECKS];
    bool is_ready = true;

    for (size_t i = 0; i < CHECKS; i++) {
        well[i] = tars_api_is_well(ex, checks[i].part);
        is_ready = is_ready && well[i];
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", is_ready ? "ready" : "degraded");
    tars_api_name_service(ex);
    tars_json_int(&ex->json, "uptime_seconds", tars_api_uptime_seconds(ex));
    tars_exchange_time(ex, "timestamp");
    tars_json_object(&ex->json, "checks");
    for (size_t i = 0; i < CHECKS; i++)
        tars_json_text(&ex->json, checks[i].contract, well[i] ? "healthy" : "unhealthy");
    tars_json_text(&ex->json, "nas_watcher",
                   tars_api_is_well(ex, "watcher") ? "enabled" : "disabled");
    tars_json_text(&ex->json, "redis_cache", "disabled");
    tars_json_text(&ex->json, "postgres", "disabled");
    tars_json_end(&ex->json);
    tars_json_array(&ex->json, "degraded");
    for (size_t i = 0; i < health->count; i++) {
        if (!tars_api_is_well(ex, health->parts[i].name))
            tars_json_text(&ex->json, NULL, health->parts[i].name);
    }
    tars_exchange_send(ex, 200);
}
