/* api - see api.h for the contract. */
#include "api/api.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/api_internal.h"
#include "base/crypto/digest.h"

#define UPLOAD_DEFAULT     ((size_t)50 << 20)
#define TIMEOUT_DEFAULT_MS INT64_C(300000)
#define CALL_ARENA_MAX     ((size_t)256 << 20)
#define OWNER_HEADER       "x-tars-owner"

/* ------------------------------------------------------------------------------------ life cycle
 */

tars_status tars_api_new(const struct tars_api_config *config, struct tars_api **api,
                         struct tars_err *err)
{
    struct tars_api *made = calloc(1, sizeof(*made));

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the API");
    made->config = *config;
    if (!config->collection_name || !config->collection_name[0])
        made->config.collection_name = "tars_documents";
    if (!config->max_upload_bytes)
        made->config.max_upload_bytes = UPLOAD_DEFAULT;
    if (!config->query_timeout_ms)
        made->config.query_timeout_ms = TIMEOUT_DEFAULT_MS;
    if (!config->default_top_k)
        made->config.default_top_k = 5;
    if (!config->environment)
        made->config.environment = "";
    made->started_us = tars_clock_wall_us();
    made->started_ms = tars_clock_mono_ms();
    *api = made;
    return TARS_OK;
}

void tars_api_free(struct tars_api *api)
{
    free(api);
}

const char *tars_taken_text(enum tars_taken_outcome outcome)
{
    switch (outcome) {
#define X(name, value, text) \
    case name:               \
        return text;
        TARS_TAKEN_LIST(X)
#undef X
    }
    return "failed";
}

/* ----------------------------------------------------------------------------------------- shared
 */

static const char *method_name(enum tars_http_method method)
{
    static const char *const names[] = {"OTHER",
#define X(name) #name,
                                        TARS_HTTP_METHOD_LIST(X)
#undef X
    };

    return names[method];
}

void tars_api_record(const struct tars_exchange *ex, int status)
{
    const struct tars_api_config *config = &ex->api->config;
    const char *endpoint = ex->route ? ex->route->path : "unmatched";
    const char *method = method_name(ex->method);
    double seconds = tars_exchange_elapsed_ms(ex) / 1000;
    char code[4] = "000";

    code[0] = (char)('0' + status / 100 % 10);
    code[1] = (char)('0' + status / 10 % 10);
    code[2] = (char)('0' + status % 10);
    tars_series_add(
        tars_metrics_series(config->metrics, TARS_METRIC_HTTP_REQUESTS, method, endpoint, code), 1);
    tars_series_observe(
        tars_metrics_series(config->metrics, TARS_METRIC_HTTP_DURATION, method, endpoint), seconds);
    if (status >= 500)
        tars_metrics_add(config->metrics, TARS_METRIC_ERRORS, 1);
    tars_log_write(config->log, TARS_LOG_DEBUG, "api", ex->call.request_id, "%s %s %d %.1f ms",
                   method, endpoint, status, seconds * 1000);
}

static int http_status(tars_status status)
{
    switch (status) {
    case TARS_EINVAL:
    case TARS_EFORMAT:
        return 400;
    case TARS_EDENIED:
        return 403;
    case TARS_ENOTFOUND:
        return 404;
    case TARS_EEXIST:
    case TARS_EMISMATCH:
        return 409;
    case TARS_ETOOBIG:
        return 413;
    case TARS_EUNSUPPORTED:
        return 415;
    case TARS_EAGAIN:
    case TARS_EBUSY:
    case TARS_EUNAVAILABLE:
        return 503;
    case TARS_ETIMEOUT:
        return 504;
    default:
        return 500;
    }
}

void tars_api_reply_status(struct tars_exchange *ex, tars_status status, const struct tars_err *err)
{
    const char *words = err && err->text[0] ? err->text : tars_status_text(status);
    int code = http_status(status);

    if (status == TARS_ECANCELED) {
        struct tars_buf out = ex->out;

        ex->ops->abort(ex->ops_ctx);
        tars_buf_release(&out);
    } else if (code == 404) {
        tars_exchange_not_found(ex, words);
    } else if (code == 500) {
        tars_exchange_broken(ex, words);
    } else {
        tars_exchange_fail(ex, code, words);
    }
}

void tars_api_write_time(struct tars_json *json, const char *key, int64_t wall_us)
{
    char text[TARS_ISO8601_BYTES];

    tars_clock_iso8601(wall_us, text);
    tars_json_text(json, key, wall_us ? text : NULL);
}

/* ------------------------------------------------------------------------------------------- HTTP
 */

static void http_send(void *ctx, int status, const struct tars_http_header *headers, size_t count,
                      const char *ptr, size_t len)
{
    tars_http_reply_send(ctx, status, headers, count, ptr, len);
}

static tars_status http_start(void *ctx, int status, const struct tars_http_header *headers,
                              size_t count)
{
    return tars_http_reply_start(ctx, status, headers, count);
}

static tars_status http_write(void *ctx, const char *ptr, size_t len)
{
    return tars_http_reply_write(ctx, ptr, len);
}

static void http_end(void *ctx)
{
    tars_http_reply_end(ctx);
}

