/* sink_sqlite - see sink_sqlite.h for the contract. This file opens, writes and removes; _read
 * answers questions, _query handles statements, _sql.def has every one of them. */
#include "analytics/sink_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analytics/sink_sqlite_internal.h"
#include "base/codec/json_write.h"
#include "base/crypto/digest.h"
#include "store/migrate.h"

#define APPLICATION_ID 0x54415241 /* "TARA" */
#define BUSY_MS        10000
#define SQL_TEXT_BYTES 64
#define JSON_MAX       ((size_t)64 << 10)

/* ------------------------------------------------------------------ writing */

/* A value that is made for a row; one piece of memory for all rows of a batch. */
struct scratch {
    struct tars_buf scores, metadata;
    char time[SINK_TIME_BYTES];
    char hash[TARS_SHA256_HEX_BYTES];
    double mean, greatest; /* relevance; NaN without sources */
};

static void write_scores(struct scratch *scratch, const struct tars_query_row *row)
{
    struct tars_json json;
    double sum = 0;

    scratch->greatest = NAN;
    tars_buf_clear(&scratch->scores);
    tars_json_init(&json, &scratch->scores);
    tars_json_array(&json, NULL);
    for (size_t i = 0; i < row->access_count; i++) {
        double score = row->accesses[i].relevance_score;

        tars_json_double(&json, NULL, score);
        sum += score;
        scratch->greatest = fmax(scratch->greatest, score); /* of a NaN and a number, the number */
    }
    tars_json_end(&json);
    scratch->mean = row->access_count ? sum / (double)row->access_count : NAN;
}

static void write_metadata(struct scratch *scratch, const struct tars_query_row *row)
{
    struct tars_json json;

    tars_buf_clear(&scratch->metadata);
    tars_json_init(&json, &scratch->metadata);
    tars_json_object(&json, NULL);
    if (row->request_id)
        tars_json_text(&json, "request_id", row->request_id);
    if (row->conversation_id)
        tars_json_text(&json, "conversation_id", row->conversation_id);
    tars_json_bool(&json, "used_history", row->used_history);
    if (row->access_count)
        tars_json_double(&json, "max_relevance_score", scratch->greatest);
    tars_json_end(&json);
}

static tars_status add_access(struct sink_conn *conn, const struct scratch *scratch,
                              const struct tars_query_row *row,
                              const struct tars_access_row *access, int64_t query_id,
                              struct tars_err *err)
{
    struct sink_query query = sink_ask(conn, SINK_SQL_ACCESS_ADD);

    sink_bind_text(&query, scratch->time);
    sink_bind_int(&query, query_id);
    sink_bind_text(&query, access->document_id ? access->document_id : "");
    sink_bind_text(&query, access->file_name ? access->file_name : "");
    sink_bind_text(&query, access->chunk_id);
    sink_bind_real(&query, isnan(access->relevance_score) ? 0 : access->relevance_score);
    sink_bind_int(&query, access->rank);
    sink_bind_text(&query, row->tenant);
    sink_bind_text(&query, access->collection);
    return sink_run(&query, err);
}

static double known(double ms)
{
    return isfinite(ms) ? ms : 0;
}

static tars_status add_query(struct sink_conn *conn, struct scratch *scratch,
                             const struct tars_query_row *row, struct tars_err *err)
{
    struct sink_query query;
    int64_t id;
    tars_status status = tars_sha256_hex(row->query_text, strlen(row->query_text), scratch->hash);

    write_scores(scratch, row);
    write_metadata(scratch, row);
    if (status == TARS_OK && scratch->scores.status != TARS_OK)
        status = scratch->scores.status;
    if (status == TARS_OK && scratch->metadata.status != TARS_OK)
        status = scratch->metadata.status;
    if (status != TARS_OK)
        return tars_fail(status, err, "a row of analytics: %s", tars_status_text(status));
    query = sink_ask(conn, SINK_SQL_QUERY_ADD);
    sink_bind_text(&query, scratch->time);
    sink_bind_text(&query, row->query_text);
    sink_bind_text(&query, scratch->hash);
    sink_bind_text(&query, row->client_id);
    sink_bind_real(&query, known(row->retrieval_time_ms));
    sink_bind_real(&query, known(row->generation_time_ms));
    sink_bind_real(&query, known(row->total_time_ms));
    sink_bind_int(&query, (int64_t)row->access_count);
    sink_bind_text(&query, scratch->scores.ptr);
    sink_bind_real(&query, scratch->mean);
    sink_bind_text(&query, row->model_used);
    sink_bind_int(&query, row->tokens_generated);
    sink_bind_int(&query, row->expansion_count);
    sink_bind_int(&query, row->used_reranking);
    sink_bind_int(&query, row->used_hybrid_search);
    sink_bind_int(&query, row->used_query_expansion);
    sink_bind_int(&query, row->error_message == NULL);
    sink_bind_text(&query, row->error_message);
    sink_bind_text(&query, scratch->metadata.ptr);
    sink_bind_text(&query, row->tenant);
    status = sink_run(&query, err);
    id = sqlite3_last_insert_rowid(conn->db);
    for (size_t i = 0; i < row->access_count && status == TARS_OK; i++)
        status = add_access(conn, scratch, row, &row->accesses[i], id, err);
    return status;
}

