/* Unit tests of rag/absence: why there is no source, in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rag/absence.h"
#include "support/faults.h"

#define ARENA_BYTES ((size_t)1 << 20)
#define NO_ANSWER   "The documents do not answer this question."

static const char *const WORDS[] = {"zeppelin", "airship", "O'Brien"};

static const struct {
    const char *name;
    struct tars_rag_absence absence;
    const char *unmet, *reason, *text;
} ROWS[] = {
    {"no document",
     {.searched = false},
     NULL,
     "nothing_searched",
     NO_ANSWER " There is no document that could be searched for it."},
    {"nothing like it", {.searched = true}, NULL, "nothing_found", NO_ANSWER},
    {"a word",
     {.searched = true, .missing = WORDS, .missing_count = 1},
     NULL,
     "missing_words",
     NO_ANSWER " No passage holds \"zeppelin\"."},
    {"two, and a passage that is near",
     {.searched = true,
      .missing = WORDS,
      .missing_count = 2,
      .nearest_file = "a.txt",
      .relevance = .5,
      .threshold = .7},
     "the zeppelin",
     "missing_words",
     NO_ANSWER " No passage holds \"zeppelin\" or \"airship\"."},
    {"three, in one collection",
     {.searched = true, .missing = WORDS, .missing_count = 3, .narrowed = true},
     NULL,
     "missing_words",
     NO_ANSWER " No passage that was searched holds \"zeppelin\", \"airship\" or "
               "\"O'Brien\"."},
    {"too far",
     {.searched = true, .nearest_file = "leave.pdf", .relevance = .4189, .threshold = .7},
     NULL,
     "too_far",
     NO_ANSWER " The nearest passage, of leave.pdf, is too far from it: relevance 0.41, 0.7 "
               "asked."},
    {"hardly too far",
     {.searched = true, .nearest_file = "leave.pdf", .relevance = .6999, .threshold = .7},
     NULL,
     "too_far",
     NO_ANSWER " The nearest passage, of leave.pdf, is too far from it: relevance 0.69, 0.7 "
               "asked."},
    {"a demand that is not met, too",
     {.searched = true, .nearest_file = "leave.pdf", .relevance = 0, .threshold = 1},
     "notice period",
     "too_far",
     NO_ANSWER " No passage holds \"notice period\" as it was asked. The nearest passage, of "
               "leave.pdf, is too far from it: relevance 0.00, 1 asked."},
};

static void reasons(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct tars_arena arena;
        const char *text;

        print_message("%s\n", ROWS[i].name);
        tars_arena_init(&arena, ARENA_BYTES);
        text = tars_absence_text(&arena, &ROWS[i].absence, ROWS[i].unmet);
        assert_non_null(text);
        assert_string_equal(text, ROWS[i].text);
        assert_string_equal(tars_absence_reason(&ROWS[i].absence), ROWS[i].reason);
        tars_arena_release(&arena);
    }
}

/* What does not fit is left out whole. */
static void a_huge_demand(void **state)
{
    static char unmet[70000];
    const struct tars_rag_absence absence = {.searched = true};
    struct tars_arena arena;

    (void)state;
    memset(unmet, 'x', sizeof(unmet) - 1);
    tars_arena_init(&arena, ARENA_BYTES);
    assert_string_equal(tars_absence_text(&arena, &absence, unmet), NO_ANSWER);
    tars_arena_release(&arena);
}

static void wordings_are_joined(void **state)
{
    struct tars_rag_absence one = {
        .missing = WORDS, .missing_count = 1, .nearest_file = "a", .relevance = .3};
    const struct tars_rag_absence nearer = {.missing = WORDS,
                                            .missing_count = 3,
                                            .nearest_file = "b",
                                            .nearest_document = "doc_b",
                                            .relevance = .4,
                                            .searched = true};
    const struct tars_rag_absence farther = {.nearest_file = "c", .relevance = .39};
    const struct tars_rag_absence none = {.relevance = .9};

    (void)state;
    tars_absence_join(&one, &nearer);
    tars_absence_join(&one, &farther);
    tars_absence_join(&one, &none);
    assert_string_equal(one.nearest_file, "b");
    assert_string_equal(one.nearest_document, "doc_b");
    assert_true(one.relevance == .4 && one.searched);
    assert_int_equal(one.missing_count, 1);
}

static void work(void *ctx)
{
    struct tars_arena arena;

    (void)ctx;
    tars_arena_init(&arena, ARENA_BYTES);
    (void)!tars_absence_text(&arena, &ROWS[5].absence, NULL);
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    assert_true(faults_each(work, *state) > 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons),
        cmocka_unit_test(a_huge_demand),
        cmocka_unit_test(wordings_are_joined),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
