/* Unit tests of eval/tally and eval/answers. */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eval/answers.h"
#include "eval/tally.h"
#include "support/faults.h"

#define NEAR(a, b) (fabs((a) - (b)) < 1e-12)

static const struct tars_eval_line lines[] = {
    {.id = "right",
     .ranked = true,
     .measures = {1, 1, 1, 1, 1},
     .search_ms = 4,
     .asked = true,
     .right = true,
     .answer_ms = 10,
     .claims = 2,
     .supported = 2,
     .citations = 3,
     .citations_good = 2},
    {.id = "wrong",
     .ranked = true,
     .measures = {0.5, 0, 0.5, 1, 0.25},
     .search_ms = 2,
     .asked = true,
     .answer_ms = 30,
     .claims = 2,
     .supported = 1,
     .citations = 1},
    {.id = "refused though there is one", .search_ms = 3, .asked = true, .refused = true},
    {.id = "refused well", .asked = true, .has_none = true, .refused = true, .answer_ms = 20},
    {.id = "made up", .asked = true, .has_none = true, .claims = 1, .answer_ms = 20},
    {.id = "searched alone", .ranked = true, .search_ms = 1},
};

static void sums(void **state)
{
    struct tars_eval_sums got;

    (void)state;
    assert_int_equal(tars_eval_sum(lines, 6, &got), TARS_OK);
    assert_int_equal(got.count, 6);
    assert_int_equal(got.ranked, 3);
    assert_true(NEAR(got.measures[TARS_NDCG_10], 0.5));
    assert_true(NEAR(got.measures[TARS_MAP], 1.25 / 3));
    assert_int_equal(got.answerable, 3);
    assert_int_equal(got.unanswerable, 2);
    assert_true(NEAR(got.answered, 2.0 / 3));
    assert_true(NEAR(got.right, 1.0 / 3));
    assert_true(NEAR(got.right_of_answered, 0.5));
    assert_true(NEAR(got.no_answer_recall, 0.5));
    assert_true(NEAR(got.no_answer_precision, 0.5));
    assert_true(NEAR(got.citation_precision, 0.5));
    assert_true(NEAR(got.support, 0.6));
    assert_true(NEAR(got.search_p50_ms, 2) && NEAR(got.search_p95_ms, 4));
    assert_true(NEAR(got.answer_p50_ms, 20) && NEAR(got.answer_p95_ms, 30));
}

/* What was not asked is absent, not zero. */
static void nothing_is_not_zero(void **state)
{
    struct tars_eval_sums got;

    (void)state;
    assert_int_equal(tars_eval_sum(NULL, 0, &got), TARS_OK);
    assert_true(isnan(got.measures[TARS_NDCG_10]) && isnan(got.answered) && isnan(got.support));
    assert_int_equal(tars_eval_sum(&lines[5], 1, &got), TARS_OK);
    assert_true(NEAR(got.measures[TARS_NDCG_10], 0) && isnan(got.no_answer_precision));
    assert_int_equal(tars_eval_sum(&lines[0], 1, &got), TARS_OK);
    assert_true(isnan(got.no_answer_recall) && isnan(got.no_answer_precision));
}

static void answers(void **state)
{
    static const struct {
        const char *name, *answer, *expected;
        bool holds;
    } rows[] = {
        {"the words", "It was built in 1889.", "1889", true},
        {"case and marks", "By THE U.S. Army!", "the u.s. army", true},
        {"whole words only", "In 18890", "1889", false},
        {"articles are left out", "a United States Department", "the United States department",
         true},
        {"order counts", "States United", "United States", false},
        {"full width", "\xef\xbc\x91\xef\xbc\x98", "18", true},
        {"accents count", "cafe", "caf\xc3\xa9", false},
        {"cyrillic", "\xd0\x92 \xd0\x9c\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb5.",
         "\xd0\xbc\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb5", true},
        {"no spaces in Japanese", "\xe6\x9d\xb1\xe4\xba\xac\xe3\x81\xa7\xe3\x81\x99",
         "\xe4\xba\xac", true},
        {"nothing expected", "anything", "", false},
        {"only marks expected", "anything ...", "...", false},
        {"only an article", "the the", "the", false},
        {"empty answer", "", "x", false},
        {"ill-formed bytes", "\xff\xfe 12", "12", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_arena arena;
        bool holds = false;

        tars_arena_init(&arena, (size_t)1 << 20);
        assert_int_equal(tars_answer_holds(&arena, tars_span_of(rows[i].answer),
                                           tars_span_of(rows[i].expected), &holds),
                         TARS_OK);
        if (holds != rows[i].holds)
            fail_msg("%s: %d", rows[i].name, (int)holds);
        tars_arena_release(&arena);
    }
}

static void work_once(void *ctx)
{
    struct tars_eval_sums got;
    struct tars_arena arena;
    bool holds;
    tars_status status;

    (void)ctx;
    tars_arena_init(&arena, (size_t)1 << 20);
    status = tars_answer_holds(&arena, tars_span_of("The \xc3\x9cxy Answer"),
                               tars_span_of("\xc3\xbc"), &holds);
    if (status == TARS_OK)
        status = tars_eval_sum(lines, 6, &got);
    assert_true(status == TARS_OK || (status == TARS_ENOMEM && faults_happened()));
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(work_once, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums),
        cmocka_unit_test(nothing_is_not_zero),
        cmocka_unit_test(answers),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
