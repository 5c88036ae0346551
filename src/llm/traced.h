/* traced - the span of a generation, as the semantic conventions for generative AI have it.
 *
 *     chat mistral:7b-instruct    gen_ai.operation.name, gen_ai.provider.name, gen_ai.request.*,
 *                                 gen_ai.response.*, gen_ai.usage.*, server.address, server.port
 *
 * A back end that is not a model itself (one that chooses, one that quotes) has a span "write".
 * What was said, to the model and by it, is in it where the tracer wants content.
 *
 * Threads   One at a time.
 */
#ifndef TARS_LLM_TRACED_H
#define TARS_LLM_TRACED_H

#include "base/mem/buf.h"
#include "llm/llm.h"
#include "obs/trace.h"

/* A generation that may be traced; on the caller's stack, between begin and end. */
struct tars_llm_traced {
    struct tars_trace_span span;
    struct tars_llm_sink sink; /* what the back end is to write to */
    const struct tars_llm_sink *to;
    const struct tars_llm_request *request;
    struct tars_arena *arena; /* of the call */
    int64_t first_ns;         /* when the first text came, monotonic; 0: none has */
    struct tars_buf said;     /* what the model said, where content is wanted; owned */
};

void tars_llm_trace_begin(struct tars_llm_traced *traced, const struct tars_llm *llm,
                          const struct tars_llm_request *request, struct tars_call *call,
                          const struct tars_llm_sink *sink);
void tars_llm_trace_end(struct tars_llm_traced *traced, const struct tars_llm_result *result,
                        tars_status status, const struct tars_err *err);

#endif
