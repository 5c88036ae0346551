/* store_postgres_internal - what the files of the PostgreSQL back end share. Not for others. */
#ifndef TARS_STORE_STORE_POSTGRES_INTERNAL_H
#define TARS_STORE_STORE_POSTGRES_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/accounts_internal.h"
#include "store/conversations_internal.h"
#include "store/postgres_pool.h"
#include "store/postgres_query.h"
#include "store/store.h"

#define PGS_UPLOAD_PART    ((size_t)1 << 20) /* bytes of a row of tars.uploads */
#define PGS_INSTANCE_BYTES 33                /* 32 hex digits and a NUL */

enum pgs_sql {
#define SQL(name, text) PGS_##name,
#include "store/store_postgres_sql.def"
#undef SQL
    PGS_SQL_COUNT
};

struct pgs_texts;

struct pgs {
    struct tars_store store; /* first: a store is cast back to this */
    struct tars_arena arena; /* texts that the pool lends */
    struct tars_pg_config server;
    struct tars_pg_pool *pool;
    int lock_fd;                       /* the data folder's lock, or -1 */
    char instance[PGS_INSTANCE_BYTES]; /* of the data folder */
    char token[PGS_INSTANCE_BYTES];    /* of the process */
    const char *dir;                   /* the data folder, in arena; NULL: none */
    const char *settings;              /* as configured, in arena; "": nothing is said */
    bool shared;
    struct pgs_texts *texts; /* NULL: none are kept */
    int64_t lease_ms;
    bool is_joined;       /* there is a row of tars.instances, and a keeper */
    atomic_bool is_lost;  /* it was given up: nothing may be written */
    pthread_t keeper;     /* renews the row */
    pthread_mutex_t lock; /* guards is_closing */
    pthread_cond_t wake;
    bool is_closing;
};

static inline struct pgs *pgs_of(struct tars_store *store)
{
    return (struct pgs *)store;
}

/* A connection in a transaction that writes; durable: on the server's disk once _commit() is
 * TARS_OK. */
TARS_MUST_USE tars_status pgs_begin(struct pgs *pgs, bool durable, struct tars_pg_conn **conn,
                                    struct tars_err *err);
/* Commit when status is TARS_OK and nobody has given us up, else roll back; gives the connection
 * back; the status of all. */
TARS_MUST_USE tars_status pgs_commit(struct pgs *pgs, struct tars_pg_conn *conn, tars_status status,
                                     struct tars_err *err);

/* The transaction under way may take as long as it does. */
TARS_MUST_USE tars_status pgs_take_time(struct tars_pg_conn *conn, struct tars_err *err);
/* As _commit(), without a look at whether we still have the store. */
TARS_MUST_USE tars_status pgs_conclude(struct pgs *pgs, struct tars_pg_conn *conn,
                                       tars_status status, struct tars_err *err);
/* TARS_EBUSY: another process has taken the store over. */
TARS_MUST_USE tars_status pgs_check_lost(struct pgs *pgs, struct tars_err *err);

/* A connection in a transaction that sees one state, until _read_end(). */
TARS_MUST_USE tars_status pgs_read_begin(struct pgs *pgs, struct tars_pg_conn **conn,
                                         struct tars_err *err);
void pgs_read_end(struct pgs *pgs, struct tars_pg_conn *conn);

/* One statement in a transaction of its own: bind, then _write_run(). */
TARS_MUST_USE tars_status pgs_write_ask(struct tars_store *store, bool durable, enum pgs_sql sql,
                                        struct tars_pg_query *query, struct tars_err *err);
TARS_MUST_USE tars_status pgs_write_run(struct tars_store *store, struct tars_pg_query *query,
                                        struct tars_err *err);
/* The same for reading: bind, step, read, then _read_done(). */
TARS_MUST_USE tars_status pgs_read_ask(struct tars_store *store, enum pgs_sql sql,
                                       struct tars_pg_query *query, struct tars_err *err);
TARS_MUST_USE tars_status pgs_read_done(struct tars_store *store, struct tars_pg_query *query,
                                        struct tars_err *err);

/* The rows of a list, in a transaction that reads: query declares the cursor tars_list. False from
 * row: stop. */
typedef bool pgs_row_fn(void *ctx, struct tars_pg_query *query);
TARS_MUST_USE tars_status pgs_list(struct tars_pg_query *query, pgs_row_fn *row, void *ctx,
                                   struct tars_err *err);

/* One integer that there always is. */
TARS_MUST_USE tars_status pgs_one_int(struct tars_pg_query *query, int64_t *value,
                                      struct tars_err *err);

/* TARS_ENOTFOUND: there is no such collection; TARS_EDENIED: its tenant is disabled. */
TARS_MUST_USE tars_status pgs_limits(struct tars_pg_conn *conn, const char *collection,
                                     struct tars_store_limits *limits, struct tars_err *err);

static inline const char *pgs_collection(const char *collection)
{
    return collection && collection[0] ? collection : TARS_COLLECTION;
}

