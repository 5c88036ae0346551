/* sink_sqlite_change - rows of another program's log come in; rows of a client go, or lose what
 * tells whose they were. The sums of their hours go by the triggers of the schema. */
#include <limits.h>
#include <string.h>

#include "analytics/sink_sqlite_internal.h"
#include "analytics/row_json.h"
#include "base/crypto/digest.h"

#define METADATA_MAX       ((size_t)64 << 10)
#define CHECKPOINT_TRIES   20
#define CHECKPOINT_WAIT_MS 50

/* ---------------------------------------------------------------- importing */

static tars_status is_there(struct tars_sqlite_conn *conn, const struct tars_logged_query *row,
                            const char *hash, bool *found, struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, SINK_SQL_IMPORTED);

    tars_sqlite_bind_text(&query, row->query_id);
    tars_sqlite_bind_text(&query, hash);
    tars_sqlite_bind_text(&query, row->row.tenant);
    *found = tars_sqlite_step(&query);
    return tars_sqlite_end(&query, err);
}

static tars_status add(struct tars_sqlite_conn *conn, const struct tars_logged_query *logged,
                       const char *hash, const char *metadata, struct tars_err *err)
{
    const struct tars_query_row *row = &logged->row;
    struct tars_sqlite_query query = tars_sqlite_ask(conn, SINK_SQL_IMPORT);
    char time[SINK_TIME_BYTES];

    sink_write_time(row->time_us, time);
    tars_sqlite_bind_text(&query, time);
    tars_sqlite_bind_text(&query, row->query_text);
    tars_sqlite_bind_text(&query, hash);
    tars_sqlite_bind_text(&query, row->client_id);
    tars_sqlite_bind_real(&query, row->retrieval_time_ms);
    tars_sqlite_bind_real(&query, row->generation_time_ms);
    tars_sqlite_bind_real(&query, row->total_time_ms);
    tars_sqlite_bind_int(&query, logged->sources_count);
    tars_sqlite_bind_real(&query, logged->avg_relevance_score);
    tars_sqlite_bind_text(&query, row->model_used);
    tars_sqlite_bind_int(&query, row->tokens_generated);
    tars_sqlite_bind_int(&query, row->expansion_count);
    tars_sqlite_bind_int(&query, row->used_reranking);
    tars_sqlite_bind_int(&query, row->used_hybrid_search);
    tars_sqlite_bind_int(&query, row->used_query_expansion);
    tars_sqlite_bind_int(&query, row->error_message == NULL);
    tars_sqlite_bind_text_or_null(&query, row->error_message);
    tars_sqlite_bind_text(&query, metadata);
    tars_sqlite_bind_text(&query, row->tenant);
    tars_sqlite_bind_text(&query, logged->query_id);
    return tars_sqlite_run(&query, err);
}

static tars_status import_row(struct tars_sqlite_conn *conn, const struct tars_logged_query *row,
                              struct tars_buf *metadata, size_t *added, struct tars_err *err)
{
    char hash[TARS_SHA256_HEX_BYTES];
    const char *text = row->row.query_text;
    bool found = false;
    tars_status status = tars_sha256_hex(text, strlen(text), hash);

    if (status == TARS_OK)
        status = is_there(conn, row, hash, &found, err);
    if (status != TARS_OK || found)
        return status;
    tars_row_import_metadata(row, metadata);
    if (metadata->status != TARS_OK) {
        return tars_fail(metadata->status, err, "a row of a log: %s",
                         tars_status_text(metadata->status));
    }
    status = add(conn, row, hash, metadata->ptr, err);
    *added += status == TARS_OK;
    return status;
}

tars_status sink_import(struct tars_analytics_sink *sink, const struct tars_logged_query *rows,
                        size_t n, size_t *added, struct tars_err *err)
{
    struct tars_sqlite_conn *conn = &sink_of(sink)->writer;
    struct tars_buf metadata;
    size_t total = 0;
    tars_status status = tars_sqlite_exec(conn, "BEGIN IMMEDIATE", err);

    if (status != TARS_OK)
        return status;
    tars_buf_init(&metadata, METADATA_MAX);
    for (size_t i = 0; i < n && status == TARS_OK; i++)
        status = import_row(conn, &rows[i], &metadata, &total, err);
    tars_buf_release(&metadata);
    status = tars_sqlite_conclude(conn, status, err);
    if (status == TARS_OK)
        *added = total;
    return status;
}

/* ------------------------------------------------------- erasing, anonymizing */

