/* postgres_pool - see postgres_pool.h for the contract.
 *
 * INVARIANTS
 *
 *   1. total = idle + lent + being opened, and total <= size + overflow.
 *   2. idle <= size.
 *   3. is_away is set only while the breaker is not closed.
 *   4. Refused while others of the pool are connected, a new connection says that the server is
 *      full, not that it is away: whoever wanted it waits for one of those. Where the keeper
 *      reaches nobody, and nothing came of those for hang_ms, they are not waited for any more.
 */
#include "store/postgres_pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys/clock.h"

#define SIZE             20
#define TIMEOUT_MS       5000
#define RECYCLE_MS       3600000
#define KEEPER_MS        1000
#define PING_AFTER_MS    30000 /* silence after which an idle connection is asked */
#define HANG_MS          1500
#define CONNECT_PINGS    2   /* the keeper gives connecting the time of so many pings */
#define QUIET_MS         500 /* heard of so recently, the keeper need not ask */
#define BREAKER_FAILURES 3
#define PAUSE_MAX_MS     1000 /* so that a server that is back is found within seconds */
#define FULL_MS          100  /* a server that has no more room is asked again after that */
#define FULL_LOOK_US     2000 /* between looks for a connection that was given back meanwhile */

struct tars_pg_pool {
    struct tars_pg_pool_config config; /* with every default filled in */
    struct tars_pg_config trial;       /* how the keeper connects: in less time */
    struct tars_breaker breaker;
    atomic_bool is_away; /* the server hangs: whoever waits for an answer gives up */
    pthread_t keeper;
    bool has_keeper;
    atomic_bool has_looked; /* the keeper, once */
    int64_t first_due_ms;   /* until when it is waited for */

    pthread_mutex_t lock;              /* guards all below */
    pthread_cond_t given;              /* a connection or room for one */
    pthread_cond_t stop;               /* the keeper shall end */
    pthread_cond_t looked;             /* has_looked is set */
    struct tars_pg_conn **idle;        /* (idle_count,) newest last; room for size */
    size_t idle_count, total, opening; /* opening: of total, those that are not connected yet */
    bool is_stopping;
    bool was_reached;    /* ever */
    int64_t heard_ms;    /* of the server, last */
    struct tars_err why; /* words of the last failure */
    struct tars_pg_pool_stats stats;
};

/* -------------------------------------------------------------------- notes */

static void note_failure(struct tars_pg_pool *pool, const struct tars_err *why)
{
    pthread_mutex_lock(&pool->lock);
    pool->why = *why;
    pool->stats.failures++;
    pthread_mutex_unlock(&pool->lock);
    tars_breaker_note(&pool->breaker, false, tars_clock_mono_ms());
}

static void note_success(struct tars_pg_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->heard_ms = tars_clock_mono_ms();
    pool->was_reached = true;
    pthread_mutex_unlock(&pool->lock);
    tars_breaker_note(&pool->breaker, true, tars_clock_mono_ms());
    if (tars_breaker_state(&pool->breaker) == TARS_BREAKER_CLOSED)
        atomic_store(&pool->is_away, false);
}

/* ----------------------------------------------------------- taking, giving */

static void destroy(struct tars_pg_conn *conn)
{
    tars_pg_close(conn);
    free(conn);
}

/* Room that was taken for a connection is free again. */
static void leave(struct tars_pg_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->total--;
    pthread_cond_signal(&pool->given);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t due_ms)
{
    const struct timespec due = {.tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000};

    (void)pthread_cond_timedwait(cond, lock, &due);
}

/* An idle connection into *conn, or NULL with room taken for a new one. False: neither, until
 * due_ms. */
