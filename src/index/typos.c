/* typos - see typos.h. */
#include "index/typos.h"

#include <stdbool.h>
#include <string.h>

#define LEN_MAX  64 /* of words that have neighbours */
#define ONE_FROM 5  /* bytes */
#define TWO_FROM 9
#define LETTERS  32

uint32_t tars_typos_letters(const char *ptr, size_t len)
{
    uint32_t letters = 0;

    for (size_t i = 0; i < len; i++)
        letters |= UINT32_C(1) << ((unsigned char)ptr[i] % LETTERS);
    return letters;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Steps from a to b, or more than max when there are more (optimal string alignment). */
static uint32_t distance(const char *a, size_t a_len, const char *b, size_t b_len, uint32_t max)
{
    uint32_t rows[3][LEN_MAX + 3];
    uint32_t *before = rows[0];
    uint32_t *last = rows[1];
    uint32_t *row = rows[2];

    for (uint32_t k = 0; k <= b_len; k++)
        last[k] = k;
    for (uint32_t i = 1; i <= a_len; i++) {
        uint32_t best = row[0] = i;
        uint32_t *oldest = before;

        for (uint32_t k = 1; k <= b_len; k++) {
            row[k] = least(least(row[k - 1], last[k]) + 1, last[k - 1] + (a[i - 1] != b[k - 1]));
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                row[k] = least(row[k], before[k - 2] + 1);
            best = least(best, row[k]);
        }
        if (best > max)
            return max + 1;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_len];
}

/* Put the term among the max best. */
static void keep(struct tars_index_similar *out, size_t *count, size_t max,
                 const struct tars_index_similar *found)
{
    size_t at = *count;

    while (at > 0 && (out[at - 1].distance > found->distance ||
                      (out[at - 1].distance == found->distance && out[at - 1].df < found->df)))
        at--;
    if (at >= max)
        return;
    if (*count < max)
        (*count)++;
    memmove(&out[at + 1], &out[at], (*count - at - 1) * sizeof(*out));
    out[at] = *found;
}

/* Whether the term may be within max steps, by what is cheap to see. */
static bool is_near(const struct tars_postings_term *term, uint32_t letters, size_t len,
                    uint32_t max)
{
    return term->field == TARS_INDEX_TEXT && term->len + max >= len && len + max >= term->len &&
           (uint32_t)__builtin_popcount(term->letters ^ letters) <= 2 * max;
}

size_t tars_typos_find(const struct tars_postings *postings, const char *ptr, size_t len,
                       struct tars_index_similar *out, size_t max)
{
    uint32_t steps = len >= TWO_FROM ? 2 : 1;
    uint32_t letters = tars_typos_letters(ptr, len);
    uint32_t terms = atomic_load_explicit(&postings->term_count, memory_order_acquire);
    uint32_t own = tars_postings_find(postings, ptr, len, TARS_INDEX_TEXT);
    size_t count = 0;

    if (len < ONE_FROM || len > LEN_MAX || max == 0 ||
        (own != TARS_POSTINGS_NONE &&
         atomic_load_explicit(&tars_postings_term_at(postings, own)->df, memory_order_relaxed) > 0))
        return 0;
    for (uint32_t i = 0; i < terms; i++) {
        const struct tars_postings_term *term = tars_postings_term_at(postings, i);
        struct tars_index_similar found;
        const char *text;

        if (!is_near(term, letters, len, steps))
            continue;
        text = i < postings->terms.base_count && term->text >= postings->texts.base_count
                   ? NULL
                   : tars_postings_text(postings, term);
        found.df = atomic_load_explicit(&term->df, memory_order_relaxed);
        if (!text || found.df == 0)
            continue;
        found.distance = distance(ptr, len, text, term->len, steps);
        if (found.distance > steps)
            continue;
        found.len = term->len;
        memcpy(found.text, text, term->len);
        keep(out, &count, max, &found);
    }
    return count;
}
