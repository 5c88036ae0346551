/* caches - the cache that the settings ask for, and what its users must know. */
#ifndef TARS_APP_CACHES_H
#define TARS_APP_CACHES_H

#include "app/settings.h"
#include "cache/cache.h"
#include "obs/log.h"
#include "obs/metrics.h"

/* Memory before Redis, or one of them; *cache stays NULL where there is neither. Redis need not be
 * there: it is found when it comes. TARS_EINVAL: its settings are wrong, in words. */
TARS_MUST_USE tars_status tars_caches_open(const struct tars_settings *settings,
                                           struct tars_metrics *metrics, struct tars_log *log,
                                           struct tars_cache **cache, struct tars_err *err);
/* Is Redis wanted? Where somebody has set REDIS_ENABLED or an address of it, and REDIS_ENABLED is
 * not false: what listens on localhost gets nothing unasked. */
bool tars_caches_wants_redis(const struct tars_settings *settings);
/* The cache in Redis alone. */
TARS_MUST_USE tars_status tars_caches_open_redis(const struct tars_settings *settings,
                                                 struct tars_log *log, struct tars_cache **cache,
                                                 struct tars_err *err);
/* Where it is, in words for people: an address, the sentinels, the cluster. In arena; NULL without
 * memory. */
const char *tars_caches_redis_place(const struct tars_settings *settings, struct tars_arena *arena);
/* The settings that the order and the scores of results depend on, as one text in arena; NULL
 * without memory. identity: of the embedding model, or NULL. */
const char *tars_caches_ranking(const struct tars_settings *settings, const char *identity,
                                struct tars_arena *arena);

#endif
