/* openai_wire - the bytes that /v1/chat/completions takes and gives; no input or output here. */
#ifndef TARS_LLM_OPENAI_WIRE_H
#define TARS_LLM_OPENAI_WIRE_H

#include "base/mem/buf.h"
#include "llm/llm.h"
#include "llm/remote.h"

/* Append the request; look at out->status. */
void tars_openai_write(struct tars_buf *out, const char *model,
                       const struct tars_llm_request *request);

/* A tars_remote_parse_fn: one line of the event stream. Comments and other fields than data are
 * passed over. */
TARS_MUST_USE tars_status tars_openai_parse(struct tars_span line, struct tars_remote_line *out,
                                            void **hold);

#endif
