/* service - see service.h. Each function turns plain values into one call of a room, and back. */
#include "app/service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/nas.h"
#include "app/recall.h"
#include "app/tenants.h"
#include "app/writer.h"
#include "base/sys/file.h"
#include "base/sys/machine.h"
#include "cache/cache.h"
#include "index/index.h"
#include "ingest/ingest.h"
#include "ingest/spool.h"
#include "retrieve/retrieve.h"
#include "store/accounts.h"
#include "text/analyzer.h"
#include "vectors/follow.h"

#define WAIT_STEP_MS 250  /* between looks at a cancel flag */
#define IDLE_STEPS   20   /* quiet steps after which the queue itself is asked */
#define CANCEL_PAGE  1000 /* jobs looked at in one go */
#define SUBMIT_MAX   1024

/* ------------------------------------------------------------------- search */

static void fill_hit(struct tars_hit *hit, const struct tars_found *found)
{
    const struct tars_store_passage *passage = found->passage;
    const struct tars_store_document *document = passage->document;

    *hit = (struct tars_hit){
        .chunk_id = passage->chunk_id,
        .document_id = document->document_id,
        .external_id = document->external_id,
        .collection = document->collection,
        .content = tars_span(passage->text, passage->text_len),
        .chunk_index = passage->chunk_index,
        .token_count = passage->token_count,
        .file_path = document->path,
        .file_name = document->file_name,
        .file_type = document->file_type,
        .title = document->title,
        .section = passage->section,
        .sha256 = document->sha256,
        .metadata_json = document->metadata_json,
        .file_size = document->file_size,
        .created_us = document->created_us,
        .modified_us = document->modified_us,
        .indexed_us = document->indexed_us,
        .page_count = document->page_count,
        .word_count = document->word_count,
        .page_first = passage->page_first,
        .page_last = passage->page_last,
        .char_start = passage->char_start,
        .char_end = passage->char_end,
        .relevance = found->relevance,
        .fused = found->fused,
        .vector_score = found->vector_score,
        .bm25_score = found->bm25_score,
        .coverage = found->coverage,
        .rerank_score = found->rerank_score,
    };
}

static tars_status search(void *ctx, const struct tars_search_request *request,
                          struct tars_call *call, struct tars_search_reply *reply,
                          struct tars_err *err)
{
    static const enum tars_retrieve_mode modes[] = {
        [TARS_SEARCH_HYBRID] = TARS_RETRIEVE_HYBRID,
        [TARS_SEARCH_WORDS] = TARS_RETRIEVE_WORDS,
        [TARS_SEARCH_VECTORS] = TARS_RETRIEVE_VECTORS,
    };
    const struct tars_service *service = ctx;
    const struct tars_retrieve_request wanted = {
        .query = tars_span_of(request->query),
        .top_k = request->top_k,
        .threshold = request->threshold,
        .filters_json = request->filters_json,
        .collection = request->collection,
        .mode = modes[request->mode],
        .distinct_documents = request->distinct_documents,
        .rerank = request->rerank,
    };
    struct tars_retrieved found = {0};
    tars_status status = tars_retrieve(service->retriever, &wanted, call, &found, err);

    if (status != TARS_OK)
        return status;
    reply->hits = tars_arena_calloc(call->arena, found.count + 1, sizeof(*reply->hits));
    if (!reply->hits)
        return tars_fail(TARS_ENOMEM, err, "no memory for %zu results", found.count);
    for (size_t i = 0; i < found.count; i++)
        fill_hit(&reply->hits[i], &found.found[i]);
    reply->count = found.count;
    reply->fusion_method = found.fusion_method ? found.fusion_method : "";
    reply->degraded = found.degraded ? found.degraded_part : NULL;
    reply->unmet = found.unmet;
    reply->index_seq = found.index_seq;
    reply->is_kept = found.is_kept;
    reply->is_partial = found.rerank_is_partial || found.is_behind;
    return TARS_OK;
}

static tars_status recall(void *ctx, const struct tars_search_request *request,
                          struct tars_call *call, struct tars_recalled *recalled)
{
    return tars_recall(ctx, request, call, recalled);
}

