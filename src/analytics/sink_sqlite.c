/* sink_sqlite - see sink_sqlite.h for the contract. This file opens, writes and removes; _read
 * answers questions, _values writes and reads times and words, _sql.def has every statement. */
#include "analytics/sink_sqlite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/row_json.h"
#include "analytics/sink_sqlite_internal.h"
#include "base/crypto/digest.h"

#define JSON_MAX ((size_t)64 << 10)

/* ------------------------------------------------------------------ writing */

/* A value that is made for a row; one piece of memory for all rows of a batch. */
struct scratch {
    struct tars_buf scores, metadata;
    char time[SINK_TIME_BYTES];
    char hash[TARS_SHA256_HEX_BYTES];
    struct tars_row_relevance relevance;
};

static tars_status add_access(struct tars_sqlite_conn *conn, const struct scratch *scratch,
                              const struct tars_query_row *row,
                              const struct tars_access_row *access, int64_t query_id,
                              struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, SINK_SQL_ACCESS_ADD);

    tars_sqlite_bind_text_or_null(&query, scratch->time);
    tars_sqlite_bind_int(&query, query_id);
    tars_sqlite_bind_text_or_null(&query, access->document_id ? access->document_id : "");
    tars_sqlite_bind_text_or_null(&query, access->file_name ? access->file_name : "");
    tars_sqlite_bind_text_or_null(&query, access->chunk_id);
    tars_sqlite_bind_real(&query, isnan(access->relevance_score) ? 0 : access->relevance_score);
    tars_sqlite_bind_int(&query, access->rank);
    tars_sqlite_bind_text_or_null(&query, row->tenant);
    tars_sqlite_bind_text_or_null(&query, access->collection);
    return tars_sqlite_run(&query, err);
}

static double known(double ms)
{
    return isfinite(ms) ? ms : 0;
}

static tars_status add_query(struct tars_sqlite_conn *conn, struct scratch *scratch,
                             const struct tars_query_row *row, struct tars_err *err)
{
    struct tars_sqlite_query query;
    int64_t id;
    tars_status status = tars_sha256_hex(row->query_text, strlen(row->query_text), scratch->hash);

    scratch->relevance = tars_row_scores(row, &scratch->scores);
    tars_row_query_metadata(row, scratch->relevance.greatest, &scratch->metadata);
    if (status == TARS_OK && scratch->scores.status != TARS_OK)
        status = scratch->scores.status;
    if (status == TARS_OK && scratch->metadata.status != TARS_OK)
        status = scratch->metadata.status;
    if (status != TARS_OK)
        return tars_fail(status, err, "a row of analytics: %s", tars_status_text(status));
    query = tars_sqlite_ask(conn, SINK_SQL_QUERY_ADD);
    tars_sqlite_bind_text_or_null(&query, scratch->time);
    tars_sqlite_bind_text_or_null(&query, row->query_text);
    tars_sqlite_bind_text_or_null(&query, scratch->hash);
    tars_sqlite_bind_text_or_null(&query, row->client_id);
    tars_sqlite_bind_real(&query, known(row->retrieval_time_ms));
    tars_sqlite_bind_real(&query, known(row->generation_time_ms));
    tars_sqlite_bind_real(&query, known(row->total_time_ms));
    tars_sqlite_bind_int(&query, (int64_t)row->access_count);
    tars_sqlite_bind_text_or_null(&query, scratch->scores.ptr);
    tars_sqlite_bind_real(&query, scratch->relevance.mean);
    tars_sqlite_bind_text_or_null(&query, row->model_used);
    tars_sqlite_bind_int(&query, row->tokens_generated);
    tars_sqlite_bind_int(&query, row->expansion_count);
    tars_sqlite_bind_int(&query, row->used_reranking);
    tars_sqlite_bind_int(&query, row->used_hybrid_search);
    tars_sqlite_bind_int(&query, row->used_query_expansion);
    tars_sqlite_bind_int(&query, row->error_message == NULL);
    tars_sqlite_bind_text_or_null(&query, row->error_message);
    tars_sqlite_bind_text_or_null(&query, scratch->metadata.ptr);
    tars_sqlite_bind_text_or_null(&query, row->tenant);
    tars_sqlite_bind_text_or_null(&query, row->request_id);
    status = tars_sqlite_run(&query, err);
    id = sqlite3_last_insert_rowid(conn->db);
    for (size_t i = 0; i < row->access_count && status == TARS_OK; i++)
        status = add_access(conn, scratch, row, &row->accesses[i], id, err);
    return status;
}

static tars_status add_error(struct tars_sqlite_conn *conn, struct scratch *scratch,
                             const struct tars_error_row *row, struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, SINK_SQL_ERROR_ADD);

    tars_row_error_metadata(row, &scratch->metadata);
    tars_sqlite_bind_text_or_null(&query, scratch->time);
    tars_sqlite_bind_text_or_null(&query, row->error_type);
    tars_sqlite_bind_text_or_null(&query, row->error_message);
    tars_sqlite_bind_text_or_null(&query, row->service);
    tars_sqlite_bind_text_or_null(&query, row->operation);
    tars_sqlite_bind_text_or_null(&query, row->client_id);
    tars_sqlite_bind_text_or_null(&query, row->severity);
    tars_sqlite_bind_text_or_null(&query, scratch->metadata.ptr);
    tars_sqlite_bind_text_or_null(&query, row->tenant);
    tars_sqlite_bind_text_or_null(&query, row->request_id);
    return tars_sqlite_run(&query, err);
}

