/* wiring_limits - rate limits that all servers on a store count together, in Redis.
 *
 * The connection is one of its own: a cache that is slow or full of waiting values is nothing to
 * it.
 */
#include <stdio.h>
#include <string.h>

#include "app/caches.h"
#include "app/stores.h"
#include "app/wiring_internal.h"
#include "auth/auth.h"
#include "auth/rate_share.h"
#include "base/crypto/hmac.h"
#include "base/sys/clock.h"
#include "store/store_postgres.h"

#define NAME_DIGITS 16 /* of the store, in the names that Redis keeps */

/* w->limit_seed and *name out of the secret that the servers have in common: nobody else can tell
 * whose a digest is, and two stores may use one Redis. */
static tars_status derive(struct tars_wiring *w, const char **name, struct tars_err *err)
{
    unsigned char digest[TARS_HMAC_BYTES];
    const char *secret = NULL;
    uint64_t tag;
    tars_status status = tars_store_meta_get(w->store, TARS_STORE_KEY, &w->arena, &secret, err);

    if (status != TARS_OK)
        return status;
    status = tars_hmac_sha256(tars_span_of(secret), tars_span_of("rate limits"), digest);
    if (status != TARS_OK)
        return tars_fail(status, err, "rate limits: %s", tars_status_text(status));
    memcpy(w->limit_seed, digest, sizeof(w->limit_seed));
    memcpy(&tag, digest + sizeof(w->limit_seed), sizeof(tag));
    /* The braces keep all of them in one slot of a cluster. */
    *name =
        tars_arena_printf(&w->arena, "tars:limit:{%0*llx}", NAME_DIGITS, (unsigned long long)tag);
    return *name ? TARS_OK : tars_fail(TARS_ENOMEM, err, "no memory");
}

static void observe(void *ctx, bool is_shared)
{
    static const char *const no_labels[] = {NULL};
    struct tars_wiring *w = ctx;

    tars_series_set(tars_metrics_find(w->metrics, TARS_METRIC_REPLICA_LIMITS_SHARED, no_labels),
                    is_shared ? 1 : 0);
}

tars_status tars_wiring_open_limits(struct tars_wiring *w, struct tars_err *err)
{
    struct tars_rate_share_config config = {.observe = observe, .observe_ctx = w, .log = w->log};
    tars_status status;

    if (!w->serves || !tars_stores_is_shared(w->settings) || !tars_caches_wants_redis(w->settings))
        return TARS_OK;
    status = derive(w, &config.prefix, err);
    if (status == TARS_OK)
        status = tars_caches_open_redis(w->settings, NULL, &w->limit_redis, err);
    config.redis = w->limit_redis;
    if (status == TARS_OK)
        status = tars_rate_share_new(&config, &w->limit_share, err);
    return status;
}

const uint64_t *tars_wiring_limit_seed(const struct tars_wiring *w)
{
    return w->limit_share ? w->limit_seed : NULL;
}

tars_status tars_wiring_start_limits(struct tars_wiring *w, struct tars_err *err)
{
    tars_status status;

    if (!w->limit_share)
        return TARS_OK;
    status = tars_rate_share_add(w->limit_share, "request", w->rate_limit, tars_clock_mono_ms);
    if (status == TARS_OK)
        status = tars_auth_share_limits(w->auth, w->limit_share);
    if (status != TARS_OK)
        return tars_fail(status, err, "rate limits: %s", tars_status_text(status));
    return tars_rate_share_start(w->limit_share, err);
}

void tars_wiring_close_limits(struct tars_wiring *w)
{
    tars_rate_share_free(w->limit_share);
    tars_cache_free(w->limit_redis);
}
