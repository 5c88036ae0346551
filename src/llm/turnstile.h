/* turnstile - lets one call at a time through, in the order of arrival.
 *
 * Model     A queue of waiters; the first goes in when nobody is inside. One that gives up leaves
 *           the queue, wherever it stands, so nobody waits for it.
 * Bounds    TARS_TURNSTILE_WAITERS_MAX waiters; the next is told TARS_EBUSY at once.
 * Threads   Any. A waiter looks at its call every 50 ms.
 * Memory    None: waiters stand on their own stacks.
 */
#ifndef TARS_LLM_TURNSTILE_H
#define TARS_LLM_TURNSTILE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/status.h"
#include "obs/call.h"

#define TARS_TURNSTILE_WAITERS_MAX 256

struct tars_turnstile_waiter;

struct tars_turnstile {
    pthread_mutex_t lock;                /* guards all below */
    pthread_cond_t moved;                /* somebody left, or the queue changed */
    struct tars_turnstile_waiter *first; /* queue of waiters on their stacks */
    struct tars_turnstile_waiter *last;
    int waiting; /* length of the queue */
    bool inside; /* somebody is */
};

TARS_MUST_USE tars_status tars_turnstile_init(struct tars_turnstile *turnstile);
/* Nobody may be inside or waiting. */
void tars_turnstile_release(struct tars_turnstile *turnstile);

/* Wait for the turn. OK: inside, until _leave(). ECANCELED, ETIMEOUT: the call was over first;
 * EBUSY: too many wait. call may be NULL: waits as long as it takes. */
TARS_MUST_USE tars_status tars_turnstile_enter(struct tars_turnstile *turnstile,
                                               struct tars_call *call);
void tars_turnstile_leave(struct tars_turnstile *turnstile);

#endif
