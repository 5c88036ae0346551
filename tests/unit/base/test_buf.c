/* Unit tests of base/mem/buf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem/buf.h"
#include "support/faults.h"

static void appends_join(void **state)
{
    struct tars_buf buf;

    (void)state;
    tars_buf_init(&buf, 1000);
    tars_buf_append(&buf, "ab", 2);
    tars_buf_append_text(&buf, "cd");
    tars_buf_append_char(&buf, 'e');
    tars_buf_appendf(&buf, "%d-%s", 7, "x");
    assert_string_equal(buf.ptr, "abcde7-x");
    assert_int_equal(buf.len, 8);
    tars_buf_release(&buf);
}

static void ceiling_is_exact_and_sticky(void **state)
{
    struct tars_buf buf;

    (void)state;
    tars_buf_init(&buf, 4);
    tars_buf_append(&buf, "abcd", 4);
    assert_int_equal(buf.status, TARS_OK);
    tars_buf_append_char(&buf, 'e');
    assert_int_equal(buf.status, TARS_ETOOBIG);
    assert_string_equal(buf.ptr, "abcd");
    tars_buf_append(&buf, "", 0);
    assert_int_equal(buf.status, TARS_ETOOBIG);
    assert_null(tars_buf_detach(&buf));
    tars_buf_append(&buf, "x", 1);
    assert_string_equal(buf.ptr, "x");
    tars_buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    tars_buf_release(&buf);
}

static void detach_gives(void **state)
{
    struct tars_buf buf;
    char *text;

    (void)state;
    tars_buf_init(&buf, 100000);
    for (int i = 0; i < 10000; i++)
        tars_buf_append_char(&buf, (char)('a' + i % 26));
    text = tars_buf_detach(&buf);
    assert_int_equal(strlen(text), 10000);
    assert_int_equal(buf.len, 0);
    free(text);
}

static void fill(void *ctx)
{
    struct tars_buf buf;

    (void)ctx;
    tars_buf_init(&buf, 1000);
    for (int i = 0; i < 300; i++)
        tars_buf_append_char(&buf, 'x');
    if (faults_happened()) {
        assert_int_equal(buf.status, TARS_ENOMEM);
    } else {
        assert_int_equal(buf.len, 300);
    }
    tars_buf_release(&buf);
}

static void numbers_are_decimal(void **state)
{
    struct tars_buf buf;

    (void)state;
    tars_buf_init(&buf, 100);
    tars_buf_append_uint(&buf, 0);
    tars_buf_append_char(&buf, ' ');
    tars_buf_append_uint(&buf, 1020);
    tars_buf_append_char(&buf, ' ');
    tars_buf_append_uint(&buf, UINT64_MAX);
    assert_string_equal(buf.ptr, "0 1020 18446744073709551615");
    tars_buf_release(&buf);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(fill, NULL) >= 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_join),
        cmocka_unit_test(ceiling_is_exact_and_sticky),
        cmocka_unit_test(detach_gives),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
