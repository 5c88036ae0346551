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
    float b[MAX] = {0};
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
    float y[MAX] = {0};
    float gain[MAX] = {0};
    float bias[MAX] = {0};
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
        struct tars_quantised how = {.scale = -1};
        int most = 0;

        q[n] = 42;
        kernels->quantise(x, n, levels[l], 0, q, &how);
        for (size_t i = 0; i < n; i++) {
            near((double)q[i] * (double)how.scale + (double)how.zero, (double)x[i],
                 (double)how.scale * 0.501 + 1e-6);
            most = q[i] > most ? q[i] : most;
        }
        assert_int_equal(most, n == 1 ? 0 : levels[l]);
        assert_int_equal(q[n], 42);
        assert_int_equal(how.place, n);
    }
}

/* A float far from all others is left out, and comes back whole. */
static void check_left_out(const struct tars_kernels *kernels, size_t n)
{
    float x[MAX];
    uint8_t q[MAX];
    struct tars_quantised how = {0};

    fill(x, n, 13, 1);
    kernels->quantise(x, n, 127, 25, q, &how);
    assert_int_equal(how.place, n);
    for (size_t at = 0; n >= 63 && at < n; at += 7) {
        fill(x, n, 13, 1);
        x[at] = at % 2 ? -90.0F : 90.0F;
        kernels->quantise(x, n, 127, 25, q, &how);
        assert_int_equal(how.place, n);
        assert_true(how.scale > 0.6F);
        kernels->quantise(x, n, 127, 7.5F, q, &how);
        assert_int_equal(how.place, at);
        assert_true(how.scale < 0.02F);
        for (size_t i = 0; i < n; i++) {
            near((double)q[i] * (double)how.scale + (double)how.zero +
                     (i == at ? (double)how.value : 0),
                 (double)x[i], i == at ? 1e-4 : (double)how.scale * 0.501 + 1e-6);
        }
    }
}

#define FINISH_ROWS ((size_t)3)
#define FINISH_STEP ((size_t)((MAX / 16 + 1) * 16))

/* Weights in panels of 16 columns and two rows of 4 k. */
static int8_t weight_at(const int8_t *packed, size_t i, size_t k)
{
    return packed[i / 16 * 128 + k / 4 * 64 + i % 16 * 4 + k % 4];
}

/* What finish() is for, number by number. */
static double finished(const struct tars_finish *f, int32_t sum, size_t r, size_t i)
{
    const struct tars_quantised *how = &f->rows[r];
    double y = sum * (double)how->scale * (double)f->scale[i] +
               (double)how->zero * (double)f->sum[i] + (double)f->bias[i];

    if (f->weights && how->place < f->k)
        y += (double)how->value * weight_at(f->weights, i, how->place) * (double)f->scale[i];
    return f->has_gelu ? y * (1 + erf(y / sqrt(2))) / 2 : y;
}

/* n columns from `column` on; in_place: the sums lie in y. */
static void check_finish_of(const struct tars_kernels *kernels, struct tars_finish f, size_t column,
                            size_t place, bool in_place)
{
    static int32_t sums[(FINISH_ROWS + 1) * FINISH_STEP];
    static float y[(FINISH_ROWS + 1) * FINISH_STEP + 1];
    const struct tars_quantised rows[FINISH_ROWS + 1] = {
        {.place = 8}, {0.01F, -0.7F, 8, 0}, {0.02F, 0.3F, place, 1.5F}, {0.005F, 0, 8, 9}};
    const size_t step = in_place ? f.n : FINISH_STEP;
    struct tars_tile tile = {.sums = sums + step,
                             .step = step,
                             .first = 1,
                             .rows = FINISH_ROWS,
                             .column = column,
                             .columns = f.n - column};

    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
        sums[i] = (int32_t)(i * 7919 % 20001) - 10000;
    for (size_t i = 0; i <= (FINISH_ROWS + 1) * f.n; i++)
        y[i] = 42;
    if (in_place) {
        memcpy(y + f.n, sums + f.n, FINISH_ROWS * f.n * sizeof(*y));
        tile.sums = (const int32_t *)(const void *)(y + f.n);
    }
    f.rows = rows;
    f.y = y;
    kernels->finish(&f, &tile);
    for (size_t r = 1; r <= FINISH_ROWS; r++) {
        for (size_t i = 0; i < tile.columns; i++) {
            double wanted = finished(&f, sums[r * step + i], r, column + i);

            near((double)y[r * f.n + column + i], wanted, 1e-4 + fabs(wanted) * 1e-5);
        }
        for (size_t i = 0; i < column; i++)
            assert_true(y[r * f.n + i] == 42);
    }
    assert_true(y[f.n - 1] == 42 && y[(FINISH_ROWS + 1) * f.n] == 42);
}

static void check_finish(const struct tars_kernels *kernels, size_t n)
{
    static int8_t weights[(MAX / 16 + 1) * 128];
    float scale[MAX];
    float sum[MAX];
    float bias[MAX];
    struct tars_finish f = {
        .scale = scale, .sum = sum, .bias = bias, .k = 8, .panel_bytes = 128, .n = n};

    for (size_t i = 0; i < sizeof(weights); i++)
        weights[i] = (int8_t)(i * 37 % 251);
    fill(scale, n, 9, 0.05F);
    fill(sum, n, 10, 2);
    fill(bias, n, 11, 1);
    check_finish_of(kernels, f, 0, 3, true);
    for (int gelu = 0; gelu < 2; gelu++) {
        f.has_gelu = gelu == 1;
        f.weights = NULL;
        check_finish_of(kernels, f, 0, 3, false);
        f.weights = weights;
        for (size_t place = 0; place < 9; place++)
            check_finish_of(kernels, f, n > 16 ? 16 : 0, place, false);
    }
}

static void check_bf16(const struct tars_kernels *kernels, size_t n)
{
    float x[MAX] = {0};
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

static void what_is_left_out_comes_back(void **state)
{
    (void)state;
    each(check_left_out);
}

static void finish_is_right(void **state)
{
    (void)state;
    each(check_finish);
}

static void bf16_is_right(void **state)
{
    (void)state;
    each(check_bf16);
}

static void equal_numbers_quantise_to_zero(void **state)
{
    (void)state;
    float x[20] = {[0 ... 19] = -3.5F};
    const struct tars_kernels *kernels;

    for (size_t t = 0; (kernels = tars_kernels_at(t)) != NULL; t++) {
        uint8_t q[20];
        struct tars_quantised how = {7, 7, 7, 7};

        kernels->quantise(x, 20, 255, 0, q, &how);
        assert_true(how.scale == 0);
        assert_true(how.zero == -3.5F);
        assert_int_equal(how.place, 20);
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
        cmocka_unit_test(what_is_left_out_comes_back),
        cmocka_unit_test(finish_is_right),
        cmocka_unit_test(bf16_is_right),
        cmocka_unit_test(equal_numbers_quantise_to_zero),
        cmocka_unit_test(attention_is_right),
        cmocka_unit_test(attention_with_extreme_scores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
