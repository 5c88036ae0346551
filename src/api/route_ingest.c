/* route_ingest - documents in and out: paths of the server, uploads, forgetting, jobs. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/access.h"
#include "api/api_internal.h"
#include "api/reader.h"
#include "api/rights.h"
#include "api/roots.h"
#include "api/words.h"
#include "base/codec/multipart.h"
#include "base/codec/url.h"

#define BATCH_MAX   1000
#define UPLOADS_MAX 64
#define JOBS_MAX    1000
#define OFFSET_MAX  999999999
#define OUTSIDE     "The path lies outside the folders that this server may read"

/* Release reader; false when something was wrong, and the reply is given. */
static bool is_good(struct tars_exchange *ex, struct tars_reader *reader)
{
    bool good = !tars_reader_is_bad(reader);

    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(reader));
    tars_reader_release(reader);
    return good;
}

/* -------------------------------------------------------------------- paths */

/* Submit one path and wait for its end. A fault of the service becomes a failed result. */
static void take_path(struct tars_exchange *ex, const struct tars_take *take,
                      struct tars_taken *taken)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_err err = {{0}};
    int64_t id = 0;
    tars_status status =
        config->service->submit(config->service_ctx, take, 1, &ex->call, &id, &err);

    if (status == TARS_OK)
        status = config->service->wait(config->service_ctx, id, &ex->call, taken, &err);
    if (status != TARS_OK) {
        const char *words = tars_words_of(ex->api, &ex->call, status, &err);

        *taken = (struct tars_taken){.path = take->path,
                                     .document_id = "",
                                     .outcome = TARS_TAKEN_FAILED,
                                     .reason = tars_arena_strdup(ex->call.arena, words),
                                     .job_id = id};
        if (!taken->reason)
            taken->reason = "";
    }
}

void tars_route_rag_index(struct tars_exchange *ex)
{
    struct tars_take take = {0};
    struct tars_reader reader;
    struct tars_taken taken;
    const char *path;
    const char *collection;
    bool good;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    path = tars_reader_text(&reader, "file_path", TARS_READER_REQUIRED);
    if (path && path[strspn(path, " \t\r\n\v\f")] == '\0')
        tars_reader_refuse(&reader, "file_path", "file_path cannot be empty");
    take.force = tars_reader_flag(&reader, "force_reindex", false);
    collection = tars_reader_text(&reader, "collection", TARS_READER_OPTIONAL);
    good = !tars_reader_is_bad(&reader);
    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
    tars_reader_release(&reader);
    if (!good || !tars_api_collection(ex, collection, true, &take.collection))
        return;
    take.path = tars_roots_permitted(ex, path);
    if (!take.path) {
        tars_exchange_fail(ex, 403, OUTSIDE);
        return;
    }
    take_path(ex, &take, &taken);
    tars_exchange_json(ex);
    tars_api_write_taken(ex, &taken);
    tars_exchange_send(ex, 201);
}

/* -------------------------------------------------------------------- batch */

struct batch {
    const char *const *paths; /* (count,) */
    size_t count;
    const char *collection; /* key */
    bool force;
    struct tars_taken *taken; /* (count,) */
};

/* False when the reply is given. */
static bool read_batch(struct tars_exchange *ex, struct batch *batch)
{
    const char *collection;
    struct tars_reader reader;
    bool good;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    batch->paths = tars_reader_texts(&reader, "file_paths", TARS_READER_REQUIRED, &batch->count);
    batch->force = tars_reader_flag(&reader, "force_reindex", false);
    collection = tars_reader_text(&reader, "collection", TARS_READER_OPTIONAL);
    (void)tars_reader_int(&reader, "max_concurrent", 5, 1, 20);
    if (batch->count > BATCH_MAX)
        tars_reader_refuse(&reader, "file_paths", "too many files (max 1000)");
    good = !tars_reader_is_bad(&reader);
    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
    tars_reader_release(&reader);
    return good && tars_api_collection(ex, collection, true, &batch->collection);
}

