/* reading - a passage cut into sentences and words, once for all who look at it.
 *
 * Choosing quotations and checking citations both need a passage's language, sentences and words,
 * which is most of what a quoted answer costs. Who needs them first makes the reading and leaves it
 * at the source; it lives as long as the answer.
 *
 * Threads   As the analyzer.
 * Memory    Arena: that of the words (words.h).
 */
#ifndef TARS_RAG_READING_H
#define TARS_RAG_READING_H

#include <stdbool.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"
#include "rag/words.h"
#include "text/analyzer.h"
#include "text/sentences.h"

struct tars_reading {
    struct tars_span text; /* borrowed */
    int lang;
    bool certain; /* lang is the text's; false: nothing in it tells, and another was taken */
    struct tars_sentences sentences;
    struct tars_words words; /* in lang, of those sentences */
};

/* Read text, valid UTF-8; otherwise is the language where the text does not tell. The reading is in
 * arena. ENOMEM. */
TARS_MUST_USE tars_status tars_reading_new(struct tars_analyzer *analyzer, struct tars_arena *arena,
                                           struct tars_span text, int otherwise,
                                           const struct tars_reading **reading);

/* Read text; where it does not tell its language, in that of the text beside it, or in English.
 * *reading is made itself, a reading of text or NULL, where it serves. ENOMEM. */
TARS_MUST_USE tars_status tars_reading_beside(struct tars_analyzer *analyzer,
                                              struct tars_arena *arena, struct tars_span text,
                                              struct tars_span beside,
                                              const struct tars_reading *made,
                                              const struct tars_reading **reading);

#endif
