/* store_sqlite_accounts - tenants, accounts, keys, collections, grants, and what collections hold.
 *
 * Writers name a tenant or an account inside the statement (INSERT ... SELECT), so that one that is
 * not there changes no row, which is how it is told.
 */
#include <string.h>

#include "store/store_sqlite_internal.h"

/* End a transaction of one statement that must change a row. A name that is taken gets words. */
static tars_status end_change(struct tars_sqlite *sqlite, struct tars_sqlite_query *query,
                              const char *what, const char *name, struct tars_err *err)
{
    tars_status status = tars_sqlite_change(query, what, err);

    if (status == TARS_EEXIST)
        status = tars_fail(status, err, "%s is there already", name);
    return tars_sqlite_commit(sqlite, status, err);
}

/* A statement in a transaction of its own. */
static tars_status begin_change(struct tars_store *store, bool durable, enum tars_sql sql,
                                struct tars_sqlite_query *query, struct tars_err *err)
{
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_begin(tars_sqlite_of(store), durable, &conn, err);

    if (!status)
        *query = tars_sqlite_ask(conn, sql);
    return status;
}

static tars_status run_id(struct tars_sqlite_conn *conn, enum tars_sql sql, int64_t id,
                          struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, sql);

    tars_sqlite_bind_int(&query, id);
    return tars_sqlite_run(&query, err);
}

static tars_status run_text(struct tars_sqlite_conn *conn, enum tars_sql sql, const char *text,
                            struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, sql);

    tars_sqlite_bind_text(&query, text);
    return tars_sqlite_run(&query, err);
}

/* ----------------------------------------------------------------- reading */

static tars_status load_tenants(struct tars_sqlite_conn *conn, struct tars_arena *arena,
                                struct tars_access *out, struct tars_err *err)
{
    struct tars_sqlite_rows rows = tars_sqlite_ask_rows(conn, TARS_SQL_TENANT_LIST, arena);
    struct tars_sqlite_query *query = &rows.query;
    struct tars_tenant *row;

    while ((row = tars_sqlite_next_row(&rows, sizeof(*row))) != NULL) {
        row->name = tars_sqlite_text(query, arena, NULL);
        row->title = tars_sqlite_text(query, arena, NULL);
        row->settings_json = tars_sqlite_text(query, arena, NULL);
        row->max_documents = tars_sqlite_int(query);
        row->max_bytes = tars_sqlite_int(query);
        row->max_questions_day = tars_sqlite_int(query);
        row->created_us = tars_sqlite_int(query);
        row->disabled = tars_sqlite_int(query) != 0;
    }
    out->tenants = rows.items;
    out->tenant_count = rows.count;
    return tars_sqlite_end(query, err);
}

static tars_status load_accounts(struct tars_sqlite_conn *conn, struct tars_arena *arena,
                                 struct tars_access *out, struct tars_err *err)
{
    struct tars_sqlite_rows rows = tars_sqlite_ask_rows(conn, TARS_SQL_ACCOUNT_LIST, arena);
    struct tars_sqlite_query *query = &rows.query;
    struct tars_account *row;

    while ((row = tars_sqlite_next_row(&rows, sizeof(*row))) != NULL) {
        row->id = tars_sqlite_int(query);
        row->tenant = tars_sqlite_text(query, arena, NULL);
        row->name = tars_sqlite_text(query, arena, NULL);
        row->secret_hash = tars_sqlite_text(query, arena, NULL);
        row->external = tars_sqlite_text(query, arena, NULL);
        row->created_us = tars_sqlite_int(query);
        row->used_us = tars_sqlite_int(query);
        row->kind = (enum tars_account_kind)tars_sqlite_int(query);
        row->role = (enum tars_role)tars_sqlite_int(query);
        row->disabled = tars_sqlite_int(query) != 0;
        row->tokens_from_us = tars_sqlite_int(query);
    }
    out->accounts = rows.items;
    out->account_count = rows.count;
    return tars_sqlite_end(query, err);
}

static tars_status load_keys(struct tars_sqlite_conn *conn, struct tars_arena *arena,
                             struct tars_access *out, struct tars_err *err)
{
    struct tars_sqlite_rows rows = tars_sqlite_ask_rows(conn, TARS_SQL_KEY_LIST, arena);
    struct tars_sqlite_query *query = &rows.query;
    struct tars_api_key *row;

