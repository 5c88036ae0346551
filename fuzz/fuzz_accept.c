/* An Accept header. Qualities stay in their range, and what was cut off its end is not read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/accept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1); /* of its own, so that one byte too many is seen */
    struct tars_span accept;
    int quality;

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    accept = tars_span(text, size);
    quality = tars_accept_quality(accept, "text/plain", "0.0.4", false);
    if (quality < -1 || quality > 1000)
        abort();
    if (tars_accept_is_openmetrics(accept) &&
        tars_accept_quality(accept, "application/openmetrics-text", NULL, true) <= 0)
        abort();
    free(text);
    return 0;
}
