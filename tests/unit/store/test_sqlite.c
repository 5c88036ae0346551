/* What is particular to the SQLite back end: the lock, foreign and newer files, no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/accounts.h"
#include "store/conversations.h"
#include "store/lock.h"
#include "store/migrate.h"
#include "store/store_sqlite.h"
#include "support/faults.h"
#include "support/files.h"

static int set_up(void **state)
{
    static char dir[FILES_PATH_MAX];

    files_make_dir(dir);
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    files_remove_dir(*state);
    return 0;
}

static tars_status open_dir(const char *dir, struct tars_store **store, struct tars_err *err)
{
    struct tars_store_sqlite_config config = {.dir = dir};

    return tars_store_sqlite_open(&config, store, err);
}

/* Run sql on dir/tars.db, behind the store's back. */
static void spoil(const char *dir, const char *sql)
{
    char path[FILES_PATH_MAX + 16];
    sqlite3 *db = NULL;

    (void)snprintf(path, sizeof(path), "%s/tars.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void the_folder_has_one_owner(void **state)
{
    struct tars_store *store = NULL;
    struct tars_store *second = NULL;
    struct tars_err err = {.text = ""};
    char pid[32];

    assert_int_equal(open_dir(*state, &store, NULL), TARS_OK);
    assert_int_equal(open_dir(*state, &second, &err), TARS_EBUSY);
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    assert_non_null(strstr(err.text, pid));
    tars_store_close(store);
    assert_int_equal(open_dir(*state, &second, NULL), TARS_OK);
    tars_store_close(second);
    tars_store_close(NULL);
}

static void foreign_files_are_refused(void **state)
{
    static const struct {
        const char *sql;
        tars_status status;
        const char *words;
    } rows[] = {
        {"CREATE TABLE other (a)", TARS_EFORMAT, "another data folder"},
        {"PRAGMA application_id=1413567059; PRAGMA user_version=9999", TARS_EMISMATCH, "newer"},
    };
    char noise[8192];
    char path[FILES_PATH_MAX];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char dir[FILES_PATH_MAX];
        struct tars_store *store = NULL;
        struct tars_err err = {.text = ""};

        files_make_dir(dir);
        spoil(dir, rows[i].sql);
        assert_int_equal(open_dir(dir, &store, &err), rows[i].status);
        assert_non_null(strstr(err.text, rows[i].words));
        files_remove_dir(dir);
    }
    memset(noise, 'x', sizeof(noise));
    files_write(*state, "tars.db", noise, sizeof(noise), path);
    {
        struct tars_store *store = NULL;
        struct tars_err err = {.text = ""};

        assert_int_equal(open_dir(*state, &store, &err), TARS_EFORMAT);
        assert_non_null(strstr(err.text, "restore a backup"));
    }
}

static void contradictions_are_found(void **state)
{
    static const char *const sqls[] = {
        "INSERT INTO files (id, collection, path) VALUES (1, 'c', 'p'); INSERT INTO documents "
        "VALUES (1, 'd', 1, '', 1, '', '', '', 0, 0, '', 0, 0, 0, 0, 0, 0, '', 5, 2)",
        "INSERT INTO passages (document, chunk_index, kind, language, page_first, page_last, "
        "token_count, char_start, char_end, section, text) "
        "VALUES (77, 0, 0, 0, 0, 0, 0, 0, 0, '', '')",
        "INSERT INTO changes (op, document_id, first, last) VALUES (1, 'd', 3, 3), (1, 'd', 3, 3)",
        "INSERT INTO files (collection, path) VALUES ('nowhere', '/a')",
        "INSERT INTO collection_sizes (key, documents) VALUES ('x', 3)",
        "INSERT INTO tenants (name) VALUES ('bare')",
        "INSERT INTO tenants (id, name) VALUES (9, 'b'); INSERT INTO collections (id, tenant, "
        "name, "
        "key) VALUES (9, 9, 'default', 'b/default'); INSERT INTO accounts (id, tenant, name, kind, "
        "role) VALUES (9, 1, 'a', 1, 1); INSERT INTO grants VALUES (9, 9, 0)",
        "INSERT INTO conversations (tenant, conversation_id, client, title, created_us, "
        "updated_us, "
        "message_count) VALUES (1, 'c', 'a', '', 0, 0, 2)",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sqls) / sizeof(sqls[0]); i++) {
        char dir[FILES_PATH_MAX];
        struct tars_store *store = NULL;
        struct tars_err err = {.text = ""};

        files_make_dir(dir);
        assert_int_equal(open_dir(dir, &store, NULL), TARS_OK);
        assert_int_equal(tars_store_check(store, NULL), TARS_OK);
        tars_store_close(store);
        spoil(dir, sqls[i]);
        assert_int_equal(open_dir(dir, &store, NULL), TARS_OK);
        assert_int_equal(tars_store_check(store, &err), TARS_EFORMAT);
        assert_non_null(strstr(err.text, "contradicts"));
        tars_store_close(store);
        files_remove_dir(dir);
    }
}

