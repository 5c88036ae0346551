/* postings - which passages hold a term, and how often.
 *
 *     slots [ . 7 . . 3 . ]            open addressing, by hash; a slot is a term's number + 1
 *     term 3 -> list                   mapped, never written (ranges.h)
 *     tail 3 -> block -> block         those since; each block with up to 128 passages:
 *
 *     block  state  = last ordinal << 32 | bytes << 16 | count     one atomic store publishes a
 *            next, bound, first, cap                               posting
 *            data: for each posting after the first: varint(step << 1 | tf is 1), and varint(tf)
 *            if it is not 1; the first one gives its tf only, as step 0
 *
 * Model     Ordinals of a term ascend; the single writer appends. bound = greatest tf << 16 | least
 *           length of the passages: what a block, and a term, can score at most.
 *
 * Readers   See a prefix of each list. Old slot tables live until release; they sum to one new one.
 *
 * Safety    A mapped snapshot may be damaged: indexes are compared with bounds, a list ends where
 *           ordinals stop ascending, and a search of the slots ends after one round.
 *
 * Threads   One writer; any number of readers.
 */
#ifndef TARS_INDEX_POSTINGS_H
#define TARS_INDEX_POSTINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "index/column.h"
#include "index/index.h"
#include "index/ranges.h"

#define TARS_POSTINGS_BLOCK    128 /* postings in a block */
#define TARS_POSTINGS_TERM_MAX 255 /* bytes of a term */
#define TARS_POSTINGS_UNIT     8   /* bytes of an element of the blocks column */
#define TARS_POSTINGS_NONE     UINT32_MAX
#define TARS_POSTINGS_END      UINT32_MAX /* a cursor's ordinal behind the last posting */

/* Stored in snapshots as they are. */
struct tars_postings_term {
    uint64_t hash;
    uint32_t text;          /* index in texts */
    uint16_t len;           /* bytes */
    uint16_t field;         /* enum tars_index_field */
    uint32_t first;         /* unit of the mapped list, or TARS_POSTINGS_NONE */
    uint32_t letters;       /* typos.h; while a snapshot is written, which term it was before */
    _Atomic uint32_t df;    /* postings, those of dead passages included */
    _Atomic uint32_t bound; /* greatest tf << 16 | least length */
};
/* Not stored: the blocks of a term that this process made. So a damaged snapshot can only lead to
 * mapped blocks, and those are checked. */
struct tars_postings_tail {
    _Atomic uint32_t first; /* unit + 1 of the first one, 0: none */
    uint32_t last;          /* unit + 1 of the last one; the writer's */
};
struct tars_postings_block {
    _Atomic uint64_t state;
    _Atomic uint32_t next; /* unit, or TARS_POSTINGS_NONE */
    _Atomic uint32_t bound;
    uint32_t first; /* ordinal of the first posting */
    uint32_t cap;   /* bytes of data, a multiple of the unit */
    uint8_t data[];
};

struct tars_postings_slots; /* a slot table */

struct tars_postings {
    struct tars_column terms;  /* of struct tars_postings_term */
    struct tars_column texts;  /* of bytes */
    struct tars_column blocks; /* of units */
    struct tars_column tails;  /* of struct tars_postings_tail, one a term */
    void *tail_base;           /* owned; tails of the mapped terms */
    _Atomic(struct tars_postings_slots *) slots;
    _Atomic uint32_t term_count; /* terms that readers may touch */
    double k1, b;                /* for the bounds of the next snapshot */
    /* What the bounds of the mapped lists are for. */
    double base_k1, base_b;
    double base_means[TARS_INDEX_FIELDS];
    uint32_t base_passages;
};

/* One term's postings, some at a time: those of the mapped list, then those of the tail. Open for
 * the scorer, which only reads. */
struct tars_postings_cursor {
    const struct tars_postings *postings;
    struct tars_ranges ranges;               /* the mapped list; while not in_tail */
    struct tars_ranges_span span;            /* its last range that was decoded */
    bool begun;                              /* span is one */
    const struct tars_postings_block *block; /* of the tail */
    uint64_t state;                          /* of block, when it was entered */
    uint32_t ordinal;                        /* of the posting it stands on, or TARS_POSTINGS_END */
    uint32_t tf;                             /* of that posting */
    uint32_t at;                             /* which of those that are decoded */
    uint32_t count;                          /* postings decoded */
    uint32_t number;                         /* of term */
    bool in_tail;                            /* the mapped list is behind */
    uint32_t next_min;                       /* later ordinals must not be under it */
    uint32_t ordinals[TARS_POSTINGS_BLOCK];
    uint32_t tfs[TARS_POSTINGS_BLOCK];
};

void tars_postings_init(struct tars_postings *postings);
/* After the bases of terms, texts and blocks are set: lend the mapped slots (mask + 1,), a power of
 * two. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_postings_set_slots(struct tars_postings *postings,
                                                  _Atomic uint32_t *slots, uint32_t mask);
void tars_postings_release(struct tars_postings *postings);

/* Append a posting of the passage whose field has length words; ordinal is over every one of this
 * term so far. TARS_ENOMEM, TARS_ETOOBIG: not appended. */
TARS_MUST_USE tars_status tars_postings_add(struct tars_postings *postings,
                                            const struct tars_index_term *term, uint32_t ordinal,
                                            uint32_t length);

uint64_t tars_postings_hash(const char *ptr, size_t len, enum tars_index_field field);
/* The number of a term, or TARS_POSTINGS_NONE. */
uint32_t tars_postings_find(const struct tars_postings *postings, const char *ptr, size_t len,
                            enum tars_index_field field);
static inline struct tars_postings_term *tars_postings_term_at(const struct tars_postings *postings,
                                                               uint32_t number)
{
    return tars_column_at(&postings->terms, number);
}
/* A term's bytes, or NULL in a damaged snapshot. */
const char *tars_postings_text(const struct tars_postings *postings,
                               const struct tars_postings_term *term);

/* The mapped list of a term. False: it has none, or it is damaged. */
bool tars_postings_list(const struct tars_postings *postings, uint32_t number,
                        struct tars_ranges *ranges);
/* Stand on the first posting of a term that is not mapped. */
void tars_postings_cursor_tail(struct tars_postings_cursor *cursor,
                               const struct tars_postings *postings, uint32_t number);
/* Stand on the first posting of a term; number may be TARS_POSTINGS_NONE. */
void tars_postings_cursor_init(struct tars_postings_cursor *cursor,
                               const struct tars_postings *postings, uint32_t number);
/* Go to the first posting whose ordinal is not under ordinal. Never goes back. */
void tars_postings_seek(struct tars_postings_cursor *cursor, uint32_t ordinal);
/* Go to the block that may hold ordinal without decoding it; its bound, or 0 when there is none.
 * In the mapped list it stays where it is, and the bound is that of the term. */
uint32_t tars_postings_peek(struct tars_postings_cursor *cursor, uint32_t ordinal);

/* How often a passage of a mapped list has its term, 0: not. Reads nothing but the passage's range.
 */
uint32_t tars_postings_tf(const struct tars_ranges *ranges, uint32_t ordinal);

/* bound with one more posting in it. 0 is the bound of nothing. */
uint32_t tars_postings_bound(uint32_t bound, uint32_t tf, uint32_t length);
/* The varints of a posting, at most 10 bytes, into out; how many. */
size_t tars_postings_encode(uint8_t *out, uint32_t step, uint32_t tf);

#endif