    while ((row = tars_sqlite_next_row(&rows, sizeof(*row))) != NULL) {
        row->id = tars_sqlite_int(query);
        row->account_id = tars_sqlite_int(query);
        row->label = tars_sqlite_text(query, arena, NULL);
        row->prefix = tars_sqlite_text(query, arena, NULL);
        row->hash = tars_sqlite_text(query, arena, NULL);
        row->created_us = tars_sqlite_int(query);
        row->used_us = tars_sqlite_int(query);
        row->expires_us = tars_sqlite_int(query);
        row->role = (enum tars_role)tars_sqlite_int(query);
        row->revoked = tars_sqlite_int(query) != 0;
    }
    out->keys = rows.items;
    out->key_count = rows.count;
    return tars_sqlite_end(query, err);
}

static tars_status load_collections(struct tars_sqlite_conn *conn, struct tars_arena *arena,
                                    struct tars_access *out, struct tars_err *err)
{
    struct tars_sqlite_rows rows = tars_sqlite_ask_rows(conn, TARS_SQL_COLLECTION_LIST, arena);
    struct tars_sqlite_query *query = &rows.query;
    struct tars_collection *row;

    while ((row = tars_sqlite_next_row(&rows, sizeof(*row))) != NULL) {
        row->id = tars_sqlite_int(query);
        row->tenant = tars_sqlite_text(query, arena, NULL);
        row->name = tars_sqlite_text(query, arena, NULL);
        row->key = tars_sqlite_text(query, arena, NULL);
        row->description = tars_sqlite_text(query, arena, NULL);
        row->created_us = tars_sqlite_int(query);
        row->restricted = tars_sqlite_int(query) != 0;
    }
    out->collections = rows.items;
    out->collection_count = rows.count;
    return tars_sqlite_end(query, err);
}

static tars_status load_grants(struct tars_sqlite_conn *conn, struct tars_arena *arena,
                               struct tars_access *out, struct tars_err *err)
{
    struct tars_sqlite_rows rows = tars_sqlite_ask_rows(conn, TARS_SQL_GRANT_LIST, arena);
    struct tars_sqlite_query *query = &rows.query;
    struct tars_grant *row;

    while ((row = tars_sqlite_next_row(&rows, sizeof(*row))) != NULL) {
        row->account_id = tars_sqlite_int(query);
        row->collection_id = tars_sqlite_int(query);
        row->writes = tars_sqlite_int(query) != 0;
    }
    out->grants = rows.items;
    out->grant_count = rows.count;
    return tars_sqlite_end(query, err);
}

static tars_status load(struct tars_store *store, struct tars_arena *arena, struct tars_access *out,
                        struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_access access = {0};
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_read_begin(sqlite, &conn, err);

    if (status)
        return status;
    status = load_tenants(conn, arena, &access, err);
    if (!status)
        status = load_accounts(conn, arena, &access, err);
    if (!status)
        status = load_keys(conn, arena, &access, err);
    if (!status)
        status = load_collections(conn, arena, &access, err);
    if (!status)
        status = load_grants(conn, arena, &access, err);
    tars_sqlite_read_end(sqlite, conn);
    if (!status)
        *out = access;
    return status;
}

static tars_status sizes(struct tars_store *store, struct tars_arena *arena,
                         struct tars_collection_size **out, size_t *count, struct tars_err *err)
{
    struct tars_sqlite_rows rows = {.arena = arena};
    struct tars_collection_size *row;
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_COLLECTION_SIZES, &rows.query, err);

    if (status)
        return status;
    while ((row = tars_sqlite_next_row(&rows, sizeof(*row))) != NULL) {
        row->key = tars_sqlite_text(&rows.query, arena, NULL);
        row->files = tars_sqlite_int(&rows.query);
        row->documents = tars_sqlite_int(&rows.query);
        row->passages = tars_sqlite_int(&rows.query);
        row->bytes = tars_sqlite_int(&rows.query);
        row->last_indexed_us = tars_sqlite_int(&rows.query);
    }
    status = tars_sqlite_read_done(store, &rows.query, err);
    if (status)
        return status;
    *out = rows.items;
    *count = rows.count;
    return TARS_OK;
}

