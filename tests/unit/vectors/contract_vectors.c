/* contract_vectors - vectors at random, the same each time. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "kinds.h"

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void make_vector(uint64_t seed, size_t dim, float *out)
{
    uint64_t state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    float norm = 0;

    for (size_t i = 0; i < dim; i++) {
        out[i] = (float)(next_random(&state) >> 40) / 16777216.0F - 0.5F;
        norm += out[i] * out[i];
    }
    for (size_t i = 0; i < dim; i++)
        out[i] /= sqrtf(norm);
}
