/* metrics - counters, gauges and histograms, and their exposition for Prometheus.
 *
 * The families are the list in metrics.def. A family holds series, one a set of label values; a
 * series is found once and may be kept for the registry's life:
 *
 *     struct tars_series *hits = tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, "success");
 *     tars_series_add(hits, 1);
 *
 * Model     Each thread that counts has cells of its own, so that counting is a load, an addition
 *           and a store that nobody else writes to: no lock, no allocation, no contended line. A
 *           scrape adds the cells of all threads up. A thread that ends leaves its cells to the
 *           next one, which goes on from there: nothing has to be folded, nothing is lost.
 * Bounds    TARS_METRICS_SERIES_MAX series a family (TARS_METRICS_HTTP_MAX for requests); past it
 *           all go to one whose label values are "other", and rag_metrics_overflow_total{family}
 *           tells of it: a stranger cannot make the registry grow by making things up.
 *           TARS_METRICS_THREADS_MAX threads have cells of their own, the rest share one set, with
 *           atomic additions.
 * Threads   Safe to share. Counting and finding a known series take no lock; making one does. No
 *           thread may count or be ending while the registry is freed.
 * Failure   Metrics never fail their caller: a NULL registry or series is allowed and does nothing.
 */
#ifndef TARS_OBS_METRICS_H
#define TARS_OBS_METRICS_H

#include <stdint.h>

#include "base/mem/buf.h"
#include "base/status.h"
#include "base/sys/clock.h"

#define TARS_METRICS_SERIES_MAX  256
#define TARS_METRICS_HTTP_MAX    2048 /* of tars_http_requests_total: routes times statuses */
#define TARS_METRICS_THREADS_MAX 128
#define TARS_METRICS_LABELS_MAX  3
#define TARS_METRICS_VALUE_MAX   128 /* bytes of a label value; longer ones are cut */
#define TARS_METRICS_TRACE_MAX   32  /* characters of a trace id */

enum tars_metric {
#define TARS_METRIC(id, kind, name, labels, buckets, help) TARS_METRIC_##id,
#include "obs/metrics.def"
#undef TARS_METRIC
    TARS_METRIC_COUNT
};

enum tars_metrics_format {
    TARS_METRICS_TEXT,       /* text exposition 0.0.4 */
    TARS_METRICS_OPENMETRICS /* OpenMetrics 1.0.0, with exemplars and times of creation */
};
#define TARS_METRICS_TEXT_TYPE        "text/plain; version=0.0.4; charset=utf-8"
#define TARS_METRICS_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct tars_metrics;
struct tars_series;

TARS_MUST_USE tars_status tars_metrics_new(struct tars_metrics **metrics);
/* The same with another wall clock, in microseconds since 1970: times of creation and of exemplars
 * come from it. */
TARS_MUST_USE tars_status tars_metrics_new_at(tars_clock_fn *wall_us, void *clock_ctx,
                                              struct tars_metrics **metrics);
void tars_metrics_free(struct tars_metrics *metrics);

/* The series of these label values, in the order of metrics.def, as many as it names there (they
 * are NULL-terminated by the macro). Bytes that are no UTF-8 are replaced. Lent for the registry's
 * life; NULL only without memory. */
struct tars_series *tars_metrics_find(struct tars_metrics *metrics, enum tars_metric metric,
                                      const char *const *values);
#define tars_metrics_series(metrics, metric, ...) \
    tars_metrics_find(metrics, metric, (const char *const[]){__VA_ARGS__, NULL})

void tars_series_add(struct tars_series *series, uint64_t n); /* counter */
/* Gauge; or a counter whose total somebody else keeps: what was added is on top of it. */
void tars_series_set(struct tars_series *series, double value);
void tars_series_move(struct tars_series *series, double difference); /* gauge */
void tars_series_observe(struct tars_series *series, double value);   /* histogram; >= 0 */

/* The same, and what was counted becomes the exemplar of the counter, or of the bucket that it fell
 * into. trace_id: hex digits, at most TARS_METRICS_TRACE_MAX; NULL, "" or anything else: none. */
void tars_series_add_traced(struct tars_series *series, uint64_t n, const char *trace_id);
void tars_series_observe_traced(struct tars_series *series, double value, const char *trace_id);

/* The same for families without labels. */
void tars_metrics_add(struct tars_metrics *metrics, enum tars_metric metric, uint64_t n);
void tars_metrics_set(struct tars_metrics *metrics, enum tars_metric metric, double value);
void tars_metrics_move(struct tars_metrics *metrics, enum tars_metric metric, double difference);
void tars_metrics_observe(struct tars_metrics *metrics, enum tars_metric metric, double value);
void tars_metrics_observe_traced(struct tars_metrics *metrics, enum tars_metric metric,
                                 double value, const char *trace_id);

/* Sum of a family's counters or gauges, or the number of a histogram's observations. */
double tars_metrics_total(struct tars_metrics *metrics, enum tars_metric metric);

/* Sum of all observations of a histogram. */
double tars_metrics_sum(struct tars_metrics *metrics, enum tars_metric metric);

/* The value of one series: of a histogram the number of its observations. */
double tars_series_value(const struct tars_series *series);

/* Append the text exposition of all families; the buffer's sticky status tells a failure. */
void tars_metrics_write(struct tars_metrics *metrics, struct tars_buf *out);
/* In a format, without the series of the family without (TARS_METRIC_COUNT: with all). */
void tars_metrics_render(struct tars_metrics *metrics, enum tars_metrics_format format,
                         enum tars_metric without, struct tars_buf *out);

#endif