static void bad_configs_are_refused(void **state)
{
    struct tars_store_sqlite_config rows[] = {
        {.dir = NULL},
        {.dir = ""},
        {.dir = *state, .readers = TARS_SQLITE_READERS_MAX + 1},
        {.dir = *state, .vfs = "no such vfs"},
    };
    struct tars_store *store = NULL;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_not_equal(tars_store_sqlite_open(&rows[i], &store, NULL), TARS_OK);
    assert_int_not_equal(open_dir("/proc/nowhere", &store, NULL), TARS_OK);
}

static tars_status count_run(void *ctx, const struct tars_migration *migration,
                             struct tars_err *err)
{
    int *last = ctx;

    (void)err;
    if (migration->version == 3)
        return TARS_EIO;
    *last = migration->version;
    return TARS_OK;
}

static void migrations_run_in_order_and_stop_at_a_failure(void **state)
{
    static const struct tars_migration table[] = {
        {1, "a", ""}, {2, "b", ""}, {3, "c", ""}, {0, NULL, NULL}};
    int last = 0;

    (void)state;
    assert_int_equal(tars_migrate_latest(table), 3);
    assert_int_equal(tars_migrate(table, 3, count_run, &last, NULL), TARS_OK);
    assert_int_equal(last, 0);
    assert_int_equal(tars_migrate(table, 0, count_run, &last, NULL), TARS_EIO);
    assert_int_equal(last, 2);
    assert_int_equal(tars_migrate(table, 4, count_run, &last, NULL), TARS_EMISMATCH);
    assert_true(tars_migrate_latest(tars_migrations_sqlite) >= 1);
}

/* ------------------------------------------------------------------ upgrade */