static tars_status add_error(struct sink_conn *conn, struct scratch *scratch,
                             const struct tars_error_row *row, struct tars_err *err)
{
    struct sink_query query = sink_ask(conn, SINK_SQL_ERROR_ADD);
    struct tars_json json;

    tars_buf_clear(&scratch->metadata);
    tars_json_init(&json, &scratch->metadata);
    tars_json_object(&json, NULL);
    if (row->request_id)
        tars_json_text(&json, "request_id", row->request_id);
    tars_json_end(&json);
    sink_bind_text(&query, scratch->time);
    sink_bind_text(&query, row->error_type);
    sink_bind_text(&query, row->error_message);
    sink_bind_text(&query, row->service);
    sink_bind_text(&query, row->operation);
    sink_bind_text(&query, row->client_id);
    sink_bind_text(&query, row->severity);
    sink_bind_text(&query, scratch->metadata.ptr);
    sink_bind_text(&query, row->tenant);
    return sink_run(&query, err);
}

static tars_status add_system(struct sink_conn *conn, const struct scratch *scratch,
                              const struct tars_system_row *row, struct tars_err *err)
{
    struct sink_query query = sink_ask(conn, SINK_SQL_SYSTEM_ADD);

    sink_bind_text(&query, scratch->time);
    sink_bind_real(&query, row->cpu_usage_percent);
    sink_bind_real(&query, row->memory_usage_percent);
    sink_bind_real(&query, row->gpu_usage_percent);
    sink_bind_real(&query, row->gpu_memory_usage_percent);
    sink_bind_real(&query, row->cache_hit_rate);
    sink_bind_real(&query, row->avg_query_time_ms);
    sink_bind_real(&query, row->avg_retrieval_time_ms);
    sink_bind_real(&query, row->avg_generation_time_ms);
    sink_bind_real(&query, row->queries_per_minute);
    sink_bind_int_or_null(&query, row->active_connections);
    sink_bind_int_or_null(&query, row->total_documents);
    sink_bind_int_or_null(&query, row->total_chunks);
    return sink_run(&query, err);
}

