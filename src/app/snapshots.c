/* snapshots - see snapshots.h. */
#include "app/snapshots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "ingest/history.h"

#define PATH_BYTES   4096
#define COPY_BYTES   ((size_t)1 << 20)
#define LOOK_MS      5000
#define RETRY_MS     INT64_C(60000)   /* after a copy that failed; each time twice as long, */
#define RETRY_MAX_MS INT64_C(3600000) /* up to this */
#define STALE_S      3600             /* of a copy that nobody writes any more */
#define PART         ".part"
#define NEWER_LEAST  256 /* changes that are not worth a copy */
#define NS_PER_MS    INT64_C(1000000)
#define NS_PER_S     INT64_C(1000000000)
#define QUIET_MS     30000           /* without a change, and a save is worth little more */
#define BUSY_MS      INT64_C(300000) /* between two saves while changes go on */
#define FILE_INDEX   "index.tars"
#define FILE_HISTORY "history"
#define FILE_MARK    "unsynced" /* beside a copy that may not be on the disk yet */

/* -------------------------------------------------------------------- copying */

static bool write_all(int fd, const char *ptr, ssize_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, ptr, (size_t)len);

        if (n < 0 && errno != EINTR)
            return false;
        ptr += n > 0 ? n : 0;
        len -= n > 0 ? n : 0;
    }
    return true;
}

static tars_status copy_bytes(int from, int to, bool sync, const char *path, struct tars_err *err)
{
    char *bytes = malloc(COPY_BYTES);
    bool good = bytes != NULL;
    ssize_t n = 1;

    while (good && n > 0) {
        n = read(from, bytes, COPY_BYTES);
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        good = n >= 0 && write_all(to, bytes, n);
    }
    if (sync)
        good = good && fsync(to) == 0;
    free(bytes);
    return good ? TARS_OK
                : tars_fail(TARS_EIO, err, "cannot copy to %s: %s", path, strerror(errno));
}

static bool path_of(char *path, const char *dir, const char *name)
{
    return snprintf(path, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES;
}

/* Of this process: should two believe that they lead, they do not write into one file. */
static bool part_of(char *path, const char *dir)
{
    char host[256] = "";

    (void)gethostname(host, sizeof(host) - 1);
    return snprintf(path, PATH_BYTES, "%s/.part-%s-%ld", dir, host, (long)getpid()) < PATH_BYTES;
}

/* from/name to to/name, whole or not at all; without sync only as long as the machine does not lose
 * its power. TARS_ENOTFOUND. */
static tars_status copy_file(const char *from, const char *to, const char *name, bool sync,
                             struct tars_err *err)
{
    char source[PATH_BYTES];
    char part[PATH_BYTES];
    char target[PATH_BYTES];
    int in;
    int out;
    tars_status status;

    if (!path_of(source, from, name) || !path_of(target, to, name) || !part_of(part, to))
        return tars_fail(TARS_EINVAL, err, "the path of a snapshot is too long");
    in = open(source, O_RDONLY | O_CLOEXEC);
    if (in < 0) {
        return tars_fail(errno == ENOENT ? TARS_ENOTFOUND : TARS_EIO, err, "cannot read %s: %s",
                         source, strerror(errno));
    }
    out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0) {
        status = tars_fail(TARS_EIO, err, "cannot write %s: %s", part, strerror(errno));
    } else {
        status = copy_bytes(in, out, sync, part, err);
        (void)close(out);
    }
    (void)close(in);
    if (!status && rename(part, target) != 0)
        status = tars_fail(TARS_EIO, err, "cannot name %s: %s", target, strerror(errno));
    if (status)
        (void)unlink(part);
    return status || !sync ? status : tars_dir_sync(to, err);
}

