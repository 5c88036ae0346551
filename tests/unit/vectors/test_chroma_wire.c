/* The bytes of ChromaDB: requests as its servers take them, replies as those of both kinds give
 * them and as they should not, at the end of readable memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "support/faults.h"
#include "support/guard.h"
#include "vectors/chroma_wire.h"

#define ARENA_MAX ((size_t)1 << 20)
#define UUID      "08952bb4-f4ae-4bb2-8605-a07f49c638d5"

/* ----------------------------------------------------------------- requests */

static void write_new_v2(struct tars_buf *out)
{
    tars_chroma_write_collection(out, TARS_CHROMA_V2, "a \"b\"", "cosine", "{\"x\":1}");
}

static void write_new_v1(struct tars_buf *out)
{
    tars_chroma_write_collection(out, TARS_CHROMA_V1, "docs", "l2", "{\"x\":1,\"y\":\"}\"}");
}

static void write_description(struct tars_buf *out)
{
    tars_chroma_write_metadata(out, "{\"x\":1}");
}

static const float vectors[] = {.5F, -1, 1.0F / 3, 1e-20F};

static void write_two_rows(struct tars_buf *out)
{
    const struct tars_chroma_row rows[] = {
        {.id = "a", .vector = vectors, .metadata = "{\"n\":1}"},
        {.id = "b\n", .vector = vectors + 2, .metadata = "{\"n\":2}"},
    };

    tars_chroma_write_rows(out, rows, 2, 2);
}

static void write_texts(struct tars_buf *out)
{
    const struct tars_chroma_row rows[] = {
        {.id = "a", .vector = vectors, .metadata = "{}", .text = "x\0y", .text_len = 3}};

    tars_chroma_write_rows(out, rows, 1, 1);
}

static const char *const ids[] = {"a", "b"};

static void write_delete_ids(struct tars_buf *out)
{
    tars_chroma_write_delete(out, &(struct tars_chroma_wish){.ids = ids, .id_count = 2});
}

static void write_delete_where(struct tars_buf *out)
{
    tars_chroma_write_delete(out, &(struct tars_chroma_wish){.where = "{\"n\":{\"$gte\":1}}"});
}

static void write_page(struct tars_buf *out)
{
    tars_chroma_write_get(out, &(struct tars_chroma_wish){.limit = 10,
                                                          .offset = 20,
                                                          .include = TARS_CHROMA_VECTORS |
                                                                     TARS_CHROMA_TEXTS |
                                                                     TARS_CHROMA_METADATA});
}

static void write_names(struct tars_buf *out)
{
    tars_chroma_write_get(out, &(struct tars_chroma_wish){.ids = ids, .id_count = 1});
}

static void write_question(struct tars_buf *out)
{
    tars_chroma_write_query(out, vectors, 2, 5, "{\"c\":{\"$in\":[\"x\"]}}");
}

static void write_open_question(struct tars_buf *out)
{
    tars_chroma_write_query(out, vectors, 1, 5, NULL);
}

