/* What servers that share a store hear of one another, and which of them leads: two stores in one
 * database, each with a watch. */
#include "world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/accounts.h"
#include "store/store_postgres_watch.h"

#define STEP_US 5000
#define STEPS   4000 /* of waiting, before a test gives up */
#define PART    1000 /* bytes written at a time */
#define BIG     2500 /* parts of a file that is more than a row of the table */
#define OUT_MAX ((size_t)16 << 20)

/* What was told. */
struct ear {
    atomic_ullong seq;
    atomic_int access, revoked, cancelled;
    atomic_bool fails; /* access */
    atomic_bool waits; /* looked, until it is false again */
};

static void looked(void *ctx, const struct tars_store_watch_state *state)
{
    struct ear *ear = ctx;

    atomic_store(&ear->seq, state->seq);
    while (atomic_load(&ear->waits))
        (void)usleep(STEP_US);
}

static tars_status access_changed(void *ctx)
{
    struct ear *ear = ctx;

    atomic_fetch_add(&ear->access, 1);
    return atomic_load(&ear->fails) ? TARS_EUNAVAILABLE : TARS_OK;
}

static void revoked(void *ctx, const char *id, int64_t expires_us)
{
    struct ear *ear = ctx;

    if (strcmp(id, "jti-1") == 0 && expires_us == 99)
        atomic_fetch_add(&ear->revoked, 1);
}

static void cancelled(void *ctx, int64_t job_id)
{
    struct ear *ear = ctx;

    atomic_store(&ear->cancelled, (int)job_id);
}

static bool pauses;      /* each look comes long after the one before */
static int64_t lease_ms; /* 0: as ever */

struct party {
    struct tars_store *store;
    struct tars_store_watch *watch;
    struct ear ear;
};

static void join(struct party *party, const char *dir, bool is_pooled)
{
    struct tars_store_postgres_config config = postgres_store(dir);
    const int64_t pause_ms = pauses ? 1 : 0;
    const struct tars_store_watch_config watch = {.looked = looked,
                                                  .access = access_changed,
                                                  .revoked = revoked,
                                                  .cancelled = cancelled,
                                                  .ctx = &party->ear,
                                                  .look_ms = is_pooled ? 50 : 0,
                                                  .pause_ms = pause_ms,
                                                  .may_lead = true};

    memset(party, 0, sizeof(*party));
    config.shared = true;
    config.lease_ms = lease_ms;
    config.pool.server.is_pooled = is_pooled;
    party->store = open_with(&config);
    assert_int_equal(tars_store_watch_open(party->store, &watch, &party->watch, NULL), TARS_OK);
}

static void leave(struct party *party)
{
    tars_store_watch_close(party->watch);
    tars_store_close(party->store);
}

static void wait_on(int *steps)
{
    assert_in_range((*steps)++, 0, STEPS);
    (void)usleep(STEP_US);
}

/* Until expression holds. */
#define AWAIT(expression)                                 \
    for (int steps_ = 0; !(expression); wait_on(&steps_)) \
    continue

static void put(struct tars_store *store, const char *path)
{
    struct tars_store_document document = {.path = path, .sha256 = "x"};
    struct tars_store_file file = {.path = path, .sha256 = "f00d", .size = 9, .indexed_us = 9};
    struct tars_store_passage passage = {.text = "text", .text_len = 4};
    struct tars_store_put one = {.document = &document, .passages = &passage, .passage_count = 1};
    struct tars_store_batch batch = {.file = &file, .puts = &one, .put_count = 1, .finish = true};
    struct tars_store_changes changes;
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(tars_store_put(store, &batch, &arena, &changes, NULL), TARS_OK);
    tars_arena_release(&arena);
}

static void close_world(struct world *world)
{
    tars_store_close(world->store);
    world->store = NULL;
}

static void hear_all(bool is_pooled)
{
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};
    const struct tars_tenant tenant = {.name = "acme", .title = "", .settings_json = ""};
    struct tars_arena arena;
    struct party a;
    struct party b;
    int before;

    join(&a, NULL, is_pooled);
    join(&b, NULL, is_pooled);
    AWAIT(atomic_load(&a.ear.access) > 0 && atomic_load(&b.ear.access) > 0);
    put(a.store, "/1");
    AWAIT(atomic_load(&b.ear.seq) == 1 && atomic_load(&a.ear.seq) == 1);
    /* Rights: told again until they were taken in. */
    before = atomic_load(&b.ear.access);
    atomic_store(&b.ear.fails, true);
    assert_int_equal(tars_accounts_tenant_add(a.store, &tenant, NULL), TARS_OK);
    AWAIT(atomic_load(&b.ear.access) >= before + 2);
    atomic_store(&b.ear.fails, false);
    /* Tokens. */
    before = atomic_load(&b.ear.access);
    assert_int_equal(tars_accounts_revoke(a.store, "jti-1", 99, NULL), TARS_OK);
    AWAIT(atomic_load(&b.ear.revoked) > 0 || atomic_load(&b.ear.access) > before);
    /* Jobs. */
    tars_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(tars_store_jobs_add(a.store, &job, 1, NULL), TARS_OK);
    assert_int_equal(tars_store_job_claim(b.store, 1, &arena, &job, NULL), TARS_OK);
    assert_int_equal(tars_store_job_cancel(a.store, job.id, 2, NULL), TARS_OK);
    AWAIT(atomic_load(&b.ear.cancelled) == (int)job.id);
    assert_int_equal(atomic_load(&a.ear.cancelled), 0);
    AWAIT(tars_store_watch_state(a.watch).servers == 2);
    tars_arena_release(&arena);
    leave(&a);
    leave(&b);
}

