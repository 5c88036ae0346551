/* sink_postgres_write - rows in, by COPY, and out, some hundred at a time. */
#include <string.h>

#include "analytics/sink_postgres_internal.h"
#include "base/sys/clock.h"

/* ------------------------------------------------------------------- marks */

static tars_status read_mark(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                             uint64_t journal, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PG_SQL_MARK_ADD);
    tars_status status;

    /* Its row is there from now on, so that whoever moves it holds a lock. */
    tars_pg_bind_int(&query, (int64_t)journal);
    status = tars_pg_run(&query, NULL, err);
    if (status != TARS_OK)
        return status;
    query = tars_pg_ask(conn, PG_SQL_MARK_GET);
    tars_pg_bind_int(&query, (int64_t)journal);
    if (tars_pg_step(&query)) {
        postgres->mark = (struct tars_analytics_mark){journal, (uint64_t)tars_pg_int(&query)};
        postgres->mark_is_known = true;
    }
    return tars_pg_end(&query, err);
}

tars_status pg_position(struct tars_analytics_sink *sink, uint64_t journal, uint64_t *position,
                        struct tars_err *err)
{
    struct sink_postgres *postgres = pg_of(sink);
    struct pg_use use;
    tars_status status = pg_begin(postgres, "position", &use, err);

    if (status != TARS_OK)
        return status;
    use.conn->wait_ms = WRITE_MS;
    postgres->mark_is_known = false;
    status = pg_end(postgres, &use, read_mark(postgres, use.conn, journal, err));
    if (status == TARS_OK)
        *position = postgres->mark.position;
    return status;
}

/* Move the mark; the numbers that follow go into ids, (count,). */
static tars_status move_mark(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                             const struct tars_analytics_mark *to, int64_t *ids, size_t count,
                             struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PG_SQL_MARK_MOVE);
    bool is_moved;
    size_t n = 0;
    tars_status status;

    tars_pg_bind_int(&query, (int64_t)to->journal);
    tars_pg_bind_int(&query, (int64_t)postgres->mark.position);
    tars_pg_bind_int(&query, (int64_t)to->position);
    tars_pg_bind_int(&query, (int64_t)count);
    is_moved = tars_pg_step(&query);
    while (is_moved && n < count && tars_pg_step(&query))
        ids[n++] = tars_pg_int(&query);
    status = tars_pg_end(&query, err);
    if (status == TARS_OK && (!is_moved || n < count)) {
        postgres->mark_is_known = false;
        return tars_fail(TARS_EUNAVAILABLE, err,
                         "PostgreSQL: the journal's mark is not where it was; it is asked again");
    }
    return status == TARS_EINVAL ? TARS_EUNAVAILABLE : status;
}

/* -------------------------------------------------------------- partitions */

static int64_t time_of(const struct tars_row *row)
{
    switch (row->kind) {
    case TARS_ROW_QUERY:
        return row->as.query.time_us;
    case TARS_ROW_ERROR:
        return row->as.error.time_us;
    case TARS_ROW_SYSTEM:
        return row->as.system.time_us;
    }
    return 0;
}

tars_status pg_make_month(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                          int64_t time_us, struct tars_err *err)
{
    struct tars_pg_query query;
    struct tars_civil civil;
    char time[TARS_PG_TIME_BYTES];
    tars_status status;
    int month;

    if (!postgres->is_partitioned)
        return TARS_OK;
    tars_clock_civil(time_us, &civil);
    month = civil.year * 12 + civil.month - 1;
    for (size_t i = 0; i < postgres->month_count; i++) {
        if (postgres->months[i] == month)
            return TARS_OK;
    }
    tars_pg_write_time(time_us, time);
    query = tars_pg_ask(conn, PG_SQL_MAKE_PARTITIONS);
    tars_pg_bind_text(&query, time);
    status = tars_pg_run(&query, NULL, err);
    if (status != TARS_OK)
        return status;
    if (postgres->month_count == MONTHS_MAX)
        postgres->month_count = 0;
    postgres->months[postgres->month_count++] = month;
    return TARS_OK;
}

/* Of the months that the rows need, and of the next one. */
static tars_status make_months(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                               const struct tars_row *rows, size_t n, struct tars_err *err)
{
    static const int64_t month_us = INT64_C(31) * 86400 * 1000000;
    tars_status status = TARS_OK;

    if (!postgres->is_partitioned)
        return TARS_OK;
    for (size_t i = 0; i < n && status == TARS_OK; i++)
        status = pg_make_month(postgres, conn, time_of(&rows[i]), err);
    if (status == TARS_OK)
        status = pg_make_month(postgres, conn, tars_clock_wall_us() + month_us, err);
    return status == TARS_EINVAL ? TARS_EUNAVAILABLE : status;
}

