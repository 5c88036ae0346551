/* trace_json - spans as OTLP wants them in JSON: the body of POST /v1/traces (an
 * ExportTraceServiceRequest). Ids are hex, 64-bit numbers are text, enumerations are numbers.
 *
 *     {"resourceSpans":[{"resource":{"attributes":[...]},
 *                        "scopeSpans":[{"scope":{"name":"tars","version":...},"spans":[...]}]}]}
 */
#ifndef TARS_OBS_TRACE_JSON_H
#define TARS_OBS_TRACE_JSON_H

#include "base/codec/json_write.h"
#include "obs/trace.h"

/* The schema that the names of attributes are of. */
#define TARS_TRACE_SCHEMA "https://opentelemetry.io/schemas/1.41.0"

/* Who made the spans: attributes that all of them have. */
struct tars_trace_resource {
    const struct tars_trace_attribute *attributes; /* (count,) */
    size_t count;
};

/* Append up to max spans of page, which is cut off behind them; returns how many. The buffer's
 * sticky status tells a failure. */
size_t tars_trace_write(struct tars_buf *out, const struct tars_trace_resource *resource,
                        struct tars_span *page, size_t max);

#endif
