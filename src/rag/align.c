/* align - see align.h. */
#include "rag/align.h"

#include <string.h>

#define EXCHANGE_WORDS_MAX      6 /* of either side; longer differences are not an exchange */
#define EXCHANGE_IDEOGRAPHS_MAX 12
#define NEARLY_COPIED           0.6 /* matched share from which exchanges count */
#define NEARLY_COPIED_CASELESS  0.7 /* the same for scripts without capitals */
#define LOOK_AROUND             2   /* words more than the exchange at the ends of a sentence */

struct side {
    const struct tars_words *of;
    const struct tars_word *words;
    size_t count;
};

struct gap {
    const struct tars_word *a; /* (a_count,) unmatched words of the sentence */
    size_t a_count;
    const struct tars_word *b; /* (b_count,) what the passage has there */
    size_t b_count;
    bool inside; /* matching words on both sides */
};

bool tars_align_same(const struct tars_words *a_of, const struct tars_word *a,
                     const struct tars_words *b_of, const struct tars_word *b)
{
    if ((a->flags & TARS_WORD_NUMBER) && (b->flags & TARS_WORD_NUMBER))
        return tars_number_equal(&a_of->numbers[a->number], &b_of->numbers[b->number]);
    if (a->hash == b->hash)
        return true;
    return a->term && a->term == b->term && !((a->flags | b->flags) & TARS_WORD_CJK);
}

static void fill_lengths(struct tars_align_scratch *scratch, const struct side *a,
                         const struct side *b)
{
    for (size_t i = 0; i <= a->count; i++)
        scratch->length[i][b->count] = 0;
    memset(scratch->length[a->count], 0, sizeof(scratch->length[a->count]));
    for (size_t i = a->count; i-- > 0;) {
        for (size_t j = b->count; j-- > 0;) {
            uint16_t down = scratch->length[i + 1][j];
            uint16_t right = scratch->length[i][j + 1];

            scratch->length[i][j] = down > right ? down : right;
            if (tars_align_same(a->of, &a->words[i], b->of, &b->words[j]) &&
                scratch->length[i + 1][j + 1] + 1 > scratch->length[i][j])
                scratch->length[i][j] = (uint16_t)(scratch->length[i + 1][j + 1] + 1);
        }
    }
}

static size_t trace(struct tars_align_scratch *scratch, const struct side *a, const struct side *b)
{
    size_t matched = 0;
    size_t j = 0;

    for (size_t i = 0; i < a->count; i++) {
        size_t at = j;

        scratch->match[i] = -1;
        /* Word i is worth matching where that loses nothing of the longest sequence. */
        while (at < b->count && scratch->length[i][at] == scratch->length[i][j] &&
               !(tars_align_same(a->of, &a->words[i], b->of, &b->words[at]) &&
                 scratch->length[i + 1][at + 1] + 1 == scratch->length[i][j]))
            at++;
        if (at < b->count && scratch->length[i][at] == scratch->length[i][j]) {
            scratch->match[i] = (int32_t)at;
            j = at + 1;
            matched++;
        }
    }
    return matched;
}

/* ------------------------------------------------------------------- gaps */

/* Names, numbers, and content words of scripts without capitals. */
static bool is_specific(const struct tars_word *word)
{
    if (word->flags & TARS_WORD_NUMBER)
        return true;
    if (word->flags & TARS_WORD_CJK)
        return true;
    return word->term && (word->flags & (TARS_WORD_CAPITAL | TARS_WORD_MIXED | TARS_WORD_CASELESS));
}

static bool stands_in(const struct tars_word *word, const struct tars_word *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].hash == word->hash || (word->term && words[i].term == word->term))
            return true;
    }
    return false;
}

/* A word of a that is specific, of the kind wanted, and not in b; NULL if there is none. */
static const struct tars_word *specific_in(const struct tars_word *a, size_t a_count,
                                           const struct tars_word *b, size_t b_count, bool number)
{
    for (size_t i = 0; i < a_count; i++) {
        if (is_specific(&a[i]) && ((a[i].flags & TARS_WORD_NUMBER) != 0) == number &&
            !stands_in(&a[i], b, b_count))
            return &a[i];
    }
    return NULL;
}

