/* tls_client - the client side of TLS 1.2 and 1.3, on memory instead of a socket.
 *
 * A session is a struct tars_tls and is used with the functions of tls.h: push what the network
 * brought, take what it shall get. The server's certificate must be signed by one of the
 * authorities and be made out to the host that was asked for, or the handshake fails; there is no
 * way to leave that out.
 *
 * Threads   A context may be shared; a session belongs to one thread at a time.
 */
#ifndef TARS_NET_TLS_CLIENT_H
#define TARS_NET_TLS_CLIENT_H

#include "net/tls.h"

struct tars_tls_client_context;

struct tars_tls_client_config {
    const char *ca_path;   /* PEM file of authorities; NULL or "": the system's */
    const char *cert_path; /* PEM, shown to the server; NULL or "": none */
    const char *key_path;  /* PEM; required with cert_path */
};

/* TARS_ENOTFOUND, TARS_EDENIED, TARS_EFORMAT: a file, in words. TARS_EINVAL: a certificate without
 * its key or the other way round. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_tls_client_context_new(const struct tars_tls_client_config *config,
                                                      struct tars_tls_client_context **context,
                                                      struct tars_err *err);
void tars_tls_client_context_free(struct tars_tls_client_context *context);

/* host is a name or an address of IPv4 or IPv6 without brackets. context must live longer.
 * TARS_ENOMEM; TARS_EINVAL: host cannot stand in a certificate. */
TARS_MUST_USE tars_status tars_tls_client_new(struct tars_tls_client_context *context,
                                              const char *host, struct tars_tls **tls);
/* Why the handshake failed, for people: "the certificate has expired". Static. */
const char *tars_tls_client_reason(const struct tars_tls *tls);

#endif