static void requests(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*write)(struct tars_buf *out);
        const char *json;
    } rows[] = {
        {"a collection, v2", write_new_v2,
         "{\"name\":\"a \\\"b\\\"\",\"get_or_create\":true,\"metadata\":{\"x\":1},"
         "\"configuration\":{\"hnsw\":{\"space\":\"cosine\",\"max_neighbors\":16,"
         "\"ef_construction\":200,\"ef_search\":200}}}"},
        {"a collection, v1", write_new_v1,
         "{\"name\":\"docs\",\"get_or_create\":true,\"metadata\":{\"x\":1,\"y\":\"}\","
         "\"hnsw:space\":\"l2\",\"hnsw:M\":16,\"hnsw:construction_ef\":200,\"hnsw:search_ef\":200}"
         "}"},
        {"metadata", write_description, "{\"new_metadata\":{\"x\":1}}"},
        {"rows", write_two_rows,
         "{\"ids\":[\"a\",\"b\\n\"],\"embeddings\":[[0.5,-1],[0.333333343,9.99999968e-21]],"
         "\"metadatas\":[{\"n\":1},{\"n\":2}]}"},
        {"rows with texts", write_texts,
         "{\"ids\":[\"a\"],\"embeddings\":[[0.5]],\"metadatas\":[{}],\"documents\":[\"x\\u0000y\"]"
         "}"},
        {"delete ids", write_delete_ids, "{\"ids\":[\"a\",\"b\"]}"},
        {"delete where", write_delete_where, "{\"where\":{\"n\":{\"$gte\":1}}}"},
        {"a page", write_page,
         "{\"limit\":10,\"offset\":20,\"include\":[\"embeddings\",\"documents\",\"metadatas\"]}"},
        {"names", write_names, "{\"ids\":[\"a\"],\"include\":[]}"},
        {"a question", write_question,
         "{\"query_embeddings\":[[0.5,-1]],\"n_results\":5,\"where\":{\"c\":{\"$in\":[\"x\"]}},"
         "\"include\":[\"distances\"]}"},
        {"a question without bounds", write_open_question,
         "{\"query_embeddings\":[[0.5]],\"n_results\":5,\"include\":[\"distances\"]}"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_buf out;

        print_message("  %s\n", rows[i].name);
        tars_buf_init(&out, 1000);
        rows[i].write(&out);
        assert_int_equal(out.status, TARS_OK);
        assert_string_equal(out.ptr, rows[i].json);
        tars_buf_release(&out);
        tars_buf_init(&out, 10);
        rows[i].write(&out);
        assert_int_equal(out.status, TARS_ETOOBIG);
        tars_buf_release(&out);
    }
    assert_string_equal(tars_chroma_api_text(TARS_CHROMA_V2), "v2");
    assert_string_equal(tars_chroma_api_text(TARS_CHROMA_V1), "v1");
}

/* -------------------------------------------------------------- collections */

static const struct {
    const char *name, *json;
    const char *space; /* NULL: TARS_EFORMAT */
    size_t dim;
    const char *metadata;
} described[] = {
    {"1.x",
     "{\"id\":\"" UUID "\",\"name\":\"a\",\"configuration_json\":{\"hnsw\":{\"space\":\"cosine\"},"
     "\"spann\":null},\"metadata\":{\"seq\":7,\"t\":\"x\"},\"dimension\":384,\"version\":0}",
     "cosine", 384, "{\"seq\":7,\"t\":\"x\"}"},
    {"1.x, spann",
     "{\"id\":\"" UUID "\",\"configuration_json\":{\"hnsw\":null,\"spann\":{\"space\":\"ip\"}},"
     "\"metadata\":null,\"dimension\":null}",
     "ip", 0, "{}"},
    {"0.5.x",
     "{\"id\":\"" UUID "\",\"configuration_json\":{\"hnsw_configuration\":{\"space\":\"l2\"}},"
     "\"metadata\":{\"hnsw:space\":\"cosine\"},\"dimension\":2}",
     "cosine", 2, "{\"hnsw:space\":\"cosine\"}"},
    {"it does not say how it measures", "{\"id\":\"" UUID "\"}", "", 0, "{}"},
    {"no id", "{\"name\":\"a\"}", NULL, 0, NULL},
    {"an id that leads elsewhere", "{\"id\":\"../../../../../../../../../heartbeat\"}", NULL, 0,
     NULL},
    {"an id that is almost one", "{\"id\":\"08952bb4-f4ae-4bb2-8605-a07f49c638dg\"}", NULL, 0,
     NULL},
    {"an id with a NUL", "{\"id\":\"08952bb4-f4ae-4bb2-8605-a07f49c638d\\u0000\"}", NULL, 0, NULL},
    {"a dimension below 0", "{\"id\":\"" UUID "\",\"dimension\":-1}", NULL, 0, NULL},
    {"a dimension out of all bounds", "{\"id\":\"" UUID "\",\"dimension\":16385}", NULL, 0, NULL},
    {"a list", "[]", NULL, 0, NULL},
    {"a name twice", "{\"id\":\"" UUID "\",\"id\":\"" UUID "\"}", NULL, 0, NULL},
    {"not JSON", "<html>", NULL, 0, NULL},
    {"empty", "", NULL, 0, NULL},
};

