/* chat_internal - what the files of the chat share.
 *
 * Locks     chat->lock guards the list of sessions, session->lock what a session is doing. The
 * first may be held when the second is taken, not the other way round; what a socket does under
 *           them takes neither.
 * Lifetime  A session has a reference for its socket (given back in on_close) and one for each
 *           answer under way.
 */
#ifndef TARS_API_CHAT_INTERNAL_H
#define TARS_API_CHAT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/answer.h"
#include "api/chat.h"
#include "net/websocket.h"

struct tars_chat {
    const struct tars_api *api;
    atomic_llong heartbeat_ms, timeout_ms;
    atomic_size_t max_connections, queue_messages;

    atomic_llong total_connections, total_messages, total_tokens, total_errors;
    struct tars_series *sent, *received;

    pthread_mutex_t lock;  /* guards all below */
    pthread_cond_t change; /* closing was set */
    struct tars_chat_session *first;
    size_t count;
    bool is_ticking, is_closing;
    pthread_t ticker;
};

struct tars_chat_job;

struct tars_chat_session {
    struct tars_chat *chat;
    struct tars_ws *ws; /* a reference */
    atomic_int refs;

    struct tars_chat_session *prev, *next; /* under chat->lock */
    bool is_listed;                        /* the same */

    char id[TARS_UUID_BYTES]; /* constants from here on */
    char address[TARS_HTTP_PEER_BYTES];
    bool is_owner;
    int64_t connected_us;
    char *token; /* what showed who it is; "": the owner; client, tenant: behind it, one block */
    char *client_id, *tenant;

    atomic_llong active_us; /* wall clock of the last message either way */
    atomic_llong heard_ms;  /* of the last text from the client */
    atomic_llong messages, tokens, errors;
    int64_t beat_ms; /* the next heartbeat; ticker only */

    atomic_bool is_gone;   /* the socket has ended: no answer begins any more */
    atomic_bool is_ending; /* the server stops: neither does one, and after the last it is closed */

    pthread_mutex_t lock; /* guards all below */
    bool is_welcomed;
    struct tars_chat_job *jobs; /* the answers under way */
    size_t job_count;
};

void tars_chat_session_unref(struct tars_chat_session *session);

/* Who the session's client is now, into arena. TARS_EDENIED: nobody any more. */
TARS_MUST_USE tars_status tars_chat_identify(const struct tars_chat_session *session,
                                             bool may_block, struct tars_arena *arena,
                                             struct tars_principal *out, const char **why);

/* A message under way: an open object that has type and timestamp. */
void tars_chat_begin(struct tars_json *json, struct tars_buf *out, const char *type);
/* Close and send it. With may_wait false it may be left out (TARS_EAGAIN). */
TARS_MUST_USE tars_status tars_chat_send(struct tars_chat_session *session, struct tars_json *json,
                                         bool may_wait);
/* An error message; conversation_id may be NULL. On a loop thread it may be left out. */
void tars_chat_send_error(struct tars_chat_session *session, const char *conversation_id,
                          const char *code, const char *text);

/* What a client has sent; loop thread. */
void tars_chat_take(struct tars_chat_session *session, const char *ptr, size_t len);
/* Stop those answers of conversation_id; NULL: all. */
void tars_chat_cancel(struct tars_chat_session *session, const char *conversation_id);
/* Close the socket of a server that stops, where no answer is under way. */
void tars_chat_end(struct tars_chat_session *session);

#endif
