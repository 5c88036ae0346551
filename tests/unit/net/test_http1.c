/* Heads of requests: valid, bad, incomplete; and that no cutting of the bytes changes anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http1.h"
#include "support/guard.h"

#define HOST "Host: a\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST
#define POST "POST / HTTP/1.1\r\n" HOST
#define END  "\r\n"

struct row {
    const char *name;
    const char *head;
    tars_status status;
    int reject; /* 0: none */
};

static const struct row rows[] = {
    {"plain GET", GET END, TARS_OK, 0},
    {"one empty line before", "\r\n" GET END, TARS_OK, 0},
    {"two empty lines before", "\r\n\r\n" GET END, TARS_EFORMAT, 400},
    {"HTTP/1.0 without host", "GET / HTTP/1.0\r\n\r\n", TARS_OK, 0},
    {"HTTP/1.0 with host", "GET / HTTP/1.0\r\n" HOST END, TARS_OK, 0},
    {"query", "GET /a?b=c&d HTTP/1.1\r\n" HOST END, TARS_OK, 0},
    {"escape", "GET /%2F%20 HTTP/1.1\r\n" HOST END, TARS_OK, 0},
    {"brackets in a query", "GET /?a[]=1|2 HTTP/1.1\r\n" HOST END, TARS_OK, 0},
    {"OPTIONS *", "OPTIONS * HTTP/1.1\r\n" HOST END, TARS_OK, 0},
    {"unknown method", "PROPFIND / HTTP/1.1\r\n" HOST END, TARS_OK, 0},
    {"content-length", POST "Content-Length: 10\r\n" END, TARS_OK, 0},
    {"content-length 0", POST "Content-Length: 0\r\n" END, TARS_OK, 0},
    {"content-length with zeros", POST "Content-Length: 0010\r\n" END, TARS_OK, 0},
    {"chunked", POST "Transfer-Encoding: chunked\r\n" END, TARS_OK, 0},
    {"chunked in capitals", POST "TRANSFER-ENCODING: CHUNKED\r\n" END, TARS_OK, 0},
    {"header without space", GET "a:b\r\n" END, TARS_OK, 0},
    {"header with tabs", GET "a:\t b\tc \t\r\n" END, TARS_OK, 0},
    {"empty value", GET "a:\r\n" END, TARS_OK, 0},
    {"blank value", GET "a:  \r\n" END, TARS_OK, 0},
    {"bytes over 127 in a value", GET "a: \xc3\xa4\r\n" END, TARS_OK, 0},
    {"colons in a value", GET "a: b:c:d\r\n" END, TARS_OK, 0},
    {"every token character", GET "!#$%&'*+-.^_`|~09azAZ: b\r\n" END, TARS_OK, 0},
    {"host with port", "GET / HTTP/1.1\r\nHost: a.b:8000\r\n" END, TARS_OK, 0},
    {"host IPv6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n" END, TARS_OK, 0},
    {"expect", POST "Expect: 100-continue\r\nContent-Length: 1\r\n" END, TARS_OK, 0},
    {"expect in capitals", POST "Expect: 100-Continue\r\n" END, TARS_OK, 0},
    {"connection close", GET "Connection: close\r\n" END, TARS_OK, 0},
    {"connection list", GET "Connection: foo , ,upgrade,close\r\n" END, TARS_OK, 0},
    {"upgrade", GET "Connection: Upgrade\r\nUpgrade: websocket\r\n" END, TARS_OK, 0},
    {"more after the head", GET END "GET /2", TARS_OK, 0},

    {"nothing", "", TARS_EAGAIN, 0},
    {"a CR", "\r", TARS_EAGAIN, 0},
    {"half a method", "GE", TARS_EAGAIN, 0},
    {"half a line", "GET / HTTP/1.", TARS_EAGAIN, 0},
    {"line without LF", "GET / HTTP/1.1\r", TARS_EAGAIN, 0},
    {"no empty line", GET, TARS_EAGAIN, 0},
    {"half an empty line", GET "\r", TARS_EAGAIN, 0},
    {"half a header", GET "a: b", TARS_EAGAIN, 0},

    {"bare LF at once", "\n", TARS_EFORMAT, 400},
    {"bare LF after the request line", "GET / HTTP/1.1\n", TARS_EFORMAT, 400},
    {"bare LF after a header", GET "a: b\n", TARS_EFORMAT, 400},
    {"bare LF as the empty line", GET "\n", TARS_EFORMAT, 400},
    {"bare CR in the request line", "GET /\r HTTP/1.1\r\n", TARS_EFORMAT, 400},
    {"bare CR in a value", GET "a: b\rc\r\n" END, TARS_EFORMAT, 400},
    {"CR CR LF", GET "a: b\r\r\n" END, TARS_EFORMAT, 400},
    {"folded header", GET "a: b\r\n c\r\n" END, TARS_EFORMAT, 400},
    {"folded with a tab", GET "a: b\r\n\tc\r\n" END, TARS_EFORMAT, 400},
    {"space before the first header", "GET / HTTP/1.1\r\n Host: a\r\n" END, TARS_EFORMAT, 400},
    {"space before a colon", GET "a : b\r\n" END, TARS_EFORMAT, 400},
    {"tab before a colon", GET "a\t: b\r\n" END, TARS_EFORMAT, 400},
    {"no name", GET ": b\r\n" END, TARS_EFORMAT, 400},
    {"no colon", GET "abc\r\n" END, TARS_EFORMAT, 400},
    {"paren in a name", GET "a(b: c\r\n" END, TARS_EFORMAT, 400},
    {"bytes over 127 in a name", GET "\xc3\xa4: c\r\n" END, TARS_EFORMAT, 400},
    {"control in a value", GET "a: \x01\r\n" END, TARS_EFORMAT, 400},
    {"DEL in a value", GET "a: \x7f\r\n" END, TARS_EFORMAT, 400},
    {"no host", "GET / HTTP/1.1\r\n\r\n", TARS_EFORMAT, 400},
    {"two hosts", GET HOST END, TARS_EFORMAT, 400},
    {"two hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" HOST HOST END, TARS_EFORMAT, 400},
    {"empty host", "GET / HTTP/1.1\r\nHost:\r\n" END, TARS_EFORMAT, 400},
    {"host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n" END, TARS_EFORMAT, 400},
    {"host with a slash", "GET / HTTP/1.1\r\nHost: a/b\r\n" END, TARS_EFORMAT, 400},
    {"host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n" END, TARS_EFORMAT, 400},
    {"length twice", POST "Content-Length: 1\r\nContent-Length: 2\r\n" END, TARS_EFORMAT, 400},
    {"same length twice", POST "Content-Length: 1\r\nContent-Length: 1\r\n" END, TARS_EFORMAT, 400},
    {"length list", POST "Content-Length: 1, 1\r\n" END, TARS_EFORMAT, 400},
    {"length with sign", POST "Content-Length: +1\r\n" END, TARS_EFORMAT, 400},
    {"negative length", POST "Content-Length: -1\r\n" END, TARS_EFORMAT, 400},
    {"hex length", POST "Content-Length: 0x1\r\n" END, TARS_EFORMAT, 400},
    {"empty length", POST "Content-Length:\r\n" END, TARS_EFORMAT, 400},
    {"length in two words", POST "Content-Length: 1 2\r\n" END, TARS_EFORMAT, 400},
    {"length over all bounds", POST "Content-Length: 9999999999999999999\r\n" END, TARS_EFORMAT,
     400},
    {"length, then coding", POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" END,
     TARS_EFORMAT, 400},
    {"coding, then length", POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n" END,
     TARS_EFORMAT, 400},
    {"coding gzip", POST "Transfer-Encoding: gzip\r\n" END, TARS_EFORMAT, 501},
    {"coding gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n" END, TARS_EFORMAT, 501},
    {"coding chunked twice", POST "Transfer-Encoding: chunked, chunked\r\n" END, TARS_EFORMAT, 501},
    {"coding xchunked", POST "Transfer-Encoding: xchunked\r\n" END, TARS_EFORMAT, 501},
    {"coding identity", POST "Transfer-Encoding: identity\r\n" END, TARS_EFORMAT, 501},
    {"coding empty", POST "Transfer-Encoding:\r\n" END, TARS_EFORMAT, 400},
    {"coding with vertical tab",
     POST "Transfer-Encoding: \x0b"
          "chunked\r\n" END,
     TARS_EFORMAT, 400},
    {"coding in two headers",
     POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END, TARS_EFORMAT, 400},
    {"coding with space before colon", POST "Transfer-Encoding : chunked\r\n" END, TARS_EFORMAT,
     400},
    {"coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END, TARS_EFORMAT,
     400},
    {"strange expectation", POST "Expect: 200-ok\r\n" END, TARS_EFORMAT, 417},
    {"absolute target", "GET http://a/ HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"authority target", "CONNECT a:80 HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"relative target", "GET a HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"GET *", "GET * HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"no target", "GET HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"empty target", "GET  HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"space in the target", "GET /a b HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"two spaces", "GET  / HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"tab for space", "GET\t/\tHTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"space at the end", "GET / HTTP/1.1 \r\n" HOST END, TARS_EFORMAT, 400},
    {"fragment", "GET /#a HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"backslash", "GET /\\a HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"quote", "GET /\" HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"control in the target", "GET /\x01 HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"raw UTF-8 in the target", "GET /\xc3\xa4 HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"half an escape", "GET /%4 HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"bad escape", "GET /%zz HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"empty method", " / HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"brackets in the method", "G[T / HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"long method", "ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"HTTP/0.9", "GET /\r\n" END, TARS_EFORMAT, 400},
    {"HTTP/2.0", "GET / HTTP/2.0\r\n" HOST END, TARS_EFORMAT, 505},
    {"HTTP/1.2", "GET / HTTP/1.2\r\n" HOST END, TARS_EFORMAT, 505},
    {"http/1.1", "GET / http/1.1\r\n" HOST END, TARS_EFORMAT, 400},
    {"HTTP/1.10", "GET / HTTP/1.10\r\n" HOST END, TARS_EFORMAT, 400},
    {"HTTP/11", "GET / HTTP/11\r\n" HOST END, TARS_EFORMAT, 400},
    {"TLS hello", "\x16\x03\x01\x02\x01\n", TARS_EFORMAT, 400},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))
