/* Servers that share a PostgreSQL store, when one hangs, dies or does not hear from the server for
 * a while: who takes what was whose, and when. */
#include "world.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "obs/log.h"
#include "store/accounts.h"
#include "store/conversations.h"
#include "support/faults.h"

#define LEASE_MS INT64_C(1000)

static struct tars_store_postgres_config shared_store(int64_t lease_ms)
{
    struct tars_store_postgres_config config = postgres_store(NULL);

    config.shared = true;
    config.lease_ms = lease_ms;
    return config;
}

static struct tars_store *open_shared(int64_t lease_ms)
{
    const struct tars_store_postgres_config config = shared_store(lease_ms);

    return open_with(&config);
}

/* Without the one of the world, which has the store for itself. */
static int begin(void **state)
{
    struct world *world;

    (void)set_up(state);
    world = *state;
    tars_store_close(world->store);
    world->store = NULL;
    return 0;
}

static void sql(const char *text)
{
    (void)postgres_do(&server, "query %s %s", DATABASE, text);
}

/* The one number that text asks for. */
static int64_t number(const char *text)
{
    const char *texts[] = {text};
    struct tars_pg_config config = postgres_config(&server, DATABASE);
    struct tars_pg_conn conn;
    struct tars_pg_query query;
    int64_t value;

    config.texts = texts;
    config.text_count = 1;
    assert_int_equal(tars_pg_open(&conn, &config, NULL, NULL), TARS_OK);
    query = tars_pg_ask(&conn, 0);
    assert_true(tars_pg_step(&query));
    value = tars_pg_int(&query);
    assert_int_equal(tars_pg_end(&query, NULL), TARS_OK);
    tars_pg_close(&conn);
    return value;
}

static void await(const char *text)
{
    while (!number(text))
        (void)usleep(20000);
}

static tars_status put(struct tars_store *store, const char *path, struct tars_err *err)
{
    struct tars_store_document document = {.path = path, .sha256 = "x"};
    struct tars_store_file file = {.path = path, .sha256 = "f00d", .size = 9, .indexed_us = 9};
    struct tars_store_passage passage = {.text = "text", .text_len = 4};
    struct tars_store_put one = {.document = &document, .passages = &passage, .passage_count = 1};
    struct tars_store_batch batch = {.file = &file, .puts = &one, .put_count = 1, .finish = true};
    struct tars_store_changes changes;
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, (size_t)1 << 20);
    status = tars_store_put(store, &batch, &arena, &changes, err);
    tars_arena_release(&arena);
    return status;
}

/* -------------------------------------------------------------------- versions */

static void as_the_owner(struct tars_pg_conn *conn, const char *text)
{
    const struct tars_pg_config config = postgres_config(&server, DATABASE);

    assert_int_equal(tars_pg_open(conn, &config, NULL, NULL), TARS_OK);
    assert_int_equal(tars_pg_exec(conn, text, NULL), TARS_OK);
}

/* Not even which conversations it had. */
static void nothing_is_left_of_a_tenant(void **state)
{
    const struct tars_tenant acme = {.name = "acme"};
    const struct tars_message message = {.role = "user", .content = "hello"};
    struct tars_store *store = open_shared(0);

    (void)state;
    assert_int_equal(tars_accounts_tenant_add(store, &acme, NULL), TARS_OK);
    assert_int_equal(
        tars_conversation_append(store, "acme", "ann", "c1", &message, 1, true, 1, NULL), TARS_OK);
    assert_int_equal(tars_conversation_delete(store, "acme", "ann", "c1", NULL), TARS_OK);
    assert_int_equal(number("SELECT count(*) FROM tars.conversations_deleted"), 1);
    assert_int_equal(tars_accounts_tenant_remove(store, "acme", NULL), TARS_OK);
    assert_int_equal(number("SELECT count(*) FROM tars.conversations_deleted"), 0);
    tars_store_close(store);
}

static void *open_one(void *ctx)
{
    struct tars_store **store = ctx;

    *store = open_shared(0);
    return NULL;
}

#define LATEST 7

/* The tables as version 4 left them. */
static void go_back_to_4(void)
{
    sql("DROP INDEX tars.jobs_path");
    sql("DROP INDEX tars.jobs_holder");
    sql("ALTER TABLE tars.jobs DROP COLUMN orphan_us");
    sql("DROP TRIGGER conversations_deleted ON tars.conversations");
    sql("DROP FUNCTION tars.conversation_deleted");
    sql("DROP TABLE tars.conversations_deleted");
    sql("ALTER TABLE tars.instances DROP COLUMN settings");
    sql("DELETE FROM tars.migrations WHERE version >= 5");
}

