/* gemm8_fit - quantises weights so that no sum of 16 bits saturates; see gemm8.h.
 *
 * A finer scale rounds less and breaks the bound more often. For each column scales are tried on
 * a part of its weights, from the finest that holds its greatest weight, until they get worse. A
 * group that breaks the bound loses its excess step by step, each from the weight whose rounding
 * suffers least.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "model/gemm8.h"

#define MOST       127
#define COARSER    1.15F
#define LEAST_OVER (-2.0F) /* under what rounding makes */
#define TRIES      24
#define SAMPLE     24 /* blocks on which a scale is tried, at least, where there are so many */

typedef float floats __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(16)));

/* The k of member m of group g (0 or 1) among 16: those of a 16-bit lane. */
static size_t member(size_t g, size_t m)
{
    return m / 2 * 4 + g * 2 + m % 2;
}

/* The place of the greatest; of the first one among equals. */
static size_t find_greatest(const float *values)
{
    size_t best = 0;
    float most = values[0];

    for (size_t m = 1; m < TARS_GEMM8_SHARE; m++) {
        const bool is_more = values[m] > most;

        best = is_more ? m : best;
        most = is_more ? values[m] : most;
    }
    return best;
}

/* Lower the values of a group of sign sign until they keep the bound. */
static void lower(const float *steps, size_t g, int sign, int8_t *out)
{
    float over[TARS_GEMM8_SHARE]; /* what each value has more than its weight */
    int sum = 0;

    for (size_t m = 0; m < TARS_GEMM8_SHARE; m++) {
        int value = out[member(g, m)] * sign;

        sum += value > 0 ? value : 0;
    }
    if (sum <= TARS_GEMM8_BOUND)
        return;
    for (size_t m = 0; m < TARS_GEMM8_SHARE; m++) {
        const size_t i = member(g, m);
        const float more = ((float)out[i] - steps[i]) * (float)sign;

        over[m] = more > LEAST_OVER ? more : LEAST_OVER; /* also where it is no number */
        over[m] = out[i] * sign > 0 ? over[m] : -INFINITY;
    }
    for (; sum > TARS_GEMM8_BOUND; sum--) {
        const size_t m = find_greatest(over);
        const size_t i = member(g, m);

        out[i] = (int8_t)(out[i] - sign);
        over[m] = out[i] * sign > 0 ? over[m] - 1 : -INFINITY;
    }
}

/* 4 weights as whole steps, as floats. */
static floats round_steps(floats step)
{
    const float to_int = 12582912.0F; /* 1.5 * 2^23: adding it leaves no room for a fraction */

    return (step + to_int) - to_int;
}

/* Sums over the 4 quarters of a block, by place. */
struct sums {
    floats all, absolute;
};

static void add_steps(struct sums *sums, floats whole)
{
    sums->all += whole;
    sums->absolute += (floats)((ints)whole & INT32_MAX);
}

/* Which steps add up to too much: of group g the positive ones, bit 2 g, and the negative ones, bit
 * 2 g + 1. */
static unsigned find_broken(const struct sums *sums)
{
    const float most = 2 * TARS_GEMM8_BOUND;
    floats above = sums->absolute + sums->all; /* twice the positive */
    floats below = sums->absolute - sums->all;

    /* Written so that what is no number breaks it. */
    return (!(above[0] + above[1] <= most) ? 1U : 0U) | (!(below[0] + below[1] <= most) ? 2U : 0U) |
           (!(above[2] + above[3] <= most) ? 4U : 0U) | (!(below[2] + below[3] <= most) ? 8U : 0U);
}

/* 16 weights as whole steps. */
static void fit_block(const float *weights, float inverse, int8_t *out)
{
    float steps[TARS_GEMM8_DEPTH];
    int32_t wholes[TARS_GEMM8_DEPTH];
    struct sums sums = {{0}, {0}};
    unsigned broken;

    for (size_t i = 0; i < TARS_GEMM8_DEPTH; i += 4) {
        floats step;
        floats whole;
        ints number;

        memcpy(&step, weights + i, sizeof(step));
        step *= inverse;
        whole = round_steps(step);
        add_steps(&sums, whole);
        number = __builtin_convertvector(whole, ints);
        memcpy(steps + i, &step, sizeof(step));
        memcpy(wholes + i, &number, sizeof(number));
    }
    for (size_t i = 0; i < TARS_GEMM8_DEPTH; i++) {
        int32_t whole = wholes[i] > MOST ? MOST : wholes[i];

        out[i] = (int8_t)(whole < -MOST ? -MOST : whole);
    }
    broken = find_broken(&sums);
    for (size_t i = 0; broken >> i != 0; i++) {
        if (broken >> i & 1)
            lower(steps, i / 2, i % 2 ? -1 : 1, out);
    }
}

/* Squared errors of a block, by place. */
static floats block_loss(const float *weights, float scale)
{
    const float inverse = 1 / scale;
    int8_t out[TARS_GEMM8_DEPTH];
    struct sums sums = {{0}, {0}};
    floats lost = {0};

    for (size_t i = 0; i < TARS_GEMM8_DEPTH; i += 4) {
        floats weight;
        floats whole;

        memcpy(&weight, weights + i, sizeof(weight));
        whole = round_steps(weight * inverse);
        add_steps(&sums, whole);
        weight -= whole * scale;
        lost += weight * weight;
    }
    if (!find_broken(&sums))
        return lost;
    fit_block(weights, inverse, out);
    lost = (floats){0};
    for (size_t i = 0; i < TARS_GEMM8_DEPTH; i += 4) {
        const floats fitted = {out[i], out[i + 1], out[i + 2], out[i + 3]};
        floats off;

        memcpy(&off, weights + i, sizeof(off));
        off -= fitted * scale;
        lost += off * off;
    }
    return lost;
}

/* Squared error over blocks spread over the count weights (whole blocks). */
static float loss(const float *weights, size_t count, float scale)
{
    const size_t blocks = count / TARS_GEMM8_DEPTH;
    const size_t step = (blocks > SAMPLE ? blocks / SAMPLE : 1) * TARS_GEMM8_DEPTH;
    floats sum = {0};

    for (size_t i = 0; i < count; i += step)
        sum += block_loss(weights + i, scale);
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
