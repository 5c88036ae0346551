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

#include <stddef.h>
#include <stdlib.h>

#include "llm/ollama_wire.h"
#include "llm/remote.h"

struct ollama {
    struct tars_llm base;
    struct tars_remote remote;
};

static struct ollama *ollama_of(struct tars_llm *llm)
{
    _Static_assert(offsetof(struct ollama, base) == 0, "a back end begins with its base");
    return (struct ollama *)llm;
}

static tars_status generate(struct tars_llm *llm, const struct tars_llm_request *request,
                            struct tars_call *call, const struct tars_llm_sink *sink,
                            struct tars_llm_result *result, struct tars_err *err)
{
    const char *model = request->model && *request->model ? request->model : llm->model;
    struct tars_buf body;
    tars_status status;

    tars_llm_set_model(result->model, model);
    tars_buf_init(&body, TARS_REMOTE_REQUEST_MAX);
    tars_ollama_write(&body, model, request);
    status = body.status;
    if (status != TARS_OK) {
        status = tars_fail(status, err, "Ollama: the prompt is too large");
    } else {
        status = tars_remote_generate(&ollama_of(llm)->remote, tars_buf_span(&body),
                                      tars_ollama_parse, call, sink, result, err);
    }
    tars_buf_release(&body);
    return status;
}

static tars_status health(struct tars_llm *llm, struct tars_call *call, struct tars_err *err)
{
    return tars_remote_health(&ollama_of(llm)->remote, call, err);
}

static void release(struct tars_llm *llm)
{
    tars_remote_release(&ollama_of(llm)->remote);
    free(llm);
}

static const struct tars_llm_ops ops = {
    .name = "ollama",
    .generate = generate,
    .health = health,
    .free = release,
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
    struct ollama *me;
    tars_status status;

    if (!config->model || !*config->model)
        return tars_fail(TARS_EINVAL, err, "Ollama: OLLAMA_MODEL must name a model");
    me = calloc(1, sizeof(*me));
    if (!me)
        return tars_fail(TARS_ENOMEM, err, "Ollama: out of memory");
    status = tars_remote_init(&me->remote, &remote, err);
    if (status != TARS_OK) {
        free(me);
        return status;
    }
    me->base.ops = &ops;
    tars_llm_set_model(me->base.model, config->model);
    *llm = &me->base;
    return TARS_OK;
}
