/* buf - a string that grows, with a ceiling from birth and a sticky failure.
 *
 * Appends return nothing. The first one that fails (no memory, or past max) is remembered in
 * status, later ones do nothing, and the writer looks once, at the end. ptr is always terminated by
 * a NUL that len does not count, so it can be handed to C functions as long as nothing is NULL.
 *
 * Threads   Not safe to share.
 * Memory    cap bytes, doubled when full; one allocation at a time.
 */
#ifndef TARS_BASE_MEM_BUF_H
#define TARS_BASE_MEM_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"

/* Open, so that readers need no accessor; only this module writes it. */
struct tars_buf {
    char *ptr;          /* len bytes and a NUL, or NULL while nothing was appended; owned */
    size_t len;         /* bytes */
    size_t cap;         /* bytes allocated */
    size_t max;         /* len never passes it */
    tars_status status; /* TARS_OK, or the first failure: TARS_ENOMEM, TARS_ETOOBIG */
};

/* An empty buffer that may hold max_bytes; allocates nothing. */
void tars_buf_init(struct tars_buf *buf, size_t max_bytes);
void tars_buf_release(struct tars_buf *buf);
/* Empty it and forget a failure; the memory is kept. */
void tars_buf_clear(struct tars_buf *buf);

void tars_buf_append(struct tars_buf *buf, const char *ptr, size_t len);
void tars_buf_append_text(struct tars_buf *buf, const char *text);
void tars_buf_append_char(struct tars_buf *buf, char c);
/* In decimal. */
void tars_buf_append_uint(struct tars_buf *buf, uint64_t value);
__attribute__((format(printf, 2, 3))) void tars_buf_appendf(struct tars_buf *buf,
                                                            const char *format, ...);
/* Make room for extra more bytes and return where they go; the caller writes n <= extra of them and
 * then calls tars_buf_grew(buf, n). NULL on failure, which is also remembered. */
char *tars_buf_reserve(struct tars_buf *buf, size_t extra);
void tars_buf_grew(struct tars_buf *buf, size_t n);

/* Gives the bytes, terminated, to the caller, who frees them with free(); the buffer is empty then.
 * NULL when nothing was appended or an append had failed. */
char *tars_buf_detach(struct tars_buf *buf);

static inline struct tars_span tars_buf_span(const struct tars_buf *buf)
{
    return tars_span(buf->ptr, buf->len);
}

#endif
