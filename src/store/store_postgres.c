/* store_postgres - see store_postgres.h for the contract.
 *
 * DESIGN
 *
 *     writing   a connection of the pool, READ COMMITTED, BEGIN ... COMMIT. What SQLite has by its
 *               one writer is had here by two locks, of rows:
 *                 tars.counters   by all that adds or removes documents, collections or tenants
 *                 tars.tenants    by uploads that are let in, against the limits of their tenant
 *               in this order. Jobs are claimed without either (SKIP LOCKED).
 *     reading   one statement is one state; more than one run in a REPEATABLE READ transaction.
 *               Passages, their documents, windows and vectors come by one statement, as bytes.
 *     putting   passages, vectors and changes of a batch go over together, by COPY.
 *
 * Files: store_postgres (open, transactions), _setup (schema, instances), _put, _read, _jobs,
 * _upkeep (new vectors, scrub, check), _accounts, _ledger, _conversations, _sql.def with
 * _accounts.def and _conversations.def (every statement).
 */
#include "store/store_postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "base/sys/file.h"
#include "store/lock.h"
#include "store/store_postgres_internal.h"

#define ARENA_MAX ((size_t)64 << 10)
#define LONG_MS   3600000
#define SILENT_MS 5000 /* between two statements of a transaction that writes */

static const char *const texts[] = {
#define SQL(name, text) text,
#include "store/store_postgres_sql.def"
#undef SQL
};

static const struct tars_store_ops ops;

/* ------------------------------------------------------------- transactions */

static tars_status begin_with(struct pgs *pgs, const char *sql, struct tars_pg_conn **conn,
                              struct tars_err *err)
{
    struct tars_pg_conn *taken = NULL;
    tars_status status = tars_pg_take(pgs->pool, &taken, err);

    if (status)
        return status;
    status = tars_pg_exec(taken, sql, err);
    if (status) {
        tars_pg_give(pgs->pool, taken);
        return status;
    }
    *conn = taken;
    return TARS_OK;
}

tars_status pgs_check_lost(struct pgs *pgs, struct tars_err *err)
{
    if (!atomic_load(&pgs->is_lost))
        return TARS_OK;
    return tars_fail(TARS_EBUSY, err,
                     "another server has taken the store over, since this one did not answer for "
                     "too long: start it again");
}

tars_status pgs_begin(struct pgs *pgs, bool durable, struct tars_pg_conn **conn,
                      struct tars_err *err)
{
    tars_status status = pgs_check_lost(pgs, err);
    char sql[256];

    if (status)
        return status;
    /* Nothing slow is done between two statements, so who is silent hangs, and others wait for his
     * locks. Behind a pooler the session has no time limit of its own. */
    (void)snprintf(sql, sizeof(sql),
                   "BEGIN; SET LOCAL synchronous_commit TO %d; "
                   "SET LOCAL idle_in_transaction_session_timeout TO %d; "
                   "SET LOCAL statement_timeout TO %lld",
                   durable, SILENT_MS, (long long)pgs->server.statement_timeout_ms);
    return begin_with(pgs, sql, conn, err);
}

tars_status pgs_take_time(struct tars_pg_conn *conn, struct tars_err *err)
{
    conn->wait_ms = LONG_MS;
    return tars_pg_exec(conn, "SET LOCAL statement_timeout TO 0", err);
}

/* Nobody can give us up from now on until the transaction has ended. */
static tars_status hold(struct pgs *pgs, struct tars_pg_conn *conn, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_INSTANCE_HOLD);
    int64_t found = 0;
    tars_status status;

    tars_pg_bind_text(&query, pgs->instance);
    tars_pg_bind_text(&query, pgs->token);
    status = pgs_one_int(&query, &found, err);
    if (status || found)
        return status;
    if (!pgs->shared)
        atomic_store(&pgs->is_lost, true);
    status = pgs_check_lost(pgs, err);
    return status ? status
                  : tars_fail(TARS_EBUSY, err,
                              "the others take this server for dead, since it did not answer for "
                              "too long");
}

tars_status pgs_commit(struct pgs *pgs, struct tars_pg_conn *conn, tars_status status,
                       struct tars_err *err)
{
    if (!status && pgs->is_joined)
        status = hold(pgs, conn, err);
    return pgs_conclude(pgs, conn, status, err);
}

tars_status pgs_conclude(struct pgs *pgs, struct tars_pg_conn *conn, tars_status status,
                         struct tars_err *err)
{
    status = tars_pg_conclude(conn, status, err);
    tars_pg_give(pgs->pool, conn);
    return status;
}

