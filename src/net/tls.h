/* tls - the server side of TLS 1.2 and 1.3, on memory instead of a socket.
 *
 * The connection pushes what the network brought, pulls plain bytes, pushes plain bytes, and takes
 * what the network shall get:
 *
 *     network -> _push() -> _read() -> http        http -> _write() -> _take() -> network
 *
 * Setup     ALPN http/1.1; forward-secret AEAD ciphers only; no renegotiation, no compression.
 * Threads   A context may be shared; a session belongs to one thread.
 * Memory    About 20 KB a session while it is busy, 17 KB idle.
 */
#ifndef TARS_NET_TLS_H
#define TARS_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/buf.h"
#include "base/status.h"

struct tars_tls_context;
struct tars_tls;

/* From PEM files. TARS_ENOTFOUND, TARS_EDENIED, TARS_EFORMAT, TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_tls_context_new(const char *cert_path, const char *key_path,
                                               struct tars_tls_context **context,
                                               struct tars_err *err);
void tars_tls_context_free(struct tars_tls_context *context);

/* context must live longer. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_tls_new(struct tars_tls_context *context, struct tars_tls **tls);
void tars_tls_free(struct tars_tls *tls);

/* Bytes from the network. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_tls_push(struct tars_tls *tls, const char *ptr, size_t len);
/* Go on with the handshake: TARS_OK done, TARS_EAGAIN needs more, TARS_EFORMAT failed. */
TARS_MUST_USE tars_status tars_tls_handshake(struct tars_tls *tls);
/* Plain bytes: TARS_OK *len > 0, TARS_EAGAIN none now, TARS_ENOTFOUND the other end said goodbye,
 * TARS_EFORMAT broken. */
TARS_MUST_USE tars_status tars_tls_read(struct tars_tls *tls, char *ptr, size_t cap, size_t *len);
/* Encrypt. TARS_EIO, TARS_ENOMEM: the session is of no use any more. */
TARS_MUST_USE tars_status tars_tls_write(struct tars_tls *tls, const char *ptr, size_t len);
/* Move what is to be sent to the end of out. */
void tars_tls_take(struct tars_tls *tls, struct tars_buf *out);
/* Say goodbye; _take() and send it. */
void tars_tls_bye(struct tars_tls *tls);

#endif
