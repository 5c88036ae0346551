/* repo - see repo.h for the contract. repo_open.c has what the folder says of itself. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/repo_internal.h"
#include "base/sys/file.h"

#define BATCH_BYTES_MAX ((size_t)32 << 20)
#define NAME_BYTES      160 /* of a name within the folder */
#define ENDING          ".manifest"
#define IDS_MAX         65536
#define BAD             ".bad"
#define SYNC_FEW        16 /* files that are synced one by one */
#define MANIFEST_ARENA  ((size_t)256 << 20)

/* --------------------------------------------------------------- life cycle */

static void object_path(const struct tars_object_name *name, char *out)
{
    char hex[TARS_OBJECT_HEX_BYTES];

    tars_object_hex(name, hex);
    (void)snprintf(out, NAME_BYTES, "objects/%.2s/%s", hex, hex);
}

static void tmp_path(const struct tars_object_name *name, char *out)
{
    char hex[TARS_OBJECT_HEX_BYTES];

    tars_object_hex(name, hex);
    (void)snprintf(out, NAME_BYTES, "tmp/%s", hex);
}

static DIR *open_folder(const struct tars_repo *repo, const char *name)
{
    int fd = openat(repo->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);

    if (!folder && fd >= 0)
        close(fd);
    return folder;
}

/* The next entry; NULL at the end (*status is TARS_OK then) and where the folder cannot be read. */
static const struct dirent *next_entry(const struct tars_repo *repo, DIR *folder, const char *name,
                                       tars_status *status, struct tars_err *err)
{
    const struct dirent *entry;

    errno = 0;
    entry = readdir(folder);
    *status = !entry && errno ? tars_repo_fail(repo, "read", name, errno, err) : TARS_OK;
    return entry;
}

/* How many files went. */
static size_t clear_once(const struct tars_repo *repo)
{
    DIR *folder = open_folder(repo, "tmp");
    const struct dirent *entry;
    size_t removed = 0;

    while (folder && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.')
            removed += unlinkat(dirfd(folder), entry->d_name, 0) == 0;
    }
    if (folder)
        (void)closedir(folder);
    return removed;
}

/* Throw away what a writer left that did not end well. A folder that changes may hide names from
 * who reads it: so until one look finds nothing. */
static void clear_tmp(const struct tars_repo *repo)
{
    while (clear_once(repo) > 0)
        ;
}

