/* A line of another server's log of questions: any bytes are a row or refused, and a row is whole.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "analytics/import_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tars_logged_query query;
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)4 << 20);
    if (tars_import_line((const char *)data, size, &arena, &query, NULL) == TARS_OK) {
        if (!query.query_id[0] || !query.row.query_text || !query.row.client_id ||
            !query.row.model_used || !isfinite(query.row.total_time_ms) || query.sources_count < 0)
            abort();
    }
    tars_arena_release(&arena);
    return 0;
}
