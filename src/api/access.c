/* access - see access.h for the contract. */
#include "api/access.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "api/api_internal.h"
#include "auth/rate_limit.h"
#include "base/codec/url.h"

#define ADMIN_NEEDED "Admin privileges required for this operation"
#define TOO_OFTEN    "Too many requests; try again later"

/* -------------------------------------------------------------- credentials */

/* As the reference splits it: "Bearer x"; a scheme without anything behind it counts as nothing. */
static void read_header(struct tars_exchange *ex, struct tars_span value)
{
    static const char scheme[] = "bearer";
    const char *space = value.len ? memchr(value.ptr, ' ', value.len) : NULL;
    size_t len = space ? (size_t)(space - value.ptr) : value.len;
    struct tars_span rest = tars_span(value.ptr + len, value.len - len);

    while (rest.len > 0 && rest.ptr[0] == ' ')
        rest = tars_span(rest.ptr + 1, rest.len - 1);
    if (rest.len == 0)
        return;
    if (len == sizeof(scheme) - 1 && strncasecmp(value.ptr, scheme, len) == 0) {
        ex->credential = rest;
    } else {
        ex->has_other_scheme = true;
    }
}

static struct tars_span first_item(struct tars_span list)
{
    size_t len = 0;

    while (len < list.len && !strchr(", \t", list.ptr[len]))
        len++;
    return tars_span(list.ptr, len);
}

/* "bearer, <token>": for pages, which can set no header when they open a WebSocket. */
static void read_protocol(struct tars_exchange *ex, struct tars_span value)
{
    static const char name[] = "bearer";
    size_t len = sizeof(name) - 1;

    if (value.len < len || strncasecmp(value.ptr, name, len) != 0)
        return;
    value = tars_span(value.ptr + len, value.len - len);
    while (value.len > 0 && strchr(" \t", value.ptr[0]))
        value = tars_span(value.ptr + 1, value.len - 1);
    if (value.len == 0 || value.ptr[0] != ',')
        return;
    value = tars_span(value.ptr + 1, value.len - 1);
    while (value.len > 0 && strchr(" \t", value.ptr[0]))
        value = tars_span(value.ptr + 1, value.len - 1);
    ex->credential = first_item(value);
    ex->has_protocol = ex->credential.len > 0;
}

void tars_access_read(struct tars_exchange *ex, const struct tars_http_request *request)
{
    struct tars_span value;

    if (tars_http_request_header(request, "authorization", &value))
        read_header(ex, value);
    if (ex->credential.len == 0 &&
        tars_url_query_get(ex->call.arena, ex->query, "token", &value) == TARS_OK)
        ex->credential = value;
    if (ex->credential.len == 0 &&
        tars_http_request_header(request, "sec-websocket-protocol", &value))
        read_protocol(ex, value);
}

static void take_caller(struct tars_exchange *ex)
{
    ex->call.client_id = ex->caller.client_id;
    ex->call.tenant = ex->caller.tenant;
    ex->call.visible = &ex->caller.visible;
}

tars_status tars_access_own(struct tars_exchange *ex)
{
    tars_status status = tars_auth_owner(ex->api->config.auth, ex->call.arena, &ex->caller);

    if (status == TARS_OK)
        take_caller(ex);
    return status;
}

struct tars_actor tars_access_actor(const struct tars_exchange *ex)
{
    return (struct tars_actor){&ex->caller, ex->address, ex->call.request_id};
}

void tars_access_note(const struct tars_exchange *ex, const char *action, const char *object,
                      const char *detail, bool success)
{
    const struct tars_actor actor = tars_access_actor(ex);

    tars_directory_note(ex->api->config.auth, &actor, action, object, detail, success);
}

/* Set ex->caller; ex->refused says why a credential is not valid. */
static tars_status identify(struct tars_exchange *ex, bool may_block)
{
    struct tars_auth *auth = ex->api->config.auth;
    tars_status status;

    ex->refused = NULL;
    if (ex->is_owner)
        return tars_access_own(ex);
    if (ex->credential.len > 0) {
        const char *why = TARS_AUTH_INVALID;

        status =
            tars_auth_check(auth, ex->credential, may_block, ex->call.arena, &ex->caller, &why);
        if (status == TARS_OK)
            take_caller(ex);
        if (status != TARS_EDENIED)
            return status;
        ex->refused = why;
    }
    status = tars_auth_anonymous(auth, ex->call.arena, &ex->caller);
    if (status == TARS_OK)
        take_caller(ex);
    return status;
}

/* --------------------------------------------------------------------- rate */

static bool is_exempt(const struct tars_exchange *ex)
{
    static const char *const paths[] = {"/health", "/ready",        "/docs",
                                        "/redoc",  "/openapi.json", "/metrics/prometheus"};

    if (ex->is_owner)
        return true;
    for (size_t i = 0; ex->route && i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (strcmp(ex->route->path, paths[i]) == 0)
            return true;
    }
    return false;
}

