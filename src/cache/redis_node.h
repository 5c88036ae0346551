/* redis_node - one server of Redis: its connections, and whether it is worth asking.
 *
 *     callers   take -> ... -> give      never connect; wait for a connection at most until their
 *                                        deadline, and not at all while the server is away
 *     keeper    tend                     opens connections, one more whenever all are busy; tries
 *                                        again, with growing pauses, while the server is away
 *
 * State     Up: the breaker is closed and somebody has heard it answer. Asking is one atomic load.
 *           A trial has to be answered as fast as a caller needs it, else a server that is merely
 *           too slow would be let in again and again.
 * Address   May change (a failover; a slot of the table that is used again): connections of the
 *           earlier one are closed when they come back.
 * Threads   take, give and the questions from any; tend from the keeper alone.
 */
#ifndef TARS_CACHE_REDIS_NODE_H
#define TARS_CACHE_REDIS_NODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/sys/breaker.h"
#include "cache/redis_address.h"
#include "cache/redis_conn.h"

struct tars_redis_node_config {
    struct tars_redis_conn_config conn;
    size_t max_connections;
    int64_t timeout_ms; /* within which a trial is answered */
    int64_t connect_timeout_ms;
    void (*wake)(void *ctx); /* the keeper has something to do; must not wait */
    void *wake_ctx;
};

struct tars_redis_node {
    const struct tars_redis_node_config *config; /* borrowed */
    struct tars_breaker breaker;
    atomic_bool is_up;       /* answered, and the breaker is closed */
    atomic_bool has_stumble; /* a failure since the last success */
    pthread_mutex_t lock;    /* guards all below */
    pthread_cond_t changed;  /* a connection came back, or it went away */
    struct tars_redis_address address;
    unsigned generation;          /* of address */
    struct tars_redis_conn *idle; /* the last used one first; owned */
    size_t open, busy;            /* connections: in all, taken */
    size_t waiting;               /* callers in take */
    size_t max;                   /* connections */
    bool wants_more;              /* all are busy */
    int64_t more_after_ms;        /* no further connection before that */
    uint64_t reconnects;          /* times that it came back */
    bool was_up;                  /* it was, once, at this address */
    char error[TARS_ERR_TEXT_MAX];
};

void tars_redis_node_init(struct tars_redis_node *node, const struct tars_redis_node_config *config,
                          const struct tars_redis_address *address);
/* Nobody may have a connection of it. */
void tars_redis_node_release(struct tars_redis_node *node);

static inline bool tars_redis_node_is_up(const struct tars_redis_node *node)
{
    return atomic_load_explicit(&node->is_up, memory_order_acquire);
}

/* A connection that is thought to work, for this caller alone. TARS_EUNAVAILABLE: it is away, at
 * once; TARS_ETIMEOUT: all are busy. */
TARS_MUST_USE tars_status tars_redis_node_take(struct tars_redis_node *node, int64_t deadline_ms,
                                               struct tars_redis_conn **conn);
/* The same, but only of those that lie idle; NULL: none. */
struct tars_redis_conn *tars_redis_node_take_idle(struct tars_redis_node *node);
/* Takes the connection; status is how its use went: any failure closes it and counts against the
 * server. */
void tars_redis_node_give(struct tars_redis_node *node, struct tars_redis_conn *conn,
                          tars_status status);
/* The server answered that it cannot serve (LOADING and the like): as a failure. */
void tars_redis_node_stumble(struct tars_redis_node *node);

/* How long opening a connection may take: connect_timeout_ms, but no longer than one second or four
 * times what callers wait, so that a server that is back is soon found. */
int64_t tars_redis_node_open_ms(const struct tars_redis_node_config *config);
/* Keeper: do what is due. */
void tars_redis_node_tend(struct tars_redis_node *node);
/* It is at address now. */
void tars_redis_node_move(struct tars_redis_node *node, const struct tars_redis_address *address);
/* It is not asked any more, until it comes up again. */
void tars_redis_node_retire(struct tars_redis_node *node);
void tars_redis_node_limit(struct tars_redis_node *node, size_t max_connections);
/* Nobody has a connection of it, or waits for one. */
bool tars_redis_node_is_unused(struct tars_redis_node *node);
/* Words of the last failure; "" where there is none. */
void tars_redis_node_error(struct tars_redis_node *node, struct tars_err *err);

#endif
