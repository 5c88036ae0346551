/* Unit tests of formats/html. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "extracted.h"

#define PROSE                                                                                    \
    "The committee met on Tuesday, heard the report of the auditors, and decided, after a long " \
    "discussion, that the rules for leave will change in spring."

static const struct {
    const char *what;
    const char *bytes;
    const char *want;
} rows[] = {
    {"article, not navigation",
     "<!doctype html><html><head><title>Rules &amp; more</title><style>p{}</style></head><body>"
     "<nav><ul><li><a href=/>Home</a><li><a href=/x>Products</a></ul></nav>"
     "<div class=sidebar><p>Buy our things, they are cheap, and good, and new.</div>"
     "<div id=content><h1>New rules</h1><p>" PROSE "</p><script>alert(1)</script><p>" PROSE
     "</p><h2>When</h2><ul><li>In March<li>In May</ul><pre>a  b\n c</pre></div>"
     "<footer>Copyright, all rights reserved, see our terms.</footer></body></html>",
     "h1:New rules\np:" PROSE "\np:" PROSE "\nh2:When\nl:In March\nl:In May\nc:a  b\n c\n"
     "D:html||Rules & more|\nE:ok|0|\n"},
    {"data table",
     "<html><body><article><p>" PROSE "</p><table><tr><th>Name<th>Days<tr><td>Kim<td><b>30</b> d"
     "<tr><td>Lee<td>25</table></article></body></html>",
     "p:" PROSE "\nt:Name | Days\nKim | 30 d\nLee | 25\nD:html|||\nE:ok|0|\n"},
    {"layout table", "<html><body><table><tr><td><p>" PROSE "</p></td></tr></table></body></html>",
     "p:" PROSE "\nD:html|||\nE:ok|0|\n"},
    {"a short page is read as a whole", "<html><body><p>Closed today.</p></body></html>",
     "p:Closed today.\nD:html|||\nE:ok|0|\n"},
    {"furniture alone is better than nothing",
     "<html><body><nav><a href=/>Home</a></nav></body></html>", "p:Home\nD:html|||\nE:ok|0|\n"},
    {"declared encoding",
     "<html><head><meta charset=iso-8859-2></head><body><p>P\xF3\xBCno, \xB6nieg</p></body></html>",
     "p:Późno, śnieg\nD:html|||\nE:ok|0|\n"},
    {"hidden text", "<html><body><p hidden>No</p><p style='display:none'>No</p><p>Yes</p></body>",
     "p:Yes\nD:html|||\nE:ok|0|\n"},
    {"entities and line breaks", "<html><body><p>a&nbsp;&lt;b&gt;<br>c &#x20AC;</p></body></html>",
     "p:a <b>\nc €\nD:html|||\nE:ok|0|\n"},
    {"nothing", "<html><head><title>T</title></head><body><script>x</script></body></html>",
     "E:no text layer|0|there is no text in it\n"},
    {"broken tags", "<html><body><p>One<div>Two</p></b></table><li>Three", NULL},
};

static void each_row(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_buf out;

        tars_buf_init(&out, 1 << 20);
        (void)extracted("a.html", rows[i].bytes, strlen(rows[i].bytes), *state, &out);
        if (rows[i].want && strcmp(out.ptr, rows[i].want) != 0) {
            fail_msg("%s:\n%s", rows[i].what, out.ptr);
        }
        tars_buf_release(&out);
    }
}

/* Much deeper than the stack would bear if each level were a call. */
static void depth_is_bounded(void **state)
{
    enum { DEPTH = 20000 };
    struct tars_buf page;
    struct tars_buf out;

    tars_buf_init(&page, 1 << 20);
    tars_buf_init(&out, 1 << 20);
    tars_buf_append_text(&page, "<html><body><p>Top</p>");
    for (int i = 0; i < DEPTH; i++)
        tars_buf_append_text(&page, "<div>");
    tars_buf_append_text(&page, "deep");
    assert_int_equal(extracted("a.html", page.ptr, page.len, *state, &out), TARS_OK);
    assert_non_null(strstr(out.ptr, "p:Top\n"));
    tars_buf_release(&page);
    tars_buf_release(&out);
}

static void a_title_in_an_id_is_no_furniture(void **state)
{
    static const char page[] =
        "<html><body><div id=main><div><h1>Guide</h1><p>" PROSE "</p></div>"
        "<div id=sharing-with-a-single-developer><h2>Sharing</h2><p>" PROSE "</p></div>"
        "<div class=social-share><p>Tell your friends, neighbours, and others</p></div>"
        "</div></body></html>";
    struct tars_buf out;

    tars_buf_init(&out, 1 << 20);
    assert_int_equal(extracted("a.html", page, sizeof(page) - 1, *state, &out), TARS_OK);
    assert_non_null(strstr(out.ptr, "h2:Sharing\n"));
    assert_null(strstr(out.ptr, "friends"));
    tars_buf_release(&out);
}

static int set_up(void **state)
{
    struct tars_charsets *charsets = NULL;

    if (tars_charsets_new(&charsets) != TARS_OK)
        return 1;
    *state = charsets;
    return 0;
}

static int tear_down(void **state)
{
    tars_charsets_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_title_in_an_id_is_no_furniture),
    };

    return cmocka_run_group_tests_name("extract/formats html", tests, set_up, tear_down);
}
