/* The bytes of remote rerankers: requests as their servers document them, replies as they give them
 * and as they should not, at the end of readable memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "retrieve/rerank_wire.h"
#include "support/guard.h"

#define N 3

static void requests(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum tars_rerank_api api;
        const char *model, *json;
    } rows[] = {
        {"cohere", TARS_RERANK_COHERE, "rerank-v3.5",
         "{\"model\":\"rerank-v3.5\",\"query\":\"a "
         "\\\"q\\\"\",\"documents\":[\"one\",\"\",\"3\\n\"],"
         "\"top_n\":3}"},
        {"cohere, no model", TARS_RERANK_COHERE, "",
         "{\"query\":\"a \\\"q\\\"\",\"documents\":[\"one\",\"\",\"3\\n\"],\"top_n\":3}"},
        {"tei", TARS_RERANK_TEI, "unused",
         "{\"query\":\"a \\\"q\\\"\",\"texts\":[\"one\",\"\",\"3\\n\"],\"truncate\":true}"},
    };
    const struct tars_span passages[N] = {tars_span_of("one"), tars_span_of(""),
                                          tars_span_of("3\n")};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_buf out;

        print_message("  %s\n", rows[i].name);
        tars_buf_init(&out, 1000);
        tars_rerank_write(&out, rows[i].api, rows[i].model, tars_span_of("a \"q\""), passages, N);
        assert_int_equal(out.status, TARS_OK);
        assert_string_equal(out.ptr, rows[i].json);
        tars_buf_release(&out);
        tars_buf_init(&out, 20);
        tars_rerank_write(&out, rows[i].api, rows[i].model, tars_span_of("a \"q\""), passages, N);
        assert_int_equal(out.status, TARS_ETOOBIG);
        tars_buf_release(&out);
    }
    assert_string_equal(tars_rerank_api_text(TARS_RERANK_TEI), "tei");
    assert_string_equal(tars_rerank_api_text(TARS_RERANK_COHERE), "cohere");
}

static const struct {
    const char *name, *json;
    float scores[N]; /* the first below 0: TARS_EFORMAT */
} replies[] = {
    {"cohere",
     "{\"id\":\"x\",\"results\":[{\"index\":2,\"relevance_score\":0.9},{\"index\":0,"
     "\"relevance_score\":0.5},{\"index\":1,\"relevance_score\":0.25}],\"meta\":{}}",
     {.5F, .25F, .9F}},
    {"jina, with documents",
     "{\"model\":\"m\",\"usage\":{\"total_tokens\":3},\"results\":[{\"index\":0,\"document\":{"
     "\"text\":\"a\"},\"relevance_score\":1},{\"index\":1,\"relevance_score\":0},{\"index\":2,"
     "\"relevance_score\":0.5}]}",
     {1, 0, .5F}},
    {"tei",
     "[{\"index\":1,\"score\":0.75},{\"index\":0,\"score\":0.5},{\"index\":2,\"score\":0}]",
     {.5F, .75F, 0}},
    {"tei, logits",
     "[{\"index\":1,\"score\":0},{\"index\":0,\"score\":-800},{\"index\":2,\"score\":800}]",
     {0, .5F, 1}},
    {"empty", "", {-1}},
    {"not JSON", "<html>busy</html>", {-1}},
    {"cut", "[{\"index\":1,\"score\":0.75},{\"ind", {-1}},
    {"an error", "{\"error\":\"overloaded\"}", {-1}},
    {"too few", "[{\"index\":1,\"score\":0.75}]", {-1}},
    {"too many",
     "[{\"index\":1,\"score\":1},{\"index\":0,\"score\":1},{\"index\":2,\"score\":1},{\"index\":2,"
     "\"score\":1}]",
     {-1}},
    {"one twice",
     "[{\"index\":1,\"score\":1},{\"index\":1,\"score\":1},{\"index\":2,\"score\":1}]",
     {-1}},
    {"a place that is not there",
     "[{\"index\":1,\"score\":1},{\"index\":0,\"score\":1},{\"index\":3,\"score\":1}]",
     {-1}},
    {"below 0",
     "[{\"index\":-1,\"score\":1},{\"index\":0,\"score\":1},{\"index\":2,\"score\":1}]",
     {-1}},
    {"no score", "[{\"index\":1},{\"index\":0,\"score\":1},{\"index\":2,\"score\":1}]", {-1}},
    {"a text as score",
     "[{\"index\":1,\"score\":\"1\"},{\"index\":0,\"score\":1},{\"index\":2,\"score\":1}]",
     {-1}},
    {"out of all bounds",
     "[{\"index\":1,\"score\":1e300},{\"index\":0,\"score\":1},{\"index\":2,\"score\":1}]",
     {-1}},
    {"a list of numbers", "[1,2,3]", {-1}},
    {"nothing at all", "null", {-1}},
};

static void replies_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct guard guard = guard_copy(replies[i].json, strlen(replies[i].json));
        bool is_good = replies[i].scores[0] >= 0;
        struct tars_err err = {""};
        float scores[N];

        print_message("  %s\n", replies[i].name);
        assert_int_equal(
            tars_rerank_read(tars_span(guard.ptr, strlen(replies[i].json)), N, scores, &err),
            is_good ? TARS_OK : TARS_EFORMAT);
        assert_int_equal(err.text[0] != '\0', !is_good);
        for (size_t s = 0; is_good && s < N; s++)
            assert_true(fabsf(scores[s] - replies[i].scores[s]) < 1e-6F);
        guard_free(&guard);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(replies_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
