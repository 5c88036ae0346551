/* server - HTTP/1.1 over TCP and TLS: loop threads, each with a listener of its own.
 *
 * Model     threads loops, each bound to the same port (SO_REUSEPORT), so that the kernel spreads
 *           the connections and loops share nothing but counters. A connection stays on its loop.
 * Requests  Read whole, up to the limits; the handler is called on the loop thread with a complete
 *           request (net/http.h). Pipelined requests are answered one after the other.
 * Errors    What never reaches the handler is answered here, as {"detail":"..."}: 400, 408, 413,
 *           414, 431, 501, 503, 505; the connection is closed after it.
 * Slow      Every wait has a deadline: TLS handshake, head, body, idle, and a reader that takes
 *           nothing of what is being sent.
 * Room      At max_connections a new one takes the place of the one that has been idle, or at its
 *           head, the longest (a second at least); requests in hand and WebSockets keep theirs.
 * Bounds    Connections, bytes of a head, bytes of a body, bytes of all bodies together, bytes of
 *           queued answer: each has a ceiling, and the server sheds load when it is reached.
 * Threads   _open(), _stop() and _close() belong to the owner; _port() and _stats() to anybody.
 */
#ifndef TARS_NET_SERVER_H
#define TARS_NET_SERVER_H

#include "net/http.h"

struct tars_server;

/* request is lent until the reply handle is given back. See net/http.h. */
typedef void tars_http_handler_fn(void *ctx, const struct tars_http_request *request,
                                  struct tars_http_reply *reply);

/* How large the body of this request may be; asked on a loop thread when the head is there, so that
 * nobody sends what is going to be refused. The request has no body yet. */
typedef size_t tars_http_body_limit_fn(void *ctx, const struct tars_http_request *request);

/* Something was answered without the handler, with this status, on a loop thread. request is NULL
 * when its head was not read. */
typedef void tars_http_refused_fn(void *ctx, const struct tars_http_request *request, int status);

/* Copied by _open(). A field at zero takes its default. */
struct tars_server_config {
    const char *bind;        /* address, IPv4 or IPv6; NULL: 127.0.0.1 */
    uint16_t port;           /* 0: any free one, see tars_server_port() */
    unsigned threads;        /* loop threads; 0: 1; at most 64 */
    const char *tls_cert;    /* PEM file, chain included; NULL: no TLS */
    const char *tls_key;     /* PEM file; required with tls_cert */
    const char *server_name; /* value of the server header; NULL: no such header; kept by caller */

    tars_http_handler_fn *handler;       /* required */
    void *ctx;                           /* its argument */
    tars_http_body_limit_fn *body_limit; /* at most max_body_bytes counts; NULL: that for all */
    tars_http_refused_fn *refused;       /* NULL: nobody hears of it */

    size_t max_connections;   /* 0: 1024; then the idlest gives way, or 503 (plain), or closed */
    size_t max_head_bytes;    /* request line and headers; 0: 16 KiB; at most 64 KiB */
    size_t max_body_bytes;    /* of one request; 0: 64 MiB */
    size_t max_bodies_bytes;  /* of all requests in flight; 0: 256 MiB */
    size_t max_arena_bytes;   /* of one request's arena; 0: 16 MiB */
    size_t reply_queue_bytes; /* of one streamed reply; 0: 64 KiB */

    int64_t head_timeout_ms;      /* first byte to end of head; 0: 10 s */
    int64_t body_timeout_ms;      /* without a byte of body; 0: 20 s */
    int64_t idle_timeout_ms;      /* between requests; 0: 60 s */
    int64_t write_timeout_ms;     /* the reader takes nothing; 0: 20 s */
    int64_t handshake_timeout_ms; /* TLS; 0: 10 s */
};

/* A copy of the counters; they only grow, but for connections, in_flight and bodies_bytes. */
struct tars_server_stats {
    uint64_t accepted;     /* connections */
    uint64_t requests;     /* that reached the handler */
    uint64_t rejected;     /* answered here: malformed, too big, too many */
    uint64_t evicted;      /* idle connections closed to make room */
    uint64_t timeouts;     /* connections closed by a deadline */
    uint64_t tls_failures; /* handshakes that failed */
    uint64_t connections;  /* open now */
    uint64_t in_flight;    /* requests at the handler now */
    uint64_t bodies_bytes; /* held in bodies now */
};

/* Bind, listen and start the threads.
 *
 *   TARS_EINVAL   a field out of range, or an address that is none
 *   TARS_EBUSY    the port is taken
 *   TARS_EDENIED  the port or a key file may not be used
 *   TARS_EFORMAT  certificate or key are no such thing or do not match
 *   TARS_EIO, TARS_ENOTFOUND, TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_server_open(const struct tars_server_config *config,
                                           struct tars_server **server, struct tars_err *err);

/* Stop listening, let requests in flight finish, and those that come on open connections within a
 * second; each answer says that its connection ends. Returns TARS_OK when all are finished,
 * TARS_ETIMEOUT when grace_ms passed first: then handlers hear of it (tars_http_reply_on_gone(),
 * on_stop of a WebSocket) and have TARS_HTTP_HURRY_MS for last words; what goes on even then is
 * dropped, and sees TARS_ECANCELED. After it no request reaches the handler. */
TARS_MUST_USE tars_status tars_server_stop(struct tars_server *server, int64_t grace_ms);

/* Show another certificate from now on, to who connects; who is connected goes on with the old one.
 * TARS_EINVAL: the server speaks no TLS; else as _open(), and then the old one stays. The owner
 * calls it; waits until each loop has seen it. */
TARS_MUST_USE tars_status tars_server_renew_tls(struct tars_server *server, const char *cert,
                                                const char *key, struct tars_err *err);
/* As max_connections of the configuration, from now on. Any thread. */
void tars_server_set_connections(struct tars_server *server, size_t max);

/* The same for max_body_bytes and max_bodies_bytes; neither is 0. */
void tars_server_set_bodies(struct tars_server *server, size_t max_body, size_t max_bodies);

/* Stop at once if that was not done, join the threads, free. Waits for every reply handle that is
 * still out to be given back. NULL is allowed. */
void tars_server_close(struct tars_server *server);

/* The port that it listens on. */
uint16_t tars_server_port(const struct tars_server *server);
struct tars_server_stats tars_server_stats(const struct tars_server *server);

#endif
