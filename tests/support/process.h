/* process - servers that a test starts, on free ports of this machine, and stops by their pid. */
#ifndef TARS_TESTS_SUPPORT_PROCESS_H
#define TARS_TESTS_SUPPORT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROCESS_OUTPUT_MAX 65536

/* A TCP port where nobody listens, outside of the kernel's own choice; no other test gets it while
 * this program runs (tests/support/ports.py). Fails the test on error. */
int process_free_port(void);
/* Start argv[0], found in PATH; it dies with this program. Its output goes nowhere. Fails the test
 * on error. */
pid_t process_start(const char *const *argv);
/* True while it runs. */
bool process_runs(pid_t pid);
/* Wait until somebody listens on the port, at most timeout_ms; false: nobody, or pid ended. */
bool process_wait_port(pid_t pid, int port, int timeout_ms);
/* SIGKILL it and reap it. 0 is allowed. */
void process_kill(pid_t pid);
/* Run argv to its end and put what it printed into out (PROCESS_OUTPUT_MAX); its exit code. */
int process_run(const char *const *argv, char *out);

#endif
