/* near - the vectors' half of a search, wherever the vectors are.
 *
 * A server chooses the candidates, and may keep rounded vectors; what they are scored by are the
 * exact ones of the store, read once a search for both lists. So the order does not depend on the
 * back end but for what it overlooks, and what is gone from the store is no candidate. The index of
 * this process has exact scores already: nothing is read for it.
 */
#ifndef TARS_RETRIEVE_NEAR_H
#define TARS_RETRIEVE_NEAR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "index/index.h"
#include "vectors/vectors.h"

/* The nearest, as tars_vectors_search(). *is_away: the back end could not be asked; then there are
 * none, and it is not a failure. wish->call is required. */
TARS_MUST_USE tars_status tars_near_search(struct tars_vectors *vectors,
                                           const struct tars_vectors_wish *wish,
                                           struct tars_index_hit *hits, size_t *n, bool *is_away,
                                           struct tars_err *err);

/* Two lists of candidates; near: by vectors, with *near_count of them. */
struct tars_near_lists {
    struct tars_index_hit *near;
    size_t near_count;
    const struct tars_index_hit *others; /* (other_count,) */
    size_t other_count;
};

/* The vectors of all candidates. Those found by their vectors get exact scores, best first. */
TARS_MUST_USE tars_status tars_near_hold(struct tars_vectors *vectors, struct tars_store *store,
                                         const float *query, size_t dim, struct tars_arena *arena,
                                         struct tars_near_lists *lists,
                                         struct tars_vectors_held **held, struct tars_err *err);

#endif
