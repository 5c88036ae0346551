/* measures - how good a ranking is, as trec_eval counts it.
 *
 *     gains    grades of the ranked documents, best place first: 0 where one is not relevant, or
 *              nobody judged it
 *     ideal    grades of all relevant documents, in any order
 *
 * nDCG takes the grade itself as gain, divided by log2(place + 1), over that of the ideal ranking.
 * A document counts once: who ranks passages hands in the best place of each document.
 *
 * Costs     Linear in the ranking, and n log n in the relevant documents.
 */
#ifndef TARS_EVAL_MEASURES_H
#define TARS_EVAL_MEASURES_H

#include <stddef.h>

#include "base/status.h"

#define TARS_MEASURE_LIST(X)         \
    X(TARS_NDCG_10, "nDCG@10")       \
    X(TARS_MRR_10, "MRR@10")         \
    X(TARS_RECALL_10, "recall@10")   \
    X(TARS_RECALL_100, "recall@100") \
    X(TARS_MAP, "MAP")

enum tars_measure {
#define X(name, text) name,
    TARS_MEASURE_LIST(X)
#undef X
        TARS_MEASURES
};

/* Static name of a measure. */
const char *tars_measure_text(enum tars_measure measure);

struct tars_ranking {
    const int *gains; /* (count,) */
    size_t count;
    const int *ideal; /* (relevant,), each above 0; at least one */
    size_t relevant;
};

/* All measures into out, shape (TARS_MEASURES,). TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_measures_of(const struct tars_ranking *ranking, double *out);

/* The value that share (0..1) of values are not above; values (count,) is put in order. 0 for none.
 */
double tars_percentile(double *values, size_t count, double share);

#endif
