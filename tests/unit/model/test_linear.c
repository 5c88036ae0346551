/* Products of the layers: right in each type and bucket, and never by oneDNN's reference loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/linear.h"
#include "support/faults.h"

#define K 96
#define N 80

static const size_t row_counts[] = {1, 15, 16, 17, 31, 48, 100, 127, 128};

static float weights[N * K];
static float bias[N];

static int fill(void **state)
{
    (void)state;
    uint32_t seed = 1;

    for (size_t i = 0; i < (size_t)N * K; i++) {
        seed = seed * 1664525U + 1013904223U;
        weights[i] = (float)((double)(seed >> 8) / (1 << 24) - 0.5);
    }
    for (size_t i = 0; i < N; i++)
        bias[i] = (float)i;
    return 0;
}

static void fp32_products(void **state)
{
    (void)state;
    struct tars_linear_set *set = NULL;
    struct tars_linear_run *run = NULL;
    struct tars_linear linear;
    static float x[(size_t)TARS_LINEAR_ROWS * K];
    static float y[TARS_LINEAR_ROWS * N];

    tars_linear_one_thread();
    assert_int_equal(tars_linear_set_new(TARS_LINEAR_FP32, &set, NULL), TARS_OK);
    assert_int_equal(tars_linear_init(set, K, N, weights, bias, &linear, NULL), TARS_OK);
    assert_memory_equal(linear.bias, bias, sizeof(bias));
    assert_int_equal(tars_linear_run_new(set, &run, NULL), TARS_OK);
    for (size_t i = 0; i < (size_t)TARS_LINEAR_ROWS * K; i++)
        x[i] = (float)(i % 13) - 6;
    for (size_t c = 0; c < sizeof(row_counts) / sizeof(row_counts[0]); c++) {
        assert_int_equal(tars_linear_apply(run, &linear, x, row_counts[c], y, NULL), TARS_OK);
        for (size_t r = 0; r < row_counts[c]; r++) {
            for (size_t i = 0; i < N; i++) {
                double wanted = 0;

                for (size_t k = 0; k < K; k++)
                    wanted += (double)x[r * K + k] * (double)weights[i * K + k];
                assert_true(fabs(wanted - (double)y[r * N + i]) < 1e-3);
            }
        }
    }
    tars_linear_run_free(run);
    tars_linear_release(&linear);
    tars_linear_set_free(set);
}

/* Rows of floats as the products of a set want them. */
struct rows {
    float x[TARS_LINEAR_ROWS * K];
    unsigned char in[(size_t)TARS_LINEAR_ROWS * K * sizeof(float)];
    struct tars_quantised how[TARS_LINEAR_ROWS];
};

static void put_rows(const struct tars_linear_set *set, struct rows *rows)
{
    const struct tars_kernels *kernels = tars_kernels();

    for (size_t r = 0; r < TARS_LINEAR_ROWS; r++) {
        unsigned char *to = rows->in + r * K * tars_linear_set_x_bytes(set);
        float *x = rows->x + r * K;

        if (tars_linear_set_type(set) == TARS_LINEAR_INT8) {
            kernels->quantise(x, K, tars_linear_set_levels(set), tars_linear_set_limit(set) / 2, to,
                              &rows->how[r]);
        } else if (tars_linear_set_type(set) == TARS_LINEAR_BF16) {
            kernels->to_bf16(x, K, (uint16_t *)(void *)to);
        } else {
            memcpy(to, x, K * sizeof(*x));
        }
    }
}

static void check_whole(const struct tars_linear_wish *wish, const float *x, const float *y,
                        double tolerance)
{
    for (size_t i = 0; i < wish->rows * N; i++) {
        const size_t r = i / N;
        double wanted = (double)bias[i % N];

        for (size_t k = 0; k < K; k++)
            wanted += (double)x[r * K + k] * (double)weights[i % N * K + k];
        if (wish->has_gelu)
            wanted *= (1 + erf(wanted / sqrt(2))) / 2;
        assert_true(fabs(wanted - (double)y[i]) < tolerance + fabs(wanted) * 5e-3);
    }
}

/* Scales, bias and GELU included, in each type: near the sums of floats, nearer where there are
 * more bits. */
static void whole_products(void **state)
{
    static const double tolerance[] = {[TARS_LINEAR_INT8] = 0.25, /* of 96 products up to 1/2 */
                                       [TARS_LINEAR_BF16] = 0.1,
                                       [TARS_LINEAR_FP32] = 1e-4};
    static struct rows rows;
    static float y[TARS_LINEAR_ROWS * N];

    (void)state;
    tars_linear_one_thread();
    for (size_t i = 0; i < (size_t)TARS_LINEAR_ROWS * K; i++)
        rows.x[i] = (float)(i * 7919 % 101) / 101 - 0.5F;
    for (int type = TARS_LINEAR_INT8; type <= TARS_LINEAR_FP32; type++) {
        struct tars_linear_set *set = NULL;
        struct tars_linear_run *run = NULL;
        struct tars_linear linear;

        assert_int_equal(tars_linear_set_new((enum tars_linear_type)type, &set, NULL), TARS_OK);
        assert_int_equal(tars_linear_init(set, K, N, weights, bias, &linear, NULL), TARS_OK);
        assert_int_equal(tars_linear_run_new(set, &run, NULL), TARS_OK);
        assert_in_range(tars_linear_set_rows(set), 1, TARS_LINEAR_ROWS);
        /* Left out, where floats may be: else it would take most steps of its row for itself. */
        rows.x[K + 5] = tars_linear_set_limit(set) > 0 ? 40 : 0.4F;
        put_rows(set, &rows);
        for (size_t c = 0; c < sizeof(row_counts) / sizeof(row_counts[0]); c++) {
            const struct tars_linear_wish wish = {rows.in, rows.how, row_counts[c], c % 2 == 1};

            assert_int_equal(tars_linear_apply_whole(run, &linear, &wish, y, NULL), TARS_OK);
            check_whole(&wish, rows.x, y, tolerance[tars_linear_set_type(set)]);
        }
        tars_linear_run_free(run);
        tars_linear_release(&linear);
        tars_linear_set_free(set);
    }
}