static void take_batch(struct tars_exchange *ex, struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct tars_take take = {.path = tars_roots_permitted(ex, batch->paths[i]),
                                       .collection = batch->collection,
                                       .force = batch->force};

        if (take.path) {
            take_path(ex, &take, &batch->taken[i]);
        } else {
            batch->taken[i] = (struct tars_taken){.path = batch->paths[i],
                                                  .document_id = "",
                                                  .outcome = TARS_TAKEN_FAILED,
                                                  .reason = OUTSIDE};
        }
    }
}

static int64_t count_outcome(const struct batch *batch, const char *status)
{
    int64_t count = 0;

    for (size_t i = 0; i < batch->count; i++)
        count += strcmp(tars_api_taken_status(batch->taken[i].outcome), status) == 0;
    return count;
}

void tars_route_rag_batch(struct tars_exchange *ex)
{
    struct batch batch = {0};
    int64_t chunks = 0;

    if (!read_batch(ex, &batch))
        return;
    batch.taken = tars_arena_calloc(ex->call.arena, batch.count + 1, sizeof(*batch.taken));
    if (!batch.taken) {
        tars_exchange_broken(ex, "no memory for the results");
        return;
    }
    take_batch(ex, &batch);
    for (size_t i = 0; i < batch.count; i++)
        chunks += batch.taken[i].outcome == TARS_TAKEN_INDEXED ? batch.taken[i].chunks : 0;
    tars_exchange_json(ex);
    tars_json_int(&ex->json, "total_files", (int64_t)batch.count);
    tars_json_int(&ex->json, "successful", count_outcome(&batch, "success"));
    tars_json_int(&ex->json, "failed", count_outcome(&batch, "failed"));
    tars_json_int(&ex->json, "already_indexed", count_outcome(&batch, "already_indexed"));
    tars_json_int(&ex->json, "total_chunks", chunks);
    tars_json_fixed(&ex->json, "processing_time_ms", tars_exchange_elapsed_ms(ex), 2);
    tars_json_array(&ex->json, "results");
    for (size_t i = 0; i < batch.count; i++) {
        tars_json_object(&ex->json, NULL);
        tars_api_write_taken(ex, &batch.taken[i]);
        tars_json_end(&ex->json);
    }
    tars_exchange_send(ex, 201);
}

/* ------------------------------------------------------------------ uploads */

struct upload {
    struct tars_take takes[UPLOADS_MAX];
    int64_t job_ids[UPLOADS_MAX];
    struct tars_taken taken[UPLOADS_MAX];
    size_t count;
    const char *collection; /* as it is called; or NULL */
};

static tars_status add_part(struct tars_exchange *ex, struct upload *upload,
                            const struct tars_multipart_part *part, struct tars_err *err)
{
    size_t max;
    char *name;
    tars_status status;

    if (tars_span_is(part->name, "collection") && !part->has_filename) {
        upload->collection = tars_arena_strndup(ex->call.arena, part->body.ptr, part->body.len);
        return TARS_OK;
    }
    if (!tars_span_is(part->name, "file"))
        return TARS_OK;
    if (upload->count == UPLOADS_MAX)
        return tars_fail(TARS_ETOOBIG, err, "more than %d files in one request", UPLOADS_MAX);
    max = atomic_load(&ex->api->max_upload_bytes);
    if (part->body.len > max) {
        return tars_fail(TARS_ETOOBIG, err, "File too large: %.1fMB (max %.1fMB)",
                         (double)part->body.len / 1048576, (double)max / 1048576);
    }
    status = tars_multipart_file_name(part, ex->call.arena, &name);
    if (status != TARS_OK)
        return tars_fail(status, err, "a part named file has no usable file name");
    upload->takes[upload->count].path = name;
    upload->takes[upload->count].bytes =
        tars_span(part->body.len ? part->body.ptr : "", part->body.len);
    upload->count++;
    return TARS_OK;
}

