/* sink_sqlite_internal - what the files of the SQLite sink share. Not for others. */
#ifndef TARS_ANALYTICS_SINK_SQLITE_INTERNAL_H
#define TARS_ANALYTICS_SINK_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "analytics/sink_sqlite.h"

#define SINK_TIME_BYTES 80 /* "YYYY-MM-DD HH:MM:SS.ffffff", whatever the numbers */

enum sink_sql {
#define SQL(name, text) SINK_SQL_##name,
#include "analytics/sink_sqlite_sql.def"
#undef SQL
    SINK_SQL_COUNT
};

/* A connection; of one thread at a time. */
struct sink_conn {
    sqlite3 *db;
    sqlite3_stmt *statements[SINK_SQL_COUNT]; /* prepared when first used, or NULL */
};

struct sink_sqlite {
    struct tars_analytics_sink sink; /* first: a sink is cast back to this */
    char *path;                      /* owned */
    struct sink_conn writer;
    pthread_mutex_t read_lock; /* guards reader */
    struct sink_conn reader;
};

static inline struct sink_sqlite *sink_of(struct tars_analytics_sink *sink)
{
    return (struct sink_sqlite *)sink;
}

/* A statement under way: bind in order, step, read columns in order, end. Sticky: after a failure
 * the rest does nothing, and _end() tells. Texts that are bound outlive it. */
struct sink_query {
    struct sink_conn *conn;
    sqlite3_stmt *stmt;
    int bound;
    int column;
    int rc;
    bool no_memory;
};

struct sink_query sink_ask(struct sink_conn *conn, enum sink_sql sql);
void sink_bind_int(struct sink_query *query, int64_t value);
void sink_bind_int_or_null(struct sink_query *query, int64_t value); /* below 0: NULL */
void sink_bind_real(struct sink_query *query, double value);         /* NaN: NULL */
void sink_bind_text(struct sink_query *query, const char *text);     /* NULL: NULL */
bool sink_step(struct sink_query *query);
int64_t sink_int(struct sink_query *query);
int64_t sink_int_or(struct sink_query *query, int64_t otherwise);          /* otherwise: for NULL */
double sink_real(struct sink_query *query);                                /* NaN for NULL */
const char *sink_text(struct sink_query *query, struct tars_arena *arena); /* NULL for NULL */
int64_t sink_time(struct sink_query *query);                               /* us; 0 for NULL */
TARS_MUST_USE tars_status sink_end(struct sink_query *query, struct tars_err *err);
TARS_MUST_USE tars_status sink_run(struct sink_query *query, struct tars_err *err);
TARS_MUST_USE tars_status sink_exec(struct sink_conn *conn, const char *sql, struct tars_err *err);
tars_status sink_fail(const struct sink_conn *conn, int rc, struct tars_err *err);

/* out: SINK_TIME_BYTES. */
void sink_write_time(int64_t time_us, char *out);

/* SQL function tars_words(text): JSON array of its lower-cased words, as white space parts them. */
void sink_words(sqlite3_context *context, int count, sqlite3_value **values);

/* sink_sqlite_read.c */
extern const struct tars_analytics_sink_ops tars_sink_sqlite_ops;
tars_status sink_stats(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                       struct tars_query_stats *out, struct tars_err *err);
tars_status sink_popular(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                         size_t top_n, struct tars_arena *arena, struct tars_popular_document **out,
                         size_t *count, struct tars_err *err);
tars_status sink_patterns(struct tars_analytics_sink *sink,
                          const struct tars_analytics_range *range, struct tars_arena *arena,
                          struct tars_query_patterns *out, struct tars_err *err);
tars_status sink_totals(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                        struct tars_analytics_totals *out, struct tars_err *err);
tars_status sink_history(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                         int64_t interval_s, struct tars_arena *arena, struct tars_system_row **out,
                         size_t *count, struct tars_err *err);
tars_status sink_page(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                      int64_t after_id, size_t max, struct tars_arena *arena,
                      struct tars_logged_query **out, size_t *count, struct tars_err *err);

#endif
