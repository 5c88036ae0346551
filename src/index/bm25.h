/* bm25 - which passages answer a question's words best.
 *
 *     score = sum over terms of weight * idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len / mean))
 *     idf   = ln(1 + (N - df + 0.5) / (df + 0.5))
 *
 * Method    MaxScore: terms in order of what they can add at most; once k passages are found, the
 *           weakest terms alone cannot bring in another, so only passages of the stronger ones are
 *           looked at, and the weak terms are asked only while the bounds (of the term, then of its
 *           block) leave hope. tars_bm25_search_all() looks at everything: the same results.
 *
 * Order     Scores are summed in double, in the order of the query's terms, so that both methods
 *           and words_scores give the same bits. Ties by ascending id.
 *
 * Removed   N, df and the mean length count removed passages until the next save: all of them
 *           alike, so that scores stay comparable, and a saved index scores as one that never had
 *           them.
 *
 * Rights    A term may bring an idf of its own, that of the passages that a caller may see: else
 * the score of one's own passage would tell how often others use a word.
 */
#ifndef TARS_INDEX_BM25_H
#define TARS_INDEX_BM25_H

#include <stddef.h>

#include "index/index.h"
#include "index/passages.h"
#include "index/postings.h"

#define TARS_BM25_TERMS_MAX 1024 /* of a query; more are left out */

struct tars_bm25 {
    const struct tars_postings *postings;
    const struct tars_passages *passages;
    struct tars_passages_view view;
    double k1;
    double b;
};

/* As tars_index_search_words(). */
TARS_MUST_USE tars_status tars_bm25_search(const struct tars_bm25 *bm25,
                                           const struct tars_index_query_term *terms,
                                           size_t n_terms, size_t k,
                                           const struct tars_index_filter *filter,
                                           struct tars_index_hit *hits, size_t *n);
/* The same, slowly: the truth for tests. */
TARS_MUST_USE tars_status tars_bm25_search_all(const struct tars_bm25 *bm25,
                                               const struct tars_index_query_term *terms,
                                               size_t n_terms, size_t k,
                                               const struct tars_index_filter *filter,
                                               struct tars_index_hit *hits, size_t *n);
/* The scores of the passages with these ordinals (n,), NaN for TARS_PASSAGES_NONE; soonest where
 * the ordinals ascend. */
TARS_MUST_USE tars_status tars_bm25_scores(const struct tars_bm25 *bm25,
                                           const struct tars_index_query_term *terms,
                                           size_t n_terms, const uint32_t *ordinals, size_t n,
                                           float *scores);
/* Which of the terms (n_terms,) the passage with this ordinal has. */
void tars_bm25_held(const struct tars_bm25 *bm25, const struct tars_index_query_term *terms,
                    size_t n_terms, uint32_t ordinal, bool *held);
/* As tars_index_idf(). */
double tars_bm25_idf(const struct tars_bm25 *bm25, const struct tars_index_query_term *term,
                     const struct tars_index_filter *filter, uint64_t n);
double tars_bm25_ceiling(const struct tars_bm25 *bm25, const struct tars_index_query_term *terms,
                         size_t n_terms);

#endif
