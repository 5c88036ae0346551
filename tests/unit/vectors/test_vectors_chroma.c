/* What ChromaDB alone can do to vectors: collections of others, removed, made anew, of an old copy;
 * batches that were broken off. With a real server of 1.x; what all back ends have in common, and
 * 0.5.x, is in test_contract.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/mem/arena.h"
#include "net/client.h"
#include "support/chroma_server.h"
#include "vectors/chroma.h"
#include "vectors/vectors_chroma.h"
#include "vectors/vectors_chroma_rows.h"

#define NAME   "tars_documents"
#define DIM    3
#define WRITES 60
#define COUNT  4 /* passages, a window each */

static struct chroma_server server;

static const struct tars_vectors_of ours = {
    .store = "one", .model = "m1", .model_name = "minilm", .dim = DIM};
static const float vectors[COUNT][DIM] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {.6F, .8F, 0}};
static const struct tars_store_window window = {0, 4};
static const struct tars_store_document document = {.document_id = "doc_0123456789abcdef",
                                                    .collection = "docs",
                                                    .path = "/docs/a \"b\".txt",
                                                    .file_name = "a \"b\".txt",
                                                    .file_type = "txt"};
static struct tars_store_passage passages[COUNT];
static const struct tars_visible everything = {.all = true};

static struct tars_chroma *connect_to(void)
{
    const struct tars_chroma_config config = {.url = server.url, .batch_rows = 2};
    struct tars_chroma *chroma = NULL;

    assert_int_equal(tars_chroma_new(&config, &chroma, NULL), TARS_OK);
    return chroma;
}

static struct tars_vectors *open_space(const char *space)
{
    const struct tars_vectors_chroma_config config = {
        .chroma = connect_to(), .collection = NAME, .space = space, .query_ms = 20000};
    struct tars_vectors *opened = NULL;

    assert_int_equal(tars_vectors_chroma_open(&config, &opened, NULL), TARS_OK);
    return opened;
}

static int set_up(void **state)
{
    struct tars_chroma *chroma = connect_to();
    tars_status status = tars_chroma_drop(chroma, NAME, NULL);

    assert_true(status == TARS_OK || status == TARS_ENOTFOUND);
    for (int i = 0; i < COUNT; i++) {
        passages[i] = (struct tars_store_passage){.id = (uint64_t)i + 1,
                                                  .document = &document,
                                                  .chunk_index = i,
                                                  .windows = &window,
                                                  .vectors = vectors[i],
                                                  .window_count = 1};
        (void)snprintf(passages[i].chunk_id, sizeof(passages[i].chunk_id), "%s_chunk_%d",
                       document.document_id, i);
    }
    tars_chroma_free(chroma);
    *state = open_space(NULL);
    return 0;
}

static int tear_down(void **state)
{
    tars_vectors_close(*state);
    return 0;
}

static struct tars_vectors_state state_of(struct tars_vectors *vectors_in)
{
    struct tars_vectors_state now;
    struct tars_err err = {{0}};

    if (vectors_in->ops->state(vectors_in, true, &now, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return now;
}

static tars_status add(struct tars_vectors *to, uint64_t after, size_t first, size_t count)
{
    const struct tars_vectors_batch batch = {.after = after,
                                             .upto = after + 1,
                                             .mark = "m",
                                             .adds = &passages[first],
                                             .add_count = count};

    return to->ops->apply(to, &batch, DIM, NULL);
}

static void begin(struct tars_vectors *in)
{
    assert_int_equal(in->ops->reset(in, &ours, NULL), TARS_OK);
    assert_int_equal(add(in, 0, 0, 2), TARS_OK);
}

static tars_status search(struct tars_vectors *in, struct tars_index_hit *hits, size_t *n)
{
    const struct tars_vectors_wish wish = {
        .query = vectors[0], .dim = DIM, .k = COUNT, .visible = &everything};
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, (size_t)1 << 20);
    status = tars_vectors_search(in, &wish, &arena, hits, n, NULL);
    tars_arena_release(&arena);
    return status;
}

static struct tars_chroma_collection look(struct tars_chroma *chroma, struct tars_arena *arena)
{
    struct tars_chroma_collection found;
    struct tars_err err = {{0}};