/* A dump reads a table, a new program is to change it, and the servers go on meanwhile. */
static void a_migration_waits_behind_nobody_for_long(void **state)
{
    struct tars_store *store = open_shared(0);
    struct tars_store *upgraded = NULL;
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};
    struct tars_pg_conn dump;
    pthread_t thread;

    (void)state;
    go_back_to_4();
    as_the_owner(&dump, "BEGIN; LOCK TABLE tars.jobs IN ACCESS SHARE MODE");
    assert_int_equal(pthread_create(&thread, NULL, open_one, &upgraded), 0);
    await("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    assert_int_equal(tars_store_jobs_add(store, &job, 1, NULL), TARS_OK);
    assert_int_equal(tars_pg_exec(&dump, "COMMIT", NULL), TARS_OK);
    tars_pg_close(&dump);
    pthread_join(thread, NULL);
    assert_int_equal(number("SELECT max(version) FROM tars.migrations"), LATEST);
    tars_store_close(upgraded);
    tars_store_close(store);
}

/* A program that could not use the tables as they become keeps them as they are; the one before
 * goes on beside. */
static void who_is_too_old_is_not_left_behind(void **state)
{
    struct tars_store_postgres_config config = shared_store(0);
    struct tars_store *store = open_shared(0);
    struct tars_err err = {.text = ""};

    (void)state;
    tars_store_close(store);
    store = NULL;
    go_back_to_4();
    sql("INSERT INTO tars.instances (name, token, host, pid, shared, until, knows) VALUES ('old', "
        "'t', 'ancient', 7, true, clock_timestamp() + interval '1 hour', 3)");
    assert_int_equal(tars_store_postgres_open(&config, &store, &err), TARS_EBUSY);
    assert_non_null(strstr(err.text, "a server on ancient is too old"));
    assert_int_equal(number("SELECT max(version) FROM tars.migrations"), 4);
    assert_int_equal(number("SELECT count(*) FROM tars.instances WHERE name <> 'old'"), 0);
    sql("UPDATE tars.instances SET knows = 4");
    store = open_shared(0);
    assert_int_equal(number("SELECT max(version) FROM tars.migrations"), LATEST);
    assert_int_equal(number("SELECT count(*) FROM tars.instances WHERE name = 'old'"), 1);
    assert_int_equal(put(store, "/a", NULL), TARS_OK);
    tars_store_close(store);
}

struct opening {
    struct tars_store *store;
    tars_status status;
};

static void *try_to_open(void *ctx)
{
    struct tars_store_postgres_config config = shared_store(0);
    struct opening *opening = ctx;

    opening->status = tars_store_postgres_open(&config, &opening->store, NULL);
    return NULL;
}

/* Which came between our look at the version and our joining. */
static void nobody_joins_a_store_that_became_too_new(void **state)
{
    struct tars_store *store = open_shared(0);
    struct opening opening = {.status = TARS_OK};
    struct tars_pg_conn newer;
    pthread_t thread;

    (void)state;
    as_the_owner(&newer, "BEGIN; UPDATE tars.counters SET seq = seq");
    assert_int_equal(pthread_create(&thread, NULL, try_to_open, &opening), 0);
    await("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    assert_int_equal(tars_pg_exec(&newer,
                                  "INSERT INTO tars.migrations (version, name) VALUES (9999, "
                                  "'later'); UPDATE tars.meta SET value = '9999' WHERE key = "
                                  "'schema.reader'; COMMIT",
                                  NULL),
                     TARS_OK);
    tars_pg_close(&newer);
    pthread_join(thread, NULL);
    assert_int_equal(opening.status, TARS_EMISMATCH);
    tars_store_close(store);
}

/* ------------------------------------------------------------- after an outage */

/* Rows of all servers are over by the clock when the database comes back, and all are alive. Here
 * the other's does not come back at all, so that it is seen how long it is given. */