/* The greatest activations and weights of one sign: the sums must not saturate anywhere. */
static void int8_products(void **state)
{
    (void)state;
    struct tars_linear_set *set = NULL;
    struct tars_linear_run *run = NULL;
    struct tars_linear linear;
    static float ones[N * K];
    static uint8_t x[TARS_LINEAR_ROWS * K];
    static int32_t y[TARS_LINEAR_ROWS * N];
    int levels;

    for (size_t i = 0; i < (size_t)N * K; i++)
        ones[i] = i / K % 2 ? -2.0F : 2.0F;
    tars_linear_one_thread();
    assert_int_equal(tars_linear_set_new(TARS_LINEAR_INT8, &set, NULL), TARS_OK);
    if (tars_linear_set_type(set) != TARS_LINEAR_INT8) {
        assert_int_equal(tars_linear_set_type(set), TARS_LINEAR_FP32);
        tars_linear_set_free(set);
        print_message("  neither VNNI nor AVX2 may be used: float32\n");
        return;
    }
    assert_int_equal(tars_linear_init(set, K, N, ones, bias, &linear, NULL), TARS_OK);
    assert_int_equal(tars_linear_run_new(set, &run, NULL), TARS_OK);
    levels = tars_linear_set_levels(set);
    memset(x, levels, sizeof(x));
    for (size_t c = 0; c < sizeof(row_counts) / sizeof(row_counts[0]); c++) {
        assert_int_equal(tars_linear_apply(run, &linear, x, row_counts[c], y, NULL), TARS_OK);
        for (size_t i = 0; i < row_counts[c] * N; i++) {
            double whole = (double)y[i] * (double)linear.scale[i % N];

            assert_true(fabs(whole - (i % N % 2 ? -2.0 : 2.0) * K * levels) < K * levels * 0.05);
            assert_true(fabs(whole - (double)linear.sum[i % N] * levels) < 0.1);
        }
    }
    tars_linear_run_free(run);
    tars_linear_release(&linear);
    tars_linear_set_free(set);
}

/* Every bucket of the shape is computed by generated code. */
static void check_names(struct tars_linear_set *set, size_t k, size_t n)
{
    for (size_t rows = TARS_LINEAR_STEP; rows <= TARS_LINEAR_ROWS; rows += TARS_LINEAR_STEP) {
        const char *name = tars_linear_set_implementation(set, k, n, rows);

        if (strstr(name, "ref") ||
            (!strstr(name, "brg") && !strstr(name, "jit") && !strstr(name, "gemm"))) {
            fail_msg("(%zu, %zu) with %zu rows is computed by '%s'", k, n, rows, name);
        }
    }
}

static void no_shape_falls_back_to_the_reference(void **state)
{
    static const enum tars_linear_type all[] = {TARS_LINEAR_INT8, TARS_LINEAR_BF16,
                                                TARS_LINEAR_FP32};

    (void)state;
    for (size_t t = 0; t < sizeof(all) / sizeof(all[0]); t++) {
        struct tars_linear_set *set = NULL;

        assert_int_equal(tars_linear_set_new(all[t], &set, NULL), TARS_OK);
        check_names(set, 384, 1152);
        check_names(set, 384, 384);
        check_names(set, 384, 1536);
        check_names(set, 1536, 384);
        print_message("  %s\n", tars_linear_set_implementation(set, 384, 384, 16));
        tars_linear_set_free(set);
    }
}

static void use_once(void *ctx)
{
    (void)ctx;
    struct tars_linear_set *set = NULL;
    struct tars_linear_run *run = NULL;
    struct tars_linear linear = {0};
    static float x[TARS_LINEAR_STEP * K];
    static int32_t y[TARS_LINEAR_STEP * N];
    tars_status status = tars_linear_set_new(TARS_LINEAR_INT8, &set, NULL);

    if (status == TARS_OK)
        status = tars_linear_init(set, K, N, weights, bias, &linear, NULL);
    if (status == TARS_OK)
        status = tars_linear_run_new(set, &run, NULL);
    if (status == TARS_OK)
        status = tars_linear_apply(run, &linear, x, 1, y, NULL);
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    tars_linear_run_free(run);
    tars_linear_release(&linear);
    tars_linear_set_free(set);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(use_once, NULL) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp32_products),
        cmocka_unit_test(whole_products),
        cmocka_unit_test(int8_products),
        cmocka_unit_test(no_shape_falls_back_to_the_reference),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, fill, NULL);
}
