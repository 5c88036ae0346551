/* store_postgres_watch - see store_postgres_watch.h. */
#include "store/store_postgres_watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "store/postgres_listen.h"
#include "store/store_postgres_internal.h"

#define ANSWER_MS     4000   /* for one question; a server that takes longer counts as away */
#define HEARD_MS      6000   /* since a whole look, after which it does not count as connected */
#define PAUSE_MS      30000  /* between two looks, after which what was told is read anew */
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
    atomic_llong led_until_ms; /* it does not lead from then on, whatever its thread does */

    pthread_mutex_t lock; /* guards state */
    struct tars_store_watch_state state;

    /* The thread's. */
    struct tars_pg_conn conn;
    bool is_open;
    bool knows_access; /* access and revoked below are what was told */
    int64_t access, accesses, revoked, revoked_us;
    int64_t looked_us; /* the server's time at the last look */
    int64_t prune_ms;  /* now_ms() */
};

/* It goes on while the machine sleeps. */
static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --------------------------------------------------------------------- looks */

/* One answer to PGS_NEWS. */
struct news {
    int64_t seq, access, revoked, revoked_us, accesses, now_us;
};

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

/* By the server's time, which also passes while we are stopped, asleep or away. */
static bool is_long_ago(const struct tars_store_watch *watch, const struct news *news)
{
    int64_t pause_us = watch->config.pause_ms * 1000;

    return news->now_us - watch->looked_us > pause_us || news->now_us < watch->looked_us - pause_us;
}

/* What was revoked is told by the list of the last minute where we have looked all the time, and is
 * among the rights where we have not. */
static tars_status tell_access(struct tars_store_watch *watch, const struct news *news,
                               struct tars_err *err)
{
    tars_status status = TARS_OK;

    if (is_long_ago(watch, news))
        watch->knows_access = false;
    watch->looked_us = news->now_us;
    if (!watch->knows_access || news->access != watch->access ||
        news->accesses != watch->accesses) {
        if (watch->config.access(watch->config.ctx) != TARS_OK)
            return TARS_OK; /* at the next look */
    } else if (news->revoked != watch->revoked || news->revoked_us != watch->revoked_us) {
        status = tell_revoked(watch, err);
    }
    if (status)
        return status;
    watch->knows_access = true;
    watch->access = news->access;
    watch->accesses = news->accesses;
    watch->revoked = news->revoked;
    watch->revoked_us = news->revoked_us;
    return TARS_OK;
}

static tars_status ask_news(struct tars_store_watch *watch, struct news *news, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(&watch->conn, PGS_NEWS);

    *news = (struct news){.seq = 0};
    if (tars_pg_step(&query)) {
        news->seq = tars_pg_int(&query);
        news->access = tars_pg_int(&query);
        news->revoked = tars_pg_int(&query);
        news->revoked_us = tars_pg_int(&query);
        news->accesses = tars_pg_int(&query);
        news->now_us = tars_pg_int(&query);
    }
    return tars_pg_end(&query, err);
}

static tars_status look(struct tars_store_watch *watch, struct tars_err *err)
{
    struct tars_store_watch_state state;
    struct news news;
    tars_status status = ask_news(watch, &news, err);

    if (status)
        return status;
    pthread_mutex_lock(&watch->lock);
    watch->state.seq = (uint64_t)news.seq;
    watch->state.looks++;
    pthread_mutex_unlock(&watch->lock);
    state = tars_store_watch_state(watch);
    watch->config.looked(watch->config.ctx, &state);
    status = tell_access(watch, &news, err);
    return status ? status : tell_cancelled(watch, err);
}

/* -------------------------------------------------------------------- leader */

/* Once we have the session's lock we have it as long as there is a session: for as long as the
 * server bears its silence, after the question that it has just answered. */
static tars_status lead_by_lock(struct tars_store_watch *watch, int64_t asked_ms,
                                struct tars_err *err)
{
    struct tars_pg_query query;
    int64_t got = 1;
    tars_status status = TARS_OK;

