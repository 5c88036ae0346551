/* cmd_restore - a data folder out of a backup.
 *
 *     DATA/.restoring/...  what comes out of the backup, each file checked against its digest
 *                          -> databases checked, rows counted against the manifest
 *                          -> moved up, the store last
 *     DATA/replaced-ID/    what was there before, with --replace
 *
 * Undone    A failure while files are moved moves them back. A kill leaves .restoring, which the
 *           next restore removes; while it is there no command opens the store (store/lock.h).
 * --replace The old store's log goes into its file first, and the file is moved last: nothing that
 *           is moved away belongs to something that is not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/backups.h"
#include "app/moves.h"
#include "app/places.h"
#include "app/stores.h"
#include "backup/pack.h"
#include "base/codec/json_write.h"
#include "base/crypto/digest.h"
#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "store/lock.h"
#include "store/sqlite_copy.h"
#include "store/store_sqlite.h"

#define SECOND_US  INT64_C(1000000)
#define OUTPUT_MAX ((size_t)1 << 20)
#define STAGE      TARS_STORE_RESTORING
#define STORE      "tars.db"
#define ANALYTICS  "analytics.db"
#define DEPTH      16
#define LOOK_ARENA ((size_t)256 << 20)

const struct tars_option tars_options_restore[] = {
    {"to", 0, "DIR", NULL, "The data folder to make; the one of --data when it is not given"},
    {"at", 0, "TIME|ID", NULL, "The newest backup of that time or before, or that one (newest)"},
    {"replace", 0, NULL, NULL, "Move aside what is in the folder"},
    {"key-file", 0, "FILE", NULL, "The key that the backups are sealed with"},
    {"passphrase-file", 0, "FILE", NULL, "The passphrase that the backups are sealed with"},
    {NULL, 0, NULL, NULL, NULL},
};

struct restore {
    struct tars_cli *cli;
    const char *dir;   /* the data folder */
    const char *stage; /* DIR/.restoring */
    int lock_fd;       /* of the data folder; -1: not yet */
    struct tars_repo *repo;
    struct tars_manifest manifest;
    struct tars_store_stats stats;
    struct tars_moves moves;
    const char *moved_to; /* what was there before; NULL: nothing was */
    int64_t took_ms;
    bool is_staged; /* stage is ours to remove */
};

static const char *join(struct restore *restore, const char *folder, const char *name)
{
    return tars_arena_printf(&restore->cli->arena, "%s/%s", folder, name);
}

static tars_status no_memory(struct tars_err *err)
{
    return tars_fail(TARS_ENOMEM, err, "no memory");
}

/* ------------------------------------------------------------------- choice */

/* Those that are newer by their ids are not even read: they may be damaged. */
static tars_status read_first(struct restore *restore, const char **ids, size_t count,
                              int64_t until_us, struct tars_err *err)
{
    static const unsigned char last[4] = {0xff, 0xff, 0xff, 0xff};
    char until[TARS_BACKUP_ID_BYTES] = "a"; /* after every id */

    if (until_us != INT64_MAX)
        tars_backup_id(until_us, last, until);
    for (size_t i = count; i-- > 0;) {
        tars_status status;

        if (strcmp(ids[i], until) > 0)
            continue;
        status = tars_repo_manifest(restore->repo, ids[i], &restore->cli->arena, &restore->manifest,
                                    err);
        if (status != TARS_OK || restore->manifest.time_us <= until_us)
            return status;
    }
    return count == 0 ? tars_fail(TARS_ENOTFOUND, err, "there are no backups in it")
                      : tars_fail(TARS_ENOTFOUND, err, "no backup is of that time or before");
}

/* The newest is of one data folder, and who restores may mean another's. */
static void warn_of_others(const struct restore *restore, const char **ids, size_t count)
{
    const struct tars_manifest *manifest = &restore->manifest;
    bool is_told = false;
    struct tars_arena arena;

    tars_arena_init(&arena, LOOK_ARENA);
    for (size_t i = 0; i < count && !is_told; i++) {
        struct tars_manifest other;

        tars_arena_clear(&arena);
        is_told = tars_repo_manifest(restore->repo, ids[i], &arena, &other, NULL) == TARS_OK &&
                  strcmp(other.data, manifest->data) != 0;
        if (is_told) {
            tars_cli_complain("backup %s is of %s, and there are others, of %s (--list): --at ID "
                              "takes one of them",
                              manifest->id, manifest->data, other.data);
        }
    }
    tars_arena_release(&arena);
}