#define MAX  4096

static bool same(const struct tars_http1 *a, const struct tars_http1 *b)
{
    return a->reject == b->reject && a->why == b->why && a->head_len == b->head_len &&
           a->method == b->method && a->content_length == b->content_length &&
           a->is_chunked == b->is_chunked && a->keep_alive == b->keep_alive &&
           a->expects_continue == b->expects_continue && a->wants_upgrade == b->wants_upgrade &&
           a->header_count == b->header_count &&
           memcmp(a->headers, b->headers, a->header_count * sizeof(a->headers[0])) == 0;
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct guard guard = guard_copy(rows[i].head, strlen(rows[i].head));
        struct tars_http1 parser;
        tars_status status;

        tars_http1_init(&parser, MAX);
        status = tars_http1_feed(&parser, guard.ptr, strlen(rows[i].head));
        if (status != rows[i].status || parser.reject != rows[i].reject) {
            print_error("row: %s (%s)\n", rows[i].name, parser.why ? parser.why : "");
        }
        assert_int_equal(status, rows[i].status);
        assert_int_equal(parser.reject, rows[i].reject);
        assert_int_equal(parser.why != NULL, rows[i].reject != 0);
        guard_free(&guard);
    }
}

/* Each row cut in two at each place, and byte by byte. */
static void test_cuts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        size_t len = strlen(rows[i].head);
        struct tars_http1 whole;
        struct tars_http1 bytes;
        tars_status status = TARS_EAGAIN;

        tars_http1_init(&whole, MAX);
        assert_int_equal(tars_http1_feed(&whole, rows[i].head, len), rows[i].status);
        tars_http1_init(&bytes, MAX);
        for (size_t n = 1; n <= len && status == TARS_EAGAIN; n++) {
            struct guard guard = guard_copy(rows[i].head, n);

            status = tars_http1_feed(&bytes, guard.ptr, n);
            guard_free(&guard);
        }
        assert_int_equal(status, rows[i].status);
        assert_true(same(&whole, &bytes));
        for (size_t cut = 0; cut <= len; cut++) {
            struct tars_http1 parser;

            tars_http1_init(&parser, MAX);
            status = tars_http1_feed(&parser, rows[i].head, cut);
            if (status == TARS_EAGAIN)
                status = tars_http1_feed(&parser, rows[i].head, len);
            assert_int_equal(status, rows[i].status);
            assert_true(same(&whole, &parser));
        }
    }
}

