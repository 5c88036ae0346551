/* hmac: the vectors of RFC 4231, and comparison. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/crypto/hmac.h"

static void test_vectors(void **state)
{
    static char key_131[132];
    static char key_20[21];
    static const struct {
        const char *key, *message, *mac;
    } rows[] = {
        {key_20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"Jefe", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {key_131, "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {"", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
    };

    (void)state;
    memset(key_131, 0xaa, 131);
    memset(key_20, 0x0b, 20);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned char mac[TARS_HMAC_BYTES];
        char hex[2 * TARS_HMAC_BYTES + 1];

        assert_int_equal(
            tars_hmac_sha256(tars_span_of(rows[i].key), tars_span_of(rows[i].message), mac),
            TARS_OK);
        for (size_t k = 0; k < sizeof(mac); k++)
            (void)snprintf(hex + 2 * k, 3, "%02x", mac[k]);
        assert_string_equal(hex, rows[i].mac);
    }
    {
        unsigned char mac[TARS_HMAC_BYTES];

        assert_int_equal(tars_hmac_sha256(tars_span(NULL, 0), tars_span(NULL, 0), mac), TARS_OK);
        assert_int_equal(mac[0], 0xb6);
    }
}

static void test_compare(void **state)
{
    (void)state;
    assert_true(tars_equal_constant_time("abc", "abc", 3));
    assert_true(tars_equal_constant_time("abc", "abd", 2));
    assert_false(tars_equal_constant_time("abc", "abd", 3));
    assert_true(tars_equal_constant_time("", "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors),
                                       cmocka_unit_test(test_compare)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
