/* store_sqlite - see store_sqlite.h for the contract.
 *
 * DESIGN
 *
 *     writer        one connection under write_lock; BEGIN IMMEDIATE, so it never finds itself
 *                   unable to upgrade. synchronous is switched between FULL and NORMAL before a
 *                   transaction: the log is one file that is appended to, so a later FULL commit
 *                   also syncs what earlier NORMAL ones wrote, and what is lost is always a tail.
 *     readers       a list of idle ones; each call takes one, reads in one transaction, gives it
 *                   back. WAL: they see the last commit and are never waited for.
 *     checkpointer  its own connection, so that copying the log into the file never holds the write
 *                   lock. sqlite's own automatic checkpoint, which runs inside a commit, is off.
 *
 * Files: store_sqlite (open, connections, transactions), _query (statements), _put, _read, _jobs,
 * _upkeep (new vectors, checkpoint, backup, check), _accounts (who may do what), _ledger (revoked
 * tokens, usage, audit), _conversations, _sql.def with _accounts.def and _conversations.def (every
 * statement).
 */
#include "store/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys/file.h"
#include "store/lock.h"
#include "store/migrate.h"
#include "store/store_sqlite_internal.h"

#define APPLICATION_ID 0x54415253 /* "TARS" */
#define BUSY_MS        10000
#define SQL_TEXT_BYTES 128

/* -------------------------------------------------------------- connections */

