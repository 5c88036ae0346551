/* backups: which files a backup may hold; what lies below what; moves that are undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/backups.h"
#include "app/moves.h"
#include "support/files.h"

static void test_parts(void **state)
{
    static const struct {
        const char *name;
        bool is_part;
    } rows[] = {
        {"tars.db", true},
        {"analytics.db", true},
        {"analytics.queue", true},
        {"jwt.key", true},
        {"settings.env", true},
        {"index/index.tars", true},
        {"spool/0123456789abcdef0123456789abcdef", true},
        {"", false},
        {"tars.db-wal", false},
        {"server.json", false},
        {"lock", false},
        {"index", false},
        {"index/other", false},
        {"spool/", false},
        {"spool/0123456789abcdef0123456789abcde", false},
        {"spool/0123456789abcdef0123456789abcdef0", false},
        {"spool/0123456789ABCDEF0123456789abcdef", false},
        {"spool/0123456789abcdef0123456789abcd.x", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (tars_backups_is_part(rows[i].name) != rows[i].is_part)
            fail_msg("%s", rows[i].name);
    }
}

static void test_below(void **state)
{
    static const struct {
        const char *path, *root; /* below the temporary folder */
        bool is_below;
    } rows[] = {
        {"data", "data", true},       {"data/a/b", "data", true}, {"link/new", "data", true},
        {"datas", "data", false},     {"other/x", "data", false}, {"data/../other", "data", false},
        {"data", "not-there", false},
    };
    char dir[FILES_PATH_MAX];
    char path[2 * FILES_PATH_MAX];
    char root[2 * FILES_PATH_MAX];

    (void)state;
    files_make_dir(dir);
    (void)snprintf(root, sizeof(root), "%s/data", dir);
    (void)snprintf(path, sizeof(path), "%s/other", dir);
    assert_int_equal(mkdir(root, 0700) | mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/link", dir);
    assert_int_equal(symlink(root, path), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, rows[i].path);
        (void)snprintf(root, sizeof(root), "%s/%s", dir, rows[i].root);
        if (tars_backups_is_below(path, root) != rows[i].is_below)
            fail_msg("%s in %s", rows[i].path, rows[i].root);
    }
    assert_true(tars_backups_is_below("not-there-1234", "."));
    assert_false(tars_backups_is_below("/", "."));
    files_remove_dir(dir);
}

static void test_moves(void **state)
{
    struct tars_arena arena;
    struct tars_moves moves = {.arena = &arena};
    struct tars_err err = {{0}};
    char dir[FILES_PATH_MAX];
    char a[FILES_PATH_MAX];
    char b[FILES_PATH_MAX + 8];
    char c[FILES_PATH_MAX + 8];

    (void)state;
    files_make_dir(dir);
    files_write(dir, "a", "x", 1, a);
    (void)snprintf(b, sizeof(b), "%s/b", dir);
    (void)snprintf(c, sizeof(c), "%s/c", dir);
    tars_arena_init(&arena, 4096);
    assert_int_equal(tars_moves_do(&moves, a, b, &err), TARS_OK);
    assert_int_equal(tars_moves_do(&moves, b, c, &err), TARS_OK);
    assert_int_equal(tars_moves_do(&moves, a, b, &err), TARS_EIO);
    assert_non_null(strstr(err.text, "cannot move"));
    assert_int_equal(tars_moves_undo(&moves, &err), TARS_OK);
    assert_int_equal(access(a, F_OK), 0);
    assert_int_equal(moves.count, 0);
    assert_int_equal(tars_moves_do(&moves, a, b, &err), TARS_OK);
    assert_int_equal(unlink(b), 0);
    assert_int_equal(tars_moves_undo(&moves, &err), TARS_EIO);
    assert_non_null(strstr(err.text, "back"));
    tars_arena_release(&arena);
    files_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
