/* history - does an index know of the same past as its store?
 *
 * A database can go back to an earlier state (an archive, a dump, a copy that lagged) and be
 * written again. Numbers of changes and of passages are then given a second time, for something
 * else, and an index that had followed the first ones would answer with texts that it never saw.
 * Its number alone does not tell, once the store has passed it. So whoever saves an index leaves a
 * mark in both:
 *
 *     DATA/index-ID/history   "tars-history 1\n" NAME "\n" (SEQ " " TOKEN "\n"){1,2}   newest first
 *     the store's meta        "index.NAME" -> TOKEN " " TOKEN                          newest first
 *
 * Order: file, store, then the index itself. A snapshot of state SEQ is thus in place only when the
 * store had TOKEN, in a transaction after that state. A store that has it has that state in its
 * past; one that has not went back. The mark of the snapshot that is there stays beside it, for a
 * stop or saves that fail in between, if the store has it: what a store gave up never comes into it
 * again, not with a copy of the folder either.
 *
 * A snapshot whose number has no mark in its folder was copied from elsewhere, and is taken as it
 * is. Threads   One at a time for a folder.
 */
#ifndef TARS_INGEST_HISTORY_H
#define TARS_INGEST_HISTORY_H

#include <stdint.h>

#include "base/status.h"
#include "store/store.h"

/* Before an index of state seq is saved into the folder dir. After a failure it must not be saved.
 */
TARS_MUST_USE tars_status tars_history_mark(struct tars_store *store, const char *dir, uint64_t seq,
                                            struct tars_err *err);

/* The index in dir is of state seq. TARS_EMISMATCH: that state is not in the store's past, or the
 * file of marks is damaged; it must be built again. */
TARS_MUST_USE tars_status tars_history_check(struct tars_store *store, const char *dir,
                                             uint64_t seq, struct tars_err *err);

/* What the file of marks holds; for tests and fuzzing. */
#define TARS_HISTORY_NAME_BYTES 17 /* 16 hex digits, NUL */
struct tars_history {
    char name[TARS_HISTORY_NAME_BYTES]; /* of the folder */
    struct tars_history_mark {
        uint64_t seq;
        char token[TARS_HISTORY_NAME_BYTES];
    } marks[2]; /* (count,) newest first */
    size_t count;
};
/* TARS_EFORMAT: it is not such a file. */
TARS_MUST_USE tars_status tars_history_parse(const char *ptr, size_t len,
                                             struct tars_history *history);

#endif
