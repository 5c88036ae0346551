/* Digests against the examples of their standards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/crypto/digest.h"

struct row {
    const char *text;
    const char *sha1, *sha256; /* in hexadecimal */
};

static const struct row rows[] = {
    {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned char bytes[TARS_SHA1_BYTES];
        char hex[2 * TARS_SHA1_BYTES + 1];
        char long_hex[TARS_SHA256_HEX_BYTES];
        struct tars_sha256 *sha = NULL;
        size_t len = strlen(rows[i].text);

        assert_int_equal(tars_sha1(rows[i].text, len, bytes), TARS_OK);
        for (size_t k = 0; k < sizeof(bytes); k++)
            snprintf(hex + 2 * k, 3, "%02x", bytes[k]);
        assert_string_equal(hex, rows[i].sha1);
        assert_int_equal(tars_sha256_hex(rows[i].text, len, long_hex), TARS_OK);
        assert_string_equal(long_hex, rows[i].sha256);
        assert_int_equal(tars_sha256_new(&sha), TARS_OK);
        for (size_t k = 0; k < len; k++)
            assert_int_equal(tars_sha256_update(sha, rows[i].text + k, 1), TARS_OK);
        assert_int_equal(tars_sha256_final_hex(sha, long_hex), TARS_OK);
        assert_string_equal(long_hex, rows[i].sha256);
        tars_sha256_free(sha);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
