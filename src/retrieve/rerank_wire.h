/* rerank_wire - the bytes that remote rerankers take and give; no input or output here.
 *
 *     Cohere, Jina, and who speaks as they do      POST {"model","query","documents":[...],"top_n"}
 *                                                  -> {"results":[{"index","relevance_score"},
 * ...]} text-embeddings-inference                    POST {"query","texts":[...],"truncate":true}
 *                                                  -> [{"index","score"}, ...]
 *
 * Replies are foreign bytes: every passage must be there once, with a number; fuzzed. Scores
 * outside 0..1 are logits, and the sigmoid of all is taken.
 */
#ifndef TARS_RETRIEVE_RERANK_WIRE_H
#define TARS_RETRIEVE_RERANK_WIRE_H

#include <stddef.h>

#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_RERANK_PASSAGES_MAX 1000

enum tars_rerank_api {
    TARS_RERANK_COHERE,
    TARS_RERANK_TEI,
};

/* "cohere" or "tei". */
const char *tars_rerank_api_text(enum tars_rerank_api api);

/* Append the request; look at out->status. model: empty for none. */
void tars_rerank_write(struct tars_buf *out, enum tars_rerank_api api, const char *model,
                       struct tars_span question, const struct tars_span *passages, size_t n);

/* scores: (n,) in the order of the request, each 0..1; n is 1..TARS_RERANK_PASSAGES_MAX (asserted).
 * Both kinds of reply are understood, whichever was asked for. TARS_EFORMAT: it is not one, and
 * scores may be partly written; TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_rerank_read(struct tars_span body, size_t n, float *scores,
                                           struct tars_err *err);

#endif
