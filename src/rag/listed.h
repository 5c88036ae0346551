/* listed - whether a word is that of a list.
 *
 * Every word of every passage of an answer is looked for in several lists of some dozen words.
 * Nearly all differ in their first byte; those are not measured. */
#ifndef TARS_RAG_LISTED_H
#define TARS_RAG_LISTED_H

#include <stdbool.h>

#include "base/mem/span.h"

/* As tars_span_is(); text is not NULL. */
static inline bool tars_listed_is(struct tars_span word, const char *text)
{
    if (word.len > 0 && word.ptr[0] != text[0])
        return false;
    return tars_span_is(word, text);
}

#endif
