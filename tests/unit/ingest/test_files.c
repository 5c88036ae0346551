/* Which files may be taken in, and in what words they are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest/ingest.h"
#include "ingest/spool.h"
#include "support/faults.h"
#include "support/files.h"

static int set_up(void **state)
{
    static char dir[FILES_PATH_MAX];

    files_make_dir(dir);
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    files_remove_dir(*state);
    return 0;
}

static void endings_decide(void **state)
{
    static const struct {
        const char *extensions;
        const char *name;
        bool takes;
    } rows[] = {
        {".pdf,.md", "a.pdf", true},  {".pdf,.md", "a.MD", true},      {".pdf,.md", "a.m", false},
        {".pdf,.md", "a.mdx", false}, {".pdf, .md ", "/x/a.md", true}, {"pdf,md", "a.md", true},
        {".pdf", "a", false},         {".pdf", "/x.pdf/a", false},     {"", "a.pdf", false},
        {",,", "a.pdf", false},       {NULL, "a.pdf", true},           {NULL, "a.exe", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(tars_ingest_takes(rows[i].extensions, rows[i].name), rows[i].takes);
}

static void refusals_have_the_words_of_the_contract(void **state)
{
    const char *dir = *state;
    char path[FILES_PATH_MAX];
    char missing[FILES_PATH_MAX + 8];
    char pipe_path[FILES_PATH_MAX + 8];
    static const char bytes[4096];
    const struct {
        const char *path;
        const char *name; /* of the file to make, or NULL */
        size_t size;
        tars_status status;
        const char *words;
    } rows[] = {
        {missing, NULL, 0, TARS_ENOTFOUND, "Invalid file: File not found: "},
        {dir, NULL, 0, TARS_EINVAL, "Invalid file: Not a file: "},
        {pipe_path, NULL, 0, TARS_EINVAL, "Invalid file: Not a file: "},
        {path, "a.exe", 9, TARS_EUNSUPPORTED, "Invalid file: Unsupported file type: .exe"},
        {path, "a", 9, TARS_EUNSUPPORTED, "Invalid file: Unsupported file type: (none)"},
        {path, "b.txt", 4096, TARS_ETOOBIG, "Invalid file: File too large: 0.0MB (max 0.0MB)"},
        {path, "c.txt", 0, TARS_EINVAL, "Invalid file: File is empty"},
        {path, "d.txt", 1000, TARS_OK, ""},
    };

    (void)snprintf(missing, sizeof(missing), "%s/gone.txt", dir);
    (void)snprintf(pipe_path, sizeof(pipe_path), "%s/p.txt", dir);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_err err = {.text = ""};
        int64_t size = -1;
        int64_t modified = -1;
        int fd = -1;

        if (rows[i].name)
            files_write(dir, rows[i].name, bytes, rows[i].size, path);
        assert_int_equal(tars_ingest_open_file(rows[i].path, rows[i].path, ".txt", 2000, &fd, &size,
                                               &modified, &err),
                         rows[i].status);
        assert_memory_equal(err.text, rows[i].words, strlen(rows[i].words));
        if (rows[i].status == TARS_OK) {
            assert_int_equal(size, 1000);
            assert_true(modified > 0);
            close(fd);
        }
    }
}

/* The path was resolved when it was permitted: a link in it was put there later, to lead out. */
static void links_are_not_followed(void **state)
{
    const char *dir = *state;
    char file[FILES_PATH_MAX];
    char link_path[FILES_PATH_MAX + 16];
    char folder[FILES_PATH_MAX + 16];
    char through[FILES_PATH_MAX + 32];
    const struct {
        const char *path, *name;
        tars_status status;
    } rows[] = {
        {link_path, link_path, TARS_EINVAL},
        {through, through, TARS_EINVAL},
        {file, file, TARS_OK},
        {through, "upload.txt", TARS_OK}, /* our own folder may lie behind one */
    };

    files_write(dir, "secret.txt", "secret", 6, file);
    (void)snprintf(link_path, sizeof(link_path), "%s/link.txt", dir);
    (void)snprintf(folder, sizeof(folder), "%s/folder", dir);
    (void)snprintf(through, sizeof(through), "%s/secret.txt", folder);
    assert_int_equal(symlink(file, link_path), 0);
    assert_int_equal(symlink(dir, folder), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_err err = {.text = ""};
        int64_t size = -1;
        int64_t modified = -1;
        int fd = -1;

        assert_int_equal(tars_ingest_open_file(rows[i].path, rows[i].name, ".txt", 2000, &fd, &size,
                                               &modified, &err),
                         rows[i].status);
        if (rows[i].status == TARS_OK)
            close(fd);
    }
}

/* -------------------------------------------------------------------- spool */

static void an_upload_is_there_only_when_committed(void **state)
{
    char dir[FILES_PATH_MAX + 8];
    struct tars_spool_file *file = NULL;
    const char *path = NULL;
    char kept[FILES_PATH_MAX + 64];
    struct stat st;

    (void)snprintf(dir, sizeof(dir), "%s/spool", (const char *)*state);
    assert_int_equal(tars_spool_sweep(dir, NULL, NULL), TARS_OK);
    assert_int_equal(tars_spool_new(dir, 10, &file, NULL), TARS_OK);
    assert_int_equal(tars_spool_write(file, "12345", 5, NULL), TARS_OK);
    assert_int_equal(tars_spool_write(file, "123456", 6, NULL), TARS_ETOOBIG);
    assert_int_equal(tars_spool_write(file, "67890", 5, NULL), TARS_OK);
    assert_int_equal(tars_spool_commit(file, &path, NULL), TARS_OK);
    (void)snprintf(kept, sizeof(kept), "%s", path);
    tars_spool_free(file);
    assert_int_equal(stat(kept, &st), 0);
    assert_int_equal(st.st_size, 10);
    assert_int_equal(st.st_mode & 0777, 0600);

    assert_int_equal(tars_spool_new(dir, 10, &file, NULL), TARS_OK);
    tars_spool_free(file);
    tars_spool_free(NULL);
}

static void spool_once(void *ctx)
{
    struct tars_spool_file *file = NULL;

    if (!tars_spool_new(ctx, 10, &file, NULL))
        tars_spool_free(file);
}

static void no_memory_is_survived(void **state)
{
    assert_true(faults_each(spool_once, *state) >= 3);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(endings_decide),         ROW(refusals_have_the_words_of_the_contract),
        ROW(links_are_not_followed), ROW(an_upload_is_there_only_when_committed),
        ROW(no_memory_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
