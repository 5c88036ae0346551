/* question - see question.h. */
#include "retrieve/question.h"

#include <math.h>
#include <string.h>

#include "cache/fetch.h"
#include "model/encoder.h"
#include "obs/trace.h"
#include "retrieve/retrieve_internal.h"

#define UNIT_SLACK 0.01 /* a vector's length is 1, give or take */

struct making {
    struct tars_encoder *encoder;
    struct tars_span question;
    struct tars_call *call;
};

/* Empty: no memory. */
static struct tars_span vector_key(const struct making *making)
{
    const char *identity = tars_encoder_info(making->encoder)->identity;
    size_t len = strlen(identity) + 1;
    char *key = tars_arena_alloc(making->call->arena, len + making->question.len);

    if (!key)
        return tars_span(NULL, 0);
    memcpy(key, identity, len - 1);
    key[len - 1] = '\n';
    memcpy(key + len, making->question.ptr, making->question.len);
    return tars_span(key, len + making->question.len);
}

/* A shared cache may hold anything: only a vector of unit length is one. */
static bool is_vector(void *ctx, struct tars_span bytes)
{
    const struct making *making = ctx;
    size_t dim = tars_encoder_info(making->encoder)->dim;
    double sum = 0;

    if (bytes.len != dim * sizeof(float))
        return false;
    for (size_t i = 0; i < dim; i++) {
        float x;

        memcpy(&x, bytes.ptr + i * sizeof(x), sizeof(x));
        sum += (double)x * (double)x;
    }
    return fabs(sum - 1) < UNIT_SLACK;
}

static tars_status run_encoder(const struct making *making, float *vector, struct tars_err *err)
{
    const struct tars_encoder_info *info = tars_encoder_info(making->encoder);
    struct tars_trace_span span;
    tars_status status;

    tars_trace_begin(&making->call->trace, &span, "embeddings", TARS_SPAN_INTERNAL);
    tars_trace_subject(&span, info->name);
    tars_trace_text(&span, "gen_ai.operation.name", "embeddings");
    tars_trace_text(&span, "gen_ai.provider.name", "tars");
    tars_trace_text(&span, "gen_ai.request.model", info->name);
    tars_trace_int(&span, "gen_ai.embeddings.dimension.count", (int64_t)info->dim);
    status =
        tars_encoder_embed(making->encoder, TARS_EMBED_QUERY, &making->question, 1, vector, err);
    tars_trace_status(&span, status, err);
    tars_trace_end(&span);
    return status;
}

static tars_status make_vector(void *ctx, struct tars_arena *arena, struct tars_cache_made *made,
                               struct tars_err *err)
{
    const struct making *making = ctx;
    size_t dim = tars_encoder_info(making->encoder)->dim;
    float *vector = tars_arena_calloc(arena, dim, sizeof(*vector));

    if (!vector)
        return TARS_ENOMEM;
    made->value = tars_span((const char *)vector, dim * sizeof(*vector));
    return run_encoder(making, vector, err);
}

tars_status tars_question_vector(struct tars_encoder *encoder, struct tars_cache *cache,
                                 struct tars_span question, struct tars_call *call,
                                 const float **vector, bool *was_kept, struct tars_err *err)
{
    struct making making = {.encoder = encoder, .question = question, .call = call};
    const struct tars_cache_wish wish = {.kind = TARS_CACHE_EMBEDDING,
                                         .key = vector_key(&making),
                                         .wait_ms = tars_retrieve_patience_ms(call),
                                         .compute = make_vector,
                                         .is_good = is_vector,
                                         .ctx = &making};
    enum tars_cache_source source;
    struct tars_span bytes;
    tars_status status = tars_cache_fetch(cache, &wish, call->arena, &bytes, &source, err);

    if (status != TARS_OK)
        return status;
    *vector = (const float *)(const void *)bytes.ptr; /* of the arena, so it is aligned */
    *was_kept = source != TARS_CACHE_COMPUTED;
    return TARS_OK;
}