/* Below 0: not known. */
static void bind_count(struct tars_sqlite_query *query, int64_t count)
{
    if (count < 0) {
        tars_sqlite_bind_null(query);
    } else {
        tars_sqlite_bind_int(query, count);
    }
}

static tars_status add_system(struct tars_sqlite_conn *conn, const struct scratch *scratch,
                              const struct tars_system_row *row, struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, SINK_SQL_SYSTEM_ADD);

    tars_sqlite_bind_text_or_null(&query, scratch->time);
    tars_sqlite_bind_real(&query, row->cpu_usage_percent);
    tars_sqlite_bind_real(&query, row->memory_usage_percent);
    tars_sqlite_bind_real(&query, row->gpu_usage_percent);
    tars_sqlite_bind_real(&query, row->gpu_memory_usage_percent);
    tars_sqlite_bind_real(&query, row->cache_hit_rate);
    tars_sqlite_bind_real(&query, row->avg_query_time_ms);
    tars_sqlite_bind_real(&query, row->avg_retrieval_time_ms);
    tars_sqlite_bind_real(&query, row->avg_generation_time_ms);
    tars_sqlite_bind_real(&query, row->queries_per_minute);
    bind_count(&query, row->active_connections);
    bind_count(&query, row->total_documents);
    bind_count(&query, row->total_chunks);
    return tars_sqlite_run(&query, err);
}

static tars_status add_row(struct tars_sqlite_conn *conn, struct scratch *scratch,
                           const struct tars_row *row, struct tars_err *err)
{
    switch (row->kind) {
    case TARS_ROW_QUERY:
        sink_write_time(row->as.query.time_us, scratch->time);
        return add_query(conn, scratch, &row->as.query, err);
    case TARS_ROW_ERROR:
        sink_write_time(row->as.error.time_us, scratch->time);
        return add_error(conn, scratch, &row->as.error, err);
    case TARS_ROW_SYSTEM:
        sink_write_time(row->as.system.time_us, scratch->time);
        return add_system(conn, scratch, &row->as.system, err);
    }
    return tars_fail(TARS_EINVAL, err, "a row of analytics of no known kind");
}

static tars_status write_rows(struct tars_analytics_sink *sink, const struct tars_row *rows,
                              size_t n, const struct tars_analytics_mark *mark,
                              struct tars_err *err)
{
    struct tars_sqlite_conn *conn = &sink_of(sink)->writer;
    struct scratch scratch;
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_exec(conn, "BEGIN IMMEDIATE", err);

    if (status != TARS_OK)
        return status;
    tars_buf_init(&scratch.scores, JSON_MAX);
    tars_buf_init(&scratch.metadata, JSON_MAX);
    for (size_t i = 0; i < n && status == TARS_OK; i++)
        status = add_row(conn, &scratch, &rows[i], err);
    if (status == TARS_OK) {
        query = tars_sqlite_ask(conn, SINK_SQL_MARK_SET);
        tars_sqlite_bind_int(&query, (int64_t)mark->journal);
        tars_sqlite_bind_int(&query, (int64_t)mark->position);
        status = tars_sqlite_run(&query, err);
    }
    tars_buf_release(&scratch.metadata);
    tars_buf_release(&scratch.scores);
    return tars_sqlite_conclude(conn, status, err);
}

static tars_status position(struct tars_analytics_sink *sink, uint64_t journal, uint64_t *out,
                            struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(&sink_of(sink)->writer, SINK_SQL_MARK_GET);
    uint64_t found = 0;
    tars_status status;

    tars_sqlite_bind_int(&query, (int64_t)journal);
    if (tars_sqlite_step(&query))
        found = (uint64_t)tars_sqlite_int(&query);
    status = tars_sqlite_end(&query, err);
    if (status == TARS_OK)
        *out = found;
    return status;
}

/* ----------------------------------------------------------------- removing */

/* Run statements, each of which takes the text first and a bound second, in one transaction. */
static tars_status remove_some(struct tars_sqlite_conn *conn, const enum sink_sql *sql,
                               size_t count, const char *text, size_t max, size_t *removed,
                               struct tars_err *err)
{
    tars_status status = tars_sqlite_exec(conn, "BEGIN IMMEDIATE", err);
    size_t total = 0;

    if (status != TARS_OK)
        return status;
    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        struct tars_sqlite_query query = tars_sqlite_ask(conn, sql[i]);

        tars_sqlite_bind_text_or_null(&query, text);
        tars_sqlite_bind_int(&query, (int64_t)max);
        status = tars_sqlite_run(&query, err);
        if (status == TARS_OK)
            total += (size_t)sqlite3_changes(conn->db);
    }
    status = tars_sqlite_conclude(conn, status, err);
    if (status == TARS_OK)
        *removed = total;
    return status;
}

