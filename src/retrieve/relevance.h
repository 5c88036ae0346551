/* relevance - the chance, in 0..1, that a passage answers the question.
 *
 * A cosine or a BM25 score says which passage is nearer, not whether any is near enough, and
 * neither means the same from one collection to the next. relevance maps both to one scale, fitted
 * on judged questions (tools/fit_relevance, docs/quality.md), so that a threshold of 0.7 passes
 * what was judged relevant and stops what the documents do not answer. In two steps:
 *
 *     evidence   what the passage says for itself, in log odds
 *                b0 + b1 cosine + b2 coverage + b3 min(cosine, .7) coverage
 *     beside     less, where a better one stands among the first five
 *                gap = strength of the strongest - its own; the first one's is .6 more
 *                loss = min(4, 8 max(0, gap - 1.8))
 *     relevance  1 / (1 + exp(loss - evidence)), where evidence beyond 2.3 counts .08
 *
 *     evidence   3.2    2.9    1.4    0.2        strength  3.8  2.9  1.4  0.2
 *     relevance   .91    .91    .07    .02       the second is as good as the first, the others
 *                                                say what it says better
 *
 * coverage is the part of the question's words that the passage holds (coverage.h): unlike BM25 it
 * means the same from one question, one collection and one length of passage to the next. b3 is
 * below 0: a passage that is near in meaning need not hold the words, and one that holds all words
 * need not be near; either is enough. The cosine is bounded there so that more words never make
 * less of a passage.
 *
 * Why beside  A passage on the very subject of the one that answers has its words and its meaning,
 *             and is seldom judged relevant. Left alone such seconds would say .7 and be .3.
 *
 * What is a chance depends on who asks: it was fitted on the first five passages of each question,
 * four questions of what the documents hold to one of something else.
 */
#ifndef TARS_RETRIEVE_RELEVANCE_H
#define TARS_RETRIEVE_RELEVANCE_H

#include <stddef.h>

#include "retrieve/coverage.h"
#include "retrieve/fuse.h"

#define TARS_RELEVANCE_BESIDE 5 /* the first ones, which all are measured by */

/* Log odds. cosine: NaN when there is no vector; coverage: 0..1. */
double tars_relevance_evidence(double cosine, double coverage);
/* What it is compared by; place: in the order, from 0. */
double tars_relevance_strength(double evidence, size_t place);
/* The greatest strength among the first of the candidates; -infinity without any. coverage: NULL
 * for a question without words. */
double tars_relevance_strongest(const struct tars_coverage *coverage,
                                const struct tars_fused *fused, size_t count);
/* In 0..1. */
double tars_relevance(double evidence, size_t place, double strongest);

#endif
