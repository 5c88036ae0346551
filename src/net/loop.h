/* loop - one event loop on one thread, and a way for other threads to have it do something.
 *
 * Threads   tars_loop_post() and tars_loop_is_current() from any thread, while the loop exists; uv
 *           and tick belong to the loop's thread once it runs, in which SIGPIPE is blocked.
 * Failure   Posting cannot fail: the job brings its own memory.
 */
#ifndef TARS_NET_LOOP_H
#define TARS_NET_LOOP_H

#include <stdbool.h>

#include <uv.h>

#include "base/status.h"

/* Something to be run once on the loop's thread. Lives in the poster's object. */
struct tars_loop_job {
    void (*run)(struct tars_loop_job *job);
    struct tars_loop_job *next; /* in the queue; guarded by lock */
    bool is_queued;             /* guarded by lock */
};

struct tars_loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t tick;
    uv_thread_t thread;
    bool has_thread;
    void (*on_tick)(void *ctx); /* every tick_ms, for deadlines */
    void *tick_ctx;
    uv_mutex_t lock;             /* guards first, last, is_quitting, and the jobs */
    struct tars_loop_job *first; /* queue of jobs */
    struct tars_loop_job *last;
    bool is_quitting;
};

/* Set up in place; nothing runs yet, so that handles may be added. */
TARS_MUST_USE tars_status tars_loop_init(struct tars_loop *loop, void (*on_tick)(void *ctx),
                                         void *tick_ctx, uint64_t tick_ms);
TARS_MUST_USE tars_status tars_loop_start(struct tars_loop *loop);
/* End the thread, if there is one, when its queue is empty; then free what _init() made. The owner
 * has begun to close its own handles before; they are closed when this returns. */
void tars_loop_release(struct tars_loop *loop);

/* Run job soon. False if it is in the queue already, and then it is run once only. */
bool tars_loop_post(struct tars_loop *loop, struct tars_loop_job *job);
bool tars_loop_is_current(const struct tars_loop *loop);

#endif
