/* The copy of texts beside an index: what is put in comes out whole, what is removed is gone from
 * the file, and a damaged file is made again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite_texts.h"
#include "support/faults.h"
#include "support/files.h"

#define SECRET "Xylophones are kept in the vault"

struct place {
    char dir[64];
    char path[128];
    struct tars_texts *texts;
    struct tars_arena arena;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/tars-texts-XXXXXX");
    if (!mkdtemp(place->dir))
        return -1;
    (void)snprintf(place->path, sizeof(place->path), "%s/texts.db", place->dir);
    tars_arena_init(&place->arena, (size_t)16 << 20);
    *state = place;
    return tars_texts_open(place->path, &place->texts, NULL) == TARS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    tars_texts_close(place->texts);
    tars_arena_release(&place->arena);
    files_remove_dir(place->dir);
    free(place);
    return 0;
}

/* Two documents: passages 1 and 2, and 5. */
static void add_some(struct place *place)
{
    static const struct tars_store_document documents[] = {
        {.document_id = "doc_1",
         .collection = "default",
         .path = "/a/one.md",
         .external_id = "",
         .file_name = "one.md",
         .file_type = "md",
         .title = "One",
         .language = 2,
         .file_size = 9,
         .sha256 = "aa",
         .created_us = 1,
         .modified_us = 2,
         .indexed_us = 3,
         .page_count = 4,
         .word_count = 5,
         .char_count = 6,
         .metadata_json = "{\"k\":1}",
         .passage_first = 1,
         .chunk_count = 2},
        {.document_id = "doc_2",
         .collection = "other",
         .path = "/b/two.md",
         .external_id = "x",
         .file_name = "two.md",
         .file_type = "md",
         .title = "",
         .sha256 = "bb",
         .metadata_json = "",
         .passage_first = 5,
         .chunk_count = 1},
    };
    struct tars_store_passage items[] = {
        {.id = 1,
         .document = &documents[0],
         .section = "A > B",
         .text = "first",
         .text_len = 5,
         .chunk_index = 0,
         .kind = 1,
         .language = 2,
         .page_first = 3,
         .page_last = 4,
         .token_count = 5,
         .char_start = 6,
         .char_end = 7},
        {.id = 2,
         .document = &documents[0],
         .section = "",
         .text = SECRET,
         .text_len = sizeof(SECRET) - 1,
         .chunk_index = 1},
        {.id = 5, .document = &documents[1], .section = "", .text = "third", .text_len = 5},
    };
    const struct tars_store_passages passages = {items, 3};

    assert_int_equal(tars_texts_add(place->texts, &passages, 5, NULL), TARS_OK);
}

static void what_is_put_in_comes_out(void **state)
{
    static const uint64_t ids[] = {5, 9, 1};
    struct place *place = *state;
    struct tars_store_passages out;

    assert_int_equal(tars_texts_filled(place->texts), 0);
    add_some(place);
    assert_int_equal(tars_texts_filled(place->texts), 5);
    assert_int_equal(tars_texts_passages(place->texts, ids, 3, &place->arena, &out, NULL), TARS_OK);
    assert_int_equal(out.count, 2);
    assert_int_equal(out.items[0].id, 5);
    assert_string_equal(out.items[0].document->collection, "other");
    assert_string_equal(out.items[1].chunk_id, "doc_1_chunk_0");
    assert_string_equal(out.items[1].section, "A > B");
    assert_memory_equal(out.items[1].text, "first", 6);
    assert_int_equal(out.items[1].char_end, 7);
    assert_string_equal(out.items[1].document->metadata_json, "{\"k\":1}");
    assert_int_equal(out.items[1].document->passage_first, 1);
    assert_int_equal(out.items[1].document->chunk_count, 2);
}

static bool count_document(void *ctx, const struct tars_store_document *document)
{
    ++*(int *)ctx;
    return document != NULL;
}

static bool sum_run(void *ctx, const struct tars_store_run *run)
{
    *(uint64_t *)ctx += run->last - run->first + 1;
    return true;
}

