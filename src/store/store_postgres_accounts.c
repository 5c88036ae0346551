/* store_postgres_accounts - tenants, accounts, keys, collections, grants, and what collections
 * hold.
 *
 * Writers name a tenant or an account inside the statement (INSERT ... SELECT), so that one that is
 * not there changes no row, which is how it is told.
 */
#include <string.h>

#include "store/store_postgres_internal.h"

/* End a transaction of one statement that must change a row. A name that is taken gets words. */
static tars_status end_change(struct pgs *pgs, struct tars_pg_query *query, const char *what,
                              const char *name, struct tars_err *err)
{
    tars_status status = tars_pg_change(query, what, err);

    if (status == TARS_EEXIST)
        status = tars_fail(status, err, "%s is there already", name);
    return pgs_commit(pgs, query->conn, status, err);
}

/* A statement in a transaction of its own. */
static tars_status begin_change(struct tars_store *store, bool durable, enum pgs_sql sql,
                                struct tars_pg_query *query, struct tars_err *err)
{
    struct tars_pg_conn *conn;
    tars_status status = pgs_begin(pgs_of(store), durable, &conn, err);

    if (!status)
        *query = tars_pg_ask(conn, sql);
    return status;
}

static tars_status run_id(struct tars_pg_conn *conn, enum pgs_sql sql, int64_t id,
                          struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, sql);

    tars_pg_bind_int(&query, id);
    return tars_pg_do(&query, err);
}

static tars_status run_text(struct tars_pg_conn *conn, enum pgs_sql sql, const char *text,
                            struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, sql);

    tars_pg_bind_word(&query, text);
    return tars_pg_do(&query, err);
}

/* ----------------------------------------------------------------- reading */

static tars_status load_tenants(struct tars_pg_conn *conn, struct tars_arena *arena,
                                struct tars_access *out, struct tars_err *err)
{
    struct tars_pg_rows rows = tars_pg_ask_rows(conn, PGS_TENANT_LIST, arena);
    struct tars_pg_query *query = &rows.query;
    struct tars_tenant *row;

    while ((row = tars_pg_next_row(&rows, sizeof(*row))) != NULL) {
        row->name = tars_pg_word(query, arena, NULL);
        row->title = tars_pg_word(query, arena, NULL);
        row->settings_json = tars_pg_word(query, arena, NULL);
        row->max_documents = tars_pg_int(query);
        row->max_bytes = tars_pg_int(query);
        row->max_questions_day = tars_pg_int(query);
        row->created_us = tars_pg_int(query);
        row->disabled = tars_pg_int(query) != 0;
    }
    out->tenants = rows.items;
    out->tenant_count = rows.count;
    return tars_pg_end(query, err);
}

static tars_status load_accounts(struct tars_pg_conn *conn, struct tars_arena *arena,
                                 struct tars_access *out, struct tars_err *err)
{
    struct tars_pg_rows rows = tars_pg_ask_rows(conn, PGS_ACCOUNT_LIST, arena);
    struct tars_pg_query *query = &rows.query;
    struct tars_account *row;

    while ((row = tars_pg_next_row(&rows, sizeof(*row))) != NULL) {
        row->id = tars_pg_int(query);
        row->tenant = tars_pg_word(query, arena, NULL);
        row->name = tars_pg_word(query, arena, NULL);
        row->secret_hash = tars_pg_word(query, arena, NULL);
        row->external = tars_pg_word(query, arena, NULL);
        row->created_us = tars_pg_int(query);
        row->used_us = tars_pg_int(query);
        row->kind = (enum tars_account_kind)tars_pg_int(query);
        row->role = (enum tars_role)tars_pg_int(query);
        row->disabled = tars_pg_int(query) != 0;
        row->tokens_from_us = tars_pg_int(query);
    }
    out->accounts = rows.items;
    out->account_count = rows.count;
    return tars_pg_end(query, err);
}

static tars_status load_keys(struct tars_pg_conn *conn, struct tars_arena *arena,
                             struct tars_access *out, struct tars_err *err)
{
    struct tars_pg_rows rows = tars_pg_ask_rows(conn, PGS_KEY_LIST, arena);
    struct tars_pg_query *query = &rows.query;
    struct tars_api_key *row;

