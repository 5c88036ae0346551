/* What the PostgreSQL store promises beyond the contract: the order of several writers, jobs shared
 * by several, who may have the store, texts that it cannot take. */
#include "world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/accounts.h"

#define WRITERS   4
#define DOCUMENTS 12 /* of each writer */
#define PASSAGES  3

/* Two servers that share the store, each with a name of its own. */
static struct tars_store_postgres_config shared_store(int64_t lease_ms)
{
    struct tars_store_postgres_config config = postgres_store(NULL);

    config.shared = true;
    config.lease_ms = lease_ms;
    return config;
}

static void sql(const char *text)
{
    (void)postgres_do(&server, "query %s %s", DATABASE, text);
}

/* job: of which it is the work, or NULL. */
static tars_status put_of(struct tars_store *store, const char *path, const char *text,
                          const struct tars_store_job *job, struct tars_err *err)
{
    struct tars_store_document document = {.path = path, .sha256 = "x"};
    struct tars_store_file file = {.path = path, .sha256 = "f00d", .size = 9, .indexed_us = 9};
    struct tars_store_passage passages[PASSAGES];
    struct tars_store_put one = {
        .document = &document, .passages = passages, .passage_count = PASSAGES};
    struct tars_store_batch batch = {
        .file = &file, .puts = &one, .put_count = 1, .finish = true, .job = job};
    struct tars_store_changes changes;
    struct tars_arena arena;
    tars_status status;

    for (size_t i = 0; i < PASSAGES; i++)
        passages[i] = (struct tars_store_passage){.text = text, .text_len = strlen(text)};
    tars_arena_init(&arena, (size_t)1 << 20);
    status = tars_store_put(store, &batch, &arena, &changes, err);
    tars_arena_release(&arena);
    return status;
}

static tars_status put(struct tars_store *store, const char *path, const char *text,
                       struct tars_err *err)
{
    return put_of(store, path, text, NULL, err);
}

/* -------------------------------------------------------------------- order */

struct writing {
    struct tars_store *store;
    atomic_int *left;
    int number;
    tars_status status;
};

static void *write_on(void *ctx)
{
    struct writing *writing = ctx;
    char path[64];

    for (int i = 0; i < DOCUMENTS && !writing->status; i++) {
        (void)snprintf(path, sizeof(path), "/%d/%d", writing->number, i);
        writing->status = put(writing->store, path, "text", NULL);
    }
    atomic_fetch_sub(writing->left, 1);
    return NULL;
}

/* Follow the changes as an index does; each must be the next, and what it adds must be there. */
static uint64_t follow(struct tars_store *store, uint64_t seq, uint64_t *passage)
{
    struct tars_store_changes changes;
    struct tars_store_passages found;
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)16 << 20);
    assert_int_equal(tars_store_changes(store, seq, 1000, &arena, &changes, NULL), TARS_OK);
    for (size_t i = 0; i < changes.count; i++) {
        const struct tars_store_change *change = &changes.items[i];

        assert_int_equal(change->seq, ++seq);
        assert_int_equal(change->first, *passage + 1);
        *passage = change->last;
        assert_int_equal(tars_store_passage_range(store, change->first, change->last, 100, 0,
                                                  &arena, &found, NULL),
                         TARS_OK);
        assert_int_equal(found.count, PASSAGES);
    }
    tars_arena_release(&arena);
    return seq;
}

