/* The breaker: opens, pauses, lets one trial through, closes. */
#include "base/sys/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void make(struct tars_breaker *breaker)
{
    const struct tars_breaker_config config = {
        .failures = 3, .pause_ms = 100, .pause_max_ms = 400, .seed = 1};

    tars_breaker_init(breaker, &config);
}

static void fail_times(struct tars_breaker *breaker, int times, int64_t now_ms)
{
    for (int i = 0; i < times; i++)
        tars_breaker_note(breaker, false, now_ms);
}

static void test_opens_after_failures_in_a_row(void **state)
{
    struct tars_breaker breaker;

    (void)state;
    make(&breaker);
    fail_times(&breaker, 2, 0);
    tars_breaker_note(&breaker, true, 0);
    fail_times(&breaker, 2, 0);
    assert_true(tars_breaker_may_try(&breaker, 0));
    fail_times(&breaker, 1, 0);
    assert_int_equal(tars_breaker_state(&breaker), TARS_BREAKER_OPEN);
    assert_false(tars_breaker_may_try(&breaker, 0));
    assert_false(tars_breaker_may_try(&breaker, 49));
    tars_breaker_release(&breaker);
}

static void test_one_trial_at_a_time(void **state)
{
    struct tars_breaker breaker;

    (void)state;
    make(&breaker);
    fail_times(&breaker, 3, 0);
    assert_true(tars_breaker_may_try(&breaker, 100));
    assert_int_equal(tars_breaker_state(&breaker), TARS_BREAKER_HALF_OPEN);
    assert_false(tars_breaker_may_try(&breaker, 100));
    assert_true(tars_breaker_may_try(&breaker, 100 + 10000)); /* the first one was lost */
    tars_breaker_note(&breaker, true, 10100);
    assert_int_equal(tars_breaker_state(&breaker), TARS_BREAKER_CLOSED);
    assert_true(tars_breaker_may_try(&breaker, 10100));
    assert_true(tars_breaker_may_try(&breaker, 10100));
    tars_breaker_release(&breaker);
}

/* First and last millisecond at which a trial may be let through after a failure at now. */
static int64_t pause_after(struct tars_breaker *breaker, int64_t now)
{
    for (int64_t t = now; t < now + 2000; t++) {
        if (tars_breaker_may_try(breaker, t))
            return t - now;
    }
    return -1;
}

static void test_pauses_grow_and_are_bounded(void **state)
{
    static const int64_t whole[] = {100, 200, 400, 400, 400};
    struct tars_breaker breaker;
    int64_t now = 0;

    (void)state;
    make(&breaker);
    fail_times(&breaker, 3, now);
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        int64_t waited = pause_after(&breaker, now);

        assert_in_range(waited, whole[i] / 2, whole[i]);
        now += waited;
        tars_breaker_note(&breaker, false, now);
    }
    tars_breaker_release(&breaker);
}

static void test_stragglers_do_not_prolong(void **state)
{
    struct tars_breaker breaker;

    (void)state;
    make(&breaker);
    fail_times(&breaker, 3, 0);
    fail_times(&breaker, 20, 90);
    assert_true(tars_breaker_may_try(&breaker, 100));
    assert_string_equal(tars_breaker_state_text(tars_breaker_state(&breaker)), "half open");
    tars_breaker_release(&breaker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_after_failures_in_a_row),
        cmocka_unit_test(test_one_trial_at_a_time),
        cmocka_unit_test(test_pauses_grow_and_are_bounded),
        cmocka_unit_test(test_stragglers_do_not_prolong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
