/* kin - see kin.h. */
#include "retrieve/kin.h"

#include <math.h>

#define TRUSTED 0.5 /* part of the fusion that vectors have where they are trusted */

double tars_kin_weight(double alpha)
{
    double trust = (1 - alpha) / TRUSTED;

    return TARS_KIN_WEIGHT * (trust < 1 ? trust : 1);
}

/* The weighted sum of the leaders' vectors; its length does not matter, likeness is scaled. Returns
 * how many had one. */
static size_t sum_leaders(const struct tars_vectors_held *held, const float *question,
                          const struct tars_fused *fused, size_t count, float *sum)
{
    size_t leaders = 0;

    for (size_t i = 0; i < count && i < TARS_KIN_LEADERS; i++) {
        if (tars_vectors_add(held, question, fused[i].id, 1 / (double)(i + 1), sum) == TARS_OK)
            leaders++;
    }
    return leaders;
}

tars_status tars_kin_mix(const struct tars_vectors_held *held, struct tars_arena *arena,
                         const float *question, size_t dim, double weight, struct tars_fused *fused,
                         size_t count)
{
    struct tars_fuse_range range = {INFINITY, -INFINITY};
    float *mean = tars_arena_calloc(arena, dim, sizeof(*mean));
    float *likeness = tars_arena_calloc(arena, count ? count : 1, sizeof(*likeness));

    if (!mean || !likeness)
        return TARS_ENOMEM;
    if (weight <= 0 || sum_leaders(held, question, fused, count, mean) == 0)
        return TARS_OK;
    for (size_t i = 0; i < count; i++) {
        if (tars_vectors_score(held, mean, fused[i].id, &likeness[i]) != TARS_OK) {
            likeness[i] = NAN;
            continue;
        }
        range.low = fmin(range.low, (double)likeness[i]);
        range.high = fmax(range.high, (double)likeness[i]);
    }
    for (size_t i = 0; i < count; i++) {
        fused[i].fused =
            (1 - weight) * fused[i].fused + weight * tars_fuse_scaled((double)likeness[i], range);
    }
    tars_fuse_order(fused, count);
    return TARS_OK;
}