/* ----------------------------------------------------------------- tenants */

static void bind_tenant(struct tars_sqlite_query *query, const struct tars_tenant *tenant)
{
    tars_sqlite_bind_text(query, tenant->name);
    tars_sqlite_bind_text(query, tenant->title);
    tars_sqlite_bind_text(query, tenant->settings_json);
    tars_sqlite_bind_int(query, tenant->max_documents);
    tars_sqlite_bind_int(query, tenant->max_bytes);
    tars_sqlite_bind_int(query, tenant->max_questions_day);
    tars_sqlite_bind_int(query, tenant->disabled);
}

static tars_status insert_collection(struct tars_sqlite_conn *conn,
                                     const struct tars_collection *collection, struct tars_err *err)
{
    char key[TARS_COLLECTION_KEY_BYTES];
    struct tars_sqlite_query query;
    tars_status status = tars_collection_key(collection->tenant, collection->name, key);

    if (status) {
        return tars_fail(status, err,
                         "%s cannot be a collection: lower-case letters, digits, - and _, at most "
                         "%d of them",
                         collection->name, TARS_NAME_CHARS_MAX);
    }
    query = tars_sqlite_ask(conn, TARS_SQL_COLLECTION_ADD);
    tars_sqlite_bind_text(&query, collection->tenant);
    tars_sqlite_bind_text(&query, collection->name);
    tars_sqlite_bind_text(&query, key);
    tars_sqlite_bind_text(&query, collection->description);
    tars_sqlite_bind_int(&query, collection->created_us);
    tars_sqlite_bind_int(&query, collection->restricted);
    status = tars_sqlite_change(&query, "such tenant", err);
    if (status == TARS_EEXIST)
        status = tars_fail(status, err, "collection %s is there already", collection->name);
    return status;
}

static tars_status tenant_add(struct tars_store *store, const struct tars_tenant *tenant,
                              struct tars_err *err)
{
    struct tars_collection first = {
        .tenant = tenant->name, .name = TARS_COLLECTION_DEFAULT, .created_us = tenant->created_us};
    struct tars_sqlite_query query;
    tars_status status;

    status = begin_change(store, true, TARS_SQL_TENANT_ADD, &query, err);
    if (status)
        return status;
    bind_tenant(&query, tenant);
    tars_sqlite_bind_int(&query, tenant->created_us);
    status = tars_sqlite_run(&query, err);
    if (status == TARS_EEXIST)
        status = tars_fail(status, err, "tenant %s is there already", tenant->name);
    if (!status)
        status = insert_collection(query.conn, &first, err);
    return tars_sqlite_commit(tars_sqlite_of(store), status, err);
}

static tars_status tenant_set(struct tars_store *store, const struct tars_tenant *tenant,
                              struct tars_err *err)
{
    struct tars_sqlite_query query;
    tars_status status = begin_change(store, true, TARS_SQL_TENANT_SET, &query, err);

    if (status)
        return status;
    bind_tenant(&query, tenant);
    return end_change(tars_sqlite_of(store), &query, "such tenant", tenant->name, err);
}

static tars_status find_tenant(struct tars_sqlite_conn *conn, const char *name, int64_t *id,
                               struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, TARS_SQL_TENANT_ID);
    tars_status status;

    *id = 0;
    tars_sqlite_bind_text(&query, name);
    if (tars_sqlite_step(&query))
        *id = tars_sqlite_int(&query);
    status = tars_sqlite_end(&query, err);
    if (!status && !*id)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no tenant %s", name);
    return status;
}

static tars_status is_busy(struct tars_sqlite_query *query, const char *what, struct tars_err *err)
{
    bool busy = tars_sqlite_step(query);
    tars_status status = tars_sqlite_end(query, err);

    if (!status && busy)
        status = tars_fail(TARS_ECONFLICT, err, "%s holds documents: forget them first", what);
    return status;
}

