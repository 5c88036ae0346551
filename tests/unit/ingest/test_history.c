/* Marks of saves: what is one, what is none, and which index they tell to be of another past. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/sys/file.h"
#include "index/index.h"
#include "ingest/history.h"
#include "store/store_sqlite.h"
#include "support/faults.h"
#include "support/files.h"
#include "support/guard.h"

#define NAME "0123456789abcdef"
#define ONE  "1111111111111111"
#define TWO  "2222222222222222"

/* ------------------------------------------------------------------- parsing */

static const struct parse_case {
    const char *name;
    const char *text;
    tars_status status;
    size_t count;
} parse_cases[] = {
    {"one mark", "tars-history 1\n" NAME "\n7 " ONE "\n", TARS_OK, 1},
    {"two marks", "tars-history 1\n" NAME "\n9 " TWO "\n7 " ONE "\n", TARS_OK, 2},
    {"the greatest number", "tars-history 1\n" NAME "\n18446744073709551615 " ONE "\n", TARS_OK, 1},
    {"nothing", "", TARS_EFORMAT, 0},
    {"another version", "tars-history 2\n" NAME "\n7 " ONE "\n", TARS_EFORMAT, 0},
    {"no mark", "tars-history 1\n" NAME "\n", TARS_EFORMAT, 0},
    {"three marks", "tars-history 1\n" NAME "\n9 " TWO "\n8 " TWO "\n7 " ONE "\n", TARS_EFORMAT, 0},
    {"a number too large", "tars-history 1\n" NAME "\n18446744073709551616 " ONE "\n", TARS_EFORMAT,
     0},
    {"no number", "tars-history 1\n" NAME "\n " ONE "\n", TARS_EFORMAT, 0},
    {"a short name", "tars-history 1\n0123\n7 " ONE "\n", TARS_EFORMAT, 0},
    {"capitals", "tars-history 1\n0123456789ABCDEF\n7 " ONE "\n", TARS_EFORMAT, 0},
    {"cut in the token", "tars-history 1\n" NAME "\n7 1111", TARS_EFORMAT, 0},
    {"no end of the line", "tars-history 1\n" NAME "\n7 " ONE, TARS_EFORMAT, 0},
    {"something behind", "tars-history 1\n" NAME "\n7 " ONE "\nx", TARS_EFORMAT, 0},
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(parse_cases) / sizeof(parse_cases[0]); i++) {
        const struct parse_case *row = &parse_cases[i];
        struct tars_history history = {.count = 99};
        struct guard text = guard_copy(row->text, strlen(row->text));
        tars_status status = tars_history_parse(text.ptr, strlen(row->text), &history);

        guard_free(&text);
        if (status != row->status || history.count != (status ? 99 : row->count)) {
            fail_msg("%s: status %d, %zu marks", row->name, (int)status, history.count);
        }
    }
}

/* --------------------------------------------------------------------- marks */

struct world {
    char dir[FILES_PATH_MAX];
    struct tars_store *store;
};

static int setup(void **state)
{
    static struct world world;
    struct tars_store_sqlite_config config = {.dir = world.dir};

    files_make_dir(world.dir);
    assert_int_equal(tars_store_sqlite_open(&config, &world.store, NULL), TARS_OK);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    tars_store_close(world->store);
    files_remove_dir(world->dir);
    return 0;
}

