/* backup_source - see backup_source.h for the contract. */
#include "app/backup_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analytics/journal_copy.h"
#include "app/backups.h"
#include "base/sys/clock.h"
#include "store/lock.h"
#include "store/sqlite_copy.h"

#define MOMENTS_MAX 50 /* tries until no upload vanishes in between */

struct take {
    const struct tars_source_config *config;
    struct tars_source *source;
    struct tars_sqlite_copy *store;     /* owned */
    struct tars_sqlite_copy *analytics; /* owned, or NULL */
    int journal_fd;                     /* -1: none */
    uint64_t journal;                   /* which it is */
    bool is_gone;                       /* an upload that is waited for */
    bool is_last;                       /* try: what is gone now is lost, whatever its job says */
    const char *table_file;             /* whose tables are counted */
    struct tars_err *err;
    tars_status status; /* of what a callback did */
};

/* -------------------------------------------------------------------- parts */

/* Takes fd, also when it fails. */
static tars_status add(struct take *take, const char *name, int fd, struct tars_err *err)
{
    struct tars_source *source = take->source;
    struct stat about;
    const char *kept = tars_arena_strdup(source->arena, name);

    if (!kept || tars_arena_grow(source->arena, (void **)&source->parts, &source->cap,
                                 source->count + 1, sizeof(*source->parts)) != TARS_OK) {
        close(fd);
        return tars_fail(TARS_ENOMEM, err, "no memory for the parts of a backup");
    }
    if (fstat(fd, &about) != 0) {
        close(fd);
        return tars_fail(TARS_EIO, err, "cannot look at %s: %s", name, strerror(errno));
    }
    source->parts[source->count++] =
        (struct tars_source_part){.name = kept, .fd = fd, .bytes = (uint64_t)about.st_size};
    source->bytes += (uint64_t)about.st_size;
    return TARS_OK;
}

/* A file that may be missing. */
static tars_status add_file(struct take *take, const char *name, const char *path,
                            struct tars_err *err)
{
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (!path)
        return tars_fail(TARS_ENOMEM, err, "no memory for the parts of a backup");
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return TARS_OK;
    if (fd < 0)
        return tars_fail(TARS_EIO, err, "cannot read %s: %s", path, strerror(errno));
    return add(take, name, fd, err);
}

static const char *within(struct take *take, const char *name)
{
    return tars_arena_printf(take->source->arena, "%s/%s", take->config->data, name);
}

static tars_status nameless(const char *folder, int *fd, struct tars_err *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/copy-XXXXXX", folder) >= (int)sizeof(path))
        return tars_fail(TARS_EINVAL, err, "the name of the data folder is too long");
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd < 0)
        return tars_fail(TARS_EIO, err, "cannot write into %s: %s", folder, strerror(errno));
    (void)unlink(path);
    return TARS_OK;
}

/* The first thing that is wrong is told. */
static void __attribute__((format(printf, 2, 3)))
warn(struct tars_source *source, const char *format, ...)
{
    va_list args;

    if (source->warning[0])
        return;
    va_start(args, format);
    (void)vsnprintf(source->warning, sizeof(source->warning), format, args);
    va_end(args);
}

/* A part beside the store that is damaged costs itself, not the backup. */
static tars_status leave_out(struct take *take, const char *name, tars_status status,
                             const struct tars_err *why)
{
    if (status == TARS_ENOTFOUND)
        return TARS_OK;
    warn(take->source, "%.40s is left out: %.400s", name, why->text);
    return TARS_OK;
}

/* ------------------------------------------------------------------- moment */

