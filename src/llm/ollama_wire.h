/* ollama_wire - the bytes that Ollama's /api/generate takes and gives; no input or output here. */
#ifndef TARS_LLM_OLLAMA_WIRE_H
#define TARS_LLM_OLLAMA_WIRE_H

#include "base/mem/buf.h"
#include "llm/llm.h"
#include "llm/remote.h"

/* Append the request; look at out->status. */
void tars_ollama_write(struct tars_buf *out, const char *model,
                       const struct tars_llm_request *request);

/* A tars_remote_parse_fn: one line of the answer. */
TARS_MUST_USE tars_status tars_ollama_parse(struct tars_span line, struct tars_remote_line *out,
                                            void **hold);

#endif
