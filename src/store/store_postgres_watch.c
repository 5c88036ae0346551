/* store_postgres_watch - see store_postgres_watch.h. */
#include "store/store_postgres_watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "store/postgres_listen.h"
#include "store/store_postgres_internal.h"

#define ANSWER_MS     4000   /* for one question; a server that takes longer counts as away */
#define RETRY_MS      500    /* between two tries to connect */
#define PRUNE_MS      600000 /* between two removals of rows that everybody has heard */
#define CANCELLED_MAX 64     /* jobs told at one look */

struct tars_store_watch {
    struct tars_store_watch_config config;
    struct pgs *pgs;
    struct tars_pg_config server;
    pthread_t thread;
    bool is_running;
    int wake; /* eventfd */
    atomic_bool is_closing;
    atomic_bool is_leader;

    pthread_mutex_t lock; /* guards state */
    struct tars_store_watch_state state;

    /* The thread's. */
    struct tars_pg_conn conn;
    bool is_open;
    bool knows_access; /* access and revoked below are what was told */
    int64_t access, revoked, revoked_us;
    int64_t prune_ms;     /* monotonic */
    int64_t led_until_ms; /* with a lease */
};

/* --------------------------------------------------------------------- looks */

static tars_status tell_revoked(struct tars_store_watch *watch, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(&watch->conn, PGS_REVOKED_NEW);
    char id[TARS_REVOKED_ID_BYTES];

    while (tars_pg_step(&query)) {
        tars_pg_word_into(&query, id, sizeof(id));
        watch->config.revoked(watch->config.ctx, id, tars_pg_int(&query));
    }
    return tars_pg_end(&query, err);
}

static tars_status tell_cancelled(struct tars_store_watch *watch, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(&watch->conn, PGS_NEWS_CANCELLED);
    int64_t ids[CANCELLED_MAX];
    size_t count = 0;
    tars_status status;

    tars_pg_bind_text(&query, watch->pgs->instance);
    while (tars_pg_step(&query)) {
        if (count < CANCELLED_MAX)
            ids[count++] = tars_pg_int(&query);
    }
    status = tars_pg_end(&query, err);
    for (size_t i = 0; !status && i < count; i++)
        watch->config.cancelled(watch->config.ctx, ids[i]);
    return status;
}

/* What was revoked is told by the list of the last minute where we have looked all the time, and is
 * among the rights where we have not. */
static tars_status tell_access(struct tars_store_watch *watch, int64_t access, int64_t revoked,
                               int64_t revoked_us, struct tars_err *err)
{
    tars_status status = TARS_OK;

    if (!watch->knows_access || access != watch->access) {
        /* It is asked of the store, on a connection of the pool. */
        if (watch->config.access(watch->config.ctx) != TARS_OK)
            return TARS_OK; /* at the next look */
    } else if (revoked != watch->revoked || revoked_us != watch->revoked_us) {
        status = tell_revoked(watch, err);
    }
    if (status)
        return status;
    watch->knows_access = true;
    watch->access = access;
    watch->revoked = revoked;
    watch->revoked_us = revoked_us;
    return TARS_OK;
}

static tars_status look(struct tars_store_watch *watch, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(&watch->conn, PGS_NEWS);
    struct tars_store_watch_state state;
    int64_t found[4] = {0};
    tars_status status;

    if (tars_pg_step(&query)) {
        for (size_t i = 0; i < 4; i++)
            found[i] = tars_pg_int(&query);
    }
    status = tars_pg_end(&query, err);
    if (status)
        return status;
    pthread_mutex_lock(&watch->lock);
    watch->state.seq = (uint64_t)found[0];
    pthread_mutex_unlock(&watch->lock);
    state = tars_store_watch_state(watch);
    watch->config.looked(watch->config.ctx, &state);
    status = tell_access(watch, found[1], found[2], found[3], err);
    return status ? status : tell_cancelled(watch, err);
}

/* -------------------------------------------------------------------- leader */