static tars_status remove_tenant(struct tars_sqlite_conn *conn, const char *name,
                                 struct tars_err *err)
{
    /* Who refers comes before what is referred to. */
    static const enum tars_sql steps[] = {
        TARS_SQL_TENANT_JOBS_DELETE,          TARS_SQL_TENANT_SIZES_DELETE,
        TARS_SQL_TENANT_CONVERSATIONS_DELETE, TARS_SQL_TENANT_TRACES_DELETE,
        TARS_SQL_TENANT_ACCOUNTS_DELETE,      TARS_SQL_TENANT_COLLECTIONS_DELETE,
        TARS_SQL_TENANT_AUDIT_DELETE,         TARS_SQL_TENANT_DELETE,
    };
    struct tars_sqlite_query query;
    int64_t id = 0;
    tars_status status = find_tenant(conn, name, &id, err);

    if (status)
        return status;
    query = tars_sqlite_ask(conn, TARS_SQL_TENANT_BUSY);
    tars_sqlite_bind_int(&query, id);
    status = is_busy(&query, name, err);
    for (size_t i = 0; !status && i < sizeof(steps) / sizeof(steps[0]); i++)
        status = run_id(conn, steps[i], id, err);
    return status;
}

static tars_status tenant_remove(struct tars_store *store, const char *name, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    tars_status status;

    status = tars_sqlite_begin(sqlite, true, &conn, err);
    if (status)
        return status;
    return tars_sqlite_commit(sqlite, remove_tenant(conn, name, err), err);
}

/* ---------------------------------------------------------------- accounts */

static tars_status add(struct tars_store *store, struct tars_account *account, struct tars_err *err)
{
    struct tars_sqlite_query query;
    int64_t id;
    tars_status status = begin_change(store, true, TARS_SQL_ACCOUNT_ADD, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_text(&query, account->tenant ? account->tenant : TARS_TENANT);
    tars_sqlite_bind_text(&query, account->name);
    tars_sqlite_bind_text(&query, account->secret_hash);
    tars_sqlite_bind_text(&query, account->external);
    tars_sqlite_bind_int(&query, account->created_us);
    tars_sqlite_bind_int(&query, account->used_us);
    tars_sqlite_bind_int(&query, account->kind);
    tars_sqlite_bind_int(&query, account->role);
    tars_sqlite_bind_int(&query, account->disabled);
    status = tars_sqlite_change(&query, "such tenant", err);
    if (status == TARS_EEXIST)
        status = tars_fail(status, err, "account %s is there already", account->name);
    id = sqlite3_last_insert_rowid(query.conn->db);
    status = tars_sqlite_commit(tars_sqlite_of(store), status, err);
    if (!status)
        account->id = id;
    return status;
}

static tars_status set(struct tars_store *store, const struct tars_account *account,
                       struct tars_err *err)
{
    struct tars_sqlite_query query;
    tars_status status = begin_change(store, true, TARS_SQL_ACCOUNT_SET, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, account->id);
    tars_sqlite_bind_int(&query, account->role);
    tars_sqlite_bind_text(&query, account->secret_hash);
    tars_sqlite_bind_text(&query, account->external);
    tars_sqlite_bind_int(&query, account->disabled);
    tars_sqlite_bind_int(&query, account->tokens_from_us);
    return end_change(tars_sqlite_of(store), &query, "such account",
                      "an account of that name at the provider", err);
}

static tars_status change_id(struct tars_store *store, enum tars_sql sql, int64_t id,
                             const char *what, struct tars_err *err)
{
    struct tars_sqlite_query query;
    tars_status status = begin_change(store, true, sql, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, id);
    return end_change(tars_sqlite_of(store), &query, what, "", err);
}

static tars_status remove_account(struct tars_store *store, int64_t id, struct tars_err *err)
{
    struct tars_sqlite_conn *conn;
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_begin(tars_sqlite_of(store), true, &conn, err);

    if (status)
        return status;
    status = run_id(conn, TARS_SQL_ACCOUNT_CONVERSATIONS_DELETE, id, err);
    if (!status) {
        query = tars_sqlite_ask(conn, TARS_SQL_ACCOUNT_DELETE);
        tars_sqlite_bind_int(&query, id);
        status = tars_sqlite_change(&query, "such account", err);
    }
    return tars_sqlite_commit(tars_sqlite_of(store), status, err);
}

static tars_status touch_one(struct tars_sqlite_conn *conn, enum tars_sql sql, int64_t id,
                             int64_t now_us, struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, sql);

    tars_sqlite_bind_int(&query, id);
    tars_sqlite_bind_int(&query, now_us);
    return tars_sqlite_run(&query, err);
}

