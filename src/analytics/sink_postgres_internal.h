/* sink_postgres_internal - what the files of the PostgreSQL sink share. Not for others. */
#ifndef TARS_ANALYTICS_SINK_POSTGRES_INTERNAL_H
#define TARS_ANALYTICS_SINK_POSTGRES_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "analytics/sink_postgres.h"
#include "base/mem/buf.h"

#define WRITE_MS   30000 /* for one answer while writing */
#define MONTHS_MAX 64    /* months whose partitions are known to be there */

enum pg_sql {
#define SQL(name, text) PG_SQL_##name,
#include "analytics/sink_postgres_sql.def"
#undef SQL
    PG_SQL_COUNT
};

/* Every statement, by enum pg_sql. */
void pg_give_texts(struct tars_pg_config *server);

struct sink_postgres {
    struct tars_analytics_sink sink; /* first: a sink is cast back to this */
    struct tars_arena arena;         /* texts of the configuration */
    struct tars_pg_pool *pool;
    struct tars_metrics *metrics;
    struct tars_log *log;
    bool partition; /* wanted for new tables */

    pthread_mutex_t setup_lock; /* one who brings the tables up to date; guards failure */
    struct tars_err failure;    /* why the tables cannot be used; "" */
    atomic_bool is_ready;       /* they can; the following are set before it is */
    bool is_partitioned;        /* some table is */
    bool lowers_beyond_ascii;   /* lower() of the database does */
    bool has_icu;               /* there is a collation that does */

    /* The writer's own. */
    int months[MONTHS_MAX]; /* since year 0; partitions that are there */
    size_t month_count;
    struct tars_analytics_mark mark; /* as it is known to stand */
    bool mark_is_known;
};

static inline struct sink_postgres *pg_of(struct tars_analytics_sink *sink)
{
    return (struct sink_postgres *)sink;
}

/* A connection with the tables up to date, for an operation of this name; NULL: it is a question,
 * which is counted where it is asked. */
struct pg_use {
    struct tars_pg_conn *conn;
    const char *operation;
    int64_t begun_ns;
};
TARS_MUST_USE tars_status pg_begin(struct sink_postgres *postgres, const char *operation,
                                   struct pg_use *use, struct tars_err *err);
/* Give it back; status is returned. */
tars_status pg_end(struct sink_postgres *postgres, struct pg_use *use, tars_status status);

/* A range as texts, which are ordered as hours are. */
struct pg_bounds {
    char from[TARS_PG_TIME_BYTES], to[TARS_PG_TIME_BYTES];
    struct tars_buf keys; /* array of visible collections; nothing: all */
};
TARS_MUST_USE tars_status pg_bounds_init(struct pg_bounds *bounds,
                                         const struct tars_analytics_range *range,
                                         struct tars_err *err);
/* As times: infinity where they are open. */
const char *pg_from(const struct pg_bounds *bounds);
const char *pg_to(const struct pg_bounds *bounds);
/* Whether words must be lower-cased by another collation than the database's. */
bool pg_needs_icu(const struct sink_postgres *postgres);
/* What parts words: Unicode's white space, as a regular expression. */
extern const char pg_spaces[];

/* A statement with $1 to $3 bound, as texts. */
struct tars_pg_query pg_ask(struct tars_pg_conn *conn, enum pg_sql sql,
                            const struct tars_analytics_range *range,
                            const struct pg_bounds *bounds);
void pg_read_sample(struct tars_pg_query *query, struct tars_system_row *row);

/* sink_postgres_setup.c: under setup_lock. */
TARS_MUST_USE tars_status pg_make_current(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                                          struct tars_err *err);

/* Rows as COPY takes them, a buffer a table (sink_postgres_rows.c). */
struct pg_rows {
    struct tars_buf queries, accesses, errors, samples;
    struct tars_buf json; /* for one value at a time */
};
#define PG_ROWS_MAX ((size_t)256 << 20)

void pg_rows_init(struct pg_rows *rows);
void pg_rows_release(struct pg_rows *rows);
/* id: of a question. EINVAL: of no known kind. Sticky failures are in the buffers. */
TARS_MUST_USE tars_status pg_rows_add(struct pg_rows *rows, const struct tars_row *row, int64_t id,
                                      struct tars_err *err);
TARS_MUST_USE tars_status pg_rows_status(const struct pg_rows *rows);

/* sink_postgres_write.c: see to it that rows of this time have a partition. */
TARS_MUST_USE tars_status pg_make_month(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                                        int64_t time_us, struct tars_err *err);
tars_status pg_write(struct tars_analytics_sink *sink, const struct tars_row *rows, size_t n,
                     const struct tars_analytics_mark *mark, struct tars_err *err);
tars_status pg_position(struct tars_analytics_sink *sink, uint64_t journal, uint64_t *position,
                        struct tars_err *err);
tars_status pg_prune(struct tars_analytics_sink *sink, int64_t before_us, size_t max,
                     size_t *removed, struct tars_err *err);
tars_status pg_clear(struct tars_analytics_sink *sink, const char *tenant, size_t max,
                     size_t *removed, struct tars_err *err);

/* sink_postgres_read.c */
tars_status pg_stats(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                     struct tars_query_stats *out, struct tars_err *err);
tars_status pg_popular(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                       size_t top_n, struct tars_arena *arena, struct tars_popular_document **out,
                       size_t *count, struct tars_err *err);
tars_status pg_patterns(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                        struct tars_arena *arena, struct tars_query_patterns *out,
                        struct tars_err *err);
tars_status pg_totals(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                      struct tars_analytics_totals *out, struct tars_err *err);
tars_status pg_history(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                       int64_t interval_s, struct tars_arena *arena, struct tars_system_row **out,
                       size_t *count, struct tars_err *err);

/* sink_postgres_rollup.c */
tars_status pg_rollup(struct tars_analytics_sink *sink, int64_t before_us, size_t max,
                      size_t *rolled, struct tars_err *err);

/* sink_postgres_change.c */
tars_status pg_import(struct tars_analytics_sink *sink, const struct tars_logged_query *rows,
                      size_t n, size_t *added, struct tars_err *err);
tars_status pg_erase(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                     size_t max, struct tars_analytics_changed *removed, struct tars_err *err);
tars_status pg_clients(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                       const char *after, size_t max, struct tars_arena *arena, const char ***out,
                       size_t *count, struct tars_err *err);
tars_status pg_anonymize(struct tars_analytics_sink *sink, const struct tars_analytics_who *who,
                         const char *pseudonym, size_t max, struct tars_analytics_changed *changed,
                         struct tars_err *err);
tars_status pg_scrub(struct tars_analytics_sink *sink, struct tars_err *err);

/* sink_postgres_pages.c */
tars_status pg_read(struct tars_analytics_sink *sink, const struct tars_analytics_wanted *wanted,
                    struct tars_arena *arena, struct tars_logged **out, size_t *count,
                    struct tars_err *err);

#endif
