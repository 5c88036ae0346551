/* Whoever leads keeps the shared snapshot fresh though it takes nothing in itself; a copy that may
 * not have reached the disk is looked through. Real store, ingestion and index; words only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/snapshots.h"
#include "extract/client.h"
#include "store/store_sqlite.h"
#include "support/files.h"

#define PASSAGES 300   /* more than a save is worth */
#define WAIT_MS  60000 /* at most */
#define STEP_NS  5000000L
#define STEP_MS  5

struct world {
    char leader[FILES_PATH_MAX]; /* data */
    char other[FILES_PATH_MAX];
    char shared[FILES_PATH_MAX];
    struct tars_store *store;
    struct tars_index *index;
    struct tars_extract *extract;
    struct tars_wordpiece *wordpiece;
    struct tars_ingest *ingest;
    struct tars_log *log;
    struct tars_arena arena;
};

static bool yes(void *ctx)
{
    (void)ctx;
    return true;
}

static bool no(void *ctx)
{
    (void)ctx;
    return false;
}

static int set_up(void **state)
{
    static struct world world;
    struct tars_wordpiece_config wordpiece = {
        .vocab_txt = tars_span_of("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")};
    struct tars_extract_config extract = {.program = TARS_BINARY_DIR "/tars-extract"};
    struct tars_store_sqlite_config store = {.dir = world.leader};
    struct tars_index_config index = {.dir = world.leader};
    struct tars_ingest_config config = {.shares = true};
    struct tars_log_config log = {.level = TARS_LOG_ERROR};

    memset(&world, 0, sizeof(world));
    files_make_dir(world.leader);
    files_make_dir(world.other);
    files_make_dir(world.shared);
    tars_arena_init(&world.arena, (size_t)64 << 20);
    assert_int_equal(tars_log_new(&log, &world.log), TARS_OK);
    assert_int_equal(tars_extract_open(&extract, &world.extract, NULL), TARS_OK);
    assert_int_equal(tars_wordpiece_new(&wordpiece, &world.wordpiece, NULL), TARS_OK);
    assert_int_equal(tars_store_sqlite_open(&store, &world.store, NULL), TARS_OK);
    assert_int_equal(tars_index_open(&index, &world.index, NULL), TARS_OK);
    config.store = world.store;
    config.index = world.index;
    config.chunk.wordpiece = world.wordpiece;
    config.log = world.log;
    config.extract = world.extract;
    assert_int_equal(tars_ingest_open(&config, &world.ingest, NULL), TARS_OK);
    assert_int_equal(tars_ingest_start(world.ingest, NULL), TARS_OK);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    tars_ingest_close(world->ingest);
    tars_index_close(world->index);
    tars_store_close(world->store);
    tars_extract_close(world->extract);
    tars_wordpiece_free(world->wordpiece);
    tars_log_free(world->log);
    tars_arena_release(&world->arena);
    files_remove_dir(world->leader);
    files_remove_dir(world->other);
    files_remove_dir(world->shared);
    return 0;
}

/* ------------------------------------------------------------------ helpers */

/* As another server does: into the store, and the index follows. */
static void put(struct world *world)
{
    struct tars_store_passage passages[PASSAGES] = {{0}};
    struct tars_store_file file = {.path = "/d/a.txt", .sha256 = "00", .indexed_us = 1};
    struct tars_store_document document = {
        .path = "/d/a.txt", .file_name = "a.txt", .file_type = "txt", .metadata_json = ""};
    struct tars_store_put put = {
        .document = &document, .passages = passages, .passage_count = PASSAGES};
    struct tars_store_batch batch = {
        .file = &file, .puts = &put, .put_count = 1, .round = 1, .finish = true};
    struct tars_store_changes changes;

    for (size_t i = 0; i < PASSAGES; i++) {
        passages[i] = (struct tars_store_passage){
            .text = "tides of spring", .text_len = strlen("tides of spring"), .kind = 1};
    }
    assert_int_equal(tars_store_put(world->store, &batch, &world->arena, &changes, NULL), TARS_OK);
    assert_int_equal(tars_ingest_replay(world->ingest, NULL), TARS_OK);
}

