/* hmac - HMAC-SHA-256 (RFC 2104, FIPS 198-1) and comparison in constant time, over OpenSSL. */
#ifndef TARS_BASE_CRYPTO_HMAC_H
#define TARS_BASE_CRYPTO_HMAC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/span.h"
#include "base/status.h"

#define TARS_HMAC_BYTES 32

/* out: TARS_HMAC_BYTES of the message under key. */
TARS_MUST_USE tars_status tars_hmac_sha256(struct tars_span key, struct tars_span message,
                                           unsigned char *out);

/* Are the first len bytes the same? The time depends on len alone. */
bool tars_equal_constant_time(const void *a, const void *b, size_t len);

#endif
