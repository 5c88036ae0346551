/* fill - see fill.h. */
#include "retrieve/fill.h"

#include <math.h>

static void fill_cosines(const struct tars_vectors_held *held, const float *vector,
                         struct tars_fused *fused, size_t count)
{
    float score;

    for (size_t i = 0; i < count; i++) {
        if (isnan(fused[i].vector) &&
            tars_vectors_score(held, vector, fused[i].id, &score) == TARS_OK)
            fused[i].vector = (double)score;
    }
}

static tars_status fill_words(const struct tars_index *index,
                              const struct tars_index_query_term *terms, size_t n_terms,
                              struct tars_arena *arena, struct tars_fused *fused, size_t count)
{
    uint64_t *ids = tars_arena_calloc(arena, count ? count : 1, sizeof(*ids));
    float *scores = tars_arena_calloc(arena, count ? count : 1, sizeof(*scores));
    tars_status status = TARS_OK;
    size_t n = 0;

    if (!ids || !scores)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (isnan(fused[i].words))
            ids[n++] = fused[i].id;
    }
    if (n > 0 && n_terms > 0)
        status = tars_index_words_scores(index, terms, n_terms, ids, n, scores);
    n = 0;
    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        if (!isnan(fused[i].words))
            continue;
        fused[i].words = isnan(scores[n]) ? 0 : (double)scores[n];
        n++;
    }
    return status;
}

tars_status tars_fill_scores(const struct tars_index *index, const struct tars_vectors_held *held,
                             const float *vector, const struct tars_index_query_term *terms,
                             size_t n_terms, struct tars_arena *arena, struct tars_fused *fused,
                             size_t count)
{
    if (vector)
        fill_cosines(held, vector, fused, count);
    return fill_words(index, terms, n_terms, arena, fused, count);
}
