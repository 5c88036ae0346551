/* Unit tests of api/export_path and api/analytics_csv. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/analytics_csv.h"
#include "api/export_path.h"
#include "base/sys/file.h"
#include "support/files.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

struct world {
    char dir[FILES_PATH_MAX];
    char root[FILES_PATH_MAX + 16];
    struct tars_arena arena;
};

static int set_up(void **state)
{
    static struct world world;

    files_make_dir(world.dir);
    (void)snprintf(world.root, sizeof(world.root), "%s/exports", world.dir);
    tars_arena_init(&world.arena, (size_t)1 << 20);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    tars_arena_release(&world->arena);
    files_remove_dir(world->dir);
    return 0;
}

static const char *in(struct world *world, const char *folder, const char *name)
{
    return tars_arena_printf(&world->arena, "%s/%s", folder, name);
}

static void assert_content(const char *path, const char *expected)
{
    struct tars_buf bytes;

    tars_buf_init(&bytes, 4096);
    assert_int_equal(tars_file_read(path, &bytes, NULL), TARS_OK);
    assert_string_equal(bytes.ptr, expected);
    tars_buf_release(&bytes);
}

static tars_status export_text(struct world *world, const char *wanted, const char *text)
{
    struct tars_export file;
    struct tars_err err = {{0}};
    tars_status status = tars_export_begin(world->root, wanted, &world->arena, &file, &err);

    if (status != TARS_OK) {
        assert_true(err.text[0] != '\0');
        return status;
    }
    status = tars_export_write(&file, text, strlen(text), NULL);
    return tars_export_end(&file, status, NULL);
}

static void paths_inside_are_taken(void **state)
{
    struct world *world = *state;

    assert_int_equal(export_text(world, "a.csv", "one"), TARS_OK);
    assert_content(in(world, world->root, "a.csv"), "one");
    assert_int_equal(export_text(world, "a.csv", "two"), TARS_OK);
    assert_content(in(world, world->root, "a.csv"), "two");
    assert_int_equal(export_text(world, "2026/jan/b.JSON", "three"), TARS_OK);
    assert_content(in(world, world->root, "2026/jan/b.JSON"), "three");
    assert_int_equal(export_text(world, in(world, world->root, "c.json"), "four"), TARS_OK);
    assert_content(in(world, world->root, "c.json"), "four");
}

static void paths_outside_are_refused(void **state)
{
    static const char *const table[] = {
        "",         "/",          ".csv",      "a.txt",      "a",          "a.csv/",
        "../a.csv", "x/../a.csv", "..",        "/etc/a.csv", "/tmp/a.csv", ".hidden.csv",
        ".x/a.csv", "a\\b.csv",   "/../a.csv", "csv",        "a.csv.exe",  "a..csv",
    };
    struct world *world = *state;

    for (size_t i = 0; i < ROWS(table); i++) {
        if (export_text(world, table[i], "x") != TARS_EINVAL)
            fail_msg("%s", table[i]);
    }
    assert_int_equal(export_text(world, in(world, world->dir, "exports-too.csv"), "x"),
                     TARS_EINVAL);
    assert_int_equal(export_text(world, in(world, world->root, "../x.csv"), "x"), TARS_EINVAL);
}

static void links_lead_nowhere(void **state)
{
    struct world *world = *state;
    const char *victim = in(world, world->dir, "victim.csv");

    assert_int_equal(export_text(world, "a.csv", "x"), TARS_OK);
    files_write(world->dir, "victim.csv", "mine", 4, (char[FILES_PATH_MAX]){0});
    assert_int_equal(symlink(world->dir, in(world, world->root, "out")), 0);
    assert_int_equal(symlink(victim, in(world, world->root, "link.csv")), 0);
    assert_int_equal(mkdir(in(world, world->root, "folder.csv"), 0700), 0);
    assert_int_equal(export_text(world, "out/victim.csv", "x"), TARS_EINVAL);
    assert_int_equal(export_text(world, "link.csv", "x"), TARS_EINVAL);
    assert_int_equal(export_text(world, "folder.csv", "x"), TARS_EINVAL);
    assert_int_equal(export_text(world, "a.csv/b.csv", "x"), TARS_EINVAL);
    assert_content(victim, "mine");
}

static void a_folder_goes_with_all_that_is_in_it(void **state)
{
    struct world *world = *state;
    const char *gone = in(world, world->root, "gone");

    assert_int_equal(tars_export_forget(gone, NULL), TARS_OK); /* there is none */
    assert_int_equal(export_text(world, "stays.csv", "a"), TARS_OK);
    assert_int_equal(export_text(world, "gone/deep/er.csv", "b"), TARS_OK);
    assert_int_equal(symlink(world->root, in(world, gone, "link")), 0);
    assert_int_equal(tars_export_forget(gone, NULL), TARS_OK);
    assert_int_equal(access(gone, F_OK), -1);
    assert_content(in(world, world->root, "stays.csv"), "a");
}

static void a_failure_leaves_the_old_file(void **state)
{
    struct world *world = *state;
    struct tars_export file;

    assert_int_equal(export_text(world, "a.csv", "old"), TARS_OK);
    assert_int_equal(tars_export_begin(world->root, "a.csv", &world->arena, &file, NULL), TARS_OK);
    assert_int_equal(tars_export_write(&file, "new", 3, NULL), TARS_OK);
    assert_int_equal(tars_export_end(&file, TARS_EIO, NULL), TARS_EIO);
    assert_content(in(world, world->root, "a.csv"), "old");
    assert_int_equal(access(in(world, world->root, file.temporary), F_OK), -1);
}

