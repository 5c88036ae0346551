/* Vectors as JSON: what is written reads back bit for bit, and what others write is read as they
 * mean it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/redis_floats.h"
#include "support/faults.h"
#include "support/guard.h"

#define MIB      ((size_t)1 << 20)
#define RANDOMS  300000
#define ELEMENTS 20000

static struct tars_span span_of(const float *floats, size_t count)
{
    return tars_span((const char *)floats, count * sizeof(*floats));
}

static void is_written(void **state)
{
    static const struct {
        const char *name;
        float value;
        const char *text;
    } rows[] = {
        {"zero", 0.0F, "[0.0]"},
        {"negative zero", -0.0F, "[-0.0]"},
        {"one", 1.0F, "[1.0]"},
        {"half", -0.5F, "[-0.5]"},
        {"a tenth", 0.1F, "[0.1]"},
        {"a third", 1.0F / 3, "[0.33333334]"},
        {"nine digits", 0.100000024F, "[0.100000024]"},
        {"small", 1.5e-7F, "[0.00000015]"},
        {"smaller", 1.5e-8F, "[1.49999995e-08]"},
        {"large", 123456789.0F, "[123456790.0]"},
        {"a million", 1e6F, "[1000000.0]"},
        {"largest", 3.4028234663852886e38F, "[3.40282347e+38]"},
        {"smallest", 1.401298464324817e-45F, "[1.40129846e-45]"},
        {"ten", 10.0F, "[10.0]"},
        {"just below ten", 9.9999990F, "[9.999999]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_buf out;

        print_message("  %s\n", rows[i].name);
        tars_buf_init(&out, MIB);
        assert_int_equal(tars_redis_floats_write(span_of(&rows[i].value, 1), &out), TARS_OK);
        assert_string_equal(out.ptr, rows[i].text);
        tars_buf_release(&out);
    }
}

static void assert_round_trip(const float *floats, size_t count)
{
    struct tars_arena arena;
    struct tars_buf out;
    struct tars_span read;

    tars_arena_init(&arena, 16 * MIB);
    tars_buf_init(&out, 16 * MIB);
    assert_int_equal(tars_redis_floats_write(span_of(floats, count), &out), TARS_OK);
    assert_int_equal(out.status, TARS_OK);
    assert_int_equal(tars_redis_floats_read(tars_buf_span(&out), &arena, &read), TARS_OK);
    assert_true(tars_span_equal(read, span_of(floats, count)));
    tars_arena_release(&arena);
    tars_buf_release(&out);
}

static void every_float_reads_back(void **state)
{
    static float floats[ELEMENTS];
    uint64_t random = 88172645463325252U;

    (void)state;
    assert_round_trip(floats, 0);
    for (size_t done = 0; done < RANDOMS;) {
        size_t count = 0;

        while (count < ELEMENTS) {
            uint32_t bits;

            random ^= random << 13U;
            random ^= random >> 7U;
            random ^= random << 17U;
            bits = (uint32_t)(random >> 20U);
            memcpy(&floats[count], &bits, sizeof(bits));
            if (random % 3 == 0) /* as those of vectors are */
                floats[count] = (float)((int64_t)(random >> 24U) % 2000003 - 1000001) / 1000003.0F;
            count += (size_t)(isfinite(floats[count]) != 0);
        }
        assert_round_trip(floats, count);
        done += count;
    }
}

static void neighbours_of_powers_of_ten_read_back(void **state)
{
    (void)state;
    for (int power = -44; power <= 38; power++) {
        float floats[5];

        floats[2] = strtof((char[8]){'1', 'e', (char)(power < 0 ? '-' : '+'),
                                     (char)('0' + abs(power) / 10), (char)('0' + abs(power) % 10)},
                           NULL);
        floats[1] = nextafterf(floats[2], 0);
        floats[0] = nextafterf(floats[1], 0);
        floats[3] = nextafterf(floats[2], INFINITY);
        floats[4] = nextafterf(floats[3], INFINITY);
        assert_round_trip(floats, 5);
    }
}

static void what_json_cannot_say_is_refused(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct tars_buf out;

    (void)state;
    tars_buf_init(&out, MIB);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(tars_redis_floats_write(span_of(&bad[i], 1), &out), TARS_EINVAL);
    assert_int_equal(tars_redis_floats_write(tars_span("abcde", 5), &out), TARS_EINVAL);
    tars_buf_release(&out);
}

