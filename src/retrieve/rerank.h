/* rerank - the first candidates of a fused list, put in order anew by who has read them.
 *
 *     fused   a .91  b .80  c .74 | d .60 ...        the first top_k, their text from the store
 *     scaled  a 1    b .35  c 0                      min-max within them
 *     scores  a .02  b .97  c .40                    of the reranker, 0..1, kept (scores.h)
 *     rank    (1 - weight) * scaled + weight * score
 *     order   b .56  a .66 -> a, b, c | d ...        the rest stays where it was
 *
 * What the reranker did not come to in its time keeps its place behind those that it did. A
 * reranker that fails costs the reranking, never the search.
 *
 * Kept      Scores are kept under the reranker's identity, the question and the sorted chunk ids;
 * those of a part of the passages are not kept. Rights    Only candidates come here, which the
 * searches have passed for the call already; their text goes to the reranker, and nothing else
 * does.
 */
#ifndef TARS_RETRIEVE_RERANK_H
#define TARS_RETRIEVE_RERANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "obs/call.h"
#include "retrieve/fuse.h"
#include "retrieve/reranker.h"

#define TARS_RERANK_TOP_DEFAULT       10
#define TARS_RERANK_TOP_MAX           100
#define TARS_RERANK_WEIGHT_DEFAULT    0.35
#define TARS_RERANK_BUDGET_MS_DEFAULT 500

struct tars_store;
struct tars_cache;

/* All pointers are borrowed. */
struct tars_rerank_config {
    struct tars_reranker *reranker; /* NULL: nothing is reranked */
    size_t top_k;                   /* candidates that are read; 0: the default */
    double weight;                  /* of the reranker's score, 0..1; negative: the default */
    int64_t budget_ms;              /* for one question; 0: the default */
};

struct tars_reranked {
    size_t scored;   /* candidates that have a score: the first so many */
    bool is_partial; /* time was over before all had one */
    bool is_cached;  /* the scores were kept from earlier */
    bool has_failed; /* there is no score at all, for a reason that the span tells */
    double ms;
};

/* Put the first of (fused, count), best first, in the order above, and write their rerank_score.
 * The array is untouched where nothing was scored. TARS_ENOMEM, TARS_ECANCELED, TARS_ETIMEOUT: of
 * the call; a failure of the reranker is TARS_OK and has_failed. */
TARS_MUST_USE tars_status tars_rerank(const struct tars_rerank_config *config,
                                      struct tars_store *store, struct tars_cache *cache,
                                      struct tars_span question, struct tars_call *call,
                                      struct tars_fused *fused, size_t count,
                                      struct tars_reranked *out, struct tars_err *err);

/* The arithmetic of it: scores are those of the first n of fused. Sorts these n. */
void tars_rerank_order(struct tars_fused *fused, const float *scores, size_t n, double weight);

#endif
