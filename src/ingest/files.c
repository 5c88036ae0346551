/* files - may this file be taken in? The checks of the wire contract (7.1) and their words. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "extract/client.h"
#include "ingest/ingest.h"

#define BYTES_PER_MB 1048576.0
#define US_PER_S     INT64_C(1000000)
#define NS_PER_US    1000
#define OPEN_FLAGS \
    (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) /* a pipe's writer is not awaited */

/* The ending of a name with its dot; "" when it has none. */
static const char *ending_of(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *dot = strrchr(slash ? slash : name, '.');

    return dot ? dot : "";
}

/* True when (item, len), which may lack its dot, is the ending. */
static bool is_ending(const char *item, size_t len, const char *ending)
{
    while (len > 0 && *item == ' ') {
        item++;
        len--;
    }
    while (len > 0 && item[len - 1] == ' ')
        len--;
    if (len > 0 && item[0] != '.')
        ending++;
    return len > 0 && strlen(ending) == len && strncasecmp(item, ending, len) == 0;
}

bool tars_ingest_takes(const char *extensions, const char *name)
{
    const char *ending = ending_of(name);
    const char *item = extensions;

    if (!extensions)
        return tars_extract_supports(name);
    if (!ending[0])
        return false;
    while (*item) {
        size_t len = strcspn(item, ",");

        if (is_ending(item, len, ending))
            return true;
        item += len + (item[len] == ',');
    }
    return false;
}

/* Fails with ELOOP if there is a link anywhere in path: links were followed when the path was
 * permitted, so that one which is met now has been put there since, to lead out of the folder. */
static int open_without_links(const char *path)
{
    const struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_NO_SYMLINKS};
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return (int)fd;
    return open(path, OPEN_FLAGS | O_NOFOLLOW); /* an old kernel, or a container that hides it */
}

static tars_status open_plain(const char *path, bool follows, int *fd, struct stat *st,
                              struct tars_err *err)
{
    int opened = follows ? open(path, OPEN_FLAGS) : open_without_links(path);

    if (opened < 0 && (errno == ENOENT || errno == ENOTDIR))
        return tars_fail(TARS_ENOTFOUND, err, "Invalid file: File not found: %s", path);
    if (opened < 0 && (errno == EACCES || errno == EPERM))
        return tars_fail(TARS_EDENIED, err, "Invalid file: no right to read %s", path);
    if (opened < 0 && (errno == ENXIO || errno == EISDIR || errno == ELOOP))
        return tars_fail(TARS_EINVAL, err, "Invalid file: Not a file: %s", path);
    if (opened < 0)
        return tars_fail(TARS_EIO, err, "cannot open %s: %s", path, strerror(errno));
    if (fstat(opened, st) != 0 || !S_ISREG(st->st_mode)) {
        close(opened);
        return tars_fail(TARS_EINVAL, err, "Invalid file: Not a file: %s", path);
    }
    *fd = opened;
    return TARS_OK;
}

static tars_status check(const struct stat *st, const char *name, const char *extensions,
                         int64_t max_bytes, struct tars_err *err)
{
    const char *ending = ending_of(name);

    if (!tars_ingest_takes(extensions, name)) {
        return tars_fail(TARS_EUNSUPPORTED, err, "Invalid file: Unsupported file type: %s",
                         ending[0] ? ending : "(none)");
    }
    if (st->st_size > max_bytes) {
        return tars_fail(TARS_ETOOBIG, err, "Invalid file: File too large: %.1fMB (max %.1fMB)",
                         (double)st->st_size / BYTES_PER_MB, (double)max_bytes / BYTES_PER_MB);
    }
    if (st->st_size == 0)
        return tars_fail(TARS_EINVAL, err, "Invalid file: File is empty");
    return TARS_OK;
}

tars_status tars_ingest_open_file(const char *path, const char *name, const char *extensions,
                                  int64_t max_bytes, int *fd, int64_t *size, int64_t *modified_us,
                                  struct tars_err *err)
{
    struct stat st = {0};
    int opened = -1;
    bool is_ours = strcmp(path, name) != 0; /* an upload, in our own folder */
    tars_status status = open_plain(path, is_ours, &opened, &st, err);

    if (status)
        return status;
    status =
        check(&st, name, extensions, max_bytes ? max_bytes : TARS_INGEST_FILE_BYTES_DEFAULT, err);
    if (status) {
        close(opened);
        return status;
    }
    *fd = opened;
    *size = st.st_size;
    *modified_us = st.st_mtim.tv_sec * US_PER_S + st.st_mtim.tv_nsec / NS_PER_US;
    return TARS_OK;
}
