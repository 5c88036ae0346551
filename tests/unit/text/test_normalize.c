/* Unit tests of text/normalize: each behaviour is a table of named rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/faults.h"
#include "support/guard.h"
#include "text/normalize.h"

#define ARENA_MAX   ((size_t)64 << 20)
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define FFFD        "\xEF\xBF\xBD"

static const struct repair {
    const char *name;
    const char *text;
    const char *want;
} REPAIRS[] = {
    {"ascii", "plain", "plain"},
    {"all lengths", "a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80",
     "a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80"},
    {"stray continuation", "a\x80z", "a" FFFD "z"},
    {"two of them", "\x80\xBF", FFFD FFFD},
    {"never valid bytes", "\xC0\xAF\xFE\xFF", FFFD FFFD FFFD FFFD},
    {"cut of two", "a\xC3", "a" FFFD},
    {"cut of three", "\xE4\xB8z", FFFD "z"},
    {"cut of four", "\xF0\x9F\x98", FFFD},
    {"overlong of three", "\xE0\x80\x80", FFFD FFFD FFFD},
    {"overlong of four", "\xF0\x80\x80\x80", FFFD FFFD FFFD FFFD},
    {"surrogate", "\xED\xA0\x80", FFFD FFFD FFFD},
    {"past the last", "\xF4\x90\x80\x80", FFFD FFFD FFFD FFFD},
    {"last", "\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
    {"after a long good part", "0123456789abcdef\xC3\xA9 0123456789\xFF!",
     "0123456789abcdef\xC3\xA9 0123456789" FFFD "!"},
};

static void test_repair(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(REPAIRS); i++) {
        size_t len = strlen(REPAIRS[i].text);
        struct guard guard = guard_copy(REPAIRS[i].text, len);
        struct tars_arena arena;
        struct tars_span out;

        print_message("  %s\n", REPAIRS[i].name);
        tars_arena_init(&arena, ARENA_MAX);
        assert_int_equal(tars_utf8_repair(&arena, guard.ptr, len, &out), TARS_OK);
        assert_true(tars_span_is(out, REPAIRS[i].want));
        assert_int_equal(tars_utf8_is_valid(guard.ptr, len),
                         strcmp(REPAIRS[i].text, REPAIRS[i].want) == 0);
        assert_true(tars_utf8_is_valid(out.ptr, out.len));
        tars_arena_release(&arena);
        guard_free(&guard);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x110000; code += 7) {
        char bytes[TARS_UTF8_MAX];
        uint32_t back;
        size_t n = tars_utf8_encode(code, bytes);
        uint32_t want =
            code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF) ? TARS_CHAR_REPLACEMENT : code;

        assert_int_equal(tars_utf8_decode(bytes, n, &back), n);
        assert_int_equal(back, want);
    }
}

static void test_places(void **state)
{
    const char *text = "a\xC3\xA9\xE4\xB8\xAD";

    (void)state;
    assert_int_equal(tars_utf8_count(text, 6), 3);
    assert_int_equal(tars_utf8_floor(text, 6, 2), 1);
    assert_int_equal(tars_utf8_floor(text, 6, 5), 3);
    assert_int_equal(tars_utf8_floor(text, 6, 9), 6);
    assert_int_equal(tars_utf8_offset(text, 6, 2), 3);
    assert_int_equal(tars_utf8_offset(text, 6, 3), 6);
    assert_int_equal(tars_utf8_offset(text, 6, 99), 6);
}

static const struct form {
    const char *name;
    enum tars_normal_form form;
    const char *text;
    const char *want;
} FORMS[] = {
    {"nothing to do", TARS_NFC, "Plain", "Plain"},
    {"composed", TARS_NFC, "e\xCC\x81", "\xC3\xA9"},
    {"ligature stays", TARS_NFC, "\xEF\xAC\x81", "\xEF\xAC\x81"},
    {"ligature", TARS_NFKC, "\xEF\xAC\x81X", "fiX"},
    {"full width", TARS_NFKC, "\xEF\xBC\xA1\xEF\xBC\x91", "A1"},
    {"half width kana", TARS_NFKC, "\xEF\xBE\x8A\xEF\xBE\x9F", "\xE3\x83\x91"},
    {"lower", TARS_NFKC_LOW, "ABC \xC3\x89", "abc \xC3\xA9"},
    {"lower ascii", TARS_NFKC_LOW, "abc 1", "abc 1"},
    {"sharp s", TARS_NFKC_LOW,
     "Stra\xC3\x9F"
     "e",
     "strasse"},
    {"soft hyphen", TARS_NFKC_LOW,
     "ab\xC2\xAD"
     "c",
     "abc"},
    {"Turkish", TARS_NFKC_LOW_TURKISH, "I\xC4\xB0", "\xC4\xB1i"},
    {"ill formed", TARS_NFKC_LOW, "A\xFF", "a" FFFD},
    {"empty", TARS_NFKC, "", ""},
};

/* What ASCII becomes by the short way is what it becomes beside a letter that takes the long one.
 */
