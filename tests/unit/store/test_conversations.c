/* The contract of conversations.h, for every back end. */
#include "world.h"

#include <stdio.h>
#include <string.h>

#include "base/sys/clock.h"
#include "store/accounts.h"
#include "store/conversations.h"
#include "support/faults.h"

#define SECOND_US INT64_C(1000000)
#define DAY_US    (SECOND_US * 24 * 3600)

static int set_up_acme(void **state)
{
    struct tars_tenant acme = {.name = "acme"};

    (void)set_up(state);
    assert_int_equal(tars_accounts_tenant_add(((struct world *)*state)->store, &acme, NULL),
                     TARS_OK);
    return 0;
}

/* ------------------------------------------------------------------ helpers */

static tars_status say(struct world *world, const char *tenant, const char *client, const char *id,
                       const char *text, int64_t now_us)
{
    const struct tars_message message = {.role = "user", .content = text};

    return tars_conversation_append(world->store, tenant, client, id, &message, 1, now_us % 2 == 0,
                                    now_us, NULL);
}

static struct tars_conversation get(struct world *world, const char *id)
{
    struct tars_conversation found = {0};

    assert_int_equal(
        tars_conversation_get(world->store, "default", "ann", id, &world->arena, &found, NULL),
        TARS_OK);
    return found;
}

/* -------------------------------------------------------------------- tests */

static void a_conversation_comes_back_as_it_went_in(void **state)
{
    static const struct tars_message turns[] = {
        {.id = "m1", .role = "user", .content = "What?", .timestamp = "2025-11-07T12:00:00"},
        {.role = "assistant",
         .content = "That.",
         .sources_json = "[{\"a\":1}]",
         .metadata_json = "{\"total_time_ms\":2}"},
    };
    struct world *world = *state;
    struct tars_conversation found;

    assert_int_equal(tars_conversation_append(world->store, "default", "ann", "c1", turns, 2, true,
                                              1000000, NULL),
                     TARS_OK);
    tars_store_close(world->store);
    world->store = open_store(world->dir);
    found = get(world, "c1");
    assert_string_equal(found.id, "c1");
    assert_string_equal(found.tenant, "default");
    assert_string_equal(found.client_id, "ann");
    assert_string_equal(found.title, "What?");
    assert_string_equal(found.metadata_json, "");
    assert_int_equal(found.created_us, 1000000);
    assert_int_equal(found.message_count, 2);
    assert_string_equal(found.messages[0].id, "m1");
    assert_string_equal(found.messages[0].timestamp, "2025-11-07T12:00:00");
    assert_string_equal(found.messages[0].sources_json, "");
    assert_string_equal(found.messages[1].role, "assistant");
    assert_string_equal(found.messages[1].sources_json, "[{\"a\":1}]");
    assert_string_equal(found.messages[1].metadata_json, "{\"total_time_ms\":2}");
    assert_string_equal(found.messages[1].timestamp, "1970-01-01T00:00:01");
    assert_memory_equal(found.messages[1].id, "msg_", 4);
}

static void titles_are_cut_at_characters(void **state)
{
    static const struct {
        const char *text, *title;
    } rows[] = {
        {"", ""},
        {"short", "short"},
        {"12345678901234567890123456789012345678901234567890",
         "12345678901234567890123456789012345678901234567890"},
        {"123456789012345678901234567890123456789012345678901",
         "12345678901234567890123456789012345678901234567890..."},
        {"ééééééééééééééééééééééééééééééééééééééééééééééééééé",
         "éééééééééééééééééééééééééééééééééééééééééééééééééé..."},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char id[16];

        (void)snprintf(id, sizeof(id), "c%zu", i);
        assert_int_equal(say(world, "default", "ann", id, rows[i].text, 1), TARS_OK);
        assert_int_equal(say(world, "default", "ann", id, "later", 2), TARS_OK);
        assert_string_equal(get(world, id).title, rows[i].title);
    }
}

