/* relevance - see relevance.h. */
#include "retrieve/relevance.h"

#include <math.h>

/* Fitted by tools/fit_relevance; docs/quality.md tells on what, and how well it holds elsewhere. */
static const struct {
    double b0, cosine, coverage;
} both = {-6.0, 10.0, 5.0}, words_only = {-3.0, 0.0, 8.0};

double tars_relevance(double cosine, double coverage)
{
    double x = isnan(cosine) ? words_only.b0 + words_only.coverage * coverage
                             : both.b0 + both.cosine * cosine + both.coverage * coverage;

    return 1 / (1 + exp(-x));
}
