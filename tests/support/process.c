/* process - see process.h. */
#include "support/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PORT_LOWEST = 10000, PORT_HIGHEST = 65535, PORT_TRIES = 1000 };

/* Where the kernel never looks for a port by itself; everywhere, where that is next to nothing. */
static void choose_range(unsigned *first, unsigned *count)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    unsigned low = 0;
    unsigned high = 0;
    unsigned below;
    unsigned above;

    if (file == NULL || fscanf(file, "%u %u", &low, &high) != 2)
        fail_msg("no ip_local_port_range");
    (void)fclose(file);
    below = low > PORT_LOWEST ? low - PORT_LOWEST : 0;
    above = high < PORT_HIGHEST ? PORT_HIGHEST - high : 0;
    *first = below >= above ? PORT_LOWEST : high + 1;
    *count = below >= above ? below : above;
    if (*count < PORT_TRIES) {
        *first = PORT_LOWEST;
        *count = PORT_HIGHEST - PORT_LOWEST + 1;
    }
}

/* Whether it is ours now, and nobody listens there. */
static bool keep_port(unsigned port)
{
    const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "tars-test-port-%u", port);
    int kept = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
    int on = 1;
    bool is_free;

    if (kept < 0 || probe < 0)
        fail_msg("no socket");
    is_free = bind(kept, (const struct sockaddr *)&name, size) == 0 &&
              bind(probe, (const struct sockaddr *)&at, sizeof(at)) == 0;
    /* A program that is being started meanwhile has a copy of it. */
    (void)setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(probe, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    close(probe);
    if (!is_free)
        close(kept);
    return is_free;
}

int process_free_port(void)
{
    unsigned first;
    unsigned count;

    choose_range(&first, &count);
    for (int i = 0; i < PORT_TRIES; i++) {
        unsigned port = first + arc4random_uniform(count);

        if (keep_port(port))
            return (int)port;
    }
    fail_msg("no port is free");
    return 0;
}

/* In the child. out_fd: its output; negative: nowhere. */
static void become(const char *const *argv, int out_fd)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(nowhere, 0);
    (void)dup2(out_fd < 0 ? nowhere : out_fd, 1);
    (void)dup2(nowhere, 2);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

pid_t process_start(const char *const *argv)
{
    pid_t pid = fork();

    if (pid < 0)
        fail_msg("%s cannot be started", argv[0]);
    if (pid == 0)
        become(argv, -1);
    return pid;
}

bool process_runs(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

static bool listens(int port)
{
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_there = connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;

    close(fd);
    return is_there;
}

bool process_wait_port(pid_t pid, int port, int timeout_ms)
{
    for (int waited = 0; waited < timeout_ms; waited += 5) {
        if (!process_runs(pid))
            return false;
        if (listens(port))
            return true;
        (void)usleep(5000);
    }
    return false;
}

void process_kill(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

int process_run(const char *const *argv, char *out)
{
    size_t len = 0;
    int ends[2];
    int status = 0;
    pid_t pid;
    ssize_t got;

    if (pipe2(ends, O_CLOEXEC) != 0)
        fail_msg("no pipe");
    pid = fork();
    if (pid < 0)
        fail_msg("%s cannot be started", argv[0]);
    if (pid == 0)
        become(argv, ends[1]);
    close(ends[1]);
    while ((got = read(ends[0], out + len, PROCESS_OUTPUT_MAX - 1 - len)) > 0)
        len += (size_t)got;
    out[len] = '\0';
    close(ends[0]);
    (void)waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
