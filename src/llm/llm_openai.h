/* llm_openai - writes through any server with POST /v1/chat/completions and streaming (SSE).
 */
#ifndef TARS_LLM_LLM_OPENAI_H
#define TARS_LLM_LLM_OPENAI_H

#include "llm/llm.h"
#include "net/client.h"

struct tars_llm_openai_config {
    struct tars_client *client; /* borrowed for the back end's life; required */
    const char *base_url;  /* OPENAI_BASE_URL, with or without the final "/v1"; required, copied */
    const char *api_key;   /* OPENAI_API_KEY; NULL or "": no Authorization header; copied */
    const char *model;     /* OPENAI_MODEL; required, copied */
    int64_t timeout_ms;    /* of a whole generation; 0: 120,000 */
    int attempts;          /* 0: 3 */
    int64_t retry_wait_ms; /* before the second attempt, doubled after; 0: 2,000 */
};

TARS_MUST_USE tars_status tars_llm_openai_open(const struct tars_llm_openai_config *config,
                                               struct tars_llm **llm, struct tars_err *err);

#endif
