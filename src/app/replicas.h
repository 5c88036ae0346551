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
    bool follows; /* the index does */
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

#endif
