/* sampler - how the machine is, again and again: rows of system_metrics.
 *
 * Every interval a row goes to analytics: processor use since the last one, memory, how many
 * questions were asked since and how long they took, documents, connections, the cache.
 *
 * Threads   One of its own, which sleeps between two rows.
 */
#ifndef TARS_APP_SAMPLER_H
#define TARS_APP_SAMPLER_H

#include "analytics/analytics.h"
#include "api/service.h"
#include "obs/metrics.h"

struct tars_sampler;

/* Copied; what pointers point to is borrowed for the sampler's life. */
struct tars_sampler_config {
    struct tars_analytics *analytics; /* required */
    struct tars_metrics *metrics;     /* required */
    const struct tars_service_ops *service;
    void *service_ctx;
    double (*connections)(void *ctx); /* NULL: unknown */
    void *connections_ctx;
    int64_t interval_ms; /* required */
};

TARS_MUST_USE tars_status tars_sampler_open(const struct tars_sampler_config *config,
                                            struct tars_sampler **sampler, struct tars_err *err);
/* Joins the thread. NULL is allowed. */
void tars_sampler_close(struct tars_sampler *sampler);

#endif
