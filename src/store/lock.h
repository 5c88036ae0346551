/* lock - one process at a time in a data folder.
 *
 * The lock is flock(2) on DIR/lock: it goes with the process, however that ends. The file holds the
 * owner's pid, for people only.
 */
#ifndef TARS_STORE_LOCK_H
#define TARS_STORE_LOCK_H

#include "base/status.h"

/* *fd is the lock: closing it lets go. EBUSY when somebody has it; err says who. */
TARS_MUST_USE tars_status tars_store_lock(const char *dir, int *fd, struct tars_err *err);

#endif
