/* health - which parts of the program are there, and how they are.
 *
 * app registers parts when it wires them; /ready, /rag/health and `tars status` read them. A part
 * that is optional costs a feature when it is away, never readiness.
 *
 * Threads   Registering is for start-up; reading is safe from any thread afterwards, and runs the
 *           part's own check on the caller's thread.
 */
#ifndef TARS_OBS_HEALTH_H
#define TARS_OBS_HEALTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define TARS_HEALTH_PARTS_MAX 16

/* TARS_OK, or why not, in words. */
typedef tars_status tars_health_fn(void *ctx, struct tars_err *err);

struct tars_health_part {
    const char *name; /* static */
    bool optional;
    tars_health_fn *check; /* NULL: always well */
    void *ctx;             /* argument of check; borrowed for the registry's life */
};

struct tars_health {
    struct tars_health_part parts[TARS_HEALTH_PARTS_MAX];
    size_t count;
};

/* TARS_ETOOBIG when TARS_HEALTH_PARTS_MAX are there already. */
TARS_MUST_USE tars_status tars_health_add(struct tars_health *health,
                                          const struct tars_health_part *part);
/* TARS_OK, what the part says, or TARS_ENOTFOUND when no part has that name. */
TARS_MUST_USE tars_status tars_health_check(const struct tars_health *health, const char *name,
                                            struct tars_err *err);

#endif
