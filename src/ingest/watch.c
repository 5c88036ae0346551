/* watch - see watch.h for the contract.
 *
 * DESIGN
 *
 * One thread polls inotify and a pipe that ends it. Whatever happens to a name, only its path is
 * noted, with the time at which it will have been quiet long enough; then the disk is asked what is
 * there: a file is submitted, a name that is gone is forgotten with all below it. So the order of
 * events, and renames that cross folders, need no care.
 *
 *     folders   watch descriptor -> path, an array: the kernel counts descriptors up from 1
 *     pending   path -> due, an open list; a file that is written to again only gets later
 *
 * INVARIANT  What inotify misses costs a delay until the next scan, nothing else.
 */
#include "ingest/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "ingest/ingest_internal.h"
#include "ingest/walk.h"

#define FOLDERS_MAX  ((size_t)1 << 20)
#define EVENT_BYTES  65536
#define TICK_MS      250
#define LOOKUP_BYTES ((size_t)1 << 20)
#define US_PER_S     INT64_C(1000000)
#define NS_PER_US    1000
#define WANTED                                                                          \
    (IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | \
     IN_ONLYDIR | IN_DONT_FOLLOW)

struct pending {
    char *path; /* owned */
    int64_t due_ms;
};

struct tars_watch {
    struct tars_watch_config config;
    char *path;       /* absolute once the thread has looked, owned; lock, but for the thread */
    char *collection; /* owned */
    int inotify;      /* -1: none, scans only */
    int stop[2];      /* a pipe; its end is closed to stop the thread */
    pthread_t thread;
    bool is_running;

    /* The thread's own. */
    char **folders; /* (folder_cap,) by watch descriptor, owned, or NULL */
    size_t folder_cap;
    struct pending *pending; /* (pending_cap,) */
    size_t pending_count, pending_cap;
    int64_t next_scan_ms;
    bool scan_lists_files; /* false while a scan only adds watches */
    int64_t known;         /* files of the scan under way that the store has */

    pthread_mutex_t lock; /* guards stats */
    struct tars_watch_stats stats;
};

/* ------------------------------------------------------------------ pending */

static void count(struct tars_watch *watch, int64_t detected, int64_t forgotten)
{
    pthread_mutex_lock(&watch->lock);
    watch->stats.files_detected += detected;
    watch->stats.files_forgotten += forgotten;
    watch->stats.processing_files += detected;
    watch->stats.pending_files = (int64_t)watch->pending_count;
    pthread_mutex_unlock(&watch->lock);
}

static bool grow_pending(struct tars_watch *watch)
{
    size_t cap = watch->pending_cap ? watch->pending_cap * 2 : 64;
    struct pending *grown;

    if (watch->pending_count < watch->pending_cap)
        return true;
    if (cap > TARS_WATCH_PENDING_MAX)
        return false;
    grown = realloc(watch->pending, cap * sizeof(*grown));
    if (!grown)
        return false;
    watch->pending = grown;
    watch->pending_cap = cap;
    return true;
}

/* Note that something happened to path. What cannot be noted is found by a scan. */
static void touch(struct tars_watch *watch, const char *path)
{
    int64_t due_ms = tars_clock_mono_ms() + watch->config.quiet_ms;
    char *copy;

    for (size_t i = 0; i < watch->pending_count; i++) {
        if (strcmp(watch->pending[i].path, path) == 0) {
            watch->pending[i].due_ms = due_ms;
            return;
        }
    }
    copy = grow_pending(watch) ? strdup(path) : NULL;
    if (!copy) {
        if (watch->next_scan_ms > due_ms)
            watch->next_scan_ms = due_ms;
        return;
    }
    watch->pending[watch->pending_count++] = (struct pending){copy, due_ms};
    count(watch, 0, 0);
}

/* ------------------------------------------------------------------ folders */

