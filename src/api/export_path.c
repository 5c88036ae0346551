/* export_path - see export_path.h for the contract. */
#include "api/export_path.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "base/sys/file.h"

#define NAME_BYTES_MAX   200 /* of one name; the temporary one is longer */
#define OPEN_MAX_AT_ONCE 16
#define WAY_DOWN         (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);

    return len > end_len && strcasecmp(text + len - end_len, end) == 0;
}

/* What of wanted lies below root; NULL when it is somewhere else. */
static const char *below(const char *root, const char *wanted)
{
    size_t len = strlen(root);

    if (wanted[0] != '/')
        return wanted;
    if (strncmp(wanted, root, len) != 0 || wanted[len] != '/')
        return NULL;
    return wanted + len + 1;
}

/* The next name of *rest into name (NAME_BYTES_MAX + 1); false when it is none that may be. */
static bool take_name(const char **rest, char *name)
{
    size_t len;

    *rest += strspn(*rest, "/");
    len = strcspn(*rest, "/");
    if (len == 0 || len > NAME_BYTES_MAX)
        return false;
    memcpy(name, *rest, len);
    name[len] = '\0';
    *rest += len;
    return name[0] != '.' && !strchr(name, '\\');
}

static tars_status refuse(struct tars_err *err, const char *words)
{
    (void)tars_fail(TARS_EINVAL, err, "Invalid output path: %s", words);
    return TARS_EINVAL;
}

static tars_status check(const char *relative, struct tars_err *err)
{
    char name[NAME_BYTES_MAX + 1];
    const char *rest = relative;

    if (!relative)
        return refuse(err, "it lies outside the export folder");
    if (strstr(relative, ".."))
        return refuse(err, "it must not contain '..'");
    if (!ends_with(relative, ".csv") && !ends_with(relative, ".json"))
        return refuse(err, "its name must end in .csv or .json");
    do {
        if (!take_name(&rest, name))
            return refuse(err, "its names must be of 1 to 200 bytes and not begin with a dot");
    } while (*rest);
    return TARS_OK;
}

/* Replace *folder, which is closed, by the folder name in it. */
static int step_into(int *folder, const char *name)
{
    int next;

    if (mkdirat(*folder, name, 0700) != 0 && errno != EEXIST)
        return errno;
    next = openat(*folder, name, WAY_DOWN);
    if (next < 0)
        return errno;
    close(*folder);
    *folder = next;
    return 0;
}

/* Walk down to the last name of relative, which is left in name. */
static tars_status walk(struct tars_export *file, const char *relative, char *name,
                        struct tars_err *err)
{
    int code = 0;

    while (take_name(&relative, name) && *relative && code == 0)
        code = step_into(&file->folder, name);
    if (code == ELOOP || code == ENOTDIR)
        return refuse(err, "a part of it is not a folder");
    if (code)
        return tars_fail(TARS_EIO, err, "cannot make the folder %s: %s", name, strerror(code));
    return TARS_OK;
}

static tars_status create(struct tars_export *file, struct tars_arena *arena, struct tars_err *err)
{
    char random[17];
    struct stat st;

    if (fstatat(file->folder, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        return refuse(err, "there is something else of that name");
    if (tars_random_hex(random, 8) != TARS_OK)
        return tars_fail(TARS_EIO, err, "no random name");
    file->temporary = tars_arena_printf(arena, ".%s.%s", file->name, random);
    if (!file->temporary)
        return tars_fail(TARS_ENOMEM, err, "no memory for a name");
    file->fd = openat(file->folder, file->temporary,
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return tars_fail(TARS_EIO, err, "cannot write %s: %s", file->path, strerror(errno));
    return TARS_OK;
}

tars_status tars_export_begin(const char *root, const char *wanted, struct tars_arena *arena,
                              struct tars_export *file, struct tars_err *err)
{
    char name[NAME_BYTES_MAX + 1] = "";
    const char *relative = below(root, wanted);
    tars_status status = check(relative, err);

    *file = (struct tars_export){.folder = -1, .fd = -1};
    if (status == TARS_OK)
        status = tars_dir_make(root, err);
    if (status != TARS_OK)
        return status;
    file->folder = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->folder < 0)
        return tars_fail(TARS_EIO, err, "cannot open %s: %s", root, strerror(errno));
    file->is_json = ends_with(relative, ".json");
    file->path = tars_arena_printf(arena, "%s/%s", root, relative);
    status = walk(file, relative, name, err);
    if (status == TARS_OK) {
        file->name = tars_arena_strdup(arena, name);
        status = file->name && file->path ? create(file, arena, err)
                                          : tars_fail(TARS_ENOMEM, err, "no memory for a path");
    }
    if (status != TARS_OK) {
        close(file->folder);
        file->folder = -1;
    }
    return status;
}

tars_status tars_export_write(struct tars_export *file, const char *ptr, size_t len,
                              struct tars_err *err)
{
    while (len > 0) {
        ssize_t n = write(file->fd, ptr, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tars_fail(TARS_EIO, err, "cannot write %s: %s", file->path, strerror(errno));
        ptr += n;
        len -= (size_t)n;
    }
    return TARS_OK;
}

tars_status tars_export_end(struct tars_export *file, tars_status status, struct tars_err *err)
{
    if (file->fd < 0)
        return status;
    if (status == TARS_OK && fsync(file->fd) != 0)
        status = tars_fail(TARS_EIO, err, "cannot write %s: %s", file->path, strerror(errno));
    close(file->fd);
    if (status == TARS_OK && renameat(file->folder, file->temporary, file->folder, file->name) != 0)
        status = tars_fail(TARS_EIO, err, "cannot name %s: %s", file->path, strerror(errno));
    if (status != TARS_OK)
        (void)unlinkat(file->folder, file->temporary, 0);
    close(file->folder);
    file->fd = file->folder = -1;
    return status;
}

/* -------------------------------------------------------------------- forget */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path) == 0 || errno == ENOENT ? 0 : errno;
}

tars_status tars_export_forget(const char *folder, struct tars_err *err)
{
    int code = nftw(folder, remove_one, OPEN_MAX_AT_ONCE, FTW_DEPTH | FTW_PHYS);

    if (code < 0)
        code = errno;
    return code == 0 || code == ENOENT
               ? TARS_OK
               : tars_fail(TARS_EIO, err, "cannot remove %s: %s", folder, strerror(code));
}
