/* Any bytes as a tokenizer.json, and as the two files that say how a cross-encoder is used, with a
 * 0 between them. What comes out of a vocabulary is lines, none of them empty. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/cross_head.h"
#include "model/vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const struct tars_buf *out)
{
    if (out->len == 0 || out->ptr[0] == '\n' || out->ptr[out->len - 1] != '\n' ||
        strstr(out->ptr, "\n\n") || strchr(out->ptr, '\r'))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *zero = size ? memchr(text, 0, size) : NULL;
    size_t len = zero ? (size_t)(zero - text) : size;
    struct tars_span rest = tars_span(text + len, 0);
    struct tars_cross_settings said;
    bool cased = false;
    struct tars_buf out;

    if (zero)
        rest = tars_span(zero + 1, size - len - 1);
    tars_buf_init(&out, TARS_VOCAB_BYTES_MAX);
    if (tars_vocab_of_json(tars_span(text, len), &out, &cased, NULL) == TARS_OK)
        check_lines(&out);
    tars_buf_release(&out);
    if (tars_cross_settings_read(tars_span(text, len), rest, &said, NULL) == TARS_OK &&
        said.max_tokens > 1000000000)
        abort();
    return 0;
}
