/* world - a store of its own and an arena, for the contracts that every back end passes. A test
 * program runs its tests once for each back end (run_each); a new one adds a line to the list.
 * Included by one test program each.
 */
#ifndef TARS_TESTS_UNIT_STORE_WORLD_H
#define TARS_TESTS_UNIT_STORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "store/store_postgres.h"
#include "store/store_sqlite.h"
#include "support/files.h"
#include "support/postgres.h"

struct world {
    char dir[FILES_PATH_MAX];
    struct tars_store *store;
    struct tars_arena arena;
};

/* ---------------------------------------------------------------- back ends */

static struct tars_store *open_sqlite(const char *dir)
{
    struct tars_store_sqlite_config config = {.dir = dir};
    struct tars_store *store = NULL;
    struct tars_err err = {.text = ""};

    if (tars_store_sqlite_open(&config, &store, &err))
        fail_msg("%s", err.text);
    return store;
}

#define DATABASE "tars_analytics" /* the one that is there */

static struct postgres server; /* one for all tests of the program; one store at a time */

static inline struct tars_store_postgres_config postgres_store(const char *dir)
{
    return (struct tars_store_postgres_config){
        .pool = {.server = postgres_config(&server, DATABASE), .size = 8, .ping_ms = -1},
        .dir = dir,
    };
}

static inline struct tars_store *open_with(const struct tars_store_postgres_config *config)
{
    struct tars_store *store = NULL;
    struct tars_err err = {.text = ""};

    if (tars_store_postgres_open(config, &store, &err))
        fail_msg("%s", err.text);
    return store;
}

static struct tars_store *open_postgres(const char *dir)
{
    const struct tars_store_postgres_config config = postgres_store(dir);

    return open_with(&config);
}

/* As through a pooler that lends its connections for a transaction. */
static struct tars_store *open_pooled(const char *dir)
{
    struct tars_store_postgres_config config = postgres_store(dir);

    config.pool.server.is_pooled = true;
    return open_with(&config);
}

static void nothing(void)
{
}

/* Much quicker than a database each. */
static void drop_schema(void)
{
    const struct tars_pg_config config = postgres_config(&server, DATABASE);
    struct tars_pg_conn conn;
    struct tars_err err = {.text = ""};

    if (tars_pg_open(&conn, &config, NULL, &err) ||
        tars_pg_exec(&conn, "DROP SCHEMA IF EXISTS tars CASCADE", &err))
        fail_msg("%s", err.text);
    tars_pg_close(&conn);
}

static const struct {
    const char *name;
    bool is_server;
    struct tars_store *(*open)(const char *dir);
    void (*drop)(void); /* all that is not in the folder */
} back_ends[] = {
    {"sqlite", false, open_sqlite, nothing},
    {"postgres", true, open_postgres, drop_schema},
    {"postgres, pooled", true, open_pooled, drop_schema},
};

static size_t back_end; /* which of them is tested now */

/* Run (tests, count) for each back end; the sum of failures. */
static inline int run_each(const struct CMUnitTest *tests, size_t count)
{
    int failed = 0;

    for (back_end = 0; back_end < sizeof(back_ends) / sizeof(back_ends[0]); back_end++) {
        if (back_ends[back_end].is_server && !server.pid)
            postgres_open(&server, NULL, NULL);
        failed += _cmocka_run_group_tests(back_ends[back_end].name, tests, count, NULL, NULL);
    }
    postgres_close(&server);
    return failed;
}

/* -------------------------------------------------------------------- worlds */

static inline struct tars_store *open_store(const char *dir)
{
    return back_ends[back_end].open(dir);
}

/* A new, empty store; its folder is world->dir. */
static inline void make_store(struct world *world)
{
    files_make_dir(world->dir);
    world->store = open_store(world->dir);
}

static inline void remove_store(struct world *world)
{
    tars_store_close(world->store);
    world->store = NULL;
    back_ends[back_end].drop();
    files_remove_dir(world->dir);
}

static inline int set_up(void **state)
{
    static struct world world;

    memset(&world, 0, sizeof(world));
    tars_arena_init(&world.arena, (size_t)64 << 20);
    make_store(&world);
    *state = &world;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *world = *state;

    if (world->store)
        assert_int_equal(tars_store_check(world->store, NULL), TARS_OK);
    remove_store(world);
    tars_arena_release(&world->arena);
    return 0;
}

static inline void reopen(struct world *world)
{
    tars_store_close(world->store);
    world->store = open_store(world->dir);
}

/* Under faults: nothing is wrong, as far as there was memory to look. */
static inline bool hangs_together(struct world *world)
{
    tars_status status = tars_store_check(world->store, NULL);

    return status == TARS_OK || status == TARS_ENOMEM;
}

#endif
