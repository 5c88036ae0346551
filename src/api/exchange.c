/* exchange - see exchange.h for the contract. */
#include "api/exchange.h"

#include <string.h>

#include "api/api_internal.h"
#include "api/record.h"
#include "api/traced.h"
#include "base/crypto/digest.h"
#include "base/sys/clock.h"

#define JSON_TYPE "application/json"
#define LINE_MAX_ ((size_t)4 << 20) /* bytes kept for a line under way */
#define HEADERS   20

void tars_exchange_init(struct tars_exchange *ex, struct tars_arena *arena)
{
    ex->call.arena = arena;
    ex->call.client_id = "anonymous";
    atomic_init(&ex->call.cancelled, false);
    if (ex->api) {
        tars_api_new_id(ex->api, ex->call.request_id);
    } else if (tars_random_hex(ex->call.request_id, TARS_API_ID_BYTES) != TARS_OK) {
        memcpy(ex->call.request_id, "0", 2);
    }
    tars_traced_init(&ex->call);
    ex->started_ns = tars_clock_mono_ns();
    tars_buf_init(&ex->out, TARS_REPLY_MAX);
    tars_json_init(&ex->json, &ex->out);
}

void tars_exchange_use_id(struct tars_exchange *ex, struct tars_span id)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    if (id.len == 0 || id.len >= TARS_REQUEST_ID_BYTES)
        return;
    for (size_t i = 0; i < id.len; i++) {
        if (!memchr(allowed, id.ptr[i], sizeof(allowed) - 1))
            return;
    }
    memcpy(ex->call.request_id, id.ptr, id.len);
    ex->call.request_id[id.len] = '\0';
}

double tars_exchange_elapsed_ms(const struct tars_exchange *ex)
{
    return (double)(tars_clock_mono_ns() - ex->started_ns) / 1e6;
}

void tars_exchange_time(struct tars_exchange *ex, const char *key)
{
    char text[TARS_ISO8601_BYTES];

    tars_clock_iso8601(tars_clock_wall_us(), text);
    tars_json_text(&ex->json, key, text);
}

/* ------------------------------------------------------------------ headers */

struct headers {
    struct tars_http_header list[HEADERS];
    size_t count;
};

static void add(struct headers *headers, const char *name, const char *value)
{
    if (value && headers->count < HEADERS) {
        headers->list[headers->count++] =
            (struct tars_http_header){tars_span_of(name), tars_span_of(value)};
    }
}

/* Pages of ours may load only what this server gives them; API replies carry the contract's policy.
 */
#define PAGE_POLICY                                                                   \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " \
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
#define API_POLICY                                                                           \
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' " \
    "'unsafe-inline'; img-src 'self' data: https:; font-src 'self' data:; connect-src "      \
    "'self' ws: wss: https:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"

/* The lines that are the same in every reply. */
#define FIXED_LINES(policy)                                            \
    "content-security-policy: " policy "\r\n"                          \
    "x-frame-options: DENY\r\n"                                        \
    "x-content-type-options: nosniff\r\n"                              \
    "x-xss-protection: 1; mode=block\r\n"                              \
    "referrer-policy: strict-origin-when-cross-origin\r\n"             \
    "permissions-policy: geolocation=(), microphone=(), camera=()\r\n" \
    "tars-api-version: " TARS_API_VERSION "\r\n"

static void add_fixed(struct headers *headers, const char *content_type)
{
    static const char page[] = FIXED_LINES(PAGE_POLICY);
    static const char api[] = FIXED_LINES(API_POLICY);
    bool is_page = strncmp(content_type, "text/html", 9) == 0;

    headers->list[headers->count++] = (struct tars_http_header){
        {NULL, 0}, is_page ? tars_span(page, sizeof(page) - 1) : tars_span(api, sizeof(api) - 1)};
}

static void fill_headers(const struct tars_exchange *ex, struct headers *headers, int status,
                         const char *content_type)
{
    headers->count = 0;
    add(headers, "content-type", content_type);
    add_fixed(headers, content_type);
    add(headers, "strict-transport-security",
        ex->is_https ? "max-age=31536000; includeSubDomains" : NULL);
    add(headers, "x-request-id", ex->call.request_id);
    add(headers, "www-authenticate", status == 401 ? "Bearer" : NULL);
    add(headers, "retry-after", ex->retry_after);
    add(headers, "x-ratelimit-limit", ex->rate_limit);
    add(headers, "x-ratelimit-remaining", ex->rate_remaining);
    add(headers, "cache-control", ex->is_secret ? "no-store" : NULL);
    add(headers, "allow", ex->allow);
    add(headers, "location", ex->location);
    add(headers, "sec-websocket-version", ex->wants_upgrade ? "13" : NULL);
    add(headers, "set-cookie", ex->set_cookies[0]);
    add(headers, "set-cookie", ex->set_cookies[1]);
}

/* ------------------------------------------------------------ whole replies */

void tars_exchange_json(struct tars_exchange *ex)
{
    tars_buf_clear(&ex->out);
    tars_json_init(&ex->json, &ex->out);
    tars_json_object(&ex->json, NULL);
}

void tars_exchange_json_list(struct tars_exchange *ex)
{
    tars_buf_clear(&ex->out);
    tars_json_init(&ex->json, &ex->out);
    tars_json_array(&ex->json, NULL);
}

