/* confine - see confine.h. */
#include "extract/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include <seccomp.h>

#define SPARE_DESCRIPTORS 32 /* that the parsers may hold at a time */
#define FTW_DESCRIPTORS   8

/* What may still be opened. See State in the header for why it is in file scope. */
static struct {
    size_t count;
    struct kept {
        const char *path; /* owned, for the life of the process */
        int fd;
    } files[TARS_CONFINE_FILES_MAX];
} kept_files;

static int keep_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    struct kept *kept = &kept_files.files[kept_files.count];

    (void)info;
    (void)where;
    if (type != FTW_F || kept_files.count == TARS_CONFINE_FILES_MAX)
        return 0;
    kept->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (kept->fd < 0)
        return 0;
    kept->path = strdup(path);
    if (!kept->path) {
        (void)close(kept->fd);
    } else {
        kept_files.count++;
    }
    return 0;
}

void tars_confine_keep(const char *folder)
{
    (void)nftw(folder, keep_one, FTW_DESCRIPTORS, 0);
}

static tars_status limit(int resource, rlim_t value, const char *what, struct tars_err *err)
{
    struct rlimit now = {0};
    struct rlimit want = {.rlim_cur = value, .rlim_max = value};

    if (getrlimit(resource, &now) == 0 && now.rlim_max != RLIM_INFINITY && now.rlim_max < value)
        want.rlim_cur = want.rlim_max = now.rlim_max;
    if (setrlimit(resource, &want) != 0)
        return tars_fail(TARS_EDENIED, err, "cannot limit %s: %s", what, strerror(errno));
    return TARS_OK;
}

static tars_status set_limits(const struct tars_confine_config *config, struct tars_err *err)
{
    tars_status status = limit(RLIMIT_CORE, 0, "core files", err);

    if (status == TARS_OK && config->cpu_seconds) {
        status = limit(RLIMIT_CPU, config->cpu_seconds, "processor time", err);
    }
#ifndef TARS_RELAXED_LIMITS
    if (status == TARS_OK) {
        status = limit(RLIMIT_NOFILE, kept_files.count + SPARE_DESCRIPTORS, "open files", err);
    }
    if (status == TARS_OK && config->memory_bytes) {
        status = limit(RLIMIT_AS, config->memory_bytes, "memory", err);
    }
#endif
    return status;
}

#ifndef TARS_RELAXED_LIMITS

/* A copy of the kept descriptor of path, at its start; a negative error number if there is none. */
static int open_kept(const char *path, int flags)
{
    if ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)))
        return -EACCES;
    for (size_t i = 0; i < kept_files.count; i++) {
        if (strcmp(kept_files.files[i].path, path) == 0) {
            int fd = dup(kept_files.files[i].fd);

            if (fd < 0)
                return -EMFILE;
            (void)lseek(fd, 0, SEEK_SET);
            return fd;
        }
    }
    return -EACCES;
}

/* Stands in for openat(2): arguments and result lie in the registers of the interrupted call. */
static void on_denied_call(int signal_number, siginfo_t *info, void *context)
{
    ucontext_t *machine = context;
    int saved = errno;

    (void)signal_number;
    (void)info;
    /* NOLINTBEGIN(performance-no-int-to-ptr): registers hold addresses as numbers. */
#if defined(__x86_64__)
    machine->uc_mcontext.gregs[REG_RAX] =
        open_kept((const char *)machine->uc_mcontext.gregs[REG_RSI],
                  (int)machine->uc_mcontext.gregs[REG_RDX]);
#elif defined(__aarch64__)
    machine->uc_mcontext.regs[0] = (uint64_t)(int64_t)open_kept(
        (const char *)machine->uc_mcontext.regs[1], (int)machine->uc_mcontext.regs[2]);
#else
#error "how does this machine pass system call arguments?"
#endif
    /* NOLINTEND(performance-no-int-to-ptr) */
    errno = saved;
}

/* Calls that are allowed whatever their arguments: none of them reaches beyond the process. */
static const int allowed_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(pread64),
    SCMP_SYS(readv),
    SCMP_SYS(lseek),
    SCMP_SYS(_llseek),
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(fstat),
    SCMP_SYS(fstat64),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getrandom),
    SCMP_SYS(sched_yield),
    SCMP_SYS(futex),
    SCMP_SYS(getrusage),
    SCMP_SYS(uname),
    SCMP_SYS(restart_syscall),
};

