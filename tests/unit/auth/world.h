/* world - a store, a clock that tests set, and sign-in over them. Included by one test program
 * each.
 */
#ifndef TARS_TESTS_UNIT_AUTH_WORLD_H
#define TARS_TESTS_UNIT_AUTH_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "auth/auth.h"
#include "store/store_sqlite.h"
#include "support/files.h"

#define WORLD_SECRET "0123456789abcdef0123456789abcdef"
#define WORLD_START  ((int64_t)1800000000 * 1000000) /* some moment, microseconds */
#define SECOND_US    ((int64_t)1000000)

struct world {
    char dir[FILES_PATH_MAX];
    struct tars_store *store;
    struct tars_auth *auth;
    struct tars_arena arena;
};

static _Atomic int64_t world_now_us;

static int64_t world_now(void)
{
    return atomic_load(&world_now_us);
}

static inline void world_pass(int64_t seconds)
{
    atomic_fetch_add(&world_now_us, seconds * SECOND_US);
}

/* Cheap secrets: the tests make many. */
static inline struct tars_auth_config world_config(const struct world *world,
                                                   enum tars_auth_mode mode)
{
    return (struct tars_auth_config){.store = world->store,
                                     .mode = mode,
                                     .secret = WORLD_SECRET,
                                     .now_us = world_now,
                                     .password_memory_kib = 64,
                                     .password_passes = 1};
}

static inline void world_open(struct world *world)
{
    const struct tars_store_sqlite_config config = {.dir = world->dir};
    struct tars_err err = {.text = ""};

    memset(world, 0, sizeof(*world));
    atomic_store(&world_now_us, WORLD_START);
    files_make_dir(world->dir);
    tars_arena_init(&world->arena, (size_t)64 << 20);
    if (tars_store_sqlite_open(&config, &world->store, &err) != TARS_OK)
        fail_msg("%s", err.text);
}

static inline void world_sign_in_mode(struct world *world, enum tars_auth_mode mode)
{
    struct tars_auth_config config = world_config(world, mode);
    struct tars_err err = {.text = ""};

    tars_auth_free(world->auth);
    world->auth = NULL;
    if (tars_auth_new(&config, &world->auth, &err) != TARS_OK)
        fail_msg("%s", err.text);
}

static inline void world_close(struct world *world)
{
    tars_auth_free(world->auth);
    tars_store_close(world->store);
    tars_arena_release(&world->arena);
    files_remove_dir(world->dir);
}

static inline tars_status world_token(struct world *world, const char *tenant, const char *name,
                                      const char *secret, struct tars_token_pair *pair)
{
    const struct tars_sign_in request = {
        .client_id = name, .secret = secret, .tenant = tenant, .address = "192.0.2.1"};

    return tars_auth_sign_in(world->auth, &request, &world->arena, pair, NULL);
}

static inline tars_status world_check(struct world *world, const char *token,
                                      struct tars_principal *out, const char **why)
{
    return tars_auth_check(world->auth, tars_span_of(token), true, &world->arena, out, why);
}

#endif
