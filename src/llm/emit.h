/* emit - the way from a back end's bytes to the reader's text; every back end writes through it.
 *
 * Model     push() takes bytes cut anywhere and gives the sink whole UTF-8 characters, at once:
 *           at most the 3 bytes of an unfinished character wait. Bytes that are not UTF-8 become
 *           U+FFFD, one for each. finish() gives what still waits, as U+FFFD.
 * Bounds    TARS_LLM_OUTPUT_MAX bytes of text in all.
 * Threads   Not safe to share.
 */
#ifndef TARS_LLM_EMIT_H
#define TARS_LLM_EMIT_H

#include "base/status.h"
#include "llm/llm.h"

struct tars_emit {
    const struct tars_llm_sink *sink; /* borrowed for the generation */
    struct tars_call *call;           /* asked before each piece; may be NULL */
    struct tars_llm_result *result;   /* started and tokens are kept here */
    size_t bytes;                     /* given to the sink so far */
    unsigned char held[4];            /* an unfinished character */
    size_t held_len;
};

void tars_emit_init(struct tars_emit *emit, const struct tars_llm_sink *sink,
                    struct tars_call *call, struct tars_llm_result *result);

/* One piece of the generator; counts as one token when len > 0.
 *
 *   TARS_ECANCELED  the call was cancelled, or the sink said stop
 *   TARS_ETIMEOUT   the call's deadline
 *   TARS_ETOOBIG    past TARS_LLM_OUTPUT_MAX
 */
TARS_MUST_USE tars_status tars_emit_push(struct tars_emit *emit, const char *ptr, size_t len);
TARS_MUST_USE tars_status tars_emit_finish(struct tars_emit *emit);

/* ECANCELED or ETIMEOUT when the call is over, else OK. call may be NULL. */
TARS_MUST_USE tars_status tars_emit_call_status(struct tars_call *call);

#endif
