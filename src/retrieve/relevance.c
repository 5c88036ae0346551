/* relevance - see relevance.h. */
#include "retrieve/relevance.h"

#include <math.h>

#define NEAR 0.7 /* cosines from here on do without the words' help */

/* Fitted by tools/fit_relevance, which reads them here too; docs/quality.md tells on what, and how
 * well it holds elsewhere. */
static const struct {
    double b0, cosine, coverage, both;
} with_vector = {-10.301, 20.433, 14.202, -20.258}, words_only = {-3.026, 0.0, 9.057, 0.0};

static const struct {
    double lead;  /* what the first one is stronger by */
    double apart; /* gap from which on a passage stands in another's shadow */
    double slope; /* what it loses for each step of the gap beyond */
    double most;  /* and at most */
} beside = {0.6, 1.8, 8.0, 4.0};

/* Evidence beyond firm counts this much: no cosine makes it surer than nine in ten. */
static const struct {
    double firm, beyond;
} bound = {2.3, 0.08};

double tars_relevance_evidence(double cosine, double coverage)
{
    if (isnan(cosine))
        return words_only.b0 + words_only.coverage * coverage;
    return with_vector.b0 + with_vector.cosine * cosine + with_vector.coverage * coverage +
           with_vector.both * fmin(cosine, NEAR) * coverage;
}

double tars_relevance_strength(double evidence, size_t place)
{
    return place == 0 ? evidence + beside.lead : evidence;
}

double tars_relevance_strongest(const struct tars_coverage *coverage,
                                const struct tars_fused *fused, size_t count)
{
    double strongest = -INFINITY;

    for (size_t i = 0; i < count && i < TARS_RELEVANCE_BESIDE; i++) {
        double held = coverage ? tars_coverage_of(coverage, fused[i].id) : 0;
        double evidence = tars_relevance_evidence(fused[i].vector, held);

        strongest = fmax(strongest, tars_relevance_strength(evidence, i));
    }
    return strongest;
}

double tars_relevance(double evidence, size_t place, double strongest)
{
    double gap = strongest - tars_relevance_strength(evidence, place);
    double loss = fmin(beside.most, beside.slope * fmax(0, gap - beside.apart));
    double odds = fmin(evidence, bound.firm) + bound.beyond * fmax(0, evidence - bound.firm);

    return 1 / (1 + exp(loss - odds));
}
