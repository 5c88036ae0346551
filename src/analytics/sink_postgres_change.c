/* sink_postgres_change - rows of another program's log come in; rows of a client go, or lose what
 * tells whose they were. The sums of their hours go by the triggers of the schema. */
#include <string.h>

#include "analytics/sink_postgres_internal.h"
#include "analytics/row_json.h"
#include "base/crypto/digest.h"

#define METADATA_MAX ((size_t)64 << 10)
#define SCRUB_MS     3600000

/* ---------------------------------------------------------------- importing */

/* *added: 0 where it is there already. */
static tars_status add(struct tars_pg_conn *conn, const struct tars_logged_query *logged,
                       const char *hash, const char *metadata, int64_t *added, struct tars_err *err)
{
    const struct tars_query_row *row = &logged->row;
    struct tars_pg_query query = tars_pg_ask(conn, PG_SQL_IMPORT);
    char time[TARS_PG_TIME_BYTES];

    tars_pg_write_time(row->time_us, time);
    tars_pg_bind_text(&query, time);
    tars_pg_bind_text(&query, row->query_text);
    tars_pg_bind_text(&query, hash);
    tars_pg_bind_text(&query, row->client_id);
    tars_pg_bind_real(&query, row->retrieval_time_ms);
    tars_pg_bind_real(&query, row->generation_time_ms);
    tars_pg_bind_real(&query, row->total_time_ms);
    tars_pg_bind_int(&query, logged->sources_count);
    tars_pg_bind_real(&query, logged->avg_relevance_score);
    tars_pg_bind_text(&query, row->model_used);
    tars_pg_bind_int(&query, row->tokens_generated);
    tars_pg_bind_int(&query, row->expansion_count);
    tars_pg_bind_int(&query, row->used_reranking);
    tars_pg_bind_int(&query, row->used_hybrid_search);
    tars_pg_bind_int(&query, row->used_query_expansion);
    tars_pg_bind_int(&query, row->error_message == NULL);
    tars_pg_bind_text(&query, row->error_message);
    tars_pg_bind_text(&query, metadata);
    tars_pg_bind_text(&query, row->tenant);
    tars_pg_bind_text(&query, logged->query_id);
    return tars_pg_run(&query, added, err);
}

static tars_status import_row(struct tars_pg_conn *conn, const struct tars_logged_query *row,
                              struct tars_buf *metadata, size_t *added, struct tars_err *err)
{
    char hash[TARS_SHA256_HEX_BYTES];
    const char *text = row->row.query_text;
    int64_t changed = 0;
    tars_status status = tars_sha256_hex(text, strlen(text), hash);

    tars_row_import_metadata(row, metadata);
    if (status == TARS_OK)
        status = metadata->status;
    if (status != TARS_OK)
        return tars_fail(status, err, "a row of a log: %s", tars_status_text(status));
    status = add(conn, row, hash, metadata->ptr, &changed, err);
    *added += (size_t)changed;
    return status;
}

tars_status pg_import(struct tars_analytics_sink *sink, const struct tars_logged_query *rows,
                      size_t n, size_t *added, struct tars_err *err)
{
    struct sink_postgres *postgres = pg_of(sink);
    struct tars_buf metadata;
    struct pg_use use;
    size_t total = 0;
    tars_status status = pg_begin(postgres, "import", &use, err);

    if (status != TARS_OK)
        return status;
    for (size_t i = 0; i < n && status == TARS_OK; i++)
        status = pg_make_month(postgres, use.conn, rows[i].row.time_us, err);
    if (status == TARS_OK)
        status = tars_pg_exec(use.conn, "BEGIN", err);
    if (status == TARS_OK) {
        tars_buf_init(&metadata, METADATA_MAX);
        for (size_t i = 0; i < n && status == TARS_OK; i++)
            status = import_row(use.conn, &rows[i], &metadata, &total, err);
        tars_buf_release(&metadata);
        status = tars_pg_conclude(use.conn, status, err);
    }
    if (status == TARS_OK)
        *added = total;
    return pg_end(postgres, &use, status);
}

/* ------------------------------------------------------- erasing, anonymizing */

static struct tars_pg_query ask_whose(struct tars_pg_conn *conn, enum pg_sql sql,
                                      const struct tars_analytics_who *who, char *before)
{
    struct tars_pg_query query = tars_pg_ask(conn, sql);

    (void)memcpy(before, "infinity", sizeof("infinity"));
    if (who->before_us)
        tars_pg_write_time(who->before_us, before);
    tars_pg_bind_text(&query, who->tenant);
    tars_pg_bind_text(&query, who->client_id);
    tars_pg_bind_text(&query, before);
    return query;
}

