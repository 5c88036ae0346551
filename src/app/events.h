/* events - hands each event of ingestion to those who wait for files of a collection below some
 * path. What other collections take in from there is nothing to them: it may be another tenant's.
 *
 * Threads   Safe to share. tars_events_post() never waits for a listener.
 * Bounds    TARS_EVENTS_MAX events wait for a listener; past that only their number is kept.
 */
#ifndef TARS_APP_EVENTS_H
#define TARS_APP_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/service.h"
#include "base/status.h"
#include "ingest/ingest.h"

#define TARS_EVENTS_MAX 65536

struct tars_events;
struct tars_listener;

TARS_MUST_USE tars_status tars_events_new(struct tars_events **events);
void tars_events_free(struct tars_events *events);

/* A tars_ingest_event_fn; ctx is the events object. */
void tars_events_post(void *ctx, const struct tars_ingest_event *event);

/* Listen for files of collection (its key; NULL: TARS_COLLECTION) at or below path; both are
 * copied.
 */
TARS_MUST_USE tars_status tars_events_listen(struct tars_events *events, const char *collection,
                                             const char *path, struct tars_listener **listener);
void tars_listener_free(struct tars_listener *listener);

/* The next event, its texts in arena; waits up to timeout_ms. TARS_ETIMEOUT, TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_listener_next(struct tars_listener *listener, int64_t timeout_ms,
                                             struct tars_arena *arena, struct tars_taken *taken);
/* Ends of jobs seen so far, those past the bound included. */
size_t tars_listener_ended(struct tars_listener *listener);

#endif