/* A tars_sqlite_spool_fn: open it while it is there. */
static bool take_spool(void *ctx, const char *spool, bool waits)
{
    struct take *take = ctx;
    const char *slash = strrchr(spool, '/');
    char name[NAME_MAX + 8];
    int fd = open(spool, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 && errno == ENOENT) {
        take->is_gone = take->is_gone || waits;
        return !waits || take->is_last;
    }
    if (fd < 0) {
        take->status = tars_fail(TARS_EIO, take->err, "cannot read %s: %s", spool, strerror(errno));
        return false;
    }
    (void)snprintf(name, sizeof(name), "spool/%s", slash ? slash + 1 : spool);
    if (!tars_backups_is_part(name)) {
        warn(take->source, "%s is left out: its name is not that of an upload", spool);
        close(fd);
        return true;
    }
    take->status = add(take, name, fd, take->err);
    return take->status == TARS_OK;
}

static void drop_parts(struct tars_source *source, size_t count)
{
    while (source->count > count) {
        source->count--;
        source->bytes -= source->parts[source->count].bytes;
        close(source->parts[source->count].fd);
    }
}

/* One try; *again: an upload had ended in between. */
static tars_status try_moment(struct take *take, const char *path, bool *again,
                              struct tars_err *err)
{
    int64_t now_us = tars_clock_wall_us();
    size_t before = take->source->count;
    tars_status status = tars_sqlite_copy_begin(path, TARS_SQLITE_STORE, &take->store, err);

    take->is_gone = false;
    take->status = TARS_OK;
    if (status == TARS_OK)
        status = tars_sqlite_copy_spools(take->store, take_spool, take, err);
    if (status == TARS_OK)
        status = take->status;
    *again = status == TARS_OK && take->is_gone && !take->is_last;
    if (*again || status != TARS_OK) {
        drop_parts(take->source, before);
        tars_sqlite_copy_end(take->store);
        take->store = NULL;
    }
    take->source->time_us = now_us;
    return status;
}

static tars_status take_moment(struct take *take, struct tars_err *err)
{
    const char *path = within(take, "tars.db");
    bool again = true;
    tars_status status = path ? TARS_OK : tars_fail(TARS_ENOMEM, err, "no memory for a backup");

    for (int i = 1; status == TARS_OK && again; i++) {
        take->is_last = i == MOMENTS_MAX;
        status = try_moment(take, path, &again, err);
    }
    if (status == TARS_OK && take->is_gone) {
        warn(take->source, "a job waits for an upload that is not in the data folder any more: "
                           "tars jobs tells which, tars jobs cancel ends it");
    }
    return status;
}

/* ---------------------------------------------------------------- databases */

/* A tars_sqlite_rows_fn. */
static void count_table(void *ctx, const char *table, int64_t rows)
{
    struct take *take = ctx;
    struct tars_source *source = take->source;

    if (take->status != TARS_OK)
        return;
    take->status = tars_arena_grow(source->arena, (void **)&source->tables, &source->table_cap,
                                   source->table_count + 1, sizeof(*source->tables));
    if (take->status == TARS_OK) {
        source->tables[source->table_count++] =
            (struct tars_manifest_table){.file = take->table_file, .name = table, .rows = rows};
    }
}

static tars_status copy_database(struct take *take, struct tars_sqlite_copy *copy, const char *name,
                                 struct tars_err *err)
{
    int fd = -1;
    tars_status status;

    take->table_file = name;
    take->status = TARS_OK;
    status = tars_sqlite_copy_run(copy, take->config->data, take->config->stop, &fd, err);
    if (status == TARS_OK)
        status = add(take, name, fd, err);
    if (status == TARS_OK)
        status = tars_sqlite_copy_rows(copy, count_table, take, err);
    return status == TARS_OK ? take->status : status;
}

static tars_status take_store(struct take *take, struct tars_err *err)
{
    tars_status status = tars_sqlite_copy_sequence(take->store, &take->source->sequence, err);

    return status == TARS_OK ? copy_database(take, take->store, "tars.db", err) : status;
}

