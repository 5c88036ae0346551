/* traced - see traced.h for the contract. */
#include "api/traced.h"

#include <string.h>
#include <strings.h>

#include "api/api_internal.h"

void tars_traced_init(struct tars_call *call)
{
    call->trace = (struct tars_trace){.span = 0};
    if (strlen(call->request_id) == TARS_TRACE_ID_BYTES - 1)
        memcpy(call->trace.id, call->request_id, TARS_TRACE_ID_BYTES);
}

static bool is_named(const struct tars_http_header *header, const char *name)
{
    return header->name.len == strlen(name) &&
           strncasecmp(header->name.ptr, name, header->name.len) == 0;
}

/* All headers of this name, joined by commas, as lists are; *count of them. Empty without memory.
 */
static struct tars_span joined(const struct tars_http_request *request, const char *name,
                               size_t *count)
{
    struct tars_span all = tars_span(NULL, 0);

    *count = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        struct tars_span value = request->headers[i].value;
        char *both;

        if (!is_named(&request->headers[i], name))
            continue;
        if ((*count)++ == 0) {
            all = value;
            continue;
        }
        both = all.len + value.len < TARS_TRACESTATE_MAX
                   ? tars_arena_printf(request->arena, "%.*s,%.*s", (int)all.len, all.ptr,
                                       (int)value.len, value.ptr)
                   : NULL;
        if (!both)
            return tars_span(NULL, 0);
        all = tars_span_of(both);
    }
    return all;
}

static void take_callers(struct tars_trace *trace, const struct tars_http_request *request)
{
    struct tars_span state;
    struct tars_span parent;
    size_t count;

    parent = joined(request, "traceparent", &count);
    if (count != 1 || !tars_traceparent_parse(parent.ptr, parent.len, trace))
        return;
    state = joined(request, "tracestate", &count);
    if (count > 0 && tars_tracestate_is_good(state.ptr, state.len))
        trace->state = state;
}

void tars_traced_begin(struct tars_exchange *ex, const struct tars_http_request *request)
{
    struct tars_trace *trace = &ex->call.trace;

    if (request)
        take_callers(trace, request);
    tars_trace_enter(trace, request ? ex->api->config.tracer : NULL);
    if (!trace->tracer)
        return;
    ex->span = tars_arena_alloc(ex->call.arena, sizeof(*ex->span));
    if (ex->span)
        tars_trace_start(trace, ex->span, "", TARS_SPAN_SERVER, ex->started_ns);
}

/* Names have few values: templates of paths, not what strangers ask for. */
static void name_span(struct tars_exchange *ex)
{
    struct tars_trace_span *span = ex->span;
    const char *method = tars_api_method_name(ex->method);
    bool is_known = ex->method != TARS_HTTP_OTHER;

    span->name = tars_span_of(is_known ? method : "HTTP");
    tars_trace_text(span, "http.request.method", is_known ? method : "_OTHER");
    tars_trace_text(span, "url.scheme", ex->is_https ? "https" : "http");
    tars_trace_text(span, "network.protocol.name", "http");
    if (ex->request) {
        tars_trace_text(span, "network.protocol.version",
                        ex->request->version_minor ? "1.1" : "1.0");
    }
    if (ex->route) {
        tars_trace_subject(span, ex->route->path);
        tars_trace_text(span, "http.route", ex->route->path);
        /* What stands for braces is somebody's, and so is a query. */
        tars_trace_text(span, "url.path", ex->route->path);
    }
    tars_trace_text(span, "tars.request.id", ex->call.request_id);
    tars_trace_text(span, "tars.tenant", ex->call.tenant);
}

void tars_traced_end(struct tars_exchange *ex, int status)
{
    char code[4] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                    (char)('0' + status % 10), '\0'};

    if (!ex->span)
        return;
    name_span(ex);
    if (status)
        tars_trace_int(ex->span, "http.response.status_code", status);
    if (status >= 500)
        tars_trace_failed(ex->span, code);
    if (status == 0)
        tars_trace_flag(ex->span, "tars.cancelled", true);
    tars_trace_end(ex->span);
    ex->span = NULL;
}
