/* store - see store.h for the contract. What all back ends share; the rest goes to theirs. */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec/json_write.h"
#include "base/crypto/digest.h"

#define ID_HEX_DIGITS 16
#define NUMBER_BYTES  32
#define META_BYTES    ((size_t)16384) /* of the model's record */

/* ------------------------------------------------------------------- names */

static tars_status digest_key(struct tars_sha256 *sha, const char *collection, const char *path,
                              const char *external_id, char *hex)
{
    tars_status status = tars_sha256_update(sha, collection, strlen(collection) + 1);

    if (!status)
        status = tars_sha256_update(sha, path, strlen(path) + 1);
    if (!status)
        status = tars_sha256_update(sha, external_id, strlen(external_id));
    if (!status)
        status = tars_sha256_final_hex(sha, hex);
    return status;
}

tars_status tars_document_id(const char *collection, const char *path, const char *external_id,
                             char *out)
{
    char hex[TARS_SHA256_HEX_BYTES];
    struct tars_sha256 *sha = NULL;
    tars_status status = tars_sha256_new(&sha);

    if (status)
        return status;
    status = digest_key(sha, collection && collection[0] ? collection : TARS_COLLECTION, path,
                        external_id ? external_id : "", hex);
    tars_sha256_free(sha);
    if (!status)
        (void)snprintf(out, TARS_DOCUMENT_ID_BYTES, "doc_%.*s", ID_HEX_DIGITS, hex);
    return status;
}

const char *tars_job_state_text(enum tars_job_state state)
{
    switch (state) {
#define X(name, value, text) \
    case name:               \
        return text;
        TARS_JOB_STATE_LIST(X)
#undef X
    }
    return "unknown";
}

uint64_t tars_store_partial(struct tars_store *store)
{
    return store->ops->partial ? store->ops->partial(store) : 0;
}

/* ------------------------------------------------------------------- model */

static tars_status meta_text(struct tars_store *store, const char *key, char *out, size_t size,
                             struct tars_err *err)
{
    struct tars_arena arena;
    const char *value = "";
    tars_status status;

    tars_arena_init(&arena, META_BYTES);
    status = store->ops->meta_get(store, key, &arena, &value, NULL);
    if (status == TARS_ENOTFOUND)
        status = TARS_OK;
    if (!status) {
        (void)snprintf(out, size, "%s", value);
    } else {
        status = tars_fail(status, err, "cannot read %s from the store", key);
    }
    tars_arena_release(&arena);
    return status;
}

tars_status tars_store_model(struct tars_store *store, struct tars_store_model *out,
                             struct tars_err *err)
{
    struct tars_store_model model = {0};
    char dim[NUMBER_BYTES] = "";
    tars_status status =
        meta_text(store, "embed.identity", model.identity, sizeof(model.identity), err);

    if (!status)
        status = meta_text(store, "embed.name", model.name, sizeof(model.name), err);
    if (!status)
        status = meta_text(store, "embed.dim", dim, sizeof(dim), err);
    if (status)
        return status;
    model.dim = strtoll(dim, NULL, 10);
    *out = model;
    return TARS_OK;
}

static tars_status write_model(struct tars_store *store, const struct tars_store_model *model,
                               struct tars_err *err)
{
    char dim[NUMBER_BYTES];
    tars_status status;

    (void)snprintf(dim, sizeof(dim), "%lld", (long long)model->dim);
    status = tars_store_meta_set(store, "embed.name", model->name, err);
    if (!status)
        status = tars_store_meta_set(store, "embed.dim", dim, err);
    /* Last: it is what counts. */
    if (!status)
        status = tars_store_meta_set(store, "embed.identity", model->identity, err);
    return status;
}

void tars_store_measure(struct tars_store_passage *passage, size_t vectors_len)
{
    size_t windows = passage->window_count;
    size_t dim = windows ? vectors_len / sizeof(float) / windows : 0;

    passage->dim = dim;
    if (dim == 0 || dim * windows * sizeof(float) != vectors_len)
        passage->vectors = NULL;
}

tars_status tars_store_model_claim(struct tars_store *store, const struct tars_store_model *model,
                                   struct tars_err *err)
{
    struct tars_store_model held;
    struct tars_store_stats stats;
    tars_status status = tars_store_model(store, &held, err);

