/* relevance - see relevance.h. */
#include "retrieve/relevance.h"

#include <math.h>

#define NEAR 0.75 /* cosines from here on do without the words' help */

/* Fitted by tools/fit_relevance; docs/quality.md tells on what, and how well it holds elsewhere. */
static const struct {
    double b0, cosine, coverage, both;
} with_vector = {-9.712, 17.613, 12.759, -15.253}, words_only = {-3.485, 0.0, 9.867, 0.0};

double tars_relevance(double cosine, double coverage)
{
    double x = words_only.b0 + words_only.coverage * coverage;

    if (!isnan(cosine)) {
        x = with_vector.b0 + with_vector.cosine * cosine + with_vector.coverage * coverage +
            with_vector.both * fmin(cosine, NEAR) * coverage;
    }
    return 1 / (1 + exp(-x));
}
