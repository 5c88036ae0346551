/* Turns that wait outlive the process: in files, read again, written once, removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <unistd.h>

#include "rag/later.h"
#include "rag/later_file.h"
#include "store/conversations_internal.h"
#include "store/store_sqlite.h"
#include "support/faults.h"
#include "support/files.h"

#define ROWS(a)     (sizeof(a) / sizeof((a)[0]))
#define ARENA_BYTES ((size_t)64 << 20U)
#define NAME        "00001700000000000000-000000"

/* ----------------------------------------------------------------------- world */

struct world {
    char dir[FILES_PATH_MAX];
    char turns[FILES_PATH_MAX + 16];
    struct tars_store *store;
    struct tars_arena arena;
    struct tars_conversations_ops conversations;
    struct tars_store_ops ops;
    const struct tars_store_ops *real;
};

static atomic_bool away;
static const struct tars_conversations_ops *real_conversations;

static tars_status append_or_not(struct tars_store *store,
                                 const struct tars_conversation_addition *addition,
                                 struct tars_err *err)
{
    if (atomic_load(&away))
        return tars_fail(TARS_EUNAVAILABLE, err, "the store is away");
    return real_conversations->append(store, addition, err);
}

static int set_up(void **state)
{
    static struct world world;
    struct tars_store_sqlite_config config = {.dir = world.dir};

    files_make_dir(world.dir);
    (void)snprintf(world.turns, sizeof(world.turns), "%s/turns", world.dir);
    assert_int_equal(tars_store_sqlite_open(&config, &world.store, NULL), TARS_OK);
    world.real = world.store->ops;
    real_conversations = world.real->conversations;
    world.ops = *world.real;
    world.conversations = *world.real->conversations;
    world.conversations.append = append_or_not;
    world.ops.conversations = &world.conversations;
    world.store->ops = &world.ops;
    atomic_store(&away, true);
    tars_arena_init(&world.arena, ARENA_BYTES);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    world->store->ops = world->real;
    tars_store_close(world->store);
    tars_arena_release(&world->arena);
    files_remove_dir(world->dir);
    return 0;
}

static struct tars_later_turn turn_of(const char *conversation, const char *question)
{
    return (struct tars_later_turn){
        .tenant = "default",
        .client = "ada",
        .conversation = conversation,
        .messages = {{.id = "", .role = "user", .content = question, .timestamp = "2026-01-01"},
                     {.id = "",
                      .role = "assistant",
                      .content = "\"Yes\", \xC3\xA4nd\n so on",
                      .timestamp = question, /* of which none is like another */
                      .sources_json = "[]"}},
        .now_us = INT64_C(1700000000000000),
    };
}

static struct tars_later *open_later(struct world *world)
{
    struct tars_later *later = NULL;

    assert_int_equal(tars_later_new(world->store, world->turns, NULL, &later), TARS_OK);
    return later;
}

static void add(struct tars_later *later, const char *conversation, const char *question)
{
    struct tars_later_turn turn = turn_of(conversation, question);

    assert_int_equal(tars_later_add(later, &turn), TARS_OK);
}

static size_t count_files(struct world *world)
{
    char(*names)[TARS_LATER_NAME_BYTES] = NULL;
    size_t count = 0;

    assert_int_equal(tars_later_file_list(world->turns, &world->arena, &names, &count, NULL),
                     TARS_OK);
    return count;
}

static size_t count_messages(struct world *world, const char *conversation,
                             struct tars_message **messages)
{
    size_t count = 0;

    assert_int_equal(tars_conversation_recent(world->store, "default", "ada", conversation, 100,
                                              &world->arena, messages, &count, NULL),
                     TARS_OK);
    return count;
}

/* ----------------------------------------------------------------------- tests */

