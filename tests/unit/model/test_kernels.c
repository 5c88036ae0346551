/* The row kernels, in each instruction set that this machine runs, against their definitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/kernels.h"

#define MAX 400

static const size_t lengths[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 100, 384, MAX};

static float random_float(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return (float)((double)(*state >> 8) / (1 << 24) * 2 - 1);
}

static void fill(float *out, size_t n, uint32_t seed, float scale)
{
    for (size_t i = 0; i < n; i++)
        out[i] = random_float(&seed) * scale;
}

static void near(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance)) {
        fail_msg("%.9g is not %.9g", a, b);
    }
}

/* Calls check for each table and length. */
static void each(void (*check)(const struct tars_kernels *kernels, size_t n))
{
    const struct tars_kernels *kernels;

    for (size_t t = 0; (kernels = tars_kernels_at(t)) != NULL; t++) {
        print_message("  %s\n", kernels->name);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
            check(kernels, lengths[i]);
    }
}

static void check_add(const struct tars_kernels *kernels, size_t n)
{
    float a[MAX];
    float b[MAX];
    float sum[MAX + 1];

    fill(a, n, 1, 3);
    fill(b, n, 2, 3);
    memcpy(sum, a, n * sizeof(*a));
    sum[n] = 42;
    kernels->add(sum, b, n);
    for (size_t i = 0; i < n; i++)
        near((double)sum[i], (double)a[i] + (double)b[i], 1e-6);
    assert_true(sum[n] == 42);
}

static void check_gelu(const struct tars_kernels *kernels, size_t n)
{
    float x[MAX];
    float y[MAX + 1];

    fill(x, n, 3, 8);
    memcpy(y, x, n * sizeof(*x));
    y[n] = 42;
    kernels->gelu(y, n);
    for (size_t i = 0; i < n; i++)
        near((double)y[i], (double)x[i] * (1 + erf((double)x[i] / sqrt(2))) / 2, 5e-6);
    assert_true(y[n] == 42);
}

static void check_layer_norm(const struct tars_kernels *kernels, size_t n)
{
    float x[MAX];
    float y[MAX];
    float gain[MAX];
    float bias[MAX];
    float out[MAX + 1];
    double mean = 0;
    double variance = 0;

    fill(x, n, 4, 3);
    fill(y, n, 5, 3);
    fill(gain, n, 6, 1);
    fill(bias, n, 7, 1);
    memcpy(out, x, n * sizeof(*x));
    out[n] = 42;
    kernels->layer_norm(out, y, gain, bias, 1e-5F, n);
    for (size_t i = 0; i < n; i++)
        mean += ((double)x[i] + (double)y[i]) / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += pow((double)x[i] + (double)y[i] - mean, 2) / (double)n;
    for (size_t i = 0; i < n; i++) {
        near((double)out[i],
             ((double)x[i] + (double)y[i] - mean) / sqrt(variance + 1e-5) * (double)gain[i] +
                 (double)bias[i],
             2e-5);
    }
    assert_true(out[n] == 42);
}

static void check_quantise(const struct tars_kernels *kernels, size_t n)
{
    static const int levels[] = {255, 127};
    float x[MAX];
    uint8_t q[MAX + 1];

    fill(x, n, 8, 5);
    for (size_t l = 0; l < 2; l++) {
        float scale = -1;
        float zero = 0;
        int most = 0;

        q[n] = 42;
        kernels->quantise(x, n, levels[l], q, &scale, &zero);
        for (size_t i = 0; i < n; i++) {
            near((double)q[i] * (double)scale + (double)zero, (double)x[i],
                 (double)scale * 0.501 + 1e-6);
            most = q[i] > most ? q[i] : most;
        }
        assert_int_equal(most, n == 1 ? 0 : levels[l]);
        assert_int_equal(q[n], 42);
    }
}

