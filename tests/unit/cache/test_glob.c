/* Patterns of names: each row says what matches and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/glob.h"

static const struct row {
    const char *pattern, *text;
    bool matches;
} rows[] = {
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"*", "anything at all", true},
    {"tars:*", "tars:embedding:00", true},
    {"tars:*", "tar:embedding:00", false},
    {"tars:*:0f", "tars:result:0f", true},
    {"tars:*:0f", "tars:result:0f1", false},
    {"*b*b*", "abab", true},
    {"*b*b*", "abaa", false},
    {"a?c", "abc", true},
    {"a?c", "ac", false},
    {"a[bc]d", "acd", true},
    {"a[bc]d", "aed", false},
    {"a[^bc]d", "aed", true},
    {"a[^bc]d", "abd", false},
    {"[a-f0-9]x", "ex", true},
    {"[a-f0-9]x", "gx", false},
    {"[f-a]", "c", true},
    {"[a-]", "-", true},
    {"[\\]]", "]", true},
    {"[\\^a]", "^", true},
    {"[abc", "b", true},
    {"[", "[", false},
    {"a\\*c", "a*c", true},
    {"a\\*c", "abc", false},
    {"a\\", "a\\", true},
    {"*[0-9]", "tars:1", true},
    {"*[0-9]", "tars:1a", false},
    {"***a", "bbba", true},
    {"\xff*", "\xff\x80", true},
};

static void patterns_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("  %s, %s\n", rows[i].pattern, rows[i].text);
        assert_int_equal(tars_glob_matches(rows[i].pattern, rows[i].text), rows[i].matches);
    }
}

/* Backtracking into every star would take longer than the universe has lasted. */
static void many_stars_take_no_time(void **state)
{
    char pattern[201];
    char text[101];

    (void)state;
    for (size_t i = 0; i < 200; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[198] = 'b';
    pattern[199] = '\0';
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_false(tars_glob_matches(pattern, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match),
        cmocka_unit_test(many_stars_take_no_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