/* ----------------------------------------------------------------- writing */

#define COPY_QUERIES                                                                            \
    "COPY query_logs (id, timestamp, query_text, query_hash, client_id, retrieval_time_ms, "    \
    "generation_time_ms, total_time_ms, sources_count, relevance_scores, avg_relevance_score, " \
    "model_used, tokens_generated, expansion_count, used_reranking, used_hybrid_search, "       \
    "used_query_expansion, success, error_message, metadata, tenant) FROM STDIN;"               \
    "COPY document_accesses (timestamp, query_id, document_id, file_name, chunk_id, "           \
    "relevance_score, rank, tenant, collection) FROM STDIN;"
#define COPY_ERRORS                                                                          \
    "COPY error_logs (timestamp, error_type, error_message, service, operation, client_id, " \
    "severity, metadata, tenant) FROM STDIN;"
#define COPY_SAMPLES                                                                          \
    "COPY system_metrics (timestamp, cpu_usage_percent, memory_usage_percent, "               \
    "gpu_usage_percent, gpu_memory_usage_percent, cache_hit_rate, avg_query_time_ms, "        \
    "avg_retrieval_time_ms, avg_generation_time_ms, queries_per_minute, active_connections, " \
    "total_documents, total_chunks) FROM STDIN;"

/* By which tables have rows: 1 questions, 2 errors, 4 samples. */
static const char *const copies[] = {
    "COMMIT",
    COPY_QUERIES "COMMIT",
    COPY_ERRORS "COMMIT",
    COPY_QUERIES COPY_ERRORS "COMMIT",
    COPY_SAMPLES "COMMIT",
    COPY_QUERIES COPY_SAMPLES "COMMIT",
    COPY_ERRORS COPY_SAMPLES "COMMIT",
    COPY_QUERIES COPY_ERRORS COPY_SAMPLES "COMMIT",
};

/* All tables and the end of the transaction, in one go. */
static tars_status copy_rows(struct tars_pg_conn *conn, const struct pg_rows *rows,
                             struct tars_err *err)
{
    struct tars_pg_copy data[4];
    size_t count = 0;
    unsigned which = 0;

    if (rows->queries.len > 0) {
        which |= 1U;
        data[count++] = (struct tars_pg_copy){rows->queries.ptr, rows->queries.len};
        data[count++] = (struct tars_pg_copy){rows->accesses.ptr, rows->accesses.len};
    }
    if (rows->errors.len > 0) {
        which |= 2U;
        data[count++] = (struct tars_pg_copy){rows->errors.ptr, rows->errors.len};
    }
    if (rows->samples.len > 0) {
        which |= 4U;
        data[count++] = (struct tars_pg_copy){rows->samples.ptr, rows->samples.len};
    }
    return tars_pg_copy(conn, copies[which], data, count, err);
}

static tars_status make_rows(struct pg_rows *made, const struct tars_row *rows, size_t n,
                             const int64_t *ids, struct tars_err *err)
{
    tars_status status = TARS_OK;
    size_t next = 0;

    for (size_t i = 0; i < n && status == TARS_OK; i++) {
        bool is_question = rows[i].kind == TARS_ROW_QUERY;

        status = pg_rows_add(made, &rows[i], is_question ? ids[next++] : 0, err);
    }
    if (status == TARS_OK && pg_rows_status(made) != TARS_OK) {
        status = pg_rows_status(made);
        (void)tars_fail(status, err, "rows of analytics: %s", tars_status_text(status));
    }
    return status;
}

/* The foreign key of accesses is looked up once a row, by a plan that PostgreSQL keeps. Sessions
 * make a plan anew for each use, as statistics want it; here that would be most of the work. A plan
 * that is kept must do for tables that grow, so it takes the index even of an empty one. */
#define BEGIN_WRITING \
    "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off"

/* In one transaction, which copy_rows() ends. */
static tars_status write_all(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                             const struct tars_row *rows, size_t n,
                             const struct tars_analytics_mark *mark, struct tars_err *err)
{
    struct tars_arena arena;
    struct pg_rows made;
    int64_t *ids;
    size_t questions = 0;
    tars_status status;

    for (size_t i = 0; i < n; i++)
        questions += rows[i].kind == TARS_ROW_QUERY;
    tars_arena_init(&arena, (size_t)64 << 20);
    ids = tars_arena_calloc(&arena, questions + 1, sizeof(*ids));
    if (!ids)
        return tars_fail(TARS_ENOMEM, err, "no memory for rows of analytics");
    pg_rows_init(&made);
    status = tars_pg_exec(conn, BEGIN_WRITING, err);
    if (status == TARS_OK) {
        status = move_mark(postgres, conn, mark, ids, questions, err);
        if (status == TARS_OK)
            status = make_rows(&made, rows, n, ids, err);
        if (status == TARS_OK)
            status = copy_rows(conn, &made, err);
        if (status != TARS_OK)
            status = tars_pg_conclude(conn, status, err);
    }
    pg_rows_release(&made);
    tars_arena_release(&arena);
    return status;
}

