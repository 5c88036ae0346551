/* child - see child.h. */
#include "base/sys/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys/clock.h"

#define PAUSE_NS          500000L /* between looks whether it has gone */
#define FD_OUT_OF_THE_WAY 10      /* above every number that the child gets */

/* What posix_spawn shall do between fork and exec. The sources lie above the targets, so that none
 * is overwritten before it was copied. */
static int fill_actions(posix_spawn_file_actions_t *actions, int out_fd, int file_fd)
{
    int rc = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);

    if (!rc)
        rc = posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(actions, out_fd, 1);
    if (!rc && file_fd >= 0)
        rc = posix_spawn_file_actions_adddup2(actions, file_fd, TARS_CHILD_FILE_FD);
    if (!rc) {
        rc = posix_spawn_file_actions_addclosefrom_np(actions, file_fd >= 0 ? TARS_CHILD_FILE_FD + 1
                                                                            : TARS_CHILD_FILE_FD);
    }
    return rc;
}

/* The child starts with every signal at its default and none blocked, whatever we do with ours. */
static int fill_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t all;
    int rc;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    rc = posix_spawnattr_setsigmask(attributes, &none);
    if (!rc)
        rc = posix_spawnattr_setsigdefault(attributes, &all);
    if (!rc)
        rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return rc;
}

static int spawn(const struct tars_child_config *config, int out_fd, int file_fd, pid_t *pid)
{
    static const char *const no_environment[] = {NULL};
    const char *const *envp = config->envp ? config->envp : no_environment;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc = posix_spawn_file_actions_init(&actions);

    if (rc)
        return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return rc;
    }
    rc = fill_actions(&actions, out_fd, file_fd);
    if (!rc)
        rc = fill_attributes(&attributes);
    if (!rc) {
        rc = posix_spawn(pid, config->program, &actions, &attributes, (char *const *)config->argv,
                         (char *const *)envp);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

tars_status tars_child_start(const struct tars_child_config *config, struct tars_child *child,
                             struct tars_err *err)
{
    int ends[2] = {-1, -1};
    int out_fd = -1;
    int file_fd = -1;
    tars_status status = TARS_OK;
    pid_t pid = 0;
    int rc;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        status = tars_fail(TARS_EIO, err, "cannot make a pipe: %s", strerror(errno));
        goto out;
    }
    out_fd = fcntl(ends[1], F_DUPFD_CLOEXEC, FD_OUT_OF_THE_WAY);
    if (config->file_fd >= 0)
        file_fd = fcntl(config->file_fd, F_DUPFD_CLOEXEC, FD_OUT_OF_THE_WAY);
    if (out_fd < 0 || (config->file_fd >= 0 && file_fd < 0)) {
        status = tars_fail(TARS_EIO, err, "cannot copy a descriptor: %s", strerror(errno));
        goto out;
    }
    rc = spawn(config, out_fd, file_fd, &pid);
    if (rc) {
        status = tars_fail(rc == ENOMEM ? TARS_ENOMEM : TARS_EUNAVAILABLE, err,
                           "cannot start %s: %s", config->program, strerror(rc));
        goto out;
    }
    child->pid = pid;
    child->out_fd = ends[0];
    ends[0] = -1;
out:
    close_fd(&file_fd);
    close_fd(&out_fd);
    close_fd(&ends[0]);
    close_fd(&ends[1]);
    return status;
}

tars_status tars_child_read(struct tars_child *child, char *bytes, size_t cap, int timeout_ms,
                            size_t *n)
{
    struct pollfd fds = {.fd = child->out_fd, .events = POLLIN};
    ssize_t got;
    int ready = poll(&fds, 1, timeout_ms);

    if (ready == 0 || (ready < 0 && errno == EINTR))
        return TARS_EAGAIN;
    if (ready < 0)
        return TARS_EIO;
    got = read(child->out_fd, bytes, cap);
    if (got == 0)
        return TARS_ENOTFOUND;
    if (got < 0)
        return errno == EINTR || errno == EAGAIN ? TARS_EAGAIN : TARS_EIO;
    *n = (size_t)got;
    return TARS_OK;
}

/* True once it is reaped. */
static bool reap(pid_t pid, int options, int *wait_status, struct rusage *usage)
{
    pid_t got;

    do {
        got = wait4(pid, wait_status, options, usage);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        *wait_status = 0; /* somebody else took it: nothing left to tell */
    return got != 0;
}

static int64_t milliseconds(const struct timeval *time)
{
    return (int64_t)time->tv_sec * 1000 + time->tv_usec / 1000;
}

void tars_child_finish(struct tars_child *child, int grace_ms, struct tars_child_end *end)
{
    int64_t until_ms = tars_clock_mono_ms() + grace_ms;
    struct rusage usage = {0};
    int wait_status = 0;
    bool killed = false;

    close_fd(&child->out_fd);
    if (child->pid <= 0)
        return;
    while (!reap(child->pid, killed ? 0 : WNOHANG, &wait_status, &usage)) {
        struct timespec pause = {.tv_nsec = PAUSE_NS};

        if (tars_clock_mono_ms() < until_ms) {
            (void)nanosleep(&pause, NULL);
            continue;
        }
        (void)kill(child->pid, SIGKILL);
        killed = true;
    }
    child->pid = 0;
    if (!end)
        return;
    end->exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
    end->signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    end->killed = killed;
    end->peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
    end->cpu_ms = milliseconds(&usage.ru_utime) + milliseconds(&usage.ru_stime);
}