/* The store's mark of this folder. */
static void key_and_value(struct world *world, char *key, char *value)
{
    struct tars_buf text;
    struct tars_history history;
    struct tars_arena arena;
    const char *found = NULL;
    char path[FILES_PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/history", world->dir);
    tars_buf_init(&text, 1024);
    assert_int_equal(tars_file_read(path, &text, NULL), TARS_OK);
    assert_int_equal(tars_history_parse(text.ptr, text.len, &history), TARS_OK);
    tars_buf_release(&text);
    (void)snprintf(key, 64, "index.%s", history.name);
    tars_arena_init(&arena, 1U << 16U);
    assert_int_equal(tars_store_meta_get(world->store, key, &arena, &found, NULL), TARS_OK);
    (void)snprintf(value, 64, "%s", found);
    tars_arena_release(&arena);
}

static tars_status check(struct world *world, uint64_t seq)
{
    return tars_history_check(world->store, world->dir, seq, NULL);
}

static void mark(struct world *world, uint64_t seq)
{
    assert_int_equal(tars_history_mark(world->store, world->dir, seq, NULL), TARS_OK);
}

static void test_without_marks_it_is_taken_as_it_is(void **state)
{
    assert_int_equal(check(*state, 5), TARS_OK);
}

static void test_a_store_that_went_back_is_noticed(void **state)
{
    struct world *world = *state;
    char key[64];
    char before[64];
    char value[64];

    mark(world, 5);
    assert_int_equal(check(world, 5), TARS_OK);
    key_and_value(world, key, before);
    mark(world, 9);
    assert_int_equal(check(world, 9), TARS_OK);
    assert_int_equal(check(world, 5), TARS_OK); /* stopped before the index was in place */
    mark(world, 12);

    assert_int_equal(tars_store_meta_set(world->store, key, before, NULL), TARS_OK);
    assert_int_equal(check(world, 12), TARS_EMISMATCH);
    assert_int_equal(check(world, 9), TARS_EMISMATCH);
    assert_int_equal(check(world, 10), TARS_OK); /* copied from elsewhere: no mark of ours */

    mark(world, 11); /* built again and saved */
    assert_int_equal(check(world, 11), TARS_OK);
    key_and_value(world, key, value);
    assert_string_not_equal(before, value);
    assert_int_equal(check(world, 12), TARS_OK); /* its mark is gone: no index of it is here */
}

/* What the store gave up stays given up, though the same folder goes on and another copy of it
 * comes back. */
static void test_what_was_given_up_does_not_come_back(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX + 16];
    char key[64];
    char before[64];
    struct tars_buf copy;

    mark(world, 5);
    key_and_value(world, key, before);
    mark(world, 9);
    (void)snprintf(path, sizeof(path), "%s/history", world->dir);
    tars_buf_init(&copy, 1024);
    assert_int_equal(tars_file_read(path, &copy, NULL), TARS_OK);

    assert_int_equal(tars_store_meta_set(world->store, key, before, NULL), TARS_OK);
    mark(world, 6);
    mark(world, 10);
    assert_int_equal(tars_file_replace(path, copy.ptr, copy.len, 0600, NULL), TARS_OK);
    tars_buf_release(&copy);
    assert_int_equal(check(world, 9), TARS_EMISMATCH);
}

static void save_index(struct world *world, uint64_t seq)
{
    const struct tars_index_config config = {.dir = world->dir};
    struct tars_index *index = NULL;

    mark(world, seq);
    assert_int_equal(tars_index_open(&config, &index, NULL), TARS_OK);
    tars_index_publish(index, seq);
    assert_int_equal(tars_index_save(index, NULL), TARS_OK);
    tars_index_close(index);
}

/* Saves that were marked and given up leave the mark of the snapshot that is still there. */
static void test_the_snapshot_that_is_there_keeps_its_mark(void **state)
{
    struct world *world = *state;
    char key[64];
    char before[64];

    save_index(world, 3);
    key_and_value(world, key, before);
    save_index(world, 5);
    mark(world, 9);
    mark(world, 12);
    assert_int_equal(check(world, 5), TARS_OK);
    assert_int_equal(tars_store_meta_set(world->store, key, before, NULL), TARS_OK);
    assert_int_equal(check(world, 5), TARS_EMISMATCH);
}

static void test_a_store_that_never_knew_it_is_noticed(void **state)
{
    struct world *world = *state;
    struct world other = {.store = NULL};
    struct tars_store_sqlite_config config = {.dir = other.dir};

    mark(world, 5);
    files_make_dir(other.dir);
    assert_int_equal(tars_store_sqlite_open(&config, &other.store, NULL), TARS_OK);
    assert_int_equal(tars_history_check(other.store, world->dir, 5, NULL), TARS_EMISMATCH);
    tars_store_close(other.store);
    files_remove_dir(other.dir);
}

static void test_damaged_marks_are_no_proof(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX + 16];

    mark(world, 5);
    (void)snprintf(path, sizeof(path), "%s/history", world->dir);
    assert_int_equal(tars_file_replace(path, "nonsense", 8, 0600, NULL), TARS_OK);
    assert_int_equal(check(world, 5), TARS_EMISMATCH);
    mark(world, 6);
    assert_int_equal(check(world, 6), TARS_OK);
}

/* A mark that fails may cost a build of the index, and never tells a wrong one to be right. */
static void mark_once(void *ctx)
{
    struct world *world = ctx;
    tars_status status = tars_history_mark(world->store, world->dir, 5, NULL);

    if (status == TARS_OK)
        status = check(world, 5);
    assert_true(status == TARS_OK || faults_happened());
}

static void test_no_memory(void **state)
{
    assert_true(faults_each(mark_once, *state) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test_setup_teardown(test_without_marks_it_is_taken_as_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_store_that_went_back_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_given_up_does_not_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_snapshot_that_is_there_keeps_its_mark, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_store_that_never_knew_it_is_noticed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_damaged_marks_are_no_proof, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };

    return cmocka_run_group_tests_name("ingest/history", tests, NULL, NULL);
}
