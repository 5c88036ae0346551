/* Unit tests of analytics/trends: the rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "analytics/trends.h"
#include "support/faults.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))
#define MINUTE  INT64_C(60000000)
#define SAMPLES 1440

static struct tars_system_row rows[SAMPLES];

static struct tars_system_row nothing(size_t i)
{
    return (struct tars_system_row){.time_us = (int64_t)i * MINUTE,
                                    .cpu_usage_percent = NAN,
                                    .memory_usage_percent = NAN,
                                    .gpu_usage_percent = NAN,
                                    .gpu_memory_usage_percent = NAN,
                                    .cache_hit_rate = NAN,
                                    .avg_query_time_ms = NAN,
                                    .avg_retrieval_time_ms = NAN,
                                    .avg_generation_time_ms = NAN,
                                    .queries_per_minute = NAN,
                                    .active_connections = -1,
                                    .total_documents = -1,
                                    .total_chunks = -1};
}

/* A noise that is the same each time, between -1 and 1. */
static double noise(size_t i)
{
    return (double)(i * 2654435761U % 2001U) / 1000 - 1;
}

static double flat(size_t i, size_t n)
{
    (void)n;
    return 40 + noise(i);
}

static double rising(size_t i, size_t n)
{
    (void)n;
    return 10 + (double)i / 60 * 1.5 + noise(i); /* 1.5 an hour */
}

static double rising_with_wild_ones(size_t i, size_t n)
{
    return i % 10 == 3 ? 1000 : rising(i, n);
}

static double high_at_the_end(size_t i, size_t n)
{
    return i + 1 == n ? 60 : flat(i, n);
}

static double low_at_the_end(size_t i, size_t n)
{
    return i + 1 == n ? 20 : flat(i, n);
}

static double never_changing(size_t i, size_t n)
{
    (void)i;
    (void)n;
    return 7;
}

static double small_step(size_t i, size_t n)
{
    return i + 1 == n ? 10 : 7;
}

static void the_rule(void **state)
{
    static const struct {
        const char *name;
        double (*value)(size_t i, size_t n);
        size_t n;
        double per_hour; /* NaN: unsaid */
        double within;
        bool is_outlier;
    } table[] = {
        {"flat", flat, SAMPLES, 0, 0.02, false},
        {"rising", rising, SAMPLES, 1.5, 0.02, false},
        {"rising, wild ones among them", rising_with_wild_ones, SAMPLES, 1.5, 0.2, false},
        {"high at the end", high_at_the_end, SAMPLES, 0, 0.02, true},
        {"low at the end", low_at_the_end, SAMPLES, 0, 0.02, true},
        {"never changing", never_changing, SAMPLES, 0, 0, false},
        {"a small step", small_step, SAMPLES, 0, 0, false},
        {"just enough samples", high_at_the_end, TARS_TREND_SAMPLES, 0, 60, true},
        {"too few samples", high_at_the_end, TARS_TREND_SAMPLES - 1, NAN, 0, false},
        {"one sample", flat, 1, NAN, 0, false},
    };

    (void)state;
    for (size_t t = 0; t < ROWS(table); t++) {
        struct tars_trend *trends = NULL;
        struct tars_arena arena;
        size_t count;

        tars_arena_init(&arena, (size_t)4 << 20);
        for (size_t i = 0; i < table[t].n; i++) {
            rows[i] = nothing(i);
            rows[i].cpu_usage_percent = table[t].value(i, table[t].n);
        }
        assert_int_equal(tars_trends_of(rows, table[t].n, &arena, &trends, &count), TARS_OK);
        assert_int_equal(count, 1);
        assert_string_equal(trends[0].metric, "cpu_percent");
        assert_int_equal(trends[0].samples, table[t].n);
        assert_true(trends[0].latest == table[t].value(table[t].n - 1, table[t].n));
        if (trends[0].is_outlier != table[t].is_outlier)
            fail_msg("%s: outlier", table[t].name);
        if (isnan(table[t].per_hour) != isnan(trends[0].per_hour) ||
            fabs(trends[0].per_hour - table[t].per_hour) > table[t].within) {
            fail_msg("%s: %f an hour", table[t].name, trends[0].per_hour);
        }
        tars_arena_release(&arena);
    }
}

static void what_no_sample_has_has_no_trend(void **state)
{
    struct tars_trend *trends = NULL;
    struct tars_arena arena;
    size_t count = 9;

    (void)state;
    tars_arena_init(&arena, (size_t)4 << 20);
    assert_int_equal(tars_trends_of(rows, 0, &arena, &trends, &count), TARS_OK);
    assert_int_equal(count, 0);
    for (size_t i = 0; i < 100; i++) {
        rows[i] = nothing(i);
        rows[i].total_documents = i < 50 ? -1 : (int64_t)i;
        rows[i].cache_hit_rate = i % 2 ? INFINITY : NAN;
    }
    assert_int_equal(tars_trends_of(rows, 100, &arena, &trends, &count), TARS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(trends[0].metric, "documents_indexed");
    assert_int_equal(trends[0].samples, 50);
    assert_true(fabs(trends[0].per_hour - 60) < 1e-6);
    assert_true(trends[0].latest == 99);
    tars_arena_release(&arena);
}

static void once(void *ctx)
{
    struct tars_trend *trends;
    struct tars_arena arena;
    size_t count;

    (void)ctx;
    tars_arena_init(&arena, (size_t)4 << 20);
    (void)!tars_trends_of(rows, 40, &arena, &trends, &count);
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(once, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule),
        cmocka_unit_test(what_no_sample_has_has_no_trend),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
