/* Unit tests of base/status and base/sys/clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"
#include "base/sys/clock.h"

static void every_status_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(tars_status_text(TARS_OK), "ok");
    assert_string_equal(tars_status_text(TARS_ENOTEXT), "no text layer");
    assert_string_equal(tars_status_text((tars_status)9999), "unknown status");
}

static void messages_are_set_and_cut_at_characters(void **state)
{
    struct tars_err err = {"untouched"};
    char longest[2 * TARS_ERR_TEXT_MAX];

    (void)state;
    assert_int_equal(tars_fail(TARS_EIO, NULL, "nobody reads %d", 1), TARS_EIO);
    assert_int_equal(tars_fail(TARS_EINVAL, &err, "%s is %d", "x", 5), TARS_EINVAL);
    assert_string_equal(err.text, "x is 5");
    /* 511 bytes fit: 255 two-byte characters and an ASCII one, or one half character too many. */
    for (size_t i = 0; i + 1 < sizeof(longest); i += 2)
        memcpy(longest + i, "\xC3\xA4", 2);
    longest[sizeof(longest) - 2] = '\0';
    assert_int_equal(tars_fail(TARS_EIO, &err, "%s", longest), TARS_EIO);
    assert_int_equal(strlen(err.text), 510);
    assert_int_equal(tars_fail(TARS_EIO, &err, "a%s", longest), TARS_EIO);
    assert_int_equal(strlen(err.text), 511);
}

static void times_have_the_shape_of_the_contract(void **state)
{
    static const struct {
        int64_t us;
        const char *want;
    } rows[] = {
        {0, "1970-01-01T00:00:00"},
        {1, "1970-01-01T00:00:00.000001"},
        {INT64_C(1762516800000001), "2025-11-07T12:00:00.000001"},
        {INT64_C(1762516800120000), "2025-11-07T12:00:00.120000"},
        {-1, "1969-12-31T23:59:59.999999"},
    };
    char text[TARS_ISO8601_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tars_clock_iso8601(rows[i].us, text);
        assert_string_equal(text, rows[i].want);
    }
}

static void clocks_go_forward(void **state)
{
    int64_t before = tars_clock_mono_ns();

    (void)state;
    assert_true(tars_clock_mono_ns() >= before);
    assert_true(tars_clock_mono(NULL) >= before / 1000000);
    assert_true(tars_clock_wall_us() > INT64_C(1700000000000000));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_text),
        cmocka_unit_test(messages_are_set_and_cut_at_characters),
        cmocka_unit_test(times_have_the_shape_of_the_contract),
        cmocka_unit_test(clocks_go_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
