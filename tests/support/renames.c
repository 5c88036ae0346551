/* renames - LD_PRELOAD: the rename(2) that RENAMES_FAIL_AT or RENAMES_KILL_AT counts to fails, or
 * is the last thing that the process does. No real disk does that on demand. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

static long number(const char *name)
{
    const char *text = getenv(name);

    return text ? strtol(text, NULL, 10) : 0;
}

int rename(const char *old, const char *new)
{
    static long seen;
    int (*real)(const char *, const char *) =
        (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");

    seen++;
    if (number("RENAMES_KILL_AT") == seen)
        (void)raise(SIGKILL);
    if (number("RENAMES_FAIL_AT") == seen) {
        errno = EIO;
        return -1;
    }
    return real(old, new);
}
