/* trace_export - spans to a collector: OTLP over HTTP in JSON, POST {endpoint}/v1/traces.
 *
 * A thread takes what has ended every delay_ms, or sooner when much has, and sends it in batches of
 * TARS_TRACE_BATCH spans. A batch that may pass later (no connection, timeouts, 429, 502, 503, 504)
 * is tried TARS_TRACE_TRIES times, with pauses that grow, or as long as Retry-After says; any other
 * is dropped. Spans that the collector refuses of a batch that it takes (partial success) are
 * counted.
 *
 * Failure   A collector that is down, slow or hung costs spans, counted in
 *           rag_trace_spans_total{result="dropped"}, and nothing else: requests never wait for it.
 *           The log says when it goes away and when it is back.
 * Stop      _close() sends what is there within TARS_TRACE_FLUSH_MS, then gives up.
 * Threads   One of its own.
 */
#ifndef TARS_APP_TRACE_EXPORT_H
#define TARS_APP_TRACE_EXPORT_H

#include "base/status.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "obs/trace.h"

#define TARS_TRACE_BATCH        512
#define TARS_TRACE_TRIES        5
#define TARS_TRACE_FLUSH_MS     2000
#define TARS_TRACE_PAUSE_MS     1000  /* before the second try; half as long again each time */
#define TARS_TRACE_PAUSE_MAX_MS 30000 /* whatever Retry-After says */

struct tars_trace_export;

/* Copied; pointers are borrowed for the exporter's life. */
struct tars_trace_export_config {
    struct tars_tracer *tracer;   /* required */
    const char *endpoint;         /* http://host:4318; required */
    const char *headers;          /* "name=value,name=value", values in % escapes; NULL: none */
    const char *service;          /* service.name; required */
    const char *environment;      /* deployment.environment.name; NULL or "": not said */
    struct tars_metrics *metrics; /* may be NULL */
    struct tars_log *log;         /* may be NULL */
    int64_t delay_ms;             /* 0: 5 s */
    int64_t timeout_ms;           /* of one try; 0: 10 s */
    int64_t pause_ms;             /* 0: TARS_TRACE_PAUSE_MS */
};

/* EINVAL for an endpoint or headers that cannot be used. */
TARS_MUST_USE tars_status tars_trace_export_open(const struct tars_trace_export_config *config,
                                                 struct tars_trace_export **out,
                                                 struct tars_err *err);
/* NULL is allowed. */
void tars_trace_export_close(struct tars_trace_export *exporter);

#endif
