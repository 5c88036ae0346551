/* column - an array that grows and never moves, so that readers need no lock.
 *
 *     0 .. base_count          in the snapshot, mapped (writes stay private to this process)
 *     base_count ..            segments of 1, 1, 2, 4, 8 ... times first elements
 *
 * Model     Elements of one size, zeroed when new; each segment begins a cache line. The writer
 * fills one and then publishes its index by some atomic store of its own; a reader that got the
 * index by an acquiring load sees the element. Nothing is taken back.
 *
 * Bounds    2^32 elements. Memory: at most twice what is used; untouched pages of it cost none.
 *
 * Threads   One writer; tars_column_at() is for any thread that knows the index.
 */
#ifndef TARS_INDEX_COLUMN_H
#define TARS_INDEX_COLUMN_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TARS_COLUMN_SEGMENTS 33
#define TARS_COLUMN_MAX      (UINT32_MAX - 1) /* elements */

struct tars_column {
    size_t elem;         /* bytes of an element */
    unsigned char *base; /* (base_count, elem), borrowed; NULL when base_count is 0 */
    uint32_t base_count;
    uint32_t first_log; /* log2 of the first segment's elements */
    uint32_t count;     /* elements taken; the writer's */
    size_t bytes;       /* allocated; the writer's */
    _Atomic(unsigned char *) segments[TARS_COLUMN_SEGMENTS]; /* in owned; segment s > 0 has
                                                                2^(first_log + s - 1) elements */
    void *owned[TARS_COLUMN_SEGMENTS]; /* the writer's: as they were allocated */
};

void tars_column_init(struct tars_column *column, size_t elem, uint32_t first_log);
/* Lend the mapped elements; right after init. */
void tars_column_set_base(struct tars_column *column, void *base, uint32_t count);
void tars_column_release(struct tars_column *column);

/* Make sure that n elements in a row can be taken. TARS_ENOMEM, TARS_ETOOBIG; unchanged then. */
TARS_MUST_USE tars_status tars_column_prepare(struct tars_column *column, uint32_t n);
/* Take n elements in a row, which were prepared; the index of the first. Elements are skipped when
 * a segment ends, never for n = 1. */
uint32_t tars_column_take(struct tars_column *column, uint32_t n);

/* The element at index, below what was published. */
static inline void *tars_column_at(const struct tars_column *column, uint32_t index)
{
    uint64_t at;
    uint32_t segment;
    uint64_t start;

    if (index < column->base_count)
        return column->base + (size_t)index * column->elem;
    at = (uint64_t)(index - column->base_count);
    segment = (at >> column->first_log) == 0
                  ? 0
                  : (uint32_t)(64 - __builtin_clzll(at >> column->first_log));
    start = segment == 0 ? 0 : UINT64_C(1) << (column->first_log + segment - 1);
    return atomic_load_explicit(&column->segments[segment], memory_order_relaxed) +
           (size_t)(at - start) * column->elem;
}

/* How many elements in a row begin at index: to the end of its segment, or of what was taken. */
uint32_t tars_column_run(const struct tars_column *column, uint32_t index);

#endif
