/* reranker_local - see reranker_local.h. */
#include "retrieve/reranker_local.h"

#include <math.h>
#include <stdlib.h>

#include "obs/call.h"

struct local {
    struct tars_reranker base;
    struct tars_cross_encoder *encoder; /* owned */
};

static tars_status score(struct tars_reranker *self, const struct tars_reranker_wish *wish,
                         float *scores, size_t *scored, struct tars_err *err)
{
    struct local *local = (struct local *)(void *)self;
    const struct tars_cross_encoder_wish asked = {.question = wish->question,
                                                  .passages = wish->passages,
                                                  .n = wish->n,
                                                  .until_ns = wish->until_ns,
                                                  .cancelled = &wish->call->cancelled};
    tars_status status = tars_cross_encoder_score(local->encoder, &asked, scores, scored, err);

    /* Those that give logits give them to whoever wants a sigmoid of them. */
    for (size_t i = 0; status == TARS_OK && i < *scored; i++) {
        if (!tars_cross_encoder_info(local->encoder)->is_sigmoid)
            scores[i] = 1 / (1 + expf(-scores[i]));
    }
    return status;
}

static tars_status health(struct tars_reranker *self, struct tars_err *err)
{
    (void)self;
    (void)err;
    return TARS_OK;
}

static void close_local(struct tars_reranker *self)
{
    struct local *local = (struct local *)(void *)self;

    tars_cross_encoder_close(local->encoder);
    free(local);
}

tars_status tars_reranker_local_open(const struct tars_cross_encoder_config *config,
                                     struct tars_reranker **reranker, struct tars_err *err)
{
    static const struct tars_reranker_ops ops = {score, health, close_local};
    struct local *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return TARS_ENOMEM;
    status = tars_cross_encoder_open(config, &made->encoder, err);
    if (status != TARS_OK) {
        free(made);
        return status;
    }
    made->base.ops = &ops;
    made->base.kind = "cross-encoder";
    made->base.model = tars_cross_encoder_info(made->encoder)->name;
    made->base.identity = tars_cross_encoder_info(made->encoder)->identity;
    *reranker = &made->base;
    return TARS_OK;
}
