/* fuse - two ranked lists of passages into one.
 *
 *     vectors   7:.81  3:.64  9:.60        min-max   7:1.0  3:.19  9:0
 *     words     3:14.2 5:9.9               min-max   3:1.0  5:0
 *     alpha .5                             fused     3:.60  7:.50  5:0  9:0
 *
 * Linear fusion scales each list by its own least and greatest score (all equal: 1) and sums them,
 * words weighted by alpha; a passage that a list lacks counts 0 there. It needs no knowledge of how
 * the two kinds of score are distributed, and beat reciprocal ranks on every judged set that we
 * measured (docs/quality.md). RRF: Cormack, Clarke and Buettcher, SIGIR 2009, k = 60, weighted by
 * alpha likewise.
 *
 * Ties are ordered by ascending id, so that results are repeatable.
 */
#ifndef TARS_RETRIEVE_FUSE_H
#define TARS_RETRIEVE_FUSE_H

#include <stddef.h>
#include <stdint.h>

#include "index/index.h"

#define TARS_FUSE_RRF_K 60.0

struct tars_fused {
    uint64_t id;
    double fused;  /* 0..1 for linear fusion */
    double vector; /* cosine; NaN when the vector list lacks the passage */
    double words;  /* BM25; NaN when the word list lacks it */
};

/* Join (vectors, vector_count) and (words, word_count), both best first, into out, which has room
 * for vector_count + word_count. Returns how many distinct passages there are; out is best first.
 * alpha: weight of the words, 0..1. */
size_t tars_fuse_linear(const struct tars_index_hit *vectors, size_t vector_count,
                        const struct tars_index_hit *words, size_t word_count, double alpha,
                        struct tars_fused *out);
size_t tars_fuse_rrf(const struct tars_index_hit *vectors, size_t vector_count,
                     const struct tars_index_hit *words, size_t word_count, double alpha,
                     struct tars_fused *out);

/* The weight of the words for one question. english_only: the encoder knows no other language.
 * query_language: what was detected, TARS_LANG_UNKNOWN (0) when nothing was. english_share: part of
 * the index's passages that are English, 0..1. Where the encoder does not know the language, words
 * lead; alpha itself otherwise. */
double tars_fuse_alpha(double alpha, int english_only, int query_language, double english_share);

#endif
