/* session - a client command's way to the documents: a running server over HTTP, or, where none has
 * the data folder, the folder itself, opened in this process. Both speak the same routes and
 * bodies, so a command cannot tell which it has.
 */
#ifndef TARS_APP_SESSION_H
#define TARS_APP_SESSION_H

#include <stdbool.h>

#include "app/command.h"
#include "base/mem/buf.h"
#include "net/http.h"

struct tars_session;

/* ingests: the command wants queued jobs to be worked on where it opens the folder itself.
 * EBUSY: something that is no server has the folder; err says how to go on. */
TARS_MUST_USE tars_status tars_session_open(struct tars_cli *cli, bool ingests,
                                            struct tars_session **session, struct tars_err *err);
/* NULL is allowed. */
void tars_session_close(struct tars_session *session);
bool tars_session_is_remote(const struct tars_session *session);
/* Parts that are away, for people; "" when all are well or the session is remote. Lent. */
const char *tars_session_warnings(const struct tars_session *session);
/* Address of the server, or the data folder; lent. */
const char *tars_session_place(const struct tars_session *session);

/* Bytes of a reply's body; false stops. */
typedef bool tars_session_bytes_fn(void *ctx, int status, const char *ptr, size_t len);

/* path may have a query; body "" for none. *status is the HTTP status. ECANCELED after Ctrl-C. */
TARS_MUST_USE tars_status tars_session_stream(struct tars_session *session,
                                              enum tars_http_method method, const char *path,
                                              const char *body, tars_session_bytes_fn *bytes,
                                              void *ctx, int *status, struct tars_err *err);
/* The whole body into out. A status of 400 or more becomes a failure with the server's words. */
TARS_MUST_USE tars_status tars_session_ask(struct tars_session *session,
                                           enum tars_http_method method, const char *path,
                                           const char *body, struct tars_buf *out,
                                           struct tars_err *err);
/* The words in an error body: detail, message or error; len bytes of JSON. */
void tars_session_words(const char *ptr, size_t len, struct tars_err *err);

#endif