static tars_status read_parts(struct tars_exchange *ex, struct upload *upload, struct tars_err *err)
{
    struct tars_multipart reader;
    struct tars_multipart_part part;
    struct tars_span boundary;
    tars_status status = tars_multipart_boundary(ex->content_type, &boundary);

    if (status != TARS_OK)
        return tars_fail(TARS_EFORMAT, err, "the multipart body has no boundary");
    tars_multipart_init(&reader, ex->body, boundary);
    while ((status = tars_multipart_next(&reader, &part)) == TARS_OK) {
        status = add_part(ex, upload, &part, err);
        if (status != TARS_OK)
            return status;
    }
    if (status != TARS_ENOTFOUND)
        return tars_fail(status, err, "the multipart body is malformed or cut short");
    return TARS_OK;
}

/* The parameter wait; false and the reply given when it is no flag. */
static bool read_wait(struct tars_exchange *ex, bool *wait)
{
    struct tars_reader reader;

    tars_reader_init_query(&reader, ex->call.arena, ex->query);
    *wait = tars_reader_flag(&reader, "wait", true);
    return is_good(ex, &reader);
}

static void write_job_ids(struct tars_exchange *ex, const struct upload *upload)
{
    tars_json_array(&ex->json, "job_ids");
    for (size_t i = 0; i < upload->count; i++)
        tars_json_int(&ex->json, NULL, upload->job_ids[i]);
    tars_json_end(&ex->json);
}

static void reply_uploads(struct tars_exchange *ex, const struct upload *upload)
{
    tars_exchange_json(ex);
    if (upload->count == 1)
        tars_api_write_taken(ex, &upload->taken[0]);
    tars_json_array(&ex->json, "results");
    for (size_t i = 0; i < upload->count; i++) {
        tars_json_object(&ex->json, NULL);
        tars_api_write_taken(ex, &upload->taken[i]);
        tars_json_end(&ex->json);
    }
    tars_json_end(&ex->json);
    write_job_ids(ex, upload);
    tars_exchange_send(ex, 201);
}

static void no_file(struct tars_exchange *ex)
{
    static const char detail[] = "[{\"type\":\"missing\",\"loc\":[\"body\",\"file\"],"
                                 "\"msg\":\"Field required\",\"input\":null}]";

    tars_exchange_invalid(ex, tars_span(detail, sizeof(detail) - 1));
}

static tars_status wait_uploads(struct tars_exchange *ex, struct upload *upload,
                                struct tars_err *err)
{
    const struct tars_api_config *config = &ex->api->config;

    for (size_t i = 0; i < upload->count; i++) {
        tars_status status = config->service->wait(config->service_ctx, upload->job_ids[i],
                                                   &ex->call, &upload->taken[i], err);

        if (status != TARS_OK)
            return status;
        upload->taken[i].path = upload->takes[i].path;
    }
    return TARS_OK;
}

/* False when the reply is given. */
static bool name_collection(struct tars_exchange *ex, struct upload *upload)
{
    const char *key;

    if (!tars_api_collection(ex, upload->collection, true, &key))
        return false;
    for (size_t i = 0; i < upload->count; i++)
        upload->takes[i].collection = key;
    return true;
}

static void take_multipart(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct upload *upload = tars_arena_calloc(ex->call.arena, 1, sizeof(*upload));
    struct tars_err err = {{0}};
    tars_status status;
    bool wait;

    if (!read_wait(ex, &wait))
        return;
    status = upload ? read_parts(ex, upload, &err) : TARS_ENOMEM;
    if (status == TARS_OK && upload->count == 0) {
        no_file(ex);
        return;
    }
    if (status == TARS_OK && !name_collection(ex, upload))
        return;
    if (status == TARS_OK) {
        status = config->service->submit(config->service_ctx, upload->takes, upload->count,
                                         &ex->call, upload->job_ids, &err);
    }
    if (status == TARS_OK && !wait) {
        tars_exchange_json(ex);
        write_job_ids(ex, upload);
        tars_exchange_send(ex, 202);
        return;
    }
    if (status == TARS_OK)
        status = wait_uploads(ex, upload, &err);
    if (status == TARS_OK) {
        reply_uploads(ex, upload);
    } else {
        tars_api_reply_status(ex, status, &err);
    }
}

