/* Unit tests of retrieve/fuse and retrieve/relevance. */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "retrieve/fuse.h"
#include "retrieve/relevance.h"
#include "text/analyzer.h"

#define NEAR 1e-6

static const struct tars_index_hit vectors[] = {{7, 0.8F}, {3, 0.65F}, {9, 0.6F}};
static const struct tars_index_hit words[] = {{3, 14.0F}, {5, 10.0F}};

static const struct tars_fuse_range vector_range = {0.6, 0.8};
static const struct tars_fuse_range words_range = {0, 14};

static size_t index_of(const struct tars_fused *fused, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (fused[i].id == id)
            return i;
    }
    fail_msg("passage %d is not there", (int)id);
    return 0;
}

static void lists_are_joined_by_id(void **state)
{
    struct tars_fused got[5];

    (void)state;
    assert_int_equal(tars_fuse_join(vectors, 3, words, 2, got), 4);
    assert_int_equal(got[0].id, 3);
    assert_true(fabs(got[0].vector - 0.65) < NEAR && got[0].words == 14);
    assert_int_equal(got[0].vector_rank, 1);
    assert_int_equal(got[0].words_rank, 0);
    assert_int_equal(got[1].id, 5);
    assert_true(isnan(got[1].vector) && got[1].words == 10);
    assert_true(got[1].vector_rank == TARS_FUSE_NO_RANK && got[1].words_rank == 1);
    assert_true(isnan(got[2].words) && isnan(got[3].words));
    assert_int_equal(tars_fuse_join(NULL, 0, NULL, 0, got), 0);
}

static void linear_is_a_sum_of_scaled_scores(void **state)
{
    static const struct {
        uint64_t id;
        double fused;
    } want[] = {{3, 0.5 + 0.5 * 0.25}, {7, 0.5}, {5, 0.5 * 10 / 14 - 0.5 * 0.25}, {9, 0}};
    struct tars_fused got[5];
    size_t count = tars_fuse_join(vectors, 3, words, 2, got);

    (void)state;
    got[index_of(got, count, 5)].vector = 0.55;
    tars_fuse_linear(got, count, vector_range, words_range, 0.5);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(got[i].id, want[i].id);
        assert_true(fabs(got[i].fused - want[i].fused) < NEAR);
    }
}

static void weights_at_their_ends_are_one_list(void **state)
{
    struct tars_fused got[5];
    size_t count = tars_fuse_join(vectors, 3, words, 2, got);

    (void)state;
    tars_fuse_linear(got, count, vector_range, words_range, 0);
    assert_int_equal(got[0].id, 7);
    tars_fuse_linear(got, count, vector_range, words_range, 1);
    assert_int_equal(got[0].id, 3);
}

static void equal_scores_are_all_best_and_ordered_by_id(void **state)
{
    static const struct tars_index_hit equal[] = {{4, 1.0F}, {2, 1.0F}};
    static const struct tars_fuse_range none = {1, 1};
    struct tars_fused got[2];
    size_t count = tars_fuse_join(equal, 2, NULL, 0, got);

    (void)state;
    tars_fuse_linear(got, count, none, words_range, 0.5);
    assert_int_equal(got[0].id, 2);
    assert_true(fabs(got[0].fused - 0.5) < NEAR && fabs(got[1].fused - 0.5) < NEAR);
}

static void reciprocal_ranks(void **state)
{
    struct tars_fused got[5];
    size_t count = tars_fuse_join(vectors, 3, words, 2, got);

    (void)state;
    tars_fuse_rrf(got, count, 0.5);
    assert_int_equal(got[0].id, 3);
    assert_true(fabs(got[0].fused - (0.5 / 62 + 0.5 / 61)) < NEAR);
    assert_int_equal(got[1].id, 7);
}