static void after_an_outage_each_has_a_lease_to_come_back(void **state)
{
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};
    struct tars_store *store = open_shared(2 * LEASE_MS);
    int64_t start_ms;

    (void)state;
    assert_int_equal(tars_store_jobs_add(store, &job, 1, NULL), TARS_OK);
    sql("INSERT INTO tars.instances (name, host, pid, shared, until) VALUES "
        "('ffff', 'there', 1, true, now() - interval '1 second')");
    start_ms = tars_clock_mono_ms();
    sql("UPDATE tars.jobs SET state = 2, owner = 'ffff'");
    await("SELECT count(*) FROM tars.jobs WHERE state = 1");
    /* Our own first renewal of an unbroken row counts, one pause after the opening. */
    assert_true(tars_clock_mono_ms() - start_ms > LEASE_MS);
    tars_store_close(store);
}

/* Nor does one that comes just then bury those who could not say that they are alive. */
static void who_comes_buries_nobody_who_may_be_alive(void **state)
{
    struct tars_store *stores[2];
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};
    size_t resumed = 9;

    (void)state;
    stores[0] = open_shared(3600000);
    assert_int_equal(tars_store_jobs_add(stores[0], &job, 1, NULL), TARS_OK);
    sql("UPDATE tars.jobs SET state = 2, owner = (SELECT name FROM tars.instances)");
    sql("UPDATE tars.instances SET until = now() - interval '1 second'");
    stores[1] = open_shared(3600000);
    assert_int_equal(put(stores[0], "/a", NULL), TARS_OK);
    assert_int_equal(tars_store_jobs_resume(stores[1], &resumed, NULL), TARS_OK);
    assert_int_equal(resumed, 0);
    /* Its own are resumed at once. */
    assert_int_equal(tars_store_jobs_resume(stores[0], &resumed, NULL), TARS_OK);
    assert_int_equal(resumed, 1);
    tars_store_close(stores[0]);
    tars_store_close(stores[1]);
}

static void long_dead_ones_are_buried(void **state)
{
    struct tars_store *store = open_shared(0);

    (void)state;
    tars_store_close(store);
    sql("INSERT INTO tars.instances (name, host, pid, shared, until) VALUES "
        "('ffff', 'there', 1, true, now() - interval '1 hour')");
    await("SELECT pg_postmaster_start_time() < now() - interval '10 ms'");
    store = open_shared(10);
    assert_int_equal(number("SELECT count(*) FROM tars.instances WHERE name = 'ffff'"), 0);
    tars_store_close(store);
}

/* ------------------------------------------------------- jobs of one server's files */

/* Their files are on its disk: for another they would not be there, and the jobs fail for good. */
static void jobs_of_a_disk_wait_for_its_server(void **state)
{
    struct world *world = *state;
    struct tars_store_job job = {.kind = "ingest", .path = "/a", .here = true};
    struct tars_store_job claimed;
    struct tars_store *store = open_shared(0);

    assert_int_equal(tars_store_jobs_add(store, &job, 1, NULL), TARS_OK);
    tars_store_close(store);
    /* It was only started again; meanwhile the other has noticed, and waits. */
    store = open_shared(LEASE_MS);
    await("SELECT count(*) FROM tars.jobs WHERE orphan_us > 0");
    assert_int_equal(tars_store_job_claim(store, 1, &world->arena, &claimed, NULL), TARS_ENOTFOUND);
    /* It does not come back. */
    sql("UPDATE tars.jobs SET orphan_us = 1");
    await("SELECT count(*) FROM tars.jobs WHERE holder = ''");
    assert_int_equal(tars_store_job_claim(store, 1, &world->arena, &claimed, NULL), TARS_OK);
    tars_store_close(store);
}

static void who_is_back_has_its_jobs(void **state)
{
    struct tars_store_job job = {.kind = "ingest", .path = "/a", .here = true};
    struct tars_store *store = open_shared(LEASE_MS);

    (void)state;
    assert_int_equal(tars_store_jobs_add(store, &job, 1, NULL), TARS_OK);
    sql("UPDATE tars.jobs SET orphan_us = 1");
    await("SELECT count(*) FROM tars.jobs WHERE orphan_us = 0 AND holder <> ''");
    tars_store_close(store);
}

/* ----------------------------------------------------------------- uploads */

/* Of the shared store; the folder is the world's, or another. */
static struct tars_store *open_in(const char *dir, bool shared)
{
    struct tars_store_postgres_config config = postgres_store(dir);

    config.shared = shared;
    return open_with(&config);
}