/* What a process that was ended in the midst of copying has left in dir, after so many seconds. */
static void sweep(const char *dir, int64_t after_s)
{
    DIR *listed = opendir(dir);
    const struct dirent *entry;

    /* One thread has this handle. */
    while (listed && (entry = readdir(listed))) { /* NOLINT(concurrency-mt-unsafe) */
        struct stat st;

        if (strncmp(entry->d_name, PART, strlen(PART)) == 0 &&
            fstatat(dirfd(listed), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            time(NULL) - st.st_mtim.tv_sec >= after_s)
            (void)unlinkat(dirfd(listed), entry->d_name, 0);
    }
    if (listed)
        (void)closedir(listed);
}

/* ------------------------------------------------------------------- adopting */

/* The number of the snapshot in dir, by its header; 0: there is none that can be used. A shared one
 * is never mapped: another machine may replace it, and its pages go away. */
static uint64_t seq_of(const char *dir, const struct tars_index_config *index, struct tars_err *err)
{
    struct tars_index_config config = *index;
    uint64_t seq = 0;

    config.dir = dir;
    return tars_index_peek(&config, &seq, err) == TARS_OK ? seq : 0;
}

/* Read all of the one in dir; its number into *seq. */
static tars_status look_through(const char *dir, const struct tars_index_config *index,
                                uint64_t *seq, struct tars_err *err)
{
    struct tars_index_config config = *index;
    struct tars_index *opened = NULL;
    tars_status status;

    config.dir = dir;
    config.verify = true;
    status = tars_index_open(&config, &opened, err);
    if (status == TARS_OK)
        *seq = tars_index_seq(opened);
    tars_index_close(opened);
    return status;
}

static tars_status check_past(const struct tars_snapshots_config *config, uint64_t seq,
                              struct tars_err *err)
{
    struct tars_store_stats stats;
    tars_status status = tars_store_stats(config->store, &stats, err);

    if (status == TARS_OK && seq > stats.seq)
        return tars_fail(TARS_EMISMATCH, err, "it is ahead of the store");
    return status ? status : tars_history_check(config->store, config->shared, seq, err);
}

/* Writing gigabytes to the disk takes longer than all the rest: it is done once we are up
 * (sync_copy), and until then a mark says that the copy is to be looked through again at a start.
 */
static tars_status put_mark(const char *local, struct tars_err *err)
{
    char path[PATH_BYTES];

    if (!path_of(path, local, FILE_MARK))
        return tars_fail(TARS_EINVAL, err, "the path of a snapshot is too long");
    return tars_file_replace(path, "", 0, 0600, err);
}

/* The copy to the disk, and the mark away. */
static void sync_copy(const struct tars_snapshots_config *config)
{
    char mark[PATH_BYTES];
    char path[PATH_BYTES];
    bool synced;
    int fd;

    if (!path_of(mark, config->local, FILE_MARK) || !path_of(path, config->local, FILE_INDEX) ||
        access(mark, F_OK) != 0)
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    if (synced && tars_dir_sync(config->local, NULL) == TARS_OK)
        (void)unlink(mark);
}

void tars_snapshots_check(const char *local, const struct tars_index_config *index,
                          struct tars_log *log)
{
    struct tars_err err = {{0}};
    char mark[PATH_BYTES];
    char path[PATH_BYTES];
    uint64_t seq;

    if (!path_of(mark, local, FILE_MARK) || !path_of(path, local, FILE_INDEX) ||
        access(mark, F_OK) != 0)
        return;
    /* Of another model, it is whole all the same, and whoever opens it says so. */
    if (look_through(local, index, &seq, &err) == TARS_EFORMAT) {
        tars_log_warning(log, "app", "the copied snapshot did not reach the disk: %s", err.text);
        (void)unlink(path);
        (void)unlink(mark);
    }
}

/* Into a folder of its own, looked through there, and then to its place. */
static tars_status take(const struct tars_snapshots_config *config,
                        const struct tars_index_config *index, struct tars_err *err)
{
    char folder[PATH_BYTES];
    char path[PATH_BYTES];
    char target[PATH_BYTES];
    uint64_t seq = 0;
    tars_status status;

    if (!path_of(folder, config->local, "adopted") || !path_of(target, config->local, FILE_INDEX) ||
        !path_of(path, folder, FILE_INDEX))
        return tars_fail(TARS_EINVAL, err, "the path of a snapshot is too long");
    sweep(folder, 0);
    status = tars_dir_make(folder, err);
    if (!status)
        status = copy_file(config->shared, folder, FILE_INDEX, false, err);
    if (!status)
        status = look_through(folder, index, &seq, err);
    /* It may be another than was looked at before. */
    if (!status)
        status = check_past(config, seq, err);
    /* With a mark of ours: when the database goes back before our first save, that is noticed. */
    if (!status)
        status = tars_history_mark(config->store, config->local, seq, err);
    if (!status)
        status = put_mark(config->local, err);
    if (!status && rename(path, target) != 0)
        status = tars_fail(TARS_EIO, err, "cannot name %s: %s", target, strerror(errno));
    (void)unlink(path);
    (void)rmdir(folder);
    return status ? status : tars_dir_sync(config->local, err);
}

bool tars_snapshots_adopt(const struct tars_snapshots_config *config,
                          const struct tars_index_config *index)
{
    struct tars_err err = {{0}};
    int64_t began_ms = tars_clock_mono_ms();
    char path[PATH_BYTES];
    uint64_t theirs;
    uint64_t ours;
    tars_status status;

    if (!path_of(path, config->shared, FILE_INDEX) || access(path, F_OK) != 0)
        return false; /* nobody has put one there yet */
    theirs = seq_of(config->shared, index, &err);
    if (theirs == 0) {
        if (err.text[0])
            tars_log_warning(config->log, "app", "the shared snapshot is not used: %s", err.text);
        return false;
    }
    ours = seq_of(config->local, index, NULL);
    if (theirs < ours + NEWER_LEAST && ours > 0)
        return false;
    status = check_past(config, theirs, &err);
    if (status == TARS_OK)
        status = take(config, index, &err);
    if (status != TARS_OK) {
        tars_log_warning(config->log, "app", "the shared snapshot is not used: %s", err.text);
        return false;
    }
    tars_log_info(config->log, "app",
                  "the index begins with the shared snapshot, of change %llu, copied in %lld ms",
                  (unsigned long long)theirs, (long long)(tars_clock_mono_ms() - began_ms));
    return true;
}

/* ----------------------------------------------------------------- publishing */

struct tars_snapshots {
    struct tars_snapshots_config config;
    pthread_t thread;
    bool is_running;
    pthread_mutex_t lock; /* guards stopping */
    pthread_cond_t stops;
    bool stopping;
    struct timespec published; /* time of the file that was; the thread's, like what follows */
    bool complained;           /* about the folder */
    int64_t failed_ms;         /* monotonic, of the last copy that failed */
    int64_t retry_ms;          /* after that; 0: it did not fail */
    uint64_t seq;              /* of the index when it last changed, */
    int64_t changed_ms;        /* and when that was */
    int64_t asked_ms;          /* for a save, */
    uint64_t asked_seq;        /* and of which, when changes had paused */
};

/* A server that leads since a moment ago may be behind what the one before it left. */
static bool is_better(const struct tars_snapshots_config *config)
{
    const struct tars_index_config any = {.dir = NULL};
    uint64_t theirs = seq_of(config->shared, &any, NULL);

    return theirs <= seq_of(config->local, &any, NULL) ||
           check_past(config, theirs, NULL) == TARS_EMISMATCH;
}

/* A copy that fails (a disk that is full) is gigabytes each time. */
static void wait_longer(struct tars_snapshots *s)
{
    s->failed_ms = tars_clock_mono_ms();
    s->retry_ms = s->retry_ms ? 2 * s->retry_ms : RETRY_MS;
    if (s->retry_ms > RETRY_MAX_MS)
        s->retry_ms = RETRY_MAX_MS;
}

static tars_status copy_both(const struct tars_snapshots_config *config, struct tars_err *err)
{
    char marks[PATH_BYTES];
    tars_status status = tars_dir_make(config->shared, err);

    sweep(config->shared, STALE_S);
    if (!status)
        status = copy_file(config->local, config->shared, FILE_HISTORY, true, err);
    /* Another's marks say nothing of ours. */
    if (status == TARS_ENOTFOUND && path_of(marks, config->shared, FILE_HISTORY))
        (void)unlink(marks);
    if (!status || status == TARS_ENOTFOUND)
        status = copy_file(config->local, config->shared, FILE_INDEX, true, err);
    return status;
}

static void publish(struct tars_snapshots *s)
{
    const struct tars_snapshots_config *config = &s->config;
    struct tars_err err = {{0}};
    char path[PATH_BYTES];
    struct stat st;
    tars_status status;

    if (!path_of(path, config->local, FILE_INDEX) || stat(path, &st) != 0 ||
        (st.st_mtim.tv_sec == s->published.tv_sec && st.st_mtim.tv_nsec == s->published.tv_nsec) ||
        (s->retry_ms && tars_clock_mono_ms() - s->failed_ms < s->retry_ms))
        return;
    status = is_better(config) ? copy_both(config, &err) : TARS_OK;
    if (status && !s->complained)
        tars_log_warning(config->log, "app", "the snapshot is not shared: %s", err.text);
    s->complained = status != TARS_OK;
    if (status) {
        wait_longer(s);
        return;
    }
    s->retry_ms = 0;
    s->published = st.st_mtim;
}

/* What is not in the snapshot is replayed by whoever joins, a passage in a millisecond or so: it is
 * saved when changes pause, and now and then when they do not. */
static void freshen(struct tars_snapshots *s)
{
    const struct tars_snapshots_config *config = &s->config;
    int64_t now_ms = tars_clock_mono_ms();
    uint64_t seq = tars_index_seq(config->index);
    bool is_quiet;

    if (seq != s->seq) {
        s->seq = seq;
        s->changed_ms = now_ms;
    }
    is_quiet = now_ms - s->changed_ms >= config->quiet_ms;
    /* Once; a save that fails is not tried again at each look. */
    if ((is_quiet && seq != s->asked_seq) || now_ms - s->asked_ms >= BUSY_MS) {
        tars_ingest_save_soon(config->ingest, is_quiet);
        s->asked_ms = now_ms;
        s->asked_seq = is_quiet ? seq : s->asked_seq;
    }
}

/* False: stopping. */
static bool wait_a_while(struct tars_snapshots *s)
{
    struct timespec until;
    bool stopping;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += s->config.look_ms % 1000 * NS_PER_MS;
    until.tv_sec += s->config.look_ms / 1000 + until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    pthread_mutex_lock(&s->lock);
    if (!s->stopping)
        (void)pthread_cond_timedwait(&s->stops, &s->lock, &until);
    stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return !stopping;
}

static void *run(void *ctx)
{
    struct tars_snapshots *s = ctx;

    while (wait_a_while(s)) {
        sync_copy(&s->config);
        if (s->config.leads(s->config.ctx)) {
            publish(s);
            if (s->config.ingest)
                freshen(s);
        }
    }
    return NULL;
}

tars_status tars_snapshots_open(const struct tars_snapshots_config *config,
                                struct tars_snapshots **snapshots, struct tars_err *err)
{
    struct tars_snapshots *made = calloc(1, sizeof(*made));

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory to share snapshots");
    made->config = *config;
    if (!made->config.look_ms)
        made->config.look_ms = LOOK_MS;
    if (!made->config.quiet_ms)
        made->config.quiet_ms = QUIET_MS;
    made->asked_ms = tars_clock_mono_ms();
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->stops, NULL);
    made->is_running = pthread_create(&made->thread, NULL, run, made) == 0;
    if (!made->is_running) {
        tars_snapshots_close(made);
        return tars_fail(TARS_ENOMEM, err, "no thread to share snapshots");
    }
    *snapshots = made;
    return TARS_OK;
}

void tars_snapshots_close(struct tars_snapshots *snapshots)
{
    if (!snapshots)
        return;
    pthread_mutex_lock(&snapshots->lock);
    snapshots->stopping = true;
    pthread_cond_broadcast(&snapshots->stops);
    pthread_mutex_unlock(&snapshots->lock);
    if (snapshots->is_running)
        (void)pthread_join(snapshots->thread, NULL);
    pthread_cond_destroy(&snapshots->stops);
    pthread_mutex_destroy(&snapshots->lock);
    free(snapshots);
}
