/* Requests with chunked bodies: whole and cut, byte by byte, must give the same. The first byte of
 * the input says how large the pieces are. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/chunked.h"
#include "net/http1.h"

struct result {
    tars_status head, body;
    int reject;
    uint32_t head_len, header_count;
    uint64_t length;
    uint64_t sum; /* of the body's bytes */
    size_t used;  /* bytes up to the end of the body */
    bool is_chunked, keep_alive;
};

static void check(bool fine)
{
    if (!fine)
        abort();
}

/* Every piece must lie in the head. */
static void check_pieces(const struct tars_http1 *parser)
{
    check(parser->target.at + parser->target.len <= parser->head_len);
    for (uint32_t i = 0; i < parser->header_count; i++) {
        const struct tars_http1_field *field = &parser->headers[i];

        check(field->name.len > 0 && field->name.at + field->name.len < parser->head_len);
        check(field->value.at + field->value.len < parser->head_len);
    }
}

static void read_body(const char *ptr, size_t len, size_t step, struct result *result)
{
    size_t at = result->head_len;
    struct tars_chunked chunked;

    tars_chunked_init(&chunked);
    result->body = TARS_EAGAIN;
    while (result->body == TARS_EAGAIN && at < len) {
        struct tars_span in = tars_span(ptr + at, step < len - at ? step : len - at);
        struct tars_span data;

        while ((result->body = tars_chunked_next(&chunked, &in, &data)) == TARS_OK) {
            check(data.len > 0);
            for (size_t i = 0; i < data.len; i++)
                result->sum = result->sum * 31 + (unsigned char)data.ptr[i];
        }
        at = (size_t)(in.ptr - ptr);
    }
    result->used = at;
}

static struct result read_all(const char *ptr, size_t len, size_t step)
{
    struct result result;
    struct tars_http1 parser;

    memset(&result, 0, sizeof(result));
    result.head = TARS_EAGAIN;
    tars_http1_init(&parser, 2048);
    for (size_t n = step < len ? step : len; result.head == TARS_EAGAIN;
         n = len - n < step ? len : n + step) {
        char *exact = malloc(n + 1); /* what is read past it is found */

        memcpy(exact, ptr, n);
        exact = realloc(exact, n ? n : 1);
        result.head = tars_http1_feed(&parser, exact, n);
        free(exact);
        if (n == len)
            break;
    }
    result.reject = parser.reject;
    check((result.head == TARS_OK || result.head == TARS_EAGAIN) == (parser.reject == 0));
    if (result.head)
        return result;
    check_pieces(&parser);
    result.head_len = parser.head_len;
    result.header_count = parser.header_count;
    result.length = parser.content_length;
    result.is_chunked = parser.is_chunked;
    result.keep_alive = parser.keep_alive;
    if (parser.is_chunked)
        read_body(ptr, len, step, &result);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, cut;
    const char *ptr;
    size_t step;

    if (size < 1 || size > 4096)
        return 0;
    ptr = (const char *)data + 1;
    step = (size_t)data[0] % 64 + 1;
    whole = read_all(ptr, size - 1, size);
    cut = read_all(ptr, size - 1, step);
    check(memcmp(&whole, &cut, sizeof(whole)) == 0);
    return 0;
}