static void words_lead_where_the_encoder_is_foreign(void **state)
{
    static const struct {
        double alpha;
        int english_only, language;
        double share, want;
    } rows[] = {
        {0.5, 1, TARS_LANG_ENGLISH, 0, 0.5},   {0.5, 1, TARS_LANG_UNKNOWN, 1, 0.5},
        {0.5, 1, TARS_LANG_GERMAN, 1, 0.9},    {0.5, 1, TARS_LANG_UNKNOWN, 0, 0.9},
        {0.5, 1, TARS_LANG_UNKNOWN, 0.5, 0.7}, {0.5, 0, TARS_LANG_GERMAN, 0, 0.5},
        {1.0, 1, TARS_LANG_GERMAN, 0, 1.0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double got =
            tars_fuse_alpha(rows[i].alpha, rows[i].english_only, rows[i].language, rows[i].share);

        if (fabs(got - rows[i].want) > NEAR)
            fail_msg("row %zu: %f", i, got);
    }
}

/* Of a passage that stands alone. */
static double alone(double cosine, double coverage)
{
    double evidence = tars_relevance_evidence(cosine, coverage);

    return tars_relevance(evidence, 0, tars_relevance_strength(evidence, 0));
}

static void relevance_grows_with_both_scores(void **state)
{
    (void)state;
    for (int i = 0; i <= 10; i++) {
        double x = i / 10.0;

        assert_true(alone(x, 0.3) > 0 && alone(x, 0.3) < 1);
        assert_true(alone(x + 0.05, 0.3) > alone(x, 0.3));
        assert_true(alone(0.4, x + 0.05) > alone(0.4, x));
        assert_true(alone(NAN, x + 0.05) > alone(NAN, x));
        assert_true(alone(0.95, x + 0.05) > alone(0.95, x));
        assert_true(alone(x + 0.05, 1) > alone(x, 1));
    }
}

/* The contract's threshold of 0.7: what passes it and what does not. */
static void relevance_passes_what_answers(void **state)
{
    static const struct {
        const char *name;
        double cosine, coverage;
        bool passes;
    } rows[] = {
        {"near, half the words", 0.6, 0.5, true},
        {"near, few words", 0.7, 0.1, true},
        {"all words, not near", 0.3, 1, true},
        {"the usual question of another matter", 0.25, 0.25, false},
        {"somewhat near, few words", 0.4, 0.2, false},
        {"far, half the words", 0.1, 0.5, false},
        {"no vector, most words", NAN, 0.7, true},
        {"no vector, few words", NAN, 0.3, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double got = alone(rows[i].cosine, rows[i].coverage);

        if ((got >= 0.7) != rows[i].passes)
            fail_msg("%s: %f", rows[i].name, got);
    }
}

/* What stands in the shadow of a better one says less, but never more than 4 in log odds. */
static void relevance_falls_beside_a_better_one(void **state)
{
    double strongest = tars_relevance_strength(3, 0);
    double before = 1;

    (void)state;
    assert_true(strongest > 3);
    assert_true(tars_relevance_strength(3, 1) == 3);
    for (int i = 0; i <= 60; i++) {
        double evidence = 3 - i / 10.0;
        double first = tars_relevance(evidence, 0, tars_relevance_strength(evidence, 0));
        double got = tars_relevance(evidence, 1, strongest);

        assert_true(got < before);
        assert_true(got <= first);
        assert_true(log(first / (1 - first)) - log(got / (1 - got)) <= 4 + NEAR);
        before = got;
    }
    /* Near enough to it, and above it, is as good as alone. */
    assert_true(tars_relevance(2, 1, strongest) == 1 / (1 + exp(-2.0)));
    assert_true(tars_relevance(2, 9, 1) == 1 / (1 + exp(-2.0)));
    assert_true(tars_relevance(2, 1, -INFINITY) == 1 / (1 + exp(-2.0)));
    assert_true(tars_relevance(1, 1, strongest) < 0.1);
    /* Nothing is sure. */
    assert_true(tars_relevance(9, 0, 9) < 0.95 && tars_relevance(9, 0, 9) > 0.9);
}

static void the_strongest_is_of_the_first_five(void **state)
{
    struct tars_fused fused[] = {{.vector = .4}, {.vector = .5}, {.vector = NAN},
                                 {.vector = .3}, {.vector = .2}, {.vector = .9}};

    (void)state;
    assert_true(tars_relevance_strongest(NULL, fused, 0) == -INFINITY);
    assert_true(tars_relevance_strongest(NULL, fused, 1) ==
                tars_relevance_strength(tars_relevance_evidence(.4, 0), 0));
    assert_true(tars_relevance_strongest(NULL, fused, 6) == tars_relevance_evidence(.5, 0));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_joined_by_id),
        cmocka_unit_test(linear_is_a_sum_of_scaled_scores),
        cmocka_unit_test(weights_at_their_ends_are_one_list),
        cmocka_unit_test(equal_scores_are_all_best_and_ordered_by_id),
        cmocka_unit_test(reciprocal_ranks),
        cmocka_unit_test(words_lead_where_the_encoder_is_foreign),
        cmocka_unit_test(relevance_grows_with_both_scores),
        cmocka_unit_test(relevance_passes_what_answers),
        cmocka_unit_test(relevance_falls_beside_a_better_one),
        cmocka_unit_test(the_strongest_is_of_the_first_five),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
