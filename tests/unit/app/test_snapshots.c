/* Snapshots that servers share: what is put there, what is taken, and that a copy begins a past of
 * its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/snapshots.h"
#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "ingest/history.h"
#include "store/store_sqlite.h"
#include "support/faults.h"
#include "support/files.h"
#include "text/analyzer.h"

#define WAIT_MS 20000
#define LOOK_MS 5

struct world {
    char data[FILES_PATH_MAX]; /* of the store */
    char ours[FILES_PATH_MAX], theirs[FILES_PATH_MAX], shared[FILES_PATH_MAX];
    struct tars_store *store;
    uint64_t seq; /* of the store */
    atomic_int looks;
};

static bool leads(void *ctx)
{
    struct world *world = ctx;

    atomic_fetch_add(&world->looks, 1);
    return true;
}

static struct tars_snapshots_config config_of(struct world *world, const char *local)
{
    return (struct tars_snapshots_config){.local = local,
                                          .shared = world->shared,
                                          .store = world->store,
                                          .leads = leads,
                                          .ctx = world,
                                          .look_ms = LOOK_MS};
}

/* A change of the store. */
static void change(struct world *world, const char *path)
{
    const struct tars_store_file file = {
        .collection = TARS_COLLECTION, .path = path, .sha256 = "0", .size = 1};
    struct tars_store_document document = {
        .path = path, .file_name = path, .file_type = "txt", .language = TARS_LANG_UNKNOWN};
    const struct tars_store_passage passage = {
        .document = &document, .text = "text", .text_len = 4, .char_end = 4};
    const struct tars_store_put put = {
        .document = &document, .passages = &passage, .passage_count = 1};
    const struct tars_store_batch batch = {
        .file = &file, .puts = &put, .put_count = 1, .round = 1, .finish = true};
    struct tars_store_changes changes;
    struct tars_store_stats stats;
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(tars_store_put(world->store, &batch, &arena, &changes, NULL), TARS_OK);
    tars_arena_release(&arena);
    assert_int_equal(tars_store_stats(world->store, &stats, NULL), TARS_OK);
    world->seq = stats.seq;
}

/* The snapshot of state seq in dir, marked. */
static void save(struct world *world, const char *dir, uint64_t seq)
{
    const struct tars_index_config config = {.dir = dir};
    struct tars_index *index = NULL;

    assert_int_equal(tars_index_open(&config, &index, NULL), TARS_OK);
    tars_index_publish(index, seq);
    assert_int_equal(tars_history_mark(world->store, dir, seq, NULL), TARS_OK);
    assert_int_equal(tars_index_save(index, NULL), TARS_OK);
    tars_index_close(index);
}

static uint64_t seq_in(const char *dir)
{
    const struct tars_index_config config = {.dir = dir};
    uint64_t seq = 0;

    return tars_index_peek(&config, &seq, NULL) == TARS_OK ? seq : 0;
}

/* Publish from dir until it has looked a few times. */
static void publish(struct world *world, const char *dir)
{
    const struct tars_snapshots_config config = config_of(world, dir);
    struct tars_snapshots *snapshots = NULL;
    int64_t until_ms = tars_clock_mono_ms() + WAIT_MS;

    atomic_store(&world->looks, 0);
    assert_int_equal(tars_snapshots_open(&config, &snapshots, NULL), TARS_OK);
    while (atomic_load(&world->looks) < 3 && tars_clock_mono_ms() < until_ms)
        (void)usleep(1000);
    tars_snapshots_close(snapshots);
    assert_true(atomic_load(&world->looks) >= 3);
}

static bool adopt(struct world *world, const char *dir)
{
    const struct tars_snapshots_config config = config_of(world, dir);
    const struct tars_index_config index = {.dir = dir, .identity = ""};

    return tars_snapshots_adopt(&config, &index);
}

static int setup(void **state)
{
    static struct world world;
    struct tars_store_sqlite_config config = {.dir = world.data};

    memset(&world, 0, sizeof(world));
    files_make_dir(world.data);
    files_make_dir(world.ours);
    files_make_dir(world.theirs);
    files_make_dir(world.shared);
    assert_int_equal(tars_store_sqlite_open(&config, &world.store, NULL), TARS_OK);
    change(&world, "/a.txt");
    change(&world, "/b.txt");
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    tars_store_close(world->store);
    files_remove_dir(world->data);
    files_remove_dir(world->ours);
    files_remove_dir(world->theirs);
    files_remove_dir(world->shared);
    return 0;
}

/* ---------------------------------------------------------------------- tests */

