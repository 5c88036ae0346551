/* bert_weights - opens a bert: finds its tensors, checks their shapes, packs its layers.
 *
 * Names are those of Hugging Face's BertModel, bare or behind one of a few prefixes. A matrix is
 * read into a buffer of floats, packed, and forgotten; afterwards the mapped pages are given back,
 * so that only the rows of the word table that are used stay resident.
 *
 * What gemm8 multiplies with is dear to make. All of it lies in one piece (packed.h), layer after
 * layer, which is found as an earlier opening left it, or made by as many threads as the machine
 * has processors, each taking the next layer, and left for the next opening. The digest of the
 * weights, which what is kept is named by, takes as long as packing: where it is not remembered, a
 * thread of its own computes it. Packing waits for it only where something is kept that may be of
 * these weights.
 *
 * The digest is of the very file that is mapped, whatever its path names meanwhile. Where somebody
 * wrote into that file while it was read, nothing is kept.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys/pool.h"
#include "model/bert_internal.h"
#include "model/identity.h"

#define NAME_BYTES  160
#define LINEARS     4  /* of a layer */
#define THREADS_MAX 64 /* that pack */

/* The digest of the weights on its way. */
struct digesting {
    const struct tars_bert_weights *weights;
    int fd;                 /* of the weights */
    struct tars_pool *pool; /* of the one thread that computes it; or NULL */
    tars_status status;
    struct tars_err why;
};

struct loader {
    struct tars_bert *bert;
    struct digesting *digesting; /* or NULL: nobody wants it, and nothing is kept */
    const char *prefix;          /* before every name */
    const char *path;            /* of the file, for messages */
    float *matrix;               /* room for the largest matrix with its bias */
    char *making;                /* packed weights of all layers that are to be made; or NULL */
    struct tars_err *err;
};

/* A linear and where its packed weights lie. */
struct place {
    const char *name;
    size_t n, k;
    size_t at; /* in the part of its layer */
};

struct places {
    struct place linears[LINEARS]; /* qkv, out, up, down */
    size_t bytes;                  /* of a layer; 0: oneDNN packs */
};

static struct places find_places(const struct tars_bert *bert)
{
    const size_t hidden = bert->config.hidden;
    const size_t middle = bert->config.intermediate;
    struct places places = {.linears = {
                                {"attention.self", 3 * hidden, hidden, 0},
                                {"attention.output.dense", hidden, hidden, 0},
                                {"intermediate.dense", middle, hidden, 0},
                                {"output.dense", hidden, middle, 0},
                            }};

    for (size_t i = 0; i < LINEARS; i++) {
        struct place *place = &places.linears[i];

        place->at = places.bytes;
        places.bytes += tars_linear_packed_bytes(bert->set, place->k, place->n);
    }
    return places;
}

/* ------------------------------------------------------------------ tensors */

static const struct tars_tensor *find(const struct loader *loader, const char *name)
{
    char whole[NAME_BYTES];

    (void)snprintf(whole, sizeof(whole), "%s%s", loader->prefix, name);
    return tars_safetensors_find(loader->bert->file, whole);
}

/* A tensor of shape (rows, columns), or (columns,) with rows 0. */
static tars_status get(const struct loader *loader, const char *name, size_t rows, size_t columns,
                       const struct tars_tensor **out)
{
    const struct tars_tensor *tensor = find(loader, name);

    if (!tensor) {
        return tars_fail(TARS_EFORMAT, loader->err,
                         "%s lacks the tensor '%s'; it does not fit the config.json beside it",
                         loader->path, name);
    }
    if (tensor->dim_count != (rows ? 2 : 1) || tensor->dims[rows ? 1 : 0] != columns ||
        (rows && tensor->dims[0] != rows) || tensor->type == TARS_TENSOR_OTHER) {
        return tars_fail(TARS_EFORMAT, loader->err,
                         "%s: the tensor '%s' has not the shape or type that config.json asks for",
                         loader->path, name);
    }
    *out = tensor;
    return TARS_OK;
}

static tars_status read_into(const struct loader *loader, const char *name, size_t rows,
                             size_t columns, float *out)
{
    const struct tars_tensor *tensor = NULL;
    tars_status status = get(loader, name, rows, columns, &tensor);

    if (status != TARS_OK || !tensor)
        return status;
    return tars_tensor_read_f32(tensor, 0, tensor->count, out);
}

