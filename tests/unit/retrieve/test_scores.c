/* Scores of a cross-encoder: each stays with its passage, in whatever order they are asked for. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cache/cache_memory.h"
#include "retrieve/scores.h"
#include "support/faults.h"

#define ARENA_BYTES ((size_t)1 << 20)
#define IDS_MAX     4

/* Scores a chunk by its name, so that each is known wherever it stands. */
struct scorer {
    const char *const *ids;
    size_t count;
    unsigned asked;
    tars_status fails;
    bool is_partial;
};

static float score_of(const char *id)
{
    return (float)(id[strlen(id) - 1] - '0') / 10;
}

static tars_status score(void *ctx, float *scores, bool *is_whole, struct tars_err *err)
{
    struct scorer *scorer = ctx;

    scorer->asked++;
    *is_whole = !scorer->is_partial;
    for (size_t i = 0; i < scorer->count; i++)
        scores[i] = score_of(scorer->ids[i]);
    return scorer->fails ? tars_fail(scorer->fails, err, "no") : TARS_OK;
}

static struct tars_cache *open_cache(void)
{
    const struct tars_cache_memory_config config = {.max_bytes = 1 << 20};
    struct tars_cache *cache = NULL;

    if (tars_cache_memory_open(&config, &cache) != TARS_OK || tars_cache_share(cache) != TARS_OK)
        assert_true(faults_happened());
    return cache;
}

/* Whether it was kept. */
static bool ask(struct tars_cache *cache, const char *model, const char *query,
                const char *const *ids, size_t count)
{
    struct scorer scorer = {.ids = ids, .count = count};
    const struct tars_scores_wish wish = {.model = model,
                                          .query = tars_span_of(query),
                                          .chunk_ids = ids,
                                          .count = count,
                                          .score = score,
                                          .ctx = &scorer};
    enum tars_cache_source source;
    float scores[IDS_MAX];
    struct tars_arena arena;

    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_scores_fetch(cache, &wish, &arena, scores, &source, NULL), TARS_OK);
    for (size_t i = 0; i < count; i++)
        assert_true(scores[i] == score_of(ids[i]));
    assert_int_equal(scorer.asked, source == TARS_CACHE_COMPUTED);
    tars_arena_release(&arena);
    return source == TARS_CACHE_FOUND;
}

static void the_order_is_nothing(void **state)
{
    static const char *const orders[][3] = {{"d_1", "d_2", "e_9"}, {"e_9", "d_1", "d_2"},
                                            {"d_2", "e_9", "d_1"}, {"d_2", "d_1", "e_9"},
                                            {"e_9", "d_2", "d_1"}, {"d_1", "e_9", "d_2"}};
    struct tars_cache *cache = open_cache();

    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        assert_int_equal(ask(cache, "m", "q", orders[i], 3), i > 0);
    tars_cache_free(cache);
}

static void all_else_is_told_apart(void **state)
{
    static const char *const ids[] = {"d_1", "d_2", "d_3"};
    static const char *const twice[] = {"d_1", "d_1", "d_2"};
    struct tars_cache *cache = open_cache();

    (void)state;
    assert_false(ask(cache, "m", "q", ids, 3));
    assert_false(ask(cache, "m", "q", ids, 2));
    assert_false(ask(cache, "m2", "q", ids, 3));
    assert_false(ask(cache, "m", "q2", ids, 3));
    assert_false(ask(cache, "m", "q", twice, 3));
    assert_true(ask(cache, "m", "q", twice, 3));
    assert_true(ask(cache, "m", "q", ids, 3));
    tars_cache_free(cache);
}

/* Design 9.7, letter by letter. */
static void the_key_is_that_of_the_design(void **state)
{
    static const char *const ids[] = {"b_2", "a_1"};
    struct tars_cache *cache = open_cache();
    struct tars_arena arena;
    struct tars_span value;
    float kept[2];

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    (void)ask(cache, "model", "what", ids, 2);
    assert_int_equal(tars_cache_get(cache, TARS_CACHE_RERANK, tars_span_of("model\nwhat::a_1,b_2"),
                                    &arena, &value),
                     TARS_OK);
    assert_int_equal(value.len, sizeof(kept));
    memcpy(kept, value.ptr, sizeof(kept));
    assert_true(kept[0] == score_of("a_1") && kept[1] == score_of("b_2"));
    tars_arena_release(&arena);
    tars_cache_free(cache);
}

