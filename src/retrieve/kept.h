/* kept - what was found for a question, as bytes that a cache keeps: which passages, and their
 * scores. Their text is not kept; it is read from the store again.
 *
 *     head: magic 4 | count 4 | method 4 | 0 4      then count times
 *     id 8 | relevance 8 | fused 8 | vector 8 | words 8 | coverage 8 | rerank 8
 *
 * in the byte order of this machine; magic tells another order. Foreign bytes: a shared cache may
 * hold anything, so all is checked.
 */
#ifndef TARS_RETRIEVE_KEPT_H
#define TARS_RETRIEVE_KEPT_H

#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "retrieve/retrieve.h"

#define TARS_KEPT_KEY_MAX ((size_t)1 << 20)

/* What the order and the scores depend on besides the documents and the request. */
struct tars_kept_state {
    const char *epoch;   /* store/epoch.h, of seq */
    uint64_t seq;        /* of the index */
    const char *ranking; /* settings and model, as text */
};

/* Append the key: all that the result depends on, rights included. call->visible is not NULL. */
void tars_kept_key(struct tars_buf *out, const struct tars_kept_state *state,
                   const struct tars_retrieve_request *request, const struct tars_call *call);

/* TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_kept_encode(const struct tars_retrieved *result,
                                           struct tars_arena *arena, struct tars_span *bytes);
/* Can these be decoded, and are there at most top_k? */
bool tars_kept_is_good(struct tars_span bytes, size_t top_k);
/* Of good bytes: everything but found[].passage. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_kept_decode(struct tars_span bytes, struct tars_arena *arena,
                                           struct tars_retrieved *result);

#endif
