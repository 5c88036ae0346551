/* conn - a TCP connection on a loop, plain or TLS: bytes in, bytes out, deadlines, a clean end.
 *
 * What the bytes mean is the protocol's business: a const struct of functions, so that a connection
 * can change its protocol later (upgrade).
 *
 * Lifetime  The owner embeds the struct; on_closed() is the last call, and frees it.
 * Bounds    Reading goes through one buffer per loop; what is not sent yet is counted in unsent,
 *           and the protocol looks at it before it writes more.
 * Threads   All on the loop's thread.
 */
#ifndef TARS_NET_CONN_H
#define TARS_NET_CONN_H

#include <stdatomic.h>
#include <stdint.h>

#include "net/loop.h"
#include "net/tls.h"

#define TARS_CONN_READ_BYTES  65536 /* most that one on_bytes() brings */
#define TARS_CONN_PLAIN_BYTES 16384 /* a TLS record */

struct tars_conn;

struct tars_conn_protocol {
    void (*on_open)(struct tars_conn *conn); /* bytes may flow; after the handshake with TLS */
    /* (ptr, len) is lent for the call, and may be changed by it. */
    void (*on_bytes)(struct tars_conn *conn, char *ptr, size_t len);
    void (*on_eof)(struct tars_conn *conn);     /* the other end sends no more */
    void (*on_sent)(struct tars_conn *conn);    /* unsent has become smaller */
    void (*on_timeout)(struct tars_conn *conn); /* deadline_ms has passed; it is cleared before */
    void (*on_stalled)(struct tars_conn *conn); /* unsent does not shrink; NULL: it is closed */
    /* The server stops: end soon; with is_late a second time: what still goes on is to be cut. */
    void (*on_stop)(struct tars_conn *conn, bool is_late);
    void (*on_closed)(struct tars_conn *conn); /* the last call */
};

/* What the connections of a loop share. */
struct tars_conn_group {
    struct tars_loop *loop;
    struct tars_conn *first; /* all open connections, in no order */
    int64_t write_timeout_ms;
    int64_t handshake_timeout_ms;
    atomic_ullong *timeouts;     /* counts writes that stalled and slow handshakes */
    atomic_ullong *tls_failures; /* counts handshakes that failed */
    char scratch[TARS_CONN_READ_BYTES];
    char plain[TARS_CONN_PLAIN_BYTES];
};

/* What every tick looks at comes first, in one cache line: there may be ten thousand idle ones. */
struct tars_conn {
    struct tars_conn *next, *prev; /* in the group */
    int64_t deadline_ms;           /* on tars_clock_mono_ms(); 0: none; the protocol sets it */
    size_t unsent;                 /* bytes given to the socket's queue that are still there */
    struct tars_conn_group *group;
    const struct tars_conn_protocol *protocol;
    void *ctx;            /* of a protocol that took the connection over */
    struct tars_tls *tls; /* NULL: plain; owned */
    uv_tcp_t tcp;
    uv_shutdown_t shutdown;
    int64_t progress_ms; /* when unsent last became smaller */
    size_t queue_seen;   /* the socket's queue at the last tick */
    bool is_open;        /* on_open() was called */
    bool is_paused;
    bool is_finishing; /* nothing more is going to be written */
    bool is_shut;      /* and all was sent */
    bool has_eof;
    bool is_closing;
};

/* Take a connection off listener. context NULL: plain. On failure conn was not used, unless
 * *is_closing is set, and then on_closed() comes later. */
TARS_MUST_USE tars_status tars_conn_accept(struct tars_conn *conn, struct tars_conn_group *group,
                                           const struct tars_conn_protocol *protocol,
                                           uv_stream_t *listener, struct tars_tls_context *context);
/* Send (bytes, len); takes bytes, which came from malloc. Failure closes the connection. */
void tars_conn_write(struct tars_conn *conn, char *bytes, size_t len);
/* Read no more for now, or again. */
/* The other end's address as text, "" when it is not known; returns its port. */
uint16_t tars_conn_peer(const struct tars_conn *conn, char *text, size_t size);

/* True when bytes have come that on_bytes() was not given yet. */
bool tars_conn_has_input(const struct tars_conn *conn);

void tars_conn_pause(struct tars_conn *conn);
void tars_conn_resume(struct tars_conn *conn);
/* Say goodbye when all is sent; the other end's goodbye then closes the connection. */
void tars_conn_finish(struct tars_conn *conn);
/* Close at once; fine to call twice. */
void tars_conn_close(struct tars_conn *conn);
/* Look at every deadline of the group. */
void tars_conn_tick(struct tars_conn_group *group);

#endif
