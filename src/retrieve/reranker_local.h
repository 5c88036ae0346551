/* reranker_local - a cross-encoder of this process as a reranker. */
#ifndef TARS_RETRIEVE_RERANKER_LOCAL_H
#define TARS_RETRIEVE_RERANKER_LOCAL_H

#include "model/cross_encoder.h"
#include "retrieve/reranker.h"

/* Statuses as tars_cross_encoder_open(). */
TARS_MUST_USE tars_status tars_reranker_local_open(const struct tars_cross_encoder_config *config,
                                                   struct tars_reranker **reranker,
                                                   struct tars_err *err);

#endif
