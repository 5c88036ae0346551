/* Sums of products of bytes: bit by bit what the scalar definition says, whatever the shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/gemm8.h"
#include "support/guard.h"

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

/* Weights of a column: a bell shape, by shape also with outliers, of one sign or all alike. */
static void fill_column(float *out, size_t k, int shape, uint32_t *seed)
{
    for (size_t i = 0; i < k; i++) {
        float sum = 0;

        for (int j = 0; j < 6; j++)
            sum += (float)next(seed) / (1 << 24) - 0.5F;
        if (shape == 1 && next(seed) % 50 == 0)
            sum *= 20;
        if (shape == 2)
            sum = fabsf(sum);
        out[i] = shape == 3 ? -1.0F : sum;
    }
}

static int group_sum(const int8_t *block, size_t lane, int sign)
{
    int sum = 0;

    for (size_t i = 0; i < TARS_GEMM8_DEPTH; i++) {
        if (i / 2 % 2 == lane && block[i] * sign > 0)
            sum += block[i] * sign;
    }
    return sum;
}

static void weights_keep_the_bound(void **state)
{
    static const size_t depths[] = {1, 5, 16, 17, 96, 384};
    static float weights[384];
    static int8_t out[384 + TARS_GEMM8_DEPTH];
    uint32_t seed = 3;

    (void)state;
    for (size_t d = 0; d < sizeof(depths) / sizeof(depths[0]); d++) {
        for (int shape = 0; shape < 4; shape++) {
            float scale;

            fill_column(weights, depths[d], shape, &seed);
            memset(out, 99, sizeof(out));
            scale = tars_gemm8_fit(weights, depths[d], out);
            assert_true(scale > 0);
            for (size_t i = 0; i < tars_gemm8_padded(depths[d]); i += TARS_GEMM8_DEPTH) {
                for (size_t lane = 0; lane < 2; lane++) {
                    assert_true(group_sum(out + i, lane, 1) <= TARS_GEMM8_BOUND);
                    assert_true(group_sum(out + i, lane, -1) <= TARS_GEMM8_BOUND);
                }
            }
            for (size_t i = depths[d]; i < tars_gemm8_padded(depths[d]); i++)
                assert_int_equal(out[i], 0);
            assert_int_equal(out[tars_gemm8_padded(depths[d])], 99);
        }
    }
    assert_true(TARS_GEMM8_BOUND * TARS_GEMM8_LEVELS < 1 << 15);
}

/* The bell shape, of which weights are, loses less than 1 part in 1,500 of its square. */
static void fitting_loses_little(void **state)
{
    static float weights[384];
    static int8_t out[384];
    uint32_t seed = 5;
    double lost = 0;
    double whole = 0;

    (void)state;
    for (size_t c = 0; c < 200; c++) {
        float scale;

        fill_column(weights, 384, 0, &seed);
        scale = tars_gemm8_fit(weights, 384, out);
        for (size_t i = 0; i < 384; i++) {
            lost += pow((double)weights[i] - (double)out[i] * (double)scale, 2);
            whole += pow((double)weights[i], 2);
        }
    }
    print_message("  lost %.6f\n", lost / whole);
    assert_true(lost < whole / 1500);
}

static void zero_weights(void **state)
{
    const float weights[20] = {0};
    int8_t out[32];

    (void)state;
    assert_true(tars_gemm8_fit(weights, 20, out) > 0);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(out[i], 0);
}

/* What x is made of. */
enum contents { RANDOM, GREATEST };

/* A finish that puts the sums where they would lie without it. */
static void put(const struct tars_finish *to, const struct tars_tile *tile)
{
    assert_int_equal(tile->column % TARS_GEMM8_COLUMNS, 0);
    for (size_t r = 0; r < tile->rows; r++) {
        for (size_t i = 0; i < tile->columns; i++) {
            to->y[(tile->first + r) * to->n + tile->column + i] =
                (float)tile->sums[r * tile->step + i];
        }
    }
}

