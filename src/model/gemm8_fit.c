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

#define STEPS   127.0F
#define COARSER 1.15F
#define SAMPLE  24 /* blocks on which a scale is tried, at least, where there are so many */

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
    float steps[TARS_GEMM8_DEPTH];
    int sums[4] = {0}; /* positive, negative of both groups */

    for (size_t i = 0; i < TARS_GEMM8_DEPTH; i++) {
        float step = weights[i] * inverse;

        step = step > 127 ? 127 : step < -127 ? -127 : step;
        steps[i] = step;
        out[i] = (int8_t)(step + (step < 0 ? -0.5F : 0.5F));
        sums[i / 2 % 2 * 2 + (out[i] < 0)] += out[i];
    }
    for (size_t g = 0; g < 2; g++) {
        if (sums[g * 2] > TARS_GEMM8_BOUND)
            lower(steps, g, 1, out);
        if (-sums[g * 2 + 1] > TARS_GEMM8_BOUND)
            lower(steps, g, -1, out);
    }
}

/* Squared error over blocks spread over the count weights (whole blocks). */
static float loss(const float *weights, size_t count, float scale)
{
    const size_t blocks = count / TARS_GEMM8_DEPTH;
    const size_t step = (blocks > SAMPLE ? blocks / SAMPLE : 1) * TARS_GEMM8_DEPTH;
    float sum = 0;

    for (size_t i = 0; i < count; i += step) {
        int8_t out[TARS_GEMM8_DEPTH];

        fit_block(weights + i, 1 / scale, out);
        for (size_t j = 0; j < TARS_GEMM8_DEPTH; j++) {
            float off = weights[i + j] - (float)out[j] * scale;

            sum += off * off;
        }
    }
    return sum;
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
    best = most / STEPS;
    least = loss(weights, whole, best);
    scale = best;
    for (int rises = 0; rises < 2 && scale < most;) {
        float lost;

        scale *= COARSER;
        lost = loss(weights, whole, scale);
        if (lost < least) {
            best = scale;
            least = lost;
        } else {
            rises++;
        }
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
