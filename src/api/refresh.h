/* refresh - what is only known when somebody looks, read just before it is told.
 *
 * A thread of its own reads it, for reading may wait: for the store, for a disk. Who asks waits
 * TARS_REFRESH_WAIT_MS at most, counted from when the reading began that is under way, and then
 * tells the numbers of before: an exposition never stalls, and a reading that hangs costs the
 * second one who asks nothing. One reading serves all who ask before it begins.
 *
 * Threads   _now() from any thread that may wait.
 */
#ifndef TARS_API_REFRESH_H
#define TARS_API_REFRESH_H

#include <stdbool.h>

#include "base/status.h"

#define TARS_REFRESH_WAIT_MS 800

struct tars_refresh;
typedef void tars_refresh_fn(void *ctx);

/* read(ctx) is called on the thread, which begins with the first question. */
TARS_MUST_USE tars_status tars_refresh_new(tars_refresh_fn *read, void *ctx,
                                           struct tars_refresh **refresh);
/* Ends the thread, after the reading that it is at. NULL is allowed. */
void tars_refresh_free(struct tars_refresh *refresh);

/* True when they were read since the call; false: they are as of before. */
bool tars_refresh_now(struct tars_refresh *refresh);

#endif
