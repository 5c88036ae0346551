/* base64: the RFC's vectors, strictness, every byte there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec/base64.h"
#include "support/faults.h"
#include "support/guard.h"

struct row {
    const char *plain, *padded, *url;
};

static void test_vectors(void **state)
{
    static const struct row rows[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/", "-_-_"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int kind = 0; kind < 2; kind++) {
            const char *text = kind ? rows[i].url : rows[i].padded;
            struct guard guard = guard_copy(text, strlen(text));
            struct tars_buf out;

            tars_buf_init(&out, 100);
            tars_base64_encode(&out, (enum tars_base64)kind, rows[i].plain, strlen(rows[i].plain));
            assert_true(tars_span_is(tars_buf_span(&out), text));
            tars_buf_clear(&out);
            assert_int_equal(tars_base64_decode(&out, (enum tars_base64)kind,
                                                tars_span(guard.ptr, strlen(text))),
                             TARS_OK);
            assert_true(tars_span_is(tars_buf_span(&out), rows[i].plain));
            tars_buf_release(&out);
            guard_free(&guard);
        }
    }
}

static void test_bad(void **state)
{
    static const char *const padded[] = {"Z",    "Zg",   "Zg=",   "Zm9",      "Z===",
                                         "====", "Zh==", "Zm9=",  "Zg==Zg==", "Zm 9",
                                         "-_-_", "Z=g=", "Zm9v\n"};
    static const char *const url[] = {"Z", "Zg==", "Zh", "Zm9", "+/+/", "Zm9vZ"};
    struct tars_buf out;

    (void)state;
    tars_buf_init(&out, 100);
    tars_buf_append_text(&out, "x");
    for (size_t i = 0; i < sizeof(padded) / sizeof(padded[0]); i++) {
        if (tars_base64_decode(&out, TARS_BASE64, tars_span_of(padded[i])) != TARS_EFORMAT) {
            fail_msg("row: %s", padded[i]);
        }
    }
    for (size_t i = 0; i < sizeof(url) / sizeof(url[0]); i++) {
        if (tars_base64_decode(&out, TARS_BASE64_URL, tars_span_of(url[i])) != TARS_EFORMAT) {
            fail_msg("row: %s", url[i]);
        }
    }
    assert_string_equal(out.ptr, "x");
    tars_buf_release(&out);
}

static void test_text(void **state)
{
    char out[5];

    (void)state;
    assert_int_equal(tars_base64_text(TARS_BASE64, "foo", 3, out, sizeof(out)), TARS_OK);
    assert_string_equal(out, "Zm9v");
    assert_int_equal(tars_base64_text(TARS_BASE64, "foob", 4, out, sizeof(out)), TARS_ETOOBIG);
    assert_string_equal(out, "Zm9v");
    assert_int_equal(tars_base64_text(TARS_BASE64_URL, "", 0, out, sizeof(out)), TARS_OK);
    assert_string_equal(out, "");
}

static void there_and_back(void *ctx)
{
    unsigned char all[256];
    struct tars_buf text;
    struct tars_buf bytes;

    (void)ctx;
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (unsigned char)(i * 167 + 13);
    tars_buf_init(&text, 1000);
    tars_buf_init(&bytes, 1000);
    tars_base64_encode(&text, TARS_BASE64, all, sizeof(all));
    if (text.status == TARS_OK &&
        tars_base64_decode(&bytes, TARS_BASE64, tars_buf_span(&text)) == TARS_OK) {
        assert_true(tars_span_equal(tars_buf_span(&bytes), tars_span((char *)all, sizeof(all))));
    } else {
        assert_true(text.status == TARS_ENOMEM || bytes.status == TARS_ENOMEM);
    }
    tars_buf_release(&text);
    tars_buf_release(&bytes);
}

static void test_memory(void **state)
{
    (void)state;
    there_and_back(NULL);
    assert_true(faults_each(there_and_back, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_text), cmocka_unit_test(test_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
