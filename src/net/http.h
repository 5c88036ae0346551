/* http - one request and the handle of its reply, as handlers see them.
 *
 * A handler is called on a loop thread with a complete request. It answers there and then, or keeps
 * the reply handle and answers later from any one thread at a time:
 *
 *     _send()                           a whole answer, with content-length
 *     _start(), _write() ..., _end()    a stream: chunked, or until close for HTTP/1.0
 *     _abort()                          drop the connection
 *
 * Lifetime  The request, its body and its arena live until _send(), _end() or _abort(): each
 *           handle must see exactly one of them, and must not be used afterwards.
 * Threads   A handle belongs to one thread at a time. _is_gone() may be asked by any thread while
 *           the handle lives.
 * Bounds    A stream holds at most config.reply_queue_bytes. A writer on a worker thread waits for
 *           room; on a loop thread it gets TARS_EAGAIN, because loop threads never wait.
 * Framing   content-length, transfer-encoding, connection, upgrade and date are written here, never
 *           by the caller. HEAD, 204 and 304 send no body, whatever is written.
 */
#ifndef TARS_NET_HTTP_H
#define TARS_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_HTTP_PEER_BYTES 64   /* an address as text and its NUL */
#define TARS_HTTP_HURRY_MS   2000 /* for last words */

#define TARS_HTTP_METHOD_LIST(X) \
    X(GET)                       \
    X(HEAD)                      \
    X(POST)                      \
    X(PUT)                       \
    X(DELETE)                    \
    X(PATCH)                     \
    X(OPTIONS)

enum tars_http_method {
    TARS_HTTP_OTHER, /* well formed but not in the list; see method_text */
#define X(name) TARS_HTTP_##name,
    TARS_HTTP_METHOD_LIST(X)
#undef X
};

struct tars_http_header {
    struct tars_span name;  /* a token; any case */
    struct tars_span value; /* no CR, LF or NUL; no white space at the ends */
};

/* In a reply, a header without a name is a block of whole lines, each ended by CRLF, that goes out
 * as it is: for what is the same in every reply, and constant in the program. */

struct tars_http_request {
    enum tars_http_method method;
    struct tars_span method_text;
    struct tars_span target; /* as sent: path and query */
    struct tars_span path;   /* up to the first '?', not decoded; starts with '/', or is "*" */
    struct tars_span query;  /* after it, not decoded; empty if there is none */
    struct tars_span body;   /* complete, transfer coding removed */
    const struct tars_http_header *headers; /* (header_count,) in the order of arrival */
    size_t header_count;
    int version_minor; /* 1 for HTTP/1.1, 0 for HTTP/1.0 */
    bool is_tls;
    char peer[TARS_HTTP_PEER_BYTES]; /* address of the other end, without port; terminated */
    uint16_t peer_port;
    int64_t arrived_ns;       /* on tars_clock_mono_ns(), when the head was complete */
    struct tars_arena *arena; /* of this request */
};

/* The value of the first header of that name, case ignored; false if there is none. */
bool tars_http_request_header(const struct tars_http_request *request, const char *name,
                              struct tars_span *value);

struct tars_http_reply;

/* Called on a loop thread, when the other end went away before its answer was complete, or when the
 * server stops and the answer's time is over: then _is_gone() is false, and a last word can still
 * be written within TARS_HTTP_HURRY_MS. It must be quick and must not call tars_http_reply_...;
 * runs once at most, never after _send(), _end() or _abort(). */
typedef void tars_http_gone_fn(void *ctx);

/* At most one hook; called at once if the other end is gone already. */
void tars_http_reply_on_gone(struct tars_http_reply *reply, tars_http_gone_fn *gone, void *ctx);
bool tars_http_reply_is_gone(const struct tars_http_reply *reply);

/* Called once: on the loop's thread just before the last bytes of the reply go to the socket, or on
 * any thread when they never will. began_ns is the one given. It must be quick and must not call
 * tars_http_reply_...; ctx outlives the server. */
typedef void tars_http_leaving_fn(void *ctx, int64_t began_ns);

/* At most one hook, before _send() or _end(). What is timed until then has in it how long the reply
 * waits for the loop, as the other end does. */
void tars_http_reply_on_leaving(struct tars_http_reply *reply, tars_http_leaving_fn *leaving,
                                void *ctx, int64_t began_ns);

/* Add a header to those that _start() or _send() is going to be given (request id, CORS). Both are
 * copied. Failure is sticky: the reply becomes a 500. */
void tars_http_reply_add_header(struct tars_http_reply *reply, const char *name, const char *value);

/* Answer with (ptr, len), which is copied; gives the handle back. headers may be NULL with count 0.
 * A header that is not well formed, or no memory, makes it a 500 or drops the connection. */
void tars_http_reply_send(struct tars_http_reply *reply, int status,
                          const struct tars_http_header *headers, size_t count, const char *ptr,
                          size_t len);
/* The same with one header, content-type. */
void tars_http_reply_send_text(struct tars_http_reply *reply, int status, const char *content_type,
                               const char *ptr, size_t len);

/* Begin a stream. TARS_EINVAL for a header that is not well formed, TARS_ECANCELED if the other end
 * is gone, TARS_ENOMEM. The handle is still the caller's. */
TARS_MUST_USE tars_status tars_http_reply_start(struct tars_http_reply *reply, int status,
                                                const struct tars_http_header *headers,
                                                size_t count);
/* Queue (ptr, len), copied, in pieces if it is larger than the queue. Sent without delay.
 *
 *   TARS_ECANCELED  the other end is gone, or took nothing for config.write_timeout_ms
 *   TARS_EAGAIN     on a loop thread only: no room for all of it now; nothing was queued
 *   TARS_ENOMEM     no memory; the connection is going to be dropped
 */
TARS_MUST_USE tars_status tars_http_reply_write(struct tars_http_reply *reply, const char *ptr,
                                                size_t len);
/* End of the stream; gives the handle back. A stream that was never started is a 500. */
void tars_http_reply_end(struct tars_http_reply *reply);
/* Drop the connection, so that the other end can tell that the answer is not whole; gives the
 * handle back. */
void tars_http_reply_abort(struct tars_http_reply *reply);

/* "OK" for 200, ...; "Unknown" for a number without a phrase. */
const char *tars_http_status_text(int status);

#endif
