/* What a row of analytics costs who asks, and how fast rows go into SQLite.
 *
 *     bench_analytics FOLDER [ROWS]
 *
 * FOLDER is where the journal and the database are made, and stay. Prints, for a question with five
 * sources: the caller's time of a row, one at a time (CPU) and in a rush, rows a second into the
 * file until it is flushed, and the time of the statistics over all of them; last, as JSON, the
 * median and the 95th percentile of the first and the time in a rush.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "analytics/analytics.h"
#include "analytics/sink_sqlite.h"
#include "base/sys/clock.h"

#define SINGLE_ROWS   200
#define SINGLE_MIDDLE 100
#define SINGLE_P95    190
#define PAUSE_NS      5000000
#define ROWS          20000

static const struct tars_access_row accesses[] = {
    {"doc_0123456789abcdef", "handbook.pdf", "doc_0123456789abcdef_chunk_1", "hr", 0.91, 1},
    {"doc_0123456789abcdee", "travel.pdf", "doc_0123456789abcdee_chunk_2", "hr", 0.82, 2},
    {"doc_0123456789abcded", "leave.pdf", "doc_0123456789abcded_chunk_3", "hr", 0.77, 3},
    {"doc_0123456789abcdec", "it.pdf", "doc_0123456789abcdec_chunk_4", "hr", 0.74, 4},
    {"doc_0123456789abcdeb", "pay.pdf", "doc_0123456789abcdeb_chunk_5", "hr", 0.71, 5},
};

static const char *question(int i)
{
    static char text[96];

    (void)snprintf(text, sizeof(text), "How many days of annual leave does person number %d have?",
                   i);
    return text;
}

static void ask(struct tars_analytics *analytics, const char *text)
{
    const struct tars_query_row row = {
        .query_text = text,
        .client_id = "desk-1",
        .model_used = "mistral:7b-instruct",
        .request_id = "0123456789abcdef0123456789abcdef",
        .retrieval_time_ms = 12.3,
        .generation_time_ms = 840.5,
        .total_time_ms = 853.1,
        .tokens_generated = 41,
        .used_hybrid_search = true,
        .accesses = accesses,
        .access_count = 5,
    };

    tars_analytics_query(analytics, &row);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Of this thread alone, so that a busy machine does not count. */
static int64_t cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* With a pause before each row: cold caches, as in a server that does other things meanwhile. */
static void single(struct tars_analytics *analytics, double cold_us[2])
{
    static const struct timespec pause = {.tv_nsec = PAUSE_NS};
    int64_t took[SINGLE_ROWS];

    for (int i = 0; i < SINGLE_ROWS; i++) {
        const char *text = question(i); /* is the caller's, and at hand */
        int64_t start;

        (void)cpu_ns(); /* the clock's own cold caches are not meant */
        start = cpu_ns();
        ask(analytics, text);
        took[i] = cpu_ns() - start;
        (void)nanosleep(&pause, NULL);
    }
    qsort(took, SINGLE_ROWS, sizeof(took[0]), by_value);
    cold_us[0] = (double)took[SINGLE_MIDDLE] / 1000;
    cold_us[1] = (double)took[SINGLE_P95] / 1000;
    printf("a row now and then, CPU: median %.2f us, 95 %% %.2f us\n", cold_us[0], cold_us[1]);
}

/* Microseconds of a row for who asks. */
static double rush(struct tars_analytics *analytics, int rows)
{
    int64_t start = tars_clock_mono_ns();
    int64_t given;
    int64_t done;
    uint64_t dropped;

    for (int i = 0; i < rows; i++) {
        ask(analytics, question(i));
        if (i % 2000 == 1999)
            tars_analytics_flush(analytics); /* else the queue would drop the oldest */
    }
    tars_analytics_flush(analytics);
    done = tars_clock_mono_ns() - start;
    dropped = tars_analytics_counts(analytics).dropped;
    printf("into SQLite: %.0f rows/s with five accesses each (%llu dropped)\n",
           (double)rows * 1e9 / (double)done, (unsigned long long)dropped);
    start = tars_clock_mono_ns();
    for (int i = 0; i < 2000; i++)
        ask(analytics, question(i));
    given = tars_clock_mono_ns() - start;
    printf("rows in a rush: %.2f us each for who asks\n", (double)given / 2000 / 1000);
    tars_analytics_flush(analytics);
    return (double)given / 2000 / 1000;
}

static void statistics(struct tars_analytics *analytics)
{
    const struct tars_analytics_range all = {0};
    struct tars_popular_document *documents;
    struct tars_query_patterns patterns;
    struct tars_query_stats stats;
    struct tars_arena arena;
    size_t count;
    int64_t start = tars_clock_mono_ns();

    tars_arena_init(&arena, (size_t)1 << 24);
    if (tars_analytics_stats(analytics, &all, &stats, NULL) == TARS_OK) {
        printf("query-stats of %lld rows: %.1f ms\n", (long long)stats.total,
               (double)(tars_clock_mono_ns() - start) / 1e6);
    }
    start = tars_clock_mono_ns();
    if (tars_analytics_popular(analytics, &all, 10, &arena, &documents, &count, NULL) == TARS_OK)
        printf("document-popularity: %.1f ms\n", (double)(tars_clock_mono_ns() - start) / 1e6);
    start = tars_clock_mono_ns();
    if (tars_analytics_patterns(analytics, &all, &arena, &patterns, NULL) == TARS_OK)
        printf("query-patterns: %.1f ms\n", (double)(tars_clock_mono_ns() - start) / 1e6);
    tars_arena_release(&arena);
}

int main(int argc, char **argv)
{
    struct tars_analytics_config config = {0};
    struct tars_analytics *analytics = NULL;
    struct tars_err err = {{0}};
    char journal[4096];
    char path[4096];
    double cold_us[2];
    double rush_us;

    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_analytics FOLDER [ROWS]\n");
        return 2;
    }
    (void)snprintf(path, sizeof(path), "%s/analytics.db", argv[1]);
    (void)snprintf(journal, sizeof(journal), "%s/analytics.queue", argv[1]);
    config.journal = journal;
    if (tars_sink_sqlite_open(path, &config.sink, &err) != TARS_OK ||
        tars_analytics_open(&config, &analytics, &err) != TARS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    single(analytics, cold_us);
    rush_us = rush(analytics, argc > 2 ? (int)strtol(argv[2], NULL, 10) : ROWS);
    statistics(analytics);
    printf("{\"cold_us\": %.3f, \"cold_p95_us\": %.3f, \"rush_us\": %.3f}\n", cold_us[0],
           cold_us[1], rush_us);
    tars_analytics_close(analytics);
    return 0;
}
