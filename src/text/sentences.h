/* sentences - where the sentences of a text begin and end.
 *
 * Model     The rules of Unicode's annex 29 in small, plus what its defaults lack: abbreviations
 *           (Dr. Fig. e.g. z.B.), initials (J. R. Smith), decimals and versions (3.14, v2.0.1),
 *           numbered lists, dots inside names (example.com); closing quotes and brackets stay with
 *           their sentence; Chinese, Japanese, Hindi, Arabic and other full stops end one as well;
 *           an empty line, and a line that begins a list item, always does.
 * Result    Spans of bytes, ascending, none empty, without the white space around them. Every
 *           character that is not white space is in exactly one.
 * Limits    Sentences are as long as they are; a caller that needs short ones cuts them.
 * Threads   No state.
 * Costs     Linear; 16 bytes a sentence in the arena.
 */
#ifndef TARS_TEXT_SENTENCES_H
#define TARS_TEXT_SENTENCES_H

#include <stddef.h>

#include "base/mem/arena.h"
#include "base/status.h"

struct tars_range {
    size_t start; /* first byte */
    size_t end;   /* one past the last */
};

struct tars_sentences {
    struct tars_range *items; /* (count,) */
    size_t count;
};

/* Split valid UTF-8; the result lives in arena. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_sentences_split(struct tars_arena *arena, const char *text,
                                               size_t len, struct tars_sentences *out);

/* The end of the sentence that begins at start (start < len), white space after it not included.
 * For text that arrives bit by bit: when the answer is len, more text may make it longer. */
size_t tars_sentences_next(const char *text, size_t len, size_t start);

#endif
