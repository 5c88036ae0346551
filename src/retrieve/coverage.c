/* coverage - see coverage.h. */
#include "retrieve/coverage.h"

#include <math.h>
#include <stdbool.h>

/* Questions with more terms than this are documents; finding variants pair by pair would cost more
 * than it is worth there. */
#define VARIANTS_SOUGHT 256
/* Power of a word's idf, as in the ranking (retrieve.c): told answered questions from others better
 * than the idf itself (docs/quality.md). */
#define RARITY 1.5

struct word {
    double mass;   /* what a passage that holds it gets; the greatest of its variants */
    size_t leader; /* first variant of the same word, itself if it is the first */
};

struct tars_coverage {
    const struct tars_index *index;
    struct word *words;                  /* (count,) */
    struct tars_index_query_term *terms; /* (count,) of the words */
    bool *held;                          /* (count,) scratch: the passage has the word */
    bool *counted;                       /* (count,) scratch: leader is counted */
    size_t count;
    double total; /* mass of all leaders */
};

static size_t leader_of(const struct tars_terms *terms, size_t i)
{
    if (terms->count > VARIANTS_SOUGHT)
        return i;
    for (size_t k = 0; k < i; k++) {
        if (terms->items[k].position == terms->items[i].position)
            return k;
    }
    return i;
}

tars_status tars_coverage_new(struct tars_arena *arena, const struct tars_index *index,
                              const struct tars_terms *terms,
                              const struct tars_index_query_term *weighed,
                              struct tars_coverage **coverage)
{
    struct tars_coverage *made = tars_arena_calloc(arena, 1, sizeof(*made));
    size_t room = terms->count ? terms->count : 1;

    if (!made)
        return TARS_ENOMEM;
    made->index = index;
    made->count = terms->count;
    made->words = tars_arena_calloc(arena, room, sizeof(*made->words));
    made->terms = tars_arena_calloc(arena, room, sizeof(*made->terms));
    made->held = tars_arena_calloc(arena, room, sizeof(*made->held));
    made->counted = tars_arena_calloc(arena, room, sizeof(*made->counted));
    if (!made->words || !made->terms || !made->held || !made->counted)
        return TARS_ENOMEM;
    for (size_t i = 0; i < terms->count; i++) {
        struct word *word = &made->words[i];
        struct word *leader;

        made->terms[i] =
            (struct tars_index_query_term){terms->items[i].ptr, terms->items[i].len, 1,
                                           weighed ? weighed[i].idf : 0, TARS_INDEX_TEXT};
        word->leader = leader_of(terms, i);
        word->mass = pow(tars_index_words_ceiling(index, &made->terms[i], 1), RARITY);
        leader = &made->words[word->leader];
        if (word->mass > leader->mass)
            leader->mass = word->mass;
    }
    for (size_t i = 0; i < made->count; i++) {
        if (made->words[i].leader == i)
            made->total += made->words[i].mass;
    }
    *coverage = made;
    return TARS_OK;
}

double tars_coverage_of(const struct tars_coverage *coverage, uint64_t id)
{
    double mass = 0;

    tars_index_words_held(coverage->index, coverage->terms, coverage->count, id, coverage->held);
    for (size_t i = 0; i < coverage->count; i++)
        coverage->counted[i] = false;
    for (size_t i = 0; i < coverage->count; i++) {
        size_t leader = coverage->words[i].leader;

        if (coverage->counted[leader] || !coverage->held[i])
            continue;
        coverage->counted[leader] = true;
        mass += coverage->words[leader].mass;
    }
    return coverage->total > 0 ? mass / coverage->total : 0;
}
