/* call - what travels with one question from its arrival to its last byte.
 *
 * The owner (a route, a command, a test) puts it on its stack or in its arena and every room below
 * borrows it. cancelled may be set by any thread; all else belongs to the thread that runs the
 * call.
 */
#ifndef TARS_OBS_CALL_H
#define TARS_OBS_CALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem/arena.h"
#include "base/sys/clock.h"
#include "obs/trace_context.h"

#define TARS_REQUEST_ID_BYTES 65 /* 64 characters and a NUL; those made here are 32 hex digits */

/* Which collections a call may read, by their keys in the store (store/accounts.h). It travels with
 * the call, so that no room below has to be told, or can forget to ask. */
struct tars_visible {
    bool all;                /* every collection of every tenant: the owner's own commands */
    const char *const *keys; /* (count,) ascending by strcmp; borrowed for the call */
    size_t count;
};

/* May a collection be read? visible NULL: no. */
static inline bool tars_visible_has(const struct tars_visible *visible, const char *key)
{
    size_t low = 0;
    size_t high = visible ? visible->count : 0;

    if (visible && visible->all)
        return true;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(visible->keys[middle], key);

        if (order == 0)
            return true;
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

struct tars_call {
    struct tars_arena *arena;               /* lives as long as the call */
    int64_t deadline_ms;                    /* on tars_clock_mono_ms(); 0: none */
    atomic_bool cancelled;                  /* the asker went away or said stop */
    char request_id[TARS_REQUEST_ID_BYTES]; /* letters, digits, "-_."; terminated */
    struct tars_trace trace;                /* has an id for every request, recorded or not */
    const char *client_id;                  /* who asks; "anonymous" when unknown; borrowed */
    const char *tenant;                     /* of who asks; NULL: the default one; borrowed */
    const struct tars_visible *visible;     /* NULL: nothing may be read; borrowed */
};

/* True when the call should stop: cancelled, or past its deadline. Cheap enough for inner loops. */
static inline bool tars_call_is_over(struct tars_call *call)
{
    return atomic_load_explicit(&call->cancelled, memory_order_relaxed) ||
           (call->deadline_ms && tars_clock_mono_ms() >= call->deadline_ms);
}

#endif
