/* vectors_chroma - see vectors_chroma.h for the contract. */
#include "vectors/vectors_chroma.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/codec/json_write.h"
#include "base/crypto/digest.h"
#include "base/sys/clock.h"
#include "obs/trace.h"
#include "vectors/chroma.h"
#include "vectors/vectors_chroma_rows.h"

#define FORMAT            1 /* of what is kept; another one is not ours */
#define QUERY_MS_DEFAULT  2000
#define NS_IN_MS          1000000
#define ARENA_MAX         ((size_t)256 << 20)
#define MARK_MAX          ((size_t)64 << 10)
#define WRITER_BYTES      17 /* 16 hex digits and a NUL */
#define GENERATION_DIGITS 15
#define HEX               "0123456789abcdef"

/* What a collection says of itself, and how it is reached. */
struct mark {
    char id[TARS_CHROMA_UUID_BYTES];
    char space[TARS_CHROMA_WORD_BYTES];
    bool is_ours;
    struct tars_vectors_of of;
    uint64_t seq, rows;
    char change[TARS_VECTORS_MARK_BYTES]; /* what seq was */
    char writer[WRITER_BYTES];            /* whose batch has begun; "": none */
};

struct backend {
    struct tars_vectors base;
    struct tars_chroma *chroma; /* owned */
    char *name;                 /* owned */
    char space[TARS_CHROMA_WORD_BYTES];
    int64_t query_ms;
    char writer[WRITER_BYTES]; /* this one's */
    pthread_mutex_t lock;      /* guards known and is_known */
    struct mark known;         /* the collection, as it was last seen */
    bool is_known;
};

static struct backend *backend_of(struct tars_vectors *self)
{
    return (struct backend *)(void *)self;
}

/* --------------------------------------------------------------------- mark */

static void copy_field(const json_t *object, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));

    (void)snprintf(out, size, "%s", text ? text : "");
}

static uint64_t number_field(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));

    return value > 0 ? (uint64_t)value : 0;
}

static tars_status read_mark(const struct tars_chroma_collection *from, struct mark *mark)
{
    json_t *root = json_loads(from->metadata, JSON_ALLOW_NUL, NULL);

    if (!root)
        return TARS_EFORMAT;
    memset(mark, 0, sizeof(*mark));
    memcpy(mark->id, from->id, sizeof(mark->id));
    mark->is_ours = number_field(root, "tars_format") == FORMAT;
    copy_field(root, "tars_store", mark->of.store, sizeof(mark->of.store));
    copy_field(root, "tars_model", mark->of.model, sizeof(mark->of.model));
    copy_field(root, "tars_model_name", mark->of.model_name, sizeof(mark->of.model_name));
    copy_field(root, "tars_mark", mark->change, sizeof(mark->change));
    copy_field(root, "tars_writer", mark->writer, sizeof(mark->writer));
    /* 0.5.x forgets its own word for it when these are written. */
    copy_field(root, "tars_space", mark->space, sizeof(mark->space));
    mark->of.dim = (size_t)number_field(root, "tars_dim");
    mark->seq = number_field(root, "tars_seq");
    mark->rows = number_field(root, "tars_rows");
    json_decref(root);
    if (from->dim)
        mark->of.dim = from->dim; /* of its rows, whatever was written down */
    return TARS_OK;
}

