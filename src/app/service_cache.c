/* service_cache - what routes ask of the cache: numbers, and to forget. */
#include <string.h>

#include "app/service.h"
#include "app/settings.h"
#include "cache/cache.h"
#include "cache/cache_redis.h"

static struct tars_cache_tally tally_of(const char *name, const struct tars_cache_counts *counts)
{
    return (struct tars_cache_tally){
        .name = name,
        .hits = counts->hits,
        .misses = counts->misses,
        .sets = counts->sets,
        .errors = counts->errors,
        .evictions = counts->evictions,
        .entries = counts->entries,
        .bytes = counts->bytes,
        .hit_rate_percent = tars_cache_hit_percent(counts),
    };
}

_Static_assert(TARS_CACHE_VIEW_KINDS == TARS_CACHE_KINDS, "a kind more is a line more");

/* Of one cache: all together, and each kind. */
static void fill(struct tars_cache *cache, struct tars_cache_tally *total,
                 struct tars_cache_tally *kinds, uint64_t *shared)
{
    struct tars_cache_stats stats;
    struct tars_cache_counts all;

    tars_cache_stats(cache, &stats);
    all = tars_cache_total(&stats);
    *total = tally_of("all", &all);
    for (int kind = 0; kind < TARS_CACHE_KINDS; kind++) {
        kinds[kind] = tally_of(tars_cache_kind_text((enum tars_cache_kind)kind), &stats.kind[kind]);
    }
    if (shared)
        *shared = stats.shared;
}

static const char *keep(struct tars_arena *arena, const char *text)
{
    const char *copy = tars_arena_strdup(arena, text);

    return copy ? copy : "";
}

static void fill_redis(const struct tars_service *service, struct tars_arena *arena,
                       struct tars_redis_view *view)
{
    struct tars_cache_state state;

    tars_cache_state(service->cache, &state);
    *view = (struct tars_redis_view){
        .configured = state.is_configured,
        .connected = state.is_connected,
        .breaker = tars_breaker_state_text(state.breaker),
        .host = keep(arena, state.host),
        .port = state.port,
        .db = state.db,
        .version = keep(arena, state.version),
        .error = keep(arena, state.error),
        .used_memory = state.used_memory,
        .max_memory = state.max_memory,
        .clients = state.clients,
        .total_keys = state.keys,
        .reconnects = state.reconnects,
        .connections = state.open,
        .busy = state.busy,
    };
}

void tars_service_cache_view(void *ctx, bool counts_keys, struct tars_arena *arena,
                             struct tars_cache_view *view)
{
    const struct tars_service *service = ctx;
    const struct tars_settings *settings = service->settings;
    struct tars_cache *level;

    *view = (struct tars_cache_view){
        .enabled = service->cache != NULL,
        .embedding_ttl_s = tars_settings_int(settings, TARS_SET_REDIS_EMBEDDING_TTL),
        .reranker_ttl_s = tars_settings_int(settings, TARS_SET_REDIS_RERANKER_TTL),
        .default_ttl_s = tars_settings_int(settings, TARS_SET_REDIS_DEFAULT_TTL),
    };
    fill(service->cache, &view->total, view->kinds, &view->shared);
    for (; view->level_count < TARS_CACHE_VIEW_LEVELS; view->level_count++) {
        struct tars_cache_level_view *out = &view->levels[view->level_count];

        level = tars_cache_level(service->cache, view->level_count);
        if (!level)
            break;
        out->name = tars_cache_level_name(level);
        fill(level, &out->total, out->kinds, NULL);
    }
    fill_redis(service, arena, &view->redis);
    if (counts_keys)
        (void)!tars_cache_count_matching(service->cache, "tars:*", &view->redis.tars_keys, NULL);
}

void tars_service_cache_sample(void *ctx)
{
    const struct tars_service *service = ctx;

    tars_cache_sample(service->cache);
}

/* TARS_CACHE_KINDS: there is no such kind. */
static enum tars_cache_kind kind_of(const char *name)
{
    int kind = 0;

    while (kind < TARS_CACHE_KINDS &&
           strcmp(tars_cache_kind_text((enum tars_cache_kind)kind), name) != 0)
        kind++;
    return (enum tars_cache_kind)kind;
}

tars_status tars_service_cache_clear(void *ctx, const char *kind, const char *pattern,
                                     uint64_t *removed, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    char of_kind[TARS_CACHE_NAME_BYTES];
    uint64_t more = 0;
    tars_status status;

    if (kind && kind_of(kind) == TARS_CACHE_KINDS)
        return tars_fail(TARS_EINVAL, err, "kind is one of embedding, rerank, result, generic");
    if (!kind) {
        pattern = pattern ? pattern : "tars:*";
        return tars_cache_clear_matching(service->cache, pattern, removed, err);
    }
    (void)snprintf(of_kind, sizeof(of_kind), "tars:%s:*", kind);
    status = tars_cache_clear_matching(service->cache, of_kind, removed, err);
    if (status == TARS_OK && pattern) {
        status = tars_cache_clear_matching(service->cache, pattern, &more, err);
        *removed += more;
    }
    return status;
}
