/* session - HTTP/1.1 on one connection: reads requests, calls the handler, sends the replies.
 *
 *     HEAD ---> BODY ---> BUSY ---> HEAD ...       one request at a time, in order
 *       \---------\---------\-----> LINGER         answered for the last time; waits for the end
 *                            \----> UPGRADED       answered 101; the bytes are another protocol's
 *
 * Threads   All on the loop's thread.
 * Room      When there are as many connections as there may be, the one that has been idle, or at
 *           its head, the longest gives way to a new one, or else the one whose body has been on
 *           its way the longest; one with a request in hand, or upgraded, never does.
 * Bounds    in: one head, plus at most PIPELINE_MAX bytes of requests that came too early, plus
 *           what one read brings; past it the connection is not read until the reply is sent.
 */
#ifndef TARS_NET_SESSION_H
#define TARS_NET_SESSION_H

#include "net/conn.h"
#include "net/reply_internal.h"
#include "net/server.h"

struct tars_session;

/* Sessions that wait for their client, by how long; those of one loop. */
struct tars_session_list {
    struct tars_session *first, *last;
};

/* What sessions need of their server; outlives them. */
struct tars_session_env {
    const struct tars_server_config *config; /* with every default filled in */
    struct tars_net_shared *shared;
    struct tars_conn_group *group;
    struct tars_session_list *waiting; /* without a request in hand */
    struct tars_session_list *bodies;  /* whose body is on its way */
    struct tars_tls_context *tls;      /* NULL: plain */
};

/* Take a connection off listener. Counts it until it is closed. False when there was no memory for
 * anything: try again later, because the listener tells of no other connection until then. */
bool tars_session_accept(const struct tars_session_env *env, uv_stream_t *listener);

/* The end of a connection that another protocol took over: that one's on_closed() calls it last. */
void tars_session_release(struct tars_conn *conn);

enum tars_session_stop {
    TARS_SESSION_END,  /* each with what it is at, or the request that is on its way */
    TARS_SESSION_CUT,  /* what still goes on is to end itself, and say why */
    TARS_SESSION_DROP, /* close all */
};

/* The server stops: tell each connection. */
void tars_session_stop_all(struct tars_conn_group *group, enum tars_session_stop how);

#endif
