/* store_postgres_jobs - the queue of work. Adding, cancelling and retrying are durable; the steps
 * of a running job are not worth a sync each: after a power cut the job runs again. */
#include <string.h>
#include <unistd.h>

#include "store/store_postgres_internal.h"

#define PUT_OFF_US INT64_C(30000000)

static void read_job(struct tars_pg_query *query, struct tars_arena *arena,
                     struct tars_store_job *out)
{
    out->id = tars_pg_int(query);
    out->kind = tars_pg_word(query, arena, NULL);
    out->collection = tars_pg_word(query, arena, NULL);
    out->path = tars_pg_word(query, arena, NULL);
    out->spool = tars_pg_word(query, arena, NULL);
    out->force = tars_pg_int(query) != 0;
    out->state = (enum tars_job_state)tars_pg_int(query);
    out->stage = tars_pg_word(query, arena, NULL);
    out->progress = tars_pg_real(query);
    out->attempts = (int)tars_pg_int(query);
    out->error = tars_pg_word(query, arena, NULL);
    out->result = tars_pg_word(query, arena, NULL);
    tars_pg_word_into(query, out->document_id, sizeof(out->document_id));
    out->chunks = tars_pg_int(query);
    out->cancel_wanted = tars_pg_int(query) != 0;
    out->not_before_us = tars_pg_int(query);
    out->created_us = tars_pg_int(query);
    out->updated_us = tars_pg_int(query);
    out->finished_us = tars_pg_int(query);
}

static bool is_upload(const struct tars_store_job *job)
{
    return job->spool && job->spool[0];
}

static tars_status add_job(const struct pgs *pgs, struct tars_pg_conn *conn,
                           struct tars_store_job *job, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_JOB_ADD);
    bool named = job->collection && job->collection[0];
    tars_status status;

    tars_pg_bind_word(&query, job->kind);
    tars_pg_bind_word(&query, named ? job->collection : TARS_COLLECTION);
    tars_pg_bind_word(&query, job->path);
    tars_pg_bind_word(&query, job->spool);
    tars_pg_bind_int(&query, job->force);
    tars_pg_bind_int(&query, job->not_before_us);
    tars_pg_bind_int(&query, job->created_us);
    tars_pg_bind_int(&query, job->bytes);
    tars_pg_bind_text(&query, job->here ? pgs->instance : "");
    status = tars_pg_change_id(&query, "job", &job->id, err);
    if (!status && pgs->shared && is_upload(job))
        status = pgs_upload_add(conn, job, err);
    if (status)
        return status;
    job->state = TARS_JOB_QUEUED;
    job->updated_us = job->created_us;
    return TARS_OK;
}

/* Uploads that wait count as if they were in, those just added among them: else any number would
 * be let in while none has been read. */
static tars_status check_waiting(struct tars_pg_conn *conn, const char *collection,
                                 struct tars_err *err)
{
    struct tars_store_limits limits;
    struct tars_pg_query query;
    int64_t documents = 0;
    int64_t bytes = 0;
    tars_status status;

    query = tars_pg_ask(conn, PGS_TENANT_TAKE_OF);
    tars_pg_bind_word(&query, collection);
    status = tars_pg_do(&query, err);
    if (!status)
        status = pgs_limits(conn, collection, &limits, err);
    if (status || (!limits.max_documents && !limits.max_bytes))
        return status;
    query = tars_pg_ask(conn, PGS_JOB_WAITING);
    tars_pg_bind_word(&query, collection);
    if (tars_pg_step(&query)) {
        documents = tars_pg_int(&query);
        bytes = tars_pg_int(&query);
    }
    status = tars_pg_end(&query, err);
    limits.documents += documents;
    limits.bytes += bytes;
    return status ? status : tars_store_check_limits(&limits, documents, bytes, err);
}

/* Once for neighbours of one collection. */
static tars_status check_uploads(struct tars_pg_conn *conn, const struct tars_store_job *jobs,
                                 size_t n, struct tars_err *err)
{
    const char *last = NULL;
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < n; i++) {
        bool named = jobs[i].collection && jobs[i].collection[0];
        const char *collection = named ? jobs[i].collection : TARS_COLLECTION;

        if (!is_upload(&jobs[i]) || (last && strcmp(last, collection) == 0))
            continue;
        last = collection;
        status = check_waiting(conn, collection, err);
    }
    return status;
}

tars_status pgs_jobs_add(struct tars_store *store, struct tars_store_job *jobs, size_t n,
                         struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    tars_status status = pgs_begin(pgs, true, &conn, err);

    if (status)
        return status;
    for (size_t i = 0; !status && i < n; i++)
        status = add_job(pgs, conn, &jobs[i], err);
    if (!status)
        status = check_uploads(conn, jobs, n, err);
    status = pgs_commit(pgs, conn, status, err);
    /* Whoever takes one has its bytes from the store. */
    for (size_t i = 0; !status && pgs->shared && i < n; i++) {
        if (is_upload(&jobs[i]))
            (void)unlink(jobs[i].spool);
    }
    return status;
}

