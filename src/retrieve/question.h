/* question - the vector of a question: kept from earlier, or made now, once for all who want it.
 *
 * Key (design 9.7): the identity of the model, which includes its weights, and the text.
 */
#ifndef TARS_RETRIEVE_QUESTION_H
#define TARS_RETRIEVE_QUESTION_H

#include <stdbool.h>

#include "base/mem/span.h"
#include "base/status.h"
#include "obs/call.h"

struct tars_cache;
struct tars_encoder;

/* *vector gives (dim,) of the encoder, of unit length, in the call's arena. *was_kept: it was made
 * earlier, or by another. cache may be NULL. */
TARS_MUST_USE tars_status tars_question_vector(struct tars_encoder *encoder,
                                               struct tars_cache *cache, struct tars_span question,
                                               struct tars_call *call, const float **vector,
                                               bool *was_kept, struct tars_err *err);

#endif
