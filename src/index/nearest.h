/* nearest - the passages nearest to a vector: which way to search the graph, and exact scores.
 *
 * Ways      walk     the graph, asking the filter about what is good enough to be found
 *           seldom   the graph, but only accepted nodes are compared (hnsw.h, Filters)
 *           scan     all accepted nodes are compared: exact but for the codes
 *           A sample of passages says how many a filter accepts, and so which way is cheapest. A
 *           walk with a filter that finds too little is followed by a scan.
 * Rescoring What was found is in order by codes; it is scored exactly from the best on, until the
 *           k-th exact score is better than what codes can be wrong by.
 * Threads   A search is of one thread; any number at once.
 */
#ifndef TARS_INDEX_NEAREST_H
#define TARS_INDEX_NEAREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/index.h"
#include "index/passages.h"
#include "index/snapshot.h"

#define TARS_NEAREST_EF      96    /* candidates of a search */
#define TARS_NEAREST_EF_FLAT 50000 /* windows; with each doubling from there on there are ... */
#define TARS_NEAREST_EF_STEP 32    /* ... more */

/* Candidates that a search among so many windows should have: with more of them, more stand between
 * a walk and the nearest one. */
static inline size_t tars_nearest_ef(uint32_t windows)
{
    size_t ef = TARS_NEAREST_EF;

    for (uint64_t n = TARS_NEAREST_EF_FLAT; n < windows; n *= 2)
        ef += TARS_NEAREST_EF_STEP;
    return ef;
}

struct tars_nearest {
    const struct tars_shadow *shadow; /* dim > 0 */
    struct tars_passages_view view;
    size_t ef;          /* candidates, at least */
    size_t exact_below; /* nodes: fewer are all compared */
};

/* The k nearest passages to query (dim,), as tars_index_search_vector() says. k > 0. */
TARS_MUST_USE tars_status tars_nearest_search(const struct tars_nearest *nearest,
                                              const float *query, size_t k,
                                              const struct tars_index_filter *filter,
                                              struct tars_index_hit *hits, size_t *n);
/* The exact cosine of a passage's best window; false when it has none. */
bool tars_nearest_score(const struct tars_nearest *nearest, const float *query, uint32_t ordinal,
                        float *score);
/* Add weight times the exact vector of that window to sum (dim,); false when there is none. */
bool tars_nearest_add(const struct tars_nearest *nearest, const float *query, uint32_t ordinal,
                      double weight, float *sum);

#endif