static void http_abort(void *ctx)
{
    tars_http_reply_abort(ctx);
}

static const struct tars_reply_ops http_ops = {http_send, http_start, http_write, http_end,
                                               http_abort};

static void on_gone(void *ctx)
{
    struct tars_call *call = ctx;

    atomic_store(&call->cancelled, true);
}

static void run_task(void *ctx)
{
    struct tars_exchange *ex = ctx;

    ex->route->run(ex);
}

/* True when origin is one of the list, which commas join. */
static bool is_listed(const char *list, struct tars_span origin)
{
    while (list && *list) {
        size_t len;

        list += strspn(list, ", ");
        len = strcspn(list, ", ");
        if (len > 0 && tars_span_equal(tars_span(list, len), origin))
            return true;
        list += len;
    }
    return false;
}

/* The name of "name:port" or "[::1]:port". */
static struct tars_span name_of(struct tars_span host)
{
    const char *end = memrchr(host.ptr, host.len && host.ptr[0] == '[' ? ']' : ':', host.len);

    if (!end)
        return host;
    return tars_span(host.ptr, (size_t)(end - host.ptr) + (*end == ']'));
}

static bool is_same_name(struct tars_span a, struct tars_span b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

/* True when name is that of a page that may use this server. */
static bool is_listed_name(const char *list, struct tars_span name)
{
    while (list && *list) {
        size_t len = strcspn(list, ", ");
        const char *slashes = memmem(list, len, "://", 3);
        const char *at = slashes ? slashes + 3 : list;

        if (is_same_name(name_of(tars_span(at, (size_t)(list + len - at))), name))
            return true;
        list += len;
        list += strspn(list, ", ");
    }
    return false;
}

/* "localhost", or below it. */
static bool is_localhost(struct tars_span name)
{
    static const char local[] = "localhost";
    size_t len = sizeof(local) - 1;

    return name.len >= len &&
           is_same_name(tars_span(name.ptr + name.len - len, len), tars_span(local, len)) &&
           (name.len == len || name.ptr[name.len - len - 1] == '.');
}

static bool is_address(struct tars_span name)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;

    if (name.len == 0 || name.len >= sizeof(text))
        return false;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1;
}

/* True for the names that only this machine goes by. A page of a strange site that has its own name
 * resolve to this machine (DNS rebinding) would otherwise be of the same site as this server, and
 * could read everything; an address cannot be rebound. Without a name it is no browser. */
static bool is_own_name(const struct tars_exchange *ex, struct tars_span host)
{
    struct tars_span name;

    if (host.len == 0 || host.ptr[0] == '[')
        return true;
    name = name_of(host);
    return is_localhost(name) || is_address(name) ||
           is_listed_name(ex->api->config.cors_origins, name);
}

/* "http://localhost:8000" comes from the page that Host: localhost:8000 has served. */
static bool is_same_site(struct tars_span origin, struct tars_span host)
{
    const char *slashes = memmem(origin.ptr, origin.len, "://", 3);
    size_t skip = slashes ? (size_t)(slashes - origin.ptr) + 3 : 0;

    return slashes && tars_span_equal(tars_span(origin.ptr + skip, origin.len - skip), host);
}

static const char *text_of(struct tars_exchange *ex, struct tars_span span)
{
    const char *text = tars_arena_strndup(ex->call.arena, span.ptr, span.len);

    return text ? text : "";
}

/* CORS as in the contract (section 8). True when the request is answered already. A page of a
 * strange site may not make this server change anything: its browser would send it the bytes of a
 * form without asking first. */
static bool handle_origin(struct tars_exchange *ex, const struct tars_http_request *request,
                          struct tars_http_reply *reply)
{
    struct tars_span origin;
    struct tars_span wanted;
    bool listed;

    if (!tars_http_request_header(request, "origin", &origin))
        return false;
    listed = is_listed(ex->api->config.cors_origins, origin);
    tars_http_reply_add_header(reply, "vary", "Origin");
    if (listed) {
        tars_http_reply_add_header(reply, "access-control-allow-origin", text_of(ex, origin));
        tars_http_reply_add_header(reply, "access-control-allow-credentials", "true");
    }
    if (ex->method == TARS_HTTP_OPTIONS &&
        tars_http_request_header(request, "access-control-request-method", &wanted)) {
        const char *words = listed ? "OK" : "Disallowed CORS origin";

        tars_http_reply_add_header(reply, "access-control-allow-methods",
                                   "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
        tars_http_reply_add_header(reply, "access-control-max-age", "600");
        if (tars_http_request_header(request, "access-control-request-headers", &wanted))
            tars_http_reply_add_header(reply, "access-control-allow-headers", text_of(ex, wanted));
        tars_exchange_send_bytes(ex, listed ? 200 : 400, "text/plain; charset=utf-8", words,
                                 strlen(words));
        return true;
    }
    if (!listed && ex->method != TARS_HTTP_GET && ex->method != TARS_HTTP_HEAD &&
        !is_same_site(origin, ex->host)) {
        tars_exchange_fail(ex, 403, "Disallowed CORS origin");
        return true;
    }
    return false;
}

/* The time this takes does not depend on where the texts differ. */
static bool same_secret(struct tars_span given, const char *secret)
{
    size_t len = strlen(secret);
    unsigned char difference = given.len != len;

    for (size_t i = 0; i < given.len && i < len; i++)
        difference |= (unsigned char)(given.ptr[i] ^ secret[i]);
    return difference == 0;
}

static struct tars_span header(const struct tars_http_request *request, const char *name)
{
    struct tars_span value = {NULL, 0};