static tars_status set_up(struct tars_sqlite_conn *conn, bool read_only, struct tars_err *err)
{
    static const char common[] = "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
                                 "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;";

    (void)sqlite3_extended_result_codes(conn->db, 1);
    (void)sqlite3_busy_timeout(conn->db, BUSY_MS);
    (void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_wal_autocheckpoint(conn->db, 0);
    if (tars_sqlite_exec(conn, common, err))
        return TARS_EIO;
    return tars_sqlite_exec(conn,
                            read_only ? "PRAGMA query_only=ON; PRAGMA cache_size=-4000;"
                                      : "PRAGMA cache_size=-16000;",
                            err);
}

tars_status tars_sqlite_connect(const struct tars_sqlite *sqlite, bool read_only,
                                struct tars_sqlite_conn *conn, struct tars_err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(sqlite->path, &conn->db, flags, sqlite->vfs);

    if (rc != SQLITE_OK)
        return tars_sqlite_fail(conn, rc, err);
    return set_up(conn, read_only, err);
}

void tars_sqlite_disconnect(struct tars_sqlite_conn *conn)
{
    for (size_t i = 0; i < TARS_SQL_COUNT; i++) {
        (void)sqlite3_finalize(conn->statements[i]);
        conn->statements[i] = NULL;
    }
    (void)sqlite3_close(conn->db);
    conn->db = NULL;
}

tars_status tars_sqlite_read_begin(struct tars_sqlite *sqlite, struct tars_sqlite_conn **conn,
                                   struct tars_err *err)
{
    struct tars_sqlite_conn *taken;
    tars_status status = TARS_OK;

    pthread_mutex_lock(&sqlite->read_lock);
    while (!sqlite->idle)
        pthread_cond_wait(&sqlite->is_idle, &sqlite->read_lock);
    taken = sqlite->idle;
    sqlite->idle = taken->next_idle;
    pthread_mutex_unlock(&sqlite->read_lock);

    if (!taken->db)
        status = tars_sqlite_connect(sqlite, true, taken, err);
    if (!status)
        status = tars_sqlite_exec(taken, "BEGIN", err);
    if (status) {
        tars_sqlite_disconnect(taken);
        tars_sqlite_read_end(sqlite, taken);
        return status;
    }
    *conn = taken;
    return TARS_OK;
}

void tars_sqlite_read_end(struct tars_sqlite *sqlite, struct tars_sqlite_conn *conn)
{
    if (conn->db && tars_sqlite_exec(conn, "COMMIT", NULL))
        tars_sqlite_disconnect(conn);
    pthread_mutex_lock(&sqlite->read_lock);
    conn->next_idle = sqlite->idle;
    sqlite->idle = conn;
    pthread_cond_signal(&sqlite->is_idle);
    pthread_mutex_unlock(&sqlite->read_lock);
}

/* ------------------------------------------------------------- transactions */

static tars_status set_full(struct tars_sqlite *sqlite, bool full, struct tars_err *err)
{
    tars_status status;

    if (sqlite->is_full == full)
        return TARS_OK;
    status = tars_sqlite_exec(&sqlite->writer,
                              full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", err);
    if (!status)
        sqlite->is_full = full;
    return status;
}

tars_status tars_sqlite_begin(struct tars_sqlite *sqlite, bool durable,
                              struct tars_sqlite_conn **conn, struct tars_err *err)
{
    tars_status status;

    pthread_mutex_lock(&sqlite->write_lock);
    status = set_full(sqlite, durable, err);
    if (!status)
        status = tars_sqlite_exec(&sqlite->writer, "BEGIN IMMEDIATE", err);
    if (status) {
        pthread_mutex_unlock(&sqlite->write_lock);
        return status;
    }
    *conn = &sqlite->writer;
    return TARS_OK;
}

tars_status tars_sqlite_commit(struct tars_sqlite *sqlite, tars_status status, struct tars_err *err)
{
    if (!status)
        status = tars_sqlite_exec(&sqlite->writer, "COMMIT", err);
    /* A failure may have rolled back already; a second time is refused and harmless. */
    if (status && !sqlite3_get_autocommit(sqlite->writer.db))
        (void)sqlite3_exec(sqlite->writer.db, "ROLLBACK", NULL, NULL, NULL);
    pthread_mutex_unlock(&sqlite->write_lock);
    return status;
}

/* ------------------------------------------------------------------ opening */

static int note_wal_pages(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct tars_sqlite *sqlite = ctx;

    (void)db;
    (void)name;
    atomic_store_explicit(&sqlite->wal_pages, pages, memory_order_relaxed);
    return SQLITE_OK;
}

static tars_status pragma_int(struct tars_sqlite_conn *conn, const char *sql, int *value,
                              struct tars_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *value = sqlite3_column_int(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? TARS_OK : tars_sqlite_fail(conn, rc, err);
}

/* A new file gets our mark; an old one must have it. */
static tars_status identify(struct tars_sqlite *sqlite, struct tars_err *err)
{
    char sql[SQL_TEXT_BYTES];
    int id = 0;
    int pages = 0;
    tars_status status = pragma_int(&sqlite->writer, "PRAGMA application_id", &id, err);

    if (!status)
        status = pragma_int(&sqlite->writer, "PRAGMA page_count", &pages, err);
    if (status || id == APPLICATION_ID)
        return status;
    if (pages > 0) {
        return tars_fail(TARS_EFORMAT, err,
                         "%s is a database, but not one of T.A.R.S.: choose another data folder",
                         sqlite->path);
    }
    (void)snprintf(sql, sizeof(sql), "PRAGMA page_size=8192; PRAGMA application_id=%d",
                   APPLICATION_ID);
    return tars_sqlite_exec(&sqlite->writer, sql, err);
}

static tars_status run_migration(void *ctx, const struct tars_migration *migration,
                                 struct tars_err *err)
{
    struct tars_sqlite *sqlite = ctx;
    struct tars_sqlite_conn *conn;
    char sql[SQL_TEXT_BYTES];
    tars_status status = tars_sqlite_begin(sqlite, true, &conn, err);

    if (status)
        return status;
    status = tars_sqlite_exec(conn, migration->sql, err);
    (void)snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", migration->version);
    if (!status)
        status = tars_sqlite_exec(conn, sql, err);
    return tars_sqlite_commit(sqlite, status, err);
}

/* Before SQLite makes it readable for all; its log takes the rights of the file. */
static tars_status make_private(const struct tars_sqlite *sqlite, struct tars_err *err)
{
    int fd = open(sqlite->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        return tars_fail(errno == EACCES || errno == EROFS ? TARS_EDENIED : TARS_EIO, err,
                         "cannot open %s: %s", sqlite->path, strerror(errno));
    }
    close(fd);
    return TARS_OK;
}

static tars_status open_writer(struct tars_sqlite *sqlite, struct tars_err *err)
{
    int version = 0;
    tars_status status = tars_sqlite_connect(sqlite, false, &sqlite->writer, err);

    if (!status)
        status = identify(sqlite, err);
    if (!status) {
        status = tars_sqlite_exec(&sqlite->writer,
                                  "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=67108864;"
                                  "PRAGMA synchronous=FULL",
                                  err);
    }
    if (status)
        return status;
    sqlite->is_full = true;
    (void)sqlite3_wal_hook(sqlite->writer.db, note_wal_pages, sqlite);
    status = pragma_int(&sqlite->writer, "PRAGMA user_version", &version, err);
    if (!status)
        status = tars_migrate(tars_migrations_sqlite, version, run_migration, sqlite, err);
    if (!status)
        status = tars_sqlite_connect(sqlite, false, &sqlite->checkpointer, err);
    return status;
}

static tars_status make_names(struct tars_sqlite *sqlite,
                              const struct tars_store_sqlite_config *config, struct tars_err *err)
{
    size_t size = strlen(config->dir) + sizeof("/tars.db");

    sqlite->path = malloc(size);
    if (config->vfs)
        sqlite->vfs = strdup(config->vfs);
    sqlite->reader_count = config->readers ? config->readers : TARS_SQLITE_READERS_DEFAULT;
    sqlite->readers = calloc(sqlite->reader_count, sizeof(*sqlite->readers));
    if (!sqlite->path || !sqlite->readers || (config->vfs && !sqlite->vfs))
        return tars_fail(TARS_ENOMEM, err, "no memory to open the store");
    (void)snprintf(sqlite->path, size, "%s/tars.db", config->dir);
    for (size_t i = 0; i < sqlite->reader_count; i++) {
        sqlite->readers[i].next_idle = sqlite->idle;
        sqlite->idle = &sqlite->readers[i];
    }
    return TARS_OK;
}

static void close_sqlite(struct tars_store *store)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);

    for (size_t i = 0; sqlite->readers && i < sqlite->reader_count; i++)
        tars_sqlite_disconnect(&sqlite->readers[i]);
    tars_sqlite_disconnect(&sqlite->checkpointer);
    tars_sqlite_disconnect(&sqlite->writer);
    if (sqlite->lock_fd >= 0)
        close(sqlite->lock_fd);
    pthread_mutex_destroy(&sqlite->write_lock);
    pthread_mutex_destroy(&sqlite->checkpoint_lock);
    pthread_mutex_destroy(&sqlite->read_lock);
    pthread_cond_destroy(&sqlite->is_idle);
    free(sqlite->readers);
    free(sqlite->vfs);
    free(sqlite->path);
    free(sqlite);
}

tars_status tars_store_sqlite_open(const struct tars_store_sqlite_config *config,
                                   struct tars_store **store, struct tars_err *err)
{
    struct tars_sqlite *sqlite;
    tars_status status;

    if (!config->dir || !config->dir[0] || config->readers > TARS_SQLITE_READERS_MAX) {
        return tars_fail(TARS_EINVAL, err, "a store needs a data folder and at most %d readers",
                         TARS_SQLITE_READERS_MAX);
    }
    sqlite = calloc(1, sizeof(*sqlite));
    if (!sqlite)
        return tars_fail(TARS_ENOMEM, err, "no memory to open the store");
    sqlite->store.ops = &tars_store_sqlite_ops;
    sqlite->lock_fd = -1;
    pthread_mutex_init(&sqlite->write_lock, NULL);
    pthread_mutex_init(&sqlite->checkpoint_lock, NULL);
    pthread_mutex_init(&sqlite->read_lock, NULL);
    pthread_cond_init(&sqlite->is_idle, NULL);

    status = make_names(sqlite, config, err);
    if (!status)
        status = tars_dir_make(config->dir, err);
    if (!status && !config->beside)
        status = tars_store_lock(config->dir, &sqlite->lock_fd, err);
    if (!status)
        status = make_private(sqlite, err);
    if (!status)
        status = open_writer(sqlite, err);
    if (status) {
        close_sqlite(&sqlite->store);
        return status;
    }
    *store = &sqlite->store;
    return TARS_OK;
}

const struct tars_store_ops tars_store_sqlite_ops = {
    .name = "sqlite",
    .close = close_sqlite,
    .put = tars_sqlite_put,
    .forget_document = tars_sqlite_forget_document,
    .forget_file = tars_sqlite_forget_file,
    .changes = tars_sqlite_changes,
    .passages = tars_sqlite_passages,
    .passage_range = tars_sqlite_passage_range,
    .file = tars_sqlite_file,
    .files = tars_sqlite_files,
    .document = tars_sqlite_document,
    .documents = tars_sqlite_documents,
    .runs = tars_sqlite_runs,
    .stats = tars_sqlite_stats,
    .meta_get = tars_sqlite_meta_get,
    .meta_set = tars_sqlite_meta_set,
    .revector = tars_sqlite_revector,
    .revector_pending = tars_sqlite_revector_pending,
    .revector_swap = tars_sqlite_revector_swap,
    .revector_drop = tars_sqlite_revector_drop,
    .jobs_add = tars_sqlite_jobs_add,
    .job_claim = tars_sqlite_job_claim,
    .job_update = tars_sqlite_job_update,
    .job = tars_sqlite_job,
    .jobs = tars_sqlite_jobs,
    .job_cancel = tars_sqlite_job_cancel,
    .job_retry = tars_sqlite_job_retry,
    .jobs_resume = tars_sqlite_jobs_resume,
    .jobs_prune = tars_sqlite_jobs_prune,
    .jobs_of = tars_sqlite_jobs_of,
    .job_counts = tars_sqlite_job_counts,
    .scrub = tars_sqlite_scrub,
    .checkpoint = tars_sqlite_checkpoint,
    .backup = tars_sqlite_backup,
    .check = tars_sqlite_check,
    .accounts = &tars_sqlite_accounts_ops,
    .conversations = &tars_sqlite_conversations_ops,
};
