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

static bool is_part(const char *name)
{
    size_t len = strlen(name);

    return len > sizeof(PART) - 1 && strcmp(name + len - (sizeof(PART) - 1), PART) == 0;
}

tars_status tars_spool_sweep(const char *dir, struct tars_err *err)
{
    DIR *folder = opendir(dir);
    struct dirent *entry;

    if (!folder && errno == ENOENT)
        return TARS_OK;
    if (!folder)
        return tars_fail(TARS_EIO, err, "cannot look into %s: %s", dir, strerror(errno));
    while ((entry = readdir(folder))) {
        if (is_part(entry->d_name))
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
    return TARS_OK;
}
