/* Results as bytes: what is kept is given back, and foreign bytes are told from ours. Keys: what a
 * result depends on tells keys apart. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "retrieve/kept.h"
#include "support/faults.h"
#include "support/guard.h"

#define ARENA_BYTES ((size_t)1 << 20)
#define ROWS        3

static const struct tars_found rows_found[ROWS] = {
    {.passage_id = 1,
     .relevance = .9,
     .fused = 1,
     .vector_score = .5,
     .bm25_score = 3,
     .coverage = 1,
     .rerank_score = .75},
    {.passage_id = UINT64_MAX,
     .relevance = 0,
     .fused = -1,
     .vector_score = NAN,
     .coverage = .25,
     .rerank_score = NAN},
    {.passage_id = 7,
     .relevance = 1,
     .fused = 0,
     .vector_score = -1,
     .bm25_score = .125,
     .rerank_score = NAN},
};

static void kept_results_come_back(void **state)
{
    static const char *const methods[] = {"linear", "rrf", "words", "vectors"};
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    for (size_t count = 0; count <= ROWS; count++) {
        for (size_t m = 0; m < 4; m++) {
            struct tars_found found[ROWS];
            struct tars_retrieved result = {
                .found = found, .count = count, .fusion_method = methods[m]};
            struct tars_retrieved back = {0};
            struct tars_span bytes;

            memcpy(found, rows_found, sizeof(found));
            assert_int_equal(tars_kept_encode(&result, &arena, &bytes), TARS_OK);
            assert_int_equal(bytes.len, 16 + 56 * count);
            assert_true(tars_kept_is_good(bytes, ROWS));
            assert_int_equal(tars_kept_decode(bytes, &arena, &back), TARS_OK);
            assert_int_equal(back.count, count);
            assert_int_equal(back.reranked, count > 0);
            assert_string_equal(back.fusion_method, methods[m]);
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(back.found[i].passage_id, found[i].passage_id);
                assert_true(back.found[i].relevance == found[i].relevance);
                assert_true(back.found[i].fused == found[i].fused);
                assert_int_equal(isnan(back.found[i].vector_score), isnan(found[i].vector_score));
                assert_true(back.found[i].bm25_score == found[i].bm25_score);
                assert_true(back.found[i].coverage == found[i].coverage);
                assert_int_equal(isnan(back.found[i].rerank_score), i > 0);
                assert_null(back.found[i].passage);
            }
        }
    }
    tars_arena_release(&arena);
}

/* Every prefix, and every byte that is another one, at the end of readable memory. */
static void foreign_bytes_are_told(void **state)
{
    struct tars_found found[ROWS];
    struct tars_retrieved result = {.found = found, .count = ROWS, .fusion_method = "rrf"};
    struct tars_arena arena;
    struct tars_span bytes;
    struct guard guard;

    (void)state;
    memcpy(found, rows_found, sizeof(found));
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_kept_encode(&result, &arena, &bytes), TARS_OK);
    assert_false(tars_kept_is_good(bytes, ROWS - 1)); /* more than was asked for */
    for (size_t len = 0; len < bytes.len; len++) {
        guard = guard_copy(bytes.ptr, len);
        assert_false(tars_kept_is_good(tars_span(guard.ptr, len), ROWS));
        guard_free(&guard);
    }
    for (size_t i = 0; i < 12; i++) { /* magic, count, method */
        guard = guard_copy(bytes.ptr, bytes.len);
        guard.ptr[i] = (char)(guard.ptr[i] ^ 0x55);
        assert_false(tars_kept_is_good(tars_span(guard.ptr, bytes.len), 1000));
        guard_free(&guard);
    }
    tars_arena_release(&arena);
}

static void impossible_scores_are_told(void **state)
{
    static const struct {
        const char *name;
        struct tars_found found;
    } rows[] = {
        {"relevance over 1", {.relevance = 1.5}},
        {"relevance below 0", {.relevance = -.1}},
        {"relevance no number", {.relevance = NAN}},
        {"fused no number", {.fused = NAN}},
        {"fused endless", {.fused = INFINITY}},
        {"cosine endless", {.vector_score = -INFINITY}},
        {"words endless", {.bm25_score = INFINITY}},
        {"coverage no number", {.coverage = NAN}},
        {"reranked over 1", {.rerank_score = 1.5}},
        {"reranked below 0", {.rerank_score = -.5}},
    };
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_found found = rows[i].found;
        struct tars_retrieved result = {.found = &found, .count = 1, .fusion_method = "linear"};
        struct tars_span bytes;

        print_message("  %s\n", rows[i].name);
        assert_int_equal(tars_kept_encode(&result, &arena, &bytes), TARS_OK);
        assert_false(tars_kept_is_good(bytes, 1));
    }
    tars_arena_release(&arena);
}

