/* pack - see pack.h for the contract. */
#include "backup/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto/digest.h"

static bool is_stopped(const struct tars_pack_watch *watch)
{
    return watch->stop && atomic_load_explicit(watch->stop, memory_order_relaxed);
}

static tars_status go_on(const struct tars_pack_watch *watch, uint64_t bytes, struct tars_err *err)
{
    if (watch->step)
        watch->step(watch->ctx, bytes);
    return is_stopped(watch) ? tars_fail(TARS_ECANCELED, err, "stopped") : TARS_OK;
}

/* ------------------------------------------------------------------------ in */

struct put {
    struct tars_repo *repo;
    struct tars_arena *arena;
    struct tars_sha256 *sha;        /* owned */
    char *chunk;                    /* (TARS_CHUNK_BYTES,) owned */
    struct tars_object_name *names; /* (names_count,) of TARS_LIST_NAMES, owned */
    size_t names_count;
    struct tars_object_name *lists; /* (list_count,) in the arena */
    size_t list_count, list_cap;
    uint64_t bytes;
};

/* A whole chunk, or what is left. *got 0: the end. */
static tars_status read_chunk(int fd, uint64_t at, char *to, size_t *got, struct tars_err *err)
{
    *got = 0;
    while (*got < TARS_CHUNK_BYTES) {
        ssize_t n = pread(fd, to + *got, TARS_CHUNK_BYTES - *got, (off_t)(at + *got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tars_fail(TARS_EIO, err, "cannot read: %s", strerror(errno));
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return TARS_OK;
}

static tars_status end_list(struct put *put, struct tars_err *err)
{
    struct tars_object_name name;
    tars_status status;

    if (put->names_count == 0)
        return TARS_OK;
    status = tars_repo_put(
        put->repo, tars_span((const char *)put->names, put->names_count * sizeof(*put->names)),
        &name, err);
    put->names_count = 0;
    if (status != TARS_OK)
        return status;
    if (tars_arena_grow(put->arena, (void **)&put->lists, &put->list_cap, put->list_count + 1,
                        sizeof(*put->lists)) != TARS_OK)
        return tars_fail(TARS_ENOMEM, err, "no memory for a list of chunks");
    put->lists[put->list_count++] = name;
    return TARS_OK;
}

static tars_status put_chunk(struct put *put, size_t len, struct tars_err *err)
{
    tars_status status = TARS_OK;

    if (put->bytes > TARS_BACKUP_FILE_MAX - len)
        return tars_fail(TARS_ETOOBIG, err, "the file is too large");
    if (put->names_count == TARS_LIST_NAMES)
        status = end_list(put, err);
    if (status == TARS_OK && tars_sha256_update(put->sha, put->chunk, len) != TARS_OK)
        status = tars_fail(TARS_ENOMEM, err, "no memory for a digest");
    if (status == TARS_OK) {
        status = tars_repo_put(put->repo, tars_span(put->chunk, len), &put->names[put->names_count],
                               err);
    }
    if (status != TARS_OK)
        return status;
    put->names_count++;
    put->bytes += len;
    return TARS_OK;
}

static tars_status put_all(struct put *put, int fd, const struct tars_pack_watch *watch,
                           struct tars_err *err)
{
    tars_status status = TARS_OK;
    size_t got = 0;

    do {
        status = read_chunk(fd, put->bytes, put->chunk, &got, err);
        if (status == TARS_OK && got > 0)
            status = put_chunk(put, got, err);
        if (status == TARS_OK)
            status = go_on(watch, got, err);
    } while (status == TARS_OK && got == TARS_CHUNK_BYTES);
    return status == TARS_OK ? end_list(put, err) : status;
}

tars_status tars_pack_put(struct tars_repo *repo, int fd, const struct tars_pack_watch *watch,
                          struct tars_arena *arena, struct tars_manifest_file *file,
                          struct tars_err *err)
{
    struct put put = {.repo = repo, .arena = arena};
    tars_status status = tars_fail(TARS_ENOMEM, err, "no memory for a backup");

    put.chunk = malloc(TARS_CHUNK_BYTES);
    put.names = calloc(TARS_LIST_NAMES, sizeof(*put.names));
    if (!put.chunk || !put.names || tars_sha256_new(&put.sha) != TARS_OK)
        goto out;
    status = put_all(&put, fd, watch, err);
    if (status == TARS_OK && tars_sha256_final_hex(put.sha, file->sha256) != TARS_OK)
        status = tars_fail(TARS_ENOMEM, err, "no memory for a digest");
    if (status == TARS_OK) {
        file->bytes = put.bytes;
        file->lists = put.lists;
        file->list_count = put.list_count;
    }
out:
    tars_sha256_free(put.sha);
    free(put.names);
    free(put.chunk);
    return status;
}

/* ----------------------------------------------------------------------- out */

static size_t least(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

/* The list at index i, and how many names it must have. */
static tars_status read_list(struct tars_repo *repo, const struct tars_manifest_file *file,
                             size_t i, struct tars_buf *list, struct tars_err *err)
{
    uint64_t before = (uint64_t)i * TARS_LIST_NAMES;
    size_t count = least(tars_backup_chunks(file->bytes) - before, TARS_LIST_NAMES);
    tars_status status;

    tars_buf_clear(list);
    status = tars_repo_get(repo, &file->lists[i], list, err);
    if (status == TARS_OK && list->len != count * sizeof(struct tars_object_name)) {
        status = tars_fail(TARS_EFORMAT, err,
                           "a list of chunks of %s has another length than the "
                           "manifest says",
                           file->name);
    }
    return status;
}

tars_status tars_pack_each(struct tars_repo *repo, const struct tars_manifest_file *file,
                           tars_pack_each_fn *each, void *ctx, struct tars_err *err)
{
    uint64_t left = file->bytes;
    struct tars_buf list;
    tars_status status = TARS_OK;

    tars_buf_init(&list, TARS_OBJECT_PLAIN_MAX + 1);
    for (size_t i = 0; status == TARS_OK && i < file->list_count; i++) {
        status = read_list(repo, file, i, &list, err);
        if (status == TARS_OK)
            status = each(ctx, &file->lists[i], list.len, err);
        for (size_t k = 0; status == TARS_OK && k < list.len / TARS_OBJECT_NAME_BYTES; k++) {
            struct tars_object_name name;
            size_t bytes = least(left, TARS_CHUNK_BYTES);

            memcpy(&name, list.ptr + k * sizeof(name), sizeof(name));
            status = each(ctx, &name, bytes, err);
            left -= bytes;
        }
    }
    tars_buf_release(&list);
    return status;
}

struct get {
    struct tars_repo *repo;
    const struct tars_manifest_file *file;
    const struct tars_pack_watch *watch;
    struct tars_sha256 *sha; /* owned */
    struct tars_buf chunk;
    int fd;
    uint64_t at;      /* bytes written so far */
    size_t list_left; /* chunks of the list under way */
};

static bool is_zeros(const char *ptr, size_t len)
{
    return len > 0 && ptr[0] == 0 && memcmp(ptr, ptr + 1, len - 1) == 0;
}

static tars_status write_at(const struct get *get, struct tars_err *err)
{
    size_t done = 0;

    if (is_zeros(get->chunk.ptr, get->chunk.len))
        return TARS_OK;
    while (done < get->chunk.len) {
        ssize_t n =
            pwrite(get->fd, get->chunk.ptr + done, get->chunk.len - done, (off_t)(get->at + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            return tars_fail(TARS_EIO, err, "cannot write %s: %s", get->file->name,
                             strerror(n < 0 ? errno : ENOSPC));
        }
        done += (size_t)n;
    }
    return TARS_OK;
}

/* A tars_pack_each_fn: lists pass by, chunks are written. */
static tars_status get_one(void *ctx, const struct tars_object_name *name, size_t bytes,
                           struct tars_err *err)
{
    struct get *get = ctx;
    tars_status status;

    if (get->list_left == 0) {
        get->list_left = bytes / TARS_OBJECT_NAME_BYTES;
        return TARS_OK;
    }
    get->list_left--;
    tars_buf_clear(&get->chunk);
    status = tars_repo_get(get->repo, name, &get->chunk, err);
    if (status == TARS_OK && get->chunk.len != bytes) {
        status = tars_fail(TARS_EFORMAT, err,
                           "a chunk of %s has another length than the manifest "
                           "says",
                           get->file->name);
    }
    if (status == TARS_OK && tars_sha256_update(get->sha, get->chunk.ptr, bytes) != TARS_OK)
        status = tars_fail(TARS_ENOMEM, err, "no memory for a digest");
    if (status == TARS_OK)
        status = write_at(get, err);
    get->at += bytes;
    return status == TARS_OK ? go_on(get->watch, bytes, err) : status;
}

tars_status tars_pack_get(struct tars_repo *repo, const struct tars_manifest_file *file, int fd,
                          const struct tars_pack_watch *watch, struct tars_err *err)
{
    struct get get = {.repo = repo, .file = file, .watch = watch, .fd = fd};
    char digest[TARS_SHA256_HEX_BYTES];
    tars_status status;

    if (tars_sha256_new(&get.sha) != TARS_OK)
        return tars_fail(TARS_ENOMEM, err, "no memory for a digest");
    tars_buf_init(&get.chunk, TARS_OBJECT_PLAIN_MAX + 1);
    status = tars_pack_each(repo, file, get_one, &get, err);
    if (status == TARS_OK && ftruncate(fd, (off_t)file->bytes) != 0) {
        status = tars_fail(TARS_EIO, err, "cannot write %s: %s", file->name, strerror(errno));
    }
    if (status == TARS_OK && tars_sha256_final_hex(get.sha, digest) != TARS_OK)
        status = tars_fail(TARS_ENOMEM, err, "no memory for a digest");
    if (status == TARS_OK && strcmp(digest, file->sha256) != 0) {
        status = tars_fail(TARS_EFORMAT, err, "%s is not what the manifest says: its SHA-256 is %s",
                           file->name, digest);
    }
    tars_buf_release(&get.chunk);
    tars_sha256_free(get.sha);
    return status;
}
