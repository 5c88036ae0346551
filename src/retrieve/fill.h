/* fill - the scores that one of the two lists left out.
 *
 * What only the words found has a cosine all the same, and what only the vectors found may hold
 * words of the question. Fusion, relevance and the caller see both; all words' scores are asked for
 * at once, since most of one is looking up the question's terms.
 */
#ifndef TARS_RETRIEVE_FILL_H
#define TARS_RETRIEVE_FILL_H

#include "base/mem/arena.h"
#include "index/index.h"
#include "retrieve/fuse.h"
#include "vectors/vectors.h"

/* Fill in what is NaN in fused (count,). held has vectors of the candidates where vector is set;
 * vector NULL: cosines stay NaN. Words' scores become 0 where there is none. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_fill_scores(const struct tars_index *index,
                                           const struct tars_vectors_held *held,
                                           const float *vector,
                                           const struct tars_index_query_term *terms,
                                           size_t n_terms, struct tars_arena *arena,
                                           struct tars_fused *fused, size_t count);

#endif