static struct tars_snapshots_config config_of(struct world *world, const char *local)
{
    return (struct tars_snapshots_config){
        .local = local,
        .shared = world->shared,
        .store = world->store,
        .log = world->log,
        .index = world->index,
        .ingest = world->ingest,
        .leads = local == world->leader ? yes : no,
        .look_ms = STEP_MS,
        .quiet_ms = STEP_MS,
    };
}

static bool has(const char *dir, const char *name)
{
    char path[FILES_PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static void wait_for(const char *dir, const char *name, bool there)
{
    int64_t waited_ms = 0;

    for (; has(dir, name) != there && waited_ms < WAIT_MS; waited_ms += STEP_MS) {
        const struct timespec step = {.tv_nsec = STEP_NS};

        (void)nanosleep(&step, NULL);
    }
    assert_int_equal(has(dir, name), there);
}

/* Have the leader's snapshot shared. */
static void share(struct world *world)
{
    const struct tars_snapshots_config config = config_of(world, world->leader);
    struct tars_snapshots *snapshots;

    put(world);
    assert_int_equal(tars_snapshots_open(&config, &snapshots, NULL), TARS_OK);
    wait_for(world->shared, "index.tars", true);
    tars_snapshots_close(snapshots);
}

static bool adopt(struct world *world)
{
    const struct tars_snapshots_config config = config_of(world, world->other);
    const struct tars_index_config index = {.dir = world->other};

    return tars_snapshots_adopt(&config, &index);
}

static void check(struct world *world)
{
    const struct tars_index_config index = {.dir = world->other};

    tars_snapshots_check(world->other, &index, world->log);
}

static void damage(const char *dir)
{
    char path[FILES_PATH_MAX + 16];
    FILE *file;
    int byte;

    (void)snprintf(path, sizeof(path), "%s/index.tars", dir);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -1, SEEK_END), 0);
    byte = fgetc(file);
    assert_int_equal(fseek(file, -1, SEEK_END), 0);
    assert_int_equal(fputc(byte ^ 0xff, file), byte ^ 0xff);
    assert_int_equal(fclose(file), 0);
}

/* -------------------------------------------------------------------- tests */

static void test_the_leader_saves_what_others_put(void **state)
{
    struct world *world = *state;
    const struct tars_index_config config = {.dir = world->other};
    struct tars_index *joined;

    share(world);
    assert_true(adopt(world));
    assert_int_equal(tars_index_open(&config, &joined, NULL), TARS_OK);
    assert_int_equal(tars_index_seq(joined), tars_index_seq(world->index));
    tars_index_close(joined);
    assert_false(adopt(world)); /* it is no newer than ours now */
}

static void test_a_copy_is_brought_to_the_disk_later(void **state)
{
    struct world *world = *state;
    const struct tars_snapshots_config config = config_of(world, world->other);
    struct tars_snapshots *snapshots;

    share(world);
    assert_true(adopt(world));
    assert_true(has(world->other, "unsynced"));
    check(world); /* whole, so it stays */
    assert_true(has(world->other, "index.tars"));
    assert_int_equal(tars_snapshots_open(&config, &snapshots, NULL), TARS_OK);
    wait_for(world->other, "unsynced", false);
    tars_snapshots_close(snapshots);
    assert_true(has(world->other, "index.tars"));
}

static void test_a_copy_lost_on_its_way_is_removed(void **state)
{
    struct world *world = *state;

    share(world);
    assert_true(adopt(world));
    damage(world->other);
    check(world);
    assert_false(has(world->other, "index.tars"));
    assert_false(has(world->other, "unsynced"));
    check(world); /* nothing there */
    assert_true(adopt(world));
}

static void test_a_damaged_one_is_not_adopted(void **state)
{
    struct world *world = *state;

    share(world);
    damage(world->shared);
    assert_false(adopt(world));
    assert_false(has(world->other, "index.tars"));
    assert_false(has(world->other, "unsynced"));
    assert_false(has(world->other, "adopted"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_leader_saves_what_others_put, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_copy_is_brought_to_the_disk_later, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_copy_lost_on_its_way_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_damaged_one_is_not_adopted, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
