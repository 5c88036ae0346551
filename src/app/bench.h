/* bench - what the files of `tars bench` share: the parts it times, and what came of it.
 *
 *     cmd_bench.c      the command line, the data folder, sample and questions, the run
 *     bench_sample.c   texts and questions: of the folder's documents, or made up
 *     bench_report.c   table, JSON, SVG
 */
#ifndef TARS_APP_BENCH_H
#define TARS_APP_BENCH_H

#include <stdio.h>

#include "app/command.h"
#include "eval/stages.h"

struct tars_store;
struct tars_wiring;

/* Of an open wiring; lent for its life. encoder is NULL where there is none. */
struct tars_bench_parts {
    struct tars_store *store;
    struct tars_encoder *encoder;
    const struct tars_wordpiece *wordpiece;
    struct tars_retriever *retriever;
    uint64_t last_passage; /* greatest id that the index holds; 0: none */
};
struct tars_bench_parts tars_wiring_bench_parts(const struct tars_wiring *wiring);

/* Texts to embed and take in, and questions to ask; in an arena. */
struct tars_bench_sample {
    struct tars_span *texts; /* (text_count,) */
    size_t text_count;
    struct tars_span *questions; /* (question_count,) distinct, mostly */
    size_t question_count;
    bool is_made_up;  /* the folder has no documents */
    int64_t passages; /* that the folder has */
};

/* From the store, or made up where it is empty. TARS_ENOMEM, and what the store fails with. */
TARS_MUST_USE tars_status tars_bench_sample_take(const struct tars_bench_parts *parts,
                                                 struct tars_arena *arena,
                                                 struct tars_bench_sample *sample,
                                                 struct tars_err *err);

struct tars_bench_result {
    struct tars_stage stages[TARS_STAGES_MAX + 1];
    size_t count;
    struct tars_bench_sample sample;
    const char *data;      /* folder */
    const char *model;     /* of embedding, or "" */
    const char *precision; /* really used, or "" */
    double seconds;        /* the whole run took */
    double load;           /* of the machine, before */
    double resident_mb;
};

void tars_bench_print(const struct tars_bench_result *result);
TARS_MUST_USE tars_status tars_bench_write_json(FILE *file, const struct tars_bench_result *result,
                                                struct tars_err *err);
/* How the times of each stage are spread: share of runs over milliseconds. */
TARS_MUST_USE tars_status tars_bench_write_svg(FILE *file, const struct tars_bench_result *result,
                                               struct tars_err *err);

#endif