/* store_postgres_setup.c */
/* The tables are there and are this program's. */
TARS_MUST_USE tars_status pgs_make_current(struct pgs *pgs, struct tars_err *err);
/* Have a row among the instances and keep it. TARS_EBUSY. */
TARS_MUST_USE tars_status pgs_join(struct pgs *pgs, struct tars_err *err);
/* NULL-safe in the sense that one that has not joined leaves nothing. */
void pgs_leave(struct pgs *pgs);
/* A connection of its own, without a time limit, for what takes long. */
TARS_MUST_USE tars_status pgs_connect(const struct pgs *pgs, struct tars_pg_config *config,
                                      struct tars_pg_conn *conn, struct tars_err *err);

/* The operations, by file. */
extern const struct tars_accounts_ops pgs_accounts_ops;
extern const struct tars_conversations_ops pgs_conversations_ops;

/* store_postgres_put.c */
tars_status pgs_put(struct tars_store *store, const struct tars_store_batch *batch,
                    struct tars_arena *arena, struct tars_store_changes *changes,
                    struct tars_err *err);
tars_status pgs_forget_document(struct tars_store *store, const char *document_id,
                                struct tars_arena *arena, struct tars_store_changes *changes,
                                struct tars_err *err);
tars_status pgs_forget_file(struct tars_store *store, const char *collection, const char *path,
                            struct tars_arena *arena, struct tars_store_changes *changes,
                            struct tars_err *err);

/* store_postgres_read.c */
tars_status pgs_changes(struct tars_store *store, uint64_t after, size_t max,
                        struct tars_arena *arena, struct tars_store_changes *out,
                        struct tars_err *err);
tars_status pgs_passages(struct tars_store *store, const uint64_t *ids, size_t n, unsigned load,
                         struct tars_arena *arena, struct tars_store_passages *out,
                         struct tars_err *err);
tars_status pgs_passage_range(struct tars_store *store, uint64_t first, uint64_t last, size_t max,
                              unsigned load, struct tars_arena *arena,
                              struct tars_store_passages *out, struct tars_err *err);
tars_status pgs_file(struct tars_store *store, const char *collection, const char *path,
                     struct tars_arena *arena, struct tars_store_file *out, struct tars_err *err);
tars_status pgs_files(struct tars_store *store, const char *collection, const char *under,
                      struct tars_arena *arena, struct tars_store_file **out, size_t *count,
                      struct tars_err *err);
tars_status pgs_document(struct tars_store *store, const char *document_id,
                         struct tars_arena *arena, struct tars_store_document *out,
                         struct tars_err *err);
tars_status pgs_documents(struct tars_store *store, const struct tars_store_document_filter *filter,
                          tars_store_document_fn *each, void *ctx, struct tars_err *err);
tars_status pgs_runs(struct tars_store *store, uint64_t after, tars_store_run_fn *each, void *ctx,
                     struct tars_err *err);
tars_status pgs_stats(struct tars_store *store, struct tars_store_stats *out, struct tars_err *err);
tars_status pgs_meta_get(struct tars_store *store, const char *key, struct tars_arena *arena,
                         const char **value, struct tars_err *err);
tars_status pgs_meta_set(struct tars_store *store, const char *key, const char *value,
                         struct tars_err *err);
/* In a transaction under way; value NULL removes. */
TARS_MUST_USE tars_status pgs_meta_write(struct tars_pg_conn *conn, const char *key,
                                         const char *value, struct tars_err *err);

/* store_postgres_jobs.c */
tars_status pgs_jobs_add(struct tars_store *store, struct tars_store_job *jobs, size_t n,
                         struct tars_err *err);
tars_status pgs_job_claim(struct tars_store *store, int64_t now_us, struct tars_arena *arena,
                          struct tars_store_job *out, struct tars_err *err);
tars_status pgs_job_update(struct tars_store *store, const struct tars_store_job *job,
                           struct tars_err *err);
tars_status pgs_job(struct tars_store *store, int64_t id, struct tars_arena *arena,
                    struct tars_store_job *out, struct tars_err *err);
tars_status pgs_jobs(struct tars_store *store, int state, int64_t before_id, size_t limit,
                     struct tars_arena *arena, struct tars_store_jobs *out, struct tars_err *err);
tars_status pgs_jobs_of(struct tars_store *store, const char *collection, int state,
                        int64_t before_id, size_t limit, struct tars_arena *arena,
                        struct tars_store_jobs *out, struct tars_err *err);
tars_status pgs_job_counts(struct tars_store *store, struct tars_arena *arena,
                           struct tars_store_job_count **counts, size_t *count,
                           struct tars_err *err);
tars_status pgs_job_cancel(struct tars_store *store, int64_t id, int64_t now_us,
                           struct tars_err *err);
tars_status pgs_job_retry(struct tars_store *store, int64_t id, int64_t now_us,
                          struct tars_err *err);
tars_status pgs_jobs_resume(struct tars_store *store, size_t *resumed, struct tars_err *err);
tars_status pgs_job_release(struct tars_store *store, int64_t id, struct tars_err *err);
tars_status pgs_jobs_prune(struct tars_store *store, size_t keep, struct tars_err *err);

