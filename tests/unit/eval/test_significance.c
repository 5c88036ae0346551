/* Unit tests of eval/significance. */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eval/significance.h"

#define MANY 400

/* Two-sided p of Student's t: closed forms of 1 and 2 degrees, and printed tables. */
static void p_of_t(void **state)
{
    static const struct {
        const char *name;
        double t, degrees, p, near;
    } rows[] = {
        {"nothing", 0, 5, 1, 1e-12},
        {"one degree, t 1: a half", 1, 1, 0.5, 1e-12},
        {"one degree, t 2", 2, 1, 0.29516723530086653, 1e-12},  /* 1 - 2 atan(2) / pi */
        {"two degrees, t 1", 1, 2, 0.42264973081037421, 1e-12}, /* 1 - 1 / sqrt(3) */
        {"two degrees, t -1", -1, 2, 0.42264973081037421, 1e-12},
        {"two degrees, t 10", 10, 2, 0.009852457023325906, 1e-12}, /* 1 - 10 / sqrt(102) */
        {"table: 10 degrees, 5 %", 2.228139, 10, 0.05, 1e-6},
        {"table: 30 degrees, 1 %", 2.749996, 30, 0.01, 1e-6},
        {"table: 120 degrees, 0.1 %", 3.373454, 120, 0.001, 1e-6},
        {"far out", 60, 500, 0, 1e-200},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double p = tars_student_p(rows[i].t, rows[i].degrees);

        if (!(fabs(p - rows[i].p) <= rows[i].near))
            fail_msg("%s: %.17g", rows[i].name, p);
    }
}

/* With few questions every choice of signs can be counted by hand. */
static void randomisation_is_near_the_whole_count(void **state)
{
    static const struct {
        const char *name;
        double a[6], b[6];
        size_t count;
        double share; /* of the 2^count choices of signs that lie as far from 0 */
    } rows[] = {
        {"all better, six", {1, 1, 1, 1, 1, 1}, {0}, 6, 2.0 / 64},
        {"all worse, five", {0}, {1, 1, 1, 1, 1}, 5, 2.0 / 32},
        {"one against", {3, 2, 2, 0}, {0, 0, 0, 1}, 4, 4.0 / 16},
        {"balanced", {1, 0}, {0, 1}, 2, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_significance got;

        tars_significance_of(rows[i].a, rows[i].b, rows[i].count, &got);
        if (fabs(got.p_random - rows[i].share) > 0.01)
            fail_msg("%s: %g, not %g", rows[i].name, got.p_random, rows[i].share);
    }
}

static void differences_are_told(void **state)
{
    static const double a[] = {0.5, 0.75, 1, 0.25};
    static const double b[] = {0.5, 0.5, 0.5, 0.5};
    struct tars_significance got;

    (void)state;
    tars_significance_of(a, b, 4, &got);
    assert_true(fabs(got.mean - 0.125) < 1e-12);
    assert_int_equal(got.better, 2);
    assert_int_equal(got.worse, 1);
    /* differences 0, .25, .5, -.25: deviation .3227, t = .125 / (.3227 / 2) */
    assert_true(fabs(got.t - 0.7745966692414834) < 1e-12);
    assert_true(fabs(got.p_t - tars_student_p(got.t, 3)) < 1e-15);
}

static void nothing_to_tell_apart(void **state)
{
    static const double same[] = {0.3, 0.4, 0.5};
    static const double one[] = {1};
    static const double none[] = {0};
    static const double shifted[] = {1.3, 1.4, 1.5};
    struct tars_significance got;

    (void)state;
    tars_significance_of(same, same, 3, &got);
    assert_true(got.p_random == 1 && got.p_t == 1 && got.t == 0 && got.mean == 0);
    tars_significance_of(NULL, NULL, 0, &got);
    assert_true(got.p_random == 1 && got.p_t == 1);
    tars_significance_of(one, none, 1, &got);
    assert_true(got.p_random == 1 && got.p_t == 1 && got.mean == 1);
    tars_significance_of(shifted, same, 3, &got); /* no spread: t is not defined */
    assert_true(got.t == 0 && got.p_t == 1 && fabs(got.mean - 1) < 1e-12);
}

/* What is clear is found, what is luck is not, and a second look says the same. */
static void clear_and_luck(void **state)
{
    double a[MANY];
    double b[MANY];
    struct tars_significance clear;
    struct tars_significance luck;
    struct tars_significance again;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        b[i] = (double)(i * 7919 % 1000) / 1000;
        a[i] = b[i] + (i % 3 == 0 ? -0.05 : 0.05);
    }
    tars_significance_of(a, b, MANY, &clear);
    assert_true(clear.p_random < 0.001 && clear.p_t < 0.001);
    for (size_t i = 0; i < MANY; i++)
        a[i] = b[i] + (i % 2 == 0 ? -0.05 : 0.0502);
    tars_significance_of(a, b, MANY, &luck);
    assert_true(luck.p_random > 0.5 && luck.p_t > 0.5);
    tars_significance_of(a, b, MANY, &again);
    assert_true(again.p_random == luck.p_random && again.p_t == luck.p_t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p_of_t),
        cmocka_unit_test(randomisation_is_near_the_whole_count),
        cmocka_unit_test(differences_are_told),
        cmocka_unit_test(nothing_to_tell_apart),
        cmocka_unit_test(clear_and_luck),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
