/* Unit tests of text/sentences: a row is a text with | where a sentence should begin. */
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
#include "text/sentences.h"

#define ARENA_MAX   ((size_t)256 << 20)
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct row {
    const char *name;
    const char *text;
} ROWS[] = {
    {"one", "Hello world"},
    {"two", "Hello world. |It is me."},
    {"marks", "Really?! |Yes! |No."},
    {"quotes", "He said \"go.\" |She went. |(They stayed.) |End."},
    {"curly quotes", "He said \xE2\x80\x9Cgo.\xE2\x80\x9D |She went."},
    {"titles", "Dr. Smith met Mrs. Jones. |They spoke."},
    {"references", "See Fig. 3 and Eq. 4. |It holds, e.g. Here."},
    {"initials", "J. R. R. Tolkien wrote. |He smoked."},
    {"decimals", "It is 3.14 or 2.0.1 at v1.2. |Right."},
    {"money", "It cost $3.50. |Cheap."},
    {"hosts", "Visit example.com now. |Or not."},
    {"lower case after", "The U.S. economy etc. and more. |Done."},
    {"ellipsis", "Wait... what? |Wait\xE2\x80\xA6 |Now."},
    {"numbered list", "1. First item\n|2. Second item\n|3) Third"},
    {"bullets", "Items:\n|- one\n|* two\n|\xE2\x80\xA2 three\n|\xE2\x80\x93 four"},
    {"wrapped lines", "This goes\non here. |And\nhere."},
    {"empty line", "A title\n\n|A paragraph.\n \n|Another"},
    {"Chinese", "\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82|\xE5\xA5\xBD\xEF\xBC\x9F|\xE5\xA5\xBD"},
    {"Japanese bracket",
     "\xE3\x80\x8C\xE3\x81\x82\xE3\x80\x82\xE3\x80\x8D|\xE3\x81\x84\xE3\x80\x82"},
    {"Hindi", "\xE0\xA4\x95\xE0\xA5\xA4 |\xE0\xA4\x96\xE0\xA5\xA4"},
    {"Arabic", "\xD9\x85\xD8\xA7\xD8\x9F |\xD9\x87\xD9\x88."},
    {"German", "Das gilt z.B. Hunden. |Gut."},
    {"Spanish", "\xC2\xBFQu\xC3\xA9? |\xC2\xA1No!"},
    {"page feed", "One\f|Two"},
    {"number at the end", "It was 1999. |Then 2.1. |Next"},
    {"paragraph sign", "One\xE2\x80\xA9|Two"},
    {"no space", "end.Begin"},
};

static void check(const char *marked)
{
    char text[256];
    size_t starts[32];
    size_t count = 0;
    size_t len = 0;
    struct guard guard;
    struct tars_arena arena;
    struct tars_sentences got;

    starts[count++] = 0;
    for (const char *c = marked; *c; c++) {
        if (*c == '|') {
            starts[count++] = len;
        } else {
            text[len++] = *c;
        }
    }
    guard = guard_copy(text, len);
    tars_arena_init(&arena, ARENA_MAX);
    assert_int_equal(tars_sentences_split(&arena, guard.ptr, len, &got), TARS_OK);
    for (size_t i = 0; i < got.count && i < count; i++)
        assert_int_equal(got.items[i].start, starts[i]);
    assert_int_equal(got.count, count);
    for (size_t i = 0; i < got.count; i++) {
        assert_true(got.items[i].end > got.items[i].start && got.items[i].end <= len);
        assert_null(memchr(" \n\f", text[got.items[i].end - 1], 3));
    }
    assert_int_equal(tars_sentences_next(guard.ptr, len, 0), got.items[0].end);
    tars_arena_release(&arena);
    guard_free(&guard);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        print_message("  %s\n", ROWS[i].name);
        check(ROWS[i].text);
    }
}

static void test_nothing(void **state)
{
    struct tars_arena arena;
    struct tars_sentences got;

    (void)state;
    tars_arena_init(&arena, ARENA_MAX);
    assert_int_equal(tars_sentences_split(&arena, " \n\t ", 4, &got), TARS_OK);
    assert_int_equal(got.count, 0);
    assert_int_equal(tars_sentences_split(&arena, "", 0, &got), TARS_OK);
    assert_int_equal(got.count, 0);
    tars_arena_release(&arena);
}

/* A megabyte of anything takes linear time. */
static void test_huge(void **state)
{
    static const char *const UNITS[] = {".",  "a.",  ". ",    "\n", "a\n", "\xE3\x80\x82",
                                        ".a", "1. ", "a.  b", ")"};
    size_t len = (size_t)1 << 20;
    char *text = malloc(len);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < COUNT_OF(UNITS); i++) {
        size_t unit = strlen(UNITS[i]);
        struct tars_arena arena;
        struct tars_sentences got;

        for (size_t k = 0; k + unit <= len; k += unit)
            memcpy(text + k, UNITS[i], unit);
        tars_arena_init(&arena, ARENA_MAX);
        assert_int_equal(tars_sentences_split(&arena, text, len / unit * unit, &got), TARS_OK);
        tars_arena_release(&arena);
    }
    free(text);
}

static void body_with_faults(void *ctx)
{
    struct tars_arena arena;
    struct tars_sentences got;
    tars_status status;

    (void)ctx;
    tars_arena_init(&arena, ARENA_MAX);
    status = tars_sentences_split(&arena, "One. Two.", 9, &got);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_arena_release(&arena);
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_int_equal(faults_each(body_with_faults, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
