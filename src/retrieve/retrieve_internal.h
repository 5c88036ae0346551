/* retrieve_internal - what the two files of retrieve share. Not for others. */
#ifndef TARS_RETRIEVE_RETRIEVE_INTERNAL_H
#define TARS_RETRIEVE_RETRIEVE_INTERNAL_H

#include "retrieve/retrieve.h"

#define TARS_RETRIEVE_TOP_DEFAULT 10

/* Search, whatever is kept. The request has been checked. */
TARS_MUST_USE tars_status tars_retrieve_anew(struct tars_retriever *retriever,
                                             const struct tars_retrieve_request *request,
                                             struct tars_call *call, struct tars_retrieved *result,
                                             struct tars_err *err);
/* What is kept, or else search. config: of the retriever, with every default filled in. */
TARS_MUST_USE tars_status tars_retrieve_kept(struct tars_retriever *retriever,
                                             const struct tars_retriever_config *config,
                                             const struct tars_retrieve_request *request,
                                             struct tars_call *call, struct tars_retrieved *result,
                                             struct tars_err *err);
/* Milliseconds that a call may wait for another's work. */
int64_t tars_retrieve_patience_ms(const struct tars_call *call);

#endif