/* What a backup of ours has, and nothing else: not what the next server would take for its own. */
static tars_status check_parts(const struct restore *restore, struct tars_err *err)
{
    const struct tars_manifest *manifest = &restore->manifest;

    for (size_t i = 0; i < manifest->file_count; i++) {
        if (!tars_backups_is_part(manifest->files[i].name)) {
            return tars_fail(TARS_EFORMAT, err, "backup %s has a file %s, which is none of ours",
                             manifest->id, manifest->files[i].name);
        }
    }
    return tars_manifest_file(manifest, STORE)
               ? TARS_OK
               : tars_fail(TARS_EFORMAT, err, "backup %s has no " STORE, manifest->id);
}

static tars_status choose(struct restore *restore, struct tars_err *err)
{
    const char *at = tars_cli_value(restore->cli, "at");
    const char **ids = NULL;
    size_t count = 0;
    int64_t until_us = INT64_MAX;
    tars_status status;

    if (at && tars_backup_id_is_valid(at)) {
        return tars_repo_manifest(restore->repo, at, &restore->cli->arena, &restore->manifest, err);
    }
    if (at && !tars_clock_parse(at, &until_us)) {
        return tars_fail(TARS_EINVAL, err,
                         "--at is \"%s\": expected a time as 2026-11-26T15:30:00Z or the id of a "
                         "backup (tars backup DEST --list)",
                         at);
    }
    if (at && !strchr(at, '.'))
        until_us += SECOND_US - 1; /* the whole second, as --list shows it */
    status = tars_repo_ids(restore->repo, &restore->cli->arena, &ids, &count, err);
    if (status == TARS_OK)
        status = read_first(restore, ids, count, until_us, err);
    if (status == TARS_OK)
        warn_of_others(restore, ids, count);
    return status;
}

