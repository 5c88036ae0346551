/* fuzz_extract_pdf_layout - words anywhere on a page, with any size: layout and blocks. */
#include <stdlib.h>
#include <string.h>

#include "extract_format.h"
#include "extract/formats/pdf_blocks.h"

#define WORDS_MAX 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Eight bytes a word. */
static struct tars_pdf_word word_of(const uint8_t *bytes)
{
    static const char *const texts[] = {"Sales", "$",    "(",    "12", "2023",         ")",
                                        "%",     "pro-", "duct", "1.", "\xE2\x80\xA2", "Page",
                                        "-",     "a",    "IV",   "x"};
    const char *text = texts[bytes[6] % 16];
    float x = (float)bytes[0] * 3 - 50;
    float y = (float)bytes[1] * 4 - 50;

    return (struct tars_pdf_word){
        .text = text,
        .len = strlen(text),
        .x0 = x,
        .y0 = y,
        .x1 = x + (float)bytes[2],
        .y1 = y + (float)bytes[3] / 8,
        .size = (float)bytes[4] / 4,
        .bold = bytes[5] & 1,
        .turn = bytes[5] >> 4 == 1   ? 1
                : bytes[5] >> 4 == 2 ? -1
                                     : 0,
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tars_pdf_word words[WORDS_MAX];
    struct tars_pdf_rows rows = {0};
    struct tars_arena arena;
    struct tars_sink sink;
    size_t written = 0;
    size_t count = 0;
    int page = 1;

    tars_arena_init(&arena, (size_t)64 << 20);
    tars_sink_init(&sink, extract_format_check, &written);
    for (size_t at = 0; at + 8 <= size; at += 8) {
        if (data[at + 7] == 0xFF || count == WORDS_MAX) {
            if (tars_pdf_layout(&arena, words, count, page++, &rows) != TARS_OK)
                break;
            count = 0;
        }
        words[count++] = word_of(data + at);
    }
    if (tars_pdf_layout(&arena, words, count, page, &rows) == TARS_OK)
        (void)tars_pdf_write_blocks(&arena, &rows, page, &sink);
    tars_sink_end(&sink, TARS_OK, "");
    tars_sink_release(&sink);
    tars_arena_release(&arena);
    return 0;
}
