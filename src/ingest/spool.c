/* spool - see spool.h for the contract. */
#include "ingest/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "base/sys/file.h"

#define ID_BYTES 16 /* random, hex in the name */
#define PART     ".part"

#define SWEEP_BYTES ((size_t)64 << 20)
#define SWEEP_PAGE  1000 /* jobs looked at in one go */

struct tars_spool_file {
    int fd;            /* -1 once committed */
    int64_t left;      /* bytes that may still come */
    char *dir;         /* owned */
    char *path;        /* of the complete file, owned */
    char *part;        /* of the unfinished one, owned */
    bool is_committed; /* part is path now */
};

static tars_status make_names(struct tars_spool_file *file, const char *dir)
{
    char id[2 * ID_BYTES + 1];
    size_t size = strlen(dir) + sizeof(id) + sizeof("/" PART);

    if (tars_random_hex(id, ID_BYTES))
        return TARS_EIO;
    file->dir = strdup(dir);
    file->path = malloc(size);
    file->part = malloc(size);
    if (!file->dir || !file->path || !file->part)
        return TARS_ENOMEM;
    (void)snprintf(file->path, size, "%s/%s", dir, id);
    (void)snprintf(file->part, size, "%s/%s" PART, dir, id);
    return TARS_OK;
}

static tars_status create(struct tars_spool_file *file, const char *dir, struct tars_err *err)
{
    tars_status status = make_names(file, dir);

    if (status) {
        return tars_fail(status, err, "cannot name an upload");
    }
    status = tars_dir_make(dir, err);
    if (status) {
        return status;
    }
    file->fd = open(file->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        return tars_fail(TARS_EIO, err, "cannot write %s: %s", file->part, strerror(errno));
    }
    return TARS_OK;
}

tars_status tars_spool_new(const char *dir, int64_t max_bytes, struct tars_spool_file **file,
                           struct tars_err *err)
{
    struct tars_spool_file *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made) {
        return tars_fail(TARS_ENOMEM, err, "no memory for an upload");
    }
    made->fd = -1;
    made->left = max_bytes;
    status = create(made, dir, err);
    if (status) {
        tars_spool_free(made);
        return status;
    }
    *file = made;
    return TARS_OK;
}

tars_status tars_spool_write(struct tars_spool_file *file, const void *ptr, size_t len,
                             struct tars_err *err)
{
    const char *at = ptr;

    if (len > INT64_MAX || (int64_t)len > file->left)
        return tars_fail(TARS_ETOOBIG, err, "the upload is larger than what is taken in");
    file->left -= (int64_t)len;
    while (len > 0) {
        ssize_t n = write(file->fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tars_fail(TARS_EIO, err, "cannot write %s: %s", file->part, strerror(errno));
        at += n;
        len -= (size_t)n;
    }
    return TARS_OK;
}

tars_status tars_spool_commit(struct tars_spool_file *file, const char **path, struct tars_err *err)
{
    tars_status status;

    if (fsync(file->fd) != 0)
        return tars_fail(TARS_EIO, err, "cannot write %s: %s", file->part, strerror(errno));
    if (rename(file->part, file->path) != 0)
        return tars_fail(TARS_EIO, err, "cannot name %s: %s", file->path, strerror(errno));
    file->is_committed = true;
    status = tars_dir_sync(file->dir, err);
    if (!status)
        *path = file->path;
    return status;
}

void tars_spool_free(struct tars_spool_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0) {
        close(file->fd);
        if (!file->is_committed)
            (void)unlink(file->part);
    }
    free(file->dir);
    free(file->path);
    free(file->part);
    free(file);
}

/* ------------------------------------------------------------------ sweeping */

struct entry {
    const char *name;
    bool wanted; /* a job may still read it */
};

struct sweep {
    DIR *folder;
    struct tars_arena arena;
    struct entry *entries; /* (count,) complete files, in arena */
    size_t count, cap;
};

