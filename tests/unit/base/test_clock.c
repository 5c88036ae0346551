/* Times as people write them, against the C library's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/sys/clock.h"

#define US INT64_C(1000000)

static const struct {
    int64_t wall_us;
    const char *expected;
} rows[] = {
    {0, "1970-01-01T00:00:00"},
    {1, "1970-01-01T00:00:00.000001"},
    {-1, "1969-12-31T23:59:59.999999"},
    {INT64_C(951782400) * US, "2000-02-29T00:00:00"},
    {INT64_C(1762516800) * US + 120000, "2025-11-07T12:00:00.120000"},
    {INT64_C(4107542399) * US, "2100-02-28T23:59:59"},
    {INT64_C(4107542400) * US, "2100-03-01T00:00:00"},
    {INT64_C(253402300799) * US + 999999, "9999-12-31T23:59:59.999999"},
};

static void texts_are_of_the_contract(void **state)
{
    char text[TARS_ISO8601_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tars_clock_iso8601(rows[i].wall_us, text);
        assert_string_equal(text, rows[i].expected);
    }
}

/* Every day of 260 years, at some second of it. */
static void days_are_those_of_the_library(void **state)
{
    (void)state;
    for (int64_t day = -40000; day < 55000; day++) {
        time_t seconds = (time_t)(day * 86400 + (day * 7919 % 86400 + 86400) % 86400);
        struct tars_civil at;
        struct tm tm;

        gmtime_r(&seconds, &tm);
        tars_clock_civil((int64_t)seconds * US + 5, &at);
        assert_int_equal(at.year, tm.tm_year + 1900);
        assert_int_equal(at.month, tm.tm_mon + 1);
        assert_int_equal(at.day, tm.tm_mday);
        assert_int_equal(at.hour, tm.tm_hour);
        assert_int_equal(at.minute, tm.tm_min);
        assert_int_equal(at.second, tm.tm_sec);
        assert_int_equal(at.weekday, tm.tm_wday);
    }
}

static void digits_have_their_width(void **state)
{
    char text[8] = "xxxxxxx";

    (void)state;
    assert_ptr_equal(tars_clock_digits(text, 42, 5), text + 5);
    assert_string_equal(text, "00042xx");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_of_the_contract),
        cmocka_unit_test(days_are_those_of_the_library),
        cmocka_unit_test(digits_have_their_width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
