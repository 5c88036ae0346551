/* llm_openai - see llm_openai.h; the bytes are openai_wire's. */
#include "llm/llm_openai.h"

#include "llm/llm_remote.h"
#include "llm/openai_wire.h"

static const struct tars_llm_protocol protocol = {
    .name = "openai",
    .provider = "openai",
    .setting = "OPENAI_MODEL",
    .write = tars_openai_write,
    .parse = tars_openai_parse,
};

tars_status tars_llm_openai_open(const struct tars_llm_openai_config *config, struct tars_llm **llm,
                                 struct tars_err *err)
{
    const struct tars_remote_config remote = {
        .client = config->client,
        .who = "the language model server",
        .base_url = config->base_url,
        .strip = "/v1",
        .generate_path = "/v1/chat/completions",
        .health_path = "/v1/models",
        .api_key = config->api_key,
        .timeout_ms = config->timeout_ms,
        .retry_wait_ms = config->retry_wait_ms,
        .attempts = config->attempts,
    };

    return tars_llm_remote_open(&protocol, &remote, config->model, llm, err);
}
