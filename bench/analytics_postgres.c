/* How fast rows get into PostgreSQL through the sink, and what is asked of them comes out:
 *
 *     analytics_postgres PORT DATABASE
 *
 * The database is on this machine, of the user tars with the password changeme. Obeys lines of its
 * standard input, each of which is answered by one line of JSON with the seconds that it took
 * ("wall_s") and those of this process's CPU ("cpu_s"). bench/analytics_peer.py speaks with it.
 *
 *     write QUESTIONS SOURCES BATCH [DAYS]
 *
 * questions of now, or of the last days, in transactions of BATCH; "p50_ms": of one of them
 *
 *     rollup
 *
 * sums of all hours and days that are over
 *
 *     stats | popular | patterns | totals | recent  [SECONDS [UNTIL]]
 *
 * a statistic of all questions, or of those between so many seconds ago and so many; the ten newest
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analytics/sink_postgres.h"
#include "base/sys/clock.h"

#define BATCH_MAX   2048
#define SOURCES_MAX 10
#define TIMES_MAX   100000
#define DOCUMENTS   200
#define US_PER_S    INT64_C(1000000)
#define DAY_US      (86400 * US_PER_S)
#define SCORE       0.5

static struct tars_access_row sources[BATCH_MAX][SOURCES_MAX];
static struct tars_row rows[BATCH_MAX];
static char texts[BATCH_MAX][96], ids[BATCH_MAX][40], documents[DOCUMENTS][32],
    chunks[DOCUMENTS][40];
static int64_t took_ns[TIMES_MAX];

static void die(const char *what, const struct tars_err *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

static double cpu_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void make_row(size_t at, size_t number, size_t with, int64_t time_us)
{
    (void)snprintf(texts[at], sizeof(texts[at]),
                   "What does rule %zu of part %zu say about leave of person number %zu?",
                   number % 97, number % 31, number * 7919 % 5003);
    (void)snprintf(ids[at], sizeof(ids[at]), "%016" PRIx64 "%016" PRIx64,
                   (uint64_t)number * UINT64_C(0x9e3779b97f4a7c15), (uint64_t)time_us);
    for (size_t i = 0; i < with; i++) {
        size_t document = (number * 31 + i * 7) % DOCUMENTS;

        sources[at][i] = (struct tars_access_row){.document_id = documents[document],
                                                  .file_name = "handbook.pdf",
                                                  .chunk_id = chunks[document],
                                                  .collection = "hr",
                                                  .relevance_score = SCORE + (double)i / 100,
                                                  .rank = (int)i + 1};
    }
    rows[at] = (struct tars_row){.kind = TARS_ROW_QUERY,
                                 .as.query = {.time_us = time_us,
                                              .tenant = "default",
                                              .client_id = "desk-1",
                                              .query_text = texts[at],
                                              .model_used = "mistral:7b-instruct",
                                              .request_id = ids[at],
                                              .retrieval_time_ms = 12.3,
                                              .generation_time_ms = (double)(number % 1000),
                                              .total_time_ms = 12.3 + (double)(number % 1000),
                                              .tokens_generated = 41,
                                              .used_hybrid_search = true,
                                              .accesses = sources[at],
                                              .access_count = with}};
}

/* Answers with the median of the transactions. */
static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void write_rows(struct tars_analytics_sink *sink, struct tars_analytics_mark *mark,
                       const size_t wanted[4])
{
    static size_t number;
    size_t with = least(wanted[1], SOURCES_MAX);
    size_t batch = least(wanted[2] ? wanted[2] : BATCH_MAX, BATCH_MAX);
    int64_t first_us = tars_clock_wall_us() - (int64_t)wanted[3] * DAY_US;
    int64_t step_us = (int64_t)wanted[3] * DAY_US / (int64_t)(wanted[0] + 1);
    struct tars_err err = {.text = ""};
    size_t times = 0;
    size_t middle;

    for (size_t done = 0; done < wanted[0]; done += batch) {
        size_t n = least(wanted[0] - done, batch);
        int64_t begun_ns;

        for (size_t i = 0; i < n; i++, number++) {
            make_row(i, number, with,
                     step_us ? first_us + (int64_t)(done + i) * step_us : tars_clock_wall_us());
        }
        mark->position += 8;
        begun_ns = tars_clock_mono_ns();
        if (sink->ops->write(sink, rows, n, mark, &err))
            die("write", &err);
        if (times < TIMES_MAX)
            took_ns[times++] = tars_clock_mono_ns() - begun_ns;
    }
    qsort(took_ns, times, sizeof(took_ns[0]), by_size);
    middle = times / 2;
    printf("\"p50_ms\": %.4f, ", times ? (double)took_ns[middle] / 1e6 : 0);
}

