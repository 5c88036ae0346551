/* migrate - which numbered schema changes a store still needs.
 *
 * migrations/<back end>/NNNN_what.sql become a table in the binary. They run in order, each in one
 * transaction with the number that it brings the store to; there is no way back.
 */
#ifndef TARS_STORE_MIGRATE_H
#define TARS_STORE_MIGRATE_H

#include <stddef.h>

#include "base/status.h"

struct tars_migration {
    int version;      /* ascending from 1 without a gap; 0 ends the table */
    const char *name; /* of the file, without its ending */
    const char *sql;  /* terminated */
};

/* Made by the build; each ends with version 0. */
extern const struct tars_migration tars_migrations_sqlite[];
extern const struct tars_migration tars_migrations_sqlite_analytics[];
extern const struct tars_migration tars_migrations_postgres[];
extern const struct tars_migration tars_migrations_postgres_analytics[];

/* Does one migration, in one transaction, and records its version. */
typedef tars_status tars_migrate_fn(void *ctx, const struct tars_migration *migration,
                                    struct tars_err *err);

/* Run those of the table that come after version; the first failure ends it.
 *
 *   TARS_EMISMATCH  version is past the table: a newer program made the store
 */
TARS_MUST_USE tars_status tars_migrate(const struct tars_migration *table, int version,
                                       tars_migrate_fn *run, void *ctx, struct tars_err *err);
/* The last version of the table; 0 when it is empty. */
int tars_migrate_latest(const struct tars_migration *table);

#endif
