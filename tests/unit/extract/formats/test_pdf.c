/* Unit tests of formats/pdf, pdf_layout and pdf_blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "extract/formats/pdf.h"
#include "extract/formats/pdf_blocks.h"
#include "extracted.h"
#include "support/faults.h"

/* ---------------------------------------------------------- a small PDF writer */

#define PAGES_MAX 8

/* A PDF with one content stream a page, Helvetica as F1 and its bold as F2. */
static void write_pdf(struct tars_buf *out, const char *const *streams, size_t pages)
{
    size_t offsets[4 + 2 * PAGES_MAX] = {0};
    size_t objects = 3 + 2 * pages;
    size_t xref;

    tars_buf_append_text(out, "%PDF-1.4\n");
    offsets[0] = out->len;
    tars_buf_append_text(out, "1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n");
    offsets[1] = out->len;
    tars_buf_append_text(out, "2 0 obj<</Type/Pages/Kids[");
    for (size_t i = 0; i < pages; i++)
        tars_buf_appendf(out, "%zu 0 R ", 4 + 2 * i);
    tars_buf_appendf(out, "]/Count %zu>>endobj\n", pages);
    offsets[2] = out->len;
    tars_buf_append_text(out, "3 0 obj<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
                              "/F2<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold>>>>endobj\n");
    for (size_t i = 0; i < pages; i++) {
        offsets[3 + 2 * i] = out->len;
        tars_buf_appendf(out,
                         "%zu 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]"
                         "/Resources<</Font 3 0 R>>/Contents %zu 0 R>>endobj\n",
                         4 + 2 * i, 5 + 2 * i);
        offsets[4 + 2 * i] = out->len;
        tars_buf_appendf(out, "%zu 0 obj<</Length %zu>>stream\n%s\nendstream endobj\n", 5 + 2 * i,
                         strlen(streams[i]), streams[i]);
    }
    xref = out->len;
    tars_buf_appendf(out, "xref\n0 %zu\n0000000000 65535 f \n", objects + 1);
    for (size_t i = 0; i < objects; i++)
        tars_buf_appendf(out, "%010zu 00000 n \n", offsets[i]);
    tars_buf_appendf(out, "trailer<</Root 1 0 R/Size %zu>>\nstartxref\n%zu\n%%%%EOF\n", objects + 1,
                     xref);
}

#define TEXT(font, size, x, y, text) "BT /" font " " size " Tf " x " " y " Td (" text ") Tj ET\n"

static void expect_pdf(const char *const *streams, size_t pages, const char *want)
{
    struct tars_buf pdf;
    struct tars_buf out;

    tars_buf_init(&pdf, 1 << 20);
    tars_buf_init(&out, 1 << 20);
    write_pdf(&pdf, streams, pages);
    (void)extracted("a.pdf", pdf.ptr, pdf.len, NULL, &out);
    assert_string_equal(out.ptr, want);
    tars_buf_release(&pdf);
    tars_buf_release(&out);
}

static void headings_paragraphs_and_tables(void **state)
{
    static const char *const streams[] = {
        TEXT("F2", "18", "72", "720", "Annual Report") TEXT(
            "F1", "10", "72", "690", "Net sales grew in all regions because of the new prod-")
            TEXT("F1", "10", "72", "678", "ucts and of better prices in the second half.") TEXT(
                "F2", "10", "72", "640", "Results") TEXT("F1", "10", "72", "620", "Item")
                TEXT("F1", "10", "300", "620", "2023") TEXT("F1", "10", "400", "620", "2022") TEXT(
                    "F1", "10", "72", "606", "Net sales") TEXT("F1", "10", "300", "606", "$")
                    TEXT("F1", "10", "312", "606", "1,200") TEXT("F1", "10", "400", "606", "1,100")
                        TEXT("F1", "10", "72", "592", "Costs") TEXT("F1", "10", "300", "592", "900")
                            TEXT("F1", "10", "400", "592", "850"),
        TEXT("F1", "10", "72", "720", "Second page text is here for all to read."),
    };

    (void)state;
    expect_pdf(streams, 2,
               "h1@1:Annual Report\n"
               "p@1:Net sales grew in all regions because of the new products and of better prices "
               "in the second half.\n"
               "h4@1:Results\n"
               "t@1:Item | 2023 | 2022\nNet sales | $1,200 | 1,100\nCosts | 900 | 850\n"
               "p@2:Second page text is here for all to read.\n"
               "D:pdf||Annual Report|\nE:ok|0|\n");
}

static void running_lines_are_dropped(void **state)
{
    static const char *const streams[] = {
        TEXT("F1", "10", "72", "760", "Company, Form 10-K, page 1")
            TEXT("F1", "10", "72", "600", "Alpha text on the first page.")
                TEXT("F1", "10", "300", "30", "1"),
        TEXT("F1", "10", "72", "760", "Company, Form 10-K, page 2")
            TEXT("F1", "10", "72", "600", "Beta text on the second page.")
                TEXT("F1", "10", "300", "30", "2"),
        TEXT("F1", "10", "72", "760", "Company, Form 10-K, page 3")
            TEXT("F1", "10", "72", "600", "Gamma text on the third page.")
                TEXT("F1", "10", "300", "30", "3"),
    };
    static const char *const lone[] = {
        TEXT("F1", "10", "72", "600", "Potato 1"),
        TEXT("F1", "10", "72", "600", "Potato 2"),
        TEXT("F1", "10", "72", "600", "Potato 3"),
    };

    (void)state;
    expect_pdf(streams, 3,
               "p@1:Alpha text on the first page.\np@2:Beta text on the second page.\n"
               "p@3:Gamma text on the third page.\nD:pdf|||\nE:ok|0|\n");
    expect_pdf(lone, 3, "p@1:Potato 1\np@2:Potato 2\np@3:Potato 3\nD:pdf|||\nE:ok|0|\n");
}