/* --------------------------------------------------------------------- parts */

static tars_status load_norm(const struct loader *loader, const char *base, struct norm *norm)
{
    const size_t hidden = loader->bert->config.hidden;
    char name[NAME_BYTES];
    tars_status status;

    norm->gain = calloc(2 * hidden, sizeof(float));
    if (!norm->gain)
        return TARS_ENOMEM;
    norm->bias = norm->gain + hidden;
    (void)snprintf(name, sizeof(name), "%s.weight", base);
    status = read_into(loader, name, 0, hidden, norm->gain);
    if (status != TARS_OK)
        return status;
    (void)snprintf(name, sizeof(name), "%s.bias", base);
    return read_into(loader, name, 0, hidden, norm->bias);
}

/* Put a matrix (n, k) and its bias at row `at` of the loader's buffer of `rows` rows; the bias
 * alone where the matrix is there as packed. */
static tars_status load_matrix(const struct loader *loader, const char *base, size_t n, size_t k,
                               size_t rows, size_t at)
{
    const bool is_there = loader->bert->packed.body && !loader->making;
    char name[NAME_BYTES];
    tars_status status = TARS_OK;

    (void)snprintf(name, sizeof(name), "%s.weight", base);
    if (!is_there)
        status = read_into(loader, name, n, k, loader->matrix + at * k);
    if (status != TARS_OK)
        return status;
    (void)snprintf(name, sizeof(name), "%s.bias", base);
    return read_into(loader, name, 0, n, loader->matrix + rows * k + at);
}

/* Queries, keys and values are one product. */
static tars_status load_qkv(const struct loader *loader, size_t layer)
{
    static const char *const parts[] = {"query", "key", "value"};
    const size_t hidden = loader->bert->config.hidden;
    tars_status status = TARS_OK;

    for (size_t i = 0; i < 3 && status == TARS_OK; i++) {
        char name[NAME_BYTES];

        (void)snprintf(name, sizeof(name), "encoder.layer.%zu.attention.self.%s", layer, parts[i]);
        status = load_matrix(loader, name, hidden, hidden, 3 * hidden, i * hidden);
    }
    return status;
}

/* The matrix is in the loader's buffer with its bias behind it. at: in the packed weights. */
static tars_status init_linear(const struct loader *loader, const struct place *place, size_t at,
                               struct tars_linear *linear)
{
    struct tars_bert *bert = loader->bert;
    const float *bias = loader->matrix + place->n * place->k;

    if (loader->making) {
        return tars_linear_init_in(bert->set, place->k, place->n, loader->matrix, bias,
                                   loader->making + at, linear);
    }
    if (bert->packed.body) {
        return tars_linear_init_packed(bert->set, place->k, place->n, bert->packed.body + at, bias,
                                       linear);
    }
    return tars_linear_init(bert->set, place->k, place->n, loader->matrix, bias, linear,
                            loader->err);
}

static tars_status load_linears(const struct loader *loader, size_t i)
{
    const struct places places = find_places(loader->bert);
    struct layer *layer = &loader->bert->layers[i];
    struct tars_linear *linears[LINEARS] = {&layer->qkv, &layer->out, &layer->up, &layer->down};
    tars_status status = TARS_OK;

    for (size_t l = 0; l < LINEARS && status == TARS_OK; l++) {
        const struct place *place = &places.linears[l];
        char base[NAME_BYTES];

        (void)snprintf(base, sizeof(base), "encoder.layer.%zu.%s", i, place->name);
        status = l == 0 ? load_qkv(loader, i)
                        : load_matrix(loader, base, place->n, place->k, place->n, 0);
        if (status == TARS_OK)
            status = init_linear(loader, place, i * places.bytes + place->at, linears[l]);
    }
    return status;
}

static tars_status load_layer(const struct loader *loader, size_t i)
{
    struct layer *layer = &loader->bert->layers[i];
    char base[NAME_BYTES];
    tars_status status = load_linears(loader, i);

    if (status == TARS_OK) {
        (void)snprintf(base, sizeof(base), "encoder.layer.%zu.attention.output.LayerNorm", i);
        status = load_norm(loader, base, &layer->norm1);
    }
    if (status == TARS_OK) {
        (void)snprintf(base, sizeof(base), "encoder.layer.%zu.output.LayerNorm", i);
        status = load_norm(loader, base, &layer->norm2);
    }
    return status;
}

