/* cache_levels - two caches as one: a near one in this process before a far one outside.
 *
 *     get   near -> has it
 *             -> far -> has it: near keeps it too (promotion)
 *     set   near, then far (which only queues it)
 *
 * A value that was promoted lives as long in the near level as one that was set there, so nothing
 * is older than twice its time to live. That is a bound of keeping, not of truth: what a value
 * depends on is in its key.
 *
 * Counts    Of the whole: a look is one hit or one miss, wherever it was found. A far level that
 *           is known to be away is passed over; one that fails is an error of the whole, too.
 *           Each level counts for itself (tars_cache_level()).
 *           What is cleared is counted once: a value that is on one level is on both, as a rule.
 * Threads   Safe to share. tars_cache_get_near() never waits.
 */
#ifndef TARS_CACHE_CACHE_LEVELS_H
#define TARS_CACHE_CACHE_LEVELS_H

#include "cache/cache.h"

/* Takes both on success; they are freed with it. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_cache_levels_open(struct tars_cache *near, struct tars_cache *far,
                                                 struct tars_cache **cache);

#endif