    while ((row = tars_pg_next_row(&rows, sizeof(*row))) != NULL) {
        row->id = tars_pg_int(query);
        row->account_id = tars_pg_int(query);
        row->label = tars_pg_word(query, arena, NULL);
        row->prefix = tars_pg_word(query, arena, NULL);
        row->hash = tars_pg_word(query, arena, NULL);
        row->created_us = tars_pg_int(query);
        row->used_us = tars_pg_int(query);
        row->expires_us = tars_pg_int(query);
        row->role = (enum tars_role)tars_pg_int(query);
        row->revoked = tars_pg_int(query) != 0;
    }
    out->keys = rows.items;
    out->key_count = rows.count;
    return tars_pg_end(query, err);
}

static tars_status load_collections(struct tars_pg_conn *conn, struct tars_arena *arena,
                                    struct tars_access *out, struct tars_err *err)
{
    struct tars_pg_rows rows = tars_pg_ask_rows(conn, PGS_COLLECTION_LIST, arena);
    struct tars_pg_query *query = &rows.query;
    struct tars_collection *row;

    while ((row = tars_pg_next_row(&rows, sizeof(*row))) != NULL) {
        row->id = tars_pg_int(query);
        row->tenant = tars_pg_word(query, arena, NULL);
        row->name = tars_pg_word(query, arena, NULL);
        row->key = tars_pg_word(query, arena, NULL);
        row->description = tars_pg_word(query, arena, NULL);
        row->created_us = tars_pg_int(query);
        row->restricted = tars_pg_int(query) != 0;
    }
    out->collections = rows.items;
    out->collection_count = rows.count;
    return tars_pg_end(query, err);
}

static tars_status load_grants(struct tars_pg_conn *conn, struct tars_arena *arena,
                               struct tars_access *out, struct tars_err *err)
{
    struct tars_pg_rows rows = tars_pg_ask_rows(conn, PGS_GRANT_LIST, arena);
    struct tars_pg_query *query = &rows.query;
    struct tars_grant *row;

    while ((row = tars_pg_next_row(&rows, sizeof(*row))) != NULL) {
        row->account_id = tars_pg_int(query);
        row->collection_id = tars_pg_int(query);
        row->writes = tars_pg_int(query) != 0;
    }
    out->grants = rows.items;
    out->grant_count = rows.count;
    return tars_pg_end(query, err);
}

static tars_status load(struct tars_store *store, struct tars_arena *arena, struct tars_access *out,
                        struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_access access = {0};
    struct tars_pg_conn *conn;
    tars_status status = pgs_read_begin(pgs, &conn, err);

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
    pgs_read_end(pgs, conn);
    if (!status)
        *out = access;
    return status;
}

tars_status pgs_sizes(struct tars_store *store, struct tars_arena *arena,
                      struct tars_collection_size **out, size_t *count, struct tars_err *err)
{
    struct tars_pg_rows rows = {.arena = arena};
    struct tars_collection_size *row;
    tars_status status = pgs_read_ask(store, PGS_COLLECTION_SIZES, &rows.query, err);

    if (status)
        return status;
    while ((row = tars_pg_next_row(&rows, sizeof(*row))) != NULL) {
        row->key = tars_pg_word(&rows.query, arena, NULL);
        row->files = tars_pg_int(&rows.query);
        row->documents = tars_pg_int(&rows.query);
        row->passages = tars_pg_int(&rows.query);
        row->bytes = tars_pg_int(&rows.query);
        row->last_indexed_us = tars_pg_int(&rows.query);
    }
    status = pgs_read_done(store, &rows.query, err);
    if (status)
        return status;
    *out = rows.items;
    *count = rows.count;
    return TARS_OK;
}

/* ----------------------------------------------------------------- tenants */

static void bind_tenant(struct tars_pg_query *query, const struct tars_tenant *tenant)
{
    tars_pg_bind_word(query, tenant->name);
    tars_pg_bind_word(query, tenant->title);
    tars_pg_bind_word(query, tenant->settings_json);
    tars_pg_bind_int(query, tenant->max_documents);
    tars_pg_bind_int(query, tenant->max_bytes);
    tars_pg_bind_int(query, tenant->max_questions_day);
    tars_pg_bind_int(query, tenant->disabled);
}

