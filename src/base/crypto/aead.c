/* aead - see aead.h. */
#include "base/crypto/aead.h"

#include <limits.h>
#include <string.h>

#include <openssl/evp.h>

static tars_status seal(EVP_CIPHER_CTX *ctx, struct tars_span beside, struct tars_span text,
                        unsigned char *out, unsigned char *tag)
{
    int len = 0;

    if (EVP_EncryptUpdate(ctx, NULL, &len, (const unsigned char *)beside.ptr, (int)beside.len) != 1)
        return TARS_EIO;
    if (text.len > 0 &&
        EVP_EncryptUpdate(ctx, out, &len, (const unsigned char *)text.ptr, (int)text.len) != 1)
        return TARS_EIO;
    if (EVP_EncryptFinal_ex(ctx, out + text.len, &len) != 1)
        return TARS_EIO;
    return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TARS_AEAD_TAG_BYTES, tag) == 1 ? TARS_OK
                                                                                         : TARS_EIO;
}

tars_status tars_aead_seal(const unsigned char *key, const unsigned char *nonce,
                           struct tars_span beside, struct tars_span text, unsigned char *out,
                           unsigned char *tag)
{
    EVP_CIPHER_CTX *ctx;
    tars_status status;

    if (text.len > INT_MAX || beside.len > INT_MAX)
        return TARS_ETOOBIG;
    ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return TARS_ENOMEM;
    status = EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1
                 ? seal(ctx, beside, text, out, tag)
                 : TARS_EIO;
    EVP_CIPHER_CTX_free(ctx);
    return status;
}

static tars_status unseal(EVP_CIPHER_CTX *ctx, struct tars_span beside, struct tars_span sealed,
                          const unsigned char *tag, unsigned char *out)
{
    unsigned char expected[TARS_AEAD_TAG_BYTES];
    int len = 0;

    memcpy(expected, tag, sizeof(expected)); /* OpenSSL does not take it as constant */
    if (EVP_DecryptUpdate(ctx, NULL, &len, (const unsigned char *)beside.ptr, (int)beside.len) != 1)
        return TARS_EIO;
    if (sealed.len > 0 &&
        EVP_DecryptUpdate(ctx, out, &len, (const unsigned char *)sealed.ptr, (int)sealed.len) != 1)
        return TARS_EIO;
    if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TARS_AEAD_TAG_BYTES, expected) != 1)
        return TARS_EIO;
    return EVP_DecryptFinal_ex(ctx, out + sealed.len, &len) == 1 ? TARS_OK : TARS_EDENIED;
}

tars_status tars_aead_open(const unsigned char *key, const unsigned char *nonce,
                           struct tars_span beside, struct tars_span sealed,
                           const unsigned char *tag, unsigned char *out)
{
    EVP_CIPHER_CTX *ctx;
    tars_status status;

    if (sealed.len > INT_MAX || beside.len > INT_MAX)
        return TARS_ETOOBIG;
    ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return TARS_ENOMEM;
    status = EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1
                 ? unseal(ctx, beside, sealed, tag, out)
                 : TARS_EIO;
    EVP_CIPHER_CTX_free(ctx);
    if (status != TARS_OK && sealed.len > 0)
        memset(out, 0, sealed.len);
    return status;
}
