/* replicas - this server as one of several on a store: it hears what the others do, and does as if
 * it had done it itself.
 *
 *     store/store_postgres_watch -> documents   the index replays, on a thread of its own
 *                                -> rights      read again; limits of tenants, too
 *                                -> revoked     remembered
 *                                -> cancelled   the job that runs here stops
 *
 * Threads   Safe to share.
 */
#ifndef TARS_APP_REPLICAS_H
#define TARS_APP_REPLICAS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "obs/log.h"
#include "obs/metrics.h"

struct tars_auth;
struct tars_index;
struct tars_ingest;
struct tars_quota;
struct tars_replicas;
struct tars_store;

/* All but log are required, and borrowed until the closing. */
struct tars_replicas_config {
    struct tars_store *store; /* in PostgreSQL, and shared */
    struct tars_index *index;
    struct tars_ingest *ingest;
    struct tars_auth *auth;
    struct tars_quota *quota;
    struct tars_metrics *metrics;
    struct tars_log *log;
    bool may_lead;
    bool follows;       /* the index does */
    int64_t offline_ms; /* without the store, after which nothing is answered; 0: no bound */
};

TARS_MUST_USE tars_status tars_replicas_open(const struct tars_replicas_config *config,
                                             struct tars_replicas **replicas, struct tars_err *err);
/* NULL is allowed. */
void tars_replicas_close(struct tars_replicas *replicas);

/* Is what only one server does for this one to do? NULL: yes. */
bool tars_replicas_leads(struct tars_replicas *replicas);
/* TARS_OK, or why this server cannot hear of the others. NULL: there are none to hear of. */
TARS_MUST_USE tars_status tars_replicas_health(struct tars_replicas *replicas,
                                               struct tars_err *err);
/* TARS_OK, or words for who asks. TARS_EUNAVAILABLE: what this server knows of documents and rights
 * is too old to be relied on; TARS_EMISMATCH: it is of a past that the store has given up, and only
 * a new start mends it. Cheap. NULL: TARS_OK. */
TARS_MUST_USE tars_status tars_replicas_may_answer(struct tars_replicas *replicas,
                                                   struct tars_err *err);
/* The index has seen changes that the store does not have: it must not be saved. NULL: false. */
bool tars_replicas_went_back(const struct tars_replicas *replicas);

#endif
