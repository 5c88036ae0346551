/* Unit tests of tars_clock_parse(): times as clients write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/sys/clock.h"
#include "support/guard.h"

#define NONE INT64_MIN

static const struct {
    const char *text;
    int64_t expected; /* NONE: refused */
} table[] = {
    {"2025-11-07", INT64_C(1762473600000000)},
    {"2025-11-07T12:00", INT64_C(1762516800000000)},
    {"2025-11-07 12:00:01", INT64_C(1762516801000000)},
    {"2025-11-07T12:00:00.5", INT64_C(1762516800500000)},
    {"2025-11-07T12:00:00.000001", INT64_C(1762516800000001)},
    {"2025-11-07T12:00:00Z", INT64_C(1762516800000000)},
    {"2025-11-07T12:00:00+02:00", INT64_C(1762509600000000)},
    {"2025-11-07T12:00:00 02:00", INT64_C(1762509600000000)},
    {"2025-11-07T12:00:00-0130", INT64_C(1762522200000000)},
    {"1970-01-01T00:00:00", 0},
    {"1969-12-31T23:59:59", -INT64_C(1000000)},
    {"2024-02-29", INT64_C(1709164800000000)},
    {"2023-02-29", NONE},
    {"1900-02-29", NONE},
    {"2000-02-29", INT64_C(951782400000000)},
    {"0000-01-01", NONE},
    {"2025-13-01", NONE},
    {"2025-00-01", NONE},
    {"2025-11-31", NONE},
    {"2025-11-7", NONE},
    {"2025-11-07T", NONE},
    {"2025-11-07T24:00", NONE},
    {"2025-11-07T12", NONE},
    {"2025-11-07T12:60", NONE},
    {"2025-11-07T12:00:60", NONE},
    {"2025-11-07T12:00:00.", NONE},
    {"2025-11-07T12:00:00.1234567", NONE},
    {"2025-11-07T12:00:00+2", NONE},
    {"2025-11-07T12:00:00+24:00", NONE},
    {"2025-11-07T12:00:00Zx", NONE},
    {"yesterday", NONE},
    {"", NONE},
    {"-", NONE},
};

static void times_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int64_t us = NONE;
        struct guard copy = guard_copy(table[i].text, strlen(table[i].text) + 1);

        if (tars_clock_parse(copy.ptr, &us) != (table[i].expected != NONE) ||
            us != table[i].expected)
            fail_msg("%s: %lld", table[i].text, (long long)us);
        guard_free(&copy);
    }
}

static void what_is_written_can_be_read(void **state)
{
    char text[TARS_ISO8601_BYTES];
    int64_t us;

    (void)state;
    tars_clock_iso8601(INT64_C(1762516800000001), text);
    assert_true(tars_clock_parse(text, &us));
    assert_int_equal(us, INT64_C(1762516800000001));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(what_is_written_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
