/* world - a store in a folder of its own and an arena, for the contracts that every back end
 * passes: a new one adds a way to open it here. Included by one test program each.
 */
#ifndef TARS_TESTS_UNIT_STORE_WORLD_H
#define TARS_TESTS_UNIT_STORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "store/store_sqlite.h"
#include "support/files.h"

struct world {
    char dir[FILES_PATH_MAX];
    struct tars_store *store;
    struct tars_arena arena;
};

static struct tars_store *open_sqlite(const char *dir)
{
    struct tars_store_sqlite_config config = {.dir = dir};
    struct tars_store *store = NULL;
    struct tars_err err = {.text = ""};

    if (tars_store_sqlite_open(&config, &store, &err))
        fail_msg("%s", err.text);
    return store;
}

static struct tars_store *(*const open_store)(const char *dir) = open_sqlite;

static inline int set_up(void **state)
{
    static struct world world;

    memset(&world, 0, sizeof(world));
    files_make_dir(world.dir);
    tars_arena_init(&world.arena, (size_t)64 << 20);
    world.store = open_store(world.dir);
    *state = &world;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *world = *state;

    if (world->store)
        assert_int_equal(tars_store_check(world->store, NULL), TARS_OK);
    tars_store_close(world->store);
    tars_arena_release(&world->arena);
    files_remove_dir(world->dir);
    return 0;
}

static inline void reopen(struct world *world)
{
    tars_store_close(world->store);
    world->store = open_store(world->dir);
}

#endif
