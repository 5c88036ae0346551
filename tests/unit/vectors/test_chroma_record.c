/* What the metadata of a row say of its chunk: as the reference writes them, as others do, and as
 * they should not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "support/faults.h"
#include "vectors/chroma_record.h"

#define ARENA_MAX ((size_t)1 << 20)
#define SHA       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define REFERENCE                                                                                 \
    "{\"document_id\":\"doc_1\",\"chunk_index\":2,\"file_name\":\"a.pdf\",\"file_path\":\"/docs/" \
    "a.pdf\",\"file_type\":\"pdf\",\"file_size\":99,\"indexed_at\":\"2025-11-07T12:00:00.5\","    \
    "\"token_count\":7,\"page_count\":3}"

static const struct {
    const char *name, *id, *metadata;
    const char *document_id; /* NULL: TARS_EFORMAT */
    const char *path, *file_name, *file_type;
    int64_t chunk_index;
    bool is_own; /* the id is the row's own */
} rows[] = {
    {"the reference", "doc_1_chunk_2", REFERENCE, "doc_1", "/docs/a.pdf", "a.pdf", "pdf", 2, false},
    {"its id alone", "doc_1_chunk_12", NULL, "doc_1", "", "", "", 12, false},
    {"metadata over the id", "doc_1_chunk_12", "{\"document_id\":\"d\",\"chunk_index\":4}", "d", "",
     "", "", 4, false},
    {"somebody's", "7", "{\"source\":\"notes/b.tar.gz\"}", "7", "notes/b.tar.gz", "b.tar.gz", "gz",
     0, true},
    {"a path over a source", "7", "{\"source\":\"s\",\"file_path\":\"/p/q.c\"}", "7", "/p/q.c",
     "q.c", "c", 0, true},
    {"a name alone", "7", "{\"file_name\":\".hidden\"}", "7", "", ".hidden", "", 0, true},
    {"a type with a dot", "7", "{\"file_path\":\"/a/b\",\"file_type\":\".md\"}", "7", "/a/b", "b",
     "md", 0, true},
    {"no chunk's number", "a_chunk_", "{}", "a_chunk_", "", "", "", 0, true},
    {"nothing before it", "_chunk_1", "{}", "_chunk_1", "", "", "", 0, true},
    {"a number that is too long", "a_chunk_1234567890", "{}", "a_chunk_1234567890", "", "", "", 0,
     true},
    {"a number below 0", "a", "{\"chunk_index\":-4}", "a", "", "", "", 0, true},
    {"of other types", "a", "{\"document_id\":5,\"file_path\":[],\"file_name\":null}", "a", "", "",
     "", 0, true},
    {"no id", "", "{}", NULL, NULL, NULL, NULL, 0, false},
    {"no JSON", "a", "{", NULL, NULL, NULL, NULL, 0, false},
};

static void records_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_chroma_record out = {.chunk_index = 99};
        struct tars_err err = {""};
        struct tars_arena arena;
        tars_status status;

        print_message("  %s\n", rows[i].name);
        tars_arena_init(&arena, ARENA_MAX);
        status = tars_chroma_record_read(rows[i].id, rows[i].metadata, &arena, &out, &err);
        assert_int_equal(status, rows[i].document_id ? TARS_OK : TARS_EFORMAT);
        if (rows[i].document_id) {
            assert_string_equal(out.document_id, rows[i].document_id);
            assert_string_equal(out.path, rows[i].path);
            assert_string_equal(out.file_name, rows[i].file_name);
            assert_string_equal(out.file_type, rows[i].file_type);
            assert_int_equal(out.chunk_index, rows[i].chunk_index);
            assert_int_equal(out.is_said, !rows[i].is_own);
        } else {
            assert_int_equal(out.chunk_index, 99);
            assert_true(err.text[0] != '\0');
        }
        tars_arena_release(&arena);
    }
}

static void the_rest_of_it(void **state)
{
    (void)state;
    struct tars_chroma_record out;
    struct tars_arena arena;

    tars_arena_init(&arena, ARENA_MAX);
    assert_int_equal(tars_chroma_record_read("x", REFERENCE, &arena, &out, NULL), TARS_OK);
    assert_int_equal(out.file_size, 99);
    assert_int_equal(out.page_count, 3);
    assert_int_equal(out.token_count, 7);
    assert_int_equal(out.indexed_us, INT64_C(1762516800500000));
    assert_int_equal(out.created_us, 0);
    assert_string_equal(out.hash, "");
    assert_int_equal(
        tars_chroma_record_read("x",
                                "{\"hash\":\"" SHA "\",\"section_title\":\"Pumps\","
                                "\"title\":\"T\",\"page_number\":4,\"file_size\":1e300}",
                                &arena, &out, NULL),
        TARS_OK);
    assert_string_equal(out.hash, SHA);
    assert_string_equal(out.section, "Pumps");
    assert_string_equal(out.title, "T");
    assert_int_equal(out.page, 4);
    assert_int_equal(out.file_size, 0);
    assert_int_equal(tars_chroma_record_read("x", "{\"hash\":\"0123\",\"indexed_at\":\"soon\"}",
                                             &arena, &out, NULL),
                     TARS_OK);
    assert_string_equal(out.hash, "");
    assert_int_equal(out.indexed_us, 0);
    assert_int_equal(tars_chroma_record_read("x",
                                             "{\"page_number\":4294967295,\"token_count\":"
                                             "2147483648,\"page_count\":2147483647}",
                                             &arena, &out, NULL),
                     TARS_OK);
    assert_int_equal(out.page, 0);
    assert_int_equal(out.token_count, 0);
    assert_int_equal(out.page_count, INT32_MAX);
    tars_arena_release(&arena);
}

static void read_with_faults(void *ctx)
{
    struct tars_chroma_record out;
    struct tars_arena arena;
    tars_status status;

    (void)ctx;
    tars_arena_init(&arena, ARENA_MAX);
    status = tars_chroma_record_read("doc_1_chunk_2", REFERENCE, &arena, &out, NULL);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_arena_release(&arena);
}

static void without_memory(void **state)
{
    (void)state;
    assert_true(faults_each(read_with_faults, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read),
        cmocka_unit_test(the_rest_of_it),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
