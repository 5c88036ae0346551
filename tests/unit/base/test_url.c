/* Percent-encoding and query strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec/url.h"
#include "support/faults.h"
#include "support/guard.h"

struct row {
    const char *name, *text, *decoded; /* NULL: malformed */
    bool plus;
};

static void test_decode(void **state)
{
    static const struct row rows[] = {
        {"empty", "", "", false},
        {"plain", "abc", "abc", false},
        {"space", "a%20b", "a b", false},
        {"lower hex", "%c3%a4", "\xc3\xa4", false},
        {"plus kept", "a+b", "a+b", false},
        {"plus as space", "a+b", "a b", true},
        {"escaped plus", "a%2Bb", "a+b", true},
        {"cut", "%4", NULL, false},
        {"lone", "%", NULL, false},
        {"not hex", "%zz", NULL, false},
        {"half hex", "%4z", NULL, false},
        {"NUL", "%00", NULL, false},
        {"once only", "%2541", "%41", false},
    };
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct guard guard = guard_copy(rows[i].text, strlen(rows[i].text));
        struct tars_span out = tars_span(NULL, 0);
        tars_status status =
            tars_url_decode(&arena, tars_span(guard.ptr, strlen(rows[i].text)), rows[i].plus, &out);

        if (status != (rows[i].decoded ? TARS_OK : TARS_EFORMAT)) {
            fail_msg("row: %s", rows[i].name);
        }
        if (!status) {
            assert_string_equal(out.ptr, rows[i].decoded);
            assert_int_equal(out.len, strlen(rows[i].decoded));
        }
        guard_free(&guard);
    }
    tars_arena_release(&arena);
}

static void test_encode(void **state)
{
    struct tars_buf out;

    (void)state;
    tars_buf_init(&out, 100);
    tars_url_encode(&out, tars_span_of("aZ09-._~ /?\xc3\xa4"));
    assert_string_equal(out.ptr, "aZ09-._~%20%2F%3F%C3%A4");
    tars_buf_release(&out);
}

static void test_query(void **state)
{
    struct tars_span path;
    struct tars_span query;
    struct tars_span name;
    struct tars_span value;

    (void)state;
    tars_url_split(tars_span_of("/a/b?x=1&&y&=z&w=a=b?c"), &path, &query);
    assert_true(tars_span_is(path, "/a/b"));
    assert_true(tars_url_query_next(&query, &name, &value));
    assert_true(tars_span_is(name, "x") && tars_span_is(value, "1"));
    assert_true(tars_url_query_next(&query, &name, &value));
    assert_true(tars_span_is(name, "y") && tars_span_is(value, ""));
    assert_true(tars_url_query_next(&query, &name, &value));
    assert_true(tars_span_is(name, "") && tars_span_is(value, "z"));
    assert_true(tars_url_query_next(&query, &name, &value));
    assert_true(tars_span_is(name, "w") && tars_span_is(value, "a=b?c"));
    assert_false(tars_url_query_next(&query, &name, &value));
    tars_url_split(tars_span_of("/a"), &path, &query);
    assert_true(tars_span_is(path, "/a") && query.len == 0);
}

static void get_all(void *ctx)
{
    struct tars_span query = tars_span_of("%zz=0&a%20b=c+d&e=%4&a+b=2");
    struct tars_arena arena;
    struct tars_span value;
    tars_status status;

    (void)ctx;
    tars_arena_init(&arena, 1 << 20);
    status = tars_url_query_get(&arena, query, "a b", &value);
    if (status != TARS_ENOMEM) {
        assert_int_equal(status, TARS_OK);
        assert_true(tars_span_is(value, "c d"));
        assert_int_equal(tars_url_query_get(&arena, query, "e", &value), TARS_EFORMAT);
        assert_int_equal(tars_url_query_get(&arena, query, "f", &value), TARS_ENOTFOUND);
    }
    tars_arena_release(&arena);
}

static void test_get(void **state)
{
    (void)state;
    get_all(NULL);
    assert_true(faults_each(get_all, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode), cmocka_unit_test(test_encode),
                                       cmocka_unit_test(test_query), cmocka_unit_test(test_get)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