static tars_status write_mark(const struct mark *mark, struct tars_arena *arena, const char **out)
{
    struct tars_buf text;
    struct tars_json json;
    tars_status status;

    tars_buf_init(&text, MARK_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_int(&json, "tars_format", FORMAT);
    tars_json_text(&json, "tars_store", mark->of.store);
    tars_json_text(&json, "tars_model", mark->of.model);
    tars_json_text(&json, "tars_model_name", mark->of.model_name);
    tars_json_int(&json, "tars_dim", (int64_t)mark->of.dim);
    tars_json_text(&json, "tars_space", mark->space);
    tars_json_int(&json, "tars_seq", (int64_t)mark->seq);
    tars_json_text(&json, "tars_mark", mark->change);
    tars_json_int(&json, "tars_rows", (int64_t)mark->rows);
    tars_json_text(&json, "tars_writer", mark->writer);
    tars_json_end(&json);
    status = text.status;
    if (status == TARS_OK) {
        *out = tars_arena_strndup(arena, text.ptr, text.len);
        status = *out ? TARS_OK : TARS_ENOMEM;
    }
    tars_buf_release(&text);
    return status;
}

/* The collection's id: one that is made anew has another. */
static uint64_t generation_of(const struct mark *mark)
{
    uint64_t number = 0;
    int digits = 0;

    for (const char *at = mark->id; *at && digits < GENERATION_DIGITS; at++) {
        const char *digit = strchr(HEX, *at);

        if (digit) {
            number = number << 4 | (uint64_t)(digit - HEX);
            digits++;
        }
    }
    return number ? number : 1;
}

static bool is_of(const struct mark *mark, uint64_t generation)
{
    return generation == 0 || generation == generation_of(mark);
}

static void remember(struct backend *b, const struct mark *mark)
{
    pthread_mutex_lock(&b->lock);
    b->is_known = mark != NULL;
    if (mark)
        b->known = *mark;
    pthread_mutex_unlock(&b->lock);
}

static bool recall(struct backend *b, struct mark *mark)
{
    bool is_known;

    pthread_mutex_lock(&b->lock);
    is_known = b->is_known;
    *mark = b->known;
    pthread_mutex_unlock(&b->lock);
    return is_known;
}

/* The collection as it is now. ENOTFOUND. */
static tars_status look(struct backend *b, struct tars_arena *arena, struct mark *mark,
                        struct tars_err *err)
{
    struct tars_chroma_collection found;
    tars_status status = tars_chroma_find(b->chroma, b->name, arena, &found, err);

    if (status == TARS_OK)
        status = read_mark(&found, mark);
    if (status == TARS_ENOTFOUND || (status == TARS_OK && !mark->is_ours)) {
        remember(b, NULL);
    } else if (status == TARS_OK) {
        remember(b, mark);
    }
    return status;
}

/* A collection of another program's is left alone, unless it is empty. */
static tars_status check_foreign(struct backend *b, const struct mark *mark, struct tars_err *err)
{
    size_t rows = 0;
    tars_status status = tars_chroma_count(b->chroma, mark->id, &rows, err);

    if (status != TARS_OK || rows == 0)
        return status;
    return tars_fail(
        TARS_EFORMAT, err,
        "the collection \"%s\" in ChromaDB at %s has %zu rows of another program: take "
        "them over with tars import-chroma and remove it, or set another "
        "CHROMA_COLLECTION_NAME",
        b->name, tars_chroma_url(b->chroma), rows);
}

/* -------------------------------------------------------------------- state */

static tars_status moved(const struct backend *b, struct tars_err *err)
{
    return tars_fail(TARS_EAGAIN, err, "somebody else has written to \"%s\" in ChromaDB", b->name);
}

/* Rows were not as many as was written down. That is a fault of the collection unless somebody is
 * writing: then it has moved on meanwhile. */
static tars_status check_still(struct backend *b, const struct mark *mark, struct tars_arena *arena,
                               struct tars_err *err)
{
    struct mark now;
    tars_status status = look(b, arena, &now, err);

    if (status != TARS_OK)
        return status;
    return strcmp(now.id, mark->id) == 0 && now.seq == mark->seq && now.rows == mark->rows &&
                   strcmp(now.writer, mark->writer) == 0
               ? TARS_OK
               : moved(b, err);
}

static tars_status state_in(struct backend *b, struct tars_arena *arena, bool counts,
                            struct tars_vectors_state *state, struct tars_err *err)
{
    struct tars_vectors_state found = {.seq = 0};
    struct mark mark;
    size_t rows = 0;
    tars_status status = look(b, arena, &mark, err);

    if (status == TARS_ENOTFOUND) {
        *state = found;
        return TARS_OK;
    }
    if (status == TARS_OK && !mark.is_ours) {
        status = check_foreign(b, &mark, err);
    } else if (status == TARS_OK) {
        if (counts)
            status = tars_chroma_count(b->chroma, mark.id, &rows, err);
        if (status == TARS_OK && counts && !mark.writer[0] && rows != mark.rows)
            status = check_still(b, &mark, arena, err);
        if (status == TARS_ENOTFOUND)
            status = moved(b, err);
        found.of = mark.of;
        found.generation = generation_of(&mark);
        found.seq = mark.seq;
        memcpy(found.mark, mark.change, sizeof(found.mark));
        found.expected = mark.rows;
        /* What a batch that was broken off has left is put right when it is done again. */
        found.windows = mark.writer[0] || !counts ? mark.rows : rows;
    }
    if (status == TARS_OK)
        *state = found;
    return status;
}

static tars_status state(struct tars_vectors *self, bool counts, struct tars_vectors_state *out,
                         struct tars_err *err)
{
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, ARENA_MAX);
    status = state_in(backend_of(self), &arena, counts, out, err);
    tars_arena_release(&arena);
    return status;
}

