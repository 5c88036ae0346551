/* fuzz_extract_protocol - any bytes as what a hostile child says, through reader and collector. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "extract/collect.h"
#include "extract/protocol.h"

#define TEXT_MAX ((size_t)1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the rooms above rely on. */
static void check(const struct tars_document *document)
{
    for (size_t i = 0; i < document->block_count; i++) {
        const struct tars_block *block = &document->blocks[i];

        if (!tars_protocol_text_is_clean(block->text, block->text_len) || !block->headings ||
            block->char_end < block->char_start ||
            block->char_start != (i ? block[-1].char_end + 1 : 0))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tars_collect collect;
    size_t at = 0;

    tars_collect_init(&collect, TEXT_MAX);
    while (at < size) {
        struct tars_protocol_frame frame;
        struct tars_document document;
        size_t used = 0;

        if (tars_protocol_read((const char *)data + at, size - at, &frame, &used) != TARS_OK)
            break;
        at += used;
        if (frame.type == 'B' && tars_collect_block(&collect, &frame.block) != TARS_OK)
            break;
        if (frame.type == 'D') {
            if (tars_collect_document(&collect, &frame.document, &document) == TARS_OK)
                check(&document);
            tars_collect_clear(&collect);
        }
    }
    tars_collect_release(&collect);
    return 0;
}
