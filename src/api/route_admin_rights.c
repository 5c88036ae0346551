/* route_admin_rights - collections of a tenant, who may see which, and the audit log. */
#include <string.h>

#include "api/admin_internal.h"
#include "api/api_internal.h"

#define AUDIT_LIMIT     100
#define AUDIT_LIMIT_MAX 1000

/* -------------------------------------------------------------- collections */

static void write_collection(struct tars_json *json, const struct tars_collection *collection)
{
    tars_json_object(json, NULL);
    tars_json_text(json, "name", collection->name);
    tars_json_text(json, "tenant", collection->tenant);
    tars_json_text(json, "description", collection->description);
    tars_json_bool(json, "restricted", collection->restricted);
    tars_api_write_time(json, "created_at", collection->created_us);
    tars_json_end(json);
}

static void list_collections(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_collection *collections = NULL;
    struct tars_err err = {{0}};
    size_t count = 0;
    tars_status status =
        tars_directory_collections(ex->api->config.auth, &actor, tars_admin_tenant(ex),
                                   ex->call.arena, &collections, &count, &err);

    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "collections");
    for (size_t i = 0; i < count; i++)
        write_collection(&ex->json, &collections[i]);
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "total", (int64_t)count);
    tars_exchange_send(ex, 200);
}

/* {"name","description","restricted"} */
static void add_collection(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_collection collection = {.tenant = tars_admin_tenant(ex)};
    struct tars_err err = {{0}};
    struct tars_reader reader;
    const char *description;
    tars_status status;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    collection.name = tars_reader_text(&reader, "name", TARS_READER_REQUIRED);
    description = tars_reader_text(&reader, "description", TARS_READER_OPTIONAL);
    collection.description = description ? description : "";
    collection.restricted = tars_reader_flag(&reader, "restricted", false);
    if (!tars_admin_close_reader(ex, &reader))
        return;
    status = tars_directory_collection_add(ex->api->config.auth, &actor, &collection, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "name", collection.name);
    tars_json_text(&ex->json, "tenant", collection.tenant ? collection.tenant : ex->caller.tenant);
    tars_json_text(&ex->json, "description", collection.description);
    tars_json_bool(&ex->json, "restricted", collection.restricted);
    tars_exchange_send(ex, 201);
}

void tars_route_admin_collections(struct tars_exchange *ex)
{
    if (ex->method == TARS_HTTP_POST) {
        add_collection(ex);
    } else {
        list_collections(ex);
    }
}

/* {"description","restricted"}; what is absent stays. */
static void change_collection(struct tars_exchange *ex, const char *name)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_collection_change change = {0};
    struct tars_err err = {{0}};
    struct tars_reader reader;
    tars_status status;
    bool restricted;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    change.description = tars_reader_text(&reader, "description", TARS_READER_OPTIONAL);
    restricted = tars_reader_flag(&reader, "restricted", false);
    if (tars_admin_has(&reader, "restricted"))
        change.restricted = &restricted;
    if (!tars_admin_close_reader(ex, &reader))
        return;
    status = tars_directory_collection_set(ex->api->config.auth, &actor, tars_admin_tenant(ex),
                                           name, &change, &err);
    if (status == TARS_OK) {
        tars_admin_reply_done(ex, "collection changed");
    } else {
        tars_api_reply_status(ex, status, &err);
    }
}

static void remove_collection(struct tars_exchange *ex, const char *name)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_err err = {{0}};
    tars_status status = tars_directory_collection_remove(ex->api->config.auth, &actor,
                                                          tars_admin_tenant(ex), name, &err);

    if (status == TARS_OK) {
        tars_admin_reply_done(ex, "collection removed");
    } else {
        tars_api_reply_status(ex, status, &err);
    }
}

void tars_route_admin_collection(struct tars_exchange *ex)
{
    const char *name = tars_admin_parameter(ex, 0);

    if (!name)
        return;
    if (ex->method == TARS_HTTP_DELETE) {
        remove_collection(ex, name);
    } else {
        change_collection(ex, name);
    }
}

/* ------------------------------------------------------------------- grants */