static tars_status make(struct backend *b, struct tars_arena *arena,
                        const struct tars_vectors_of *of, struct tars_err *err)
{
    struct mark mark = {.is_ours = true, .of = *of};
    struct tars_chroma_collection made;
    const char *metadata = NULL;
    tars_status status;

    memcpy(mark.space, b->space, sizeof(mark.space));
    status = write_mark(&mark, arena, &metadata);
    if (status == TARS_OK)
        status = tars_chroma_make(b->chroma, b->name, b->space, metadata, arena, &made, err);
    if (status == TARS_OK)
        status = read_mark(&made, &mark);
    if (status != TARS_OK)
        return status;
    remember(b, &mark);
    return TARS_OK;
}

static tars_status reset_in(struct backend *b, struct tars_arena *arena,
                            const struct tars_vectors_of *of, struct tars_err *err)
{
    struct mark mark;
    tars_status status = look(b, arena, &mark, err);

    if (status == TARS_OK && !mark.is_ours)
        status = check_foreign(b, &mark, err);
    if (status == TARS_OK)
        status = tars_chroma_drop(b->chroma, b->name, err);
    if (status != TARS_OK && status != TARS_ENOTFOUND)
        return status;
    remember(b, NULL);
    return make(b, arena, of, err);
}

static tars_status reset(struct tars_vectors *self, const struct tars_vectors_of *of,
                         struct tars_err *err)
{
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, ARENA_MAX);
    status = reset_in(backend_of(self), &arena, of, err);
    tars_arena_release(&arena);
    return status;
}

/* -------------------------------------------------------------------- apply */

static tars_status describe(struct backend *b, const struct mark *mark, struct tars_arena *arena,
                            struct tars_err *err)
{
    const char *metadata = NULL;
    tars_status status = write_mark(mark, arena, &metadata);

    return status ? status : tars_chroma_describe(b->chroma, mark->id, metadata, err);
}

/* The collection is where the batch goes on from; it is ours from now on. */
static tars_status begin(struct backend *b, const struct tars_vectors_batch *batch, size_t dim,
                         struct tars_arena *arena, struct mark *mark, struct tars_err *err)
{
    size_t rows = 0;
    tars_status status = look(b, arena, mark, err);

    if (status == TARS_ENOTFOUND ||
        (status == TARS_OK &&
         (!mark->is_ours || mark->seq != batch->after || !is_of(mark, batch->generation))))
        return moved(b, err);
    if (status == TARS_OK && mark->of.dim != dim) {
        return tars_fail(TARS_EMISMATCH, err,
                         "\"%s\" in ChromaDB has vectors of %zu numbers, not %zu", b->name,
                         mark->of.dim, dim);
    }
    if (status == TARS_OK && !mark->writer[0]) {
        status = tars_chroma_count(b->chroma, mark->id, &rows, err);
        if (status == TARS_OK && rows != mark->rows)
            return moved(b, err);
    }
    if (status != TARS_OK)
        return status;
    memcpy(mark->writer, b->writer, sizeof(mark->writer));
    return describe(b, mark, arena, err);
}

/* Nobody else has begun meanwhile: what was written counts. */
static tars_status finish(struct backend *b, const struct tars_vectors_batch *batch,
                          struct mark *mark, struct tars_arena *arena, struct tars_err *err)
{
    struct mark now;
    size_t rows = 0;
    tars_status status = look(b, arena, &now, err);

    if (status == TARS_ENOTFOUND ||
        (status == TARS_OK && (strcmp(now.id, mark->id) != 0 || now.seq != batch->after ||
                               strcmp(now.writer, b->writer) != 0)))
        return moved(b, err);
    if (status == TARS_OK)
        status = tars_chroma_count(b->chroma, mark->id, &rows, err);
    if (status != TARS_OK)
        return status;
    mark->seq = batch->upto;
    (void)snprintf(mark->change, sizeof(mark->change), "%s", batch->mark);
    mark->rows = rows;
    mark->writer[0] = '\0';
    status = describe(b, mark, arena, err);
    if (status == TARS_OK)
        remember(b, mark);
    return status;
}