static void what_one_does_the_other_hears(void **state)
{
    close_world(*state);
    hear_all(false);
}

static void and_behind_a_pooler_it_looks(void **state)
{
    close_world(*state);
    hear_all(true);
}

static void one_leads_and_another_after_it(void **state)
{
    close_world(*state);
    for (int is_pooled = 0; is_pooled < 2; is_pooled++) {
        struct party a;
        struct party b;

        join(&a, NULL, is_pooled);
        AWAIT(tars_store_watch_leads(a.watch));
        join(&b, NULL, is_pooled);
        AWAIT(atomic_load(&b.ear.access) > 0 && tars_store_watch_state(b.watch).is_connected);
        assert_false(tars_store_watch_leads(b.watch));
        leave(&a);
        AWAIT(tars_store_watch_leads(b.watch));
        leave(&b);
    }
}

/* What happened while there was no connection is heard after it. */
static void nothing_is_missed_by_an_outage(void **state)
{
    struct party a;
    struct party b;
    int before;

    close_world(*state);
    join(&a, NULL, false);
    AWAIT(tars_store_watch_leads(a.watch) && atomic_load(&a.ear.access) > 0);
    (void)postgres_do(&server, "stop");
    AWAIT(!tars_store_watch_state(a.watch).is_connected && !tars_store_watch_leads(a.watch));
    assert_true(tars_store_watch_state(a.watch).silent_ms >= 0);
    assert_true(tars_store_watch_state(a.watch).why.text[0] != '\0');
    before = atomic_load(&a.ear.access);
    (void)postgres_do(&server, "start");
    AWAIT(tars_store_watch_state(a.watch).is_connected && atomic_load(&a.ear.access) > before);
    AWAIT(tars_store_watch_leads(a.watch));
    join(&b, NULL, false);
    put(b.store, "/1");
    AWAIT(atomic_load(&a.ear.seq) == 1);
    leave(&b);
    leave(&a);
}

/* The list of what was revoked is of a minute: who paused for longer reads all of it. */
static void all_is_told_after_a_pause(void **state)
{
    struct party a;
    int before;

    close_world(*state);
    pauses = true;
    join(&a, NULL, true);
    pauses = false;
    AWAIT(atomic_load(&a.ear.access) > 0);
    before = atomic_load(&a.ear.access);
    AWAIT(atomic_load(&a.ear.access) > before + 1);
    leave(&a);
}

/* Its thread hangs: nobody can tell it that another leads now. */
static void who_hangs_neither_leads_nor_is_connected(void **state)
{
    struct party a;
    int64_t waited = 0;

    close_world(*state);
    join(&a, NULL, true);
    AWAIT(tars_store_watch_leads(a.watch) && tars_store_watch_state(a.watch).is_connected);
    atomic_store(&a.ear.waits, true);
    AWAIT(!tars_store_watch_leads(a.watch) && !tars_store_watch_state(a.watch).is_connected);
    waited = tars_store_watch_state(a.watch).silent_ms;
    atomic_store(&a.ear.waits, false);
    assert_in_range(waited, TARS_WATCH_SESSION_MS / 3, STEP_US * STEPS);
    AWAIT(tars_store_watch_leads(a.watch) && tars_store_watch_state(a.watch).is_connected);
    leave(&a);
}

/* ------------------------------------------------------------------- uploads */

static void write_file(const char *path)
{
    FILE *file = fopen(path, "w");
    char bytes[PART];

    assert_non_null(file);
    for (int i = 0; i < BIG; i++) {
        memset(bytes, 'a' + i % 26, sizeof(bytes));
        assert_int_equal(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
    }
    assert_int_equal(fclose(file), 0);
}

static bool is_same_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char bytes[PART];
    bool same = file != NULL;

    for (int i = 0; same && i < BIG; i++) {
        same = fread(bytes, 1, sizeof(bytes), file) == sizeof(bytes) && bytes[0] == 'a' + i % 26 &&
               bytes[PART - 1] == bytes[0];
    }
    same = same && fread(bytes, 1, 1, file) == 0;
    if (file)
        (void)fclose(file);
    return same;
}

