/* Unit tests of app/chroma_import and app/chroma_list with a real ChromaDB: each allocation fails
 * in turn, and documents that are too large. What else they do is in
 * tests/http/test_import_chroma.py, with the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/chroma_conversations.h"
#include "app/chroma_import.h"
#include "app/chroma_list.h"
#include "model/encoder.h"
#include "store/accounts.h"
#include "store/conversations.h"
#include "net/client.h"
#include "store/store_sqlite.h"
#include "support/chroma_server.h"
#include "support/faults.h"
#include "support/files.h"

#define DIM       2 /* of another model: all is embedded here */
#define NAME      "rows"
#define LARGE     ((size_t)700 << 10)
#define BYTES_MAX ((size_t)1 << 20)

static struct chroma_server server;
static struct tars_client *client;
static struct tars_encoder *encoder;

static const float vector[DIM] = {1, 0};

struct world {
    struct tars_chroma *chroma;
    struct tars_store *store;
    char dir[FILES_PATH_MAX];
    struct tars_chroma_collection collection;
    struct tars_arena arena;
    struct tars_chunk_config chunk;
    struct tars_chroma_import_config config;
    struct tars_chroma_import_sums sums;
    struct tars_chroma_conversations_sums talks;
    char told[256]; /* last */
};

static void note(void *ctx, const char *what, const char *why)
{
    struct world *w = ctx;

    (void)snprintf(w->told, sizeof(w->told), "%s: %s", what, why);
}

static void fill(struct world *w, const struct tars_chroma_row *rows, size_t n)
{
    const tars_status gone = tars_chroma_drop(w->chroma, NAME, NULL);

    assert_true(gone == TARS_OK || gone == TARS_ENOTFOUND);
    assert_int_equal(
        tars_chroma_make(w->chroma, NAME, "cosine", "{\"a\":1}", &w->arena, &w->collection, NULL),
        TARS_OK);
    assert_int_equal(tars_chroma_upsert(w->chroma, w->collection.id, rows, n, DIM, NULL), TARS_OK);
}

static int set_up(void **state)
{
    const struct tars_chroma_config chroma = {.client = client, .url = server.url};
    struct tars_store_sqlite_config sqlite = {.readers = 1};
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    files_make_dir(w->dir);
    sqlite.dir = w->dir;
    tars_arena_init(&w->arena, (size_t)16 << 20);
    assert_int_equal(tars_store_sqlite_open(&sqlite, &w->store, NULL), TARS_OK);
    assert_int_equal(tars_chroma_new(&chroma, &w->chroma, NULL), TARS_OK);
    w->chunk.wordpiece = tars_encoder_wordpiece(encoder);
    w->config = (struct tars_chroma_import_config){.chroma = w->chroma,
                                                   .name = NAME,
                                                   .store = w->store,
                                                   .encoder = encoder,
                                                   .chunk = &w->chunk,
                                                   .into = TARS_COLLECTION,
                                                   .embed = true,
                                                   .replace = true,
                                                   .tell = note,
                                                   .ctx = w};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    tars_chroma_free(w->chroma);
    tars_store_close(w->store);
    tars_arena_release(&w->arena);
    files_remove_dir(w->dir);
    free(w);
    return 0;
}

/* --------------------------------------------------------------------- tests */

#define SAID(n)                                                                      \
    "{\"id\":\"m" n "\",\"role\":\"user\",\"content\":\"" n "\",\"timestamp\":\"t" n \
    "\",\"sources\":[{\"page\":" n "}],\"metadata\":{\"a\":" n "}}"
#define TALK(messages)                                                    \
    "{\"id\":\"conv_1\",\"client_id\":\"desk-1\",\"messages\":[" messages \
    "],\"created_at\":\"2025-11-07T12:00:00\",\"updated_at\":\"2025-11-08T12:00:00\"}"

static struct tars_chroma_row row_of(const char *text)
{
    return (struct tars_chroma_row){
        .id = "conv_1", .text = text, .text_len = strlen(text), .vector = vector, .metadata = "{}"};
}

static void take_conversations(void *ctx)
{
    struct world *w = ctx;
    const struct tars_chroma_conversations_config config = {.chroma = w->chroma,
                                                            .name = NAME,
                                                            .store = w->store,
                                                            .tenant = TARS_TENANT,
                                                            .tell = note,
                                                            .ctx = w};
    struct tars_err err = {{0}};
    tars_status status = tars_chroma_conversations(&config, &w->talks, &err);

    if (status != TARS_OK && !(status == TARS_ENOMEM && faults_happened()))
        fail_msg("%s: %s", tars_status_text(status), err.text);
}

static void conversations_without_memory(void **state)
{
    struct world *w = *state;
    struct tars_chroma_row row = row_of(TALK(SAID("1") "," SAID("2")));
    struct tars_conversation found;

    fill(w, &row, 1);
    assert_true(faults_each(take_conversations, w) > 4);
    row = row_of(TALK(SAID("1") "," SAID("2") "," SAID("3")));
    fill(w, &row, 1);
    take_conversations(w);
    assert_int_equal(w->talks.imported, 1);
    assert_int_equal(w->talks.messages, 1);
    assert_int_equal(
        tars_conversation_get(w->store, TARS_TENANT, "desk-1", "conv_1", &w->arena, &found, NULL),
        TARS_OK);
    assert_int_equal(found.message_count, 3);
    for (int i = 0; i < 3; i++) {
        const char name[] = {(char)('1' + i), '\0'};

        assert_string_equal(found.messages[i].content, name);
        assert_string_equal(found.messages[i].timestamp + 1, name);
    }
    assert_string_equal(found.messages[1].sources_json, "[{\"page\":2}]");
    assert_int_equal(found.created_us, INT64_C(1762516800000000));
    assert_int_equal(found.updated_us, INT64_C(1762603200000000));
}

