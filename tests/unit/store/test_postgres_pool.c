/* Connections to a real PostgreSQL, shared: bounds, waits, health, age, a server that is restarted,
 * killed or hangs, many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "store/postgres_pool.h"
#include "support/faults.h"
#include "support/postgres.h"

#define ROWS(a)     (sizeof(a) / sizeof((a)[0]))
#define SHORT_MS    200
#define PATIENCE_MS 60000 /* for machines that are busy */
#define BUSY_MS     2000  /* to connect, and to wait for one */
#define HOUR_MS     3600000
#define THREADS     12

enum sql { PID, SLEEP };

static const char *const texts[] = {
    "SELECT pg_backend_pid()",
    "SELECT pg_sleep($1::float8)",
};

static struct postgres server;

static int start_server(void **state)
{
    (void)state;
    postgres_open(&server, NULL, NULL);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    postgres_close(&server);
    return 0;
}

/* Two kept and one more, without a keeper. */
static struct tars_pg_pool_config config_of(void)
{
    struct tars_pg_pool_config config = {
        .server = postgres_config(&server, "tars_analytics"),
        .size = 2,
        .overflow = 1,
        .ping_ms = -1,
    };

    config.server.texts = texts;
    config.server.text_count = ROWS(texts);
    return config;
}

static struct tars_pg_pool *make(const struct tars_pg_pool_config *config)
{
    struct tars_pg_pool *pool = NULL;
    struct tars_err err = {.text = ""};

