/* refresh - see refresh.h for the contract.
 *
 * Readings are counted. Who asks needs one that begins later, and so waits for the one after that
 * which may be under way:
 *
 *     asked   1       2 3             the last one that somebody needs
 *     done      ...1      .....3      the last one that has ended
 */
#include "api/refresh.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/sys/clock.h"

struct tars_refresh {
    tars_refresh_fn *read;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t moved; /* one of the numbers; on the monotonic clock */
    uint64_t asked, done;
    int64_t begun_ms; /* of the reading under way; 0: none is */
    bool has_thread, is_closing;
};

static void *run(void *ctx)
{
    struct tars_refresh *refresh = ctx;

    pthread_mutex_lock(&refresh->lock);
    while (!refresh->is_closing) {
        uint64_t turn = refresh->asked;

        if (turn == refresh->done) {
            pthread_cond_wait(&refresh->moved, &refresh->lock);
            continue;
        }
        refresh->begun_ms = tars_clock_mono_ms();
        pthread_mutex_unlock(&refresh->lock);
        refresh->read(refresh->ctx);
        pthread_mutex_lock(&refresh->lock);
        refresh->begun_ms = 0;
        refresh->done = turn;
        pthread_cond_broadcast(&refresh->moved);
    }
    pthread_mutex_unlock(&refresh->lock);
    return NULL;
}

bool tars_refresh_now(struct tars_refresh *refresh)
{
    struct timespec until;
    int64_t until_ms;
    uint64_t turn;
    bool is_fresh;
    int failed = 0;

    pthread_mutex_lock(&refresh->lock);
    if (!refresh->has_thread)
        refresh->has_thread = pthread_create(&refresh->thread, NULL, run, refresh) == 0;
    turn = ++refresh->asked;
    until_ms =
        (refresh->begun_ms ? refresh->begun_ms : tars_clock_mono_ms()) + TARS_REFRESH_WAIT_MS;
    until = (struct timespec){.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_cond_broadcast(&refresh->moved);
    while (refresh->has_thread && refresh->done < turn && failed == 0)
        failed = pthread_cond_timedwait(&refresh->moved, &refresh->lock, &until);
    is_fresh = refresh->done >= turn;
    pthread_mutex_unlock(&refresh->lock);
    return is_fresh;
}

tars_status tars_refresh_new(tars_refresh_fn *read, void *ctx, struct tars_refresh **refresh)
{
    struct tars_refresh *made = calloc(1, sizeof(*made));
    pthread_condattr_t attributes;

    if (!made)
        return TARS_ENOMEM;
    made->read = read;
    made->ctx = ctx;
    pthread_mutex_init(&made->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&made->moved, &attributes);
    pthread_condattr_destroy(&attributes);
    *refresh = made;
    return TARS_OK;
}

void tars_refresh_free(struct tars_refresh *refresh)
{
    if (!refresh)
        return;
    pthread_mutex_lock(&refresh->lock);
    refresh->is_closing = true;
    pthread_cond_broadcast(&refresh->moved);
    pthread_mutex_unlock(&refresh->lock);
    if (refresh->has_thread)
        pthread_join(refresh->thread, NULL);
    pthread_mutex_destroy(&refresh->lock);
    pthread_cond_destroy(&refresh->moved);
    free(refresh);
}
