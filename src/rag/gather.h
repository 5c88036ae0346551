/* gather - retrieval for a question in all its wordings, merged: contract 7.4, steps 1 to 4.
 *
 *     question, the question made whole by what came before, variants of a model
 *         -> each retrieved -> joined by chunk, its best relevance -> ordered by it -> top_k
 *
 * A question in one wording alone keeps the order of the retriever. Wordings besides the first cost
 * nothing but themselves when they fail.
 */
#ifndef TARS_RAG_GATHER_H
#define TARS_RAG_GATHER_H

#include "rag/rag.h"

#define TARS_GATHER_WORDINGS_MAX 12 /* of one question */

struct tars_gathered {
    struct tars_rag_source *sources; /* (count,) best first, in the call's arena */
    size_t count;
    size_t expansions;               /* variants of the model that were asked for */
    double expand_ms;                /* 0: the question was not expanded */
    bool cached;                     /* what was found by every wording was kept from earlier */
    const char *degraded;            /* as in struct tars_rag_fetched, of any search */
    const char *unmet;               /* likewise */
    struct tars_rag_absence absence; /* where count is 0: words of the first wording */
};

/* As tars_rag_fetch_fn, over config's retriever and expander. request->top_k is set. */
TARS_MUST_USE tars_status tars_gather(const struct tars_rag_config *config,
                                      const struct tars_rag_request *request,
                                      struct tars_call *call, struct tars_gathered *out,
                                      struct tars_err *err);

#endif