static tars_status apply_in(struct backend *b, const struct tars_vectors_batch *batch, size_t dim,
                            struct tars_arena *arena, struct tars_err *err)
{
    struct mark mark;
    tars_status status = begin(b, batch, dim, arena, &mark, err);

    if (status == TARS_OK)
        status = tars_chroma_rows_add(b->chroma, mark.id, batch->adds, batch->add_count, dim, err);
    if (status == TARS_OK) {
        status =
            tars_chroma_rows_remove(b->chroma, mark.id, batch->removes, batch->remove_count, err);
    }
    if (status == TARS_OK)
        status = finish(b, batch, &mark, arena, err);
    return status == TARS_ENOTFOUND ? moved(b, err) : status;
}

static tars_status apply(struct tars_vectors *self, const struct tars_vectors_batch *batch,
                         size_t dim, struct tars_err *err)
{
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, ARENA_MAX);
    status = apply_in(backend_of(self), batch, dim, &arena, err);
    tars_arena_release(&arena);
    return status;
}

/* ------------------------------------------------------------------- search */

static float cosine_of(const char *space, float distance)
{
    return strcmp(space, "l2") == 0 ? 1 - distance / 2 : 1 - distance;
}

static tars_status take_hits(const struct mark *mark, const struct tars_chroma_hits *found,
                             struct tars_index_hit *hits, size_t *n)
{
    size_t kept = 0;

    for (size_t i = 0; i < found->count; i++) {
        uint64_t passage;

        /* A row of somebody else's is no hit. */
        if (tars_chroma_rows_passage(found->items[i].id, &passage)) {
            hits[kept++] =
                (struct tars_index_hit){passage, cosine_of(mark->space, found->items[i].distance)};
        }
    }
    *n = kept;
    return TARS_OK;
}

/* The collection that is searched, as it is known or, if it is not, as it is. */
static tars_status aim(struct backend *b, struct tars_arena *arena,
                       const struct tars_vectors_ask *ask, struct mark *mark, struct tars_err *err)
{
    bool is_known = recall(b, mark) && is_of(mark, ask->generation);
    tars_status status = is_known ? TARS_OK : look(b, arena, mark, err);

    if (status == TARS_ENOTFOUND ||
        (status == TARS_OK && (!mark->is_ours || !is_of(mark, ask->generation)))) {
        return tars_fail(TARS_EAGAIN, err, "ChromaDB at %s has no collection \"%s\" of ours",
                         tars_chroma_url(b->chroma), b->name);
    }
    if (status == TARS_OK && mark->of.dim != ask->wish->dim) {
        return tars_fail(TARS_EMISMATCH, err,
                         "\"%s\" in ChromaDB has vectors of %zu numbers, not %zu", b->name,
                         mark->of.dim, ask->wish->dim);
    }
    return status;
}

static tars_status ask_server(struct backend *b, const struct tars_vectors_ask *ask,
                              const char *where, struct tars_arena *arena,
                              struct tars_index_hit *hits, size_t *n, struct tars_err *err)
{
    const struct tars_vectors_wish *wish = ask->wish;
    struct tars_chroma_wait wait = {.ms = b->query_ms,
                                    .cancelled = wish->call ? &wish->call->cancelled : NULL};
    struct tars_chroma_hits found;
    struct mark mark;
    tars_status status;

    if (wish->until_ns && (wish->until_ns - tars_clock_mono_ns()) / NS_IN_MS < wait.ms)
        wait.ms = (wish->until_ns - tars_clock_mono_ns()) / NS_IN_MS;
    /* Not the server's fault, if it is too short. */
    wait.is_short = wait.ms < b->query_ms / 2;
    if (wait.ms <= 0)
        return tars_fail(TARS_ETIMEOUT, err, "no time is left for ChromaDB");
    status = aim(b, arena, ask, &mark, err);
    if (status == TARS_OK) {
        status = tars_chroma_query(b->chroma, mark.id, wish->query, wish->dim, ask->limit, where,
                                   &wait, arena, &found, err);
    }
    return status ? status : take_hits(&mark, &found, hits, n);
}

