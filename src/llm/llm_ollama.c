/* llm_ollama - see llm_ollama.h.
 *
 *     > {"model":"m","prompt":"...","stream":true,"system":"...","options":{"temperature":0.7,...}}
 *     < {"response":"Staff","done":false}
 *     < {"response":"","done":true,"eval_count":41,"prompt_eval_count":300}
 *     < {"error":"model 'm' not found"}
 *
 * /api/generate has no turns: earlier ones are written in front of the prompt.
 */
#include "llm/llm_ollama.h"

#include "llm/llm_remote.h"
#include "llm/ollama_wire.h"

static const struct tars_llm_protocol protocol = {
    .name = "ollama",
    .provider = "ollama",
    .setting = "OLLAMA_MODEL",
    .write = tars_ollama_write,
    .parse = tars_ollama_parse,
};

tars_status tars_llm_ollama_open(const struct tars_llm_ollama_config *config, struct tars_llm **llm,
                                 struct tars_err *err)
{
    const struct tars_remote_config remote = {
        .client = config->client,
        .who = "Ollama",
        .base_url = config->base_url,
        .generate_path = "/api/generate",
        .health_path = "/api/tags",
        .timeout_ms = config->timeout_ms,
        .retry_wait_ms = config->retry_wait_ms,
        .attempts = config->attempts,
    };

    return tars_llm_remote_open(&protocol, &remote, config->model, llm, err);
}
