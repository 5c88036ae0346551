/* gemm8 - sums of products of bytes for processors that have AVX2 and no VNNI.
 *
 * Idea      vpmaddubsw multiplies 32 pairs of bytes an instruction and adds neighbours into 16
 *           bits, which saturate. Widening each result to 32 bits takes as many multiplications
 *           again. Here four results are added in 16 bits first, then widened once: 5
 *           multiplications for 128 products instead of 8. So that nothing can saturate,
 *           activations keep to 7 bits, and weights to a bound: the positive ones among the 8 that
 *           share a 16-bit sum add up to at most 258, and so do the negative ones
 *           (127 * 258 < 2^15). Weights have 8 bits all the same; groups that break the bound are
 *           few and lowered by a step or two (gemm8_fit.c), and the sums are exact. Activations of
 *           8 bits with a bound of 128 come out worse: weights get too coarse.
 * Layout    packed: panels of 16 columns, the last one filled up with zeros; in a panel two
 *           vectors for each 4 of k:
 *
 *               panel 0: k 0..3: [column 0: 4 bytes] .. [column 15: 4 bytes], k 4..7: ..., ...
 *               panel 1: ...
 *
 *           Of 16 successive k, those that are 0 or 1 modulo 4 share a sum, and 2 or 3 modulo 4.
 * Truth     tars_gemm8_scalar() is the definition; the tests hold the other to it bit by bit.
 * Threads   Stateless.
 */
#ifndef TARS_MODEL_GEMM8_H
#define TARS_MODEL_GEMM8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/kernels.h"

#define TARS_GEMM8_COLUMNS 16  /* of a panel */
#define TARS_GEMM8_DEPTH   16  /* k is rounded up to a multiple of it */
#define TARS_GEMM8_SHARE   8   /* weights that share a 16-bit sum */
#define TARS_GEMM8_BOUND   258 /* of the positive, and of the negative weights that share a sum */
#define TARS_GEMM8_LEVELS  127 /* greatest activation; times the bound it is under 2^15 */

/* Rows times packed weights. */
struct tars_gemm8 {
    const uint8_t *x;     /* (rows, k_padded) */
    size_t rows;          /* at least 1 */
    size_t k_padded;      /* of tars_gemm8_padded() */
    const int8_t *packed; /* of tars_gemm8_pack(), aligned to 32 bytes */
    size_t n;             /* columns */
    int32_t *y;           /* (rows, n); NULL: the sums go to finish, tile by tile */
    const struct tars_finish *to;
    void (*finish)(const struct tars_finish *to, const struct tars_tile *tile);
};

/* Whether this processor runs tars_gemm8_avx2(). */
bool tars_gemm8_has_avx2(void);
void tars_gemm8_avx2(const struct tars_gemm8 *product);
void tars_gemm8_scalar(const struct tars_gemm8 *product);

/* k rounded up to TARS_GEMM8_DEPTH. */
size_t tars_gemm8_padded(size_t k);
/* Bytes of packed weights. */
size_t tars_gemm8_packed_bytes(size_t k, size_t n);
/* Quantise a column of k weights, weights[i] ~ out[i] * scale, keeping the bound; out has room for
 * k padded, filled up with zeros. The scale is the one of a few that loses least. */
float tars_gemm8_fit(const float *weights, size_t k, int8_t *out);
/* Put column i, as fitted, into packed. */
void tars_gemm8_pack(const int8_t *column, size_t k_padded, size_t i, int8_t *packed);

#endif
