/* transfer - see transfer.h for the contract. Documents; transfer_accounts.c has who may do what
 * and what was said, transfer_sums.c the proof. */
#include "store/transfer.h"

#include <stdio.h>
#include <string.h>

#include "base/crypto/digest.h"
#include "store/transfer_internal.h"

#define STATE_KEY   "transfer.state" /* in the target: BEGUN or DONE, and the name of the source */
#define NAME_KEY    "transfer.id"    /* in the source: its name */
#define BEGUN       "begun"
#define DONE        "done"
#define NAME_BYTES  33 /* 32 hex digits and a NUL */
#define STATE_BYTES 64
#define META_BYTES  ((size_t)64 << 10)
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
           strcmp(found.sha256, file->sha256) == 0 && found.modified_us == file->modified_us &&
           found.indexed_us == file->indexed_us && found.document_count == file->document_count &&
           found.chunk_count == file->chunk_count;
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
            config->progress(config->ctx, (int64_t)i + 1, (int64_t)count);
    }
    tars_arena_release(&arena);
    return status;
}

/* ---------------------------------------------------------------- beginning */

/* Which store from is, for ever; it is given a name where it has none. */
static tars_status name_source(const struct tars_transfer_config *config, char *name,
                               struct tars_err *err)
{
    struct tars_arena arena;
    const char *known = "";
    tars_status status;

    tars_arena_init(&arena, META_BYTES);
    status = tars_store_meta_get(config->from, NAME_KEY, &arena, &known, err);
    (void)snprintf(name, NAME_BYTES, "%s", status ? "" : known);
    tars_arena_release(&arena);
    if (status != TARS_ENOTFOUND)
        return status;
    if (tars_random_hex(name, NAME_BYTES / 2))
        return tars_fail(TARS_EIO, err, "no random bytes for a name");
    return tars_store_meta_set(config->from, NAME_KEY, name, err);
}

/* The target's state into text; "" when it has none. */
static tars_status read_state(struct tars_store *store, char *text, size_t size,
                              struct tars_err *err)
{
    struct tars_arena arena;
    const char *state = "";
    tars_status status;

    tars_arena_init(&arena, META_BYTES);
    status = tars_store_meta_get(store, STATE_KEY, &arena, &state, err);
    (void)snprintf(text, size, "%s", status ? "" : state);
    tars_arena_release(&arena);
    return status == TARS_ENOTFOUND ? TARS_OK : status;
}

static tars_status write_state(const struct tars_transfer_config *config, const char *state,
                               const char *name, struct tars_err *err)
{
    char text[STATE_BYTES];

    (void)snprintf(text, sizeof(text), "%s %s", state, name);
    return tars_store_meta_set(config->to, STATE_KEY, text, err);
}

static tars_status check_empty(const struct tars_transfer_config *config, struct tars_err *err)
{
    struct tars_store_stats stats;
    struct tars_store_sums sums = {0};
    tars_status status = tars_store_stats(config->to, &stats, err);

    if (!status && stats.documents > 0) {
        return tars_fail(TARS_EEXIST, err,
                         "the target holds %lld documents already: take an empty one",
                         (long long)stats.documents);
    }
    if (!status)
        status = tars_store_sums(config->to, &sums, err);
    if (!status && (sums.accounts || sums.conversations || sums.audit)) {
        return tars_fail(TARS_EEXIST, err,
                         "the target holds %lld accounts, %lld conversations and %lld entries of "
                         "the audit log already: take an empty one",
                         (long long)sums.accounts, (long long)sums.conversations,
                         (long long)sums.audit);
    }
    return status;
}

/* is_done: all is there already. */
static tars_status check_target(const struct tars_transfer_config *config, const char *name,
                                bool *is_done, struct tars_err *err)
{
    char state[STATE_BYTES];
    const char *of;
    tars_status status = read_state(config->to, state, sizeof(state), err);

    if (status)
        return status;
    if (!state[0]) {
        status = check_empty(config, err);
        return status ? status : write_state(config, BEGUN, name, err);
    }
    of = strchr(state, ' ');
    if (!of || strcmp(of + 1, name) != 0) {
        return tars_fail(TARS_EEXIST, err,
                         "the target was filled from another store: take an empty one");
    }
    *is_done = strncmp(state, BEGUN, strlen(BEGUN)) != 0;
    return TARS_OK;
}

