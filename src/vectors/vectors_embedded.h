/* vectors_embedded - the index of this process as a vector back end.
 *
 * It lends an index that somebody else feeds (ingest/apply.c, with words beside the vectors): then
 * it is for searching alone, and state, reset and apply are TARS_EUNSUPPORTED. Or it has an index
 * of its own in a folder, saved when it is closed; then nobody may be searching during a reset.
 */
#ifndef TARS_VECTORS_VECTORS_EMBEDDED_H
#define TARS_VECTORS_VECTORS_EMBEDDED_H

#include "vectors/vectors.h"

struct tars_vectors_embedded_config {
    struct tars_index *index; /* borrowed; NULL: one of its own */
    const char *dir;          /* of its own; borrowed */
};

/* TARS_EINVAL: neither, TARS_ENOMEM, TARS_EIO. */
TARS_MUST_USE tars_status
tars_vectors_embedded_open(const struct tars_vectors_embedded_config *config,
                           struct tars_vectors **vectors, struct tars_err *err);

#endif
