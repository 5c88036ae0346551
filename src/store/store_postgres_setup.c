/* store_postgres_setup - the tables brought up to date, and the row by which others see that we are
 * alive. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "base/sys/clock.h"
#include "store/migrate.h"
#include "store/store_postgres.h"
#include "store/store_postgres_internal.h"

#define HOST_BYTES    256
#define RENEW_PARTS   5 /* of a lease, after one of which it is renewed */
#define LOCK_TRIES    60
#define LOCK_PAUSE_US 1000000
#define NO_LOCK       "55P03"
#define ORPHAN_LEASES 40 /* for which jobs wait for the one that has their files: 10 minutes */

/* The oldest schema whose programs can still use the tables as this program's migrations leave them
 * (docs/internals/store-postgres.md, "From version to version"). */
#define READER      4
#define READER_KEY  "schema.reader"
#define READER_TEXT "4"

/* ------------------------------------------------------------------- schema */

static tars_status read_version(struct tars_pg_conn *conn, int *version, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_HAS_VERSIONS);
    int64_t found = 0;
    tars_status status = pgs_one_int(&query, &found, err);

    if (!status && found) {
        query = tars_pg_ask(conn, PGS_VERSION);
        status = pgs_one_int(&query, &found, err);
    }
    *version = (int)found;
    return status;
}

static tars_status migrate_one(void *ctx, const struct tars_migration *migration,
                               struct tars_err *err)
{
    struct tars_pg_conn *conn = ctx;
    struct tars_pg_query query;
    tars_status status = tars_pg_exec(conn, migration->sql, err);

    if (status)
        return status;
    query = tars_pg_ask(conn, PGS_VERSION_ADD);
    tars_pg_bind_int(&query, migration->version);
    tars_pg_bind_text(&query, migration->name);
    return tars_pg_do(&query, err);
}

/* Asked first: who may not make a schema may not say IF NOT EXISTS either. */
static tars_status make_schema(struct tars_pg_conn *conn, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_HAS_SCHEMA);
    int64_t found = 0;
    tars_status status = pgs_one_int(&query, &found, err);

    return status || found ? status : tars_pg_exec(conn, "CREATE SCHEMA tars", err);
}

/* Programs that are older than what the tables become must not be at work in them. */
static tars_status check_older(const struct pgs *pgs, struct tars_pg_conn *conn, int version,
                               struct tars_err *err)
{
    struct tars_pg_query query;
    char host[HOST_BYTES] = "";
    tars_status status;
    bool found;

    if (version < READER)
        return TARS_OK; /* of before there was sharing: who has the store has it alone */
    query = tars_pg_ask(conn, PGS_INSTANCE_OLDER);
    tars_pg_bind_int(&query, READER);
    tars_pg_bind_text(&query, pgs->instance);
    found = tars_pg_step(&query);
    if (found)
        tars_pg_word_into(&query, host, sizeof(host));
    status = tars_pg_end(&query, err);
    if (!status && found) {
        status = tars_fail(TARS_EBUSY, err,
                           "a server on %s is too old for the tables of this one: stop those of "
                           "its version, or go by the versions in between",
                           host);
    }
    return status;
}

/* In a transaction. */
static tars_status bring_up(const struct pgs *pgs, struct tars_pg_conn *conn, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_LOCK);
    tars_status status = tars_pg_do(&query, err);
    int version = 0;

    if (!status)
        status = make_schema(conn, err);
    if (!status) {
        status = tars_pg_exec(conn,
                              "CREATE TABLE IF NOT EXISTS "
                              "tars.migrations (version integer PRIMARY KEY, name text NOT NULL, "
                              "applied_at timestamptz NOT NULL DEFAULT now())",
                              err);
    }
    if (!status)
        status = read_version(conn, &version, err);
    if (!status)
        status = check_older(pgs, conn, version, err);
    if (!status)
        status = tars_migrate(tars_migrations_postgres, version, migrate_one, conn, err);
    return status ? status : pgs_meta_write(conn, READER_KEY, READER_TEXT, err);
}

/* May this program use tables that a newer one has brought up to date? */
static tars_status check_newer(struct tars_pg_conn *conn, int version, int latest,
                               struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_META_GET);
    char text[TARS_PG_NUMBER_BYTES] = "";
    tars_status status;

    tars_pg_bind_text(&query, READER_KEY);
    if (tars_pg_step(&query))
        tars_pg_word_into(&query, text, sizeof(text));
    status = tars_pg_end(&query, err);
    if (!status && (!text[0] || strtol(text, NULL, 10) > latest)) {
        status = tars_fail(TARS_EMISMATCH, err,
                           "the store has schema %d and this program knows %d: use the newer "
                           "program",
                           version, latest);
    }
    return status;
}