tars_status pgs_read_begin(struct pgs *pgs, struct tars_pg_conn **conn, struct tars_err *err)
{
    return begin_with(pgs, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", conn, err);
}

void pgs_read_end(struct pgs *pgs, struct tars_pg_conn *conn)
{
    /* One that is still in a transaction is closed when it is given back. */
    (void)!tars_pg_exec(conn, "COMMIT", NULL);
    tars_pg_give(pgs->pool, conn);
}

tars_status pgs_write_ask(struct tars_store *store, bool durable, enum pgs_sql sql,
                          struct tars_pg_query *query, struct tars_err *err)
{
    struct tars_pg_conn *conn = NULL;
    tars_status status = pgs_begin(pgs_of(store), durable, &conn, err);

    if (!status)
        *query = tars_pg_ask(conn, sql);
    return status;
}

tars_status pgs_write_run(struct tars_store *store, struct tars_pg_query *query,
                          struct tars_err *err)
{
    return pgs_commit(pgs_of(store), query->conn, tars_pg_do(query, err), err);
}

tars_status pgs_read_ask(struct tars_store *store, enum pgs_sql sql, struct tars_pg_query *query,
                         struct tars_err *err)
{
    struct tars_pg_conn *conn = NULL;
    tars_status status = tars_pg_take(pgs_of(store)->pool, &conn, err);

    if (!status)
        *query = tars_pg_ask(conn, sql);
    return status;
}

tars_status pgs_read_done(struct tars_store *store, struct tars_pg_query *query,
                          struct tars_err *err)
{
    tars_status status = tars_pg_end(query, err);

    tars_pg_give(pgs_of(store)->pool, query->conn);
    return status;
}

tars_status pgs_list(struct tars_pg_query *query, pgs_row_fn *row, void *ctx, struct tars_err *err)
{
    struct tars_pg_conn *conn = query->conn;
    tars_status status = tars_pg_do(query, err);
    bool go_on = status == TARS_OK;

    while (go_on) {
        struct tars_pg_query page = tars_pg_ask(conn, PGS_FETCH);
        bool is_end = true;

        while (go_on && tars_pg_step(&page)) {
            is_end = false;
            go_on = row(ctx, &page);
        }
        status = tars_pg_end(&page, err);
        go_on = go_on && !is_end && status == TARS_OK;
    }
    return status;
}

tars_status pgs_one_int(struct tars_pg_query *query, int64_t *value, struct tars_err *err)
{
    if (tars_pg_step(query))
        *value = tars_pg_int(query);
    return tars_pg_end(query, err);
}

/* ------------------------------------------------------------------ opening */

/* The texts that the pool lends for its life, and ours. */
static tars_status copy_texts(struct pgs *pgs, struct tars_err *err)
{
    struct tars_pg_config *server = &pgs->server;
    const char **const fields[] = {
        &server->host,     &server->database, &server->user,
        &server->password, &server->sslmode,  &server->sslrootcert,
        &server->sslcert,  &server->sslkey,   &server->application,
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!*fields[i])
            continue;
        *fields[i] = tars_arena_strdup(&pgs->arena, *fields[i]);
        if (!*fields[i])
            return tars_fail(TARS_ENOMEM, err, "no memory to open the store");
    }
    pgs->settings = tars_arena_strdup(&pgs->arena, pgs->settings);
    if (!pgs->settings)
        return tars_fail(TARS_ENOMEM, err, "no memory to open the store");
    server->texts = texts;
    server->reuses_plans = true; /* short statements: planning takes longer than running them */
    server->text_count = PGS_SQL_COUNT;
    return TARS_OK;
}

static bool is_name(const char *text)
{
    return strspn(text, "0123456789abcdef") == PGS_INSTANCE_BYTES - 1;
}

static tars_status write_name(int fd, const char *path, const char *name, struct tars_err *err)
{
    size_t len = PGS_INSTANCE_BYTES - 1;

    if (pwrite(fd, name, len, 0) == (ssize_t)len && ftruncate(fd, (off_t)len) == 0)
        return TARS_OK;
    return tars_fail(TARS_EIO, err, "cannot write %s: %s", path, strerror(errno));
}

/* The name in the data folder, which nobody else has; a new one where there is none. */
static tars_status name_of_folder(struct pgs *pgs, const char *dir, struct tars_err *err)
{
    const char *path = tars_arena_printf(&pgs->arena, "%s/instance", dir);
    char name[PGS_INSTANCE_BYTES] = "";
    tars_status status = TARS_OK;
    int fd;

    if (!path)
        return tars_fail(TARS_ENOMEM, err, "no memory to open the store");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return tars_fail(TARS_EIO, err, "cannot open %s: %s", path, strerror(errno));
    if (pread(fd, name, sizeof(name) - 1, 0) == (ssize_t)sizeof(name) - 1 && is_name(name)) {
        memcpy(pgs->instance, name, sizeof(name));
    } else {
        status = write_name(fd, path, pgs->instance, err);
    }
    (void)close(fd);
    return status;
}