static tars_status prune(struct tars_analytics_sink *sink, int64_t before_us, size_t max,
                         size_t *removed, struct tars_err *err)
{
    static const enum sink_sql sql[] = {SINK_SQL_PRUNE_ACCESSES, SINK_SQL_PRUNE_QUERIES,
                                        SINK_SQL_PRUNE_ERRORS, SINK_SQL_PRUNE_SYSTEM};
    char time[SINK_TIME_BYTES];

    sink_write_time(before_us, time);
    return remove_some(&sink_of(sink)->writer, sql, sizeof(sql) / sizeof(sql[0]), time, max,
                       removed, err);
}

static tars_status clear(struct tars_analytics_sink *sink, const char *tenant, size_t max,
                         size_t *removed, struct tars_err *err)
{
    static const enum sink_sql sql[] = {SINK_SQL_CLEAR_ACCESSES, SINK_SQL_CLEAR_QUERIES,
                                        SINK_SQL_CLEAR_ERRORS, SINK_SQL_CLEAR_SYSTEM};

    return remove_some(&sink_of(sink)->writer, sql, sizeof(sql) / sizeof(sql[0]), tenant, max,
                       removed, err);
}

/* ------------------------------------------------------------------ opening */

static const char *const texts[] = {
#define SQL(name, text) text,
#include "analytics/sink_sqlite_sql.def"
#undef SQL
};

/* A damaged file is away and not bad data: the rows wait in the journal for a sound one. */
static const struct tars_sqlite_kind kind = {
    .name = "analytics",
    .damaged = TARS_EUNAVAILABLE,
    .for_damaged = ": the file is damaged; move it out of the way",
    .for_foreign = "move it out of the way",
    .application_id = 0x54415241, /* "TARA" */
    .new_file = "",
    .journal = "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=16777216; "
               "PRAGMA synchronous=NORMAL",
    .migrations = tars_migrations_sqlite_analytics,
    .texts = texts,
    .text_count = SINK_SQL_COUNT,
};

static tars_status connect_to(const struct sink_sqlite *sqlite, bool read_only,
                              struct tars_sqlite_conn *conn, struct tars_err *err)
{
    tars_status status = tars_sqlite_open(conn, &kind, sqlite->path, NULL, err);
    int rc;

    if (status != TARS_OK)
        return status;
    rc = sqlite3_create_function_v2(conn->db, "tars_words", 1,
                                    SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
                                    sink_words, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return tars_sqlite_fail(conn, rc, err);
    /* Sorting spills into files past the cache, so that statistics need no more memory than it. */
    return tars_sqlite_exec(
        conn,
        read_only ? "PRAGMA temp_store=FILE; PRAGMA cache_size=-4000; "
                    "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF"
                  : "PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON; PRAGMA cache_size=-4000; "
                    "PRAGMA trusted_schema=OFF",
        err);
}

static tars_status open_file(struct sink_sqlite *sqlite, struct tars_err *err)
{
    tars_status status = tars_sqlite_make_private(sqlite->path, err);

    if (status == TARS_OK)
        status = connect_to(sqlite, false, &sqlite->writer, err);
    if (status == TARS_OK)
        status = tars_sqlite_make_current(&sqlite->writer, err);
    if (status == TARS_OK)
        status = connect_to(sqlite, true, &sqlite->reader, err);
    return status;
}

static void close_sqlite(struct tars_analytics_sink *sink)
{
    struct sink_sqlite *sqlite = sink_of(sink);

    tars_sqlite_close(&sqlite->reader);
    tars_sqlite_close(&sqlite->writer);
    pthread_mutex_destroy(&sqlite->read_lock);
    free(sqlite->path);
    free(sqlite);
}

const struct tars_analytics_sink_ops tars_sink_sqlite_ops = {
    .name = "sqlite",
    .close = close_sqlite,
    .write = write_rows,
    .position = position,
    .prune = prune,
    .clear = clear,
    .stats = sink_stats,
    .popular = sink_popular,
    .patterns = sink_patterns,
    .totals = sink_totals,
    .history = sink_history,
    .read = sink_read,
    .rollup = sink_rollup,
    .import = sink_import,
    .erase = sink_erase,
    .clients = sink_clients,
    .anonymize = sink_anonymize,
    .scrub = sink_scrub,
};

tars_status tars_sink_sqlite_open(const char *path, struct tars_analytics_sink **sink,
                                  struct tars_err *err)
{
    struct sink_sqlite *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for analytics");
    made->sink.ops = &tars_sink_sqlite_ops;
    pthread_mutex_init(&made->read_lock, NULL);
    made->path = strdup(path);
    status =
        made->path ? open_file(made, err) : tars_fail(TARS_ENOMEM, err, "no memory for analytics");
    if (status != TARS_OK) {
        close_sqlite(&made->sink);
        return status;
    }
    *sink = &made->sink;
    return TARS_OK;
}
