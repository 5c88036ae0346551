/* traced - see traced.h for the contract. */
#include "api/traced.h"

#include <string.h>
#include <strings.h>

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

void tars_traced_begin(struct tars_exchange *ex, const struct tars_http_request *request)
{
    struct tars_trace *trace = &ex->call.trace;
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