static void two_columns_are_read_one_after_the_other(void **state)
{
    struct tars_buf stream;
    struct tars_buf pdf;
    struct tars_buf out;
    const char *streams[1];
    const char *right;

    (void)state;
    tars_buf_init(&stream, 1 << 20);
    tars_buf_init(&pdf, 1 << 20);
    tars_buf_init(&out, 1 << 20);
    for (int i = 0; i < 8; i++) {
        tars_buf_appendf(&stream,
                         "BT /F1 10 Tf 50 %d Td (left %d runs over the whole of this side) Tj "
                         "ET\n",
                         700 - 12 * i, i);
        tars_buf_appendf(&stream,
                         "BT /F1 10 Tf 320 %d Td (right %d runs over the whole of that side) "
                         "Tj ET\n",
                         700 - 12 * i, i);
    }
    streams[0] = stream.ptr;
    write_pdf(&pdf, streams, 1);
    assert_int_equal(extracted("a.pdf", pdf.ptr, pdf.len, NULL, &out), TARS_OK);
    right = strstr(out.ptr, "right 0");
    assert_non_null(right);
    assert_true(strstr(out.ptr, "left 7") < right);
    assert_null(strstr(out.ptr, " | "));
    tars_buf_release(&stream);
    tars_buf_release(&pdf);
    tars_buf_release(&out);
}

static void turned_text_does_not_disturb(void **state)
{
    static const char *const streams[] = {
        "BT /F1 12 Tf 0 1 -1 0 30 300 Tm (arXiv stamp) Tj ET\n" TEXT("F1", "10", "72", "400",
                                                                     "The first line of the text,")
            TEXT("F1", "10", "72", "388", "and the second line of it.")};

    (void)state;
    expect_pdf(streams, 1,
               "p@1:The first line of the text, and the second line of it.\np@1:arXiv stamp\n"
               "D:pdf|||\nE:ok|0|\n");
}

static void what_cannot_be_read_is_said(void **state)
{
    static const char *const blank[] = {"0 0 m 100 100 l S"};
    struct tars_buf out;

    (void)state;
    expect_pdf(blank, 1,
               "E:no text layer|0|no text layer on any of 1 pages: a scan; run text "
               "recognition first\n");
    tars_buf_init(&out, 1 << 16);
    assert_int_equal(extracted("a.pdf", "%PDF-1.4 garbage", 16, NULL, &out), TARS_EFORMAT);
    assert_non_null(strstr(out.ptr, "damaged"));
    tars_buf_release(&out);
}

/* ---------------------------------------------------------------------- layout */

static void layout_body(void *ctx)
{
    struct tars_pdf_word words[] = {
        {"Name", 4, 10, 10, 40, 20, 10, false, 0},     {"Days", 4, 100, 10, 130, 20, 10, false, 0},
        {"Kim", 3, 10, 22, 40, 32, 10, false, 0},      {"30", 2, 100, 22, 110, 32, 10, false, 0},
        {"Turned", 6, 300, 10, 310, 60, 10, true, -1},
    };
    struct tars_pdf_rows rows = {0};
    struct tars_arena arena;
    struct tars_buf out;
    struct tars_sink sink;
    tars_status status;

    (void)ctx;
    tars_arena_init(&arena, 1 << 20);
    tars_buf_init(&out, 1 << 16);
    tars_sink_init(&sink, extracted_write, &out);
    status = tars_pdf_layout(&arena, words, 5, 1, &rows);
    if (status == TARS_OK) {
        assert_int_equal(rows.count, 3);
        assert_string_equal(rows.rows[0].text, "Name | Days");
        assert_int_equal(rows.rows[1].numbers, 1);
        assert_string_equal(rows.rows[2].text, "Turned");
        status = tars_pdf_write_blocks(&arena, &rows, 1, &sink);
    }
    assert_true(status == TARS_OK || faults_happened());
    tars_sink_release(&sink);
    tars_buf_release(&out);
    tars_arena_release(&arena);
}

static void layout_survives_failing_allocations(void **state)
{
    (void)state;
    assert_true(faults_each(layout_body, NULL) > 0);
}

static void preparing_is_harmless(void **state)
{
    (void)state;
    tars_pdf_prepare();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preparing_is_harmless),
        cmocka_unit_test(headings_paragraphs_and_tables),
        cmocka_unit_test(running_lines_are_dropped),
        cmocka_unit_test(two_columns_are_read_one_after_the_other),
        cmocka_unit_test(turned_text_does_not_disturb),
        cmocka_unit_test(what_cannot_be_read_is_said),
        cmocka_unit_test(layout_survives_failing_allocations),
    };

    return cmocka_run_group_tests_name("extract/formats pdf", tests, NULL, NULL);
}