/* The last try at the end fails, as a process fails to make it that is killed. */
static void they_outlive_the_process(void **state)
{
    struct world *world = *state;
    struct tars_later *later = open_later(world);
    struct tars_message *messages = NULL;

    assert_int_equal(count_files(world), 0);
    add(later, "c", "One?");
    add(later, "c", "Two?");
    assert_int_equal(count_files(world), 2);
    tars_later_free(later);
    assert_int_equal(count_files(world), 2);

    later = open_later(world);
    assert_true(tars_later_has(later, "default", "c"));
    add(later, "c", "Three?");
    atomic_store(&away, false);
    while (count_messages(world, "c", &messages) < 6)
        (void)usleep(10000);
    while (tars_later_has(later, "default", "c"))
        (void)usleep(10000);
    tars_later_free(later);
    assert_string_equal(messages[0].content, "One?");
    assert_string_equal(messages[1].content, turn_of("c", "").messages[1].content);
    assert_string_equal(messages[1].sources_json, "[]");
    assert_string_equal(messages[2].content, "Two?");
    assert_string_equal(messages[4].content, "Three?");
    assert_int_equal(count_files(world), 0);
}

/* Written, and killed before its file was removed. */
static void what_was_written_is_not_written_again(void **state)
{
    struct world *world = *state;
    struct tars_later_turn turn = turn_of("c", "One?");
    struct tars_message *messages = NULL;

    atomic_store(&away, false);
    assert_int_equal(tars_conversation_append(world->store, "default", "ada", "c", turn.messages,
                                              TARS_LATER_MESSAGES, true, turn.now_us, NULL),
                     TARS_OK);
    assert_int_equal(tars_later_file_write(world->turns, NAME, &turn, NULL), TARS_OK);
    tars_later_free(open_later(world));
    assert_int_equal(count_messages(world, "c", &messages), 2);
    assert_int_equal(count_files(world), 0);
}

static void what_is_deleted_does_not_come_back(void **state)
{
    struct world *world = *state;
    struct tars_later *later = open_later(world);
    struct tars_message *messages = NULL;

    add(later, "c", "One?");
    add(later, "d", "Two?");
    assert_false(tars_later_forget(later, "default", "ben", "c"));
    assert_int_equal(count_files(world), 2);
    assert_true(tars_later_forget(later, "default", "ada", "c"));
    assert_int_equal(count_files(world), 1);
    tars_later_free(later);
    atomic_store(&away, false);
    tars_later_free(open_later(world));
    assert_int_equal(count_messages(world, "c", &messages), 0);
    assert_int_equal(count_messages(world, "d", &messages), 2);
}

/* It is deleted by another server, which knows nothing of what waits here. */
static void what_another_deletes_does_not_come_back(void **state)
{
    struct world *world = *state;
    struct tars_later_turn turn = turn_of("c", "Zero?");
    struct tars_message *messages = NULL;
    struct tars_later *later;

    atomic_store(&away, false);
    assert_int_equal(tars_conversation_append(world->store, "default", "ada", "c", turn.messages,
                                              TARS_LATER_MESSAGES, true, turn.now_us, NULL),
                     TARS_OK);
    atomic_store(&away, true);
    later = open_later(world);
    add(later, "c", "One?");
    add(later, "d", "Two?");
    tars_later_free(later);
    assert_int_equal(tars_conversation_delete(world->store, "default", "ada", "c", NULL), TARS_OK);
    atomic_store(&away, false);
    tars_later_free(open_later(world));
    assert_int_equal(count_messages(world, "c", &messages), 0);
    assert_int_equal(count_messages(world, "d", &messages), 2);
    assert_int_equal(count_files(world), 0);
}

#define HEAD "{\"version\":1,\"tenant\":\"t\",\"client\":\"c\",\"conversation\":\"k\","
#define MESSAGE                                                                              \
    "{\"id\":\"\",\"role\":\"user\",\"content\":\"x\",\"timestamp\":\"y\",\"sources\":null," \
    "\"metadata\":null}"

