/* trends - where the machine's numbers are heading, and which of them are out of the ordinary: one
 * plain rule over the samples of the last day.
 *
 *     trend     the median of the slopes between all pairs of samples (Theil-Sen): a few wild
 *               samples do not move it. Of many samples, TARS_TREND_POINTS evenly spread ones.
 *     outlier   the last sample lies further from the median of all than TARS_OUTLIER_SPREADS times
 *               their spread. Spread is 1.4826 times the median distance from the median, what the
 *               standard deviation would be of normal values; but at least 1 % of the median and 1
 *               unit (1 percentage point, 1 ms, 1 connection), so that a number that never changes
 *               is not out of the ordinary at its first small step.
 *
 * Fewer than TARS_TREND_SAMPLES samples say nothing: slope and outlier are absent then.
 *
 * Cost      TARS_TREND_POINTS squared / 2 slopes a metric, sorted: milliseconds for all.
 * Threads   Pure.
 */
#ifndef TARS_ANALYTICS_TRENDS_H
#define TARS_ANALYTICS_TRENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analytics/analytics.h"

#define TARS_TREND_HOURS     24
#define TARS_TREND_STEP_S    60 /* samples are means of so long */
#define TARS_TREND_SAMPLES   30
#define TARS_TREND_POINTS    160
#define TARS_OUTLIER_SPREADS 4.0

/* X(name, unit, value of a sample) */
#define TARS_TRENDS(X)                                                 \
    X("cpu_percent", "percent", row->cpu_usage_percent)                \
    X("memory_percent", "percent", row->memory_usage_percent)          \
    X("gpu_percent", "percent", row->gpu_usage_percent)                \
    X("gpu_memory_percent", "percent", row->gpu_memory_usage_percent)  \
    X("cache_hit_rate", "percent", row->cache_hit_rate)                \
    X("average_query_time_ms", "ms", row->avg_query_time_ms)           \
    X("average_retrieval_time_ms", "ms", row->avg_retrieval_time_ms)   \
    X("average_generation_time_ms", "ms", row->avg_generation_time_ms) \
    X("queries_per_minute", "1/min", row->queries_per_minute)          \
    X("active_connections", "", known_count(row->active_connections))  \
    X("documents_indexed", "", known_count(row->total_documents))      \
    X("chunks_stored", "", known_count(row->total_chunks))

struct tars_trend {
    const char *metric, *unit; /* static */
    size_t samples;            /* that have this number */
    double latest, median, spread;
    double per_hour; /* slope; NaN: too few samples */
    bool is_outlier;
};

/* The rule in words, for people. */
extern const char tars_trend_rule[];

/* (rows, n) oldest first; *out: (*count,) a trend for each metric that any sample has. ENOMEM. */
TARS_MUST_USE tars_status tars_trends_of(const struct tars_system_row *rows, size_t n,
                                         struct tars_arena *arena, struct tars_trend **out,
                                         size_t *count);
/* Those of the day that ends at now_us. A NULL object gives none. */
TARS_MUST_USE tars_status tars_analytics_trends(struct tars_analytics *analytics, int64_t now_us,
                                                struct tars_arena *arena, struct tars_trend **out,
                                                size_t *count, struct tars_err *err);

#endif