static void watch_folder(struct tars_watch *watch, const char *path)
{
    int wd = watch->inotify < 0 ? -1 : inotify_add_watch(watch->inotify, path, WANTED);
    size_t cap = watch->folder_cap ? watch->folder_cap : 64;
    char **grown;

    if (wd < 0 || (size_t)wd >= FOLDERS_MAX)
        return;
    while (cap <= (size_t)wd)
        cap *= 2;
    if (cap > watch->folder_cap) {
        grown = realloc(watch->folders, cap * sizeof(*grown));
        if (!grown)
            return;
        memset(grown + watch->folder_cap, 0, (cap - watch->folder_cap) * sizeof(*grown));
        watch->folders = grown;
        watch->folder_cap = cap;
    }
    free(watch->folders[wd]);
    watch->folders[wd] = strdup(path);
}

/* A folder that went away is not below its old path any more. */
static void unwatch_below(struct tars_watch *watch, const char *path)
{
    for (size_t wd = 0; wd < watch->folder_cap; wd++) {
        if (watch->folders[wd] && tars_path_is_below(watch->folders[wd], path)) {
            (void)inotify_rm_watch(watch->inotify, (int)wd);
            free(watch->folders[wd]);
            watch->folders[wd] = NULL;
        }
    }
}

/* ----------------------------------------------------------------- the disk */

static void submit(struct tars_watch *watch, const char *path)
{
    struct tars_ingest_request request = {.collection = watch->collection, .path = path};
    struct tars_err err;

    if (tars_ingest_submit(watch->config.ingest, &request, 1, NULL, &err)) {
        tars_log_error(watch->config.log, "ingest", "%s", err.text);
    } else {
        count(watch, 1, 0);
    }
}

/* Size and time are those of the last time. */
static bool is_known(struct tars_watch *watch, const char *path)
{
    struct tars_store_file file;
    struct tars_arena arena;
    struct stat st;
    bool known = false;

    tars_arena_init(&arena, LOOKUP_BYTES);
    if (lstat(path, &st) == 0 && !tars_store_file(watch->config.ingest->config.store,
                                                  watch->collection, path, &arena, &file, NULL)) {
        known = file.size == st.st_size && file.sha256[0] &&
                file.modified_us == st.st_mtim.tv_sec * US_PER_S + st.st_mtim.tv_nsec / NS_PER_US;
    }
    tars_arena_release(&arena);
    return known;
}

static bool meet(void *ctx, const char *path, enum tars_walk_kind kind)
{
    struct tars_watch *watch = ctx;

    if (kind == TARS_WALK_FOLDER) {
        watch_folder(watch, path);
    } else if (kind == TARS_WALK_FILE &&
               tars_ingest_takes(watch->config.ingest->config.extensions, path)) {
        if (is_known(watch, path)) {
            watch->known++;
        } else if (watch->scan_lists_files) {
            submit(watch, path);
        } else {
            touch(watch, path);
        }
    }
    return true;
}

/* An empty folder is what an unmounted share looks like. */
static bool is_there(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    bool found = false;

    if (!folder)
        return false;
    while (!found && (entry = readdir(folder)))
        found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(folder);
    return found;
}

static void scan(struct tars_watch *watch)
{
    bool there = is_there(watch->path);
    struct tars_err err = {.text = ""};
    int64_t forgotten = 0;
    tars_status status = TARS_OK;

    watch->next_scan_ms = tars_clock_mono_ms() + watch->config.scan_interval_ms;
    watch->scan_lists_files = true;
    watch->known = 0;
    watch_folder(watch, watch->path);
    if (there)
        status = tars_walk(watch->path, meet, watch, &err);
    if (there && !status) {
        status = tars_ingest_forget_missing(watch->config.ingest, watch->collection, watch->path,
                                            &forgotten, &err);
    }
    watch->scan_lists_files = false;
    if (status || !there) {
        tars_log_warning(watch->config.log, "ingest", "%s is not there or empty: %s", watch->path,
                         err.text);
    }
    pthread_mutex_lock(&watch->lock);
    watch->stats.available = there && !status;
    watch->stats.last_scan_us = tars_clock_wall_us();
    watch->stats.files_known = watch->known;
    pthread_mutex_unlock(&watch->lock);
    count(watch, 0, forgotten);
}

