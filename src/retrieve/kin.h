/* kin - what is like the best candidates is likely good as well.
 *
 *     order   7:.90  3:.80  9:.60  5:.40          leaders 7, 3, 9, weighing 1, 1/2, 1/3
 *     likeness to their mean vector   7: 1   3: .8   5: .6   9: 0       (scaled to 0..1)
 *     fused = (1 - w) * fused + w * likeness      5 comes before 9
 *
 * A question is a few words; the passages that answer it are about one thing and lie near each
 * other (the cluster hypothesis, van Rijsbergen 1979). So the vectors of the first three, weighted
 * by the reciprocal of their rank, are a second, richer question (Rocchio 1971), asked of the
 * candidates only: no second search. It is summed with the fusion rather than put into the
 * question's vector: a leader that is wrong then costs at most its share. docs/quality.md tells
 * what it gives, and what else was tried.
 *
 * Costs     A product of two vectors for each window of each candidate: about 0.1 ms for 200.
 */
#ifndef TARS_RETRIEVE_KIN_H
#define TARS_RETRIEVE_KIN_H

#include <stddef.h>

#include "base/mem/arena.h"
#include "base/status.h"
#include "retrieve/fuse.h"
#include "vectors/vectors.h"

#define TARS_KIN_LEADERS 3
#define TARS_KIN_WEIGHT  0.4

/* The weight of the likeness where words weigh alpha: TARS_KIN_WEIGHT while vectors count at least
 * half, less where they are not trusted, because the encoder does not know the language. */
double tars_kin_weight(double alpha);
/* Mix the likeness into fused, shape (count,), best first, and order it anew. question (dim,) is
 * the question's vector, held the candidates' ones. Candidates without vectors are like nobody.
 * TARS_ENOMEM: nothing has changed. */
TARS_MUST_USE tars_status tars_kin_mix(const struct tars_vectors_held *held,
                                       struct tars_arena *arena, const float *question, size_t dim,
                                       double weight, struct tars_fused *fused, size_t count);

#endif
