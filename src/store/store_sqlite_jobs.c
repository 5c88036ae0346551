/* store_sqlite_jobs - the queue of work. Adding, cancelling and retrying are durable; the steps of
 * a running job are not worth a sync each: after a power cut the job runs again. */
#include <string.h>

#include "store/store_sqlite_internal.h"

static void read_job(struct tars_sqlite_query *query, struct tars_arena *arena,
                     struct tars_store_job *out)
{
    out->id = tars_sqlite_int(query);
    out->kind = tars_sqlite_text(query, arena, NULL);
    out->collection = tars_sqlite_text(query, arena, NULL);
    out->path = tars_sqlite_text(query, arena, NULL);
    out->spool = tars_sqlite_text(query, arena, NULL);
    out->force = tars_sqlite_int(query) != 0;
    out->state = (enum tars_job_state)tars_sqlite_int(query);
    out->stage = tars_sqlite_text(query, arena, NULL);
    out->progress = tars_sqlite_real(query);
    out->attempts = (int)tars_sqlite_int(query);
    out->error = tars_sqlite_text(query, arena, NULL);
    out->result = tars_sqlite_text(query, arena, NULL);
    tars_sqlite_text_into(query, out->document_id, sizeof(out->document_id));
    out->chunks = tars_sqlite_int(query);
    out->cancel_wanted = tars_sqlite_int(query) != 0;
    out->not_before_us = tars_sqlite_int(query);
    out->created_us = tars_sqlite_int(query);
    out->updated_us = tars_sqlite_int(query);
    out->finished_us = tars_sqlite_int(query);
}

static tars_status add_job(struct tars_sqlite_conn *conn, struct tars_store_job *job,
                           struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, TARS_SQL_JOB_ADD);
    bool named = job->collection && job->collection[0];
    tars_status status;

    tars_sqlite_bind_text(&query, job->kind);
    tars_sqlite_bind_text(&query, named ? job->collection : TARS_COLLECTION);
    tars_sqlite_bind_text(&query, job->path);
    tars_sqlite_bind_text(&query, job->spool);
    tars_sqlite_bind_int(&query, job->force);
    tars_sqlite_bind_int(&query, job->not_before_us);
    tars_sqlite_bind_int(&query, job->created_us);
    tars_sqlite_bind_int(&query, job->bytes);
    status = tars_sqlite_run(&query, err);
    if (status)
        return status;
    job->id = sqlite3_last_insert_rowid(conn->db);
    job->state = TARS_JOB_QUEUED;
    job->updated_us = job->created_us;
    return TARS_OK;
}

/* Uploads that wait count as if they were in, those just added among them: else any number would
 * be let in while none has been read. */
static tars_status check_waiting(struct tars_sqlite_conn *conn, const char *collection,
                                 struct tars_err *err)
{
    struct tars_store_limits limits;
    struct tars_sqlite_query query;
    int64_t documents = 0;
    int64_t bytes = 0;
    tars_status status = tars_sqlite_limits(conn, collection, &limits, err);

    if (status || (!limits.max_documents && !limits.max_bytes))
        return status;
    query = tars_sqlite_ask(conn, TARS_SQL_JOB_WAITING);
    tars_sqlite_bind_text(&query, collection);
    if (tars_sqlite_step(&query)) {
        documents = tars_sqlite_int(&query);
        bytes = tars_sqlite_int(&query);
    }
    status = tars_sqlite_end(&query, err);
    limits.documents += documents;
    limits.bytes += bytes;
    return status ? status : tars_store_check_limits(&limits, documents, bytes, err);
}

/* Once for neighbours of one collection. */
static tars_status check_uploads(struct tars_sqlite_conn *conn, const struct tars_store_job *jobs,
                                 size_t n, struct tars_err *err)
{
    const char *last = NULL;
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < n; i++) {
        bool named = jobs[i].collection && jobs[i].collection[0];
        const char *collection = named ? jobs[i].collection : TARS_COLLECTION;

        if (!jobs[i].spool || !jobs[i].spool[0] || (last && strcmp(last, collection) == 0))
            continue;
        last = collection;
        status = check_waiting(conn, collection, err);
    }
    return status;
}

tars_status tars_sqlite_jobs_add(struct tars_store *store, struct tars_store_job *jobs, size_t n,
                                 struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_begin(sqlite, true, &conn, err);

    if (status)
        return status;
    for (size_t i = 0; !status && i < n; i++)
        status = add_job(conn, &jobs[i], err);
    if (!status)
        status = check_uploads(conn, jobs, n, err);
    return tars_sqlite_commit(sqlite, status, err);
}

