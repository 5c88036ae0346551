/* stages - each stage of a search and of what comes before it, timed by itself.
 *
 *     tokenizer   a passage into word pieces
 *     passages    4 texts of 128 word pieces into vectors, at a time
 *     question    one text of 16 word pieces into its vector
 *     vectors, words, fusion, fetch, search
 *                 parts of whole searches, each question asked once: near vectors, matching words
 *                 (asked alone), what joins, scores and orders them, the winners' texts read, all
 *     kept        the same questions again, from the cache
 *
 * A stage runs until its time is up, at least TARS_STAGE_RUNS_MIN times where there is enough to
 * ask, so that all together take little more than their number times that. What a part that is away
 * would do is left out.
 *
 * Memory    The caller's arena: eight bytes a run.
 */
#ifndef TARS_EVAL_STAGES_H
#define TARS_EVAL_STAGES_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_STAGES_MAX     12
#define TARS_STAGE_RUNS_MIN 3
#define TARS_STAGE_RUNS_MAX 5000

struct tars_encoder;
struct tars_wordpiece;
struct tars_retriever;

/* Pointers are borrowed for the call. */
struct tars_stages_config {
    struct tars_encoder *encoder;           /* NULL: words only */
    const struct tars_wordpiece *wordpiece; /* required */
    struct tars_retriever *retriever;       /* NULL: nothing is searched */
    const struct tars_span *texts;          /* (text_count,) passages, not empty */
    size_t text_count;                      /* at least one */
    const struct tars_span *questions;      /* (question_count,) */
    size_t question_count;
    int64_t stage_ms;            /* time of one stage */
    const atomic_bool *stopping; /* NULL: nobody stops it */
};

struct tars_stage {
    const char *name;    /* static */
    const char *unit;    /* of items: "tokens", "searches"; static */
    const double *times; /* (runs,) milliseconds, ascending */
    size_t runs;
    double p50_ms, p95_ms;
    double cpu_ms;  /* of the process, a run; NaN where only a part was timed */
    double items_s; /* a second of wall time */
};

/* Fill stages, which has room for TARS_STAGES_MAX. ECANCELED, ENOMEM, and what a part fails with.
 */
TARS_MUST_USE tars_status tars_stages_run(const struct tars_stages_config *config,
                                          struct tars_arena *arena, struct tars_stage *stages,
                                          size_t *count, struct tars_err *err);

/* Put times (runs,) in order and fill the stage's figures; cpu_ms and items of all runs. */
void tars_stage_fill(struct tars_stage *stage, double *times, size_t runs, double cpu_ms,
                     double items);

/* User and system time of the process, milliseconds. */
double tars_stage_cpu_ms(void);

#endif