/* What a token of the second type has more than one of the first. types: (2, hidden). */
static tars_status load_second(const struct loader *loader, const float *types)
{
    const size_t hidden = loader->bert->config.hidden;

    loader->bert->second = calloc(hidden, sizeof(float));
    if (!loader->bert->second)
        return TARS_ENOMEM;
    for (size_t i = 0; i < hidden; i++)
        loader->bert->second[i] = types[hidden + i] - types[i];
    return TARS_OK;
}

/* Position vectors, with the vector of the first token type added to each: most texts have no
 * other. */
static tars_status load_positions(const struct loader *loader)
{
    struct tars_bert *bert = loader->bert;
    const size_t hidden = bert->config.hidden;
    const struct tars_tensor *types = find(loader, "embeddings.token_type_embeddings.weight");
    tars_status status;

    bert->positions = calloc(bert->config.positions, hidden * sizeof(float));
    if (!bert->positions)
        return TARS_ENOMEM;
    status = read_into(loader, "embeddings.position_embeddings.weight", bert->config.positions,
                       hidden, bert->positions);
    if (status != TARS_OK || !types)
        return status;
    if (types->count < hidden || types->type == TARS_TENSOR_OTHER) {
        return tars_fail(TARS_EFORMAT, loader->err, "%s: the token types have no sensible shape",
                         loader->path);
    }
    status = tars_tensor_read_f32(types, 0, types->count < 2 * hidden ? hidden : 2 * hidden,
                                  loader->matrix);
    if (status == TARS_OK && types->count >= 2 * hidden)
        status = load_second(loader, loader->matrix);
    for (size_t i = 0; i < bert->config.positions && status == TARS_OK; i++)
        bert->kernels->add(bert->positions + i * hidden, loader->matrix, hidden);
    return status;
}

static void find_prefix(struct loader *loader)
{
    static const char *const prefixes[] = {"", "bert.", "model.", "0.auto_model."};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        loader->prefix = prefixes[i];
        if (find(loader, "embeddings.word_embeddings.weight"))
            return;
    }
    loader->prefix = "";
}

/* ------------------------------------------------------------------- digest */

static void digest(void *ctx)
{
    struct digesting *digesting = ctx;
    const struct tars_bert_weights *weights = digesting->weights;

    digesting->status = tars_weights_digest(digesting->fd, weights->path, weights->cache_dir,
                                            weights->digest, &digesting->why);
}

/* Unless it is remembered: in a thread, or at once where none is to be had. */
static void begin_digest(struct digesting *digesting)
{
    const struct tars_pool_config config = {.name = "tars-digest", .threads = 1};
    const struct tars_bert_weights *weights = digesting->weights;

    if (tars_weights_recall(digesting->fd, weights->path, weights->cache_dir, weights->digest))
        return;
    if (tars_pool_new(&config, &digesting->pool) != TARS_OK)
        digesting->pool = NULL;
    if (!digesting->pool || tars_pool_submit(digesting->pool, digest, digesting) != TARS_OK)
        digest(digesting);
}

/* Wait for it. */
static tars_status need_digest(struct digesting *digesting, struct tars_err *err)
{
    tars_pool_free(digesting->pool);
    digesting->pool = NULL;
    if (digesting->status != TARS_OK && digesting->why.text[0])
        return tars_fail(digesting->status, err, "%s", digesting->why.text);
    return digesting->status;
}

/* ------------------------------------------------------------------- layers */

/* Room for the largest matrix with its bias. */
static tars_status make_room(struct loader *loader)
{
    const struct tars_model_config *config = &loader->bert->config;
    size_t wide =
        config->intermediate > 3 * config->hidden ? config->intermediate : 3 * config->hidden;

    loader->matrix = calloc(wide, (config->hidden + 1) * sizeof(float));
    return loader->matrix ? TARS_OK : TARS_ENOMEM;
}

