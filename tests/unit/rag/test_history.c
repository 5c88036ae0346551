/* Unit tests of rag/history over a real store: what is remembered, for whom, within what budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <unistd.h>

#include "rag/history.h"
#include "store/conversations_internal.h"
#include "store/store_sqlite.h"
#include "support/faults.h"
#include "support/files.h"
#include "text/analyzer.h"

#define ROWS(a)     (sizeof(a) / sizeof((a)[0]))
#define MANY        1000000 /* more than will be tried */
#define ARENA_BYTES ((size_t)16 << 20U)

/* --------------------------------------------------------------------- leaning */

struct leaning {
    const char *question;
    int lang;
    bool leans;
};

static const struct leaning leanings[] = {
    {"How many days of annual leave do employees get?", TARS_LANG_ENGLISH, false},
    {"And for part-time staff?", TARS_LANG_ENGLISH, true},
    {"What about contractors who work at weekends?", TARS_LANG_ENGLISH, true},
    {"How long does it take?", TARS_LANG_ENGLISH, true},
    {"Why?", TARS_LANG_ENGLISH, true},
    {"Who signs it?", TARS_LANG_ENGLISH, true},
    {"When must they be handed in?", TARS_LANG_ENGLISH, true},
    {"Which documents does a visitor need at the reception desk?", TARS_LANG_ENGLISH, false},
    {"What does the policy say about the one-time password of the VPN client?", TARS_LANG_ENGLISH,
     false},
    {"Und f\xC3\xBCr Teilzeitkr\xC3\xA4"
     "fte im ersten Jahr der Anstellung?",
     TARS_LANG_GERMAN, true},
    {"Wie viele Urlaubstage bekommen Angestellte im Jahr?", TARS_LANG_GERMAN, false},
    {"Warum?", TARS_LANG_GERMAN, true},
    {"\xD0\x90 \xD0\xB4\xD0\xBB\xD1\x8F \xD0\xBA\xD0\xBE\xD0\xBC\xD0\xB0\xD0\xBD\xD0\xB4\xD0\xB8"
     "\xD1\x80\xD0\xBE\xD0\xB2\xD0\xBE\xD0\xBA \xD0\xB7\xD0\xB0 \xD0\xB3\xD1\x80\xD0\xB0\xD0\xBD"
     "\xD0\xB8\xD1\x86\xD1\x83 \xD0\xB2 \xD0\xB8\xD1\x8E\xD0\xBB\xD0\xB5?",
     TARS_LANG_RUSSIAN, true},
    {"", TARS_LANG_ENGLISH, true},
};

static void what_leans(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(leanings); i++) {
        struct tars_arena arena;
        bool leans = !leanings[i].leans;

        tars_arena_init(&arena, ARENA_BYTES);
        assert_int_equal(tars_history_leans(&arena, leanings[i].question, leanings[i].lang, &leans),
                         TARS_OK);
        if (leans != leanings[i].leans)
            fail_msg("%s: %d", leanings[i].question, leans);
        tars_arena_release(&arena);
    }
}

/* ----------------------------------------------------------------------- world */

static size_t count_words(struct tars_llm *llm, const char *text, size_t len)
{
    size_t words = 0;

    (void)llm;
    for (size_t i = 0; i < len; i++)
        words += text[i] != ' ' && (i + 1 == len || text[i + 1] == ' ');
    return words;
}

static const struct tars_llm_ops counter_ops = {.name = "counter", .count_tokens = count_words};

struct world {
    char dir[FILES_PATH_MAX];
    struct tars_store *store;
    struct tars_llm llm;
    struct tars_arena arena;
    struct tars_call call;
    struct tars_history *history;
};

static void open_history(struct world *world, size_t turns, size_t tokens)
{
    const struct tars_history_config config = {
        .store = world->store, .llm = &world->llm, .turns = turns, .tokens = tokens, .keeps = true};

    tars_history_free(world->history);
    assert_int_equal(tars_history_new(&config, &world->history), TARS_OK);
}

static int set_up(void **state)
{
    static struct world world;
    struct tars_store_sqlite_config config = {.dir = world.dir};

    world = (struct world){.llm = {.ops = &counter_ops}};
    files_make_dir(world.dir);
    assert_int_equal(tars_store_sqlite_open(&config, &world.store, NULL), TARS_OK);
    tars_arena_init(&world.arena, ARENA_BYTES);
    world.call.arena = &world.arena;
    world.call.client_id = "ada";
    open_history(&world, 5, 0);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    tars_history_free(world->history);
    tars_store_close(world->store);
    tars_arena_release(&world->arena);
    files_remove_dir(world->dir);
    return 0;
}

