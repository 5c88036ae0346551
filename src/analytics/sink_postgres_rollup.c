/* sink_postgres_rollup - sums of whole hours and days, which statistics take instead of rows.
 *
 *     rows -> rollup_* of an hour -> rollup_* of a day, when all hours of it have sums
 *
 * Nobody but the triggers of the schema takes sums back: rows that are added, changed or removed,
 * by whomever, make their hours ones without sums in their own transaction. They hold the hour's
 * row for that, and so does who rolls up, so that sums never miss a row that is being written.
 */
#include "analytics/sink_postgres_internal.h"

#define HOUR_CHARS 13
#define DAY_CHARS  10

/* The statements of one span in order; each takes it as $1. */
static tars_status roll(struct tars_pg_conn *conn, const enum pg_sql *sql, size_t count,
                        const char *span, struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        struct tars_pg_query query = tars_pg_ask(conn, sql[i]);

        tars_pg_bind_text(&query, span);
        status = tars_pg_run(&query, NULL, err);
    }
    return status;
}

static tars_status roll_hour(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                             const char *hour, struct tars_err *err)
{
    static const enum pg_sql sql[] = {PG_SQL_ROLL_QUERIES, PG_SQL_ROLL_CLOCK, PG_SQL_ROLL_ERRORS,
                                      PG_SQL_ROLL_DOCUMENTS, PG_SQL_ROLLED_HOUR};
    struct tars_pg_query query =
        tars_pg_ask(conn, pg_needs_icu(postgres) ? PG_SQL_ROLL_WORDS_ICU : PG_SQL_ROLL_WORDS);
    tars_status status;

    tars_pg_bind_text(&query, hour);
    tars_pg_bind_text(&query, pg_spaces);
    status = tars_pg_run(&query, NULL, err);
    return status == TARS_OK ? roll(conn, sql, sizeof(sql) / sizeof(sql[0]), hour, err) : status;
}

/* Not one of whose hours somebody has changed meanwhile, or that another server has rolled. */
static tars_status roll_day(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                            const char *day, struct tars_err *err)
{
    static const enum pg_sql sql[] = {
        PG_SQL_DAY_QUERIES, PG_SQL_DAY_CLOCK, PG_SQL_DAY_ERRORS, PG_SQL_DAY_DOCUMENTS,
        PG_SQL_DAY_WORDS,   PG_SQL_DAY_HOURS, PG_SQL_ROLLED_DAY,
    };
    struct tars_pg_query query = tars_pg_ask(conn, PG_SQL_DAY_LOCK);
    int64_t others = 0;
    tars_status status;

    (void)postgres;
    tars_pg_bind_text(&query, day);
    if (tars_pg_step(&query))
        others = tars_pg_int(&query);
    status = tars_pg_end(&query, err);
    if (status != TARS_OK || others > 0)
        return status;
    return roll(conn, sql, sizeof(sql) / sizeof(sql[0]), day, err);
}

typedef tars_status roll_fn(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                            const char *span, struct tars_err *err);

/* Find at most max spans that end by limit, and roll them. */
static tars_status roll_spans(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                              enum pg_sql find, roll_fn *roll_one, const char *limit, size_t max,
                              size_t *rolled, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, find);
    struct tars_arena arena;
    tars_status status = TARS_OK;

    tars_arena_init(&arena, (size_t)1 << 20);
    tars_pg_bind_text(&query, limit);
    tars_pg_bind_int(&query, (int64_t)max);
    while (status == TARS_OK && tars_pg_step(&query)) {
        const char *span = tars_pg_text(&query, &arena);

        if (span)
            status = roll_one(postgres, conn, span, err);
        *rolled += span != NULL;
    }
    tars_arena_release(&arena);
    if (status == TARS_OK)
        return tars_pg_end(&query, err);
    tars_pg_drop(&query);
    return status;
}

tars_status pg_rollup(struct tars_analytics_sink *sink, int64_t before_us, size_t max,
                      size_t *rolled, struct tars_err *err)
{
    struct sink_postgres *postgres = pg_of(sink);
    char limit[TARS_PG_TIME_BYTES];
    struct pg_use use;
    size_t total = 0;
    tars_status status = pg_begin(postgres, "rollup", &use, err);

    if (status != TARS_OK)
        return status;
    tars_pg_write_time(before_us, limit);
    status = tars_pg_exec(use.conn, "BEGIN", err);
    if (status == TARS_OK) {
        limit[HOUR_CHARS] = '\0';
        status = roll_spans(postgres, use.conn, PG_SQL_HOURS_TO_ROLL, roll_hour, limit, max, &total,
                            err);
        limit[DAY_CHARS] = '\0';
        if (status == TARS_OK && total < max) {
            status = roll_spans(postgres, use.conn, PG_SQL_DAYS_TO_ROLL, roll_day, limit,
                                max - total, &total, err);
        }
        status = tars_pg_conclude(use.conn, status, err);
    }
    if (status == TARS_OK)
        *rolled = total;
    return pg_end(postgres, &use, status);
}
