/* files - see files.h. */
#include "support/files.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

void files_make_dir(char *path)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(path, FILES_PATH_MAX, "%s/tars-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(path))
        fail_msg("cannot make %s", path);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

void files_remove_dir(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void files_write(const char *dir, const char *name, const void *bytes, size_t len, char *path)
{
    FILE *file;

    (void)snprintf(path, FILES_PATH_MAX, "%s/%s", dir, name);
    file = fopen(path, "wb");
    if (!file)
        fail_msg("cannot write %s", path);
    if (len && fwrite(bytes, 1, len, file) != len)
        fail_msg("cannot write %s", path);
    if (fclose(file) != 0)
        fail_msg("cannot write %s", path);
}

void files_data(const char *name, char *path)
{
    const char *base = getenv("TARS_TEST_DATA");

    (void)snprintf(path, FILES_PATH_MAX, "%s/%s", base ? base : "", name);
    if (!base || access(path, R_OK) != 0) {
        print_message(
            "skipped: %s is not there; set TARS_TEST_DATA to the folder of the judged sets\n",
            path);
        skip();
    }
}

bool files_model(char *path)
{
    const char *set = getenv("TARS_TEST_MODEL");
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    bool has_cache = cache && *cache;

    if (set) {
        (void)snprintf(path, FILES_PATH_MAX, "%s", set);
    } else {
        (void)snprintf(path, FILES_PATH_MAX, "%s%s/tars/models/all-MiniLM-L6-v2",
                       has_cache ? cache
                       : home    ? home
                                 : "",
                       has_cache ? "" : "/.cache");
    }
    return access(path, R_OK) == 0;
}