static void add_upload(struct tars_store *store, struct world *world, const char *name,
                       char path[static FILES_PATH_MAX + 16])
{
    struct tars_store_job job = {.kind = "ingest", .path = name, .spool = path, .bytes = 5};

    files_write(world->dir, name, "bytes", 5, path);
    assert_int_equal(tars_store_jobs_add(store, &job, 1, NULL), TARS_OK);
}

/* What waited when sharing was switched on. */
static void uploads_of_before_are_everybodys(void **state)
{
    struct world *world = *state;
    struct tars_store *store = open_in(world->dir, false);
    struct tars_store_job job = {0};
    struct tars_store *other;
    char path[FILES_PATH_MAX + 16];
    char elsewhere[sizeof(path) + 16];
    char folder[FILES_PATH_MAX];

    add_upload(store, world, "a.md", path);
    tars_store_close(store);
    files_make_dir(folder);
    /* One that has not got the bytes, as on another machine, leaves them to whoever has. */
    (void)snprintf(elsewhere, sizeof(elsewhere), "%s.elsewhere", path);
    assert_int_equal(rename(path, elsewhere), 0);
    other = open_in(folder, true);
    assert_int_equal(tars_store_job_claim(other, 1, &world->arena, &job, NULL), TARS_ENOTFOUND);
    assert_int_equal(rename(elsewhere, path), 0);
    store = open_in(world->dir, true);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(tars_store_job_claim(other, 1, &world->arena, &job, NULL), TARS_OK);
    assert_true(job.is_copy);
    assert_int_equal(access(job.spool, R_OK), 0);
    job.state = TARS_JOB_DONE;
    assert_int_equal(tars_store_job_update(other, &job, NULL), TARS_OK);
    assert_int_equal(access(job.spool, F_OK), -1);
    tars_store_close(other);
    tars_store_close(store);
    files_remove_dir(folder);
}

/* A fault that passes must not take the one copy there is. */
static void an_only_copy_stays(void **state)
{
    struct world *world = *state;
    struct tars_store *store = open_in(world->dir, true);
    struct tars_store_job job = {0};
    char path[FILES_PATH_MAX + 16];

    add_upload(store, world, "a.md", path);
    files_write(world->dir, "a.md", "bytes", 5, path);
    sql("DELETE FROM tars.uploads");
    sql("UPDATE tars.jobs SET holder = (SELECT name FROM tars.instances)");
    assert_int_equal(tars_store_job_claim(store, 1, &world->arena, &job, NULL), TARS_OK);
    assert_string_equal(job.spool, path);
    job.state = TARS_JOB_QUEUED;
    assert_int_equal(tars_store_job_update(store, &job, NULL), TARS_OK);
    assert_int_equal(access(path, R_OK), 0);
    tars_store_close(store);
}

/* No room on the disk of this server, say: the others behind it are taken all the same, and it is
 * no attempt. */
static void one_that_cannot_be_fetched_keeps_nothing_up(void **state)
{
    struct world *world = *state;
    struct tars_store *store = open_in(world->dir, true);
    struct tars_store_job next = {.kind = "ingest", .path = "/b"};
    struct tars_err err = {.text = ""};
    struct tars_store_job job = {0};
    char path[FILES_PATH_MAX + 16];

    add_upload(store, world, "a.md", path);
    assert_int_equal(tars_store_jobs_add(store, &next, 1, NULL), TARS_OK);
    files_write(world->dir, "spool", "no folder", 9, path);
    assert_int_not_equal(tars_store_job_claim(store, 1, &world->arena, &job, &err), TARS_OK);
    assert_int_equal(tars_store_job_claim(store, 1, &world->arena, &job, NULL), TARS_OK);
    assert_string_equal(job.path, "/b");
    assert_int_equal(tars_store_job(store, 1, &world->arena, &job, NULL), TARS_OK);
    assert_int_equal(job.attempts, 0);
    assert_string_equal(job.error, err.text);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(tars_store_job_claim(store, job.not_before_us, &world->arena, &job, NULL),
                     TARS_OK);
    assert_int_equal(job.id, 1);
    tars_store_close(store);
}

/* -------------------------------------------------------------------- texts */

/* In the copy of texts, from outside; the number that text asks for, or -1. */
static int64_t in_copy(const char *path, const char *text)
{
    sqlite3 *file = NULL;
    sqlite3_stmt *query = NULL;
    int64_t found = -1;
    int rc;

    assert_int_equal(sqlite3_open(path, &file), SQLITE_OK);
    (void)sqlite3_busy_timeout(file, 10000);
    assert_int_equal(sqlite3_prepare_v2(file, text, -1, &query, NULL), SQLITE_OK);
    rc = sqlite3_step(query);
    if (rc == SQLITE_ROW)
        found = sqlite3_column_int64(query, 0);
    assert_true(rc == SQLITE_ROW || rc == SQLITE_DONE);
    (void)sqlite3_finalize(query);
    (void)sqlite3_close(file);
    return found;
}

