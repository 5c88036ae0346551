/* rerankers - see rerankers.h. */
#include "app/rerankers.h"

#include <string.h>

#include "app/places.h"
#include "base/sys/file.h"
#include "retrieve/reranker_local.h"
#include "retrieve/reranker_remote.h"

static bool is_off(const struct tars_settings *settings)
{
    return !tars_settings_flag(settings, TARS_SET_USE_ADVANCED_RERANKING);
}

bool tars_rerankers_is_remote(const struct tars_settings *settings)
{
    return !is_off(settings) && tars_settings_text(settings, TARS_SET_RERANK_URL)[0];
}

bool tars_rerankers_was_asked_for(const struct tars_settings *settings)
{
    return tars_rerankers_is_remote(settings) ||
           (!is_off(settings) &&
            tars_settings_origin(settings, TARS_SET_RERANK_MODEL) != TARS_ORIGIN_DEFAULT);
}

static tars_status open_remote(const struct tars_settings *settings, struct tars_client *client,
                               struct tars_reranker **reranker, struct tars_err *err)
{
    const char *api = tars_settings_text(settings, TARS_SET_RERANK_API);
    bool is_named = tars_settings_origin(settings, TARS_SET_RERANK_MODEL) != TARS_ORIGIN_DEFAULT;
    struct tars_reranker_remote_config config = {
        .client = client,
        .url = tars_settings_text(settings, TARS_SET_RERANK_URL),
        .api_key = tars_settings_text(settings, TARS_SET_RERANK_API_KEY),
        .model = is_named ? tars_settings_text(settings, TARS_SET_RERANK_MODEL) : "",
        .api = TARS_REMOTE_RERANK_AUTO,
    };

    if (strcmp(api, "cohere") == 0)
        config.api = TARS_REMOTE_RERANK_COHERE;
    if (strcmp(api, "tei") == 0)
        config.api = TARS_REMOTE_RERANK_TEI;
    return tars_reranker_remote_open(&config, reranker, err);
}

static enum tars_encoder_precision precision_of(const struct tars_settings *settings)
{
    const char *text = tars_settings_text(settings, TARS_SET_EMBED_PRECISION);

    if (strcmp(text, "fp32") == 0)
        return TARS_ENCODER_FP32;
    return strcmp(text, "bf16") == 0 ? TARS_ENCODER_BF16 : TARS_ENCODER_INT8;
}

static tars_status open_local(const struct tars_settings *settings, const char *data,
                              struct tars_arena *arena, struct tars_reranker **reranker,
                              struct tars_err *err)
{
    struct tars_cross_encoder_config config = {.precision = precision_of(settings)};
    tars_status status = tars_places_reranker(settings, data, arena, &config.dir, err);

    if (status != TARS_OK)
        return status;
    /* A folder of its own: beside it lies the digest of the encoder's weights. */
    config.cache_dir = data ? tars_arena_printf(arena, "%s/reranker", data) : NULL;
    if (config.cache_dir && tars_dir_make(config.cache_dir, NULL) != TARS_OK)
        config.cache_dir = NULL;
    return tars_reranker_local_open(&config, reranker, err);
}

tars_status tars_rerankers_open(const struct tars_settings *settings, const char *data,
                                struct tars_client *client, struct tars_arena *arena,
                                struct tars_reranker **reranker, struct tars_err *err)
{
    if (is_off(settings))
        return tars_fail(TARS_ENOTFOUND, err, "USE_ADVANCED_RERANKING is false");
    if (tars_rerankers_is_remote(settings))
        return open_remote(settings, client, reranker, err);
    return open_local(settings, data, arena, reranker, err);
}
