/* sequence - the words of each passage in their order, so that phrases can be found.
 *
 *     places  {at, len} (passages,)     where a passage's words are in bytes
 *     bytes   0 .. 3          1 to 4 words that were left out (stop words)
 *             4 .. 191        terms 0 to 187
 *             192 .. 247      the next 14,336, with another byte
 *             248 .. 254      the next 458,752, with two
 *             255             any, its number in four
 *             What was left out at the end is not told.
 *
 * Terms are numbered by how many passages have them when a snapshot is written, so that a word
 * takes little more than a byte and a half. Lists of positions by term would take a little less;
 * they would need a place for every posting, and a phrase looks at few passages (phrases.h).
 *
 * Threads   One writer; readers may ask for passages that were published.
 * Safety    A mapped one may be damaged: places are compared with bytes, and a word that does not
 *           end ends the passage.
 */
#ifndef TARS_INDEX_SEQUENCE_H
#define TARS_INDEX_SEQUENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "index/column.h"

#define TARS_SEQUENCE_GAP   UINT32_MAX /* a word that was left out */
#define TARS_SEQUENCE_RUN   4          /* words that a byte can stand for */
#define TARS_SEQUENCE_BYTES 6          /* that encode() may write */

/* Stored as it is. */
struct tars_sequence_place {
    uint32_t at;
    uint32_t len;
};

struct tars_sequence {
    struct tars_column bytes;
    struct tars_column places; /* of struct tars_sequence_place, by ordinal */
    _Atomic uint32_t count;    /* places that are made */
};

/* A passage's words, one after another. */
struct tars_sequence_reader {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t gaps; /* words that were left out, still to be told */
};

void tars_sequence_init(struct tars_sequence *sequence);
void tars_sequence_release(struct tars_sequence *sequence);
/* The bases of bytes and places are set. */
void tars_sequence_adopt(struct tars_sequence *sequence);
/* The words (count,) of the passage with this ordinal, over all that were put: numbers of terms, or
 * TARS_SEQUENCE_GAP. TARS_ENOMEM, TARS_ETOOBIG: not put. */
TARS_MUST_USE tars_status tars_sequence_put(struct tars_sequence *sequence, uint32_t ordinal,
                                            const uint32_t *words, size_t count);
/* Read the words of a passage; none when it has none. */
struct tars_sequence_reader tars_sequence_read(const struct tars_sequence *sequence,
                                               uint32_t ordinal);
/* The next word. False: that was all. */
bool tars_sequence_next(struct tars_sequence_reader *reader, uint32_t *word);
/* Write a word, and what was left out before it; returns the bytes, at most TARS_SEQUENCE_BYTES, 0
 * for a word that is left out itself. *gaps remembers those, 0 at first. */
size_t tars_sequence_encode(uint8_t *out, uint32_t *gaps, uint32_t word);

#endif