static void forget(struct tars_watch *watch, const char *path)
{
    int64_t documents = 0;
    struct tars_err err;
    tars_status status = tars_ingest_forget_path(watch->config.ingest, watch->collection, path,
                                                 &documents, NULL, &err);

    if (status && status != TARS_ENOTFOUND) {
        tars_log_error(watch->config.log, "ingest", "%s", err.text);
    } else if (!status) {
        count(watch, 0, 1);
    }
}

/* A path that has been quiet: what is there now? */
static void settle(struct tars_watch *watch, const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        if (errno == ENOENT && is_there(watch->path))
            forget(watch, path);
    } else if (S_ISDIR(st.st_mode)) {
        if (tars_walk(path, meet, watch, NULL))
            touch(watch, path);
    } else if (S_ISREG(st.st_mode) &&
               tars_ingest_takes(watch->config.ingest->config.extensions, path)) {
        submit(watch, path);
    }
}

static void settle_due(struct tars_watch *watch)
{
    int64_t now_ms = tars_clock_mono_ms();

    for (size_t i = 0; i < watch->pending_count;) {
        char *path = watch->pending[i].path;

        if (watch->pending[i].due_ms > now_ms) {
            i++;
            continue;
        }
        watch->pending[i] = watch->pending[--watch->pending_count];
        settle(watch, path);
        free(path);
        count(watch, 0, 0);
    }
}

/* ------------------------------------------------------------------- events */

static void note(struct tars_watch *watch, const struct inotify_event *event)
{
    const char *folder;
    char path[FILENAME_MAX];

    if (event->mask & IN_Q_OVERFLOW) {
        watch->next_scan_ms = 0;
        return;
    }
    if (event->wd < 0 || (size_t)event->wd >= watch->folder_cap || !watch->folders[event->wd])
        return;
    folder = watch->folders[event->wd];
    if (event->mask & IN_IGNORED) {
        free(watch->folders[event->wd]);
        watch->folders[event->wd] = NULL;
        return;
    }
    if (event->len == 0 || event->name[0] == '.' ||
        snprintf(path, sizeof(path), "%s/%s", folder, event->name) >= (int)sizeof(path))
        return;
    if ((event->mask & IN_ISDIR) && (event->mask & IN_MOVED_FROM))
        unwatch_below(watch, path);
    /* At once, so that little of what is put into a new folder goes unseen. */
    if ((event->mask & IN_ISDIR) && (event->mask & (IN_CREATE | IN_MOVED_TO)) &&
        tars_walk(path, meet, watch, NULL))
        return;
    touch(watch, path);
}

static void read_events(struct tars_watch *watch)
{
    _Alignas(struct inotify_event) char bytes[EVENT_BYTES];
    ssize_t len = read(watch->inotify, bytes, sizeof(bytes));

    for (ssize_t at = 0; at < len;) {
        const struct inotify_event *event = (const struct inotify_event *)(bytes + at);

        note(watch, event);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
}

/* Here and not at the start: a network folder that hangs must not hold up who opens. */
static void resolve(struct tars_watch *watch)
{
    char *resolved = realpath(watch->path, NULL);
    char *old = watch->path;

    if (!resolved)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->path = resolved;
    pthread_mutex_unlock(&watch->lock);
    free(old);
}

static bool is_ours(const struct tars_watch *watch)
{
    return !watch->config.is_ours || watch->config.is_ours(watch->config.is_ours_ctx);
}

/* Another process sees to it; what there is to do is found by a scan when that is over. */
static void leave_alone(struct tars_watch *watch)
{
    for (size_t i = 0; i < watch->pending_count; i++)
        free(watch->pending[i].path);
    watch->pending_count = 0;
    watch->next_scan_ms = 0;
    count(watch, 0, 0);
}

static void *run(void *ctx)
{
    struct tars_watch *watch = ctx;
    struct pollfd fds[2] = {{.fd = watch->stop[0], .events = POLLIN},
                            {.fd = watch->inotify, .events = POLLIN}};

    resolve(watch);
    for (;;) {
        bool ours = is_ours(watch);

        if (ours && tars_clock_mono_ms() >= watch->next_scan_ms)
            scan(watch);
        (void)poll(fds, 2, TICK_MS);
        if (fds[0].revents)
            return NULL;
        if (fds[1].revents & POLLIN)
            read_events(watch);
        if (ours) {
            settle_due(watch);
        } else {
            leave_alone(watch);
        }
    }
}

/* --------------------------------------------------------------- life cycle */

static tars_status prepare(struct tars_watch *watch, struct tars_err *err)
{
    const char *collection = watch->config.collection;

    watch->path = strdup(watch->config.path);
    watch->collection = strdup(collection ? collection : TARS_COLLECTION);
    if (!watch->path || !watch->collection)
        return tars_fail(TARS_ENOMEM, err, "no memory to watch %s", watch->config.path);
    if (pipe2(watch->stop, O_CLOEXEC) != 0)
        return tars_fail(TARS_EIO, err, "cannot watch %s: %s", watch->path, strerror(errno));
    watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch->inotify < 0) {
        tars_log_warning(watch->config.log, "ingest", "%s is only scanned: %s", watch->path,
                         strerror(errno));
    }
    if (pthread_create(&watch->thread, NULL, run, watch))
        return tars_fail(TARS_ENOMEM, err, "cannot start a thread");
    watch->is_running = true;
    return TARS_OK;
}