    if (tars_pg_pool_new(config, &pool, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return pool;
}

static struct tars_pg_conn *take(struct tars_pg_pool *pool)
{
    struct tars_pg_conn *conn = NULL;
    struct tars_err err = {.text = ""};

    if (tars_pg_take(pool, &conn, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return conn;
}

static int64_t number(struct tars_pg_conn *conn, enum sql sql)
{
    struct tars_pg_query query = tars_pg_ask(conn, sql);
    struct tars_err err = {.text = ""};
    int64_t n = tars_pg_step(&query) ? tars_pg_int(&query) : -1;

    if (tars_pg_end(&query, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return n;
}

/* Of a connection that is taken and given back. */
static int64_t pid_of_next(struct tars_pg_pool *pool)
{
    struct tars_pg_conn *conn = take(pool);
    int64_t pid = number(conn, PID);

    tars_pg_give(pool, conn);
    return pid;
}

static bool works(struct tars_pg_pool *pool)
{
    struct tars_pg_conn *conn = NULL;
    bool is_well;

    if (tars_pg_take(pool, &conn, NULL) != TARS_OK)
        return false;
    is_well = tars_pg_ping(conn, PATIENCE_MS, NULL) == TARS_OK;
    tars_pg_give(pool, conn);
    return is_well;
}

static bool is_well(struct tars_pg_pool *pool)
{
    return tars_pg_pool_health(pool, NULL) == TARS_OK;
}

static bool is_ill(struct tars_pg_pool *pool)
{
    return !is_well(pool);
}

/* Milliseconds until what happens. */
static int64_t await(bool (*happens)(struct tars_pg_pool *pool), struct tars_pg_pool *pool)
{
    int64_t begun_ms = tars_clock_mono_ms();

    while (!happens(pool)) {
        if (tars_clock_mono_ms() - begun_ms > PATIENCE_MS)
            fail_msg("it does not happen");
        (void)usleep(5000);
    }
    return tars_clock_mono_ms() - begun_ms;
}

static int64_t sessions(void)
{
    const char *n = postgres_do(&server, "query tars_analytics SELECT count(*) FROM "
                                         "pg_stat_activity WHERE application_name = 'tars-test'");

    return strtoll(n, NULL, 10);
}

/* ------------------------------------------------------------------- bounds */

static void at_most_so_many(void **state)
{
    struct tars_pg_pool_config config = config_of();
    struct tars_pg_conn *conns[3];
    struct tars_pg_conn *none = NULL;
    struct tars_pg_pool_stats stats;
    struct tars_err err = {.text = ""};
    struct tars_pg_pool *pool;
    int64_t begun_ms;

    (void)state;
    config.server.timeout_ms = BUSY_MS;
    pool = make(&config);
    for (size_t i = 0; i < ROWS(conns); i++)
        conns[i] = take(pool);
    stats = tars_pg_pool_stats(pool);
    assert_int_equal(stats.active, 3);
    assert_int_equal(stats.idle, 0);
    assert_int_equal(stats.max, 3);
    assert_int_equal(sessions(), 3);
    begun_ms = tars_clock_mono_ms();
    assert_int_equal(tars_pg_take(pool, &none, &err), TARS_EBUSY);
    assert_in_range(tars_clock_mono_ms() - begun_ms, BUSY_MS, PATIENCE_MS);
    assert_string_equal(err.text, "PostgreSQL: all 3 connections are in use");
    assert_null(none);
    for (size_t i = 0; i < ROWS(conns); i++)
        tars_pg_give(pool, conns[i]);
    tars_pg_give(pool, NULL);
    stats = tars_pg_pool_stats(pool);
    assert_int_equal(stats.active, 0);
    assert_int_equal(stats.idle, 2);
    assert_int_equal(stats.opened, 3);
    assert_int_equal(stats.failures, 0);
    tars_pg_pool_free(pool);
}

struct waiter {
    struct tars_pg_pool *pool;
    atomic_bool waits;
    tars_status status;
};

static void *wait_for_one(void *ctx)
{
    struct waiter *waiter = ctx;
    struct tars_pg_conn *conn = NULL;

    atomic_store(&waiter->waits, true);
    waiter->status = tars_pg_take(waiter->pool, &conn, NULL);
    tars_pg_give(waiter->pool, conn);
    return NULL;
}

static void who_waits_gets_the_next(void **state)
{
    struct tars_pg_pool_config config = config_of();
    struct tars_pg_conn *conns[3];
    struct waiter waiter = {.status = TARS_EBUSY};
    pthread_t thread;

    (void)state;
    config.server.timeout_ms = PATIENCE_MS;
    waiter.pool = make(&config);
    for (size_t i = 0; i < ROWS(conns); i++)
        conns[i] = take(waiter.pool);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_one, &waiter), 0);
    while (!atomic_load(&waiter.waits))
        (void)usleep(1000);
    (void)usleep(SHORT_MS * 1000);
    tars_pg_give(waiter.pool, conns[0]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiter.status, TARS_OK);
    tars_pg_give(waiter.pool, conns[1]);
    tars_pg_give(waiter.pool, conns[2]);
    tars_pg_pool_free(waiter.pool);
}

/* The role may have two: a third is waited for as if these were all, and counts as no failure, nor
 * do the keeper's looks. */
static void a_full_server_is_not_away(void **state)
{
    (void)state;
    (void)postgres_do(&server, "query tars_analytics ALTER ROLE tars CONNECTION LIMIT 2");
    for (int is_given = 0; is_given < 2; is_given++) {
        struct tars_pg_pool_config config = config_of();
        struct tars_pg_conn *conns[2];
        struct waiter waiter = {.status = TARS_OK};
        pthread_t thread;

        config.server.timeout_ms = is_given ? PATIENCE_MS : BUSY_MS;
        config.ping_ms = 10;
        waiter.pool = make(&config);
        await(works, waiter.pool);
        for (size_t i = 0; i < ROWS(conns); i++)
            conns[i] = take(waiter.pool);
        assert_int_equal(pthread_create(&thread, NULL, wait_for_one, &waiter), 0);
        (void)usleep(SHORT_MS * 1000);
        if (is_given)
            tars_pg_give(waiter.pool, conns[0]);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(waiter.status, is_given ? TARS_OK : TARS_EBUSY);
        assert_int_equal(tars_pg_pool_stats(waiter.pool).failures, 0);
        assert_true(is_well(waiter.pool));
        for (size_t i = (size_t)is_given; i < ROWS(conns); i++)
            tars_pg_give(waiter.pool, conns[i]);
        tars_pg_pool_free(waiter.pool);
        while (sessions() > 0) /* the server takes a while to notice */
            (void)usleep(5000);
    }
    (void)postgres_do(&server, "query tars_analytics ALTER ROLE tars CONNECTION LIMIT -1");
}

/* The latest that was given is lent first, so that the others may grow old. */
static void one_is_used_again(void **state)
{
    struct tars_pg_pool_config config = config_of();
    struct tars_pg_pool *pool = make(&config);
    int64_t first = pid_of_next(pool);

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(pid_of_next(pool), first);
    assert_int_equal(tars_pg_pool_stats(pool).opened, 1);
    tars_pg_pool_free(pool);
}

/* Who leaves a transaction open, or a lost connection, leaves nothing to the next. */
static void only_clean_ones_are_kept(void **state)
{
    struct tars_pg_pool_config config = config_of();
    struct tars_pg_pool *pool = make(&config);
    struct tars_pg_conn *conn = take(pool);

    (void)state;
    assert_int_equal(tars_pg_exec(conn, "BEGIN", NULL), TARS_OK);
    tars_pg_give(pool, conn);
    assert_int_equal(tars_pg_pool_stats(pool).idle, 0);
    conn = take(pool);
    assert_int_not_equal(tars_pg_exec(conn, "SELECT pg_terminate_backend(pg_backend_pid())", NULL),
                         TARS_OK);
    tars_pg_give(pool, conn);
    assert_int_equal(tars_pg_pool_stats(pool).idle, 0);
    assert_int_equal(tars_pg_pool_stats(pool).failures, 1);
    assert_true(works(pool));
    tars_pg_pool_free(pool);
}

/* What a borrower sets is as at first for the next. */
static void borrowers_leave_no_traces(void **state)
{
    struct tars_pg_pool_config config = config_of();
    struct tars_pg_pool *pool = make(&config);
    struct tars_pg_conn *conn = take(pool);
    int64_t wait_ms = conn->wait_ms;

    (void)state;
    conn->wait_ms = 1;
    assert_int_not_equal(tars_pg_exec(conn, "SELECT nothing", NULL), TARS_OK);
    tars_pg_give(pool, conn);
    conn = take(pool);
    assert_int_equal(conn->wait_ms, wait_ms);
    assert_string_equal(conn->state, "");
    tars_pg_give(pool, conn);
    tars_pg_pool_free(pool);
}

/* Who does not wait long breaks its own connection, and nobody else's. */
static void impatience_is_no_outage(void **state)
{
    struct tars_pg_pool_config config = config_of();
    struct tars_pg_pool *pool = make(&config);

    (void)state;
    for (int i = 0; i < 8; i++) {
        struct tars_pg_conn *conn = take(pool);

        conn->wait_ms = 1;
        assert_int_equal(tars_pg_exec(conn, "SELECT pg_sleep(60)", NULL), TARS_ETIMEOUT);
        assert_true(conn->is_broken);
        conn->is_let_go = i < 4;
        tars_pg_give(pool, conn);
        if (i < 4)
            assert_int_equal(tars_pg_pool_stats(pool).failures, 0);
        if (tars_pg_pool_stats(pool).breaker != TARS_BREAKER_CLOSED)
            break;
    }
    assert_int_equal(tars_pg_pool_stats(pool).failures, 3);
    assert_int_not_equal(tars_pg_pool_stats(pool).breaker, TARS_BREAKER_CLOSED);
    tars_pg_pool_free(pool);
}

/* ------------------------------------------------------------------- health */

static void the_old_are_replaced(void **state)
{
    struct tars_pg_pool_config config = config_of();
    struct tars_pg_pool *pool = make(&config);
    struct tars_pg_conn *conn = take(pool);
    int64_t pid = number(conn, PID);

    (void)state;
    tars_pg_give(pool, conn);
    conn = take(pool);
    assert_int_equal(number(conn, PID), pid);
    tars_pg_give(pool, conn);
    conn->opened_ms -= HOUR_MS + 1; /* it lies in the pool */
    assert_int_not_equal(pid_of_next(pool), pid);
    assert_int_equal(tars_pg_pool_stats(pool).recycled, 1);
    conn = take(pool);
    conn->opened_ms -= HOUR_MS + 1; /* it is given back too old */
    tars_pg_give(pool, conn);
    assert_int_equal(tars_pg_pool_stats(pool).idle, 0);
    tars_pg_pool_free(pool);
}

/* What this session asked last. */
static const char *last_of(int64_t pid)
{
    return postgres_do(&server,
                       "query tars_analytics SELECT query FROM pg_stat_activity WHERE pid = %lld",
                       (long long)pid);
}

static void the_silent_are_asked(void **state)
{
    struct tars_pg_pool_config config = config_of();
    struct tars_pg_pool *pool = make(&config);
    struct tars_pg_conn *conn = take(pool);
    int64_t pid = number(conn, PID);

    (void)state;
    tars_pg_give(pool, conn);
    conn = take(pool);
    assert_string_equal(last_of(pid), texts[PID]);
    tars_pg_give(pool, conn);
    conn->used_ms -= 60000;
    conn = take(pool);
    assert_string_equal(last_of(pid), "SELECT 1");
    tars_pg_give(pool, conn);
    tars_pg_pool_free(pool);
}

/* Nobody hears of it: not even one question fails. */
static void restarts_are_survived(void **state)
{
    static const char *const ways[] = {"restart", "query tars_analytics SELECT "
                                                  "count(pg_terminate_backend(pid)) FROM "
                                                  "pg_stat_activity WHERE application_name = "
                                                  "'tars-test'"};
    struct tars_pg_pool_config config = config_of();

    (void)state;
    for (size_t i = 0; i < ROWS(ways); i++) {
        struct tars_pg_pool *pool = make(&config);
        struct tars_pg_conn *conns[2] = {take(pool), take(pool)};

        print_message("row %zu: %s\n", i, ways[i]);
        tars_pg_give(pool, conns[0]);
        tars_pg_give(pool, conns[1]);
        (void)postgres_do(&server, "%s", ways[i]);
        while (sessions() > 0)
            (void)usleep(10000);
        (void)usleep(SHORT_MS * 1000); /* for the end of what they are sent */
        assert_true(works(pool));
        assert_int_equal(tars_pg_pool_stats(pool).failures, 0);
        assert_int_equal(tars_pg_pool_stats(pool).opened, 3);
        assert_true(is_well(pool));
        tars_pg_pool_free(pool);
    }
}

static void killed_it_costs_nothing_until_it_is_back(void **state)
{
    struct tars_pg_pool_config config = config_of();
    struct tars_pg_conn *conn = NULL;
    struct tars_err err = {.text = ""};
    struct tars_pg_pool *pool;

    (void)state;
    config.ping_ms = 50;
    pool = make(&config);
    await(works, pool);
    (void)postgres_do(&server, "kill");
    await(is_ill, pool);
    assert_int_equal(tars_pg_pool_health(pool, &err), TARS_EUNAVAILABLE);
    assert_int_not_equal(tars_pg_pool_stats(pool).breaker, TARS_BREAKER_CLOSED);
    assert_int_equal(tars_pg_take(pool, &conn, &err), TARS_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "PostgreSQL: "));
    (void)postgres_do(&server, "start");
    await(is_well, pool);
    await(works, pool);
    tars_pg_pool_free(pool);
}

static void *sleep_there(void *ctx)
{
    struct waiter *waiter = ctx;
    struct tars_pg_conn *conn = NULL;
    struct tars_pg_query query;

    waiter->status = tars_pg_take(waiter->pool, &conn, NULL);
    atomic_store(&waiter->waits, true);
    if (waiter->status != TARS_OK)
        return NULL;
    query = tars_pg_ask(conn, SLEEP);
    tars_pg_bind_real(&query, 600);
    waiter->status = tars_pg_run(&query, NULL, NULL);
    tars_pg_give(waiter->pool, conn);
    return NULL;
}

/* With some connections in use, and with all: waits for a server that hangs are ended, and it is
 * used again when it goes on. */
static void hanging_it_is_left_alone(void **state)
{
    (void)state;
    for (size_t busy = 1; busy <= 3; busy += 2) {
        struct tars_pg_pool_config config = config_of();
        struct waiter waiters[3] = {{.status = TARS_OK}};
        struct tars_pg_conn *conn = NULL;
        struct tars_pg_pool *pool;
        pthread_t threads[3];

        print_message("%zu of 3 are in use\n", busy);
        config.server.timeout_ms = PATIENCE_MS;
        config.server.statement_timeout_ms = 10L * PATIENCE_MS;
        config.ping_ms = 50;
        pool = make(&config);
        await(works, pool);
        for (size_t i = 0; i < busy; i++) {
            waiters[i].pool = pool;
            assert_int_equal(pthread_create(&threads[i], NULL, sleep_there, &waiters[i]), 0);
            while (!atomic_load(&waiters[i].waits))
                (void)usleep(1000);
        }
        (void)postgres_do(&server, "pause");
        for (size_t i = 0; i < busy; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_int_equal(waiters[i].status, TARS_EUNAVAILABLE);
        }
        assert_true(is_ill(pool));
        assert_int_equal(tars_pg_take(pool, &conn, NULL), TARS_EUNAVAILABLE);
        (void)postgres_do(&server, "resume");
        await(works, pool);
        assert_true(is_well(pool));
        tars_pg_pool_free(pool);
    }
}

/* A folder of which the server's socket can be taken away. */
static void make_way(char *folder, char *way, size_t size)
{
    const char *dir = postgres_do(&server, "query tars_analytics SHOW unix_socket_directories");
    char there[256];

    assert_non_null(mkdtemp(folder));
    (void)snprintf(there, sizeof(there), "%.*s/.s.PGSQL.%u", (int)strcspn(dir, "\n"), dir,
                   (unsigned)server.port);
    (void)snprintf(way, size, "%s/.s.PGSQL.%u", folder, (unsigned)server.port);
    assert_int_equal(symlink(there, way), 0);
}

/* All are in use and hang, and a new one is refused at once by the way there: what a network does
 * that is gone. */
static void without_a_way_it_is_left_alone(void **state)
{
    char folder[] = "/tmp/tars-way-XXXXXX";
    struct tars_pg_pool_config config = config_of();
    struct waiter waiters[3] = {{.status = TARS_OK}};
    pthread_t threads[ROWS(waiters)];
    struct tars_pg_conn *conn = NULL;
    struct tars_err err = {.text = ""};
    struct tars_pg_pool *pool;
    char way[64];
    char aside[80];

    (void)state;
    make_way(folder, way, sizeof(way));
    (void)snprintf(aside, sizeof(aside), "%s.aside", way);
    config.server.host = folder;
    config.server.statement_timeout_ms = 10L * PATIENCE_MS;
    config.ping_ms = 50;
    pool = make(&config);
    await(works, pool);
    for (size_t i = 0; i < ROWS(waiters); i++) {
        waiters[i].pool = pool;
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_there, &waiters[i]), 0);
        while (!atomic_load(&waiters[i].waits))
            (void)usleep(1000);
    }
    (void)postgres_do(&server, "pause");
    assert_int_equal(rename(way, aside), 0);
    for (size_t i = 0; i < ROWS(waiters); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(waiters[i].status, TARS_EUNAVAILABLE);
    }
    assert_true(is_ill(pool));
    assert_int_equal(tars_pg_take(pool, &conn, &err), TARS_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "PostgreSQL: "));
    assert_int_equal(rename(aside, way), 0);
    (void)postgres_do(&server, "resume");
    await(works, pool);
    assert_true(is_well(pool));
    tars_pg_pool_free(pool);
    assert_int_equal(unlink(way), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* Who asks while the first look goes on waits for it, for a bounded time. */
static void a_start_waits_for_the_first_look(void **state)
{
    struct tars_pg_pool_config config = config_of();
    struct tars_pg_conn *conn = NULL;
    struct tars_pg_pool *pool;
    int64_t begun_ms;

    (void)state;
    config.ping_ms = 50;
    config.first_ms = SHORT_MS;
    config.hang_ms = PATIENCE_MS;
    config.server.timeout_ms = PATIENCE_MS;
    (void)postgres_do(&server, "pause");
    begun_ms = tars_clock_mono_ms();
    pool = make(&config);
    assert_int_equal(tars_pg_take(pool, &conn, NULL), TARS_EUNAVAILABLE);
    assert_in_range(tars_clock_mono_ms() - begun_ms, SHORT_MS, PATIENCE_MS / 2);
    begun_ms = tars_clock_mono_ms();
    assert_int_equal(tars_pg_take(pool, &conn, NULL), TARS_EUNAVAILABLE);
    assert_in_range(tars_clock_mono_ms() - begun_ms, 0, PATIENCE_MS / 2);
    (void)postgres_do(&server, "resume");
    await(works, pool);
    tars_pg_pool_free(pool);
}

/* ------------------------------------------------------------------ threads */

struct crowd {
    struct tars_pg_pool *pool;
    atomic_bool is_over;
    atomic_int answers, failures, lent, most; /* most that were lent at a time */
};

static void note_lent(struct crowd *crowd)
{
    int lent = atomic_fetch_add(&crowd->lent, 1) + 1;
    int most = atomic_load(&crowd->most);

    while (lent > most && !atomic_compare_exchange_weak(&crowd->most, &most, lent))
        continue;
}

/* Ask until it is over. */
static void *ask_on(void *ctx)
{
    struct crowd *crowd = ctx;

    while (!atomic_load(&crowd->is_over)) {
        struct tars_pg_conn *conn = NULL;
        struct tars_pg_query query;

        if (tars_pg_take(crowd->pool, &conn, NULL) != TARS_OK) {
            atomic_fetch_add(&crowd->failures, 1);
            (void)usleep(1000);
            continue;
        }
        note_lent(crowd);
        query = tars_pg_ask(conn, PID);
        while (tars_pg_step(&query))
            continue;
        if (tars_pg_end(&query, NULL) == TARS_OK) {
            atomic_fetch_add(&crowd->answers, 1);
        } else {
            atomic_fetch_add(&crowd->failures, 1);
        }
        atomic_fetch_sub(&crowd->lent, 1);
        tars_pg_give(crowd->pool, conn);
    }
    return NULL;
}

static void await_answers(struct crowd *crowd, int more)
{
    int until = atomic_load(&crowd->answers) + more;

    for (int i = 0; atomic_load(&crowd->answers) < until; i++) {
        if (i > PATIENCE_MS)
            fail_msg("no answers come");
        (void)usleep(1000);
    }
}

static void many_threads(void **state)
{
    struct tars_pg_pool_config config = config_of();
    struct crowd crowd = {.most = 0};
    struct tars_pg_pool_stats stats;
    pthread_t threads[THREADS];

    (void)state;
    config.server.timeout_ms = PATIENCE_MS;
    config.size = 3;
    config.overflow = 2;
    config.ping_ms = 50;
    crowd.pool = make(&config);
    await(works, crowd.pool);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_on, &crowd), 0);
    await_answers(&crowd, 300);
    assert_int_equal(atomic_load(&crowd.failures), 0);
    assert_in_range(atomic_load(&crowd.most), 2, 5);
    (void)postgres_do(&server, "restart");
    await(works, crowd.pool);
    await_answers(&crowd, 300);
    atomic_store(&crowd.is_over, true);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    stats = tars_pg_pool_stats(crowd.pool);
    assert_in_range(stats.active, 0, 1); /* the keeper's look, perhaps */
    assert_in_range(stats.idle, 0, 3);
    tars_pg_pool_free(crowd.pool);
}

