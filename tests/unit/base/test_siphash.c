/* SipHash-2-4 against the vectors of its authors: key 00..0f, message 00, 01, 02, ... */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crypto/siphash.h"

static const struct {
    size_t len;
    uint64_t expected;
} vectors[] = {
    {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
    {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
    {15, UINT64_C(0xa129ca6149be45e5)},
};

static void vectors_hold(void **state)
{
    unsigned char seed[TARS_SIPHASH_SEED_BYTES];
    unsigned char message[16];

    (void)state;
    for (int i = 0; i < 16; i++)
        seed[i] = message[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        assert_true(tars_siphash(seed, message, vectors[i].len) == vectors[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors_hold)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