static bool take_room(struct tars_pg_pool *pool, int64_t due_ms, struct tars_pg_conn **conn)
{
    size_t max = pool->config.size + pool->config.overflow;
    bool has_room;

    pthread_mutex_lock(&pool->lock);
    while (pool->idle_count == 0 && pool->total >= max && tars_clock_mono_ms() < due_ms)
        wait_until(&pool->given, &pool->lock, due_ms);
    *conn = NULL;
    has_room = pool->idle_count > 0 || pool->total < max;
    if (pool->idle_count > 0) {
        *conn = pool->idle[--pool->idle_count];
    } else if (has_room) {
        pool->total++;
        pool->opening++;
    }
    pthread_mutex_unlock(&pool->lock);
    return has_room;
}

static bool is_old(const struct tars_pg_pool *pool, const struct tars_pg_conn *conn, int64_t now_ms)
{
    return now_ms - conn->opened_ms > pool->config.recycle_ms;
}

/* Well enough to be lent; asks after a long silence. */
static bool is_well(struct tars_pg_pool *pool, struct tars_pg_conn *conn)
{
    int64_t now_ms = tars_clock_mono_ms();

    if (is_old(pool, conn, now_ms)) {
        pthread_mutex_lock(&pool->lock);
        pool->stats.recycled++;
        pthread_mutex_unlock(&pool->lock);
        return false;
    }
    if (!tars_pg_is_whole(conn))
        return false;
    return now_ms - conn->used_ms < PING_AFTER_MS ||
           tars_pg_ping(conn, pool->config.hang_ms, NULL) == TARS_OK;
}

/* As take_room(), but an idle one is well. */
static bool take_well(struct tars_pg_pool *pool, int64_t due_ms, struct tars_pg_conn **conn)
{
    if (!take_room(pool, due_ms, conn))
        return false;
    while (*conn && !is_well(pool, *conn)) {
        destroy(*conn);
        pthread_mutex_lock(&pool->lock);
        *conn = pool->idle_count > 0 ? pool->idle[--pool->idle_count] : NULL;
        if (*conn) { /* the room of the one that was closed, which else is kept for a new one */
            pool->total--;
            pthread_cond_signal(&pool->given);
        } else {
            pool->opening++;
        }
        pthread_mutex_unlock(&pool->lock);
    }
    return true;
}

/* A connection was made, or not, in room that was taken for it. True: it was not, but others are
 * there, as far as anybody knows. */
static bool end_opening(struct tars_pg_pool *pool, bool is_made, bool has_room)
{
    bool has_others;

    pthread_mutex_lock(&pool->lock);
    has_others = pool->total > pool->opening;
    pool->stats.opened += is_made;
    if (has_room) {
        pool->opening--;
        pool->total -= !is_made;
    }
    if (has_room && !is_made)
        pthread_cond_signal(&pool->given);
    pthread_mutex_unlock(&pool->lock);
    return !is_made && has_others;
}

/* A while, or until one may be free; nobody's signal is taken away. */
static void wait_while_full(struct tars_pg_pool *pool)
{
    int64_t due_ms = tars_clock_mono_ms() + FULL_MS;
    bool waits = true;

    while (waits && tars_clock_mono_ms() < due_ms) {
        (void)usleep(FULL_LOOK_US);
        pthread_mutex_lock(&pool->lock);
        waits = pool->idle_count == 0 && pool->total > pool->opening;
        pthread_mutex_unlock(&pool->lock);
    }
}

/* has_room: it was taken for it, and is free again where this fails. EBUSY: the server takes no
 * more than we have; *is_there, or NULL: nobody was reached. */
static tars_status open_new(struct tars_pg_pool *pool, const struct tars_pg_config *server,
                            bool has_room, struct tars_pg_conn **conn, bool *is_there,
                            struct tars_err *err)
{
    struct tars_pg_conn *made = calloc(1, sizeof(*made));
    struct tars_err why = {.text = ""};
    tars_status status = TARS_ENOMEM;
    bool has_others;

    if (made)
        status = tars_pg_open(made, server, &pool->is_away, &why);
    has_others = end_opening(pool, status == TARS_OK, has_room);
    if (status == TARS_OK) {
        *conn = made;
        return TARS_OK;
    }
    if (made && is_there)
        *is_there = made->is_refused;
    free(made);
    if (status == TARS_ENOMEM)
        return tars_fail(status, err, "no memory for a connection");
    if (status == TARS_EUNAVAILABLE && has_others) {
        status = TARS_EBUSY;
    } else {
        note_failure(pool, &why);
    }
    return tars_fail(status, err, "%s", why.text);
}

