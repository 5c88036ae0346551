/* tally - see tally.h for the contract. */
#include "eval/tally.h"

#include <math.h>
#include <stdlib.h>

static double share(size_t part, size_t whole)
{
    return whole > 0 ? (double)part / (double)whole : NAN;
}

static void sum_rankings(const struct tars_eval_line *lines, size_t count,
                         struct tars_eval_sums *out)
{
    for (size_t i = 0; i < count; i++) {
        out->ranked += lines[i].ranked;
        for (size_t m = 0; lines[i].ranked && m < TARS_MEASURES; m++)
            out->measures[m] += lines[i].measures[m];
    }
    for (size_t m = 0; m < TARS_MEASURES; m++)
        out->measures[m] = out->ranked > 0 ? out->measures[m] / (double)out->ranked : NAN;
}

struct counts {
    size_t refused_well, refused, right, claims, supported, citations, good;
};

static void sum_answers(const struct tars_eval_line *lines, size_t count,
                        struct tars_eval_sums *out)
{
    struct counts sum = {0};

    for (size_t i = 0; i < count; i++) {
        const struct tars_eval_line *line = &lines[i];

        if (!line->asked)
            continue;
        out->answerable += !line->has_none;
        out->unanswerable += line->has_none;
        sum.refused += line->refused;
        sum.refused_well += line->refused && line->has_none;
        sum.claims += line->claims;
        sum.supported += line->supported;
        if (line->has_none)
            continue;
        sum.right += line->right;
        sum.citations += line->citations;
        sum.good += line->citations_good;
    }
    out->answered = share(out->answerable - (sum.refused - sum.refused_well), out->answerable);
    out->right = share(sum.right, out->answerable);
    out->right_of_answered = share(sum.right, out->answerable - (sum.refused - sum.refused_well));
    out->no_answer_recall = share(sum.refused_well, out->unanswerable);
    out->no_answer_precision = out->unanswerable > 0 ? share(sum.refused_well, sum.refused) : NAN;
    out->citation_precision = share(sum.good, sum.citations);
    out->support = share(sum.supported, sum.claims);
}

tars_status tars_eval_sum(const struct tars_eval_line *lines, size_t count,
                          struct tars_eval_sums *out)
{
    double *times = calloc(count + 1, sizeof(*times));
    size_t n = 0;

    if (!times)
        return TARS_ENOMEM;
    *out = (struct tars_eval_sums){.count = count};
    sum_rankings(lines, count, out);
    sum_answers(lines, count, out);
    for (size_t i = 0; i < count; i++) {
        if (lines[i].search_ms > 0)
            times[n++] = lines[i].search_ms;
    }
    out->search_p50_ms = tars_percentile(times, n, 0.5);
    out->search_p95_ms = tars_percentile(times, n, 0.95);
    n = 0;
    for (size_t i = 0; i < count; i++) {
        if (lines[i].asked)
            times[n++] = lines[i].answer_ms;
    }
    out->answer_p50_ms = tars_percentile(times, n, 0.5);
    out->answer_p95_ms = tars_percentile(times, n, 0.95);
    free(times);
    return TARS_OK;
}
