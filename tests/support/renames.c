/* renames - LD_PRELOAD: the rename(2) that RENAMES_FAIL_AT or RENAMES_KILL_AT counts to fails, or is the
 * last thing that the process does. No real disk does that on demand. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

int rename(const char *from, const char *to)
{
    static int seen;
    const char *fail_at = getenv("RENAMES_FAIL_AT");
    const char *kill_at = getenv("RENAMES_KILL_AT");
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");

    seen++;
    if (kill_at && atoi(kill_at) == seen)
        (void)raise(SIGKILL);
    if (fail_at && atoi(fail_at) == seen) {
        errno = EIO;
        return -1;
    }
    return real(from, to);
}