static void collections(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(described) / sizeof(described[0]); i++) {
        struct guard guard = guard_copy(described[i].json, strlen(described[i].json));
        struct tars_chroma_collection out = {.dim = 99};
        struct tars_err err = {""};
        struct tars_arena arena;
        tars_status status;

        print_message("  %s\n", described[i].name);
        tars_arena_init(&arena, ARENA_MAX);
        status = tars_chroma_read_collection(tars_span(guard.ptr, strlen(described[i].json)),
                                             &arena, &out, &err);
        if (described[i].space) {
            assert_int_equal(status, TARS_OK);
            assert_string_equal(out.id, UUID);
            assert_string_equal(out.space, described[i].space);
            assert_int_equal(out.dim, described[i].dim);
            assert_string_equal(out.metadata, described[i].metadata);
        } else {
            assert_int_equal(status, TARS_EFORMAT);
            assert_int_equal(out.dim, 99);
            assert_true(err.text[0] != '\0');
        }
        tars_arena_release(&arena);
        guard_free(&guard);
    }
}

/* ------------------------------------------------------------------- numbers */

static void counts_and_limits(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        long count, limit; /* -1: TARS_EFORMAT */
    } rows[] = {
        {"0", 0, -1},
        {"12", 12, -1},
        {"-1", -1, -1},
        {"1.5", -1, -1},
        {"\"1\"", -1, -1},
        {"null", -1, -1},
        {"12 13", -1, -1},
        {"99999999999999999999", -1, -1},
        {"{\"max_batch_size\":5461,\"supports_base64_encoding\":true}", -1, 5461},
        {"{}", -1, 0},
        {"{\"max_batch_size\":-5}", -1, -1},
        {"{\"max_batch_size\":\"5\"}", -1, -1},
        {"", -1, -1},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct guard guard = guard_copy(rows[i].json, strlen(rows[i].json));
        struct tars_span body = tars_span(guard.ptr, strlen(rows[i].json));
        size_t number = 77;

        print_message("  %s\n", rows[i].json);
        assert_int_equal(tars_chroma_read_count(body, &number, NULL),
                         rows[i].count < 0 ? TARS_EFORMAT : TARS_OK);
        assert_int_equal(number, rows[i].count < 0 ? 77 : rows[i].count);
        number = 77;
        assert_int_equal(tars_chroma_read_limit(body, &number, NULL),
                         rows[i].limit < 0 ? TARS_EFORMAT : TARS_OK);
        assert_int_equal(number, rows[i].limit < 0 ? 77 : rows[i].limit);
        guard_free(&guard);
    }
}

/* ---------------------------------------------------------------------- rows */

#define ALL (TARS_CHROMA_VECTORS | TARS_CHROMA_TEXTS | TARS_CHROMA_METADATA)

static const struct {
    const char *name, *json;
    size_t max;
    unsigned include;
    long count; /* -1: TARS_EFORMAT */
    size_t dim;
} pages[] = {
    {"1.x",
     "{\"ids\":[\"y\",\"z\"],\"embeddings\":[[0.0,1.0],[0.6,0.8]],\"documents\":[null,\"t\"],"
     "\"uris\":null,\"metadatas\":[{\"c\":\"b\"},null],\"include\":[]}",
     2, ALL, 2, 2},
    {"0.5.x, ids alone",
     "{\"ids\":[\"x\"],\"embeddings\":null,\"documents\":null,\"data\":null,\"metadatas\":null}", 9,
     0, 1, 0},
    {"none", "{\"ids\":[],\"embeddings\":[],\"documents\":[],\"metadatas\":[]}", 2, ALL, 0, 0},
    {"a text with a NUL", "{\"ids\":[\"x\"],\"documents\":[\"a\\u0000b\"]}", 2, TARS_CHROMA_TEXTS,
     1, 0},
    {"whole numbers", "{\"ids\":[\"x\"],\"embeddings\":[[1,0]]}", 2, TARS_CHROMA_VECTORS, 1, 2},
    {"more than asked for", "{\"ids\":[\"x\",\"y\"]}", 1, 0, -1, 0},
    {"no ids", "{\"embeddings\":[[1]]}", 2, TARS_CHROMA_VECTORS, -1, 0},
    {"an id that is a number", "{\"ids\":[1]}", 2, 0, -1, 0},
    {"an id with a NUL", "{\"ids\":[\"a\\u0000\"]}", 2, 0, -1, 0},
    {"fewer vectors", "{\"ids\":[\"x\",\"y\"],\"embeddings\":[[1]]}", 2, TARS_CHROMA_VECTORS, -1,
     0},
    {"no vectors", "{\"ids\":[\"x\"],\"embeddings\":null}", 2, TARS_CHROMA_VECTORS, -1, 0},
    {"vectors without numbers", "{\"ids\":[\"x\"],\"embeddings\":[[]]}", 2, TARS_CHROMA_VECTORS, -1,
     0},
    {"vectors of two lengths", "{\"ids\":[\"x\",\"y\"],\"embeddings\":[[1,2],[1]]}", 2,
     TARS_CHROMA_VECTORS, -1, 0},
    {"a vector of text", "{\"ids\":[\"x\"],\"embeddings\":[[\"1\"]]}", 2, TARS_CHROMA_VECTORS, -1,
     0},
    {"a vector out of all bounds", "{\"ids\":[\"x\"],\"embeddings\":[[1e300]]}", 2,
     TARS_CHROMA_VECTORS, -1, 0},
    {"one vector is none", "{\"ids\":[\"x\",\"y\"],\"embeddings\":[[1],null]}", 2,
     TARS_CHROMA_VECTORS, -1, 0},
    {"fewer texts", "{\"ids\":[\"x\",\"y\"],\"documents\":[\"a\"]}", 2, TARS_CHROMA_TEXTS, -1, 0},
    {"a text that is a number", "{\"ids\":[\"x\"],\"documents\":[5]}", 2, TARS_CHROMA_TEXTS, -1, 0},
    {"metadata that is a list", "{\"ids\":[\"x\"],\"metadatas\":[[]]}", 2, TARS_CHROMA_METADATA, -1,
     0},
    {"cut", "{\"ids\":[\"x\"", 2, 0, -1, 0},
    {"a refusal", "{\"error\":\"x\"}", 2, 0, -1, 0},
    {"null", "null", 2, 0, -1, 0},
};

