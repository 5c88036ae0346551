/* route_me - what callers may learn and change about themselves. */
#include <string.h>

#include "api/access.h"
#include "api/admin_internal.h"
#include "api/api_internal.h"

static const char *credential_text(enum tars_credential credential)
{
    switch (credential) {
    case TARS_CREDENTIAL_NONE:
        return "none";
    case TARS_CREDENTIAL_TOKEN:
        return "token";
    case TARS_CREDENTIAL_KEY:
        return "key";
    case TARS_CREDENTIAL_OIDC:
        return "oidc";
    case TARS_CREDENTIAL_OWNER:
        break;
    }
    return "owner";
}

void tars_route_auth_me(struct tars_exchange *ex)
{
    const struct tars_principal *me = &ex->caller;
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_collection *collections = NULL;
    struct tars_err err = {{0}};
    size_t count = 0;
    tars_status status = tars_directory_collections(ex->api->config.auth, &actor, NULL,
                                                    ex->call.arena, &collections, &count, &err);

    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "client_id", me->client_id);
    tars_json_text(&ex->json, "tenant", me->tenant);
    tars_json_text(&ex->json, "role", tars_role_text(me->role));
    tars_json_bool(&ex->json, "system", me->is_system);
    tars_json_text(&ex->json, "credential", credential_text(me->credential));
    tars_api_write_time(&ex->json, "expires_at", me->expires_us);
    tars_json_array(&ex->json, "collections");
    for (size_t i = 0; i < count; i++) {
        if (!tars_principal_reads(me, collections[i].key))
            continue;
        tars_json_object(&ex->json, NULL);
        tars_json_text(&ex->json, "name", collections[i].name);
        tars_json_text(&ex->json, "description", collections[i].description);
        tars_json_bool(&ex->json, "writes", tars_principal_writes(me, collections[i].key));
        tars_json_end(&ex->json);
    }
    tars_exchange_send(ex, 200);
}

/* {"old_secret", "secret"} */
void tars_route_auth_secret(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_err err = {{0}};
    struct tars_reader reader;
    const char *old_secret;
    const char *secret;
    tars_status status;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    old_secret = tars_reader_text(&reader, "old_secret", TARS_READER_REQUIRED);
    secret = tars_reader_text(&reader, "secret", TARS_READER_REQUIRED);
    if (!tars_admin_close_reader(ex, &reader))
        return;
    status = tars_directory_own_secret(ex->api->config.auth, &actor, old_secret, secret, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_admin_reply_done(ex, "secret changed");
}

/* GET lists the caller's own keys, POST makes one. */
void tars_route_auth_keys(struct tars_exchange *ex)
{
    if (ex->method == TARS_HTTP_POST) {
        tars_admin_make_key(ex, NULL, NULL);
    } else {
        tars_admin_list_keys(ex, NULL, ex->caller.client_id);
    }
}

void tars_route_auth_key(struct tars_exchange *ex)
{
    tars_admin_revoke_key(ex);
}