tars_status pgs_connect(const struct pgs *pgs, struct tars_pg_config *config,
                        struct tars_pg_conn *conn, struct tars_err *err)
{
    *config = pgs->server;
    config->statement_timeout_ms = 0;
    return tars_pg_open(conn, config, NULL, err);
}

static tars_status make_current(const struct pgs *pgs, struct tars_pg_conn *conn,
                                struct tars_err *err)
{
    const char *encoding = tars_pg_reported(conn, "server_encoding");
    int latest = tars_migrate_latest(tars_migrations_postgres);
    int version = 0;
    tars_status status;

    if (strcmp(encoding, "UTF8") != 0) {
        return tars_fail(TARS_EFORMAT, err,
                         "the database has encoding %s, which lacks characters that documents "
                         "have: make one by CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
                         encoding);
    }
    status = read_version(conn, &version, err);
    if (!status && version > latest)
        return check_newer(conn, version, latest, err);
    if (status || version == latest)
        return status;
    status = tars_pg_exec(conn, "BEGIN; SET LOCAL lock_timeout TO 3000", err);
    return status ? status : tars_pg_conclude(conn, bring_up(pgs, conn, err), err);
}

/* Whoever waits for a whole table, a pg_dump's say, has all others wait behind him: so he gives
 * way, and tries again. */
static tars_status make_current_in_time(const struct pgs *pgs, struct tars_pg_conn *conn,
                                        struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (int i = 0; i < LOCK_TRIES; i++) {
        conn->state[0] = '\0';
        status = make_current(pgs, conn, err);
        if (!status || strcmp(conn->state, NO_LOCK) != 0)
            return status;
        (void)usleep(LOCK_PAUSE_US);
    }
    return status;
}

tars_status pgs_make_current(struct pgs *pgs, struct tars_err *err)
{
    struct tars_pg_config config;
    struct tars_pg_conn conn;
    tars_status status = pgs_connect(pgs, &config, &conn, err);

    if (status)
        return status;
    status = make_current_in_time(pgs, &conn, err);
    tars_pg_close(&conn);
    return status;
}

/* ---------------------------------------------------------------- instances */

/* Nobody has the store for itself, or minds that we want it so. */
static tars_status check_others(const struct pgs *pgs, struct tars_pg_conn *conn,
                                struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_INSTANCE_OTHER);
    char host[HOST_BYTES] = "";
    int64_t pid = 0;
    bool found;
    tars_status status;

    tars_pg_bind_text(&query, pgs->instance);
    tars_pg_bind_int(&query, pgs->shared);
    found = tars_pg_step(&query);
    if (found) {
        tars_pg_word_into(&query, host, sizeof(host));
        pid = tars_pg_int(&query);
    }
    status = tars_pg_end(&query, err);
    if (!status && found) {
        status = tars_fail(TARS_EBUSY, err,
                           "the store in PostgreSQL is in use by process %lld on %s; one that died "
                           "is given up after %lld seconds",
                           (long long)pid, host, (long long)(pgs->lease_ms / 1000));
    }
    return status;
}

/* how: PGS_INSTANCE_ADD, or _ADD_AGAIN; *added: rows. */
static tars_status add_row(const struct pgs *pgs, struct tars_pg_conn *conn, enum pgs_sql how,
                           int64_t *added, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, how);
    char host[HOST_BYTES] = "";

    (void)gethostname(host, sizeof(host) - 1);
    tars_pg_bind_text(&query, pgs->instance);
    tars_pg_bind_text(&query, pgs->token);
    tars_pg_bind_text(&query, host);
    tars_pg_bind_int(&query, getpid());
    tars_pg_bind_int(&query, pgs->shared);
    tars_pg_bind_int(&query, pgs->lease_ms);
    tars_pg_bind_int(&query, tars_migrate_latest(tars_migrations_postgres));
    tars_pg_bind_text(&query, pgs->settings);
    return tars_pg_run(&query, added, err);
}

/* What those who share the store have in common: the key that signs tokens, where none is set, and
 * the name of the states of documents (epoch.h), a new one by the first who comes. */