/* Once we have the session's lock we have it as long as there is a session. */
static tars_status lead_by_lock(struct tars_store_watch *watch, struct tars_err *err)
{
    struct tars_pg_query query;
    int64_t got = 0;
    tars_status status;

    if (atomic_load(&watch->is_leader))
        return TARS_OK;
    query = tars_pg_ask(&watch->conn, PGS_LEADER_LOCK);
    status = pgs_one_int(&query, &got, err);
    if (!status && got)
        atomic_store(&watch->is_leader, true);
    return status;
}

static tars_status lead_by_lease(struct tars_store_watch *watch, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(&watch->conn, PGS_LEADER_LEASE);
    int64_t asked_ms = tars_clock_mono_ms();
    int64_t changed = 0;
    tars_status status;

    tars_pg_bind_text(&query, watch->pgs->instance);
    tars_pg_bind_text(&query, watch->pgs->token);
    tars_pg_bind_int(&query, TARS_WATCH_SESSION_MS);
    status = tars_pg_run(&query, &changed, err);
    if (!status) {
        /* Ours ends before the row's, whose time began later. */
        watch->led_until_ms = changed ? asked_ms + TARS_WATCH_SESSION_MS / 2 : 0;
        atomic_store(&watch->is_leader, changed > 0);
    }
    return status;
}

/* What only one need do; and rows of news that everybody has heard go. */
static tars_status lead(struct tars_store_watch *watch, struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = TARS_OK;

    if (watch->config.may_lead)
        status = watch->server.is_pooled ? lead_by_lease(watch, err) : lead_by_lock(watch, err);
    if (status || !atomic_load(&watch->is_leader) || tars_clock_mono_ms() < watch->prune_ms)
        return status;
    watch->prune_ms = tars_clock_mono_ms() + PRUNE_MS;
    query = tars_pg_ask(&watch->conn, PGS_NEWS_PRUNE);
    return tars_pg_do(&query, err);
}

static void resign(struct tars_store_watch *watch)
{
    struct tars_pg_query query;

    if (!watch->is_open || !atomic_load(&watch->is_leader) || !watch->server.is_pooled)
        return;
    watch->conn.is_given_up = NULL;
    query = tars_pg_ask(&watch->conn, PGS_LEADER_LEAVE);
    tars_pg_bind_text(&query, watch->pgs->token);
    (void)!tars_pg_do(&query, NULL);
}

/* ---------------------------------------------------------------- connection */

static tars_status count_servers(struct tars_store_watch *watch, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(&watch->conn, PGS_INSTANCES_ALIVE);
    int64_t servers = 0;
    tars_status status = pgs_one_int(&query, &servers, err);

    if (status)
        return status;
    pthread_mutex_lock(&watch->lock);
    watch->state.servers = servers;
    watch->state.is_connected = true;
    watch->state.away_since = 0;
    pthread_mutex_unlock(&watch->lock);
    return TARS_OK;
}

static void lose(struct tars_store_watch *watch, const struct tars_err *err)
{
    struct tars_store_watch_state state;

    if (watch->is_open)
        tars_pg_close(&watch->conn);
    watch->is_open = false;
    watch->knows_access = false;
    /* A lease is ours until it is over, and the next look may renew it; a lock went with the
     * session. */
    if (!watch->server.is_pooled || tars_clock_mono_ms() >= watch->led_until_ms)
        atomic_store(&watch->is_leader, false);
    pthread_mutex_lock(&watch->lock);
    if (watch->state.is_connected || !watch->state.away_since)
        watch->state.away_since = tars_clock_mono_ms();
    watch->state.is_connected = false;
    watch->state.why = *err;
    pthread_mutex_unlock(&watch->lock);
    state = tars_store_watch_state(watch);
    watch->config.looked(watch->config.ctx, &state);
}