/* A file as the first version wrote it: documents in two collections, a queued job in a third. */
static void make_first_version(const char *dir)
{
    static const char rows[] =
        "INSERT INTO files VALUES (1, 'tars_documents', '/a', 'aa', 10, 1, 2),"
        " (2, 'My Papers', '/b', 'bb', 20, 1, 3), (3, 'default', '/c', 'cc', 30, 1, 4);"
        "INSERT INTO documents VALUES"
        " (1, 'doc_1', 1, '', 1, 'a', '', '', 0, 0, '', 0, 0, 0, 0, 0, 0, '', 1, 2),"
        " (2, 'doc_2', 2, '', 1, 'b', '', '', 0, 0, '', 0, 0, 0, 0, 0, 0, '', 3, 1),"
        " (3, 'doc_3', 3, '', 1, 'c', '', '', 0, 0, '', 0, 0, 0, 0, 0, 0, '', 0, 0);"
        "INSERT INTO passages VALUES (1, 1, 0, 1, 1, 0, 0, 1, 0, 4, '', 'text'),"
        " (2, 1, 1, 1, 1, 0, 0, 1, 0, 4, '', 'text'), (3, 2, 0, 1, 1, 0, 0, 1, 0, 4, '', 'text');"
        "INSERT INTO changes VALUES (1, 1, 'doc_1', 1, 2), (2, 1, 'doc_2', 3, 3);"
        "INSERT INTO jobs (kind, collection, path) VALUES ('ingest', 'waiting', '/w');"
        "PRAGMA application_id=1413567059; PRAGMA user_version=1";
    char path[FILES_PATH_MAX + 16];
    sqlite3 *db = NULL;

    (void)snprintf(path, sizeof(path), "%s/tars.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(tars_migrations_sqlite[0].version, 1);
    assert_int_equal(sqlite3_exec(db, tars_migrations_sqlite[0].sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_file_of_the_first_version_is_taken_over(void **state)
{
    static const struct {
        const char *key, *name;
        int64_t documents, passages, bytes;
    } rows[] = {
        {"My Papers", "My Papers", 1, 1, 20},
        {"default", "default_1", 1, 0, 30},
        {TARS_COLLECTION, "default", 1, 2, 10},
    };
    struct tars_collection_size *sizes = NULL;
    struct tars_store *store = NULL;
    struct tars_access access = {0};
    struct tars_arena arena;
    size_t count = 0;

    tars_arena_init(&arena, (size_t)1 << 20);
    make_first_version(*state);
    assert_int_equal(open_dir(*state, &store, NULL), TARS_OK);
    assert_int_equal(tars_store_check(store, NULL), TARS_OK);
    assert_int_equal(tars_accounts_load(store, &arena, &access, NULL), TARS_OK);
    assert_int_equal(access.collection_count, 4); /* the fourth has a waiting job alone */
    assert_int_equal(tars_accounts_sizes(store, &arena, &sizes, &count, NULL), TARS_OK);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        bool named = false;

        assert_string_equal(sizes[i].key, rows[i].key);
        assert_int_equal(sizes[i].documents, rows[i].documents);
        assert_int_equal(sizes[i].passages, rows[i].passages);
        assert_int_equal(sizes[i].bytes, rows[i].bytes);
        for (size_t k = 0; k < access.collection_count; k++) {
            named = named || (strcmp(access.collections[k].key, rows[i].key) == 0 &&
                              strcmp(access.collections[k].name, rows[i].name) == 0 &&
                              strcmp(access.collections[k].tenant, TARS_TENANT) == 0);
        }
        assert_true(named);
    }
    tars_store_close(store);
    tars_arena_release(&arena);
}

/* Not even which conversations it had. */
static void nothing_is_left_of_a_tenant(void **state)
{
    const struct tars_tenant acme = {.name = "acme"};
    const struct tars_message message = {.role = "user", .content = "hello"};
    struct tars_store *store = NULL;

    assert_int_equal(open_dir(*state, &store, NULL), TARS_OK);
    assert_int_equal(tars_accounts_tenant_add(store, &acme, NULL), TARS_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tars_conversation_append(store, "acme", "ann", i ? "c1" : "c2", &message,
                                                  1, true, 1, NULL),
                         TARS_OK);
    }
    assert_int_equal(tars_conversation_delete(store, "acme", "ann", "c1", NULL), TARS_OK);
    assert_int_equal(tars_accounts_tenant_remove(store, "acme", NULL), TARS_OK);
    tars_store_close(store);
    spoil(*state, "CREATE TABLE left_over (n INTEGER CHECK (n = 0));"
                  "INSERT INTO left_over SELECT count(*) FROM conversations_deleted;"
                  "DROP TABLE left_over");
}

/* Everything that allocates, once. */
static void use_all(void *ctx)
{
    struct tars_store_document document = {.path = "/a", .external_id = "1", .sha256 = "x"};
    struct tars_store_file file = {.path = "/a", .sha256 = "f", .indexed_us = 1};
    struct tars_store_passage passage = {.section = "s", .text = "text", .text_len = 4};
    struct tars_store_put one = {&document, &passage, 1, false, NULL};
    struct tars_store_batch batch = {&file, &one, 1, 1, true, 0, NULL};
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};
    struct tars_store_changes changes = {0};
    struct tars_store_passages found = {0};
    struct tars_store_jobs jobs = {0};
    struct tars_store_file *files = NULL;
    struct tars_store *store = NULL;
    struct tars_arena arena;
    size_t n = 0;

    tars_arena_init(&arena, (size_t)16 << 20);
    if (open_dir(ctx, &store, NULL)) {
        tars_arena_release(&arena);
        return;
    }
    (void)!tars_store_put(store, &batch, &arena, &changes, NULL);
    (void)!tars_store_jobs_add(store, &job, 1, NULL);
    (void)!tars_store_jobs(store, 0, 0, 1, &arena, &jobs, NULL);
    (void)!tars_store_passage_range(store, 0, UINT64_MAX, 9, TARS_LOAD_TEXT, &arena, &found, NULL);
    (void)!tars_store_files(store, NULL, "/a", &arena, &files, &n, NULL);
    (void)!tars_store_changes(store, 0, 9, &arena, &changes, NULL);
    assert_int_equal(tars_store_check(store, NULL), TARS_OK);
    tars_store_close(store);
    tars_arena_release(&arena);
}

static void no_memory_is_survived(void **state)
{
    assert_true(faults_each(use_all, *state) > 3);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(the_folder_has_one_owner),
        ROW(foreign_files_are_refused),
        ROW(contradictions_are_found),
        ROW(bad_configs_are_refused),
        ROW(a_file_of_the_first_version_is_taken_over),
        ROW(nothing_is_left_of_a_tenant),
        ROW(no_memory_is_survived),
        cmocka_unit_test(migrations_run_in_order_and_stop_at_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
