/* session_internal - what the files of the session share; see session.h. */
#ifndef TARS_NET_SESSION_INTERNAL_H
#define TARS_NET_SESSION_INTERNAL_H

#include <stddef.h>

#include "base/sys/clock.h"
#include "net/chunked.h"
#include "net/http1.h"
#include "net/session.h"

#define LINGER_STOP_MS 200  /* the same when the server stops */
#define STOP_MS        1000 /* for a request to come on a connection when the server stops */

enum phase { HEAD, BODY, BUSY, LINGER, UPGRADED };

struct tars_session {
    struct tars_conn conn; /* first, so that a connection is cast back to its session */
    const struct tars_session_env *env;
    enum phase phase;
    struct tars_http1 *parser; /* owned; NULL in UPGRADED: most of what an idle one would cost */
    struct tars_chunked chunked;
    struct tars_http_reply *reply; /* one reference */
    int64_t body_began_ms;
    size_t body_max;                      /* bytes of the body under way */
    struct tars_session_list *list;       /* env->waiting or env->bodies; NULL: in neither */
    struct tars_session *earlier, *later; /* in list */
    int64_t waits_since_ms;
    bool is_over;        /* came when there were too many */
    bool is_uncounted;   /* not in shared->connections any more */
    bool is_advancing;   /* advance() is on the stack */
    bool has_head_bytes; /* of the head that is being read; its deadline runs */
    char *in;            /* owned */
    size_t in_pos, in_len, in_cap;
    char peer[TARS_HTTP_PEER_BYTES];
    uint16_t peer_port;
};

static inline struct tars_session *tars_session_of(struct tars_conn *conn)
{
    _Static_assert(offsetof(struct tars_session, conn) == 0, "a connection is cast back");
    return (struct tars_session *)conn;
}

static inline int64_t tars_session_in_ms(int64_t ms)
{
    return tars_clock_mono_ms() + ms;
}

static inline bool tars_session_is_stopping(const struct tars_session *session)
{
    return atomic_load_explicit(&session->env->shared->is_stopping, memory_order_relaxed);
}

/* Nobody is going to read this exchange's reply any more. */
void tars_session_drop_reply(struct tars_session *session);
/* All is said: send what is queued, then wait a moment for the other end, so that what it still
 * sends does not reset the connection before it has read our last words. */
void tars_session_linger(struct tars_session *session);
/* Answer with an error of our own, and end the connection. */
void tars_session_reject(struct tars_session *session, int status, const char *why);

/* No request is under way, and none has come in time (session_stop.c). */
void tars_session_end_idle(struct tars_session *session);
/* on_stop of struct tars_conn_protocol. */
void tars_session_on_stop(struct tars_conn *conn, bool is_late);

#endif
