/* multipart/form-data: boundaries, parts, file names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec/multipart.h"
#include "support/faults.h"
#include "support/guard.h"

#define FORM "Content-Disposition: form-data; name=\"a\"\r\n\r\n"

struct boundary {
    const char *name, *type;
    tars_status status;
    const char *boundary;
};

static void test_boundary(void **state)
{
    static const struct boundary rows[] = {
        {"plain", "multipart/form-data; boundary=abc", TARS_OK, "abc"},
        {"quoted", "multipart/form-data; boundary=\"a b:c\"", TARS_OK, "a b:c"},
        {"capitals", "Multipart/Form-Data;BOUNDARY=x", TARS_OK, "x"},
        {"after another", "multipart/form-data; charset=utf-8; boundary=x;", TARS_OK, "x"},
        {"other type", "application/json", TARS_EUNSUPPORTED, NULL},
        {"mixed", "multipart/mixed; boundary=x", TARS_EUNSUPPORTED, NULL},
        {"empty type", "", TARS_EUNSUPPORTED, NULL},
        {"none", "multipart/form-data", TARS_EFORMAT, NULL},
        {"empty", "multipart/form-data; boundary=", TARS_EFORMAT, NULL},
        {"open quote", "multipart/form-data; boundary=\"a", TARS_EFORMAT, NULL},
        {"odd character", "multipart/form-data; boundary=a@b", TARS_EFORMAT, NULL},
        {"space at the end", "multipart/form-data; boundary=\"a \"", TARS_EFORMAT, NULL},
        {"too long",
         "multipart/form-data; "
         "boundary=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         TARS_EFORMAT, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct guard guard = guard_copy(rows[i].type, strlen(rows[i].type));
        struct tars_span boundary;
        tars_status status =
            tars_multipart_boundary(tars_span(guard.ptr, strlen(rows[i].type)), &boundary);

        if (status != rows[i].status) {
            fail_msg("row: %s", rows[i].name);
        }
        if (!status) {
            assert_true(tars_span_is(boundary, rows[i].boundary));
        }
        guard_free(&guard);
    }
}

struct row {
    const char *name, *body;
    size_t parts;       /* that come out before the end */
    tars_status status; /* at the end */
    const char *last;   /* body of the last part */
};

static const struct row rows[] = {
    {"no part", "--b--\r\n", 0, TARS_ENOTFOUND, NULL},
    {"one part", "--b\r\n" FORM "hello\r\n--b--\r\n", 1, TARS_ENOTFOUND, "hello"},
    {"no line end after the close", "--b\r\n" FORM "hello\r\n--b--", 1, TARS_ENOTFOUND, "hello"},
    {"two parts", "--b\r\n" FORM "1\r\n--b\r\n" FORM "2\r\n--b--", 2, TARS_ENOTFOUND, "2"},
    {"empty body", "--b\r\n" FORM "\r\n--b--", 1, TARS_ENOTFOUND, ""},
    {"empty body without line", "--b\r\n" FORM "--b--", 1, TARS_ENOTFOUND, ""},
    {"preamble", "hi\r\n--b\r\n" FORM "1\r\n--b--", 1, TARS_ENOTFOUND, "1"},
    {"epilogue", "--b\r\n" FORM "1\r\n--b--\r\nbye", 1, TARS_ENOTFOUND, "1"},
    {"spaces after a delimiter", "--b \t\r\n" FORM "1\r\n--b--", 1, TARS_ENOTFOUND, "1"},
    {"line ends in the body", "--b\r\n" FORM "\r\n\n\r\r\n\r\n--b--", 1, TARS_ENOTFOUND,
     "\r\n\n\r\r\n"},
    {"half a delimiter in the body", "--b\r\n" FORM "\r\n-b --b\r\n--b--", 1, TARS_ENOTFOUND,
     "\r\n-b --b"},
    {"more headers", "--b\r\nX: y\r\nContent-Type: text/plain\r\n" FORM "1\r\n--b--", 1,
     TARS_ENOTFOUND, "1"},
    {"nothing", "", 0, TARS_EFORMAT, NULL},
    {"no delimiter", "hello", 0, TARS_EFORMAT, NULL},
    {"other boundary", "--c\r\n" FORM "1\r\n--c--", 0, TARS_EFORMAT, NULL},
    {"longer boundary", "--bb\r\n" FORM "1\r\n--bb--", 0, TARS_EFORMAT, NULL},
    {"delimiter alone", "--b", 0, TARS_EFORMAT, NULL},
    {"half a close", "--b-", 0, TARS_EFORMAT, NULL},
    {"bare LF", "--b\n" FORM, 0, TARS_EFORMAT, NULL},
    {"no close", "--b\r\n" FORM "1\r\n", 0, TARS_EFORMAT, NULL},
    {"cut after a part", "--b\r\n" FORM "1\r\n--b\r\n", 1, TARS_EFORMAT, "1"},
    {"no headers", "--b\r\n\r\n1\r\n--b--", 0, TARS_EFORMAT, NULL},
    {"no disposition", "--b\r\nX: y\r\n\r\n1\r\n--b--", 0, TARS_EFORMAT, NULL},
    {"two dispositions", "--b\r\nContent-Disposition: form-data; name=x\r\n" FORM "1\r\n--b--", 0,
     TARS_EFORMAT, NULL},
    {"attachment", "--b\r\nContent-Disposition: attachment; name=x\r\n\r\n1\r\n--b--", 0,
     TARS_EFORMAT, NULL},
    {"no name", "--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--", 0, TARS_EFORMAT, NULL},
    {"two names", "--b\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n1\r\n--b--", 0,
     TARS_EFORMAT, NULL},
    {"open quote", "--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--b--", 0,
     TARS_EFORMAT, NULL},
    {"header without colon", "--b\r\nabc\r\n" FORM "1\r\n--b--", 0, TARS_EFORMAT, NULL},
    {"endless headers", "--b\r\nabc", 0, TARS_EFORMAT, NULL},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct guard guard = guard_copy(rows[i].body, strlen(rows[i].body));
        struct tars_multipart reader;
        struct tars_multipart_part part = {0};
        tars_status status;
        size_t parts = 0;

        tars_multipart_init(&reader, tars_span(guard.ptr, strlen(rows[i].body)), tars_span_of("b"));
        while ((status = tars_multipart_next(&reader, &part)) == TARS_OK)
            parts++;
        if (status != rows[i].status || parts != rows[i].parts) {
            fail_msg("row: %s: status %d, %zu parts", rows[i].name, status, parts);
        }
        assert_int_equal(tars_multipart_next(&reader, &part), status);
        if (parts) {
            assert_true(tars_span_is(part.name, "a"));
            assert_true(tars_span_is(part.body, rows[i].last));
        }
        guard_free(&guard);
    }
}