/* Past the breaker. */
static tars_status take(struct tars_pg_pool *pool, struct tars_pg_conn **conn, struct tars_err *err)
{
    int64_t due_ms = tars_clock_mono_ms() + pool->config.server.timeout_ms;
    struct tars_err why = {.text = ""};
    tars_status status = TARS_EBUSY;

    while (status == TARS_EBUSY) {
        struct tars_pg_conn *idle;

        if (!take_well(pool, due_ms, &idle)) {
            return tars_fail(TARS_EBUSY, err, "PostgreSQL: all %zu connections are in use",
                             pool->config.size + pool->config.overflow);
        }
        if (idle) {
            tars_pg_reset(idle);
            *conn = idle;
            return TARS_OK;
        }
        status = open_new(pool, &pool->config.server, true, conn, NULL, &why);
        if (status == TARS_EBUSY && atomic_load(&pool->is_away))
            status = TARS_EUNAVAILABLE; /* so it was not full */
        if (status == TARS_EBUSY && tars_clock_mono_ms() >= due_ms)
            break;
        if (status == TARS_EBUSY)
            wait_while_full(pool);
    }
    return status == TARS_OK ? status : tars_fail(status, err, "%s", why.text);
}

/* The keeper's first look has ended, if need be after a wait. */
static bool await_first_look(struct tars_pg_pool *pool)
{
    if (atomic_load(&pool->has_looked) || !pool->has_keeper || pool->config.first_ms == 0)
        return true;
    pthread_mutex_lock(&pool->lock);
    while (!atomic_load(&pool->has_looked) && tars_clock_mono_ms() < pool->first_due_ms)
        wait_until(&pool->looked, &pool->lock, pool->first_due_ms);
    pthread_mutex_unlock(&pool->lock);
    return atomic_load(&pool->has_looked);
}

tars_status tars_pg_take(struct tars_pg_pool *pool, struct tars_pg_conn **conn,
                         struct tars_err *err)
{
    tars_status status;

    /* While the server hangs only the keeper tries. */
    if (!await_first_look(pool) || atomic_load(&pool->is_away) ||
        !tars_breaker_may_try(&pool->breaker, tars_clock_mono_ms())) {
        pthread_mutex_lock(&pool->lock);
        status = tars_fail(TARS_EUNAVAILABLE, err, "%s", pool->why.text);
        pthread_mutex_unlock(&pool->lock);
        return status;
    }
    return take(pool, conn, err);
}

void tars_pg_give(struct tars_pg_pool *pool, struct tars_pg_conn *conn)
{
    bool is_kept;

    if (!conn)
        return;
    if (conn->is_broken) {
        if (!conn->is_let_go || tars_breaker_state(&pool->breaker) != TARS_BREAKER_CLOSED)
            note_failure(pool, &conn->why);
        destroy(conn);
        leave(pool);
        return;
    }
    note_success(pool);
    is_kept = tars_pg_is_idle(conn) && !is_old(pool, conn, tars_clock_mono_ms());
    pthread_mutex_lock(&pool->lock);
    is_kept = is_kept && pool->total <= pool->config.size && !pool->is_stopping;
    if (is_kept)
        pool->idle[pool->idle_count++] = conn;
    pthread_cond_signal(&pool->given);
    pthread_mutex_unlock(&pool->lock);
    if (!is_kept) {
        destroy(conn);
        leave(pool);
    }
}

/* ------------------------------------------------------------------- keeper */

/* The server hangs: nobody shall go on waiting for it. */
static void give_up(struct tars_pg_pool *pool, const struct tars_err *why)
{
    int64_t now_ms = tars_clock_mono_ms();

    pthread_mutex_lock(&pool->lock);
    pool->why = *why;
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < BREAKER_FAILURES; i++)
        tars_breaker_note(&pool->breaker, false, now_ms);
    if (tars_breaker_state(&pool->breaker) != TARS_BREAKER_CLOSED)
        atomic_store(&pool->is_away, true);
}

