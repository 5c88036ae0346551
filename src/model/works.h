/* works - the memory that computations borrow: a bounded store of bert_works, lent and given back.
 *
 * Model     A work is made when one is wanted and none is idle, up to max; then whoever wants one
 *           waits. So memory is bounded however many callers there are.
 * Threads   Safe to share.
 */
#ifndef TARS_MODEL_WORKS_H
#define TARS_MODEL_WORKS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "model/bert.h"

#define TARS_WORKS_MAX     512
#define TARS_WORKS_NOW     (-1) /* instead of a time: do not wait */
#define TARS_WORKS_FOREVER 0

struct tars_works {
    pthread_mutex_t lock; /* guards idle, idle_count, made */
    pthread_cond_t freed; /* of the monotonic clock: a work came back, or may be made again */
    size_t made;          /* works that exist, lent or idle; at most max */
    size_t max;
    size_t idle_count;
    struct tars_bert_work *idle[TARS_WORKS_MAX]; /* (idle_count,) */
};

/* max over TARS_WORKS_MAX is taken as that. TARS_ENOMEM: nothing to release. */
TARS_MUST_USE tars_status tars_works_init(struct tars_works *works, size_t max);
/* All of them are back (asserted). */
void tars_works_release(struct tars_works *works);

/* A work of bert for max_tokens tokens, always the same two for one store; until_ns on the
 * monotonic clock, or TARS_WORKS_*. TARS_OK with *work NULL: none could be had in time. Else as
 * tars_bert_work_new(). */
TARS_MUST_USE tars_status tars_works_take(struct tars_works *works, const struct tars_bert *bert,
                                          size_t max_tokens, int64_t until_ns,
                                          struct tars_bert_work **work, struct tars_err *err);
void tars_works_give(struct tars_works *works, struct tars_bert_work *work);

#endif
