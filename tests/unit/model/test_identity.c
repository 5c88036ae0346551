/* The digest of the weights with its side file, and the identity made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/identity.h"
#include "support/faults.h"
#include "support/files.h"

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* FIPS 180-2 */

static size_t read_side(const char *dir, char *out, size_t size)
{
    char path[FILES_PATH_MAX + 32];
    FILE *file;
    size_t len;

    (void)snprintf(path, sizeof(path), "%s/weights.digest", dir);
    file = fopen(path, "rb");
    assert_non_null(file);
    len = fread(out, 1, size, file);
    (void)fclose(file);
    return len;
}

static tars_status digest_at(const char *path, const char *cache_dir, char *hex,
                             struct tars_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    tars_status status;

    assert_true(fd >= 0);
    status = tars_weights_digest(fd, path, cache_dir, hex, err);
    (void)close(fd);
    return status;
}

static bool recall_at(const char *path, const char *cache_dir, char *hex)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool known;

    assert_true(fd >= 0);
    known = tars_weights_recall(fd, path, cache_dir, hex);
    (void)close(fd);
    return known;
}

/* What was opened is what counts, not what the path names by then. */
static void another_file_of_that_name_is_another(void **state)
{
    (void)state;
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    char other[FILES_PATH_MAX];
    char hex[TARS_SHA256_HEX_BYTES];
    int fd;

    files_make_dir(dir);
    files_write(dir, "weights", "abc", 3, path);
    files_write(dir, "other", "abd", 3, other);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(tars_weights_digest(fd, path, dir, hex, NULL), TARS_OK);
    assert_string_equal(hex, ABC);
    assert_true(tars_weights_recall(fd, path, dir, hex));
    assert_false(recall_at(path, dir, hex));
    assert_int_equal(digest_at(path, dir, hex, NULL), TARS_OK);
    assert_string_not_equal(hex, ABC);
    assert_false(tars_weights_recall(fd, path, dir, hex));
    (void)close(fd);
    files_remove_dir(dir);
}

static void side_file_is_believed_while_it_fits(void **state)
{
    (void)state;
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    char side_path[FILES_PATH_MAX];
    char side[8192];
    char hex[TARS_SHA256_HEX_BYTES];
    size_t len;

    files_make_dir(dir);
    files_write(dir, "weights", "abc", 3, path);
    assert_false(recall_at(path, dir, hex));
    assert_false(recall_at(path, NULL, hex));
    assert_int_equal(digest_at(path, dir, hex, NULL), TARS_OK);
    assert_string_equal(hex, ABC);
    len = read_side(dir, side, sizeof(side));
    /* Another digest in it shows that it is read. */
    side[22] = 'f';
    files_write(dir, "weights.digest", side, len, side_path);
    assert_int_equal(digest_at(path, dir, hex, NULL), TARS_OK);
    assert_int_equal(hex[0], 'f');
    hex[0] = '\0';
    assert_true(recall_at(path, dir, hex));
    assert_int_equal(hex[0], 'f');
    /* Damage, and other weights, are noticed. */
    files_write(dir, "weights.digest", side, len - 1, side_path);
    assert_int_equal(digest_at(path, dir, hex, NULL), TARS_OK);
    assert_string_equal(hex, ABC);
    files_write(dir, "weights", "abcd", 4, path);
    assert_false(recall_at(path, dir, hex));
    assert_int_equal(digest_at(path, dir, hex, NULL), TARS_OK);
    assert_string_not_equal(hex, ABC);
    files_remove_dir(dir);
}

static void without_or_with_a_useless_cache(void **state)
{
    (void)state;
    struct tars_err err = {""};
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    char hex[TARS_SHA256_HEX_BYTES];

    files_make_dir(dir);
    files_write(dir, "weights", "abc", 3, path);
    assert_int_equal(digest_at(path, NULL, hex, NULL), TARS_OK);
    assert_string_equal(hex, ABC);
    assert_int_equal(digest_at(path, "/nonexistent/folder", hex, NULL), TARS_OK);
    assert_string_equal(hex, ABC);
    files_remove_dir(dir);
    assert_int_equal(tars_weights_digest(-1, path, NULL, hex, &err), TARS_EIO);
    assert_non_null(strstr(err.text, path));
}

static void identity_changes_with_each_part(void **state)
{
    (void)state;
    const struct tars_model_config base = {.max_tokens = 256};
    struct tars_model_config other[] = {base, base, base, base, base};
    char first[TARS_SHA256_HEX_BYTES];
    char hex[TARS_SHA256_HEX_BYTES];

    other[0].max_tokens = 128;
    other[1].pooling = TARS_POOLING_CLS;
    other[2].cased = true;
    (void)snprintf(other[3].query_prefix, sizeof(other[3].query_prefix), "q: ");
    (void)snprintf(other[4].passage_prefix, sizeof(other[4].passage_prefix), "q: ");
    assert_int_equal(tars_model_identity(&base, ABC, tars_span_of("a\nb\n"), first), TARS_OK);
    assert_int_equal(tars_model_identity(&base, ABC, tars_span_of("a\nb\n"), hex), TARS_OK);
    assert_string_equal(first, hex);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        assert_int_equal(tars_model_identity(&other[i], ABC, tars_span_of("a\nb\n"), hex), TARS_OK);
        assert_string_not_equal(first, hex);
    }
    assert_int_equal(tars_model_identity(&base, ABC, tars_span_of("a\nc\n"), hex), TARS_OK);
    assert_string_not_equal(first, hex);
    assert_int_equal(tars_model_identity(&base, "00", tars_span_of("a\nb\n"), hex), TARS_OK);
    assert_string_not_equal(first, hex);
}

static void digest_once(void *ctx)
{
    char path[FILES_PATH_MAX + 16];
    char hex[TARS_SHA256_HEX_BYTES];
    tars_status status;

    (void)snprintf(path, sizeof(path), "%s/weights", (const char *)ctx);
    status = digest_at(path, ctx, hex, NULL);
    assert_true(status == TARS_OK || faults_happened());
    if (status == TARS_OK)
        assert_string_equal(hex, ABC);
    (void)snprintf(path, sizeof(path), "%s/weights.digest", (const char *)ctx);
    (void)unlink(path);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];

    files_make_dir(dir);
    files_write(dir, "weights", "abc", 3, path);
    assert_true(faults_each(digest_once, dir) >= 2);
    files_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(side_file_is_believed_while_it_fits),
        cmocka_unit_test(another_file_of_that_name_is_another),
        cmocka_unit_test(without_or_with_a_useless_cache),
        cmocka_unit_test(identity_changes_with_each_part),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
