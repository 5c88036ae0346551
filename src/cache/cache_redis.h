/* cache_redis - a cache in a Redis server (7.0; RESP2), shared by many programs.
 *
 *     get    caller -> connection of the pool -> GET -> reply, all before its deadline
 *     set    caller -> bounded queue -> one thread -> many SETEX in one write (pipelining)
 *
 * Keys      tars:KIND:sha256hex(key); of EMBEDDING and RERANK the value is a JSON array of floats
 *           (wire contract, section 4; design section 9.7), of the others the bytes as they are.
 * Where     One server; or the master that sentinels name, asked again when it goes away; or a
 *           cluster, where a slot's node is learned from CLUSTER SLOTS and from MOVED and ASK.
 * Bounds    max_connections; timeout_ms that a caller waits at most; bytes and number of values
 *           that wait to be set, past which they are dropped and counted.
 * Failure   A miss, counted as an error; TARS_EUNAVAILABLE, not counted, where nobody was asked. A
 *           breaker (base/sys/breaker.h) for each server keeps callers away while it does not
 *           answer: then asking costs an atomic load (in a cluster, the digest of the key besides).
 *           A thread of the cache tries again with growing pauses; no caller ever connects or waits
 *           for a trial. What is set while it is away is not kept.
 * Own sets  Are found by get at once, while they wait to be sent. clear and drop come after them.
 * End       _free() waits half a second at most for what is still to be sent; and for the resolver
 *           of names, where that is what a thread waits for.
 * Threads   Safe to share. Not for loop threads: is_fast is false.
 */
#ifndef TARS_CACHE_CACHE_REDIS_H
#define TARS_CACHE_CACHE_REDIS_H

#include "cache/cache.h"
#include "obs/log.h"

struct tars_cache_redis_config {
    const char *host;                /* required where neither sentinels nor cluster are given */
    int port;                        /* 0: 6379 */
    int db;                          /* 0 in a cluster */
    const char *username, *password; /* NULL or "": none */
    const char *sentinels, *master, *sentinel_password; /* host:port joined by commas */
    const char *cluster;                                /* host:port joined by commas */
    bool tls;
    const char *tls_ca, *tls_cert, *tls_key; /* PEM files; NULL or "": the system's, none, none */
    size_t max_connections;                  /* 0: 50 */
    int64_t timeout_ms;                      /* of a get; 0: 50 */
    int64_t connect_timeout_ms;              /* 0: 5,000 */
    int64_t ttl_s[TARS_CACHE_KINDS];         /* seconds; 0: no end */
    struct tars_log *log;                    /* may be NULL */
};

/* Makes the cache; it connects by itself, whether or not the server is there now. Texts are copied.
 * TARS_EINVAL: an address or a file is wrong, in words. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_cache_redis_open(const struct tars_cache_redis_config *config,
                                                struct tars_cache **cache, struct tars_err *err);
/* Wait until it is connected, at most timeout_ms. */
TARS_MUST_USE tars_status tars_cache_redis_wait(struct tars_cache *cache, int64_t timeout_ms,
                                                struct tars_err *err);
/* Remove keys that match a pattern of Redis ("tars:embedding:*") by SCAN and UNLINK, never KEYS.
 * Waits as long as it takes; returns how many. */
TARS_MUST_USE tars_status tars_cache_redis_clear(struct tars_cache *cache, const char *pattern,
                                                 uint64_t *removed, struct tars_err *err);
/* How many keys match, by SCAN; likewise. */
TARS_MUST_USE tars_status tars_cache_redis_count(struct tars_cache *cache, const char *pattern,
                                                 uint64_t *count, struct tars_err *err);

/* Commands of others: fill appends them to out, all of keys that are where name is, and returns how
 * many; hear is given each reply in their order, lent for the call, until it fails. One write, and
 * all before timeout_ms are over. TARS_EUNAVAILABLE: away, or a cluster has moved the name, which
 * is known the next time; TARS_EIO: refused; TARS_ETIMEOUT and others. Where it fails some of the
 * commands may have been done. */
struct tars_redis_reply;
struct tars_redis_round {
    size_t (*fill)(void *ctx, struct tars_buf *out);
    tars_status (*hear)(void *ctx, size_t at, const struct tars_redis_reply *reply);
    void *ctx;
};
TARS_MUST_USE tars_status tars_cache_redis_round(struct tars_cache *cache, struct tars_span name,
                                                 const struct tars_redis_round *round,
                                                 int64_t timeout_ms);

#endif
