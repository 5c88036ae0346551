/* lock - see lock.h for the contract. */
#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PID_TEXT_BYTES 32

static tars_status busy(const char *dir, int fd, struct tars_err *err)
{
    char text[PID_TEXT_BYTES] = "";
    ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
    long pid = len > 0 ? strtol(text, NULL, 10) : 0;

    if (pid > 0) {
        return tars_fail(TARS_EBUSY, err,
                         "data folder %s is in use by process %ld: stop it, or ask the running "
                         "server instead",
                         dir, pid);
    }
    return tars_fail(TARS_EBUSY, err, "data folder %s is in use by another process", dir);
}

static tars_status sign(const char *path, int fd, struct tars_err *err)
{
    char text[PID_TEXT_BYTES];
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len)
        return tars_fail(TARS_EIO, err, "cannot write %s: %s", path, strerror(errno));
    return TARS_OK;
}

tars_status tars_store_lock(const char *dir, int *fd, struct tars_err *err)
{
    char path[PATH_MAX];
    tars_status status;
    int opened;

    if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
        return tars_fail(TARS_EINVAL, err, "the name of the data folder is too long");
    opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (opened < 0) {
        return tars_fail(errno == EACCES || errno == EROFS ? TARS_EDENIED : TARS_EIO, err,
                         "cannot open %s: %s", path, strerror(errno));
    }
    if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK
                     ? busy(dir, opened, err)
                     : tars_fail(TARS_EIO, err, "cannot lock %s: %s", path, strerror(errno));
        close(opened);
        return status;
    }
    status = sign(path, opened, err);
    if (status) {
        close(opened);
        return status;
    }
    *fd = opened;
    return TARS_OK;
}

tars_status tars_store_check_whole(const char *dir, struct tars_err *err)
{
    char path[PATH_MAX];
    struct stat about;

    if (snprintf(path, sizeof(path), "%s/" TARS_STORE_RESTORING, dir) >= (int)sizeof(path))
        return tars_fail(TARS_EINVAL, err, "the name of the data folder is too long");
    if (lstat(path, &about) != 0)
        return TARS_OK;
    return tars_fail(TARS_EFORMAT, err,
                     "a restore was interrupted in %s: run it again (tars restore SRC --to %s "
                     "--replace); what was there before is in the folder or in replaced-... in it",
                     dir, dir);
}