/* count -1: refused. */
static const struct row {
    const char *name, *text;
    int count;
    float first;
} rows[] = {
    {"empty", "[]", 0, 0},
    {"empty with blanks", " [ \n] ", 0, 0},
    {"integers", "[1, -2,3]", 3, 1},
    {"blanks everywhere", "\t[ 0.25 ,\r\n 1 ] ", 2, 0.25F},
    {"exponents", "[1E2, 1e+2, 1.5e-3]", 3, 100},
    {"as Python writes doubles", "[0.10000000149011612]", 1, 0.1F},
    {"more digits than a double has", "[0.1000000014901161193847656250000000001]", 1, 0.1F},
    {"many zeros", "[0.000000000000000000000000000000000000001]", 1, 1e-39F},
    {"negative zero", "[-0]", 1, -0.0F},
    {"too small is zero", "[1e-400]", 1, 0},
    {"nothing", "", -1, 0},
    {"blank", " ", -1, 0},
    {"a number", "1", -1, 0},
    {"an object", "{\"a\": [1]}", -1, 0},
    {"text", "[\"1\"]", -1, 0},
    {"null", "[null]", -1, 0},
    {"nested", "[[1]]", -1, 0},
    {"NaN", "[NaN]", -1, 0},
    {"infinity", "[Infinity]", -1, 0},
    {"too large for a float", "[1e39]", -1, 0},
    {"too large for a double", "[1e999999999999]", -1, 0},
    {"leading zero", "[01]", -1, 0},
    {"leading plus", "[+1]", -1, 0},
    {"no digit before the point", "[.5]", -1, 0},
    {"no digit after the point", "[1.]", -1, 0},
    {"no digit of an exponent", "[1e]", -1, 0},
    {"only a sign", "[-]", -1, 0},
    {"hexadecimal", "[0x10]", -1, 0},
    {"trailing comma", "[1,]", -1, 0},
    {"leading comma", "[,1]", -1, 0},
    {"no comma", "[1 2]", -1, 0},
    {"not ended", "[1", -1, 0},
    {"not ended after a comma", "[1,", -1, 0},
    {"something after", "[1] x", -1, 0},
    {"two arrays", "[1][2]", -1, 0},
};

static void is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct guard guard = guard_copy(rows[i].text, strlen(rows[i].text));
        struct tars_arena arena;
        struct tars_span read = {NULL, 0};
        tars_status status;

        print_message("  %s\n", rows[i].name);
        tars_arena_init(&arena, MIB);
        status = tars_redis_floats_read(tars_span(guard.ptr, strlen(rows[i].text)), &arena, &read);
        assert_int_equal(status, rows[i].count < 0 ? TARS_EFORMAT : TARS_OK);
        if (rows[i].count >= 0)
            assert_int_equal(read.len, (size_t)rows[i].count * sizeof(float));
        if (rows[i].count > 0)
            assert_memory_equal(read.ptr, &rows[i].first, sizeof(float));
        tars_arena_release(&arena);
        guard_free(&guard);
    }
}

static void every_cut_is_refused(void **state)
{
    static const char text[] = "[0.25, -1.5e-3,12]";

    (void)state;
    for (size_t len = 0; len + 1 < sizeof(text) - 1; len++) {
        struct guard guard = guard_copy(text, len);
        struct tars_arena arena;
        struct tars_span read;

        tars_arena_init(&arena, MIB);
        assert_int_equal(tars_redis_floats_read(tars_span(guard.ptr, len), &arena, &read),
                         TARS_EFORMAT);
        tars_arena_release(&arena);
        guard_free(&guard);
    }
}

static void faulty_run(void *ctx)
{
    static const float floats[] = {1, 2, 3};
    struct tars_arena arena;
    struct tars_buf out;
    struct tars_span read;

    (void)ctx;
    tars_arena_init(&arena, MIB);
    tars_buf_init(&out, MIB);
    assert_int_equal(tars_redis_floats_write(span_of(floats, 3), &out), TARS_OK);
    if (out.status != TARS_OK) {
        assert_int_equal(out.status, TARS_ENOMEM);
    } else if (tars_redis_floats_read(tars_buf_span(&out), &arena, &read) != TARS_OK) {
        assert_true(faults_happened());
    } else {
        assert_true(tars_span_equal(read, span_of(floats, 3)));
    }
    tars_buf_release(&out);
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(faulty_run, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_written),
        cmocka_unit_test(every_float_reads_back),
        cmocka_unit_test(neighbours_of_powers_of_ten_read_back),
        cmocka_unit_test(what_json_cannot_say_is_refused),
        cmocka_unit_test(is_read),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
