/* tally - what is counted and logged of each reply, and the ids of requests.
 *
 * The series of a route's usual reply (its own method, 200) are kept here once they are found, so
 * that they need not be looked for. They are never freed before the registry, which outlives the
 * api.
 *
 * Ids are the hash of a counter under a random seed: unique, not to be guessed, and without asking
 * the system for each.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "api/traced.h"
#include "base/crypto/digest.h"
#include "base/crypto/siphash.h"
#include "base/sys/clock.h"

struct usual {
    _Atomic(struct tars_series *) requests, duration; /* NULL: not found yet */
    _Atomic(struct tars_series *) reply;              /* NULL of routes that search nothing, too */
};

struct tars_tally {
    unsigned char seed[TARS_SIPHASH_SEED_BYTES];
    atomic_uint_fast64_t ids; /* given out */
    struct usual usual[];     /* a route each */
};

tars_status tars_tally_new(struct tars_tally **tally)
{
    size_t count;
    struct tars_tally *made;
    tars_status status;

    (void)tars_routes(&count);
    made = calloc(1, sizeof(*made) + count * sizeof(struct usual));
    if (!made)
        return TARS_ENOMEM;
    status = tars_random_bytes(made->seed, sizeof(made->seed));
    if (status != TARS_OK) {
        free(made);
        return status;
    }
    *tally = made;
    return TARS_OK;
}

void tars_tally_free(struct tars_tally *tally)
{
    free(tally);
}

static char *put_hex(char *to, uint64_t value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        *to++ = "0123456789abcdef"[value >> (unsigned)shift & 15U];
    return to;
}

void tars_api_new_id(const struct tars_api *api, char *id)
{
    struct tars_tally *tally = api->tally;
    uint64_t number = 2 * atomic_fetch_add_explicit(&tally->ids, 1, memory_order_relaxed);

    id = put_hex(id, tars_siphash(tally->seed, &number, sizeof(number)));
    number++;
    id = put_hex(id, tars_siphash(tally->seed, &number, sizeof(number)));
    *id = '\0';
}

const char *tars_api_method_name(enum tars_http_method method)
{
    static const char *const names[] = {"OTHER",
#define X(name) #name,
                                        TARS_HTTP_METHOD_LIST(X)
#undef X
    };

    return names[method];
}

static struct tars_series *requests_of(const struct tars_exchange *ex, const char *endpoint,
                                       int status)
{
    char code[4] = "000";

    code[0] = (char)('0' + status / 100 % 10);
    code[1] = (char)('0' + status / 10 % 10);
    code[2] = (char)('0' + status % 10);
    return tars_metrics_series(ex->api->config.metrics, TARS_METRIC_HTTP_REQUESTS,
                               tars_api_method_name(ex->method), endpoint, code);
}

static struct tars_series *duration_of(const struct tars_exchange *ex, const char *endpoint)
{
    return tars_metrics_series(ex->api->config.metrics, TARS_METRIC_HTTP_DURATION,
                               tars_api_method_name(ex->method), endpoint);
}

/* The finer series of routes that search; NULL for others. */
static struct tars_series *reply_of(const struct tars_exchange *ex, const char *endpoint)
{
    static const char *const searching[] = {"/rag/search", "/rag/query", "/rag/query/stream"};

    for (size_t i = 0; i < sizeof(searching) / sizeof(searching[0]); i++) {
        if (strcmp(endpoint, searching[i]) == 0) {
            return tars_metrics_series(ex->api->config.metrics, TARS_METRIC_RAG_REPLY_DURATION,
                                       endpoint);
        }
    }
    return NULL;
}

/* The series of the route's usual reply. */
static struct usual *usual_of(const struct tars_exchange *ex, int status)
{
    size_t count;
    struct usual *usual;

    if (!ex->route || status != 200 || ex->method != ex->route->method)
        return NULL;
    usual = &ex->api->tally->usual[ex->route - tars_routes(&count)];
    if (!atomic_load_explicit(&usual->duration, memory_order_acquire)) {
        atomic_store(&usual->requests, requests_of(ex, ex->route->path, status));
        atomic_store(&usual->reply, reply_of(ex, ex->route->path));
        atomic_store(&usual->duration, duration_of(ex, ex->route->path));
    }
    return usual;
}

void tars_api_count_rejected(const struct tars_api *api, const char *reason)
{
    tars_series_add(tars_metrics_series(api->config.metrics, TARS_METRIC_RAG_REJECTED, reason), 1);
}

/* Where the request went: the route's template, never what a stranger made up. */
static const char *endpoint_of(const struct tars_exchange *ex)
{
    const char *template = ex->route ? ex->route->path : tars_routes_template(ex->path);

    return template ? template : "unmatched";
}

void tars_api_refused(void *ctx, const struct tars_http_request *request, int status)
{
    const struct tars_api *api = ctx;
    struct tars_exchange ex = {.api = api, .method = TARS_HTTP_OTHER};

    if (request) {
        ex.method = request->method;
        ex.path = request->path;
    }
    tars_series_add(requests_of(&ex, endpoint_of(&ex), status), 1);
    if (status >= 500)
        tars_metrics_add(api->config.metrics, TARS_METRIC_ERRORS, 1);
    if (status == 413 || status == 414 || status == 431) {
        tars_api_count_rejected(api, "too_large");
    } else if (status == 503) {
        tars_api_count_rejected(api, "busy");
    }
}

static void observe_reply(void *series, int64_t began_ns)
{
    tars_series_observe(series, (double)(tars_clock_mono_ns() - began_ns) / 1e9);
}

/* Until the last bytes go to the socket: the asker waits, too, while a busy machine's loop thread
 * waits for a processor. What is counted of requests is counted at once. */
static void time_reply(struct tars_exchange *ex, struct tars_series *series)
{
    if (ex->ops->on_leaving) {
        ex->ops->on_leaving(ex->ops_ctx, observe_reply, series, ex->started_ns);
    } else {
        observe_reply(series, ex->started_ns);
    }
}

void tars_api_record(struct tars_exchange *ex, int status)
{
    const struct tars_api_config *config = &ex->api->config;
    const char *endpoint = endpoint_of(ex);
    struct usual *usual = usual_of(ex, status);
    struct tars_series *reply =
        usual ? atomic_load_explicit(&usual->reply, memory_order_relaxed) : NULL;
    double seconds = tars_exchange_elapsed_ms(ex) / 1000;

    tars_series_add(usual ? usual->requests : requests_of(ex, endpoint, status), 1);
    tars_series_observe_traced(usual ? usual->duration : duration_of(ex, endpoint), seconds,
                               ex->call.trace.id);
    if (reply)
        time_reply(ex, reply);
    if (status >= 500)
        tars_metrics_add(config->metrics, TARS_METRIC_ERRORS, 1);
    if (status == 413)
        tars_api_count_rejected(ex->api, "too_large");
    tars_log_call(config->log, TARS_LOG_DEBUG, "api", &ex->call, "%s %s %d %.1f ms",
                  tars_api_method_name(ex->method), endpoint, status, seconds * 1000);
    tars_traced_end(ex, status);
}
