/* jwks - the public keys of a provider (RFC 7517), and signatures checked with them (RFC 7515).
 *
 *     {"keys":[{"kty":"RSA","kid":"a","use":"sig","n":"...","e":"AQAB"}, ...]}
 *
 * Strict    Only RS256..512, PS256..512 and ES256..512. The algorithm is the header's, but it must
 * fit the key's type and curve, and the key's own "alg" if it has one; a symmetric key, "none" and
 * RSA under 2048 bits are never there. A token with "crit", with another "typ" than a JWT's, or
 * signed by a key that is not in the set is refused. Bounds    TARS_JWKS_BYTES_MAX of a set,
 * TARS_JWKS_KEYS_MAX keys, TARS_JWS_BYTES_MAX of a token. Threads   A set never changes; safe to
 * share.
 */
#ifndef TARS_AUTH_JWKS_H
#define TARS_AUTH_JWKS_H

#include <stddef.h>

#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_JWKS_BYTES_MAX ((size_t)256 << 10)
#define TARS_JWKS_KEYS_MAX  64
#define TARS_JWS_BYTES_MAX  ((size_t)16 << 10)

struct tars_jwks;

/* Keys that we cannot use are passed over. EFORMAT: no key set; ENOMEM. */
TARS_MUST_USE tars_status tars_jwks_parse(struct tars_span json, struct tars_jwks **jwks);
/* NULL is allowed. */
void tars_jwks_free(struct tars_jwks *jwks);
/* How many of its keys can be used. */
size_t tars_jwks_count(const struct tars_jwks *jwks);

/* Verify a token in compact form and append its payload, decoded.
 *
 *   TARS_EDENIED    no token of this kind, or not signed by that key
 *   TARS_ENOTFOUND  signed by a key that is not in the set: perhaps a newer one
 *   TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_jwks_verify(const struct tars_jwks *jwks, struct tars_span token,
                                           struct tars_buf *payload);

#endif
