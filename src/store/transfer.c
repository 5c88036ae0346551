/* transfer - see transfer.h for the contract. Documents; transfer_accounts.c has who may do what
 * and what was said, transfer_sums.c the proof. */
#include "store/transfer.h"

#include <string.h>

#include "store/transfer_internal.h"

#define STATE_KEY   "transfer.state" /* in the target: "begun", "done" */
#define BATCH_BYTES ((size_t)16 << 20)
#define BATCH_MAX   64 /* documents */

/* The file under way, and documents of it that wait to be put. */
struct moving {
    const struct tars_transfer_config *config;
    const struct tars_store_file *file;
    size_t dim;
    struct tars_arena arena; /* of the batch */
    struct tars_store_put puts[BATCH_MAX];
    size_t count;
    tars_status status;
    struct tars_err *err;
};

static bool is_stopped(const struct tars_transfer_config *config)
{
    return config->stop && atomic_load(config->stop);
}

/* ---------------------------------------------------------------- documents */

static tars_status flush(struct moving *moving, bool finish)
{
    const struct tars_store_batch batch = {
        .file = moving->file,
        .puts = moving->puts,
        .put_count = moving->count,
        .round = moving->config->now_us,
        .finish = finish,
        .dim = moving->dim,
    };
    struct tars_store_changes changes;
    tars_status status =
        tars_store_put(moving->config->to, &batch, &moving->arena, &changes, moving->err);

    moving->count = 0;
    tars_arena_clear(&moving->arena);
    if (!status && is_stopped(moving->config))
        status = tars_fail(TARS_ECANCELED, moving->err, "stopped; begin again to go on");
    return status;
}

/* With all its passages, into the batch. */
static tars_status add_document(struct moving *moving, const struct tars_store_document *document)
{
    struct tars_store_passages passages = {0};
    uint64_t last = document->passage_first + (uint64_t)document->chunk_count - 1;
    tars_status status = TARS_OK;

    if (document->chunk_count > 0) {
        status = tars_store_passage_range(
            moving->config->from, document->passage_first, last, (size_t)document->chunk_count,
            TARS_LOAD_TEXT | TARS_LOAD_VECTORS, &moving->arena, &passages, moving->err);
    }
    if (status)
        return status;
    if (passages.count != (size_t)document->chunk_count) {
        return tars_fail(TARS_EFORMAT, moving->err, "document %s has lost passages",
                         document->document_id);
    }
    moving->puts[moving->count].passages = passages.items;
    moving->puts[moving->count].passage_count = passages.count;
    moving->puts[moving->count++].unchanged = false;
    return TARS_OK;
}

/* The document is lent; a passage brings it along, and one without passages is read anew. */
static tars_status keep_document(struct moving *moving, const struct tars_store_document *lent)
{
    struct tars_store_document *copy = tars_arena_calloc(&moving->arena, 1, sizeof(*copy));
    tars_status status;

    if (!copy)
        return tars_fail(TARS_ENOMEM, moving->err, "no memory for a document");
    status = tars_store_document(moving->config->from, lent->document_id, &moving->arena, copy,
                                 moving->err);
    moving->puts[moving->count].document = copy;
    return status ? status : add_document(moving, copy);
}

static bool move_document(void *ctx, const struct tars_store_document *document)
{
    struct moving *moving = ctx;

    moving->status = keep_document(moving, document);
    if (!moving->status && (moving->count == BATCH_MAX || moving->arena.used > BATCH_BYTES))
        moving->status = flush(moving, false);
    return moving->status == TARS_OK;
}

static bool is_there(const struct tars_transfer_config *config, const struct tars_store_file *file,
                     struct tars_arena *arena)
{
    struct tars_store_file found;

    return tars_store_file(config->to, file->collection, file->path, arena, &found, NULL) ==
               TARS_OK &&
           strcmp(found.sha256, file->sha256) == 0 &&
           found.document_count == file->document_count && found.chunk_count == file->chunk_count;
}

