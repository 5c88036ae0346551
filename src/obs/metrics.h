/* metrics - counters, gauges and histograms, and their text exposition (format 0.0.4).
 *
 * The families are the list in metrics.def. A family holds series, one a set of label values; a
 * series is found once and may be kept for the registry's life:
 *
 *     struct tars_series *hits = tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, "success");
 *     tars_series_add(hits, 1);
 *
 * Model     A series spreads its cells over TARS_METRICS_SHARDS cache lines, picked by processor,
 *           so that threads rarely meet; a scrape adds them up.
 * Bounds    TARS_METRICS_SERIES_MAX series a family; past it all go to one whose label values are
 *           "other", so that a stranger cannot make the registry grow by making up paths.
 * Threads   Safe to share. Adding to a series takes no lock; finding one takes a short one.
 * Failure   Metrics never fail their caller: a NULL registry or series is allowed and does nothing.
 */
#ifndef TARS_OBS_METRICS_H
#define TARS_OBS_METRICS_H

#include <stdint.h>

#include "base/mem/buf.h"
#include "base/status.h"

#define TARS_METRICS_SERIES_MAX 256
#define TARS_METRICS_SHARDS     8
#define TARS_METRICS_LABELS_MAX 3
#define TARS_METRICS_VALUE_MAX  128 /* bytes of a label value; longer ones are cut */

enum tars_metric {
#define TARS_METRIC(id, kind, name, labels, buckets, help) TARS_METRIC_##id,
#include "obs/metrics.def"
#undef TARS_METRIC
    TARS_METRIC_COUNT
};

struct tars_metrics;
struct tars_series;

TARS_MUST_USE tars_status tars_metrics_new(struct tars_metrics **metrics);
void tars_metrics_free(struct tars_metrics *metrics);

/* The series of these label values, in the order of metrics.def, as many as it names there (they
 * are NULL-terminated by the macro). Lent for the registry's life; NULL only without memory. */
struct tars_series *tars_metrics_find(struct tars_metrics *metrics, enum tars_metric metric,
                                      const char *const *values);
#define tars_metrics_series(metrics, metric, ...) \
    tars_metrics_find(metrics, metric, (const char *const[]){__VA_ARGS__, NULL})

void tars_series_add(struct tars_series *series, uint64_t n);         /* counter */
void tars_series_set(struct tars_series *series, double value);       /* gauge */
void tars_series_move(struct tars_series *series, double difference); /* gauge */
void tars_series_observe(struct tars_series *series, double value);   /* histogram; >= 0 */

/* The same for families without labels. */
void tars_metrics_add(struct tars_metrics *metrics, enum tars_metric metric, uint64_t n);
void tars_metrics_set(struct tars_metrics *metrics, enum tars_metric metric, double value);
void tars_metrics_move(struct tars_metrics *metrics, enum tars_metric metric, double difference);
void tars_metrics_observe(struct tars_metrics *metrics, enum tars_metric metric, double value);

/* Sum of a family's counters or gauges, or the number of a histogram's observations. */
double tars_metrics_total(struct tars_metrics *metrics, enum tars_metric metric);

/* Sum of all observations of a histogram. */
double tars_metrics_sum(struct tars_metrics *metrics, enum tars_metric metric);

/* Append the exposition of all families; the buffer's sticky status tells a failure. */
void tars_metrics_write(struct tars_metrics *metrics, struct tars_buf *out);
/* The same without the series of one family. */
void tars_metrics_write_without(struct tars_metrics *metrics, enum tars_metric metric,
                                struct tars_buf *out);

#endif
