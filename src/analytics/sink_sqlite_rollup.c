/* sink_sqlite_rollup - sums of whole hours and days, which statistics take instead of rows.
 *
 *     rows -> rollup_* of an hour -> rollup_* of a day, when all hours of it have sums
 *
 * Nobody but the triggers of the schema takes sums back: a row that is added, changed or removed
 * makes its hour one without sums in its own transaction. So sums never disagree with rows, and
 * removed words do not live on in them.
 */
#include "analytics/sink_sqlite_internal.h"

#define HOUR_CHARS 13
#define DAY_CHARS  10
#define SPANS_MAX  64 /* at once */

/* The statements of one span in order; each takes it as ?1. */
static tars_status roll(struct tars_sqlite_conn *conn, const enum sink_sql *sql, size_t count,
                        const char *span, struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        struct tars_sqlite_query query = tars_sqlite_ask(conn, sql[i]);

        tars_sqlite_bind_text_or_null(&query, span);
        status = tars_sqlite_run(&query, err);
    }
    return status;
}

/* Find at most max spans that end by limit, and roll them. */
static tars_status roll_spans(struct tars_sqlite_conn *conn, enum sink_sql find, const char *limit,
                              size_t max, const enum sink_sql *sql, size_t sql_count,
                              size_t *rolled, struct tars_err *err)
{
    char spans[SPANS_MAX][HOUR_CHARS + 1];
    struct tars_sqlite_query query = tars_sqlite_ask(conn, find);
    size_t count = 0;
    tars_status status;

    if (max > SPANS_MAX)
        max = SPANS_MAX;
    tars_sqlite_bind_text_or_null(&query, limit);
    tars_sqlite_bind_int(&query, (int64_t)max);
    while (count < max && tars_sqlite_step(&query))
        tars_sqlite_text_into(&query, spans[count++], sizeof(spans[0]));
    status = tars_sqlite_end(&query, err);
    for (size_t i = 0; i < count && status == TARS_OK; i++)
        status = roll(conn, sql, sql_count, spans[i], err);
    *rolled += count;
    return status;
}

static tars_status roll_all(struct tars_sqlite_conn *conn, char *limit, size_t max, size_t *rolled,
                            struct tars_err *err)
{
    static const enum sink_sql hour[] = {
        SINK_SQL_ROLL_QUERIES, SINK_SQL_ROLL_CLOCK,  SINK_SQL_ROLL_ERRORS, SINK_SQL_ROLL_DOCUMENTS,
        SINK_SQL_ROLL_WORDS,   SINK_SQL_ROLLED_HOUR, SINK_SQL_EMPTY_HOUR,
    };
    static const enum sink_sql day[] = {
        SINK_SQL_DAY_QUERIES, SINK_SQL_DAY_CLOCK, SINK_SQL_DAY_ERRORS, SINK_SQL_DAY_DOCUMENTS,
        SINK_SQL_DAY_WORDS,   SINK_SQL_DAY_HOURS, SINK_SQL_ROLLED_DAY,
    };
    tars_status status;

    limit[HOUR_CHARS] = '\0';
    status = roll_spans(conn, SINK_SQL_HOURS_TO_ROLL, limit, max, hour,
                        sizeof(hour) / sizeof(hour[0]), rolled, err);
    limit[DAY_CHARS] = '\0';
    if (status == TARS_OK && *rolled < max) {
        status = roll_spans(conn, SINK_SQL_DAYS_TO_ROLL, limit, max - *rolled, day,
                            sizeof(day) / sizeof(day[0]), rolled, err);
    }
    return status;
}

tars_status sink_rollup(struct tars_analytics_sink *sink, int64_t before_us, size_t max,
                        size_t *rolled, struct tars_err *err)
{
    struct tars_sqlite_conn *conn = &sink_of(sink)->writer;
    char limit[SINK_TIME_BYTES];
    size_t total = 0;
    tars_status status = tars_sqlite_exec(conn, "BEGIN IMMEDIATE", err);

    if (status != TARS_OK)
        return status;
    sink_write_time(before_us, limit);
    status = tars_sqlite_conclude(conn, roll_all(conn, limit, max, &total, err), err);
    if (status == TARS_OK)
        *rolled = total;
    return status;
}