static void rows_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        struct guard guard = guard_copy(pages[i].json, strlen(pages[i].json));
        struct tars_chroma_rows rows = {.count = 77};
        struct tars_err err = {""};
        struct tars_arena arena;
        tars_status status;

        print_message("  %s\n", pages[i].name);
        tars_arena_init(&arena, ARENA_MAX);
        status = tars_chroma_read_rows(tars_span(guard.ptr, strlen(pages[i].json)), pages[i].max,
                                       pages[i].include, &arena, &rows, &err);
        assert_int_equal(status, pages[i].count < 0 ? TARS_EFORMAT : TARS_OK);
        assert_int_equal(rows.count, pages[i].count < 0 ? 77 : pages[i].count);
        assert_int_equal(err.text[0] != '\0', pages[i].count < 0);
        if (status == TARS_OK)
            assert_int_equal(rows.dim, pages[i].dim);
        tars_arena_release(&arena);
        guard_free(&guard);
    }
}

static void a_row_is_whole(void **state)
{
    (void)state;
    struct tars_chroma_rows rows;
    struct tars_arena arena;

    tars_arena_init(&arena, ARENA_MAX);
    assert_int_equal(
        tars_chroma_read_rows(tars_span_of(pages[0].json), 2, ALL, &arena, &rows, NULL), TARS_OK);
    assert_string_equal(rows.items[0].id, "y");
    assert_null(rows.items[0].text);
    assert_string_equal(rows.items[0].metadata, "{\"c\":\"b\"}");
    assert_true(rows.items[1].vector[1] == 0.8F);
    assert_string_equal(rows.items[1].text, "t");
    assert_int_equal(rows.items[1].text_len, 1);
    assert_null(rows.items[1].metadata);
    assert_int_equal(tars_chroma_read_rows(tars_span_of(pages[3].json), 2, TARS_CHROMA_TEXTS,
                                           &arena, &rows, NULL),
                     TARS_OK);
    assert_int_equal(rows.items[0].text_len, 3);
    assert_memory_equal(rows.items[0].text, "a\0b", 4);
    tars_arena_release(&arena);
}

/* ---------------------------------------------------------------------- hits */

