/* vectors_embedded - the index of this process as a vector back end.
 *
 * tars_vectors_lend() has one that somebody else feeds (ingest/apply.c, with words beside the
 * vectors): it is for searching alone, and state, reset and apply are TARS_EUNSUPPORTED. This one
 * has an index of its own in a folder, saved when it is closed; nobody may be searching during a
 * reset.
 */
#ifndef TARS_VECTORS_VECTORS_EMBEDDED_H
#define TARS_VECTORS_VECTORS_EMBEDDED_H

#include "vectors/vectors.h"

/* Made where it is not there. TARS_ENOMEM, TARS_EIO. */
TARS_MUST_USE tars_status tars_vectors_embedded_open(const char *dir, struct tars_vectors **vectors,
                                                     struct tars_err *err);

#endif
