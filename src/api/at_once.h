/* at_once - how many questions each caller has under way, and a bound on that.
 *
 * Model     A table of the callers that have questions under way, by a keyed hash of their names,
 *           with a count each; nothing is kept of the others.
 * Bounds    As many rows as questions are answered at once; a look costs a walk over them.
 * Threads   Safe to share.
 */
#ifndef TARS_API_AT_ONCE_H
#define TARS_API_AT_ONCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"

struct tars_at_once;

/* limit: questions of one caller; 0: none. */
TARS_MUST_USE tars_status tars_at_once_new(size_t limit, struct tars_at_once **at_once);
/* Nobody has a place. NULL is allowed. */
void tars_at_once_free(struct tars_at_once *at_once);

/* From now on; those under way end as they are. */
void tars_at_once_set(struct tars_at_once *at_once, size_t limit);
size_t tars_at_once_limit(struct tars_at_once *at_once);

/* A place for one more question of the caller, which *place names, never 0. EBUSY: it has as many
 * as it may; ENOMEM. */
TARS_MUST_USE tars_status tars_at_once_enter(struct tars_at_once *at_once, struct tars_span caller,
                                             uint64_t *place);
void tars_at_once_leave(struct tars_at_once *at_once, uint64_t place);

#endif
