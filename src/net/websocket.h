/* websocket - a WebSocket on a connection of the server: RFC 6455, no extensions.
 *
 *     handler gets a request -> tars_ws_is_upgrade() -> (any thread) tars_ws_accept(reply, ...)
 *     connection -> ws_frame (pure parser) -> handler->on_message, loop thread
 *     any thread -> tars_ws_send() -> queue -> loop thread -> connection
 *
 * Lifetime  _accept() gives the reply handle back and makes a socket with two references: the
 *           connection's and the caller's. on_close() is the handler's last call; the caller may
 *           hold its reference longer, and what it sends then gives TARS_ECANCELED.
 * Bounds    A message on its way in has at most max_message_bytes (1009 beyond) and message_ms; it
 *           counts among the server's bodies (1013 beyond max_bodies_bytes). What waits to be sent
 *           is at most queue_messages and queue_bytes: a sender on a worker thread waits for room,
 *           on a loop thread it gets TARS_EAGAIN; a client that takes nothing for the server's
 *           write_timeout_ms is closed with 1008 "the client does not read". Of the pongs that wait
 *           the newest is kept.
 * Idle      Nothing of a message is kept between messages: an idle socket costs its structs alone.
 * Close     1000 normal, 1001 going away (idle, server stops), 1002 protocol error, 1003 binary
 *           where it is not wanted, 1007 text that is not UTF-8, 1008 policy, 1009 too big, 1011
 *           fault of ours, 1013 try again later.
 * Threads   Handler functions run on the connection's loop thread and must not block. _send(),
 *           _close(), _ref(), _unref() from any thread.
 */
#ifndef TARS_NET_WEBSOCKET_H
#define TARS_NET_WEBSOCKET_H

#include "net/http.h"

struct tars_ws;

enum tars_ws_kind { TARS_WS_TEXT = 1, TARS_WS_BINARY = 2 };

struct tars_ws_handler {
    /* A whole message; text is valid UTF-8. (ptr, len) is lent for the call. */
    void (*on_message)(void *ctx, struct tars_ws *ws, enum tars_ws_kind kind, const char *ptr,
                       size_t len);
    /* A protocol ping or pong came (signs of life). May be NULL. */
    void (*on_alive)(void *ctx, struct tars_ws *ws);
    /* The server stops: say and close what is to be said and closed, with 1001, when what is under
     * way has ended. With is_late a second time: at once. NULL: closed with 1001 at once. */
    void (*on_stop)(void *ctx, struct tars_ws *ws, bool is_late);
    /* The end: code as sent or received, 1006 when the connection broke. Always called, once, last.
     */
    void (*on_close)(void *ctx, struct tars_ws *ws, int code, const char *reason);
};

/* A field at zero takes its default. */
struct tars_ws_config {
    size_t max_message_bytes; /* 0: 1 MiB */
    size_t queue_messages;    /* 0: 100 */
    size_t queue_bytes;       /* 0: 1 MiB */
    int64_t ping_ms; /* protocol ping after this long without a byte; 0: 20,000; < 0: none */
    int64_t pong_ms; /* after a ping without a byte: closed with 1008; 0: 20,000 */
    int64_t
        message_ms;   /* for a message to arrive, and 1 more for each byte; 0: 60,000; then 1008 */
    int64_t close_ms; /* for the answer to our close frame; 0: 5,000 */
    int64_t idle_ms;  /* without a text or binary message; 0: none. Closed with 1001 */
    const char *idle_message; /* text message that is sent before that close; NULL: none; copied */
    bool text_only;           /* binary messages: 1003 */
    const char *protocol;     /* Sec-WebSocket-Protocol to be echoed; NULL: none; for the call */
};

/* GET with upgrade: websocket, connection: upgrade, version 13 and a good key. When it asks for a
 * WebSocket but wrongly, *status is the answer to give: 400, or 426 with the header
 * sec-websocket-version: 13. When it does not ask for one, *status is 0. */
bool tars_ws_is_upgrade(const struct tars_http_request *request, int *status);

/* Answer 101 and go on as a WebSocket. Headers added to the reply before are sent. Gives reply back
 * on success and on failure (TARS_ECANCELED: the client is gone; TARS_EINVAL: a header or protocol
 * that is not well formed, or a request that _is_upgrade() refused; TARS_ENOMEM); then no function
 * of the handler is called. *ws is the caller's reference; it is set before the handler's first
 * call, which may come before this returns. handler and what it points to outlive the socket. */
TARS_MUST_USE tars_status tars_ws_accept(struct tars_http_reply *reply,
                                         const struct tars_ws_config *config,
                                         const struct tars_ws_handler *handler, void *ctx,
                                         struct tars_ws **ws);

/* Queue a message, copied.
 *   TARS_ECANCELED the socket is closing or gone; TARS_EAGAIN no room (loop threads only);
 *   TARS_ETOOBIG larger than queue_bytes; TARS_ENOMEM (the socket is closed with 1011) */
TARS_MUST_USE tars_status tars_ws_send(struct tars_ws *ws, enum tars_ws_kind kind, const char *ptr,
                                       size_t len);
/* The same, but TARS_EAGAIN on every thread where there is no room: for what may be left out. */
TARS_MUST_USE tars_status tars_ws_offer(struct tars_ws *ws, enum tars_ws_kind kind, const char *ptr,
                                        size_t len);
/* Close after what is queued; reason is at most 123 bytes, cut at a character. Twice is fine. */
void tars_ws_close(struct tars_ws *ws, int code, const char *reason);
bool tars_ws_is_open(const struct tars_ws *ws);
void tars_ws_ref(struct tars_ws *ws);
void tars_ws_unref(struct tars_ws *ws); /* NULL is allowed */

#endif
