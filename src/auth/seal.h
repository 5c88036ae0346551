/* seal - short texts that we give away and want back unchanged: "text.MAC".
 *
 * Not secret, only ours: HMAC-SHA-256 under a key that is made from the signing secret for one
 * purpose, so that what was sealed for one is worth nothing for another. Times and single use are
 * up to what the text says.
 */
#ifndef TARS_AUTH_SEAL_H
#define TARS_AUTH_SEAL_H

#include "base/crypto/hmac.h"
#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_SEAL_CHARS 43 /* of the MAC, base64url */

struct tars_seal {
    unsigned char key[TARS_HMAC_BYTES];
};

/* purpose: a text that no other seal has. */
TARS_MUST_USE tars_status tars_seal_init(struct tars_seal *seal, struct tars_span secret,
                                         const char *purpose);
/* out: text, a dot and the MAC, in the arena. */
TARS_MUST_USE tars_status tars_seal_close(const struct tars_seal *seal, const char *text,
                                          struct tars_arena *arena, const char **out);
/* text: within sealed. EDENIED: not sealed by us. */
TARS_MUST_USE tars_status tars_seal_open(const struct tars_seal *seal, struct tars_span sealed,
                                         struct tars_span *text);

#endif