static void rollup(struct tars_analytics_sink *sink)
{
    struct tars_err err = {.text = ""};
    size_t rolled = 1;
    size_t spans = 0;

    while (rolled > 0) {
        if (sink->ops->rollup(sink, tars_clock_wall_us(), 64, &rolled, &err))
            die("rollup", &err);
        spans += rolled;
    }
    printf("\"spans\": %zu, ", spans);
}

static void ask(struct tars_analytics_sink *sink, const char *what,
                const struct tars_analytics_range *range)
{
    const struct tars_analytics_wanted newest = {
        .table = TARS_TABLE_QUERIES, .range = range, .newest_first = true, .max = 10};
    const struct tars_analytics_sink_ops *ops = sink->ops;
    struct tars_popular_document *popular;
    struct tars_analytics_totals totals = {0};
    struct tars_query_patterns patterns = {0};
    struct tars_query_stats stats = {0};
    struct tars_err err = {.text = ""};
    struct tars_logged *logged;
    struct tars_arena arena;
    tars_status status = TARS_OK;
    size_t count = 0;

    tars_arena_init(&arena, (size_t)1 << 24);
    if (strcmp(what, "stats") == 0) {
        status = ops->stats(sink, range, &stats, &err);
        count = (size_t)stats.total;
    } else if (strcmp(what, "popular") == 0) {
        status = ops->popular(sink, range, 10, &arena, &popular, &count, &err);
    } else if (strcmp(what, "patterns") == 0) {
        status = ops->patterns(sink, range, &arena, &patterns, &err);
        count = (size_t)patterns.total;
    } else if (strcmp(what, "totals") == 0) {
        status = ops->totals(sink, range, &totals, &err);
        count = (size_t)totals.queries;
    } else if (strcmp(what, "recent") == 0) {
        status = ops->read(sink, &newest, &arena, &logged, &count, &err);
    } else {
        status = tars_fail(TARS_EINVAL, &err, "no such command");
    }
    tars_arena_release(&arena);
    if (status != TARS_OK)
        die(what, &err);
    printf("\"found\": %zu, ", count);
}

static void obey(struct tars_analytics_sink *sink, struct tars_analytics_mark *mark, char *line)
{
    struct tars_analytics_range range = {.tenant = "default"};
    size_t wanted[4] = {0};
    char *rest = NULL;
    const char *what = strtok_r(line, " \n", &rest);
    int64_t begun_ns = tars_clock_mono_ns();
    double begun_cpu_s = cpu_s();

    if (!what)
        return;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const char *word = strtok_r(NULL, " \n", &rest);

        wanted[i] = word ? strtoull(word, NULL, 10) : 0;
    }
    if (wanted[0])
        range.from_us = tars_clock_wall_us() - (int64_t)wanted[0] * US_PER_S;
    if (wanted[1])
        range.to_us = tars_clock_wall_us() - (int64_t)wanted[1] * US_PER_S;
    putchar('{');
    if (strcmp(what, "write") == 0) {
        write_rows(sink, mark, wanted);
    } else if (strcmp(what, "rollup") == 0) {
        rollup(sink);
    } else {
        ask(sink, what, &range);
    }
    printf("\"wall_s\": %.6f, \"cpu_s\": %.6f}\n", (double)(tars_clock_mono_ns() - begun_ns) / 1e9,
           cpu_s() - begun_cpu_s);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    const struct tars_sink_postgres_config config = {
        .pool = {.server = {.host = "127.0.0.1",
                            .port = (uint16_t)strtoul(argc > 2 ? argv[1] : "0", NULL, 10),
                            .database = argc > 2 ? argv[2] : "",
                            .user = "tars",
                            .password = "changeme",
                            .timeout_ms = 5000,
                            .statement_timeout_ms = 600000},
                 .size = 2},
        .partition = getenv("ANALYTICS_PARTITION") != NULL};
    struct tars_analytics_mark mark = {(uint64_t)tars_clock_wall_us(), 0};
    struct tars_analytics_sink *sink = NULL;
    struct tars_err err = {.text = ""};
    char line[256];

    for (size_t i = 0; i < DOCUMENTS; i++) {
        (void)snprintf(documents[i], sizeof(documents[i]), "doc_%016zx", i * 7919);
        (void)snprintf(chunks[i], sizeof(chunks[i]), "%s_chunk_%zu", documents[i], i % 10);
    }
    if (tars_sink_postgres_open(&config, &sink, &err) || tars_sink_postgres_prepare(sink, &err))
        die("open", &err);
    while (fgets(line, sizeof(line), stdin))
        obey(sink, &mark, line);
    sink->ops->close(sink);
    return 0;
}
