/* file - see file.h. */
#include "base/sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP ((size_t)64 * 1024)

static tars_status fail_errno(struct tars_err *err, const char *what, const char *path)
{
    int number = errno;
    tars_status status = TARS_EIO;

    if (number == ENOENT || number == ENOTDIR)
        status = TARS_ENOTFOUND;
    if (number == EACCES || number == EPERM || number == EROFS)
        status = TARS_EDENIED;
    if (number == ENOMEM)
        status = TARS_ENOMEM;
    return tars_fail(status, err, "%s %s: %s", what, path, strerrordesc_np(number));
}

/* ------------------------------------------------------------------ reading */

static ssize_t read_retrying(int fd, void *ptr, size_t len)
{
    ssize_t got;

    do {
        got = read(fd, ptr, len);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* At the ceiling: fine if the file ends here. */
static tars_status expect_end(int fd, const struct tars_buf *out, const char *path,
                              struct tars_err *err)
{
    char beyond;
    ssize_t got = read_retrying(fd, &beyond, 1);

    if (got < 0)
        return fail_errno(err, "cannot read", path);
    if (got > 0)
        return tars_fail(TARS_ETOOBIG, err, "%s is larger than %zu bytes", path, out->max);
    return TARS_OK;
}

static tars_status read_rest(int fd, struct tars_buf *out, const char *path, struct tars_err *err)
{
    while (out->len < out->max) {
        size_t left = out->max - out->len;
        size_t room = left < READ_STEP ? left : READ_STEP;
        char *at = tars_buf_reserve(out, room);
        ssize_t got;

        if (!at)
            return tars_fail(out->status, err, "no memory to read %s", path);
        got = read_retrying(fd, at, room);
        if (got < 0)
            return fail_errno(err, "cannot read", path);
        if (got == 0)
            return TARS_OK;
        tars_buf_grew(out, (size_t)got);
    }
    return expect_end(fd, out, path, err);
}

tars_status tars_file_read(const char *path, struct tars_buf *out, struct tars_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    tars_status status;

    if (fd < 0)
        return fail_errno(err, "cannot open", path);
    status = read_rest(fd, out, path, err);
    (void)close(fd);
    return status;
}

/* ------------------------------------------------------------------ writing */

static bool write_all(int fd, const char *ptr, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, ptr, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        ptr += put;
        len -= (size_t)put;
    }
    return true;
}

tars_status tars_dir_sync(const char *path, struct tars_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tars_status status = TARS_OK;

    if (fd < 0)
        return fail_errno(err, "cannot open the folder", path);
    if (fsync(fd) != 0)
        status = fail_errno(err, "cannot sync the folder", path);
    (void)close(fd);
    return status;
}

/* The folder of path, in out (PATH_MAX bytes). */
static void parent_of(const char *path, char *out)
{
    const char *slash = strrchr(path, '/');
    int len = slash ? (int)(slash - path) : 0;

    if (slash == path)
        len = 1;
    (void)snprintf(out, PATH_MAX, "%.*s", slash ? len : 1, slash ? path : ".");
}

tars_status tars_file_replace(const char *path, const void *ptr, size_t len, unsigned mode,
                              struct tars_err *err)
{
    char temporary[PATH_MAX];
    char folder[PATH_MAX];
    tars_status status = TARS_OK;
    int fd;

    if (snprintf(temporary, sizeof(temporary), "%s.tmp.%ld", path, (long)getpid()) >= PATH_MAX)
        return tars_fail(TARS_ETOOBIG, err, "the path %s is too long", path);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return fail_errno(err, "cannot write", temporary);
    if (!write_all(fd, ptr, len) || fsync(fd) != 0)
        status = fail_errno(err, "cannot write", temporary);
    if (close(fd) != 0 && status == TARS_OK)
        status = fail_errno(err, "cannot write", temporary);
    if (status == TARS_OK && rename(temporary, path) != 0)
        status = fail_errno(err, "cannot replace", path);
    if (status != TARS_OK) {
        (void)unlink(temporary);
        return status;
    }
    parent_of(path, folder);
    return tars_dir_sync(folder, err);
}

tars_status tars_dir_make(const char *path, struct tars_err *err)
{
    char partial[PATH_MAX];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(partial))
        return tars_fail(TARS_EINVAL, err, "not a path for a folder: \"%s\"", path);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, 0700) != 0 && errno != EEXIST && errno != EISDIR)
            return fail_errno(err, "cannot make the folder", partial);
    }
    return TARS_OK;
}

bool tars_path_is_below(const char *path, const char *root)
{
    size_t len = strlen(root);

    while (len > 1 && root[len - 1] == '/')
        len--;
    return strncmp(path, root, len) == 0 &&
           (path[len] == '/' || path[len] == '\0' || (len == 1 && root[0] == '/'));
}

/* ------------------------------------------------------------------ mapping */

static tars_status map_open_file(int fd, const char *path, struct tars_map *map,
                                 struct tars_err *err)
{
    struct stat info;
    void *ptr = NULL;

    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return tars_fail(TARS_EINVAL, err, "%s is not a file", path);
    if (info.st_size > 0) {
        ptr = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (ptr == MAP_FAILED)
            return fail_errno(err, "cannot map", path);
    }
    map->ptr = ptr;
    map->len = (size_t)info.st_size;
    return TARS_OK;
}

tars_status tars_map_open_fd(const char *path, struct tars_map *map, int *fd, struct tars_err *err)
{
    int opened = open(path, O_RDONLY | O_CLOEXEC);
    tars_status status;

    if (opened < 0)
        return fail_errno(err, "cannot open", path);
    status = map_open_file(opened, path, map, err);
    if (status == TARS_OK) {
        *fd = opened;
    } else {
        (void)close(opened);
    }
    return status;
}

tars_status tars_map_open(const char *path, struct tars_map *map, struct tars_err *err)
{
    int fd = -1;
    tars_status status = tars_map_open_fd(path, map, &fd, err);

    if (status == TARS_OK)
        (void)close(fd);
    return status;
}

void tars_map_close(struct tars_map *map)
{
    if (map->len)
        (void)munmap((void *)map->ptr, map->len);
    *map = (struct tars_map){0};
}
