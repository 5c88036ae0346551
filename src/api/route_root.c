/* route_root - what the service is, whether it lives, whether it is ready. */
#include <string.h>

#include "api/api_internal.h"
#include "api/words.h"
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

/* How each part of the registry is, asked once. */
struct states {
    const struct tars_health *health;
    bool well[TARS_HEALTH_PARTS_MAX]; /* (health->count,) */
};

bool tars_api_is_well(const struct tars_exchange *ex, const char *part)
{
    return tars_health_check(ex->api->config.health, part, NULL) == TARS_OK;
}

static void ask_all(const struct tars_exchange *ex, struct states *states)
{
    const struct tars_health *health = ex->api->config.health;

    states->health = health;
    tars_health_begin(health);
    for (size_t i = 0; i < health->count; i++)
        states->well[i] = tars_api_is_well(ex, health->parts[i].name);
}

/* -1: there is no such part. */
static int state_of(const struct states *states, const char *part)
{
    for (size_t i = 0; i < states->health->count; i++) {
        if (strcmp(states->health->parts[i].name, part) == 0)
            return states->well[i];
    }
    return -1;
}

static const char *connection(const struct states *states, const char *part)
{
    static const char *const words[] = {"disabled", "disconnected", "connected"};

    return words[state_of(states, part) + 1];
}

/* The vector store is where the passages are, and the server of the vectors where there is one. */
static bool is_well(const struct states *states, const struct check *check)
{
    return state_of(states, check->part) == 1 &&
           (strcmp(check->contract, "chromadb") != 0 || state_of(states, "vectors") != 0);
}

static bool is_ready(const struct states *states)
{
    bool ready = true;

    for (size_t i = 0; i < CHECKS; i++)
        ready = ready && is_well(states, &checks[i]);
    return ready;
}

static void write_checks(struct tars_json *json, const struct states *states)
{
    tars_json_object(json, "checks");
    for (size_t i = 0; i < CHECKS; i++) {
        tars_json_text(json, checks[i].contract,
                       is_well(states, &checks[i]) ? "healthy" : "unhealthy");
    }
    tars_json_text(json, "nas_watcher", state_of(states, "watcher") == 1 ? "enabled" : "disabled");
    tars_json_text(json, "redis_cache", connection(states, "redis"));
    tars_json_text(json, "postgres", connection(states, "postgres"));
    tars_json_end(json);
}

/* Why the store is away, in words; anybody may ask. */
static void write_reason(struct tars_exchange *ex)
{
    struct tars_err err = {{0}};

    if (tars_health_check(ex->api->config.health, "store", &err) != TARS_OK)
        tars_json_text(&ex->json, "reason", tars_words_told(err.text));
}

/* Always 200, as the contract has it, but while the server drains, or is one of several and cut off
 * from the store that they share: then 503, so that a balancer, which looks at nothing else, sends
 * no more. */
void tars_route_ready(struct tars_exchange *ex)
{
    bool drains = tars_api_is_draining(ex->api);
    struct states states = {0};
    bool is_cut_off;

    ask_all(ex, &states);
    is_cut_off = ex->api->config.needs_store && state_of(&states, "store") == 0;
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", is_ready(&states) && !drains ? "ready" : "degraded");
    tars_api_name_service(ex);
    tars_json_int(&ex->json, "uptime_seconds", tars_api_uptime_seconds(ex));
    tars_exchange_time(ex, "timestamp");
    write_checks(&ex->json, &states);
    tars_json_array(&ex->json, "degraded");
    if (drains)
        tars_json_text(&ex->json, NULL, "draining");
    for (size_t i = 0; i < states.health->count; i++) {
        if (!states.well[i])
            tars_json_text(&ex->json, NULL, states.health->parts[i].name);
    }
    tars_json_end(&ex->json);
    if (is_cut_off)
        write_reason(ex);
    tars_exchange_send(ex, drains || is_cut_off ? 503 : 200);
}
