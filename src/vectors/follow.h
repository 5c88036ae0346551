/* follow - keeps a vector back end in step with the store: a thread that reads changes and writes
 * what they did.
 *
 *     store: changes after seq  ->  passages with vectors  ->  batches  ->  back end (seq moves on)
 *
 * Begin     What is there is looked at: of which store and model, up to which change, how many
 *           vectors. What is behind is brought along from its seq. What is of another model, ahead
 *           of the store, of another history (the mark: a digest of the change that seq was), or
 *           has lost or got vectors is emptied and filled again. What another store has filled is
 *           left alone, and this one says so: two servers are at one place, or its name is wrong.
 * Filling   What was emptied is written up to the store's last change of that time, then finished
 *           (vectors.h), and is searched only after that. One that stopped in between is gone on
 *           from where it was.
 * Later     Others can reach what is there as well. It is looked at again every look_ms, when this
 *           process begins to write, and when a search found it otherwise; now and then it is
 *           counted. What is not found right is not searched until it is (vectors.h, Strangers).
 * Away      While the back end is away nothing is lost: the store has it all, and the thread goes
 *           on from seq when the server is back, after PAUSE_LEAST_MS to PAUSE_MOST_MS.
 * Several   Servers at one store and one back end may all follow: of two that write the same change
 *           one wins (TARS_EAGAIN). With may_write only one does, and the others look on.
 * Stop      free() ends a write that is under way (vectors.h, is_stopping): what was not written
 * down with its seq is written again by whoever comes next. Bounds    A batch is some hundreds of
 * windows, and the text of their passages. Threads   One of its own; all functions but new and free
 * are safe to share.
 */
#ifndef TARS_VECTORS_FOLLOW_H
#define TARS_VECTORS_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "vectors/vectors.h"

struct tars_follow;
struct tars_log;

struct tars_follow_stats {
    uint64_t seq;        /* that is there */
    uint64_t target;     /* of the store, when it was last looked at */
    uint64_t windows;    /* vectors that are there */
    uint64_t written;    /* vectors, since the start */
    uint64_t rebuilds;   /* since the start: times that it was emptied and filled again */
    uint64_t failures;   /* rounds that failed */
    bool is_filling;     /* it was emptied, and is not whole yet */
    bool is_unfinished;  /* likewise, to be finished once it is; not searched until then */
    bool is_finishing;   /* by this process, at present */
    tars_status status;  /* of the last round; TARS_EAGAIN: there was none yet */
    struct tars_err why; /* of a failure */
};

struct tars_follow_config {
    struct tars_vectors *vectors; /* required; borrowed */
    struct tars_store *store;     /* required; borrowed */
    bool (*may_write)(void *ctx); /* asked before each batch; NULL: always */
    void *may_write_ctx;
    /* Hears of each batch and round, on the thread; NULL: nobody. */
    void (*observe)(void *ctx, const struct tars_follow_stats *stats);
    void *observe_ctx;
    int64_t poll_ms;      /* how often the store is looked at without being told; 0: 1,000 */
    int64_t look_ms;      /* how often the back end is, that nothing is written to; 0: 5,000 */
    struct tars_log *log; /* NULL: silent */
};

TARS_MUST_USE tars_status tars_follow_new(const struct tars_follow_config *config,
                                          struct tars_follow **follow, struct tars_err *err);
/* Joins the thread: what is under way is given up. NULL is allowed. */
void tars_follow_free(struct tars_follow *follow);
/* Begin. The store's model has been settled. */
TARS_MUST_USE tars_status tars_follow_start(struct tars_follow *follow, struct tars_err *err);
/* There may be changes. Does not wait. NULL is allowed. */
void tars_follow_wake(struct tars_follow *follow);
/* Until change seq is there: at most timeout_ms, and not at all while the back end is away.
 * TARS_ETIMEOUT; what the last round said. */
TARS_MUST_USE tars_status tars_follow_await(struct tars_follow *follow, uint64_t seq,
                                            int64_t timeout_ms);
/* The same for who has time: as long as it moves, and still_ms after that (TARS_ETIMEOUT: as it is
 * where nobody writes), or until *stop is set (TARS_ECANCELED; NULL: never). */
TARS_MUST_USE tars_status tars_follow_await_all(struct tars_follow *follow, uint64_t seq,
                                                int64_t still_ms, const atomic_bool *stop);
/* Is there so much to write before change seq that nobody should wait for it? */
bool tars_follow_is_far(struct tars_follow *follow, uint64_t seq);
/* Until the back end was looked at once, well or not, at most timeout_ms. */
void tars_follow_await_look(struct tars_follow *follow, int64_t timeout_ms);
struct tars_follow_stats tars_follow_stats(struct tars_follow *follow);
/* TARS_OK while it is in step, or nearly; else why not, in words. */
TARS_MUST_USE tars_status tars_follow_health(struct tars_follow *follow, struct tars_err *err);

#endif