/* The one row of query; ENOTFOUND without words when there is none. */
static tars_status one_job(struct tars_pg_query *query, struct tars_arena *arena,
                           struct tars_store_job *out, struct tars_err *err)
{
    struct tars_store_job job = {0};
    bool found = tars_pg_step(query);
    tars_status status;

    if (found)
        read_job(query, arena, &job);
    status = tars_pg_end(query, err);
    if (!status && !found)
        return TARS_ENOTFOUND;
    if (!status)
        *out = job;
    return status;
}

/* A job whose bytes could not be had here: later, or by another, so that it keeps nothing up. */
static void put_off(struct tars_store *store, int64_t id, int64_t until_us, const char *why)
{
    struct tars_pg_query query;

    if (pgs_write_ask(store, false, PGS_JOB_PUT_OFF, &query, NULL))
        return;
    tars_pg_bind_int(&query, id);
    tars_pg_bind_text(&query, pgs_of(store)->instance);
    tars_pg_bind_int(&query, until_us);
    tars_pg_bind_word(&query, why);
    (void)!pgs_write_run(store, &query, NULL);
}

tars_status pgs_job_claim(struct tars_store *store, int64_t now_us, struct tars_arena *arena,
                          struct tars_store_job *out, struct tars_err *err)
{
    struct tars_store_job job = {0};
    struct tars_pg_query query;
    tars_status status = pgs_write_ask(store, false, PGS_JOB_CLAIM, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, now_us);
    tars_pg_bind_text(&query, pgs_of(store)->instance);
    tars_pg_bind_int(&query, pgs_of(store)->shared);
    status = one_job(&query, arena, &job, err);
    status = pgs_commit(pgs_of(store), query.conn, status, err);
    if (!status && is_upload(&job)) {
        status = pgs_upload_fetch(pgs_of(store), &job, arena, err);
        if (status)
            put_off(store, job.id, now_us + PUT_OFF_US, err ? err->text : "");
    }
    if (!status)
        *out = job;
    return status;
}

tars_status pgs_job_is_gone(int64_t id, struct tars_err *err)
{
    return tars_fail(TARS_ECANCELED, err, "job %lld was taken over by another server",
                     (long long)id);
}

tars_status pgs_job_update(struct tars_store *store, const struct tars_store_job *job,
                           struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    bool durable = job->state == TARS_JOB_DONE && is_upload(job);
    struct tars_pg_query query;
    int64_t changed = 0;
    tars_status status = pgs_write_ask(store, durable, PGS_JOB_UPDATE, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, job->id);
    tars_pg_bind_int(&query, job->state);
    tars_pg_bind_word(&query, job->stage);
    tars_pg_bind_real(&query, job->progress);
    tars_pg_bind_word(&query, job->error);
    tars_pg_bind_word(&query, job->result);
    tars_pg_bind_word(&query, job->document_id);
    tars_pg_bind_int(&query, job->chunks);
    tars_pg_bind_int(&query, job->not_before_us);
    tars_pg_bind_int(&query, job->updated_us);
    tars_pg_bind_int(&query, job->finished_us);
    tars_pg_bind_text(&query, pgs_of(store)->instance);
    tars_pg_bind_int(&query, job->attempts);
    status = tars_pg_run(&query, &changed, err);
    if (!status && changed == 0)
        status = pgs_job_is_gone(job->id, err);
    if (!status && durable) {
        query = tars_pg_ask(query.conn, PGS_UPLOAD_DONE);
        tars_pg_bind_int(&query, job->id);
        status = tars_pg_do(&query, err);
    }
    status = pgs_commit(pgs, query.conn, status, err);
    /* Our copy is needed no more: another attempt has one of its own. */
    if (job->is_copy && (status == TARS_ECANCELED || (!status && job->state != TARS_JOB_RUNNING)))
        (void)unlink(job->spool);
    return status;
}

tars_status pgs_job(struct tars_store *store, int64_t id, struct tars_arena *arena,
                    struct tars_store_job *out, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    struct tars_pg_query query;
    tars_status status = pgs_read_begin(pgs, &conn, err);

    if (status)
        return status;
    query = tars_pg_ask(conn, PGS_JOB_GET);
    tars_pg_bind_int(&query, id);
    status = one_job(&query, arena, out, err);
    pgs_read_end(pgs, conn);
    if (status == TARS_ENOTFOUND)
        return tars_fail(status, err, "there is no job %lld", (long long)id);
    return status;
}

static tars_status read_jobs(struct tars_store *store, struct tars_pg_rows *rows,
                             struct tars_store_jobs *out, struct tars_err *err)
{
    struct tars_store_job *job;
    tars_status status;

    while ((job = tars_pg_next_row(rows, sizeof(*job))) != NULL)
        read_job(&rows->query, rows->arena, job);
    status = pgs_read_done(store, &rows->query, err);
    if (!status)
        *out = (struct tars_store_jobs){rows->items, rows->count};
    return status;
}