static tars_status touch(struct tars_store *store, int64_t account_id, int64_t key_id,
                         int64_t now_us, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_begin(sqlite, false, &conn, err);

    if (status)
        return status;
    status = touch_one(conn, TARS_SQL_ACCOUNT_TOUCH, account_id, now_us, err);
    if (!status && key_id)
        status = touch_one(conn, TARS_SQL_KEY_TOUCH, key_id, now_us, err);
    return tars_sqlite_commit(sqlite, status, err);
}

static tars_status key_add(struct tars_store *store, struct tars_api_key *key, struct tars_err *err)
{
    struct tars_sqlite_query query;
    int64_t id;
    tars_status status = begin_change(store, true, TARS_SQL_KEY_ADD, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, key->account_id);
    tars_sqlite_bind_text(&query, key->label);
    tars_sqlite_bind_text(&query, key->prefix);
    tars_sqlite_bind_text(&query, key->hash);
    tars_sqlite_bind_int(&query, key->created_us);
    tars_sqlite_bind_int(&query, key->used_us);
    tars_sqlite_bind_int(&query, key->expires_us);
    tars_sqlite_bind_int(&query, key->role);
    tars_sqlite_bind_int(&query, key->revoked);
    status = tars_sqlite_change(&query, "such account", err);
    if (status == TARS_EEXIST)
        status = tars_fail(status, err, "this key is there already");
    id = sqlite3_last_insert_rowid(query.conn->db);
    status = tars_sqlite_commit(tars_sqlite_of(store), status, err);
    if (!status)
        key->id = id;
    return status;
}

static tars_status key_revoke(struct tars_store *store, int64_t id, struct tars_err *err)
{
    return change_id(store, TARS_SQL_KEY_REVOKE, id, "such key", err);
}

/* ------------------------------------------------------------- collections */

static tars_status collection_add(struct tars_store *store, struct tars_collection *collection,
                                  struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    int64_t id;
    tars_status status = tars_sqlite_begin(sqlite, true, &conn, err);

    if (status)
        return status;
    status = insert_collection(conn, collection, err);
    id = sqlite3_last_insert_rowid(conn->db);
    status = tars_sqlite_commit(sqlite, status, err);
    if (!status)
        collection->id = id;
    return status;
}

static tars_status collection_set(struct tars_store *store,
                                  const struct tars_collection *collection, struct tars_err *err)
{
    struct tars_sqlite_query query;
    tars_status status = begin_change(store, true, TARS_SQL_COLLECTION_SET, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, collection->id);
    tars_sqlite_bind_text(&query, collection->description);
    tars_sqlite_bind_int(&query, collection->restricted);
    return end_change(tars_sqlite_of(store), &query, "such collection", "", err);
}

static tars_status remove_collection(struct tars_sqlite_conn *conn, int64_t id,
                                     struct tars_arena *arena, struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, TARS_SQL_COLLECTION_GET);
    const char *key = "";
    const char *name = "";
    tars_status status;

    tars_sqlite_bind_int(&query, id);
    if (tars_sqlite_step(&query)) {
        key = tars_sqlite_text(&query, arena, NULL);
        name = tars_sqlite_text(&query, arena, NULL);
    }
    status = tars_sqlite_end(&query, err);
    if (status)
        return status;
    if (!key[0])
        return tars_fail(TARS_ENOTFOUND, err, "there is no such collection");
    if (strcmp(name, TARS_COLLECTION_DEFAULT) == 0)
        return tars_fail(TARS_EINVAL, err, "collection %s cannot be removed", name);
    query = tars_sqlite_ask(conn, TARS_SQL_COLLECTION_BUSY);
    tars_sqlite_bind_text(&query, key);
    status = is_busy(&query, name, err);
    if (!status)
        status = run_text(conn, TARS_SQL_COLLECTION_JOBS_DELETE, key, err);
    if (!status)
        status = run_text(conn, TARS_SQL_COLLECTION_SIZES_DELETE, key, err);
    if (!status)
        status = run_id(conn, TARS_SQL_COLLECTION_DELETE, id, err);
    return status;
}