static void test_fields(void **state)
{
    static const char head[] = "\r\nPOST /a/b?c=d HTTP/1.1\r\nhost: x\r\nX-Y:  z z \t\r\n"
                               "content-length: 42\r\nexpect: 100-continue\r\n\r\nrest";
    struct tars_http1 p;

    (void)state;
    tars_http1_init(&p, MAX);
    assert_int_equal(tars_http1_feed(&p, head, sizeof(head) - 1), TARS_OK);
    assert_int_equal(p.head_len, sizeof(head) - 1 - 4);
    assert_int_equal(p.method, TARS_HTTP_POST);
    assert_true(tars_span_is(tars_http1_span(head, p.method_text), "POST"));
    assert_true(tars_span_is(tars_http1_span(head, p.target), "/a/b?c=d"));
    assert_int_equal(p.minor, 1);
    assert_int_equal(p.content_length, 42);
    assert_false(p.is_chunked);
    assert_true(p.keep_alive);
    assert_true(p.expects_continue);
    assert_int_equal(p.header_count, 4);
    assert_true(tars_span_is(tars_http1_span(head, p.headers[1].name), "X-Y"));
    assert_true(tars_span_is(tars_http1_span(head, p.headers[1].value), "z z"));
}

struct alive {
    const char *name, *head;
    bool keep_alive;
};

