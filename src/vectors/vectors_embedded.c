/* vectors_embedded - see vectors_embedded.h.
 *
 * Which store and model an index of its own is of stands in a small file beside the snapshot, since
 * a snapshot can only be opened by who knows its model:
 *
 *     dir/vectors.of   "tars-vectors 1", store, model, name of the model, dim: a line each
 *     dir/index.tars   the snapshot (index/snapshot.h)
 */
#include "vectors/vectors_embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "base/sys/file.h"

#define MAGIC        "tars-vectors 1"
#define OF_BYTES_MAX 4096
#define LINES        5

struct embedded {
    struct tars_vectors base;
    struct tars_index *index; /* NULL: nothing was ever written */
    char *dir;                /* owned; NULL: index is borrowed */
    struct tars_vectors_of of;
};

static struct embedded *self_of(struct tars_vectors *vectors)
{
    return (struct embedded *)vectors;
}

/* -------------------------------------------------------- an index of its own */

static tars_status path_of(const struct embedded *self, char *path, size_t size)
{
    int len = snprintf(path, size, "%s/vectors.of", self->dir);

    return len > 0 && (size_t)len < size ? TARS_OK : TARS_EINVAL;
}

static tars_status open_index(struct embedded *self, bool fresh, struct tars_err *err)
{
    char identity[TARS_INDEX_IDENTITY_MAX];
    const struct tars_index_config config = {
        .dir = self->dir, .dim = self->of.dim, .identity = identity, .fresh = fresh};

    (void)snprintf(identity, sizeof(identity), "%.64s|%.16s", self->of.model, self->of.store);
    return tars_index_open(&config, &self->index, err);
}

/* The next line of text, cut to size. */
static const char *take_line(const char *text, char *out, size_t size)
{
    size_t len = strcspn(text, "\n");
    size_t kept = len < size - 1 ? len : size - 1;

    memcpy(out, text, kept);
    out[kept] = '\0';
    return text[len] ? text + len + 1 : text + len;
}

static tars_status parse_of(const char *text, struct tars_vectors_of *of)
{
    char magic[sizeof(MAGIC)];
    char dim[16];

    text = take_line(text, magic, sizeof(magic));
    text = take_line(text, of->store, sizeof(of->store));
    text = take_line(text, of->model, sizeof(of->model));
    text = take_line(text, of->model_name, sizeof(of->model_name));
    (void)take_line(text, dim, sizeof(dim));
    of->dim = strtoul(dim, NULL, 10);
    if (strcmp(magic, MAGIC) != 0 || of->dim < 1 || of->dim > TARS_INDEX_DIM_MAX)
        return TARS_EFORMAT;
    return TARS_OK;
}

/* What is in the folder, if anything is. What cannot be used counts as nothing: it is made anew. */
static tars_status open_own(struct embedded *self, struct tars_err *err)
{
    struct tars_buf text;
    char path[4096];
    tars_status status = path_of(self, path, sizeof(path));

    if (status == TARS_OK)
        status = tars_dir_make(self->dir, err);
    if (status != TARS_OK)
        return status;
    tars_buf_init(&text, OF_BYTES_MAX);
    status = tars_file_read(path, &text, NULL);
    tars_buf_append(&text, "", 1);
    if (status == TARS_OK)
        status = text.status;
    if (status == TARS_OK)
        status = parse_of(text.ptr, &self->of);
    if (status == TARS_OK)
        status = open_index(self, false, NULL);
    tars_buf_release(&text);
    if (status != TARS_OK)
        memset(&self->of, 0, sizeof(self->of));
    return status == TARS_ENOMEM ? status : TARS_OK;
}

static tars_status write_of(const struct embedded *self, struct tars_err *err)
{
    char path[4096];
    char text[OF_BYTES_MAX];
    int len = snprintf(text, sizeof(text), MAGIC "\n%s\n%s\n%s\n%zu\n", self->of.store,
                       self->of.model, self->of.model_name, self->of.dim);
    tars_status status = path_of(self, path, sizeof(path));

    return status == TARS_OK ? tars_file_replace(path, text, (size_t)len, 0600, err) : status;
}

/* --------------------------------------------------------------- the writer */

static tars_status state(struct tars_vectors *vectors, bool counts, struct tars_vectors_state *out,
                         struct tars_err *err)
{
    struct embedded *self = self_of(vectors);
    struct tars_index_stats stats;

    (void)counts;
    if (!self->dir)
        return tars_fail(TARS_EUNSUPPORTED, err, "the index is fed by who lent it");
    memset(out, 0, sizeof(*out));
    if (!self->index)
        return TARS_OK;
    tars_index_stats(self->index, &stats);
    out->of = self->of;
    out->seq = stats.seq;
    out->windows = out->expected = stats.windows;
    return TARS_OK;
}

