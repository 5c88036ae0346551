/* tls - see tls.h for the contract.
 *
 * OpenSSL keeps a queue of errors per thread; it is emptied before each call whose result is looked
 * at, because a leftover of another session would be taken for this one's.
 */
#include "net/tls.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net/tls_internal.h"

#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define WRITE_MAX     (1 << 20) /* bytes given to one SSL_write() */

struct tars_tls_context {
    SSL_CTX *ctx; /* owned */
};

/* ------------------------------------------------------------------ context */

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static tars_status fail_of(const char *path, const char *what, struct tars_err *err)
{
    unsigned long code = ERR_peek_last_error();
    char reason[256];

    ERR_error_string_n(code, reason, sizeof(reason));
    ERR_clear_error();
    return tars_fail(TARS_EFORMAT, err, "%s is not a usable %s in PEM form (%s)", path, what,
                     reason);
}

static tars_status check_readable(const char *path, struct tars_err *err)
{
    FILE *file = fopen(path, "re");

    if (file) {
        fclose(file);
        return TARS_OK;
    }
    if (errno == ENOENT)
        return tars_fail(TARS_ENOTFOUND, err, "%s: there is no such file", path);
    return tars_fail(TARS_EDENIED, err, "%s cannot be read; check its owner and mode", path);
}

tars_status tars_tls_load(SSL_CTX *ctx, const char *cert_path, const char *key_path,
                          struct tars_err *err)
{
    tars_status status = check_readable(cert_path, err);

    if (!status)
        status = check_readable(key_path, err);
    if (status)
        return status;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_path) != 1)
        return fail_of(cert_path, "certificate", err);
    if (SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) != 1)
        return fail_of(key_path, "key", err);
    if (SSL_CTX_check_private_key(ctx) != 1) {
        ERR_clear_error();
        return tars_fail(TARS_EFORMAT, err, "%s is not the key of %s", key_path, cert_path);
    }
    return TARS_OK;
}

static bool configure(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, CIPHERS_TLS12) == 1;
}

tars_status tars_tls_context_new(const char *cert_path, const char *key_path,
                                 struct tars_tls_context **context, struct tars_err *err)
{
    struct tars_tls_context *made = calloc(1, sizeof(*made));
    tars_status status = TARS_ENOMEM;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for TLS");
    made->ctx = SSL_CTX_new(TLS_server_method());
    if (!made->ctx || !configure(made->ctx)) {
        tars_fail(TARS_ENOMEM, err, "TLS could not be set up");
        goto out;
    }
    status = tars_tls_load(made->ctx, cert_path, key_path, err);
    if (status)
        goto out;
    *context = made;
    made = NULL;
out:
    tars_tls_context_free(made);
    return status;
}

void tars_tls_context_free(struct tars_tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ctx);
    free(context);
}

/* ------------------------------------------------------------------ session */

tars_status tars_tls_make(SSL_CTX *ctx, struct tars_tls **tls)
{
    struct tars_tls *made = calloc(1, sizeof(*made));
    tars_status status = TARS_ENOMEM;

    if (!made)
        return TARS_ENOMEM;
    made->ssl = SSL_new(ctx);
    made->in = BIO_new(BIO_s_mem());
    made->out = BIO_new(BIO_s_mem());
    if (!made->ssl || !made->in || !made->out) {
        BIO_free(made->in);
        BIO_free(made->out);
        goto out;
    }
    BIO_set_mem_eof_return(made->in, -1);
    SSL_set_bio(made->ssl, made->in, made->out);
    *tls = made;
    made = NULL;
    status = TARS_OK;
out:
    tars_tls_free(made);
    return status;
}

tars_status tars_tls_new(struct tars_tls_context *context, struct tars_tls **tls)
{
    tars_status status = tars_tls_make(context->ctx, tls);

    if (status == TARS_OK)
        SSL_set_accept_state((*tls)->ssl);
    return status;
}

void tars_tls_free(struct tars_tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

tars_status tars_tls_push(struct tars_tls *tls, const char *ptr, size_t len)
{
    while (len) {
        int take = len < INT_MAX ? (int)len : INT_MAX;

        if (BIO_write(tls->in, ptr, take) != take)
            return TARS_ENOMEM;
        ptr += take;
        len -= (size_t)take;
    }
    return TARS_OK;
}

tars_status tars_tls_handshake(struct tars_tls *tls)
{
    int result;

    if (tls->is_open)
        return TARS_OK;
    ERR_clear_error();
    result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        tls->is_open = true;
        return TARS_OK;
    }
    if (SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ)
        return TARS_EAGAIN;
    ERR_clear_error();
    return TARS_EFORMAT;
}

tars_status tars_tls_read(struct tars_tls *tls, char *ptr, size_t cap, size_t *len)
{
    size_t got = 0;
    int result;

    ERR_clear_error();
    result = SSL_read_ex(tls->ssl, ptr, cap, &got);
    if (result == 1) {
        *len = got;
        return TARS_OK;
    }
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TARS_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return TARS_ENOTFOUND;
    default:
        ERR_clear_error();
        return TARS_EFORMAT;
    }
}

tars_status tars_tls_write(struct tars_tls *tls, const char *ptr, size_t len)
{
    while (len) {
        size_t take = len < WRITE_MAX ? len : WRITE_MAX;
        size_t done = 0;

        ERR_clear_error();
        if (SSL_write_ex(tls->ssl, ptr, take, &done) != 1) {
            ERR_clear_error();
            return TARS_EIO;
        }
        ptr += done;
        len -= done;
    }
    return TARS_OK;
}

void tars_tls_take(struct tars_tls *tls, struct tars_buf *out)
{
    size_t pending = BIO_ctrl_pending(tls->out);

    while (pending) {
        int want = pending < WRITE_MAX ? (int)pending : WRITE_MAX;
        char *room = tars_buf_reserve(out, (size_t)want);
        int got;

        if (!room)
            return;
        got = BIO_read(tls->out, room, want);
        if (got <= 0)
            return;
        tars_buf_grew(out, (size_t)got);
        pending = BIO_ctrl_pending(tls->out);
    }
}

void tars_tls_bye(struct tars_tls *tls)
{
    if (!tls->is_open)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
}
