/* store_sqlite - the store in one SQLite file in a data folder that one process owns.
 *
 *     DATA/lock       who has the folder (flock; the pid is in it)
 *     DATA/tars.db    the file, with -wal and -shm while open
 *
 * Threads   One connection writes, under a lock; a few others read, each by one thread at a time.
 * Durable   WAL; commits that acknowledge something are synchronous=FULL, the others NORMAL.
 *           Checkpoints run only when asked for (tars_store_checkpoint).
 */
#ifndef TARS_STORE_STORE_SQLITE_H
#define TARS_STORE_STORE_SQLITE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "store/store.h"

#define TARS_SQLITE_READERS_DEFAULT 4
#define TARS_SQLITE_READERS_MAX     64

struct tars_store_sqlite_config {
    const char *dir; /* data folder, made when it is not there; required */
    const char *vfs; /* name of a registered SQLite VFS, or NULL (tests cut the power with one) */
    size_t readers;  /* read connections; 0: TARS_SQLITE_READERS_DEFAULT */
    bool beside;     /* another process has the folder and may go on: only for what it does not
                        look at meanwhile (tars_store_revector) */
};

/* Open or make the store; the caller closes it with tars_store_close().
 *
 *   TARS_EBUSY      another process has the folder; err says which
 *   TARS_EFORMAT    the file is not ours or is damaged
 *   TARS_EMISMATCH  made by a newer version
 *   TARS_EIO, TARS_EDENIED, TARS_ENOMEM, TARS_EINVAL
 */
TARS_MUST_USE tars_status tars_store_sqlite_open(const struct tars_store_sqlite_config *config,
                                                 struct tars_store **store, struct tars_err *err);

#endif