static void only_the_newest_messages_are_kept(void **state)
{
    struct world *world = *state;
    struct tars_message *recent;
    struct tars_conversation found;
    struct tars_conversation_stats stats;
    size_t count;

    for (int i = 0; i < TARS_CONVERSATION_MESSAGES + 5; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(say(world, "default", "ann", "c", text, 10 + i), TARS_OK);
    }
    found = get(world, "c");
    assert_int_equal(found.message_count, TARS_CONVERSATION_MESSAGES);
    assert_string_equal(found.messages[0].content, "5");
    assert_string_equal(found.title, "0");
    assert_int_equal(found.created_us, 10);
    assert_int_equal(found.updated_us, 10 + TARS_CONVERSATION_MESSAGES + 4);
    assert_int_equal(tars_conversation_recent(world->store, "default", "ann", "c", 3, &world->arena,
                                              &recent, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 3);
    assert_string_equal(recent[0].content, "102");
    assert_string_equal(recent[2].content, "104");
    assert_int_equal(tars_conversation_recent(world->store, "default", "ann", "none", 3,
                                              &world->arena, &recent, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(tars_conversation_stats(world->store, "default", &stats, NULL), TARS_OK);
    assert_int_equal(stats.messages, TARS_CONVERSATION_MESSAGES);
}

/* One client's conversation is denied to others, another tenant's is not there. */
static void whose_it_is_decides(void **state)
{
    static const struct {
        const char *tenant, *client;
        tars_status get, recent, remove;
    } rows[] = {
        {"default", "ben", TARS_EDENIED, TARS_EDENIED, TARS_EDENIED},
        {"acme", "ann", TARS_ENOTFOUND, TARS_OK, TARS_ENOTFOUND},
        {"nobody", "ann", TARS_ENOTFOUND, TARS_OK, TARS_ENOTFOUND},
        {"default", "ann", TARS_OK, TARS_OK, TARS_OK},
        {"default", NULL, TARS_OK, TARS_OK, TARS_OK},
    };
    struct world *world = *state;

    assert_int_equal(say(world, "default", "ann", "c", "hello", 1), TARS_OK);
    assert_int_equal(say(world, "default", "ben", "c", "mine now", 2), TARS_EDENIED);
    assert_int_equal(say(world, "nobody", "ann", "c", "hello", 2), TARS_ENOTFOUND);
    assert_int_equal(say(world, "default", "ann", "", "hello", 2), TARS_EINVAL);
    assert_int_equal(say(world, "default", NULL, "d", "hello", 2), TARS_EINVAL);
    assert_int_equal(get(world, "c").message_count, 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_conversation found;
        struct tars_message *recent;
        size_t count = 9;

        print_message("%s, %s\n", rows[i].tenant, rows[i].client ? rows[i].client : "any");
        assert_int_equal(say(world, "default", "ann", "c", "hello", 3), TARS_OK);
        assert_int_equal(tars_conversation_get(world->store, rows[i].tenant, rows[i].client, "c",
                                               &world->arena, &found, NULL),
                         rows[i].get);
        assert_int_equal(tars_conversation_recent(world->store, rows[i].tenant, rows[i].client, "c",
                                                  1, &world->arena, &recent, &count, NULL),
                         rows[i].recent);
        if (rows[i].recent == TARS_OK)
            assert_int_equal(count, rows[i].get == TARS_OK ? 1 : 0);
        assert_int_equal(
            tars_conversation_delete(world->store, rows[i].tenant, rows[i].client, "c", NULL),
            rows[i].remove);
    }
    /* The same id in two tenants is two conversations. */
    assert_int_equal(say(world, "default", "ann", "c", "here", 4), TARS_OK);
    assert_int_equal(say(world, "acme", "eve", "c", "there", 4), TARS_OK);
    assert_string_equal(get(world, "c").title, "here");
}

static bool count_one(void *ctx, const struct tars_conversation *conversation)
{
    size_t *count = ctx;

    assert_true(conversation->message_count > 0);
    return ++*count < 2;
}

static void lists_and_counts(void **state)
{
    struct world *world = *state;
    struct tars_conversation_stats stats;
    struct tars_conversation *list;
    size_t count = 0;

    assert_int_equal(say(world, "default", "ann", "a", "first", 10), TARS_OK);
    assert_int_equal(say(world, "default", "ann", "b", "second", 20), TARS_OK);
    assert_int_equal(say(world, "default", "ben", "c", "third", 30), TARS_OK);
    assert_int_equal(say(world, "acme", "ann", "d", "fourth", 40), TARS_OK);
    assert_int_equal(say(world, "default", "ann", "a", "again", 50), TARS_OK);
    assert_int_equal(tars_conversation_list(world->store, "default", "ann", 10, &world->arena,
                                            &list, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].id, "a");
    assert_int_equal(list[0].message_count, 2);
    assert_string_equal(list[0].messages[1].content, "again");
    assert_int_equal(tars_conversation_list(world->store, "default", NULL, 2, &world->arena, &list,
                                            &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(list[1].id, "c");
    assert_int_equal(tars_conversation_stats(world->store, NULL, &stats, NULL), TARS_OK);
    assert_int_equal(stats.conversations, 4);
    assert_int_equal(stats.messages, 5);
    assert_int_equal(tars_conversation_stats(world->store, "default", &stats, NULL), TARS_OK);
    assert_int_equal(stats.conversations, 3);
    assert_int_equal(stats.oldest_us, 10);
    assert_int_equal(stats.newest_us, 30);
    count = 0;
    assert_int_equal(tars_conversation_each(world->store, "default", count_one, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 2);
}

static tars_status say_late(struct world *world, const char *tenant, const char *id,
                            int64_t waits_since_us)
{
    const struct tars_message message = {.role = "user", .content = "late"};

    return tars_conversation_append_late(world->store, tenant, "ann", id, &message, 1,
                                         waits_since_us, NULL);
}

/* A turn that has waited since before that brings nothing back; what is said after it is new. */
static void what_was_deleted_stays_deleted(void **state)
{
    struct world *world = *state;
    int64_t before_us = tars_clock_wall_us() - SECOND_US;
    struct tars_conversation found;

    assert_int_equal(say_late(world, "default", "new", before_us), TARS_OK); /* nobody did */
    assert_int_equal(say(world, "default", "ann", "c1", "x", before_us), TARS_OK);
    assert_int_equal(say(world, "acme", "ann", "c1", "x", before_us), TARS_OK);
    assert_int_equal(say_late(world, "default", "c1", before_us), TARS_OK);
    assert_int_equal(tars_conversation_delete(world->store, "default", "ann", "c1", NULL), TARS_OK);
    assert_int_equal(say_late(world, "default", "c1", before_us), TARS_ENOTFOUND);
    assert_int_equal(
        tars_conversation_get(world->store, "default", "ann", "c1", &world->arena, &found, NULL),
        TARS_ENOTFOUND);
    assert_int_equal(say_late(world, "acme", "c1", before_us), TARS_OK);
    /* Another begins by the same name. */
    assert_int_equal(say(world, "default", "ann", "c1", "anew", before_us + 2 * SECOND_US),
                     TARS_OK);
    assert_int_equal(say_late(world, "default", "c1", before_us), TARS_ENOTFOUND);
    assert_int_equal(say_late(world, "default", "c1", before_us + 2 * SECOND_US), TARS_OK);
    found = get(world, "c1");
    assert_int_equal(found.message_count, 2);
    assert_string_equal(found.messages[0].content, "anew");
    /* It is known for a year. */
    assert_int_equal(tars_conversation_prune(world->store, before_us + 360 * DAY_US, NULL),
                     TARS_OK);
    assert_int_equal(say_late(world, "default", "c1", before_us), TARS_ENOTFOUND);
    assert_int_equal(tars_conversation_prune(world->store, before_us + 400 * DAY_US, NULL),
                     TARS_OK);
    assert_int_equal(say_late(world, "default", "c1", before_us), TARS_OK);
}

static void use_all(void *ctx)
{
    struct world *world = ctx;
    const struct tars_message message = {.role = "user", .content = "hello"};
    struct tars_conversation_stats stats = {0};
    struct tars_conversation *list = NULL;
    struct tars_message *recent = NULL;
    struct tars_conversation found;
    struct tars_arena arena;
    size_t count = 0;

    tars_arena_init(&arena, (size_t)1 << 20);
    (void)!tars_conversation_append(world->store, "default", "ann", "c", &message, 1, false, 1,
                                    NULL);
    (void)!tars_conversation_append_late(world->store, "default", "ann", "c", &message, 1, 1, NULL);
    (void)!tars_conversation_get(world->store, "default", "ann", "c", &arena, &found, NULL);
    (void)!tars_conversation_list(world->store, "default", "ann", 5, &arena, &list, &count, NULL);
    (void)!tars_conversation_recent(world->store, "default", "ann", "c", 5, &arena, &recent, &count,
                                    NULL);
    (void)!tars_conversation_stats(world->store, NULL, &stats, NULL);
    (void)!tars_conversation_delete(world->store, "default", "ann", "c", NULL);
    tars_arena_release(&arena);
    assert_true(hangs_together(world));
}

/* Who is given the name next is somebody else. */
static void what_was_said_goes_with_its_account(void **state)
{
    static const struct {
        const char *tenant, *client;
        size_t left;
    } rows[] = {{"default", "ann", 0}, {"default", "ben", 1}, {"acme", "ann", 1}};
    struct world *world = *state;
    struct tars_account ann = {
        .tenant = "default", .name = "ann", .kind = TARS_ACCOUNT_USER, .role = TARS_ROLE_READER};

    assert_int_equal(tars_accounts_add(world->store, &ann, NULL), TARS_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(say(world, rows[i].tenant, rows[i].client, "c1", "x", 1),
                         i == 1 ? TARS_EDENIED : TARS_OK);
    }
    assert_int_equal(say(world, "default", "ben", "c2", "x", 1), TARS_OK);
    assert_int_equal(tars_accounts_remove(world->store, ann.id, NULL), TARS_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_conversation *list = NULL;
        size_t count = 0;

        assert_int_equal(tars_conversation_list(world->store, rows[i].tenant, rows[i].client, 10,
                                                &world->arena, &list, &count, NULL),
                         TARS_OK);
        assert_int_equal(count, rows[i].left);
    }
}

static void no_memory_is_survived(void **state)
{
    assert_true(faults_each(use_all, *state) > 0);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up_acme, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_conversation_comes_back_as_it_went_in),
        ROW(titles_are_cut_at_characters),
        ROW(only_the_newest_messages_are_kept),
        ROW(whose_it_is_decides),
        ROW(lists_and_counts),
        ROW(what_was_said_goes_with_its_account),
        ROW(what_was_deleted_stays_deleted),
        ROW(no_memory_is_survived),
    };

    return run_each(tests, sizeof(tests) / sizeof(tests[0]));
}
