/* sqlite_copy - an SQLite file of ours as it was at one moment, while another process reads and
 * writes it; and a look into such a copy.
 *
 * Design    A connection of its own begins a read transaction: from then on it sees that moment,
 * and nobody waits for it (WAL). SQLite's backup copies page by page into a file that has no name,
 * in a folder of the caller's choice: a kill leaves nothing behind, and the transaction is over as
 * soon as the disk has written the pages, so that the log does not grow for as long as it takes to
 * compress and send them. Bounds    As much room in that folder as the file has pages. Threads   A
 * copy is of one thread at a time.
 */
#ifndef TARS_STORE_SQLITE_COPY_H
#define TARS_STORE_SQLITE_COPY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct tars_sqlite_copy;

/* Whose file it is. */
enum tars_sqlite_file {
    TARS_SQLITE_STORE,     /* tars.db */
    TARS_SQLITE_ANALYTICS, /* analytics.db */
};

/* The moment is now. ENOTFOUND: no such file; EFORMAT: none of ours, or damaged. */
TARS_MUST_USE tars_status tars_sqlite_copy_begin(const char *path, enum tars_sqlite_file kind,
                                                 struct tars_sqlite_copy **copy,
                                                 struct tars_err *err);
/* NULL is allowed. */
void tars_sqlite_copy_end(struct tars_sqlite_copy *copy);

/* The store's last change at that moment. */
TARS_MUST_USE tars_status tars_sqlite_copy_sequence(struct tars_sqlite_copy *copy,
                                                    uint64_t *sequence, struct tars_err *err);
/* Where the bytes of an upload are that a job of that moment reads: one that waits or runs, or has
 * failed or been stopped and may be tried again. false: stop. */
typedef bool tars_sqlite_spool_fn(void *ctx, const char *spool, bool waits);
TARS_MUST_USE tars_status tars_sqlite_copy_spools(struct tars_sqlite_copy *copy,
                                                  tars_sqlite_spool_fn *each, void *ctx,
                                                  struct tars_err *err);
/* How far the rows that waited in a journal (analytics/journal.h) had been written; 0: not at all.
 */
TARS_MUST_USE tars_status tars_sqlite_copy_journal(struct tars_sqlite_copy *copy, uint64_t journal,
                                                   uint64_t *position, struct tars_err *err);
/* Rows of each table that people ask about. */
typedef void tars_sqlite_rows_fn(void *ctx, const char *table, int64_t rows);
TARS_MUST_USE tars_status tars_sqlite_copy_rows(struct tars_sqlite_copy *copy,
                                                tars_sqlite_rows_fn *each, void *ctx,
                                                struct tars_err *err);
/* All pages into a file without a name in folder; *fd is the caller's. stop: NULL or a flag that
 * ends it with ECANCELED. EIO: also where the copy would leave too little room for whoever writes
 * the file. */
TARS_MUST_USE tars_status tars_sqlite_copy_run(struct tars_sqlite_copy *copy, const char *folder,
                                               const atomic_bool *stop, int *fd,
                                               struct tars_err *err);

/* Is every page of the file right? Read everything; EFORMAT with the first finding. */
TARS_MUST_USE tars_status tars_sqlite_copy_check(struct tars_sqlite_copy *copy,
                                                 struct tars_err *err);
/* A data folder has moved: jobs of the store at path find the bytes of uploads below to that were
 * below from. Durable. */
TARS_MUST_USE tars_status tars_sqlite_copy_move(const char *path, const char *from, const char *to,
                                                struct tars_err *err);

/* What waits in the log of the file at path goes into the file, so that either is moved without the
 * other. Nobody else may have it. EBUSY: somebody has; EFORMAT: it is damaged; EIO. */
TARS_MUST_USE tars_status tars_sqlite_copy_settle(const char *path, enum tars_sqlite_file kind,
                                                  struct tars_err *err);

#endif
