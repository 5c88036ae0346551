/* stores - opens the store that the settings name: a file in the data folder, or PostgreSQL. */
#ifndef TARS_APP_STORES_H
#define TARS_APP_STORES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/settings.h"
#include "base/mem/arena.h"
#include "base/status.h"
#include "store/store_postgres.h"

struct tars_stores_config {
    const struct tars_settings *settings;
    const char *data;            /* data folder */
    size_t readers;              /* threads that read at a time, about */
    bool beside;                 /* see store/store_sqlite.h */
    bool alone;                  /* also where it may be shared */
    int64_t wait_ms;             /* for a server that is not there yet; 0: it is asked once */
    const atomic_bool *stopping; /* ends the wait when it is set; or NULL */
};

/* As tars_store_sqlite_open() or tars_store_postgres_open(); the caller closes the store. */
TARS_MUST_USE tars_status tars_stores_open(const struct tars_stores_config *config,
                                           struct tars_store **store, struct tars_err *err);
/* How to open the one in PostgreSQL, without a data folder; texts are lent by settings. */
struct tars_store_postgres_config tars_stores_postgres(const struct tars_settings *settings);
/* The folder of the index of this store, in the arena: each store in PostgreSQL has one of its own,
 * since the numbers in it mean nothing in another. */
TARS_MUST_USE tars_status tars_stores_index_dir(const struct tars_settings *settings,
                                                struct tars_store *store, const char *data,
                                                struct tars_arena *arena, const char **dir,
                                                struct tars_err *err);
/* Are documents kept in PostgreSQL? */
bool tars_stores_is_postgres(const struct tars_settings *settings);

/* May other servers use it at the same time? */
bool tars_stores_is_shared(const struct tars_settings *settings);

/* TARS_EUNSUPPORTED with a remedy where they are: for what copies the files of a data folder. */
TARS_MUST_USE tars_status tars_stores_check_file(const struct tars_settings *settings,
                                                 struct tars_err *err);

#endif