static const struct {
    const char *name, *text;
    tars_status status;
} files[] = {
    {"whole", HEAD "\"now_us\":7,\"messages\":[" MESSAGE "," MESSAGE "]}", TARS_OK},
    {"empty", "", TARS_EFORMAT},
    {"cut off", HEAD "\"now_us\":7,\"messages\":[" MESSAGE, TARS_EFORMAT},
    {"one message", HEAD "\"now_us\":7,\"messages\":[" MESSAGE "]}", TARS_EFORMAT},
    {"no messages", HEAD "\"now_us\":7,\"messages\":7}", TARS_EFORMAT},
    {"a message that is none", HEAD "\"now_us\":7,\"messages\":[" MESSAGE ",7]}", TARS_EFORMAT},
    {"no time", HEAD "\"messages\":[" MESSAGE "," MESSAGE "]}", TARS_EFORMAT},
    {"no tenant",
     "{\"version\":1,\"client\":\"c\",\"conversation\":\"k\",\"now_us\":7,"
     "\"messages\":[" MESSAGE "," MESSAGE "]}",
     TARS_EFORMAT},
    {"another version", "{\"version\":2}", TARS_EFORMAT},
    {"a list", "[]", TARS_EFORMAT},
    {"no JSON", "tars", TARS_EFORMAT},
};

static void files_are_read_or_refused(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX + 64];

    for (size_t i = 0; i < ROWS(files); i++) {
        struct tars_later_turn turn;
        tars_status status;

        files_write(world->dir, NAME, files[i].text, strlen(files[i].text), path);
        status = tars_later_file_read(world->dir, NAME, &world->arena, &turn, NULL);
        if (status != files[i].status)
            fail_msg("%s: %s", files[i].name, tars_status_name(status));
    }
}

/* What is damaged, or was left of a write, goes; what has another name stays. */
static void what_is_no_turn_is_passed_over(void **state)
{
    struct world *world = *state;
    struct tars_later_turn turn = turn_of("c", "One?");
    struct tars_message *messages = NULL;
    char path[FILES_PATH_MAX + 64];

    assert_int_equal(tars_later_file_write(world->turns, NAME, &turn, NULL), TARS_OK);
    files_write(world->turns, "00001600000000000000-000000", "x", 1, path);
    files_write(world->turns, NAME ".tmp.12", "x", 1, path);
    files_write(world->turns, "README", "x", 1, path);
    atomic_store(&away, false);
    tars_later_free(open_later(world));
    assert_int_equal(count_messages(world, "c", &messages), 2);
    assert_int_equal(access(path, F_OK), 0);
    (void)snprintf(path, sizeof(path), "%s/" NAME ".tmp.12", world->turns);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(count_files(world), 0);
}

/* A folder that cannot be made: they wait in memory, as they would without one. */
static void without_room_they_wait_in_memory(void **state)
{
    struct world *world = *state;
    struct tars_message *messages = NULL;
    struct tars_later *later;
    char path[FILES_PATH_MAX + 64];

    later = open_later(world);
    files_write(world->dir, "turns", "x", 1, path);
    add(later, "c", "One?");
    atomic_store(&away, false);
    tars_later_free(later);
    assert_int_equal(count_messages(world, "c", &messages), 2);
}

static void once(void *ctx)
{
    struct world *world = ctx;
    struct tars_later_turn turn = turn_of("c", "One?");
    struct tars_later *later = NULL;
    char(*names)[TARS_LATER_NAME_BYTES] = NULL;
    size_t count = 0;
    tars_status status = tars_later_new(world->store, world->turns, NULL, &later);

    if (status == TARS_OK)
        status = tars_later_add(later, &turn);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    if (later)
        (void)tars_later_forget(later, "default", NULL, "c");
    tars_later_free(later);
    status = tars_later_file_list(world->turns, &world->arena, &names, &count, NULL);
    assert_true(status == TARS_OK || faults_happened());
    /* What it had no memory to read is there for the next start. */
    assert_true(status != TARS_OK || count == 1);
}

static void every_allocation_may_fail(void **state)
{
    struct world *world = *state;
    struct tars_later_turn turn = turn_of("of before", "One?");

    assert_int_equal(tars_later_file_write(world->turns, NAME, &turn, NULL), TARS_OK);
    assert_true(faults_each(once, world) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_outlive_the_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_written_is_not_written_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_deleted_does_not_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_another_deletes_does_not_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_are_read_or_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_turn_is_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_room_they_wait_in_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("rag/later", tests, NULL, NULL);
}
