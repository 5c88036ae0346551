/* Cost of counting and of telling it (obs/metrics.h).
 *
 *     bench_metrics [--json] [ROUNDS]           10,000,000 rounds unless told otherwise
 *
 * Nanoseconds an observation, the best of five goes each: a counter and a histogram whose series
 * are kept, a histogram with a trace id, a counter whose series is found by its three labels each
 * time, and the counter again from two threads at once. Then the whole exposition, as after a day
 * of ordinary use (a hundred threads have counted, some 500 series are there) and with every family
 * full of what strangers made up: microseconds, the best of fifty, in both formats. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys/clock.h"
#include "obs/metrics.h"

#define GOES    5
#define SCRAPES 50
#define THREADS 100
#define TRACE   "0af7651916cd43dd8448eb211c80319c"

struct bench {
    struct tars_metrics *m;
    struct tars_series *counter, *histogram;
    long rounds;
    bool is_json;
    const char *comma;
};

typedef void work_fn(struct bench *bench);

static void add(struct bench *bench)
{
    for (long i = 0; i < bench->rounds; i++)
        tars_series_add(bench->counter, 1);
}

static void add_plain(struct bench *bench)
{
    for (long i = 0; i < bench->rounds; i++)
        tars_metrics_add(bench->m, TARS_METRIC_ERRORS, 1);
}

static void observe(struct bench *bench)
{
    for (long i = 0; i < bench->rounds; i++)
        tars_series_observe(bench->histogram, (double)(i % 1024) / 100);
}

static void observe_traced(struct bench *bench)
{
    for (long i = 0; i < bench->rounds; i++)
        tars_series_observe_traced(bench->histogram, (double)(i % 1024) / 100, TRACE);
}

static void find(struct bench *bench)
{
    for (long i = 0; i < bench->rounds; i++) {
        tars_series_add(tars_metrics_series(bench->m, TARS_METRIC_HTTP_REQUESTS, "POST",
                                            "/admin/collections/{collection}/grants", "200"),
                        1);
    }
}

static void *add_beside(void *ctx)
{
    add(ctx);
    return NULL;
}

static void add_in_two(struct bench *bench)
{
    pthread_t other;

    if (pthread_create(&other, NULL, add_beside, bench) == 0) {
        add(bench);
        pthread_join(other, NULL);
    }
}

static void tell(struct bench *bench, const char *name, double value, const char *unit)
{
    if (bench->is_json) {
        printf("%s\"%s\":%.8g", bench->comma, name, value);
        bench->comma = ",";
    } else {
        printf("%-34s %10.8g %s\n", name, value, unit);
    }
}

static void measure(struct bench *bench, const char *name, work_fn *work)
{
    double best = 1e9;

    for (int go = 0; go < GOES; go++) {
        int64_t start_ns = tars_clock_mono_ns();
        double ns;

        work(bench);
        ns = (double)(tars_clock_mono_ns() - start_ns) / (double)bench->rounds;
        if (ns < best)
            best = ns;
    }
    tell(bench, name, best, "ns");
}

static void scrape(struct bench *bench, const char *name, enum tars_metrics_format format)
{
    char label[64];
    double best = 1e9;
    size_t len = 0;
    size_t lines = 0;

    for (int go = 0; go < SCRAPES; go++) {
        struct tars_buf out;
        int64_t start_ns = tars_clock_mono_ns();
        double us;

        tars_buf_init(&out, (size_t)64 << 20);
        tars_metrics_render(bench->m, format, TARS_METRIC_COUNT, &out);
        us = (double)(tars_clock_mono_ns() - start_ns) / 1000;
        len = out.len;
        lines = 0;
        for (const char *p = out.ptr; p && *p; p++)
            lines += *p == '\n';
        tars_buf_release(&out);
        if (us < best)
            best = us;
    }
    (void)snprintf(label, sizeof(label), "export_%s", name);
    tell(bench, label, best, "us");
    (void)snprintf(label, sizeof(label), "bytes_%s", name);
    tell(bench, label, (double)len, "bytes");
    (void)snprintf(label, sizeof(label), "lines_%s", name);
    tell(bench, label, (double)lines, "");
}

/* n series in each family that has labels. */
static void fill(struct tars_metrics *m, int n)
{
    char value[32];

    for (int metric = 0; metric < TARS_METRIC_COUNT; metric++) {
        for (int i = 0; i < n; i++) {
            struct tars_series *series;

            (void)snprintf(value, sizeof(value), "/some/route/%d", i);
            series = tars_metrics_series(m, (enum tars_metric)metric, value, value, value);
            tars_series_add(series, 1);
            tars_series_observe(series, 0.5);
        }
    }
}

struct crowd {
    struct tars_metrics *m;
    pthread_barrier_t gate;
};

static void *count_some(void *ctx)
{
    struct crowd *crowd = ctx;

    pthread_barrier_wait(&crowd->gate);
    fill(crowd->m, 4);
    pthread_barrier_wait(&crowd->gate);
    return NULL;
}

/* As many threads as a server has, each with cells of its own. */
static void count_in_many(struct tars_metrics *m)
{
    static pthread_t threads[THREADS];
    struct crowd crowd = {.m = m};

    pthread_barrier_init(&crowd.gate, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, count_some, &crowd) != 0)
            exit(1);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&crowd.gate);
}

int main(int argc, char **argv)
{
    struct bench bench = {.rounds = 10000000, .comma = "{"};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            bench.is_json = true;
        } else {
            bench.rounds = strtol(argv[i], NULL, 10);
        }
    }
    if (bench.rounds <= 0 || tars_metrics_new(&bench.m) != TARS_OK)
        return 1;
    bench.counter = tars_metrics_series(bench.m, TARS_METRIC_RAG_QUERIES, "success");
    bench.histogram = tars_metrics_series(bench.m, TARS_METRIC_HTTP_DURATION, "GET", "/health");
    measure(&bench, "counter", add);
    measure(&bench, "counter_of_a_family", add_plain);
    measure(&bench, "histogram", observe);
    measure(&bench, "histogram_traced", observe_traced);
    measure(&bench, "counter_found_by_labels", find);
    measure(&bench, "counter_two_threads", add_in_two);
    fill(bench.m, 12);
    count_in_many(bench.m);
    scrape(&bench, "text", TARS_METRICS_TEXT);
    scrape(&bench, "openmetrics", TARS_METRICS_OPENMETRICS);
    fill(bench.m, TARS_METRICS_HTTP_MAX + 1);
    scrape(&bench, "text_full", TARS_METRICS_TEXT);
    scrape(&bench, "openmetrics_full", TARS_METRICS_OPENMETRICS);
    if (bench.is_json)
        printf("}\n");
    tars_metrics_free(bench.m);
    return 0;
}
