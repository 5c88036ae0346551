/* tally - what each question of an evaluation gave, and what all of them say together.
 *
 * A question may have been searched for (a ranking, where it has judgements) and answered. One that
 * the documents do not answer is asked to see whether that is said.
 *
 *     answered             share of the questions with an answer that got one, of any kind
 *     right                share of them whose answer holds what was expected
 *     no-answer recall     share of the questions without an answer that got none
 *     no-answer precision  share of those that got none that have none
 *     citation precision   share of the citations that name a document which holds the answer
 *     support              share of the answers' claims that a source supports (rag/cite.h)
 */
#ifndef TARS_EVAL_TALLY_H
#define TARS_EVAL_TALLY_H

#include <stdbool.h>

#include "eval/measures.h"

struct tars_eval_line {
    const char *id;
    double measures[TARS_MEASURES];   /* where ranked */
    double search_ms;                 /* 0: was not searched for */
    double answer_ms;                 /* this and what follows where asked */
    size_t claims, supported;         /* sentences that claim something; of them */
    size_t citations, citations_good; /* sources named; of them those that hold the answer */
    bool ranked;                      /* measures are known */
    bool asked;                       /* an answer was asked for */
    bool has_none;                    /* the documents do not answer it */
    bool refused;                     /* no answer was given */
    bool right;                       /* it holds what was expected */
};

/* A share is NaN where it is of nothing. */
struct tars_eval_sums {
    size_t count, ranked; /* questions */
    double measures[TARS_MEASURES];
    double search_p50_ms, search_p95_ms;
    size_t answerable, unanswerable; /* that were asked */
    double answered, right, right_of_answered;
    double no_answer_recall, no_answer_precision;
    double citation_precision, support;
    double answer_p50_ms, answer_p95_ms;
};

/* TARS_ENOMEM. lines, shape (count,). */
TARS_MUST_USE tars_status tars_eval_sum(const struct tars_eval_line *lines, size_t count,
                                        struct tars_eval_sums *out);

#endif
