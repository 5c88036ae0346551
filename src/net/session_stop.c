/* session_stop - how a connection ends when the server stops; see session.h. */
#include "net/session_internal.h"

#define STOP_MORE_MS 100 /* and again where bytes have come at that very moment */

/* Nobody is to lose a request that we had: look once more, and send what is under way. */
void tars_session_end_idle(struct tars_session *session)
{
    struct tars_conn *conn = &session->conn;

    if (tars_session_is_stopping(session) && tars_conn_has_input(conn)) {
        conn->deadline_ms = tars_session_in_ms(STOP_MORE_MS);
    } else if (conn->unsent) {
        tars_session_linger(session);
    } else {
        tars_conn_close(conn);
    }
}

/* A request may be on its way: a client that has just been told of no end may send one. It is
 * answered like all others, with the word that the connection ends. */
static void expect_last(struct tars_session *session)
{
    int64_t until_ms = tars_session_in_ms(STOP_MS);

    if (session->conn.deadline_ms == 0 || session->conn.deadline_ms > until_ms)
        session->conn.deadline_ms = until_ms;
}

/* Its time is over. */
static void cut(struct tars_session *session)
{
    switch (session->phase) {
    case HEAD:
        tars_session_end_idle(session);
        break;
    case BODY:
        tars_session_reject(session, 503, "the server stops; try again in a moment");
        break;
    case BUSY:
        tars_reply_hurry(session->reply);
        break;
    default:
        break;
    }
}

void tars_session_on_stop(struct tars_conn *conn, bool is_late)
{
    struct tars_session *session = tars_session_of(conn);

    if (is_late) {
        cut(session);
    } else if (session->phase == HEAD) {
        expect_last(session);
    }
}

void tars_session_stop_all(struct tars_conn_group *group, enum tars_session_stop how)
{
    struct tars_conn *next;

    for (struct tars_conn *conn = group->first; conn; conn = next) {
        next = conn->next;
        if (how == TARS_SESSION_DROP) {
            tars_conn_close(conn);
            tars_session_drop_reply(tars_session_of(conn));
        } else if (conn->is_open) {
            conn->protocol->on_stop(conn, how == TARS_SESSION_CUT);
        } else if (how == TARS_SESSION_CUT) {
            tars_conn_close(conn); /* in its handshake */
        }
    }
}