static void changes_are_seen_in_their_order(void **state)
{
    struct world *world = *state;
    const struct tars_store_postgres_config config = shared_store(0);
    struct tars_store *stores[2];
    struct writing writings[WRITERS];
    pthread_t threads[WRITERS];
    atomic_int left = WRITERS;
    uint64_t passage = 0;
    uint64_t seq = 0;

    tars_store_close(world->store);
    world->store = NULL;
    stores[0] = open_with(&config);
    stores[1] = open_with(&config);
    for (int i = 0; i < WRITERS; i++) {
        writings[i] = (struct writing){stores[i % 2], &left, i, TARS_OK};
        assert_int_equal(pthread_create(&threads[i], NULL, write_on, &writings[i]), 0);
    }
    while (atomic_load(&left) > 0)
        seq = follow(stores[0], seq, &passage);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(writings[i].status, TARS_OK);
    }
    assert_int_equal(follow(stores[1], seq, &passage), WRITERS * DOCUMENTS);
    assert_int_equal(tars_store_check(stores[0], NULL), TARS_OK);
    tars_store_close(stores[0]);
    tars_store_close(stores[1]);
}

/* --------------------------------------------------------------------- jobs */

#define JOBS 40

struct working {
    struct tars_store *store;
    int done[JOBS + 1]; /* by id */
    tars_status status;
};

static void *work_on(void *ctx)
{
    struct working *working = ctx;
    struct tars_store_job job;
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)1 << 20);
    while ((working->status = tars_store_job_claim(working->store, 1, &arena, &job, NULL)) ==
           TARS_OK) {
        working->done[job.id]++;
        job.state = TARS_JOB_DONE;
        if (tars_store_job_update(working->store, &job, NULL))
            break;
        tars_arena_clear(&arena);
    }
    tars_arena_release(&arena);
    return NULL;
}

