/* relevance - the chance, in 0..1, that a passage answers the question.
 *
 * A cosine or a BM25 score says which passage is nearer, not whether any is near enough, and
 * neither means the same from one collection to the next. relevance maps both to one scale by a
 * logistic function fitted on judged questions (tools/fit_relevance, docs/quality.md), so that a
 * threshold of 0.7 passes what was judged relevant and stops what the documents do not answer.
 *
 *     relevance = 1 / (1 + exp(-(b0 + b1 cosine + b2 coverage + b3 min(cosine, .75) coverage)))
 *
 * coverage is the part of the question's words that the passage holds (coverage.h): unlike BM25 it
 * means the same from one question, one collection and one length of passage to the next. b3 is
 * below 0: a passage that is near in meaning need not hold the words, and one that holds all words
 * need not be near; either is enough. The cosine is bounded there so that more words never make
 * less of a passage.
 *
 * What is a chance depends on who asks: it was fitted on the first passage of each question, four
 * questions of what the documents hold to one of something else.
 */
#ifndef TARS_RETRIEVE_RELEVANCE_H
#define TARS_RETRIEVE_RELEVANCE_H

/* cosine: NaN when there is no vector; coverage: 0..1. The result is in (0, 1). */
double tars_relevance(double cosine, double coverage);

#endif
