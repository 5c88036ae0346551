/* Unit tests of base/sys/file and base/crypto/digest, on real files. */
#include <setjmp.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crypto/digest.h"
#include "base/sys/file.h"
#include "support/faults.h"
#include "support/files.h"

static const char abc_digest[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static char dir[FILES_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    files_make_dir(dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    files_remove_dir(dir);
    return 0;
}

static const char *in_dir(const char *name)
{
    static char path[2 * FILES_PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void what_is_written_is_read(void **state)
{
    struct tars_buf out;
    struct tars_err err;
    struct tars_map map;

    (void)state;
    tars_buf_init(&out, 1000);
    assert_int_equal(tars_file_replace(in_dir("a"), "one", 3, 0600, &err), TARS_OK);
    assert_int_equal(tars_file_replace(in_dir("a"), "second", 6, 0600, &err), TARS_OK);
    assert_int_equal(tars_file_read(in_dir("a"), &out, &err), TARS_OK);
    assert_string_equal(out.ptr, "second");
    assert_int_equal(tars_map_open(in_dir("a"), &map, &err), TARS_OK);
    assert_memory_equal(map.ptr, "second", 6);
    tars_map_close(&map);
    assert_int_equal(tars_file_replace(in_dir("empty"), "", 0, 0600, &err), TARS_OK);
    assert_int_equal(tars_map_open(in_dir("empty"), &map, &err), TARS_OK);
    assert_int_equal(map.len, 0);
    tars_map_close(&map);
    tars_buf_release(&out);
}

static void ceiling_of_a_read_is_exact(void **state)
{
    struct tars_buf out;
    struct tars_err err;

    (void)state;
    assert_int_equal(tars_file_replace(in_dir("six"), "second", 6, 0600, &err), TARS_OK);
    tars_buf_init(&out, 6);
    assert_int_equal(tars_file_read(in_dir("six"), &out, &err), TARS_OK);
    tars_buf_release(&out);
    tars_buf_init(&out, 5);
    assert_int_equal(tars_file_read(in_dir("six"), &out, &err), TARS_ETOOBIG);
    assert_non_null(strstr(err.text, "larger than 5 bytes"));
    tars_buf_release(&out);
}

static void failures_name_the_path(void **state)
{
    struct tars_buf out;
    struct tars_err err = {""};
    struct tars_map map;

    (void)state;
    tars_buf_init(&out, 10);
    assert_int_equal(tars_file_read(in_dir("none"), &out, &err), TARS_ENOTFOUND);
    assert_non_null(strstr(err.text, "/none"));
    assert_int_equal(tars_map_open(in_dir("none"), &map, &err), TARS_ENOTFOUND);
    assert_int_equal(tars_map_open(dir, &map, &err), TARS_EINVAL);
    assert_int_equal(tars_file_replace(in_dir("no/such"), "", 0, 0600, &err), TARS_ENOTFOUND);
    assert_int_equal(tars_dir_sync(in_dir("none"), &err), TARS_ENOTFOUND);
    assert_int_equal(tars_file_read(dir, &out, &err), TARS_EIO);
    tars_buf_release(&out);
}

static void folders_are_made_as_deep_as_asked(void **state)
{
    struct tars_err err = {""};
    struct stat info;

    (void)state;
    assert_int_equal(tars_dir_make(in_dir("x/y/z"), &err), TARS_OK);
    assert_int_equal(tars_dir_make(in_dir("x/y/z"), &err), TARS_OK);
    assert_int_equal(stat(in_dir("x/y/z"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(tars_dir_make("", &err), TARS_EINVAL);
    assert_int_equal(tars_file_replace(in_dir("file"), "", 0, 0600, &err), TARS_OK);
    assert_int_equal(tars_dir_make(in_dir("file/below"), &err), TARS_ENOTFOUND);
}

static void digests(void **state)
{
    struct tars_sha256 *sha = NULL;
    struct tars_err err;
    char hex[TARS_SHA256_HEX_BYTES];
    char other[TARS_SHA256_HEX_BYTES];
    int fd;

    (void)state;
    assert_int_equal(tars_sha256_hex("abc", 3, hex), TARS_OK);
    assert_string_equal(hex, abc_digest);
    assert_int_equal(tars_sha256_new(&sha), TARS_OK);
    assert_int_equal(tars_sha256_update(sha, "a", 1), TARS_OK);
    assert_int_equal(tars_sha256_update(sha, "bc", 2), TARS_OK);
    assert_int_equal(tars_sha256_final_hex(sha, hex), TARS_OK);
    assert_string_equal(hex, abc_digest);
    tars_sha256_free(sha);
    assert_int_equal(tars_file_replace(in_dir("abc"), "abc", 3, 0600, &err), TARS_OK);
    fd = open(in_dir("abc"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(tars_sha256_hex_fd(fd, hex), TARS_OK);
    assert_string_equal(hex, abc_digest);
    assert_int_equal(close(fd), 0);
    assert_int_equal(tars_sha256_hex_fd(-1, hex), TARS_EIO);
    assert_int_equal(tars_random_hex(hex, 16), TARS_OK);
    assert_int_equal(tars_random_hex(other, 16), TARS_OK);
    assert_int_equal(strlen(hex), 32);
    assert_string_not_equal(hex, other);
    assert_int_equal(tars_random_hex(hex, 65), TARS_EINVAL);
}

static void digest_once(void *ctx)
{
    char hex[TARS_SHA256_HEX_BYTES];
    int fd = open(in_dir("abc"), O_RDONLY | O_CLOEXEC);

    tars_status status = tars_sha256_hex_fd(fd, hex);

    (void)ctx;
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    (void)close(fd);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(faults_each(digest_once, NULL), 2);
}

static void paths_lie_below_others(void **state)
{
    static const struct {
        const char *name, *path, *root;
        bool expected;
    } rows[] = {
        {"itself", "/a/b", "/a/b", true},          {"inside", "/a/b/c", "/a/b", true},
        {"a longer name", "/a/bc", "/a/b", false}, {"above", "/a", "/a/b", false},
        {"root with slash", "/a/b", "/a/", true},  {"the root of all", "/a", "/", true},
        {"an upload", "b.txt", "/a", false},       {"a short name", "ab", "a", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (tars_path_is_below(rows[i].path, rows[i].root) != rows[i].expected) {
            fail_msg("row: %s", rows[i].name);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(ceiling_of_a_read_is_exact),
        cmocka_unit_test(failures_name_the_path),
        cmocka_unit_test(folders_are_made_as_deep_as_asked),
        cmocka_unit_test(paths_lie_below_others),
        cmocka_unit_test(digests),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
