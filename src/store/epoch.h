/* epoch - names for the states of a store, so that no two states anywhere have the same name.
 *
 * The number of the last change (seq) names a state of one store in one run of its history. It
 * does not outside: two servers have a change 7 each, and so has a copy of a data folder that was
 * put back, once other documents have come. Whoever shares with others what depends on documents
 * (cache/) therefore names a state by an epoch and seq together.
 *
 *     open   seq S; the store remembers "epoch E ended at S"  ->  S is named E, all else by a new,
 *                                                                 random epoch of this process
 *     close  the store remembers the epoch of the last state
 *
 * Invariant   An epoch belongs to one process, and in it seq only ever grows: so (epoch, seq) is
 *             one state. A state that is inherited is the very one that its epoch ended with: all
 *             changes are after it, and get another epoch. A process that dies without closing,
 *             or a store that was put back, changed or written without an epoch, leaves a number
 *             that does not match, or the old state itself: then old names are not used again, or
 *             are right.
 * Threads     Safe to share; open and close are of one.
 */
#ifndef TARS_STORE_EPOCH_H
#define TARS_STORE_EPOCH_H

#include <stdint.h>

#include "base/status.h"

#define TARS_EPOCH_BYTES 33 /* 32 hex digits and a NUL */

struct tars_store;
struct tars_epoch;

/* store is borrowed until the closing. */
TARS_MUST_USE tars_status tars_epoch_open(struct tars_store *store, struct tars_epoch **epoch,
                                          struct tars_err *err);
/* With the epoch that all who share the store have in common, for as long as any of them is there
 * (TARS_STORE_EPOCH of store_postgres.h): what one of them finds is right for the others. */
TARS_MUST_USE tars_status tars_epoch_open_shared(struct tars_store *store,
                                                 struct tars_epoch **epoch, struct tars_err *err);
/* Of the state after change seq. Lent until the closing. */
const char *tars_epoch_of(const struct tars_epoch *epoch, uint64_t seq);
/* Nothing may change the store any more. What cannot be remembered is only not found again. NULL
 * is allowed. */
void tars_epoch_close(struct tars_epoch *epoch);
/* What was remembered of this store is not true any more: passages were changed in another way
 * than by the change log. */
TARS_MUST_USE tars_status tars_epoch_forget(struct tars_store *store, struct tars_err *err);

#endif