static void check_dequantise(const struct tars_kernels *kernels, size_t n)
{
    int32_t acc[MAX];
    float scale[MAX];
    float sum[MAX];
    float bias[MAX];
    float out[MAX + 1];
    const struct tars_dequantise from = {acc, scale, sum, bias, 0.01F, -0.7F};

    for (size_t i = 0; i < n; i++)
        acc[i] = (int32_t)(i * 7919 % 200001) - 100000;
    fill(scale, n, 9, 0.01F);
    fill(sum, n, 10, 2);
    fill(bias, n, 11, 1);
    out[n] = 42;
    kernels->dequantise(&from, out, n);
    for (size_t i = 0; i < n; i++) {
        near((double)out[i],
             acc[i] * 0.01 * (double)scale[i] - 0.7 * (double)sum[i] + (double)bias[i], 1e-4);
    }
    assert_true(out[n] == 42);
}

static void check_outlier(const struct tars_kernels *kernels, size_t n)
{
    float x[MAX];

    fill(x, n, 13, 1);
    assert_int_equal(kernels->outlier(x, n, 25), n);
    for (size_t at = 0; n >= 63 && at < n; at += 7) {
        fill(x, n, 13, 1);
        x[at] = at % 2 ? -90.0F : 90.0F;
        assert_int_equal(kernels->outlier(x, n, 7.5F), at);
        assert_int_equal(kernels->outlier(x, n, 25), n);
    }
}

/* Weights in panels of 16 columns and two rows of 4 k: column i, place p hold i - p. */
static void check_left_out(const struct tars_kernels *kernels, size_t n)
{
    static int8_t weights[(MAX / 16 + 1) * 128];
    float scale[MAX];
    float y[MAX];
    float out[MAX + 1];
    struct tars_left_out from = {
        .weights = weights, .panel_bytes = 128, .scale = scale, .value = 1.5F};

    for (size_t i = 0; i < sizeof(weights); i++)
        weights[i] = (int8_t)(i / 128 * 16 + i % 64 / 4 - i % 4);
    fill(scale, n, 14, 1);
    fill(y, n, 15, 1);
    for (from.place = 0; from.place < 4; from.place++) {
        memcpy(out, y, n * sizeof(*y));
        out[n] = 42;
        kernels->add_left_out(&from, out, n);
        for (size_t i = 0; i < n; i++) {
            near((double)out[i],
                 (double)y[i] + 1.5 * (double)scale[i] * (int8_t)(i - (size_t)from.place), 1e-4);
        }
        assert_true(out[n] == 42);
    }
}

static void check_bf16(const struct tars_kernels *kernels, size_t n)
{
    float x[MAX];
    uint16_t out[MAX + 1];

    fill(x, n, 12, 100);
    out[n] = 42;
    kernels->to_bf16(x, n, out);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)out[i] << 16;
        float back;

        memcpy(&back, &bits, sizeof(back));
        near((double)back, (double)x[i], fabs((double)x[i]) / 256);
    }
    assert_int_equal(out[n], 42);
}

static void add_is_right(void **state)
{
    (void)state;
    each(check_add);
}

static void gelu_is_right(void **state)
{
    (void)state;
    each(check_gelu);
}

static void layer_norm_is_right(void **state)
{
    (void)state;
    each(check_layer_norm);
}

static void quantise_is_right(void **state)
{
    (void)state;
    each(check_quantise);
}

static void dequantise_is_right(void **state)
{
    (void)state;
    each(check_dequantise);
}

static void outlier_is_found(void **state)
{
    (void)state;
    each(check_outlier);
}

static void left_out_is_added(void **state)
{
    (void)state;
    each(check_left_out);
}

static void bf16_is_right(void **state)
{
    (void)state;
    each(check_bf16);
}

static void equal_numbers_quantise_to_zero(void **state)
{
    (void)state;
    const float x[20] = {[0 ... 19] = -3.5F};
    const struct tars_kernels *kernels;

    for (size_t t = 0; (kernels = tars_kernels_at(t)) != NULL; t++) {
        uint8_t q[20];
        float scale = 7;
        float zero = 7;

        kernels->quantise(x, 20, 255, q, &scale, &zero);
        assert_true(scale == 0);
        assert_true(zero == -3.5F);
        for (size_t i = 0; i < 20; i++)
            assert_int_equal(q[i], 0);
    }
}

/* ----------------------------------------------------------------- attention */

