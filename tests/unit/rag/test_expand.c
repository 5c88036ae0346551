/* Unit tests of rag/expand and rag/gather, with a writer and a retriever that do what the test
 * says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rag/expand.h"
#include "rag/gather.h"
#include "support/faults.h"
#include "support/guard.h"

#define ROWS(a)     (sizeof(a) / sizeof((a)[0]))
#define ARENA_BYTES ((size_t)4 << 20U)

/* ---------------------------------------------------------------------- lines */

struct row {
    const char *name;
    const char *text;
    const char *lines; /* expected, '|' between */
};

static const struct row rows[] = {
    {"plain lines", "days of leave\nholiday rules\n", "days of leave|holiday rules"},
    {"numbers", "1. first way\n2) second way\n 13. third way", "first way|second way|third way"},
    {"bullets that end in a mark", "-) first way\n*. second way\n+) third way",
     "first way|second way|third way"},
    {"a marker must end in . or )", "- first way\n2024 report of costs",
     "- first way|2024 report of costs"},
    {"quotation marks", "\"first way\"\n'second way'\n1. \"third way\"",
     "first way|second way|third way"},
    {"too short", "four\nfive5\n\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F\n1. abc", "five5"},
    {"only the first max", "way one\nway two\nway three\nway four", "way one|way two|way three"},
    {"the question and repetitions", "How MANY days?\nway one\nWAY ONE\nway two",
     "way one|way two"},
    {"carriage returns and blanks", "\r\n\r\n  way one \r\n\t\n", "way one"},
    {"nothing", "", ""},
    {"only markers", "1.\n2)\n-.", ""},
};

static void row_holds(void **state)
{
    const struct row *row = *state;
    struct guard guard = guard_copy(row->text, strlen(row->text));
    const char *const *variants = NULL;
    struct tars_arena arena;
    char got[512] = "";
    size_t count = 0;

    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_expand_lines(&arena, "how many days?",
                                       tars_span(guard.ptr, strlen(row->text)), 3, &variants,
                                       &count),
                     TARS_OK);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(got);

        (void)snprintf(got + len, sizeof(got) - len, "%s%s", i ? "|" : "", variants[i]);
    }
    assert_string_equal(got, row->lines);
    tars_arena_release(&arena);
    guard_free(&guard);
}

/* ---------------------------------------------------------------------- puppets */

struct writer {
    struct tars_llm base;
    const char *says;
    tars_status status;
    int calls;
    char prompt[1024];
    struct tars_llm_request asked;
    int64_t deadline_in_ms;
};

static tars_status write_scene(struct tars_llm *llm, const struct tars_llm_request *request,
                               struct tars_call *call, const struct tars_llm_sink *sink,
                               struct tars_llm_result *result, struct tars_err *err)
{
    struct writer *writer = (struct writer *)llm;

    writer->calls++;
    writer->asked = *request;
    writer->deadline_in_ms = call->deadline_ms - tars_clock_mono_ms();
    assert_true(strlen(request->prompt) < sizeof(writer->prompt));
    memcpy(writer->prompt, request->prompt, strlen(request->prompt) + 1);
    if (writer->says) {
        result->started = true;
        if (!sink->token(sink->ctx, writer->says, strlen(writer->says)))
            return tars_fail(TARS_ECANCELED, err, "stopped");
    }
    return writer->status;
}

static void keep(struct tars_llm *llm)
{
    (void)llm;
}

static const struct tars_llm_ops writer_ops = {
    .name = "writer", .generate = write_scene, .free = keep};

static int64_t clock_of(void *ctx)
{
    return *(int64_t *)ctx;
}

struct bench {
    struct writer writer;
    int64_t now_ms;
    struct tars_arena arena;
    struct tars_call call;
    struct tars_expander *expander;
};

