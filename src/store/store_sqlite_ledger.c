/* store_sqlite_ledger - revoked tokens, usage, the audit log: rows that come and grow old. */
#include <string.h>

#include "store/store_sqlite_internal.h"

/* ----------------------------------------------------------------- revoked */

static tars_status add_revoked(struct tars_store *store, enum tars_sql sql, const char *id,
                               int64_t expires_us, bool *is_new, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_begin(sqlite, true, &conn, err);

    if (status)
        return status;
    query = tars_sqlite_ask(conn, sql);
    tars_sqlite_bind_text(&query, id);
    tars_sqlite_bind_int(&query, expires_us);
    status = tars_sqlite_run(&query, err);
    *is_new = sqlite3_changes(conn->db) > 0;
    return tars_sqlite_commit(sqlite, status, err);
}

tars_status tars_sqlite_revoke(struct tars_store *store, const char *id, int64_t expires_us,
                               struct tars_err *err)
{
    bool is_new;

    return add_revoked(store, TARS_SQL_REVOKED_ADD, id, expires_us, &is_new, err);
}

tars_status tars_sqlite_revoke_once(struct tars_store *store, const char *id, int64_t expires_us,
                                    struct tars_err *err)
{
    bool is_new = false;
    tars_status status =
        add_revoked(store, TARS_SQL_REVOKED_ADD_ONCE, id, expires_us, &is_new, err);

    if (!status && !is_new)
        status = tars_fail(TARS_EEXIST, err, "the token has been revoked already");
    return status;
}

tars_status tars_sqlite_revoked(struct tars_store *store, tars_revoked_fn *each, void *ctx,
                                struct tars_err *err)
{
    char id[TARS_REVOKED_ID_BYTES];
    struct tars_sqlite_query query;
    bool go_on = true;
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_REVOKED_LIST, &query, err);

    if (status)
        return status;
    while (go_on && tars_sqlite_step(&query)) {
        tars_sqlite_text_into(&query, id, sizeof(id));
        go_on = each(ctx, id, tars_sqlite_int(&query));
    }
    status = tars_sqlite_read_done(store, &query, err);
    return status;
}

tars_status tars_sqlite_prune(struct tars_store *store, enum tars_sql sql, int64_t us,
                              struct tars_err *err)
{
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_write_ask(store, true, sql, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, us);
    return tars_sqlite_write_run(store, &query, err);
}

tars_status tars_sqlite_revoked_prune(struct tars_store *store, int64_t now_us,
                                      struct tars_err *err)
{
    return tars_sqlite_prune(store, TARS_SQL_REVOKED_PRUNE, now_us, err);
}

/* ------------------------------------------------------------------- usage */

tars_status tars_sqlite_count_usage(struct tars_store *store, const char *tenant, int64_t day,
                                    int64_t questions, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_begin(sqlite, false, &conn, err);

    if (status)
        return status;
    query = tars_sqlite_ask(conn, TARS_SQL_USAGE_COUNT);
    tars_sqlite_bind_text(&query, tenant);
    tars_sqlite_bind_int(&query, day);
    tars_sqlite_bind_int(&query, questions);
    return tars_sqlite_commit(sqlite, tars_sqlite_change(&query, "such tenant", err), err);
}

tars_status tars_sqlite_usage(struct tars_store *store, const char *tenant, int64_t day,
                              int64_t *questions, struct tars_err *err)
{
    struct tars_sqlite_query query;
    int64_t found = 0;
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_USAGE_GET, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_text(&query, tenant);
    tars_sqlite_bind_int(&query, day);
    if (tars_sqlite_step(&query))
        found = tars_sqlite_int(&query);
    status = tars_sqlite_read_done(store, &query, err);
    if (!status)
        *questions = found;
    return status;
}

/* ------------------------------------------------------------------- audit */

tars_status tars_sqlite_audit(struct tars_store *store, const struct tars_audit_entry *entry,
                              struct tars_err *err)
{
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_write_ask(store, true, TARS_SQL_AUDIT_ADD, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, entry->time_us);
    tars_sqlite_bind_text(&query, entry->tenant);
    tars_sqlite_bind_text(&query, entry->actor);
    tars_sqlite_bind_text(&query, entry->action);
    tars_sqlite_bind_text(&query, entry->object);
    tars_sqlite_bind_text(&query, entry->address);
    tars_sqlite_bind_text(&query, entry->request_id);
    tars_sqlite_bind_text(&query, entry->detail);
    tars_sqlite_bind_int(&query, entry->success);
    return tars_sqlite_write_run(store, &query, err);
}

static void read_entry(struct tars_sqlite_query *query, struct tars_arena *arena,
                       struct tars_audit_entry *out)
{
    out->id = tars_sqlite_int(query);
    out->time_us = tars_sqlite_int(query);
    out->tenant = tars_sqlite_text(query, arena, NULL);
    out->actor = tars_sqlite_text(query, arena, NULL);
    out->action = tars_sqlite_text(query, arena, NULL);
    out->object = tars_sqlite_text(query, arena, NULL);
    out->address = tars_sqlite_text(query, arena, NULL);
    out->request_id = tars_sqlite_text(query, arena, NULL);
    out->detail = tars_sqlite_text(query, arena, NULL);
    out->success = tars_sqlite_int(query) != 0;
}

/* The statement whose index leaves the fewest rows to look at. */
static enum tars_sql audit_sql(const struct tars_audit_filter *filter)
{
    if (filter->actor)
        return TARS_SQL_AUDIT_LIST_ACTOR;
    if (filter->action)
        return TARS_SQL_AUDIT_LIST_ACTION;
    return filter->tenant ? TARS_SQL_AUDIT_LIST_TENANT : TARS_SQL_AUDIT_LIST;
}

tars_status tars_sqlite_audit_list(struct tars_store *store, const struct tars_audit_filter *filter,
                                   struct tars_arena *arena, struct tars_audit_entry **entries,
                                   size_t *count, struct tars_err *err)
{
    struct tars_sqlite_rows rows = {.arena = arena};
    struct tars_sqlite_query *query = &rows.query;
    struct tars_audit_entry *entry;
    tars_status status = tars_sqlite_read_ask(store, audit_sql(filter), query, err);

    if (status)
        return status;
    tars_sqlite_bind_text_or_null(query, filter->tenant);
    tars_sqlite_bind_text_or_null(query, filter->actor);
    tars_sqlite_bind_text_or_null(query, filter->action);
    tars_sqlite_bind_int(query, filter->before_id ? filter->before_id : INT64_MAX);
    tars_sqlite_bind_int(query, filter->limit ? (int64_t)filter->limit : TARS_AUDIT_LIMIT);
    while ((entry = tars_sqlite_next_row(&rows, sizeof(*entry))) != NULL)
        read_entry(query, arena, entry);
    status = tars_sqlite_read_done(store, query, err);
    if (status)
        return status;
    *entries = rows.items;
    *count = rows.count;
    return TARS_OK;
}

tars_status tars_sqlite_audit_prune(struct tars_store *store, int64_t before_us,
                                    struct tars_err *err)
{
    return tars_sqlite_prune(store, TARS_SQL_AUDIT_PRUNE, before_us, err);
}