tars_status pg_write(struct tars_analytics_sink *sink, const struct tars_row *rows, size_t n,
                     const struct tars_analytics_mark *mark, struct tars_err *err)
{
    struct sink_postgres *postgres = pg_of(sink);
    struct pg_use use;
    tars_status status = pg_begin(postgres, "write", &use, err);

    if (status != TARS_OK)
        return status;
    use.conn->wait_ms = WRITE_MS;
    if (!postgres->mark_is_known || postgres->mark.journal != mark->journal)
        status = read_mark(postgres, use.conn, mark->journal, err);
    if (status == TARS_OK)
        status = make_months(postgres, use.conn, rows, n, err);
    if (status == TARS_OK)
        status = write_all(postgres, use.conn, rows, n, mark, err);
    if (status == TARS_OK)
        postgres->mark = *mark;
    /* It may have been written after all, or a partition is gone. */
    if (status != TARS_OK) {
        postgres->mark_is_known = postgres->mark_is_known && !use.conn->is_broken;
        postgres->month_count = 0;
        if (strcmp(use.conn->state, "23514") == 0 && postgres->is_partitioned)
            status = TARS_EUNAVAILABLE;
    }
    return pg_end(postgres, &use, status);
}

/* ---------------------------------------------------------------- removing */

/* Run statements, each of which takes the text first and a bound second, in one transaction. */
static tars_status remove_some(struct tars_pg_conn *conn, const enum pg_sql *sql, size_t count,
                               const char *text, size_t max, size_t *removed, struct tars_err *err)
{
    tars_status status = tars_pg_exec(conn, "BEGIN", err);

    if (status != TARS_OK)
        return status;
    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        struct tars_pg_query query = tars_pg_ask(conn, sql[i]);
        int64_t changed = 0;

        tars_pg_bind_text(&query, text);
        tars_pg_bind_int(&query, (int64_t)max);
        status = tars_pg_run(&query, &changed, err);
        *removed += (size_t)changed;
    }
    return tars_pg_conclude(conn, status, err);
}

/* Whole partitions, where there are any. */
static tars_status drop_months(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                               const char *before, size_t *removed, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PG_SQL_DROP_PARTITIONS);

    if (!postgres->is_partitioned)
        return TARS_OK;
    postgres->month_count = 0;
    tars_pg_bind_text(&query, before);
    if (tars_pg_step(&query))
        *removed += (size_t)tars_pg_int(&query);
    return tars_pg_end(&query, err);
}

tars_status pg_prune(struct tars_analytics_sink *sink, int64_t before_us, size_t max,
                     size_t *removed, struct tars_err *err)
{
    static const enum pg_sql sql[] = {PG_SQL_PRUNE_ACCESSES, PG_SQL_PRUNE_QUERIES,
                                      PG_SQL_PRUNE_ERRORS, PG_SQL_PRUNE_SYSTEM};
    struct sink_postgres *postgres = pg_of(sink);
    char time[TARS_PG_TIME_BYTES];
    struct pg_use use;
    size_t total = 0;
    tars_status status = pg_begin(postgres, "prune", &use, err);

    if (status != TARS_OK)
        return status;
    tars_pg_write_time(before_us, time);
    status = drop_months(postgres, use.conn, time, &total, err);
    if (status == TARS_OK) {
        status = remove_some(use.conn, sql, sizeof(sql) / sizeof(sql[0]), time, max, &total, err);
    }
    if (status == TARS_OK)
        *removed = total;
    return pg_end(postgres, &use, status);
}

tars_status pg_clear(struct tars_analytics_sink *sink, const char *tenant, size_t max,
                     size_t *removed, struct tars_err *err)
{
    static const enum pg_sql sql[] = {PG_SQL_CLEAR_ACCESSES, PG_SQL_CLEAR_QUERIES,
                                      PG_SQL_CLEAR_ERRORS, PG_SQL_CLEAR_SYSTEM};
    struct sink_postgres *postgres = pg_of(sink);
    struct pg_use use;
    size_t total = 0;
    tars_status status = pg_begin(postgres, "clear", &use, err);

    if (status != TARS_OK)
        return status;
    status = remove_some(use.conn, sql, sizeof(sql) / sizeof(sql[0]), tenant, max, &total, err);
    if (status == TARS_OK)
        *removed = total;
    return pg_end(postgres, &use, status);
}
