/* fuse - see fuse.h.
 *
 * The lists are short (a few hundred), so they are joined by sorting on the id, which needs no
 * memory of its own: out holds both lists one after the other, equal ids become neighbours and are
 * merged.
 */
#include "retrieve/fuse.h"

#include <math.h>
#include <stdlib.h>

#include "text/analyzer.h"

/* Weight of the words where the encoder does not know the language. Not 1: names, numbers and
 * loanwords still lie near each other. Measured on the non-English sets, docs/quality.md. */
#define ALPHA_FOREIGN 0.9

static int by_id(const void *a, const void *b)
{
    const struct tars_fused *x = a;
    const struct tars_fused *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static int by_score(const void *a, const void *b)
{
    const struct tars_fused *x = a;
    const struct tars_fused *y = b;

    if (x->fused != y->fused)
        return x->fused < y->fused ? 1 : -1;
    return by_id(a, b);
}

/* Equal neighbours become one; each brings what the other lacks. Returns how many are left. */
static size_t merge(struct tars_fused *out, size_t count)
{
    size_t kept = 0;

    qsort(out, count, sizeof(*out), by_id);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || out[kept - 1].id != out[i].id) {
            out[kept++] = out[i];
            continue;
        }
        out[kept - 1].fused += out[i].fused;
        if (isnan(out[kept - 1].vector))
            out[kept - 1].vector = out[i].vector;
        if (isnan(out[kept - 1].words))
            out[kept - 1].words = out[i].words;
    }
    qsort(out, kept, sizeof(*out), by_score);
    return kept;
}

/* 1 at the head of a list, 0 at its end. */
static double scaled(const struct tars_index_hit *hits, size_t count, size_t i)
{
    double high = hits[0].score;
    double low = hits[count - 1].score;

    return high > low ? (hits[i].score - low) / (high - low) : 1;
}

size_t tars_fuse_linear(const struct tars_index_hit *vectors, size_t vector_count,
                        const struct tars_index_hit *words, size_t word_count, double alpha,
                        struct tars_fused *out)
{
    for (size_t i = 0; i < vector_count; i++) {
        out[i] = (struct tars_fused){vectors[i].id, (1 - alpha) * scaled(vectors, vector_count, i),
                                     vectors[i].score, NAN};
    }
    for (size_t i = 0; i < word_count; i++) {
        out[vector_count + i] = (struct tars_fused){
            words[i].id, alpha * scaled(words, word_count, i), NAN, words[i].score};
    }
    return merge(out, vector_count + word_count);
}

size_t tars_fuse_rrf(const struct tars_index_hit *vectors, size_t vector_count,
                     const struct tars_index_hit *words, size_t word_count, double alpha,
                     struct tars_fused *out)
{
    for (size_t i = 0; i < vector_count; i++) {
        out[i] = (struct tars_fused){vectors[i].id, (1 - alpha) / (TARS_FUSE_RRF_K + 1 + (double)i),
                                     vectors[i].score, NAN};
    }
    for (size_t i = 0; i < word_count; i++) {
        out[vector_count + i] = (struct tars_fused){
            words[i].id, alpha / (TARS_FUSE_RRF_K + 1 + (double)i), NAN, words[i].score};
    }
    return merge(out, vector_count + word_count);
}

double tars_fuse_alpha(double alpha, int english_only, int query_language, double english_share)
{
    double english = english_share;

    if (!english_only || alpha >= ALPHA_FOREIGN)
        return alpha;
    if (query_language == TARS_LANG_ENGLISH) {
        english = 1;
    } else if (query_language != TARS_LANG_UNKNOWN) {
        english = 0;
    }
    return english * alpha + (1 - english) * ALPHA_FOREIGN;
}
