/* postgres_pool - connections to one database, shared, and a guard against a server that is away.
 *
 *     take: breaker? -> one that is idle and well, or a new one, or wait for one -> use -> give
 *     keeper thread: looks every second whether the server answers, so that the rest need not
 *
 * Bounds    size connections are kept, overflow more are opened in a rush and closed when given
 *           back; at the bound callers wait at most timeout_ms, and so they do where the server
 *           takes no more of us (max_connections, a role's limit) while we have some. One that is
 *           older than recycle_ms is closed instead of being used again.
 * Health    Before a connection is lent its socket is looked at (a system call), and after
 *           PING_AFTER_MS of silence it is asked. A circuit breaker (base/sys/breaker.h) makes
 *           everybody fail at once while the server is away; the keeper opens it when the server
 *           does not answer a ping within hang_ms, which ends the waits of all who are asking it,
 *           and closes it again within seconds of its return. Where every connection is in use the
 *           keeper opens one more, and closes it; where it reaches nobody (a network that is gone
 *           says so at once) and nothing came of the others for hang_ms, their waits end as well.
 * Times     A server that hangs is noticed after ping_ms, QUIET_MS and hang_ms at most; one that is
 *           back after a pause of the breaker (PAUSE_MAX_MS) and what a trial takes, which is
 *           CONNECT_PINGS times hang_ms at most.
 * First     Until the keeper's first look has ended, nobody else tries: who asks waits for it, at
 *           most until the pool is first_ms old, and then fails at once. So a server that hangs
 *           costs a start first_ms, however many ask in turn.
 * Threads   Safe to share. A connection belongs to whoever took it.
 */
#ifndef TARS_STORE_POSTGRES_POOL_H
#define TARS_STORE_POSTGRES_POOL_H

#include "base/sys/breaker.h"
#include "store/postgres_conn.h"

struct tars_pg_pool;

struct tars_pg_pool_config {
    struct tars_pg_config server; /* what it lends lives as long as the pool */
    size_t size, overflow;        /* 0 for size: 20 */
    int64_t recycle_ms;           /* 0: an hour */
    int64_t ping_ms;              /* how often the keeper looks; 0: 1,000; < 0: there is none */
    int64_t hang_ms;              /* a ping that takes longer is not awaited; 0: 1,500 */
    int64_t first_ms;             /* see First; 0: nobody waits for the keeper */
    uint64_t seed;                /* of the breaker's jitter; 0: random */
};

struct tars_pg_pool_stats {
    size_t active, idle; /* connections in hands, and kept */
    size_t max;          /* size and overflow */
    enum tars_breaker_state breaker;
    uint64_t opened, recycled, failures; /* connections opened, closed for age; failures */
};

/* Connects to nobody yet. ENOMEM. */
TARS_MUST_USE tars_status tars_pg_pool_new(const struct tars_pg_pool_config *config,
                                           struct tars_pg_pool **pool, struct tars_err *err);
/* All connections have been given back. NULL is allowed. */
void tars_pg_pool_free(struct tars_pg_pool *pool);

/* Lend a connection that is well. EUNAVAILABLE, ETIMEOUT: the server is away, with the words of the
 * last failure; EBUSY: none became free in time. */
TARS_MUST_USE tars_status tars_pg_take(struct tars_pg_pool *pool, struct tars_pg_conn **conn,
                                       struct tars_err *err);
/* Give it back; one that is broken, or in a transaction, is closed, and a broken one counts against
 * the server, unless it is_let_go. NULL is allowed. */
void tars_pg_give(struct tars_pg_pool *pool, struct tars_pg_conn *conn);

/* TARS_OK while the server answers, or words. Costs a lock. */
TARS_MUST_USE tars_status tars_pg_pool_health(struct tars_pg_pool *pool, struct tars_err *err);
struct tars_pg_pool_stats tars_pg_pool_stats(struct tars_pg_pool *pool);

#endif
