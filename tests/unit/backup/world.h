/* world - a folder of backups for the tests of this room, and files of known bytes in it. */
#ifndef TARS_TESTS_BACKUP_WORLD_H
#define TARS_TESTS_BACKUP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/keep.h"
#include "backup/pack.h"
#include "backup/repo.h"
#include "support/files.h"

#define WORLD_ARENA ((size_t)64 << 20)

struct world {
    char dir[FILES_PATH_MAX];      /* temporary */
    char dest[FILES_PATH_MAX + 8]; /* of the backups */
    struct tars_arena arena;
};

/* In memory where that can be: what is synced is synced many times here. */
static inline void world_init(struct world *world)
{
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    files_make_dir(world->dir);
    (void)snprintf(world->dest, sizeof(world->dest), "%s/dest", world->dir);
    tars_arena_init(&world->arena, WORLD_ARENA);
}

static inline struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world_init(world);
    return world;
}

static inline void world_free(struct world *world)
{
    tars_arena_release(&world->arena);
    files_remove_dir(world->dir);
    free(world);
}

static inline int world_set_up(void **state)
{
    *state = world_new();
    return 0;
}

static inline int world_tear_down(void **state)
{
    world_free(*state);
    return 0;
}

static inline struct tars_repo *world_open(struct world *world, bool writes)
{
    const struct tars_repo_config config = {.dir = world->dest, .makes = writes, .writes = writes};
    struct tars_repo *repo = NULL;
    struct tars_err err = {{0}};

    if (tars_repo_open(&config, &repo, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return repo;
}

/* A nameless file of chunks; the chunk at index i is all of tags[i]. */
static inline int world_file(struct world *world, const char *tags, size_t rest)
{
    static char chunk[TARS_CHUNK_BYTES];
    char path[FILES_PATH_MAX + 8];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/file", world->dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    (void)unlink(path);
    for (size_t i = 0; tags[i]; i++) {
        size_t len = tags[i + 1] ? sizeof(chunk) : rest;

        memset(chunk, tags[i] == '0' ? 0 : tags[i], sizeof(chunk));
        assert_int_equal(write(fd, chunk, len), len);
    }
    return fd;
}

/* One backup with one file of these chunks; day: its id and time. */
static inline tars_status world_back_up(struct world *world, struct tars_repo *repo,
                                        const char *tags, int day, char *id, struct tars_err *err)
{
    static const unsigned char random[4] = {1, 2, 3, 4};
    const struct tars_pack_watch watch = {.stop = NULL};
    struct tars_manifest_file file = {.name = "tars.db", .mode = 0600};
    struct tars_manifest manifest = {.time_us = (int64_t)day * 86400000000,
                                     .program = "1",
                                     .data = "/d",
                                     .files = &file,
                                     .file_count = 1};
    int fd = world_file(world, tags, 1000);
    tars_status status = tars_pack_put(repo, fd, &watch, &world->arena, &file, err);

    close(fd);
    tars_backup_id(manifest.time_us, random, manifest.id);
    if (status == TARS_OK)
        status = tars_repo_add(repo, &manifest, err);
    if (status == TARS_OK)
        (void)snprintf(id, TARS_BACKUP_ID_BYTES, "%s", manifest.id);
    return status;
}

/* Does the backup give these chunks back? */
static inline tars_status world_restore(struct world *world, struct tars_repo *repo, const char *id,
                                        const char *tags, struct tars_err *err)
{
    const struct tars_pack_watch watch = {.stop = NULL};
    struct tars_manifest manifest;
    char wanted[TARS_CHUNK_BYTES];
    char got[TARS_CHUNK_BYTES];
    int expected = world_file(world, tags, 1000);
    int fd = world_file(world, "", 0);
    tars_status status = tars_repo_manifest(repo, id, &world->arena, &manifest, err);
    ssize_t n;
    off_t at = 0;

    if (status == TARS_OK)
        status = tars_pack_get(repo, &manifest.files[0], fd, &watch, err);
    while (status == TARS_OK && (n = pread(expected, wanted, sizeof(wanted), at)) > 0) {
        assert_int_equal(pread(fd, got, sizeof(got), at), n);
        assert_memory_equal(got, wanted, (size_t)n);
        at += n;
    }
    if (status == TARS_OK)
        assert_int_equal(pread(fd, got, 1, at), 0);
    close(expected);
    close(fd);
    return status;
}

#endif
