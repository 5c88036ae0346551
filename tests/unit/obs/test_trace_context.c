/* Unit tests of obs/trace_context: W3C Trace Context, level 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "obs/trace_context.h"
#include "support/guard.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN  "b7ad6b7169203331"

struct parent {
    const char *name;
    const char *text;
    bool good;
    bool sampled;
};

static const struct parent parents[] = {
    {"sampled", "00-" TRACE "-" SPAN "-01", true, true},
    {"not sampled", "00-" TRACE "-" SPAN "-00", true, false},
    {"flags of the future, not sampled", "00-" TRACE "-" SPAN "-fe", true, false},
    {"flags of the future, sampled", "00-" TRACE "-" SPAN "-ff", true, true},
    {"later version, as long", "01-" TRACE "-" SPAN "-01", true, true},
    {"later version, goes on", "cc-" TRACE "-" SPAN "-01-what", true, true},
    {"later version, ends in a dash", "cc-" TRACE "-" SPAN "-01-", true, true},
    {"later version, goes on without a dash", "cc-" TRACE "-" SPAN "-01what", false, false},
    {"version 00 goes on", "00-" TRACE "-" SPAN "-01-what", false, false},
    {"version ff", "ff-" TRACE "-" SPAN "-01", false, false},
    {"version no number", "0x-" TRACE "-" SPAN "-01", false, false},
    {"trace all zeros", "00-00000000000000000000000000000000-" SPAN "-01", false, false},
    {"trace ends in zeros", "00-0af76519000000000000000000000000-" SPAN "-01", true, true},
    {"span all zeros", "00-" TRACE "-0000000000000000-01", false, false},
    {"upper case", "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", false, false},
    {"upper case flags", "00-" TRACE "-" SPAN "-0A", false, false},
    {"trace too short", "00-0af7651916cd43dd8448eb211c8031-" SPAN "-01", false, false},
    {"span no hex", "00-" TRACE "-b7ad6b716920333g-01", false, false},
    {"other dashes", "00_" TRACE "-" SPAN "-01", false, false},
    {"one digit of flags", "00-" TRACE "-" SPAN "-1", false, false},
    {"white space", " 00-" TRACE "-" SPAN "-01", false, false},
    {"empty", "", false, false},
};

static void parent_is_read(void **state)
{
    const struct parent *parent = *state;
    struct guard guard = guard_copy(parent->text, strlen(parent->text));
    struct tars_trace trace = {.sampled = !parent->sampled};
    bool good = tars_traceparent_parse(guard.ptr, strlen(parent->text), &trace);

    guard_free(&guard);
    assert_int_equal(good, parent->good);
    if (good) {
        assert_memory_equal(trace.id, parent->text + 3, 32);
        assert_int_equal(trace.span, UINT64_C(0xb7ad6b7169203331));
        assert_int_equal(trace.sampled, parent->sampled);
    } else {
        assert_string_equal(trace.id, "");
        assert_int_equal(trace.span, 0);
        assert_int_equal(trace.sampled, !parent->sampled);
    }
}

#define KEY_64  "k234567890123456789012345678901234567890123456789012345678901234"
#define KEY_256 KEY_64 KEY_64 KEY_64 KEY_64

struct listed {
    const char *name;
    const char *text;
    bool good;
};

static const struct listed states[] = {
    {"two", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", true},
    {"white space around members", "congo=1 , \trojo=2\t", true},
    {"empty members", "a=1,,b=2,", true},
    {"tenant", "1tenant@system=1", true},
    {"all kinds of characters", "a_-*/9=!\"#$%&'()*+-./:;<>?@[]^_`{|}~", true},
    {"spaces within a value", "a=b c", true},
    {"key of 256", KEY_256 "=1", true},
    {"key of 257", KEY_256 "a=1", false},
    {"key begins with a digit", "1a=1", false},
    {"key in upper case", "A=1", false},
    {"key twice", "a=1,b=2,a=3", false},
    {"no key", "=1", false},
    {"no value", "a=", false},
    {"no equals", "a", false},
    {"equals in the value", "a=b=c", false},
    {"system too long", "t@s23456789012345=1", false},
    {"system empty", "t@=1", false},
    {"two systems", "t@a@b=1", false},
    {"tenant empty", "@a=1", false},
    {"control byte", "a=\x01", false},
    {"not ascii", "a=\xC3\xA9", false},
    {"only commas", ", ,", false},
    {"empty", "", false},
};

static void state_is_checked(void **state)
{
    const struct listed *listed = *state;
    struct guard guard = guard_copy(listed->text, strlen(listed->text));

    assert_int_equal(tars_tracestate_is_good(guard.ptr, strlen(listed->text)), listed->good);
    guard_free(&guard);
}

static void state_has_bounds(void **state)
{
    char text[TARS_TRACESTATE_MAX + 8];
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 32; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%sk%d=v", i ? "," : "", i);
    assert_true(tars_tracestate_is_good(text, len));
    len += (size_t)snprintf(text + len, sizeof(text) - len, ",k32=v");
    assert_false(tars_tracestate_is_good(text, len));

    for (size_t at = 0; at < 2; at++) {
        memset(text, ',', sizeof(text));
        text[0] = 'a';
        text[1] = '=';
        text[2] = '1';
        assert_int_equal(tars_tracestate_is_good(text, TARS_TRACESTATE_MAX + at), at == 0);
    }
}

static void parent_is_written(void **state)
{
    struct tars_trace trace = {.id = TRACE, .span = UINT64_C(0xb7ad6b7169203331), .sampled = true};
    char out[TARS_TRACEPARENT_BYTES];

    (void)state;
    assert_true(tars_traceparent_write(&trace, out));
    assert_string_equal(out, "00-" TRACE "-" SPAN "-01");
    trace.sampled = false;
    trace.span = 1;
    assert_true(tars_traceparent_write(&trace, out));
    assert_string_equal(out, "00-" TRACE "-0000000000000001-00");
    trace.span = 0;
    assert_false(tars_traceparent_write(&trace, out));
    trace = (struct tars_trace){.span = 1};
    assert_false(tars_traceparent_write(&trace, out));
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int main(void)
{
    struct CMUnitTest tests[COUNT(parents) + COUNT(states) + 2];
    size_t count = 0;

    for (size_t i = 0; i < COUNT(parents); i++) {
        tests[count++] = (struct CMUnitTest){.name = parents[i].name,
                                             .test_func = parent_is_read,
                                             .initial_state = (void *)&parents[i]};
    }
    for (size_t i = 0; i < COUNT(states); i++) {
        tests[count++] = (struct CMUnitTest){.name = states[i].name,
                                             .test_func = state_is_checked,
                                             .initial_state = (void *)&states[i]};
    }
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(state_has_bounds);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(parent_is_written);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
