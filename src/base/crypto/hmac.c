/* hmac - see hmac.h. */
#include "base/crypto/hmac.h"

#include <limits.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

tars_status tars_hmac_sha256(struct tars_span key, struct tars_span message, unsigned char *out)
{
    static const char none[1];
    unsigned len = 0;

    if (key.len > INT_MAX)
        return TARS_ETOOBIG;
    /* A NULL key would mean "the last one" to the library. */
    if (!HMAC(EVP_sha256(), key.len ? key.ptr : none, (int)key.len,
              (const unsigned char *)(message.len ? message.ptr : none), message.len, out, &len))
        return TARS_ENOMEM;
    return len == TARS_HMAC_BYTES ? TARS_OK : TARS_EIO;
}

bool tars_equal_constant_time(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