/* store_postgres_jobs.c: TARS_ECANCELED, with words. */
TARS_MUST_USE tars_status pgs_job_is_gone(int64_t id, struct tars_err *err);

/* store_postgres_uploads.c: the bytes of uploads, where the store is shared. */
/* Of a job that is being added, from its spool, in a transaction. */
TARS_MUST_USE tars_status pgs_upload_add(struct tars_pg_conn *conn,
                                         const struct tars_store_job *job, struct tars_err *err);
/* Those that were sent to this process before it shared the store, as far as they wait. */
void pgs_uploads_adopt(struct pgs *pgs);
/* Of a job that was claimed: job->spool becomes a file of this process's data folder, and has
 * them. */
TARS_MUST_USE tars_status pgs_upload_fetch(struct pgs *pgs, struct tars_store_job *job,
                                           struct tars_arena *arena, struct tars_err *err);

/* store_postgres_texts.c: the same operations, with the texts kept beside. */
void pgs_texts_free(struct pgs_texts *texts);
uint64_t pgs_texts_partial(struct tars_store *store);
tars_status pgs_kept_put(struct tars_store *store, const struct tars_store_batch *batch,
                         struct tars_arena *arena, struct tars_store_changes *changes,
                         struct tars_err *err);
tars_status pgs_kept_forget_document(struct tars_store *store, const char *document_id,
                                     struct tars_arena *arena, struct tars_store_changes *changes,
                                     struct tars_err *err);
tars_status pgs_kept_forget_file(struct tars_store *store, const char *collection, const char *path,
                                 struct tars_arena *arena, struct tars_store_changes *changes,
                                 struct tars_err *err);
tars_status pgs_kept_changes(struct tars_store *store, uint64_t after, size_t max,
                             struct tars_arena *arena, struct tars_store_changes *out,
                             struct tars_err *err);
tars_status pgs_kept_passages(struct tars_store *store, const uint64_t *ids, size_t n,
                              unsigned load, struct tars_arena *arena,
                              struct tars_store_passages *out, struct tars_err *err);
tars_status pgs_kept_documents(struct tars_store *store,
                               const struct tars_store_document_filter *filter,
                               tars_store_document_fn *each, void *ctx, struct tars_err *err);
tars_status pgs_kept_sizes(struct tars_store *store, struct tars_arena *arena,
                           struct tars_collection_size **out, size_t *count, struct tars_err *err);
tars_status pgs_kept_runs(struct tars_store *store, uint64_t after, tars_store_run_fn *each,
                          void *ctx, struct tars_err *err);

/* store_postgres_accounts.c */
tars_status pgs_sizes(struct tars_store *store, struct tars_arena *arena,
                      struct tars_collection_size **out, size_t *count, struct tars_err *err);

/* store_postgres_ledger.c */
tars_status pgs_revoke(struct tars_store *store, const char *id, int64_t expires_us,
                       struct tars_err *err);
tars_status pgs_revoke_once(struct tars_store *store, const char *id, int64_t expires_us,
                            struct tars_err *err);
tars_status pgs_revoked_lately(struct tars_store *store, const char *id, int64_t ms, bool *lately,
                               struct tars_err *err);
tars_status pgs_revoked(struct tars_store *store, tars_revoked_fn *each, void *ctx,
                        struct tars_err *err);
/* A statement that forgets what is of a time before, or until, us. */
tars_status pgs_prune(struct tars_store *store, enum pgs_sql sql, int64_t us, struct tars_err *err);
tars_status pgs_revoked_prune(struct tars_store *store, int64_t now_us, struct tars_err *err);
tars_status pgs_count_usage(struct tars_store *store, const char *tenant, int64_t day,
                            int64_t questions, struct tars_err *err);
tars_status pgs_usage(struct tars_store *store, const char *tenant, int64_t day, int64_t *questions,
                      struct tars_err *err);
tars_status pgs_audit(struct tars_store *store, const struct tars_audit_entry *entry,
                      struct tars_err *err);
tars_status pgs_audit_list(struct tars_store *store, const struct tars_audit_filter *filter,
                           struct tars_arena *arena, struct tars_audit_entry **entries,
                           size_t *count, struct tars_err *err);
tars_status pgs_audit_prune(struct tars_store *store, int64_t before_us, struct tars_err *err);

/* store_postgres_upkeep.c */
tars_status pgs_revector(struct tars_store *store, const struct tars_store_passage *passages,
                         size_t n, size_t dim, struct tars_err *err);
tars_status pgs_revector_pending(struct tars_store *store, uint64_t after, size_t max,
                                 struct tars_arena *arena, struct tars_store_passages *out,
                                 struct tars_err *err);
tars_status pgs_revector_swap(struct tars_store *store, const struct tars_store_model *model,
                              struct tars_err *err);
tars_status pgs_revector_drop(struct tars_store *store, struct tars_err *err);
tars_status pgs_checkpoint(struct tars_store *store, struct tars_err *err);
tars_status pgs_scrub(struct tars_store *store, struct tars_err *err);
tars_status pgs_backup(struct tars_store *store, const char *path, struct tars_err *err);
tars_status pgs_check(struct tars_store *store, struct tars_err *err);

#endif
