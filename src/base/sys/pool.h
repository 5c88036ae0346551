/* pool - worker threads with one bounded queue.
 *
 * Tasks start in the order of submission. A task may submit another. _free() runs what is queued
 * and joins the threads.
 *
 * Threads   _submit() from any thread.
 */
#ifndef TARS_BASE_SYS_POOL_H
#define TARS_BASE_SYS_POOL_H

#include <stddef.h>

#include "base/status.h"

struct tars_pool;
typedef void tars_task_fn(void *ctx);

struct tars_pool_config {
    const char *name;    /* shown by ps and gdb, 15 bytes at most; required */
    size_t threads;      /* 0: one */
    size_t max_queued;   /* 0: 1024 */
    void (*enter)(void); /* runs first in each thread, or NULL */
};

TARS_MUST_USE tars_status tars_pool_new(const struct tars_pool_config *config,
                                        struct tars_pool **pool);
void tars_pool_free(struct tars_pool *pool);
/* TARS_EAGAIN when the queue is full: shed load. ctx is lent until fn returns. */
TARS_MUST_USE tars_status tars_pool_submit(struct tars_pool *pool, tars_task_fn *fn, void *ctx);
size_t tars_pool_queued(struct tars_pool *pool);

#endif