/* ------------------------------------------------------------------- folder */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static bool is_ours(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0 ||
           strcmp(name, "lock") == 0 || strcmp(name, STAGE) == 0 ||
           strncmp(name, "replaced-", sizeof("replaced-") - 1) == 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static tars_status add_name(struct restore *restore, const char *name, const char ***names,
                            size_t *cap, size_t *count, struct tars_err *err)
{
    struct tars_arena *arena = &restore->cli->arena;
    const char *kept = tars_arena_strdup(arena, name);

    if (!kept ||
        tars_arena_grow(arena, (void **)names, cap, *count + 1, sizeof(**names)) != TARS_OK)
        return no_memory(err);
    (*names)[(*count)++] = kept;
    return TARS_OK;
}

/* Names in the folder that are neither ours nor the file system's. */
static tars_status list_others(struct restore *restore, const char ***names, size_t *count,
                               struct tars_err *err)
{
    DIR *folder = opendir(restore->dir);
    const struct dirent *entry = NULL;
    size_t cap = 0;
    tars_status status = TARS_OK;

    *names = NULL;
    *count = 0;
    errno = folder ? 0 : errno;
    while (folder && status == TARS_OK && (entry = readdir(folder)) != NULL) {
        if (!is_ours(entry->d_name))
            status = add_name(restore, entry->d_name, names, &cap, count, err);
        errno = 0;
    }
    if (status == TARS_OK && errno)
        status = tars_fail(TARS_EIO, err, "cannot read %s: %s", restore->dir, strerror(errno));
    if (folder)
        (void)closedir(folder);
    if (*count > 0)
        qsort(*names, *count, sizeof(**names), by_text);
    return status;
}

/* A log that stays would be parted from its file by a kill in between. */
static tars_status settle_store(struct restore *restore, struct tars_err *err)
{
    const char *store = join(restore, restore->dir, STORE);
    const char *analytics = join(restore, restore->dir, ANALYTICS);
    struct tars_err why = {{0}};
    tars_status status;

    if (!store || !analytics)
        return no_memory(err);
    if (access(store, F_OK) != 0)
        return TARS_OK;
    status = tars_sqlite_copy_settle(store, TARS_SQLITE_STORE, &why);
    if (status != TARS_OK) {
        return tars_fail(status, err,
                         "the store that is there cannot be replaced, because its log does not go "
                         "into it (%s): move the folder away, or restore into another",
                         why.text);
    }
    /* Of the log of questions no more than that is at stake. */
    if (access(analytics, F_OK) == 0 &&
        tars_sqlite_copy_settle(analytics, TARS_SQLITE_ANALYTICS, &why) != TARS_OK)
        tars_cli_complain("%s", why.text);
    return TARS_OK;
}

static tars_status move_one_aside(struct restore *restore, const char *name, struct tars_err *err)
{
    const char *from = join(restore, restore->dir, name);
    const char *to = join(restore, restore->moved_to, name);

    return from && to ? tars_moves_do(&restore->moves, from, to, err) : no_memory(err);
}

/* The store last: a folder with it is one that was not touched. */
static tars_status move_others(struct restore *restore, struct tars_err *err)
{
    const char **names = NULL;
    size_t count = 0;
    bool has_store = false;
    tars_status status = list_others(restore, &names, &count, err);

    for (size_t i = 0; status == TARS_OK && i < count; i++) {
        if (strcmp(names[i], STORE) == 0) {
            has_store = true;
        } else {
            status = move_one_aside(restore, names[i], err);
        }
    }
    if (status == TARS_OK && has_store)
        status = tars_dir_sync(restore->moved_to, err);
    if (status == TARS_OK && has_store)
        status = tars_dir_sync(restore->dir, err);
    return status == TARS_OK && has_store ? move_one_aside(restore, STORE, err) : status;
}

static tars_status move_aside(struct restore *restore, struct tars_err *err)
{
    char random[9];
    tars_status status = settle_store(restore, err);

    if (status == TARS_OK && tars_random_hex(random, 4))
        status = tars_fail(TARS_EIO, err, "no random bytes");
    if (status != TARS_OK)
        return status;
    restore->moved_to = tars_arena_printf(&restore->cli->arena, "%s/replaced-%s-%s", restore->dir,
                                          restore->manifest.id, random);
    if (!restore->moved_to)
        return no_memory(err);
    status = tars_dir_make(restore->moved_to, err);
    return status == TARS_OK ? move_others(restore, err) : status;
}

/* After a failure: as it was before. What cannot be is told, and .restoring stays for servers to
 * see. */
static tars_status undo(struct restore *restore, tars_status status, struct tars_err *err)
{
    struct tars_err first = *err;
    struct tars_err why = {{0}};

    if (tars_moves_undo(&restore->moves, &why) == TARS_OK) {
        if (restore->moved_to)
            (void)rmdir(restore->moved_to);
        if (restore->is_staged)
            (void)nftw(restore->stage, remove_one, DEPTH, FTW_DEPTH | FTW_PHYS);
        return status;
    }
    return tars_fail(status, err, "%.300s; and %.300s: what was there before is in %s and %s",
                     first.text, why.text, restore->dir,
                     restore->moved_to ? restore->moved_to : restore->stage);
}

/* The folder is there, ours alone, and holds nothing that would be lost. */
static tars_status prepare(struct restore *restore, struct tars_err *err)
{
    const char **names = NULL;
    size_t others = 0;
    struct stat about;
    bool was_stopped;
    tars_status status = tars_dir_make(restore->dir, err);

    /* Now that it is there its name can be made absolute. */
    if (status == TARS_OK)
        restore->dir = tars_places_absolute(&restore->cli->arena, restore->dir);
    restore->stage = restore->dir ? join(restore, restore->dir, STAGE) : NULL;
    if (!restore->stage)
        return status == TARS_OK ? no_memory(err) : status;
    if (status == TARS_OK)
        status = tars_store_lock(restore->dir, &restore->lock_fd, err);
    if (status == TARS_OK)
        status = list_others(restore, &names, &others, err);
    if (status != TARS_OK)
        return status;
    was_stopped = lstat(restore->stage, &about) == 0;
    if (others > 0 && !tars_cli_value(restore->cli, "replace")) {
        return tars_fail(TARS_EEXIST, err,
                         "%s is not empty%s: choose another folder, or --replace, which moves "
                         "aside what is there",
                         restore->dir, was_stopped ? " (a restore was interrupted here)" : "");
    }
    if (was_stopped && nftw(restore->stage, remove_one, DEPTH, FTW_DEPTH | FTW_PHYS) != 0)
        return tars_fail(TARS_EIO, err, "cannot remove %s: %s", restore->stage, strerror(errno));
    status = tars_dir_make(restore->stage, err);
    restore->is_staged = status == TARS_OK;
    return status;
}

/* -------------------------------------------------------------------- files */

/* The folder of path is made; its name has a '/' behind that of stage or dir. */
static tars_status make_parent(const char *path, struct tars_err *err)
{
    char folder[PATH_MAX];
    char *slash;

    if (snprintf(folder, sizeof(folder), "%s", path) >= (int)sizeof(folder))
        return tars_fail(TARS_EINVAL, err, "the name %s is too long", path);
    slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    return tars_dir_make(folder, err);
}

static tars_status take_file(struct restore *restore, const struct tars_manifest_file *file,
                             const struct tars_pack_watch *watch, struct tars_err *err)
{
    const char *path = join(restore, restore->stage, file->name);
    tars_status status;
    int fd;

    if (!path)
        return no_memory(err);
    status = make_parent(path, err);
    if (status != TARS_OK)
        return status;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, file->mode);
    if (fd < 0)
        return tars_fail(TARS_EIO, err, "cannot write %s: %s", path, strerror(errno));
    status = tars_pack_get(restore->repo, file, fd, watch, err);
    if (status == TARS_OK && fsync(fd) != 0)
        status = tars_fail(TARS_EIO, err, "cannot write %s: %s", path, strerror(errno));
    close(fd);
    return status;
}