static void keep_results(void *ctx, const struct tars_search_request *request,
                         struct tars_call *call, const struct tars_search_reply *reply,
                         struct tars_span results)
{
    tars_recall_keep(ctx, request, call, reply, results);
}

/* -------------------------------------------------------------------- stats */

/* Add what the visible collections hold. */
static tars_status add_sizes(const struct tars_service *service, const struct tars_visible *visible,
                             struct tars_arena *arena, struct tars_collection_stats *out,
                             struct tars_err *err)
{
    struct tars_collection_size *sizes = NULL;
    size_t count = 0;
    tars_status status = tars_accounts_sizes(service->store, arena, &sizes, &count, err);

    for (size_t i = 0; status == TARS_OK && i < count; i++) {
        if (!tars_visible_has(visible, sizes[i].key))
            continue;
        out->files += sizes[i].files;
        out->documents += sizes[i].documents;
        out->chunks += sizes[i].passages;
        out->bytes += sizes[i].bytes;
        if (sizes[i].last_indexed_us > out->last_indexed_us)
            out->last_indexed_us = sizes[i].last_indexed_us;
    }
    return status;
}

static tars_status add_job_counts(const struct tars_service *service,
                                  const struct tars_visible *visible, struct tars_arena *arena,
                                  struct tars_collection_stats *out, struct tars_err *err)
{
    struct tars_store_job_count *counts = NULL;
    size_t count = 0;
    tars_status status = tars_store_job_counts(service->store, arena, &counts, &count, err);

    for (size_t i = 0; status == TARS_OK && i < count; i++) {
        if (!tars_visible_has(visible, counts[i].collection))
            continue;
        out->jobs_queued += counts[i].queued;
        out->jobs_running += counts[i].running;
        out->jobs_failed += counts[i].failed;
        if (counts[i].oldest_us > 0 &&
            (out->oldest_job_us == 0 || counts[i].oldest_us < out->oldest_job_us))
            out->oldest_job_us = counts[i].oldest_us;
    }
    return status;
}

static tars_status stats(void *ctx, const struct tars_visible *visible, struct tars_arena *arena,
                         struct tars_collection_stats *out, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    struct tars_collection_stats found = {
        .dimension = service->dimension,
        .embedding_model = service->embedding_model,
        .reranker = service->reranker,
        .language_model = tars_writer_name(service->writer),
    };
    tars_status status = add_sizes(service, visible, arena, &found, err);

    if (status == TARS_OK)
        status = add_job_counts(service, visible, arena, &found, err);
    if (status == TARS_OK)
        *out = found;
    return status;
}

static tars_status vitals(void *ctx, struct tars_arena *arena, struct tars_vitals *out)
{
    static const struct tars_visible everything = {.all = true};
    const struct tars_service *service = ctx;
    struct tars_collection_stats held = {0};
    struct tars_disk_use disk = {0, 0};
    struct tars_index_stats index;
    tars_status status = add_sizes(service, &everything, arena, &held, NULL);

    if (status == TARS_OK)
        status = add_job_counts(service, &everything, arena, &held, NULL);
    if (status != TARS_OK)
        return status;
    tars_index_stats(service->index, &index);
    if (service->data && tars_disk_read(service->data, &disk) != TARS_OK)
        disk = (struct tars_disk_use){0, 0};
    *out = (struct tars_vitals){
        .documents = held.documents,
        .chunks = held.chunks,
        .jobs_queued = held.jobs_queued,
        .jobs_running = held.jobs_running,
        .oldest_job_us = held.oldest_job_us,
        .index_vectors =
            service->follow ? tars_follow_stats(service->follow).windows : index.windows,
        .index_removed = index.removed,
        .index_unsaved = index.unsaved,
        .disk_bytes = disk.total_bytes,
        .disk_free_bytes = disk.free_bytes,
    };
    return TARS_OK;
}

