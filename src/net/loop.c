/* loop - see loop.h for the contract. */
#include "net/loop.h"

#include <signal.h>
#include <stddef.h>

static struct tars_loop_job *take_first(struct tars_loop *loop)
{
    struct tars_loop_job *job;

    uv_mutex_lock(&loop->lock);
    job = loop->first;
    if (job) {
        loop->first = job->next;
        if (!loop->first)
            loop->last = NULL;
        job->is_queued = false; /* from here on it may be posted again */
    }
    uv_mutex_unlock(&loop->lock);
    return job;
}

static bool should_quit(struct tars_loop *loop)
{
    bool quit;

    uv_mutex_lock(&loop->lock);
    quit = loop->is_quitting && !loop->first;
    uv_mutex_unlock(&loop->lock);
    return quit;
}

static void woken(uv_async_t *wake)
{
    struct tars_loop *loop = wake->data;
    struct tars_loop_job *job;

    while ((job = take_first(loop)) != NULL)
        job->run(job);
    if (should_quit(loop)) {
        uv_close((uv_handle_t *)&loop->tick, NULL);
        uv_close((uv_handle_t *)&loop->wake, NULL);
    }
}

static void ticked(uv_timer_t *tick)
{
    struct tars_loop *loop = tick->data;

    loop->on_tick(loop->tick_ctx);
}

/* A connection that its peer has closed is found by the failure of a write; SIGPIPE, which comes
 * with that failure, would end the process. */
static void block_pipe_signal(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void run(void *arg)
{
    struct tars_loop *loop = arg;

    block_pipe_signal();
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

tars_status tars_loop_init(struct tars_loop *loop, void (*on_tick)(void *ctx), void *tick_ctx,
                           uint64_t tick_ms)
{
    *loop = (struct tars_loop){.on_tick = on_tick, .tick_ctx = tick_ctx};
    if (uv_loop_init(&loop->uv))
        return TARS_ENOMEM;
    if (uv_mutex_init(&loop->lock)) {
        uv_loop_close(&loop->uv);
        return TARS_ENOMEM;
    }
    if (uv_async_init(&loop->uv, &loop->wake, woken)) {
        uv_mutex_destroy(&loop->lock);
        uv_loop_close(&loop->uv);
        return TARS_EIO;
    }
    loop->wake.data = loop;
    uv_timer_init(&loop->uv, &loop->tick);
    loop->tick.data = loop;
    uv_timer_start(&loop->tick, ticked, tick_ms, tick_ms);
    return TARS_OK;
}

tars_status tars_loop_start(struct tars_loop *loop)
{
    loop->has_thread = true; /* before the thread is there: it reads it */
    if (uv_thread_create(&loop->thread, run, loop)) {
        loop->has_thread = false;
        return TARS_EIO;
    }
    return TARS_OK;
}

void tars_loop_release(struct tars_loop *loop)
{
    uv_mutex_lock(&loop->lock);
    loop->is_quitting = true;
    uv_mutex_unlock(&loop->lock);
    uv_async_send(&loop->wake);
    if (loop->has_thread) {
        uv_thread_join(&loop->thread);
    } else {
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    }
    uv_loop_close(&loop->uv);
    uv_mutex_destroy(&loop->lock);
}

bool tars_loop_post(struct tars_loop *loop, struct tars_loop_job *job)
{
    uv_mutex_lock(&loop->lock);
    if (job->is_queued) {
        uv_mutex_unlock(&loop->lock);
        return false;
    }
    job->is_queued = true;
    job->next = NULL;
    if (loop->last) {
        loop->last->next = job;
    } else {
        loop->first = job;
    }
    loop->last = job;
    uv_mutex_unlock(&loop->lock);
    uv_async_send(&loop->wake);
    return true;
}

bool tars_loop_is_current(const struct tars_loop *loop)
{
    uv_thread_t self = uv_thread_self();

    return loop->has_thread && uv_thread_equal(&self, &loop->thread);
}