static tars_status insert_collection(struct tars_pg_conn *conn,
                                     const struct tars_collection *collection, int64_t *id,
                                     struct tars_err *err)
{
    char key[TARS_COLLECTION_KEY_BYTES];
    struct tars_pg_query query;
    tars_status status = tars_collection_key(collection->tenant, collection->name, key);

    if (status) {
        return tars_fail(status, err,
                         "%s cannot be a collection: lower-case letters, digits, - and _, at most "
                         "%d of them",
                         collection->name, TARS_NAME_CHARS_MAX);
    }
    query = tars_pg_ask(conn, PGS_COLLECTION_ADD);
    tars_pg_bind_word(&query, collection->tenant);
    tars_pg_bind_word(&query, collection->name);
    tars_pg_bind_word(&query, key);
    tars_pg_bind_word(&query, collection->description);
    tars_pg_bind_int(&query, collection->created_us);
    tars_pg_bind_int(&query, collection->restricted);
    status = tars_pg_change_id(&query, "such tenant", id, err);
    if (status == TARS_EEXIST)
        status = tars_fail(status, err, "collection %s is there already", collection->name);
    return status;
}

static tars_status tenant_add(struct tars_store *store, const struct tars_tenant *tenant,
                              struct tars_err *err)
{
    struct tars_collection first = {
        .tenant = tenant->name, .name = TARS_COLLECTION_DEFAULT, .created_us = tenant->created_us};
    struct tars_pg_query query;
    int64_t id = 0;
    tars_status status;

    status = begin_change(store, true, PGS_TENANT_ADD, &query, err);
    if (status)
        return status;
    bind_tenant(&query, tenant);
    tars_pg_bind_int(&query, tenant->created_us);
    status = tars_pg_do(&query, err);
    if (status == TARS_EEXIST)
        status = tars_fail(status, err, "tenant %s is there already", tenant->name);
    if (!status)
        status = insert_collection(query.conn, &first, &id, err);
    return pgs_commit(pgs_of(store), query.conn, status, err);
}

static void bind_int_or_null(struct tars_pg_query *query, const void *is_there, int64_t value)
{
    if (is_there) {
        tars_pg_bind_int(query, value);
    } else {
        tars_pg_bind_text(query, NULL);
    }
}

static void bind_old_tenant(struct tars_pg_query *query, const struct tars_tenant *was)
{
    tars_pg_bind_text(query, was ? was->title : NULL);
    tars_pg_bind_text(query, was ? was->settings_json : NULL);
    bind_int_or_null(query, was, was ? was->max_documents : 0);
    bind_int_or_null(query, was, was ? was->max_bytes : 0);
    bind_int_or_null(query, was, was ? was->max_questions_day : 0);
    bind_int_or_null(query, was, was && was->disabled);
}

static tars_status tenant_set(struct tars_store *store, const struct tars_tenant *tenant,
                              struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = begin_change(store, true, PGS_TENANT_SET, &query, err);

    if (status)
        return status;
    bind_tenant(&query, tenant);
    bind_old_tenant(&query, tenant->was);
    return end_change(pgs_of(store), &query, "such tenant", tenant->name, err);
}

/* Nobody puts documents in or takes some out until the end of the transaction. */
static tars_status keep_documents(struct tars_pg_conn *conn, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_COUNTERS_TAKE);

    return tars_pg_do(&query, err);
}

static tars_status take_tenant(struct tars_pg_conn *conn, const char *name, int64_t *id,
                               struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_TENANT_TAKE);
    tars_status status;

    *id = 0;
    tars_pg_bind_word(&query, name);
    if (tars_pg_step(&query))
        *id = tars_pg_int(&query);
    status = tars_pg_end(&query, err);
    if (!status && !*id)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no tenant %s", name);
    return status;
}

static tars_status is_busy(struct tars_pg_query *query, const char *what, struct tars_err *err)
{
    bool busy = tars_pg_step(query);
    tars_status status = tars_pg_end(query, err);

    if (!status && busy)
        status = tars_fail(TARS_ECONFLICT, err, "%s holds documents: forget them first", what);
    return status;
}