    (void)tars_http_request_header(request, name, &value);
    return value;
}

static struct tars_pool *pool_of(const struct tars_api_config *config, enum tars_route_place place)
{
    switch (place) {
    case TARS_ROUTE_COMPUTE:
        return config->compute;
    case TARS_ROUTE_ANSWER:
        return config->answer;
    case TARS_ROUTE_WAIT:
        return config->wait;
    case TARS_ROUTE_INLINE:
        break;
    }
    return NULL;
}

static void dispatch(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_pool *pool = NULL;

    if (tars_routes_match(ex) == TARS_ROUTE_FOUND)
        pool = pool_of(config, ex->route->place);
    if (!pool) {
        tars_routes_run(ex);
    } else if (tars_pool_submit(pool, run_task, ex) != TARS_OK) {
        tars_exchange_fail(ex, 503, "Too many requests are waiting; try again in a moment");
    }
}

void tars_api_handle(void *ctx, const struct tars_http_request *request,
                     struct tars_http_reply *reply)
{
    static const char busy[] = "{\"detail\":\"Out of memory; try again in a moment\"}";
    const struct tars_api *api = ctx;
    struct tars_exchange *ex = tars_arena_calloc(request->arena, 1, sizeof(*ex));
    const char *token = api->config.owner_token;

    if (!ex) {
        tars_http_reply_send_text(reply, 503, "application/json", busy, sizeof(busy) - 1);
        return;
    }
    tars_exchange_init(ex, request->arena);
    ex->api = api;
    ex->method = request->method;
    ex->path = request->path;
    ex->query = request->query;
    ex->body = request->body;
    ex->content_type = header(request, "content-type");
    ex->accept = header(request, "accept");
    ex->host = header(request, "host");
    ex->is_owner = token && token[0] && same_secret(header(request, OWNER_HEADER), token);
    ex->ops = &http_ops;
    ex->ops_ctx = reply;
    tars_http_reply_on_gone(reply, on_gone, &ex->call);
    if (!is_own_name(ex, ex->host)) {
        tars_exchange_fail(ex, 421,
                           "This server does not go by the name in the Host header; use localhost, "
                           "or add its origin to ALLOWED_ORIGINS");
    } else if (!handle_origin(ex, request, reply)) {
        dispatch(ex);
    }
}

/* ------------------------------------------------------------------------------------- in process
 */

struct local {
    tars_api_bytes_fn *bytes;
    void *ctx;
    int status;
    bool stopped;
};

static tars_status local_write(void *ctx, const char *ptr, size_t len)
{
    struct local *local = ctx;

    if (!local->stopped && len > 0)
        local->stopped = !local->bytes(local->ctx, local->status, ptr, len);
    return local->stopped ? TARS_ECANCELED : TARS_OK;
}

static tars_status local_start(void *ctx, int status, const struct tars_http_header *headers,
                               size_t count)
{
    struct local *local = ctx;

    (void)headers; /* nobody in this process asks for them */
    (void)count;
    local->status = status;
    return TARS_OK;
}

static void local_send(void *ctx, int status, const struct tars_http_header *headers, size_t count,
                       const char *ptr, size_t len)
{
    struct local *local = ctx;

    (void)headers;
    (void)count;
    local->status = status;
    (void)local_write(local, ptr, len);
}

static void local_end(void *ctx)
{
}

static void local_abort(void *ctx)
{
    struct local *local = ctx;

    local->stopped = true;
}

static const struct tars_reply_ops local_ops = {local_send, local_start, local_write, local_end,
                                                local_abort};

tars_status tars_api_call(struct tars_api *api, const struct tars_api_request *request,
                          tars_api_bytes_fn *bytes, void *ctx, int *status, struct tars_err *err)
{
    struct local local = {.bytes = bytes, .ctx = ctx};
    struct tars_exchange ex = {0};
    struct tars_arena arena;

    tars_arena_init(&arena, CALL_ARENA_MAX);
    tars_exchange_init(&ex, &arena);
    ex.api = api;
    ex.method = request->method;
    ex.path = tars_span_of(request->path);
    ex.query = tars_span_of(request->query);
    ex.body = request->body;
    ex.is_owner = true;
    ex.ops = &local_ops;
    ex.ops_ctx = &local;
    if (request->begin)
        request->begin(request->begin_ctx, &ex.call.cancelled);
    tars_routes_run(&ex);
    if (request->begin)
        request->begin(request->begin_ctx, NULL);
    tars_arena_release(&arena);
    if (local.stopped)
        return tars_fail(TARS_ECANCELED, err, "stopped");
    *status = local.status;
    return TARS_OK;
}
