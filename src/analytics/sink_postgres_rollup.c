/* sink_postgres_rollup - sums of whole hours and days, which statistics take instead of rows.
 *
 *     rows -> rollup_* of an hour -> rollup_* of a day, when all hours of it have sums
 *
 * Nobody but the triggers of the schema takes sums back: rows that are added, changed or removed,
 * by whomever, make their hours ones without sums in their own transaction. They hold the hour's
 * row for that, and so does who rolls up, so that sums never miss a row that is being written.
 */
#include "analytics/sink_postgres_internal.h"

#include <stdio.h>
#include <string.h>

#define HOUR_CHARS 13
#define DAY_CHARS  10
#define SPANS_MAX  64 /* at once */

/* Hours or days as the text of an array: {"2025-01-01 10","2025-01-01 11"} */
struct spans {
    size_t count, len;
    char text[SPANS_MAX * (HOUR_CHARS + 3) + 3];
};

/* What the query finds. */
static tars_status find_spans(struct tars_pg_query *query, struct spans *spans,
                              struct tars_err *err)
{
    struct tars_arena arena;

    spans->count = 0;
    spans->len = 0;
    tars_arena_init(&arena, (size_t)1 << 16);
    while (spans->count < SPANS_MAX && tars_pg_step(query)) {
        const char *span = tars_pg_text(query, &arena);

        if (!span || strlen(span) > HOUR_CHARS)
            continue; /* none of ours */
        spans->len += (size_t)snprintf(spans->text + spans->len, sizeof(spans->text) - spans->len,
                                       "%c\"%s\"", spans->count ? ',' : '{', span);
        spans->count++;
    }
    tars_arena_release(&arena);
    (void)snprintf(spans->text + spans->len, sizeof(spans->text) - spans->len, "}");
    return tars_pg_end(query, err);
}

static tars_status find_until(struct tars_pg_conn *conn, enum pg_sql find, const char *limit,
                              size_t max, struct spans *spans, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, find);

    tars_pg_bind_text(&query, limit);
    tars_pg_bind_int(&query, (int64_t)(max < SPANS_MAX ? max : SPANS_MAX));
    return find_spans(&query, spans, err);
}

/* The statements in order; each takes all of the spans as $1. */
static tars_status roll(struct tars_pg_conn *conn, const enum pg_sql *sql, size_t count,
                        const struct spans *spans, struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        struct tars_pg_query query = tars_pg_ask(conn, sql[i]);

        tars_pg_bind_text(&query, spans->text);
        status = tars_pg_run(&query, NULL, err);
    }
    return status;
}

static tars_status roll_hours(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                              const char *limit, size_t max, size_t *rolled, struct tars_err *err)
{
    static const enum pg_sql sql[] = {PG_SQL_ROLL_QUERIES, PG_SQL_ROLL_CLOCK, PG_SQL_ROLL_ERRORS,
                                      PG_SQL_ROLL_DOCUMENTS, PG_SQL_ROLLED_HOURS};
    struct spans spans;
    tars_status status = find_until(conn, PG_SQL_HOURS_TO_ROLL, limit, max, &spans, err);
    struct tars_pg_query query;

    if (status != TARS_OK || !spans.count)
        return status;
    query = tars_pg_ask(conn, pg_needs_icu(postgres) ? PG_SQL_ROLL_WORDS_ICU : PG_SQL_ROLL_WORDS);
    tars_pg_bind_text(&query, spans.text);
    tars_pg_bind_text(&query, pg_spaces);
    status = tars_pg_run(&query, NULL, err);
    *rolled += spans.count;
    return status == TARS_OK ? roll(conn, sql, sizeof(sql) / sizeof(sql[0]), &spans, err) : status;
}

/* Not those one of whose hours somebody has changed meanwhile, or that another server has rolled.
 */
static tars_status roll_days(struct tars_pg_conn *conn, const char *limit, size_t max,
                             size_t *rolled, struct tars_err *err)
{
    static const enum pg_sql sql[] = {
        PG_SQL_DAY_QUERIES, PG_SQL_DAY_CLOCK, PG_SQL_DAY_ERRORS,  PG_SQL_DAY_DOCUMENTS,
        PG_SQL_DAY_WORDS,   PG_SQL_DAY_HOURS, PG_SQL_ROLLED_DAYS,
    };
    struct spans found;
    struct spans spans;
    tars_status status = find_until(conn, PG_SQL_DAYS_TO_ROLL, limit, max, &found, err);
    struct tars_pg_query query;

    if (status != TARS_OK || !found.count)
        return status;
    query = tars_pg_ask(conn, PG_SQL_DAYS_LOCK);
    tars_pg_bind_text(&query, found.text);
    status = find_spans(&query, &spans, err);
    if (status != TARS_OK || !spans.count)
        return status;
    *rolled += spans.count;
    return roll(conn, sql, sizeof(sql) / sizeof(sql[0]), &spans, err);
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
        status = roll_hours(postgres, use.conn, limit, max, &total, err);
        limit[DAY_CHARS] = '\0';
        if (status == TARS_OK && total < max)
            status = roll_days(use.conn, limit, max - total, &total, err);
        status = tars_pg_conclude(use.conn, status, err);
    }
    if (status == TARS_OK)
        *rolled = total;
    return pg_end(postgres, &use, status);
}