static tars_status take_analytics(struct take *take, struct tars_err *err)
{
    uint64_t position = 0;
    struct tars_err why = {{0}};
    size_t before = take->source->count;
    size_t tables = take->source->table_count;
    tars_status status = TARS_OK;

    if (take->analytics) {
        status = tars_sqlite_copy_journal(take->analytics, take->journal, &position, &why);
        if (status == TARS_OK)
            status = copy_database(take, take->analytics, "analytics.db", &why);
    }
    if (status != TARS_OK && (status == TARS_EFORMAT || status == TARS_EIO)) {
        drop_parts(take->source, before);
        take->source->table_count = tables;
        return leave_out(take, "analytics.db", status, &why);
    }
    if (status != TARS_OK)
        return tars_fail(status, err, "%s", why.text);
    if (take->journal_fd < 0)
        return TARS_OK;
    status = tars_journal_settle(take->journal_fd, position, &why);
    if (status != TARS_OK) /* the mark is none: what was written of them is not known */
        return leave_out(take, "analytics.queue", status, &why);
    status = add(take, "analytics.queue", take->journal_fd, err);
    take->journal_fd = -1;
    return status;
}

/* ---------------------------------------------------------------------- all */

static tars_status take_journal(struct take *take, struct tars_err *err)
{
    const char *path = within(take, "analytics.queue");
    struct tars_err why = {{0}};
    tars_status status = path ? TARS_OK : tars_fail(TARS_ENOMEM, err, "no memory for a backup");

    if (status == TARS_OK)
        status = nameless(take->config->data, &take->journal_fd, err);
    if (status != TARS_OK)
        return status;
    status = tars_journal_take(path, take->journal_fd, &take->journal, &why);
    if (status == TARS_OK)
        return TARS_OK;
    close(take->journal_fd);
    take->journal_fd = -1;
    return leave_out(take, "analytics.queue", status, &why);
}

static tars_status begin_analytics(struct take *take, struct tars_err *err)
{
    const char *path = within(take, "analytics.db");
    struct tars_err why = {{0}};
    tars_status status;

    if (!path)
        return tars_fail(TARS_ENOMEM, err, "no memory for a backup");
    status = tars_sqlite_copy_begin(path, TARS_SQLITE_ANALYTICS, &take->analytics, &why);
    return status == TARS_OK ? TARS_OK : leave_out(take, "analytics.db", status, &why);
}

static tars_status take_all(struct take *take, struct tars_err *err)
{
    const char *store = within(take, "tars.db");
    tars_status status = TARS_OK;

    if (!store)
        return tars_fail(TARS_ENOMEM, err, "no memory for a backup");
    status = tars_store_check_whole(take->config->data, err);
    if (status != TARS_OK)
        return status;
    if (access(store, F_OK) != 0) {
        return tars_fail(TARS_ENOTFOUND, err,
                         "there is no store in the data folder %s: nothing to back up; one in "
                         "PostgreSQL is backed up there (docs/backup.md)",
                         take->config->data);
    }
    if (take->config->has_index)
        status = add_file(take, "index/index.tars", within(take, "index/index.tars"), err);
    if (status == TARS_OK)
        status = take_moment(take, err);
    if (status == TARS_OK)
        status = take_journal(take, err);
    if (status == TARS_OK)
        status = begin_analytics(take, err);
    if (status == TARS_OK)
        status = take_store(take, err);
    if (status == TARS_OK)
        status = take_analytics(take, err);
    if (status == TARS_OK)
        status = add_file(take, "jwt.key", within(take, "jwt.key"), err);
    if (status == TARS_OK && take->config->env_file)
        status = add_file(take, "settings.env", take->config->env_file, err);
    return status;
}

static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

tars_status tars_source_take(const struct tars_source_config *config, struct tars_arena *arena,
                             struct tars_source *source, struct tars_err *err)
{
    struct take take = {.config = config, .source = source, .journal_fd = -1, .err = err};
    tars_status status;

    *source = (struct tars_source){.arena = arena};
    raise_limit();
    status = take_all(&take, err);
    tars_sqlite_copy_end(take.store);
    tars_sqlite_copy_end(take.analytics);
    if (take.journal_fd >= 0)
        close(take.journal_fd);
    return status;
}

void tars_source_release(struct tars_source *source)
{
    drop_parts(source, 0);
}
