/* What servers that share a store must not mix: vectors of two models, texts of two pasts. */
#include "world.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/accounts.h"
#include "store/sqlite_texts.h"

#define STEP_US 5000
#define STEPS   4000 /* of waiting, before a test gives up */

static struct tars_store *open_shared(const char *dir)
{
    struct tars_store_postgres_config config = postgres_store(dir);

    config.shared = true;
    return open_with(&config);
}

static void alter(const char *sql)
{
    struct tars_pg_config config = postgres_config(&server, DATABASE);
    struct tars_pg_conn conn;

    assert_int_equal(tars_pg_open(&conn, &config, NULL, NULL), TARS_OK);
    assert_int_equal(tars_pg_exec(&conn, sql, NULL), TARS_OK);
    tars_pg_close(&conn);
}

static void close_world(struct world *world)
{
    tars_store_close(world->store);
    world->store = NULL;
}

#define DIM 4

static void put(struct tars_store *store, const char *path, const char *text, size_t dim)
{
    static const float vector[DIM] = {1, 0, 0, 0};
    struct tars_store_document document = {.path = path, .sha256 = "x"};
    struct tars_store_file file = {.path = path, .sha256 = "f00d", .size = 9, .indexed_us = 9};
    struct tars_store_window window = {0};
    struct tars_store_passage passage = {.text = text,
                                         .text_len = strlen(text),
                                         .windows = dim ? &window : NULL,
                                         .vectors = dim ? vector : NULL,
                                         .window_count = dim ? 1 : 0};
    struct tars_store_put one = {.document = &document, .passages = &passage, .passage_count = 1};
    struct tars_store_batch batch = {
        .file = &file, .puts = &one, .put_count = 1, .dim = dim, .finish = true};
    struct tars_store_changes changes;
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(tars_store_put(store, &batch, &arena, &changes, NULL), TARS_OK);
    tars_arena_release(&arena);
}

/* -------------------------------------------------------------------- vectors */

static void new_vectors_wait_for_the_servers_of_the_old(void **state)
{
    const struct tars_store_model model = {.identity = "new", .name = "new", .dim = DIM};
    struct tars_store *a;
    struct tars_store *b;
    struct tars_err err = {.text = ""};

    close_world(*state);
    a = open_shared(NULL);
    b = open_shared(NULL);
    assert_int_equal(tars_store_revector_swap(a, &model, &err), TARS_EBUSY);
    assert_non_null(strstr(err.text, "other servers still use the one before"));
    tars_store_close(b);
    assert_int_equal(tars_store_revector_swap(a, &model, NULL), TARS_OK);
    tars_store_close(a);
}

/* Who reads them takes as many as there are windows, of the length that it knows. */
static void vectors_say_how_long_they_are(void **state)
{
    struct world *world = *state;
    struct tars_store_passages found;

    put(world->store, "/a", "text", DIM);
    assert_int_equal(tars_store_passage_range(world->store, 1, 9, 9, TARS_LOAD_VECTORS,
                                              &world->arena, &found, NULL),
                     TARS_OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.items[0].dim, DIM);
    assert_non_null(found.items[0].vectors);
    alter("UPDATE tars.passage_vectors SET vectors = substr(vectors, 1, 7)");
    assert_int_equal(tars_store_passage_range(world->store, 1, 9, 9, TARS_LOAD_VECTORS,
                                              &world->arena, &found, NULL),
                     TARS_OK);
    assert_null(found.items[0].vectors);
}

/* ---------------------------------------------------------------------- texts */

static void wait_filled(const char *path, uint64_t id)
{
    struct tars_texts *texts = NULL;

    assert_int_equal(tars_texts_open(path, &texts, NULL), TARS_OK);
    for (int steps = 0; tars_texts_filled(texts) < id; steps++) {
        assert_in_range(steps, 0, STEPS);
        (void)usleep(STEP_US);
    }
    tars_texts_close(texts);
}

static void expect_text(struct world *world, struct tars_store *store, uint64_t id,
                        const char *text)
{
    struct tars_store_passages found;

    assert_int_equal(
        tars_store_passages(store, &id, 1, TARS_LOAD_TEXT, &world->arena, &found, NULL), TARS_OK);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].text, text);
}

