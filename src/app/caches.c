/* caches - see caches.h. */
#include "app/caches.h"

#include "base/version.h"
#include "cache/cache_levels.h"
#include "cache/cache_memory.h"
#include "cache/cache_redis.h"
#include "cache/fetch.h"

static bool is_set(const struct tars_settings *settings, enum tars_setting id)
{
    return tars_settings_origin(settings, id) != TARS_ORIGIN_DEFAULT;
}

bool tars_caches_wants_redis(const struct tars_settings *settings)
{
    if (!tars_settings_flag(settings, TARS_SET_REDIS_ENABLED))
        return false;
    return is_set(settings, TARS_SET_REDIS_ENABLED) || is_set(settings, TARS_SET_REDIS_HOST) ||
           is_set(settings, TARS_SET_REDIS_SENTINELS) || is_set(settings, TARS_SET_REDIS_CLUSTER);
}

/* Seconds that each kind is kept, on every level. */
static void fill_ttl(const struct tars_settings *settings, int64_t *ttl_s)
{
    ttl_s[TARS_CACHE_EMBEDDING] = tars_settings_int(settings, TARS_SET_REDIS_EMBEDDING_TTL);
    ttl_s[TARS_CACHE_RERANK] = tars_settings_int(settings, TARS_SET_REDIS_RERANKER_TTL);
    ttl_s[TARS_CACHE_RESULT] = tars_settings_int(settings, TARS_SET_REDIS_DEFAULT_TTL);
    ttl_s[TARS_CACHE_GENERIC] = ttl_s[TARS_CACHE_RESULT];
}

tars_status tars_caches_open_redis(const struct tars_settings *settings, struct tars_log *log,
                                   struct tars_cache **cache, struct tars_err *err)
{
    const struct tars_settings *s = settings;
    struct tars_cache_redis_config config = {
        .host = tars_settings_text(s, TARS_SET_REDIS_HOST),
        .port = (int)tars_settings_int(s, TARS_SET_REDIS_PORT),
        .db = (int)tars_settings_int(s, TARS_SET_REDIS_DB),
        .username = tars_settings_text(s, TARS_SET_REDIS_USERNAME),
        .password = tars_settings_text(s, TARS_SET_REDIS_PASSWORD),
        .sentinels = tars_settings_text(s, TARS_SET_REDIS_SENTINELS),
        .master = tars_settings_text(s, TARS_SET_REDIS_SENTINEL_MASTER),
        .sentinel_password = tars_settings_text(s, TARS_SET_REDIS_SENTINEL_PASSWORD),
        .cluster = tars_settings_text(s, TARS_SET_REDIS_CLUSTER),
        .tls = tars_settings_flag(s, TARS_SET_REDIS_TLS),
        .tls_ca = tars_settings_text(s, TARS_SET_REDIS_TLS_CA),
        .tls_cert = tars_settings_text(s, TARS_SET_REDIS_TLS_CERT),
        .tls_key = tars_settings_text(s, TARS_SET_REDIS_TLS_KEY),
        .max_connections = (size_t)tars_settings_int(s, TARS_SET_REDIS_MAX_CONNECTIONS),
        .timeout_ms = tars_settings_int(s, TARS_SET_REDIS_TIMEOUT_MS),
        .connect_timeout_ms = tars_settings_int(s, TARS_SET_REDIS_CONNECT_TIMEOUT_MS),
        .log = log,
    };

    fill_ttl(settings, config.ttl_s);
    return tars_cache_redis_open(&config, cache, err);
}

const char *tars_caches_redis_place(const struct tars_settings *settings, struct tars_arena *arena)
{
    const char *cluster = tars_settings_text(settings, TARS_SET_REDIS_CLUSTER);
    const char *sentinels = tars_settings_text(settings, TARS_SET_REDIS_SENTINELS);

    if (cluster[0])
        return tars_arena_printf(arena, "cluster %s", cluster);
    if (sentinels[0]) {
        return tars_arena_printf(arena, "%s of sentinels %s",
                                 tars_settings_text(settings, TARS_SET_REDIS_SENTINEL_MASTER),
                                 sentinels);
    }
    return tars_arena_printf(arena, "%s:%lld", tars_settings_text(settings, TARS_SET_REDIS_HOST),
                             (long long)tars_settings_int(settings, TARS_SET_REDIS_PORT));
}

static tars_status open_memory(const struct tars_settings *settings, struct tars_cache **cache,
                               struct tars_err *err)
{
    struct tars_cache_memory_config config = {
        .max_bytes = (size_t)tars_settings_int(settings, TARS_SET_CACHE_MEMORY_MB) << 20U};
    tars_status status;

    if (config.max_bytes == 0)
        return TARS_OK;
    fill_ttl(settings, config.ttl_s);
    status = tars_cache_memory_open(&config, cache);
    return status == TARS_OK ? status : tars_fail(status, err, "the cache cannot be made");
}

/* Takes both; either may be NULL. */
static tars_status join(struct tars_cache *near, struct tars_cache *far, struct tars_cache **cache)
{
    if (near && far)
        return tars_cache_levels_open(near, far, cache);
    *cache = near ? near : far;
    return TARS_OK;
}

tars_status tars_caches_open(const struct tars_settings *settings, struct tars_metrics *metrics,
                             struct tars_log *log, struct tars_cache **cache, struct tars_err *err)
{
    struct tars_cache *near = NULL;
    struct tars_cache *far = NULL;
    struct tars_cache *made = NULL;
    tars_status status = open_memory(settings, &near, err);

    if (status == TARS_OK && tars_caches_wants_redis(settings))
        status = tars_caches_open_redis(settings, log, &far, err);
    if (status == TARS_OK)
        status = join(near, far, &made);
    if (!made) {
        tars_cache_free(near);
        tars_cache_free(far);
        return status;
    }
    status = tars_cache_share(made);
    if (status != TARS_OK) {
        tars_cache_free(made);
        return tars_fail(status, err, "the cache cannot be made");
    }
    tars_cache_count_into(made, metrics);
    *cache = made;
    return TARS_OK;
}

const char *tars_caches_ranking(const struct tars_settings *settings, const char *identity,
                                struct tars_arena *arena)
{
    return tars_arena_printf(arena, "%s|%s|%s|%lld|%lld|%g|%s|%d", TARS_VERSION,
                             identity ? identity : "words",
                             tars_settings_text(settings, TARS_SET_EMBED_PRECISION),
                             (long long)tars_settings_int(settings, TARS_SET_EMBED_MAX_SEQ_LENGTH),
                             (long long)tars_settings_int(settings, TARS_SET_CHUNK_OVERLAP),
                             tars_settings_real(settings, TARS_SET_HYBRID_ALPHA),
                             tars_settings_text(settings, TARS_SET_HYBRID_FUSION),
                             tars_settings_flag(settings, TARS_SET_WORDS_TYPOS));
}