    if (!status && strcmp(held.identity, model->identity) == 0)
        return TARS_OK;
    if (!status)
        status = tars_store_stats(store, &stats, err);
    if (status)
        return status;
    if (stats.passages == 0)
        return write_model(store, model, err);
    if (held.identity[0]) {
        return tars_fail(
            TARS_EMISMATCH, err,
            "the documents were embedded with model %s (%.12s) and the model now is %s "
            "(%.12s): run `tars reindex`, or set EMBED_MODEL back",
            held.name, held.identity, model->name, model->identity);
    }
    return tars_fail(TARS_EMISMATCH, err,
                     "the documents were taken in without an embedding model and the model now is "
                     "%s: run `tars reindex`",
                     model->name);
}

/* ---------------------------------------------------------------- dispatch */

bool tars_store_takes_path(const struct tars_store *store, const char *path)
{
    size_t len = strlen(path);
    size_t n = 1;

    for (size_t i = 0; store->ops->is_utf8_only && n > 0 && i < len; i += n)
        n = tars_json_sequence(path + i, len - i);
    return n > 0;
}

void tars_store_close(struct tars_store *store)
{
    if (store)
        store->ops->close(store);
}

tars_status tars_store_put(struct tars_store *store, const struct tars_store_batch *batch,
                           struct tars_arena *arena, struct tars_store_changes *changes,
                           struct tars_err *err)
{
    if (!batch->file || !batch->file->path || !batch->file->path[0])
        return tars_fail(TARS_EINVAL, err, "a batch belongs to a file with a path");
    return store->ops->put(store, batch, arena, changes, err);
}

tars_status tars_store_forget_document(struct tars_store *store, const char *document_id,
                                       struct tars_arena *arena, struct tars_store_changes *changes,
                                       struct tars_err *err)
{
    return store->ops->forget_document(store, document_id, arena, changes, err);
}

tars_status tars_store_forget_file(struct tars_store *store, const char *collection,
                                   const char *path, struct tars_arena *arena,
                                   struct tars_store_changes *changes, struct tars_err *err)
{
    return store->ops->forget_file(store, collection, path, arena, changes, err);
}

tars_status tars_store_changes(struct tars_store *store, uint64_t after, size_t max,
                               struct tars_arena *arena, struct tars_store_changes *out,
                               struct tars_err *err)
{
    return store->ops->changes(store, after, max, arena, out, err);
}

tars_status tars_store_passages(struct tars_store *store, const uint64_t *ids, size_t n,
                                unsigned load, struct tars_arena *arena,
                                struct tars_store_passages *out, struct tars_err *err)
{
    return store->ops->passages(store, ids, n, load, arena, out, err);
}

tars_status tars_store_passage_range(struct tars_store *store, uint64_t first, uint64_t last,
                                     size_t max, unsigned load, struct tars_arena *arena,
                                     struct tars_store_passages *out, struct tars_err *err)
{
    return store->ops->passage_range(store, first, last, max, load, arena, out, err);
}

tars_status tars_store_file(struct tars_store *store, const char *collection, const char *path,
                            struct tars_arena *arena, struct tars_store_file *out,
                            struct tars_err *err)
{
    return store->ops->file(store, collection, path, arena, out, err);
}

tars_status tars_store_files(struct tars_store *store, const char *collection, const char *under,
                             struct tars_arena *arena, struct tars_store_file **out, size_t *count,
                             struct tars_err *err)
{
    return store->ops->files(store, collection, under, arena, out, count, err);
}

tars_status tars_store_document(struct tars_store *store, const char *document_id,
                                struct tars_arena *arena, struct tars_store_document *out,
                                struct tars_err *err)
{
    return store->ops->document(store, document_id, arena, out, err);
}

tars_status tars_store_documents(struct tars_store *store,
                                 const struct tars_store_document_filter *filter,
                                 tars_store_document_fn *each, void *ctx, struct tars_err *err)
{
    return store->ops->documents(store, filter, each, ctx, err);
}

tars_status tars_store_runs(struct tars_store *store, uint64_t after, tars_store_run_fn *each,
                            void *ctx, struct tars_err *err)
{
    return store->ops->runs(store, after, each, ctx, err);
}

tars_status tars_store_stats(struct tars_store *store, struct tars_store_stats *out,
                             struct tars_err *err)
{
    return store->ops->stats(store, out, err);
}

