/* What sink_postgres promises beyond the contract of all back ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "analytics/sink_postgres.h"
#include "support/postgres.h"

#define QUESTIONS 100
#define SOURCES   5
#define T0        INT64_C(1762516800000001) /* 2025-11-07 12:00:00.000001 */

static struct tars_analytics_sink *open_sink(const struct postgres *server)
{
    const struct tars_sink_postgres_config config = {
        .pool = {.server = postgres_config(server, "tars_analytics"), .size = 2, .ping_ms = -1}};
    struct tars_analytics_sink *sink = NULL;
    struct tars_err err = {.text = ""};

    if (tars_sink_postgres_open(&config, &sink, &err) || tars_sink_postgres_prepare(sink, &err))
        fail_msg("%s", err.text);
    return sink;
}

static void write_questions(struct tars_analytics_sink *sink, uint64_t position)
{
    const struct tars_analytics_mark mark = {7, position};
    static struct tars_access_row accesses[SOURCES];
    static struct tars_row rows[QUESTIONS];
    struct tars_err err = {.text = ""};

    for (int i = 0; i < SOURCES; i++)
        accesses[i] = (struct tars_access_row){"doc_a", "a.pdf", "doc_a_chunk_0", "hr", 0.5, i + 1};
    for (int i = 0; i < QUESTIONS; i++) {
        rows[i] = (struct tars_row){.kind = TARS_ROW_QUERY,
                                    .as.query = {.time_us = T0 + i,
                                                 .tenant = "default",
                                                 .client_id = "desk-1",
                                                 .query_text = "who?",
                                                 .model_used = "m",
                                                 .request_id = "r1",
                                                 .accesses = accesses,
                                                 .access_count = SOURCES}};
    }
    if (sink->ops->write(sink, rows, QUESTIONS, &mark, &err))
        fail_msg("%s", err.text);
}

/* How often the server has planned for us, as its log says. */
static long plans(struct postgres *server)
{
    const char *answer = postgres_do(
        server, "query postgres SELECT count(*) FROM regexp_matches(pg_read_file('../log'), "
                "'PLANNER STATISTICS', 'g')");

    return strtol(answer, NULL, 10);
}

static void checking_foreign_keys_plans_nothing(void **state)
{
    struct tars_analytics_sink *sink;
    struct postgres server;
    long first;
    long planned;

    (void)state;
    postgres_open(&server, NULL, NULL);
    (void)postgres_do(&server, "query postgres ALTER ROLE tars SET log_planner_stats = on");
    sink = open_sink(&server);
    write_questions(sink, 100);
    first = plans(&server);
    assert_true(first > 0);
    write_questions(sink, 200);
    planned = plans(&server) - first;
    assert_string_equal(postgres_do(&server,
                                    "query tars_analytics SELECT count(*), count(query_id) FROM "
                                    "document_accesses"),
                        "1000,1000");
    print_message("%ld plans for %d rows\n", planned, QUESTIONS * (SOURCES + 1));
    assert_true(planned < QUESTIONS);
    sink->ops->close(sink);
    postgres_close(&server);
}

/* Scans of the table of questions so far: through the index of its key, and all of it. */
static void scans(struct postgres *server, long *by_key, long *whole)
{
    const char *answer = postgres_do(
        server,
        "query tars_analytics SELECT i.idx_scan, t.seq_scan FROM pg_stat_user_tables t "
        "JOIN pg_stat_user_indexes i USING (relid) WHERE i.indexrelname = 'query_logs_pkey'");
    char *rest = NULL;

    *by_key = strtol(answer, &rest, 10);
    *whole = strtol(rest + 1, NULL, 10);
}

/* A plan that was made for an empty table still takes the index. */
static void plans_do_for_tables_that_grow(void **state)
{
    struct tars_analytics_sink *sink;
    struct postgres server;
    long by_key = 0;
    long before;
    long after = 0;

    (void)state;
    postgres_open(&server, NULL, NULL);
    sink = open_sink(&server);
    sink->ops->close(sink);
    (void)postgres_do(&server, "query tars_analytics VACUUM ANALYZE query_logs");
    sink = open_sink(&server);
    scans(&server, &by_key, &before);
    write_questions(sink, 100);
    write_questions(sink, 200);
    sink->ops->close(sink);
    /* A session tells its counts when it has ended. */
    for (int i = 0; i < 600 && by_key < 2L * QUESTIONS * SOURCES; i++) {
        (void)usleep(50000);
        scans(&server, &by_key, &after);
    }
    assert_true(by_key >= 2L * QUESTIONS * SOURCES);
    assert_int_equal(after, before);
    postgres_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checking_foreign_keys_plans_nothing),
        cmocka_unit_test(plans_do_for_tables_that_grow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