static void each_job_is_claimed_once(void **state)
{
    struct world *world = *state;
    const struct tars_store_postgres_config config = shared_store(0);
    struct tars_store_job jobs[JOBS];
    char paths[JOBS][16];
    struct working workings[4];
    struct tars_store *stores[2];
    pthread_t threads[4];

    tars_store_close(world->store);
    world->store = NULL;
    stores[0] = open_with(&config);
    stores[1] = open_with(&config);
    for (int i = 0; i < JOBS; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "/%d", i);
        jobs[i] = (struct tars_store_job){.kind = "ingest", .path = paths[i]};
    }
    assert_int_equal(tars_store_jobs_add(stores[0], jobs, JOBS, NULL), TARS_OK);
    for (int i = 0; i < 4; i++) {
        workings[i] = (struct working){.store = stores[i % 2]};
        assert_int_equal(pthread_create(&threads[i], NULL, work_on, &workings[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workings[i].status, TARS_ENOTFOUND);
    }
    for (int id = 1; id <= JOBS; id++) {
        int times = 0;

        for (int i = 0; i < 4; i++)
            times += workings[i].done[id];
        assert_int_equal(times, 1);
    }
    tars_store_close(stores[0]);
    tars_store_close(stores[1]);
}

static tars_status claim(struct tars_store *store, struct world *world, struct tars_store_job *job)
{
    return tars_store_job_claim(store, 1, &world->arena, job, NULL);
}

static void end_job(struct tars_store *store, struct tars_store_job *job, enum tars_job_state state)
{
    job->state = state;
    assert_int_equal(tars_store_job_update(store, job, NULL), TARS_OK);
}

/* Close the world's store and open two that share it. */
static void open_two(struct world *world, struct tars_store **stores, int64_t lease_ms)
{
    const struct tars_store_postgres_config config = shared_store(lease_ms);

    tars_store_close(world->store);
    world->store = NULL;
    stores[0] = open_with(&config);
    stores[1] = open_with(&config);
}

static void close_two(struct tars_store **stores)
{
    tars_store_close(stores[0]);
    tars_store_close(stores[1]);
}

/* The later of two versions of a file is taken in last, whichever server has which. */
static void jobs_of_one_file_follow_each_other(void **state)
{
    struct world *world = *state;
    struct tars_store_job jobs[] = {{.kind = "ingest", .path = "/a"},
                                    {.kind = "ingest", .path = "/a"},
                                    {.kind = "ingest", .path = "/b"},
                                    {.kind = "ingest", .path = "/a", .collection = "another"}};
    struct tars_store *stores[2];
    struct tars_store_job first;
    struct tars_store_job job;

    open_two(world, stores, 0);
    assert_int_equal(tars_store_jobs_add(stores[0], jobs, 4, NULL), TARS_OK);
    assert_int_equal(claim(stores[0], world, &first), TARS_OK);
    assert_int_equal(first.id, 1);
    assert_int_equal(claim(stores[1], world, &job), TARS_OK);
    assert_int_equal(job.id, 3);
    assert_int_equal(claim(stores[1], world, &job), TARS_OK);
    assert_int_equal(job.id, 4);
    assert_int_equal(claim(stores[1], world, &job), TARS_ENOTFOUND);
    /* It goes on later: so does what came after it. */
    first.not_before_us = 5;
    end_job(stores[0], &first, TARS_JOB_QUEUED);
    assert_int_equal(claim(stores[1], world, &job), TARS_ENOTFOUND);
    assert_int_equal(tars_store_job_claim(stores[1], 5, &world->arena, &first, NULL), TARS_OK);
    assert_int_equal(first.id, 1);
    end_job(stores[1], &first, TARS_JOB_FAILED);
    assert_int_equal(claim(stores[0], world, &job), TARS_OK);
    assert_int_equal(job.id, 2);
    /* Nor does an older one begin in the midst of it. */
    assert_int_equal(tars_store_job_retry(stores[0], 1, 1, NULL), TARS_OK);
    assert_int_equal(claim(stores[1], world, &first), TARS_ENOTFOUND);
    close_two(stores);
}

static tars_status put_for(struct tars_store *store, const struct tars_store_job *job,
                           const char *text, struct tars_err *err)
{
    return put_of(store, "/a", text, job, err);
}

/* Whoever hung, and was taken for dead, writes nothing into the work of the one that has its job.
 */
static void a_job_that_was_taken_over_writes_no_more(void **state)
{
    struct world *world = *state;
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};
    struct tars_err err = {.text = ""};
    struct tars_store *stores[2];
    struct tars_store_job before;
    struct tars_store_job after;

    open_two(world, stores, 0);
    assert_int_equal(tars_store_jobs_add(stores[0], &job, 1, NULL), TARS_OK);
    assert_int_equal(claim(stores[0], world, &before), TARS_OK);
    assert_int_equal(put_for(stores[0], &before, "one", NULL), TARS_OK);
    sql("UPDATE tars.jobs SET state = 1, owner = ''");
    assert_int_equal(put_for(stores[0], &before, "two", &err), TARS_ECANCELED);
    assert_non_null(strstr(err.text, "taken over"));
    assert_int_equal(claim(stores[1], world, &after), TARS_OK);
    assert_int_equal(put_for(stores[0], &before, "two", NULL), TARS_ECANCELED);
    before.state = TARS_JOB_DONE;
    assert_int_equal(tars_store_job_update(stores[0], &before, NULL), TARS_ECANCELED);
    assert_int_equal(put_for(stores[1], &after, "two", NULL), TARS_OK);
    end_job(stores[1], &after, TARS_JOB_DONE);
    close_two(stores);
}

/* Two that were claimed in the same moment, since an old one was queued again in it. */
static void the_later_of_two_at_work_gives_way(void **state)
{
    struct world *world = *state;
    struct tars_store_job jobs[] = {{.kind = "ingest", .path = "/a"},
                                    {.kind = "ingest", .path = "/a"}};
    struct tars_store *stores[2];
    struct tars_store_job first;
    struct tars_store_job second;

    open_two(world, stores, 0);
    assert_int_equal(tars_store_jobs_add(stores[0], jobs, 2, NULL), TARS_OK);
    assert_int_equal(claim(stores[0], world, &first), TARS_OK);
    sql("UPDATE tars.jobs SET path = '/x' WHERE id = 1");
    assert_int_equal(claim(stores[1], world, &second), TARS_OK);
    sql("UPDATE tars.jobs SET path = '/a' WHERE id = 1");
    assert_int_equal(put_for(stores[1], &second, "two", NULL), TARS_EBUSY);
    assert_int_equal(put_for(stores[0], &first, "one", NULL), TARS_OK);
    end_job(stores[0], &first, TARS_JOB_DONE);
    assert_int_equal(put_for(stores[1], &second, "two", NULL), TARS_OK);
    close_two(stores);
}