static tars_status remove_tenant(struct tars_pg_conn *conn, const char *name, struct tars_err *err)
{
    /* Who refers comes before what is referred to. */
    static const enum pgs_sql steps[] = {
        PGS_TENANT_JOBS_DELETE,   PGS_TENANT_SIZES_DELETE,    PGS_TENANT_CONVERSATIONS_DELETE,
        PGS_TENANT_TRACES_DELETE, PGS_TENANT_ACCOUNTS_DELETE, PGS_TENANT_COLLECTIONS_DELETE,
        PGS_TENANT_AUDIT_DELETE,  PGS_TENANT_DELETE,
    };
    struct tars_pg_query query;
    int64_t id = 0;
    tars_status status = keep_documents(conn, err);

    if (!status)
        status = take_tenant(conn, name, &id, err);
    if (status)
        return status;
    query = tars_pg_ask(conn, PGS_TENANT_BUSY);
    tars_pg_bind_int(&query, id);
    status = is_busy(&query, name, err);
    for (size_t i = 0; !status && i < sizeof(steps) / sizeof(steps[0]); i++)
        status = run_id(conn, steps[i], id, err);
    return status;
}

static tars_status tenant_remove(struct tars_store *store, const char *name, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    tars_status status;

    status = pgs_begin(pgs, true, &conn, err);
    if (status)
        return status;
    status = pgs_take_time(conn, err);
    if (!status)
        status = remove_tenant(conn, name, err);
    return pgs_commit(pgs, conn, status, err);
}

/* ---------------------------------------------------------------- accounts */

static tars_status add(struct tars_store *store, struct tars_account *account, struct tars_err *err)
{
    struct tars_pg_query query;
    int64_t id = 0;
    tars_status status = begin_change(store, true, PGS_ACCOUNT_ADD, &query, err);

    if (status)
        return status;
    tars_pg_bind_word(&query, account->tenant ? account->tenant : TARS_TENANT);
    tars_pg_bind_word(&query, account->name);
    tars_pg_bind_word(&query, account->secret_hash);
    tars_pg_bind_word(&query, account->external);
    tars_pg_bind_int(&query, account->created_us);
    tars_pg_bind_int(&query, account->used_us);
    tars_pg_bind_int(&query, account->kind);
    tars_pg_bind_int(&query, account->role);
    tars_pg_bind_int(&query, account->disabled);
    status = tars_pg_change_id(&query, "such tenant", &id, err);
    if (status == TARS_EEXIST)
        status = tars_fail(status, err, "account %s is there already", account->name);
    status = pgs_commit(pgs_of(store), query.conn, status, err);
    if (!status)
        account->id = id;
    return status;
}

/* In a transaction, which nobody else's that asks this overlaps. */
static tars_status check_admin(struct tars_pg_conn *conn, const struct tars_account *account,
                               struct tars_err *err)
{
    struct tars_pg_query query;
    int64_t is_last = 0;
    tars_status status = run_id(conn, PGS_ACCOUNT_TENANT_TAKE, account->id, err);

    if (status)
        return status;
    query = tars_pg_ask(conn, PGS_ACCOUNT_IS_LAST);
    tars_pg_bind_int(&query, account->id);
    status = pgs_one_int(&query, &is_last, err);
    if (!status && is_last) {
        status = tars_fail(TARS_ECONFLICT, err,
                           "\"%.255s\" is the last admin of tenant %s: make another one first",
                           account->name, account->tenant);
    }
    return status;
}

static tars_status set(struct tars_store *store, const struct tars_account *account,
                       struct tars_err *err)
{
    const struct tars_account *was = account->was;
    struct tars_pg_query query;
    tars_status status = begin_change(store, true, PGS_ACCOUNT_SET, &query, err);

    if (status)
        return status;
    if (account->leaves_admin)
        status = check_admin(query.conn, account, err);
    if (status)
        return pgs_commit(pgs_of(store), query.conn, status, err);
    tars_pg_bind_int(&query, account->id);
    tars_pg_bind_int(&query, account->role);
    tars_pg_bind_word(&query, account->secret_hash);
    tars_pg_bind_word(&query, account->external);
    tars_pg_bind_int(&query, account->disabled);
    tars_pg_bind_int(&query, account->tokens_from_us);
    bind_int_or_null(&query, was, was ? (int64_t)was->role : 0);
    tars_pg_bind_text(&query, was ? was->secret_hash : NULL);
    tars_pg_bind_text(&query, was ? was->external : NULL);
    bind_int_or_null(&query, was, was && was->disabled);
    return end_change(pgs_of(store), &query, "such account",
                      "an account of that name at the provider", err);
}

