/* metrics_internal - what the registry (metrics.c) and its exposition (metrics_render.c) share. */
#ifndef TARS_OBS_METRICS_INTERNAL_H
#define TARS_OBS_METRICS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "obs/metrics.h"

#define METRIC_BUCKETS_MAX 56
#define METRIC_SUM_SCALE   1e6 /* the sum of a histogram is counted in millionths */
#define METRIC_TRACE_WORDS (TARS_METRICS_TRACE_MAX / 8)

/* The names of metrics.def. INFO: a gauge that is always 1. */
enum metric_kind { COUNTER, GAUGE, HISTOGRAM, INFO };

struct metric_about {
    const char *name;
    const char *labels; /* joined by commas */
    const char *help;
    enum metric_kind kind;
    int bucket_count;
    double buckets[METRIC_BUCKETS_MAX]; /* (bucket_count,) ascending */
};
extern const struct metric_about tars_metric_about[TARS_METRIC_COUNT];

/* One observation that can be looked up as a trace. Written by whoever gets turn from even to odd,
 * who does not write at the same time as another; a reader takes what did not change meanwhile. */
struct metric_exemplar {
    atomic_uint_fast64_t turn; /* 0: nothing yet; odd: being written */
    atomic_uint_fast64_t trace[METRIC_TRACE_WORDS];
    _Atomic double value;
    atomic_int_fast64_t wall_us;
};

struct tars_series {
    struct tars_metrics *metrics;
    const struct metric_about *about;
    _Atomic(struct tars_series *) next;     /* younger one of the family */
    _Atomic(struct tars_series *) overflow; /* counts what "other" counts; NULL elsewhere */
    uint64_t hash;                          /* of the values */
    size_t cell;                            /* its first one, in each thread's set */
    _Atomic double gauge;
    int64_t created_us;                          /* wall clock */
    const char *values[TARS_METRICS_LABELS_MAX]; /* in the text behind the exemplars */
    const char *labels;                          /* a="1",b="2", escaped; there too */
    size_t labels_len;                           /* bytes */
    struct metric_exemplar exemplars[]; /* a bucket each, the one without a bound too; counter: 1 */
};

struct metric_family {
    _Atomic(struct tars_series *) oldest; /* owned list */
    struct tars_series *youngest;         /* its end; under the registry's lock */
    _Atomic(struct tars_series *) other;  /* one of the list; once it is there, none is added */
    _Atomic(struct tars_series *) *slots; /* (mask + 1,) open addressing; NULL without labels */
    size_t mask;
    size_t count; /* series; under the registry's lock */
    size_t labels;
};

/* The cells of one thread, or of all that found no set of their own. */
struct metric_cells {
    atomic_uint_fast64_t *cells;
    atomic_bool is_taken; /* by a thread */
    bool is_shared;
};

struct tars_metrics {
    pthread_key_t mine;   /* the calling thread's struct metric_cells */
    pthread_mutex_t lock; /* held to add a series */
    tars_clock_fn *wall_us;
    void *clock_ctx;
    struct metric_family families[TARS_METRIC_COUNT];
    atomic_size_t sets_used;  /* sets that were ever taken, but for the shared one */
    atomic_size_t cells_used; /* of each set */
    size_t cells_max;
    struct metric_cells sets[TARS_METRICS_THREADS_MAX + 1]; /* the last one is shared */
    void *map;                                              /* all cells; owned, map_bytes */
    size_t map_bytes;
    _Atomic(struct tars_series *) *slots; /* of all families; owned */
};

/* The sum of a cell over all threads. */
uint64_t tars_metrics_cell(const struct tars_metrics *metrics, size_t cell);

/* Cells that a series of this family needs in each set. */
static inline size_t metric_cell_count(const struct metric_about *about)
{
    switch (about->kind) {
    case COUNTER:
        return 1;
    case HISTOGRAM:
        return (size_t)about->bucket_count + 2; /* the last bucket and the sum */
    case GAUGE:
    case INFO:
        break;
    }
    return 0;
}

static inline size_t metric_exemplar_count(const struct metric_about *about)
{
    if (about->kind == COUNTER)
        return 1;
    return about->kind == HISTOGRAM ? (size_t)about->bucket_count + 1 : 0;
}

#endif
