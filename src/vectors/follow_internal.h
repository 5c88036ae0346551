/* follow_internal - a follower, for the two files that are one: follow.c (the thread) and
 * follow_await.c (who waits for it, or asks how far it is). */
#ifndef TARS_VECTORS_FOLLOW_INTERNAL_H
#define TARS_VECTORS_FOLLOW_INTERNAL_H

#include <pthread.h>
#include <time.h>

#include "vectors/follow.h"

#define TARS_FOLLOW_CHANGES_AT_ONCE 256

struct tars_follow {
    struct tars_follow_config config;
    pthread_t thread;
    bool is_started;
    pthread_mutex_t lock;   /* guards what follows, to is_stopping */
    pthread_cond_t changed; /* any of it has */
    struct tars_follow_stats stats;
    bool has_looked; /* at the back end, and it is open */
    size_t waiting;  /* who waits for a change */
    bool is_woken;
    bool is_stopping;
    /* The thread's own: */
    bool is_known;             /* the back end was looked at since the last failure */
    bool was_ours;             /* it has been written by this process */
    bool wrote;                /* may_write said yes in the last round */
    uint64_t generation;       /* of what is there, when it was last found right */
    uint64_t whole_at;         /* the change with which it is to be finished, where it is not */
    int64_t looked_ms;         /* when that was */
    int looks;                 /* since it was counted */
    struct tars_vectors_of of; /* what the vectors are to be of; dim 0: the store has none */
    int64_t pause_ms;
};

static inline struct timespec tars_follow_after_ms(int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return until;
}

#endif