static tars_status change_id(struct tars_store *store, enum pgs_sql sql, int64_t id,
                             const char *what, struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = begin_change(store, true, sql, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, id);
    return end_change(pgs_of(store), &query, what, "", err);
}

static tars_status remove_account(struct tars_store *store, int64_t id, struct tars_err *err)
{
    struct tars_pg_conn *conn;
    struct tars_pg_query query;
    tars_status status = pgs_begin(pgs_of(store), true, &conn, err);

    if (status)
        return status;
    status = run_id(conn, PGS_ACCOUNT_CONVERSATIONS_DELETE, id, err);
    if (!status) {
        query = tars_pg_ask(conn, PGS_ACCOUNT_DELETE);
        tars_pg_bind_int(&query, id);
        status = tars_pg_change(&query, "such account", err);
    }
    return pgs_commit(pgs_of(store), conn, status, err);
}

static tars_status touch_one(struct tars_pg_conn *conn, enum pgs_sql sql, int64_t id,
                             int64_t now_us, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, sql);

    tars_pg_bind_int(&query, id);
    tars_pg_bind_int(&query, now_us);
    return tars_pg_do(&query, err);
}

static tars_status touch(struct tars_store *store, int64_t account_id, int64_t key_id,
                         int64_t now_us, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    tars_status status = pgs_begin(pgs, false, &conn, err);

    if (status)
        return status;
    status = touch_one(conn, PGS_ACCOUNT_TOUCH, account_id, now_us, err);
    if (!status && key_id)
        status = touch_one(conn, PGS_KEY_TOUCH, key_id, now_us, err);
    return pgs_commit(pgs, conn, status, err);
}

static tars_status key_add(struct tars_store *store, struct tars_api_key *key, struct tars_err *err)
{
    struct tars_pg_query query;
    int64_t id = 0;
    tars_status status = begin_change(store, true, PGS_KEY_ADD, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, key->account_id);
    tars_pg_bind_word(&query, key->label);
    tars_pg_bind_word(&query, key->prefix);
    tars_pg_bind_word(&query, key->hash);
    tars_pg_bind_int(&query, key->created_us);
    tars_pg_bind_int(&query, key->used_us);
    tars_pg_bind_int(&query, key->expires_us);
    tars_pg_bind_int(&query, key->role);
    tars_pg_bind_int(&query, key->revoked);
    status = tars_pg_change_id(&query, "such account", &id, err);
    if (status == TARS_EEXIST)
        status = tars_fail(status, err, "this key is there already");
    status = pgs_commit(pgs_of(store), query.conn, status, err);
    if (!status)
        key->id = id;
    return status;
}

static tars_status key_revoke(struct tars_store *store, int64_t id, struct tars_err *err)
{
    return change_id(store, PGS_KEY_REVOKE, id, "such key", err);
}

/* ------------------------------------------------------------- collections */

static tars_status collection_add(struct tars_store *store, struct tars_collection *collection,
                                  struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    int64_t id = 0;
    tars_status status = pgs_begin(pgs, true, &conn, err);

    if (status)
        return status;
    status = insert_collection(conn, collection, &id, err);
    status = pgs_commit(pgs, conn, status, err);
    if (!status)
        collection->id = id;
    return status;
}

static tars_status collection_set(struct tars_store *store,
                                  const struct tars_collection *collection, struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = begin_change(store, true, PGS_COLLECTION_SET, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, collection->id);
    tars_pg_bind_word(&query, collection->description);
    tars_pg_bind_int(&query, collection->restricted);
    return end_change(pgs_of(store), &query, "such collection", "", err);
}

static tars_status remove_collection(struct tars_pg_conn *conn, int64_t id,
                                     struct tars_arena *arena, struct tars_err *err)
{
    struct tars_pg_query query;
    const char *key = "";
    const char *name = "";
    tars_status status = keep_documents(conn, err);

