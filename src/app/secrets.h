/* secrets - the key that signs tokens: the operator's, or one that is made once and kept.
 *
 *     DATA/jwt.key   64 hex digits, 0600: made when JWT_SECRET_KEY is not set
 *
 * The key that the wire contract documents is known to everybody: on loopback it counts as not set,
 * elsewhere it is refused.
 */
#ifndef TARS_APP_SECRETS_H
#define TARS_APP_SECRETS_H

#include <stdbool.h>

#include "app/settings.h"
#include "base/mem/arena.h"
#include "base/status.h"

/* secret: in the arena, at least 32 bytes. EINVAL: JWT_SECRET_KEY is too short, or the documented
 * one while not on loopback; EFORMAT: the file is damaged; EDENIED: others than its owner may read
 * it; EIO, ENOMEM. Words say the remedy. */
TARS_MUST_USE tars_status tars_secrets_signing(const struct tars_settings *settings,
                                               const char *data, bool is_loopback,
                                               struct tars_arena *arena, const char **secret,
                                               struct tars_err *err);
/* Did the operator give a key of their own? Else one is made: here, or by those who share a store.
 */
bool tars_secrets_is_given(const struct tars_settings *settings);

#endif
