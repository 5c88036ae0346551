/* eval - what the files of `tars eval` share: a plan, and what one side of a comparison gave.
 *
 *     cmd_eval.c      the command line into a plan; a side, or two, after another
 *     eval_side.c     one side: its settings, its folder, every question asked
 *     eval_report.c   tables, JSON, lines
 *
 * A side opens the data folder in this process, with its own settings: analytics, Redis and caches
 * are off, so that nothing is counted and nothing is remembered. The folder is kept below
 * ${XDG_CACHE_HOME:-~/.cache}/tars/eval, its name made of the judged folder and of the settings
 * that change passages, so that a second run embeds nothing; or it is the one that --data names.
 */
#ifndef TARS_APP_EVAL_H
#define TARS_APP_EVAL_H

#include <stdio.h>

#include "app/command.h"
#include "eval/judged.h"
#include "eval/tally.h"

#define TARS_EVAL_DEPTH 100 /* documents asked for: recall@100 wants them */

struct tars_eval_plan {
    struct tars_cli *cli;
    const char *folder;
    const char *corpus;            /* to be taken in, or NULL */
    struct tars_judged judged;     /* questions */
    struct tars_judged unanswered; /* questions of another folder, that this one does not answer */
    const char *mode;              /* of searches: hybrid, words, vectors */
    long top_k;                    /* passages of an answer */
    bool answers;                  /* ask for answers too */
    bool fresh;                    /* take the corpus in again */
};

struct tars_eval_side {
    const struct tars_setting_override *settings; /* (setting_count,) of this side alone */
    size_t setting_count;
    const char *label;            /* "HYBRID_ALPHA=0.3", or "" */
    const char *data;             /* where it was asked; set by the run */
    struct tars_eval_line *lines; /* (count,): judged, then unanswered; in cli's arena */
    size_t count;
    struct tars_eval_sums sums;
    double ingest_s; /* 0: all was there */
    double passages; /* taken in now */
};

/* Run one side to its end. ECANCELED after Ctrl-C. */
TARS_MUST_USE tars_status tars_eval_side_run(const struct tars_eval_plan *plan,
                                             struct tars_eval_side *side, struct tars_err *err);

/* against may be NULL. */
void tars_eval_print(const struct tars_eval_plan *plan, const struct tars_eval_side *side,
                     const struct tars_eval_side *against);
/* The same as JSON, a line, to file. */
TARS_MUST_USE tars_status tars_eval_write_json(FILE *file, const struct tars_eval_plan *plan,
                                               const struct tars_eval_side *side,
                                               const struct tars_eval_side *against,
                                               struct tars_err *err);
/* A line of JSON a question. */
TARS_MUST_USE tars_status tars_eval_write_lines(FILE *file, const struct tars_eval_side *side,
                                                const struct tars_eval_side *against,
                                                struct tars_err *err);

#endif
