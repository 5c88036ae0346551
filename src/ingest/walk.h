/* walk - every file below a folder, in order of name, without links and hidden ones. */
#ifndef TARS_INGEST_WALK_H
#define TARS_INGEST_WALK_H

#include <stdbool.h>

#include "base/status.h"

#define TARS_WALK_DEPTH_MAX 64 /* folders deeper are passed over */

enum tars_walk_kind {
    TARS_WALK_FILE,
    TARS_WALK_FOLDER,
    TARS_WALK_OTHER, /* a link, a pipe, a device */
};

/* path is lent for the call. false: stop the walk. */
typedef bool tars_walk_fn(void *ctx, const char *path, enum tars_walk_kind kind);

/* Calls each for the folder itself, then for what is in it. A folder that cannot be read, or that
 * vanishes meanwhile, is passed over, except the first: ENOTFOUND, EDENIED, EIO. */
TARS_MUST_USE tars_status tars_walk(const char *path, tars_walk_fn *each, void *ctx,
                                    struct tars_err *err);

#endif
