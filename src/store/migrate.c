/* migrate - see migrate.h for the contract. */
#include "store/migrate.h"

#include <assert.h>

int tars_migrate_latest(const struct tars_migration *table)
{
    int latest = 0;

    for (; table->version; table++) {
        assert(table->version == latest + 1);
        latest = table->version;
    }
    return latest;
}

tars_status tars_migrate(const struct tars_migration *table, int version, tars_migrate_fn *run,
                         void *ctx, struct tars_err *err)
{
    int latest = tars_migrate_latest(table);

    if (version > latest) {
        return tars_fail(TARS_EMISMATCH, err,
                         "the store has schema %d and this program knows %d: use the newer program",
                         version, latest);
    }
    for (; table->version; table++) {
        tars_status status = TARS_OK;

        if (table->version > version)
            status = run(ctx, table, err);
        if (status)
            return status;
    }
    return TARS_OK;
}
