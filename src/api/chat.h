/* chat - the sockets of /ws/chat: contract section 2.
 *
 *     route -> tars_chat_open() -> a session -> messages in (loop thread) -> answers (answer pool)
 *                                     |                                          |
 *                  ticker: heartbeat, silence, rights            messages out, as they come
 *
 * Answers   Several on one socket at a time, at most TARS_CHAT_PARALLEL of them; their messages
 *           interleave and carry their conversation_id. One that is not wanted any more stops
 * within a second: the socket is gone, or the client has said "cancel". Rights    The credential of
 * the handshake is looked at again before each answer and at each heartbeat, so that one that
 * expired or was revoked ends the socket with 1008 within an interval, and a change of rights
 * counts at the next question. Bounds    max_connections sockets, one more is accepted and closed
 * with 1013; a message has at most TARS_CHAT_MESSAGE_MAX bytes; what waits to be sent is bounded by
 * the socket (net/websocket.h): an answer waits for its reader on its own thread, and ends with the
 *           socket when the reader takes nothing. An idle session costs less than a kilobyte here.
 *           Messages of more than 16 KiB are parsed on the answer pool, as requests within the rate
 *           limit: a megabyte of JSON would hold up everybody else on the loop thread.
 * Threads   tars_chat_open() and the socket's handler on the socket's loop thread; answers on the
 *           answer pool; one ticker thread, which begins with the first socket.
 */
#ifndef TARS_API_CHAT_H
#define TARS_API_CHAT_H

#include "api/api.h"
#include "api/exchange.h"

#define TARS_CHAT_PARALLEL    8                 /* answers under way on one socket */
#define TARS_CHAT_MESSAGE_MAX ((size_t)1 << 20) /* bytes of a message from a client */
#define TARS_CHAT_QUEUE_BYTES ((size_t)4 << 20) /* bytes that wait to be sent to one */

struct tars_chat;

/* api outlives it. Its chat settings are taken from its configuration. */
TARS_MUST_USE tars_status tars_chat_new(const struct tars_api *api, struct tars_chat **chat);
/* All sockets are closed and the answer pool is empty by then. NULL is allowed. */
void tars_chat_free(struct tars_chat *chat);

/* Take the chat settings of config from now on. Any thread. Sockets that are open stay. */
void tars_chat_set(struct tars_chat *chat, const struct tars_api_config *config);

/* Go on with ex, whose caller is known, as a chat. Gives the exchange back. */
void tars_chat_open(struct tars_chat *chat, struct tars_exchange *ex);

struct tars_chat_stats {
    int64_t active_connections, unique_clients, max_connections;
    int64_t total_connections, total_messages, total_tokens, total_errors;
};
void tars_chat_stats(struct tars_chat *chat, struct tars_chat_stats *out);

/* "total_sessions" and "sessions" into an open object. tenant NULL: of all. Without addresses they
 * are null. */
void tars_chat_write_sessions(struct tars_chat *chat, struct tars_json *json, const char *tenant,
                              bool addresses);

#endif
