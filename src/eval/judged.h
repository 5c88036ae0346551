/* judged - a judged folder: questions, which documents answer them, and what the answers are.
 *
 *     corpus.jsonl      {"_id","title","text"}: taken in by ingestion, not read here
 *     queries.jsonl     {"_id","text"}
 *     qrels.tsv, or     query-id, corpus-id, grade, by tabs, a first line that names them;
 *     qrels/test.tsv    as BEIR has it. Also the four columns of TREC
 *     qa.jsonl          {"id","question","answers":[...],"context_id" or "context_ids":[...]}
 *
 * Each may be packed by gzip, with ".gz" behind its name. What is not there is left out: a folder
 * may have judgements, answers, or questions alone. Questions without a judgement are dropped where
 * the folder has judgements, as those of other splits are.
 *
 * Bounds    TARS_JUDGED_BYTES_MAX of a file, unpacked.
 * Memory    The caller's arena.
 */
#ifndef TARS_EVAL_JUDGED_H
#define TARS_EVAL_JUDGED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_JUDGED_BYTES_MAX   ((size_t)256 << 20)
#define TARS_JUDGED_QUERIES_MAX 1000000

struct tars_judgement {
    const char *document; /* id in the corpus */
    int grade;            /* above 0: relevant */
};

struct tars_judged_query {
    const char *id;
    const char *text;
    const struct tars_judgement *judgements; /* (judgement_count,) by document id */
    size_t judgement_count;
    size_t relevant;            /* judgements with a grade above 0 */
    const char *const *answers; /* (answer_count,) any of them is right */
    size_t answer_count;
    const char *const *contexts; /* (context_count,) documents that hold the answer */
    size_t context_count;
    bool has_answers; /* it is in qa.jsonl */
};

struct tars_judged {
    struct tars_judged_query *queries; /* (count,) in the order of the file */
    size_t count;
    size_t relevant_count; /* queries with a relevant document */
    size_t answers_count;  /* queries that are in qa.jsonl */
};

/* The bytes of the three files; an empty span for one that is not there. */
struct tars_judged_files {
    struct tars_span queries, qrels, qa;
};

/* TARS_EFORMAT with file and line, TARS_ENOMEM, TARS_ETOOBIG. *out and its texts are in arena. */
TARS_MUST_USE tars_status tars_judged_parse(const struct tars_judged_files *files,
                                            struct tars_arena *arena, struct tars_judged *out,
                                            struct tars_err *err);
/* Read folder. ENOTFOUND where it has neither queries.jsonl nor qa.jsonl; EIO. */
TARS_MUST_USE tars_status tars_judged_read(const char *folder, struct tars_arena *arena,
                                           struct tars_judged *out, struct tars_err *err);
/* Path of the folder's corpus, packed or not; NULL where it has none. In arena. */
const char *tars_judged_corpus(const char *folder, struct tars_arena *arena);

/* Unpack the file at path to the new file at to. TARS_EIO, TARS_EFORMAT. */
TARS_MUST_USE tars_status tars_judged_unpack(const char *path, const char *to,
                                             struct tars_err *err);

/* The grade of a document; 0 where nobody judged it. */
int tars_judged_grade(const struct tars_judged_query *query, const char *document);
/* True when document holds the answer: one of the contexts, or where there are none a relevant one.
 */
bool tars_judged_is_context(const struct tars_judged_query *query, const char *document);

#endif
