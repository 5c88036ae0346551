/* bert_weights - opens a bert: finds its tensors, checks their shapes, packs its layers.
 *
 * Names are those of Hugging Face's BertModel, bare or behind one of a few prefixes. A matrix is
 * read into a buffer of floats, packed, and forgotten; afterwards the mapped pages are given back,
 * so that only the rows of the word table that are used stay resident.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/bert_internal.h"

#define NAME_BYTES 160

struct loader {
    struct tars_bert *bert;
    const char *prefix; /* before every name */
    const char *path;   /* of the file, for messages */
    float *matrix;      /* room for the largest matrix with its bias */
    struct tars_err *err;
};

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

/* Put a matrix (n, k) and its bias at row `at` of the loader's buffer of `rows` rows. */
static tars_status load_matrix(const struct loader *loader, const char *base, size_t n, size_t k,
                               size_t rows, size_t at)
{
    char name[NAME_BYTES];
    tars_status status;

    (void)snprintf(name, sizeof(name), "%s.weight", base);
    status = read_into(loader, name, n, k, loader->matrix + at * k);
    if (status != TARS_OK)
        return status;
    (void)snprintf(name, sizeof(name), "%s.bias", base);
    return read_into(loader, name, 0, n, loader->matrix + rows * k + at);
}

static tars_status load_linear(const struct loader *loader, const char *base, size_t n, size_t k,
                               struct tars_linear *linear)
{
    tars_status status = load_matrix(loader, base, n, k, n, 0);

    if (status != TARS_OK)
        return status;
    return tars_linear_init(loader->bert->set, k, n, loader->matrix, loader->matrix + n * k, linear,
                            loader->err);
}

/* Queries, keys and values as one product. */
static tars_status load_qkv(const struct loader *loader, size_t layer, struct tars_linear *linear)
{
    static const char *const parts[] = {"query", "key", "value"};
    const size_t hidden = loader->bert->config.hidden;

    for (size_t i = 0; i < 3; i++) {
        char base[NAME_BYTES];
        tars_status status;

        (void)snprintf(base, sizeof(base), "encoder.layer.%zu.attention.self.%s", layer, parts[i]);
        status = load_matrix(loader, base, hidden, hidden, 3 * hidden, i * hidden);
        if (status != TARS_OK)
            return status;
    }
    return tars_linear_init(loader->bert->set, hidden, 3 * hidden, loader->matrix,
                            loader->matrix + 3 * hidden * hidden, linear, loader->err);
}

static tars_status load_layer(const struct loader *loader, size_t i)
{
    const struct tars_model_config *config = &loader->bert->config;
    struct layer *layer = &loader->bert->layers[i];
    const struct {
        const char *name;
        size_t n, k;
        struct tars_linear *linear;
    } linears[] = {
        {"attention.output.dense", config->hidden, config->hidden, &layer->out},
        {"intermediate.dense", config->intermediate, config->hidden, &layer->up},
        {"output.dense", config->hidden, config->intermediate, &layer->down},
    };
    char base[NAME_BYTES];
    tars_status status = load_qkv(loader, i, &layer->qkv);

    for (size_t l = 0; l < 3 && status == TARS_OK; l++) {
        (void)snprintf(base, sizeof(base), "encoder.layer.%zu.%s", i, linears[l].name);
        status = load_linear(loader, base, linears[l].n, linears[l].k, linears[l].linear);
    }
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

static tars_status load(struct loader *loader)
{
    struct tars_bert *bert = loader->bert;
    const struct tars_model_config *config = &bert->config;
    size_t wide =
        config->intermediate > 3 * config->hidden ? config->intermediate : 3 * config->hidden;
    tars_status status;

    loader->matrix = calloc(wide, (config->hidden + 1) * sizeof(float));
    bert->layers = calloc(config->layers, sizeof(bert->layers[0]));
    if (!loader->matrix || !bert->layers)
        return TARS_ENOMEM;
    find_prefix(loader);
    status = get(loader, "embeddings.word_embeddings.weight", config->vocab, config->hidden,
                 &bert->words);
    if (status == TARS_OK)
        status = load_positions(loader);
    if (status == TARS_OK)
        status = load_norm(loader, "embeddings.LayerNorm", &bert->norm);
    for (size_t i = 0; i < config->layers && status == TARS_OK; i++)
        status = load_layer(loader, i);
    return status;
}

/* --------------------------------------------------------------- life cycle */

tars_status tars_bert_open(const struct tars_model_config *config, const char *weights_path,
                           enum tars_linear_type type, struct tars_bert **bert,
                           struct tars_err *err)
{
    struct loader loader = {.path = weights_path, .err = err};
    struct tars_bert *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return TARS_ENOMEM;
    loader.bert = made;
    made->config = *config;
    made->kernels = tars_kernels();
    status = tars_safetensors_open(weights_path, &made->file, err);
    if (status == TARS_OK)
        status = tars_linear_set_new(type, &made->set, err);
    if (status == TARS_OK)
        status = load(&loader);
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
