/* manifest: out and in again; whatever is wrong is refused with words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup/manifest.h"
#include "support/faults.h"
#include "support/guard.h"

#define ARENA_MAX ((size_t)64 << 20)
#define HEX       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD                                                                                       \
    "{\"format\":\"tars-backup\",\"version\":1,\"chunk_bytes\":65536,"                             \
    "\"id\":\"20261126T153024.123456Z-1a2b3c4d\",\"time_us\":1,\"program\":\"1\",\"data\":\"/d\"," \
    "\"sequence\":7,\"bytes\":10,\"new_bytes\":1,\"new_objects\":1,\"took_ms\":1,"
#define FILE_OF(name, mode, bytes, lists)                                                  \
    "{\"name\":\"" name "\",\"mode\":" mode ",\"bytes\":" bytes ",\"sha256\":\"" HEX "\"," \
    "\"lists\":[" lists "]}"
#define WITH_FILES(files) HEAD "\"files\":[" files "],\"tables\":[]}"

static tars_status parse(const char *text, size_t len, struct tars_arena *arena,
                         struct tars_manifest *manifest, struct tars_err *err)
{
    struct guard guard = guard_copy(text, len);
    tars_status status = tars_manifest_parse(tars_span(guard.ptr, len), arena, manifest, err);

    guard_free(&guard);
    return status;
}

static void test_round_trip(void **state)
{
    static const struct tars_object_name lists[2] = {{.bytes = {1}}, {.bytes = {2}}};
    const struct tars_manifest_file files[] = {
        {.name = "tars.db",
         .mode = 0600,
         .bytes = (uint64_t)TARS_CHUNK_BYTES * TARS_LIST_NAMES + 1,
         .sha256 = HEX,
         .lists = lists,
         .list_count = 2},
        {.name = "spool/0123abc", .mode = 0400, .sha256 = HEX},
    };
    const struct tars_manifest_table tables[] = {{"tars.db", "documents", 812}};
    const struct tars_manifest manifest = {
        .id = "20261126T153024.123456Z-1a2b3c4d",
        .time_us = 1795707024123456,
        .program = "1.2.3",
        .data = "/srv/\"quoted\" [[[[{{{{ \\[[[[{{{{ \xc3\xa9",
        .sequence = 4711,
        .bytes = 1,
        .new_bytes = 2,
        .new_objects = 3,
        .took_ms = 4,
        .files = files,
        .file_count = 2,
        .tables = tables,
        .table_count = 1,
    };
    struct tars_manifest found;
    struct tars_arena arena;
    struct tars_buf text;
    struct tars_buf again;
    struct tars_err err = {{0}};

    (void)state;
    tars_buf_init(&text, TARS_MANIFEST_BYTES_MAX);
    tars_buf_init(&again, TARS_MANIFEST_BYTES_MAX);
    tars_arena_init(&arena, ARENA_MAX);
    tars_manifest_write(&manifest, &text);
    if (parse(text.ptr, text.len, &arena, &found, &err) != TARS_OK)
        fail_msg("%s", err.text);
    assert_string_equal(found.data, manifest.data);
    assert_int_equal(found.files[0].bytes, files[0].bytes);
    assert_memory_equal(found.files[0].lists, lists, sizeof(lists));
    assert_ptr_equal(tars_manifest_file(&found, "spool/0123abc"), &found.files[1]);
    assert_null(tars_manifest_file(&found, "other"));
    tars_manifest_write(&found, &again);
    assert_true(tars_span_equal(tars_buf_span(&text), tars_buf_span(&again)));
    tars_arena_release(&arena);
    tars_buf_release(&again);
    tars_buf_release(&text);
}

static void test_refused(void **state)
{
    static const struct {
        const char *name, *text;
        tars_status status;
        const char *words;
    } rows[] = {
        {"a good one", WITH_FILES(FILE_OF("a", "384", "10", "\"" HEX "\"")), TARS_OK, ""},
        {"none", HEAD "\"files\":[],\"tables\":[]}", TARS_OK, ""},
        {"empty", "", TARS_EFORMAT, "no JSON"},
        {"no object", "[]", TARS_EFORMAT, "no JSON"},
        {"another format", "{\"format\":\"zip\"}", TARS_EFORMAT, "no JSON of ours"},
        {"newer", "{\"format\":\"tars-backup\",\"version\":2}", TARS_EUNSUPPORTED, "newer"},
        {"cut short", HEAD "\"files\":[", TARS_EFORMAT, "no JSON"},
        {"no files", HEAD "\"tables\":[]}", TARS_EFORMAT, "files"},
        {"key twice", HEAD "\"sequence\":8,\"files\":[],\"tables\":[]}", TARS_EFORMAT, "no JSON"},
        {"up", WITH_FILES(FILE_OF("../a", "384", "0", "")), TARS_EFORMAT, "name of a file"},
        {"up below", WITH_FILES(FILE_OF("a/..", "384", "0", "")), TARS_EFORMAT, "name of a file"},
        {"absolute", WITH_FILES(FILE_OF("/etc/x", "384", "0", "")), TARS_EFORMAT, "name of a file"},
        {"deep", WITH_FILES(FILE_OF("a/b/c", "384", "0", "")), TARS_EFORMAT, "name of a file"},
        {"hidden", WITH_FILES(FILE_OF(".restoring", "384", "0", "")), TARS_EFORMAT, "name of"},
        {"slash last", WITH_FILES(FILE_OF("a/", "384", "0", "")), TARS_EFORMAT, "name of a file"},
        {"two slashes", WITH_FILES(FILE_OF("a//b", "384", "0", "")), TARS_EFORMAT, "name of a"},
        {"NUL", WITH_FILES(FILE_OF("a\\u0000b", "384", "0", "")), TARS_EFORMAT, ""},
        {"space", WITH_FILES(FILE_OF("a b", "384", "0", "")), TARS_EFORMAT, "name of a file"},
        {"no name", WITH_FILES(FILE_OF("", "384", "0", "")), TARS_EFORMAT, "name of a file"},
        {"for all", WITH_FILES(FILE_OF("a", "420", "0", "")), TARS_EFORMAT, "mode"},
        {"to be run", WITH_FILES(FILE_OF("a", "448", "0", "")), TARS_EFORMAT, "mode"},
        {"not to be read", WITH_FILES(FILE_OF("a", "128", "0", "")), TARS_EFORMAT, "mode"},
        {"setuid", WITH_FILES(FILE_OF("a", "2432", "0", "")), TARS_EFORMAT, "mode"},
        {"negative", WITH_FILES(FILE_OF("a", "384", "-1", "")), TARS_EFORMAT, "bytes"},
        {"huge", WITH_FILES(FILE_OF("a", "384", "9000000000000000000", "")), TARS_EFORMAT, "bytes"},
        {"a real", WITH_FILES(FILE_OF("a", "384", "1.5", "")), TARS_EFORMAT, "bytes"},
        {"too few lists", WITH_FILES(FILE_OF("a", "384", "10", "")), TARS_EFORMAT, "lists"},
        {"too many", WITH_FILES(FILE_OF("a", "384", "0", "\"" HEX "\"")), TARS_EFORMAT, "lists"},
        {"no hex", WITH_FILES(FILE_OF("a", "384", "10", "\"zz\"")), TARS_EFORMAT, "of a list"},
        {"twice", WITH_FILES(FILE_OF("a", "384", "0", "") "," FILE_OF("a", "384", "0", "")),
         TARS_EFORMAT, "twice"},
        {"deep JSON", "[[[[[[[[[[[[]]]]]]]]]]]]", TARS_EFORMAT, "no JSON"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_arena arena;
        struct tars_manifest manifest;
        struct tars_err err = {{0}};
        tars_status status;

        tars_arena_init(&arena, ARENA_MAX);
        status = parse(rows[i].text, strlen(rows[i].text), &arena, &manifest, &err);
        if (status != rows[i].status || !strstr(err.text, rows[i].words))
            fail_msg("%s: %s, \"%s\"", rows[i].name, tars_status_name(status), err.text);
        tars_arena_release(&arena);
    }
}

static void test_ids(void **state)
{
    static const struct {
        const char *id;
        bool good;
    } rows[] = {
        {"20261126T153024.123456Z-1a2b3c4d", true},   {"20261126T153024.123456Z-1a2b3c4", false},
        {"20261126T153024.123456Z-1a2b3c4dx", false}, {"20261126T153024.123456Z-1A2B3C4D", false},
        {"../61126T153024.123456Z-1a2b3c4d", false},  {"", false},
    };
    static const unsigned char random[4] = {0x1a, 0x2b, 0x3c, 0x4d};
    char id[TARS_BACKUP_ID_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (tars_backup_id_is_valid(rows[i].id) != rows[i].good)
            fail_msg("%s", rows[i].id);
    }
    tars_backup_id(1795707024123456, random, id);
    assert_string_equal(id, "20261126T153024.123456Z-1a2b3c4d");
}

static void test_counts(void **state)
{
    static const struct {
        uint64_t bytes, chunks;
        size_t lists;
    } rows[] = {
        {0, 0, 0},
        {1, 1, 1},
        {65536, 1, 1},
        {65537, 2, 1},
        {(uint64_t)65536 * 2048, 2048, 1},
        {(uint64_t)65536 * 2048 + 1, 2049, 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(tars_backup_chunks(rows[i].bytes), rows[i].chunks);
        assert_int_equal(tars_backup_lists(rows[i].bytes), rows[i].lists);
    }
}

static void parse_all(void *ctx)
{
    static const char text[] = WITH_FILES(FILE_OF("a", "384", "10", "\"" HEX "\""));
    struct tars_arena arena;
    struct tars_manifest manifest;

    (void)ctx;
    tars_arena_init(&arena, ARENA_MAX);
    if (tars_manifest_parse(tars_span(text, sizeof(text) - 1), &arena, &manifest, NULL) != TARS_OK)
        assert_true(faults_happened());
    tars_arena_release(&arena);
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(faults_each(parse_all, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ids),        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
