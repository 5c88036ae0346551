/* How fast rows get into PostgreSQL through the sink: questions with five sources each, in batches
 * as the writer makes them; and what statistics of a million rows cost, with sums and without.
 *
 *     analytics_postgres PORT DATABASE [QUESTIONS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "analytics/sink_postgres.h"
#include "base/sys/clock.h"

#define BATCH   2048
#define SOURCES 5
#define HOUR_US INT64_C(3600000000)

static struct tars_access_row sources[SOURCES];
static struct tars_row rows[BATCH];
static char texts[BATCH][64], ids[BATCH][40], documents[SOURCES][32];

static void die(const char *what, const struct tars_err *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

static double since(int64_t begun_ns)
{
    return (double)(tars_clock_mono_ns() - begun_ns) / 1e9;
}

static double write_all(struct tars_analytics_sink *sink, size_t total, size_t with, size_t batch,
                        struct tars_analytics_mark *mark)
{
    struct tars_err err = {.text = ""};
    int64_t begun_ns = tars_clock_mono_ns();
    int64_t now_us = tars_clock_wall_us();

    for (size_t done = 0; done < total; done += batch) {
        size_t n = total - done < batch ? total - done : batch;

        for (size_t i = 0; i < n; i++) {
            (void)snprintf(texts[i], sizeof(texts[i]), "what does rule %zu say of part %zu", i % 97,
                           (done + i) % 1009);
            (void)snprintf(ids[i], sizeof(ids[i]), "%016llx%016llx",
                           (unsigned long long)mark->position, (unsigned long long)i);
            rows[i] = (struct tars_row){
                .kind = TARS_ROW_QUERY,
                .as.query = {.time_us = now_us - (int64_t)((done + i) % 720) * HOUR_US / 24,
                             .tenant = "default",
                             .client_id = "desk",
                             .query_text = texts[i],
                             .model_used = "m",
                             .request_id = ids[i],
                             .retrieval_time_ms = 1,
                             .generation_time_ms = 2,
                             .total_time_ms = 3,
                             .accesses = sources,
                             .access_count = with}};
        }
        mark->position += 8;
        if (sink->ops->write(sink, rows, n, mark, &err))
            die("write", &err);
    }
    return since(begun_ns);
}

static void ask(struct tars_analytics_sink *sink, const char *what)
{
    static const struct tars_analytics_range all = {0};
    struct tars_query_stats stats;
    struct tars_err err = {.text = ""};
    int64_t begun_ns = tars_clock_mono_ns();

    if (sink->ops->stats(sink, &all, &stats, &err))
        die("stats", &err);
    printf("%-44s %9.1f ms of %lld questions\n", what, since(begun_ns) * 1e3,
           (long long)stats.total);
}

int main(int argc, char **argv)
{
    const struct tars_sink_postgres_config config = {
        .pool = {.server = {.host = "127.0.0.1",
                            .port = (uint16_t)atol(argc > 2 ? argv[1] : "0"),
                            .database = argc > 2 ? argv[2] : "",
                            .user = "tars",
                            .password = "changeme",
                            .timeout_ms = 5000,
                            .statement_timeout_ms = 600000},
                 .size = 2}};
    size_t total = argc > 3 ? (size_t)atol(argv[3]) : 20000;
    struct tars_analytics_mark mark = {1, 0};
    struct tars_analytics_sink *sink = NULL;
    struct tars_err err = {.text = ""};
    size_t rolled = 1;
    double seconds;

    for (size_t i = 0; i < SOURCES; i++) {
        (void)snprintf(documents[i], sizeof(documents[i]), "doc_%zu", i);
        sources[i] =
            (struct tars_access_row){documents[i], "a.pdf", documents[i], "hr", 0.5, (int)i + 1};
    }
    if (tars_sink_postgres_open(&config, &sink, &err) || tars_sink_postgres_prepare(sink, &err))
        die("open", &err);
    seconds = write_all(sink, 200, SOURCES, 1, &mark);
    printf("%-44s %9.2f ms\n", "one question with 5 sources, a transaction", seconds / 200 * 1e3);
    seconds = write_all(sink, 2000, SOURCES, 100, &mark);
    printf("%-44s %9.2f ms\n", "100 questions with 5 sources", seconds / 20 * 1e3);
    seconds = write_all(sink, total, 0, BATCH, &mark);
    printf("%-44s %9.0f rows/s\n", "questions alone", (double)total / seconds);
    seconds = write_all(sink, total, SOURCES, BATCH, &mark);
    printf("%-44s %9.0f rows/s\n", "questions with 5 sources, all rows",
           (double)total * (SOURCES + 1) / seconds);
    ask(sink, "query-stats from rows");
    while (rolled > 0) {
        if (sink->ops->rollup(sink, tars_clock_wall_us(), 64, &rolled, &err))
            die("rollup", &err);
    }
    ask(sink, "query-stats from sums");
    sink->ops->close(sink);
    return 0;
}
