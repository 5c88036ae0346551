/* route_admin - accounts and API keys of a tenant, for its admins. */
#include <stdlib.h>
#include <string.h>

#include "api/admin_internal.h"
#include "api/api_internal.h"

/* ----------------------------------------------------------------- accounts */

static const char *kind_text(enum tars_account_kind kind)
{
    return kind == TARS_ACCOUNT_CLIENT ? "client" : "user";
}

static enum tars_account_kind read_kind(struct tars_reader *reader)
{
    const char *text = tars_reader_text(reader, "kind", TARS_READER_OPTIONAL);

    if (text && strcmp(text, "client") == 0)
        return TARS_ACCOUNT_CLIENT;
    if (text && strcmp(text, "user") != 0)
        tars_reader_refuse(reader, "kind", "kind is one of user, client");
    return TARS_ACCOUNT_USER;
}

static void write_account(struct tars_json *json, const struct tars_account_info *info)
{
    const struct tars_account *account = &info->account;

    tars_json_object(json, NULL);
    tars_json_text(json, "name", account->name);
    tars_json_text(json, "tenant", account->tenant);
    tars_json_text(json, "kind", kind_text(account->kind));
    tars_json_text(json, "role", tars_role_text(account->role));
    tars_json_bool(json, "disabled", account->disabled);
    tars_json_bool(json, "has_secret", info->has_secret);
    tars_json_text(json, "external", account->external[0] ? account->external : NULL);
    tars_api_write_time(json, "created_at", account->created_us);
    tars_api_write_time(json, "used_at", account->used_us);
    tars_json_end(json);
}

static void list_accounts(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_account_info *accounts = NULL;
    struct tars_err err = {{0}};
    size_t count = 0;
    tars_status status =
        tars_directory_accounts(ex->api->config.auth, &actor, tars_admin_tenant(ex), ex->call.arena,
                                &accounts, &count, &err);

    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "users");
    for (size_t i = 0; i < count; i++)
        write_account(&ex->json, &accounts[i]);
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "total", (int64_t)count);
    tars_exchange_send(ex, 200);
}

/* {"name","kind","role","secret"|"make_secret"} */
static void add_account(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_account_made made = {0};
    struct tars_account_wanted wanted;
    struct tars_err err = {{0}};
    struct tars_reader reader;
    tars_status status;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    wanted = (struct tars_account_wanted){
        .tenant = tars_admin_tenant(ex),
        .name = tars_reader_text(&reader, "name", TARS_READER_REQUIRED),
        .kind = read_kind(&reader),
        .role = tars_admin_role(&reader, "role"),
        .secret = tars_reader_text(&reader, "secret", TARS_READER_OPTIONAL),
        .make_secret = tars_reader_flag(&reader, "make_secret", false),
    };
    if (!tars_admin_close_reader(ex, &reader))
        return;
    status = tars_directory_account_add(ex->api->config.auth, &actor, &wanted, ex->call.arena,
                                        &made, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    ex->is_secret = made.secret != NULL;
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "name", wanted.name);
    tars_json_text(&ex->json, "tenant", wanted.tenant ? wanted.tenant : ex->caller.tenant);
    tars_json_text(&ex->json, "kind", kind_text(wanted.kind));
    tars_json_text(&ex->json, "role", tars_role_text(wanted.role ? wanted.role : TARS_ROLE_READER));
    tars_json_text(&ex->json, "secret", made.secret);
    tars_exchange_send(ex, 201);
}

void tars_route_admin_users(struct tars_exchange *ex)
{
    if (ex->method == TARS_HTTP_POST) {
        add_account(ex);
    } else {
        list_accounts(ex);
    }
}

/* {"role","disabled","secret"|"make_secret"}; what is absent stays. */
static void change_account(struct tars_exchange *ex, const char *name)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_account_change change = {0};
    struct tars_account_made made = {0};
    struct tars_err err = {{0}};
    struct tars_reader reader;
    tars_status status;
    bool disabled;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    change.role = tars_admin_role(&reader, "role");
    disabled = tars_reader_flag(&reader, "disabled", false);
    if (tars_admin_has(&reader, "disabled"))
        change.disabled = &disabled;
    change.secret = tars_reader_text(&reader, "secret", TARS_READER_OPTIONAL);
    change.make_secret = tars_reader_flag(&reader, "make_secret", false);
    if (!tars_admin_close_reader(ex, &reader))
        return;
    status = tars_directory_account_set(ex->api->config.auth, &actor, tars_admin_tenant(ex), name,
                                        &change, ex->call.arena, &made, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    ex->is_secret = made.secret != NULL;
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "success");
    tars_json_text(&ex->json, "name", name);
    tars_json_text(&ex->json, "secret", made.secret);
    tars_exchange_send(ex, 200);
}

static void remove_account(struct tars_exchange *ex, const char *name)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_err err = {{0}};
    tars_status status = tars_directory_account_remove(ex->api->config.auth, &actor,
                                                       tars_admin_tenant(ex), name, &err);

    if (status == TARS_OK) {
        tars_admin_reply_done(ex, "account removed");
    } else {
        tars_api_reply_status(ex, status, &err);
    }
}

