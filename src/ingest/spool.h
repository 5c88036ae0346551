/* spool - bytes of an upload on disk before anybody is told "accepted".
 *
 *     DATA/spool/<32 hex digits>.part   while it is written
 *     DATA/spool/<32 hex digits>        complete and synced
 *
 * Threads   A spool file belongs to one thread at a time; the folder may be shared.
 */
#ifndef TARS_INGEST_SPOOL_H
#define TARS_INGEST_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "store/store.h"

struct tars_spool_file;

/* Begin a file in dir (made if needed) of at most max_bytes. */
TARS_MUST_USE tars_status tars_spool_new(const char *dir, int64_t max_bytes,
                                         struct tars_spool_file **file, struct tars_err *err);
/* TARS_ETOOBIG past max_bytes, TARS_EIO. */
TARS_MUST_USE tars_status tars_spool_write(struct tars_spool_file *file, const void *ptr,
                                           size_t len, struct tars_err *err);
/* Sync and name it; *path is lent until _free(). The file stays when file is freed. */
TARS_MUST_USE tars_status tars_spool_commit(struct tars_spool_file *file, const char **path,
                                            struct tars_err *err);
/* Drops what was not committed. NULL is allowed. */
void tars_spool_free(struct tars_spool_file *file);
/* Remove what an earlier process left: unfinished files, and complete ones that no job will read
 * any more (it ended well, was forgotten, or was never queued). Before anybody uploads. */
TARS_MUST_USE tars_status tars_spool_sweep(const char *dir, struct tars_store *store,
                                           struct tars_err *err);

#endif