static void test_limits(void **state)
{
    static char body[64 * 1200 + TARS_MULTIPART_HEAD_MAX];
    struct tars_multipart reader;
    struct tars_multipart_part part;
    tars_status status;
    size_t len = 0;

    (void)state;
    while (len < (size_t)64 * 1100)
        len += (size_t)snprintf(body + len, sizeof(body) - len, "--b\r\n" FORM "1\r\n");
    tars_multipart_init(&reader, tars_span(body, len), tars_span_of("b"));
    while ((status = tars_multipart_next(&reader, &part)) == TARS_OK) {
    }
    assert_int_equal(status, TARS_ETOOBIG);
    assert_int_equal(tars_multipart_next(&reader, &part), TARS_ETOOBIG);

    memset(body, 'x', sizeof(body));
    memcpy(body, "--b\r\nX: ", sizeof("--b\r\nX: ") - 1); /* NOLINT: not a string */
    tars_multipart_init(&reader, tars_span(body, sizeof(body)), tars_span_of("b"));
    assert_int_equal(tars_multipart_next(&reader, &part), TARS_ETOOBIG);
}

struct name {
    const char *name, *params;
    const char *file; /* NULL: refused */
};

static const struct name names[] = {
    {"plain", "filename=\"a.pdf\"", "a.pdf"},
    {"token", "filename=a.pdf", "a.pdf"},
    {"UTF-8", "filename=\"\xc3\xa4.pdf\"", "\xc3\xa4.pdf"},
    {"folders", "filename=\"x/../y/b.pdf\"", "b.pdf"},
    {"Windows", "filename=\"C:\\a\\b.pdf\"", "b.pdf"},
    {"escaped quote", "filename=\"a\\\"b.pdf\"", "a\"b.pdf"},
    {"browser's quote", "filename=\"a%22b%0D%0A.pdf\"", "a\"b__.pdf"},
    {"per cent that is one", "filename=\"100%25 %41.pdf\"", "100%25 %41.pdf"},
    {"semicolon", "filename=\"a;b.pdf\"; x=y", "a;b.pdf"},
    {"extended", "filename*=UTF-8''%c3%a4%20b.pdf", "\xc3\xa4 b.pdf"},
    {"both", "filename=\"x\"; filename*=utf-8'en'b.pdf; filename=\"y\"", "b.pdf"},
    {"extended folders", "filename*=UTF-8''..%2Fb.pdf", "b.pdf"},
    {"control", "filename*=UTF-8''a%01b", "a_b"},
    {"other charset", "filename*=latin1''b.pdf", NULL},
    {"no language", "filename*=UTF-8'b.pdf", NULL},
    {"empty", "filename=\"\"", NULL},
    {"dot", "filename=\".\"", NULL},
    {"dots", "filename=\"a/..\"", NULL},
    {"folder", "filename=\"a/\"", NULL},
    {"NUL", "filename*=UTF-8''a%00b", "a_b"},
};

static void all_names(void *ctx)
{
    struct tars_arena arena;

    (void)ctx;
    tars_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tars_multipart reader;
        struct tars_multipart_part part;
        char body[256];
        char *file = NULL;
        tars_status status;

        snprintf(body, sizeof(body),
                 "--b\r\ncontent-disposition: form-data; name=f; %s\r\n\r\n\r\n--b--",
                 names[i].params);
        tars_multipart_init(&reader, tars_span_of(body), tars_span_of("b"));
        assert_int_equal(tars_multipart_next(&reader, &part), TARS_OK);
        assert_true(part.has_filename);
        status = tars_multipart_file_name(&part, &arena, &file);
        if (status == TARS_ENOMEM)
            break;
        if (status != (names[i].file ? TARS_OK : TARS_EFORMAT)) {
            fail_msg("row: %s", names[i].name);
        }
        if (!status) {
            assert_string_equal(file, names[i].file);
        }
    }
    tars_arena_release(&arena);
}

static void test_names(void **state)
{
    (void)state;
    all_names(NULL);
    assert_true(faults_each(all_names, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boundary),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
