/* sampler - see sampler.h for the contract. */
#include "app/sampler.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "api/machine.h"
#include "analytics/trends.h"
#include "base/sys/clock.h"
#include "base/sys/machine.h"

#define ARENA_MAX ((size_t)4 << 20)
#define MINUTE_MS 60000.0
#define TRENDS_MS INT64_C(55000) /* a minute, or a little less */

/* What has been counted since the start. */
struct counted {
    double queries;                          /* also failed ones */
    double answers;                          /* whose times are in the sums */
    double query_s, retrieval_s, generate_s; /* sums */
    int64_t at_ms;                           /* on the monotonic clock */
};

struct tars_sampler {
    struct tars_sampler_config config;
    struct tars_cpu_ticks ticks; /* of the last row; the thread's own */
    struct counted before;       /* likewise */
    pthread_t thread;
    bool is_running;
    pthread_mutex_t lock; /* guards is_stopping */
    pthread_cond_t stop;
    bool is_stopping;
};

static struct counted count(const struct tars_sampler *sampler)
{
    struct tars_metrics *metrics = sampler->config.metrics;

    return (struct counted){
        .queries = tars_metrics_total(metrics, TARS_METRIC_RAG_QUERIES),
        .answers = tars_metrics_total(metrics, TARS_METRIC_RAG_QUERY_DURATION),
        .query_s = tars_metrics_sum(metrics, TARS_METRIC_RAG_QUERY_DURATION),
        .retrieval_s = tars_metrics_sum(metrics, TARS_METRIC_RAG_RETRIEVAL_DURATION),
        .generate_s = tars_metrics_sum(metrics, TARS_METRIC_RAG_GENERATION_DURATION),
        .at_ms = tars_clock_mono_ms(),
    };
}

static void set_machine(struct tars_sampler *sampler, struct tars_system_row *row)
{
    struct tars_cpu_ticks ticks;
    struct tars_memory_use memory;
    struct tars_gpu_use gpu;

    if (tars_cpu_read(&ticks) == TARS_OK) {
        row->cpu_usage_percent = tars_cpu_percent(sampler->ticks, ticks);
        sampler->ticks = ticks;
    }
    if (tars_memory_read(&memory) == TARS_OK)
        row->memory_usage_percent = memory.percent;
    if (tars_gpu_last(sampler->config.gpu, &gpu)) {
        row->gpu_usage_percent = gpu.percent;
        row->gpu_memory_usage_percent = gpu.memory_percent;
    }
}

/* Milliseconds each, of what was counted since the last row; NaN when there was nothing. */
static void set_questions(struct tars_sampler *sampler, struct tars_system_row *row)
{
    struct counted now = count(sampler);
    const struct counted *before = &sampler->before;
    double answers = now.answers - before->answers;
    double minutes = (double)(now.at_ms - before->at_ms) / MINUTE_MS;

    if (answers > 0) {
        row->avg_query_time_ms = 1000 * (now.query_s - before->query_s) / answers;
        row->avg_retrieval_time_ms = 1000 * (now.retrieval_s - before->retrieval_s) / answers;
        row->avg_generation_time_ms = 1000 * (now.generate_s - before->generate_s) / answers;
    }
    if (minutes > 0)
        row->queries_per_minute = (now.queries - before->queries) / minutes;
    sampler->before = now;
}

static void set_collection(const struct tars_sampler *sampler, struct tars_system_row *row)
{
    const struct tars_sampler_config *config = &sampler->config;
    struct tars_vitals vitals;
    struct tars_cache_view cache;
    struct tars_arena arena;

    tars_arena_init(&arena, ARENA_MAX);
    if (config->service->vitals(config->service_ctx, &arena, &vitals) == TARS_OK) {
        row->total_documents = vitals.documents;
        row->total_chunks = vitals.chunks;
    }
    config->service->cache_view(config->service_ctx, false, &arena, &cache);
    if (cache.enabled)
        row->cache_hit_rate = cache.total.hit_rate_percent;
    tars_arena_release(&arena);
    if (config->connections)
        row->active_connections = (int64_t)config->connections(config->connections_ctx);
}

static void add_row(struct tars_sampler *sampler)
{
    struct tars_system_row row = {
        .cpu_usage_percent = NAN,
        .memory_usage_percent = NAN,
        .gpu_usage_percent = NAN,
        .gpu_memory_usage_percent = NAN,
        .cache_hit_rate = NAN,
        .avg_query_time_ms = NAN,
        .avg_retrieval_time_ms = NAN,
        .avg_generation_time_ms = NAN,
        .queries_per_minute = NAN,
        .active_connections = -1,
        .total_documents = -1,
        .total_chunks = -1,
    };

    set_machine(sampler, &row);
    set_questions(sampler, &row);
    set_collection(sampler, &row);
    tars_analytics_system(sampler->config.analytics, &row);
}