static bool has_negation(const struct tars_word *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].flags & TARS_WORD_NEGATION)
            return true;
    }
    return false;
}

static bool is_short(const struct gap *gap)
{
    const struct tars_word *any = gap->a_count ? gap->a : gap->b;
    size_t max = any->flags & TARS_WORD_CJK ? EXCHANGE_IDEOGRAPHS_MAX : EXCHANGE_WORDS_MAX;

    return gap->a_count <= max && gap->b_count <= max;
}

static void judge_gap(const struct gap *gap, struct tars_alignment *out)
{
    const struct tars_word *mine;
    const struct tars_word *theirs;

    if (gap->a_count + gap->b_count == 0 || !is_short(gap))
        return;
    if (gap->inside && has_negation(gap->a, gap->a_count) != has_negation(gap->b, gap->b_count) &&
        out->matched >= NEARLY_COPIED)
        out->negation_changed = true;
    if (gap->a_count == 0 || gap->b_count == 0)
        return;
    if (specific_in(gap->a, gap->a_count, gap->b, gap->b_count, true) &&
        specific_in(gap->b, gap->b_count, gap->a, gap->a_count, true) &&
        out->matched >= NEARLY_COPIED)
        out->number_exchanged = true;
    mine = specific_in(gap->a, gap->a_count, gap->b, gap->b_count, false);
    theirs = specific_in(gap->b, gap->b_count, gap->a, gap->a_count, false);
    if (mine && theirs &&
        out->matched >= (mine->flags & TARS_WORD_CASELESS ? NEARLY_COPIED_CASELESS : NEARLY_COPIED))
        out->name_exchanged = true;
}

/* The passage's words of the gap before the match at to (b->count: behind the last match), which
 * follows the match at from (-1: none). At the ends only the near ones count. */
static void set_passage_side(struct gap *gap, const struct side *b, int32_t from, size_t to)
{
    size_t first = from < 0 ? 0 : (size_t)from + 1;
    size_t reach = gap->a_count + LOOK_AROUND;

    gap->inside = from >= 0 && to < b->count;
    if (from < 0) {
        while (first < to && (to - first > reach ||
                              (to < b->count && b->words[first].sentence != b->words[to].sentence)))
            first++;
    } else if (to == b->count) {
        to = first;
        while (to < b->count && to - first < reach &&
               b->words[to].sentence == b->words[from].sentence)
            to++;
    }
    gap->b = b->words + first;
    gap->b_count = to - first;
}

static void judge_gaps(const struct tars_align_scratch *scratch, const struct side *a,
                       const struct side *b, struct tars_alignment *out)
{
    int32_t from = -1;
    size_t start = 0;

    for (size_t i = 0; i <= a->count; i++) {
        struct gap gap;

        if (i < a->count && scratch->match[i] < 0)
            continue;
        gap = (struct gap){.a = a->words + start, .a_count = i - start};
        set_passage_side(&gap, b, from, i < a->count ? (size_t)scratch->match[i] : b->count);
        judge_gap(&gap, out);
        if (i < a->count)
            from = scratch->match[i];
        start = i + 1;
    }
}

struct tars_alignment tars_align(struct tars_align_scratch *scratch, const struct tars_words *a_of,
                                 const struct tars_word *a, size_t a_count,
                                 const struct tars_words *b_of, const struct tars_word *b,
                                 size_t b_count)
{
    struct side mine = {a_of, a, a_count < TARS_ALIGN_WORDS ? a_count : TARS_ALIGN_WORDS};
    struct side theirs = {b_of, b, b_count < TARS_ALIGN_WINDOW ? b_count : TARS_ALIGN_WINDOW};
    struct tars_alignment out = {.matched = 0};
    size_t matched;

    if (a_count == 0 || b_count == 0)
        return out;
    fill_lengths(scratch, &mine, &theirs);
    matched = trace(scratch, &mine, &theirs);
    out.matched = (double)matched / (double)mine.count;
    if (matched)
        judge_gaps(scratch, &mine, &theirs, &out);
    return out;
}
