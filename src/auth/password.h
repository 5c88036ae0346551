/* password - secrets of accounts: argon2id (RFC 9106), as encoded text in the store.
 *
 *     $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>
 *
 * Cost      19 MiB and two passes: about 33 ms of one core (measured), so that a stolen store is
 *           slow to search and a sign-in is not felt.
 * Bounds    At most slots hashes at a time (19 MiB each) and at most waiting callers behind them;
 * the next is told TARS_EAGAIN at once, so a flood of sign-ins takes a bounded share of memory,
 *           processors and threads.
 * Timing    The comparison is in constant time, and with no hash to compare with as much work is
 * done as with one: a stranger cannot tell which names exist. Threads   Safe to share; blocks.
 */
#ifndef TARS_AUTH_PASSWORD_H
#define TARS_AUTH_PASSWORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_PASSWORD_MEMORY_KIB 19456
#define TARS_PASSWORD_PASSES     2
#define TARS_PASSWORD_BYTES_MAX  1024 /* of a secret */

struct tars_password;

struct tars_password_config {
    size_t slots;        /* hashes at a time; 0: 2 */
    size_t waiting;      /* callers that may wait for a slot; 0: 8 */
    uint32_t memory_kib; /* of new hashes; 0: TARS_PASSWORD_MEMORY_KIB */
    uint32_t passes;     /* 0: TARS_PASSWORD_PASSES */
};

TARS_MUST_USE tars_status tars_password_new(const struct tars_password_config *config,
                                            struct tars_password **password);
/* Nobody may be inside. NULL is allowed. */
void tars_password_free(struct tars_password *password);

/* encoded: in the arena. EINVAL: empty or too long; EAGAIN: too many at a time. */
TARS_MUST_USE tars_status tars_password_hash(struct tars_password *password,
                                             struct tars_span secret, struct tars_arena *arena,
                                             const char **encoded);

/* encoded NULL or "": there is no such account; the answer is EDENIED, after the same work.
 * EDENIED: it is not the secret. EAGAIN: as above. EFORMAT: encoded is damaged. */
TARS_MUST_USE tars_status tars_password_verify(struct tars_password *password, const char *encoded,
                                               struct tars_span secret);

#endif
