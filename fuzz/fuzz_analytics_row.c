/* A row of the journal of analytics: what can be read is written again to the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tars_arena arena;
    struct tars_row row;

    tars_arena_init(&arena, (size_t)1 << 20);
    if (tars_row_read(data, size, &arena, &row) == TARS_OK) {
        size_t again = tars_row_size(&row);
        unsigned char *bytes = malloc(again);

        /* A text may hold NULs of its own, which end it for us: then it comes out shorter. */
        if (!bytes || again > size)
            abort();
        if (tars_row_write(&row, bytes, again) != again)
            abort();
        free(bytes);
    }
    tars_arena_release(&arena);
    return 0;
}
