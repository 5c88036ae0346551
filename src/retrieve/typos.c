/* typos - see typos.h. */
#include "retrieve/typos.h"

tars_status tars_typos_widen(struct tars_arena *arena, const struct tars_index *index,
                             struct tars_terms *terms, size_t *own, float **weights)
{
    size_t room = terms->count * (1 + TARS_TYPOS_MAX);
    struct tars_term *items = tars_arena_calloc(arena, room + 1, sizeof(*items));
    float *made = tars_arena_calloc(arena, room + 1, sizeof(*made));
    size_t count = terms->count;

    if (!items || !made)
        return TARS_ENOMEM;
    for (size_t i = 0; i < terms->count; i++) {
        struct tars_index_similar similar[TARS_TYPOS_MAX];
        size_t n = tars_index_similar_terms(index, terms->items[i].ptr, terms->items[i].len,
                                            similar, TARS_TYPOS_MAX);

        items[i] = terms->items[i];
        for (size_t k = 0; k < n; k++) {
            struct tars_term *term = &items[count];

            *term = terms->items[i];
            term->ptr = tars_arena_strndup(arena, similar[k].text, similar[k].len);
            term->len = similar[k].len;
            if (!term->ptr)
                return TARS_ENOMEM;
            made[count - terms->count] =
                similar[k].distance > 1 ? TARS_TYPOS_WEIGHT * TARS_TYPOS_WEIGHT : TARS_TYPOS_WEIGHT;
            count++;
        }
    }
    *own = terms->count;
    *weights = made;
    *terms = (struct tars_terms){items, count};
    return TARS_OK;
}
