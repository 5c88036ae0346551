/* Reranking: the arithmetic, and the step over a real store and cache with a reranker that reads
 * the score in the text; and the real reranker of this process over a small model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys/clock.h"
#include "cache/cache_memory.h"
#include "cache/fetch.h"
#include "retrieve/rerank.h"
#include "retrieve/reranker_local.h"
#include "store/store.h"
#include "store/store_sqlite.h"
#include "support/faults.h"
#include "support/files.h"

#include "../model/tiny_model.h"

#define ARENA_BYTES ((size_t)8 << 20)
#define PASSAGES    6

/* A passage says how well it answers. */
static const char *const texts[PASSAGES] = {"0.1", "0.2", "0.9", "0.4", "0.5", "0.6"};

struct scripted {
    struct tars_reranker base;
    size_t most; /* scored in time */
    tars_status fails;
    unsigned asked;
    size_t n; /* of the last call */
    bool cancels;
};

static struct {
    char dir[FILES_PATH_MAX];
    struct tars_store *store;
    struct tars_cache *cache;
    struct tars_arena arena;
    struct tars_call call;
    struct tars_fused fused[PASSAGES]; /* best first: texts[0], texts[1], ... */
    struct scripted scripted;
    struct tars_rerank_config config;
} f;

/* ------------------------------------------------------------------ fixture */

static tars_status stub_score(struct tars_reranker *self, const struct tars_reranker_wish *wish,
                              float *scores, size_t *scored, struct tars_err *err)
{
    struct scripted *scripted = (struct scripted *)(void *)self;

    scripted->asked++;
    scripted->n = wish->n;
    *scored = 0;
    if (scripted->cancels)
        atomic_store(&wish->call->cancelled, true);
    if (scripted->fails)
        return tars_fail(scripted->fails, err, "it is away");
    assert_true(wish->until_ns > tars_clock_mono_ns());
    for (; *scored < wish->n && *scored < scripted->most; (*scored)++)
        scores[*scored] = strtof(wish->passages[*scored].ptr, NULL);
    return TARS_OK;
}

static tars_status stub_health(struct tars_reranker *self, struct tars_err *err)
{
    (void)err;
    (void)self;
    return TARS_OK;
}

static void stub_close(struct tars_reranker *self)
{
}

static void put_passages(void)
{
    struct tars_store_passage passages[PASSAGES] = {{0}};
    struct tars_store_file file = {.path = "/d/a.txt", .sha256 = "00"};
    struct tars_store_document document = {
        .path = "/d/a.txt", .file_name = "a.txt", .file_type = "txt", .metadata_json = ""};
    struct tars_store_put put = {
        .document = &document, .passages = passages, .passage_count = PASSAGES};
    struct tars_store_batch batch = {
        .file = &file, .puts = &put, .put_count = 1, .round = 1, .finish = true};
    struct tars_store_changes changes;

    for (size_t i = 0; i < PASSAGES; i++) {
        passages[i] =
            (struct tars_store_passage){.text = texts[i], .text_len = strlen(texts[i]), .kind = 1};
    }
    assert_int_equal(tars_store_put(f.store, &batch, &f.arena, &changes, NULL), TARS_OK);
    for (size_t i = 0; i < PASSAGES; i++) {
        f.fused[i] =
            (struct tars_fused){.id = changes.items[0].first + i, .fused = 1 - 0.1 * (double)i};
    }
}

static int set_up(void **state)
{
    (void)state;
    static const struct tars_reranker_ops ops = {stub_score, stub_health, stub_close};
    const struct tars_store_sqlite_config store = {.dir = f.dir};
    const struct tars_cache_memory_config cache = {.max_bytes = 1 << 20};

    files_make_dir(f.dir);
    tars_arena_init(&f.arena, ARENA_BYTES);
    assert_int_equal(tars_store_sqlite_open(&store, &f.store, NULL), TARS_OK);
    assert_int_equal(tars_cache_memory_open(&cache, &f.cache), TARS_OK);
    assert_int_equal(tars_cache_share(f.cache), TARS_OK);
    memset(&f.call, 0, sizeof(f.call));
    f.call.arena = &f.arena;
    f.scripted = (struct scripted){
        .base = {.ops = &ops, .kind = "scripted", .model = "scripted", .identity = "scripted 1"},
        .most = PASSAGES};
    f.config = (struct tars_rerank_config){
        .reranker = &f.scripted.base, .weight = 0.6, .budget_ms = 60000};
    put_passages();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tars_cache_free(f.cache);
    tars_store_close(f.store);
    tars_arena_release(&f.arena);
    files_remove_dir(f.dir);
    return 0;
}

static struct tars_reranked rerank(size_t count)
{
    struct tars_reranked out;
    struct tars_err err = {""};
    tars_status status = tars_rerank(&f.config, f.store, f.cache, tars_span_of("why?"), &f.call,
                                     f.fused, count, &out, &err);

