/* phrases - the passages that hold some words in their order.
 *
 * Method    The lists of the words are walked side by side, led by the rarest, to the passages that
 *           have them all; of those, the order of the words is looked at (sequence.h). In a title
 * or a heading the order is not known: all words, wherever they stand there.
 */
#ifndef TARS_INDEX_PHRASES_H
#define TARS_INDEX_PHRASES_H

#include "index/index.h"
#include "index/passages.h"
#include "index/postings.h"
#include "index/sequence.h"

struct tars_phrases {
    const struct tars_postings *postings;
    const struct tars_passages *passages;
    const struct tars_sequence *sequence;
    struct tars_passages_view view;
};

/* As tars_index_find_phrase(). */
TARS_MUST_USE tars_status tars_phrases_find(const struct tars_phrases *phrases,
                                            const struct tars_index_phrase *phrase, uint64_t **ids,
                                            size_t *n);

#endif