/* The database goes back to before a document, and gives its passage's number to another. */
static void a_text_of_a_past_that_was_given_up_is_not_told(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX + 16];
    struct tars_store *store;

    close_world(world);
    (void)snprintf(path, sizeof(path), "%s/texts.db", world->dir);
    store = open_shared(NULL);
    assert_int_equal(tars_store_postgres_keep_texts(store, path, 0, 0, NULL, NULL), TARS_OK);
    put(store, "/1", "one", 0);
    put(store, "/2", "given up", 0);
    wait_filled(path, 2);
    expect_text(world, store, 2, "given up");
    tars_store_close(store);
    alter("DELETE FROM tars.passages WHERE id = 2; DELETE FROM tars.documents WHERE passage_first "
          "= 2; DELETE FROM tars.files WHERE path = '/2'; DELETE FROM tars.changes WHERE seq > 1; "
          "UPDATE tars.counters SET seq = 1, passage = 1");
    store = open_shared(NULL);
    /* The index was saved before it. */
    assert_int_equal(tars_store_postgres_keep_texts(store, path, 1, 1, NULL, NULL), TARS_OK);
    put(store, "/3", "three", 0);
    expect_text(world, store, 2, "three");
    expect_text(world, store, 1, "one");
    wait_filled(path, 2);
    expect_text(world, store, 2, "three");
    tars_store_close(store);
}

/* Where the server is away and the copy is not whole, it can be told that something may lack. */
static void what_is_partial_is_counted(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX + 16];
    const uint64_t ids[] = {1, 2};
    struct tars_store_passages found;
    struct tars_store *store;
    struct tars_store *other;

    close_world(world);
    (void)snprintf(path, sizeof(path), "%s/texts.db", world->dir);
    store = open_shared(NULL);
    assert_int_equal(tars_store_postgres_keep_texts(store, path, 0, 0, NULL, NULL), TARS_OK);
    put(store, "/1", "one", 0);
    wait_filled(path, 1);
    expect_text(world, store, 1, "one");
    assert_int_equal(tars_store_partial(store), 0);
    /* Another server, beside whose index nothing is kept yet. */
    (void)snprintf(path, sizeof(path), "%s/others.db", world->dir);
    (void)postgres_do(&server, "stop");
    assert_int_equal(
        tars_store_passages(store, ids, 2, TARS_LOAD_TEXT, &world->arena, &found, NULL), TARS_OK);
    assert_int_equal(found.count, 1);
    (void)postgres_do(&server, "start");
    other = open_shared(NULL);
    (void)postgres_do(&server, "stop");
    assert_int_equal(tars_store_postgres_keep_texts(other, path, 0, 0, NULL, NULL), TARS_OK);
    assert_int_equal(
        tars_store_passages(other, ids, 2, TARS_LOAD_TEXT, &world->arena, &found, NULL), TARS_OK);
    assert_int_equal(found.count, 0);
    assert_int_equal(tars_store_partial(other), 1);
    (void)postgres_do(&server, "start");
    tars_store_close(other);
    tars_store_close(store);
}

struct asking {
    struct world *world;
    struct tars_store *store;
    size_t told;
};

/* While it is told, the only connection that there may be is in use. */
static bool ask_meanwhile(void *ctx, const struct tars_store_document *document)
{
    const uint64_t ids[] = {1, 99};
    struct asking *asking = ctx;
    struct tars_arena *arena = &asking->world->arena;
    struct tars_store_passages found;
    struct tars_collection_size *sizes;
    size_t count;

    (void)document;
    asking->told++;
    assert_int_equal(
        tars_store_passages(asking->store, ids, 2, TARS_LOAD_TEXT, arena, &found, NULL), TARS_OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(tars_accounts_sizes(asking->store, arena, &sizes, &count, NULL), TARS_OK);
    assert_int_equal(count, 1);
    assert_int_equal(sizes[0].passages, 1);
    return true;
}

/* Then a search is answered by what is here, as while the server is away. */
static void without_a_connection_the_copy_answers(void **state)
{
    const struct tars_store_document_filter all = {.collection = NULL};
    struct asking asking = {.world = *state};
    struct tars_store_postgres_config config = postgres_store(NULL);
    char path[FILES_PATH_MAX + 16];
    struct tars_store *other;

    close_world(asking.world);
    other = open_shared(NULL);
    put(other, "/1", "one", 0);
    tars_store_close(other);
    (void)snprintf(path, sizeof(path), "%s/texts.db", asking.world->dir);
    config.shared = true;
    config.pool.size = 1;
    config.pool.server.timeout_ms = 200;
    asking.store = open_with(&config);
    assert_int_equal(tars_store_postgres_keep_texts(asking.store, path, 0, 0, NULL, NULL), TARS_OK);
    wait_filled(path, 1);
    assert_int_equal(tars_store_documents(asking.store, &all, ask_meanwhile, &asking, NULL),
                     TARS_OK);
    assert_int_equal(asking.told, 1);
    tars_store_close(asking.store);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(new_vectors_wait_for_the_servers_of_the_old),    ROW(vectors_say_how_long_they_are),
        ROW(a_text_of_a_past_that_was_given_up_is_not_told), ROW(what_is_partial_is_counted),
        ROW(without_a_connection_the_copy_answers),
    };
    int failed;

    postgres_open(&server, NULL, NULL);
    back_end = 1; /* postgres */
    failed =
        _cmocka_run_group_tests("postgres", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
    postgres_close(&server);
    return failed;
}
