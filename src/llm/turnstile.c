/* turnstile - see turnstile.h. */
#include "llm/turnstile.h"

#include <assert.h>
#include <time.h>

#include "llm/emit.h"

#define LOOK_EVERY_NS 50000000L

struct tars_turnstile_waiter {
    struct tars_turnstile_waiter *next;
};

tars_status tars_turnstile_init(struct tars_turnstile *turnstile)
{
    pthread_condattr_t attr;
    bool made = false;

    *turnstile = (struct tars_turnstile){.inside = false};
    if (pthread_mutex_init(&turnstile->lock, NULL) != 0)
        return TARS_ENOMEM;
    if (pthread_condattr_init(&attr) == 0) {
        made = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
               pthread_cond_init(&turnstile->moved, &attr) == 0;
        pthread_condattr_destroy(&attr);
    }
    if (!made)
        pthread_mutex_destroy(&turnstile->lock);
    return made ? TARS_OK : TARS_ENOMEM;
}

void tars_turnstile_release(struct tars_turnstile *turnstile)
{
    assert(!turnstile->inside && turnstile->waiting == 0);
    pthread_cond_destroy(&turnstile->moved);
    pthread_mutex_destroy(&turnstile->lock);
}

static void join(struct tars_turnstile *turnstile, struct tars_turnstile_waiter *me)
{
    if (turnstile->last) {
        turnstile->last->next = me;
    } else {
        turnstile->first = me;
    }
    turnstile->last = me;
    turnstile->waiting++;
}

static void quit(struct tars_turnstile *turnstile, const struct tars_turnstile_waiter *me)
{
    struct tars_turnstile_waiter *before = NULL;

    for (struct tars_turnstile_waiter *at = turnstile->first; at != me; at = at->next)
        before = at;
    if (before) {
        before->next = me->next;
    } else {
        turnstile->first = me->next;
    }
    if (turnstile->last == me)
        turnstile->last = before;
    turnstile->waiting--;
}

static void wait_a_little(struct tars_turnstile *turnstile)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_EVERY_NS;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    (void)pthread_cond_timedwait(&turnstile->moved, &turnstile->lock, &until);
}

tars_status tars_turnstile_enter(struct tars_turnstile *turnstile, struct tars_call *call)
{
    struct tars_turnstile_waiter me = {NULL};
    tars_status status = TARS_OK;

    pthread_mutex_lock(&turnstile->lock);
    if (turnstile->waiting == TARS_TURNSTILE_WAITERS_MAX) {
        pthread_mutex_unlock(&turnstile->lock);
        return TARS_EBUSY;
    }
    join(turnstile, &me);
    while (status == TARS_OK && (turnstile->inside || turnstile->first != &me)) {
        status = tars_emit_call_status(call);
        if (status == TARS_OK)
            wait_a_little(turnstile);
    }
    quit(turnstile, &me);
    if (status == TARS_OK) {
        turnstile->inside = true;
    } else {
        pthread_cond_broadcast(&turnstile->moved);
    }
    pthread_mutex_unlock(&turnstile->lock);
    return status;
}

void tars_turnstile_leave(struct tars_turnstile *turnstile)
{
    pthread_mutex_lock(&turnstile->lock);
    assert(turnstile->inside);
    turnstile->inside = false;
    pthread_cond_broadcast(&turnstile->moved);
    pthread_mutex_unlock(&turnstile->lock);
}