    if (status != TARS_OK)
        fail_msg("%s: %s", tars_status_text(status), err.text);
    return out;
}

/* The order as numbers of texts. */
static void assert_order(const char *expected)
{
    char order[PASSAGES + 1] = "";
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < PASSAGES; i++)
        least = f.fused[i].id < least ? f.fused[i].id : least;
    for (size_t i = 0; i < PASSAGES; i++)
        order[i] = (char)('0' + (int)(f.fused[i].id - least));
    assert_string_equal(order, expected);
}

/* ------------------------------------------------------------------- orders */

static void arithmetic(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double weight;
        double fused[3];
        float scores[3];
        const char *order;
        double best;
    } rows[] = {
        {"no weight: as it was", 0, {.9, .5, .1}, {0, .5F, 1}, "012", 1},
        {"all weight: the reranker's order", 1, {.9, .5, .1}, {.2F, .3F, .7F}, "210", (double).7F},
        {"half: (1 + .2) / 2, (.5 + .9) / 2, (0 + 1) / 2",
         .5,
         {.9, .5, .1},
         {.2F, .9F, 1},
         "102",
         .5 * .5 + .5 * (double).9F},
        {"equal ones before: the score alone tells",
         .35,
         {.4, .4, .4},
         {.1F, .3F, .2F},
         "120",
         .65 + .35 * (double).3F},
        {"equal in all: by id", .35, {.4, .4, .4}, {.5F, .5F, .5F}, "012", .65 + .35 * .5},
        {"small numbers of reciprocal ranks count as much",
         .5,
         {.032, .031, .03},
         {0, .9F, .8F},
         "102",
         .5 * .5 + .5 * (double).9F},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_fused fused[3];
        char order[4] = "";

        print_message("  %s\n", rows[i].name);
        for (size_t n = 0; n < 3; n++)
            fused[n] = (struct tars_fused){.id = n, .fused = rows[i].fused[n]};
        tars_rerank_order(fused, rows[i].scores, 3, rows[i].weight);
        for (size_t n = 0; n < 3; n++) {
            order[n] = (char)('0' + (int)fused[n].id);
            assert_true(fused[n].is_reranked);
            assert_true(fused[n].rerank_score == (double)rows[i].scores[fused[n].id]);
            assert_true(fused[n].fused == rows[i].fused[fused[n].id]);
        }
        assert_string_equal(order, rows[i].order);
        assert_true(fabs(fused[0].rank - rows[i].best) < 1e-6);
    }
}

static void the_first_are_reranked(void **state)
{
    (void)state;
    struct tars_reranked out;

    f.config.top_k = 4;
    out = rerank(PASSAGES);
    assert_int_equal(f.scripted.n, 4);
    assert_int_equal(out.scored, 4);
    assert_false(out.is_partial || out.is_cached || out.has_failed);
    assert_order("201345"); /* .4 + .06, .267 + .12, .133 + .54, 0 + .24 */
    assert_true(f.fused[0].is_reranked && !f.fused[4].is_reranked);
    assert_true(out.ms > 0);
}

static void defaults_are_of_the_contract(void **state)
{
    (void)state;
    f.config.weight = -1;
    (void)rerank(PASSAGES);
    assert_int_equal(f.scripted.n, PASSAGES);
    /* .65 * (1 .8 .6 .4 .2 0) + .35 * (.1 .2 .9 .4 .5 .6) */
    assert_order("201345");
    assert_true(fabs(f.fused[0].rank - (.65 * .6 + .35 * .9)) < 1e-6);
}

static void nothing_to_rerank(void **state)
{
    (void)state;
    assert_int_equal(rerank(1).scored, 0);
    assert_int_equal(rerank(0).scored, 0);
    f.config.reranker = NULL;
    assert_int_equal(rerank(PASSAGES).scored, 0);
    assert_int_equal(f.scripted.asked, 0);
    assert_order("012345");
}

/* What is not scored in time keeps its order, behind what is; and that is not kept for others. */
static void time_is_over(void **state)
{
    (void)state;
    struct tars_reranked out;

    f.scripted.most = 3;
    out = rerank(PASSAGES);
    assert_int_equal(out.scored, 3);
    assert_true(out.is_partial && !out.has_failed);
    assert_order("201345");
    assert_false(f.fused[3].is_reranked);
    f.scripted.most = 0;
    assert_int_equal(rerank(PASSAGES).scored, 0);
    assert_int_equal(f.scripted.asked, 2);
}

static void a_failure_costs_the_reranking_alone(void **state)
{
    (void)state;
    static const tars_status rows[] = {TARS_EUNAVAILABLE, TARS_ETIMEOUT, TARS_EFORMAT, TARS_EDENIED,
                                       TARS_EIO};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_reranked out;

        f.scripted.fails = rows[i];
        out = rerank(PASSAGES);
        assert_true(out.has_failed);
        assert_int_equal(out.scored, 0);
        assert_order("012345");
    }
}