static int add_rules(scmp_filter_ctx filter)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < sizeof(allowed_calls) / sizeof(allowed_calls[0]); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_calls[i], 0);
    /* Writing: to standard output and error only. */
    for (unsigned fd = 1; !rc && fd <= 2; fd++) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, fd));
        if (!rc) {
            rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(writev), 1,
                                  SCMP_A0(SCMP_CMP_EQ, fd));
        }
    }
    /* Memory that can be run is never made again. */
    if (!rc) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    }
    if (!rc) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    }
    /* A look at what is open already; with another path it says no more than that it is there. */
    if (!rc) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
                              SCMP_A3(SCMP_CMP_MASKED_EQ, 0x1000 /* AT_EMPTY_PATH */, 0x1000));
    }
    if (!rc) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                              SCMP_A1(SCMP_CMP_EQ, F_GETFL));
    }
    /* abort() and the default action of a signal, towards ourselves. */
    if (!rc) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    }
    if (!rc) {
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(rt_sigaction), 1,
                              SCMP_A0(SCMP_CMP_NE, SIGSYS));
    }
    if (!rc)
        rc = seccomp_rule_add(filter, SCMP_ACT_TRAP, SCMP_SYS(openat), 0);
    return rc;
}

static tars_status install_filter(struct tars_err *err)
{
    struct sigaction action = {.sa_sigaction = on_denied_call, .sa_flags = SA_SIGINFO | SA_NODEFER};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = filter ? 0 : -ENOMEM;

    (void)sigemptyset(&action.sa_mask);
    if (!rc && sigaction(SIGSYS, &action, NULL) != 0)
        rc = -errno;
    if (!rc)
        rc = add_rules(filter);
    if (!rc)
        rc = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    if (rc) {
        return tars_fail(TARS_EDENIED, err, "cannot install the system call filter: %s",
                         strerror(-rc));
    }
    return TARS_OK;
}

#endif

tars_status tars_confine(const struct tars_confine_config *config, struct tars_err *err)
{
    tars_status status = set_limits(config, err);

#ifndef TARS_RELAXED_LIMITS
    if (status == TARS_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        status = tars_fail(TARS_EDENIED, err, "cannot give up new privileges: %s", strerror(errno));
    if (status == TARS_OK)
        status = install_filter(err);
#endif
    return status;
}

bool tars_confine_is_strict(void)
{
#ifdef TARS_RELAXED_LIMITS
    return false;
#else
    return true;
#endif
}

/* ------------------------------------------------------------------- self-test */

static bool can_open_for_writing(void)
{
    return open("/tmp/tars-extract-self-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
}

static bool can_open_for_reading(void)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool can_make_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ||
           socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

static bool can_fork(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool can_execute(void)
{
    static char program[] = "/bin/true";
    char *const argv[] = {program, NULL};

    /* Success would not come back, and the missing line tells. */
    return execve(program, argv, NULL) == 0;
}

static bool can_signal_parent(void)
{
    return kill(getppid(), 0) == 0;
}

static bool can_trace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool can_unlink(void)
{
    return unlink("/tmp/tars-extract-self-test") == 0 || errno != EPERM;
}

static bool can_map_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) != MAP_FAILED;
}

static bool can_raise_limits(void)
{
    struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};

    return setrlimit(RLIMIT_AS, &none) == 0;
}

bool tars_confine_self_test(void)
{
    static const struct {
        const char *name;
        bool (*works)(void);
    } tries[] = {
        {"write-file", can_open_for_writing},
        {"read-file", can_open_for_reading},
        {"socket", can_make_socket},
        {"fork", can_fork},
        {"signal", can_signal_parent},
        {"trace", can_trace},
        {"unlink", can_unlink},
        {"map-code", can_map_code},
        {"raise-limit", can_raise_limits},
        {"execute", can_execute},
    };
    bool all_denied = true;

    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        bool works = tries[i].works();

        all_denied = all_denied && !works;
        (void)printf("%s %s\n", works ? "ALLOWED" : "denied", tries[i].name);
    }
    (void)fflush(stdout);
    return all_denied;
}
