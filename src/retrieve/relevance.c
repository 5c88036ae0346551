/* relevance - see relevance.h. */
#include "retrieve/relevance.h"

#include <math.h>

/* Fitted by tools/fit_relevance; docs/quality.md tells on what, and how well it holds elsewhere. */
static const struct {
    double b0, cosine, coverage;
} both = {-5.795, 6.452, 7.376}, words_only = {-3.855, 0.0, 9.010};

double tars_relevance(double cosine, double coverage)
{
    double x = isnan(cosine) ? words_only.b0 + words_only.coverage * coverage
                             : both.b0 + both.cosine * cosine + both.coverage * coverage;

    return 1 / (1 + exp(-x));
}