static tars_status share(const struct pgs *pgs, struct tars_pg_conn *conn, struct tars_err *err)
{
    char epoch[TARS_STORE_EPOCH_BYTES];
    char key[TARS_STORE_KEY_BYTES];
    struct tars_pg_query query = tars_pg_ask(conn, PGS_INSTANCE_COUNT);
    int64_t others = 0;
    tars_status status;

    tars_pg_bind_text(&query, pgs->instance);
    status = pgs_one_int(&query, &others, err);
    if (!status && (tars_random_hex(epoch, TARS_STORE_EPOCH_BYTES / 2) ||
                    tars_random_hex(key, TARS_STORE_KEY_BYTES / 2)))
        status = tars_fail(TARS_EIO, err, "no random bytes for a key");
    if (!status && others == 0)
        status = pgs_meta_write(conn, TARS_STORE_EPOCH, epoch, err);
    if (status)
        return status;
    query = tars_pg_ask(conn, PGS_META_ADD);
    tars_pg_bind_text(&query, TARS_STORE_KEY);
    tars_pg_bind_text(&query, key);
    return tars_pg_do(&query, err);
}

/* Others may have brought the tables up to date since we looked; from here on they see us. */
static tars_status check_version(struct tars_pg_conn *conn, struct tars_err *err)
{
    int latest = tars_migrate_latest(tars_migrations_postgres);
    int version = 0;
    tars_status status = read_version(conn, &version, err);

    return status || version <= latest ? status : check_newer(conn, version, latest, err);
}

/* The dead are buried first, and whoever has a row then is alive, whatever the clock says: one that
 * renews it now has either come before, or finds it gone. Those who share the store with us do no
 * harm meanwhile, so they are given time. */
static tars_status join_in(const struct pgs *pgs, struct tars_pg_conn *conn, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_COUNTERS_TAKE);
    tars_status status = tars_pg_do(&query, err);
    int64_t added;

    if (!status)
        status = check_version(conn, err);
    if (!status) {
        query = tars_pg_ask(conn, PGS_INSTANCE_BURY);
        tars_pg_bind_int(&query, pgs->shared);
        tars_pg_bind_int(&query, pgs->lease_ms);
        status = tars_pg_do(&query, err);
    }
    if (!status)
        status = check_others(pgs, conn, err);
    if (!status && pgs->shared)
        status = share(pgs, conn, err);
    return status ? status : add_row(pgs, conn, PGS_INSTANCE_ADD, &added, err);
}

/* Those who share the store may have buried it while it hung. False: there is another process of
 * our name. */
static bool add_again(struct pgs *pgs)
{
    struct tars_pg_conn *conn;
    int64_t added = 1;

    if (pgs_begin(pgs, true, &conn, NULL) != TARS_OK)
        return true;
    return pgs_conclude(pgs, conn, add_row(pgs, conn, PGS_INSTANCE_ADD_AGAIN, &added, NULL),
                        NULL) != TARS_OK ||
           added > 0;
}

/* False: it could not be said that we are alive. Lost only when the row is gone: a server that is
 * away proves nothing. */
static bool renew(struct pgs *pgs)
{
    struct tars_pg_query query;
    int64_t changed = 1;

    if (pgs_write_ask(&pgs->store, false, PGS_INSTANCE_RENEW, &query, NULL) != TARS_OK)
        return false;
    tars_pg_bind_text(&query, pgs->instance);
    tars_pg_bind_text(&query, pgs->token);
    tars_pg_bind_int(&query, pgs->lease_ms);
    if (pgs_conclude(pgs, query.conn, tars_pg_run(&query, &changed, NULL), NULL) != TARS_OK)
        return false;
    if (changed == 0 && (!pgs->shared || !add_again(pgs)))
        atomic_store(&pgs->is_lost, true);
    return true;
}

/* Since when we have said that we are alive without a break. */
struct pulse {
    int64_t since_ms;
    int64_t last_ms; /* 0: never */
};

/* Whoever could not be heard meanwhile may be dead: the others could have been as well as we. After
 * an outage nobody could, and each has a lease to come back. */
static bool is_steady(const struct pgs *pgs, struct pulse *pulse)
{
    int64_t now_ms = tars_clock_mono_ms();

    if (pulse->last_ms == 0 || now_ms - pulse->last_ms > pgs->lease_ms / 2)
        pulse->since_ms = now_ms;
    pulse->last_ms = now_ms;
    return now_ms - pulse->since_ms >= pgs->lease_ms;
}

/* Run one that takes up to one number. */
static void run_one(struct pgs *pgs, enum pgs_sql sql, int64_t value)
{
    struct tars_pg_query query;

    if (pgs_write_ask(&pgs->store, false, sql, &query, NULL) != TARS_OK)
        return;
    if (value)
        tars_pg_bind_int(&query, value);
    (void)!pgs_write_run(&pgs->store, &query, NULL);
}

/* What instances that died were at. */
static void take_over(struct pgs *pgs)
{
    run_one(pgs, PGS_COPY_STUCK, 2 * pgs->lease_ms);
    run_one(pgs, PGS_JOB_TAKE_OVER, 0);
    run_one(pgs, PGS_JOB_ORPHANED, 0);
    run_one(pgs, PGS_JOB_FREE, ORPHAN_LEASES * pgs->lease_ms);
}

