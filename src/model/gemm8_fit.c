/* gemm8_fit - quantises weights so that no sum of 16 bits saturates; see gemm8.h.
 *
 * A finer scale rounds less and breaks the bound more often. For each column scales are tried on
 * a part of its weights, from the finest that holds its greatest weight, until they get worse. A
 * group that breaks the bound loses its excess step by step, each from the weight whose rounding
 * suffers least.
 */
#include <math.h>
#include <string.h>

#include "model/gemm8.h"

#define MOST    127
#define COARSER 1.15F
#define TRIES   24
#define SAMPLE  24 /* blocks on which a scale is tried, at least, where there are so many */

typedef float floats __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(16)));

/* The k of member m of group g (0 or 1) among 16: those of a 16-bit lane. */
static size_t member(size_t g, size_t m)
{
    return m / 2 * 4 + g * 2 + m % 2;
}

/* Lower the values of a group of sign sign until they keep the bound. */
static void lower(const float *steps, size_t g, int sign, int8_t *out)
{
    int sum = 0;

    for (size_t m = 0; m < TARS_GEMM8_SHARE; m++) {
        int value = out[member(g, m)] * sign;

        sum += value > 0 ? value : 0;
    }
    for (; sum > TARS_GEMM8_BOUND; sum--) {
        size_t best = TARS_GEMM8_DEPTH;
        float most = 0;

        for (size_t m = 0; m < TARS_GEMM8_SHARE; m++) {
            size_t i = member(g, m);
            float over = ((float)out[i] - steps[i]) * (float)sign;

            if (out[i] * sign > 0 && (best == TARS_GEMM8_DEPTH || over > most)) {
                best = i;
                most = over;
            }
        }
        out[best] = (int8_t)(out[best] - sign);
    }
}

/* 16 weights as whole steps. */
static void fit_block(const float *weights, float inverse, int8_t *out)
{
    const float to_int = 12582912.0F; /* 1.5 * 2^23: adding it leaves no room for a fraction */
    float steps[TARS_GEMM8_DEPTH];
    ints above = {0}; /* sums of the positive of each place of 4 */
    ints below = {0};

    for (size_t i = 0; i < TARS_GEMM8_DEPTH; i += 4) {
        floats step;
        ints whole;

        memcpy(&step, weights + i, sizeof(step));
        step *= inverse;
        whole = __builtin_convertvector((step + to_int) - to_int, ints);
        whole = ((whole > MOST) & MOST) | ((whole <= MOST) & whole);
        whole = ((whole < -MOST) & -MOST) | ((whole >= -MOST) & whole);
        above += (whole > 0) & whole;
        below -= (whole < 0) & whole;
        memcpy(steps + i, &step, sizeof(step));
        for (size_t j = 0; j < 4; j++)
            out[i + j] = (int8_t)whole[j];
    }
    for (size_t g = 0; g < 2; g++) {
        if (above[2 * g] + above[2 * g + 1] > TARS_GEMM8_BOUND)
            lower(steps, g, 1, out);
        if (below[2 * g] + below[2 * g + 1] > TARS_GEMM8_BOUND)
            lower(steps, g, -1, out);
    }
}

/* Squared error over blocks spread over the count weights (whole blocks). */
static float loss(const float *weights, size_t count, float scale)
{
    const size_t blocks = count / TARS_GEMM8_DEPTH;
    const size_t step = (blocks > SAMPLE ? blocks / SAMPLE : 1) * TARS_GEMM8_DEPTH;
    floats sum = {0};

    for (size_t i = 0; i < count; i += step) {
        int8_t out[TARS_GEMM8_DEPTH];

        fit_block(weights + i, 1 / scale, out);
        for (size_t j = 0; j < TARS_GEMM8_DEPTH; j += 4) {
            const floats fitted = {out[j], out[j + 1], out[j + 2], out[j + 3]};
            floats off;

            memcpy(&off, weights + i + j, sizeof(off));
            off -= fitted * scale;
            sum += off * off;
        }
    }
    return sum[0] + sum[1] + sum[2] + sum[3];
}

static float choose_scale(const float *weights, size_t k)
{
    const size_t whole = k / TARS_GEMM8_DEPTH * TARS_GEMM8_DEPTH;
    float most = 0;
    float scale;
    float best;
    float least;

    for (size_t i = 0; i < k; i++)
        most = fabsf(weights[i]) > most ? fabsf(weights[i]) : most;
    if (most <= 0)
        return 1;
    best = most / MOST;
    least = loss(weights, whole, best);
    scale = best;
    for (int i = 0; i < TRIES; i++) {
        float lost;

        scale *= COARSER;
        lost = loss(weights, whole, scale);
        if (lost >= least)
            break;
        best = scale;
        least = lost;
    }
    return best;
}

float tars_gemm8_fit(const float *weights, size_t k, int8_t *out)
{
    const float scale = choose_scale(weights, k);
    size_t i = 0;

    for (; i + TARS_GEMM8_DEPTH <= k; i += TARS_GEMM8_DEPTH)
        fit_block(weights + i, 1 / scale, out + i);
    if (i < k) {
        float rest[TARS_GEMM8_DEPTH] = {0};

        memcpy(rest, weights + i, (k - i) * sizeof(*rest));
        fit_block(rest, 1 / scale, out + i);
    }
    return scale;
}
