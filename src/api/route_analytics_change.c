/* route_analytics_change - rows of analytics that go, lose what tells whose they are, or come from
 * the log of another program. Each is noted in the audit log. */
#include <string.h>

#include "analytics/import_line.h"
#include "api/admin_internal.h"
#include "api/analytics_routes.h"

#define IMPORT_ROWS_MAX 5000
#define BAD_ROWS_TOLD   100

/* ------------------------------------------------------- erasing, anonymizing */

/* Whose tenant: the caller's own; of the owner the one that ?tenant= names, or all. */
static const char *tenant_for(struct tars_exchange *ex)
{
    return ex->is_owner ? tars_admin_tenant(ex) : tars_analytics_route_tenant(ex);
}

static void reply_changed(struct tars_exchange *ex, const struct tars_analytics_changed *changed)
{
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "success");
    tars_json_int(&ex->json, "queries", changed->queries);
    tars_json_int(&ex->json, "accesses", changed->accesses);
    tars_json_int(&ex->json, "errors", changed->errors);
    tars_exchange_send(ex, 200);
}

void tars_route_analytics_client(struct tars_exchange *ex)
{
    const struct tars_analytics_who who = {.tenant = tenant_for(ex),
                                           .client_id = tars_admin_parameter(ex, 0)};
    struct tars_analytics_changed removed;
    struct tars_err err = {{0}};
    tars_status status;

    if (!who.client_id)
        return;
    status = tars_analytics_erase(ex->api->config.analytics, &who, &ex->call, &removed, &err);
    tars_access_note(ex, "analytics-erased", who.client_id, NULL, status == TARS_OK);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    reply_changed(ex, &removed);
}

/* False when the reply is given. */
static bool read_anonymize(struct tars_exchange *ex, struct tars_analytics_who *who, bool *named)
{
    struct tars_reader reader;
    const char *before;
    const char *names;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    before = tars_reader_text(&reader, "before", TARS_READER_OPTIONAL);
    names = tars_reader_text(&reader, "names", TARS_READER_OPTIONAL);
    who->client_id = tars_reader_text(&reader, "client_id", TARS_READER_OPTIONAL);
    *named = !names || strcmp(names, "pseudonym") == 0;
    if (before && !tars_clock_parse(before, &who->before_us))
        tars_reader_refuse(&reader, "before", "before must be an ISO 8601 time");
    if (!*named && strcmp(names, "anonymous") != 0)
        tars_reader_refuse(&reader, "names", "names must be pseudonym or anonymous");
    if (!before && !who->client_id && !tars_reader_is_bad(&reader))
        tars_reader_refuse(&reader, "before", "before or client_id must be given");
    return tars_admin_close_reader(ex, &reader);
}

void tars_route_analytics_anonymize(struct tars_exchange *ex)
{
    struct tars_analytics_who who = {.tenant = tenant_for(ex)};
    struct tars_analytics_changed changed;
    struct tars_err err = {{0}};
    bool named = true;
    tars_status status;

    if (!read_anonymize(ex, &who, &named))
        return;
    status =
        tars_analytics_anonymize(ex->api->config.analytics, &who, named, &ex->call, &changed, &err);
    tars_access_note(ex, "analytics-anonymized", who.client_id, NULL, status == TARS_OK);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    reply_changed(ex, &changed);
}

/* ---------------------------------------------------------------- importing */

struct bad_row {
    size_t row;
    const char *words;
};

struct import {
    struct tars_logged_query *rows; /* (count,) */
    size_t count;
    struct bad_row *bad; /* the first (BAD_ROWS_TOLD,) of bad_count */
    size_t bad_count;
    size_t added;
};

static tars_status read_rows(struct tars_exchange *ex, const json_t *list, const char *tenant,
                             struct import *import)
{
    struct tars_arena *arena = ex->call.arena;
    size_t n = json_array_size(list);

    import->rows = tars_arena_calloc(arena, n + 1, sizeof(*import->rows));
    import->bad = tars_arena_calloc(arena, BAD_ROWS_TOLD, sizeof(*import->bad));
    if (!import->rows || !import->bad)
        return TARS_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct tars_logged_query *row = &import->rows[import->count];
        struct tars_err err = {{0}};
        tars_status status = tars_import_object(json_array_get(list, i), arena, row, &err);

        if (status == TARS_ENOMEM)
            return status;
        if (status == TARS_OK) {
            row->row.tenant = tenant;
            import->count++;
        } else if (import->bad_count++ < BAD_ROWS_TOLD) {
            import->bad[import->bad_count - 1] =
                (struct bad_row){i + 1, tars_arena_strdup(arena, err.text)};
        }
    }
    return TARS_OK;
}

static void reply_import(struct tars_exchange *ex, const struct import *import)
{
    tars_exchange_json(ex);
    tars_json_int(&ex->json, "imported", (int64_t)import->added);
    tars_json_int(&ex->json, "already_there", (int64_t)(import->count - import->added));
    tars_json_int(&ex->json, "bad", (int64_t)import->bad_count);
    tars_json_array(&ex->json, "bad_rows");
    for (size_t i = 0; i < import->bad_count && i < BAD_ROWS_TOLD; i++) {
        tars_json_object(&ex->json, NULL);
        tars_json_int(&ex->json, "row", (int64_t)import->bad[i].row);
        tars_json_text(&ex->json, "reason", import->bad[i].words);
        tars_json_end(&ex->json);
    }
    tars_json_end(&ex->json);
    tars_exchange_send(ex, 200);
}

static void import_list(struct tars_exchange *ex, const json_t *list)
{
    const char *tenant = tars_admin_tenant(ex);
    struct import import = {.count = 0};
    struct tars_err err = {{0}};
    tars_status status = read_rows(ex, list, tenant ? tenant : TARS_TENANT, &import);

    if (status == TARS_OK && import.count > 0) {
        status = tars_analytics_import(ex->api->config.analytics, import.rows, import.count,
                                       &import.added, &err);
    }
    if (import.added > 0)
        tars_access_note(ex, "analytics-imported", tenant, NULL, true);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    reply_import(ex, &import);
}

void tars_route_analytics_import(struct tars_exchange *ex)
{
    struct tars_reader reader;
    json_t *list;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    list = json_incref(json_object_get(reader.root, "rows"));
    if (reader.root && !json_is_array(list)) {
        tars_reader_refuse(&reader, "rows", "rows must be a list of objects");
    } else if (json_array_size(list) > IMPORT_ROWS_MAX) {
        tars_reader_refuse(&reader, "rows", "rows must be at most 5000");
    }
    if (tars_admin_close_reader(ex, &reader))
        import_list(ex, list);
    json_decref(list);
}