/* --------------------------------------------------------------- who has it */

/* As if it had hung for longer than its lease. */
static void let_expire(void)
{
    sql("UPDATE tars.instances SET until = now() - interval '1 second'");
}

struct opening {
    struct tars_store *store;
    tars_status status;
};

static void *open_beside(void *ctx)
{
    struct tars_store_postgres_config other = postgres_store(NULL);
    struct opening *opening = ctx;

    opening->status = tars_store_postgres_open(&other, &opening->store, NULL);
    return NULL;
}

/* Until somebody waits for a lock. */
static void await_blocked(void)
{
    static const char *const texts[] = {
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"};
    struct tars_pg_config config = postgres_config(&server, DATABASE);
    struct tars_pg_conn conn;
    struct tars_pg_query query;
    int64_t waiting = 0;

    config.texts = texts;
    config.text_count = 1;
    assert_int_equal(tars_pg_open(&conn, &config, NULL, NULL), TARS_OK);
    while (waiting == 0) {
        (void)usleep(5000);
        query = tars_pg_ask(&conn, 0);
        assert_true(tars_pg_step(&query));
        waiting = tars_pg_int(&query);
        assert_int_equal(tars_pg_end(&query, NULL), TARS_OK);
    }
    tars_pg_close(&conn);
}

static void read_text(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    (void)fclose(file);
}

static void one_server_has_the_store(void **state)
{
    struct world *world = *state;
    struct tars_store_postgres_config other = postgres_store(NULL);
    struct tars_store *store = NULL;
    struct tars_err err = {.text = ""};

    assert_int_equal(tars_store_postgres_open(&other, &store, &err), TARS_EBUSY);
    assert_non_null(strstr(err.text, "in use by process"));
    other.shared = true;
    assert_int_equal(tars_store_postgres_open(&other, &store, NULL), TARS_EBUSY);
    /* One that looks on beside it does not mind. */
    other = postgres_store(NULL);
    other.beside = true;
    store = open_with(&other);
    tars_store_close(store);
    /* The folder's lock, too. */
    other = postgres_store(world->dir);
    assert_int_equal(tars_store_postgres_open(&other, &store, NULL), TARS_EBUSY);
}

/* It comes back with the name of its folder, and need not wait. */
static void the_folder_comes_back_at_once(void **state)
{
    struct world *world = *state;
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};
    size_t resumed = 0;

    assert_int_equal(tars_store_jobs_add(world->store, &job, 1, NULL), TARS_OK);
    assert_int_equal(tars_store_job_claim(world->store, 1, &world->arena, &job, NULL), TARS_OK);
    tars_store_close(world->store);
    /* What a process that was killed leaves behind. */
    sql("INSERT INTO tars.instances SELECT owner, 'here', 1, false, now() + interval '1 hour' FROM "
        "tars.jobs");
    world->store = open_store(world->dir);
    assert_int_equal(tars_store_jobs_resume(world->store, &resumed, NULL), TARS_OK);
    assert_int_equal(resumed, 1);
}

static void who_was_given_up_writes_no_more(void **state)
{
    struct world *world = *state;
    struct tars_store_postgres_config other = postgres_store(NULL);
    struct tars_err err = {.text = ""};
    struct tars_store_stats stats;
    struct tars_store *store;

    assert_int_equal(put(world->store, "/a", "text", NULL), TARS_OK);
    let_expire();
    store = open_with(&other);
    assert_int_equal(put(world->store, "/b", "text", &err), TARS_EBUSY);
    assert_int_equal(tars_store_meta_set(world->store, "x.y", "1", &err), TARS_EBUSY);
    assert_non_null(strstr(err.text, "taken the store over"));
    /* By which the server is known not to be ready. */
    assert_int_equal(tars_store_stats(world->store, &stats, NULL), TARS_EBUSY);
    assert_int_equal(put(store, "/c", "text", NULL), TARS_OK);
    assert_int_equal(tars_store_check(store, NULL), TARS_OK);
    tars_store_close(store);
}

