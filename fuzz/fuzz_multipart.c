/* A content-type in the first line, a body after it. Every part must lie in the body, in order. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec/multipart.h"

static void check(bool fine)
{
    if (!fine)
        abort();
}

static bool lies_in(struct tars_span part, const char *ptr, size_t len)
{
    return part.len == 0 || (part.ptr >= ptr && part.ptr + part.len <= ptr + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *ptr = (const char *)data;
    const char *end = size ? memchr(ptr, '\n', size) : NULL;
    struct tars_multipart reader;
    struct tars_multipart_part part;
    struct tars_span boundary;
    struct tars_arena arena;
    const char *last;
    size_t left;

    if (!end || tars_multipart_boundary(tars_span(ptr, (size_t)(end - ptr)), &boundary))
        return 0;
    last = end + 1;
    left = size - (size_t)(last - ptr);
    tars_arena_init(&arena, 1 << 20);
    tars_multipart_init(&reader, tars_span(last, left), boundary);
    while (tars_multipart_next(&reader, &part) == TARS_OK) {
        char *name = NULL;

        check(part.body.ptr >= last && part.body.ptr + part.body.len <= ptr + size);
        check(lies_in(part.name, ptr, size) && lies_in(part.content_type, ptr, size));
        last = part.body.ptr + part.body.len;
        if (part.has_filename && tars_multipart_file_name(&part, &arena, &name) == TARS_OK)
            check(name[0] != '\0' && !strchr(name, '/') && strlen(name) <= 255);
    }
    tars_arena_release(&arena);
    return 0;
}
