/* made_up - passages made up from their ids: the same vectors and words whoever asks.
 *
 * Vectors lie near one of CENTRES centres; a fifth of the passages has two windows. Of the four
 * words of a passage the first is in every second one, the last in hardly another.
 */
#ifndef TARS_TESTS_INDEX_MADE_UP_H
#define TARS_TESTS_INDEX_MADE_UP_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "index/index.h"

#define DIM     64
#define CENTRES 64

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline float gauss(uint64_t *state)
{
    float sum = 0;

    for (int i = 0; i < 6; i++)
        sum += (float)(next_random(state) >> 40) / 16777216.0F - 0.5F;
    return sum;
}

/* The vector of window w of passage id: near one of CENTRES centres, unit length. */
static inline void make_vector(uint64_t id, uint64_t w, float *out)
{
    uint64_t noise = (id + 1) * UINT64_C(0x9e3779b97f4a7c15) + w * 77777;
    uint64_t centre;
    float norm = 0;

    (void)next_random(&noise);
    centre = (next_random(&noise) % CENTRES + 1) * UINT64_C(0xd1342543de82ef95);
    for (int i = 0; i < DIM; i++) {
        out[i] = gauss(&centre) + 0.7F * gauss(&noise);
        norm += out[i] * out[i];
    }
    for (int i = 0; i < DIM; i++)
        out[i] /= sqrtf(norm);
}

static inline size_t windows_of(uint64_t id)
{
    return id % 5 == 0 ? 2 : 1;
}

static inline tars_status add(struct tars_index *index, uint64_t id)
{
    char words[4][32];
    struct tars_index_term terms[4];
    float vectors[2 * DIM];
    struct tars_index_passage passage = {.id = id,
                                         .vectors = vectors,
                                         .terms = terms,
                                         .vector_count = windows_of(id),
                                         .term_count = 4,
                                         .length = 4 + (uint32_t)(id % 7),
                                         .lang = (int)(id % 3)};

    make_vector(id, 0, vectors);
    make_vector(id, 1, vectors + DIM);
    for (uint32_t i = 0; i < 4; i++) {
        static const uint64_t spread[4] = {2, 11, 97, 1000003};

        (void)snprintf(words[i], sizeof(words[i]), "w%u-%llu", i,
                       (unsigned long long)(id % spread[i]));
        terms[i] = (struct tars_index_term){words[i], (uint32_t)strlen(words[i]),
                                            1 + (uint32_t)(id % (i + 2)), TARS_INDEX_TEXT};
    }
    return tars_index_add(index, &passage);
}

#endif