static tars_status take_files(struct restore *restore, struct tars_err *err)
{
    struct tars_backups_bar bar;
    struct tars_err why = {{0}};
    tars_status status = TARS_OK;

    tars_backups_bar_begin(&bar, restore->cli, "restoring", restore->manifest.bytes);
    for (size_t i = 0; status == TARS_OK && i < restore->manifest.file_count; i++)
        status = take_file(restore, &restore->manifest.files[i], &bar.watch, &why);
    tars_backups_bar_end(&bar);
    return status == TARS_OK ? TARS_OK : tars_fail(status, err, "%s", why.text);
}

/* ------------------------------------------------------------------- checks */

struct count {
    const struct restore *restore;
    const char *file;
    size_t seen;
    char words[TARS_ERR_TEXT_MAX]; /* the first that differs; "" */
};

/* A tars_sqlite_rows_fn. */
static void compare_rows(void *ctx, const char *table, int64_t rows)
{
    struct count *count = ctx;
    const struct tars_manifest *manifest = &count->restore->manifest;

    for (size_t i = 0; i < manifest->table_count; i++) {
        const struct tars_manifest_table *known = &manifest->tables[i];

        if (strcmp(known->file, count->file) != 0 || strcmp(known->name, table) != 0)
            continue;
        count->seen++;
        if (known->rows != rows && !count->words[0]) {
            (void)snprintf(count->words, sizeof(count->words),
                           "%s of %s has %lld rows, and had %lld when it was backed up", table,
                           count->file, (long long)rows, (long long)known->rows);
        }
    }
}

/* A table of a newer program is not counted by an older one, and is not missed. */
static tars_status check_database(struct restore *restore, const char *name,
                                  enum tars_sqlite_file kind, struct tars_err *err)
{
    const char *path = join(restore, restore->stage, name);
    struct count count = {.restore = restore, .file = name};
    struct tars_sqlite_copy *copy = NULL;
    tars_status status = path ? tars_sqlite_copy_begin(path, kind, &copy, err) : no_memory(err);

    if (status == TARS_OK)
        status = tars_sqlite_copy_check(copy, err);
    if (status == TARS_OK)
        status = tars_sqlite_copy_rows(copy, compare_rows, &count, err);
    tars_sqlite_copy_end(copy);
    if (status == TARS_OK && count.words[0])
        status = tars_fail(TARS_EFORMAT, err, "%s", count.words);
    return status;
}

/* That it hangs together, as the program that will open it sees it; schema changes are made here.
 */
static tars_status check_store(struct restore *restore, struct tars_err *err)
{
    const struct tars_store_sqlite_config config = {
        .dir = restore->stage, .readers = 1, .beside = true};
    struct tars_store *store = NULL;
    tars_status status = tars_store_sqlite_open(&config, &store, err);

    if (status == TARS_OK)
        status = tars_store_check(store, err);
    if (status == TARS_OK)
        status = tars_store_stats(store, &restore->stats, err);
    tars_store_close(store);
    return status;
}

