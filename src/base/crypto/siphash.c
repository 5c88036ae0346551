/* siphash - see siphash.h. Names as in the paper: v0..v3 is the state, m a word of the message. */
#include "base/crypto/siphash.h"

#include <string.h>

#define ROUNDS_WORD 2
#define ROUNDS_LAST 4

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void mix(uint64_t v[4], int rounds)
{
    for (int i = 0; i < rounds; i++) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static void add_word(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    mix(v, ROUNDS_WORD);
    v[0] ^= m;
}

/* The hash of a machine with the other byte order differs; it is never stored. */
uint64_t tars_siphash(const unsigned char *seed, const void *ptr, size_t len)
{
    const unsigned char *at = ptr;
    uint64_t key[2];
    uint64_t v[4];
    uint64_t m = 0;
    size_t left = len;

    memcpy(key, seed, sizeof(key));
    v[0] = key[0] ^ UINT64_C(0x736f6d6570736575);
    v[1] = key[1] ^ UINT64_C(0x646f72616e646f6d);
    v[2] = key[0] ^ UINT64_C(0x6c7967656e657261);
    v[3] = key[1] ^ UINT64_C(0x7465646279746573);
    for (; left >= sizeof(m); left -= sizeof(m), at += sizeof(m)) {
        memcpy(&m, at, sizeof(m));
        add_word(v, m);
    }
    m = (uint64_t)len << 56U;
    for (size_t i = 0; i < left; i++)
        m |= (uint64_t)at[i] << (8 * i);
    add_word(v, m);
    v[2] ^= 0xff;
    mix(v, ROUNDS_LAST);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
