/* store_sqlite_internal - what the files of the SQLite back end share. Not for others. */
#ifndef TARS_STORE_STORE_SQLITE_INTERNAL_H
#define TARS_STORE_STORE_SQLITE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/accounts_internal.h"
#include "store/conversations_internal.h"
#include "store/sqlite_query.h"
#include "store/store.h"

enum tars_sql {
#define SQL(name, text) TARS_SQL_##name,
#include "store/store_sqlite_sql.def"
#undef SQL
    TARS_SQL_COUNT
};

extern const struct tars_sqlite_kind tars_sqlite_store_kind;

struct tars_sqlite {
    struct tars_store store; /* first: a store is cast back to this */
    char *path;              /* of the database file, owned */
    char *vfs;               /* owned, or NULL */
    int lock_fd;             /* the data folder's lock, or -1 */

    pthread_mutex_t write_lock; /* guards writer and is_full */
    struct tars_sqlite_conn writer;
    bool is_full; /* the writer is at synchronous=FULL */

    pthread_mutex_t checkpoint_lock; /* guards checkpointer */
    struct tars_sqlite_conn checkpointer;
    atomic_int wal_pages; /* in the log after the last commit */

    pthread_mutex_t read_lock; /* guards idle */
    pthread_cond_t is_idle;    /* idle is not NULL any more */
    struct tars_sqlite_conn *idle;
    struct tars_sqlite_conn *readers; /* (reader_count,) owned */
    size_t reader_count;
};

static inline struct tars_sqlite *tars_sqlite_of(struct tars_store *store)
{
    return (struct tars_sqlite *)store;
}

/* The write connection in a transaction; durable: on disk once _commit() is TARS_OK. */
TARS_MUST_USE tars_status tars_sqlite_begin(struct tars_sqlite *sqlite, bool durable,
                                            struct tars_sqlite_conn **conn, struct tars_err *err);
/* Commit when status is TARS_OK, else roll back; lets go of the connection; the status of all. */
TARS_MUST_USE tars_status tars_sqlite_commit(struct tars_sqlite *sqlite, tars_status status,
                                             struct tars_err *err);

/* A read connection in a transaction, until _read_end(). Waits for a free one. */
TARS_MUST_USE tars_status tars_sqlite_read_begin(struct tars_sqlite *sqlite,
                                                 struct tars_sqlite_conn **conn,
                                                 struct tars_err *err);
void tars_sqlite_read_end(struct tars_sqlite *sqlite, struct tars_sqlite_conn *conn);

/* One statement in a transaction of its own: bind, then _write_run(). */
TARS_MUST_USE tars_status tars_sqlite_write_ask(struct tars_store *store, bool durable,
                                                enum tars_sql sql, struct tars_sqlite_query *query,
                                                struct tars_err *err);
TARS_MUST_USE tars_status tars_sqlite_write_run(struct tars_store *store,
                                                struct tars_sqlite_query *query,
                                                struct tars_err *err);
/* The same for reading: bind, step, read, then _read_done(). */
TARS_MUST_USE tars_status tars_sqlite_read_ask(struct tars_store *store, enum tars_sql sql,
                                               struct tars_sqlite_query *query,
                                               struct tars_err *err);
TARS_MUST_USE tars_status tars_sqlite_read_done(struct tars_store *store,
                                                struct tars_sqlite_query *query,
                                                struct tars_err *err);

/* A connection to the same file, for backups and checks; closed by tars_sqlite_close() even when
 * this fails. */
TARS_MUST_USE tars_status tars_sqlite_connect(const struct tars_sqlite *sqlite, bool read_only,
                                              struct tars_sqlite_conn *conn, struct tars_err *err);

/* What the tenant of a collection may hold, and holds. TARS_ENOTFOUND: there is no such collection;
 * TARS_EDENIED: its tenant is disabled. */
TARS_MUST_USE tars_status tars_sqlite_limits(struct tars_sqlite_conn *conn, const char *collection,
                                             struct tars_store_limits *limits,
                                             struct tars_err *err);
