/* metrics - see metrics.h for the contract.
 *
 * DESIGN
 *
 * The registry is one array of families, in the order of metrics.def; a family is a list of series
 * that only ever grows at its head, so that readers walk it without a lock:
 *
 *     family[HTTP_REQUESTS] -> GET,/health,200 -> POST,/rag/query,200 -> NULL
 *
 * A series of a histogram holds, a shard, one count a bucket (not cumulative; the scrape adds them
 * up), the count over all buckets, and the sum. The sum is kept in millionths as an integer, so
 * that it is one atomic addition: 9.2e12 units fit, and no float rounding creeps in.
 *
 * INVARIANTS
 *
 *   1. A series is never freed or moved before the registry.
 *   2. A family has at most TARS_METRICS_SERIES_MAX + 1 series; the last one is "other".
 */
#include "obs/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem/span.h"

#define CACHE_LINE  64
#define BUCKETS_MAX 16
#define SUM_SCALE   1e6

enum kind { COUNTER, GAUGE, HISTOGRAM };

struct description {
    const char *name;
    const char *labels; /* joined by commas */
    const char *help;
    enum kind kind;
    int bucket_count;
    double buckets[BUCKETS_MAX]; /* (bucket_count,) ascending */
};

#define NO_BUCKETS \
    0,             \
    {              \
        0          \
    }
#define BUCKET_COUNT(...) ((int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)))
#define BUCKETS(...)           \
    BUCKET_COUNT(__VA_ARGS__), \
    {                          \
        __VA_ARGS__            \
    }

static const struct description descriptions[TARS_METRIC_COUNT] = {
#define TARS_METRIC(id, kind, name, labels, buckets, help) {name, labels, help, kind, buckets},
#include "obs/metrics.def"
#undef TARS_METRIC
};

/* What one processor has counted. */
struct shard {
    _Alignas(CACHE_LINE) atomic_uint_fast64_t count; /* counter, or observations over all buckets */
    atomic_uint_fast64_t sum;                        /* in 1 / SUM_SCALE */
    atomic_uint_fast64_t buckets[BUCKETS_MAX];       /* observations that fell into this one */
};

struct tars_series {
    struct shard shards[TARS_METRICS_SHARDS];
    const struct description *about;
    struct tars_series *next; /* older one of the family */
    _Atomic double gauge;
    char values[TARS_METRICS_LABELS_MAX][TARS_METRICS_VALUE_MAX]; /* terminated */
};

struct family {
    _Atomic(struct tars_series *) newest; /* owned list */
    struct tars_series *other;            /* one of the list, or NULL; under the registry's lock */
    size_t count;                         /* series; under the registry's lock */
};

struct tars_metrics {
    pthread_mutex_t lock; /* held to add a series */
    struct family families[TARS_METRIC_COUNT];
};

/* ------------------------------------------------------------------- series */

static size_t label_count(const struct description *about)
{
    size_t count = about->labels[0] != '\0';

    for (const char *p = about->labels; *p; p++)
        count += *p == ',';
    return count;
}

static void copy_value(char *to, const char *value)
{
    (void)snprintf(to, TARS_METRICS_VALUE_MAX, "%s", value ? value : "");
}

static bool has_values(const struct tars_series *series, const char *const *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strncmp(series->values[i], values[i] ? values[i] : "", TARS_METRICS_VALUE_MAX - 1) != 0)
            return false;
    }
    return true;
}

static struct tars_series *look_up(const struct family *family, const char *const *values, size_t n)
{
    struct tars_series *series = atomic_load_explicit(&family->newest, memory_order_acquire);

    while (series && !has_values(series, values, n))
        series = series->next;
    return series;
}

/* Under the lock. */
static struct tars_series *add_series(struct family *family, const struct description *about,
                                      const char *const *values, size_t n)
{
    struct tars_series *series = aligned_alloc(CACHE_LINE, sizeof(*series));

    if (!series)
        return NULL;
    memset(series, 0, sizeof(*series));
    series->about = about;
    for (size_t i = 0; i < n; i++)
        copy_value(series->values[i], values[i]);
    series->next = atomic_load_explicit(&family->newest, memory_order_relaxed);
    atomic_store_explicit(&family->newest, series, memory_order_release);
    family->count++;
    return series;
}