static void drop_log(struct restore *restore, const char *name)
{
    static const char *const endings[] = {"-wal", "-shm"};

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        char path[PATH_MAX];

        if (snprintf(path, sizeof(path), "%s/%s%s", restore->stage, name, endings[i]) <
            (int)sizeof(path))
            (void)unlink(path);
    }
}

static tars_status check(struct restore *restore, struct tars_err *err)
{
    const char *path = join(restore, restore->stage, STORE);
    tars_status status = path ? TARS_OK : no_memory(err);

    if (status == TARS_OK && tars_manifest_file(&restore->manifest, STORE)) {
        status = check_database(restore, STORE, TARS_SQLITE_STORE, err);
        if (status == TARS_OK)
            status = check_store(restore, err);
        if (status == TARS_OK)
            status = tars_sqlite_copy_move(path, restore->manifest.data, restore->dir, err);
        /* What would be in its log would not come along. */
        if (status == TARS_OK)
            status = tars_sqlite_copy_settle(path, TARS_SQLITE_STORE, err);
        if (status == TARS_OK)
            drop_log(restore, STORE);
    }
    if (status == TARS_OK && tars_manifest_file(&restore->manifest, ANALYTICS)) {
        status = check_database(restore, ANALYTICS, TARS_SQLITE_ANALYTICS, err);
        /* Nothing was written into it: its log is empty. */
        if (status == TARS_OK)
            drop_log(restore, ANALYTICS);
    }
    return status;
}

/* ------------------------------------------------------------------ move up */

static tars_status move_up(struct restore *restore, const char *name, struct tars_err *err)
{
    const char *from = join(restore, restore->stage, name);
    const char *to = join(restore, restore->dir, name);
    tars_status status = from && to ? make_parent(to, err) : no_memory(err);

    return status == TARS_OK ? tars_moves_do(&restore->moves, from, to, err) : status;
}