/* The operations, by file. */
extern const struct tars_store_ops tars_store_sqlite_ops;
extern const struct tars_accounts_ops tars_sqlite_accounts_ops;
extern const struct tars_conversations_ops tars_sqlite_conversations_ops;

/* store_sqlite_put.c */
tars_status tars_sqlite_put(struct tars_store *store, const struct tars_store_batch *batch,
                            struct tars_arena *arena, struct tars_store_changes *changes,
                            struct tars_err *err);
tars_status tars_sqlite_forget_document(struct tars_store *store, const char *document_id,
                                        struct tars_arena *arena,
                                        struct tars_store_changes *changes, struct tars_err *err);
tars_status tars_sqlite_forget_file(struct tars_store *store, const char *collection,
                                    const char *path, struct tars_arena *arena,
                                    struct tars_store_changes *changes, struct tars_err *err);

/* store_sqlite_read.c */
tars_status tars_sqlite_changes(struct tars_store *store, uint64_t after, size_t max,
                                struct tars_arena *arena, struct tars_store_changes *out,
                                struct tars_err *err);
tars_status tars_sqlite_passages(struct tars_store *store, const uint64_t *ids, size_t n,
                                 unsigned load, struct tars_arena *arena,
                                 struct tars_store_passages *out, struct tars_err *err);
tars_status tars_sqlite_passage_range(struct tars_store *store, uint64_t first, uint64_t last,
                                      size_t max, unsigned load, struct tars_arena *arena,
                                      struct tars_store_passages *out, struct tars_err *err);
tars_status tars_sqlite_file(struct tars_store *store, const char *collection, const char *path,
                             struct tars_arena *arena, struct tars_store_file *out,
                             struct tars_err *err);
tars_status tars_sqlite_files(struct tars_store *store, const char *collection, const char *under,
                              struct tars_arena *arena, struct tars_store_file **out, size_t *count,
                              struct tars_err *err);
tars_status tars_sqlite_document(struct tars_store *store, const char *document_id,
                                 struct tars_arena *arena, struct tars_store_document *out,
                                 struct tars_err *err);
tars_status tars_sqlite_documents(struct tars_store *store,
                                  const struct tars_store_document_filter *filter,
                                  tars_store_document_fn *each, void *ctx, struct tars_err *err);
tars_status tars_sqlite_runs(struct tars_store *store, uint64_t after, tars_store_run_fn *each,
                             void *ctx, struct tars_err *err);
tars_status tars_sqlite_stats(struct tars_store *store, struct tars_store_stats *out,
                              struct tars_err *err);
tars_status tars_sqlite_meta_get(struct tars_store *store, const char *key,
                                 struct tars_arena *arena, const char **value,
                                 struct tars_err *err);
tars_status tars_sqlite_meta_set(struct tars_store *store, const char *key, const char *value,
                                 struct tars_err *err);
/* In a transaction under way; value NULL removes. */
TARS_MUST_USE tars_status tars_sqlite_meta_write(struct tars_sqlite_conn *conn, const char *key,
                                                 const char *value, struct tars_err *err);
/* Passages as they are read, row after row. */
struct tars_sqlite_gather {
    unsigned load; /* sum of enum tars_store_load */
    struct tars_arena *arena;
    struct tars_store_passages found;
    size_t cap;                                 /* of found.items */
    const struct tars_store_document *document; /* of the last passage, or NULL */
    int64_t document_key;                       /* its row */
};
/* All rows of query (columns as in PASSAGE_COLUMNS); a failure stays in query. */
void tars_sqlite_collect(struct tars_sqlite_gather *gather, struct tars_sqlite_query *query);

/* store_sqlite_jobs.c */
tars_status tars_sqlite_jobs_add(struct tars_store *store, struct tars_store_job *jobs, size_t n,
                                 struct tars_err *err);
tars_status tars_sqlite_job_claim(struct tars_store *store, int64_t now_us,
                                  struct tars_arena *arena, struct tars_store_job *out,
                                  struct tars_err *err);
