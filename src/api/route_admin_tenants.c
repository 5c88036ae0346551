/* route_admin_tenants - tenants: who there is, what they may use and what they have used. */
#include <stdlib.h>
#include <string.h>

#include "api/admin_internal.h"
#include "api/api_internal.h"
#include "analytics/analytics.h"
#include "api/export_path.h"
#include "auth/quota.h"
#include "base/sys/file.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

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
        tars_api_reply_status(ex, status, &err);
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

/* A new limit counts at once; should it fail, it does in a few seconds. */
static void reload_limits(struct tars_exchange *ex, tars_status status)
{
    struct tars_err err = {{0}};

    if (status == TARS_OK && ex->api->config.quota &&
        tars_quota_reload(ex->api->config.quota, &err) != TARS_OK) {
        tars_log_call(ex->api->config.log, TARS_LOG_WARNING, "api", &ex->call,
                      "limits were not read: %s", err.text);
    }
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
    reload_limits(ex, status);
    /* What an answer left that ended after the last tenant of that name was removed. */
    if (status == TARS_OK)
        status = tars_analytics_clear(ex->api->config.analytics, tenant.name, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
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
    reload_limits(ex, status);
    if (status == TARS_OK) {
        tars_admin_reply_done(ex, "tenant changed");
    } else {
        tars_api_reply_status(ex, status, &err);
    }
}

/* {"documents","chunks",...} into the log: what was taken away, or written. */
static const char *tally_detail(struct tars_exchange *ex, const struct tars_tenant_tally *tally)
{
    return tars_arena_printf(
        ex->call.arena, "{\"documents\":%lld,\"chunks\":%lld,\"conversations\":%lld}",
        (long long)tally->documents, (long long)tally->chunks, (long long)tally->conversations);
}

static void write_tally(struct tars_json *json, const struct tars_tenant_tally *tally)
{
    tars_json_int(json, "documents", tally->documents);
    tars_json_int(json, "chunks", tally->chunks);
    tars_json_int(json, "conversations", tally->conversations);
    tars_json_int(json, "jobs", tally->jobs);
}

/* From now on nobody of it is let in, so that nothing comes while the rest is taken away. */
static tars_status shut(struct tars_exchange *ex, const char *name, struct tars_err *err)
{
    static const bool yes = true;
    const struct tars_tenant_change change = {.disabled = &yes};
    const struct tars_actor actor = tars_access_actor(ex);

    return tars_directory_tenant_set(ex->api->config.auth, &actor, name, &change, err);
}

/* What its admins have exported; what we have exported of it stays. */
static tars_status forget_exports(struct tars_exchange *ex, const char *name, struct tars_err *err)
{
    const char *folder =
        tars_arena_printf(ex->call.arena, "%s/%s", ex->api->config.export_dir, name);

    return folder ? tars_export_forget(folder, err) : TARS_ENOMEM;
}

static void remove_tenant(struct tars_exchange *ex, const char *name)
{
    const struct tars_api_config *config = &ex->api->config;
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_tenant_tally tally = {0};
    struct tars_err err = {{0}};
    tars_status status = strcmp(name, TARS_TENANT) == 0 ? TARS_OK : shut(ex, name, &err);

    if (status == TARS_OK)
        status = config->service->tenant_empty(config->service_ctx, name, &ex->call, &tally, &err);
    if (status == TARS_EINVAL)
        status = TARS_ECONFLICT; /* the default one stays: 409 */
    tars_access_note(ex, "tenant-emptied", name, tally_detail(ex, &tally), status == TARS_OK);
    if (status == TARS_OK)
        status = forget_exports(ex, name, &err);
    if (status == TARS_OK)
        status = tars_directory_tenant_remove(config->auth, &actor, name, &err);
    if (status == TARS_OK)
        status = config->service->scrub(config->service_ctx, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "success");
    tars_json_text(&ex->json, "message", "tenant removed");
    write_tally(&ex->json, &tally);
    tars_exchange_send(ex, 200);
}

/* Everything of a tenant into a new file below TARS_EXPORT_DIR; the name is made here. */
void tars_route_admin_tenant_export(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    const char *name = tars_admin_parameter(ex, 0);
    struct tars_tenant_tally tally = {0};
    struct tars_err err = {{0}};
    char stamp[TARS_ISO8601_BYTES];
    const char *path;
    tars_status status;

    if (!name)
        return;
    tars_clock_iso8601(tars_clock_wall_us(), stamp);
    path = tars_arena_printf(ex->call.arena, "%s/tenant-%.64s-%s.jsonl", config->export_dir, name,
                             stamp);
    status = tars_name_is_valid(name)
                 ? tars_dir_make(config->export_dir, &err)
                 : tars_fail(TARS_ENOTFOUND, &err, "there is no tenant \"%.64s\"", name);
    if (status == TARS_OK && !path)
        status = TARS_ENOMEM;
    if (status == TARS_OK) {
        status = config->service->tenant_export(config->service_ctx, name, path, &ex->call, &tally,
                                                &err);
    }
    tars_access_note(ex, "tenant-exported", name, tally_detail(ex, &tally), status == TARS_OK);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "success");
    tars_json_text(&ex->json, "path", path);
    write_tally(&ex->json, &tally);
    tars_json_int(&ex->json, "lines", tally.lines);
    tars_exchange_send(ex, 201);
}