static bool may_look(struct tars_pg_pool *pool)
{
    int64_t now_ms = tars_clock_mono_ms();
    bool is_quiet;

    if (tars_breaker_state(&pool->breaker) != TARS_BREAKER_CLOSED)
        return tars_breaker_may_try(&pool->breaker, now_ms);
    pthread_mutex_lock(&pool->lock);
    is_quiet = now_ms - pool->heard_ms >= QUIET_MS;
    pthread_mutex_unlock(&pool->lock);
    return is_quiet;
}

/* Nothing came of the server for longer than its answer to a ping may take. */
static bool is_silent(struct tars_pg_pool *pool)
{
    int64_t heard_ms;

    pthread_mutex_lock(&pool->lock);
    heard_ms = pool->heard_ms;
    pthread_mutex_unlock(&pool->lock);
    return tars_clock_mono_ms() - heard_ms >= pool->config.hang_ms;
}

/* A connection to ask on, in less time than others get; *has_room: it is one of the pool's.
 * ETIMEOUT: nobody there answers. */
static tars_status take_to_look(struct tars_pg_pool *pool, struct tars_pg_conn **conn,
                                bool *has_room, struct tars_err *err)
{
    bool is_there = true;
    tars_status status = TARS_OK;

    *has_room = take_well(pool, 0, conn);
    if (*conn)
        return TARS_OK;
    status = open_new(pool, &pool->trial, *has_room, conn, &is_there, err);
    if (status == TARS_OK && *conn)
        (*conn)->config = &pool->config.server;
    return status == TARS_EBUSY && !is_there && is_silent(pool) ? TARS_ETIMEOUT : status;
}

static void give_looked(struct tars_pg_pool *pool, struct tars_pg_conn *conn, bool has_room)
{
    if (has_room) {
        tars_pg_give(pool, conn);
        return;
    }
    if (conn->is_broken) {
        note_failure(pool, &conn->why);
    } else {
        note_success(pool);
    }
    destroy(conn);
}

/* Ask the server whether it is there, on a connection that is not in use. */
static void look(struct tars_pg_pool *pool)
{
    struct tars_pg_conn *conn = NULL;
    struct tars_err why = {.text = ""};
    bool has_room = false;
    tars_status status;

    if (!may_look(pool))
        return;
    status = take_to_look(pool, &conn, &has_room, &why);
    if (status == TARS_ETIMEOUT)
        give_up(pool, &why);
    if (status != TARS_OK || !conn)
        return;
    /* Its own look is not given up, else a server that is back would not be noticed. */
    conn->is_given_up = NULL;
    tars_pg_reset(conn);
    status = tars_pg_ping(conn, pool->config.hang_ms, &why);
    conn->is_given_up = &pool->is_away;
    give_looked(pool, conn, has_room);
    if (status != TARS_OK)
        give_up(pool, &why);
}

static void note_look(struct tars_pg_pool *pool)
{
    if (atomic_load(&pool->has_looked))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->has_looked, true);
    pthread_cond_broadcast(&pool->looked);
    pthread_mutex_unlock(&pool->lock);
}

static void *keep(void *ctx)
{
    struct tars_pg_pool *pool = ctx;
    bool goes_on = true;

    while (goes_on) {
        int64_t due_ms;

        look(pool);
        note_look(pool);
        /* While it is away the breaker's pauses say when the next trial is; look often enough. */
        due_ms = tars_clock_mono_ms() + (tars_breaker_state(&pool->breaker) == TARS_BREAKER_CLOSED
                                             ? pool->config.ping_ms
                                             : pool->config.ping_ms / 4 + 1);
        pthread_mutex_lock(&pool->lock);
        while (!pool->is_stopping && tars_clock_mono_ms() < due_ms)
            wait_until(&pool->stop, &pool->lock, due_ms);
        goes_on = !pool->is_stopping;
        pthread_mutex_unlock(&pool->lock);
    }
    return NULL;
}

