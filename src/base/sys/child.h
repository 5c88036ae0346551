/* child - a helper program: started, read from through a pipe, and always reaped.
 *
 * Model     posix_spawn, so that it is safe in a program with threads. The child has /dev/null as
 *           standard input and error, the pipe as standard output, optionally one open file as
 *           descriptor 3, and nothing else of ours.
 * Bounds    The reader says how long it waits and how much it takes.
 * Threads   A child belongs to the thread that started it; others may run beside it.
 *
 *     tars_child_start(&config, &child, err)
 *     while ((status = tars_child_read(&child, bytes, sizeof(bytes), 100, &n)) == TARS_OK) ...
 *     tars_child_finish(&child, grace_ms, &end);
 */
#ifndef TARS_BASE_SYS_CHILD_H
#define TARS_BASE_SYS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

#define TARS_CHILD_FILE_FD 3 /* where the child finds the file that it was given */

struct tars_child_config {
    const char *program;     /* path */
    const char *const *argv; /* ends in NULL; argv[0] is the program's name */
    const char *const *envp; /* ends in NULL; NULL: an empty environment */
    int file_fd;             /* lent to the child as TARS_CHILD_FILE_FD; negative: none */
};

struct tars_child {
    pid_t pid;  /* 0 once reaped */
    int out_fd; /* our end of its standard output; -1 once closed; owned */
};

/* How it ended. */
struct tars_child_end {
    int exit_code;       /* -1 when a signal ended it */
    int signal;          /* 0 when it exited by itself */
    bool killed;         /* the signal was ours */
    uint64_t peak_bytes; /* largest resident set */
    int64_t cpu_ms;      /* processor time, user and system */
};

/* TARS_EUNAVAILABLE when the program cannot be started, TARS_EIO, TARS_ENOMEM. On success the
 * caller calls tars_child_finish(). */
TARS_MUST_USE tars_status tars_child_start(const struct tars_child_config *config,
                                           struct tars_child *child, struct tars_err *err);

/* Wait at most timeout_ms for output. TARS_OK with *n > 0 bytes, TARS_EAGAIN when nothing came in
 * that time, TARS_ENOTFOUND at the end of its output, TARS_EIO. */
TARS_MUST_USE tars_status tars_child_read(struct tars_child *child, char *bytes, size_t cap,
                                          int timeout_ms, size_t *n);

/* Close the pipe, let it exit by itself for grace_ms, then kill it; reap it. end may be NULL. Fine
 * to call again. */
void tars_child_finish(struct tars_child *child, int grace_ms, struct tars_child_end *end);

#endif
