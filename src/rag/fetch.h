/* fetch - the retriever as rag sees it: a tars_rag_fetch_fn over retrieve. */
#ifndef TARS_RAG_FETCH_H
#define TARS_RAG_FETCH_H

#include "rag/rag.h"

/* ctx is a struct tars_retriever *. */
TARS_MUST_USE tars_status tars_rag_fetch(void *ctx, const struct tars_rag_request *request,
                                         struct tars_call *call, struct tars_rag_fetched *found,
                                         struct tars_err *err);

#endif
