/* stores - see stores.h for the contract. */
#include "app/stores.h"

#include <string.h>
#include <unistd.h>

#include "app/alike.h"
#include "app/postgres.h"
#include "base/sys/clock.h"
#include "store/store_postgres.h"
#include "store/store_sqlite.h"
#include "store/transfer.h"

#define ARENA_MAX ((size_t)64 << 10)
#define LOOK_US   250000 /* between tries of a server that is not there yet */

bool tars_stores_is_postgres(const struct tars_settings *settings)
{
    return strcmp(tars_settings_text(settings, TARS_SET_STORE), "postgres") == 0;
}

bool tars_stores_is_shared(const struct tars_settings *settings)
{
    return tars_settings_flag(settings, TARS_SET_STORE_SHARED);
}

tars_status tars_stores_check_file(const struct tars_settings *settings, struct tars_err *err)
{
    if (!tars_stores_is_postgres(settings))
        return TARS_OK;
    return tars_fail(TARS_EUNSUPPORTED, err,
                     "documents and accounts are in PostgreSQL (STORE=postgres), not in the data "
                     "folder: copy them by pg_dump --schema=tars and pg_restore");
}

struct tars_store_postgres_config tars_stores_postgres(const struct tars_settings *settings)
{
    const char *database = tars_settings_text(settings, TARS_SET_STORE_DB);
    struct tars_store_postgres_config config = {.pool = tars_postgres_config(settings)};

    if (database[0])
        config.pool.server.database = database;
    config.pool.server.is_pooled = tars_settings_flag(settings, TARS_SET_STORE_POOLER);
    return config;
}

tars_status tars_stores_index_dir(const struct tars_settings *settings, struct tars_store *store,
                                  const char *data, struct tars_arena *arena, const char **dir,
                                  struct tars_err *err)
{
    const char *id = NULL;
    const char *made;
    tars_status status = TARS_OK;

    if (tars_stores_is_postgres(settings))
        status = tars_store_meta_get(store, "store.id", arena, &id, err);
    if (status != TARS_OK)
        return status;
    made = id ? tars_arena_printf(arena, "%s/index-%.16s", data, id)
              : tars_arena_printf(arena, "%s/index", data);
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the index");
    *dir = made;
    return TARS_OK;
}

static tars_status open_postgres(const struct tars_stores_config *config, struct tars_store **store,
                                 struct tars_err *err)
{
    struct tars_store_postgres_config postgres = tars_stores_postgres(config->settings);
    int64_t until_ms = tars_clock_mono_ms() + config->wait_ms;
    struct tars_err why = {{0}};
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, ARENA_MAX);
    postgres.settings = tars_alike_text(config->settings, &arena);
    postgres.dir = config->data;
    postgres.beside = config->beside;
    postgres.shared = tars_stores_is_shared(config->settings) && !config->alone;
    for (;;) {
        bool is_away;

        status = tars_store_postgres_open(&postgres, store, &why);
        is_away = status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT;
        if (!is_away || tars_clock_mono_ms() >= until_ms ||
            (config->stopping && atomic_load(config->stopping)))
            break;
        (void)usleep(LOOK_US);
    }
    tars_arena_release(&arena);
    return status == TARS_OK ? status : tars_fail(status, err, "the store: %s", why.text);
}

static tars_status open_any(const struct tars_stores_config *config, struct tars_store **store,
                            struct tars_err *err)
{
    const struct tars_store_sqlite_config sqlite = {
        .dir = config->data, .readers = config->readers, .beside = config->beside};

    if (tars_stores_is_postgres(config->settings))
        return open_postgres(config, store, err);
    if (tars_stores_is_shared(config->settings)) {
        return tars_fail(TARS_EINVAL, err,
                         "STORE_SHARED is true and STORE is sqlite: a file is for one server; "
                         "expected STORE=postgres, or STORE_SHARED=false");
    }
    return tars_store_sqlite_open(&sqlite, store, err);
}

tars_status tars_stores_open(const struct tars_stores_config *config, struct tars_store **store,
                             struct tars_err *err)
{
    struct tars_store *opened = NULL;
    tars_status status = open_any(config, &opened, err);

    if (status == TARS_OK)
        status = tars_store_check_moved(opened, err);
    if (status != TARS_OK) {
        tars_store_close(opened);
        return status;
    }
    *store = opened;
    return TARS_OK;
}
