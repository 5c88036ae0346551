/* sink_sqlite_internal - what the files of the SQLite sink share. Not for others. */
#ifndef TARS_ANALYTICS_SINK_SQLITE_INTERNAL_H
#define TARS_ANALYTICS_SINK_SQLITE_INTERNAL_H

#include <pthread.h>
#include <stdint.h>

#include "analytics/sink_sqlite.h"
#include "base/mem/buf.h"
#include "store/sqlite_query.h"

#define SINK_TIME_BYTES 80 /* "YYYY-MM-DD HH:MM:SS.ffffff", whatever the numbers */

enum sink_sql {
#define SQL(name, text) SINK_SQL_##name,
#include "analytics/sink_sqlite_sql.def"
#undef SQL
    SINK_SQL_COUNT
};

struct sink_sqlite {
    struct tars_analytics_sink sink; /* first: a sink is cast back to this */
    char *path;                      /* owned */
    struct tars_sqlite_conn writer;
    pthread_mutex_t read_lock; /* guards reader */
    struct tars_sqlite_conn reader;
};

static inline struct sink_sqlite *sink_of(struct tars_analytics_sink *sink)
{
    return (struct sink_sqlite *)sink;
}

/* The time in the next column, in us; 0 for NULL. */
int64_t sink_time(struct tars_sqlite_query *query);
/* out: SINK_TIME_BYTES. */
void sink_write_time(int64_t time_us, char *out);

/* SQL function tars_words(text): JSON array of its lower-cased words, as white space parts them. */
void sink_words(sqlite3_context *context, int count, sqlite3_value **values);

/* A range as parameters. */
struct sink_bounds {
    char from[SINK_TIME_BYTES], to[SINK_TIME_BYTES];
    struct tars_buf keys; /* JSON array of visible collections; empty: all */
};

/* sink_sqlite_read.c */
TARS_MUST_USE tars_status sink_init_bounds(struct sink_bounds *bounds,
                                           const struct tars_analytics_range *range,
                                           struct tars_err *err);
/* Lock the reader and bind ?1 to ?3. */
struct tars_sqlite_query sink_begin(struct sink_sqlite *sqlite, enum sink_sql sql,
                                    const struct tars_analytics_range *range,
                                    const struct sink_bounds *bounds);
/* And let go of it. */
tars_status sink_end(struct sink_sqlite *sqlite, struct tars_sqlite_query *query,
                     struct tars_err *err);
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
/* sink_sqlite_rollup.c */
tars_status sink_rollup(struct tars_analytics_sink *sink, int64_t before_us, size_t max,
                        size_t *rolled, struct tars_err *err);

/* sink_sqlite_change.c */
tars_status sink_import(struct tars_analytics_sink *sink, const struct tars_logged_query *rows,
                        size_t n, size_t *added, struct tars_err *err);
tars_status sink_erase(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                       size_t max, struct tars_analytics_changed *removed, struct tars_err *err);
tars_status sink_clients(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                         const char *after, size_t max, struct tars_arena *arena, const char ***out,
                         size_t *count, struct tars_err *err);
tars_status sink_anonymize(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                           const char *pseudonym, size_t max,
                           struct tars_analytics_changed *changed, struct tars_err *err);
tars_status sink_scrub(struct tars_analytics_sink *sink, struct tars_err *err);

/* sink_sqlite_pages.c */
tars_status sink_read(struct tars_analytics_sink *sink, const struct tars_analytics_wanted *wanted,
                      struct tars_arena *arena, struct tars_logged **out, size_t *count,
                      struct tars_err *err);
/* The columns of a sample behind its time. */
void sink_read_sample(struct tars_sqlite_query *query, struct tars_system_row *row);

#endif