void tars_route_admin_grants(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    const char *name = tars_admin_parameter(ex, 0);
    struct tars_grant_info *grants = NULL;
    struct tars_err err = {{0}};
    size_t count = 0;
    tars_status status;

    if (!name)
        return;
    status = tars_directory_grants(ex->api->config.auth, &actor, tars_admin_tenant(ex), NULL, name,
                                   ex->call.arena, &grants, &count, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "grants");
    for (size_t i = 0; i < count; i++) {
        tars_json_object(&ex->json, NULL);
        tars_json_text(&ex->json, "account", grants[i].account);
        tars_json_text(&ex->json, "collection", grants[i].collection);
        tars_json_bool(&ex->json, "writes", grants[i].writes);
        tars_json_end(&ex->json);
    }
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "total", (int64_t)count);
    tars_exchange_send(ex, 200);
}

/* PUT {"writes"} gives, DELETE takes away. */
void tars_route_admin_grant(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_grant_info grant = {0};
    struct tars_err err = {{0}};
    tars_status status;

    grant.collection = tars_admin_parameter(ex, 0);
    grant.account = grant.collection ? tars_admin_parameter(ex, 1) : NULL;
    if (!grant.account)
        return;
    if (ex->method == TARS_HTTP_DELETE) {
        status = tars_directory_ungrant(ex->api->config.auth, &actor, tars_admin_tenant(ex),
                                        grant.account, grant.collection, &err);
    } else {
        struct tars_reader reader;

        tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
        grant.writes = tars_reader_flag(&reader, "writes", false);
        if (!tars_admin_close_reader(ex, &reader))
            return;
        status =
            tars_directory_grant(ex->api->config.auth, &actor, tars_admin_tenant(ex), &grant, &err);
    }
    if (status == TARS_OK) {
        tars_admin_reply_done(ex, ex->method == TARS_HTTP_DELETE ? "grant removed" : "granted");
    } else {
        tars_api_reply_status(ex, status, &err);
    }
}

/* -------------------------------------------------------------------- audit */

static void write_entry(struct tars_json *json, const struct tars_audit_entry *entry)
{
    tars_json_object(json, NULL);
    tars_json_int(json, "id", entry->id);
    tars_api_write_time(json, "time", entry->time_us);
    tars_json_text(json, "tenant", entry->tenant);
    tars_json_text(json, "actor", entry->actor);
    tars_json_text(json, "action", entry->action);
    tars_json_text(json, "object", entry->object);
    tars_json_bool(json, "success", entry->success);
    tars_json_text(json, "address", entry->address);
    tars_json_text(json, "request_id", entry->request_id);
    if (entry->detail[0]) {
        tars_json_raw(json, "detail", entry->detail, strlen(entry->detail));
    } else {
        tars_json_null(json, "detail");
    }
    tars_json_end(json);
}

/* False when the reply is given. */
static bool read_filter(struct tars_exchange *ex, struct tars_audit_filter *filter)
{
    struct tars_reader reader;

    tars_reader_init_query(&reader, ex->call.arena, ex->query);
    *filter = (struct tars_audit_filter){
        .tenant = tars_reader_text(&reader, "tenant", TARS_READER_OPTIONAL),
        .actor = tars_reader_text(&reader, "actor", TARS_READER_OPTIONAL),
        .action = tars_reader_text(&reader, "action", TARS_READER_OPTIONAL),
        .before_id = tars_reader_int(&reader, "before", 0, 0, INT64_MAX),
        .limit = (size_t)tars_reader_int(&reader, "limit", AUDIT_LIMIT, 1, AUDIT_LIMIT_MAX),
    };
    return tars_admin_close_reader(ex, &reader);
}

/* Newest first; "before" is the id of the last one of the page before. */
void tars_route_admin_audit(struct tars_exchange *ex)
{
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_audit_entry *entries = NULL;
    struct tars_audit_filter filter;
    struct tars_err err = {{0}};
    size_t count = 0;
    tars_status status;

    if (!read_filter(ex, &filter))
        return;
    status = tars_directory_audit(ex->api->config.auth, &actor, &filter, ex->call.arena, &entries,
                                  &count, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "entries");
    for (size_t i = 0; i < count; i++)
        write_entry(&ex->json, &entries[i]);
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "total", (int64_t)count);
    if (count == filter.limit) {
        tars_json_int(&ex->json, "next_before", entries[count - 1].id);
    } else {
        tars_json_null(&ex->json, "next_before");
    }
    tars_exchange_send(ex, 200);
}
