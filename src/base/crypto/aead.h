/* aead - AES-256-GCM (NIST SP 800-38D) over OpenSSL: secret, and nobody changed it.
 *
 * A nonce is used once with a key: twice, and both texts are open. Random ones are good for 2^32
 * texts under one key.
 */
#ifndef TARS_BASE_CRYPTO_AEAD_H
#define TARS_BASE_CRYPTO_AEAD_H

#include "base/mem/span.h"
#include "base/status.h"

#define TARS_AEAD_KEY_BYTES   32
#define TARS_AEAD_NONCE_BYTES 12
#define TARS_AEAD_TAG_BYTES   16

/* out: (text.len,); tag: TARS_AEAD_TAG_BYTES. beside is covered by the tag and not in out. */
TARS_MUST_USE tars_status tars_aead_seal(const unsigned char *key, const unsigned char *nonce,
                                         struct tars_span beside, struct tars_span text,
                                         unsigned char *out, unsigned char *tag);
/* The reverse. EDENIED: another key, or a bit of sealed, beside or tag was changed; out is zeros
 * then. */
TARS_MUST_USE tars_status tars_aead_open(const unsigned char *key, const unsigned char *nonce,
                                         struct tars_span beside, struct tars_span sealed,
                                         const unsigned char *tag, unsigned char *out);

#endif
