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
 * Files: store_sqlite (open, connections, transactions), _put, _read, _jobs, _upkeep (new vectors,
 * checkpoint, backup, check), _accounts (who may do what), _ledger (revoked tokens, usage, audit),
 * _conversations, _sql.def with _accounts.def and _conversations.def (every statement). Below them
 * sqlite_conn and sqlite_query, which other files of the program use too.
 */
#include "store/store_sqlite.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys/file.h"
#include "store/lock.h"
#include "store/migrate.h"
#include "store/store_sqlite_internal.h"

/* -------------------------------------------------------------- connections */

static const char *const texts[] = {
#define SQL(name, text) text,
#include "store/store_sqlite_sql.def"
#undef SQL
};

const struct tars_sqlite_kind tars_sqlite_store_kind = {
    .name = "store",
    .damaged = TARS_EFORMAT,
    .for_damaged =
        ": the file is damaged; restore a backup or ingest again into an empty data folder",
    .for_foreign = "choose another data folder",
    .application_id = 0x54415253, /* "TARS" */
    .new_file = "PRAGMA page_size=8192",
    .journal = "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=67108864;"
               "PRAGMA synchronous=FULL",
    .migrations = tars_migrations_sqlite,
    .texts = texts,
    .text_count = TARS_SQL_COUNT,
};

tars_status tars_sqlite_connect(const struct tars_sqlite *sqlite, bool read_only,
                                struct tars_sqlite_conn *conn, struct tars_err *err)
{
    static const char common[] = "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
                                 "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;";
    tars_status status =
        tars_sqlite_open(conn, &tars_sqlite_store_kind, sqlite->path, sqlite->vfs, err);

    if (status)
        return status;
    (void)sqlite3_wal_autocheckpoint(conn->db, 0);
    if (tars_sqlite_exec(conn, common, err))
        return TARS_EIO;
    return tars_sqlite_exec(conn,
                            read_only ? "PRAGMA query_only=ON; PRAGMA cache_size=-4000;"
                                      : "PRAGMA cache_size=-16000;",
                            err);
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
        tars_sqlite_close(taken);
        tars_sqlite_read_end(sqlite, taken);
        return status;
    }
    *conn = taken;
    return TARS_OK;
}

void tars_sqlite_read_end(struct tars_sqlite *sqlite, struct tars_sqlite_conn *conn)
{
    if (conn->db && tars_sqlite_exec(conn, "COMMIT", NULL))
        tars_sqlite_close(conn);
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
    status = tars_sqlite_conclude(&sqlite->writer, status, err);
    pthread_mutex_unlock(&sqlite->write_lock);
    return status;
}

tars_status tars_sqlite_write_ask(struct tars_store *store, bool durable, enum tars_sql sql,
                                  struct tars_sqlite_query *query, struct tars_err *err)
{
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_begin(tars_sqlite_of(store), durable, &conn, err);

    if (!status)
        *query = tars_sqlite_ask(conn, sql);
    return status;
}

tars_status tars_sqlite_write_run(struct tars_store *store, struct tars_sqlite_query *query,
                                  struct tars_err *err)
{
    return tars_sqlite_commit(tars_sqlite_of(store), tars_sqlite_run(query, err), err);
}

tars_status tars_sqlite_read_ask(struct tars_store *store, enum tars_sql sql,
                                 struct tars_sqlite_query *query, struct tars_err *err)
{
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_read_begin(tars_sqlite_of(store), &conn, err);

    if (!status)
        *query = tars_sqlite_ask(conn, sql);
    return status;
}

tars_status tars_sqlite_read_done(struct tars_store *store, struct tars_sqlite_query *query,
                                  struct tars_err *err)
{
    tars_status status = tars_sqlite_end(query, err);

    tars_sqlite_read_end(tars_sqlite_of(store), query->conn);
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

static tars_status open_writer(struct tars_sqlite *sqlite, struct tars_err *err)
{
    tars_status status = tars_sqlite_connect(sqlite, false, &sqlite->writer, err);

    if (status)
        return status;
    (void)sqlite3_wal_hook(sqlite->writer.db, note_wal_pages, sqlite);
    status = tars_sqlite_make_current(&sqlite->writer, err);
    if (!status)
        status = tars_sqlite_connect(sqlite, false, &sqlite->checkpointer, err);
    sqlite->is_full = true; /* as the kind's journal has it */
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
        tars_sqlite_close(&sqlite->readers[i]);
    tars_sqlite_close(&sqlite->checkpointer);
    tars_sqlite_close(&sqlite->writer);
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
        status = tars_store_check_whole(config->dir, err);
    if (!status)
        status = tars_sqlite_make_private(sqlite->path, err);
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
    .job_release = tars_sqlite_job_release,
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