/* ---------------------------------------------------------------- no memory */

static void use_once(void *ctx)
{
    const struct tars_pg_pool_config *config = ctx;
    struct tars_pg_conn *conn = NULL;
    struct tars_pg_pool *pool = NULL;
    tars_status status = tars_pg_pool_new(config, &pool, NULL);

    if (status == TARS_OK) {
        status = tars_pg_take(pool, &conn, NULL);
        if (status == TARS_OK)
            status = tars_pg_ping(conn, PATIENCE_MS, NULL);
        tars_pg_give(pool, conn);
        assert_int_equal(tars_pg_pool_stats(pool).active, 0);
        assert_int_equal(tars_pg_pool_stats(pool).failures, 0);
    }
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    tars_pg_pool_free(pool);
}

static void every_allocation_may_fail(void **state)
{
    struct tars_pg_pool_config config = config_of();

    (void)state;
    assert_true(faults_each(use_once, &config) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_most_so_many),
        cmocka_unit_test(who_waits_gets_the_next),
        cmocka_unit_test(a_full_server_is_not_away),
        cmocka_unit_test(one_is_used_again),
        cmocka_unit_test(only_clean_ones_are_kept),
        cmocka_unit_test(borrowers_leave_no_traces),
        cmocka_unit_test(impatience_is_no_outage),
        cmocka_unit_test(the_old_are_replaced),
        cmocka_unit_test(the_silent_are_asked),
        cmocka_unit_test(restarts_are_survived),
        cmocka_unit_test(killed_it_costs_nothing_until_it_is_back),
        cmocka_unit_test(hanging_it_is_left_alone),
        cmocka_unit_test(without_a_way_it_is_left_alone),
        cmocka_unit_test(a_start_waits_for_the_first_look),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
