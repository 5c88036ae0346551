/* caches - the cache that the settings ask for, and what its users must know. */
#ifndef TARS_APP_CACHES_H
#define TARS_APP_CACHES_H

#include "app/settings.h"
#include "cache/cache.h"
#include "obs/metrics.h"

/* *cache may stay NULL: CACHE_MEMORY_MB=0. */
TARS_MUST_USE tars_status tars_caches_open(const struct tars_settings *settings,
                                           struct tars_metrics *metrics, struct tars_cache **cache,
                                           struct tars_err *err);
/* The settings that the order and the scores of results depend on, as one text in arena; NULL
 * without memory. identity: of the embedding model, or NULL. */
const char *tars_caches_ranking(const struct tars_settings *settings, const char *identity,
                                struct tars_arena *arena);

#endif
