/* cache_memory - a cache in this process: sharded, sized in bytes, least recently used goes first.
 *
 *     key -> SipHash -> shard (lock) -> table of chains -> entry: links, key, value in one block
 *                                       recent ... oldest  <- what is evicted when room is needed
 *
 * Bounds    max_bytes in all, divided among the shards; keys, links and tables count too. A value
 *           over a quarter of a shard is not kept.
 * Time      An entry is not given out after its kind's time to live.
 * Threads   A lock a shard, held for a look-up and the copy of one value: well under a microsecond.
 * Failure   No memory for an entry: it is not kept, and counted as an error.
 */
#ifndef TARS_CACHE_CACHE_MEMORY_H
#define TARS_CACHE_CACHE_MEMORY_H

#include "base/sys/clock.h"
#include "cache/cache.h"

#define TARS_CACHE_MEMORY_SHARDS 16

struct tars_cache_memory_config {
    size_t max_bytes;                /* required, at least 64 KiB */
    int64_t ttl_s[TARS_CACHE_KINDS]; /* seconds; 0: no end */
    tars_clock_fn *now;              /* milliseconds; NULL: tars_clock_mono */
    void *now_ctx;
};

/* TARS_EINVAL, TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_cache_memory_open(const struct tars_cache_memory_config *config,
                                                 struct tars_cache **cache);

#endif
