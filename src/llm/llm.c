/* llm - see llm.h. Here is only what is the same for every back end. */
#include "llm/llm.h"

#include <stdio.h>
#include <string.h>

#include "base/sys/clock.h"
#include "llm/traced.h"

tars_status tars_llm_generate(struct tars_llm *llm, const struct tars_llm_request *request,
                              struct tars_call *call, const struct tars_llm_sink *sink,
                              struct tars_llm_result *result, struct tars_err *err)
{
    int64_t start_ns = tars_clock_mono_ns();
    struct tars_llm_ended ended = {.llm = llm, .result = result};
    struct tars_llm_traced traced;

    *result = (struct tars_llm_result){.started = false};
    memcpy(result->model, llm->model, sizeof(result->model));
    if (!request->prompt || request->max_tokens < 0 || request->top_k < 0 ||
        request->top_p < 0.0F || request->top_p > 1.0F) {
        return tars_fail(TARS_EINVAL, err,
                         "generation: a prompt is needed, max_tokens and top_k from 0, "
                         "top_p from 0 to 1");
    }
    tars_llm_trace_begin(&traced, llm, request, call, sink);
    ended.status = llm->ops->generate(llm, request, call, &traced.sink, result, err);
    tars_llm_trace_end(&traced, result, ended.status, err);
    ended.ms = (double)(tars_clock_mono_ns() - start_ns) / 1e6;
    if (llm->observe)
        llm->observe(llm->observe_ctx, &ended);
    return ended.status;
}

tars_status tars_llm_health(struct tars_llm *llm, struct tars_call *call, struct tars_err *err)
{
    return llm->ops->health(llm, call, err);
}

enum tars_breaker_state tars_llm_breaker(const struct tars_llm *llm)
{
    return llm && llm->ops->breaker ? llm->ops->breaker(llm) : TARS_BREAKER_CLOSED;
}

size_t tars_llm_count_tokens(struct tars_llm *llm, const char *text, size_t len)
{
    size_t count = llm->ops->count_tokens ? llm->ops->count_tokens(llm, text, len) : 0;

    return count ? count : (len + 3) / 4;
}

bool tars_llm_is_small(const struct tars_llm *llm)
{
    return llm->parameters && llm->parameters < TARS_LLM_SMALL_PARAMETERS;
}

void tars_llm_free(struct tars_llm *llm)
{
    if (llm)
        llm->ops->free(llm);
}

void tars_llm_set_model(char *to, const char *name)
{
    size_t len = strlen(name);

    if (len >= TARS_LLM_NAME_BYTES)
        len = TARS_LLM_NAME_BYTES - 1;
    while (len && ((unsigned char)name[len] & 0xC0U) == 0x80U && name[len] != '\0')
        len--;
    memset(to, 0, TARS_LLM_NAME_BYTES);
    (void)snprintf(to, len + 1, "%s", name);
}
