/* prompt - what the writer is given: the passages that fit, the question, and how to behave.
 *
 *     Context:
 *     [Source 1: leave.pdf]
 *     Staff may take 30 days...
 *
 *     [Source 2: ...]
 *
 *     Question: How many days of leave?
 *
 *     Answer:
 *
 * The budget is in the writer's own tokens where it can count them. Passages go in whole, best
 * first, until the next does not fit; the first one is cut at a sentence if it alone is too long,
 * so that there is always a context.
 */
#ifndef TARS_RAG_PROMPT_H
#define TARS_RAG_PROMPT_H

#include "base/mem/arena.h"
#include "rag/rag.h"

/* Terminated. Names the assistant, asks to keep to the context and to admit what it does not say.
 */
extern const char tars_prompt_system[];
/* The same for small models (tars_llm_is_small), which copy better than they phrase. */
extern const char tars_prompt_system_small[];

/* How many tokens a text has; 0: cannot tell. */
typedef size_t tars_token_count_fn(void *ctx, const char *text, size_t len);

struct tars_prompt_budget {
    size_t tokens; /* of the context; required */
    tars_token_count_fn *count;
    void *ctx;
};

/* The context of the best sources, into arena; marks those that went in (in_context). ENOMEM. */
TARS_MUST_USE tars_status tars_prompt_context(struct tars_arena *arena,
                                              const struct tars_prompt_budget *budget,
                                              struct tars_rag_source *sources, size_t count,
                                              const char **context);

/* The whole prompt, in arena; NULL: no memory. */
const char *tars_prompt_build(struct tars_arena *arena, const char *context, const char *query);

#endif