void tars_access_refuse_often(struct tars_exchange *ex, int64_t retry_after_s, const char *message)
{
    ex->retry_after = tars_arena_printf(ex->call.arena, "%" PRId64, retry_after_s);
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "error", "Rate limit exceeded");
    tars_json_text(&ex->json, "message", message);
    tars_json_int(&ex->json, "retry_after", retry_after_s);
    tars_json_text(&ex->json, "request_id", ex->call.request_id);
    tars_exchange_send(ex, 429);
}

/* False when the answer is given. */
static bool is_within_limit(struct tars_exchange *ex)
{
    struct tars_rate_limit *limiter = ex->api->config.rate_limit;
    char key[TARS_RATE_KEY_BYTES];
    struct tars_rate rate;

    if (!limiter || is_exempt(ex))
        return true;
    rate = tars_rate_limit_take(limiter,
                                ex->caller.credential == TARS_CREDENTIAL_NONE
                                    ? tars_rate_key_of_address(ex->address, key)
                                    : tars_rate_key_of(&ex->caller, key),
                                tars_clock_mono_ms());
    if (rate.limit > 0) {
        ex->rate_limit = tars_arena_printf(ex->call.arena, "%" PRId64, rate.limit);
        ex->rate_remaining = tars_arena_printf(ex->call.arena, "%" PRId64, rate.remaining);
    }
    if (!rate.allowed) {
        tars_api_count_rejected(ex->api, "rate_limit");
        tars_access_refuse_often(ex, rate.retry_after_s, TOO_OFTEN);
    }
    return rate.allowed;
}

/* --------------------------------------------------------------------- need */

static enum tars_role role_for(enum tars_route_need need)
{
    switch (need) {
    case TARS_ROUTE_PUBLIC:
        return TARS_ROLE_NONE;
    case TARS_ROUTE_WRITER:
        return TARS_ROLE_WRITER;
    case TARS_ROUTE_ADMIN:
    case TARS_ROUTE_SYSTEM:
        return TARS_ROLE_ADMIN;
    case TARS_ROUTE_ASK:
    case TARS_ROUTE_READER:
        break;
    }
    return TARS_ROLE_READER;
}

void tars_access_refuse_nobody(struct tars_exchange *ex)
{
    tars_exchange_fail(
        ex, 403, ex->has_other_scheme ? "Invalid authentication credentials" : "Not authenticated");
}

static void refuse_role(struct tars_exchange *ex, enum tars_role needed)
{
    const char *words = ADMIN_NEEDED;

    if (needed != TARS_ROLE_ADMIN) {
        words = tars_arena_printf(ex->call.arena, "This operation needs the role %s; yours is %s",
                                  tars_role_text(needed), tars_role_text(ex->caller.role));
    }
    tars_exchange_fail(ex, 403, words ? words : "This operation needs another role");
}

/* False when the answer is given. */
static bool is_permitted(struct tars_exchange *ex)
{
    enum tars_route_need need = ex->route ? ex->route->need : TARS_ROUTE_PUBLIC;
    enum tars_role needed = role_for(need);
    bool is_nobody = ex->caller.credential == TARS_CREDENTIAL_NONE;
    bool nobody_may =
        need == TARS_ROUTE_ASK && tars_auth_mode(ex->api->config.auth) == TARS_AUTH_OPEN;

    if (need == TARS_ROUTE_PUBLIC)
        return true;
    if (ex->refused) {
        tars_exchange_fail(ex, 401, ex->refused);
    } else if (is_nobody && !nobody_may) {
        tars_access_refuse_nobody(ex);
    } else if (ex->caller.role < needed || (need == TARS_ROUTE_SYSTEM && !ex->caller.is_system)) {
        refuse_role(ex, needed);
    } else {
        return true;
    }
    return false;
}

enum tars_access_outlook tars_access_foresee(struct tars_exchange *ex)
{
    tars_status status = identify(ex, false);

    if (status == TARS_EAGAIN)
        return TARS_ACCESS_ABLE;
    if (status != TARS_OK || ex->refused || ex->caller.credential == TARS_CREDENTIAL_NONE)
        return TARS_ACCESS_STRANGER;
    return ex->caller.role >= role_for(ex->route->need) ? TARS_ACCESS_ABLE : TARS_ACCESS_KNOWN;
}

enum tars_access_state tars_access_decide(struct tars_exchange *ex, bool may_block)
{
    tars_status status = identify(ex, may_block);

    if (status == TARS_EAGAIN && !may_block)
        return TARS_ACCESS_WAIT;
    if (status != TARS_OK) {
        tars_exchange_fail(ex, 503, "Who asks cannot be checked now; try again in a moment");
        return TARS_ACCESS_ANSWERED;
    }
    if (!is_within_limit(ex) || !is_permitted(ex))
        return TARS_ACCESS_ANSWERED;
    return TARS_ACCESS_GO;
}
