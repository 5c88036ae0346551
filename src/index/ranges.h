/* ranges - the postings of one term as a snapshot has them: by ranges of 16 passages, each with
 * what it can score at most.
 *
 *     struct tars_ranges_head                       16 bytes
 *     dense    bases   uint32 (ceil(groups / 16),)  where each 16th group begins in data
 *              starts  uint16 (groups,)             where each begins, from its base
 *              masks   uint16 (groups,)             which of its 16 ranges have the term
 *              bounds  uint8 (count,)               of the ranges that have it
 *              data    their postings
 *     sparse   skips   {uint32 range, at} (ceil(count / 64),)   each 64th range and its entry
 *              data    entries: varint(step << 1 | one posting), bound, [bytes,] postings
 *
 *     a posting: first of its range << 7 | ordinal % 16 << 3 | tf; where tf is over 7: 0, and then
 *                bytes of 6 bits of it, with 0x40 where more follow
 *
 * A list is dense when more than a DENSE_PART-th of all ranges have the term: then bounds are added
 * up for the 16 ranges of a group with a few instructions, and any range is found at once: no other
 * byte of data has the upper bit, so the n-th range of a group begins at its n-th. step counts
 * ranges from the one before, at least 1; the first from -1.
 *
 * Bounds    ceil(255 * tf / (tf + k1 * (1 - b + b * length / mean))), the greatest of the range,
 *           with the k1, b and mean of the snapshot. With another mean it is at most mean / that
 *           mean times as much (bm25_ranges.c).
 *
 * Safety    Lists may be damaged: open() compares sizes with what is there, and nothing is read
 *           behind data whatever it says.
 */
#ifndef TARS_INDEX_RANGES_H
#define TARS_INDEX_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TARS_RANGES_LOG   4
#define TARS_RANGES_SIZE  (1U << TARS_RANGES_LOG) /* passages in a range */
#define TARS_RANGES_GROUP 16                      /* ranges with one start */
#define TARS_RANGES_BASE  16                      /* groups with one base */
#define TARS_RANGES_SKIP  64                      /* entries between skips */

/* Stored as it is. */
struct tars_ranges_head {
    uint32_t count;  /* ranges that have the term */
    uint32_t spread; /* ranges that the list looks at, from range 0; 0: sparse */
    uint32_t bytes;  /* of data */
    uint32_t last;   /* ordinal of the last posting */
};
struct tars_ranges_skip {
    uint32_t range;
    uint32_t at; /* of its entry in data */
};

/* An opened list. */
struct tars_ranges {
    struct tars_ranges_head head;
    const uint32_t *bases;                /* dense */
    const uint16_t *starts, *masks;       /* dense */
    const uint8_t *bounds;                /* dense: (head.count,) */
    const struct tars_ranges_skip *skips; /* sparse */
    const uint8_t *data;                  /* (head.bytes,) */
};

/* Where one range's postings are. */
struct tars_ranges_span {
    uint32_t range;
    uint32_t bound;     /* sparse */
    const uint8_t *ptr; /* (len,) */
    uint32_t len;
    uint32_t next; /* sparse: the entry behind it */
};

struct tars_ranges_posting {
    uint32_t ordinal;
    uint32_t tf;
};

/* The list that begins at ptr, of which len bytes are mapped. False: damaged. */
bool tars_ranges_open(struct tars_ranges *ranges, const void *ptr, size_t len);
/* Dense: whether the list has the range. */
static inline bool tars_ranges_has(const struct tars_ranges *ranges, uint32_t range)
{
    return range < ranges->head.spread &&
           (ranges->masks[range / TARS_RANGES_GROUP] >> range % TARS_RANGES_GROUP & 1);
}
/* The first range of the list that is not under range. False: there is none. */
bool tars_ranges_seek(const struct tars_ranges *ranges, uint32_t range,
                      struct tars_ranges_span *span);
/* The one behind it. */
bool tars_ranges_next(const struct tars_ranges *ranges, struct tars_ranges_span *span);
/* The next posting of a range; *at is an offset into span, from 0. */
bool tars_ranges_posting(const struct tars_ranges_span *span, uint32_t *at,
                         struct tars_ranges_posting *out);

/* Sparse: the entry at *at, which it moves behind. span->range is the range before, UINT32_MAX at
 * first. */
static inline bool tars_ranges_entry(const struct tars_ranges *ranges, uint32_t *at,
                                     struct tars_ranges_span *span)
{
    const uint8_t *ptr = ranges->data + *at;
    const uint8_t *end = ranges->data + ranges->head.bytes;
    uint32_t step = 0;
    unsigned shift = 0;

    do {
        if (ptr >= end || shift > 28)
            return false;
        step |= (uint32_t)(*ptr & 0x7f) << shift;
        shift += 7;
    } while (*ptr++ & 0x80);
    if (step < 2 || end - ptr < 2 || (step >> 1) > UINT32_MAX / 2 - (span->range + 1))
        return false;
    span->range += step >> 1;
    span->bound = *ptr++;
    span->len = step & 1 ? 1 : *ptr++;
    if (span->len > (size_t)(end - ptr))
        return false;
    span->ptr = ptr;
    *at = (uint32_t)(ptr + span->len - ranges->data);
    span->next = *at;
    return true;
}

/* Bytes that make() may need for count postings in an index of passages; 0: too many. */
size_t tars_ranges_room(size_t count, uint32_t passages);
/* Write the list of count > 0 postings, ordinals ascending below passages, bounds (count,) theirs.
 * Returns its bytes, a multiple of 8; out is 8-byte aligned and has room(). */
size_t tars_ranges_make(const struct tars_ranges_posting *postings, const uint8_t *bounds,
                        size_t count, uint32_t passages, uint8_t *out);

#endif
