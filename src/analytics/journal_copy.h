/* journal_copy - the rows that wait in a journal, as a file, while its owner goes on.
 *
 * Two steps, because rows leave the journal for the sink meanwhile:
 *
 *     _take     what waited at a moment, without those that were taken out while it was read
 *     _settle   after the sink was looked at, later: without those that it has by then. Positions
 *               that it knows are never given to other rows: the ring goes on behind them
 *
 * A journal opened on the copy, over a copy of the sink of that later moment, writes every row
 * once.
 */
#ifndef TARS_ANALYTICS_JOURNAL_COPY_H
#define TARS_ANALYTICS_JOURNAL_COPY_H

#include <stdint.h>

#include "base/status.h"

/* Into the empty file fd. *journal: which it is. ENOTFOUND: there is no file at path; EFORMAT: none
 * of ours; EIO, ENOMEM. */
TARS_MUST_USE tars_status tars_journal_take(const char *path, int fd, uint64_t *journal,
                                            struct tars_err *err);
/* position: what the sink knows of it. EFORMAT, EIO. */
TARS_MUST_USE tars_status tars_journal_settle(int fd, uint64_t position, struct tars_err *err);

#endif
