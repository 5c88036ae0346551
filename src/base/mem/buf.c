/* buf - see buf.h. */
#include "base/mem/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64

void tars_buf_init(struct tars_buf *buf, size_t max_bytes)
{
    *buf = (struct tars_buf){.max = max_bytes};
}

void tars_buf_release(struct tars_buf *buf)
{
    free(buf->ptr);
    *buf = (struct tars_buf){.max = buf->max};
}

void tars_buf_clear(struct tars_buf *buf)
{
    buf->len = 0;
    buf->status = TARS_OK;
    if (buf->ptr)
        buf->ptr[0] = '\0';
}

static void grow(struct tars_buf *buf, size_t need)
{
    size_t cap = buf->cap ? buf->cap : FIRST_CAP;
    char *ptr;

    while (cap < need)
        cap = cap > need / 2 ? need : cap * 2;
    if (cap < buf->cap * 2 && buf->cap <= buf->max / 2)
        cap = buf->cap * 2;
    ptr = realloc(buf->ptr, cap);
    if (!ptr) {
        buf->status = TARS_ENOMEM;
        return;
    }
    buf->ptr = ptr;
    buf->cap = cap;
}

char *tars_buf_reserve(struct tars_buf *buf, size_t extra)
{
    if (buf->status != TARS_OK)
        return NULL;
    if (extra > buf->max - buf->len) {
        buf->status = TARS_ETOOBIG;
        return NULL;
    }
    if (buf->len + extra + 1 > buf->cap)
        grow(buf, buf->len + extra + 1);
    return buf->status == TARS_OK ? buf->ptr + buf->len : NULL;
}

void tars_buf_grew(struct tars_buf *buf, size_t n)
{
    assert(buf->len + n < buf->cap);
    buf->len += n;
    buf->ptr[buf->len] = '\0';
}

void tars_buf_append(struct tars_buf *buf, const char *ptr, size_t len)
{
    char *at = tars_buf_reserve(buf, len);

    if (!at)
        return;
    if (len)
        memcpy(at, ptr, len);
    tars_buf_grew(buf, len);
}

void tars_buf_append_text(struct tars_buf *buf, const char *text)
{
    tars_buf_append(buf, text, strlen(text));
}

void tars_buf_append_char(struct tars_buf *buf, char c)
{
    tars_buf_append(buf, &c, 1);
}

void tars_buf_append_uint(struct tars_buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    tars_buf_append(buf, digits + at, sizeof(digits) - at);
}

void tars_buf_appendf(struct tars_buf *buf, const char *format, ...)
{
    va_list args;
    va_list again;
    char *at;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    at = len < 0 ? NULL : tars_buf_reserve(buf, (size_t)len);
    if (at) {
        (void)vsnprintf(at, (size_t)len + 1, format, again);
        tars_buf_grew(buf, (size_t)len);
    }
    va_end(again);
}

char *tars_buf_detach(struct tars_buf *buf)
{
    char *ptr = NULL;

    if (buf->status == TARS_OK) {
        ptr = buf->ptr;
        buf->ptr = NULL;
    }
    tars_buf_release(buf);
    return ptr;
}