static void lists_are_those_of_a_store(void **state)
{
    static const struct {
        struct tars_store_document_filter filter;
        int count;
    } rows[] = {
        {{.collection = NULL}, 2},
        {{.collection = "other"}, 1},
        {{.path = "/a/one.md"}, 1},
        {{.under = "/a"}, 1},
        {{.sha256 = "bb"}, 1},
        {{.after_passage = 1}, 1},
        {{.limit = 1}, 1},
        {{.offset = 1}, 1},
        {{.collection = "other", .under = "/a"}, 0},
    };
    struct place *place = *state;
    struct tars_collection_size *sizes;
    uint64_t passages = 0;
    size_t count;

    add_some(place);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int seen = 0;

        assert_int_equal(
            tars_texts_documents(place->texts, &rows[i].filter, count_document, &seen, NULL),
            TARS_OK);
        assert_int_equal(seen, rows[i].count);
    }
    assert_int_equal(tars_texts_runs(place->texts, 0, sum_run, &passages, NULL), TARS_OK);
    assert_int_equal(passages, 3);
    assert_int_equal(tars_texts_sizes(place->texts, &place->arena, &sizes, &count, NULL), TARS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(sizes[0].passages, 2);
}

static bool file_has(const char *path, const char *words)
{
    FILE *file = fopen(path, "r");
    char bytes[65536];
    size_t len = strlen(words);
    bool has = false;
    size_t n;

    if (!file)
        return false;
    while (!has && (n = fread(bytes, 1, sizeof(bytes), file)) > 0)
        has = memmem(bytes, n, words, len) != NULL;
    (void)fclose(file);
    return has;
}

static void what_is_removed_is_gone_from_the_file(void **state)
{
    static const uint64_t ids[] = {1, 2, 5};
    struct place *place = *state;
    struct tars_store_passages out;

    add_some(place);
    assert_int_equal(tars_texts_remove(place->texts, 1, 2, NULL), TARS_OK);
    assert_int_equal(tars_texts_passages(place->texts, ids, 3, &place->arena, &out, NULL), TARS_OK);
    assert_int_equal(out.count, 1);
    tars_texts_close(place->texts); /* the log goes into the file */
    assert_false(file_has(place->path, SECRET));
    assert_int_equal(tars_texts_open(place->path, &place->texts, NULL), TARS_OK);
    assert_int_equal(tars_texts_filled(place->texts), 5);
    assert_int_equal(tars_texts_clear(place->texts, NULL), TARS_OK);
    assert_int_equal(tars_texts_filled(place->texts), 0);
    assert_int_equal(tars_texts_passages(place->texts, ids, 3, &place->arena, &out, NULL), TARS_OK);
    assert_int_equal(out.count, 0);
}

/* While the file stays open, its log has what was in it. */
static void and_from_its_log(void **state)
{
    struct place *place = *state;
    struct tars_store_change items[] = {
        {.seq = 3, .op = TARS_CHANGE_ADD, .first = 5, .last = 5},
        {.seq = 4, .op = TARS_CHANGE_REMOVE, .first = 1, .last = 2}};
    struct tars_store_changes changes = {items, 2};
    char log[160];

    (void)snprintf(log, sizeof(log), "%s-wal", place->path);
    add_some(place);
    assert_true(file_has(log, SECRET));
    assert_int_equal(tars_texts_follow(place->texts, &changes, 4, NULL), TARS_OK);
    assert_int_equal(tars_texts_tidy(place->texts, NULL), TARS_OK);
    assert_false(file_has(log, SECRET));
    assert_false(file_has(place->path, SECRET));
    assert_int_equal(tars_texts_followed(place->texts), 4);
    changes.count = 0;
    assert_int_equal(tars_texts_follow(place->texts, &changes, 2, NULL), TARS_OK);
    assert_int_equal(tars_texts_followed(place->texts), 4);
}

