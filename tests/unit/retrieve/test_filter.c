/* Unit tests of retrieve/filter: each row is a filter and whether it accepts the document below. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem/buf.h"
#include "retrieve/filter.h"
#include "support/faults.h"

static struct tars_field document(void *ctx, const char *name)
{
    (void)ctx;
    if (strcmp(name, "file_type") == 0)
        return (struct tars_field){.kind = TARS_FIELD_TEXT, .text = "pdf"};
    if (strcmp(name, "page_count") == 0)
        return (struct tars_field){.kind = TARS_FIELD_NUMBER, .number = 12};
    if (strcmp(name, "public") == 0)
        return (struct tars_field){.kind = TARS_FIELD_BOOL, .number = 1};
    return (struct tars_field){0};
}

static const struct row {
    const char *json;
    int want; /* 1 accepted, 0 not, -1 refused as a filter */
} rows[] = {
    {"{}", 1},
    {"{\"file_type\":\"pdf\"}", 1},
    {"{\"file_type\":\"docx\"}", 0},
    {"{\"file_type\":12}", 0},
    {"{\"page_count\":12}", 1},
    {"{\"page_count\":12.0}", 1},
    {"{\"page_count\":\"12\"}", 0},
    {"{\"public\":true}", 1},
    {"{\"public\":1}", 0},
    {"{\"page_count\":true}", 0},
    {"{\"file_type\":\"pdf\",\"page_count\":13}", 0},
    {"{\"page_count\":{\"$gte\":12,\"$lt\":13}}", 1},
    {"{\"page_count\":{\"$gt\":12}}", 0},
    {"{\"page_count\":{\"$lte\":12}}", 1},
    {"{\"page_count\":{\"$lt\":12}}", 0},
    {"{\"page_count\":{\"$eq\":12}}", 1},
    {"{\"page_count\":{\"$ne\":12}}", 0},
    {"{\"file_type\":{\"$gt\":\"doc\"}}", 1},
    {"{\"file_type\":{\"$in\":[\"docx\",\"pdf\"]}}", 1},
    {"{\"file_type\":{\"$nin\":[\"docx\",\"pdf\"]}}", 0},
    {"{\"author\":\"x\"}", 0},
    {"{\"author\":{\"$ne\":\"x\"}}", 1},
    {"{\"author\":{\"$nin\":[\"x\"]}}", 1},
    {"{\"author\":{\"$gt\":0}}", 0},
    {"{\"$or\":[{\"file_type\":\"docx\"},{\"page_count\":12}]}", 1},
    {"{\"$and\":[{\"file_type\":\"pdf\"},{\"page_count\":11}]}", 0},
    {"{\"$and\":[{\"$or\":[{\"file_type\":\"pdf\"}]},{\"page_count\":12}]}", 1},
    {"{\"$or\":[{\"author\":1},{\"author\":2}]}", 0},
    {"", -1},
    {"[]", -1},
    {"{\"a\":null}", -1},
    {"{\"a\":[1]}", -1},
    {"{\"a\":{}}", -1},
    {"{\"a\":{\"$like\":1}}", -1},
    {"{\"a\":{\"$gt\":[1]}}", -1},
    {"{\"a\":{\"$in\":1}}", -1},
    {"{\"a\":{\"$in\":[[1]]}}", -1},
    {"{\"$and\":{}}", -1},
    {"{\"$or\":[]}", -1},
    {"{\"$or\":[1]}", -1},
    {"{\"a\":1,\"a\":2}", -1},
};

static void run_row(void **state)
{
    const struct row *row = *state;
    struct tars_filter *filter = NULL;
    struct tars_err err = {""};
    tars_status status = tars_filter_parse(row->json, &filter, &err);

    assert_int_equal(status, row->want < 0 ? TARS_EINVAL : TARS_OK);
    if (row->want >= 0) {
        assert_int_equal(tars_filter_accepts(filter, document, NULL), row->want);
    } else {
        assert_non_null(strstr(err.text, "filters: "));
    }
    tars_filter_free(filter);
}

static void depth_and_length_are_bounded(void **state)
{
    static char spaces[TARS_FILTER_BYTES_MAX + 16];
    struct tars_filter *filter = NULL;
    struct tars_err err = {""};
    struct tars_buf json;

    (void)state;
    tars_buf_init(&json, 1000);
    for (int i = 0; i <= TARS_FILTER_DEPTH_MAX; i++)
        tars_buf_append_text(&json, "{\"$or\":[");
    tars_buf_append_text(&json, "{}");
    for (int i = 0; i <= TARS_FILTER_DEPTH_MAX; i++)
        tars_buf_append_text(&json, "]}");
    assert_int_equal(tars_filter_parse(json.ptr, &filter, &err), TARS_EINVAL);
    assert_non_null(strstr(err.text, "levels"));
    tars_buf_release(&json);
    memset(spaces, ' ', sizeof(spaces) - 1);
    assert_int_equal(tars_filter_parse(spaces, &filter, &err), TARS_EINVAL);
    assert_non_null(strstr(err.text, "longer"));
}

static void parse_once(void *ctx)
{
    struct tars_filter *filter = NULL;
    tars_status status = tars_filter_parse("{\"a\":1}", &filter, NULL);

    (void)ctx;
    assert_int_equal(status == TARS_OK, !faults_happened());
    tars_filter_free(filter);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(faults_each(parse_once, NULL), 1);
}

#define ROWS (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
    struct CMUnitTest tests[ROWS + 2] = {0};

    for (size_t i = 0; i < ROWS; i++) {
        tests[i] = (struct CMUnitTest){
            .name = rows[i].json, .test_func = run_row, .initial_state = (void *)&rows[i]};
    }
    tests[ROWS] = (struct CMUnitTest)cmocka_unit_test(depth_and_length_are_bounded);
    tests[ROWS + 1] = (struct CMUnitTest)cmocka_unit_test(every_allocation_may_fail);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
