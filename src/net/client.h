/* client - HTTP requests to other servers, on worker threads.
 *
 * Model     _fetch() blocks its thread until the answer is complete, and hands bytes of the body
 *           to a callback as they arrive. Connections are kept and used again. Only http and
 *           https; redirects are not followed; certificates are checked; a proxy of the
 *           environment (http_proxy) is used, but not for localhost and 127.0.0.0/8.
 * Bounds    Bytes of a body, time to connect, time without a byte, time in all.
 * Threads   One client may be shared by any threads; they do not wait for one another.
 * Setup     tars_client_global_init() once, in main, before threads start.
 */
#ifndef TARS_NET_CLIENT_H
#define TARS_NET_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_CLIENT_TYPE_BYTES 128

struct tars_client;

struct tars_client_config {
    size_t max_idle;        /* handles kept for later, each with its connections; 0: 8 */
    const char *user_agent; /* NULL: "tars" */
    const char *ca_file;    /* PEM; NULL: the system's */
};

struct tars_client_request {
    const char *method;         /* NULL: GET, or POST when there is a body */
    const char *url;            /* http:// or https://; required */
    const char *const *headers; /* (header_count,) "name: value"; may be NULL */
    size_t header_count;
    struct tars_span body;        /* sent as it is; content-type comes from headers, else JSON */
    int64_t connect_timeout_ms;   /* 0: 5 s */
    int64_t idle_timeout_ms;      /* no byte for so long; 0: 60 s */
    int64_t total_timeout_ms;     /* 0: none */
    size_t max_body_bytes;        /* of the answer; 0: 64 MiB */
    const atomic_bool *cancelled; /* looked at several times a second; may be NULL */
};

struct tars_client_reply {
    int status;                                /* 200, ... */
    size_t body_bytes;                         /* seen by the callback */
    int64_t retry_after_s;                     /* of Retry-After, a date too; 0: not said */
    char content_type[TARS_CLIENT_TYPE_BYTES]; /* terminated; "" if none or too long */
};

/* Some bytes of the body; return false to stop (the fetch is TARS_ECANCELED then). status is that
 * of the answer, so that a callback may treat error bodies differently. */
typedef bool tars_client_bytes_fn(void *ctx, int status, const char *ptr, size_t len);

/* Prepare the library; once, before threads start. */
TARS_MUST_USE tars_status tars_client_global_init(void);
void tars_client_global_cleanup(void);

TARS_MUST_USE tars_status tars_client_new(const struct tars_client_config *config,
                                          struct tars_client **client);
/* Nobody may be fetching. NULL is allowed. */
void tars_client_free(struct tars_client *client);

/* Ask and wait. Any answer with a status line is TARS_OK, 404 and 500 too: look at reply->status.
 *
 *   TARS_EINVAL        not an http(s) URL, or a header with a line break
 *   TARS_EUNAVAILABLE  name not found, refused, connection lost
 *   TARS_ETIMEOUT      one of the timeouts
 *   TARS_ECANCELED     *cancelled, or bytes() said stop
 *   TARS_ETOOBIG       body over max_body_bytes
 *   TARS_EFORMAT       not HTTP
 *   TARS_EDENIED       TLS: certificate not trusted
 */
TARS_MUST_USE tars_status tars_client_fetch(struct tars_client *client,
                                            const struct tars_client_request *request,
                                            tars_client_bytes_fn *bytes, void *ctx,
                                            struct tars_client_reply *reply, struct tars_err *err);

/* The same, with the body appended to body (whose ceiling counts too). */
TARS_MUST_USE tars_status tars_client_fetch_buf(struct tars_client *client,
                                                const struct tars_client_request *request,
                                                struct tars_buf *body,
                                                struct tars_client_reply *reply,
                                                struct tars_err *err);

#endif
