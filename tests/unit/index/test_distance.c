/* Unit tests of index/distance: each back end against the scalar one, and the codes' error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "index/distance.h"

#define DIM_MAX 1024

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static void unit_vector(float *out, size_t dim, uint32_t *random)
{
    float norm = 0;

    for (size_t i = 0; i < dim; i++) {
        out[i] = (float)next_random(random) / 8388608.0F - 1;
        norm += out[i] * out[i];
    }
    for (size_t i = 0; i < dim; i++)
        out[i] /= sqrtf(norm);
}

static void back_ends_agree(void **state)
{
    size_t count;
    const struct tars_distance *const *all = tars_distance_all(&count);
    const struct tars_distance *scalar = all[count - 1];
    uint32_t random = 1;

    (void)state;
    for (size_t dim = 1; dim <= DIM_MAX; dim = dim * 5 / 3 + 1) {
        float a[DIM_MAX];
        float b[DIM_MAX];
        int8_t x[DIM_MAX];
        int8_t y[DIM_MAX];
        float scales[2];
        int32_t sums[2];
        size_t stride = tars_distance_stride(dim);

        unit_vector(a, dim, &random);
        unit_vector(b, dim, &random);
        assert_true(tars_distance_quantise(a, dim, x, &scales[0], &sums[0]));
        assert_true(tars_distance_quantise(b, dim, y, &scales[1], &sums[1]));
        for (size_t i = 0; i < count; i++) {
            int32_t codes = all[i]->dot_codes(x, y, stride, sums[1]);
            float exact = all[i]->dot(a, b, dim);

            assert_int_equal(codes, scalar->dot_codes(x, y, stride, sums[1]));
            assert_true(fabsf(exact - scalar->dot(a, b, dim)) < 1e-5F);
            assert_true(fabsf((float)codes * scales[0] * scales[1] - exact) < 0.01F);
        }
    }
}

static void extremes(void **state)
{
    size_t count;
    const struct tars_distance *const *all = tars_distance_all(&count);
    int8_t low[DIM_MAX];
    int8_t high[DIM_MAX];

    (void)state;
    memset(low, -127, sizeof(low));
    memset(high, 127, sizeof(high));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(all[i]->dot_codes(low, low, DIM_MAX, -127 * DIM_MAX), 127 * 127 * DIM_MAX);
        assert_int_equal(all[i]->dot_codes(low, high, DIM_MAX, 127 * DIM_MAX),
                         -127 * 127 * DIM_MAX);
    }
}

static void strange_numbers(void **state)
{
    float vector[3] = {0, 0, 0};
    int8_t codes[64];
    float scale = 9;
    int32_t sum = 9;

    (void)state;
    assert_true(tars_distance_quantise(vector, 3, codes, &scale, &sum));
    assert_true(scale == 0);
    assert_int_equal(sum, 0);
    vector[1] = NAN;
    assert_false(tars_distance_quantise(vector, 3, codes, &scale, &sum));
    vector[1] = INFINITY;
    assert_false(tars_distance_quantise(vector, 3, codes, &scale, &sum));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(back_ends_agree),
        cmocka_unit_test(extremes),
        cmocka_unit_test(strange_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
