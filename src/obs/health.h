/* health - which parts of the program are there, and how they are.
 *
 * app registers parts when it wires them; /ready, /rag/health and `tars status` read them. A part
 * that is optional costs a feature when it is away, never readiness.
 *
 * Slow      A check that may wait (for a disk, for a server elsewhere) runs on a thread of its own,
 *           one a part, which begins with the first question. Who asks waits for it
 *           TARS_HEALTH_WAIT_MS at most, counted from when that check began: a part that hangs is
 *           "has not answered", and costs the second one who asks nothing. One check serves all
 *           who ask meanwhile, and its answer is good for TARS_HEALTH_FRESH_MS. While nobody asks,
 *           nothing is checked.
 * Threads   Registering is for start-up; reading is safe from any thread afterwards. The check of a
 *           part that is not slow runs on the caller's thread, and must not wait.
 */
#ifndef TARS_OBS_HEALTH_H
#define TARS_OBS_HEALTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define TARS_HEALTH_PARTS_MAX 16
#define TARS_HEALTH_WAIT_MS   800
#define TARS_HEALTH_FRESH_MS  500

/* TARS_OK, or why not, in words. */
typedef tars_status tars_health_fn(void *ctx, struct tars_err *err);

struct tars_health_watch;

struct tars_health_part {
    const char *name;      /* static */
    tars_health_fn *check; /* NULL: always well */
    void *ctx;             /* argument of check; borrowed for the registry's life */
    bool optional;
    bool slow; /* check may wait */

    struct tars_health_watch *watch; /* of a slow part; made by _add() */
};

/* Empty when it is all zeros. */
struct tars_health {
    struct tars_health_part parts[TARS_HEALTH_PARTS_MAX];
    size_t count;
};

/* TARS_ETOOBIG when TARS_HEALTH_PARTS_MAX are there already; TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_health_add(struct tars_health *health,
                                          const struct tars_health_part *part);
/* Ends the threads of slow parts, each after the check that it is at. */
void tars_health_release(struct tars_health *health);

/* Have every slow part looked at, so that their answers come together. Does not wait. */
void tars_health_begin(const struct tars_health *health);
/* TARS_OK, what the part says, TARS_ETIMEOUT when it did not answer in time, or TARS_ENOTFOUND when
 * no part has that name. */
TARS_MUST_USE tars_status tars_health_check(const struct tars_health *health, const char *name,
                                            struct tars_err *err);

#endif
