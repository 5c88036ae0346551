/* reply_internal - a request with its reply, shared by the handler's side (reply.c, any thread) and
 * the connection's side (session.c, the loop's thread).
 *
 *     handler's thread   _write() -> out ---- job posted ----> pump: takes out, sends it
 *     waits for room  <------------------ unsent, room ------- when bytes were sent
 *
 * References: one of the handle, one of the session while the exchange goes on, one of the job
 * while it is queued. The request's memory goes with the handle, the rest with the last reference.
 */
#ifndef TARS_NET_REPLY_INTERNAL_H
#define TARS_NET_REPLY_INTERNAL_H

#include <stdatomic.h>

#include <uv.h>

#include "base/mem/buf.h"
#include "net/http.h"
#include "net/loop.h"

struct tars_conn_protocol;
struct tars_session;

/* Who takes the connection over after a 101. Functions are called on the loop's thread. */
struct tars_reply_upgrade {
    const struct tars_conn_protocol *protocol; /* NULL: nobody */
    void *ctx;                                 /* becomes conn->ctx */
    void (*lost)(void *ctx); /* in place of protocol->on_open(): the connection is gone */
};

/* Counters and limits that outlive every reply; in the server. */
struct tars_net_shared {
    atomic_ullong accepted, requests, rejected, evicted, timeouts, tls_failures;
    atomic_ullong connections; /* open now */
    atomic_ullong handles;     /* replies at handlers now */
    atomic_ullong bodies_bytes;
    atomic_bool is_stopping;
    atomic_size_t max_connections;
    atomic_size_t max_body_bytes;
    atomic_size_t max_bodies_bytes;
    size_t max_arena_bytes;
    size_t reply_queue_bytes;
    int64_t write_timeout_ms;
    const char *server_name; /* or NULL */
};

struct tars_http_reply {
    struct tars_loop_job job; /* pump; first, so that a job is cast back to its reply */
    struct tars_loop *loop;
    struct tars_net_shared *shared;
    struct tars_session *session; /* NULL once the exchange is over; loop thread only */
    bool is_in_handler;           /* the session pumps after it; loop thread only */
    atomic_int refs;
    atomic_bool is_gone;

    struct tars_http_request request; /* all this until the handle is given back */
    struct tars_arena arena;
    char *body;      /* owned; counted in shared->bodies_bytes with body_cap */
    size_t body_len; /* bytes */
    size_t body_cap;

    bool is_head; /* constants of the exchange */
    int minor;

    uv_mutex_t lock;       /* guards all below */
    uv_cond_t room;        /* signalled when unsent shrinks and when is_gone is set */
    struct tars_buf extra; /* header lines of _add_header() */
    struct tars_buf out;   /* not taken by the session yet */
    size_t unsent;         /* bytes that the session took and the socket has not */
    bool is_started, is_ended, is_aborted;
    bool is_chunked;  /* the stream's framing */
    bool is_bodyless; /* HEAD, 204, 304: drop what is written */
    bool must_close;  /* the connection ends with this reply */
    tars_http_gone_fn *gone;
    void *gone_ctx;
    tars_http_leaving_fn *leaving; /* NULL: none, or told already */
    void *leaving_ctx;
    int64_t leaving_ns;                /* since when it is timed */
    struct tars_reply_upgrade upgrade; /* after the end of the reply; once only */
};

/* Made by the session, with one reference. NULL: no memory. */
struct tars_http_reply *tars_reply_new(struct tars_loop *loop, struct tars_net_shared *shared);
void tars_reply_ref(struct tars_http_reply *reply);
void tars_reply_unref(struct tars_http_reply *reply);
/* The other end went away: hook, and wake the writer. Loop thread. */
void tars_reply_set_gone(struct tars_http_reply *reply);
/* The reply leaves, or never will: hook, once. Any thread. */
void tars_reply_tell_leaving(struct tars_http_reply *reply);
/* The server's time is over: have the handler end the reply. Loop thread. */
void tars_reply_hurry(struct tars_http_reply *reply);
/* Append to the body. TARS_EUNAVAILABLE when all bodies together are too large; TARS_ENOMEM.
 * expected: the size of the whole, 0 if unknown. */
TARS_MUST_USE tars_status tars_reply_add_body(struct tars_http_reply *reply, const char *ptr,
                                              size_t len, size_t expected);
/* Answer 101 with lines (whole header lines) and those added before, and have the connection taken
 * over. Gives the handle back on success only. TARS_ECANCELED: the other end is gone; TARS_EINVAL:
 * a header that was added is not well formed; TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_reply_upgrade(struct tars_http_reply *reply,
                                             const struct tars_reply_upgrade *upgrade,
                                             struct tars_span lines);
/* Free what belongs to the request. */
void tars_reply_drop_request(struct tars_http_reply *reply);

/* "Date: ...\r\n" of now. */
void tars_reply_append_date(struct tars_buf *out);

#endif