    if (tars_chroma_find(chroma, NAME, arena, &found, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return found;
}

/* --------------------------------------------------------------------- tests */

static void what_others_have_is_left_alone(void **state)
{
    const struct tars_chroma_row row = {
        .id = "doc_x_chunk_0", .vector = vectors[0], .metadata = "{\"document_id\":\"doc_x\"}"};
    struct tars_vectors *in = *state;
    struct tars_chroma *chroma = connect_to();
    struct tars_chroma_collection made;
    struct tars_vectors_state now;
    struct tars_err err = {{0}};
    struct tars_arena arena;
    size_t rows = 0;

    tars_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(
        tars_chroma_make(chroma, NAME, "l2", "{\"description\":\"theirs\"}", &arena, &made, NULL),
        TARS_OK);
    assert_string_equal(state_of(in).of.store, ""); /* it is empty: nobody loses anything */
    assert_int_equal(tars_chroma_upsert(chroma, made.id, &row, 1, DIM, NULL), TARS_OK);
    assert_int_equal(in->ops->state(in, true, &now, &err), TARS_EFORMAT);
    assert_non_null(strstr(err.text, "import-chroma"));
    assert_int_equal(in->ops->health(in, NULL), TARS_EFORMAT);
    assert_int_equal(in->ops->reset(in, &ours, NULL), TARS_EFORMAT);
    assert_int_equal(add(in, 0, 0, 1), TARS_EAGAIN);
    assert_int_equal(tars_chroma_count(chroma, made.id, &rows, NULL), TARS_OK);
    assert_int_equal(rows, 1);
    tars_arena_release(&arena);
    tars_chroma_free(chroma);
}

static void rows_are_as_the_contract_has_them(void **state)
{
    const struct tars_chroma_wish wish = {.limit = 9,
                                          .include = TARS_CHROMA_VECTORS | TARS_CHROMA_METADATA};
    struct tars_vectors *in = *state;
    struct tars_chroma *chroma = connect_to();
    struct tars_chroma_rows rows;
    struct tars_arena arena;

    begin(in);
    tars_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(tars_chroma_get(chroma, look(chroma, &arena).id, &wish, &arena, &rows, NULL),
                     TARS_OK);
    assert_int_equal(rows.count, 2);
    assert_string_equal(rows.items[1].id, "doc_0123456789abcdef_chunk_1:0:2");
    assert_non_null(strstr(rows.items[1].metadata, "\"document_id\":\"doc_0123456789abcdef\""));
    assert_non_null(strstr(rows.items[1].metadata, "\"chunk_index\":1"));
    assert_non_null(strstr(rows.items[1].metadata, "\"file_path\":\"/docs/a \\\"b\\\".txt\""));
    assert_non_null(strstr(rows.items[1].metadata, "\"passage\":2"));
    assert_non_null(strstr(rows.items[1].metadata, "\"collection\":\"docs\""));
    assert_true(rows.items[1].vector[1] == 1);
    tars_arena_release(&arena);
    tars_chroma_free(chroma);
}

static void removed_under_us(void **state)
{
    struct tars_vectors *in = *state;
    struct tars_chroma *chroma = connect_to();
    struct tars_index_hit hits[COUNT];
    size_t n = 0;

    begin(in);
    assert_int_equal(tars_chroma_drop(chroma, NAME, NULL), TARS_OK);
    assert_int_equal(search(in, hits, &n), TARS_EUNAVAILABLE);
    assert_int_equal(add(in, 1, 2, 2), TARS_EAGAIN);
    assert_int_equal(state_of(in).seq, 0);
    assert_string_equal(state_of(in).of.store, "");
    begin(in);
    assert_int_equal(search(in, hits, &n), TARS_OK);
    assert_int_equal(n, 2);
    tars_chroma_free(chroma);
}

/* Another server has made it anew: its id is another one now. */
static void made_anew_by_another(void **state)
{
    struct tars_vectors *in = *state;
    struct tars_vectors *other = open_space(NULL);
    struct tars_index_hit hits[COUNT];
    size_t n = 0;

    begin(in);
    assert_int_equal(search(in, hits, &n), TARS_OK);
    begin(other);
    assert_int_equal(add(other, 1, 2, 2), TARS_OK);
    assert_int_equal(search(in, hits, &n), TARS_OK);
    assert_int_equal(n, COUNT);
    assert_int_equal(add(in, 1, 2, 1), TARS_EAGAIN); /* it is further already */
    tars_vectors_close(other);
}

static void an_old_copy_is_put_back(void **state)
{
    struct tars_vectors *in = *state;
    struct tars_index_hit hits[COUNT];
    size_t n = 0;

    begin(in);
    chroma_server_do(&server, "keep");
    assert_int_equal(add(in, 1, 2, 1), TARS_OK);
    assert_int_equal(state_of(in).seq, 2);
    chroma_server_do(&server, "back");
    assert_int_equal(state_of(in).seq, 1);
    assert_int_equal(state_of(in).windows, 2);
    assert_int_equal(add(in, 2, 3, 1), TARS_EAGAIN);
    assert_int_equal(add(in, 1, 2, 2), TARS_OK);
    assert_int_equal(search(in, hits, &n), TARS_OK);
    assert_int_equal(n, COUNT);
}

/* Of a batch that was broken off half is there: it is no damage, and is done again. */
static void broken_off(void **state)
{
    struct tars_vectors *in = *state;
    struct tars_chroma *chroma = connect_to();
    struct tars_chroma_collection found;
    struct tars_arena arena;

    begin(in);
    tars_arena_init(&arena, (size_t)1 << 20);
    found = look(chroma, &arena);
    assert_int_equal(
        tars_chroma_describe(chroma, found.id,
                             "{\"tars_format\":1,\"tars_store\":\"one\",\"tars_model\":"
                             "\"m1\",\"tars_model_name\":\"minilm\",\"tars_dim\":3,"
                             "\"tars_space\":\"cosine\",\"tars_seq\":1,\"tars_mark\":"
                             "\"m\",\"tars_rows\":2,\"tars_writer\":\"somebody\"}",
                             NULL),
        TARS_OK);
    assert_int_equal(tars_chroma_rows_add(chroma, found.id, &passages[2], 1, DIM, NULL), TARS_OK);
    assert_int_equal(state_of(in).windows, state_of(in).expected);
    assert_int_equal(add(in, 1, 2, 2), TARS_OK);
    assert_int_equal(state_of(in).windows, COUNT);
    assert_int_equal(state_of(in).expected, COUNT);
    /* Without such a word it is damage. */
    assert_int_equal(tars_chroma_delete(chroma, found.id, "{\"passage\":3}", NULL), TARS_OK);
    assert_int_not_equal(state_of(in).windows, state_of(in).expected);
    assert_int_equal(add(in, 2, 2, 1), TARS_EAGAIN);
    tars_arena_release(&arena);
    tars_chroma_free(chroma);
}

static void scores_are_cosines(void **state)
{
    static const char *const spaces[] = {"cosine", "l2", "ip"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct tars_vectors *in = open_space(spaces[i]);
        struct tars_index_hit hits[COUNT];
        size_t n = 0;

        begin(in);
        assert_int_equal(add(in, 1, 2, 2), TARS_OK);
        assert_int_equal(search(in, hits, &n), TARS_OK);
        assert_int_equal(n, COUNT);
        assert_int_equal(hits[0].id, 1);
        assert_float_equal(hits[0].score, 1, 1e-5);
        assert_int_equal(hits[1].id, 4);
        assert_float_equal(hits[1].score, .6, 1e-5);
        tars_vectors_close(in);
    }
}

#define READERS  3
#define SEARCHES 10

static void *search_often(void *ctx)
{
    struct tars_index_hit hits[COUNT];
    size_t n = 0;

    for (int i = 0; i < SEARCHES; i++) {
        if (search(ctx, hits, &n) != TARS_OK || n < 2)
            return ctx;
    }
    return NULL;
}

/* Readers go on while the one writer writes. */
static void many_at_once(void **state)
{
    struct tars_vectors *in = *state;
    pthread_t threads[READERS];

    begin(in);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_often, in), 0);
    assert_int_equal(add(in, 1, 2, 1), TARS_OK);
    assert_int_equal(add(in, 2, 3, 1), TARS_OK);
    for (int i = 0; i < READERS; i++) {
        void *failed = NULL;

        (void)pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

static void names_of_rows(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        bool is_ours;
        uint64_t passage;
    } rows[] = {
        {"doc_0123456789abcdef_chunk_1:0:2", true, 2},
        {"doc_a_chunk_1:0:18446744073709551599", true, 18446744073709551599U},
        {"doc_a_chunk_1:0:99999999999999999999", false, 0},
        {"doc_a_chunk_1:0:", false, 0},
        {"doc_a_chunk_1:0:-1", false, 0},
        {"doc_a_chunk_1", false, 0},
        {"note:0:1", false, 0},
        {"", false, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t passage = 0;

        assert_int_equal(tars_chroma_rows_passage(rows[i].row, &passage), rows[i].is_ours);
        assert_true(passage == rows[i].passage || !rows[i].is_ours);
    }
}

struct looker {
    struct tars_vectors *in;
    atomic_bool is_over;
    atomic_int differed, well;
};

static void *keep_looking(void *ctx)
{
    struct looker *looker = ctx;
    struct tars_vectors_state now;

    while (!atomic_load(&looker->is_over)) {
        tars_status status = looker->in->ops->state(looker->in, true, &now, NULL);

        if (status == TARS_OK && now.windows != now.expected)
            atomic_fetch_add(&looker->differed, 1);
        if (status == TARS_OK)
            atomic_fetch_add(&looker->well, 1);
    }
    return NULL;
}

/* Rows come between what is written down and what is counted: that is no fault of the collection.
 */
static void looking_while_another_writes(void **state)
{
    struct tars_vectors *in = *state;
    struct looker looker = {.in = open_space(NULL)};
    struct tars_vectors_batch batch = {.mark = "m"};
    struct tars_index_run run = {1, 1};
    pthread_t thread;

    begin(in);
    assert_int_equal(pthread_create(&thread, NULL, keep_looking, &looker), 0);
    for (int i = 0; i < WRITES; i++) {
        batch.after = (uint64_t)i + 1;
        batch.upto = batch.after + 1;
        batch.adds = i % 2 ? passages : NULL;
        batch.add_count = i % 2;
        batch.removes = i % 2 ? NULL : &run;
        batch.remove_count = !(i % 2);
        assert_int_equal(in->ops->apply(in, &batch, DIM, NULL), TARS_OK);
    }
    while (atomic_load(&looker.well) == 0)
        (void)sched_yield();
    atomic_store(&looker.is_over, true);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&looker.differed), 0);
    tars_vectors_close(looker.in);
}

static void settings_are_checked(void **state)
{
    struct tars_vectors_chroma_config config = {
        .chroma = connect_to(), .collection = NAME, .space = "hamming"};
    struct tars_vectors *opened = NULL;
    struct tars_err err = {{0}};

    (void)state;
    assert_int_equal(tars_vectors_chroma_open(&config, &opened, &err), TARS_EINVAL);
    assert_non_null(strstr(err.text, "hamming"));
    config = (struct tars_vectors_chroma_config){.chroma = connect_to(), .collection = ""};
    assert_int_equal(tars_vectors_chroma_open(&config, &opened, &err), TARS_EINVAL);
    assert_null(opened);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(what_others_have_is_left_alone),
        ROW(rows_are_as_the_contract_has_them),
        ROW(removed_under_us),
        ROW(made_anew_by_another),
        ROW(an_old_copy_is_put_back),
        ROW(broken_off),
        ROW(scores_are_cosines),
        ROW(many_at_once),
        ROW(looking_while_another_writes),
        cmocka_unit_test(names_of_rows),
        cmocka_unit_test(settings_are_checked),
    };
    int failed;

    if (tars_client_global_init() != TARS_OK)
        return 1;
    chroma_server_open(&server, "1.5.9", "");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    chroma_server_close(&server);
    tars_client_global_cleanup();
    return failed;
}