tars_status pgs_jobs(struct tars_store *store, int state, int64_t before_id, size_t limit,
                     struct tars_arena *arena, struct tars_store_jobs *out, struct tars_err *err)
{
    struct tars_pg_rows rows = {.arena = arena};
    tars_status status = pgs_read_ask(store, PGS_JOB_LIST, &rows.query, err);

    if (status)
        return status;
    tars_pg_bind_int(&rows.query, state);
    tars_pg_bind_int(&rows.query, before_id);
    tars_pg_bind_int(&rows.query, (int64_t)limit);
    return read_jobs(store, &rows, out, err);
}

tars_status pgs_jobs_of(struct tars_store *store, const char *collection, int state,
                        int64_t before_id, size_t limit, struct tars_arena *arena,
                        struct tars_store_jobs *out, struct tars_err *err)
{
    struct tars_pg_rows rows = {.arena = arena};
    tars_status status = pgs_read_ask(store, PGS_JOB_LIST_OF, &rows.query, err);

    if (status)
        return status;
    tars_pg_bind_word(&rows.query, collection);
    tars_pg_bind_int(&rows.query, state);
    tars_pg_bind_int(&rows.query, before_id);
    tars_pg_bind_int(&rows.query, (int64_t)limit);
    return read_jobs(store, &rows, out, err);
}

tars_status pgs_job_counts(struct tars_store *store, struct tars_arena *arena,
                           struct tars_store_job_count **counts, size_t *count,
                           struct tars_err *err)
{
    struct tars_pg_rows rows = {.arena = arena};
    struct tars_store_job_count *row;
    tars_status status = pgs_read_ask(store, PGS_JOB_COUNTS, &rows.query, err);

    if (status)
        return status;
    while ((row = tars_pg_next_row(&rows, sizeof(*row))) != NULL) {
        row->collection = tars_pg_word(&rows.query, arena, NULL);
        row->queued = tars_pg_int(&rows.query);
        row->running = tars_pg_int(&rows.query);
        row->failed = tars_pg_int(&rows.query);
        row->oldest_us = tars_pg_int(&rows.query);
    }
    status = pgs_read_done(store, &rows.query, err);
    if (status)
        return status;
    *counts = rows.items;
    *count = rows.count;
    return TARS_OK;
}

/* Run sql on (id, now): it changes one row, or the job is not there, or it is in another state. */
static tars_status change_job(struct tars_store *store, enum pgs_sql sql, int64_t id,
                              int64_t now_us, const char *refusal, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    struct tars_pg_query query;
    int64_t changed = 0;
    tars_status status = pgs_begin(pgs, true, &conn, err);

    if (status)
        return status;
    query = tars_pg_ask(conn, sql);
    tars_pg_bind_int(&query, id);
    tars_pg_bind_int(&query, now_us);
    status = tars_pg_run(&query, &changed, err);
    if (!status && changed == 0) {
        query = tars_pg_ask(conn, PGS_JOB_GET);
        tars_pg_bind_int(&query, id);
        status = tars_pg_step(&query) ? TARS_EINVAL : TARS_ENOTFOUND;
        if (tars_pg_end(&query, err)) {
            status = TARS_EIO;
        } else if (status == TARS_EINVAL) {
            status = tars_fail(status, err, "job %lld %s", (long long)id, refusal);
        } else {
            status = tars_fail(status, err, "there is no job %lld", (long long)id);
        }
    }
    return pgs_commit(pgs, conn, status, err);
}

tars_status pgs_job_cancel(struct tars_store *store, int64_t id, int64_t now_us,
                           struct tars_err *err)
{
    return change_job(store, PGS_JOB_CANCEL, id, now_us, "has ended already", err);
}

tars_status pgs_job_retry(struct tars_store *store, int64_t id, int64_t now_us,
                          struct tars_err *err)
{
    return change_job(store, PGS_JOB_RETRY, id, now_us, "has neither failed nor been cancelled",
                      err);
}

tars_status pgs_jobs_resume(struct tars_store *store, size_t *resumed, struct tars_err *err)
{
    struct tars_pg_query query;
    int64_t changed = 0;
    tars_status status = pgs_write_ask(store, false, PGS_JOB_RESUME, &query, err);

    if (status)
        return status;
    tars_pg_bind_text(&query, pgs_of(store)->instance);
    tars_pg_bind_int(&query, pgs_of(store)->shared);
    status = pgs_commit(pgs_of(store), query.conn, tars_pg_run(&query, &changed, err), err);
    if (!status)
        *resumed = (size_t)changed;
    return status;
}

tars_status pgs_job_release(struct tars_store *store, int64_t id, struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = pgs_write_ask(store, false, PGS_JOB_RELEASE, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, id);
    tars_pg_bind_text(&query, pgs_of(store)->instance);
    return pgs_write_run(store, &query, err);
}

tars_status pgs_jobs_prune(struct tars_store *store, size_t keep, struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = pgs_write_ask(store, false, PGS_JOB_PRUNE, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, (int64_t)keep);
    status = pgs_take_time(query.conn, err);
    if (!status)
        status = tars_pg_do(&query, err);
    return pgs_commit(pgs_of(store), query.conn, status, err);
}