void tars_exchange_send_bytes(struct tars_exchange *ex, int status, const char *content_type,
                              const char *ptr, size_t len)
{
    struct tars_buf out = ex->out; /* outlives the exchange, which send() gives back */
    struct headers headers;

    fill_headers(ex, &headers, status, content_type);
    tars_api_record(ex, status);
    ex->ops->send(ex->ops_ctx, status, headers.list, headers.count, ptr, len);
    tars_buf_release(&out);
}

void tars_exchange_send(struct tars_exchange *ex, int status)
{
    static const char sorry[] = "{\"error\":\"Internal Server Error\",\"message\":\"An unexpected "
                                "error occurred\",\"service\":\"" TARS_SERVICE_NAME
                                "\",\"version\":\"" TARS_SERVICE_VERSION "\"}";

    while (ex->json.depth > 0)
        tars_json_end(&ex->json);
    if (ex->out.status == TARS_OK) {
        tars_exchange_send_bytes(ex, status, JSON_TYPE, ex->out.ptr, ex->out.len);
    } else {
        tars_exchange_send_bytes(ex, 500, JSON_TYPE, sorry, sizeof(sorry) - 1);
    }
}

/* ------------------------------------------------------------------ streams */

tars_status tars_exchange_start(struct tars_exchange *ex, const char *content_type)
{
    struct headers headers;

    fill_headers(ex, &headers, 200, content_type);
    if (!ex->is_secret)
        add(&headers, "cache-control", "no-store");
    return ex->ops->start(ex->ops_ctx, 200, headers.list, headers.count);
}

void tars_exchange_line(struct tars_exchange *ex)
{
    tars_exchange_json(ex);
    /* The opening brace came in compact form; spacing begins with the first item. */
    ex->json.spaced = true;
    ex->json.ascii = true;
}

tars_status tars_exchange_flush(struct tars_exchange *ex)
{
    while (ex->json.depth > 0)
        tars_json_end(&ex->json);
    tars_buf_append_char(&ex->out, '\n');
    if (ex->out.status != TARS_OK)
        return ex->out.status;
    return ex->ops->write(ex->ops_ctx, ex->out.ptr, ex->out.len);
}

void tars_exchange_end(struct tars_exchange *ex)
{
    struct tars_buf out = ex->out;

    tars_api_record(ex, 200);
    ex->ops->end(ex->ops_ctx);
    tars_buf_release(&out);
}

/* ---------------------------------------------------------------- WebSocket */

tars_status tars_exchange_upgrade(struct tars_exchange *ex, const struct tars_ws_config *config,
                                  const struct tars_ws_handler *handler, void *handler_ctx,
                                  struct tars_ws **ws)
{
    struct tars_buf out = ex->out;
    tars_status status;

    if (!ex->ops->upgrade) {
        tars_exchange_fail(ex, 426, "Upgrade Required");
        return TARS_EUNSUPPORTED;
    }
    tars_api_record(ex, 101);
    status = ex->ops->upgrade(ex->ops_ctx, config, handler, handler_ctx, ws);
    tars_buf_release(&out);
    return status;
}

/* ------------------------------------------------------------------- errors */

void tars_exchange_fail(struct tars_exchange *ex, int status, const char *detail)
{
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "detail", detail);
    tars_json_text(&ex->json, "request_id", ex->call.request_id);
    tars_exchange_send(ex, status);
}

void tars_exchange_not_found(struct tars_exchange *ex, const char *detail)
{
    struct tars_buf message;

    tars_buf_init(&message, 65536);
    tars_buf_append_text(&message, "The requested endpoint ");
    tars_buf_append(&message, ex->path.ptr, ex->path.len);
    tars_buf_append_text(&message, " was not found");
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "error", "Not Found");
    tars_json_text(&ex->json, "message", message.status == TARS_OK ? message.ptr : "Not found");
    tars_json_text(&ex->json, "service", TARS_SERVICE_NAME);
    tars_json_text(&ex->json, "version", TARS_SERVICE_VERSION);
    if (detail)
        tars_json_text(&ex->json, "detail", detail);
    tars_json_text(&ex->json, "request_id", ex->call.request_id);
    tars_buf_release(&message);
    tars_exchange_send(ex, 404);
}

void tars_exchange_invalid(struct tars_exchange *ex, struct tars_span detail)
{
    tars_exchange_json(ex);
    tars_json_raw(&ex->json, "detail", detail.ptr, detail.len);
    tars_json_text(&ex->json, "request_id", ex->call.request_id);
    tars_exchange_send(ex, 422);
}

void tars_exchange_broken(struct tars_exchange *ex, const char *reason)
{
    tars_log_call(ex->api->config.log, TARS_LOG_ERROR, "api", &ex->call, "%s: %s",
                  ex->route ? ex->route->path : "request", reason);
    /* Questions have told of their failure already (api/record.h). */
    if (!ex->route || ex->route->place != TARS_ROUTE_ANSWER) {
        tars_record_error(ex->api, &ex->call, "INTERNAL", ex->route ? ex->route->path : "request",
                          reason);
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "error", "Internal Server Error");
    tars_json_text(&ex->json, "message", "An unexpected error occurred");
    tars_json_text(&ex->json, "service", TARS_SERVICE_NAME);
    tars_json_text(&ex->json, "version", TARS_SERVICE_VERSION);
    tars_json_text(&ex->json, "request_id", ex->call.request_id);
    tars_exchange_send(ex, 500);
}
