/* llm_extract - answers without a model: it writes out the quotations that the request carries and
 * says that it quotes. Always there, never fails, so it is what other back ends fall back to.
 * Free text it refuses.
 */
#ifndef TARS_LLM_LLM_EXTRACT_H
#define TARS_LLM_LLM_EXTRACT_H

#include "llm/llm.h"

#define TARS_LLM_EXTRACT_MODEL "extract" /* the model name of such answers */

TARS_MUST_USE tars_status tars_llm_extract_open(struct tars_llm **llm, struct tars_err *err);

#endif
