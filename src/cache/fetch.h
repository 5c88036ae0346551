/* fetch - what is kept, or else made: once for all who want it now.
 *
 *     near level -> has it
 *       -> nobody makes it yet:  far level too -> compute -> keep -> wake who waits
 *       -> somebody makes it:    wait for him, at most wait_ms -> his value; else compute
 *
 * A thousand requests for one key that is not kept cost one computation, not a thousand (stampede,
 * single flight). Whoever waited in vain, because the bound was over or the computation failed or
 * its value is for its maker alone, computes for himself.
 *
 * Invariants  A value is set before its flight ends, and whoever begins a flight looks into the
 *             cache once more: so with a near level there is exactly one computation.
 * Bounds      A flight a key that is being computed; wait_ms.
 * Failure     No memory for a flight: everybody computes.
 * Threads     Safe to share. Not for loop threads: it computes and waits. compute may fetch other
 *             keys, never its own.
 */
#ifndef TARS_CACHE_FETCH_H
#define TARS_CACHE_FETCH_H

#include "cache/cache.h"

#define TARS_CACHE_WAIT_MS 5000 /* for another's computation */

struct tars_cache_made {
    struct tars_span value; /* in the arena that compute was given */
    bool is_mine_alone;     /* neither kept nor given to others */
};

typedef tars_status tars_cache_compute_fn(void *ctx, struct tars_arena *arena,
                                          struct tars_cache_made *made, struct tars_err *err);

struct tars_cache_wish {
    enum tars_cache_kind kind;
    struct tars_span key; /* empty: not looked for, only computed */
    int64_t wait_ms;      /* for another's computation, at most; 0: TARS_CACHE_WAIT_MS */
    tars_cache_compute_fn *compute;
    /* Can this value be used? One that cannot is a miss. NULL: any can. */
    bool (*is_good)(void *ctx, struct tars_span value);
    void *ctx; /* of both */
};

enum tars_cache_source {
    TARS_CACHE_FOUND,   /* it was kept */
    TARS_CACHE_SHARED,  /* another made it meanwhile */
    TARS_CACHE_COMPUTED /* compute made it */
};

/* *value is in arena. Fails only as compute does. source may be NULL. */
TARS_MUST_USE tars_status tars_cache_fetch(struct tars_cache *cache,
                                           const struct tars_cache_wish *wish,
                                           struct tars_arena *arena, struct tars_span *value,
                                           enum tars_cache_source *source, struct tars_err *err);

/* Make cache share computations from now on; before it is shared. Freed with it. */
TARS_MUST_USE tars_status tars_cache_share(struct tars_cache *cache);

/* For cache.c. NULL is allowed. */
struct tars_flights;
void tars_flights_free(struct tars_flights *flights);
uint64_t tars_flights_shared(const struct tars_flights *flights);

#endif
