/* rarity - see rarity.h. */
#include "retrieve/rarity.h"

#include <math.h>

static double idf_of(const struct tars_index *index, const struct tars_index_query_term *term)
{
    return term->idf > 0 ? term->idf : tars_index_idf(index, term, NULL, 0);
}

void tars_rarity_weigh(const struct tars_index *index, struct tars_index_query_term *terms,
                       size_t count)
{
    double sum = 0;
    double mean;

    for (size_t i = 0; i < count; i++)
        sum += idf_of(index, &terms[i]);
    mean = count > 0 ? sum / (double)count : 0;
    for (size_t i = 0; mean > 0 && i < count; i++)
        terms[i].weight *= (float)sqrt(idf_of(index, &terms[i]) / mean);
}