static tars_status collections(void *ctx, const struct tars_visible *visible,
                               struct tars_arena *arena, struct tars_collection_view **views,
                               size_t *count, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    struct tars_collection_size *sizes = NULL;
    struct tars_collection_view *made;
    size_t found = 0;
    size_t n = 0;
    tars_status status = tars_accounts_sizes(service->store, arena, &sizes, &found, err);

    if (status != TARS_OK)
        return status;
    made = tars_arena_calloc(arena, found + 1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for %zu collections", found);
    for (size_t i = 0; i < found; i++) {
        if (!tars_visible_has(visible, sizes[i].key))
            continue;
        made[n++] = (struct tars_collection_view){sizes[i].key,       sizes[i].files,
                                                  sizes[i].documents, sizes[i].passages,
                                                  sizes[i].bytes,     sizes[i].last_indexed_us};
    }
    *views = made;
    *count = n;
    return TARS_OK;
}

/* ------------------------------------------------------------------------------------- one at a
 * time */

/* Keep the bytes of an upload; *path is in arena. */
static tars_status spool(const struct tars_service *service, struct tars_span bytes,
                         struct tars_arena *arena, const char **path, struct tars_err *err)
{
    struct tars_spool_file *file = NULL;
    const char *kept = NULL;
    tars_status status =
        tars_spool_new(service->spool_dir, atomic_load(&service->max_upload_bytes), &file, err);

    if (status == TARS_OK)
        status = tars_spool_write(file, bytes.ptr, bytes.len, err);
    if (status == TARS_OK)
        status = tars_spool_commit(file, &kept, err);
    if (status == TARS_OK) {
        *path = tars_arena_strdup(arena, kept);
        status = *path ? TARS_OK : TARS_ENOMEM;
    }
    tars_spool_free(file);
    return status;
}

/* Is there room for this much more? Asked once a collection, for what is known before it is read.
 */
static tars_status check_room(const struct tars_service *service, const struct tars_take *takes,
                              size_t n, struct tars_err *err)
{
    int64_t bytes = 0;
    tars_status status = TARS_OK;

    for (size_t i = 0; status == TARS_OK && i < n; i++) {
        bytes += (int64_t)takes[i].bytes.len;
        if (i + 1 < n && takes[i + 1].collection == takes[i].collection)
            continue;
        status = tars_accounts_room(service->store, takes[i].collection, 0, bytes, err);
        bytes = 0;
    }
    return status;
}

static tars_status submit(void *ctx, const struct tars_take *takes, size_t n,
                          struct tars_call *call, int64_t *job_ids, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    struct tars_ingest_request *requests;
    tars_status status = TARS_OK;

    if (n > SUBMIT_MAX)
        return tars_fail(TARS_ETOOBIG, err, "more than %d files at once", SUBMIT_MAX);
    requests = tars_arena_calloc(call->arena, n + 1, sizeof(*requests));
    if (!requests)
        return tars_fail(TARS_ENOMEM, err, "no memory for %zu files", n);
    status = check_room(service, takes, n, err);
    for (size_t i = 0; i < n && status == TARS_OK; i++) {
        requests[i].collection = takes[i].collection;
        requests[i].path = takes[i].path;
        requests[i].force = takes[i].force;
        requests[i].bytes = (int64_t)takes[i].bytes.len;
        if (takes[i].bytes.ptr)
            status = spool(service, takes[i].bytes, call->arena, &requests[i].spool, err);
    }
    if (status == TARS_OK)
        status = tars_ingest_submit(service->ingest, requests, n, job_ids, err);
    /* What no job knows of would lie there until the next start. */
    for (size_t i = 0; i < n && status != TARS_OK; i++) {
        if (requests[i].spool)
            (void)unlink(requests[i].spool);
    }
    return status;
}

static enum tars_taken_outcome outcome_of(const struct tars_store_job *job)
{
    static const struct {
        const char *result;
        enum tars_taken_outcome outcome;
    } table[] = {
        {"indexed", TARS_TAKEN_INDEXED},
        {"unchanged", TARS_TAKEN_UNCHANGED},
        {"skipped", TARS_TAKEN_SKIPPED},
        {"forgotten", TARS_TAKEN_FORGOTTEN},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(job->result, table[i].result) == 0)
            return table[i].outcome;
    }
    return job->state == TARS_JOB_CANCELLED ? TARS_TAKEN_SKIPPED : TARS_TAKEN_FAILED;
}

