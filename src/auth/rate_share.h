/* rate_share - several servers count the requests of a caller together, in a Redis server.
 *
 *     callers   take, peek: memory of this server alone, never a wait
 *     thread    every 200 ms one round: what we counted since -> Redis -> what the others counted
 *
 * Redis     A hash for each limit and step of time, PREFIX:NAME:STEP; a field for each server and
 *           caller, SERVER KEY (8 and 16 hexadecimal digits; the key is a digest with the servers'
 *           common secret), whose value is what that server counted in that step. A server writes
 *           its own fields, absolute, so a round that is done twice does no harm. Hashes end by
 *           themselves when their step is forgotten. All are in one slot of a cluster.
 * Clock     That of Redis, so that steps mean the same to all.
 * Bound     A request is known to the others after two rounds at most. So what passes on all
 *           servers together is the limit, and what they let through between its last requests and
 *           two rounds later; a caller who sends all at the same moment to each of N servers gets N
 *           times the limit at most. With settle() before the decision it is the limit itself.
 * Away      While Redis is away each server counts for itself, with the whole limit, and goes on
 *           with what it heard until that is forgotten. When Redis is back, empty or not, each
 *           tells all that it counted in the window.
 * Bounds    ROUND_COUNTS of a limit told in a round, the others in the next ones.
 * Threads   One of its own; settle() is safe to share.
 */
#ifndef TARS_AUTH_RATE_SHARE_H
#define TARS_AUTH_RATE_SHARE_H

#include "auth/rate_limit.h"
#include "cache/cache_redis.h"
#include "obs/log.h"

#define TARS_RATE_SHARES_MAX 8

struct tars_rate_share;

struct tars_rate_share_config {
    struct tars_cache *redis; /* required; borrowed */
    const char *prefix;       /* required: of the names; those who share have the same */
    int64_t interval_ms;      /* 0: 200 */
    /* Are they shared at present? On the thread, after each round; NULL: nobody hears it. */
    void (*observe)(void *ctx, bool is_shared);
    void *observe_ctx;
    struct tars_log *log; /* NULL: silent */
};

TARS_MUST_USE tars_status tars_rate_share_new(const struct tars_rate_share_config *config,
                                              struct tars_rate_share **share, struct tars_err *err);
/* A limit that was made with is_shared, borrowed; clock_ms is what its callers pass as the time.
 * Before the start. TARS_ETOOBIG: there are too many. */
TARS_MUST_USE tars_status tars_rate_share_add(struct tars_rate_share *share, const char *name,
                                              struct tars_rate_limit *limiter,
                                              int64_t (*clock_ms)(void));
TARS_MUST_USE tars_status tars_rate_share_start(struct tars_rate_share *share,
                                                struct tars_err *err);
/* Joins the thread. NULL is allowed. */
void tars_rate_share_free(struct tars_rate_share *share);

/* Until what was counted before has been told, and what the others had told by then is known: one
 * round trip, at most timeout_ms; at once while Redis is away. Blocks. NULL is allowed. */
void tars_rate_share_settle(struct tars_rate_share *share, int64_t timeout_ms);
/* Did the last round reach Redis? */
bool tars_rate_share_is_shared(struct tars_rate_share *share);

#endif