struct tars_series *tars_metrics_find(struct tars_metrics *metrics, enum tars_metric metric,
                                      const char *const *values)
{
    static const char *const others[TARS_METRICS_LABELS_MAX] = {"other", "other", "other"};
    const struct description *about = &descriptions[metric];
    size_t n = label_count(about);
    struct family *family;
    struct tars_series *series;

    if (!metrics)
        return NULL;
    family = &metrics->families[metric];
    series = look_up(family, values, n);
    if (series)
        return series;
    pthread_mutex_lock(&metrics->lock);
    series = look_up(family, values, n);
    if (!series && family->count < TARS_METRICS_SERIES_MAX)
        series = add_series(family, about, values, n);
    if (!series && !family->other)
        family->other = add_series(family, about, others, n);
    if (!series)
        series = family->other;
    pthread_mutex_unlock(&metrics->lock);
    return series;
}

/* Any shard is right; the one of this processor is rarely shared. */
static struct shard *my_shard(struct tars_series *series)
{
    unsigned cpu = (unsigned)sched_getcpu(); /* -1 is as good as any */

    return &series->shards[cpu % TARS_METRICS_SHARDS];
}

void tars_series_add(struct tars_series *series, uint64_t n)
{
    if (series)
        atomic_fetch_add_explicit(&my_shard(series)->count, n, memory_order_relaxed);
}

void tars_series_set(struct tars_series *series, double value)
{
    if (series)
        atomic_store_explicit(&series->gauge, value, memory_order_relaxed);
}

void tars_series_move(struct tars_series *series, double difference)
{
    double old;

    if (!series)
        return;
    old = atomic_load_explicit(&series->gauge, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&series->gauge, &old, old + difference,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void tars_series_observe(struct tars_series *series, double value)
{
    struct shard *shard;
    int bucket = 0;

    if (!series || !(value >= 0)) /* a NaN counts as nothing */
        return;
    while (bucket < series->about->bucket_count && value > series->about->buckets[bucket])
        bucket++;
    shard = my_shard(series);
    if (bucket < series->about->bucket_count)
        atomic_fetch_add_explicit(&shard->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->sum, (uint64_t)(value * SUM_SCALE + 0.5),
                              memory_order_relaxed);
}

static struct tars_series *plain(struct tars_metrics *metrics, enum tars_metric metric)
{
    static const char *const none[TARS_METRICS_LABELS_MAX] = {NULL};

    return tars_metrics_find(metrics, metric, none);
}

void tars_metrics_add(struct tars_metrics *metrics, enum tars_metric metric, uint64_t n)
{
    tars_series_add(plain(metrics, metric), n);
}

void tars_metrics_set(struct tars_metrics *metrics, enum tars_metric metric, double value)
{
    tars_series_set(plain(metrics, metric), value);
}

void tars_metrics_move(struct tars_metrics *metrics, enum tars_metric metric, double difference)
{
    tars_series_move(plain(metrics, metric), difference);
}

void tars_metrics_observe(struct tars_metrics *metrics, enum tars_metric metric, double value)
{
    tars_series_observe(plain(metrics, metric), value);
}

/* ------------------------------------------------------------------- totals */

static uint64_t count_of(const struct tars_series *series)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < TARS_METRICS_SHARDS; i++)
        sum += atomic_load_explicit(&series->shards[i].count, memory_order_relaxed);
    return sum;
}

static uint64_t bucket_of(const struct tars_series *series, int bucket)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < TARS_METRICS_SHARDS; i++)
        sum += atomic_load_explicit(&series->shards[i].buckets[bucket], memory_order_relaxed);
    return sum;
}

static double sum_of(const struct tars_series *series)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < TARS_METRICS_SHARDS; i++)
        sum += atomic_load_explicit(&series->shards[i].sum, memory_order_relaxed);
    return (double)sum / SUM_SCALE;
}

double tars_metrics_total(struct tars_metrics *metrics, enum tars_metric metric)
{
    double total = 0;
    struct tars_series *series;

    if (!metrics)
        return 0;
    series = atomic_load_explicit(&metrics->families[metric].newest, memory_order_acquire);
    for (; series; series = series->next)
        total += series->about->kind == GAUGE ? series->gauge : (double)count_of(series);
    return total;
}

double tars_metrics_sum(struct tars_metrics *metrics, enum tars_metric metric)
{
    double sum = 0;
    struct tars_series *series;

    if (!metrics)
        return 0;
    series = atomic_load_explicit(&metrics->families[metric].newest, memory_order_acquire);
    for (; series; series = series->next)
        sum += sum_of(series);
    return sum;
}

/* --------------------------------------------------------------- exposition */

static void write_value(struct tars_buf *out, double value)
{
    if (value == (double)(int64_t)value && value < 1e15 && value > -1e15) {
        tars_buf_appendf(out, "%" PRId64 ".0\n", (int64_t)value);
    } else {
        tars_buf_appendf(out, "%.15g\n", value);
    }
}