static void what_is_no_conversation(void **state)
{
    static const char *const texts[] = {
        "",
        "[1]",
        "{\"id\":1}",
        "{\"id\":\"conv_1\",\"client_id\":\"\",\"messages\":[" SAID("1") "]}",
        "{\"id\":\"\",\"client_id\":\"desk-1\",\"messages\":[" SAID("1") "]}",
        "{\"id\":\"conv_1\",\"client_id\":\"desk-1\",\"messages\":{}}",
        TALK(""),
        TALK("7"),
        TALK(SAID("1") ",null"),
        TALK("{\"role\":\"user\",\"content\":\"\\u0000\"}"),
        TALK("{\"role\":\"user\"}"),
        TALK("{\"role\":\"\",\"content\":\"a\"}"),
        "{\"id\":\"conv_1\"",
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const struct tars_chroma_row row = row_of(texts[i]);

        fill(w, &row, 1);
        take_conversations(w);
        assert_int_equal(w->talks.rows, 1);
        assert_int_equal(w->talks.refused, 1);
    }
}

static const struct tars_chroma_row few[] = {
    {.id = "doc_a_chunk_0",
     .text = "The first text.",
     .text_len = 15,
     .vector = vector,
     .metadata = "{\"document_id\":\"doc_a\",\"file_path\":\"/docs/a.txt\",\"title\":\"A\"}"},
    {.id = "doc_a_chunk_1",
     .text = "The second text.",
     .text_len = 16,
     .vector = vector,
     .metadata = "{\"document_id\":\"doc_a\",\"file_path\":\"/docs/a.txt\",\"title\":\"A\"}"},
    {.id = "doc_b_chunk_0",
     .text = "Of another file.",
     .text_len = 16,
     .vector = vector,
     .metadata = "{\"file_name\":\"b.txt\"}"},
};

static void list_them(void *ctx)
{
    struct world *w = ctx;
    struct tars_chroma_list list = {0};
    struct tars_err err = {{0}};
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, BYTES_MAX);
    status =
        tars_chroma_list_read(w->chroma, &w->collection, NAME, NULL, note, w, &arena, &list, &err);
    if (status != TARS_OK && !(status == TARS_ENOMEM && faults_happened()))
        fail_msg("%s: %s", tars_status_text(status), err.text);
    if (status == TARS_OK) {
        assert_int_equal(list.chunk_count, 3);
        assert_int_equal(list.document_count, 2);
        assert_string_equal(list.chunks[0].record.path, "/docs/a.txt");
        assert_ptr_equal(list.chunks[0].record.path, list.chunks[1].record.path); /* held once */
        assert_string_equal(list.chunks[2].record.path, "chroma/" NAME "/doc_b/b.txt");
    }
    tars_arena_release(&arena);
}

static void a_list_without_memory(void **state)
{
    fill(*state, few, 3);
    assert_true(faults_each(list_them, *state) > 4);
}

static void import_them(void *ctx)
{
    struct world *w = ctx;
    struct tars_err err = {{0}};
    tars_status status = tars_chroma_import(&w->config, &w->sums, &err);

    if (status != TARS_OK && !(status == TARS_ENOMEM && faults_happened()))
        fail_msg("%s: %s", tars_status_text(status), err.text);
}

static void an_import_without_memory(void **state)
{
    struct world *w = *state;

    fill(w, few, 3);
    assert_true(faults_each(import_them, w) > 30);
    assert_int_equal(w->sums.documents, 2);
    assert_int_equal(w->sums.passages, 3);
    assert_int_equal(w->sums.refused, 0);
    assert_int_equal(strlen(w->sums.sha256), 64);
}

/* One that cannot be held is named, and the others are taken. */
static void a_document_that_is_too_large(void **state)
{
    static char text[LARGE];
    struct tars_chroma_row rows[4];
    struct world *w = *state;
    struct tars_err err = {{0}};

    memset(text, 'x', sizeof(text));
    memcpy(rows, few, sizeof(few));
    rows[3] = (struct tars_chroma_row){.id = "doc_b0_chunk_0",
                                       .text = text,
                                       .text_len = sizeof(text),
                                       .vector = vector,
                                       .metadata = "{\"file_path\":\"/docs/b.txt\"}"};
    fill(w, rows, 4);
    w->config.document_bytes = BYTES_MAX;
    for (int i = 0; i < 2; i++) {
        w->config.dry_run = i == 0;
        if (tars_chroma_import(&w->config, &w->sums, &err) != TARS_OK)
            fail_msg("%s", err.text);
        assert_string_equal(w->told, "/docs/b.txt: the document is too large and is left out");
        assert_int_equal(w->sums.documents, 3);
        assert_int_equal(w->sums.imported, 2);
        assert_int_equal(w->sums.passages, 3);
        assert_int_equal(w->sums.refused, 1);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(conversations_without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_conversation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_list_without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_import_without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_document_that_is_too_large, set_up, tear_down),
    };
    char dir[FILES_PATH_MAX];
    const struct tars_encoder_config model = {
        .dir = dir, .precision = TARS_ENCODER_FP32, .threads = 1};
    const struct tars_client_config config = {0};
    int failed;

    if (!files_model(dir) || tars_encoder_open(&model, &encoder, NULL) != TARS_OK ||
        tars_client_global_init() != TARS_OK || tars_client_new(&config, &client) != TARS_OK)
        return 1;
    chroma_server_open(&server, "1.5.9", "");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    chroma_server_close(&server);
    tars_client_free(client);
    tars_client_global_cleanup();
    tars_encoder_close(encoder);
    return failed;
}