static tars_status add_row(struct sink_conn *conn, struct scratch *scratch,
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

/* Commit when status is TARS_OK, else roll back; the status of all. */
static tars_status commit(struct sink_conn *conn, tars_status status, struct tars_err *err)
{
    if (status == TARS_OK)
        status = sink_exec(conn, "COMMIT", err);
    /* A failure may have rolled back already; a second time is refused and harmless. */
    if (status != TARS_OK && !sqlite3_get_autocommit(conn->db))
        (void)sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static tars_status write_rows(struct tars_analytics_sink *sink, const struct tars_row *rows,
                              size_t n, const struct tars_analytics_mark *mark,
                              struct tars_err *err)
{
    struct sink_conn *conn = &sink_of(sink)->writer;
    struct scratch scratch;
    struct sink_query query;
    tars_status status = sink_exec(conn, "BEGIN IMMEDIATE", err);

    if (status != TARS_OK)
        return status;
    tars_buf_init(&scratch.scores, JSON_MAX);
    tars_buf_init(&scratch.metadata, JSON_MAX);
    for (size_t i = 0; i < n && status == TARS_OK; i++)
        status = add_row(conn, &scratch, &rows[i], err);
    if (status == TARS_OK) {
        query = sink_ask(conn, SINK_SQL_MARK_SET);
        sink_bind_int(&query, (int64_t)mark->journal);
        sink_bind_int(&query, (int64_t)mark->position);
        status = sink_run(&query, err);
    }
    tars_buf_release(&scratch.metadata);
    tars_buf_release(&scratch.scores);
    return commit(conn, status, err);
}

static tars_status position(struct tars_analytics_sink *sink, uint64_t journal, uint64_t *out,
                            struct tars_err *err)
{
    struct sink_query query = sink_ask(&sink_of(sink)->writer, SINK_SQL_MARK_GET);
    uint64_t found = 0;
    tars_status status;

    sink_bind_int(&query, (int64_t)journal);
    if (sink_step(&query))
        found = (uint64_t)sink_int(&query);
    status = sink_end(&query, err);
    if (status == TARS_OK)
        *out = found;
    return status;
}

/* ----------------------------------------------------------------- removing */

/* Run statements, each of which takes the text first and a bound second, in one transaction. */
static tars_status remove_some(struct sink_conn *conn, const enum sink_sql *sql, size_t count,
                               const char *text, size_t max, size_t *removed, struct tars_err *err)
{
    tars_status status = sink_exec(conn, "BEGIN IMMEDIATE", err);
    size_t total = 0;

    if (status != TARS_OK)
        return status;
    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        struct sink_query query = sink_ask(conn, sql[i]);

        sink_bind_text(&query, text);
        sink_bind_int(&query, (int64_t)max);
        status = sink_run(&query, err);
        if (status == TARS_OK)
            total += (size_t)sqlite3_changes(conn->db);
    }
    status = commit(conn, status, err);
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

static tars_status connect_to(const struct sink_sqlite *sqlite, bool read_only,
                              struct sink_conn *conn, struct tars_err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(sqlite->path, &conn->db, flags, NULL);

    if (rc != SQLITE_OK)
        return sink_fail(conn, rc, err);
    (void)sqlite3_extended_result_codes(conn->db, 1);
    (void)sqlite3_busy_timeout(conn->db, BUSY_MS);
    (void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    rc = sqlite3_create_function_v2(conn->db, "tars_words", 1,
                                    SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
                                    sink_words, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return sink_fail(conn, rc, err);
    /* Sorting spills into files past the cache, so that statistics need no more memory than it. */
    return sink_exec(conn,
                     read_only ? "PRAGMA temp_store=FILE; PRAGMA cache_size=-4000; "
                                 "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF"
                               : "PRAGMA foreign_keys=ON; PRAGMA cache_size=-4000; "
                                 "PRAGMA trusted_schema=OFF",
                     err);
}

static void disconnect(struct sink_conn *conn)
{
    for (size_t i = 0; i < SINK_SQL_COUNT; i++) {
        (void)sqlite3_finalize(conn->statements[i]);
        conn->statements[i] = NULL;
    }
    (void)sqlite3_close(conn->db);
    conn->db = NULL;
}

static tars_status pragma_int(struct sink_conn *conn, const char *sql, int *value,
                              struct tars_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *value = sqlite3_column_int(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? TARS_OK : sink_fail(conn, rc, err);
}

/* A new file gets our mark; an old one must have it. */
static tars_status identify(struct sink_sqlite *sqlite, struct tars_err *err)
{
    char sql[SQL_TEXT_BYTES];
    int id = 0;
    int pages = 0;
    tars_status status = pragma_int(&sqlite->writer, "PRAGMA application_id", &id, err);

    if (status == TARS_OK)
        status = pragma_int(&sqlite->writer, "PRAGMA page_count", &pages, err);
    if (status != TARS_OK || id == APPLICATION_ID)
        return status;
    if (pages > 0) {
        return tars_fail(TARS_EFORMAT, err,
                         "%s is a database, but not one of T.A.R.S.: move it out of the way",
                         sqlite->path);
    }
    (void)snprintf(sql, sizeof(sql), "PRAGMA application_id=%d", APPLICATION_ID);
    return sink_exec(&sqlite->writer, sql, err);
}

static tars_status run_migration(void *ctx, const struct tars_migration *migration,
                                 struct tars_err *err)
{
    struct sink_conn *conn = ctx;
    char sql[SQL_TEXT_BYTES];
    tars_status status = sink_exec(conn, "BEGIN IMMEDIATE", err);

    if (status != TARS_OK)
        return status;
    status = sink_exec(conn, migration->sql, err);
    (void)snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", migration->version);
    if (status == TARS_OK)
        status = sink_exec(conn, sql, err);
    return commit(conn, status, err);
}

/* Before SQLite makes it readable for all; its log takes the rights of the file. */
static tars_status make_private(const char *path, struct tars_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        return tars_fail(errno == EACCES || errno == EROFS ? TARS_EDENIED : TARS_EIO, err,
                         "cannot open %s: %s", path, strerror(errno));
    }
    close(fd);
    return TARS_OK;
}

static tars_status open_file(struct sink_sqlite *sqlite, struct tars_err *err)
{
    int version = 0;
    tars_status status = make_private(sqlite->path, err);

    if (status == TARS_OK)
        status = connect_to(sqlite, false, &sqlite->writer, err);
    if (status == TARS_OK)
        status = identify(sqlite, err);
    if (status == TARS_OK) {
        status = sink_exec(&sqlite->writer,
                           "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=16777216; "
                           "PRAGMA synchronous=NORMAL",
                           err);
    }
    if (status == TARS_OK)
        status = pragma_int(&sqlite->writer, "PRAGMA user_version", &version, err);
    if (status == TARS_OK) {
        status = tars_migrate(tars_migrations_sqlite_analytics, version, run_migration,
                              &sqlite->writer, err);
    }
    if (status == TARS_OK)
        status = connect_to(sqlite, true, &sqlite->reader, err);
    return status;
}

static void close_sqlite(struct tars_analytics_sink *sink)
{
    struct sink_sqlite *sqlite = sink_of(sink);

    disconnect(&sqlite->reader);
    disconnect(&sqlite->writer);
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
    .page = sink_page,
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
