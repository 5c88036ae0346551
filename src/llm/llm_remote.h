/* llm_remote - a back end that asks another server: everything but the bytes of its protocol.
 *
 * llm_ollama and llm_openai fill in the two functions and the paths; the rest is here.
 */
#ifndef TARS_LLM_LLM_REMOTE_H
#define TARS_LLM_LLM_REMOTE_H

#include "base/mem/buf.h"
#include "llm/remote.h"

/* Static; outlives every back end that is opened with it. */
struct tars_llm_protocol {
    const char *name;     /* of the back end: "ollama" */
    const char *provider; /* as in struct tars_llm_ops */
    const char *setting;  /* that names the model, for messages: "OLLAMA_MODEL" */
    /* Append the request's body, in which model is to be used. */
    void (*write)(struct tars_buf *body, const char *model, const struct tars_llm_request *request);
    tars_remote_parse_fn *parse;
};

/* TARS_EINVAL without a model or a usable base_url; TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_llm_remote_open(const struct tars_llm_protocol *protocol,
                                               const struct tars_remote_config *config,
                                               const char *model, struct tars_llm **llm,
                                               struct tars_err *err);

#endif