static void rows_are_written_as_the_contract_has_them(void **state)
{
    static const char header[] =
        "query_id,timestamp,client_id,query_text,query_length,retrieval_time_ms,"
        "generation_time_ms,total_time_ms,sources_count,avg_relevance_score,max_relevance_score,"
        "model_used,tokens_generated,used_reranking,used_hybrid_search,used_query_expansion,"
        "expansion_count,success,error_message\r\n";
    const struct tars_logged_query query = {
        .row = {.time_us = INT64_C(1762516800000000),
                .client_id = "desk-1",
                .query_text = "a \"b\",\nc",
                .model_used = "m",
                .retrieval_time_ms = 1.234,
                .generation_time_ms = 20,
                .total_time_ms = 21.239,
                .tokens_generated = 3,
                .used_hybrid_search = true},
        .query_length = 8,
        .sources_count = 2,
        .avg_relevance_score = 0.12345,
        .max_relevance_score = 1,
    };
    const struct tars_logged plain = {.table = TARS_TABLE_QUERIES, .as.query = query};
    struct tars_logged failed = plain;
    struct tars_buf out;
    struct tars_json json;

    (void)state;
    failed.as.query.row.query_text = "x";
    failed.as.query.row.error_message = "it broke";
    failed.as.query.query_id = "q_1";
    tars_buf_init(&out, 4096);
    tars_analytics_csv_names(&out, TARS_TABLE_QUERIES);
    assert_string_equal(out.ptr, header);
    tars_buf_clear(&out);
    tars_analytics_csv(&out, &plain);
    assert_string_equal(out.ptr, "q_1762516800000,2025-11-07T12:00:00,desk-1,\"a \"\"b\"\",\nc\",8,"
                                 "1.23,20.0,21.24,2,0.1235,1.0,m,3,False,True,False,0,True,\r\n");
    tars_buf_clear(&out);
    tars_analytics_csv(&out, &failed);
    assert_non_null(strstr(out.ptr, "q_1,"));
    assert_non_null(strstr(out.ptr, ",False,it broke\r\n"));
    tars_buf_clear(&out);
    tars_json_init(&json, &out);
    tars_analytics_json(&json, &plain);
    assert_non_null(strstr(out.ptr, "\"success\":true,\"error_message\":null}"));
    tars_buf_release(&out);
}

static void other_tables_have_their_columns(void **state)
{
    static const struct {
        const char *names, *csv, *json;
        struct tars_logged row;
    } table[] = {
        {"id,timestamp,query_id,document_id,file_name,chunk_id,relevance_score,rank,collection,"
         "tenant\r\n",
         "7,2025-11-07T12:00:00,3,d,\"a,b.pdf\",,0.5,2,hr,default\r\n",
         "\"chunk_id\":null,\"relevance_score\":0.5,\"rank\":2,",
         {.table = TARS_TABLE_ACCESSES,
          .as.access = {.row = {"d", "a,b.pdf", NULL, "hr", 0.5, 2},
                        .id = 7,
                        .time_us = INT64_C(1762516800000000),
                        .query_id = 3,
                        .tenant = "default"}}},
        {"id,timestamp,error_type,error_message,service,operation,client_id,severity,request_id,"
         "tenant\r\n",
         "8,2025-11-07T12:00:00,TARS_EIO,it broke,,,c,ERROR,r1,default\r\n",
         "\"service\":null,\"operation\":null,\"client_id\":\"c\",",
         {.table = TARS_TABLE_ERRORS,
          .as.error = {.row = {.time_us = INT64_C(1762516800000000),
                               .tenant = "default",
                               .error_type = "TARS_EIO",
                               .error_message = "it broke",
                               .client_id = "c",
                               .request_id = "r1",
                               .severity = "ERROR"},
                       .id = 8}}},
        {"id,timestamp,cpu_usage_percent,memory_usage_percent,gpu_usage_percent,"
         "gpu_memory_usage_percent,cache_hit_rate,avg_query_time_ms,avg_retrieval_time_ms,"
         "avg_generation_time_ms,queries_per_minute,active_connections,total_documents,"
         "total_chunks\r\n",
         "9,2025-11-07T12:00:00,12.5,0.0,,0.0,0.0,0.0,0.0,0.0,0.0,3,,0\r\n",
         "\"gpu_usage_percent\":null,",
         {.table = TARS_TABLE_SYSTEM,
          .as.system = {.row = {.time_us = INT64_C(1762516800000000),
                                .cpu_usage_percent = 12.5,
                                .gpu_usage_percent = NAN,
                                .active_connections = 3,
                                .total_documents = -1},
                        .id = 9}}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct tars_json json;
        struct tars_buf out;

        tars_buf_init(&out, 4096);
        tars_analytics_csv_names(&out, table[i].row.table);
        assert_string_equal(out.ptr, table[i].names);
        tars_buf_clear(&out);
        tars_analytics_csv(&out, &table[i].row);
        assert_string_equal(out.ptr, table[i].csv);
        tars_buf_clear(&out);
        tars_json_init(&json, &out);
        tars_analytics_json(&json, &table[i].row);
        assert_non_null(strstr(out.ptr, table[i].json));
        tars_buf_release(&out);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(paths_inside_are_taken),
        TEST(paths_outside_are_refused),
        TEST(links_lead_nowhere),
        TEST(a_folder_goes_with_all_that_is_in_it),
        TEST(a_failure_leaves_the_old_file),
        TEST(rows_are_written_as_the_contract_has_them),
        TEST(other_tables_have_their_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
