/* lines - see lines.h for the contract. */
#include "app/lines.h"

#include <string.h>

#define LINE_BYTES_MAX ((size_t)64 << 20)

void tars_object_lines_init(struct tars_object_lines *lines, tars_object_fn *each, void *ctx)
{
    *lines = (struct tars_object_lines){.each = each, .ctx = ctx};
    tars_buf_init(&lines->rest, LINE_BYTES_MAX);
}

void tars_object_lines_release(struct tars_object_lines *lines)
{
    tars_buf_release(&lines->rest);
}

/* One line; what is no object is passed over. */
static bool tell(struct tars_object_lines *lines, const char *ptr, size_t len)
{
    json_t *object = json_loadb(ptr, len, 0, NULL);
    bool go_on = !object || lines->each(lines->ctx, object);

    json_decref(object);
    return go_on;
}

bool tars_object_lines_take(void *ctx, int status, const char *ptr, size_t len)
{
    struct tars_object_lines *lines = ctx;

    if (status >= 400) {
        tars_buf_append(&lines->rest, ptr, len);
        return lines->rest.status == TARS_OK;
    }
    while (len > 0) {
        const char *end = memchr(ptr, '\n', len);
        size_t n = end ? (size_t)(end - ptr) : len;
        bool go_on;

        tars_buf_append(&lines->rest, ptr, n);
        if (lines->rest.status != TARS_OK)
            return false;
        if (!end)
            return true;
        go_on = lines->rest.len == 0 || tell(lines, lines->rest.ptr, lines->rest.len);
        tars_buf_clear(&lines->rest);
        if (!go_on)
            return false;
        ptr += n + 1;
        len -= n + 1;
    }
    return true;
}

const char *tars_object_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

double tars_object_number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}
