/* Names of states: no two states have one name, whatever becomes of the data folder. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/epoch.h"
#include "support/faults.h"

struct name {
    char text[TARS_EPOCH_BYTES];
};

static struct tars_epoch *open_epoch(struct world *world)
{
    struct tars_epoch *epoch = NULL;

    assert_int_equal(tars_epoch_open(world->store, &epoch, NULL), TARS_OK);
    return epoch;
}

static uint64_t seq_of(struct world *world)
{
    struct tars_store_stats stats;

    assert_int_equal(tars_store_stats(world->store, &stats, NULL), TARS_OK);
    return stats.seq;
}

/* A document more: a change more. */
static void change(struct world *world, const char *path)
{
    struct tars_store_passage passage = {.text = "text", .text_len = 4, .kind = 1};
    struct tars_store_file file = {.path = path, .sha256 = "00"};
    struct tars_store_document document = {.path = path, .file_name = path, .file_type = "txt"};
    struct tars_store_put put = {.document = &document, .passages = &passage, .passage_count = 1};
    struct tars_store_batch batch = {
        .file = &file, .puts = &put, .put_count = 1, .round = 1, .finish = true};
    struct tars_store_changes changes;
    uint64_t before = seq_of(world);

    assert_int_equal(tars_store_put(world->store, &batch, &world->arena, &changes, NULL), TARS_OK);
    assert_true(seq_of(world) > before);
}

static struct name name_now(struct world *world, const struct tars_epoch *epoch)
{
    struct name name;

    (void)snprintf(name.text, sizeof(name.text), "%s", tars_epoch_of(epoch, seq_of(world)));
    assert_int_equal(strlen(name.text), TARS_EPOCH_BYTES - 1);
    return name;
}

static bool is_same(struct name a, struct name b)
{
    return strcmp(a.text, b.text) == 0;
}

/* Copy what the store remembers of its state, as a copy of the data folder would. */
static const char *remembered(struct world *world)
{
    const char *text = NULL;

    if (tars_store_meta_get(world->store, "cache.epoch", &world->arena, &text, NULL) != TARS_OK)
        return NULL;
    return text;
}

/* -------------------------------------------------------------------- cases */

static void a_state_keeps_its_name_over_a_restart(void **state)
{
    struct world *world = *state;
    struct tars_epoch *epoch = open_epoch(world);
    struct name name;

    change(world, "/a");
    name = name_now(world, epoch);
    tars_epoch_close(epoch);
    for (int i = 0; i < 2; i++) { /* and over one without changes */
        reopen(world);
        epoch = open_epoch(world);
        assert_true(is_same(name, name_now(world, epoch)));
        tars_epoch_close(epoch);
    }
}

static void what_comes_after_a_restart_has_another_epoch(void **state)
{
    struct world *world = *state;
    struct tars_epoch *epoch = open_epoch(world);
    struct name before;
    struct name after;

    change(world, "/a");
    before = name_now(world, epoch);
    tars_epoch_close(epoch);
    reopen(world);
    epoch = open_epoch(world);
    change(world, "/b");
    after = name_now(world, epoch);
    assert_false(is_same(before, after));
    tars_epoch_close(epoch);
    reopen(world);
    epoch = open_epoch(world);
    assert_true(is_same(after, name_now(world, epoch)));
    tars_epoch_close(epoch);
}

/* It dies without closing: what it named is never named so again. */
static void a_process_that_dies_takes_its_names_along(void **state)
{
    struct world *world = *state;
    struct tars_epoch *died = open_epoch(world);
    struct tars_epoch *epoch;
    struct name name;

    change(world, "/a");
    name = name_now(world, died);
    epoch = open_epoch(world);
    assert_false(is_same(name, name_now(world, epoch)));
    tars_epoch_close(epoch);
    free(died);
}

/* A folder that was put back: it has its old name, and what comes then has another than what came
 * the first time, under the same number. */
static void a_copy_that_was_put_back_is_told_apart(void **state)
{
    struct world *world = *state;
    struct tars_epoch *epoch = open_epoch(world);
    struct name at_copy;
    struct name first;
    struct name second;
    const char *copy;
    uint64_t seq;

    change(world, "/a");
    at_copy = name_now(world, epoch);
    tars_epoch_close(epoch);
    copy = remembered(world);
    assert_non_null(copy);
    epoch = open_epoch(world);
    change(world, "/first");
    first = name_now(world, epoch);
    seq = seq_of(world);
    tars_epoch_close(epoch);
    /* The copy comes back: documents of then, and what was remembered then. */
    remove_store(world);
    make_store(world);
    change(world, "/a");
    assert_int_equal(tars_store_meta_set(world->store, "cache.epoch", copy, NULL), TARS_OK);
    epoch = open_epoch(world);
    assert_true(is_same(at_copy, name_now(world, epoch)));
    change(world, "/second");
    second = name_now(world, epoch);
    assert_int_equal(seq_of(world), seq);
    assert_false(is_same(first, second));
    tars_epoch_close(epoch);
}

static void what_is_remembered_must_fit(void **state)
{
    static const struct {
        const char *name, *text;
    } rows[] = {
        {"another number", "0123456789abcdef0123456789abcdef 17"},
        {"no number", "0123456789abcdef0123456789abcdef"},
        {"a number that goes on", "0123456789abcdef0123456789abcdef 1 "},
        {"no digits", "0123456789abcdeg0123456789abcdef 1"},
        {"short", "0123 1"},
        {"nothing", ""},
    };
    struct world *world = *state;

    change(world, "/a");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_epoch *epoch;
        struct name name;

        print_message("  %s\n", rows[i].name);
        assert_int_equal(tars_store_meta_set(world->store, "cache.epoch", rows[i].text, NULL),
                         TARS_OK);
        epoch = open_epoch(world);
        name = name_now(world, epoch);
        assert_false(strncmp(name.text, rows[i].text, TARS_EPOCH_BYTES - 1) == 0);
        free(epoch); /* as if it had died */
    }
}

static void what_is_forgotten_is_named_anew(void **state)
{
    struct world *world = *state;
    struct tars_epoch *epoch = open_epoch(world);
    struct name name = name_now(world, epoch);

    tars_epoch_close(epoch);
    assert_int_equal(tars_epoch_forget(world->store, NULL), TARS_OK);
    assert_null(remembered(world));
    epoch = open_epoch(world);
    assert_false(is_same(name, name_now(world, epoch)));
    tars_epoch_close(epoch);
    tars_epoch_close(NULL);
}

static void faulty_run(void *ctx)
{
    struct world *world = ctx;
    struct tars_epoch *epoch = NULL;

    if (tars_epoch_open(world->store, &epoch, NULL) != TARS_OK)
        assert_true(faults_happened());
    tars_epoch_close(epoch);
}

static void every_allocation_may_fail(void **state)
{
    assert_true(faults_each(faulty_run, *state) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_state_keeps_its_name_over_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_after_a_restart_has_another_epoch, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_process_that_dies_takes_its_names_along, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_copy_that_was_put_back_is_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_remembered_must_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_forgotten_is_named_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, set_up, tear_down),
    };

    return run_each(tests, sizeof(tests) / sizeof(tests[0]));
}
