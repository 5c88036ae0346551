/* stores - opens the store that the settings name: a file in the data folder, or PostgreSQL. */
#ifndef TARS_APP_STORES_H
#define TARS_APP_STORES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/settings.h"
#include "base/status.h"

struct tars_store;

struct tars_stores_config {
    const struct tars_settings *settings;
    const char *data;            /* data folder */
    size_t readers;              /* threads that read at a time, about */
    bool beside;                 /* see store/store_sqlite.h */
    int64_t wait_ms;             /* for a server that is not there yet; 0: it is asked once */
    const atomic_bool *stopping; /* ends the wait when it is set; or NULL */
};

/* As tars_store_sqlite_open() or tars_store_postgres_open(); the caller closes the store. */
TARS_MUST_USE tars_status tars_stores_open(const struct tars_stores_config *config,
                                           struct tars_store **store, struct tars_err *err);
/* Are documents kept in PostgreSQL? */
bool tars_stores_is_postgres(const struct tars_settings *settings);

/* TARS_EUNSUPPORTED with a remedy where they are: for what copies the files of a data folder. */
TARS_MUST_USE tars_status tars_stores_check_file(const struct tars_settings *settings,
                                                 struct tars_err *err);

#endif
