/* lifecycle - signals into a clean stop.
 *
 * SIGINT, SIGTERM and SIGHUP are taken by one thread. The first one sets the flag of whoever is at
 * work and wakes who waits; the second one ends the process at once, with the status 128 + its
 * number, which loses nothing that was acknowledged: the store survives it. For who says so, SIGHUP
 * asks for settings to be read again instead; with nohup it means nothing. SIGPIPE is ignored; a
 * lost reader is an error of the write.
 *
 * Make it in main, before any other thread: they inherit that the signals are blocked.
 */
#ifndef TARS_APP_LIFECYCLE_H
#define TARS_APP_LIFECYCLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct tars_lifecycle;

TARS_MUST_USE tars_status tars_lifecycle_new(struct tars_lifecycle **lifecycle);
void tars_lifecycle_free(struct tars_lifecycle *lifecycle);

/* True once a signal has come. */
bool tars_lifecycle_is_over(const struct tars_lifecycle *lifecycle);
/* The flag itself, for those who look at it; lent. */
atomic_bool *tars_lifecycle_flag(struct tars_lifecycle *lifecycle);
/* Also set this flag when a signal comes (at once if it came already); NULL: no longer. The shape
 * is that of struct tars_api_request's begin; ctx is the lifecycle. */
void tars_lifecycle_follow(void *ctx, atomic_bool *flag);
/* Wait for a signal, at most timeout_ms (negative: for ever), or until a reload is asked for. True
 * when a signal to stop has come. */
bool tars_lifecycle_wait(struct tars_lifecycle *lifecycle, int64_t timeout_ms);
/* From now on SIGHUP asks for a reload. */
void tars_lifecycle_reloads(struct tars_lifecycle *lifecycle);
/* True once after SIGHUP came, however often. */
bool tars_lifecycle_take_reload(struct tars_lifecycle *lifecycle);

#endif
