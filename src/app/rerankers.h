/* rerankers - which reranker the settings ask for; for the server and for `tars doctor`. */
#ifndef TARS_APP_RERANKERS_H
#define TARS_APP_RERANKERS_H

#include <stdbool.h>

#include "app/settings.h"
#include "base/mem/arena.h"
#include "base/status.h"

struct tars_client;
struct tars_reranker;

/* RERANK_URL is set, and reranking is not switched off. */
bool tars_rerankers_is_remote(const struct tars_settings *settings);

/* Somebody named one: it is missed when it cannot be had. */
bool tars_rerankers_was_asked_for(const struct tars_settings *settings);

/* client: required where _is_remote(), borrowed for the reranker's life. data: the data folder,
 * where the digest of the weights is remembered; texts live in arena.
 *
 *   TARS_ENOTFOUND   there is none: it is switched off, or its folder is nowhere; err says which
 *   others           what is there cannot be used
 */
TARS_MUST_USE tars_status tars_rerankers_open(const struct tars_settings *settings,
                                              const char *data, struct tars_client *client,
                                              struct tars_arena *arena,
                                              struct tars_reranker **reranker,
                                              struct tars_err *err);

#endif