void tars_route_admin_user(struct tars_exchange *ex)
{
    const char *name = tars_admin_parameter(ex, 0);

    if (!name)
        return;
    if (ex->method == TARS_HTTP_DELETE) {
        remove_account(ex, name);
    } else {
        change_account(ex, name);
    }
}

/* --------------------------------------------------------------------- keys */

static void write_key(struct tars_json *json, const struct tars_key_info *info)
{
    const struct tars_api_key *key = &info->key;

    tars_json_object(json, NULL);
    tars_json_int(json, "id", key->id);
    tars_json_text(json, "account", info->account);
    tars_json_text(json, "label", key->label);
    tars_json_text(json, "prefix", key->prefix);
    tars_json_text(json, "role", key->role ? tars_role_text(key->role) : NULL);
    tars_json_bool(json, "revoked", key->revoked);
    tars_api_write_time(json, "created_at", key->created_us);
    tars_api_write_time(json, "used_at", key->used_us);
    tars_api_write_time(json, "expires_at", key->expires_us);
    tars_json_end(json);
}

void tars_admin_list_keys(struct tars_exchange *ex, const char *tenant, const char *account)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_key_info *keys = NULL;
    struct tars_err err = {{0}};
    size_t count = 0;
    tars_status status = tars_directory_keys(ex->api->config.auth, &actor, tenant, account,
                                             ex->call.arena, &keys, &count, &err);

    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "keys");
    for (size_t i = 0; i < count; i++)
        write_key(&ex->json, &keys[i]);
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "total", (int64_t)count);
    tars_exchange_send(ex, 200);
}

/* {"label","role","expires_in_days"} */
void tars_admin_make_key(struct tars_exchange *ex, const char *tenant, const char *account)
{
    static const int64_t day_us = INT64_C(86400) * 1000000;
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_key_wanted wanted = {.tenant = tenant, .account = account};
    struct tars_key_made made = {0};
    struct tars_err err = {{0}};
    struct tars_reader reader;
    tars_status status;
    int64_t days;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    wanted.label = tars_reader_text(&reader, "label", TARS_READER_OPTIONAL);
    wanted.role = tars_admin_role(&reader, "role");
    days = tars_reader_int(&reader, "expires_in_days", 0, 1, 36500);
    if (!tars_admin_close_reader(ex, &reader))
        return;
    wanted.expires_us = days ? tars_clock_wall_us() + days * day_us : 0;
    status =
        tars_directory_key_add(ex->api->config.auth, &actor, &wanted, ex->call.arena, &made, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    ex->is_secret = true;
    tars_exchange_json(ex);
    tars_json_int(&ex->json, "id", made.id);
    tars_json_text(&ex->json, "account", account ? account : ex->caller.client_id);
    tars_json_text(&ex->json, "label", wanted.label ? wanted.label : "");
    tars_json_text(&ex->json, "role", wanted.role ? tars_role_text(wanted.role) : NULL);
    tars_api_write_time(&ex->json, "expires_at", wanted.expires_us);
    tars_json_text(&ex->json, "key", made.key);
    tars_exchange_send(ex, 201);
}

void tars_admin_revoke_key(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    const char *text = tars_admin_parameter(ex, 0);
    struct tars_err err = {{0}};
    char *end = NULL;
    tars_status status;
    long long id;

    if (!text)
        return;
    id = strtoll(text, &end, 10);
    if (id <= 0 || *end != '\0') {
        tars_exchange_not_found(ex, "No such key");
        return;
    }
    status = tars_directory_key_revoke(ex->api->config.auth, &actor, id, &err);
    if (status == TARS_OK) {
        tars_admin_reply_done(ex, "key revoked");
    } else {
        tars_api_reply_status(ex, status, &err);
    }
}

void tars_route_admin_user_keys(struct tars_exchange *ex)
{
    const char *name = tars_admin_parameter(ex, 0);

    if (!name)
        return;
    if (ex->method == TARS_HTTP_POST) {
        tars_admin_make_key(ex, tars_admin_tenant(ex), name);
    } else {
        tars_admin_list_keys(ex, tars_admin_tenant(ex), name);
    }
}

/* For who cannot type a secret: a script of the operator's, a test. */
void tars_route_admin_user_tokens(struct tars_exchange *ex)
{
    const char *name = tars_admin_parameter(ex, 0);
    const char *tenant = tars_admin_tenant(ex);
    struct tars_token_pair pair;
    struct tars_err err = {{0}};
    tars_status status;

    if (!name)
        return;
    status = tars_auth_issue(ex->api->config.auth, tenant ? tenant : ex->caller.tenant, name,
                             ex->call.arena, &pair, &err);
    tars_access_note(ex, "token-issued", name, NULL, status == TARS_OK);
    if (status == TARS_OK) {
        tars_admin_reply_tokens(ex, 201, &pair);
    } else if (status == TARS_EDENIED) {
        tars_exchange_not_found(ex, "No such account, or it is disabled");
    } else {
        tars_api_reply_status(ex, status, &err);
    }
}

void tars_route_admin_keys(struct tars_exchange *ex)
{
    tars_admin_list_keys(ex, tars_admin_tenant(ex), NULL);
}

void tars_route_admin_key(struct tars_exchange *ex)
{
    tars_admin_revoke_key(ex);
}