/* Jobs that are for us are not orphaned any more. */
static void hold_jobs(struct pgs *pgs)
{
    struct tars_pg_query query;

    if (pgs_write_ask(&pgs->store, false, PGS_JOB_HELD, &query, NULL) != TARS_OK)
        return;
    tars_pg_bind_text(&query, pgs->instance);
    (void)!pgs_write_run(&pgs->store, &query, NULL);
}

static bool is_closing(struct pgs *pgs)
{
    int64_t pause_ms = pgs->lease_ms / RENEW_PARTS + 1;
    struct timespec due;
    bool closing;

    clock_gettime(CLOCK_MONOTONIC, &due);
    due.tv_sec += pause_ms / 1000;
    due.tv_nsec += pause_ms % 1000 * 1000000;
    if (due.tv_nsec >= 1000000000) {
        due.tv_sec++;
        due.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&pgs->lock);
    while (!pgs->is_closing && pthread_cond_timedwait(&pgs->wake, &pgs->lock, &due) == 0)
        continue;
    closing = pgs->is_closing;
    pthread_mutex_unlock(&pgs->lock);
    return closing;
}

static void *keep(void *ctx)
{
    struct pgs *pgs = ctx;
    struct pulse pulse = {0};

    while (!is_closing(pgs)) {
        if (!renew(pgs) || !pgs->shared)
            continue;
        hold_jobs(pgs);
        if (is_steady(pgs, &pulse))
            take_over(pgs);
    }
    return NULL;
}

tars_status pgs_join(struct pgs *pgs, struct tars_err *err)
{
    struct tars_pg_conn *conn;
    tars_status status = pgs_begin(pgs, true, &conn, err);

    if (!status)
        status = pgs_commit(pgs, conn, join_in(pgs, conn, err), err);
    if (status)
        return status;
    pgs->is_joined = true;
    if (pgs->shared)
        pgs_uploads_adopt(pgs);
    if (pthread_create(&pgs->keeper, NULL, keep, pgs) == 0)
        return TARS_OK;
    pgs->is_joined = false;
    return tars_fail(TARS_ENOMEM, err, "no thread for the store");
}

void pgs_leave(struct pgs *pgs)
{
    struct tars_pg_query query;

    if (!pgs->is_joined)
        return;
    pthread_mutex_lock(&pgs->lock);
    pgs->is_closing = true;
    pthread_cond_signal(&pgs->wake);
    pthread_mutex_unlock(&pgs->lock);
    (void)pthread_join(pgs->keeper, NULL);
    if (pgs_write_ask(&pgs->store, true, PGS_INSTANCE_REMOVE, &query, NULL) != TARS_OK)
        return;
    tars_pg_bind_text(&query, pgs->instance);
    tars_pg_bind_text(&query, pgs->token);
    (void)!pgs_conclude(pgs, query.conn, tars_pg_do(&query, NULL), NULL);
}

tars_status tars_store_postgres_sharers(struct tars_store *store, int64_t *count,
                                        struct tars_err *err)
{
    struct tars_pg_query query;
    int64_t found = 0;
    tars_status status = pgs_read_ask(store, PGS_INSTANCES_ALIVE, &query, err);

    if (status)
        return status;
    if (tars_pg_step(&query))
        found = tars_pg_int(&query);
    status = pgs_read_done(store, &query, err);
    if (!status)
        *count = found;
    return status;
}

tars_status tars_store_postgres_unlike(struct tars_store *store, struct tars_arena *arena,
                                       struct tars_store_sharer **sharers, size_t *count,
                                       struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_store_sharer *one;
    struct tars_pg_rows rows;
    struct tars_pg_conn *conn;
    tars_status status = pgs_read_begin(pgs, &conn, err);

    if (status)
        return status;
    rows = tars_pg_ask_rows(conn, PGS_INSTANCES_UNLIKE, arena);
    tars_pg_bind_text(&rows.query, pgs->instance);
    tars_pg_bind_text(&rows.query, pgs->settings);
    tars_pg_bind_int(&rows.query, TARS_STORE_UNLIKE_MAX);
    while ((one = tars_pg_next_row(&rows, sizeof(*one))) != NULL) {
        one->host = tars_pg_word(&rows.query, arena, NULL);
        one->settings = tars_pg_word(&rows.query, arena, NULL);
    }
    status = tars_pg_end(&rows.query, err);
    pgs_read_end(pgs, conn);
    if (status)
        return status;
    *sharers = rows.items;
    *count = rows.count;
    return TARS_OK;
}
