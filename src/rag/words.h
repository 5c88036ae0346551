/* words - a text as words that can be compared: folded forms, stems, names, numbers, negations.
 *
 *     "Dr. Müller didn't sell 1,200 shares [2]."
 *      name name   negation    number  term
 *
 * Model     A word is a run of letters, digits and marks; each ideograph is a word of its own, and
 *           its term is the pair with the next one. "n't" belongs to its word, the s of "Müller's"
 *           is dropped. Citation marks ([2], [Source 2], 【2】) are no words.
 * Threads   As the analyzer.
 * Memory    Arena: 48 bytes a word, and its folded form.
 */
#ifndef TARS_RAG_WORDS_H
#define TARS_RAG_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"
#include "rag/number.h"
#include "text/analyzer.h"
#include "text/sentences.h"

enum {
    TARS_WORD_CAPITAL = 1U << 0U,  /* begins with a capital letter */
    TARS_WORD_FIRST = 1U << 1U,    /* the first word of its sentence, or after a colon or quote */
    TARS_WORD_MIXED = 1U << 2U,    /* letters and digits (F16), or a capital inside (eBay, WHO) */
    TARS_WORD_CASELESS = 1U << 3U, /* of a script without capitals */
    TARS_WORD_CJK = 1U << 4U,      /* one ideograph */
    TARS_WORD_NEGATION = 1U << 5U, /* not, never, n't, kein, 不 ... */
    TARS_WORD_NUMBER = 1U << 6U,   /* number is its index */
    TARS_WORD_DENIAL = 1U << 8U,   /* a negation, or says one in other words: lacks, fails */
    TARS_WORD_MONTH = 1U << 7U,    /* the name of a month */
};

struct tars_word {
    size_t start; /* bytes in the text */
    size_t end;
    struct tars_span fold; /* compatibility forms folded, lower case; arena or text */
    uint64_t hash;         /* of fold; of a number: of its value */
    uint64_t term;         /* hash of the stem, 0 for a stop word */
    uint32_t sentence;     /* index into the ranges given */
    uint32_t flags;        /* TARS_WORD_* */
    uint32_t number;       /* index into numbers */
};

struct tars_words {
    struct tars_word *items; /* (count,) */
    size_t count;
    struct tars_number *numbers; /* (number_count,) in order */
    size_t number_count;
};

/* The words of text, valid UTF-8, that lie in the sentences given. ENOMEM. */
TARS_MUST_USE tars_status tars_words_scan(struct tars_analyzer *analyzer, struct tars_arena *arena,
                                          int lang, struct tars_span text,
                                          const struct tars_sentences *sentences,
                                          struct tars_words *out);

/* Bytes of the citation mark that begins at text.ptr, 0: none does. */
size_t tars_words_mark(struct tars_span text);

/* FNV-1a, never 0. */
uint64_t tars_words_hash(struct tars_span text);

#endif