tars_status tars_sqlite_job_update(struct tars_store *store, const struct tars_store_job *job,
                                   struct tars_err *err);
tars_status tars_sqlite_job(struct tars_store *store, int64_t id, struct tars_arena *arena,
                            struct tars_store_job *out, struct tars_err *err);
tars_status tars_sqlite_jobs(struct tars_store *store, int state, int64_t before_id, size_t limit,
                             struct tars_arena *arena, struct tars_store_jobs *out,
                             struct tars_err *err);
tars_status tars_sqlite_jobs_of(struct tars_store *store, const char *collection, int state,
                                int64_t before_id, size_t limit, struct tars_arena *arena,
                                struct tars_store_jobs *out, struct tars_err *err);
tars_status tars_sqlite_job_counts(struct tars_store *store, struct tars_arena *arena,
                                   struct tars_store_job_count **counts, size_t *count,
                                   struct tars_err *err);
tars_status tars_sqlite_job_cancel(struct tars_store *store, int64_t id, int64_t now_us,
                                   struct tars_err *err);
tars_status tars_sqlite_job_retry(struct tars_store *store, int64_t id, int64_t now_us,
                                  struct tars_err *err);
tars_status tars_sqlite_jobs_resume(struct tars_store *store, size_t *resumed,
                                    struct tars_err *err);
tars_status tars_sqlite_job_release(struct tars_store *store, int64_t id, struct tars_err *err);
tars_status tars_sqlite_jobs_prune(struct tars_store *store, size_t keep, struct tars_err *err);

/* store_sqlite_ledger.c */
tars_status tars_sqlite_revoke(struct tars_store *store, const char *id, int64_t expires_us,
                               struct tars_err *err);
tars_status tars_sqlite_revoke_once(struct tars_store *store, const char *id, int64_t expires_us,
                                    struct tars_err *err);
tars_status tars_sqlite_revoked(struct tars_store *store, tars_revoked_fn *each, void *ctx,
                                struct tars_err *err);
/* A statement that forgets what is of a time before, or until, us. */
tars_status tars_sqlite_prune(struct tars_store *store, enum tars_sql sql, int64_t us,
                              struct tars_err *err);
tars_status tars_sqlite_revoked_prune(struct tars_store *store, int64_t now_us,
                                      struct tars_err *err);
tars_status tars_sqlite_count_usage(struct tars_store *store, const char *tenant, int64_t day,
                                    int64_t questions, struct tars_err *err);
tars_status tars_sqlite_usage(struct tars_store *store, const char *tenant, int64_t day,
                              int64_t *questions, struct tars_err *err);
tars_status tars_sqlite_audit(struct tars_store *store, const struct tars_audit_entry *entry,
                              struct tars_err *err);
tars_status tars_sqlite_audit_list(struct tars_store *store, const struct tars_audit_filter *filter,
                                   struct tars_arena *arena, struct tars_audit_entry **entries,
                                   size_t *count, struct tars_err *err);
tars_status tars_sqlite_audit_prune(struct tars_store *store, int64_t before_us,
                                    struct tars_err *err);

/* store_sqlite_upkeep.c */
tars_status tars_sqlite_revector(struct tars_store *store,
                                 const struct tars_store_passage *passages, size_t n, size_t dim,
                                 struct tars_err *err);
tars_status tars_sqlite_revector_pending(struct tars_store *store, uint64_t after, size_t max,
                                         struct tars_arena *arena, struct tars_store_passages *out,
                                         struct tars_err *err);
tars_status tars_sqlite_revector_swap(struct tars_store *store,
                                      const struct tars_store_model *model, struct tars_err *err);
tars_status tars_sqlite_revector_drop(struct tars_store *store, struct tars_err *err);
tars_status tars_sqlite_checkpoint(struct tars_store *store, struct tars_err *err);
tars_status tars_sqlite_scrub(struct tars_store *store, struct tars_err *err);
tars_status tars_sqlite_backup(struct tars_store *store, const char *path, struct tars_err *err);
tars_status tars_sqlite_check(struct tars_store *store, struct tars_err *err);

#endif