/* Who reads keeps nobody from reading: a list that is long keeps no search waiting. */
static bool read_beside(void *ctx, const struct tars_store_document *document)
{
    const uint64_t id = document->passage_first;
    struct place *place = ctx;
    struct tars_store_passages out;

    assert_int_equal(tars_texts_passages(place->texts, &id, 1, &place->arena, &out, NULL), TARS_OK);
    assert_int_equal(out.count, 1);
    return true;
}

static void several_read_at_once(void **state)
{
    struct place *place = *state;

    add_some(place);
    assert_int_equal(tars_texts_documents(place->texts, NULL, read_beside, place, NULL), TARS_OK);
}

#define THREADS 6 /* more than there are readers */
#define ROUNDS  100

static void *read_on(void *ctx)
{
    const uint64_t id = 5;
    struct place *place = ctx;
    size_t *seen = calloc(1, sizeof(*seen));

    for (int i = 0; seen && i < ROUNDS; i++) {
        struct tars_store_passages out = {0};
        struct tars_arena arena;

        tars_arena_init(&arena, (size_t)1 << 20);
        if (tars_texts_passages(place->texts, &id, 1, &arena, &out, NULL) == TARS_OK)
            *seen += out.count;
        tars_arena_release(&arena);
    }
    return seen;
}

static void many_read_while_one_writes(void **state)
{
    struct place *place = *state;
    pthread_t threads[THREADS];

    add_some(place);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, place), 0);
    for (int i = 0; i < ROUNDS / 4; i++) {
        assert_int_equal(tars_texts_remove(place->texts, 1, 2, NULL), TARS_OK);
        assert_int_equal(tars_texts_tidy(place->texts, NULL), TARS_OK);
        add_some(place);
    }
    for (int i = 0; i < THREADS; i++) {
        void *seen = NULL;

        assert_int_equal(pthread_join(threads[i], &seen), 0);
        assert_non_null(seen);
        assert_int_equal(*(size_t *)seen, ROUNDS);
        free(seen);
    }
}

/* ---------------------------------------------------------------------- memory */

/* All of what is asked for, or that there is no memory: never a part as if it were all. */
static void use_once(void *ctx)
{
    static const uint64_t ids[] = {1, 2, 5};
    struct place *place = ctx;
    struct tars_store_passages out = {0};
    struct tars_collection_size *sizes;
    struct tars_texts *texts = NULL;
    struct tars_arena arena;
    size_t count = 0;
    tars_status status = tars_texts_open(place->path, &texts, NULL);

    tars_arena_init(&arena, (size_t)16 << 20);
    if (!status)
        status = tars_texts_passages(texts, ids, 3, &arena, &out, NULL);
    assert_true(status || out.count == 3);
    assert_true(status || (out.items[1].text && strcmp(out.items[1].text, SECRET) == 0));
    if (!status)
        status = tars_texts_sizes(texts, &arena, &sizes, &count, NULL);
    assert_true(status || count == 2);
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    tars_texts_close(texts);
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    struct place *place = *state;

    add_some(place);
    assert_true(faults_each(use_once, place) >= 4);
    assert_int_equal(tars_texts_filled(place->texts), 5); /* nobody took it for damaged */
}

static void a_damaged_file_is_made_again(void **state)
{
    struct place *place = *state;
    FILE *file;

    add_some(place);
    tars_texts_close(place->texts);
    place->texts = NULL;
    file = fopen(place->path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        (void)fputs("this is no database ", file);
    (void)fclose(file);
    assert_int_equal(tars_texts_open(place->path, &place->texts, NULL), TARS_OK);
    assert_int_equal(tars_texts_filled(place->texts), 0);
    add_some(place);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(what_is_put_in_comes_out),
        ROW(lists_are_those_of_a_store),
        ROW(what_is_removed_is_gone_from_the_file),
        ROW(and_from_its_log),
        ROW(a_damaged_file_is_made_again),
        ROW(several_read_at_once),
        ROW(many_read_while_one_writes),
        ROW(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