tars_status tars_store_meta_get(struct tars_store *store, const char *key, struct tars_arena *arena,
                                const char **value, struct tars_err *err)
{
    return store->ops->meta_get(store, key, arena, value, err);
}

tars_status tars_store_meta_set(struct tars_store *store, const char *key, const char *value,
                                struct tars_err *err)
{
    return store->ops->meta_set(store, key, value, err);
}

tars_status tars_store_revector(struct tars_store *store, const struct tars_store_passage *passages,
                                size_t n, size_t dim, struct tars_err *err)
{
    return store->ops->revector(store, passages, n, dim, err);
}

tars_status tars_store_revector_pending(struct tars_store *store, uint64_t after, size_t max,
                                        struct tars_arena *arena, struct tars_store_passages *out,
                                        struct tars_err *err)
{
    return store->ops->revector_pending(store, after, max, arena, out, err);
}

tars_status tars_store_revector_swap(struct tars_store *store, const struct tars_store_model *model,
                                     struct tars_err *err)
{
    return store->ops->revector_swap(store, model, err);
}

tars_status tars_store_revector_drop(struct tars_store *store, struct tars_err *err)
{
    return store->ops->revector_drop(store, err);
}

tars_status tars_store_jobs_add(struct tars_store *store, struct tars_store_job *jobs, size_t n,
                                struct tars_err *err)
{
    return store->ops->jobs_add(store, jobs, n, err);
}

tars_status tars_store_job_claim(struct tars_store *store, int64_t now_us, struct tars_arena *arena,
                                 struct tars_store_job *out, struct tars_err *err)
{
    return store->ops->job_claim(store, now_us, arena, out, err);
}

tars_status tars_store_job_update(struct tars_store *store, const struct tars_store_job *job,
                                  struct tars_err *err)
{
    return store->ops->job_update(store, job, err);
}

tars_status tars_store_job(struct tars_store *store, int64_t id, struct tars_arena *arena,
                           struct tars_store_job *out, struct tars_err *err)
{
    return store->ops->job(store, id, arena, out, err);
}

tars_status tars_store_jobs(struct tars_store *store, int state, int64_t before_id, size_t limit,
                            struct tars_arena *arena, struct tars_store_jobs *out,
                            struct tars_err *err)
{
    return store->ops->jobs(store, state, before_id, limit, arena, out, err);
}

tars_status tars_store_jobs_of(struct tars_store *store, const char *collection, int state,
                               int64_t before_id, size_t limit, struct tars_arena *arena,
                               struct tars_store_jobs *out, struct tars_err *err)
{
    return store->ops->jobs_of(store, collection, state, before_id, limit, arena, out, err);
}

tars_status tars_store_job_counts(struct tars_store *store, struct tars_arena *arena,
                                  struct tars_store_job_count **counts, size_t *count,
                                  struct tars_err *err)
{
    return store->ops->job_counts(store, arena, counts, count, err);
}

tars_status tars_store_job_cancel(struct tars_store *store, int64_t id, int64_t now_us,
                                  struct tars_err *err)
{
    return store->ops->job_cancel(store, id, now_us, err);
}

tars_status tars_store_job_retry(struct tars_store *store, int64_t id, int64_t now_us,
                                 struct tars_err *err)
{
    return store->ops->job_retry(store, id, now_us, err);
}

tars_status tars_store_jobs_resume(struct tars_store *store, size_t *resumed, struct tars_err *err)
{
    return store->ops->jobs_resume(store, resumed, err);
}

tars_status tars_store_job_release(struct tars_store *store, int64_t id, struct tars_err *err)
{
    return store->ops->job_release(store, id, err);
}

tars_status tars_store_jobs_prune(struct tars_store *store, size_t keep, struct tars_err *err)
{
    return store->ops->jobs_prune(store, keep, err);
}

tars_status tars_store_checkpoint(struct tars_store *store, struct tars_err *err)
{
    return store->ops->checkpoint(store, err);
}

tars_status tars_store_scrub(struct tars_store *store, struct tars_err *err)
{
    return store->ops->scrub(store, err);
}

tars_status tars_store_backup(struct tars_store *store, const char *path, struct tars_err *err)
{
    return store->ops->backup(store, path, err);
}

tars_status tars_store_check(struct tars_store *store, struct tars_err *err)
{
    return store->ops->check(store, err);
}
