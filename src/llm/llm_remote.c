/* llm_remote - see llm_remote.h. */
#include "llm/llm_remote.h"

#include <stddef.h>
#include <stdlib.h>

struct remote_llm {
    struct tars_llm base;
    struct tars_llm_ops ops; /* base points to it: the functions below under the protocol's name */
    const struct tars_llm_protocol *protocol;
    struct tars_remote remote;
};

static struct remote_llm *remote_of(struct tars_llm *llm)
{
    _Static_assert(offsetof(struct remote_llm, base) == 0, "a back end begins with its base");
    return (struct remote_llm *)llm;
}

static tars_status generate(struct tars_llm *llm, const struct tars_llm_request *request,
                            struct tars_call *call, const struct tars_llm_sink *sink,
                            struct tars_llm_result *result, struct tars_err *err)
{
    const char *model = request->model && *request->model ? request->model : llm->model;
    struct remote_llm *me = remote_of(llm);
    struct tars_buf body;
    tars_status status;

    tars_llm_set_model(result->model, model);
    tars_buf_init(&body, TARS_REMOTE_REQUEST_MAX);
    me->protocol->write(&body, model, request);
    status = body.status;
    if (status != TARS_OK) {
        status = tars_fail(status, err, "%s: the prompt is too large", me->remote.who);
    } else {
        status = tars_remote_generate(&me->remote, tars_buf_span(&body), me->protocol->parse, call,
                                      sink, result, err);
    }
    tars_buf_release(&body);
    return status;
}

static tars_status health(struct tars_llm *llm, struct tars_call *call, struct tars_err *err)
{
    return tars_remote_health(&remote_of(llm)->remote, call, err);
}

static enum tars_breaker_state breaker(const struct tars_llm *llm)
{
    return tars_breaker_state(&((const struct remote_llm *)llm)->remote.breaker);
}

static void release(struct tars_llm *llm)
{
    tars_remote_release(&remote_of(llm)->remote);
    free(llm);
}

tars_status tars_llm_remote_open(const struct tars_llm_protocol *protocol,
                                 const struct tars_remote_config *config, const char *model,
                                 struct tars_llm **llm, struct tars_err *err)
{
    struct remote_llm *me;
    tars_status status;

    if (!model || !*model) {
        return tars_fail(TARS_EINVAL, err, "%s: %s must name a model", config->who,
                         protocol->setting);
    }
    me = calloc(1, sizeof(*me));
    if (!me)
        return tars_fail(TARS_ENOMEM, err, "%s: out of memory", config->who);
    status = tars_remote_init(&me->remote, config, err);
    if (status != TARS_OK) {
        free(me);
        return status;
    }
    me->protocol = protocol;
    me->ops = (struct tars_llm_ops){
        .name = protocol->name,
        .provider = protocol->provider,
        .generate = generate,
        .health = health,
        .breaker = breaker,
        .free = release,
    };
    me->base.ops = &me->ops;
    tars_remote_place(config->base_url, me->base.address, sizeof(me->base.address), &me->base.port);
    tars_llm_set_model(me->base.model, model);
    *llm = &me->base;
    return TARS_OK;
}