static void what_is_no_score_is_made_again(void **state)
{
    static const char *const ids[] = {"a_1"};
    const float bad[] = {1.5F, -0.1F, NAN};
    struct tars_cache *cache = open_cache();

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tars_cache_set(cache, TARS_CACHE_RERANK, tars_span_of("m\nq::a_1"),
                       tars_span((const char *)&bad[i], sizeof(bad[i])));
        assert_false(ask(cache, "m", "q", ids, 1));
    }
    tars_cache_set(cache, TARS_CACHE_RERANK, tars_span_of("m\nq::a_1"), tars_span_of("longer"));
    assert_false(ask(cache, "m", "q", ids, 1));
    tars_cache_free(cache);
}

/* Scores of some passages only are for who made them. */
static void a_part_is_not_kept(void **state)
{
    static const char *const ids[] = {"a_1", "b_2"};
    struct scorer scorer = {.ids = ids, .count = 2, .is_partial = true};
    const struct tars_scores_wish wish = {
        .model = "m", .chunk_ids = ids, .count = 2, .score = score, .ctx = &scorer};
    struct tars_cache *cache = open_cache();
    struct tars_arena arena;
    float scores[2];

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(tars_scores_fetch(cache, &wish, &arena, scores, NULL, NULL), TARS_OK);
        assert_int_equal(scorer.asked, i);
    }
    scorer.is_partial = false;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(tars_scores_fetch(cache, &wish, &arena, scores, NULL, NULL), TARS_OK);
        assert_int_equal(scorer.asked, 3);
    }
    tars_arena_release(&arena);
    tars_cache_free(cache);
}

static void failures_are_the_caller_s(void **state)
{
    static const char *const ids[] = {"a_1"};
    struct scorer scorer = {.ids = ids, .count = 1, .fails = TARS_EUNAVAILABLE};
    struct tars_scores_wish wish = {
        .model = "m", .chunk_ids = ids, .count = 1, .score = score, .ctx = &scorer};
    struct tars_arena arena;
    float scores[1];

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_scores_fetch(NULL, &wish, &arena, scores, NULL, NULL), TARS_EUNAVAILABLE);
    wish.count = 0;
    assert_int_equal(tars_scores_fetch(NULL, &wish, &arena, scores, NULL, NULL), TARS_EINVAL);
    wish.count = TARS_SCORES_MAX + 1;
    assert_int_equal(tars_scores_fetch(NULL, &wish, &arena, scores, NULL, NULL), TARS_EINVAL);
    assert_int_equal(scorer.asked, 1);
    tars_arena_release(&arena);
}

static void faulty_run(void *ctx)
{
    static const char *const ids[] = {"b_2", "a_1"};
    struct scorer scorer = {.ids = ids, .count = 2};
    const struct tars_scores_wish wish = {
        .model = "m", .chunk_ids = ids, .count = 2, .score = score, .ctx = &scorer};
    struct tars_cache *cache = ctx;
    struct tars_arena arena;
    float scores[2];

    (void)tars_cache_clear(cache, TARS_CACHE_RERANK);
    tars_arena_init(&arena, ARENA_BYTES);
    if (tars_scores_fetch(cache, &wish, &arena, scores, NULL, NULL) == TARS_OK) {
        assert_true(scores[0] == score_of("b_2") && scores[1] == score_of("a_1"));
    } else {
        assert_true(faults_happened());
    }
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    struct tars_cache *cache = open_cache();

    (void)state;
    assert_true(faults_each(faulty_run, cache) >= 3);
    tars_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_nothing),
        cmocka_unit_test(all_else_is_told_apart),
        cmocka_unit_test(the_key_is_that_of_the_design),
        cmocka_unit_test(what_is_no_score_is_made_again),
        cmocka_unit_test(a_part_is_not_kept),
        cmocka_unit_test(failures_are_the_caller_s),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
