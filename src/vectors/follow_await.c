/* follow_await - those who wait for a follower, or ask how far it is; see follow.h. */
#include "vectors/follow.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/sys/clock.h"
#include "vectors/follow_internal.h"

#define STEP_MS 100
#define FAR     TARS_FOLLOW_CHANGES_AT_ONCE /* changes behind that take their time */
#define NEARLY  64                          /* changes behind that are nothing to speak of */

void tars_follow_wake(struct tars_follow *follow)
{
    if (!follow)
        return;
    pthread_mutex_lock(&follow->lock);
    follow->is_woken = true;
    pthread_cond_broadcast(&follow->changed);
    pthread_mutex_unlock(&follow->lock);
}

/* The store has nothing for it, or it is there and can be found. */
static bool has_come(const struct tars_follow *follow, uint64_t seq)
{
    return follow->stats.seq >= seq && !follow->stats.is_unfinished;
}

tars_status tars_follow_await(struct tars_follow *follow, uint64_t seq, int64_t timeout_ms)
{
    struct timespec until = tars_follow_after_ms(timeout_ms);
    tars_status status = TARS_OK;

    pthread_mutex_lock(&follow->lock);
    follow->is_woken = true;
    follow->waiting++;
    pthread_cond_broadcast(&follow->changed);
    while (!has_come(follow, seq)) {
        if (follow->is_stopping ||
            (follow->stats.status != TARS_OK && follow->stats.status != TARS_EAGAIN)) {
            status = follow->is_stopping ? TARS_ECANCELED : follow->stats.status;
            break;
        }
        if (pthread_cond_timedwait(&follow->changed, &follow->lock, &until) != 0) {
            status = TARS_ETIMEOUT;
            break;
        }
    }
    follow->waiting--;
    pthread_mutex_unlock(&follow->lock);
    return status;
}

tars_status tars_follow_await_all(struct tars_follow *follow, uint64_t seq, int64_t still_ms,
                                  const atomic_bool *stop)
{
    uint64_t last = tars_follow_stats(follow).seq;
    int64_t moved_ms = tars_clock_mono_ms();
    tars_status status;

    while ((status = tars_follow_await(follow, seq, STEP_MS)) == TARS_ETIMEOUT) {
        struct tars_follow_stats now = tars_follow_stats(follow);

        if (stop && atomic_load(stop))
            return TARS_ECANCELED;
        if (now.seq != last || now.is_finishing) {
            last = now.seq;
            moved_ms = tars_clock_mono_ms();
        } else if (tars_clock_mono_ms() - moved_ms >= still_ms) {
            return TARS_ETIMEOUT;
        }
    }
    return status;
}

bool tars_follow_is_far(struct tars_follow *follow, uint64_t seq)
{
    struct tars_follow_stats stats = tars_follow_stats(follow);

    return stats.is_unfinished || seq > stats.seq + (stats.is_filling ? NEARLY : FAR);
}

void tars_follow_await_look(struct tars_follow *follow, int64_t timeout_ms)
{
    struct timespec until = tars_follow_after_ms(timeout_ms);
    int ended = 0;

    pthread_mutex_lock(&follow->lock);
    while (follow->stats.status == TARS_EAGAIN && !follow->has_looked && ended == 0)
        ended = pthread_cond_timedwait(&follow->changed, &follow->lock, &until);
    pthread_mutex_unlock(&follow->lock);
}

struct tars_follow_stats tars_follow_stats(struct tars_follow *follow)
{
    struct tars_follow_stats stats;

    pthread_mutex_lock(&follow->lock);
    stats = follow->stats;
    pthread_mutex_unlock(&follow->lock);
    return stats;
}

tars_status tars_follow_health(struct tars_follow *follow, struct tars_err *err)
{
    const char *name = follow->config.vectors->ops->name;
    struct tars_follow_stats stats = tars_follow_stats(follow);

    if (stats.status != TARS_OK && stats.status != TARS_EAGAIN)
        return tars_fail(stats.status, err, "%s: %s", name, stats.why.text);
    if (stats.is_finishing)
        return tars_fail(TARS_EUNAVAILABLE, err, "%s is full, and its index is being made", name);
    if (stats.is_filling || stats.is_unfinished || stats.seq + NEARLY < stats.target) {
        return tars_fail(TARS_EUNAVAILABLE, err,
                         "%s is being filled: change %" PRIu64 " of %" PRIu64, name, stats.seq,
                         stats.target);
    }
    if (stats.status == TARS_EAGAIN)
        return tars_fail(TARS_EUNAVAILABLE, err, "%s has not been looked at yet", name);
    return TARS_OK;
}
