/* aead: vectors of the GCM specification, and that no bit can change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/codec/hex.h"
#include "base/crypto/aead.h"

static size_t from_hex(const char *hex, unsigned char *out)
{
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++) {
        out[i] = (unsigned char)(tars_hex_value(hex[2 * i]) << 4 | tars_hex_value(hex[2 * i + 1]));
    }
    return n;
}

/* Test cases 13, 14 and 16 of the specification: 256-bit keys and 96-bit nonces. */
static void test_vectors(void **state)
{
    static const struct {
        const char *key, *nonce, *beside, *text, *sealed, *tag;
    } rows[] = {
        {"0000000000000000000000000000000000000000000000000000000000000000",
         "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
        {"0000000000000000000000000000000000000000000000000000000000000000",
         "000000000000000000000000", "", "00000000000000000000000000000000",
         "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
        {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
         "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
         "76fc6ece0f4e1768cddf8853bb2d551b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned char key[32];
        unsigned char nonce[12];
        unsigned char beside[64];
        unsigned char text[64];
        unsigned char sealed[64];
        unsigned char tag[16];
        unsigned char out[64];
        unsigned char out_tag[16];
        size_t beside_len = from_hex(rows[i].beside, beside);
        size_t len = from_hex(rows[i].text, text);
        struct tars_span around = tars_span((const char *)beside, beside_len);

        (void)from_hex(rows[i].key, key);
        (void)from_hex(rows[i].nonce, nonce);
        (void)from_hex(rows[i].sealed, sealed);
        (void)from_hex(rows[i].tag, tag);
        assert_int_equal(
            tars_aead_seal(key, nonce, around, tars_span((const char *)text, len), out, out_tag),
            TARS_OK);
        assert_memory_equal(out, sealed, len);
        assert_memory_equal(out_tag, tag, sizeof(tag));
        assert_int_equal(
            tars_aead_open(key, nonce, around, tars_span((const char *)sealed, len), tag, out),
            TARS_OK);
        assert_memory_equal(out, text, len);
    }
}

static void test_changed_bits_are_seen(void **state)
{
    unsigned char all[32 + 12 + 5 + 7 + 16] = {0}; /* key, nonce, beside, sealed, tag */
    unsigned char *key = all;
    unsigned char *nonce = all + 32;
    const char *beside = (const char *)all + 44;
    unsigned char *sealed = all + 49;
    unsigned char *tag = all + 56;
    unsigned char out[7];

    (void)state;
    assert_int_equal(
        tars_aead_seal(key, nonce, tars_span(beside, 5), tars_span("secret!", 7), sealed, tag),
        TARS_OK);
    for (size_t bit = 0; bit < 8 * sizeof(all); bit++) {
        all[bit / 8] ^= (unsigned char)(1U << bit % 8);
        memset(out, 'x', sizeof(out));
        assert_int_equal(tars_aead_open(key, nonce, tars_span(beside, 5),
                                        tars_span((const char *)sealed, 7), tag, out),
                         TARS_EDENIED);
        assert_memory_equal(out, "\0\0\0\0\0\0\0", 7);
        all[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    assert_int_equal(tars_aead_open(key, nonce, tars_span(beside, 5),
                                    tars_span((const char *)sealed, 7), tag, out),
                     TARS_OK);
    assert_memory_equal(out, "secret!", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_changed_bits_are_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