static void write_escaped(struct tars_buf *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            tars_buf_append_char(out, '\\');
        if (*value == '\n') {
            tars_buf_append_text(out, "\\n");
        } else {
            tars_buf_append_char(out, *value);
        }
    }
}

/* {a="1",b="2"}, with le as the last one if it is not NULL; nothing when there is no label. */
static void write_labels(struct tars_buf *out, const struct tars_series *series, const char *le)
{
    const char *name = series->about->labels;
    const char *comma = "{";

    for (size_t i = 0; *name; i++) {
        size_t len = strcspn(name, ",");

        tars_buf_append_text(out, comma);
        tars_buf_append(out, name, len);
        tars_buf_append_text(out, "=\"");
        write_escaped(out, series->values[i]);
        tars_buf_append_char(out, '"');
        comma = ",";
        name += len + (name[len] == ',');
    }
    if (le)
        tars_buf_appendf(out, "%sle=\"%s\"", comma, le);
    if (le || comma[0] == ',')
        tars_buf_append_char(out, '}');
}

/* Bounds print as floats do in the reference: 1 is "1.0". */
static void bound_text(double bound, char *text, size_t size)
{
    int n = snprintf(text, size, "%.15g", bound);

    if (n > 0 && (size_t)n + 2 < size && !strpbrk(text, ".e")) {
        text[n] = '.';
        text[n + 1] = '0';
        text[n + 2] = '\0';
    }
}

static void write_histogram(struct tars_buf *out, const struct tars_series *series)
{
    const struct description *about = series->about;
    uint64_t seen = 0;
    uint64_t all = count_of(series);
    char le[32];

    for (int i = 0; i < about->bucket_count; i++) {
        seen += bucket_of(series, i);
        bound_text(about->buckets[i], le, sizeof(le));
        tars_buf_appendf(out, "%s_bucket", about->name);
        write_labels(out, series, le);
        tars_buf_appendf(out, " %" PRIu64 ".0\n", seen);
    }
    /* A thread may have added to a bucket after all was read: the last bucket is never less. */
    all = all > seen ? all : seen;
    tars_buf_appendf(out, "%s_bucket", about->name);
    write_labels(out, series, "+Inf");
    tars_buf_appendf(out, " %" PRIu64 ".0\n%s_count", all, about->name);
    write_labels(out, series, NULL);
    tars_buf_appendf(out, " %" PRIu64 ".0\n%s_sum", all, about->name);
    write_labels(out, series, NULL);
    tars_buf_append_char(out, ' ');
    write_value(out, sum_of(series));
}

static void write_series(struct tars_buf *out, const struct tars_series *series)
{
    if (series->about->kind == HISTOGRAM) {
        write_histogram(out, series);
        return;
    }
    tars_buf_append_text(out, series->about->name);
    write_labels(out, series, NULL);
    tars_buf_append_char(out, ' ');
    write_value(out, series->about->kind == GAUGE ? series->gauge : (double)count_of(series));
}

void tars_metrics_write_without(struct tars_metrics *metrics, enum tars_metric metric,
                                struct tars_buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};

    for (size_t i = 0; metrics && i < TARS_METRIC_COUNT; i++) {
        const struct description *about = &descriptions[i];
        struct tars_series *series =
            atomic_load_explicit(&metrics->families[i].newest, memory_order_acquire);

        tars_buf_appendf(out, "# HELP %s %s\n# TYPE %s %s\n", about->name, about->help, about->name,
                         kinds[about->kind]);
        for (; series && i != metric; series = series->next)
            write_series(out, series);
    }
}

void tars_metrics_write(struct tars_metrics *metrics, struct tars_buf *out)
{
    tars_metrics_write_without(metrics, TARS_METRIC_COUNT, out);
}

/* --------------------------------------------------------------- life cycle */

void tars_metrics_free(struct tars_metrics *metrics)
{
    if (!metrics)
        return;
    for (size_t i = 0; i < TARS_METRIC_COUNT; i++) {
        struct tars_series *series = metrics->families[i].newest;

        while (series) {
            struct tars_series *next = series->next;

            free(series);
            series = next;
        }
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

tars_status tars_metrics_new(struct tars_metrics **metrics)
{
    struct tars_metrics *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    pthread_mutex_init(&made->lock, NULL);
    for (int i = 0; i < TARS_METRIC_COUNT; i++) {
        if (descriptions[i].labels[0] == '\0' && !plain(made, (enum tars_metric)i)) {
            tars_metrics_free(made);
            return TARS_ENOMEM;
        }
    }
    *metrics = made;
    return TARS_OK;
}
