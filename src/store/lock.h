/* lock - one process at a time in a data folder.
 *
 * The lock is flock(2) on DIR/lock: it goes with the process, however that ends. The file holds the
 * owner's pid, for people only.
 */
#ifndef TARS_STORE_LOCK_H
#define TARS_STORE_LOCK_H

#include "base/status.h"

/* A restore takes a backup out into DIR/.restoring. While that is there and nobody has the lock, it
 * was interrupted, and what is in DIR may be half of one thing and half of another. */
#define TARS_STORE_RESTORING ".restoring"

/* *fd is the lock: closing it lets go. EBUSY when somebody has it; err says who. */
TARS_MUST_USE tars_status tars_store_lock(const char *dir, int *fd, struct tars_err *err);
/* EFORMAT: a restore was interrupted in it. */
TARS_MUST_USE tars_status tars_store_check_whole(const char *dir, struct tars_err *err);

#endif
