/* traceparent in the first line, tracestate behind it. What is taken is written out again as it
 * came, but for its version and its flags, and is taken again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "obs/trace_context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size ? memchr(text, '\n', size) : NULL;
    size_t len = end ? (size_t)(end - text) : size;
    struct tars_trace trace = {.span = 0};
    char again[TARS_TRACEPARENT_BYTES];

    if (tars_traceparent_parse(text, len, &trace)) {
        if (!tars_traceparent_write(&trace, again) || memcmp(text + 3, again + 3, 49) != 0 ||
            !tars_traceparent_parse(again, strlen(again), &trace))
            abort();
    } else if (trace.id[0] || trace.span || trace.sampled) {
        abort();
    }
    if (end && tars_tracestate_is_good(end + 1, size - len - 1) && size - len - 1 < 3)
        abort();
    return 0;
}
