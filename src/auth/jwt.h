/* jwt - our own tokens: JSON Web Tokens (RFC 7519) of one kind, HS256 under one secret.
 *
 *     {"alg":"HS256","typ":"JWT"} . {"sub":"desk-1","device_name":null,...,"type":"access"} . MAC
 *
 * Claims    Those of the wire contract, section 8, with jti, tenant and family added. What another
 *           program signed with the same secret is read too: jti, iat and the device may be
 * missing. Strict    The header is compared with the one text above as a whole, so there is no
 * algorithm to choose and none to confuse; the signature is checked before any claim is read;
 *           duplicate members, wrong types and tokens over TARS_JWT_BYTES_MAX are refused.
 * Pure      The time and the identity come in from outside.
 */
#ifndef TARS_AUTH_JWT_H
#define TARS_AUTH_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_JWT_BYTES_MAX  ((size_t)8 << 10) /* of a whole token */
#define TARS_JWT_SECRET_MIN 32                /* bytes of a secret (RFC 7518, 3.2) */

enum tars_jwt_type { TARS_JWT_ACCESS = 1, TARS_JWT_REFRESH = 2 };

struct tars_jwt {
    enum tars_jwt_type type;
    const char *sub;         /* client_id */
    const char *tenant;      /* NULL: not in the token */
    const char *jti;         /* NULL: not in the token */
    const char *family;      /* what all tokens of one sign-in share; NULL: not in the token */
    bool has_device;         /* device_name and device_type are in the token; access only */
    const char *device_name; /* NULL: null */
    const char *device_type; /* NULL: null */
    int64_t issued_us;       /* "issued_at" (access) and "iat"; 0 when it is not there */
    int64_t expires_s;       /* "exp", seconds since 1970 */
};

/* True when token says it is one of ours, by its header; nothing is verified. */
bool tars_jwt_looks_ours(struct tars_span token);

/* out: in the arena. ETOOBIG: it would be over TARS_JWT_BYTES_MAX; EINVAL: the secret is
 * too short. */
TARS_MUST_USE tars_status tars_jwt_sign(struct tars_span secret, const struct tars_jwt *jwt,
                                        struct tars_arena *arena, const char **out);

/* Verify and read. EDENIED: not one that we signed, in any way; ETIMEOUT: ours, and past its time
 * (leeway 0: at exp it has expired), out is filled in then too; ENOMEM. */
TARS_MUST_USE tars_status tars_jwt_verify(struct tars_span secret, struct tars_span token,
                                          int64_t now_s, struct tars_arena *arena,
                                          struct tars_jwt *out);

#endif
