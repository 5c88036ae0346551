/* significance - is one of two settings better, or was it luck with these questions?
 *
 * Both were asked the same questions, so the differences a question are looked at. Two tests, each
 * two-sided:
 *
 *   randomisation   were it luck, each difference could as well have the other sign. p is the share
 *                   of TARS_SIGNIFICANCE_ROUNDS random choices of signs whose mean lies at least as
 *                   far from 0 (the one that was seen counted in, so p is never 0). It assumes
 *                   nothing of how the differences are spread.
 *   t               Student's, on the mean of the differences.
 *
 * The seed is fixed: the same numbers always give the same p.
 *
 * Costs     Rounds times questions: 0.1 s for 2,000 questions.
 */
#ifndef TARS_EVAL_SIGNIFICANCE_H
#define TARS_EVAL_SIGNIFICANCE_H

#include <stddef.h>

#define TARS_SIGNIFICANCE_ROUNDS 20000

struct tars_significance {
    double mean;          /* of the differences, a - b */
    size_t better, worse; /* questions where a is above b, and below */
    double p_random;      /* 1 where all are equal */
    double t, p_t;        /* 0 and 1 where it is not defined: one question, or no difference */
};

/* a and b, shape (count,), of the same questions. */
void tars_significance_of(const double *a, const double *b, size_t count,
                          struct tars_significance *out);

/* Two-sided p of Student's t with degrees of freedom, at least 1. */
double tars_student_p(double t, double degrees);

#endif
