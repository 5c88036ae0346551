/* tls_internal - what the two sides of TLS share: a session, whoever began it. See tls.h. */
#ifndef TARS_NET_TLS_INTERNAL_H
#define TARS_NET_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "net/tls.h"

struct tars_tls {
    SSL *ssl;     /* owned, and so are its BIOs */
    BIO *in;      /* what the network brought */
    BIO *out;     /* what it shall get */
    bool is_open; /* the handshake is done */
};

/* A session of a context, on memory, which neither side has begun. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_tls_make(SSL_CTX *ctx, struct tars_tls **tls);
/* Take a certificate and its key from PEM files into ctx; errors as of tars_tls_context_new(). */
TARS_MUST_USE tars_status tars_tls_load(SSL_CTX *ctx, const char *cert_path, const char *key_path,
                                        struct tars_err *err);

#endif
