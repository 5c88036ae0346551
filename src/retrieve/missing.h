/* missing - the words of a question that no passage of the call holds.
 *
 * Words are named as they stand in the question and looked for as the index has them: by their
 * stems in every language that it holds, in texts, titles and headings. Stop words are never
 * missing. Of writing without spaces, a run counts as one word, which is missing when no two
 * neighbours of it stand anywhere.
 *
 * Rights    Each word is looked for by a search with the filter of the call, so one that hidden
 *           passages alone hold is missing.
 * Bounds    TARS_MISSING_TERMS terms are looked for; of words behind them nothing is said. A name
 *           is cut at TARS_TERM_BYTES_MAX bytes.
 */
#ifndef TARS_RETRIEVE_MISSING_H
#define TARS_RETRIEVE_MISSING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/span.h"
#include "base/status.h"
#include "retrieve/wording.h"

#define TARS_MISSING_TERMS 32

/* (*count,) words in from's arena, each once, in their order. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_missing_words(const struct tars_wording_from *from,
                                             struct tars_span query, const char *const **words,
                                             size_t *count);
/* Is there no passage at all that visible (NULL: all) accepts? Where the filter cannot tell, no. */
bool tars_missing_all(const struct tars_index *index, const struct tars_index_filter *visible);

#endif