/* Each tile is given to finish once, and all of them are the product. */
static void check_tiles(struct tars_gemm8 product, const int32_t *wanted)
{
    const size_t count = product.rows * product.n;
    float *y = calloc(count, sizeof(*y));
    const struct tars_finish to = {.y = y, .n = product.n};

    product.y = NULL;
    product.to = &to;
    product.finish = put;
    for (int by = 0; by < 2; by++) {
        (by && tars_gemm8_has_avx2() ? tars_gemm8_avx2 : tars_gemm8_scalar)(&product);
        for (size_t i = 0; i < count; i++) {
            assert_true(y[i] == (float)wanted[i]);
            y[i] = -1;
        }
    }
    free(y);
}

/* Rows end at a guard page, and what lies behind y is left alone. */
static void check(size_t rows, size_t k, size_t n, enum contents contents, int shape)
{
    const size_t k_padded = tars_gemm8_padded(k);
    const size_t bytes = tars_gemm8_packed_bytes(k, n);
    struct guard guard;
    int8_t *packed = aligned_alloc(64, (bytes + 63) / 64 * 64);
    int8_t *column = malloc(k_padded);
    float *weights = malloc(k * sizeof(float));
    uint8_t *x = malloc(rows * k_padded);
    int32_t *wanted = malloc(rows * n * sizeof(*wanted));
    int32_t *got = malloc((rows * n + 1) * sizeof(*got));
    struct tars_gemm8 product = {.rows = rows, .k_padded = k_padded, .n = n, .packed = packed};
    uint32_t seed = (uint32_t)(rows * 31 + k * 7 + n);

    memset(packed, 0, bytes);
    for (size_t i = 0; i < n; i++) {
        fill_column(weights, k, shape, &seed);
        (void)tars_gemm8_fit(weights, k, column);
        tars_gemm8_pack(column, k_padded, i, packed);
    }
    for (size_t i = 0; i < rows * k_padded; i++) {
        x[i] = contents == GREATEST ? TARS_GEMM8_LEVELS
                                    : (uint8_t)(next(&seed) % (TARS_GEMM8_LEVELS + 1));
    }
    guard = guard_copy(x, rows * k_padded);
    product.x = (const uint8_t *)guard.ptr;
    product.y = wanted;
    tars_gemm8_scalar(&product);
    product.y = got;
    got[rows * n] = 42;
    (tars_gemm8_has_avx2() ? tars_gemm8_avx2 : tars_gemm8_scalar)(&product);
    assert_memory_equal(got, wanted, rows * n * sizeof(*got));
    assert_int_equal(got[rows * n], 42);
    check_tiles(product, wanted);
    guard_free(&guard);
    free(packed);
    free(column);
    free(weights);
    free(x);
    free(wanted);
    free(got);
}

static void sums_are_exact(void **state)
{
    static const struct {
        size_t k, n;
    } shapes[] = {{16, 16}, {1, 1}, {17, 3}, {48, 33}, {96, 80}, {384, 40}, {1536, 16}};

    (void)state;
    if (!tars_gemm8_has_avx2()) {
        print_message("  this processor has no AVX2: nothing to compare\n");
        return;
    }
    for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
        for (size_t rows = 1; rows <= 128; rows += rows < 20 ? 1 : 27)
            check(rows, shapes[s].k, shapes[s].n, RANDOM, 0);
    }
}

/* Nothing saturates: the greatest activations on weights of one sign, alike, and with outliers. */
static void nothing_saturates(void **state)
{
    (void)state;
    for (int shape = 0; shape < 4; shape++)
        check(13, 384, 48, GREATEST, shape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_keep_the_bound), cmocka_unit_test(fitting_loses_little),
        cmocka_unit_test(zero_weights),           cmocka_unit_test(sums_are_exact),
        cmocka_unit_test(nothing_saturates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
