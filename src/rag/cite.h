/* cite - checks each sentence of an answer against the sources and says which of them support it.
 *
 * No model takes part; the same answer and sources always give the same verdicts. A sentence is
 * supported by a source when some window of neighbouring sentences in it
 *
 *   1. holds the sentence literally (white space, case and markdown apart), or
 *   2. passes every hard check: its numbers (1,234.50 = 1234.5, five = 5), its names, and its
 *      negation are those of the window, and
 *      covers enough of its words (stems, weighted by how telling each is).
 *
 * A sentence may also be covered by two sources together; then both are named.
 *
 * Limits    TARS_CITE_SENTENCES_MAX sentences and TARS_CITE_SOURCES_MAX sources; what is beyond
 *           stays unchecked and is marked unsupported.
 * Memory    The caller's arena: about 40 bytes a word of the sources.
 * Costs     Linear in the words of the sources for each sentence; about 1 ms for ten sentences
 *           against five passages.
 * Threads   As the analyzer: one call at a time on each.
 */
#ifndef TARS_RAG_CITE_H
#define TARS_RAG_CITE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_CITE_SENTENCES_MAX 512
#define TARS_CITE_SOURCES_MAX   64

struct tars_analyzer;
struct tars_reading;

struct tars_cite_source {
    struct tars_span text;  /* the passage, valid UTF-8 */
    struct tars_span title; /* document title, file name or headings: names in it count as known */
    const struct tars_reading *reading; /* of text, if somebody has read it already; or NULL */
};

/* Why a sentence is what it is. Numbers end up in stored answers: never used again. */
#define TARS_CITE_VERDICT_LIST(X)                                                           \
    X(TARS_CITE_QUOTED, 1, "quoted")       /* supported: literal */                         \
    X(TARS_CITE_COVERED, 2, "covered")     /* supported: words and hard checks */           \
    X(TARS_CITE_NO_CLAIM, 3, "no_claim")   /* nothing to support: says nothing of matter,   \
                                              or says that the documents do not answer */   \
    X(TARS_CITE_WORDS, 4, "words")         /* too few of its words in any source */         \
    X(TARS_CITE_NUMBER, 5, "number")       /* a number that the best source lacks */        \
    X(TARS_CITE_NAME, 6, "name")           /* a name that the best source lacks */          \
    X(TARS_CITE_NEGATION, 7, "negation")   /* says not where the source does, or reverse */ \
    X(TARS_CITE_UNCHECKED, 8, "unchecked") /* past the limits */

enum tars_cite_verdict {
#define X(name, value, text) name = (value),
    TARS_CITE_VERDICT_LIST(X)
#undef X
};

/* Static name of a verdict. */
const char *tars_cite_verdict_text(enum tars_cite_verdict verdict);

/* One source that supports a sentence, and where. */
struct tars_cite_support {
    size_t source; /* index into the sources, from 0 */
    size_t start;  /* bytes within the source's text: the window that supports */
    size_t end;
    double score; /* 0..1: weighted share of the sentence's words found there */
};

struct tars_cite_sentence {
    size_t start; /* bytes in the answer */
    size_t end;
    bool supported; /* QUOTED, COVERED or NO_CLAIM */
    enum tars_cite_verdict verdict;
    double score;                            /* the best coverage found, supported or not */
    const struct tars_cite_support *support; /* (support_count,), best first; arena */
    size_t support_count;                    /* 0 for unsupported sentences and NO_CLAIM */
};

struct tars_citations {
    struct tars_cite_sentence *sentences; /* (count,) in the order of the answer; arena */
    size_t count;
    size_t unsupported;
};

/* Check answer, valid UTF-8. What *out holds lives in arena and points into nothing else. Citation
 * marks such as [2] at a sentence's end are neither text nor numbers. ENOMEM. */
TARS_MUST_USE tars_status tars_cite_check(struct tars_analyzer *analyzer, struct tars_arena *arena,
                                          struct tars_span answer,
                                          const struct tars_cite_source *sources,
                                          size_t source_count, struct tars_citations *out);

#endif