    if (!atomic_load(&watch->is_leader)) {
        query = tars_pg_ask(&watch->conn, PGS_LEADER_LOCK);
        got = 0;
        status = pgs_one_int(&query, &got, err);
    }
    if (!status && got) {
        atomic_store(&watch->led_until_ms, asked_ms + TARS_WATCH_SESSION_MS * 2 / 3);
        atomic_store(&watch->is_leader, true);
    }
    return status;
}

static tars_status lead_by_lease(struct tars_store_watch *watch, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(&watch->conn, PGS_LEADER_LEASE);
    int64_t asked_ms = now_ms();
    int64_t changed = 0;
    tars_status status;

    tars_pg_bind_text(&query, watch->pgs->instance);
    tars_pg_bind_text(&query, watch->pgs->token);
    tars_pg_bind_int(&query, TARS_WATCH_SESSION_MS);
    status = tars_pg_run(&query, &changed, err);
    if (!status) {
        /* Ours ends before the row's, whose time began later. */
        atomic_store(&watch->led_until_ms, changed ? asked_ms + TARS_WATCH_SESSION_MS / 2 : 0);
        atomic_store(&watch->is_leader, changed > 0);
    }
    return status;
}

/* What only one need do; and rows of news that everybody has heard go. */
static tars_status lead(struct tars_store_watch *watch, int64_t asked_ms, struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = TARS_OK;

    if (watch->config.may_lead && watch->server.is_pooled) {
        status = lead_by_lease(watch, err);
    } else if (watch->config.may_lead) {
        status = lead_by_lock(watch, asked_ms, err);
    }
    if (status || !atomic_load(&watch->is_leader) || now_ms() < watch->prune_ms)
        return status;
    watch->prune_ms = now_ms() + PRUNE_MS;
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

static tars_status count_servers(struct tars_store_watch *watch, int64_t asked_ms,
                                 struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(&watch->conn, PGS_INSTANCES_ALIVE);
    int64_t servers = 0;
    tars_status status = pgs_one_int(&query, &servers, err);

    if (status)
        return status;
    pthread_mutex_lock(&watch->lock);
    watch->state.servers = servers;
    watch->state.is_connected = true;
    watch->state.heard_ms = asked_ms;
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
    if (!watch->server.is_pooled || now_ms() >= atomic_load(&watch->led_until_ms))
        atomic_store(&watch->is_leader, false);
    pthread_mutex_lock(&watch->lock);
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
    int64_t until_ms = now_ms() + ms;

    while (!atomic_load(&watch->is_closing) && now_ms() < until_ms)
        (void)usleep(20000);
}

/* One round; false: the connection is lost, *err says why. */
static bool round_trip(struct tars_store_watch *watch, struct tars_err *err)
{
    int64_t asked_ms = now_ms();

    watch->conn.wait_ms = ANSWER_MS;
    if (look(watch, err) || lead(watch, asked_ms, err) || count_servers(watch, asked_ms, err))
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
    if (!made->config.pause_ms)
        made->config.pause_ms = PAUSE_MS;
    made->pgs = pgs_of(store);
    made->server = made->pgs->server;
    made->server.statement_timeout_ms = ANSWER_MS;
    made->state.heard_ms = now_ms();
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
    state.is_leader = tars_store_watch_leads(watch);
    state.silent_ms = now_ms() - state.heard_ms;
    if (state.is_connected && state.silent_ms > HEARD_MS) {
        state.is_connected = false;
        (void)tars_fail(TARS_EUNAVAILABLE, &state.why, "no answer for %lld seconds",
                        (long long)(state.silent_ms / 1000));
    }
    return state;
}

bool tars_store_watch_leads(struct tars_store_watch *watch)
{
    return !watch ||
           (atomic_load(&watch->is_leader) && now_ms() < atomic_load(&watch->led_until_ms));
}