/* The id that a file of one document has for ever; "" for one that was never taken in. */
static const char *document_of(const struct tars_store_job *job, struct tars_arena *arena)
{
    const char *id = tars_arena_strdup(arena, job->document_id);

    return id ? id : "";
}

static tars_status wait_job(void *ctx, int64_t job_id, struct tars_call *call,
                            struct tars_taken *taken, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    struct tars_store_job job;
    tars_status status;

    do {
        if (tars_call_is_over(call)) {
            return tars_fail(TARS_ECANCELED, err, "nobody waits for job %lld any more",
                             (long long)job_id);
        }
        status = tars_ingest_wait(service->ingest, job_id, WAIT_STEP_MS, call->arena, &job, err);
    } while (status == TARS_ETIMEOUT);
    if (status != TARS_OK)
        return status;
    *taken = (struct tars_taken){
        .path = job.path,
        .document_id = document_of(&job, call->arena),
        .outcome = outcome_of(&job),
        .reason = job.error,
        .chunks = job.chunks,
        .ms = (double)(job.finished_us - job.created_us) / 1000,
        .job_id = job_id,
    };
    return TARS_OK;
}

/* ------------------------------------------------------------------- a tree */

struct tree {
    const struct tars_service *service;
    struct tars_call *call;
    struct tars_listener *listener;
    tars_taken_fn *each;
    void *each_ctx;
    size_t submitted;
};

/* Cancel what waits or runs for a collection below path. */
static void cancel_below(const struct tars_service *service, const char *collection,
                         const char *path)
{
    static const int states[] = {TARS_JOB_QUEUED, TARS_JOB_RUNNING};
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)64 << 20);
    for (size_t s = 0; s < 2; s++) {
        struct tars_store_jobs jobs = {0};
        int64_t before = 0;

        while (tars_store_jobs_of(service->store, collection, states[s], before, CANCEL_PAGE,
                                  &arena, &jobs, NULL) == TARS_OK &&
               jobs.count > 0) {
            for (size_t i = 0; i < jobs.count; i++) {
                before = jobs.items[i].id;
                /* One that has ended meanwhile cannot be cancelled, which is as good. */
                if (tars_path_is_below(jobs.items[i].path, path))
                    (void)!tars_ingest_cancel(service->ingest, before, NULL);
            }
            tars_arena_clear(&arena);
        }
    }
    tars_arena_release(&arena);
}

/* Tell what has ended until all has; false when the asker said stop. */
static bool follow(struct tree *tree, struct tars_arena *arena)
{
    size_t told = 0;
    int quiet = 0;

    while (told < tree->submitted) {
        struct tars_taken taken;
        tars_status status = tars_listener_next(tree->listener, WAIT_STEP_MS, arena, &taken);

        if (tars_call_is_over(tree->call))
            return false;
        if (status == TARS_OK) {
            quiet = 0;
            told += taken.job_id != 0;
            if (!tree->each(tree->each_ctx, &taken, tree->submitted))
                return false;
            tars_arena_clear(arena);
        } else if (++quiet >= IDLE_STEPS) {
            /* Nothing for long: has the queue run dry without telling us (events were lost)? */
            if (tars_ingest_stats(tree->service->ingest).jobs_waiting == 0)
                return true;
            quiet = 0;
        }
    }
    return true;
}

/* What was skipped while walking is queued already. */
static bool tell_skipped(struct tree *tree, struct tars_arena *arena)
{
    struct tars_taken taken;

    while (tars_listener_next(tree->listener, 0, arena, &taken) == TARS_OK) {
        if (!tree->each(tree->each_ctx, &taken, tree->submitted))
            return false;
        tars_arena_clear(arena);
    }
    return true;
}