static bool ends_in_part(const char *name)
{
    size_t len = strlen(name);

    return len > sizeof(PART) - 1 && strcmp(name + len - (sizeof(PART) - 1), PART) == 0;
}

/* A name that we gave; others are left alone. */
static bool is_ours(const char *name)
{
    return strlen(name) == (size_t)2 * ID_BYTES &&
           strspn(name, "0123456789abcdef") == (size_t)2 * ID_BYTES;
}

/* Unlink what is unfinished, and note what is complete. */
static tars_status list(struct sweep *sweep)
{
    struct dirent *entry;

    while ((entry = readdir(sweep->folder))) {
        void *entries = sweep->entries;

        if (ends_in_part(entry->d_name)) {
            (void)unlinkat(dirfd(sweep->folder), entry->d_name, 0);
            continue;
        }
        if (!is_ours(entry->d_name))
            continue;
        if (tars_arena_grow(&sweep->arena, &entries, &sweep->cap, sweep->count + 1,
                            sizeof(*sweep->entries)))
            return TARS_ENOMEM;
        sweep->entries = entries;
        sweep->entries[sweep->count].wanted = false;
        sweep->entries[sweep->count].name = tars_arena_strdup(&sweep->arena, entry->d_name);
        if (!sweep->entries[sweep->count++].name)
            return TARS_ENOMEM;
    }
    return TARS_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void want(struct sweep *sweep, const char *spool)
{
    const char *slash = strrchr(spool, '/');
    struct entry key = {.name = slash ? slash + 1 : spool};
    struct entry *found = bsearch(&key, sweep->entries, sweep->count, sizeof(key), by_name);

    if (found)
        found->wanted = true;
}

/* The files of all jobs of a state are wanted. */
static tars_status want_state(struct sweep *sweep, struct tars_store *store, int state,
                              struct tars_err *err)
{
    struct tars_store_jobs jobs = {0};
    struct tars_arena arena;
    int64_t before = 0;
    tars_status status;

    tars_arena_init(&arena, SWEEP_BYTES);
    do {
        tars_arena_clear(&arena);
        status = tars_store_jobs(store, state, before, SWEEP_PAGE, &arena, &jobs, err);
        for (size_t i = 0; !status && i < jobs.count; i++) {
            want(sweep, jobs.items[i].spool);
            before = jobs.items[i].id;
        }
    } while (!status && jobs.count > 0);
    tars_arena_release(&arena);
    return status;
}

static tars_status drop_unwanted(struct sweep *sweep, struct tars_store *store,
                                 struct tars_err *err)
{
    static const int states[] = {TARS_JOB_QUEUED, TARS_JOB_RUNNING, TARS_JOB_FAILED,
                                 TARS_JOB_CANCELLED};
    tars_status status = TARS_OK;

    if (sweep->count)
        qsort(sweep->entries, sweep->count, sizeof(*sweep->entries), by_name);
    for (size_t i = 0; sweep->count && !status && i < sizeof(states) / sizeof(states[0]); i++)
        status = want_state(sweep, store, states[i], err);
    for (size_t i = 0; !status && i < sweep->count; i++) {
        if (!sweep->entries[i].wanted)
            (void)unlinkat(dirfd(sweep->folder), sweep->entries[i].name, 0);
    }
    return status;
}

tars_status tars_spool_sweep(const char *dir, struct tars_store *store, struct tars_err *err)
{
    struct sweep sweep = {.folder = opendir(dir)};
    tars_status status;

    if (!sweep.folder && errno == ENOENT)
        return TARS_OK;
    if (!sweep.folder)
        return tars_fail(TARS_EIO, err, "cannot look into %s: %s", dir, strerror(errno));
    tars_arena_init(&sweep.arena, SWEEP_BYTES);
    status = list(&sweep);
    if (status)
        status = tars_fail(status, err, "no memory to look through %s", dir);
    if (!status)
        status = drop_unwanted(&sweep, store, err);
    tars_arena_release(&sweep.arena);
    closedir(sweep.folder);
    return status;
}