/* Multipart files; with a JSON body it is the alias of /rag/index. */
void tars_route_rag_upload(struct tars_exchange *ex)
{
    static const char form[] = "multipart/";

    if (ex->content_type.len >= sizeof(form) - 1 &&
        strncasecmp(ex->content_type.ptr, form, sizeof(form) - 1) == 0) {
        take_multipart(ex);
    } else {
        tars_route_rag_index(ex);
    }
}

/* ------------------------------------------------------------------- forget */

static void forget_path(struct tars_exchange *ex, const char *collection, const char *path)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_err err = {{0}};
    int64_t documents = 0;
    int64_t chunks = 0;
    tars_status status = config->service->forget_path(config->service_ctx, collection, path,
                                                      &documents, &chunks, &err);

    if (status != TARS_ENOTFOUND)
        tars_access_note(ex, "documents-deleted", path, NULL, status == TARS_OK);
    if (status != TARS_OK && status != TARS_ENOTFOUND) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "path", path);
    tars_json_text(&ex->json, "status", status == TARS_OK ? "success" : "not_found");
    tars_json_int(&ex->json, "documents_deleted", documents);
    tars_json_int(&ex->json, "chunks_deleted", chunks);
    tars_json_text(&ex->json, "message",
                   status == TARS_OK ? "Documents deleted successfully" : "No such document");
    tars_exchange_send(ex, 200);
}

static void forget_document(struct tars_exchange *ex, const char *id)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_err err = {{0}};
    int64_t chunks = 0;
    struct tars_visible writable = tars_api_writable(ex);
    tars_status status = config->service->forget(config->service_ctx, &writable, id, &chunks, &err);
    bool found = status == TARS_OK;

    if (status != TARS_ENOTFOUND)
        tars_access_note(ex, "document-deleted", id, NULL, found);
    if (!found && status != TARS_ENOTFOUND) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "document_id", id);
    tars_json_text(&ex->json, "status", found ? "success" : "not_found");
    tars_json_int(&ex->json, "chunks_deleted", chunks);
    tars_json_text(&ex->json, "message",
                   tars_arena_printf(ex->call.arena, "%s: %.64s",
                                     found ? "Deleted document" : "Document not found", id));
    tars_exchange_send(ex, 200);
}

/* {"document_id"}, or {"path", "collection"}: a file or a folder. */
void tars_route_rag_forget(struct tars_exchange *ex)
{
    struct tars_reader reader;
    const char *path;
    const char *collection;
    const char *key;
    const char *id = NULL;
    bool good;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    path = tars_reader_text(&reader, "path", TARS_READER_OPTIONAL);
    collection = tars_reader_text(&reader, "collection", TARS_READER_OPTIONAL);
    if (!path)
        id = tars_reader_text(&reader, "document_id", TARS_READER_REQUIRED);
    good = !tars_reader_is_bad(&reader);
    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
    tars_reader_release(&reader);
    if (good && path) {
        if (tars_api_collection(ex, collection, true, &key))
            forget_path(ex, key, path);
    } else if (good) {
        forget_document(ex, id);
    }
}

/* ---------------------------------------------------------- lists, and jobs */

static void write_document(struct tars_exchange *ex, const struct tars_document_view *document)
{
    struct tars_json *json = &ex->json;

    tars_json_object(json, NULL);
    tars_json_text(json, "collection", tars_api_collection_name(ex, document->collection));
    tars_json_text(json, "document_id", document->document_id);
    tars_json_text(json, "external_id", document->external_id[0] ? document->external_id : NULL);
    tars_json_text(json, "file_path", document->path);
    tars_json_text(json, "file_name", document->file_name);
    tars_json_text(json, "file_type", document->file_type);
    tars_json_text(json, "title", document->title);
    tars_json_text(json, "language", document->language);
    tars_json_text(json, "hash", document->sha256);
    tars_json_int(json, "file_size", document->file_size);
    tars_json_int(json, "page_count", document->pages);
    tars_json_int(json, "chunk_count", document->chunks);
    tars_api_write_time(json, "indexed_at", document->indexed_us);
    tars_json_end(json);
}

