/* store_postgres_watch - what other servers do in a store that they share, and which of them leads.
 *
 *     thread, with a connection of its own:
 *         LISTEN -> look -> wait until somebody tells, or LOOK_MS -> look -> ...
 *     look:  number of the last change | rights | revoked tokens | our jobs that were cancelled
 *            | do we lead?
 *
 * Hearing   By NOTIFY within milliseconds, else by the next look (behind a pooler always). Whatever
 *           happened while there was no connection is heard at the first look after it.
 * Leader    One at most: who has the advisory lock LEADER_LOCK of a session. It goes with the
 *           session: when the process dies, at once; when it hangs or is cut off, after
 *           TARS_WATCH_SESSION_MS, since the server ends sessions that are silent for so long
 *           (PostgreSQL 14 on; before, when its keepalive finds out). It does not lead from the
 *           moment at which it finds the connection gone. Behind a pooler a row with a lease of
 *           TARS_WATCH_SESSION_MS does instead. By its own clock it leads for a part of that time
 *           after the last whole look, and no longer, whatever its thread waits for.
 * Deaf      Without a whole look for some seconds it does not count as connected. One that paused
 *           (stopped, swapped out, a machine that slept) is told of rights anew, by the server's
 *           clock.
 * Threads   The functions told run on its thread, one at a time, and should not take long. _state()
 *           from any.
 */
#ifndef TARS_STORE_STORE_POSTGRES_WATCH_H
#define TARS_STORE_STORE_POSTGRES_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "store/store.h"

#define TARS_WATCH_LOOK_MS    1000
#define TARS_WATCH_SESSION_MS 15000

struct tars_store_watch;

struct tars_store_watch_state {
    bool is_connected, is_leader;
    uint64_t seq;      /* of the last look */
    uint64_t looks;    /* that were answered; seq is of the last */
    int64_t heard_ms;  /* when the last whole look began, or the watch itself; CLOCK_BOOTTIME */
    int64_t silent_ms; /* since then */
    int64_t servers;   /* that share the store and are alive, ourselves among them */
    struct tars_err why;
};

/* All are required. */
struct tars_store_watch_config {
    /* At each look: state->seq is the last change of documents. And where one could not be had. */
    void (*looked)(void *ctx, const struct tars_store_watch_state *state);
    /* Who may do what has changed, or may have; it is read elsewhere, not here. What is not TARS_OK
     * is told again at the next look. */
    tars_status (*access)(void *ctx);
    /* A token was revoked within the last minute; told more than once. */
    void (*revoked)(void *ctx, const char *id, int64_t expires_us);
    /* A job that this process runs is not wanted any more; told until it has ended. */
    void (*cancelled)(void *ctx, int64_t job_id);
    void *ctx;
    int64_t look_ms;  /* 0: TARS_WATCH_LOOK_MS */
    int64_t pause_ms; /* between looks, after which rights are told anew; 0: 30,000 */
    bool may_lead;
};

/* store: one in PostgreSQL, borrowed until _close(); EINVAL for another. */
TARS_MUST_USE tars_status tars_store_watch_open(struct tars_store *store,
                                                const struct tars_store_watch_config *config,
                                                struct tars_store_watch **watch,
                                                struct tars_err *err);
/* Joins the thread, and leads no more. NULL is allowed. */
void tars_store_watch_close(struct tars_store_watch *watch);
/* Look now, in place of at the next time. Any thread; does not wait. */
void tars_store_watch_wake(struct tars_store_watch *watch);
struct tars_store_watch_state tars_store_watch_state(struct tars_store_watch *watch);
/* Cheap; NULL: true, since who is alone leads. */
bool tars_store_watch_leads(struct tars_store_watch *watch);

#endif