tars_status tars_store_check_moved(struct tars_store *store, struct tars_err *err)
{
    char state[STATE_BYTES];
    tars_status status = read_state(store, state, sizeof(state), err);

    if (!status && strncmp(state, BEGUN, strlen(BEGUN)) == 0) {
        status = tars_fail(TARS_EMISMATCH, err,
                           "only a part of another store was moved here yet: run `tars migrate "
                           "--from ... --to ...` again, until it has ended");
    }
    return status;
}

/* Every file has a name that the target can have. */
static tars_status check_paths(const struct tars_transfer_config *config, struct tars_err *err)
{
    struct tars_store_file *files = NULL;
    struct tars_arena arena;
    size_t count = 0;
    tars_status status;

    tars_arena_init(&arena, TRANSFER_ARENA_MAX);
    status = tars_store_files(config->from, NULL, NULL, &arena, &files, &count, err);
    for (size_t i = 0; !status && i < count; i++) {
        if (!tars_store_takes_path(config->to, files[i].path)) {
            status = tars_fail(TARS_EINVAL, err,
                               "the name of %s is not UTF-8: rename the file, or forget it",
                               files[i].path);
        }
    }
    tars_arena_release(&arena);
    return status;
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

/* An entry of meta under another name, or that there is none. */
static tars_status move_meta(const struct tars_transfer_config *config, const char *key,
                             const char *as, struct tars_err *err)
{
    struct tars_arena arena;
    const char *value = NULL;
    tars_status status;

    tars_arena_init(&arena, META_BYTES);
    status = tars_store_meta_get(config->from, key, &arena, &value, err);
    if (status == TARS_OK || status == TARS_ENOTFOUND)
        status = tars_store_meta_set(config->to, as, status == TARS_OK ? value : NULL, err);
    tars_arena_release(&arena);
    return status;
}

/* Of some passages without vectors it is known, and of a store without a model that it has none:
 * what the target says of itself may be of a start before this. */
static tars_status move_model(const struct tars_transfer_config *config,
                              struct tars_store_model *model, struct tars_err *err)
{
    static const char *const own[] = {"embed.identity", "embed.name", "embed.dim"};
    tars_status status = tars_store_model(config->from, model, err);

    if (!status && model->identity[0])
        status = tars_store_model_claim(config->to, model, err);
    for (size_t i = 0; !status && !model->identity[0] && i < sizeof(own) / sizeof(own[0]); i++)
        status = tars_store_meta_set(config->to, own[i], NULL, err);
    if (!status)
        status = move_meta(config, TRANSFER_PARTIAL_KEY, TRANSFER_PARTIAL_KEY, err);
    /* Vectors in a server are of the store that was moved: the new one may take their place. */
    return status ? status : move_meta(config, TARS_STORE_ID_KEY, TARS_STORE_BEFORE_KEY, err);
}

static tars_status move_all(const struct tars_transfer_config *config, struct tars_err *err)
{
    struct tars_store_model model = {0};
    tars_status status = config->begin ? config->begin(config->ctx, err) : TARS_OK;

    if (!status)
        status = move_model(config, &model, err);
    if (!status)
        status = tars_transfer_accounts(config, err);
    if (!status)
        status = move_files(config, (size_t)model.dim, err);
    return status ? status : tars_transfer_rest(config, err);
}

tars_status tars_store_transfer(const struct tars_transfer_config *config,
                                struct tars_store_sums *out, struct tars_err *err)
{
    char name[NAME_BYTES] = "";
    bool is_done = false;
    tars_status status = check_source(config, err);

    if (!status)
        status = check_paths(config, err);
    if (!status)
        status = name_source(config, name, err);
    if (!status)
        status = check_target(config, name, &is_done, err);
    if (!status && !is_done)
        status = move_all(config, err);
    if (!status)
        status = compare(config, out, err);
    return status || is_done ? status : write_state(config, DONE, name, err);
}