static tars_status connect_now(struct tars_store_watch *watch, struct tars_err *err)
{
    tars_status status = tars_pg_open(&watch->conn, &watch->server, &watch->is_closing, err);

    if (status)
        return status;
    watch->is_open = true;
    if (watch->server.is_pooled)
        return TARS_OK;
    /* An older server does not know it. */
    (void)!tars_pg_exec(&watch->conn, "SET idle_session_timeout TO '15s'", NULL);
    return tars_pg_exec(&watch->conn, "LISTEN tars", err);
}

static void sleep_ms(struct tars_store_watch *watch, int64_t ms)
{
    int64_t until_ms = tars_clock_mono_ms() + ms;

    while (!atomic_load(&watch->is_closing) && tars_clock_mono_ms() < until_ms)
        (void)usleep(20000);
}

/* One round; false: the connection is lost, *err says why. */
static bool round_trip(struct tars_store_watch *watch, struct tars_err *err)
{
    watch->conn.wait_ms = ANSWER_MS;
    if (look(watch, err) || lead(watch, err) || count_servers(watch, err))
        return false;
    if (!tars_pg_listen(&watch->conn, watch->wake, watch->config.look_ms)) {
        (void)tars_fail(TARS_EUNAVAILABLE, err, "the connection is lost");
        return false;
    }
    return true;
}

static void *run(void *ctx)
{
    struct tars_store_watch *watch = ctx;
    uint64_t woken;

    while (!atomic_load(&watch->is_closing)) {
        struct tars_err err = {.text = ""};

        if ((!watch->is_open && connect_now(watch, &err)) || !round_trip(watch, &err)) {
            lose(watch, &err);
            sleep_ms(watch, RETRY_MS);
        }
        (void)!read(watch->wake, &woken, sizeof(woken));
    }
    resign(watch);
    atomic_store(&watch->is_leader, false);
    if (watch->is_open)
        tars_pg_close(&watch->conn);
    return NULL;
}

/* ---------------------------------------------------------------- life cycle */

tars_status tars_store_watch_open(struct tars_store *store,
                                  const struct tars_store_watch_config *config,
                                  struct tars_store_watch **watch, struct tars_err *err)
{
    struct tars_store_watch *made;

    if (strcmp(store->ops->name, "postgres") != 0)
        return tars_fail(TARS_EINVAL, err, "only a store in PostgreSQL is shared");
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory to hear of other servers");
    made->config = *config;
    if (!made->config.look_ms)
        made->config.look_ms = TARS_WATCH_LOOK_MS;
    made->pgs = pgs_of(store);
    made->server = made->pgs->server;
    made->server.statement_timeout_ms = ANSWER_MS;
    pthread_mutex_init(&made->lock, NULL);
    made->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->wake >= 0)
        made->is_running = pthread_create(&made->thread, NULL, run, made) == 0;
    if (!made->is_running) {
        tars_store_watch_close(made);
        return tars_fail(TARS_ENOMEM, err, "no thread to hear of other servers");
    }
    *watch = made;
    return TARS_OK;
}

void tars_store_watch_close(struct tars_store_watch *watch)
{
    if (!watch)
        return;
    atomic_store(&watch->is_closing, true);
    tars_store_watch_wake(watch);
    if (watch->is_running)
        (void)pthread_join(watch->thread, NULL);
    if (watch->wake >= 0)
        (void)close(watch->wake);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

void tars_store_watch_wake(struct tars_store_watch *watch)
{
    const uint64_t one = 1;

    if (watch && watch->wake >= 0)
        (void)!write(watch->wake, &one, sizeof(one));
}

struct tars_store_watch_state tars_store_watch_state(struct tars_store_watch *watch)
{
    struct tars_store_watch_state state;

    pthread_mutex_lock(&watch->lock);
    state = watch->state;
    pthread_mutex_unlock(&watch->lock);
    state.is_leader = atomic_load(&watch->is_leader);
    return state;
}

bool tars_store_watch_leads(struct tars_store_watch *watch)
{
    return !watch || atomic_load(&watch->is_leader);
}