/* True when it is time for a row, false when there will be no more. */
static bool sleep_until(struct tars_sampler *sampler, int64_t due_ms)
{
    const struct timespec due = {.tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000};
    bool is_stopping;

    pthread_mutex_lock(&sampler->lock);
    while (!sampler->is_stopping && tars_clock_mono_ms() < due_ms)
        (void)pthread_cond_timedwait(&sampler->stop, &sampler->lock, &due);
    is_stopping = sampler->is_stopping;
    pthread_mutex_unlock(&sampler->lock);
    return !is_stopping;
}

/* Slow parts are asked all at once. */
static void look(struct tars_sampler *sampler)
{
    const struct tars_sampler_config *config = &sampler->config;
    struct tars_machine machine;

    tars_gpu_refresh(config->gpu);
    (void)!tars_api_machine(config->api, &machine);
    tars_health_begin(config->health);
    for (size_t i = 0; i < config->health->count; i++) {
        const char *name = config->health->parts[i].name;
        bool well = tars_health_check(config->health, name, NULL) == TARS_OK;

        tars_series_set(tars_metrics_series(config->metrics, TARS_METRIC_RAG_BACKEND_UP, name),
                        well);
    }
}

/* Of the last day, the row that was just given among them. */
static void set_trends(struct tars_sampler *sampler)
{
    const struct tars_sampler_config *config = &sampler->config;
    struct tars_trend *trends = NULL;
    struct tars_arena arena;
    size_t count = 0;

    tars_arena_init(&arena, ARENA_MAX);
    if (tars_analytics_trends(config->analytics, tars_clock_wall_us(), &arena, &trends, &count,
                              NULL) != TARS_OK)
        count = 0; /* analytics are away, which is said elsewhere */
    for (size_t i = 0; i < count; i++) {
        const struct tars_trend *trend = &trends[i];

        tars_series_set(
            tars_metrics_series(config->metrics, TARS_METRIC_RAG_OUTLIER, trend->metric),
            trend->is_outlier);
        if (isfinite(trend->per_hour)) {
            tars_series_set(
                tars_metrics_series(config->metrics, TARS_METRIC_RAG_TREND, trend->metric),
                trend->per_hour);
        }
    }
    tars_arena_release(&arena);
}

static void *run(void *ctx)
{
    struct tars_sampler *sampler = ctx;
    const struct tars_sampler_config *config = &sampler->config;
    bool has_rows = config->analytics && config->interval_ms > 0;
    int64_t row_ms = has_rows ? tars_clock_mono_ms() + config->interval_ms : INT64_MAX;
    int64_t tick_ms = tars_clock_mono_ms();
    int64_t trend_ms = has_rows ? row_ms : INT64_MAX;

    while (sleep_until(sampler, tick_ms < row_ms ? tick_ms : row_ms)) {
        if (tars_clock_mono_ms() >= tick_ms) {
            look(sampler);
            tick_ms = tars_clock_mono_ms() + config->tick_ms;
        }
        if (tars_clock_mono_ms() >= row_ms) {
            add_row(sampler);
            row_ms = tars_clock_mono_ms() + config->interval_ms;
            if (tars_clock_mono_ms() >= trend_ms) {
                set_trends(sampler);
                trend_ms = tars_clock_mono_ms() + TRENDS_MS;
            }
        }
    }
    return NULL;
}

tars_status tars_sampler_open(const struct tars_sampler_config *config,
                              struct tars_sampler **sampler, struct tars_err *err)
{
    struct tars_sampler *made;
    pthread_condattr_t attr;

    if (!config->metrics || !config->health || !config->api || !config->service ||
        config->interval_ms < 0 || config->tick_ms < 0)
        return tars_fail(TARS_EINVAL, err, "a sampler needs metrics, parts and a service");
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the sampler");
    made->config = *config;
    if (made->config.tick_ms == 0)
        made->config.tick_ms = TARS_SAMPLER_TICK_MS;
    made->before = count(made);
    /* Without it the first row would be of all time since the machine's start. */
    if (tars_cpu_read(&made->ticks) != TARS_OK)
        made->ticks = (struct tars_cpu_ticks){0, 0};
    pthread_mutex_init(&made->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&made->stop, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&made->thread, NULL, run, made)) {
        tars_sampler_close(made);
        return tars_fail(TARS_ENOMEM, err, "cannot start a thread");
    }
    made->is_running = true;
    *sampler = made;
    return TARS_OK;
}

void tars_sampler_close(struct tars_sampler *sampler)
{
    if (!sampler)
        return;
    if (sampler->is_running) {
        pthread_mutex_lock(&sampler->lock);
        sampler->is_stopping = true;
        pthread_cond_signal(&sampler->stop);
        pthread_mutex_unlock(&sampler->lock);
        pthread_join(sampler->thread, NULL);
    }
    pthread_cond_destroy(&sampler->stop);
    pthread_mutex_destroy(&sampler->lock);
    free(sampler);
}
