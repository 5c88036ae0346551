/* roots - which paths of the server a caller may have it read.
 *
 *     TARS_ROOTS          folders that anybody may name who may write, in the tenant TARS_TENANT
 *     settings.roots      of a tenant: of these folders, those that are its own. Other tenants than
 *                         TARS_TENANT have none but these: what lies beside is somebody else's.
 *
 * Links are resolved first, and a file is opened without following any (ingest/files.c), so that
 * none can be put there in between. The owner may name any path.
 */
#ifndef TARS_API_ROOTS_H
#define TARS_API_ROOTS_H

#include "api/exchange.h"

/* The real path, in the call's arena; NULL: not permitted, and nothing about what is there is told.
 * Touches the disk. */
const char *tars_roots_permitted(struct tars_exchange *ex, const char *path);

#endif
