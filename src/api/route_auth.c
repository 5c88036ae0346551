/* route_auth - signing in, and what becomes of tokens (contract 1.2). */
#include <string.h>

#include "api/access.h"
#include "api/admin_internal.h"
#include "api/api_internal.h"
#include "api/reader.h"

#define TRY_AGAIN_S 60  /* after too many failures */
#define TRY_SOON_S  "5" /* while the store is away */

/* What a token could not be given for; words for a fault of ours. */
static void refuse(struct tars_exchange *ex, tars_status status, const char *why,
                   const struct tars_err *err, const char *fault)
{
    switch (status) {
    case TARS_EDENIED:
        tars_exchange_fail(ex, 401, why ? why : TARS_AUTH_INVALID);
        break;
    case TARS_EAGAIN:
        tars_api_count_rejected(ex->api, "rate_limit");
        tars_access_refuse_often(ex, TRY_AGAIN_S, "Too many failed attempts; try again later");
        break;
    case TARS_EINVAL:
        tars_admin_refuse_value(ex, "client_id", err->text);
        break;
    case TARS_EUNAVAILABLE:
    case TARS_ETIMEOUT:
        ex->retry_after = TRY_SOON_S;
        tars_exchange_fail(ex, 503, "The store is away; try again in a moment");
        break;
    default:
        tars_log_call(ex->api->config.log, TARS_LOG_ERROR, "api", &ex->call, "%s: %s", fault,
                      err->text[0] ? err->text : tars_status_text(status));
        tars_exchange_fail(ex, 500, fault);
        break;
    }
}

/* ------------------------------------------------------------------- tokens */

/* False when the reply is given. */
static bool read_sign_in(struct tars_exchange *ex, struct tars_sign_in *request)
{
    struct tars_reader reader;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    *request = (struct tars_sign_in){
        .client_id = tars_reader_text(&reader, "client_id", TARS_READER_REQUIRED),
        .secret = tars_reader_text(&reader, "client_secret", TARS_READER_OPTIONAL),
        .tenant = tars_reader_text(&reader, "tenant", TARS_READER_OPTIONAL),
        .device_name = tars_reader_text(&reader, "device_name", TARS_READER_OPTIONAL),
        .device_type = tars_reader_text(&reader, "device_type", TARS_READER_OPTIONAL),
        .address = ex->address,
        .request_id = ex->call.request_id,
    };
    if (!request->secret)
        request->secret = tars_reader_text(&reader, "password", TARS_READER_OPTIONAL);
    return tars_admin_close_reader(ex, &reader);
}

void tars_route_auth_token(struct tars_exchange *ex)
{
    struct tars_token_pair pair;
    struct tars_sign_in request;
    struct tars_err err = {{0}};
    tars_status status;

    if (!read_sign_in(ex, &request))
        return;
    status = tars_auth_sign_in(ex->api->config.auth, &request, ex->call.arena, &pair, &err);
    if (status == TARS_OK) {
        tars_admin_reply_tokens(ex, 200, &pair);
    } else {
        refuse(ex, status, NULL, &err, "Failed to generate token");
    }
}

void tars_route_auth_refresh(struct tars_exchange *ex)
{
    struct tars_token_pair pair;
    struct tars_err err = {{0}};
    const char *why = NULL;
    struct tars_reader reader;
    const char *token;
    tars_status status;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    token = tars_reader_text(&reader, "refresh_token", TARS_READER_REQUIRED);
    if (!tars_admin_close_reader(ex, &reader))
        return;
    status = tars_auth_refresh(ex->api->config.auth, tars_span_of(token), ex->address,
                               ex->call.request_id, ex->call.arena, &pair, &why, &err);
    if (status == TARS_OK) {
        tars_admin_reply_tokens(ex, 200, &pair);
    } else {
        refuse(ex, status, why, &err, "Failed to refresh token");
    }
}

/* A bad token is an answer here, not an error. */
void tars_route_auth_validate(struct tars_exchange *ex)
{
    bool is_valid = !ex->refused;

    if (ex->credential.len == 0 && !ex->is_owner) {
        tars_access_refuse_nobody(ex);
        return;
    }
    tars_exchange_json(ex);
    tars_json_bool(&ex->json, "valid", is_valid);
    tars_json_text(&ex->json, "client_id", is_valid ? ex->caller.client_id : NULL);
    tars_api_write_time(&ex->json, "expires_at", is_valid ? ex->caller.expires_us : 0);
    tars_exchange_send(ex, 200);
}

void tars_route_auth_revoke(struct tars_exchange *ex)
{
    struct tars_err err = {{0}};
    struct tars_reader reader;
    const char *token;
    tars_status status;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    token = tars_reader_text(&reader, "token", TARS_READER_REQUIRED);
    if (!tars_admin_close_reader(ex, &reader))
        return;
    status = tars_auth_revoke(ex->api->config.auth, tars_span_of(token), &ex->caller, ex->address,
                              ex->call.request_id, &err);
    if (status != TARS_OK) {
        refuse(ex, TARS_EIO, NULL, &err, "Failed to revoke token");
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "message", "Token revoked successfully");
    tars_exchange_send(ex, 200);
}

static const char *mode_text(enum tars_auth_mode mode)
{
    switch (mode) {
    case TARS_AUTH_OPEN:
        return "open";
    case TARS_AUTH_SECRET:
        return "secret";
    case TARS_AUTH_OIDC:
        break;
    }
    return "oidc";
}

void tars_route_auth_health(struct tars_exchange *ex)
{
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "healthy");
    tars_json_text(&ex->json, "service", "authentication");
    tars_exchange_time(ex, "timestamp");
    tars_json_text(&ex->json, "mode", mode_text(tars_auth_mode(ex->api->config.auth)));
    tars_json_bool(&ex->json, "oidc", tars_auth_page(ex->api->config.auth) != NULL);
    tars_exchange_send(ex, 200);
}