/* The store's marks of the folder: as they were before there was any. */
static void forget_marks(struct world *world, const char *dir)
{
    struct tars_history history;
    struct tars_buf text;
    char path[FILES_PATH_MAX + 16];
    char key[64];

    (void)snprintf(path, sizeof(path), "%s/history", dir);
    tars_buf_init(&text, 1024);
    assert_int_equal(tars_file_read(path, &text, NULL), TARS_OK);
    assert_int_equal(tars_history_parse(text.ptr, text.len, &history), TARS_OK);
    tars_buf_release(&text);
    (void)snprintf(key, sizeof(key), "index.%s", history.name);
    assert_int_equal(tars_store_meta_set(world->store, key, NULL, NULL), TARS_OK);
}

static void what_is_taken_has_a_mark_of_its_own(void **state)
{
    struct world *world = *state;
    char folder[FILES_PATH_MAX + 16];
    char stale_path[FILES_PATH_MAX];

    assert_false(adopt(world, world->ours)); /* there is none yet */
    save(world, world->theirs, world->seq);
    publish(world, world->theirs);
    assert_int_equal(seq_in(world->shared), world->seq);
    (void)snprintf(folder, sizeof(folder), "%s/adopted", world->ours);
    assert_int_equal(mkdir(folder, 0700), 0);
    files_write(folder, ".part-of-before", "x", 1, stale_path);
    assert_true(adopt(world, world->ours));
    assert_int_equal(seq_in(world->ours), world->seq);
    assert_int_not_equal(access(folder, F_OK), 0);
    assert_int_equal(tars_history_check(world->store, world->ours, world->seq, NULL), TARS_OK);
    /* A database that goes back before our first save does not have it. */
    forget_marks(world, world->ours);
    assert_int_equal(tars_history_check(world->store, world->ours, world->seq, NULL),
                     TARS_EMISMATCH);
}

/* It is taken whole or not at all. */
static void adopt_once(void *ctx)
{
    struct world *world = ctx;
    char path[FILES_PATH_MAX + 32];
    bool adopted = adopt(world, world->ours);
    bool happened = faults_happened();

    assert_true(adopted || happened);
    (void)snprintf(path, sizeof(path), "%s/index.tars", world->ours);
    if (happened)
        assert_true(seq_in(world->ours) == world->seq || access(path, F_OK) != 0);
    (void)unlink(path);
}

static void every_allocation_may_fail(void **state)
{
    struct world *world = *state;

    save(world, world->theirs, world->seq);
    publish(world, world->theirs);
    assert_true(faults_each(adopt_once, world) > 4);
    assert_true(adopt(world, world->ours));
}

static void what_is_ahead_of_the_store_is_not_taken(void **state)
{
    struct world *world = *state;

    save(world, world->theirs, world->seq + 1000);
    publish(world, world->theirs);
    assert_int_equal(seq_in(world->shared), world->seq + 1000);
    assert_false(adopt(world, world->ours));
    assert_int_equal(seq_in(world->ours), 0);
    /* Nor does it stay there. */
    save(world, world->ours, world->seq);
    publish(world, world->ours);
    assert_int_equal(seq_in(world->shared), world->seq);
}

static void an_older_one_does_not_replace_a_newer(void **state)
{
    struct world *world = *state;

    save(world, world->theirs, world->seq);
    publish(world, world->theirs);
    save(world, world->ours, world->seq - 1);
    publish(world, world->ours);
    assert_int_equal(seq_in(world->shared), world->seq);
    change(world, "/c.txt");
    save(world, world->ours, world->seq);
    publish(world, world->ours);
    assert_int_equal(seq_in(world->shared), world->seq);
}

/* Gigabytes are not copied every few seconds to where they cannot be put. */
static void a_copy_that_fails_is_not_tried_at_once(void **state)
{
    struct world *world = *state;
    const struct tars_snapshots_config config = config_of(world, world->theirs);
    struct tars_snapshots *snapshots = NULL;
    char path[FILES_PATH_MAX + 16];
    int64_t until_ms = tars_clock_mono_ms() + WAIT_MS;

    (void)snprintf(path, sizeof(path), "%s/index.tars", world->shared);
    assert_int_equal(mkdir(path, 0700), 0);
    save(world, world->theirs, world->seq);
    assert_int_equal(tars_snapshots_open(&config, &snapshots, NULL), TARS_OK);
    while (atomic_load(&world->looks) < 2 && tars_clock_mono_ms() < until_ms)
        (void)usleep(1000);
    assert_int_equal(rmdir(path), 0);
    while (atomic_load(&world->looks) < 6 && tars_clock_mono_ms() < until_ms)
        (void)usleep(1000);
    tars_snapshots_close(snapshots);
    assert_true(atomic_load(&world->looks) >= 6);
    assert_int_not_equal(access(path, F_OK), 0);
    /* Nothing is left of it. */
    (void)snprintf(path, sizeof(path), "%s/history", world->shared);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(world->shared), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_taken_has_a_mark_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_ahead_of_the_store_is_not_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(an_older_one_does_not_replace_a_newer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_that_fails_is_not_tried_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