/* -------------------------------------------------------------------- usage */

static const struct tars_tenant *find_tenant(const struct tars_tenant *tenants, size_t count,
                                             const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tenants[i].name, name) == 0)
            return &tenants[i];
    }
    return NULL;
}

/* Sum up what the collections of a tenant hold. */
static tars_status hold(struct tars_exchange *ex, const char *tenant,
                        struct tars_collection_view *sum, struct tars_err *err)
{
    const struct tars_api_config *config = &ex->api->config;
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_collection_view *views = NULL;
    struct tars_collection *collections = NULL;
    struct tars_visible visible = {0};
    const char **keys;
    size_t count = 0;
    tars_status status = tars_directory_collections(config->auth, &actor, tenant, ex->call.arena,
                                                    &collections, &count, err);

    if (status != TARS_OK)
        return status;
    keys = tars_arena_calloc(ex->call.arena, count + 1, sizeof(*keys));
    if (!keys)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++)
        keys[i] = collections[i].key;
    if (count > 0)
        qsort((void *)keys, count, sizeof(*keys), by_text);
    visible = (struct tars_visible){.keys = keys, .count = count};
    status = config->service->collections(config->service_ctx, &visible, ex->call.arena, &views,
                                          &count, err);
    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        sum->files += views[i].files;
        sum->documents += views[i].documents;
        sum->chunks += views[i].chunks;
        sum->bytes += views[i].bytes;
    }
    return status;
}

void tars_route_admin_tenant_usage(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    const char *name = tars_admin_parameter(ex, 0);
    const struct tars_tenant *tenant = NULL;
    struct tars_tenant *tenants = NULL;
    struct tars_collection_view sum = {0};
    struct tars_err err = {{0}};
    size_t count = 0;
    tars_status status;

    if (!name)
        return;
    status = tars_directory_tenants(ex->api->config.auth, &actor, ex->call.arena, &tenants, &count,
                                    &err);
    if (status == TARS_OK)
        tenant = find_tenant(tenants, count, name);
    if (status == TARS_OK && !tenant)
        status = tars_fail(TARS_ENOTFOUND, &err, "there is no tenant \"%.64s\"", name);
    if (status == TARS_OK)
        status = hold(ex, name, &sum, &err);
    if (status != TARS_OK || !tenant) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "tenant", name);
    tars_json_int(&ex->json, "files", sum.files);
    tars_json_int(&ex->json, "documents", sum.documents);
    tars_json_int(&ex->json, "max_documents", tenant->max_documents);
    tars_json_int(&ex->json, "chunks", sum.chunks);
    tars_json_int(&ex->json, "bytes", sum.bytes);
    tars_json_int(&ex->json, "max_bytes", tenant->max_bytes);
    tars_json_int(&ex->json, "questions_today", tars_quota_today(ex->api->config.quota, name));
    tars_json_int(&ex->json, "max_questions_day", tenant->max_questions_day);
    tars_exchange_send(ex, 200);
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