static void say(struct world *world, const char *question, const char *answer)
{
    const struct tars_history_turn turn = {.question = question,
                                           .answer = answer,
                                           .sources_json = "[{\"chunk_id\":\"c\"}]",
                                           .metadata_json = "{\"total_time_ms\":1.0}",
                                           .asked_us = INT64_C(1700000000000000)};

    assert_int_equal(tars_history_keep(world->history, &world->call, "c1", &turn, NULL), TARS_OK);
}

static struct tars_remembered recall(struct world *world, const char *question)
{
    struct tars_remembered recalled;

    assert_int_equal(
        tars_history_recall(world->history, &world->call, "c1", question, &recalled, NULL),
        TARS_OK);
    return recalled;
}

/* ----------------------------------------------------------------------- tests */

static void turns_are_kept_and_recalled(void **state)
{
    struct world *world = *state;
    struct tars_remembered recalled = recall(world, "And for part-time staff?");
    struct tars_conversation kept;

    assert_int_equal(recalled.count, 0);
    assert_null(recalled.search);
    say(world, "How many days of leave do employees get?", "28 days.");
    recalled = recall(world, "And for part-time staff?");
    assert_int_equal(recalled.count, 1);
    assert_string_equal(recalled.turns[0].user, "How many days of leave do employees get?");
    assert_string_equal(recalled.turns[0].assistant, "28 days.");
    assert_string_equal(recalled.search,
                        "How many days of leave do employees get? And for part-time staff?");
    recalled = recall(world, "Which documents does a visitor need at the reception desk?");
    assert_int_equal(recalled.count, 1);
    assert_null(recalled.search);
    assert_int_equal(tars_history_get(world->history, &world->call, "c1", &kept, NULL), TARS_OK);
    assert_int_equal(kept.message_count, 2);
    assert_string_equal(kept.title, "How many days of leave do employees get?");
    assert_string_equal(kept.messages[0].timestamp, "2023-11-14T22:13:20");
    assert_string_equal(kept.messages[0].sources_json, "");
    assert_string_equal(kept.messages[1].role, "assistant");
    assert_string_equal(kept.messages[1].sources_json, "[{\"chunk_id\":\"c\"}]");
    assert_string_equal(kept.messages[1].metadata_json, "{\"total_time_ms\":1.0}");
    assert_true(kept.messages[1].id[0] && strcmp(kept.messages[0].id, kept.messages[1].id) != 0);
}

static void a_search_goes_back_to_what_stands_by_itself(void **state)
{
    struct world *world = *state;

    say(world, "Who checks the fire doors in the east wing?", "The warden.");
    say(world, "How many days of leave do employees get?", "28 days.");
    say(world, "And for part-time staff?", "Pro rata.");
    assert_string_equal(recall(world, "Why?").search,
                        "How many days of leave do employees get? And for part-time staff? Why?");
    say(world, "Why?", "The law.");
    assert_string_equal(recall(world, "Since when?").search,
                        "And for part-time staff? Why? Since when?");
}

static void the_newest_turns_that_fit(void **state)
{
    struct world *world = *state;
    char question[32];
    struct tars_remembered recalled;

    for (int i = 0; i < 8; i++) {
        (void)snprintf(question, sizeof(question), "question number %d", i);
        say(world, question, "four words of answer. And some more of it.");
    }
    recalled = recall(world, "x");
    assert_int_equal(recalled.count, 5);
    assert_string_equal(recalled.turns[0].user, "question number 3");
    assert_string_equal(recalled.turns[4].user, "question number 7");
    open_history(world, 2, 0);
    assert_int_equal(recall(world, "x").count, 2);
    open_history(world, 5, 50); /* a turn has 8 + 3 + 9 */
    assert_int_equal(recall(world, "x").count, 2);
    open_history(world, 5, 17);
    recalled = recall(world, "x");
    assert_int_equal(recalled.count, 1);
    assert_string_equal(recalled.turns[0].assistant, "four words of answer.");
    open_history(world, 5, 12);
    assert_int_equal(recall(world, "x").count, 0);
    open_history(world, 5, 0);
    world->llm.context_tokens = 160; /* a quarter: two turns */
    assert_int_equal(recall(world, "x").count, 2);
    world->llm.parameters = 135000000;
    recalled = recall(world, "Why?");
    assert_int_equal(recalled.count, 0);
    assert_non_null(recalled.search);
    open_history(world, 0, 0);
    recalled = recall(world, "Why?");
    assert_null(recalled.search);
}

