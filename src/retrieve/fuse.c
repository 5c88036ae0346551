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

/* The same passage in both lists: each entry brings what the other lacks. */
static void absorb(struct tars_fused *kept, const struct tars_fused *twin)
{
    if (kept->vector_rank == TARS_FUSE_NO_RANK) {
        kept->vector = twin->vector;
        kept->vector_rank = twin->vector_rank;
    } else {
        kept->words = twin->words;
        kept->words_rank = twin->words_rank;
    }
}

size_t tars_fuse_join(const struct tars_index_hit *vectors, size_t vector_count,
                      const struct tars_index_hit *words, size_t word_count, struct tars_fused *out)
{
    size_t count = vector_count + word_count;
    size_t kept = 0;

    for (size_t i = 0; i < vector_count; i++) {
        out[i] = (struct tars_fused){.id = vectors[i].id,
                                     .vector = vectors[i].score,
                                     .words = NAN,
                                     .vector_rank = i,
                                     .words_rank = TARS_FUSE_NO_RANK};
    }
    for (size_t i = 0; i < word_count; i++) {
        out[vector_count + i] = (struct tars_fused){.id = words[i].id,
                                                    .vector = NAN,
                                                    .words = words[i].score,
                                                    .vector_rank = TARS_FUSE_NO_RANK,
                                                    .words_rank = i};
    }
    if (count > 1)
        qsort(out, count, sizeof(*out), by_id);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && out[kept - 1].id == out[i].id) {
            absorb(&out[kept - 1], &out[i]);
        } else {
            out[kept++] = out[i];
        }
    }
    return kept;
}

double tars_fuse_scaled(double score, struct tars_fuse_range range)
{
    if (isnan(score))
        return 0;
    if (range.high > range.low)
        return (score - range.low) / (range.high - range.low);
    return score >= range.high ? 1 : 0;
}

void tars_fuse_order(struct tars_fused *fused, size_t count)
{
    if (count > 1)
        qsort(fused, count, sizeof(*fused), by_score);
}

void tars_fuse_linear(struct tars_fused *fused, size_t count, struct tars_fuse_range vectors,
                      struct tars_fuse_range words, double alpha)
{
    for (size_t i = 0; i < count; i++) {
        fused[i].fused = (1 - alpha) * tars_fuse_scaled(fused[i].vector, vectors) +
                         alpha * tars_fuse_scaled(fused[i].words, words);
    }
    tars_fuse_order(fused, count);
}

static double reciprocal(size_t place)
{
    return place == TARS_FUSE_NO_RANK ? 0 : 1 / (TARS_FUSE_RRF_K + 1 + (double)place);
}

void tars_fuse_rrf(struct tars_fused *fused, size_t count, double alpha)
{
    for (size_t i = 0; i < count; i++) {
        fused[i].fused = (1 - alpha) * reciprocal(fused[i].vector_rank) +
                         alpha * reciprocal(fused[i].words_rank);
    }
    tars_fuse_order(fused, count);
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