static tars_status search_in(struct backend *b, const struct tars_vectors_ask *ask,
                             struct tars_arena *arena, struct tars_index_hit *hits, size_t *n,
                             struct tars_err *err)
{
    const char *where = NULL;
    tars_status status = tars_chroma_rows_where(ask, arena, &where);

    if (status == TARS_OK)
        status = ask_server(b, ask, where, arena, hits, n, err);
    if (status == TARS_ENOTFOUND) {
        remember(b, NULL); /* made anew, under another id */
        status = ask_server(b, ask, where, arena, hits, n, err);
    }
    return status == TARS_ENOTFOUND ? TARS_EAGAIN : status;
}

static tars_status search(struct tars_vectors *self, const struct tars_vectors_ask *ask,
                          struct tars_index_hit *hits, size_t *n, struct tars_err *err)
{
    struct backend *b = backend_of(self);
    struct tars_call *call = ask->wish->call;
    struct tars_trace_span span;
    struct tars_arena arena;
    tars_status status;

    tars_trace_begin(call ? &call->trace : NULL, &span, "query", TARS_SPAN_CLIENT);
    tars_trace_subject(&span, b->name);
    tars_trace_text(&span, "db.system.name", "chroma");
    tars_trace_text(&span, "db.operation.name", "query");
    tars_trace_text(&span, "db.collection.name", b->name);
    tars_arena_init(&arena, ARENA_MAX);
    status = search_in(b, ask, &arena, hits, n, err);
    tars_arena_release(&arena);
    tars_trace_status(&span, status, err);
    tars_trace_end(&span);
    return status;
}

/* ------------------------------------------------------------------- set-up */

static tars_status health(struct tars_vectors *self, struct tars_err *err)
{
    struct tars_vectors_state seen;
    struct tars_chroma_info info;
    tars_status status = tars_chroma_ping(backend_of(self)->chroma, &info, err);

    return status ? status : state(self, false, &seen, err); /* is it another program's? */
}

static void close_backend(struct tars_vectors *self)
{
    struct backend *b = backend_of(self);

    pthread_mutex_destroy(&b->lock);
    tars_chroma_free(b->chroma);
    free(b->name);
    free(b);
}

static bool is_space(const char *space)
{
    return strcmp(space, "cosine") == 0 || strcmp(space, "l2") == 0 || strcmp(space, "ip") == 0;
}

tars_status tars_vectors_chroma_open(const struct tars_vectors_chroma_config *config,
                                     struct tars_vectors **vectors, struct tars_err *err)
{
    static const struct tars_vectors_ops ops = {
        .name = "chroma",
        .waits = true,
        .state = state,
        .reset = reset,
        .apply = apply,
        .search = search,
        .health = health,
        .close = close_backend,
    };
    const char *space = config->space ? config->space : "cosine";
    struct backend *made = calloc(1, sizeof(*made));
    tars_status status = made ? TARS_OK : TARS_ENOMEM;

    if (status == TARS_OK && !is_space(space)) {
        status = tars_fail(TARS_EINVAL, err,
                           "CHROMA_DISTANCE_METRIC is \"%.20s\": expected cosine, l2 or ip", space);
    }
    if (status == TARS_OK &&
        (!config->collection[0] || strlen(config->collection) > TARS_CHROMA_NAME_MAX))
        status = tars_fail(TARS_EINVAL, err, "CHROMA_COLLECTION_NAME is no name of a collection");
    if (status == TARS_OK) {
        made->name = strdup(config->collection);
        status = made->name ? tars_random_hex(made->writer, WRITER_BYTES / 2) : TARS_ENOMEM;
    }
    if (status != TARS_OK) {
        if (made)
            free(made->name);
        free(made);
        tars_chroma_free(config->chroma);
        return status;
    }
    made->base.ops = &ops;
    made->chroma = config->chroma;
    made->query_ms = config->query_ms ? config->query_ms : QUERY_MS_DEFAULT;
    made->base.search_ms = made->query_ms;
    tars_chroma_stop_by(made->chroma, &made->base.is_stopping);
    (void)snprintf(made->space, sizeof(made->space), "%s", space);
    pthread_mutex_init(&made->lock, NULL);
    *vectors = &made->base;
    return TARS_OK;
}