static tars_status set_up(struct bench *bench, enum tars_expand_strategy strategy)
{
    const struct tars_expander_config config = {.llm = &bench->writer.base,
                                                .strategy = strategy,
                                                .max = 3,
                                                .now_ms = clock_of,
                                                .now_ctx = &bench->now_ms};

    *bench = (struct bench){.writer = {.base = {.ops = &writer_ops}}};
    tars_arena_init(&bench->arena, ARENA_BYTES);
    bench->call.arena = &bench->arena;
    return tars_expander_new(&config, &bench->expander);
}

static void tear_down(struct bench *bench)
{
    tars_expander_free(bench->expander);
    tars_arena_release(&bench->arena);
}

/* ---------------------------------------------------------------------- expand */

static void one_call_as_the_contract_says(void **state)
{
    const char *const *variants = NULL;
    struct bench bench;
    size_t count = 0;

    (void)state;
    assert_int_equal(set_up(&bench, TARS_EXPAND_TECHNICAL), TARS_OK);
    bench.writer.says = "1. annual leave entitlement\n2. paid time off\n";
    bench.call.deadline_ms = tars_clock_mono_ms() + 300000;
    assert_int_equal(tars_expand(bench.expander, "holidays?", &bench.call, &variants, &count),
                     TARS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(variants[1], "paid time off");
    assert_true(bench.writer.asked.temperature == 0.7F);
    assert_int_equal(bench.writer.asked.max_tokens, 200);
    assert_true(bench.writer.asked.free_text);
    assert_non_null(strstr(bench.writer.prompt, "technical"));
    assert_non_null(strstr(bench.writer.prompt, "Question: holidays?"));
    assert_true(bench.writer.deadline_in_ms <= TARS_EXPAND_MS);
    assert_true(bench.call.deadline_ms > tars_clock_mono_ms() + 200000);
    /* A second time the answer is known; another question is not. */
    assert_int_equal(tars_expand(bench.expander, "holidays?", &bench.call, &variants, &count),
                     TARS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(variants[0], "annual leave entitlement");
    assert_int_equal(bench.writer.calls, 1);
    assert_int_equal(tars_expand(bench.expander, "Holidays?", &bench.call, &variants, &count),
                     TARS_OK);
    assert_int_equal(bench.writer.calls, 2);
    tear_down(&bench);
}

static void the_cache_forgets_the_oldest(void **state)
{
    const char *const *variants = NULL;
    struct bench bench;
    char query[32];
    size_t count = 0;

    (void)state;
    assert_int_equal(set_up(&bench, TARS_EXPAND_GENERAL), TARS_OK);
    bench.writer.says = "another way";
    for (int i = 0; i <= TARS_EXPAND_CACHE; i++) {
        (void)snprintf(query, sizeof(query), "question %d", i);
        assert_int_equal(tars_expand(bench.expander, query, &bench.call, &variants, &count),
                         TARS_OK);
        tars_arena_clear(&bench.arena);
    }
    assert_int_equal(bench.writer.calls, TARS_EXPAND_CACHE + 1);
    assert_int_equal(tars_expand(bench.expander, "question 1", &bench.call, &variants, &count),
                     TARS_OK);
    assert_int_equal(bench.writer.calls, TARS_EXPAND_CACHE + 1);
    assert_int_equal(tars_expand(bench.expander, "question 0", &bench.call, &variants, &count),
                     TARS_OK);
    assert_int_equal(bench.writer.calls, TARS_EXPAND_CACHE + 2);
    tear_down(&bench);
}

static void a_model_that_fails_costs_nothing_more(void **state)
{
    const char *const *variants = NULL;
    struct bench bench;
    size_t count = 7;

    (void)state;
    assert_int_equal(set_up(&bench, TARS_EXPAND_GENERAL), TARS_OK);
    bench.writer.says = "half an ans";
    bench.writer.status = TARS_EUNAVAILABLE;
    assert_int_equal(tars_expand(bench.expander, "holidays?", &bench.call, &variants, &count),
                     TARS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(tars_expand(bench.expander, "holidays?", &bench.call, &variants, &count),
                     TARS_OK);
    assert_int_equal(bench.writer.calls, 1);
    bench.now_ms = TARS_EXPAND_REST_MS;
    bench.writer.status = TARS_OK;
    assert_int_equal(tars_expand(bench.expander, "holidays?", &bench.call, &variants, &count),
                     TARS_OK);
    assert_int_equal(bench.writer.calls, 2);
    assert_int_equal(count, 1);
    tear_down(&bench);
}

static void a_call_that_is_over_is_told(void **state)
{
    const char *const *variants = NULL;
    struct bench bench;
    size_t count = 0;

    (void)state;
    assert_int_equal(set_up(&bench, TARS_EXPAND_GENERAL), TARS_OK);
    bench.writer.status = TARS_ECANCELED;
    atomic_store(&bench.call.cancelled, true);
    assert_int_equal(tars_expand(bench.expander, "holidays?", &bench.call, &variants, &count),
                     TARS_ECANCELED);
    atomic_store(&bench.call.cancelled, false);
    bench.call.deadline_ms = 1;
    bench.writer.status = TARS_ETIMEOUT;
    assert_int_equal(tars_expand(bench.expander, "holidays?", &bench.call, &variants, &count),
                     TARS_ETIMEOUT);
    tear_down(&bench);
}

static void strategies_have_names(void **state)
{
    enum tars_expand_strategy strategy = TARS_EXPAND_GENERAL;

    (void)state;
    assert_true(tars_expand_strategy_parse("Rephrase", &strategy));
    assert_int_equal(strategy, TARS_EXPAND_REPHRASE);
    assert_false(tars_expand_strategy_parse("random", &strategy));
    assert_int_equal(strategy, TARS_EXPAND_REPHRASE);
}

/* ---------------------------------------------------------------------- gather */

struct found {
    const char *query;
    const char *chunks[4]; /* NULL: the end */
    double scores[4];
    tars_status status;
};

struct shelf {
    const struct found *found; /* (count,) */
    size_t count;
    int asked;
};

static tars_status fetch(void *ctx, const struct tars_rag_request *request, struct tars_call *call,
                         struct tars_rag_fetched *out, struct tars_err *err)
{
    struct shelf *shelf = ctx;
    struct tars_rag_source *made = tars_arena_calloc(call->arena, 4, sizeof(*made));

    shelf->asked++;
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "out of memory");
    *out = (struct tars_rag_fetched){.sources = made};
    for (size_t i = 0; i < shelf->count; i++) {
        const struct found *found = &shelf->found[i];

        if (strcmp(found->query, request->query) != 0)
            continue;
        for (size_t at = 0; at < 4 && found->chunks[at]; at++) {
            made[at] = (struct tars_rag_source){.chunk_id = found->chunks[at],
                                                .similarity_score = found->scores[at]};
            out->count = at + 1;
        }
        return found->status == TARS_OK ? TARS_OK : tars_fail(found->status, err, "away");
    }
    return TARS_OK;
}

static const struct found shelf_one[] = {
    {"q", {"a", "b"}, {0.7, 0.9}, TARS_OK},
    {"whole q", {"c", "a"}, {0.8, 0.95}, TARS_OK},
    {"another way", {"d", "b"}, {0.75, 0.85}, TARS_OK},
    {"broken way", {NULL}, {0}, TARS_EIO},
};

static const struct {
    const char *name;
    const char *search;
    const char *says;   /* the model; NULL: no expander */
    const char *chunks; /* expected, in order */
    size_t expansions;
    int top_k;
    int asked;
} merges[] = {
    {"one wording keeps the retriever's order", NULL, NULL, "ab", 0, 5, 1},
    {"two wordings: best score, once each", "whole q", NULL, "abc", 0, 5, 2},
    {"three wordings", "whole q", "another way", "abcd", 1, 5, 3},
    {"cut at top_k", "whole q", "another way", "ab", 1, 2, 3},
    {"a variant that fails costs itself", NULL, "broken way\nanother way", "bda", 2, 5, 3},
    {"the same wording is asked once", "q", "another way", "bda", 1, 5, 2},
};

static void variants_are_merged(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(merges); i++) {
        struct shelf shelf = {shelf_one, ROWS(shelf_one), 0};
        struct tars_rag_config config = {.fetch = fetch, .fetch_ctx = &shelf};
        const struct tars_rag_request request = {
            .query = "q", .search = merges[i].search, .top_k = merges[i].top_k};
        struct tars_gathered got;
        struct bench bench;

        assert_int_equal(set_up(&bench, TARS_EXPAND_GENERAL), TARS_OK);
        bench.writer.says = merges[i].says;
        config.expander = merges[i].says ? bench.expander : NULL;
        assert_int_equal(tars_gather(&config, &request, &bench.call, &got, NULL), TARS_OK);
        if (got.count != strlen(merges[i].chunks) || got.expansions != merges[i].expansions ||
            shelf.asked != merges[i].asked) {
            fail_msg("%s: %zu found, %zu variants, asked %d times", merges[i].name, got.count,
                     got.expansions, shelf.asked);
        }
        for (size_t at = 0; at < got.count; at++) {
            if (got.sources[at].chunk_id[0] != merges[i].chunks[at])
                fail_msg("%s: %s at %zu", merges[i].name, got.sources[at].chunk_id, at);
        }
        tear_down(&bench);
    }
}

static void the_first_wording_must_work(void **state)
{
    static const struct found broken[] = {{"q", {NULL}, {0}, TARS_EIO}};
    struct shelf shelf = {broken, 1, 0};
    const struct tars_rag_config config = {.fetch = fetch, .fetch_ctx = &shelf};
    struct tars_rag_request request = {.query = "q", .search = "whole q", .top_k = 5};
    struct tars_gathered got;
    struct tars_arena arena;
    struct tars_call call = {.arena = &arena};

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_gather(&config, &request, &call, &got, NULL), TARS_EIO);
    request.search = NULL;
    assert_int_equal(tars_gather(&config, &request, &call, &got, NULL), TARS_EIO);
    tars_arena_release(&arena);
}

