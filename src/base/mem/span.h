/* span - bytes that somebody else owns: a pointer and a length.
 *
 * A span lends until its owner changes or frees the bytes. It is not terminated. A span of length 0
 * may point anywhere, NULL included.
 */
#ifndef TARS_BASE_MEM_SPAN_H
#define TARS_BASE_MEM_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct tars_span {
    const char *ptr; /* (len,) bytes, borrowed */
    size_t len;      /* bytes */
};

static inline struct tars_span tars_span(const char *ptr, size_t len)
{
    return (struct tars_span){ptr, len};
}

/* text may be NULL, which is the empty span. */
static inline struct tars_span tars_span_of(const char *text)
{
    return (struct tars_span){text, text ? strlen(text) : 0};
}

static inline bool tars_span_equal(struct tars_span a, struct tars_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool tars_span_is(struct tars_span a, const char *text)
{
    return tars_span_equal(a, tars_span_of(text));
}

#endif
