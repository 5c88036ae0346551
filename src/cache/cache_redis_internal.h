/* cache_redis_internal - what the files of cache_redis share. See cache_redis.h. */
#ifndef TARS_CACHE_CACHE_REDIS_INTERNAL_H
#define TARS_CACHE_CACHE_REDIS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "cache/cache_redis.h"
#include "cache/redis_map.h"
#include "cache/redis_queue.h"

struct tars_redis_counts {
    atomic_ullong hits, misses, sets, errors;
};

struct tars_redis {
    struct tars_cache base;  /* first */
    struct tars_arena texts; /* copies of the config's */
    struct tars_log *log;    /* may be NULL */
    int64_t timeout_ms;      /* of a get */
    int64_t ttl_s[TARS_CACHE_KINDS];
    struct tars_tls_client_context *tls; /* owned; NULL: in the clear */
    struct tars_redis_map map;
    struct tars_redis_queue queue;
    struct tars_redis_counts counts[TARS_CACHE_KINDS];
    pthread_t keeper, writer;
    bool has_keeper, has_writer;
    int stop_fd;            /* an eventfd; readable from the stop on; owned */
    pthread_mutex_t lock;   /* guards all below */
    pthread_cond_t changed; /* any of it */
    bool is_woken;          /* the keeper has something to do */
    bool is_stopping;
    struct tars_cache_state state;   /* as the keeper saw it last */
    char refusal[TARS_ERR_TEXT_MAX]; /* what a server would not do, last */
    bool is_refusal_told;            /* the log has it */
    int64_t refused_ms;              /* when */
};

/* What becomes of a reply that is no error. */
typedef tars_status tars_redis_hear_fn(void *ctx, const struct tars_redis_reply *reply);

/* One command of one key to whoever has the key, sent on by a cluster at most twice.
 * TARS_EUNAVAILABLE: away; TARS_ETIMEOUT; TARS_EIO and others. What hear() returns else. */
TARS_MUST_USE tars_status tars_redis_ask(struct tars_redis *redis, const char *verb,
                                         struct tars_span name, int64_t deadline_ms,
                                         tars_redis_hear_fn *hear, void *ctx);
/* A server answered with an error that sends nobody elsewhere: remember it, and what follows. */
tars_status tars_redis_refused(struct tars_redis *redis, struct tars_redis_node *node,
                               const struct tars_redis_reply *reply);
void tars_redis_count_error(struct tars_redis *redis, enum tars_cache_kind kind);

/* The threads: ctx is the struct tars_redis. */
void *tars_redis_keep(void *ctx);
void *tars_redis_write(void *ctx);

#endif
