/* quote - chooses the sentences of the sources that answer a question best, word for word.
 *
 * A sentence's worth is the share of the question's words that it holds (stems, the rarer among
 * the sources the more) together with the relevance of its passage. From each source comes at most
 * one quotation of one or two sentences; sources whose best is far behind the best of all give
 * none.
 */
#ifndef TARS_RAG_QUOTE_H
#define TARS_RAG_QUOTE_H

#include "base/mem/arena.h"
#include "llm/llm.h"
#include "rag/rag.h"
#include "text/analyzer.h"

#define TARS_QUOTES_MAX      4
#define TARS_FOCUS_BYTES_MAX 330
#define TARS_QUOTE_BYTES_MAX 1200 /* of one quotation; longer sentences are cut at a word */

/* *quotes, best first, in arena; white space inside is one space each. Sets each source's reading,
 * if it has none yet. ENOMEM. */
TARS_MUST_USE tars_status tars_quote_choose(struct tars_analyzer *analyzer,
                                            struct tars_arena *arena, const char *query,
                                            struct tars_rag_source *sources, size_t source_count,
                                            struct tars_llm_quote **quotes, size_t *count);

/* Set each source's reading, as above, and its focus: the sentence that answers best with its
 * neighbours, one run of text of at most TARS_FOCUS_BYTES_MAX unless that sentence alone is longer.
 * ENOMEM. */
TARS_MUST_USE tars_status tars_quote_focus(struct tars_analyzer *analyzer, struct tars_arena *arena,
                                           const char *query, struct tars_rag_source *sources,
                                           size_t source_count);

#endif