static void messages_without_a_counterpart_are_no_turns(void **state)
{
    struct world *world = *state;
    static const struct tars_message messages[] = {
        {.id = "m1", .role = "assistant", .content = "Hello!", .timestamp = "t"},
        {.id = "m2", .role = "user", .content = "first", .timestamp = "t"},
        {.id = "m3", .role = "user", .content = "second", .timestamp = "t"},
        {.id = "m4", .role = "Assistant", .content = "answer", .timestamp = "t"},
        {.id = "m5", .role = "system", .content = "note", .timestamp = "t"},
        {.id = "m6", .role = "user", .content = "third", .timestamp = "t"},
    };
    struct tars_remembered recalled;

    for (size_t i = 0; i < ROWS(messages); i++) {
        assert_int_equal(
            tars_history_append(world->history, &world->call, "c1", &messages[i], NULL), TARS_OK);
    }
    recalled = recall(world, "x");
    assert_int_equal(recalled.count, 1);
    assert_string_equal(recalled.turns[0].user, "second");
    assert_string_equal(recalled.turns[0].assistant, "answer");
}

static void only_the_owner_sees_them(void **state)
{
    struct world *world = *state;
    const struct tars_history_turn turn = {.question = "q", .answer = "a"};
    struct tars_conversation_stats stats;
    struct tars_conversation *list = NULL;
    struct tars_conversation one;
    struct tars_remembered recalled;
    size_t count = 7;

    say(world, "secret question", "secret answer");
    world->call.client_id = "bob";
    assert_int_equal(tars_history_recall(world->history, &world->call, "c1", "x", &recalled, NULL),
                     TARS_EDENIED);
    assert_int_equal(recalled.count, 0);
    assert_int_equal(tars_history_keep(world->history, &world->call, "c1", &turn, NULL),
                     TARS_EDENIED);
    assert_int_equal(tars_history_get(world->history, &world->call, "c1", &one, NULL),
                     TARS_EDENIED);
    assert_int_equal(tars_history_delete(world->history, &world->call, "c1", NULL), TARS_EDENIED);
    assert_int_equal(tars_history_list(world->history, &world->call, 50, &list, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 0);
    world->call.client_id = "ada";
    world->call.tenant = "acme";
    assert_int_equal(recall(world, "Why?").count, 0);
    assert_int_equal(tars_history_get(world->history, &world->call, "c1", &one, NULL),
                     TARS_ENOTFOUND);
    assert_int_equal(tars_history_stats(world->history, &world->call, &stats, NULL), TARS_OK);
    assert_int_equal(stats.conversations, 0);
    world->call.tenant = NULL;
    assert_int_equal(tars_history_list(world->history, &world->call, 50, &list, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 1);
    assert_int_equal(tars_history_stats(world->history, &world->call, &stats, NULL), TARS_OK);
    assert_int_equal(stats.messages, 2);
    assert_int_equal(tars_history_delete(world->history, &world->call, "c1", NULL), TARS_OK);
    assert_int_equal(tars_history_get(world->history, &world->call, "c1", &one, NULL),
                     TARS_ENOTFOUND);
}

static void without_a_conversation_nothing_happens(void **state)
{
    struct world *world = *state;
    const struct tars_history_turn turn = {.question = "q", .answer = "a"};
    struct tars_history_config config = {.store = world->store, .turns = 5};
    struct tars_history *deaf = NULL;
    struct tars_conversation one;
    struct tars_remembered recalled;

    assert_int_equal(tars_history_recall(world->history, &world->call, NULL, "x", &recalled, NULL),
                     TARS_OK);
    assert_int_equal(tars_history_recall(NULL, &world->call, "c1", "x", &recalled, NULL), TARS_OK);
    assert_int_equal(tars_history_keep(world->history, &world->call, NULL, &turn, NULL), TARS_OK);
    assert_int_equal(tars_history_new(&config, &deaf), TARS_OK);
    assert_int_equal(tars_history_keep(deaf, &world->call, "c1", &turn, NULL), TARS_OK);
    assert_int_equal(tars_history_get(deaf, &world->call, "c1", &one, NULL), TARS_ENOTFOUND);
    say(world, "q", "a");
    assert_int_equal(tars_history_recall(deaf, &world->call, "c1", "x", &recalled, NULL), TARS_OK);
    assert_int_equal(recalled.count, 0);
    tars_history_free(deaf);
    config.turns = TARS_HISTORY_TURNS_MAX + 1;
    assert_int_equal(tars_history_new(&config, &deaf), TARS_EINVAL);
}

static void recall_once(void *ctx)
{
    struct world *world = ctx;
    struct tars_remembered recalled;
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, ARENA_BYTES);
    world->call.arena = &arena;
    status = tars_history_recall(world->history, &world->call, "c1", "And then?", &recalled, NULL);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    assert_true(status == TARS_OK || recalled.count == 0);
    world->call.arena = &world->arena;
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    struct world *world = *state;

    say(world, "How many days of leave do employees get?", "28 days.");
    assert_true(faults_each(recall_once, world) > 3);
}

/* --------------------------------------------------------------------- outage */

/* A store that is away for as many writes of conversations as are wanted; of the first that fail
 * it has done some all the same, as when the answer to a commit is lost. */
static struct away {
    const struct tars_conversations_ops *real;
    atomic_int fails;
    atomic_int done_all_the_same;
} away;

static tars_status append_or_not(struct tars_store *store,
                                 const struct tars_conversation_addition *addition,
                                 struct tars_err *err)
{
    bool fails = atomic_load(&away.fails) > 0;

    if (!fails || atomic_fetch_sub(&away.done_all_the_same, 1) > 0) {
        tars_status status = away.real->append(store, addition, err);

        if (!fails)
            return status;
    }
    atomic_fetch_sub(&away.fails, 1);
    return tars_fail(TARS_EUNAVAILABLE, err, "the store is away");
}

static tars_status say_once(struct world *world, const char *question)
{
    const struct tars_history_turn turn = {
        .question = question, .answer = "Yes.", .asked_us = INT64_C(1700000000000000)};

    return tars_history_keep(world->history, &world->call, "c1", &turn, NULL);
}

/* Read without the history, until there are n messages. */
static struct tars_message *await_messages(struct world *world, size_t n)
{
    struct tars_message *messages = NULL;
    size_t count = 0;

    do {
        (void)usleep(10000);
        assert_int_equal(tars_conversation_recent(world->store, "default", "ada", "c1", 100,
                                                  &world->arena, &messages, &count, NULL),
                         TARS_OK);
    } while (count < n);
    assert_int_equal(count, n);
    return messages;
}

static void turns_wait_for_a_store_that_is_away(void **state)
{
    struct world *world = *state;
    struct tars_conversations_ops conversations;
    const struct tars_store_ops *real = world->store->ops;
    struct tars_store_ops ops = *real;
    struct tars_call other = world->call;
    struct tars_message *messages;

    away.real = ops.conversations;
    conversations = *ops.conversations;
    conversations.append = append_or_not;
    ops.conversations = &conversations;
    world->store->ops = &ops;
    atomic_store(&away.fails, MANY);
    atomic_store(&away.done_all_the_same, 1);
    assert_int_equal(say_once(world, "One?"), TARS_EAGAIN); /* and it is there */
    atomic_store(&away.done_all_the_same, 0);
    assert_int_equal(say_once(world, "Two?"), TARS_EAGAIN);
    assert_int_equal(say_once(world, "Three?"), TARS_EAGAIN);
    atomic_store(&away.fails, 0);
    messages = await_messages(world, 6);
    assert_string_equal(messages[0].content, "One?");
    assert_string_equal(messages[2].content, "Two?");
    assert_string_equal(messages[4].content, "Three?");
    /* The last try is at the end. */
    atomic_store(&away.fails, MANY);
    assert_int_equal(say_once(world, "Four?"), TARS_EAGAIN);
    atomic_store(&away.fails, 0);
    tars_history_free(world->history);
    world->history = NULL;
    messages = await_messages(world, 8);
    assert_string_equal(messages[6].content, "Four?");
    /* What is deleted does not come back. */
    open_history(world, 5, 0);
    atomic_store(&away.fails, MANY);
    assert_int_equal(say_once(world, "Five?"), TARS_EAGAIN);
    assert_int_equal(tars_history_delete(world->history, &world->call, "c1", NULL), TARS_OK);
    atomic_store(&away.fails, 0);
    tars_history_free(world->history);
    world->history = NULL;
    (void)await_messages(world, 0);
    /* Nor where all of it was still to be written; to somebody else it is not there. */
    open_history(world, 5, 0);
    atomic_store(&away.fails, MANY);
    assert_int_equal(say_once(world, "Six?"), TARS_EAGAIN);
    other.client_id = "somebody else";
    assert_int_equal(tars_history_delete(world->history, &other, "c1", NULL), TARS_ENOTFOUND);
    assert_int_equal(tars_history_delete(world->history, &world->call, "c1", NULL), TARS_OK);
    assert_int_equal(tars_history_delete(world->history, &world->call, "c1", NULL), TARS_ENOTFOUND);
    atomic_store(&away.fails, 0);
    tars_history_free(world->history);
    world->history = NULL;
    (void)await_messages(world, 0);
    world->store->ops = real;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_leans),
        cmocka_unit_test_setup_teardown(turns_are_kept_and_recalled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_search_goes_back_to_what_stands_by_itself, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_newest_turns_that_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(messages_without_a_counterpart_are_no_turns, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_the_owner_sees_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_conversation_nothing_happens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(turns_wait_for_a_store_that_is_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("rag/history", tests, NULL, NULL);
}
