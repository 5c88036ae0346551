/* expand - other ways to ask a question, so that passages in other words are found: contract 7.7.
 *
 *     question -> cache -> one call of the language model -> lines -> cleaned -> variants
 *
 * A line of the model's text becomes a variant: a marker of digits, '-', '*', '+' that ends in '.'
 * or ')' goes, then quotation marks at its ends; what is shorter than 5 characters, the question
 * itself, or a repetition goes whole; of the rest the first max stay.
 *
 * Failure   A model that is away, only quotes, or takes longer than TARS_EXPAND_MS costs the
 *           variants, never the question; it is then left alone for TARS_EXPAND_REST_MS.
 * Bounds    TARS_EXPAND_CACHE answers are kept, the oldest goes first; questions longer than
 *           TARS_EXPAND_QUERY_MAX are not expanded.
 * Threads   Safe to share.
 */
#ifndef TARS_RAG_EXPAND_H
#define TARS_RAG_EXPAND_H

#include "base/status.h"
#include "base/sys/clock.h"
#include "llm/llm.h"

#define TARS_EXPAND_CACHE       1000  /* answers of the model that are kept */
#define TARS_EXPAND_MAX         10    /* variants of a question, besides itself */
#define TARS_EXPAND_TOKENS      200   /* of the model's answer */
#define TARS_EXPAND_TEMPERATURE 0.7F  /* so that the lines differ */
#define TARS_EXPAND_MS          10000 /* longest time of the model's answer */
#define TARS_EXPAND_REST_MS     30000 /* without a try after it failed */
#define TARS_EXPAND_QUERY_MAX   2000  /* bytes */

/* Strategy, number, name in the setting and the cache's keys, what is asked of the model. */
#define TARS_EXPAND_STRATEGIES(X)                                                          \
    X(TARS_EXPAND_GENERAL, 0, "general", "other ways to ask the same question")            \
    X(TARS_EXPAND_SYNONYM, 1, "synonym", "the same question with synonyms of its words")   \
    X(TARS_EXPAND_REPHRASE, 2, "rephrase", "the same question, each rephrased as a whole") \
    X(TARS_EXPAND_TECHNICAL, 3, "technical", "the same question in technical and formal terms")

enum tars_expand_strategy {
#define X(name, value, text, words) name = (value),
    TARS_EXPAND_STRATEGIES(X)
#undef X
};

struct tars_expander;

struct tars_expander_config {
    struct tars_llm *llm; /* required; borrowed for the expander's life */
    enum tars_expand_strategy strategy;
    size_t max;            /* variants besides the question; 0: 3; at most TARS_EXPAND_MAX */
    tars_clock_fn *now_ms; /* NULL: the real clock */
    void *now_ctx;
};

/* False when text names no strategy. */
bool tars_expand_strategy_parse(const char *text, enum tars_expand_strategy *strategy);

TARS_MUST_USE tars_status tars_expander_new(const struct tars_expander_config *config,
                                            struct tars_expander **expander);
/* NULL is allowed. */
void tars_expander_free(struct tars_expander *expander);

/* The variants of query into call's arena, best first, the question itself not among them; none
 * when there is no model to write them. TARS_ENOMEM; TARS_ECANCELED and TARS_ETIMEOUT when the call
 * is over. */
TARS_MUST_USE tars_status tars_expand(struct tars_expander *expander, const char *query,
                                      struct tars_call *call, const char *const **variants,
                                      size_t *count);

/* The variants that stand in text, which a model wrote; into arena. For tars_expand and tests. */
TARS_MUST_USE tars_status tars_expand_lines(struct tars_arena *arena, const char *query,
                                            struct tars_span text, size_t max,
                                            const char *const **variants, size_t *count);

#endif
