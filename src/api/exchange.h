/* exchange - one request and the reply under way, wherever they come from.
 *
 * A route sees this and nothing of sockets: over HTTP the reply goes to net, in a command that has
 * opened the data folder itself it goes to memory. So commands and server say the same things, byte
 * for byte.
 *
 *     tars_exchange_json(ex);                      a whole JSON reply
 *     tars_json_text(&ex->json, "status", "ok");
 *     tars_exchange_send(ex, 200);
 *
 *     tars_exchange_start(ex, "application/x-ndjson");   a stream of lines
 *     tars_exchange_line(ex); tars_json_...; tars_exchange_flush(ex);
 *     tars_exchange_end(ex);
 *
 * Lifetime  _send(), _end() and _fail() give the exchange back: it must not be touched afterwards.
 *           Exactly one of them is called.
 * Threads   One thread at a time.
 */
#ifndef TARS_API_EXCHANGE_H
#define TARS_API_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth.h"
#include "base/codec/json_write.h"
#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"
#include "net/http.h"
#include "net/websocket.h"
#include "obs/call.h"
#include "obs/trace.h"

#define TARS_SERVICE_NAME    "T.A.R.S. Backend"
#define TARS_SERVICE_VERSION "v0.3.0-alpha" /* what clients of the contract compare with */
#define TARS_API_VERSION     "1"            /* of the interface; see docs/api.md */
#define TARS_REPLY_MAX       ((size_t)64 << 20)

struct tars_api;
struct tars_route;

enum tars_route_match {
    TARS_ROUTE_FOUND,    /* ex->route, ex->parameters are set */
    TARS_ROUTE_NONE,     /* no such path */
    TARS_ROUTE_METHOD,   /* the path is there for other methods; ex->allow lists them */
    TARS_ROUTE_TRAILING, /* the path without its last slash is there; ex->location names it */
};

/* Where a reply goes. send, end and abort give ctx back. */
struct tars_reply_ops {
    void (*send)(void *ctx, int status, const struct tars_http_header *headers, size_t count,
                 const char *ptr, size_t len);
    tars_status (*start)(void *ctx, int status, const struct tars_http_header *headers,
                         size_t count);
    tars_status (*write)(void *ctx, const char *ptr, size_t len);
    void (*end)(void *ctx);
    void (*abort)(void *ctx);
    /* Go on as a WebSocket (net/websocket.h); NULL where there is no connection. */
    tars_status (*upgrade)(void *ctx, const struct tars_ws_config *config,
                           const struct tars_ws_handler *handler, void *handler_ctx,
                           struct tars_ws **ws);
    /* Hear when the reply leaves, as tars_http_reply_on_leaving(); NULL where it goes nowhere. */
    void (*on_leaving)(void *ctx, tars_http_leaving_fn *leaving, void *leaving_ctx,
                       int64_t began_ns);
};

struct tars_exchange {
    const struct tars_api *api;              /* borrowed */
    const struct tars_http_request *request; /* as it came; NULL: asked in this process */
    const struct tars_route *route;          /* set by the router; NULL when none fits */
    enum tars_route_match match;
    enum tars_http_method method;
    struct tars_span path;              /* not decoded */
    struct tars_span query;             /* not decoded */
    struct tars_span body;              /* complete */
    struct tars_span content_type;      /* of the body; may be empty */
    struct tars_span accept;            /* accept header; may be empty */
    struct tars_span host;              /* host header; may be empty */
    struct tars_span cookie;            /* cookie header; may be empty */
    char address[TARS_HTTP_PEER_BYTES]; /* of the client, as far as proxies are trusted; "": here */
    struct tars_span parameters[2];     /* what stands for {...} in the path, not decoded */
    struct tars_span credential;        /* token or key as it was sent; empty: none */
    const char *refused;          /* why it is not valid (PUBLIC routes alone see that), or NULL */
    struct tars_principal caller; /* set before the route runs */
    bool is_https;                /* the client spoke TLS, to us or to a trusted proxy */
    bool is_owner;                /* has shown that it may open the data folder */
    bool has_protocol;            /* credential came as Sec-WebSocket-Protocol: bearer, ... */
    bool has_other_scheme;        /* an Authorization that is no Bearer's */
    struct tars_call call;
    int64_t started_ns;           /* on tars_clock_mono_ns() */
    struct tars_trace_span *span; /* of the request; NULL: not recorded */

    struct tars_buf out;                     /* the reply's body, or the line under way */
    struct tars_json json;                   /* into out */
    const char *allow;                       /* header of a 405, or NULL */
    const char *location;                    /* header of a redirect, or NULL */
    const char *retry_after;                 /* header of a 429, or NULL */
    const char *rate_limit, *rate_remaining; /* X-RateLimit-*, or NULL */
    const char *set_cookies[2];              /* headers, or NULL */
    bool wants_upgrade;                      /* a 426 that says which version of WebSocket */
    bool is_secret;                          /* no cache may keep the reply */
    const struct tars_reply_ops *ops;
    void *ops_ctx;
};

/* Fill in a zeroed exchange's call and writer; the caller has set api, method, spans and ops.
 * arena lives as long as the exchange. */
void tars_exchange_init(struct tars_exchange *ex, struct tars_arena *arena);

/* Go by the id that the client or a proxy gave (X-Request-ID), if it is fit for a log. */
void tars_exchange_use_id(struct tars_exchange *ex, struct tars_span id);

/* Begin a JSON object as the reply. */
void tars_exchange_json(struct tars_exchange *ex);
/* Begin a JSON array as the reply. */
void tars_exchange_json_list(struct tars_exchange *ex);
/* Close what is open and send it as application/json. */
void tars_exchange_send(struct tars_exchange *ex, int status);
/* Send these bytes, which are not JSON. */
void tars_exchange_send_bytes(struct tars_exchange *ex, int status, const char *content_type,
                              const char *ptr, size_t len);

/* Begin a stream under status 200. ECANCELED: the asker is gone; end it all the same. */
TARS_MUST_USE tars_status tars_exchange_start(struct tars_exchange *ex, const char *content_type);
/* Begin a line: an open JSON object in the spacing that the contract has for streams. */
void tars_exchange_line(struct tars_exchange *ex);
/* Close the line and send it. ECANCELED: the asker is gone. */
TARS_MUST_USE tars_status tars_exchange_flush(struct tars_exchange *ex);
void tars_exchange_end(struct tars_exchange *ex);

/* Go on as a WebSocket, as tars_ws_accept(). Gives the exchange back, also on failure. */
TARS_MUST_USE tars_status tars_exchange_upgrade(struct tars_exchange *ex,
                                                const struct tars_ws_config *config,
                                                const struct tars_ws_handler *handler,
                                                void *handler_ctx, struct tars_ws **ws);

/* The contract's error bodies. detail may hold anything; it is escaped. */
void tars_exchange_fail(struct tars_exchange *ex, int status, const char *detail);
/* 404 for an object; detail NULL for a path that is no route. */
void tars_exchange_not_found(struct tars_exchange *ex, const char *detail);
/* 422 with a list of problems, as the reader gives it. */
void tars_exchange_invalid(struct tars_exchange *ex, struct tars_span detail);
/* 500 with the contract's words; the reason goes to the log. */
void tars_exchange_broken(struct tars_exchange *ex, const char *reason);

/* "timestamp" and its like: the present in the contract's shape. */
void tars_exchange_time(struct tars_exchange *ex, const char *key);
double tars_exchange_elapsed_ms(const struct tars_exchange *ex);

#endif