void tars_route_rag_documents(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_document_view *documents = NULL;
    struct tars_reader reader;
    struct tars_err err = {{0}};
    size_t limit;
    size_t offset;
    size_t count = 0;
    tars_status status;

    tars_reader_init_query(&reader, ex->call.arena, ex->query);
    limit = (size_t)tars_reader_int(&reader, "limit", 50, 1, JOBS_MAX);
    offset = (size_t)tars_reader_int(&reader, "offset", 0, 0, OFFSET_MAX);
    if (!is_good(ex, &reader))
        return;
    status = config->service->documents(config->service_ctx, tars_api_visible(ex), limit, offset,
                                        ex->call.arena, &documents, &count, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "documents");
    for (size_t i = 0; i < count; i++)
        write_document(ex, &documents[i]);
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "total", (int64_t)count);
    tars_exchange_send(ex, 200);
}

/* Into an open object. */
static void write_job(struct tars_exchange *ex, const struct tars_job_view *job)
{
    struct tars_json *json = &ex->json;

    tars_json_int(json, "id", job->id);
    tars_json_text(json, "kind", job->kind);
    tars_json_text(json, "collection", tars_api_collection_name(ex, job->collection));
    tars_json_text(json, "path", job->path);
    tars_json_text(json, "state", job->state);
    tars_json_text(json, "stage", job->stage);
    tars_json_fixed(json, "progress", job->progress, 3);
    tars_json_int(json, "attempts", job->attempts);
    tars_json_text(json, "error", job->error[0] ? tars_words_told(job->error) : NULL);
    tars_json_text(json, "document_id", job->document_id[0] ? job->document_id : NULL);
    tars_json_int(json, "chunks", job->chunks);
    tars_api_write_time(json, "created_at", job->created_us);
    tars_api_write_time(json, "updated_at", job->updated_us);
    tars_api_write_time(json, "finished_at", job->finished_us);
}

static bool is_job_state(const char *state)
{
    static const char *const states[] = {"queued", "running", "done", "failed", "cancelled"};

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(state, states[i]) == 0)
            return true;
    }
    return false;
}

void tars_route_jobs(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_job_view *jobs = NULL;
    struct tars_reader reader;
    struct tars_err err = {{0}};
    const char *state;
    size_t limit;
    size_t count = 0;
    tars_status status;

    tars_reader_init_query(&reader, ex->call.arena, ex->query);
    limit = (size_t)tars_reader_int(&reader, "limit", 50, 1, JOBS_MAX);
    state = tars_reader_text(&reader, "state", TARS_READER_OPTIONAL);
    if (state && !is_job_state(state)) {
        tars_reader_refuse(&reader, "state",
                           "state is one of queued, running, done, failed, cancelled");
    }
    if (!is_good(ex, &reader))
        return;
    status = config->service->jobs(config->service_ctx, tars_api_visible(ex), state, limit,
                                   ex->call.arena, &jobs, &count, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "jobs");
    for (size_t i = 0; i < count; i++) {
        tars_json_object(&ex->json, NULL);
        write_job(ex, &jobs[i]);
        tars_json_end(&ex->json);
    }
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "total", (int64_t)count);
    tars_exchange_send(ex, 200);
}

/* GET shows a job, DELETE cancels it, POST queues it again. */
static tars_status act_on_job(struct tars_exchange *ex, int64_t id, struct tars_err *err)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_visible writable = tars_api_writable(ex);

    if (ex->method == TARS_HTTP_DELETE)
        return config->service->job_cancel(config->service_ctx, &writable, id, err);
    if (ex->method == TARS_HTTP_POST)
        return config->service->job_retry(config->service_ctx, &writable, id, err);
    return TARS_OK;
}

