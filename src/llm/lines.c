/* lines - see lines.h. A line that lies whole in one piece is handed on without being copied. */
#include "llm/lines.h"

#include <string.h>

void tars_lines_init(struct tars_lines *lines, size_t max, tars_line_fn *fn, void *ctx)
{
    *lines = (struct tars_lines){.fn = fn, .ctx = ctx, .status = TARS_OK};
    tars_buf_init(&lines->rest, max);
}

void tars_lines_release(struct tars_lines *lines)
{
    tars_buf_release(&lines->rest);
}

static tars_status give(struct tars_lines *lines, const char *ptr, size_t len)
{
    if (len > lines->rest.max + 1)
        return TARS_ETOOBIG;
    if (len && ptr[len - 1] == '\r')
        len--;
    if (len > lines->rest.max)
        return TARS_ETOOBIG;
    return lines->fn(lines->ctx, tars_span(ptr, len));
}

static tars_status end_line(struct tars_lines *lines, const char *ptr, size_t len)
{
    tars_status status;

    if (lines->rest.len == 0)
        return give(lines, ptr, len);
    tars_buf_append(&lines->rest, ptr, len);
    if (lines->rest.status != TARS_OK)
        return lines->rest.status;
    status = give(lines, lines->rest.ptr, lines->rest.len);
    tars_buf_clear(&lines->rest);
    return status;
}

tars_status tars_lines_push(struct tars_lines *lines, const char *ptr, size_t len)
{
    while (len && lines->status == TARS_OK) {
        const char *feed = memchr(ptr, '\n', len);
        size_t line = feed ? (size_t)(feed - ptr) : len;

        if (feed) {
            lines->status = end_line(lines, ptr, line++);
        } else {
            tars_buf_append(&lines->rest, ptr, line);
            lines->status = lines->rest.status;
        }
        ptr += line;
        len -= line;
    }
    return lines->status;
}

tars_status tars_lines_finish(struct tars_lines *lines)
{
    if (lines->status == TARS_OK && lines->rest.len)
        lines->status = end_line(lines, "", 0);
    return lines->status;
}
