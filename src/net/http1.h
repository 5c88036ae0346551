/* http1 - the head of an HTTP/1.1 request (RFC 9112, RFC 9110), read strictly.
 *
 * The parser is fed the head from its first byte each time, as far as it has come; it remembers how
 * far it has looked, so that feeding byte by byte costs no more than feeding at once:
 *
 *     tars_http1_init(&parser, &limits);
 *     TARS_EAGAIN <- tars_http1_feed(&parser, "GET / HT", 8)
 *     TARS_OK     <- tars_http1_feed(&parser, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27)
 *
 * Model     Pure: no allocation. Results are offsets into the fed bytes, so the caller may move
 *           them between calls; tars_http1_span() makes spans of them.
 * Strict    Whatever two readers could understand differently is refused, because that is how
 *           requests are smuggled: line ends other than CRLF, folded lines, space before a colon,
 *           content-length twice or with transfer-encoding, any coding but "chunked", a missing or
 *           second Host, absolute targets, control characters. The result does not depend on how
 *           the bytes were cut.
 * Cost      One look at each byte for the line end and one for its meaning; 1.7 KB a parser.
 */
#ifndef TARS_NET_HTTP1_H
#define TARS_NET_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"
#include "net/http.h"

#define TARS_HTTP1_HEADERS_MAX 100
#define TARS_HTTP1_HEAD_MAX    65536 /* bytes, the highest limit */
#define TARS_HTTP1_METHOD_MAX  24    /* characters */

struct tars_http1_piece {
    uint32_t at;  /* offset from the first fed byte */
    uint32_t len; /* bytes */
};

struct tars_http1_field {
    struct tars_http1_piece name, value;
};

/* Open: after TARS_OK the caller reads the fields of the second group. */
struct tars_http1 {
    uint32_t max_head; /* bytes */
    uint32_t line;     /* where the line that is not complete yet begins */
    uint32_t scanned;  /* no line end from line to here */
    bool has_request;  /* the request line was read */
    bool has_blank;    /* the one empty line that may come before it was seen */
    bool has_length, has_coding, has_host, has_expect;
    bool says_close, says_keep_alive, says_upgrade;

    enum tars_http_method method;
    struct tars_http1_piece method_text, target;
    int minor;                       /* of HTTP/1.minor */
    uint32_t head_len;               /* bytes, with the empty line */
    uint64_t content_length;         /* 0 if there is none */
    bool is_chunked;                 /* the body is in chunks; content_length means nothing */
    bool keep_alive;                 /* the connection may be used again */
    bool expects_continue;           /* wants "100 Continue" before it sends the body */
    bool wants_upgrade;              /* connection: upgrade */
    struct tars_http1_piece upgrade; /* value of the upgrade header, or empty */
    uint32_t header_count;
    struct tars_http1_field headers[TARS_HTTP1_HEADERS_MAX];

    int reject;      /* after a failure: the status to answer with */
    const char *why; /* and static words for it */
};

/* max_head_bytes at most TARS_HTTP1_HEAD_MAX. */
void tars_http1_init(struct tars_http1 *parser, size_t max_head_bytes);

/* Read on. (ptr, len) begins with the first byte of the head and has all that has come so far; it
 * may have more than the head.
 *
 *   TARS_OK       complete; head_len bytes are the head
 *   TARS_EAGAIN   not complete
 *   TARS_EFORMAT  refused; see reject and why
 *   TARS_ETOOBIG  the same, because of a limit
 */
TARS_MUST_USE tars_status tars_http1_feed(struct tars_http1 *parser, const char *ptr, size_t len);

static inline struct tars_span tars_http1_span(const char *base, struct tars_http1_piece piece)
{
    return tars_span(base + piece.at, piece.len);
}

/* True when span is text, which is in lower case, in any case. */
bool tars_http1_is(struct tars_span span, const char *text);
/* True for bytes that a header's name or value may have. */
bool tars_http1_name_is_valid(struct tars_span name);
bool tars_http1_value_is_valid(struct tars_span value);

#endif
