/* traced - what the spans of a search say: numbers, and with content the question and what was
 * found. */
#ifndef TARS_RETRIEVE_TRACED_H
#define TARS_RETRIEVE_TRACED_H

#include "obs/trace.h"
#include "retrieve/retrieve.h"

/* End the span "retrieval" of a call that ended so. */
void tars_retrieve_trace_end(struct tars_trace_span *span,
                             const struct tars_retrieve_request *request, struct tars_call *call,
                             const struct tars_retrieved *result, tars_status status,
                             const struct tars_err *err);

/* End a step of it that has found count of something. */
void tars_retrieve_trace_step(struct tars_trace_span *span, const char *key, size_t count,
                              tars_status status);

#endif
