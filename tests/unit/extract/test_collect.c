/* Unit tests of extract/collect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "extract/collect.h"
#include "support/faults.h"

static const struct tars_protocol_block sample[] = {
    {TARS_BLOCK_PARAGRAPH, 0, 1, {"Vorwort für alle", 17}},
    {TARS_BLOCK_HEADING, 1, 1, {"Leave", 5}},
    {TARS_BLOCK_HEADING, 3, 2, {"Parental\tleave", 14}},
    {TARS_BLOCK_TABLE, 0, 2, {"a | b", 5}},
    {TARS_BLOCK_HEADING, 2, 3, {"Sick leave", 10}},
    {TARS_BLOCK_LIST, 0, 3, {"- x", 3}},
    {TARS_BLOCK_HEADING, 1, 4, {"Pay", 3}},
    {TARS_BLOCK_PARAGRAPH, 0, 4, {"End", 3}},
};
#define SAMPLES (sizeof(sample) / sizeof(sample[0]))

static tars_status add_sample(struct tars_collect *collect)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < SAMPLES && status == TARS_OK; i++)
        status = tars_collect_block(collect, &sample[i]);
    return status;
}

static void headings_and_offsets_are_worked_out(void **state)
{
    static const char *const paths[SAMPLES] = {
        "", "", "Leave", "Leave > Parental leave", "Leave", "Leave > Sick leave", "", "Pay"};
    struct tars_protocol_document frame = {.format = {"pdf", 3}, .page_count = 4};
    struct tars_collect collect;
    struct tars_document document;

    (void)state;
    tars_collect_init(&collect, 10000);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(add_sample(&collect), TARS_OK);
        assert_int_equal(tars_collect_document(&collect, &frame, &document), TARS_OK);
        assert_int_equal(document.block_count, SAMPLES);
        for (size_t i = 0; i < SAMPLES; i++)
            assert_string_equal(document.blocks[i].headings, paths[i]);
        /* Characters, not bytes: the first block has 17 bytes. */
        assert_int_equal(document.blocks[0].char_start, 0);
        assert_int_equal(document.blocks[0].char_end, 16);
        assert_int_equal(document.blocks[1].char_start, 17);
        assert_int_equal(document.char_count, document.blocks[SAMPLES - 1].char_end);
        assert_null(document.external_id);
        assert_null(document.metadata_json);
        assert_string_equal(document.title, "");
        tars_collect_clear(&collect);
    }
    tars_collect_release(&collect);
}

static void the_ceiling_holds(void **state)
{
    struct tars_collect collect;

    (void)state;
    tars_collect_init(&collect, 200);
    assert_int_equal(add_sample(&collect), TARS_ETOOBIG);
    tars_collect_release(&collect);
}

static void a_long_heading_is_cut_in_paths_only(void **state)
{
    static char text[1000];
    struct tars_protocol_block heading = {TARS_BLOCK_HEADING, 1, 0, {text, sizeof(text)}};
    struct tars_protocol_block body = {TARS_BLOCK_PARAGRAPH, 0, 0, {"x", 1}};
    struct tars_collect collect;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i += 2) {
        text[i] = (char)0xC3;
        text[i + 1] = (char)0xBC;
    }
    tars_collect_init(&collect, 10000);
    assert_int_equal(tars_collect_block(&collect, &heading), TARS_OK);
    assert_int_equal(tars_collect_block(&collect, &body), TARS_OK);
    assert_int_equal(collect.blocks[0].text_len, sizeof(text));
    assert_int_equal(strlen(collect.blocks[1].headings), 240);
    tars_collect_release(&collect);
}

/* Metadata goes into answers as it is: the child may not smuggle anything into them. */
static void metadata_is_an_object(void **state)
{
    static const struct {
        const char *metadata;
        tars_status status;
    } rows[] = {
        {"{\"a\": [1, {\"b\": null}]}", TARS_OK},
        {"{}", TARS_OK},
        {"{},\"chunk_id\":{}", TARS_EFORMAT},
        {"{\"a\":1}}", TARS_EFORMAT},
        {"{a}", TARS_EFORMAT},
        {"[]", TARS_EFORMAT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_protocol_document frame = {.metadata = tars_span_of(rows[i].metadata)};
        struct tars_collect collect;
        struct tars_document document;

        tars_collect_init(&collect, 10000);
        assert_int_equal(add_sample(&collect), TARS_OK);
        assert_int_equal(tars_collect_document(&collect, &frame, &document), rows[i].status);
        tars_collect_release(&collect);
    }
}

static void collect_body(void *ctx)
{
    struct tars_protocol_document frame = {
        .format = {"pdf", 3}, .has_id = true, .external_id = {"i", 1}, .metadata = {"{}", 2}};
    struct tars_collect collect;
    struct tars_document document;
    tars_status status;

    (void)ctx;
    tars_collect_init(&collect, 100000);
    status = add_sample(&collect);
    if (status == TARS_OK)
        status = tars_collect_document(&collect, &frame, &document);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_collect_release(&collect);
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    assert_true(faults_each(collect_body, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headings_and_offsets_are_worked_out),
        cmocka_unit_test(the_ceiling_holds),
        cmocka_unit_test(a_long_heading_is_cut_in_paths_only),
        cmocka_unit_test(metadata_is_an_object),
        cmocka_unit_test(survives_failing_allocations),
    };

    return cmocka_run_group_tests_name("extract/collect", tests, NULL, NULL);
}