static tars_status ingest(void *ctx, const struct tars_tree *wanted, struct tars_call *call,
                          tars_taken_fn *each, void *each_ctx, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    const struct tars_ingest_tree request = {wanted->collection, wanted->path, wanted->force,
                                             wanted->forget_missing, !service->leaves_jobs};
    struct tree tree = {service, call, NULL, each, each_ctx, 0};
    struct tars_arena arena;
    tars_status status = tars_accounts_room(service->store, wanted->collection, 0, 0, err);

    if (status != TARS_OK)
        return status;
    status = tars_events_listen(service->events, wanted->collection, wanted->path, &tree.listener);
    if (status != TARS_OK)
        return tars_fail(status, err, "no memory to follow %s", wanted->path);
    tars_arena_init(&arena, (size_t)1 << 20);
    status = tars_ingest_submit_tree(service->ingest, &request, &tree.submitted, err);
    if (status == TARS_OK && (!each(each_ctx, NULL, tree.submitted) || !follow(&tree, &arena) ||
                              !tell_skipped(&tree, &arena))) {
        cancel_below(service, wanted->collection, wanted->path);
        status = tars_fail(TARS_ECANCELED, err, "stopped; what was finished stays");
    }
    tars_listener_free(tree.listener);
    tars_arena_release(&arena);
    return status;
}

/* ------------------------------------------------------------------- forget */

static tars_status no_document(const char *id, struct tars_err *err)
{
    return tars_fail(TARS_ENOTFOUND, err, "there is no document %s", id);
}

static tars_status forget(void *ctx, const struct tars_visible *writable, const char *document_id,
                          int64_t *chunks, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    struct tars_store_document document;
    struct tars_arena arena;
    bool mine = writable->all;
    tars_status status = TARS_OK;

    tars_arena_init(&arena, (size_t)64 << 20);
    if (!mine) {
        status = tars_store_document(service->store, document_id, &arena, &document, err);
        mine = status == TARS_OK && tars_visible_has(writable, document.collection);
    }
    tars_arena_release(&arena);
    if (status != TARS_OK)
        return status;
    return mine ? tars_ingest_forget(service->ingest, document_id, chunks, err)
                : no_document(document_id, err);
}

static tars_status forget_path(void *ctx, const char *collection, const char *path,
                               int64_t *documents, int64_t *chunks, struct tars_err *err)
{
    const struct tars_service *service = ctx;

    return tars_ingest_forget_path(service->ingest, collection, path, documents, chunks, err);
}

static tars_status forget_collection(void *ctx, const char *key, struct tars_call *call,
                                     int64_t *documents, int64_t *chunks, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    tars_status status =
        tars_ingest_forget_path(service->ingest, key, NULL, documents, chunks, err);

    (void)call; /* once begun it is not stopped half way */
    return status == TARS_ENOTFOUND ? TARS_OK : status;
}

/* --------------------------------------------------------------------- jobs */

static int state_of(const char *text)
{
#define X(name, value, label)       \
    if (strcmp(text, (label)) == 0) \
        return name;
    TARS_JOB_STATE_LIST(X)
#undef X
    return 0;
}

static struct tars_job_view view_of(const struct tars_store_job *job, struct tars_arena *arena)
{
    return (struct tars_job_view){
        .id = job->id,
        .kind = job->kind,
        .collection = job->collection,
        .path = job->path,
        .state = tars_job_state_text(job->state),
        .stage = job->stage,
        .progress = job->progress,
        .attempts = job->attempts,
        .error = job->error,
        .document_id = document_of(job, arena),
        .chunks = job->chunks,
        .created_us = job->created_us,
        .updated_us = job->updated_us,
        .finished_us = job->finished_us,
    };
}

static int newest_first(const void *a, const void *b)
{
    const struct tars_store_job *x = a;
    const struct tars_store_job *y = b;

    return (x->id < y->id) - (x->id > y->id);
}

/* The newest of each visible collection, then the newest of these. */
static tars_status visible_jobs(const struct tars_service *service,
                                const struct tars_visible *visible, int state, size_t limit,
                                struct tars_arena *arena, struct tars_store_jobs *out,
                                struct tars_err *err)
{
    void *items = NULL;
    size_t cap = 0;
    size_t n = 0;
    tars_status status = TARS_OK;

