/* caches - see caches.h. */
#include "app/caches.h"

#include "cache/cache_memory.h"
#include "cache/fetch.h"

tars_status tars_caches_open(const struct tars_settings *settings, struct tars_metrics *metrics,
                             struct tars_cache **cache, struct tars_err *err)
{
    const int64_t otherwise = tars_settings_int(settings, TARS_SET_REDIS_DEFAULT_TTL);
    const struct tars_cache_memory_config config = {
        .max_bytes = (size_t)tars_settings_int(settings, TARS_SET_CACHE_MEMORY_MB) << 20U,
        .ttl_s =
            {
                [TARS_CACHE_EMBEDDING] = tars_settings_int(settings, TARS_SET_REDIS_EMBEDDING_TTL),
                [TARS_CACHE_RERANK] = tars_settings_int(settings, TARS_SET_REDIS_RERANKER_TTL),
                [TARS_CACHE_RESULT] = otherwise,
                [TARS_CACHE_GENERIC] = otherwise,
            },
    };
    tars_status status;

    if (config.max_bytes == 0)
        return TARS_OK;
    status = tars_cache_memory_open(&config, cache);
    if (status == TARS_OK)
        status = tars_cache_share(*cache);
    if (status != TARS_OK)
        return tars_fail(status, err, "the cache cannot be made");
    tars_cache_count_into(*cache, metrics);
    return TARS_OK;
}

const char *tars_caches_ranking(const struct tars_settings *settings, const char *identity,
                                struct tars_arena *arena)
{
    return tars_arena_printf(arena, "%s|%s|%g|%s", identity ? identity : "words",
                             tars_settings_text(settings, TARS_SET_EMBED_PRECISION),
                             tars_settings_real(settings, TARS_SET_HYBRID_ALPHA),
                             tars_settings_text(settings, TARS_SET_HYBRID_FUSION));
}