/* It is fenced where it writes, not where it last looked: no job is queued or claimed by it. */
static void who_was_given_up_takes_no_job(void **state)
{
    struct world *world = *state;
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};
    struct tars_store_job claimed;

    assert_int_equal(tars_store_jobs_add(world->store, &job, 1, NULL), TARS_OK);
    sql("DELETE FROM tars.instances");
    assert_int_equal(tars_store_job_claim(world->store, 1, &world->arena, &claimed, NULL),
                     TARS_EBUSY);
    assert_int_equal(tars_store_jobs_add(world->store, &job, 1, NULL), TARS_EBUSY);
    assert_int_equal(tars_store_job(world->store, 1, &world->arena, &claimed, NULL), TARS_OK);
    assert_int_equal(claimed.state, TARS_JOB_QUEUED);
}

/* A lease that is over by the clock counts as long as nobody has buried it: whoever comes while it
 * is renewed waits for that, and finds it alive. */
static void a_lease_that_is_renewed_meanwhile_holds(void **state)
{
    struct world *world = *state;
    const struct tars_pg_config config = postgres_config(&server, DATABASE);
    struct opening opening = {.status = TARS_OK};
    struct tars_pg_conn conn;
    pthread_t thread;

    assert_int_equal(put(world->store, "/a", "text", NULL), TARS_OK);
    let_expire();
    assert_int_equal(tars_pg_open(&conn, &config, NULL, NULL), TARS_OK);
    assert_int_equal(tars_pg_exec(&conn,
                                  "BEGIN; UPDATE tars.instances SET until = now() + "
                                  "interval '1 hour'",
                                  NULL),
                     TARS_OK);
    assert_int_equal(pthread_create(&thread, NULL, open_beside, &opening), 0);
    await_blocked();
    assert_int_equal(tars_pg_exec(&conn, "COMMIT", NULL), TARS_OK);
    tars_pg_close(&conn);
    pthread_join(thread, NULL);
    assert_int_equal(opening.status, TARS_EBUSY);
    assert_int_equal(put(world->store, "/b", "text", NULL), TARS_OK);
}

/* A data folder that was copied has the name of the other: the later one has the store. */
static void a_name_is_of_one_process(void **state)
{
    struct world *world = *state;
    struct tars_store_postgres_config config;
    char copy[FILES_PATH_MAX];
    char path[FILES_PATH_MAX + 16];
    char name[64] = "";
    struct tars_store *store;

    (void)snprintf(path, sizeof(path), "%s/instance", world->dir);
    files_make_dir(copy);
    read_text(path, name, sizeof(name));
    files_write(copy, "instance", name, strlen(name), path);
    config = postgres_store(copy);
    store = open_with(&config);
    assert_int_equal(put(world->store, "/a", "text", NULL), TARS_EBUSY);
    assert_int_equal(put(store, "/b", "text", NULL), TARS_OK);
    tars_store_close(world->store); /* takes no row along that is not its own */
    world->store = NULL;
    assert_int_equal(put(store, "/c", "text", NULL), TARS_OK);
    tars_store_close(store);
    files_remove_dir(copy);
}