/* Layers that threads share out. */
struct share {
    const struct loader *loader;
    atomic_size_t next;    /* layer that nobody has taken */
    atomic_bool is_failed; /* by anyone; whoever sets it writes the rest */
    tars_status status;
    struct tars_err why;
};

static void load_some(void *ctx)
{
    struct share *share = ctx;
    struct tars_err why = {""};
    struct loader loader = *share->loader;
    tars_status status;

    loader.err = &why;
    status = make_room(&loader);
    while (status == TARS_OK && !atomic_load(&share->is_failed)) {
        size_t i = atomic_fetch_add(&share->next, 1);

        if (i >= loader.bert->config.layers)
            break;
        status = load_layer(&loader, i);
    }
    if (status != TARS_OK && !atomic_exchange(&share->is_failed, true)) {
        share->status = status;
        share->why = why;
    }
    free(loader.matrix);
}

/* All layers, by this thread and by others where they can be had. */
static tars_status load_shared(const struct loader *loader)
{
    const size_t layers = loader->bert->config.layers;
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t threads = processors > 1 ? (size_t)processors : 1;
    struct share share = {.loader = loader};
    struct tars_pool *pool = NULL;

    threads = threads < layers ? threads : layers;
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    if (threads > 1) {
        const struct tars_pool_config config = {
            .name = "tars-pack", .threads = threads - 1, .enter = tars_linear_one_thread};

        if (tars_pool_new(&config, &pool) != TARS_OK)
            pool = NULL; /* then alone */
    }
    for (size_t i = 1; i < threads && pool; i++) {
        if (tars_pool_submit(pool, load_some, &share) != TARS_OK)
            break;
    }
    load_some(&share);
    tars_pool_free(pool);
    if (atomic_load(&share.is_failed) && share.why.text[0])
        return tars_fail(share.status, loader->err, "%s", share.why.text);
    return share.status;
}

static tars_status load_in_turn(const struct loader *loader)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < loader->bert->config.layers && status == TARS_OK; i++)
        status = load_layer(loader, i);
    return status;
}

/* What packed weights are kept under. */
static void make_label(const struct tars_bert *bert, const char *digest, char *label)
{
    const struct tars_model_config *config = &bert->config;

    /* Another way of fitting or of laying out asks for another number after its name. */
    (void)snprintf(label, TARS_PACKED_LABEL_MAX, "gemm8 1 %s %zu %zu %zu", digest, config->hidden,
                   config->intermediate, config->layers);
}

/* Find packed weights of len bytes that are kept; *found tells. */
static tars_status find_packed(struct loader *loader, size_t len, bool *found)
{
    struct digesting *digesting = loader->digesting;
    char label[TARS_PACKED_LABEL_MAX];
    tars_status status;

    *found = false;
    if (!digesting || !tars_packed_may_be_kept(digesting->weights->cache_dir, len))
        return TARS_OK;
    status = need_digest(digesting, loader->err);
    if (status != TARS_OK)
        return status;
    make_label(loader->bert, digesting->weights->digest, label);
    *found = tars_packed_find(digesting->weights->cache_dir, label, len, &loader->bert->packed);
    return TARS_OK;
}

/* The layers with the packed weights that are kept, or that are made. */
static tars_status load_layers(struct loader *loader)
{
    struct tars_bert *bert = loader->bert;
    const size_t bytes = find_places(bert).bytes * bert->config.layers;
    bool found;
    tars_status status;

    if (bytes == 0)
        return load_in_turn(loader);
    status = find_packed(loader, bytes, &found);
    if (status != TARS_OK)
        return status;
    if (found)
        return load_in_turn(loader);
    status = tars_packed_new(bytes, &bert->packed, &loader->making);
    return status == TARS_OK ? load_shared(loader) : status;
}

static tars_status load(struct loader *loader)
{
    struct tars_bert *bert = loader->bert;
    const struct tars_model_config *config = &bert->config;
    tars_status status = make_room(loader);

    if (status != TARS_OK)
        return status;
    bert->layers = calloc(config->layers, sizeof(bert->layers[0]));
    if (!bert->layers)
        return TARS_ENOMEM;
    find_prefix(loader);
    status = get(loader, "embeddings.word_embeddings.weight", config->vocab, config->hidden,
                 &bert->words);
    if (status == TARS_OK)
        status = load_positions(loader);
    if (status == TARS_OK)
        status = load_norm(loader, "embeddings.LayerNorm", &bert->norm);
    return status == TARS_OK ? load_layers(loader) : status;
}