static tars_status lock(struct tars_repo *repo, bool writes, struct tars_err *err)
{
    int fd = openat(repo->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 && !writes) {
        fd = openat(repo->dir_fd, "lock", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return TARS_OK;
    }
    if (fd < 0)
        return tars_repo_fail(repo, "open", "lock", errno, err);
    repo->lock_fd = fd;
    if (flock(fd, (writes ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
        return TARS_OK;
    if (errno == EWOULDBLOCK) {
        return tars_fail(TARS_EBUSY, err, "%s is in use by another backup or restore: wait for it",
                         repo->dir);
    }
    return tars_repo_fail(repo, "lock", "lock", errno, err);
}

static tars_status open_dir(struct tars_repo *repo, const struct tars_repo_config *config,
                            struct tars_err *err)
{
    tars_status status = TARS_OK;

    if (snprintf(repo->dir, sizeof(repo->dir), "%s", config->dir) >= (int)sizeof(repo->dir))
        return tars_fail(TARS_EINVAL, err, "the name of the folder for backups is too long");
    if (config->makes)
        status = tars_dir_make(repo->dir, err);
    if (status != TARS_OK)
        return status;
    repo->dir_fd = open(repo->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return repo->dir_fd < 0 ? tars_repo_fail(repo, "open", "", errno, err) : TARS_OK;
}

tars_status tars_repo_open(const struct tars_repo_config *config, struct tars_repo **repo,
                           struct tars_err *err)
{
    struct tars_repo *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for a folder of backups");
    made->lock_fd = -1;
    made->dir_fd = -1;
    made->sets_aside = config->sets_aside;
    tars_buf_init(&made->object, TARS_OBJECT_MAX);
    made->batch = calloc(TARS_REPO_BATCH, sizeof(*made->batch));
    status = made->batch ? open_dir(made, config, err)
                         : tars_fail(TARS_ENOMEM, err, "no memory for a folder of backups");
    if (status == TARS_OK)
        status = lock(made, config->writes, err);
    if (status == TARS_OK)
        status = tars_repo_identify(made, config, err);
    if (status == TARS_OK && tars_coder_new(&made->keys, &made->coder) != TARS_OK)
        status = tars_fail(TARS_ENOMEM, err, "no memory for a folder of backups");
    if (status != TARS_OK) {
        tars_repo_close(made);
        return status;
    }
    if (config->writes)
        clear_tmp(made);
    *repo = made;
    return TARS_OK;
}

void tars_repo_close(struct tars_repo *repo)
{
    char path[NAME_BYTES];

    if (!repo)
        return;
    for (size_t i = 0; i < repo->batch_count; i++) {
        tmp_path(&repo->batch[i], path);
        (void)unlinkat(repo->dir_fd, path, 0);
    }
    tars_coder_free(repo->coder);
    explicit_bzero(&repo->keys, sizeof(repo->keys));
    tars_buf_release(&repo->object);
    free(repo->batch);
    if (repo->lock_fd >= 0)
        close(repo->lock_fd);
    if (repo->dir_fd >= 0)
        close(repo->dir_fd);
    free(repo);
}

struct tars_repo_counts tars_repo_counts(const struct tars_repo *repo)
{
    return repo->counts;
}

bool tars_repo_is_sealed(const struct tars_repo *repo)
{
    return repo->keys.is_set;
}

/* ------------------------------------------------------------------ writing */

static tars_status write_all(const struct tars_repo *repo, int fd, const char *path,
                             struct tars_err *err)
{
    const char *at = repo->object.ptr;
    size_t left = repo->object.len;

    while (left > 0) {
        ssize_t wrote = write(fd, at, left);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return tars_repo_fail(repo, "write", path, wrote < 0 ? errno : ENOSPC, err);
        at += wrote;
        left -= (size_t)wrote;
    }
    return TARS_OK;
}

/* repo->object into a new file in tmp. */
static tars_status write_tmp(const struct tars_repo *repo, const char *path, struct tars_err *err)
{
    int fd =
        openat(repo->dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    tars_status status;

    if (fd < 0)
        return tars_repo_fail(repo, "write", path, errno, err);
    status = write_all(repo, fd, path, err);
    if (close(fd) != 0 && status == TARS_OK)
        status = tars_repo_fail(repo, "write", path, errno, err);
    if (status != TARS_OK)
        (void)unlinkat(repo->dir_fd, path, 0);
    return status;
}

static tars_status sync_all(const struct tars_repo *repo, struct tars_err *err)
{
    return syncfs(repo->dir_fd) == 0 ? TARS_OK : tars_repo_fail(repo, "sync", "", errno, err);
}

tars_status tars_repo_sync(const struct tars_repo *repo, const char *name, struct tars_err *err)
{
    int fd = openat(repo->dir_fd, name, O_RDONLY | O_CLOEXEC);
    tars_status status = TARS_OK;

    if (fd < 0 || fsync(fd) != 0)
        status = tars_repo_fail(repo, "sync", name, errno, err);
    if (fd >= 0)
        close(fd);
    return status;
}

/* What waits in tmp, onto the disk: a few one by one; many at once, with all else of the disk. */
static tars_status sync_batch(const struct tars_repo *repo, struct tars_err *err)
{
    char path[NAME_BYTES];
    tars_status status = TARS_OK;

    if (repo->batch_count > SYNC_FEW)
        return sync_all(repo, err);
    for (size_t i = 0; status == TARS_OK && i < repo->batch_count; i++) {
        tmp_path(&repo->batch[i], path);
        status = tars_repo_sync(repo, path, err);
    }
    return status;
}

static void mark_dirty(struct tars_repo *repo, const struct tars_object_name *name)
{
    repo->dirty_count += !repo->dirty[name->bytes[0]];
    repo->dirty[name->bytes[0]] = true;
}

/* Then under their names. */
static tars_status name_batch(struct tars_repo *repo, struct tars_err *err)
{
    char from[NAME_BYTES];
    char to[NAME_BYTES];
    tars_status status = sync_batch(repo, err);

    while (status == TARS_OK && repo->batch_count > 0) {
        const struct tars_object_name *name = &repo->batch[repo->batch_count - 1];

        tmp_path(name, from);
        object_path(name, to);
        if (renameat(repo->dir_fd, from, repo->dir_fd, to) != 0)
            return tars_repo_fail(repo, "write", to, errno, err);
        mark_dirty(repo, name);
        repo->batch_count--;
    }
    if (status == TARS_OK)
        repo->batch_bytes = 0;
    return status;
}

/* The names. */
static tars_status sync_folders(struct tars_repo *repo, struct tars_err *err)
{
    char name[sizeof("objects/00")];
    tars_status status = TARS_OK;

    if (repo->dirty_count > SYNC_FEW)
        status = sync_all(repo, err);
    for (unsigned i = 0; status == TARS_OK && i < 256; i++) {
        if (!repo->dirty[i])
            continue;
        (void)snprintf(name, sizeof(name), "objects/%02x", i);
        if (repo->dirty_count <= SYNC_FEW)
            status = tars_repo_sync(repo, name, err);
        repo->dirty[i] = status != TARS_OK;
    }
    if (status == TARS_OK)
        repo->dirty_count = 0;
    return status;
}

/* In the folder, and not shorter than any object is. Its name may not be on the disk yet, where the
 * writer that gave it was killed. */
static bool is_kept(struct tars_repo *repo, const struct tars_object_name *name)
{
    char path[NAME_BYTES];
    struct stat about;

    object_path(name, path);
    if (fstatat(repo->dir_fd, path, &about, AT_SYMLINK_NOFOLLOW) != 0 ||
        about.st_size < TARS_OBJECT_HEADER_BYTES)
        return false;
    mark_dirty(repo, name);
    return true;
}

/* In this batch: what else lies in tmp is nobody's. */
static bool is_waiting(const struct tars_repo *repo, const struct tars_object_name *name)
{
    for (size_t i = 0; i < repo->batch_count; i++) {
        if (memcmp(&repo->batch[i], name, sizeof(*name)) == 0)
            return true;
    }
    return false;
}

tars_status tars_repo_put(struct tars_repo *repo, struct tars_span plain,
                          struct tars_object_name *name, struct tars_err *err)
{
    struct tars_object_name found;
    char path[NAME_BYTES];
    tars_status status = tars_object_name(repo->coder, TARS_OBJECT_CHUNK, plain, &found);

    if (status != TARS_OK)
        return tars_fail(status, err, "no memory for a backup");
    *name = found;
    if (is_waiting(repo, &found) || is_kept(repo, &found))
        return TARS_OK;
    tmp_path(&found, path);
    tars_buf_clear(&repo->object);
    status = tars_object_encode(repo->coder, TARS_OBJECT_CHUNK, &found, plain, &repo->object);
    if (status != TARS_OK)
        return tars_fail(status, err, "no memory for a backup");
    status = write_tmp(repo, path, err);
    if (status != TARS_OK)
        return status;
    repo->batch[repo->batch_count++] = found;
    repo->batch_bytes += repo->object.len;
    repo->counts.new_objects++;
    repo->counts.new_bytes += repo->object.len;
    if (repo->batch_count == TARS_REPO_BATCH || repo->batch_bytes >= BATCH_BYTES_MAX)
        status = name_batch(repo, err);
    return status;
}

tars_status tars_repo_flush(struct tars_repo *repo, struct tars_err *err)
{
    tars_status status = name_batch(repo, err);

    return status == TARS_OK ? sync_folders(repo, err) : status;
}

/* What a restore would refuse is no backup. */
static tars_status check_manifest(struct tars_span json, struct tars_err *err)
{
    struct tars_manifest manifest;
    struct tars_arena arena;
    struct tars_err why = {{0}};
    tars_status status;

    tars_arena_init(&arena, MANIFEST_ARENA);
    status = tars_manifest_parse(json, &arena, &manifest, &why);
    tars_arena_release(&arena);
    return status == TARS_OK ? TARS_OK
                             : tars_fail(status, err, "this would be no good backup: %s", why.text);
}

tars_status tars_repo_add(struct tars_repo *repo, const struct tars_manifest *manifest,
                          struct tars_err *err)
{
    struct tars_object_name name;
    struct tars_buf json;
    char path[PATH_MAX];
    tars_status status = tars_repo_flush(repo, err);

    if (status != TARS_OK)
        return status;
    tars_buf_init(&json, TARS_MANIFEST_BYTES_MAX);
    tars_buf_clear(&repo->object);
    tars_manifest_write(manifest, &json);
    status = json.status == TARS_OK ? check_manifest(tars_buf_span(&json), err)
                                    : tars_fail(json.status, err, "no room for a manifest");
    if (status != TARS_OK) {
        tars_buf_release(&json);
        return status;
    }
    status = tars_object_name(repo->coder, TARS_OBJECT_MANIFEST, tars_buf_span(&json), &name);
    if (status == TARS_OK) {
        status = tars_object_encode(repo->coder, TARS_OBJECT_MANIFEST, &name, tars_buf_span(&json),
                                    &repo->object);
    }
    tars_buf_release(&json);
    if (status != TARS_OK)
        return tars_fail(status, err, "no room for a manifest");
    (void)snprintf(path, sizeof(path), "%s/backups/%s" ENDING, repo->dir, manifest->id);
    return tars_file_replace(path, repo->object.ptr, repo->object.len, 0600, err);
}

/* ------------------------------------------------------------------ reading */

/* The file at path, whose size is bounded, into repo->object. */
static tars_status read_object(struct tars_repo *repo, const char *name, struct tars_err *err)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", repo->dir, name);
    tars_buf_clear(&repo->object);
    return tars_file_read(path, &repo->object, err);
}

/* Out of the way, so that the next backup writes it anew. "": it is where it was. */
static const char *set_aside(const struct tars_repo *repo, const char *path)
{
    char aside[NAME_BYTES + sizeof(BAD)];

    (void)snprintf(aside, sizeof(aside), "%s" BAD, path);
    return renameat(repo->dir_fd, path, repo->dir_fd, aside) == 0
               ? "; set aside, the next backup writes it anew if it has it still"
               : "";
}

tars_status tars_repo_get(struct tars_repo *repo, const struct tars_object_name *name,
                          struct tars_buf *out, struct tars_err *err)
{
    char path[NAME_BYTES];
    const char *aside = "";
    struct tars_err why = {{0}};
    tars_status status;

    object_path(name, path);
    status = read_object(repo, path, &why);
    if (status == TARS_ENOTFOUND) {
        return tars_fail(TARS_ENOTFOUND, err, "object %s is not there", path);
    }
    if (status == TARS_OK) {
        status = tars_object_decode(repo->coder, TARS_OBJECT_CHUNK, name,
                                    tars_buf_span(&repo->object), out, &why);
        /* What could not be read may be whole. */
        if (repo->sets_aside && (status == TARS_EFORMAT || status == TARS_EDENIED))
            aside = set_aside(repo, path);
    }
    return status == TARS_OK ? TARS_OK
                             : tars_fail(status, err, "object %s: %s%s", path,
                                         why.text[0] ? why.text : tars_status_text(status), aside);
}

static tars_status read_manifest(struct tars_repo *repo, const char *id, const char *path,
                                 struct tars_arena *arena, struct tars_manifest *manifest,
                                 struct tars_err *err)
{
    struct tars_buf json;
    tars_status status = read_object(repo, path, err);

    tars_buf_init(&json, TARS_MANIFEST_BYTES_MAX + 1);
    if (status == TARS_OK) {
        status = tars_object_decode(repo->coder, TARS_OBJECT_MANIFEST, NULL,
                                    tars_buf_span(&repo->object), &json, err);
    }
    if (status == TARS_OK)
        status = tars_manifest_parse(tars_buf_span(&json), arena, manifest, err);
    if (status == TARS_OK && strcmp(manifest->id, id) != 0)
        status = tars_fail(TARS_EFORMAT, err, "it is of backup %s", manifest->id);
    tars_buf_release(&json);
    return status;
}

tars_status tars_repo_manifest(struct tars_repo *repo, const char *id, struct tars_arena *arena,
                               struct tars_manifest *manifest, struct tars_err *err)
{
    char path[NAME_BYTES];
    struct tars_err why = {{0}};
    tars_status status;

    if (!tars_backup_id_is_valid(id))
        return tars_fail(TARS_ENOTFOUND, err, "there is no backup %s", id);
    (void)snprintf(path, sizeof(path), "backups/%s" ENDING, id);
    status = read_manifest(repo, id, path, arena, manifest, &why);
    if (status == TARS_ENOTFOUND)
        return tars_fail(status, err, "there is no backup %s in %s", id, repo->dir);
    return status == TARS_OK ? TARS_OK
                             : tars_fail(status, err, "%s: %s", path,
                                         why.text[0] ? why.text : tars_status_text(status));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "ID.manifest" -> ID in the arena; NULL for other names. *failed: no memory. */
static char *id_of(const char *name, struct tars_arena *arena, bool *failed)
{
    size_t len = strlen(name);
    char *id;

    if (len <= sizeof(ENDING) - 1 || strcmp(name + len - (sizeof(ENDING) - 1), ENDING) != 0)
        return NULL;
    id = tars_arena_strndup(arena, name, len - (sizeof(ENDING) - 1));
    *failed = !id;
    return id && tars_backup_id_is_valid(id) ? id : NULL;
}

tars_status tars_repo_ids(struct tars_repo *repo, struct tars_arena *arena, const char ***ids,
                          size_t *count, struct tars_err *err)
{
    DIR *folder = open_folder(repo, "backups");
    const struct dirent *entry;
    const char **found = NULL;
    size_t cap = 0;
    size_t n = 0;
    bool failed = false;
    tars_status status = TARS_OK;

    if (!folder)
        return tars_repo_fail(repo, "read", "backups", errno, err);
    while (!failed && n <= IDS_MAX &&
           (entry = next_entry(repo, folder, "backups", &status, err)) != NULL) {
        char *id = id_of(entry->d_name, arena, &failed);

        if (!id)
            continue;
        failed = tars_arena_grow(arena, (void **)&found, &cap, n + 1, sizeof(*found)) != TARS_OK;
        if (!failed)
            found[n++] = id;
    }
    (void)closedir(folder);
    if (failed)
        return tars_fail(TARS_ENOMEM, err, "no memory for the list of backups");
    if (status != TARS_OK)
        return status;
    if (n > IDS_MAX) {
        return tars_fail(TARS_ETOOBIG, err,
                         "%s has more than %d backups: remove the oldest of backups/*" ENDING
                         " and prune then",
                         repo->dir, IDS_MAX);
    }
    if (n > 0)
        qsort(found, n, sizeof(*found), by_text);
    *ids = found;
    *count = n;
    return TARS_OK;
}

/* ----------------------------------------------------------------- removing */

tars_status tars_repo_remove(struct tars_repo *repo, const char *id, struct tars_err *err)
{
    char path[NAME_BYTES];

    (void)snprintf(path, sizeof(path), "backups/%.64s" ENDING, id);
    if (unlinkat(repo->dir_fd, path, 0) != 0)
        return tars_repo_fail(repo, "remove", path, errno, err);
    return tars_repo_sync(repo, "backups", err);
}

/* "ab12..." or "ab12....bad". */
static bool read_name(const char *text, struct tars_object_name *name, bool *is_bad)
{
    char hex[TARS_OBJECT_HEX_BYTES];

    *is_bad = strlen(text) == sizeof(hex) - 1 + sizeof(BAD) - 1 &&
              strcmp(text + sizeof(hex) - 1, BAD) == 0;
    if (!*is_bad)
        return tars_object_from_hex(text, name);
    (void)snprintf(hex, sizeof(hex), "%.64s", text);
    return tars_object_from_hex(hex, name);
}

static tars_status each_in(const struct tars_repo *repo, const char *name, bool *goes_on,
                           tars_repo_each_fn *each, void *ctx, struct tars_err *err)
{
    DIR *folder = open_folder(repo, name);
    const struct dirent *entry;
    tars_status status = TARS_OK;

    if (!folder)
        return tars_repo_fail(repo, "read", name, errno, err);
    while (*goes_on && (entry = next_entry(repo, folder, name, &status, err)) != NULL) {
        struct tars_repo_object object;
        struct stat about;

        if (!read_name(entry->d_name, &object.name, &object.is_bad) ||
            fstatat(dirfd(folder), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        object.bytes = (uint64_t)about.st_size;
        *goes_on = each(ctx, &object);
    }
    (void)closedir(folder);
    return status;
}

tars_status tars_repo_each(struct tars_repo *repo, tars_repo_each_fn *each, void *ctx,
                           struct tars_err *err)
{
    char name[sizeof("objects/00")];
    bool goes_on = true;
    tars_status status = TARS_OK;

    for (unsigned i = 0; status == TARS_OK && goes_on && i < 256; i++) {
        (void)snprintf(name, sizeof(name), "objects/%02x", i);
        status = each_in(repo, name, &goes_on, each, ctx, err);
    }
    return status;
}

bool tars_repo_has(const struct tars_repo *repo, const struct tars_object_name *name)
{
    char path[NAME_BYTES];

    object_path(name, path);
    return faccessat(repo->dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

tars_status tars_repo_drop(struct tars_repo *repo, const struct tars_repo_object *object,
                           struct tars_err *err)
{
    char path[NAME_BYTES];
    size_t len;

    object_path(&object->name, path);
    len = strlen(path);
    if (object->is_bad)
        (void)snprintf(path + len, sizeof(path) - len, "%s", BAD);
    return unlinkat(repo->dir_fd, path, 0) == 0 ? TARS_OK
                                                : tars_repo_fail(repo, "remove", path, errno, err);
}

tars_status tars_repo_tidy(struct tars_repo *repo, struct tars_err *err)
{
    DIR *folder = open_folder(repo, "backups");
    const struct dirent *entry;
    tars_status status = TARS_OK;

    if (!folder)
        return tars_repo_fail(repo, "read", "backups", errno, err);
    while ((entry = next_entry(repo, folder, "backups", &status, err)) != NULL) {
        if (strstr(entry->d_name, ".tmp."))
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    (void)closedir(folder);
    return status;
}
