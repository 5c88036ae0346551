/* redis_queue - values that wait to be sent to Redis.
 *
 *     push -> newest ... oldest -> take (a batch) -> sent -> done
 *               found by name all the while, so that who set a value gets it
 *
 * Bounds    max_bytes in all, names and links too; what does not fit is refused.
 * Threads   Safe to share; one thread takes.
 */
#ifndef TARS_CACHE_REDIS_QUEUE_H
#define TARS_CACHE_REDIS_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"
#include "cache/cache.h"

#define TARS_REDIS_QUEUE_CHAINS 1024 /* a power of two */

struct tars_redis_node;

/* Open to who sends it; it is the queue's while it is not taken. */
struct tars_redis_item {
    struct tars_redis_item *next;    /* of the queue, or of a batch */
    struct tars_redis_item *chained; /* of those whose names hash alike; newest first */
    struct tars_redis_node *ask;     /* who sends it: ask there, and say ASKING; NULL: who has it */
    enum tars_cache_kind kind;
    int tries;       /* of who sends it */
    bool is_dropped; /* shall not be sent, nor found; guarded by the queue's lock */
    bool is_void;    /* of who sends it: it was dropped when it was taken */
    size_t name_len, value_len;
    char bytes[]; /* name, then value */
};

struct tars_redis_queue {
    pthread_mutex_t lock;   /* guards all below */
    pthread_cond_t changed; /* an item came, all are done, or it stops */
    struct tars_redis_item *oldest, **end;
    struct tars_redis_item *chains[TARS_REDIS_QUEUE_CHAINS];
    size_t count; /* items, those that are taken too */
    size_t bytes, max_bytes;
    bool is_stopping;
};

void tars_redis_queue_init(struct tars_redis_queue *queue, size_t max_bytes);
/* Nobody uses it any more. */
void tars_redis_queue_release(struct tars_redis_queue *queue);
/* Copies. TARS_EBUSY: full; TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_redis_queue_push(struct tars_redis_queue *queue,
                                                enum tars_cache_kind kind, struct tars_span name,
                                                struct tars_span value);
/* The newest value of that name, a copy in arena; TARS_ENOTFOUND, TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_redis_queue_find(struct tars_redis_queue *queue,
                                                struct tars_span name, struct tars_arena *arena,
                                                struct tars_span *value);
/* Those of that name shall not be sent; what is taken already may have been. True if there were. */
bool tars_redis_queue_drop(struct tars_redis_queue *queue, struct tars_span name);
/* Wait until there are some, and take the oldest, at most so many; they stay findable. NULL: it
 * stops. */
struct tars_redis_item *tars_redis_queue_take(struct tars_redis_queue *queue, size_t max_items,
                                              size_t max_bytes);
/* Takes one that was taken: it is forgotten. */
void tars_redis_queue_done(struct tars_redis_queue *queue, struct tars_redis_item *item);
/* Takes one that was taken: it waits once more. */
void tars_redis_queue_again(struct tars_redis_queue *queue, struct tars_redis_item *item);
/* Wait until none waits or is being sent. False: not in that time. */
bool tars_redis_queue_wait(struct tars_redis_queue *queue, int64_t deadline_ms);
/* Nothing more is given to take. */
void tars_redis_queue_stop(struct tars_redis_queue *queue);

static inline struct tars_span tars_redis_item_name(const struct tars_redis_item *item)
{
    return tars_span(item->bytes, item->name_len);
}

static inline struct tars_span tars_redis_item_value(const struct tars_redis_item *item)
{
    return tars_span(item->bytes + item->name_len, item->value_len);
}

#endif