static void a_call_that_is_over_is_over(void **state)
{
    (void)state;
    struct tars_reranked out;

    f.scripted.fails = TARS_ECANCELED;
    f.scripted.cancels = true;
    assert_int_equal(tars_rerank(&f.config, f.store, f.cache, tars_span_of("q"), &f.call, f.fused,
                                 PASSAGES, &out, NULL),
                     TARS_ECANCELED);
    assert_false(out.has_failed);
}

/* Kept scores find their passages in another order, and are of this question alone. */
static void scores_are_kept(void **state)
{
    struct tars_fused kept;

    (void)state;
    (void)rerank(PASSAGES);
    assert_order("201345");
    kept = f.fused[0];
    f.fused[0] = f.fused[5];
    f.fused[5] = kept;
    assert_true(rerank(PASSAGES).is_cached);
    assert_int_equal(f.scripted.asked, 1);
    for (size_t i = 0; i < PASSAGES; i++) {
        if (f.fused[i].id == kept.id)
            assert_true(f.fused[i].rerank_score == (double)strtof("0.9", NULL));
    }
    f.scripted.base.identity = "scripted 2";
    assert_false(rerank(PASSAGES).is_cached);
    assert_int_equal(f.scripted.asked, 2);
    assert_false(rerank(PASSAGES - 1).is_cached);
}

/* A candidate that is deleted meanwhile ends what is reranked; nothing gets another's score. */
static void a_passage_is_gone(void **state)
{
    (void)state;
    struct tars_reranked out;

    f.fused[3].id += 1000;
    out = rerank(PASSAGES);
    assert_int_equal(out.scored, 3);
    assert_int_equal(f.scripted.n, 3);
    for (size_t i = 0; i < PASSAGES; i++)
        assert_int_equal(f.fused[i].is_reranked, i < 3);
}

/* ------------------------------------------------------- of this very process */

static void a_real_cross_encoder(void **state)
{
    (void)state;
    static struct tiny_model tiny;
    static char bytes[TINY_FLOATS * sizeof(float) + 65536];
    const struct tars_cross_encoder_config config = {.dir = f.dir, .precision = TARS_ENCODER_FP32};
    struct tars_reranker *reranker = NULL;
    struct tars_reranked out;
    char path[FILES_PATH_MAX];

    tiny_make(&tiny);
    tiny_add_head(&tiny);
    tiny_write(&tiny, f.dir);
    files_write(f.dir, "model.safetensors", bytes,
                tiny_file(&tiny, "bert.", "classifier.weight", bytes, sizeof(bytes)), path);
    assert_int_equal(tars_reranker_local_open(&config, &reranker, NULL), TARS_EFORMAT);
    files_write(f.dir, "model.safetensors", bytes,
                tiny_file(&tiny, "bert.", NULL, bytes, sizeof(bytes)), path);
    for (int identity = 0; identity < 2; identity++) {
        tiny_write_text(f.dir, "config.json", identity ? tiny_config_identity : tiny_config);
        assert_int_equal(tars_reranker_local_open(&config, &reranker, NULL), TARS_OK);
        assert_string_equal(reranker->kind, "cross-encoder");
        assert_false(reranker->waits);
        assert_int_equal(reranker->ops->health(reranker, NULL), TARS_OK);
        f.config.reranker = reranker;
        out = rerank(PASSAGES);
        assert_int_equal(out.scored, PASSAGES);
        for (size_t i = 0; i < PASSAGES; i++)
            assert_true(f.fused[i].rerank_score >= 0 && f.fused[i].rerank_score <= 1);
        tars_reranker_close(reranker);
    }
    tars_reranker_close(NULL);
}

/* ------------------------------------------------------------------- faults */

static void faulty_run(void *ctx)
{
    (void)ctx;
    struct tars_reranked out;
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, ARENA_BYTES);
    f.call.arena = &arena;
    (void)tars_cache_clear(f.cache, TARS_CACHE_RERANK);
    status = tars_rerank(&f.config, f.store, f.cache, tars_span_of("why?"), &f.call, f.fused,
                         PASSAGES, &out, NULL);
    assert_true((status == TARS_OK && out.scored == PASSAGES) || faults_happened());
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(faulty_run, NULL) > 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic),
        TEST(the_first_are_reranked),
        TEST(defaults_are_of_the_contract),
        TEST(nothing_to_rerank),
        TEST(time_is_over),
        TEST(a_failure_costs_the_reranking_alone),
        TEST(a_call_that_is_over_is_over),
        TEST(scores_are_kept),
        TEST(a_passage_is_gone),
        TEST(a_real_cross_encoder),
        TEST(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