static void a_job_of_another_is_not_released(void **state)
{
    struct world *world = *state;
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};

    assert_int_equal(tars_store_jobs_add(world->store, &job, 1, NULL), TARS_OK);
    assert_int_equal(tars_store_job_claim(world->store, 1, &world->arena, &job, NULL), TARS_OK);
    /* Nor is the end of an earlier claim taken for that of this one. */
    job.state = TARS_JOB_DONE;
    job.attempts = 0;
    assert_int_equal(tars_store_job_update(world->store, &job, NULL), TARS_ECANCELED);
    sql("UPDATE tars.jobs SET owner = 'ffff'");
    assert_int_equal(tars_store_job_release(world->store, job.id, NULL), TARS_OK);
    assert_int_equal(tars_store_job(world->store, job.id, &world->arena, &job, NULL), TARS_OK);
    assert_int_equal(job.state, TARS_JOB_RUNNING);
}

/* Another instance sees that one has died, and queues its jobs again. */
static void jobs_of_the_dead_are_queued_again(void **state)
{
    struct world *world = *state;
    const struct tars_store_postgres_config config = shared_store(1000);
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};
    struct tars_store *store;
    tars_status status;

    tars_store_close(world->store);
    world->store = NULL;
    store = open_with(&config);
    assert_int_equal(tars_store_jobs_add(store, &job, 1, NULL), TARS_OK);
    sql("UPDATE tars.jobs SET state = 2, owner = 'ffff'");
    do {
        (void)usleep(20000);
        status = tars_store_job_claim(store, 1, &world->arena, &job, NULL);
    } while (status == TARS_ENOTFOUND);
    assert_int_equal(status, TARS_OK);
    tars_store_close(store);
}

/* --------------------------------------------------------------------- faults */

static void texts_that_are_no_utf8_are_refused(void **state)
{
    struct world *world = *state;
    struct tars_err err = {.text = ""};
    struct tars_store_stats stats;

    assert_int_equal(put(world->store, "/a", "caf\xe9", &err), TARS_EINVAL);
    assert_non_null(strstr(err.text, "encoding"));
    assert_int_equal(put(world->store, "/caf\xe9", "text", NULL), TARS_EINVAL);
    assert_int_equal(put(world->store, "/caf\xc3\xa9", "caf\xc3\xa9", NULL), TARS_OK);
    assert_int_equal(tars_store_stats(world->store, &stats, NULL), TARS_OK);
    assert_int_equal(stats.files, 1);
    assert_int_equal(stats.seq, 1);
}

/* As an administrator makes it. */
static void prepare(const char *statements)
{
    struct tars_pg_config config = postgres_config(&server, DATABASE);
    struct tars_pg_conn conn;
    struct tars_err err = {.text = ""};

    if (tars_pg_open(&conn, &config, NULL, &err) || tars_pg_exec(&conn, statements, &err))
        fail_msg("%s", err.text);
    tars_pg_close(&conn);
}

/* Whoever owns the schema need not have the right to make one. */
static void a_schema_that_is_there_is_enough(void **state)
{
    struct world *world = *state;

    tars_store_close(world->store);
    world->store = NULL;
    drop_schema();
    prepare("CREATE SCHEMA tars; REVOKE CREATE ON DATABASE " DATABASE " FROM tars");
    world->store = open_store(world->dir);
    assert_int_equal(put(world->store, "/a", "text", NULL), TARS_OK);
    prepare("GRANT CREATE ON DATABASE " DATABASE " TO tars");
}

/* What goes over many rows is not stopped by the bound of short statements. */
static void long_statements_are_let_end(void **state)
{
    struct world *world = *state;
    struct tars_store_postgres_config config = postgres_store(world->dir);
    const struct tars_tenant acme = {.name = "acme"};
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};

    tars_store_close(world->store);
    config.pool.server.statement_timeout_ms = 1000;
    world->store = open_with(&config);
    assert_int_equal(tars_accounts_tenant_add(world->store, &acme, NULL), TARS_OK);
    prepare("CREATE FUNCTION tars.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
            "pg_sleep(1.5); RETURN NULL; END $$; CREATE TRIGGER slow BEFORE DELETE ON tars.jobs "
            "EXECUTE FUNCTION tars.slow(); CREATE TRIGGER slow BEFORE DELETE ON tars.audit EXECUTE "
            "FUNCTION tars.slow(); CREATE TRIGGER slow AFTER DELETE ON tars.tenants EXECUTE "
            "FUNCTION tars.slow(); CREATE TRIGGER slow_too BEFORE INSERT ON tars.jobs EXECUTE "
            "FUNCTION tars.slow()");
    assert_int_equal(tars_store_jobs_add(world->store, &job, 1, NULL), TARS_ETIMEOUT);
    assert_int_equal(tars_store_jobs_prune(world->store, 0, NULL), TARS_OK);
    assert_int_equal(tars_accounts_audit_prune(world->store, 1, NULL), TARS_OK);
    assert_int_equal(tars_accounts_tenant_remove(world->store, "acme", NULL), TARS_OK);
}

