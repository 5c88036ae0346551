/* scores - what a cross-encoder said of passages for a question, kept whatever their order.
 *
 *     key: model, newline, question, "::", chunk ids sorted and joined by ","
 *     value: float (n,), in the order of the sorted ids
 *
 * So the same passages in another order find their own scores, each at its passage. (The reference
 * keeps them in the order of who asked first, and gives them to the wrong passages.)
 *
 * Invariant  The key holds all that scores depend on: the model's identity includes its weights,
 *            and a chunk id is of one text, since a changed document has a new id.
 */
#ifndef TARS_RETRIEVE_SCORES_H
#define TARS_RETRIEVE_SCORES_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/fetch.h"

#define TARS_SCORES_MAX 1000 /* passages */

struct tars_scores_wish {
    const char *model; /* identity, with its weights' SHA-256 */
    struct tars_span query;
    const char *const *chunk_ids; /* (count,) in the caller's order */
    size_t count;                 /* 1..TARS_SCORES_MAX */
    int64_t wait_ms;              /* for another's computation; 0: TARS_CACHE_WAIT_MS */
    /* Score the passages in the caller's order: scores (count,), each 0..1. Not *is_whole: some
     * were left out, so they are neither kept nor given to others. */
    tars_status (*score)(void *ctx, float *scores, bool *is_whole, struct tars_err *err);
    void *ctx;
};

/* scores (count,) in the caller's order: kept, or made once for all who want them now.
 * TARS_EINVAL: count. TARS_ENOMEM, and what score says. */
TARS_MUST_USE tars_status tars_scores_fetch(struct tars_cache *cache,
                                            const struct tars_scores_wish *wish,
                                            struct tars_arena *arena, float *scores,
                                            enum tars_cache_source *source, struct tars_err *err);

#endif
