/* ws_handshake - a request that asks for a WebSocket, and the lines of the answer (RFC 6455, 4.2).
 *
 * Offers of extensions are passed over: none is echoed, so none is agreed on.
 */
#ifndef TARS_NET_WS_HANDSHAKE_H
#define TARS_NET_WS_HANDSHAKE_H

#include "base/mem/buf.h"
#include "net/http.h"

/* As tars_ws_is_upgrade() of net/websocket.h. */
bool tars_ws_handshake_check(const struct tars_http_request *request, int *status);

/* Append the header lines that make a 101 the answer. protocol NULL: none is echoed. TARS_EINVAL:
 * the key is no key, or protocol no token. */
TARS_MUST_USE tars_status tars_ws_handshake_answer(const struct tars_http_request *request,
                                                   const char *protocol, struct tars_buf *out);

#endif
