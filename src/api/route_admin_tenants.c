/* route_admin_tenants - tenants: who there is, what they may use and what they have used. */
#include <string.h>

#include "api/admin_internal.h"
#include "api/api_internal.h"

static void write_tenant(struct tars_json *json, const struct tars_tenant *tenant)
{
    tars_json_text(json, "name", tenant->name);
    tars_json_text(json, "title", tenant->title);
    tars_json_bool(json, "disabled", tenant->disabled);
    tars_json_int(json, "max_documents", tenant->max_documents);
    tars_json_int(json, "max_bytes", tenant->max_bytes);
    tars_json_int(json, "max_questions_day", tenant->max_questions_day);
    if (tenant->settings_json[0]) {
        tars_json_raw(json, "settings", tenant->settings_json, strlen(tenant->settings_json));
    } else {
        tars_json_null(json, "settings");
    }
    tars_api_write_time(json, "created_at", tenant->created_us);
}

static void list_tenants(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_tenant *tenants = NULL;
    struct tars_err err = {{0}};
    size_t count = 0;
    tars_status status = tars_directory_tenants(ex->api->config.auth, &actor, ex->call.arena,
                                                &tenants, &count, &err);

    if (status != TARS_OK) {
        tars_admin_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "tenants");
    for (size_t i = 0; i < count; i++) {
        tars_json_object(&ex->json, NULL);
        write_tenant(&ex->json, &tenants[i]);
        tars_json_end(&ex->json);
    }
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "total", (int64_t)count);
    tars_exchange_send(ex, 200);
}

/* What a body says about a tenant; a field that is absent keeps the value it has. */
struct wanted {
    const char *name;
    const char *title;
    const char *settings;
    int64_t documents, bytes, questions;
    bool has_documents, has_bytes, has_questions;
    bool disabled, has_disabled;
};

static int64_t read_quota(struct tars_reader *reader, const char *name, bool *has)
{
    *has = tars_admin_has(reader, name);
    return tars_reader_int(reader, name, 0, 0, INT64_MAX);
}

/* False when the reply is given. */
static bool read_wanted(struct tars_exchange *ex, enum tars_reader_need name, struct wanted *wanted)
{
    struct tars_reader reader;

    *wanted = (struct wanted){0};
    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    if (name == TARS_READER_REQUIRED)
        wanted->name = tars_reader_text(&reader, "name", name);
    wanted->title = tars_reader_text(&reader, "title", TARS_READER_OPTIONAL);
    wanted->settings = tars_reader_object(&reader, "settings");
    wanted->documents = read_quota(&reader, "max_documents", &wanted->has_documents);
    wanted->bytes = read_quota(&reader, "max_bytes", &wanted->has_bytes);
    wanted->questions = read_quota(&reader, "max_questions_day", &wanted->has_questions);
    wanted->has_disabled = tars_admin_has(&reader, "disabled");
    wanted->disabled = tars_reader_flag(&reader, "disabled", false);
    return tars_admin_close_reader(ex, &reader);
}

static void add_tenant(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_err err = {{0}};
    struct wanted wanted;
    struct tars_tenant tenant;
    tars_status status;

    if (!read_wanted(ex, TARS_READER_REQUIRED, &wanted))
        return;
    tenant = (struct tars_tenant){
        .name = wanted.name,
        .title = wanted.title ? wanted.title : "",
        .settings_json = wanted.settings ? wanted.settings : "",
        .max_documents = wanted.documents,
        .max_bytes = wanted.bytes,
        .max_questions_day = wanted.questions,
        .created_us = tars_clock_wall_us(),
    };
    status = tars_directory_tenant_add(ex->api->config.auth, &actor, &tenant, &err);
    if (status != TARS_OK) {
        tars_admin_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    write_tenant(&ex->json, &tenant);
    tars_exchange_send(ex, 201);
}

void tars_route_admin_tenants(struct tars_exchange *ex)
{
    if (ex->method == TARS_HTTP_POST) {
        add_tenant(ex);
    } else {
        list_tenants(ex);
    }
}

static void change_tenant(struct tars_exchange *ex, const char *name)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_tenant_change change;
    struct tars_err err = {{0}};
    struct wanted wanted;
    tars_status status;

    if (!read_wanted(ex, TARS_READER_OPTIONAL, &wanted))
        return;
    change = (struct tars_tenant_change){
        .title = wanted.title,
        .settings_json = wanted.settings,
        .max_documents = wanted.has_documents ? &wanted.documents : NULL,
        .max_bytes = wanted.has_bytes ? &wanted.bytes : NULL,
        .max_questions_day = wanted.has_questions ? &wanted.questions : NULL,
        .disabled = wanted.has_disabled ? &wanted.disabled : NULL,
    };
    status = tars_directory_tenant_set(ex->api->config.auth, &actor, name, &change, &err);
    if (status == TARS_OK) {
        tars_admin_reply_done(ex, "tenant changed");
    } else {
        tars_admin_reply_status(ex, status, &err);
    }
}

static void remove_tenant(struct tars_exchange *ex, const char *name)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_err err = {{0}};
    tars_status status = tars_directory_tenant_remove(ex->api->config.auth, &actor, name, &err);

    if (status == TARS_OK) {
        tars_admin_reply_done(ex, "tenant removed");
    } else {
        tars_admin_reply_status(ex, status, &err);
    }
}

void tars_route_admin_tenant(struct tars_exchange *ex)
{
    const char *name = tars_admin_parameter(ex, 0);

    if (!name)
        return;
    if (ex->method == TARS_HTTP_DELETE) {
        remove_tenant(ex, name);
    } else {
        change_tenant(ex, name);
    }
}