static void an_upload_reaches_whoever_takes_its_job(void **state)
{
    struct world *world = *state;
    struct tars_store_job job = {.kind = "ingest", .path = "note.md"};
    char spool[8192];
    char other[8192];
    struct tars_arena arena;
    struct party a;
    struct party b;

    close_world(world);
    (void)snprintf(spool, sizeof(spool), "%s/0123456789abcdef", world->dir);
    (void)snprintf(other, sizeof(other), "%s/other", world->dir);
    write_file(spool);
    join(&a, NULL, false);
    join(&b, other, false);
    job.spool = spool;
    tars_arena_init(&arena, OUT_MAX);
    assert_int_equal(tars_store_jobs_add(a.store, &job, 1, NULL), TARS_OK);
    assert_int_not_equal(access(spool, F_OK), 0);
    /* Twice: an attempt that failed leaves nothing behind, and the next has them again. */
    for (int attempt = 1; attempt <= 2; attempt++) {
        assert_int_equal(tars_store_job_claim(b.store, 1, &arena, &job, NULL), TARS_OK);
        assert_int_equal(strncmp(job.spool, other, strlen(other)), 0);
        assert_true(is_same_file(job.spool));
        job.state = attempt == 1 ? TARS_JOB_QUEUED : TARS_JOB_DONE;
        assert_int_equal(tars_store_job_update(b.store, &job, NULL), TARS_OK);
        assert_int_not_equal(access(job.spool, F_OK), 0);
    }
    assert_string_equal(
        postgres_do(&server, "query %s SELECT count(*) FROM tars.uploads", DATABASE), "0");
    tars_arena_release(&arena);
    leave(&a);
    leave(&b);
}

static void a_job_is_for_its_server_while_that_is_alive(void **state)
{
    struct tars_store_job job = {.kind = "ingest", .path = "/a", .here = true};
    struct tars_arena arena;
    struct party a;
    struct party b;

    close_world(*state);
    lease_ms = 200;
    join(&a, NULL, false);
    join(&b, NULL, false);
    lease_ms = 0;
    tars_arena_init(&arena, OUT_MAX);
    assert_int_equal(tars_store_jobs_add(a.store, &job, 1, NULL), TARS_OK);
    assert_int_equal(tars_store_job_claim(b.store, 1, &arena, &job, NULL), TARS_ENOTFOUND);
    leave(&a);
    /* It might come back. */
    AWAIT(tars_store_job_claim(b.store, 1, &arena, &job, NULL) == TARS_OK);
    tars_arena_release(&arena);
    leave(&b);
}

static size_t unlike(struct tars_store *store, struct tars_arena *arena,
                     struct tars_store_sharer **sharers)
{
    size_t count = 0;

    assert_int_equal(tars_store_postgres_unlike(store, arena, sharers, &count, NULL), TARS_OK);
    return count;
}

/* Each hears what the others that are alive say, if it is not what it says itself. */
static void who_says_something_else_is_told(void **state)
{
    static const char *const said[] = {"A=1\n", "A=1\n", "A=2\n", NULL};
    static const size_t others[] = {1, 1, 2, 3};
    struct tars_store *stores[sizeof(said) / sizeof(said[0])];
    struct tars_store_sharer *sharers = NULL;
    struct tars_arena arena;

    close_world(*state);
    tars_arena_init(&arena, (size_t)1 << 20);
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        struct tars_store_postgres_config config = postgres_store(NULL);

        config.shared = true;
        config.settings = said[i];
        stores[i] = open_with(&config);
    }
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
        assert_int_equal(unlike(stores[i], &arena, &sharers), others[i]);
    assert_int_equal(unlike(stores[0], &arena, &sharers), 1);
    assert_string_equal(sharers[0].settings, "A=2\n");
    assert_true(sharers[0].host[0] != '\0');
    tars_store_close(stores[2]);
    assert_int_equal(unlike(stores[0], &arena, &sharers), 0);
    /* The dead say nothing. */
    (void)postgres_do(&server, "query %s %s", DATABASE,
                      "UPDATE tars.instances SET settings = 'A=3', until = '-infinity'");
    assert_int_equal(unlike(stores[0], &arena, &sharers), 0);
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        if (i != 2)
            tars_store_close(stores[i]);
    }
    tars_arena_release(&arena);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(what_one_does_the_other_hears),
        ROW(and_behind_a_pooler_it_looks),
        ROW(one_leads_and_another_after_it),
        ROW(nothing_is_missed_by_an_outage),
        ROW(all_is_told_after_a_pause),
        ROW(who_hangs_neither_leads_nor_is_connected),
        ROW(an_upload_reaches_whoever_takes_its_job),
        ROW(a_job_is_for_its_server_while_that_is_alive),
        ROW(who_says_something_else_is_told),
    };
    int failed;

    postgres_open(&server, NULL, NULL);
    back_end = 1; /* postgres */
    failed = _cmocka_run_group_tests("postgres watch", tests, sizeof(tests) / sizeof(tests[0]),
                                     NULL, NULL);
    postgres_close(&server);
    return failed;
}
