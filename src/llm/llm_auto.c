/* llm_auto - see llm_auto.h. */
#include "llm/llm_auto.h"

#include <pthread.h>
#include <stdlib.h>

#include "llm/emit.h"

struct candidate {
    struct tars_llm *llm; /* owned */
    int64_t checked_ms;   /* when its health was last known */
    bool known;           /* checked_ms and well mean something */
    bool well;
};

struct auto_llm {
    struct tars_llm base;
    pthread_mutex_t lock; /* guards the candidates' health; never held while one is asked */
    struct candidate candidates[TARS_LLM_AUTO_MAX];
    size_t count;
    tars_clock_fn *now_ms;
    void *now_ctx;
};

static struct auto_llm *auto_of(struct tars_llm *llm)
{
    _Static_assert(offsetof(struct auto_llm, base) == 0, "a back end begins with its base");
    return (struct auto_llm *)llm;
}

static void note(struct auto_llm *me, struct candidate *candidate, bool well)
{
    int64_t now = me->now_ms(me->now_ctx);

    pthread_mutex_lock(&me->lock);
    candidate->known = true;
    candidate->well = well;
    candidate->checked_ms = now;
    pthread_mutex_unlock(&me->lock);
}

/* Two threads may ask at once; both get an answer, and the later one is kept. */
static bool is_well(struct auto_llm *me, struct candidate *candidate, struct tars_call *call)
{
    int64_t now = me->now_ms(me->now_ctx);
    bool fresh;
    bool well;

    pthread_mutex_lock(&me->lock);
    fresh = candidate->known && now - candidate->checked_ms < TARS_LLM_AUTO_RECHECK_MS;
    well = candidate->well;
    pthread_mutex_unlock(&me->lock);
    if (fresh)
        return well;
    well = tars_llm_health(candidate->llm, call, NULL) == TARS_OK;
    note(me, candidate, well);
    return well;
}

static tars_status generate(struct tars_llm *llm, const struct tars_llm_request *request,
                            struct tars_call *call, const struct tars_llm_sink *sink,
                            struct tars_llm_result *result, struct tars_err *err)
{
    struct auto_llm *me = auto_of(llm);
    tars_status status = tars_fail(TARS_EUNAVAILABLE, err, "no language model is reachable");

    for (size_t i = 0; i < me->count; i++) {
        if (!is_well(me, &me->candidates[i], call))
            continue;
        status = tars_llm_generate(me->candidates[i].llm, request, call, sink, result, err);
        if (status == TARS_OK || result->started || tars_emit_call_status(call) != TARS_OK)
            break;
        if (status != TARS_ETOOBIG && status != TARS_EINVAL && status != TARS_EUNSUPPORTED)
            note(me, &me->candidates[i], false);
    }
    return status;
}

static tars_status health(struct tars_llm *llm, struct tars_call *call, struct tars_err *err)
{
    struct auto_llm *me = auto_of(llm);

    for (size_t i = 0; i < me->count; i++) {
        if (is_well(me, &me->candidates[i], call))
            return TARS_OK;
    }
    return tars_fail(TARS_EUNAVAILABLE, err, "no language model is reachable");
}

/* Of the first one that has a server. */
static enum tars_breaker_state breaker(const struct tars_llm *llm)
{
    const struct auto_llm *me = (const struct auto_llm *)llm;

    for (size_t i = 0; i < me->count; i++) {
        if (me->candidates[i].llm->ops->breaker)
            return tars_llm_breaker(me->candidates[i].llm);
    }
    return TARS_BREAKER_CLOSED;
}

static size_t count_tokens(struct tars_llm *llm, const char *text, size_t len)
{
    return tars_llm_count_tokens(auto_of(llm)->candidates[0].llm, text, len);
}

static void release(struct tars_llm *llm)
{
    struct auto_llm *me = auto_of(llm);

    for (size_t i = 0; i < me->count; i++)
        tars_llm_free(me->candidates[i].llm);
    pthread_mutex_destroy(&me->lock);
    free(me);
}

static const struct tars_llm_ops ops = {
    .name = "auto",
    .needs_quotes = true,
    .generate = generate,
    .health = health,
    .breaker = breaker,
    .count_tokens = count_tokens,
    .free = release,
};

tars_status tars_llm_auto_open(const struct tars_llm_auto_config *config, struct tars_llm **llm,
                               struct tars_err *err)
{
    struct auto_llm *me;

    if (config->count == 0 || config->count > TARS_LLM_AUTO_MAX || !config->now_ms) {
        return tars_fail(TARS_EINVAL, err, "auto: 1 to %d back ends and a clock are needed",
                         TARS_LLM_AUTO_MAX);
    }
    me = calloc(1, sizeof(*me));
    if (!me || pthread_mutex_init(&me->lock, NULL) != 0) {
        free(me);
        return tars_fail(TARS_ENOMEM, err, "auto: out of memory");
    }
    me->base.ops = &ops;
    me->now_ms = config->now_ms;
    me->now_ctx = config->now_ctx;
    me->count = config->count;
    for (size_t i = 0; i < config->count; i++)
        me->candidates[i].llm = config->candidates[i];
    tars_llm_set_model(me->base.model, config->candidates[0]->model);
    me->base.context_tokens = config->candidates[0]->context_tokens;
    me->base.parameters = config->candidates[0]->parameters;
    *llm = &me->base;
    return TARS_OK;
}
