/* rarity - rare words of a question weigh a little more than BM25 gives them.
 *
 * The idf to the power of 1.5 in place of the idf: a weight of sqrt(idf) for each word
 * (docs/quality.md). Divided by that of the mean idf, so that scores keep their size.
 */
#ifndef TARS_RETRIEVE_RARITY_H
#define TARS_RETRIEVE_RARITY_H

#include <stddef.h>

#include "index/index.h"

/* Change the weights of terms, shape (count,). Terms with an idf of their own are taken at it. */
void tars_rarity_weigh(const struct tars_index *index, struct tars_index_query_term *terms,
                       size_t count);

#endif