/* The one row of query; ENOTFOUND without words when there is none. */
static tars_status one_job(struct tars_sqlite_query *query, struct tars_arena *arena,
                           struct tars_store_job *out, struct tars_err *err)
{
    struct tars_store_job job = {0};
    bool found = tars_sqlite_step(query);
    tars_status status;

    if (found)
        read_job(query, arena, &job);
    status = tars_sqlite_end(query, err);
    if (!status && !found)
        return TARS_ENOTFOUND;
    if (!status)
        *out = job;
    return status;
}

tars_status tars_sqlite_job_claim(struct tars_store *store, int64_t now_us,
                                  struct tars_arena *arena, struct tars_store_job *out,
                                  struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_store_job job = {0};
    struct tars_sqlite_conn *conn;
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_begin(sqlite, false, &conn, err);

    if (status)
        return status;
    query = tars_sqlite_ask(conn, TARS_SQL_JOB_DUE);
    tars_sqlite_bind_int(&query, now_us);
    status = one_job(&query, arena, &job, err);
    if (!status) {
        query = tars_sqlite_ask(conn, TARS_SQL_JOB_CLAIM);
        tars_sqlite_bind_int(&query, job.id);
        tars_sqlite_bind_int(&query, now_us);
        status = tars_sqlite_run(&query, err);
    }
    status = tars_sqlite_commit(sqlite, status, err);
    if (status)
        return status;
    *out = job;
    out->state = TARS_JOB_RUNNING;
    out->stage = "reading";
    out->attempts++;
    out->updated_us = now_us;
    return TARS_OK;
}

tars_status tars_sqlite_job_update(struct tars_store *store, const struct tars_store_job *job,
                                   struct tars_err *err)
{
    bool durable = job->state == TARS_JOB_DONE && job->spool && job->spool[0];
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_write_ask(store, durable, TARS_SQL_JOB_UPDATE, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, job->id);
    tars_sqlite_bind_int(&query, job->state);
    tars_sqlite_bind_text(&query, job->stage);
    tars_sqlite_bind_real(&query, job->progress);
    tars_sqlite_bind_text(&query, job->error);
    tars_sqlite_bind_text(&query, job->result);
    tars_sqlite_bind_text(&query, job->document_id);
    tars_sqlite_bind_int(&query, job->chunks);
    tars_sqlite_bind_int(&query, job->not_before_us);
    tars_sqlite_bind_int(&query, job->updated_us);
    tars_sqlite_bind_int(&query, job->finished_us);
    return tars_sqlite_write_run(store, &query, err);
}

tars_status tars_sqlite_job(struct tars_store *store, int64_t id, struct tars_arena *arena,
                            struct tars_store_job *out, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_read_begin(sqlite, &conn, err);

    if (status)
        return status;
    query = tars_sqlite_ask(conn, TARS_SQL_JOB_GET);
    tars_sqlite_bind_int(&query, id);
    status = one_job(&query, arena, out, err);
    tars_sqlite_read_end(sqlite, conn);
    if (status == TARS_ENOTFOUND)
        return tars_fail(status, err, "there is no job %lld", (long long)id);
    return status;
}

static tars_status read_jobs(struct tars_store *store, struct tars_sqlite_rows *rows,
                             struct tars_store_jobs *out, struct tars_err *err)
{
    struct tars_store_job *job;
    tars_status status;

    while ((job = tars_sqlite_next_row(rows, sizeof(*job))) != NULL)
        read_job(&rows->query, rows->arena, job);
    status = tars_sqlite_read_done(store, &rows->query, err);
    if (!status)
        *out = (struct tars_store_jobs){rows->items, rows->count};
    return status;
}

tars_status tars_sqlite_jobs(struct tars_store *store, int state, int64_t before_id, size_t limit,
                             struct tars_arena *arena, struct tars_store_jobs *out,
                             struct tars_err *err)
{
    struct tars_sqlite_rows rows = {.arena = arena};
    tars_status status = tars_sqlite_read_ask(
        store, state ? TARS_SQL_JOB_LIST_STATE : TARS_SQL_JOB_LIST, &rows.query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&rows.query, state);
    tars_sqlite_bind_int(&rows.query, before_id);
    tars_sqlite_bind_int(&rows.query, (int64_t)limit);
    return read_jobs(store, &rows, out, err);
}

