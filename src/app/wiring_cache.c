/* wiring_cache - the cache: what the settings ask for, and how it is. */
#include "app/caches.h"
#include "app/stores.h"
#include "app/wiring_internal.h"
#include "cache/cache.h"
#include "model/encoder.h"
#include "store/epoch.h"

tars_status tars_wiring_open_epoch(struct tars_wiring *w, struct tars_err *err)
{
    return tars_stores_is_shared(w->settings) ? tars_epoch_open_shared(w->store, &w->epoch, err)
                                              : tars_epoch_open(w->store, &w->epoch, err);
}

tars_status tars_wiring_open_cache(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_encoder_info *info = w->encoder ? tars_encoder_info(w->encoder) : NULL;

    const char *reranking = tars_wiring_rerank_ranking(w, &w->arena);
    const char *ranking = tars_caches_ranking(w->settings, info ? info->identity : NULL, &w->arena);

    if (ranking && reranking)
        w->ranking = tars_arena_printf(&w->arena, "%s%s", ranking, reranking);
    if (!w->ranking)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    return tars_caches_open(w->settings, w->metrics, w->log, &w->cache, err);
}

/* What its keeper knows; asks nobody. */
static tars_status check_redis(void *ctx, struct tars_err *err)
{
    struct tars_wiring *w = ctx;
    struct tars_cache_state state;

    tars_cache_state(w->cache, &state);
    if (state.is_connected)
        return TARS_OK;
    return tars_fail(TARS_EUNAVAILABLE, err, "%s",
                     state.error[0] ? state.error : "Redis is not connected");
}

tars_status tars_wiring_register_redis(struct tars_wiring *w)
{
    const struct tars_health_part part = {
        .name = "redis", .optional = true, .check = check_redis, .ctx = w};

    if (!tars_caches_wants_redis(w->settings))
        return TARS_OK;
    return tars_health_add(&w->health, &part);
}

void tars_wiring_close_cache(struct tars_wiring *w)
{
    tars_cache_free(w->cache);
    tars_epoch_close(w->epoch);
}
