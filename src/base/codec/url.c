/* url - see url.h for the contract. */
#include "base/codec/url.h"

#include <string.h>

#include "base/codec/hex.h"

void tars_url_split(struct tars_span target, struct tars_span *path, struct tars_span *query)
{
    const char *mark = target.len ? memchr(target.ptr, '?', target.len) : NULL;

    *path = target;
    *query = tars_span(target.ptr + target.len, 0);
    if (mark) {
        path->len = (size_t)(mark - target.ptr);
        *query = tars_span(mark + 1, target.len - path->len - 1);
    }
}

/* The byte of the three characters at ptr, or -1. */
static int escaped(const char *ptr, size_t left)
{
    int high;
    int low;

    if (left < 3)
        return -1;
    high = tars_hex_value(ptr[1]);
    low = tars_hex_value(ptr[2]);
    if (high < 0 || low < 0 || high + low == 0)
        return -1;
    return high * 16 + low;
}

tars_status tars_url_decode(struct tars_arena *arena, struct tars_span text, bool plus_is_space,
                            struct tars_span *out)
{
    char *made = tars_arena_alloc(arena, text.len + 1);
    size_t len = 0;

    if (!made)
        return TARS_ENOMEM;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '%') {
            int byte = escaped(text.ptr + i, text.len - i);

            if (byte < 0)
                return TARS_EFORMAT;
            c = (char)byte;
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        made[len++] = c;
    }
    made[len] = '\0';
    *out = tars_span(made, len);
    return TARS_OK;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void tars_url_encode(struct tars_buf *out, struct tars_span text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        char escape[3] = {'%', digits[c / 16], digits[c % 16]};

        if (is_unreserved((char)c)) {
            tars_buf_append_char(out, (char)c);
        } else {
            tars_buf_append(out, escape, sizeof(escape));
        }
    }
}

bool tars_url_query_next(struct tars_span *rest, struct tars_span *name, struct tars_span *value)
{
    while (rest->len) {
        const char *end = memchr(rest->ptr, '&', rest->len);
        size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
        const char *pair = rest->ptr;
        const char *equals = len ? memchr(pair, '=', len) : NULL;
        size_t name_len = equals ? (size_t)(equals - pair) : len;

        rest->ptr += len + (end ? 1 : 0);
        rest->len -= len + (end ? 1 : 0);
        if (len == 0)
            continue;
        *name = tars_span(pair, name_len);
        *value = equals ? tars_span(equals + 1, len - name_len - 1) : tars_span(pair + len, 0);
        return true;
    }
    return false;
}

tars_status tars_url_query_get(struct tars_arena *arena, struct tars_span query, const char *name,
                               struct tars_span *value)
{
    struct tars_span raw_name;
    struct tars_span raw_value;
    struct tars_span decoded;

    while (tars_url_query_next(&query, &raw_name, &raw_value)) {
        tars_status status = tars_url_decode(arena, raw_name, true, &decoded);

        if (status == TARS_ENOMEM)
            return status;
        if (!status && tars_span_is(decoded, name))
            return tars_url_decode(arena, raw_value, true, value);
    }
    return TARS_ENOTFOUND;
}
