/* fuse - two ranked lists of passages into one.
 *
 *     vectors   7:.80  3:.65  9:.60   range [.60, .80]     7: 1.0   3:  .25   9: 0    5: -.25
 *     words     3:14   5:10           range [0, 14]        7: 0     3: 1      9: 0    5:  .71
 *     filled in 5:.55  7:0    9:0     fused, alpha .5      3: .625  7:  .5    5: .23  9: 0
 *
 * Linear fusion scales both scores of each candidate by the least and the greatest of the list that
 * they belong to, and sums them, words weighted by alpha. Candidates that only one list named have
 * the other score filled in first: "not among the first hundred" then means a little below the
 * last, not as bad as can be. It needs no knowledge of how the two kinds of score are distributed,
 * and beat reciprocal ranks on every judged set that we measured (docs/quality.md).
 *
 * RRF: Cormack, Clarke and Buettcher, SIGIR 2009, k = 60, weighted by alpha likewise.
 *
 * Ties are ordered by ascending id, so that results are repeatable.
 */
#ifndef TARS_RETRIEVE_FUSE_H
#define TARS_RETRIEVE_FUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/index.h"

#define TARS_FUSE_RRF_K   60.0
#define TARS_FUSE_NO_RANK SIZE_MAX

struct tars_fused {
    uint64_t id;
    double fused;        /* set by the fusion; about 0..1 for linear */
    double vector;       /* cosine; NaN while unknown */
    double words;        /* BM25; NaN while unknown */
    size_t vector_rank;  /* from 0, or TARS_FUSE_NO_RANK */
    size_t words_rank;   /* likewise */
    bool is_reranked;    /* the two below are set (rerank.h) */
    double rank;         /* what the first ones are ordered by */
    double rerank_score; /* 0..1 */
};

/* What becomes 0 and what becomes 1. */
struct tars_fuse_range {
    double low, high;
};

/* Join (vectors, vector_count) and (words, word_count), both best first, into out, which has room
 * for vector_count + word_count. Returns how many distinct passages there are, by ascending id. */
size_t tars_fuse_join(const struct tars_index_hit *vectors, size_t vector_count,
                      const struct tars_index_hit *words, size_t word_count,
                      struct tars_fused *out);

/* Score the candidates and put the best first. alpha: weight of the words, 0..1. A score that is
 * NaN counts 0. */
void tars_fuse_linear(struct tars_fused *fused, size_t count, struct tars_fuse_range vectors,
                      struct tars_fuse_range words, double alpha);
void tars_fuse_rrf(struct tars_fused *fused, size_t count, double alpha);

/* 0 for range.low, 1 for range.high, and on beyond them; 0 for NaN. */
double tars_fuse_scaled(double score, struct tars_fuse_range range);
/* By fused, best first; ties by ascending id. */
void tars_fuse_order(struct tars_fused *fused, size_t count);

/* The weight of the words for one question. english_only: the encoder knows no other language.
 * query_language: what was detected, TARS_LANG_UNKNOWN (0) when nothing was. english_share: part of
 * the index's passages that are English, 0..1. Where the encoder does not know the language, words
 * lead; alpha itself otherwise. */
double tars_fuse_alpha(double alpha, int english_only, int query_language, double english_share);

#endif
