/* vector_backends - where the settings want vectors; for the server and for `tars doctor`. */
#ifndef TARS_APP_VECTOR_BACKENDS_H
#define TARS_APP_VECTOR_BACKENDS_H

#include <stdbool.h>

#include "app/settings.h"
#include "base/status.h"
#include "store/postgres_pool.h"

struct tars_vectors;

/* In a server, not in the index of this process. */
bool tars_vector_backends_is_elsewhere(const struct tars_settings *settings);
/* How to reach the PostgreSQL that has pgvector; texts are lent by settings. */
struct tars_pg_pool_config tars_vector_backends_postgres(const struct tars_settings *settings);

/* Open that of the settings, where it is elsewhere; settings are borrowed for its life. Connects to
 * nobody yet. */
TARS_MUST_USE tars_status tars_vector_backends_open(const struct tars_settings *settings,
                                                    struct tars_vectors **vectors,
                                                    struct tars_err *err);
/* Is it fit for vectors? TARS_EUNSUPPORTED, TARS_EFORMAT with a remedy; EUNAVAILABLE, ETIMEOUT: it
 * is away. */
TARS_MUST_USE tars_status tars_vector_backends_check(struct tars_vectors *vectors,
                                                     struct tars_err *err);

#endif
