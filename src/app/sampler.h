/* sampler - how the machine is and who answers, again and again.
 *
 *     every tick      is each part of the program well? how busy are the graphics processors?
 *                     -> gauges (rag_backend_up), and readings that a scrape then need not wait for
 *     every interval  a row of system_metrics: processor use since the last one, memory, graphics
 *                     processor, how many questions were asked since and how long they took,
 *                     documents, connections, the cache
 *
 * What is cheap and should be exact is measured when somebody scrapes (api/gauges.h); what may wait
 * for another server or a driver is measured here, so that a scrape never waits for those.
 *
 * Bounds    A tick asks each part once; one that hangs costs it TARS_HEALTH_WAIT_MS.
 * Threads   One of its own, which sleeps in between.
 */
#ifndef TARS_APP_SAMPLER_H
#define TARS_APP_SAMPLER_H

#include "analytics/analytics.h"
#include "api/api.h"
#include "api/service.h"
#include "obs/gpu.h"
#include "obs/health.h"
#include "obs/metrics.h"

#define TARS_SAMPLER_TICK_MS 10000

struct tars_sampler;

/* Copied; what pointers point to is borrowed for the sampler's life. */
struct tars_sampler_config {
    struct tars_analytics *analytics; /* NULL: no rows */
    struct tars_metrics *metrics;     /* required */
    const struct tars_health *health; /* required */
    const struct tars_api *api;       /* whose readings of the machine are kept fresh; required */
    struct tars_gpu *gpu;             /* NULL: there is none */
    const struct tars_service_ops *service;
    void *service_ctx;
    double (*connections)(void *ctx); /* NULL: unknown */
    void *connections_ctx;
    int64_t interval_ms; /* between rows; 0: no rows */
    int64_t tick_ms;     /* 0: TARS_SAMPLER_TICK_MS */
};

TARS_MUST_USE tars_status tars_sampler_open(const struct tars_sampler_config *config,
                                            struct tars_sampler **sampler, struct tars_err *err);
/* Joins the thread. NULL is allowed. */
void tars_sampler_close(struct tars_sampler *sampler);

#endif