/* --------------------------------------------------------------------- keys */

struct asking {
    struct tars_kept_state state;
    struct tars_retrieve_request request;
    struct tars_visible visible;
};

static const char *const both[] = {"a/one", "a/two"};
static const char *const joined[] = {"a/onea/two"};

static struct asking usual(void)
{
    return (struct asking){
        .state = {.epoch = "e1", .seq = 7, .ranking = "r"},
        .request = {.query = {"words", 5}, .top_k = 5, .threshold = .5},
        .visible = {.keys = both, .count = 2},
    };
}

static void key_of(const struct asking *asking, struct tars_buf *out)
{
    const struct tars_call call = {.visible = &asking->visible};

    tars_buf_init(out, TARS_KEPT_KEY_MAX);
    tars_kept_key(out, &asking->state, &asking->request, &call);
    assert_int_equal(out->status, TARS_OK);
}

static void assert_apart(const char *name, const struct asking *other)
{
    struct asking asking = usual();
    struct tars_buf a;
    struct tars_buf b;

    print_message("  %s\n", name);
    key_of(&asking, &a);
    key_of(other, &b);
    assert_false(tars_span_equal(tars_buf_span(&a), tars_buf_span(&b)));
    tars_buf_release(&a);
    tars_buf_release(&b);
}

#define APART(change)                  \
    {                                  \
        struct asking other = usual(); \
                                       \
        other.change;                  \
        assert_apart(#change, &other); \
    }

static void all_that_a_result_depends_on_is_in_its_key(void **state)
{
    (void)state;
    APART(state.epoch = "e2")
    APART(state.seq = 8)
    APART(state.ranking = "other")
    APART(request.query = tars_span_of("word"))
    APART(request.top_k = 6)
    APART(request.threshold = .6)
    APART(request.threshold = -1)
    APART(request.filters_json = "")
    APART(request.filters_json = "{\"file_type\":\"pdf\"}")
    APART(request.collection = "a/one")
    APART(request.mode = TARS_RETRIEVE_WORDS)
    APART(request.mode = TARS_RETRIEVE_VECTORS)
    APART(request.distinct_documents = true)
    APART(request.rerank = true)
    APART(request.explain = true)
    APART(visible.count = 1)
    APART(visible.count = 0)
    APART(visible.all = true)
    APART(visible = ((struct tars_visible){.keys = joined, .count = 1}))
}

static void nothing_else_is_in_the_key(void **state)
{
    struct asking again = usual();
    struct tars_buf a;
    struct tars_buf b;

    (void)state;
    key_of(&again, &a);
    again.request.query.ptr = "words that go on"; /* the same five bytes */
    key_of(&again, &b);
    assert_true(tars_span_equal(tars_buf_span(&a), tars_buf_span(&b)));
    tars_buf_release(&a);
    tars_buf_release(&b);
}

static void faulty_run(void *ctx)
{
    struct tars_found found[ROWS];
    struct tars_retrieved result = {.found = found, .count = ROWS, .fusion_method = "words"};
    struct tars_retrieved back = {0};
    struct tars_arena arena;
    struct tars_span bytes;

    (void)ctx;
    memcpy(found, rows_found, sizeof(found));
    tars_arena_init(&arena, ARENA_BYTES);
    if (tars_kept_encode(&result, &arena, &bytes) != TARS_OK ||
        tars_kept_decode(bytes, &arena, &back) != TARS_OK) {
        assert_true(faults_happened());
    } else {
        assert_int_equal(back.count, ROWS);
    }
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(faulty_run, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_results_come_back),
        cmocka_unit_test(foreign_bytes_are_told),
        cmocka_unit_test(impossible_scores_are_told),
        cmocka_unit_test(all_that_a_result_depends_on_is_in_its_key),
        cmocka_unit_test(nothing_else_is_in_the_key),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
