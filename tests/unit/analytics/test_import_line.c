/* Unit tests of analytics/import_line: lines of the log that other servers of the contract write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "analytics/import_line.h"
#include "support/faults.h"
#include "support/guard.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

static const char whole[] =
    "{\"query_id\": \"q_1762516800123\", \"timestamp\": \"2025-11-07T12:00:00.123456\", "
    "\"client_id\": \"anonymous\", \"query_text\": \"What is \\u00fcber?\", \"query_length\": 13, "
    "\"retrieval_time_ms\": 12.34, \"generation_time_ms\": 840.5, \"total_time_ms\": 853, "
    "\"sources_count\": 5, \"avg_relevance_score\": 0.8421, \"max_relevance_score\": 0.91, "
    "\"model_used\": \"mistral:7b-instruct\", \"tokens_generated\": 41, \"used_reranking\": true, "
    "\"used_hybrid_search\": true, \"used_query_expansion\": false, \"expansion_count\": 0, "
    "\"success\": true, \"error_message\": null}";

static void every_field_is_read(void **state)
{
    struct tars_logged_query query;
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(tars_import_line(whole, strlen(whole), &arena, &query, NULL), TARS_OK);
    assert_string_equal(query.query_id, "q_1762516800123");
    assert_int_equal(query.row.time_us, INT64_C(1762516800123456));
    assert_string_equal(query.row.client_id, "anonymous");
    assert_string_equal(query.row.query_text, "What is \xc3\xbc"
                                              "ber?");
    assert_int_equal(query.query_length, 13);
    assert_true(query.row.retrieval_time_ms == 12.34);
    assert_true(query.row.generation_time_ms == 840.5);
    assert_true(query.row.total_time_ms == 853);
    assert_int_equal(query.sources_count, 5);
    assert_true(query.avg_relevance_score == 0.8421);
    assert_true(query.max_relevance_score == 0.91);
    assert_string_equal(query.row.model_used, "mistral:7b-instruct");
    assert_int_equal(query.row.tokens_generated, 41);
    assert_true(query.row.used_reranking && query.row.used_hybrid_search);
    assert_false(query.row.used_query_expansion);
    assert_int_equal(query.row.expansion_count, 0);
    assert_null(query.row.error_message);
    assert_null(query.row.tenant);
    tars_arena_release(&arena);
}

static void lines_good_and_bad(void **state)
{
#define START "{\"query_id\":\"q\",\"timestamp\":\"2025-11-07T12:00:00\",\"query_text\":\"t\""
    static const struct {
        const char *line;
        const char *words; /* NULL: good */
    } table[] = {
        {START ",\"success\":true}", NULL},
        {START ",\"success\":false}", NULL},
        {START ",\"success\":false,\"error_message\":\"it broke\",\"more\":[1]}", NULL},
        {START ",\"success\":true,\"model_used\":null}", NULL},
        {"", "is no JSON"},
        {"{", "is no JSON"},
        {"[]", "is no JSON object"},
        {"7", "is no JSON"},
        {START "}", "success is missing"},
        {START ",\"success\":1}", "success is neither"},
        {START ",\"success\":true,\"total_time_ms\":\"5\"}", "total_time_ms is no number"},
        {START ",\"success\":true,\"total_time_ms\":-1}", "total_time_ms is out of bounds"},
        {START ",\"success\":true,\"sources_count\":1e300}", "sources_count is out of bounds"},
        {START ",\"success\":true,\"client_id\":5}", "client_id is no text"},
        {START ",\"success\":true,\"used_reranking\":\"yes\"}", "used_reranking is neither"},
        {START ",\"success\":true,\"error_message\":{}}", "error_message is no text"},
        {"{\"query_id\":\"\",\"timestamp\":\"2025-11-07\",\"query_text\":\"t\",\"success\":true}",
         "query_id is empty"},
        {"{\"query_id\":\"q\",\"timestamp\":\"soon\",\"query_text\":\"t\",\"success\":true}",
         "timestamp is no time"},
        {"{\"query_id\":\"q\",\"timestamp\":\"2025-11-07\",\"success\":true}",
         "query_text is missing"},
        {START ",\"success\":true,\"client_id\":\"a\\u0000b\"}", "is no JSON"},
        {START ",\"success\":true,\"client_id\":\"\xff\"}", "is no JSON"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(table); i++) {
        struct tars_logged_query query = {.id = 77};
        struct tars_err err = {.text = ""};
        struct tars_arena arena;
        struct guard line = guard_copy(table[i].line, strlen(table[i].line));
        tars_status status;

        tars_arena_init(&arena, (size_t)1 << 20);
        status = tars_import_line(line.ptr, strlen(table[i].line), &arena, &query, &err);
        if (status != (table[i].words ? TARS_EFORMAT : TARS_OK))
            fail_msg("%s: %s", table[i].line, err.text);
        if (table[i].words && !strstr(err.text, table[i].words))
            fail_msg("%s: %s", table[i].line, err.text);
        if (table[i].words)
            assert_int_equal(query.id, 77);
        tars_arena_release(&arena);
        guard_free(&line);
    }
}

static void once(void *ctx)
{
    struct tars_logged_query query;
    struct tars_arena arena;

    (void)ctx;
    tars_arena_init(&arena, (size_t)1 << 20);
    (void)!tars_import_line(whole, strlen(whole), &arena, &query, NULL);
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(once, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(lines_good_and_bad),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