static tars_status collection_remove(struct tars_store *store, int64_t id, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    struct tars_arena arena;
    tars_status status = tars_sqlite_begin(sqlite, true, &conn, err);

    if (status)
        return status;
    tars_arena_init(&arena, (size_t)1 << 20);
    status = tars_sqlite_commit(sqlite, remove_collection(conn, id, &arena, err), err);
    tars_arena_release(&arena);
    return status;
}

tars_status tars_sqlite_limits(struct tars_sqlite_conn *conn, const char *collection,
                               struct tars_store_limits *limits, struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, TARS_SQL_COLLECTION_LIMITS);
    bool found;
    tars_status status;

    *limits = (struct tars_store_limits){.tenant = ""};
    tars_sqlite_bind_text(&query, collection);
    found = tars_sqlite_step(&query);
    if (found) {
        tars_sqlite_text_into(&query, limits->tenant, sizeof(limits->tenant));
        limits->disabled = tars_sqlite_int(&query) != 0;
        limits->max_documents = tars_sqlite_int(&query);
        limits->max_bytes = tars_sqlite_int(&query);
        limits->documents = tars_sqlite_int(&query);
        limits->bytes = tars_sqlite_int(&query);
    }
    status = tars_sqlite_end(&query, err);
    if (!status && !found)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no collection %s", collection);
    if (!status && limits->disabled)
        status = tars_fail(TARS_EDENIED, err, "tenant %s is disabled", limits->tenant);
    return status;
}

static tars_status room(struct tars_store *store, const char *collection, int64_t documents,
                        int64_t bytes, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_store_limits limits;
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_read_begin(sqlite, &conn, err);

    if (status)
        return status;
    status = tars_sqlite_limits(conn, collection && collection[0] ? collection : TARS_COLLECTION,
                                &limits, err);
    tars_sqlite_read_end(sqlite, conn);
    if (status)
        return status;
    limits.documents += documents;
    limits.bytes += bytes;
    return tars_store_check_limits(&limits, documents, bytes, err);
}

static tars_status grant(struct tars_store *store, const struct tars_grant *grant,
                         struct tars_err *err)
{
    struct tars_sqlite_query query;
    tars_status status = begin_change(store, true, TARS_SQL_GRANT_SET, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, grant->account_id);
    tars_sqlite_bind_int(&query, grant->collection_id);
    tars_sqlite_bind_int(&query, grant->writes);
    return end_change(tars_sqlite_of(store), &query, "such account and collection in one tenant",
                      "", err);
}

static tars_status ungrant(struct tars_store *store, int64_t account_id, int64_t collection_id,
                           struct tars_err *err)
{
    struct tars_sqlite_query query;
    tars_status status = begin_change(store, true, TARS_SQL_GRANT_DELETE, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, account_id);
    tars_sqlite_bind_int(&query, collection_id);
    return end_change(tars_sqlite_of(store), &query, "such grant", "", err);
}

const struct tars_accounts_ops tars_sqlite_accounts_ops = {
    .load = load,
    .tenant_add = tenant_add,
    .tenant_set = tenant_set,
    .tenant_remove = tenant_remove,
    .add = add,
    .set = set,
    .remove = remove_account,
    .touch = touch,
    .key_add = key_add,
    .key_revoke = key_revoke,
    .collection_add = collection_add,
    .collection_set = collection_set,
    .collection_remove = collection_remove,
    .grant = grant,
    .ungrant = ungrant,
    .sizes = sizes,
    .room = room,
    .revoke = tars_sqlite_revoke,
    .revoke_once = tars_sqlite_revoke_once,
    .revoked = tars_sqlite_revoked,
    .revoked_prune = tars_sqlite_revoked_prune,
    .count_usage = tars_sqlite_count_usage,
    .usage = tars_sqlite_usage,
    .audit = tars_sqlite_audit,
    .audit_list = tars_sqlite_audit_list,
    .audit_prune = tars_sqlite_audit_prune,
};