static void await_copy(const char *path, const char *text, int64_t number_wanted)
{
    while (in_copy(path, text) != number_wanted)
        (void)usleep(20000);
}

static struct tars_store *open_with_texts(const char *path, uint64_t known, uint64_t seq)
{
    struct tars_store *store = open_shared(0);

    assert_int_equal(tars_store_postgres_keep_texts(store, path, known, seq, NULL, NULL), TARS_OK);
    return store;
}

static void forget(struct tars_store *store, const char *path)
{
    struct tars_store_changes changes;
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(tars_store_forget_file(store, "", path, &arena, &changes, NULL), TARS_OK);
    tars_arena_release(&arena);
}

/* How often (text) is in the file. */
static size_t times_in(const char *path, const char *text)
{
    struct tars_buf file;
    size_t count = 0;

    tars_buf_init(&file, (size_t)1 << 20);
    assert_int_equal(tars_file_read(path, &file, NULL), TARS_OK);
    for (const char *at = file.ptr; at && (at = strstr(at, text)) != NULL; at++)
        count++;
    tars_buf_release(&file);
    return count;
}

/* A full disk, say: it is told once, and made up for as soon as there is room. */
struct uploading {
    struct tars_store *store;
    const char *dir;
};

static bool is_whole(const char *path)
{
    char bytes[8];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

    if (fd >= 0)
        (void)close(fd);
    return n == 5 && memcmp(bytes, "bytes", 5) == 0;
}

/* Whoever has the job has all of its bytes. */
static void upload_once(void *ctx)
{
    struct uploading *uploading = ctx;
    char path[FILES_PATH_MAX + 16];
    struct tars_store_job job = {.kind = "ingest", .path = "/a", .spool = path, .bytes = 5};
    struct tars_arena arena;
    tars_status status;

    files_write(uploading->dir, "a.md", "bytes", 5, path);
    status = tars_store_jobs_add(uploading->store, &job, 1, NULL);
    tars_arena_init(&arena, (size_t)1 << 20);
    if (!status) {
        status = tars_store_job_claim(uploading->store, INT64_MAX / 2, &arena, &job, NULL);
        assert_true(status || is_whole(job.spool));
    }
    assert_true(!status || faults_happened());
    sql("DELETE FROM tars.jobs");
    tars_arena_release(&arena);
}

static void uploads_are_whole_without_memory(void **state)
{
    struct world *world = *state;
    struct uploading uploading = {open_in(world->dir, true), world->dir};

    assert_true(faults_each(upload_once, &uploading) >= 2);
    assert_int_equal(number("SELECT count(*) FROM tars.uploads"), 0);
    tars_store_close(uploading.store);
}

