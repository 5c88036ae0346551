/* Servers that share a PostgreSQL store, when one hangs, dies or does not hear from the server for
 * a while: who takes what was whose, and when. */
#include "world.h"

#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys/clock.h"

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

/* ------------------------------------------------------------- after an outage */

/* Rows of all servers are over by the clock when the database comes back, and all are alive. Here
 * the other's does not come back at all, so that it is seen how long it is given. */
static void after_an_outage_each_has_a_lease_to_come_back(void **state)
{
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};
    struct tars_store *store = open_shared(4 * LEASE_MS);
    int64_t start_ms;

    (void)state;
    assert_int_equal(tars_store_jobs_add(store, &job, 1, NULL), TARS_OK);
    sql("INSERT INTO tars.instances (name, host, pid, shared, until) VALUES "
        "('ffff', 'there', 1, true, now() - interval '1 second')");
    start_ms = tars_clock_mono_ms();
    sql("UPDATE tars.jobs SET state = 2, owner = 'ffff'");
    await("SELECT count(*) FROM tars.jobs WHERE state = 1");
    /* Our own first renewal of an unbroken row counts, one pause after the opening. */
    assert_true(tars_clock_mono_ms() - start_ms > 3 * LEASE_MS);
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
    struct tars_store *store = open_shared(LEASE_MS);
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
        ROW(after_an_outage_each_has_a_lease_to_come_back),
        ROW(who_comes_buries_nobody_who_may_be_alive),
        ROW(long_dead_ones_are_buried),
        ROW(jobs_of_a_disk_wait_for_its_server),
        ROW(who_is_back_has_its_jobs),
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
