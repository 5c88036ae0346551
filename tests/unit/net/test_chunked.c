/* Chunked bodies: valid, bad, incomplete; whole, and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/chunked.h"
#include "support/guard.h"

struct row {
    const char *name;
    const char *bytes;
    tars_status status;
    const char *body; /* what comes out, also before a failure */
    const char *rest; /* after TARS_ENOTFOUND */
};

static const struct row rows[] = {
    {"empty", "0\r\n\r\n", TARS_ENOTFOUND, "", ""},
    {"one chunk", "3\r\nabc\r\n0\r\n\r\n", TARS_ENOTFOUND, "abc", ""},
    {"two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", TARS_ENOTFOUND, "abcde", ""},
    {"hex in both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", TARS_ENOTFOUND,
     "01234567890123456789", ""},
    {"zeros before", "0003\r\nabc\r\n000\r\n\r\n", TARS_ENOTFOUND, "abc", ""},
    {"extension", "3;a=b;c\r\nabc\r\n0;d\r\n\r\n", TARS_ENOTFOUND, "abc", ""},
    {"trailers", "0\r\na: b\r\nc:\r\n\r\n", TARS_ENOTFOUND, "", ""},
    {"more behind", "1\r\na\r\n0\r\n\r\nGET", TARS_ENOTFOUND, "a", "GET"},
    {"CRLF in data", "2\r\n\r\n\r\n0\r\n\r\n", TARS_ENOTFOUND, "\r\n", ""},
    {"nothing", "", TARS_EAGAIN, "", ""},
    {"half a size", "1", TARS_EAGAIN, "", ""},
    {"half the data", "5\r\nab", TARS_EAGAIN, "ab", ""},
    {"no end", "1\r\na\r\n", TARS_EAGAIN, "a", ""},
    {"half an end", "0\r\n\r", TARS_EAGAIN, "", ""},
    {"no size", "\r\n", TARS_EFORMAT, "", ""},
    {"extension without size", ";a\r\n", TARS_EFORMAT, "", ""},
    {"bare LF", "1\na", TARS_EFORMAT, "", ""},
    {"bare CR", "1\ra", TARS_EFORMAT, "", ""},
    {"bare LF in an extension", "1;a\nb", TARS_EFORMAT, "", ""},
    {"0x", "0x1\r\n", TARS_EFORMAT, "", ""},
    {"sign", "+1\r\n", TARS_EFORMAT, "", ""},
    {"space before", " 1\r\n", TARS_EFORMAT, "", ""},
    {"space after", "1 \r\n", TARS_EFORMAT, "", ""},
    {"too many digits", "1000000000000000\r\n", TARS_EFORMAT, "", ""},
    {"longer data than said", "1\r\nab\r\n", TARS_EFORMAT, "a", ""},
    {"LF after data", "1\r\na\n", TARS_EFORMAT, "a", ""},
    {"control in an extension", "1;\x01\r\n", TARS_EFORMAT, "", ""},
    {"folded trailer", "0\r\na: b\r\n c\r\n\r\n", TARS_EFORMAT, "", ""},
    {"trailer without name", "0\r\n: b\r\n\r\n", TARS_EFORMAT, "", ""},
    {"trailer without colon", "0\r\nabc\r\n\r\n", TARS_EFORMAT, "", ""},
    {"bare LF in a trailer", "0\r\na: b\n\r\n", TARS_EFORMAT, "", ""},
    {"bare LF at the end", "0\r\n\n", TARS_EFORMAT, "", ""},
};

/* Feed in pieces of step bytes. */
static void run(const struct row *row, size_t step)
{
    struct guard guard = guard_copy(row->bytes, strlen(row->bytes));
    size_t len = strlen(row->bytes);
    size_t at = 0;
    size_t body_len = 0;
    struct tars_chunked chunked;
    tars_status status = TARS_EAGAIN;
    char body[64];

    tars_chunked_init(&chunked);
    while (status == TARS_EAGAIN && at < len) {
        struct tars_span in = tars_span(guard.ptr + at, step < len - at ? step : len - at);
        struct tars_span data;

        while ((status = tars_chunked_next(&chunked, &in, &data)) == TARS_OK) {
            assert_true(data.len && body_len + data.len <= sizeof(body));
            memcpy(body + body_len, data.ptr, data.len);
            body_len += data.len;
        }
        at = (size_t)(in.ptr - guard.ptr);
    }
    if (status != row->status) {
        print_error("row: %s, step %zu\n", row->name, step);
    }
    assert_int_equal(status, row->status);
    assert_true(tars_span_is(tars_span(body, body_len), row->body));
    if (status == TARS_ENOTFOUND) {
        assert_true(tars_span_is(tars_span(guard.ptr + at, len - at), row->rest));
    }
    guard_free(&guard);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t step = 1; step <= strlen(rows[i].bytes) + 1; step++)
            run(&rows[i], step);
    }
}

static void feed_waste(const char *start, const char *unit)
{
    struct tars_chunked chunked;
    struct tars_span in = tars_span_of(start);
    struct tars_span data;
    tars_status status;

    tars_chunked_init(&chunked);
    status = tars_chunked_next(&chunked, &in, &data);
    for (int i = 0; i < 2 * TARS_CHUNKED_WASTE_MAX && status != TARS_ETOOBIG; i++) {
        in = tars_span_of(unit);
        do {
            status = tars_chunked_next(&chunked, &in, &data);
        } while (status == TARS_OK);
        assert_true(status == TARS_EAGAIN || status == TARS_ETOOBIG);
    }
    assert_int_equal(status, TARS_ETOOBIG);
    in = tars_span_of("x");
    assert_int_equal(tars_chunked_next(&chunked, &in, &data), TARS_ETOOBIG);
}

static void test_waste(void **state)
{
    (void)state;
    feed_waste("1;", "a");
    feed_waste("", "1;abc\r\nx\r\n");
    feed_waste("0\r\n", "a: b\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_waste)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