tars_status tars_sqlite_jobs_of(struct tars_store *store, const char *collection, int state,
                                int64_t before_id, size_t limit, struct tars_arena *arena,
                                struct tars_store_jobs *out, struct tars_err *err)
{
    struct tars_sqlite_rows rows = {.arena = arena};
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_JOB_LIST_OF, &rows.query, err);

    if (status)
        return status;
    tars_sqlite_bind_text(&rows.query, collection);
    tars_sqlite_bind_int(&rows.query, state);
    tars_sqlite_bind_int(&rows.query, before_id);
    tars_sqlite_bind_int(&rows.query, (int64_t)limit);
    return read_jobs(store, &rows, out, err);
}

tars_status tars_sqlite_job_counts(struct tars_store *store, struct tars_arena *arena,
                                   struct tars_store_job_count **counts, size_t *count,
                                   struct tars_err *err)
{
    struct tars_sqlite_rows rows = {.arena = arena};
    struct tars_store_job_count *row;
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_JOB_COUNTS, &rows.query, err);

    if (status)
        return status;
    while ((row = tars_sqlite_next_row(&rows, sizeof(*row))) != NULL) {
        row->collection = tars_sqlite_text(&rows.query, arena, NULL);
        row->queued = tars_sqlite_int(&rows.query);
        row->running = tars_sqlite_int(&rows.query);
        row->failed = tars_sqlite_int(&rows.query);
        row->oldest_us = tars_sqlite_int(&rows.query);
    }
    status = tars_sqlite_read_done(store, &rows.query, err);
    if (status)
        return status;
    *counts = rows.items;
    *count = rows.count;
    return TARS_OK;
}

/* Run sql on (id, now): it changes one row, or the job is not there, or it is in another state. */
static tars_status change_job(struct tars_store *store, enum tars_sql sql, int64_t id,
                              int64_t now_us, const char *refusal, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_begin(sqlite, true, &conn, err);

    if (status)
        return status;
    query = tars_sqlite_ask(conn, sql);
    tars_sqlite_bind_int(&query, id);
    tars_sqlite_bind_int(&query, now_us);
    status = tars_sqlite_run(&query, err);
    if (!status && sqlite3_changes(conn->db) == 0) {
        query = tars_sqlite_ask(conn, TARS_SQL_JOB_GET);
        tars_sqlite_bind_int(&query, id);
        status = tars_sqlite_step(&query) ? TARS_EINVAL : TARS_ENOTFOUND;
        if (tars_sqlite_end(&query, err)) {
            status = TARS_EIO;
        } else if (status == TARS_EINVAL) {
            status = tars_fail(status, err, "job %lld %s", (long long)id, refusal);
        } else {
            status = tars_fail(status, err, "there is no job %lld", (long long)id);
        }
    }
    return tars_sqlite_commit(sqlite, status, err);
}

tars_status tars_sqlite_job_cancel(struct tars_store *store, int64_t id, int64_t now_us,
                                   struct tars_err *err)
{
    return change_job(store, TARS_SQL_JOB_CANCEL, id, now_us, "has ended already", err);
}

tars_status tars_sqlite_job_retry(struct tars_store *store, int64_t id, int64_t now_us,
                                  struct tars_err *err)
{
    return change_job(store, TARS_SQL_JOB_RETRY, id, now_us,
                      "has neither failed nor been cancelled", err);
}

tars_status tars_sqlite_jobs_resume(struct tars_store *store, size_t *resumed, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    struct tars_sqlite_query query;
    size_t changed = 0;
    tars_status status = tars_sqlite_begin(sqlite, false, &conn, err);

    if (status)
        return status;
    query = tars_sqlite_ask(conn, TARS_SQL_JOB_RESUME);
    status = tars_sqlite_run(&query, err);
    changed = (size_t)sqlite3_changes(conn->db);
    status = tars_sqlite_commit(sqlite, status, err);
    if (!status)
        *resumed = changed;
    return status;
}

tars_status tars_sqlite_job_release(struct tars_store *store, int64_t id, struct tars_err *err)
{
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_write_ask(store, false, TARS_SQL_JOB_RELEASE, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, id);
    return tars_sqlite_write_run(store, &query, err);
}

tars_status tars_sqlite_jobs_prune(struct tars_store *store, size_t keep, struct tars_err *err)
{
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_write_ask(store, false, TARS_SQL_JOB_PRUNE, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, (int64_t)keep);
    return tars_sqlite_write_run(store, &query, err);
}
