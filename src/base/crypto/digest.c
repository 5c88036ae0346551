/* digest - see digest.h. */
#include "base/crypto/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#define READ_STEP ((size_t)64 * 1024)

struct tars_sha256 {
    EVP_MD_CTX *ctx; /* owned */
};

static void to_hex(const unsigned char *bytes, size_t len, char *hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * len] = '\0';
}

tars_status tars_sha256_new(struct tars_sha256 **sha)
{
    struct tars_sha256 *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->ctx = EVP_MD_CTX_new();
    if (!made->ctx || EVP_DigestInit_ex(made->ctx, EVP_sha256(), NULL) != 1) {
        tars_sha256_free(made);
        return TARS_ENOMEM;
    }
    *sha = made;
    return TARS_OK;
}

void tars_sha256_free(struct tars_sha256 *sha)
{
    if (!sha)
        return;
    EVP_MD_CTX_free(sha->ctx);
    free(sha);
}

tars_status tars_sha256_update(struct tars_sha256 *sha, const void *ptr, size_t len)
{
    return EVP_DigestUpdate(sha->ctx, ptr, len) == 1 ? TARS_OK : TARS_ENOMEM;
}

tars_status tars_sha256_final_hex(struct tars_sha256 *sha, char *out)
{
    unsigned char bytes[TARS_SHA256_BYTES];

    if (EVP_DigestFinal_ex(sha->ctx, bytes, NULL) != 1)
        return TARS_ENOMEM;
    to_hex(bytes, sizeof(bytes), out);
    return TARS_OK;
}

tars_status tars_sha256(const void *ptr, size_t len, unsigned char *out)
{
    return EVP_Digest(ptr, len, out, NULL, EVP_sha256(), NULL) == 1 ? TARS_OK : TARS_ENOMEM;
}

tars_status tars_sha256_hex(const void *ptr, size_t len, char *out)
{
    unsigned char bytes[TARS_SHA256_BYTES];

    if (tars_sha256(ptr, len, bytes) != TARS_OK)
        return TARS_ENOMEM;
    to_hex(bytes, sizeof(bytes), out);
    return TARS_OK;
}

tars_status tars_sha1(const void *ptr, size_t len, unsigned char *out)
{
    return EVP_Digest(ptr, len, out, NULL, EVP_sha1(), NULL) == 1 ? TARS_OK : TARS_ENOMEM;
}

static tars_status update_from_fd(struct tars_sha256 *sha, int fd, char *step)
{
    for (;;) {
        ssize_t got = read(fd, step, READ_STEP);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return TARS_EIO;
        if (got == 0)
            return TARS_OK;
        if (tars_sha256_update(sha, step, (size_t)got) != TARS_OK)
            return TARS_ENOMEM;
    }
}

tars_status tars_sha256_hex_fd(int fd, char *out)
{
    struct tars_sha256 *sha = NULL;
    char *step = malloc(READ_STEP);
    tars_status status = TARS_ENOMEM;

    if (!step)
        goto out;
    status = tars_sha256_new(&sha);
    if (status == TARS_OK)
        status = update_from_fd(sha, fd, step);
    if (status == TARS_OK)
        status = tars_sha256_final_hex(sha, out);
out:
    tars_sha256_free(sha);
    free(step);
    return status;
}

tars_status tars_random_bytes(void *ptr, size_t len)
{
    return len <= INT32_MAX && RAND_bytes(ptr, (int)len) == 1 ? TARS_OK : TARS_EIO;
}

tars_status tars_random_hex(char *hex, size_t bytes)
{
    unsigned char random[64];

    if (bytes > sizeof(random))
        return TARS_EINVAL;
    if (tars_random_bytes(random, bytes) != TARS_OK)
        return TARS_EIO;
    to_hex(random, bytes, hex);
    return TARS_OK;
}