static void test_keep_alive(void **state)
{
    static const struct alive table[] = {
        {"1.1", GET END, true},
        {"1.1 close", GET "connection: CLOSE\r\n" END, false},
        {"1.1 both", GET "connection: keep-alive, close\r\n" END, false},
        {"1.1 close in a second header", GET "connection: a\r\nconnection: close\r\n" END, false},
        {"1.0", "GET / HTTP/1.0\r\n" END, false},
        {"1.0 keep-alive", "GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n" END, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct tars_http1 p;

        tars_http1_init(&p, MAX);
        assert_int_equal(tars_http1_feed(&p, table[i].head, strlen(table[i].head)), TARS_OK);
        if (p.keep_alive != table[i].keep_alive) {
            fail_msg("row: %s", table[i].name);
        }
    }
}

static void test_limits(void **state)
{
    struct tars_http1 p;
    char big[1024];
    char *many = malloc(8192);
    size_t len;

    (void)state;
    assert_non_null(many);
    memset(big, 'a', sizeof(big));
    memcpy(big, "GET /", 5); /* NOLINT: not a string */
    tars_http1_init(&p, 512);
    assert_int_equal(tars_http1_feed(&p, big, 511), TARS_EAGAIN);
    assert_int_equal(tars_http1_feed(&p, big, 512), TARS_ETOOBIG);
    assert_int_equal(p.reject, 414);
    assert_int_equal(tars_http1_feed(&p, big, 1024), TARS_ETOOBIG);
    memcpy(big, GET, sizeof(GET) - 1);
    tars_http1_init(&p, 512);
    assert_int_equal(tars_http1_feed(&p, big, sizeof(big)), TARS_ETOOBIG);
    assert_int_equal(p.reject, 431);
    tars_http1_init(&p, sizeof(GET END) - 1); /* exactly as large as allowed */
    assert_int_equal(tars_http1_feed(&p, GET END "more", sizeof(GET END "more") - 1), TARS_OK);

    len = sizeof(GET) - 1;
    memcpy(many, GET, len);
    for (int i = 0; i < TARS_HTTP1_HEADERS_MAX; i++, len += 6)
        memcpy(many + len, "a: b\r\n", 6); /* NOLINT: not a string */
    tars_http1_init(&p, 8192);
    assert_int_equal(tars_http1_feed(&p, many, len), TARS_ETOOBIG);
    assert_int_equal(p.reject, 431);
    free(many);
}

/* NUL cannot stand in the table. */
static void test_nul(void **state)
{
    static const char value[] = GET "a: b\0c\r\n\r\n";
    static const char target[] = "GET /\0 HTTP/1.1\r\n" HOST END;
    static const char host[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
    struct tars_http1 p;

    (void)state;
    tars_http1_init(&p, MAX);
    assert_int_equal(tars_http1_feed(&p, value, sizeof(value) - 1), TARS_EFORMAT);
    tars_http1_init(&p, MAX);
    assert_int_equal(tars_http1_feed(&p, target, sizeof(target) - 1), TARS_EFORMAT);
    tars_http1_init(&p, MAX);
    assert_int_equal(tars_http1_feed(&p, host, sizeof(host) - 1), TARS_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),   cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_fields), cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_nul),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
