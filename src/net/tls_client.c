/* tls_client - see tls_client.h for the contract. */
#include "net/tls_client.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/tls_internal.h"

#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tars_tls_client_context {
    SSL_CTX *ctx; /* owned */
};

static bool is_given(const char *path)
{
    return path && *path;
}

static tars_status trust(SSL_CTX *ctx, const char *ca_path, struct tars_err *err)
{
    ERR_clear_error();
    if (is_given(ca_path) ? SSL_CTX_load_verify_file(ctx, ca_path) == 1
                          : SSL_CTX_set_default_verify_paths(ctx) == 1)
        return TARS_OK;
    ERR_clear_error();
    if (!is_given(ca_path))
        return tars_fail(TARS_EFORMAT, err, "the system's list of authorities cannot be read");
    return tars_fail(TARS_EFORMAT, err, "%s cannot be read as authorities in PEM form", ca_path);
}

static bool configure(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, CIPHERS_TLS12) == 1;
}

tars_status tars_tls_client_context_new(const struct tars_tls_client_config *config,
                                        struct tars_tls_client_context **context,
                                        struct tars_err *err)
{
    struct tars_tls_client_context *made;
    tars_status status = TARS_ENOMEM;

    if (is_given(config->cert_path) != is_given(config->key_path))
        return tars_fail(TARS_EINVAL, err, "a certificate and its key are needed together");
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for TLS");
    made->ctx = SSL_CTX_new(TLS_client_method());
    if (!made->ctx || !configure(made->ctx)) {
        tars_fail(TARS_ENOMEM, err, "TLS could not be set up");
        goto out;
    }
    status = trust(made->ctx, config->ca_path, err);
    if (status == TARS_OK && is_given(config->cert_path))
        status = tars_tls_load(made->ctx, config->cert_path, config->key_path, err);
    if (status != TARS_OK)
        goto out;
    *context = made;
    made = NULL;
out:
    tars_tls_client_context_free(made);
    return status;
}

void tars_tls_client_context_free(struct tars_tls_client_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ctx);
    free(context);
}

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Check the certificate for host; names are also told to the server, which may have several. */
static bool expect(SSL *ssl, const char *host)
{
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

tars_status tars_tls_client_new(struct tars_tls_client_context *context, const char *host,
                                struct tars_tls **tls)
{
    struct tars_tls *made = NULL;
    tars_status status = tars_tls_make(context->ctx, &made);

    if (status != TARS_OK)
        return status;
    ERR_clear_error();
    if (!*host || !expect(made->ssl, host)) {
        ERR_clear_error();
        tars_tls_free(made);
        return TARS_EINVAL;
    }
    SSL_set_connect_state(made->ssl);
    *tls = made;
    return TARS_OK;
}

const char *tars_tls_client_reason(const struct tars_tls *tls)
{
    long result = SSL_get_verify_result(tls->ssl);

    if (result != X509_V_OK)
        return X509_verify_cert_error_string(result);
    return "the other end ended the handshake or does not speak TLS";
}
