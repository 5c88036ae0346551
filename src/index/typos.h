/* typos - the terms that are spelt nearly as one that is not there.
 *
 * Method    All terms of the text are looked at, of which a length and a set of letters (one bit a
 *           letter) turn nearly all away; the rest are compared letter by letter. A step is a byte
 *           more, less, another, or two that changed places. So it costs a nanosecond or two a
 *           term, once a misspelt word, and nothing is stored for it but the 32 bits.
 * Distance  1 for words of 5 bytes, 2 from 9 on; shorter ones have no neighbours. Outside of ASCII
 * a letter is some bytes, so fewer slips are mended there.
 */
#ifndef TARS_INDEX_TYPOS_H
#define TARS_INDEX_TYPOS_H

#include <stddef.h>
#include <stdint.h>

#include "index/index.h"
#include "index/postings.h"

/* The letters of a term, a bit each. */
uint32_t tars_typos_letters(const char *ptr, size_t len);
/* The terms nearest to (ptr, len): at most max, nearest first, then most frequent. None when it is
 * a term itself. Returns how many. */
size_t tars_typos_find(const struct tars_postings *postings, const char *ptr, size_t len,
                       struct tars_index_similar *out, size_t max);

#endif
