/* measures - see measures.h for the contract. */
#include "eval/measures.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CUT 10

const char *tars_measure_text(enum tars_measure measure)
{
    static const char *const texts[] = {
#define X(name, text) text,
        TARS_MEASURE_LIST(X)
#undef X
    };

    return texts[measure];
}

static int by_grade_down(const void *a, const void *b)
{
    return *(const int *)b - *(const int *)a;
}

static double gain_at(const int *gains, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count && i < CUT; i++)
        sum += (double)gains[i] / log2((double)i + 2);
    return sum;
}

tars_status tars_measures_of(const struct tars_ranking *ranking, double *out)
{
    int *ideal = malloc(ranking->relevant * sizeof(*ideal));
    size_t found = 0;
    double precision = 0;

    assert(ranking->relevant > 0);
    if (!ideal)
        return TARS_ENOMEM;
    memcpy(ideal, ranking->ideal, ranking->relevant * sizeof(*ideal));
    qsort(ideal, ranking->relevant, sizeof(*ideal), by_grade_down);
    memset(out, 0, TARS_MEASURES * sizeof(*out));
    out[TARS_NDCG_10] = gain_at(ranking->gains, ranking->count) / gain_at(ideal, ranking->relevant);
    free(ideal);
    for (size_t i = 0; i < ranking->count; i++) {
        if (ranking->gains[i] <= 0)
            continue;
        found++;
        if (found == 1 && i < CUT)
            out[TARS_MRR_10] = 1.0 / (double)(i + 1);
        precision += (double)found / (double)(i + 1);
        out[TARS_RECALL_10] += i < CUT;
        out[TARS_RECALL_100] += i < 100;
    }
    out[TARS_RECALL_10] /= (double)ranking->relevant;
    out[TARS_RECALL_100] /= (double)ranking->relevant;
    out[TARS_MAP] = precision / (double)ranking->relevant;
    return TARS_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double tars_percentile(double *values, size_t count, double share)
{
    size_t place = (size_t)ceil(share * (double)count);

    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), by_value);
    return values[place > 0 ? place - 1 : 0];
}