static void a_removal_that_failed_is_made_up_for(void **state)
{
    struct world *world = *state;
    struct tars_store *store;
    struct tars_log_config log_config = {.text = true};
    struct tars_log *log = NULL;
    char path[FILES_PATH_MAX + 16];
    char said[FILES_PATH_MAX];

    files_write(world->dir, "said", "", 0, said);
    log_config.fd = open(said, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(log_config.fd > 0);
    assert_int_equal(tars_log_new(&log_config, &log), TARS_OK);
    (void)snprintf(path, sizeof(path), "%s/texts.db", world->dir);
    store = open_shared(0);
    assert_int_equal(tars_store_postgres_keep_texts(store, path, 0, 0, log, NULL), TARS_OK);
    assert_int_equal(put(store, "/a", NULL), TARS_OK);
    assert_int_equal(put(store, "/b", NULL), TARS_OK);
    await_copy(path, "SELECT count(*) FROM passages", 2);
    (void)in_copy(path, "CREATE TRIGGER full BEFORE DELETE ON passages BEGIN SELECT RAISE(ABORT, "
                        "'full'); END");
    forget(store, "/a");
    assert_int_equal(in_copy(path, "SELECT count(*) FROM passages"), 2);
    while (times_in(said, "cannot be written") == 0)
        (void)usleep(20000);
    assert_int_equal(put(store, "/c", NULL), TARS_OK); /* it tries again, in vain */
    (void)usleep(100000);
    (void)in_copy(path, "DROP TRIGGER full");
    await_copy(path, "SELECT count(*) FROM passages", 2);
    tars_store_close(store);
    assert_int_equal(times_in(said, "cannot be written"), 1);
    tars_log_free(log);
    (void)close(log_config.fd);
}

/* Nor is one that was lost with the machine's power, while the index had it already. */
static void removals_that_were_lost_are_made_up_for(void **state)
{
    struct world *world = *state;
    struct tars_store *store;
    char path[FILES_PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/texts.db", world->dir);
    store = open_with_texts(path, 0, 0);
    assert_int_equal(put(store, "/a", NULL), TARS_OK);
    await_copy(path, "SELECT count(*) FROM passages", 1);
    tars_store_close(store);
    (void)in_copy(path, "UPDATE passages SET text = 'of before'");
    store = open_with_texts(path, 1, 1);
    assert_int_equal(in_copy(path, "SELECT count(*) FROM passages WHERE text = 'of before'"), 1);
    tars_store_close(store);
    store = open_with_texts(path, 1, 2);
    assert_int_equal(in_copy(path, "SELECT count(*) FROM passages WHERE text = 'of before'"), 0);
    await_copy(path, "SELECT count(*) FROM passages", 1);
    tars_store_close(store);
}

/* ------------------------------------------------------------------- accounts */

static const struct tars_account *account_of(struct tars_access *access, const char *name)
{
    for (size_t i = 0; i < access->account_count; i++) {
        if (strcmp(access->accounts[i].name, name) == 0)
            return &access->accounts[i];
    }
    return NULL;
}

static void add_admin(struct tars_store *store, const char *name)
{
    struct tars_account account = {.tenant = "default",
                                   .name = name,
                                   .secret_hash = "old",
                                   .external = "",
                                   .kind = TARS_ACCOUNT_USER,
                                   .role = TARS_ROLE_ADMIN};

    assert_int_equal(tars_accounts_add(store, &account, NULL), TARS_OK);
}

/* Each knows the account as it was: one server disables it and lowers its role, by another it
 * changes its own secret. */
static void changes_of_two_servers_do_not_undo_each_other(void **state)
{
    struct world *world = *state;
    struct tars_store *store = open_shared(0);
    struct tars_access access = {0};
    struct tars_account by_a;
    struct tars_account by_b;
    struct tars_tenant tenant;

    add_admin(store, "ann");
    assert_int_equal(tars_accounts_load(store, &world->arena, &access, NULL), TARS_OK);
    by_a = by_b = *account_of(&access, "ann");
    by_a.was = by_b.was = account_of(&access, "ann");
    by_a.disabled = true;
    by_a.role = TARS_ROLE_READER;
    assert_int_equal(tars_accounts_set(store, &by_a, NULL), TARS_OK);
    by_b.secret_hash = "new";
    by_b.tokens_from_us = 7;
    assert_int_equal(tars_accounts_set(store, &by_b, NULL), TARS_OK);
    tenant = access.tenants[0];
    tenant.was = &access.tenants[0];
    tenant.max_bytes = 9;
    assert_int_equal(tars_accounts_tenant_set(store, &tenant, NULL), TARS_OK);
    tenant.max_bytes = 0;
    tenant.title = "House";
    assert_int_equal(tars_accounts_tenant_set(store, &tenant, NULL), TARS_OK);
    assert_int_equal(tars_accounts_load(store, &world->arena, &access, NULL), TARS_OK);
    assert_true(account_of(&access, "ann")->disabled);
    assert_int_equal(account_of(&access, "ann")->role, TARS_ROLE_READER);
    assert_string_equal(account_of(&access, "ann")->secret_hash, "new");
    assert_int_equal(account_of(&access, "ann")->tokens_from_us, 7);
    assert_string_equal(access.tenants[0].title, "House");
    assert_int_equal(access.tenants[0].max_bytes, 9);
    tars_store_close(store);
}

/* Two admins that take each other's role away at once, each seeing the other as one. */
static void one_admin_is_left(void **state)
{
    struct world *world = *state;
    struct tars_store *store = open_shared(0);
    struct tars_access access = {0};
    struct tars_err err = {.text = ""};

    add_admin(store, "ann");
    add_admin(store, "ben");
    assert_int_equal(tars_accounts_load(store, &world->arena, &access, NULL), TARS_OK);
    for (size_t i = 0; i < 2; i++) {
        struct tars_account changed = *account_of(&access, i ? "ann" : "ben");

        changed.was = account_of(&access, i ? "ann" : "ben");
        changed.role = TARS_ROLE_READER;
        changed.leaves_admin = true;
        assert_int_equal(tars_accounts_set(store, &changed, &err), i ? TARS_ECONFLICT : TARS_OK);
    }
    assert_non_null(strstr(err.text, "last admin"));
    tars_store_close(store);
}

/* ------------------------------------------------------------- one that stops */

/* A server that stops in the midst of a put; 0 in the child never comes back. */
static pid_t start_one_that_is_slow(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct tars_store *store = open_shared(0);

        (void)!put(store, "/slow", NULL);
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

/* It has the lock that all writers need; they go on soon. */
static void one_that_stops_in_a_put_stops_nobody_else(void **state)
{
    struct tars_store_postgres_config config = shared_store(0);
    struct tars_err err = {.text = ""};
    struct tars_store *store = open_shared(0);
    int64_t start_ms;
    pid_t pid;

    (void)state;
    tars_store_close(store); /* the tables are there */
    sql("CREATE FUNCTION tars.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.path = "
        "'/slow' THEN PERFORM pg_sleep(0.5); END IF; RETURN NEW; END $$");
    sql("CREATE TRIGGER slow BEFORE INSERT ON tars.files FOR EACH ROW EXECUTE FUNCTION "
        "tars.slow()");
    pid = start_one_that_is_slow();
    await("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    assert_int_equal(kill(pid, SIGSTOP), 0);
    config.pool.server.statement_timeout_ms = 30000;
    store = open_with(&config); /* which takes it, too */
    start_ms = tars_clock_mono_ms();
    if (put(store, "/b", &err))
        fail_msg("%s", err.text);
    assert_true(tars_clock_mono_ms() - start_ms < 30000);
    assert_int_equal(number("SELECT count(*) FROM tars.files"), 1);
    (void)kill(pid, SIGKILL);
    (void)kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    tars_store_close(store);
}

/* Within a COPY no time limit of the server counts. */
static void nor_one_that_stops_in_the_midst_of_its_rows(void **state)
{
    struct tars_store *store = open_shared(2 * LEASE_MS);
    pid_t pid;

    (void)state;
    pid = fork();
    if (pid == 0) {
        const struct tars_pg_config config = postgres_config(&server, DATABASE);
        struct tars_pg_conn conn;

        if (!tars_pg_open(&conn, &config, NULL, NULL) &&
            !tars_pg_exec(&conn, "BEGIN; SELECT seq FROM tars.counters FOR UPDATE", NULL) &&
            PQsendQuery(conn.pg, "COPY tars.changes FROM STDIN"))
            (void)PQflush(conn.pg);
        (void)pause();
        _exit(0);
    }
    await("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY tars%' AND wait_event = "
          "'ClientRead'");
    assert_int_equal(put(store, "/b", NULL), TARS_OK);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    tars_store_close(store);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, begin, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(nothing_is_left_of_a_tenant),
        ROW(a_migration_waits_behind_nobody_for_long),
        ROW(who_is_too_old_is_not_left_behind),
        ROW(nobody_joins_a_store_that_became_too_new),
        ROW(after_an_outage_each_has_a_lease_to_come_back),
        ROW(who_comes_buries_nobody_who_may_be_alive),
        ROW(long_dead_ones_are_buried),
        ROW(jobs_of_a_disk_wait_for_its_server),
        ROW(who_is_back_has_its_jobs),
        ROW(uploads_of_before_are_everybodys),
        ROW(an_only_copy_stays),
        ROW(one_that_cannot_be_fetched_keeps_nothing_up),
        ROW(uploads_are_whole_without_memory),
        ROW(a_removal_that_failed_is_made_up_for),
        ROW(removals_that_were_lost_are_made_up_for),
        ROW(changes_of_two_servers_do_not_undo_each_other),
        ROW(one_admin_is_left),
        ROW(one_that_stops_in_a_put_stops_nobody_else),
        ROW(nor_one_that_stops_in_the_midst_of_its_rows),
    };
    int failed;

    postgres_open(&server, NULL, NULL);
    back_end = 1; /* postgres */
    failed = _cmocka_run_group_tests("shared", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
    postgres_close(&server);
    return failed;
}