void tars_route_job(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    const char *text =
        tars_arena_strndup(ex->call.arena, ex->parameters[0].ptr, ex->parameters[0].len);
    struct tars_job_view job = {0};
    struct tars_err err = {{0}};
    char *end = NULL;
    long long id = text ? strtoll(text, &end, 10) : 0;
    tars_status status;

    if (id <= 0 || *end != '\0') {
        tars_exchange_not_found(ex, "No such job");
        return;
    }
    status = act_on_job(ex, id, &err);
    if (status == TARS_OK) {
        status = config->service->job(config->service_ctx, tars_api_visible(ex), id, ex->call.arena,
                                      &job, &err);
    }
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status == TARS_EINVAL ? TARS_EEXIST : status, &err);
        return;
    }
    tars_exchange_json(ex);
    write_job(ex, &job);
    tars_exchange_send(ex, 200);
}

/* --------------------------------------------------------- a tree, streamed */

struct progress {
    struct tars_exchange *ex;
    int64_t counts[TARS_TAKEN_FORGOTTEN + 1]; /* by outcome */
    int64_t chunks;
    size_t done;
};

static bool on_taken(void *ctx, const struct tars_taken *taken, size_t total)
{
    struct progress *progress = ctx;
    struct tars_json *json = &progress->ex->json;

    tars_exchange_line(progress->ex);
    if (taken) {
        progress->counts[taken->outcome]++;
        progress->chunks += taken->outcome == TARS_TAKEN_INDEXED ? taken->chunks : 0;
        progress->done += taken->job_id != 0;
        tars_json_text(json, "path", taken->path);
        tars_json_text(json, "status", tars_taken_text(taken->outcome));
        tars_json_text(json, "reason", taken->reason);
        tars_json_text(json, "document_id", taken->document_id);
        tars_json_int(json, "chunks", taken->chunks);
        tars_json_fixed(json, "ms", taken->ms, 1);
    }
    tars_json_object(json, "progress");
    tars_json_int(json, "done", (int64_t)progress->done);
    tars_json_int(json, "total", (int64_t)total);
    return tars_exchange_flush(progress->ex) == TARS_OK;
}

static void write_summary(struct progress *progress, const char *error)
{
    struct tars_json *json = &progress->ex->json;

    tars_exchange_line(progress->ex);
    tars_json_object(json, "summary");
    for (int i = 1; i <= TARS_TAKEN_FORGOTTEN; i++)
        tars_json_int(json, tars_taken_text((enum tars_taken_outcome)i), progress->counts[i]);
    tars_json_int(json, "chunks", progress->chunks);
    tars_json_fixed(json, "ms", tars_exchange_elapsed_ms(progress->ex), 1);
    if (error)
        tars_json_text(json, "error", error);
    if (tars_exchange_flush(progress->ex) != TARS_OK)
        return; /* nobody listens any more */
}

struct tree_request {
    struct tars_tree tree;
    const char *path;
};

static bool read_tree(struct tars_exchange *ex, struct tree_request *request)
{
    const char *collection;
    struct tars_reader reader;
    bool good;

    *request = (struct tree_request){0};
    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    request->path = tars_reader_text(&reader, "path", TARS_READER_REQUIRED);
    collection = tars_reader_text(&reader, "collection", TARS_READER_OPTIONAL);
    request->tree.force = tars_reader_flag(&reader, "force_reindex", false);
    request->tree.forget_missing = tars_reader_flag(&reader, "forget_missing", false);
    good = !tars_reader_is_bad(&reader);
    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
    tars_reader_release(&reader);
    return good && tars_api_collection(ex, collection, true, &request->tree.collection);
}

void tars_route_ingest(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct progress progress = {.ex = ex};
    struct tree_request request;
    struct tars_err err = {{0}};
    tars_status status;

    if (!read_tree(ex, &request))
        return;
    request.tree.path = tars_roots_permitted(ex, request.path);
    if (!request.tree.path) {
        tars_exchange_fail(ex, 403, OUTSIDE);
        return;
    }
    if (tars_exchange_start(ex, "application/x-ndjson") != TARS_OK) {
        tars_exchange_end(ex); /* gone already: nothing is begun for nobody */
        return;
    }
    status = config->service->ingest(config->service_ctx, &request.tree, &ex->call, on_taken,
                                     &progress, &err);
    write_summary(&progress,
                  status == TARS_OK ? NULL : tars_words_of(ex->api, &ex->call, status, &err));
    tars_exchange_end(ex);
}