static void gather_once(void *ctx)
{
    struct shelf shelf = {shelf_one, ROWS(shelf_one), 0};
    struct tars_rag_config config = {.fetch = fetch, .fetch_ctx = &shelf};
    const struct tars_rag_request request = {.query = "q", .search = "whole q", .top_k = 5};
    struct tars_gathered got;
    struct bench bench;
    tars_status status;

    (void)ctx;
    if (set_up(&bench, TARS_EXPAND_GENERAL) == TARS_OK) {
        bench.writer.says = "another way";
        config.expander = bench.expander;
        for (int i = 0; i < 2; i++) {
            status = tars_gather(&config, &request, &bench.call, &got, NULL);
            assert_true(status == TARS_OK || status == TARS_ENOMEM);
        }
    }
    tear_down(&bench);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(gather_once, NULL) > 3);
}

int main(void)
{
    struct CMUnitTest tests[ROWS(rows) + 8];
    size_t n = 0;

    for (size_t i = 0; i < ROWS(rows); i++) {
        tests[n++] = (struct CMUnitTest){rows[i].name, row_holds, NULL, NULL, (void *)&rows[i]};
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(one_call_as_the_contract_says);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(the_cache_forgets_the_oldest);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_model_that_fails_costs_nothing_more);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_call_that_is_over_is_told);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(strategies_have_names);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(variants_are_merged);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(the_first_wording_must_work);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(every_allocation_may_fail);
    return _cmocka_run_group_tests("rag/expand, rag/gather", tests, n, NULL, NULL);
}