/* --------------------------------------------------------------- life cycle */

static void init_locks(struct tars_pg_pool *pool)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->given, &attr);
    pthread_cond_init(&pool->stop, &attr);
    pthread_cond_init(&pool->looked, &attr);
    pthread_condattr_destroy(&attr);
}

tars_status tars_pg_pool_new(const struct tars_pg_pool_config *config, struct tars_pg_pool **pool,
                             struct tars_err *err)
{
    const struct tars_breaker_config breaker = {
        .failures = BREAKER_FAILURES, .pause_max_ms = PAUSE_MAX_MS, .seed = config->seed};
    struct tars_pg_pool *made = calloc(1, sizeof(*made));

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for connections");
    made->config = *config;
    made->config.size = config->size ? config->size : SIZE;
    made->config.recycle_ms = config->recycle_ms ? config->recycle_ms : RECYCLE_MS;
    made->config.ping_ms = config->ping_ms ? config->ping_ms : KEEPER_MS;
    made->config.hang_ms = config->hang_ms ? config->hang_ms : HANG_MS;
    if (!made->config.server.timeout_ms)
        made->config.server.timeout_ms = TIMEOUT_MS;
    made->trial = made->config.server;
    if (made->trial.timeout_ms > CONNECT_PINGS * made->config.hang_ms)
        made->trial.timeout_ms = CONNECT_PINGS * made->config.hang_ms;
    (void)tars_fail(TARS_EUNAVAILABLE, &made->why, "PostgreSQL: not reached yet");
    init_locks(made);
    tars_breaker_init(&made->breaker, &breaker);
    made->idle = calloc(made->config.size, sizeof(struct tars_pg_conn *));
    if (!made->idle) {
        tars_pg_pool_free(made);
        return tars_fail(TARS_ENOMEM, err, "no memory for connections");
    }
    made->first_due_ms = tars_clock_mono_ms() + made->config.first_ms;
    if (made->config.ping_ms > 0 && pthread_create(&made->keeper, NULL, keep, made)) {
        tars_pg_pool_free(made);
        return tars_fail(TARS_ENOMEM, err, "cannot start a thread");
    }
    made->has_keeper = made->config.ping_ms > 0;
    *pool = made;
    return TARS_OK;
}

void tars_pg_pool_free(struct tars_pg_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->is_stopping = true;
    pthread_cond_signal(&pool->stop);
    pthread_mutex_unlock(&pool->lock);
    if (pool->has_keeper)
        pthread_join(pool->keeper, NULL);
    for (size_t i = 0; i < pool->idle_count; i++)
        destroy(pool->idle[i]);
    tars_breaker_release(&pool->breaker);
    pthread_cond_destroy(&pool->looked);
    pthread_cond_destroy(&pool->stop);
    pthread_cond_destroy(&pool->given);
    pthread_mutex_destroy(&pool->lock);
    free(pool->idle);
    free(pool);
}

tars_status tars_pg_pool_health(struct tars_pg_pool *pool, struct tars_err *err)
{
    tars_status status = TARS_OK;

    pthread_mutex_lock(&pool->lock);
    if (!pool->was_reached || tars_breaker_state(&pool->breaker) != TARS_BREAKER_CLOSED)
        status = tars_fail(TARS_EUNAVAILABLE, err, "%s", pool->why.text);
    pthread_mutex_unlock(&pool->lock);
    return status;
}

struct tars_pg_pool_stats tars_pg_pool_stats(struct tars_pg_pool *pool)
{
    struct tars_pg_pool_stats stats;

    pthread_mutex_lock(&pool->lock);
    stats = pool->stats;
    stats.idle = pool->idle_count;
    stats.active = pool->total - pool->idle_count;
    stats.max = pool->config.size + pool->config.overflow;
    pthread_mutex_unlock(&pool->lock);
    stats.breaker = tars_breaker_state(&pool->breaker);
    return stats;
}
