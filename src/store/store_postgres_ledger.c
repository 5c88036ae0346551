/* store_postgres_ledger - revoked tokens, usage, the audit log: rows that come and grow old. */
#include <string.h>

#include "store/store_postgres_internal.h"

/* ----------------------------------------------------------------- revoked */

static tars_status add_revoked(struct tars_store *store, enum pgs_sql sql, const char *id,
                               int64_t expires_us, bool *is_new, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    struct tars_pg_query query;
    int64_t changed = 0;
    tars_status status = pgs_begin(pgs, true, &conn, err);

    if (status)
        return status;
    query = tars_pg_ask(conn, sql);
    tars_pg_bind_word(&query, id);
    tars_pg_bind_int(&query, expires_us);
    status = tars_pg_run(&query, &changed, err);
    *is_new = changed > 0;
    return pgs_commit(pgs, conn, status, err);
}

tars_status pgs_revoke(struct tars_store *store, const char *id, int64_t expires_us,
                       struct tars_err *err)
{
    bool is_new;

    return add_revoked(store, PGS_REVOKED_ADD, id, expires_us, &is_new, err);
}

tars_status pgs_revoke_once(struct tars_store *store, const char *id, int64_t expires_us,
                            struct tars_err *err)
{
    bool is_new = false;
    tars_status status = add_revoked(store, PGS_REVOKED_ADD_ONCE, id, expires_us, &is_new, err);

    if (!status && !is_new)
        status = tars_fail(TARS_EEXIST, err, "the token has been revoked already");
    return status;
}

tars_status pgs_revoked_lately(struct tars_store *store, const char *id, int64_t ms, bool *lately,
                               struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = pgs_read_ask(store, PGS_REVOKED_LATELY, &query, err);

    if (status)
        return status;
    tars_pg_bind_text(&query, id);
    tars_pg_bind_int(&query, ms);
    if (tars_pg_step(&query))
        *lately = tars_pg_int(&query) > 0;
    return pgs_read_done(store, &query, err);
}

struct telling {
    tars_revoked_fn *each;
    void *ctx;
};

static bool tell_revoked(void *ctx, struct tars_pg_query *query)
{
    const struct telling *telling = ctx;
    char id[TARS_REVOKED_ID_BYTES];

    tars_pg_word_into(query, id, sizeof(id));
    return telling->each(telling->ctx, id, tars_pg_int(query));
}

tars_status pgs_revoked(struct tars_store *store, tars_revoked_fn *each, void *ctx,
                        struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct telling telling = {each, ctx};
    struct tars_pg_conn *conn;
    struct tars_pg_query query;
    tars_status status = pgs_read_begin(pgs, &conn, err);

    if (status)
        return status;
    query = tars_pg_ask(conn, PGS_REVOKED_LIST);
    status = pgs_list(&query, tell_revoked, &telling, err);
    pgs_read_end(pgs, conn);
    return status;
}

tars_status pgs_prune(struct tars_store *store, enum pgs_sql sql, int64_t us, struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = pgs_write_ask(store, true, sql, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, us);
    status = pgs_take_time(query.conn, err);
    if (!status)
        status = tars_pg_do(&query, err);
    return pgs_commit(pgs_of(store), query.conn, status, err);
}

tars_status pgs_revoked_prune(struct tars_store *store, int64_t now_us, struct tars_err *err)
{
    return pgs_prune(store, PGS_REVOKED_PRUNE, now_us, err);
}

/* ------------------------------------------------------------------- usage */

tars_status pgs_count_usage(struct tars_store *store, const char *tenant, int64_t day,
                            int64_t questions, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    struct tars_pg_query query;
    tars_status status = pgs_begin(pgs, false, &conn, err);

    if (status)
        return status;
    query = tars_pg_ask(conn, PGS_USAGE_COUNT);
    tars_pg_bind_word(&query, tenant);
    tars_pg_bind_int(&query, day);
    tars_pg_bind_int(&query, questions);
    return pgs_commit(pgs, conn, tars_pg_change(&query, "such tenant", err), err);
}

tars_status pgs_usage(struct tars_store *store, const char *tenant, int64_t day, int64_t *questions,
                      struct tars_err *err)
{
    struct tars_pg_query query;
    int64_t found = 0;
    tars_status status = pgs_read_ask(store, PGS_USAGE_GET, &query, err);

    if (status)
        return status;
    tars_pg_bind_word(&query, tenant);
    tars_pg_bind_int(&query, day);
    if (tars_pg_step(&query))
        found = tars_pg_int(&query);
    status = pgs_read_done(store, &query, err);
    if (!status)
        *questions = found;
    return status;
}

/* ------------------------------------------------------------------- audit */

tars_status pgs_audit(struct tars_store *store, const struct tars_audit_entry *entry,
                      struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = pgs_write_ask(store, true, PGS_AUDIT_ADD, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, entry->time_us);
    tars_pg_bind_word(&query, entry->tenant);
    tars_pg_bind_word(&query, entry->actor);
    tars_pg_bind_word(&query, entry->action);
    tars_pg_bind_word(&query, entry->object);
    tars_pg_bind_word(&query, entry->address);
    tars_pg_bind_word(&query, entry->request_id);
    tars_pg_bind_word(&query, entry->detail);
    tars_pg_bind_int(&query, entry->success);
    return pgs_write_run(store, &query, err);
}

static void read_entry(struct tars_pg_query *query, struct tars_arena *arena,
                       struct tars_audit_entry *out)
{
    out->id = tars_pg_int(query);
    out->time_us = tars_pg_int(query);
    out->tenant = tars_pg_word(query, arena, NULL);
    out->actor = tars_pg_word(query, arena, NULL);
    out->action = tars_pg_word(query, arena, NULL);
    out->object = tars_pg_word(query, arena, NULL);
    out->address = tars_pg_word(query, arena, NULL);
    out->request_id = tars_pg_word(query, arena, NULL);
    out->detail = tars_pg_word(query, arena, NULL);
    out->success = tars_pg_int(query) != 0;
}

tars_status pgs_audit_list(struct tars_store *store, const struct tars_audit_filter *filter,
                           struct tars_arena *arena, struct tars_audit_entry **entries,
                           size_t *count, struct tars_err *err)
{
    struct tars_pg_rows rows = {.arena = arena};
    struct tars_pg_query *query = &rows.query;
    struct tars_audit_entry *entry;
    tars_status status = pgs_read_ask(store, PGS_AUDIT_LIST, query, err);

    if (status)
        return status;
    tars_pg_bind_text(query, filter->tenant);
    tars_pg_bind_text(query, filter->actor);
    tars_pg_bind_text(query, filter->action);
    tars_pg_bind_int(query, filter->before_id ? filter->before_id : INT64_MAX);
    tars_pg_bind_int(query, filter->limit ? (int64_t)filter->limit : TARS_AUDIT_LIMIT);
    while ((entry = tars_pg_next_row(&rows, sizeof(*entry))) != NULL)
        read_entry(query, arena, entry);
    status = pgs_read_done(store, query, err);
    if (status)
        return status;
    *entries = rows.items;
    *count = rows.count;
    return TARS_OK;
}

tars_status pgs_audit_prune(struct tars_store *store, int64_t before_us, struct tars_err *err)
{
    return pgs_prune(store, PGS_AUDIT_PRUNE, before_us, err);
}