static tars_status move_file(const struct tars_transfer_config *config,
                             const struct tars_store_file *file, size_t dim, struct tars_err *err)
{
    const struct tars_store_document_filter filter = {.collection = file->collection,
                                                      .path = file->path};
    struct moving moving = {.config = config, .file = file, .dim = dim, .err = err};
    tars_status status = TARS_OK;

    tars_arena_init(&moving.arena, TRANSFER_ARENA_MAX);
    if (!is_there(config, file, &moving.arena)) {
        tars_arena_clear(&moving.arena);
        status = tars_store_documents(config->from, &filter, move_document, &moving, err);
        if (moving.status)
            status = moving.status;
        if (!status)
            status = flush(&moving, true);
    }
    tars_arena_release(&moving.arena);
    return status;
}

static tars_status move_files(const struct tars_transfer_config *config, size_t dim,
                              struct tars_err *err)
{
    struct tars_store_file *files = NULL;
    struct tars_arena arena;
    size_t count = 0;
    tars_status status;

    tars_arena_init(&arena, TRANSFER_ARENA_MAX);
    status = tars_store_files(config->from, NULL, NULL, &arena, &files, &count, err);
    for (size_t i = 0; !status && i < count; i++) {
        status = move_file(config, &files[i], dim, err);
        if (!status && config->progress)
            config->progress(config->progress_ctx, (int64_t)i + 1, (int64_t)count);
    }
    tars_arena_release(&arena);
    return status;
}

/* ---------------------------------------------------------------- beginning */

static tars_status check_target(const struct tars_transfer_config *config, struct tars_err *err)
{
    struct tars_store_stats stats;
    struct tars_arena arena;
    const char *state;
    tars_status status;

    tars_arena_init(&arena, (size_t)64 << 10);
    status = tars_store_meta_get(config->to, STATE_KEY, &arena, &state, NULL);
    tars_arena_release(&arena);
    if (status != TARS_ENOTFOUND)
        return status ? tars_fail(status, err, "cannot read the target") : TARS_OK;
    status = tars_store_stats(config->to, &stats, err);
    if (!status && stats.documents > 0) {
        return tars_fail(TARS_EEXIST, err,
                         "the target holds %lld documents already: take an empty one",
                         (long long)stats.documents);
    }
    return status ? status : tars_store_meta_set(config->to, STATE_KEY, "begun", err);
}

static tars_status check_source(const struct tars_transfer_config *config, struct tars_err *err)
{
    struct tars_store_stats stats;
    int64_t left;
    tars_status status = tars_store_stats(config->from, &stats, err);

    left = status ? 0 : stats.jobs_queued + stats.jobs_running;
    if (left > 0) {
        return tars_fail(TARS_EBUSY, err,
                         "%lld jobs have not ended: let the server finish them, or cancel them",
                         (long long)left);
    }
    return status;
}

static bool is_same(const struct tars_store_sums *a, const struct tars_store_sums *b)
{
    return memcmp(a, b, offsetof(struct tars_store_sums, sha256)) == 0 &&
           strcmp(a->sha256, b->sha256) == 0;
}

static tars_status compare(const struct tars_transfer_config *config, struct tars_store_sums *out,
                           struct tars_err *err)
{
    struct tars_store_sums from;
    struct tars_store_sums to;
    tars_status status = tars_store_sums(config->from, &from, err);

    if (!status)
        status = tars_store_sums(config->to, &to, err);
    if (status)
        return status;
    if (!is_same(&from, &to)) {
        return tars_fail(TARS_EFORMAT, err,
                         "the stores differ: %lld and %lld documents, %lld and %lld passages, "
                         "%lld and %lld messages, digests %.12s and %.12s",
                         (long long)from.documents, (long long)to.documents,
                         (long long)from.passages, (long long)to.passages, (long long)from.messages,
                         (long long)to.messages, from.sha256, to.sha256);
    }
    *out = to;
    return TARS_OK;
}

tars_status tars_store_transfer(const struct tars_transfer_config *config,
                                struct tars_store_sums *out, struct tars_err *err)
{
    struct tars_store_model model;
    tars_status status = check_source(config, err);

    if (!status)
        status = check_target(config, err);
    if (!status)
        status = tars_store_model(config->from, &model, err);
    if (!status && model.identity[0])
        status = tars_store_model_claim(config->to, &model, err);
    if (!status)
        status = tars_transfer_accounts(config, err);
    if (!status)
        status = move_files(config, (size_t)model.dim, err);
    if (!status)
        status = tars_transfer_rest(config, err);
    if (!status)
        status = compare(config, out, err);
    return status ? status : tars_store_meta_set(config->to, STATE_KEY, "done", err);
}
