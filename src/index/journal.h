/* journal - what the writer did while a save was under way, to be done again to what it made.
 *
 *     writer  ── append ──▶ [ add | remove | publish ] ── take ──▶ saver, who does it again
 *
 * Passages are copied with their words and vectors, one block of memory each.
 *
 * Bounds    Whoever appends looks at bytes (index.c holds the writer back).
 * Threads   None of its own: index.c holds a lock.
 */
#ifndef TARS_INDEX_JOURNAL_H
#define TARS_INDEX_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "index/index.h"

enum tars_journal_kind {
    TARS_JOURNAL_ADD,
    TARS_JOURNAL_REMOVE,
    TARS_JOURNAL_PUBLISH,
};

struct tars_journal_entry {
    struct tars_journal_entry *next;
    enum tars_journal_kind kind;
    size_t bytes;                      /* of all of it */
    struct tars_index_passage passage; /* ADD: all that it points to is in the same block */
    uint64_t first, last;              /* REMOVE */
};

struct tars_journal {
    struct tars_journal_entry *first; /* the oldest; owned, with all behind it */
    struct tars_journal_entry *newest;
    size_t count; /* entries appended and not done again yet: taken ones count until done() */
    size_t bytes; /* of those that are held */
};

/* Append; passage (of vectors of dim floats) is copied. TARS_ENOMEM: not appended. */
TARS_MUST_USE tars_status tars_journal_add(struct tars_journal *journal,
                                           const struct tars_index_passage *passage, size_t dim);
TARS_MUST_USE tars_status tars_journal_remove(struct tars_journal *journal, uint64_t first,
                                              uint64_t last);
TARS_MUST_USE tars_status tars_journal_publish(struct tars_journal *journal);
/* Gives the oldest, or NULL; to be freed. */
struct tars_journal_entry *tars_journal_take(struct tars_journal *journal);
/* One that was taken is done. */
void tars_journal_done(struct tars_journal *journal);
void tars_journal_clear(struct tars_journal *journal);

#endif
