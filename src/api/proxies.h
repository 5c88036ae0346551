/* proxies - whose word about a client's address and scheme is believed.
 *
 *     TARS_TRUSTED_PROXIES=10.0.0.0/8,::1
 *
 *     client 203.0.113.7 -> proxy 10.0.0.2 -> tars
 *     X-Forwarded-For: 198.51.100.1, 203.0.113.7     (the left one is what the client made up)
 *
 * Each proxy adds the address that called it at the right end, so the list is read from there: the
 * peer, then its neighbours as long as each is a trusted proxy; the first that is none is the
 * client. An entry that is no address ends the walk, and the last proxy counts as the client: who
 * writes nonsense gains no new address. Without trusted proxies the peer is the client.
 *
 * Form      Addresses are compared and given in one form: IPv4 in IPv6 (::ffff:1.2.3.4) is IPv4.
 * Bounds    TARS_PROXIES_MAX networks; entries of a list are looked at once, in place.
 * Threads   Read-only once made.
 */
#ifndef TARS_API_PROXIES_H
#define TARS_API_PROXIES_H

#include <stdbool.h>

#include "base/status.h"
#include "net/http.h"

#define TARS_PROXIES_MAX 64

struct tars_proxies;

/* list: networks ("10.0.0.0/8", "::1"), commas or spaces between; NULL or "": none. EINVAL names
 * the entry that is wrong. */
TARS_MUST_USE tars_status tars_proxies_new(const char *list, struct tars_proxies **proxies,
                                           struct tars_err *err);
/* NULL is allowed, here and below: nobody is trusted. */
void tars_proxies_free(struct tars_proxies *proxies);

/* The address of who asks into out, TARS_HTTP_PEER_BYTES. */
void tars_proxies_client(const struct tars_proxies *proxies,
                         const struct tars_http_request *request, char *out);
/* True when the client spoke TLS: to us, or to the trusted proxy that calls. */
bool tars_proxies_is_https(const struct tars_proxies *proxies,
                           const struct tars_http_request *request);

#endif
