/* revoked - the ids of revoked tokens, in memory, so that a check asks no disk.
 *
 * Model     A hash set of the first 16 bytes of each id's SHA-256, with the time at which the token
 *           expires anyway. The store is the truth; this is its copy.
 * Bounds    TARS_REVOKED_MAX ids (24 bytes each); those that have expired are dropped to make room.
 * Threads   Safe to share; readers do not wait for one another.
 */
#ifndef TARS_AUTH_REVOKED_H
#define TARS_AUTH_REVOKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TARS_REVOKED_MAX ((size_t)1 << 20)

struct tars_revoked;

/* max 0: TARS_REVOKED_MAX. */
TARS_MUST_USE tars_status tars_revoked_new(size_t max, struct tars_revoked **revoked);
/* NULL is allowed. */
void tars_revoked_free(struct tars_revoked *revoked);

/* Again with another time: the later one counts. ETOOBIG: full, even without those expired at
 * now_us; ENOMEM. */
TARS_MUST_USE tars_status tars_revoked_add(struct tars_revoked *revoked, const char *id,
                                           int64_t expires_us, int64_t now_us);
bool tars_revoked_has(struct tars_revoked *revoked, const char *id);
/* Forget those that have expired. */
void tars_revoked_prune(struct tars_revoked *revoked, int64_t now_us);
size_t tars_revoked_count(struct tars_revoked *revoked);

#endif