static void test_ascii(void **state)
{
    char text[128 + 2];
    struct tars_arena arena;
    struct tars_span alone;
    struct tars_span beside;

    (void)state;
    for (size_t i = 0; i < 128; i++)
        text[i] = (char)i;
    text[128] = '\xC3';
    text[129] = '\xA9';
    tars_arena_init(&arena, ARENA_MAX);
    assert_int_equal(tars_normalize(&arena, TARS_NFKC_LOW, text, 128, &alone), TARS_OK);
    assert_int_equal(tars_normalize(&arena, TARS_NFKC_LOW, text, 130, &beside), TARS_OK);
    assert_int_equal(beside.len, alone.len + 2);
    assert_memory_equal(alone.ptr, beside.ptr, alone.len);
    assert_int_equal(alone.ptr['A'], 'a');
    assert_int_equal(alone.ptr[alone.len], '\0');
    tars_arena_release(&arena);
}

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(FORMS); i++) {
        size_t len = strlen(FORMS[i].text);
        struct guard guard = guard_copy(FORMS[i].text, len);
        struct tars_arena arena;
        struct tars_span out;

        print_message("  %s\n", FORMS[i].name);
        tars_arena_init(&arena, ARENA_MAX);
        assert_int_equal(tars_normalize(&arena, FORMS[i].form, guard.ptr, len, &out), TARS_OK);
        assert_true(tars_span_is(out, FORMS[i].want));
        tars_arena_release(&arena);
        guard_free(&guard);
    }
}

/* Long text goes through in slices: the seams must not show. */
static void test_long_text(void **state)
{
    static const char *const UNITS[] = {"Caf\x65\xCC\x81 ", "e\xCC\x81", "\xEF\xAC\x81\n"};
    static const char *const WANT[] = {"caf\xC3\xA9 ", "\xC3\xA9", "fi\n"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(UNITS); i++) {
        size_t unit = strlen(UNITS[i]);
        size_t count = 20000;
        char *text = malloc(unit * count);
        struct tars_arena arena;
        struct tars_span out;

        assert_non_null(text);
        for (size_t k = 0; k < count; k++)
            memcpy(text + k * unit, UNITS[i], unit);
        tars_arena_init(&arena, ARENA_MAX);
        assert_int_equal(tars_normalize(&arena, TARS_NFKC_LOW, text, unit * count, &out), TARS_OK);
        assert_true(tars_utf8_is_valid(out.ptr, out.len));
        assert_memory_equal(out.ptr, WANT[i], strlen(WANT[i]));
        if (i != 1)
            assert_int_equal(out.len, strlen(WANT[i]) * count);
        tars_arena_release(&arena);
        free(text);
    }
}

static const struct bert {
    const char *name;
    const char *text;
    bool lowercase;
    const char *want;
} BERT[] = {
    {"lower",
     "H\xC3\xA9llo\tW\x01"
     "orld",
     true, "hello world"},
    {"cased", "H\xC3\xA9llo", false, "H\xC3\xA9llo"},
    {"ideograph",
     "a\xE4\xB8\xAD"
     "b",
     true, "a \xE4\xB8\xAD b"},
    {"ideograph cased", "\xE4\xB8\xAD", false, " \xE4\xB8\xAD "},
    {"hangul grows", "\xEA\xB0\x81\xEA\xB0\x81\xEA\xB0\x81", true,
     "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8\xE1\x84\x80\xE1\x85"
     "\xA1\xE1\x86\xA8"},
    {"later capital", "\xE1\xB2\x89", true, "\xE1\xB2\x8A"},
    {"empty", "", true, ""},
};

static void test_bert(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(BERT); i++) {
        struct tars_arena arena;
        struct tars_span out;

        print_message("  %s\n", BERT[i].name);
        tars_arena_init(&arena, ARENA_MAX);
        assert_int_equal(tars_normalize_bert(&arena, BERT[i].text, strlen(BERT[i].text),
                                             BERT[i].lowercase, &out),
                         TARS_OK);
        assert_true(tars_span_is(out, BERT[i].want));
        tars_arena_release(&arena);
    }
}

static void test_characters(void **state)
{
    (void)state;
    assert_true(tars_char_is_space(' ') && tars_char_is_space('\n') && tars_char_is_space(0x3000));
    assert_true(tars_char_is_space(0x2009) && !tars_char_is_space(0x200B) &&
                !tars_char_is_space('a'));
    assert_true(tars_char_is_alnum('7') && tars_char_is_alnum('Z') && tars_char_is_alnum(0xE9));
    assert_true(tars_char_is_alnum(0x301) && !tars_char_is_alnum('_') &&
                !tars_char_is_alnum(0x2014));
    assert_true(tars_char_is_cjk(0x4E2D) && tars_char_is_cjk(0x30AB) && tars_char_is_cjk(0xE01));
    assert_true(!tars_char_is_cjk('a') && !tars_char_is_cjk(0xAC00) && !tars_char_is_cjk(0x3001));
}

static void body_with_faults(void *ctx)
{
    struct tars_arena arena;
    struct tars_span out;
    tars_status status;

    (void)ctx;
    tars_arena_init(&arena, ARENA_MAX);
    status = tars_normalize(&arena, TARS_NFKC_LOW, "A\xFF\xC3\x89", 4, &out);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    status = tars_normalize_bert(&arena, "A\xC3\x89", 3, true, &out);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_arena_release(&arena);
}

static void test_no_memory(void **state)
{
    struct tars_arena arena;
    struct tars_span out;
    char text[5000];

    (void)state;
    assert_true(faults_each(body_with_faults, NULL) >= 1);
    memset(text, 'A', sizeof(text));
    tars_arena_init(&arena, 64);
    assert_int_equal(tars_normalize(&arena, TARS_NFKC_LOW, text, sizeof(text), &out), TARS_ENOMEM);
    assert_int_equal(tars_normalize_bert(&arena, text, sizeof(text), true, &out), TARS_ENOMEM);
    text[0] = '\xFF';
    assert_int_equal(tars_utf8_repair(&arena, text, sizeof(text), &out), TARS_ENOMEM);
    assert_int_equal(tars_normalize_bert(&arena, text, UINT32_MAX, true, &out), TARS_ETOOBIG);
    tars_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repair),    cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_places),    cmocka_unit_test(test_forms),
        cmocka_unit_test(test_ascii),     cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_bert),      cmocka_unit_test(test_characters),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
