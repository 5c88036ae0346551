/* origin - see origin.h for the contract. */
#include "api/origin.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "api/api_internal.h"

#define HOST_MAX        256
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]_"

/* -------------------------------------------------------------------- names */

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

/* True when name is in the list: names, or origins that have one. */
static bool is_listed_name(const char *list, struct tars_span name)
{
    while (list && *list) {
        size_t len = strcspn(list, ", ");
        const char *slashes = memmem(list, len, "://", 3);
        const char *at = slashes ? slashes + 3 : list;

        if (len > 0 && is_same_name(name_of(tars_span(at, (size_t)(list + len - at))), name))
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

/* An address cannot be rebound; without a name it is no browser. */
static bool is_own_name(const struct tars_live_texts *live, struct tars_span host)
{
    struct tars_span name;

    if (host.len == 0 || host.ptr[0] == '[')
        return true;
    name = name_of(host);
    return is_localhost(name) || is_address(name) || is_listed_name(live->hosts, name) ||
           is_listed_name(live->cors_origins, name);
}

/* -------------------------------------------------------------------- pages */

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

static void answer_preflight(struct tars_exchange *ex, const struct tars_http_request *request,
                             struct tars_http_reply *reply, bool listed)
{
    const char *words = listed ? "OK" : "Disallowed CORS origin";
    struct tars_span wanted;

    tars_http_reply_add_header(reply, "access-control-allow-methods",
                               "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    tars_http_reply_add_header(reply, "access-control-max-age", "600");
    if (tars_http_request_header(request, "access-control-request-headers", &wanted))
        tars_http_reply_add_header(reply, "access-control-allow-headers", text_of(ex, wanted));
    tars_exchange_send_bytes(ex, listed ? 200 : 400, "text/plain; charset=utf-8", words,
                             strlen(words));
}

static bool answers_page(struct tars_exchange *ex, const struct tars_http_request *request,
                         struct tars_http_reply *reply)
{
    const struct tars_live_texts *live;
    struct tars_span origin;
    struct tars_span wanted;
    bool listed;

    if (!tars_http_request_header(request, "origin", &origin))
        return false;
    live = tars_live_take(ex->api->live);
    listed = is_listed(live->cors_origins, origin);
    tars_live_give(live);
    tars_http_reply_add_header(reply, "vary", "Origin");
    if (listed) {
        tars_http_reply_add_header(reply, "access-control-allow-origin", text_of(ex, origin));
        tars_http_reply_add_header(reply, "access-control-allow-credentials", "true");
    }
    if (ex->method == TARS_HTTP_OPTIONS &&
        tars_http_request_header(request, "access-control-request-method", &wanted)) {
        answer_preflight(ex, request, reply, listed);
        return true;
    }
    if (!listed && ex->method != TARS_HTTP_GET && ex->method != TARS_HTTP_HEAD &&
        !is_same_site(origin, ex->host)) {
        tars_exchange_fail(ex, 403, "Disallowed CORS origin");
        return true;
    }
    return false;
}

/* ---------------------------------------------------------------------- TLS */

static bool begins_with(struct tars_span text, const char *start)
{
    size_t len = strlen(start);

    return text.len >= len && strncasecmp(text.ptr, start, len) == 0;
}

/* Nothing that could end the name within a URL. */
static bool is_plain_name(struct tars_span host)
{
    static const char allowed[] = NAME_CHARACTERS;

    for (size_t i = 0; i < host.len; i++) {
        if (!memchr(allowed, host.ptr[i], sizeof(allowed) - 1))
            return false;
    }
    return host.len > 0 && host.len < HOST_MAX;
}

static void insist_on_https(struct tars_exchange *ex, const struct tars_http_request *request)
{
    bool reads = ex->method == TARS_HTTP_GET || ex->method == TARS_HTTP_HEAD;

    if (reads && is_plain_name(ex->host)) {
        ex->location =
            tars_arena_printf(ex->call.arena, "https://%.*s%.*s", (int)ex->host.len, ex->host.ptr,
                              (int)request->target.len, request->target.ptr);
    }
    if (ex->location) {
        tars_exchange_send_bytes(ex, 301, "text/plain; charset=utf-8", "", 0);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "error", "HTTPS Required");
    tars_json_text(&ex->json, "message", "This server is used over HTTPS only");
    tars_json_text(&ex->json, "request_id", ex->call.request_id);
    tars_exchange_send(ex, 403);
}

bool tars_origin_is_strange(struct tars_exchange *ex)
{
    const struct tars_live_texts *live;
    bool is_own;

    if (!ex->api->config.checks_hosts)
        return false;
    live = tars_live_take(ex->api->live);
    is_own = is_own_name(live, ex->host);
    tars_live_give(live);
    if (is_own)
        return false;
    tars_exchange_fail(ex, 421,
                       "This server does not go by the name in the Host header; use localhost, "
                       "or add the name to TARS_HOSTS");
    return true;
}

bool tars_origin_answers(struct tars_exchange *ex, const struct tars_http_request *request,
                         struct tars_http_reply *reply)
{
    const struct tars_api_config *config = &ex->api->config;

    if (tars_origin_is_strange(ex))
        return true;
    if (config->https_only && !ex->is_https && !ex->is_owner &&
        !begins_with(ex->host, "localhost") && !begins_with(ex->host, "127.0.0.1")) {
        insist_on_https(ex, request);
        return true;
    }
    return answers_page(ex, request, reply);
}
