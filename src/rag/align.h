/* align - lays a sentence beside the passage that it seems to come from and looks at what differs.
 *
 *     passage    Napoleon was  not  exiled to Elba  in 1814
 *     sentence   Napoleon was       exiled to Malta in 1814
 *                             ^^^ negation     ^^^^^ name exchanged
 *
 * Model     Longest common subsequence of words (equal when folded forms or stems are). Words that
 *           match nothing and stand where the passage has other words are an exchange; it counts
 *           when both sides are specific (names, numbers, any content word of a script without
 *           capitals) and the rest is nearly a copy.
 * Bounds    The first TARS_ALIGN_WORDS of the sentence, TARS_ALIGN_WINDOW of the passage.
 * Memory    The scratch that the caller lends. Costs: words times window words.
 */
#ifndef TARS_RAG_ALIGN_H
#define TARS_RAG_ALIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rag/words.h"

#define TARS_ALIGN_WORDS  128
#define TARS_ALIGN_WINDOW 512

/* About 130 KB: in an arena, not on a stack. */
struct tars_align_scratch {
    uint16_t length[TARS_ALIGN_WORDS + 1][TARS_ALIGN_WINDOW + 1];
    int32_t match[TARS_ALIGN_WORDS]; /* index in the window, or -1 */
};

struct tars_alignment {
    double matched;        /* share of the sentence's words that match */
    bool name_exchanged;   /* a name (or a content word without capitals) stands for another */
    bool number_exchanged; /* a number stands for another */
    bool negation_changed; /* a negation came or went between matching words */
};

/* a is the sentence, b the passage's words; both in order. */
struct tars_alignment tars_align(struct tars_align_scratch *scratch, const struct tars_words *a_of,
                                 const struct tars_word *a, size_t a_count,
                                 const struct tars_words *b_of, const struct tars_word *b,
                                 size_t b_count);

/* Whether two words say the same: folded form, stem, or value. */
bool tars_align_same(const struct tars_words *a_of, const struct tars_word *a,
                     const struct tars_words *b_of, const struct tars_word *b);

#endif