    if (status)
        return status;
    query = tars_pg_ask(conn, PGS_COLLECTION_TAKE);
    tars_pg_bind_int(&query, id);
    if (tars_pg_step(&query)) {
        key = tars_pg_word(&query, arena, NULL);
        name = tars_pg_word(&query, arena, NULL);
    }
    status = tars_pg_end(&query, err);
    if (status)
        return status;
    if (!key[0])
        return tars_fail(TARS_ENOTFOUND, err, "there is no such collection");
    if (strcmp(name, TARS_COLLECTION_DEFAULT) == 0)
        return tars_fail(TARS_EINVAL, err, "collection %s cannot be removed", name);
    query = tars_pg_ask(conn, PGS_COLLECTION_BUSY);
    tars_pg_bind_word(&query, key);
    status = is_busy(&query, name, err);
    if (!status)
        status = run_text(conn, PGS_COLLECTION_JOBS_DELETE, key, err);
    if (!status)
        status = run_text(conn, PGS_COLLECTION_SIZES_DELETE, key, err);
    if (!status)
        status = run_id(conn, PGS_COLLECTION_DELETE, id, err);
    return status;
}

static tars_status collection_remove(struct tars_store *store, int64_t id, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    struct tars_arena arena;
    tars_status status = pgs_begin(pgs, true, &conn, err);

    if (status)
        return status;
    tars_arena_init(&arena, (size_t)1 << 20);
    status = pgs_commit(pgs, conn, remove_collection(conn, id, &arena, err), err);
    tars_arena_release(&arena);
    return status;
}

tars_status pgs_limits(struct tars_pg_conn *conn, const char *collection,
                       struct tars_store_limits *limits, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_COLLECTION_LIMITS);
    bool found;
    tars_status status;

    *limits = (struct tars_store_limits){.tenant = ""};
    tars_pg_bind_word(&query, collection);
    found = tars_pg_step(&query);
    if (found) {
        tars_pg_word_into(&query, limits->tenant, sizeof(limits->tenant));
        limits->disabled = tars_pg_int(&query) != 0;
        limits->max_documents = tars_pg_int(&query);
        limits->max_bytes = tars_pg_int(&query);
        limits->documents = tars_pg_int(&query);
        limits->bytes = tars_pg_int(&query);
    }
    status = tars_pg_end(&query, err);
    if (!status && !found)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no collection %s", collection);
    if (!status && limits->disabled)
        status = tars_fail(TARS_EDENIED, err, "tenant %s is disabled", limits->tenant);
    return status;
}

static tars_status room(struct tars_store *store, const char *collection, int64_t documents,
                        int64_t bytes, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_store_limits limits;
    struct tars_pg_conn *conn;
    tars_status status = pgs_read_begin(pgs, &conn, err);

    if (status)
        return status;
    status =
        pgs_limits(conn, collection && collection[0] ? collection : TARS_COLLECTION, &limits, err);
    pgs_read_end(pgs, conn);
    if (status)
        return status;
    limits.documents += documents;
    limits.bytes += bytes;
    return tars_store_check_limits(&limits, documents, bytes, err);
}

static tars_status grant(struct tars_store *store, const struct tars_grant *grant,
                         struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = begin_change(store, true, PGS_GRANT_SET, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, grant->account_id);
    tars_pg_bind_int(&query, grant->collection_id);
    tars_pg_bind_int(&query, grant->writes);
    return end_change(pgs_of(store), &query, "such account and collection in one tenant", "", err);
}

static tars_status ungrant(struct tars_store *store, int64_t account_id, int64_t collection_id,
                           struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = begin_change(store, true, PGS_GRANT_DELETE, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, account_id);
    tars_pg_bind_int(&query, collection_id);
    return end_change(pgs_of(store), &query, "such grant", "", err);
}

const struct tars_accounts_ops pgs_accounts_ops = {
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
    .sizes = pgs_kept_sizes,
    .room = room,
    .revoke = pgs_revoke,
    .revoke_once = pgs_revoke_once,
    .revoked_lately = pgs_revoked_lately,
    .revoked = pgs_revoked,
    .revoked_prune = pgs_revoked_prune,
    .count_usage = pgs_count_usage,
    .usage = pgs_usage,
    .audit = pgs_audit,
    .audit_list = pgs_audit_list,
    .audit_prune = pgs_audit_prune,
};