    if (visible->all)
        return tars_store_jobs(service->store, state, 0, limit, arena, out, err);
    for (size_t i = 0; status == TARS_OK && i < visible->count; i++) {
        struct tars_store_jobs found = {0};

        status = tars_store_jobs_of(service->store, visible->keys[i], state, 0, limit, arena,
                                    &found, err);
        if (status == TARS_OK && found.count > 0)
            status = tars_arena_grow(arena, &items, &cap, n + found.count, sizeof(*out->items));
        if (status != TARS_OK || found.count == 0)
            continue;
        memcpy((struct tars_store_job *)items + n, found.items, found.count * sizeof(*found.items));
        n += found.count;
    }
    if (status != TARS_OK)
        return status;
    if (n > 1)
        qsort(items, n, sizeof(*out->items), newest_first);
    *out = (struct tars_store_jobs){items, n < limit ? n : limit};
    return TARS_OK;
}

static tars_status jobs(void *ctx, const struct tars_visible *visible, const char *state,
                        size_t limit, struct tars_arena *arena, struct tars_job_view **out,
                        size_t *count, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    struct tars_store_jobs found = {0};
    int wanted = state ? state_of(state) : 0;
    struct tars_job_view *views;
    tars_status status;

    if (state && !wanted) {
        return tars_fail(TARS_EINVAL, err,
                         "state is one of queued, running, done, failed, cancelled");
    }
    status = visible_jobs(service, visible, wanted, limit, arena, &found, err);
    if (status != TARS_OK)
        return status;
    views = tars_arena_calloc(arena, found.count + 1, sizeof(*views));
    if (!views)
        return TARS_ENOMEM;
    for (size_t i = 0; i < found.count; i++)
        views[i] = view_of(&found.items[i], arena);
    *out = views;
    *count = found.count;
    return TARS_OK;
}

/* The job, if it is of a collection in these; else there is none. */
static tars_status find_job(const struct tars_service *service, const struct tars_visible *rights,
                            int64_t id, struct tars_arena *arena, struct tars_store_job *found,
                            struct tars_err *err)
{
    tars_status status = tars_store_job(service->store, id, arena, found, err);

    if (status == TARS_OK && !tars_visible_has(rights, found->collection))
        status = TARS_ENOTFOUND;
    return status == TARS_ENOTFOUND ? tars_fail(status, err, "No such job") : status;
}

static tars_status job(void *ctx, const struct tars_visible *visible, int64_t id,
                       struct tars_arena *arena, struct tars_job_view *out, struct tars_err *err)
{
    struct tars_store_job found;
    tars_status status = find_job(ctx, visible, id, arena, &found, err);

    if (status == TARS_OK)
        *out = view_of(&found, arena);
    return status;
}

static tars_status may_change(const struct tars_service *service,
                              const struct tars_visible *writable, int64_t id, struct tars_err *err)
{
    struct tars_store_job found;
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, (size_t)1 << 20);
    status = find_job(service, writable, id, &arena, &found, err);
    tars_arena_release(&arena);
    return status;
}

static tars_status job_cancel(void *ctx, const struct tars_visible *writable, int64_t id,
                              struct tars_err *err)
{
    const struct tars_service *service = ctx;
    tars_status status = may_change(service, writable, id, err);

    return status == TARS_OK ? tars_ingest_cancel(service->ingest, id, err) : status;
}

static tars_status job_retry(void *ctx, const struct tars_visible *writable, int64_t id,
                             struct tars_err *err)
{
    const struct tars_service *service = ctx;
    tars_status status = may_change(service, writable, id, err);

    return status == TARS_OK ? tars_ingest_retry(service->ingest, id, err) : status;
}

const struct tars_service_ops tars_service_ops = {
    .search = search,
    .recall = recall,
    .keep = keep_results,
    .cache_view = tars_service_cache_view,
    .cache_sample = tars_service_cache_sample,
    .cache_clear = tars_service_cache_clear,
    .nas = tars_nas,
    .stats = stats,
    .vitals = vitals,
    .collections = collections,
    .submit = submit,
    .wait = wait_job,
    .ingest = ingest,
    .forget = forget,
    .forget_path = forget_path,
    .forget_collection = forget_collection,
    .jobs = jobs,
    .job = job,
    .job_cancel = job_cancel,
    .job_retry = job_retry,
    .tenant_export = tars_tenant_export,
    .tenant_empty = tars_tenant_empty,
    .scrub = tars_tenant_scrub,
    .documents = tars_service_documents,
    .document = tars_service_document,
};