static void a_store_of_a_newer_program_is_left_alone(void **state)
{
    struct world *world = *state;
    const struct tars_store_postgres_config config = postgres_store(world->dir);
    struct tars_err err = {.text = ""};

    tars_store_close(world->store);
    world->store = NULL;
    sql("INSERT INTO tars.migrations (version, name) VALUES (9999, 'later')");
    sql("UPDATE tars.meta SET value = '9999' WHERE key = 'schema.reader'");
    assert_int_equal(tars_store_postgres_open(&config, &world->store, &err), TARS_EMISMATCH);
    assert_non_null(strstr(err.text, "newer program"));
}

/* The next version has added a column, and says that this program may go on beside it. */
static void a_newer_store_that_says_so_is_used(void **state)
{
    struct world *world = *state;

    assert_int_equal(put(world->store, "/a", "text", NULL), TARS_OK);
    tars_store_close(world->store);
    sql("ALTER TABLE tars.documents ADD COLUMN mood text NOT NULL DEFAULT 'good'");
    sql("INSERT INTO tars.migrations (version, name) VALUES (9999, 'later')");
    world->store = open_store(world->dir);
    assert_int_equal(put(world->store, "/b", "text", NULL), TARS_OK);
    assert_int_equal(tars_store_check(world->store, NULL), TARS_OK);
}

static void a_server_that_comes_back_is_used_again(void **state)
{
    struct world *world = *state;
    tars_status status;

    assert_int_equal(put(world->store, "/a", "text", NULL), TARS_OK);
    (void)postgres_do(&server, "stop");
    status = put(world->store, "/b", "text", NULL);
    assert_true(status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT);
    (void)postgres_do(&server, "start");
    do { /* the guard tries again in its own time */
        (void)usleep(20000);
        status = put(world->store, "/b", "text", NULL);
    } while (status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT);
    assert_int_equal(status, TARS_OK);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(changes_are_seen_in_their_order),
        ROW(each_job_is_claimed_once),
        ROW(jobs_of_one_file_follow_each_other),
        ROW(a_job_that_was_taken_over_writes_no_more),
        ROW(the_later_of_two_at_work_gives_way),
        ROW(one_server_has_the_store),
        ROW(the_folder_comes_back_at_once),
        ROW(who_was_given_up_writes_no_more),
        ROW(who_was_given_up_takes_no_job),
        ROW(a_lease_that_is_renewed_meanwhile_holds),
        ROW(a_name_is_of_one_process),
        ROW(a_job_of_another_is_not_released),
        ROW(jobs_of_the_dead_are_queued_again),
        ROW(texts_that_are_no_utf8_are_refused),
        ROW(a_schema_that_is_there_is_enough),
        ROW(long_statements_are_let_end),
        ROW(a_store_of_a_newer_program_is_left_alone),
        ROW(a_newer_store_that_says_so_is_used),
        ROW(a_server_that_comes_back_is_used_again),
    };
    int failed;

    postgres_open(&server, NULL, NULL);
    back_end = 1; /* postgres */
    failed =
        _cmocka_run_group_tests("postgres", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
    postgres_close(&server);
    return failed;
}
