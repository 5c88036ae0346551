/* llm_ollama - writes through an Ollama server (wire contract 7.8).
 *
 * POST /api/generate with stream true; one JSON object a line comes back. A request that fails
 * before its first token is tried again after 2 and 4 seconds as far as the deadline allows; one
 * that fails later is not, because its tokens have been read.
 */
#ifndef TARS_LLM_LLM_OLLAMA_H
#define TARS_LLM_LLM_OLLAMA_H

#include "llm/llm.h"
#include "net/client.h"

struct tars_llm_ollama_config {
    struct tars_client *client; /* borrowed for the back end's life; required */
    const char *base_url;       /* OLLAMA_HOST, "http://127.0.0.1:11434"; required, copied */
    const char *model;          /* OLLAMA_MODEL; required, copied */
    int64_t timeout_ms;         /* of a whole generation; 0: 120,000 */
    int attempts;               /* 0: 3 */
    int64_t retry_wait_ms;      /* before the second attempt, doubled after; 0: 2,000 */
};

TARS_MUST_USE tars_status tars_llm_ollama_open(const struct tars_llm_ollama_config *config,
                                               struct tars_llm **llm, struct tars_err *err);

#endif
