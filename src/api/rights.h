/* rights - what a caller may read and change, as the service wants to have it; names of collections
 * into keys and back. Who the caller is has been decided before (ex->caller). */
#ifndef TARS_API_RIGHTS_H
#define TARS_API_RIGHTS_H

#include <stdbool.h>

#include "api/exchange.h"

/* What the caller may read; never NULL. */
const struct tars_visible *tars_api_visible(const struct tars_exchange *ex);
/* What the caller may change: lent as long as the exchange. */
struct tars_visible tars_api_writable(const struct tars_exchange *ex);

/* The key of the collection called name ("" or NULL: the default one of the caller's tenant), that
 * the caller may read, or change. False: there is none, or no right, which is the same to a caller;
 * the reply is given. Who sees all tenants may give a key, too. */
bool tars_api_collection(struct tars_exchange *ex, const char *name, bool writes, const char **key);
/* Likewise for questions: without a name, *key is NULL, for all that may be read. */
bool tars_api_narrow(struct tars_exchange *ex, const char *name, const char **key);

/* May the caller be told of the whole server: sums over all tenants, names of tenants? */
bool tars_api_sees_server(const struct tars_exchange *ex);
struct tars_nas_view;
/* The watched folder. Who may not read what is taken in from there learns that it is watched. */
void tars_api_watched(const struct tars_exchange *ex, struct tars_nas_view *view);

/* What the caller calls the collection with this key: its name in their tenant; for who sees all
 * tenants, "tenant/name". */
const char *tars_api_collection_name(const struct tars_exchange *ex, const char *key);

#endif