static void hits_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *name, *json;
        long count; /* -1: TARS_EFORMAT */
    } rows[] = {
        {"1.x",
         "{\"ids\":[[\"x\",\"z\"]],\"embeddings\":null,\"distances\":[[0.0,0.39999998]],"
         "\"include\":[]}",
         2},
        {"none", "{\"ids\":[[]],\"distances\":[[]]}", 0},
        {"one without a distance", "{\"ids\":[[\"x\",\"y\"]],\"distances\":[[null,1]]}", 1},
        {"too many", "{\"ids\":[[\"x\",\"y\",\"z\"]],\"distances\":[[0,1,2]]}", -1},
        {"of two questions", "{\"ids\":[[\"x\"],[\"y\"]],\"distances\":[[0],[1]]}", -1},
        {"of no question", "{\"ids\":[],\"distances\":[]}", -1},
        {"no distances", "{\"ids\":[[\"x\"]],\"distances\":null}", -1},
        {"fewer distances", "{\"ids\":[[\"x\",\"y\"]],\"distances\":[[1]]}", -1},
        {"a distance of text", "{\"ids\":[[\"x\"]],\"distances\":[[\"0\"]]}", -1},
        {"a distance out of all bounds", "{\"ids\":[[\"x\"]],\"distances\":[[-1e99]]}", -1},
        {"an id that is none", "{\"ids\":[[{}]],\"distances\":[[1]]}", -1},
        {"not JSON", "busy", -1},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct guard guard = guard_copy(rows[i].json, strlen(rows[i].json));
        struct tars_chroma_hits hits = {.count = 77};
        struct tars_err err = {""};
        struct tars_arena arena;

        print_message("  %s\n", rows[i].name);
        tars_arena_init(&arena, ARENA_MAX);
        assert_int_equal(tars_chroma_read_hits(tars_span(guard.ptr, strlen(rows[i].json)), 2,
                                               &arena, &hits, &err),
                         rows[i].count < 0 ? TARS_EFORMAT : TARS_OK);
        assert_int_equal(hits.count, rows[i].count < 0 ? 77 : rows[i].count);
        assert_int_equal(err.text[0] != '\0', rows[i].count < 0);
        tars_arena_release(&arena);
        guard_free(&guard);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *json, *said;
    } rows[] = {
        {"{\"error\":\"NotFoundError\",\"message\":\"Collection [a] does not exist\"}",
         "Collection [a] does not exist"},
        {"{\"error\":\"InvalidDimension\"}", "InvalidDimension"},
        {"{\"detail\":\"Forbidden\"}", "Forbidden"},
        {"{\"message\":\"\",\"error\":\"x\"}", "x"},
        {"busy\n\x1b[31m\xff", "busy  [31m "},
        {"", ""},
    };
    char said[40];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct guard guard = guard_copy(rows[i].json, strlen(rows[i].json));

        tars_chroma_read_refusal(tars_span(guard.ptr, strlen(rows[i].json)), said, sizeof(said));
        assert_string_equal(said, rows[i].said);
        guard_free(&guard);
    }
    tars_chroma_read_refusal(tars_span_of("0123456789"), said, 5);
    assert_string_equal(said, "0123");
}

/* --------------------------------------------------------------- no memory */

static void read_with_faults(void *ctx)
{
    struct tars_chroma_collection collection;
    struct tars_chroma_rows rows;
    struct tars_chroma_hits hits;
    struct tars_arena arena;
    tars_status status;

    (void)ctx;
    tars_arena_init(&arena, ARENA_MAX);
    status = tars_chroma_read_rows(tars_span_of(pages[0].json), 2, ALL, &arena, &rows, NULL);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_arena_release(&arena);
    tars_arena_init(&arena, ARENA_MAX);
    status = tars_chroma_read_hits(tars_span_of("{\"ids\":[[\"x\"]],\"distances\":[[1]]}"), 2,
                                   &arena, &hits, NULL);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_arena_release(&arena);
    tars_arena_init(&arena, ARENA_MAX);
    status = tars_chroma_read_collection(
        tars_span_of("{\"id\":\"" UUID "\",\"metadata\":{\"x\":1}}"), &arena, &collection, NULL);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_arena_release(&arena);
}

static void without_memory(void **state)
{
    (void)state;
    assert_true(faults_each(read_with_faults, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),          cmocka_unit_test(collections),
        cmocka_unit_test(counts_and_limits), cmocka_unit_test(rows_are_read),
        cmocka_unit_test(a_row_is_whole),    cmocka_unit_test(hits_are_read),
        cmocka_unit_test(refusals),          cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
