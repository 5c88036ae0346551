/* pool - see pool.h.
 *
 * A ring of tasks under one mutex. Tasks here are milliseconds long, so the lock is not what costs;
 * a ring of fixed size is what makes a full queue an answer instead of a growing heap.
 */
#include "base/sys/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUED_DEFAULT 1024
#define THREADS_MAX    1024
#define QUEUED_MAX     ((size_t)1 << 24)

struct task {
    tars_task_fn *fn;
    void *ctx;
};

struct tars_pool {
    pthread_mutex_t lock; /* guards head, count, stopping */
    pthread_cond_t wake;  /* count grew, or stopping */
    struct task *ring;    /* (max_queued,) */
    size_t max_queued;
    size_t head;  /* next to run */
    size_t count; /* queued */
    bool stopping;
    void (*enter)(void);
    char name[16];
    size_t threads;
    pthread_t thread[]; /* (threads,) */
};

/* The next task, or fn NULL when the pool stops and nothing is left. */
static struct task take(struct tars_pool *pool)
{
    struct task task = {0};

    (void)pthread_mutex_lock(&pool->lock);
    while (pool->count == 0 && !pool->stopping)
        (void)pthread_cond_wait(&pool->wake, &pool->lock);
    if (pool->count > 0) {
        task = pool->ring[pool->head];
        pool->head = (pool->head + 1) % pool->max_queued;
        pool->count--;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return task;
}

static void *work(void *ctx)
{
    struct tars_pool *pool = ctx;
    struct task task;

    (void)pthread_setname_np(pthread_self(), pool->name);
    if (pool->enter)
        pool->enter();
    for (task = take(pool); task.fn; task = take(pool))
        task.fn(task.ctx);
    return NULL;
}

static void stop(struct tars_pool *pool, size_t started)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    (void)pthread_cond_broadcast(&pool->wake);
    (void)pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(pool->thread[i], NULL);
    (void)pthread_cond_destroy(&pool->wake);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool->ring);
    free(pool);
}

tars_status tars_pool_new(const struct tars_pool_config *config, struct tars_pool **pool)
{
    size_t threads = config->threads ? config->threads : 1;
    size_t max_queued = config->max_queued ? config->max_queued : QUEUED_DEFAULT;
    struct tars_pool *made;

    if (!config->name || threads > THREADS_MAX || max_queued > QUEUED_MAX)
        return TARS_EINVAL;
    made = calloc(1, sizeof(*made) + threads * sizeof(made->thread[0]));
    if (!made)
        return TARS_ENOMEM;
    made->ring = calloc(max_queued, sizeof(made->ring[0]));
    if (!made->ring) {
        free(made);
        return TARS_ENOMEM;
    }
    made->max_queued = max_queued;
    made->threads = threads;
    made->enter = config->enter;
    (void)snprintf(made->name, sizeof(made->name), "%s", config->name);
    (void)pthread_mutex_init(&made->lock, NULL);
    (void)pthread_cond_init(&made->wake, NULL);
    for (size_t i = 0; i < threads; i++) {
        if (pthread_create(&made->thread[i], NULL, work, made) != 0) {
            stop(made, i);
            return TARS_ENOMEM;
        }
    }
    *pool = made;
    return TARS_OK;
}

void tars_pool_free(struct tars_pool *pool)
{
    if (pool)
        stop(pool, pool->threads);
}

tars_status tars_pool_submit(struct tars_pool *pool, tars_task_fn *fn, void *ctx)
{
    tars_status status = TARS_EAGAIN;

    (void)pthread_mutex_lock(&pool->lock);
    if (pool->count < pool->max_queued) {
        pool->ring[(pool->head + pool->count) % pool->max_queued] = (struct task){fn, ctx};
        pool->count++;
        (void)pthread_cond_signal(&pool->wake);
        status = TARS_OK;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return status;
}

size_t tars_pool_queued(struct tars_pool *pool)
{
    size_t count;

    (void)pthread_mutex_lock(&pool->lock);
    count = pool->count;
    (void)pthread_mutex_unlock(&pool->lock);
    return count;
}