/* Run a statement whose ?1 to ?4 say whose rows and how many; name: ?5, or NULL. */
static tars_status change(struct tars_sqlite_conn *conn, enum sink_sql sql,
                          const struct tars_analytics_who *who, const char *name, size_t max,
                          int64_t *changed, struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, sql);
    char before[SINK_TIME_BYTES];
    tars_status status;

    sink_write_time(who->before_us ? who->before_us : INT64_MAX, before);
    tars_sqlite_bind_text_or_null(&query, who->tenant);
    tars_sqlite_bind_text_or_null(&query, who->client_id);
    tars_sqlite_bind_text_or_null(&query, before);
    tars_sqlite_bind_int(&query, (int64_t)max);
    if (name)
        tars_sqlite_bind_text(&query, name);
    status = tars_sqlite_run(&query, err);
    if (status == TARS_OK)
        *changed = sqlite3_changes(conn->db);
    return status;
}

tars_status sink_erase(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                       size_t max, struct tars_analytics_changed *removed, struct tars_err *err)
{
    struct tars_sqlite_conn *conn = &sink_of(sink)->writer;
    struct tars_analytics_changed made = {0, 0, 0};
    tars_status status = tars_sqlite_exec(conn, "BEGIN IMMEDIATE", err);

    if (status != TARS_OK)
        return status;
    status = change(conn, SINK_SQL_ERASE_ACCESSES, who, NULL, max, &made.accesses, err);
    if (status == TARS_OK)
        status = change(conn, SINK_SQL_ERASE_QUERIES, who, NULL, max, &made.queries, err);
    if (status == TARS_OK)
        status = change(conn, SINK_SQL_ERASE_ERRORS, who, NULL, max, &made.errors, err);
    status = tars_sqlite_conclude(conn, status, err);
    if (status == TARS_OK)
        *removed = made;
    return status;
}

tars_status sink_anonymize(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                           const char *pseudonym, size_t max,
                           struct tars_analytics_changed *changed, struct tars_err *err)
{
    struct tars_sqlite_conn *conn = &sink_of(sink)->writer;
    struct tars_analytics_changed made = {0, 0, 0};
    tars_status status = tars_sqlite_exec(conn, "BEGIN IMMEDIATE", err);

    if (status != TARS_OK)
        return status;
    status = change(conn, SINK_SQL_ANONYMIZE_QUERIES, who, pseudonym, max, &made.queries, err);
    if (status == TARS_OK)
        status = change(conn, SINK_SQL_ANONYMIZE_ERRORS, who, pseudonym, max, &made.errors, err);
    status = tars_sqlite_conclude(conn, status, err);
    if (status == TARS_OK)
        *changed = made;
    return status;
}

tars_status sink_clients(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                         const char *after, size_t max, struct tars_arena *arena, const char ***out,
                         size_t *count, struct tars_err *err)
{
    struct sink_sqlite *sqlite = sink_of(sink);
    const char **made = tars_arena_calloc(arena, max + 1, sizeof(*made));
    struct tars_sqlite_query query;
    char before[SINK_TIME_BYTES];
    size_t n = 0;
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for %zu clients", max);
    sink_write_time(who->before_us ? who->before_us : INT64_MAX, before);
    pthread_mutex_lock(&sqlite->read_lock);
    query = tars_sqlite_ask(&sqlite->reader, SINK_SQL_CLIENTS);
    tars_sqlite_bind_text_or_null(&query, who->tenant);
    tars_sqlite_bind_text_or_null(&query, who->client_id);
    tars_sqlite_bind_text_or_null(&query, before);
    tars_sqlite_bind_text(&query, after);
    tars_sqlite_bind_int(&query, (int64_t)max);
    while (n < max && tars_sqlite_step(&query))
        made[n++] = tars_sqlite_text_or_null(&query, arena);
    status = sink_end(sqlite, &query, err);
    if (status == TARS_OK) {
        *out = made;
        *count = n;
    }
    return status;
}

/* ----------------------------------------------------------------- scrubbing */

/* What is removed is overwritten in the file (secure_delete), once it gets there: the write-ahead
 * log still has pages as they were before, until it is copied into the file and emptied. Readers of
 * this process stand aside; a reader of another one may keep the log for a while. */
tars_status sink_scrub(struct tars_analytics_sink *sink, struct tars_err *err)
{
    struct sink_sqlite *sqlite = sink_of(sink);
    int rc;

    pthread_mutex_lock(&sqlite->read_lock);
    for (int i = 0;; i++) {
        rc = sqlite3_wal_checkpoint_v2(sqlite->writer.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                       NULL);
        if (rc != SQLITE_BUSY || i >= CHECKPOINT_TRIES)
            break;
        (void)sqlite3_sleep(CHECKPOINT_WAIT_MS);
    }
    pthread_mutex_unlock(&sqlite->read_lock);
    return rc == SQLITE_OK ? TARS_OK : tars_sqlite_fail(&sqlite->writer, rc, err);
}
