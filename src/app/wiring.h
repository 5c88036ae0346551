/* wiring - settings into working parts, in one place: who is made of what, and who is freed when.
 *
 *     store -> encoder -> index -> extract -> ingest -> retriever -> llm -> rag -> service -> api
 *
 * A part that may be away (embedding model, language model) costs its feature: a warning says which
 * and how to get it. A part that must be there stops the opening with words.
 */
#ifndef TARS_APP_WIRING_H
#define TARS_APP_WIRING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "api/api.h"
#include "app/settings.h"
#include "base/status.h"
#include "obs/health.h"
#include "obs/log.h"
#include "obs/metrics.h"

struct tars_store;
struct tars_encoder;
struct tars_wiring;

struct tars_wiring_config {
    const struct tars_settings *settings; /* required; borrowed for the wiring's life */
    struct tars_log *log;                 /* may be NULL; borrowed */
    bool serves;                          /* pools, watched folder, owner's token: for a server */
    bool ingests;                         /* start taking in queued jobs */
    const atomic_bool *stopping;          /* ends the waiting of the start; may be NULL */
    double (*connections)(void *ctx);     /* as in struct tars_api_config; may be NULL */
    void *connections_ctx;
};

/* Open everything. EBUSY: another process has the data folder. */
TARS_MUST_USE tars_status tars_wiring_open(const struct tars_wiring_config *config,
                                           struct tars_wiring **wiring, struct tars_err *err);
/* Stop ingestion, save the index, close all. NULL is allowed. */
void tars_wiring_close(struct tars_wiring *wiring);

/* What wants doing once an hour: what has expired is forgotten. */
void tars_wiring_tend(struct tars_wiring *wiring);

/* Go on with what may change while a server runs: the settings flagged RELOAD that parts hold. The
 * caller keeps them no longer than the call. TARS_ENOMEM: nothing was changed. */
TARS_MUST_USE tars_status tars_wiring_change(struct tars_wiring *wiring,
                                             const struct tars_settings *settings);

struct tars_api *tars_wiring_api(struct tars_wiring *wiring);
/* The data folder, and the token that server.json gives to its owner; lent. */
const char *tars_wiring_data(const struct tars_wiring *wiring);
const char *tars_wiring_token(const struct tars_wiring *wiring);
/* The address to listen on. Lent by the settings. */
const char *tars_wiring_bind(const struct tars_settings *settings);
/* What is away, for people: "" or a line each. Lent. */
const char *tars_wiring_warnings(const struct tars_wiring *wiring);

/* Embed all passages again with the model of the settings (`tars reindex`). progress may be NULL.
 * With beside, another process has the data folder and goes on with the old vectors; the next one
 * that opens it with this model goes over to the new ones. */
TARS_MUST_USE tars_status tars_wiring_reindex(const struct tars_settings *settings, bool beside,
                                              atomic_bool *cancelled,
                                              void (*progress)(void *ctx, int64_t done,
                                                               int64_t total),
                                              void *progress_ctx, struct tars_err *err);

#endif
