/* distance - how alike two vectors are: int8 codes for the walk, fp32 for the last word.
 *
 * A unit vector x becomes codes c = round(x / scale), scale = max|x| / 127, so that the cosine of
 * two vectors is about scale_a * scale_b * sum(c_a * c_b); the error is under 0.01 at 384
 * dimensions. Codes are padded with zeros to a stride, a multiple of 64, and are within -127 and
 * 127 (a damaged snapshot may hold -128: back ends then differ, and nothing worse).
 *
 * The scalar functions are the truth; the others give the same integers (the same floats to
 * rounding). tars_distance_best() looks at the processor, once for each index.
 *
 * AVX-512 VNNI multiplies unsigned by signed bytes: the left side is shifted up by 128, and the
 * excess, 128 * sum(codes of the right side), is taken off again; so that sum is kept beside them.
 */
#ifndef TARS_INDEX_DISTANCE_H
#define TARS_INDEX_DISTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARS_DISTANCE_PAD 64 /* strides are multiples of it */

struct tars_distance {
    const char *name;
    /* sum(a[i] * b[i]) over (stride,); sum_b = sum(b[i]) */
    int32_t (*dot_codes)(const int8_t *a, const int8_t *b, size_t stride, int32_t sum_b);
    /* sum(a[i] * b[i]) over (dim,) */
    float (*dot)(const float *a, const float *b, size_t dim);
};

/* The back ends that this processor can run, best first; index 0 .. *count - 1. */
const struct tars_distance *const *tars_distance_all(size_t *count);
const struct tars_distance *tars_distance_best(void);

/* Bytes of the codes of a vector (dim,). */
static inline size_t tars_distance_stride(size_t dim)
{
    return (dim + TARS_DISTANCE_PAD - 1) / TARS_DISTANCE_PAD * TARS_DISTANCE_PAD;
}

/* Codes (stride,) of vector (dim,), their scale and sum. False, and nothing written, when a number
 * is not finite. The zero vector has scale 0. */
bool tars_distance_quantise(const float *vector, size_t dim, int8_t *codes, float *scale,
                            int32_t *sum);

#endif
