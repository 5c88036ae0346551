/* meanwhile - a journal of what the writer did while a save was under way, to be done again to what
 * the save made.
 *
 *     writer  ── append ──▶ [ add | remove | publish ] ── take ──▶ saver, who does it again
 *
 * Passages are copied with their words and vectors, one block of memory each.
 *
 * Bounds    Whoever appends looks at bytes (index.c holds the writer back).
 * Threads   None of its own: index.c holds a lock.
 */
#ifndef TARS_INDEX_MEANWHILE_H
#define TARS_INDEX_MEANWHILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "index/index.h"

enum tars_meanwhile_kind {
    TARS_MEANWHILE_ADD,
    TARS_MEANWHILE_REMOVE,
    TARS_MEANWHILE_PUBLISH,
};

struct tars_meanwhile_entry {
    struct tars_meanwhile_entry *next;
    enum tars_meanwhile_kind kind;
    size_t bytes;                      /* of all of it */
    struct tars_index_passage passage; /* ADD: all that it points to is in the same block */
    uint64_t first, last;              /* REMOVE */
};

struct tars_meanwhile {
    struct tars_meanwhile_entry *first; /* the oldest; owned, with all behind it */
    struct tars_meanwhile_entry *newest;
    size_t count; /* entries appended and not done again yet: taken ones count until done() */
    size_t bytes; /* of those that are held */
};

/* Append; passage (of vectors of dim floats) is copied. TARS_ENOMEM: not appended. */
TARS_MUST_USE tars_status tars_meanwhile_add(struct tars_meanwhile *journal,
                                             const struct tars_index_passage *passage, size_t dim);
TARS_MUST_USE tars_status tars_meanwhile_remove(struct tars_meanwhile *journal, uint64_t first,
                                                uint64_t last);
TARS_MUST_USE tars_status tars_meanwhile_publish(struct tars_meanwhile *journal);
/* Gives the oldest, or NULL; to be freed. */
struct tars_meanwhile_entry *tars_meanwhile_take(struct tars_meanwhile *journal);
/* One that was taken is done. */
void tars_meanwhile_done(struct tars_meanwhile *journal);
void tars_meanwhile_clear(struct tars_meanwhile *journal);

#endif