/* Who we are, for the database. */
static tars_status take_name(struct pgs *pgs, const char *dir, struct tars_err *err)
{
    tars_status status = tars_random_hex(pgs->instance, PGS_INSTANCE_BYTES / 2);

    if (!status)
        status = tars_random_hex(pgs->token, PGS_INSTANCE_BYTES / 2);
    if (status)
        return tars_fail(status, err, "no random bytes for a name");
    if (!dir)
        return TARS_OK;
    pgs->dir = tars_arena_strdup(&pgs->arena, dir);
    status = pgs->dir ? tars_dir_make(dir, err)
                      : tars_fail(TARS_ENOMEM, err, "no memory to open the store");
    if (!status)
        status = tars_store_lock(dir, &pgs->lock_fd, err);
    return status ? status : name_of_folder(pgs, dir, err);
}

static void close_pgs(struct tars_store *store)
{
    struct pgs *pgs = pgs_of(store);

    pgs_texts_free(pgs->texts);
    pgs_leave(pgs);
    tars_pg_pool_free(pgs->pool);
    if (pgs->lock_fd >= 0)
        (void)close(pgs->lock_fd);
    pthread_mutex_destroy(&pgs->lock);
    pthread_cond_destroy(&pgs->wake);
    tars_arena_release(&pgs->arena);
    free(pgs);
}

static void init_wake(pthread_cond_t *wake)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(wake, &attributes);
    pthread_condattr_destroy(&attributes);
}

static tars_status open_all(struct pgs *pgs, const struct tars_store_postgres_config *config,
                            struct tars_err *err)
{
    struct tars_pg_pool_config pool = config->pool;
    tars_status status = copy_texts(pgs, err);

    if (!status)
        status = take_name(pgs, config->beside ? NULL : config->dir, err);
    if (!status)
        status = pgs_make_current(pgs, err);
    pool.server = pgs->server;
    if (!status)
        status = tars_pg_pool_new(&pool, &pgs->pool, err);
    if (!status && !config->beside)
        status = pgs_join(pgs, err);
    return status;
}

static int64_t lease_of(const struct tars_store_postgres_config *config)
{
    if (config->lease_ms)
        return config->lease_ms;
    return config->shared ? TARS_STORE_SHARED_LEASE_MS : TARS_STORE_LEASE_MS;
}

tars_status tars_store_postgres_open(const struct tars_store_postgres_config *config,
                                     struct tars_store **store, struct tars_err *err)
{
    struct pgs *pgs = calloc(1, sizeof(*pgs));
    tars_status status;

    if (!pgs)
        return tars_fail(TARS_ENOMEM, err, "no memory to open the store");
    pgs->store.ops = &ops;
    pgs->server = config->pool.server;
    pgs->lock_fd = -1;
    pgs->shared = config->shared;
    pgs->settings = config->settings ? config->settings : "";
    pgs->lease_ms = lease_of(config);
    tars_arena_init(&pgs->arena, ARENA_MAX);
    pthread_mutex_init(&pgs->lock, NULL);
    init_wake(&pgs->wake);
    status = open_all(pgs, config, err);
    if (status) {
        close_pgs(&pgs->store);
        return status;
    }
    *store = &pgs->store;
    return TARS_OK;
}

static const struct tars_store_ops ops = {
    .name = "postgres",
    .is_utf8_only = true,
    .close = close_pgs,
    .put = pgs_kept_put,
    .forget_document = pgs_kept_forget_document,
    .forget_file = pgs_kept_forget_file,
    .changes = pgs_kept_changes,
    .passages = pgs_kept_passages,
    .passage_range = pgs_passage_range,
    .file = pgs_file,
    .files = pgs_files,
    .document = pgs_document,
    .documents = pgs_kept_documents,
    .runs = pgs_kept_runs,
    .stats = pgs_stats,
    .meta_get = pgs_meta_get,
    .meta_set = pgs_meta_set,
    .revector = pgs_revector,
    .revector_pending = pgs_revector_pending,
    .revector_swap = pgs_revector_swap,
    .revector_drop = pgs_revector_drop,
    .jobs_add = pgs_jobs_add,
    .job_claim = pgs_job_claim,
    .job_update = pgs_job_update,
    .job = pgs_job,
    .jobs = pgs_jobs,
    .job_cancel = pgs_job_cancel,
    .job_retry = pgs_job_retry,
    .jobs_resume = pgs_jobs_resume,
    .job_release = pgs_job_release,
    .jobs_prune = pgs_jobs_prune,
    .jobs_of = pgs_jobs_of,
    .job_counts = pgs_job_counts,
    .scrub = pgs_scrub,
    .checkpoint = pgs_checkpoint,
    .backup = pgs_backup,
    .partial = pgs_texts_partial,
    .check = pgs_check,
    .accounts = &pgs_accounts_ops,
    .conversations = &pgs_conversations_ops,
};
