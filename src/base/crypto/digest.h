/* digest - SHA-256 and SHA-1 (FIPS 180-4) and random bytes, over OpenSSL. */
#ifndef TARS_BASE_CRYPTO_DIGEST_H
#define TARS_BASE_CRYPTO_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TARS_SHA1_BYTES       20
#define TARS_SHA256_BYTES     32
#define TARS_SHA256_HEX_BYTES 65 /* 64 lower-case digits and a NUL */

struct tars_sha256; /* a digest under way */

TARS_MUST_USE tars_status tars_sha256_new(struct tars_sha256 **sha);
void tars_sha256_free(struct tars_sha256 *sha);
TARS_MUST_USE tars_status tars_sha256_update(struct tars_sha256 *sha, const void *ptr, size_t len);
/* out: TARS_SHA256_HEX_BYTES. The digest cannot be updated afterwards. */
TARS_MUST_USE tars_status tars_sha256_final_hex(struct tars_sha256 *sha, char *out);

/* All at once. out: TARS_SHA256_BYTES, or TARS_SHA256_HEX_BYTES. */
TARS_MUST_USE tars_status tars_sha256(const void *ptr, size_t len, unsigned char *out);
TARS_MUST_USE tars_status tars_sha256_hex(const void *ptr, size_t len, char *out);
/* Of the rest of an open file, read in pieces. */
TARS_MUST_USE tars_status tars_sha256_hex_fd(int fd, char *out);

/* Where a protocol asks for it (the WebSocket handshake), never for security. out:
 * TARS_SHA1_BYTES. */
TARS_MUST_USE tars_status tars_sha1(const void *ptr, size_t len, unsigned char *out);

/* Unpredictable bytes. */
TARS_MUST_USE tars_status tars_random_bytes(void *ptr, size_t len);
/* hex: 2 * bytes + 1. For ids. */
TARS_MUST_USE tars_status tars_random_hex(char *hex, size_t bytes);

#endif
