/* Any bytes as a remote reranker's reply to 1, 2 or 10 passages: what is accepted has a chance for
 * each. */
#include <stdint.h>
#include <stdlib.h>

#include "retrieve/rerank_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t counts[] = {1, 2, 10};

    for (size_t c = 0; c < 3; c++) {
        float scores[10];

        if (tars_rerank_read(tars_span((const char *)data, size), counts[c], scores, NULL) !=
            TARS_OK)
            continue;
        for (size_t i = 0; i < counts[c]; i++) {
            if (!(scores[i] >= 0 && scores[i] <= 1))
                abort();
        }
    }
    return 0;
}
