/* llm_openai - see llm_openai.h; the bytes are openai_wire's. */
#include "llm/llm_openai.h"

#include <stddef.h>
#include <stdlib.h>

#include "llm/openai_wire.h"
#include "llm/remote.h"

struct openai {
    struct tars_llm base;
    struct tars_remote remote;
};

static struct openai *openai_of(struct tars_llm *llm)
{
    _Static_assert(offsetof(struct openai, base) == 0, "a back end begins with its base");
    return (struct openai *)llm;
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
    tars_openai_write(&body, model, request);
    status = body.status;
    if (status != TARS_OK) {
        status = tars_fail(status, err, "the language model server: the prompt is too large");
    } else {
        status = tars_remote_generate(&openai_of(llm)->remote, tars_buf_span(&body),
                                      tars_openai_parse, call, sink, result, err);
    }
    tars_buf_release(&body);
    return status;
}

static tars_status health(struct tars_llm *llm, struct tars_call *call, struct tars_err *err)
{
    return tars_remote_health(&openai_of(llm)->remote, call, err);
}

static void release(struct tars_llm *llm)
{
    tars_remote_release(&openai_of(llm)->remote);
    free(llm);
}

static const struct tars_llm_ops ops = {
    .name = "openai",
    .generate = generate,
    .health = health,
    .free = release,
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
    struct openai *me;
    tars_status status;

    if (!config->model || !*config->model) {
        return tars_fail(TARS_EINVAL, err,
                         "the language model server: OPENAI_MODEL must name a model");
    }
    me = calloc(1, sizeof(*me));
    if (!me)
        return tars_fail(TARS_ENOMEM, err, "the language model server: out of memory");
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