static void slow_attention(const struct tars_attention *a, size_t t, size_t h, double *out)
{
    const size_t hidden = a->heads * a->head_dim;
    double sum = 0;

    memset(out, 0, a->head_dim * sizeof(*out));
    for (size_t s = 0; s < a->tokens; s++) {
        const float *q = a->qkv + t * 3 * hidden + h * a->head_dim;
        const float *k = a->qkv + s * 3 * hidden + hidden + h * a->head_dim;
        double dot = 0;
        double e;

        for (size_t d = 0; d < a->head_dim; d++)
            dot += (double)q[d] * (double)k[d];
        e = exp(dot / sqrt((double)a->head_dim));
        sum += e;
        for (size_t d = 0; d < a->head_dim; d++)
            out[d] += e * (double)k[hidden + d];
    }
    for (size_t d = 0; d < a->head_dim; d++)
        out[d] /= sum;
}

static void check_attention(const struct tars_kernels *kernels, size_t tokens, size_t head_dim)
{
    enum { HEADS = 3 };
    const size_t hidden = HEADS * head_dim;
    const size_t scratch = kernels->scratch_floats(tokens, head_dim);
    struct tars_attention a = {.tokens = tokens, .heads = HEADS, .head_dim = head_dim};
    float *qkv = malloc(tokens * 3 * hidden * sizeof(float));
    double wanted[128];

    a.scratch = malloc((scratch + 1) * sizeof(float));
    a.out = malloc(tokens * hidden * sizeof(float));
    assert_true(qkv && a.scratch && a.out);
    fill(qkv, tokens * 3 * hidden, 13, 3);
    a.qkv = qkv;
    a.scratch[scratch] = 42;
    kernels->attention(&a);
    assert_true(a.scratch[scratch] == 42);
    for (size_t t = 0; t < tokens; t++) {
        for (size_t h = 0; h < HEADS; h++) {
            slow_attention(&a, t, h, wanted);
            for (size_t d = 0; d < head_dim; d++)
                near((double)a.out[t * hidden + h * head_dim + d], wanted[d], 2e-5);
        }
    }
    free(qkv);
    free(a.scratch);
    free(a.out);
}

static void attention_is_right(void **state)
{
    (void)state;
    static const size_t tokens[] = {1, 2, 7, 8, 9, 16, 33, 64, 100};
    static const size_t dims[] = {4, 12, 32, 64, 80};
    const struct tars_kernels *kernels;

    for (size_t t = 0; (kernels = tars_kernels_at(t)) != NULL; t++) {
        print_message("  %s\n", kernels->name);
        for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
            for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++)
                check_attention(kernels, tokens[i], dims[d]);
        }
    }
}

/* Scores far apart: the greatest must not overflow, the least must vanish. */
static void attention_with_extreme_scores(void **state)
{
    (void)state;
    const struct tars_kernels *kernels;
    float qkv[2 * 12] = {0};
    float out[8];

    for (size_t t = 0; (kernels = tars_kernels_at(t)) != NULL; t++) {
        struct tars_attention a = {.qkv = qkv, .tokens = 2, .heads = 1, .head_dim = 4, .out = out};

        qkv[0] = 1000;
        qkv[4] = 1000;
        qkv[16] = -1000;
        qkv[8] = 5;
        qkv[20] = 9;
        a.scratch = malloc(kernels->scratch_floats(2, 4) * sizeof(float));
        assert_non_null(a.scratch);
        kernels->attention(&a);
        near((double)out[0], 5, 1e-6);
        near((double)out[4], 7, 1e-6);
        free(a.scratch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_is_right),
        cmocka_unit_test(gelu_is_right),
        cmocka_unit_test(layer_norm_is_right),
        cmocka_unit_test(quantise_is_right),
        cmocka_unit_test(dequantise_is_right),
        cmocka_unit_test(outlier_is_found),
        cmocka_unit_test(left_out_is_added),
        cmocka_unit_test(bf16_is_right),
        cmocka_unit_test(equal_numbers_quantise_to_zero),
        cmocka_unit_test(attention_is_right),
        cmocka_unit_test(attention_with_extreme_scores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