static tars_status reset(struct tars_vectors *vectors, const struct tars_vectors_of *of,
                         struct tars_err *err)
{
    struct embedded *self = self_of(vectors);
    tars_status status;

    if (!self->dir)
        return tars_fail(TARS_EUNSUPPORTED, err, "the index is fed by who lent it");
    tars_index_close(self->index);
    self->index = NULL;
    self->of = *of;
    status = write_of(self, err);
    return status == TARS_OK ? open_index(self, true, err) : status;
}

static tars_status add_one(struct embedded *self, const struct tars_store_passage *passage)
{
    const struct tars_index_passage entry = {
        .id = passage->id, .vectors = passage->vectors, .vector_count = passage->window_count};
    tars_status status = tars_index_add(self->index, &entry);

    /* A vector without a length: a passage that is not found by its vectors. */
    return status == TARS_EINVAL ? TARS_OK : status;
}

static tars_status apply(struct tars_vectors *vectors, const struct tars_vectors_batch *batch,
                         size_t dim, struct tars_err *err)
{
    struct embedded *self = self_of(vectors);
    tars_status status = TARS_OK;

    if (!self->dir)
        return tars_fail(TARS_EUNSUPPORTED, err, "the index is fed by who lent it");
    if (!self->index || tars_index_seq(self->index) != batch->after)
        return tars_fail(TARS_EAGAIN, err, "the vectors are not where they were");
    if (dim != self->of.dim) {
        return tars_fail(TARS_EMISMATCH, err, "vectors of %zu numbers, where %zu are kept", dim,
                         self->of.dim);
    }
    for (size_t i = 0; i < batch->remove_count; i++)
        tars_index_remove(self->index, batch->removes[i].first, batch->removes[i].last);
    for (size_t i = 0; status == TARS_OK && i < batch->add_count; i++) {
        if (batch->adds[i].vectors && batch->adds[i].window_count > 0)
            status = add_one(self, &batch->adds[i]);
    }
    if (status != TARS_OK)
        return tars_fail(status, err, "the index cannot take the vectors");
    tars_index_publish(self->index, batch->upto);
    return TARS_OK;
}

/* ------------------------------------------------------------------ readers */

static tars_status search(struct tars_vectors *vectors, const struct tars_vectors_ask *ask,
                          struct tars_index_hit *hits, size_t *n, struct tars_err *err)
{
    struct embedded *self = self_of(vectors);

    *n = 0;
    if (!self->index)
        return TARS_OK;
    if (self->dir && ask->wish->dim != self->of.dim) {
        return tars_fail(TARS_EMISMATCH, err, "a vector of %zu numbers, where %zu are kept",
                         ask->wish->dim, self->of.dim);
    }
    return tars_index_search_vector(self->index, ask->wish->query, ask->limit, ask->wish->filter,
                                    hits, n);
}

static tars_status score(struct tars_vectors *vectors, const float *query, uint64_t id, float *out)
{
    struct embedded *self = self_of(vectors);

    return self->index ? tars_index_vector_score(self->index, query, id, out) : TARS_ENOTFOUND;
}

static tars_status add(struct tars_vectors *vectors, const float *query, uint64_t id, double weight,
                       float *sum)
{
    struct embedded *self = self_of(vectors);

    return self->index ? tars_index_vector_add(self->index, query, id, weight, sum)
                       : TARS_ENOTFOUND;
}

static tars_status health(struct tars_vectors *vectors, struct tars_err *err)
{
    (void)vectors;
    (void)err;
    return TARS_OK;
}

static void close_it(struct tars_vectors *vectors)
{
    struct embedded *self = self_of(vectors);

    if (self->dir && self->index) {
        /* Not saved is not lost: it is written again from the store. */
        tars_status saved = tars_index_save(self->index, NULL);

        (void)saved;
        tars_index_close(self->index);
    }
    free(self->dir);
    free(self);
}

static const struct tars_vectors_ops embedded_ops = {
    .name = "embedded",
    .is_by_passage = true,
    .state = state,
    .reset = reset,
    .apply = apply,
    .search = search,
    .score = score,
    .add = add,
    .health = health,
    .close = close_it,
};

tars_status tars_vectors_lend(struct tars_index *index, struct tars_vectors **vectors)
{
    struct embedded *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->base.ops = &embedded_ops;
    made->index = index;
    *vectors = &made->base;
    return TARS_OK;
}

tars_status tars_vectors_embedded_open(const char *dir, struct tars_vectors **vectors,
                                       struct tars_err *err)
{
    struct embedded *made = calloc(1, sizeof(*made));
    tars_status status = TARS_ENOMEM;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for vectors");
    made->base.ops = &embedded_ops;
    made->dir = strdup(dir);
    if (made->dir)
        status = open_own(made, err);
    if (status != TARS_OK) {
        free(made->dir);
        free(made);
        return status;
    }
    *vectors = &made->base;
    return TARS_OK;
}