tars_status tars_watch_open(const struct tars_watch_config *config, struct tars_watch **watch,
                            struct tars_err *err)
{
    struct tars_watch *made;
    tars_status status;

    if (!config->ingest || !config->path || !config->path[0])
        return tars_fail(TARS_EINVAL, err, "a folder to watch is needed");
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory to watch %s", config->path);
    made->config = *config;
    if (!made->config.quiet_ms)
        made->config.quiet_ms = TARS_WATCH_QUIET_MS_DEFAULT;
    if (!made->config.scan_interval_ms)
        made->config.scan_interval_ms = TARS_WATCH_SCAN_MS_DEFAULT;
    made->inotify = made->stop[0] = made->stop[1] = -1;
    made->stats.started_us = tars_clock_wall_us();
    pthread_mutex_init(&made->lock, NULL);
    status = prepare(made, err);
    if (status) {
        tars_watch_close(made);
        return status;
    }
    *watch = made;
    return TARS_OK;
}

void tars_watch_close(struct tars_watch *watch)
{
    if (!watch)
        return;
    if (watch->stop[1] >= 0)
        close(watch->stop[1]);
    if (watch->is_running)
        pthread_join(watch->thread, NULL);
    if (watch->stop[0] >= 0)
        close(watch->stop[0]);
    if (watch->inotify >= 0)
        close(watch->inotify);
    for (size_t i = 0; i < watch->folder_cap; i++)
        free(watch->folders[i]);
    for (size_t i = 0; i < watch->pending_count; i++)
        free(watch->pending[i].path);
    pthread_mutex_destroy(&watch->lock);
    free(watch->folders);
    free(watch->pending);
    free(watch->collection);
    free(watch->path);
    free(watch);
}

struct tars_watch_stats tars_watch_stats(struct tars_watch *watch)
{
    struct tars_watch_stats stats;

    pthread_mutex_lock(&watch->lock);
    stats = watch->stats;
    pthread_mutex_unlock(&watch->lock);
    return stats;
}

void tars_watch_note(struct tars_watch *watch, const struct tars_ingest_event *event)
{
    struct tars_watch_stats *stats;

    if (!watch || !event->job_id)
        return;
    stats = &watch->stats;
    pthread_mutex_lock(&watch->lock);
    if (!tars_path_is_below(event->path, watch->path)) {
        pthread_mutex_unlock(&watch->lock);
        return;
    }
    stats->files_indexed += event->outcome == TARS_INGEST_INDEXED;
    stats->files_failed += event->outcome == TARS_INGEST_FAILED;
    stats->files_skipped +=
        event->outcome == TARS_INGEST_UNCHANGED || event->outcome == TARS_INGEST_SKIPPED;
    /* Others may have submitted files of the folder too. */
    stats->processing_files -= stats->processing_files > 0;
    pthread_mutex_unlock(&watch->lock);
}