static tars_status sync_disk(const struct restore *restore, struct tars_err *err)
{
    int fd = open(restore->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tars_status status = TARS_OK;

    if (fd < 0 || syncfs(fd) != 0)
        status = tars_fail(TARS_EIO, err, "cannot sync %s: %s", restore->dir, strerror(errno));
    if (fd >= 0)
        close(fd);
    return status;
}

static tars_status move_all(struct restore *restore, struct tars_err *err)
{
    const struct tars_manifest *manifest = &restore->manifest;
    tars_status status = TARS_OK;

    for (size_t i = 0; status == TARS_OK && i < manifest->file_count; i++) {
        if (strcmp(manifest->files[i].name, STORE) != 0)
            status = move_up(restore, manifest->files[i].name, err);
    }
    if (status == TARS_OK)
        status = sync_disk(restore, err);
    if (status == TARS_OK)
        status = move_up(restore, STORE, err);
    if (status == TARS_OK)
        status = tars_dir_sync(restore->dir, err);
    return status;
}

/* ---------------------------------------------------------------------- all */

static void print_done(const struct restore *restore)
{
    const struct tars_manifest *manifest = &restore->manifest;
    const struct tars_store_stats *stats = &restore->stats;
    char time[TARS_ISO8601_BYTES];
    char size[32];

    tars_clock_iso8601(manifest->time_us / 1000000 * 1000000, time);
    printf("%s is as %s was at %s UTC (backup %s, change %llu)\n", restore->dir, manifest->data,
           time, manifest->id, (unsigned long long)manifest->sequence);
    printf("%lld documents, %lld passages; %zu files, %s; every byte and table checked; %.1f s\n",
           (long long)stats->documents, (long long)stats->passages, manifest->file_count,
           tars_backups_size(manifest->bytes, size), (double)restore->took_ms / 1000);
    if (tars_manifest_file(manifest, "settings.env"))
        printf("Settings of then are in %s/settings.env: tars serve --env-file\n", restore->dir);
    if (restore->moved_to)
        printf("What was there before is in %s\n", restore->moved_to);
}

static void print_json(const struct restore *restore)
{
    const struct tars_manifest *manifest = &restore->manifest;
    struct tars_buf text;
    struct tars_json json;

    tars_buf_init(&text, OUTPUT_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "id", manifest->id);
    tars_json_int(&json, "time_us", manifest->time_us);
    tars_json_text(&json, "data", restore->dir);
    tars_json_int(&json, "sequence", (int64_t)manifest->sequence);
    tars_json_int(&json, "documents", restore->stats.documents);
    tars_json_int(&json, "passages", restore->stats.passages);
    tars_json_int(&json, "files", (int64_t)manifest->file_count);
    tars_json_int(&json, "bytes", (int64_t)manifest->bytes);
    tars_json_int(&json, "took_ms", restore->took_ms);
    tars_json_text(&json, "replaced", restore->moved_to);
    tars_json_end(&json);
    printf("%s\n", text.status == TARS_OK ? text.ptr : "{}");
    tars_buf_release(&text);
}

/* Takes out and checks all before anything that is there is moved. */
static tars_status restore_all(struct restore *restore, const char *source, struct tars_err *err)
{
    const struct tars_repo_config config = {.dir = source, .key = tars_backups_key(restore->cli)};
    int64_t begun_ms = tars_clock_mono_ms();
    tars_status status = tars_repo_open(&config, &restore->repo, err);

    if (status == TARS_OK)
        status = choose(restore, err);
    if (status == TARS_OK)
        status = check_parts(restore, err);
    if (status == TARS_OK && tars_cli_value(restore->cli, "replace") &&
        tars_backups_is_below(source, restore->dir)) {
        status = tars_fail(TARS_EINVAL, err,
                           "%s is within %s, whose files --replace moves: restore into another "
                           "folder",
                           source, restore->dir);
    }
    if (status == TARS_OK)
        status = prepare(restore, err);
    if (status == TARS_OK)
        status = take_files(restore, err);
    if (status == TARS_OK)
        status = check(restore, err);
    if (status == TARS_OK && tars_cli_value(restore->cli, "replace"))
        status = move_aside(restore, err);
    if (status == TARS_OK)
        status = move_all(restore, err);
    if (status != TARS_OK)
        return undo(restore, status, err);
    restore->took_ms = tars_clock_mono_ms() - begun_ms;
    if (nftw(restore->stage, remove_one, DEPTH, FTW_DEPTH | FTW_PHYS) != 0) {
        tars_cli_complain("all is restored, but remove %s before a server is started: %s",
                          restore->stage, strerror(errno));
    }
    return TARS_OK;
}

/* Of this backup, so that another may do. */
static bool is_damage(const struct restore *restore, tars_status status)
{
    return restore->repo && (status == TARS_EFORMAT || status == TARS_EDENIED ||
                             (status == TARS_ENOTFOUND && restore->manifest.id[0]));
}

int tars_cmd_restore(struct tars_cli *cli)
{
    struct restore restore = {.cli = cli, .lock_fd = -1, .moves = {.arena = &cli->arena}};
    const char *to = tars_cli_value(cli, "to");
    struct tars_err err = {{0}};
    tars_status status = TARS_OK;

    if (cli->argument_count != 1) {
        tars_cli_complain("usage: tars restore SRC [--at TIME|ID] [--to DIR]");
        return TARS_EXIT_USAGE;
    }
    if (to) {
        restore.dir = tars_places_absolute(&cli->arena, to);
    } else {
        status = tars_stores_check_file(cli->settings, &err);
        if (status == TARS_OK)
            status = tars_places_data(cli->settings, &cli->arena, &restore.dir, &err);
    }
    if (status == TARS_OK)
        status = restore_all(&restore, cli->arguments[0], &err);
    tars_repo_close(restore.repo);
    if (restore.lock_fd >= 0)
        close(restore.lock_fd);
    if (status != TARS_OK) {
        tars_cli_complain("nothing is restored: %s", err.text);
        if (is_damage(&restore, status)) {
            tars_cli_complain("another backup may be whole: tars backup %s --verify tells, "
                              "tars restore --at ID takes it",
                              cli->arguments[0]);
        }
        return tars_cli_exit(cli, status == TARS_ENOTFOUND ? TARS_EIO : status);
    }
    if (cli->json) {
        print_json(&restore);
    } else {
        print_done(&restore);
    }
    return TARS_EXIT_OK;
}
