/* What sums of hours and days bring to statistics of long times.
 *
 *     bench_analytics_rollup FOLDER [ROWS]
 *
 * Makes a SQLite file in FOLDER with ROWS questions (1,000,000) of 100 days, one source each, and
 * prints the time of each statistic over all of them, and over a range that cuts hours at both
 * ends, before and after the hours were rolled up.
 */
#include <stdio.h>
#include <stdlib.h>

#include "analytics/sink.h"
#include "analytics/sink_sqlite.h"
#include "base/sys/clock.h"

#define ROWS      1000000
#define BATCH     500
#define DAYS      INT64_C(100)
#define START_US  INT64_C(1735689600000000) /* 2025-01-01 */
#define DAY_US    INT64_C(86400000000)
#define DOCUMENTS 200
#define TEXT      96

static tars_status write_batch(struct tars_analytics_sink *sink, long first, long rows)
{
    static char texts[BATCH][TEXT];
    static char documents[BATCH][TEXT];
    static struct tars_access_row accesses[BATCH];
    static struct tars_row batch[BATCH];
    const struct tars_analytics_mark mark = {1, (uint64_t)first + 1};

    for (long i = 0; i < BATCH; i++) {
        long row = first + i;

        (void)snprintf(texts[i], TEXT, "How many days of leave does person number %ld have?",
                       row % 5000);
        (void)snprintf(documents[i], TEXT, "doc_%016lx", row * 7919 % DOCUMENTS);
        accesses[i] = (struct tars_access_row){.document_id = documents[i],
                                               .file_name = "handbook.pdf",
                                               .collection = "hr",
                                               .relevance_score = (double)(row % 100) / 100,
                                               .rank = 1};
        batch[i] = (struct tars_row){.kind = TARS_ROW_QUERY,
                                     .as.query = {.time_us = START_US + DAYS * DAY_US / rows * row,
                                                  .tenant = "default",
                                                  .client_id = "desk-1",
                                                  .query_text = texts[i],
                                                  .model_used = "m",
                                                  .total_time_ms = (double)(row % 1000),
                                                  .accesses = &accesses[i],
                                                  .access_count = 1}};
    }
    return sink->ops->write(sink, batch, BATCH, &mark, NULL);
}

static void measure(struct tars_analytics_sink *sink, const char *what,
                    const struct tars_analytics_range *range)
{
    struct tars_popular_document *documents;
    struct tars_query_patterns patterns;
    struct tars_query_stats stats = {0};
    struct tars_arena arena;
    int64_t at[4];
    size_t count;

    tars_arena_init(&arena, (size_t)1 << 24);
    at[0] = tars_clock_mono_ns();
    (void)!sink->ops->stats(sink, range, &stats, NULL);
    at[1] = tars_clock_mono_ns();
    (void)!sink->ops->popular(sink, range, 10, &arena, &documents, &count, NULL);
    at[2] = tars_clock_mono_ns();
    (void)!sink->ops->patterns(sink, range, &arena, &patterns, NULL);
    at[3] = tars_clock_mono_ns();
    printf("%s, %lld questions: query-stats %.1f ms, document-popularity %.1f ms, query-patterns "
           "%.1f ms\n",
           what, (long long)stats.total, (double)(at[1] - at[0]) / 1e6,
           (double)(at[2] - at[1]) / 1e6, (double)(at[3] - at[2]) / 1e6);
    tars_arena_release(&arena);
}

static void measure_both(struct tars_analytics_sink *sink, const char *what)
{
    const struct tars_analytics_range all = {0};
    const struct tars_analytics_range cut = {.from_us = START_US + DAY_US / 3 + 12345,
                                             .to_us = START_US + 90 * DAY_US + 54321};

    printf("%s\n", what);
    measure(sink, "  all", &all);
    measure(sink, "  a range", &cut);
}

int main(int argc, char **argv)
{
    long rows = argc > 2 ? strtol(argv[2], NULL, 10) : ROWS;
    struct tars_analytics_sink *sink = NULL;
    struct tars_err err = {{0}};
    char path[4096];
    size_t rolled = 1;
    size_t spans = 0;
    int64_t start;
    int failed = 0;

    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_analytics_rollup FOLDER [ROWS]\n");
        return 2;
    }
    (void)snprintf(path, sizeof(path), "%s/rollup.db", argv[1]);
    if (tars_sink_sqlite_open(path, &sink, &err) != TARS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (long first = 0; first + BATCH <= rows && !failed; first += BATCH)
        failed = write_batch(sink, first, rows) != TARS_OK;
    measure_both(sink, "from rows");
    start = tars_clock_mono_ns();
    while (!failed && rolled > 0) {
        failed = sink->ops->rollup(sink, INT64_MAX, 4, &rolled, NULL) != TARS_OK;
        spans += rolled;
    }
    printf("%zu hours and days rolled up in %.1f s\n", spans,
           (double)(tars_clock_mono_ns() - start) / 1e9);
    measure_both(sink, "from sums");
    sink->ops->close(sink);
    return failed;
}