/* --------------------------------------------------------------- life cycle */

static bool is_as_it_was(int fd, const struct stat *before)
{
    struct stat now;

    return fstat(fd, &now) == 0 && now.st_size == before->st_size &&
           now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == before->st_mtim.tv_nsec &&
           now.st_ctim.tv_sec == before->st_ctim.tv_sec &&
           now.st_ctim.tv_nsec == before->st_ctim.tv_nsec;
}

/* Load the opened file while its digest is computed, and keep what was packed of it. */
static tars_status load_digesting(struct loader *loader, struct digesting *digesting)
{
    struct tars_bert *bert = loader->bert;
    const struct tars_bert_weights *weights = digesting->weights;
    struct tars_err why = {""};
    char label[TARS_PACKED_LABEL_MAX];
    struct stat before = {0};
    bool is_told = fstat(digesting->fd, &before) == 0;
    tars_status sought;
    tars_status status;

    loader->digesting = digesting;
    begin_digest(digesting);
    status = load(loader);
    sought = need_digest(digesting, &why);
    loader->digesting = NULL;
    if (status != TARS_OK)
        return status;
    if (sought != TARS_OK)
        return why.text[0] ? tars_fail(sought, loader->err, "%s", why.text) : sought;
    make_label(bert, weights->digest, label);
    if (is_told && is_as_it_was(digesting->fd, &before))
        (void)tars_packed_keep(weights->cache_dir, label, &bert->packed);
    return TARS_OK;
}

static tars_status open_loaded(struct loader *loader, const struct tars_bert_weights *weights,
                               enum tars_linear_type type)
{
    struct tars_bert *bert = loader->bert;
    struct digesting digesting = {.weights = weights};
    tars_status status = tars_safetensors_open(weights->path, &bert->file, loader->err);

    if (status == TARS_OK)
        status = tars_linear_set_new(type, &bert->set, loader->err);
    if (status != TARS_OK)
        return status;
    if (!weights->digest)
        return load(loader);
    digesting.fd = tars_safetensors_fd(bert->file);
    return load_digesting(loader, &digesting);
}

tars_status tars_bert_open(const struct tars_model_config *config,
                           const struct tars_bert_weights *weights, enum tars_linear_type type,
                           struct tars_bert **bert, struct tars_err *err)
{
    struct loader loader = {.path = weights->path, .err = err};
    struct tars_bert *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return TARS_ENOMEM;
    loader.bert = made;
    made->config = *config;
    made->kernels = tars_kernels();
    status = open_loaded(&loader, weights, type);
    free(loader.matrix);
    if (status != TARS_OK) {
        tars_bert_close(made);
        return status;
    }
    tars_safetensors_forget_pages(made->file);
    *bert = made;
    return TARS_OK;
}

static void release_layer(struct layer *layer)
{
    tars_linear_release(&layer->qkv);
    tars_linear_release(&layer->out);
    tars_linear_release(&layer->up);
    tars_linear_release(&layer->down);
    free(layer->norm1.gain);
    free(layer->norm2.gain);
}

void tars_bert_close(struct tars_bert *bert)
{
    if (!bert)
        return;
    for (size_t i = 0; bert->layers && i < bert->config.layers; i++)
        release_layer(&bert->layers[i]);
    free(bert->layers);
    free(bert->positions);
    free(bert->second);
    free(bert->norm.gain);
    tars_packed_release(&bert->packed);
    tars_linear_set_free(bert->set);
    tars_safetensors_close(bert->file);
    free(bert);
}

enum tars_linear_type tars_bert_type(const struct tars_bert *bert)
{
    return tars_linear_set_type(bert->set);
}

const struct tars_safetensors *tars_bert_file(const struct tars_bert *bert)
{
    return bert->file;
}

const char *tars_bert_implementation(const struct tars_bert *bert)
{
    return tars_linear_set_implementation(bert->set, bert->config.hidden, 3 * bert->config.hidden,
                                          TARS_LINEAR_ROWS);
}