/* Run a statement whose $1 to $4 say whose rows and how many; name: $5, or NULL. */
static tars_status change(struct tars_pg_conn *conn, enum pg_sql sql,
                          const struct tars_analytics_who *who, const char *name, size_t max,
                          int64_t *changed, struct tars_err *err)
{
    char before[TARS_PG_TIME_BYTES];
    struct tars_pg_query query = ask_whose(conn, sql, who, before);

    tars_pg_bind_int(&query, (int64_t)max);
    if (name)
        tars_pg_bind_text(&query, name);
    return tars_pg_run(&query, changed, err);
}

tars_status pg_erase(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                     size_t max, struct tars_analytics_changed *removed, struct tars_err *err)
{
    struct tars_analytics_changed made = {0, 0, 0};
    struct pg_use use;
    tars_status status = pg_begin(pg_of(sink), "erase", &use, err);

    if (status != TARS_OK)
        return status;
    status = tars_pg_exec(use.conn, "BEGIN", err);
    if (status == TARS_OK) {
        status = change(use.conn, PG_SQL_ERASE_ACCESSES, who, NULL, max, &made.accesses, err);
        if (status == TARS_OK)
            status = change(use.conn, PG_SQL_ERASE_QUERIES, who, NULL, max, &made.queries, err);
        if (status == TARS_OK)
            status = change(use.conn, PG_SQL_ERASE_ERRORS, who, NULL, max, &made.errors, err);
        status = tars_pg_conclude(use.conn, status, err);
    }
    if (status == TARS_OK)
        *removed = made;
    return pg_end(pg_of(sink), &use, status);
}

tars_status pg_anonymize(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                         const char *pseudonym, size_t max, struct tars_analytics_changed *changed,
                         struct tars_err *err)
{
    struct tars_analytics_changed made = {0, 0, 0};
    struct pg_use use;
    tars_status status = pg_begin(pg_of(sink), "anonymize", &use, err);

    if (status != TARS_OK)
        return status;
    status = tars_pg_exec(use.conn, "BEGIN", err);
    if (status == TARS_OK) {
        status =
            change(use.conn, PG_SQL_ANONYMIZE_QUERIES, who, pseudonym, max, &made.queries, err);
        if (status == TARS_OK) {
            status =
                change(use.conn, PG_SQL_ANONYMIZE_ERRORS, who, pseudonym, max, &made.errors, err);
        }
        status = tars_pg_conclude(use.conn, status, err);
    }
    if (status == TARS_OK)
        *changed = made;
    return pg_end(pg_of(sink), &use, status);
}

tars_status pg_clients(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                       const char *after, size_t max, struct tars_arena *arena, const char ***out,
                       size_t *count, struct tars_err *err)
{
    const char **made = tars_arena_calloc(arena, max + 1, sizeof(*made));
    char before[TARS_PG_TIME_BYTES];
    struct tars_pg_query query;
    struct pg_use use;
    size_t n = 0;
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for %zu clients", max);
    status = pg_begin(pg_of(sink), "clients", &use, err);
    if (status != TARS_OK)
        return status;
    query = ask_whose(use.conn, PG_SQL_CLIENTS, who, before);
    tars_pg_bind_text(&query, after ? after : "");
    tars_pg_bind_int(&query, (int64_t)max);
    while (n < max && tars_pg_step(&query))
        made[n++] = tars_pg_text(&query, arena);
    status = pg_end(pg_of(sink), &use, tars_pg_end(&query, err));
    if (status == TARS_OK) {
        *out = made;
        *count = n;
    }
    return status;
}

/* ----------------------------------------------------------------- scrubbing */

/* Removed rows stay in the tables' files until they are vacuumed, and their pages are overwritten
 * later still. What backups and archived logs of the server have, nobody here reaches. */
tars_status pg_scrub(struct tars_analytics_sink *sink, struct tars_err *err)
{
    struct pg_use use;
    tars_status status = pg_begin(pg_of(sink), "scrub", &use, err);

    if (status != TARS_OK)
        return status;
    use.conn->wait_ms = SCRUB_MS;
    status = tars_pg_exec(use.conn, "SET statement_timeout = 0", err);
    if (status == TARS_OK)
        status = tars_pg_exec(use.conn, "VACUUM query_logs, document_accesses, error_logs", err);
    if (!use.conn->is_broken && tars_pg_exec(use.conn, "RESET statement_timeout", NULL) != TARS_OK)
        use.conn->is_broken = true;
    return pg_end(pg_of(sink), &use, status);
}
