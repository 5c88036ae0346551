/* tiny_model - writes the folder of a small BERT with pseudo-random weights, and computes what it
 * should say, slowly and in double precision. */
#ifndef TARS_TESTS_TINY_MODEL_H
#define TARS_TESTS_TINY_MODEL_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "support/files.h"

#define TINY_HIDDEN    24
#define TINY_HEADS     2
#define TINY_LAYERS    2
#define TINY_MIDDLE    40
#define TINY_POSITIONS 48
#define TINY_VOCAB     16
#define TINY_TENSORS   (5 + 16 * TINY_LAYERS + 4)
#define TINY_FLOATS    40000

struct tiny_tensor {
    char name[192];
    size_t rows, columns; /* rows 0: one dimension */
    float *at;
};

struct tiny_model {
    struct tiny_tensor tensors[TINY_TENSORS];
    size_t count;
    float floats[TINY_FLOATS];
    size_t used;
    uint32_t state;
};

static inline float tiny_random(struct tiny_model *model)
{
    model->state = model->state * 1664525U + 1013904223U;
    return (float)((double)(model->state >> 8) / (1 << 24) - 0.5);
}

static inline void tiny_add(struct tiny_model *model, const char *name, size_t rows, size_t columns,
                            float scale, float offset)
{
    struct tiny_tensor *tensor = &model->tensors[model->count++];
    size_t n = (rows ? rows : 1) * columns;

    (void)snprintf(tensor->name, sizeof(tensor->name), "%s", name);
    tensor->rows = rows;
    tensor->columns = columns;
    tensor->at = model->floats + model->used;
    model->used += n;
    for (size_t i = 0; i < n; i++)
        tensor->at[i] = tiny_random(model) * scale + offset;
}

static inline void tiny_add_pair(struct tiny_model *model, const char *base, size_t rows,
                                 size_t columns)
{
    char name[160];

    (void)snprintf(name, sizeof(name), "%s.weight", base);
    if (columns) {
        tiny_add(model, name, rows, columns, 0.6F, 0);
    } else {
        tiny_add(model, name, 0, rows, 0.4F, 1);
    }
    (void)snprintf(name, sizeof(name), "%s.bias", base);
    tiny_add(model, name, 0, rows, 0.3F, 0);
}

static inline void tiny_make(struct tiny_model *model)
{
    static const struct {
        const char *name;
        size_t rows, columns; /* columns 0: a norm */
    } parts[] = {
        {"attention.self.query", TINY_HIDDEN, TINY_HIDDEN},
        {"attention.self.key", TINY_HIDDEN, TINY_HIDDEN},
        {"attention.self.value", TINY_HIDDEN, TINY_HIDDEN},
        {"attention.output.dense", TINY_HIDDEN, TINY_HIDDEN},
        {"attention.output.LayerNorm", TINY_HIDDEN, 0},
        {"intermediate.dense", TINY_MIDDLE, TINY_HIDDEN},
        {"output.dense", TINY_HIDDEN, TINY_MIDDLE},
        {"output.LayerNorm", TINY_HIDDEN, 0},
    };

    memset(model, 0, sizeof(*model));
    model->state = 7;
    tiny_add(model, "embeddings.word_embeddings.weight", TINY_VOCAB, TINY_HIDDEN, 2, 0);
    tiny_add(model, "embeddings.position_embeddings.weight", TINY_POSITIONS, TINY_HIDDEN, 1, 0);
    tiny_add(model, "embeddings.token_type_embeddings.weight", 2, TINY_HIDDEN, 1, 0);
    tiny_add_pair(model, "embeddings.LayerNorm", TINY_HIDDEN, 0);
    for (size_t l = 0; l < TINY_LAYERS; l++) {
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            char name[96];

            (void)snprintf(name, sizeof(name), "encoder.layer.%zu.%s", l, parts[i].name);
            tiny_add_pair(model, name, parts[i].rows, parts[i].columns);
        }
    }
}

/* What makes a cross-encoder of it; after tiny_make(). */
static inline void tiny_add_head(struct tiny_model *model)
{
    tiny_add_pair(model, "pooler.dense", TINY_HIDDEN, TINY_HIDDEN);
    tiny_add(model, "classifier.weight", 1, TINY_HIDDEN, 2, 0);
    tiny_add(model, "classifier.bias", 0, 1, 1, 0);
}

/* --------------------------------------------------------------------- files */

/* The weights as a file's bytes; returns their count. prefix: before the names of the network;
 * skip: a tensor to leave out, or NULL. */
static inline size_t tiny_file(const struct tiny_model *model, const char *prefix, const char *skip,
                               char *out, size_t size)
{
    size_t at = 8;
    size_t data = 0;
    size_t len;

    at += (size_t)snprintf(out + at, size - at, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < model->count; i++) {
        const struct tiny_tensor *t = &model->tensors[i];
        size_t bytes = (t->rows ? t->rows : 1) * t->columns * sizeof(float);
        char shape[64];

        if (t->rows) {
            (void)snprintf(shape, sizeof(shape), "%zu,%zu", t->rows, t->columns);
        } else {
            (void)snprintf(shape, sizeof(shape), "%zu", t->columns);
        }
        if (!skip || strcmp(skip, t->name) != 0) {
            at += (size_t)snprintf(out + at, size - at,
                                   ",\"%s%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":["
                                   "%zu,%zu]}",
                                   strncmp(t->name, "classifier", 10) == 0 ? "" : prefix, t->name,
                                   shape, data, data + bytes);
        }
        data += bytes;
    }
    out[at++] = '}';
    len = at - 8;
    for (size_t i = 0; i < 8; i++)
        out[i] = (char)(len >> 8 * i);
    memcpy(out + at, model->floats, data);
    return at + data;
}

static inline void tiny_write_text(const char *dir, const char *name, const char *text)
{
    char path[FILES_PATH_MAX];

    files_write(dir, name, text, strlen(text), path);
}

static const char tiny_config[] =
    "{\"model_type\":\"bert\",\"hidden_act\":\"gelu\",\"hidden_size\":24,\"num_hidden_layers\":2,"
    "\"num_attention_heads\":2,\"intermediate_size\":40,\"max_position_embeddings\":48,"
    "\"vocab_size\":16,\"layer_norm_eps\":1e-12}";
static const char tiny_config_identity[] =
    "{\"model_type\":\"bert\",\"hidden_act\":\"gelu\",\"hidden_size\":24,\"num_hidden_layers\":2,"
    "\"num_attention_heads\":2,\"intermediate_size\":40,\"max_position_embeddings\":48,"
    "\"vocab_size\":16,\"layer_norm_eps\":1e-12,"
    "\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.linear.Identity\"}}";
static const char tiny_vocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\nsat\non\nmat\nquery\n"
    ":\npassage\n##s\na\n.\n";

/* The whole folder. */
static inline void tiny_write(const struct tiny_model *model, const char *dir)
{
    static char bytes[TINY_FLOATS * sizeof(float) + 65536];
    char path[FILES_PATH_MAX];

    files_write(dir, "model.safetensors", bytes, tiny_file(model, "", NULL, bytes, sizeof(bytes)),
                path);
    tiny_write_text(dir, "config.json", tiny_config);
    tiny_write_text(dir, "vocab.txt", tiny_vocab);
}

/* --------------------------------------------------------------- slow truth */

static inline const float *tiny_find(const struct tiny_model *model, size_t layer, const char *name)
{
    char whole[256];

    if (layer < TINY_LAYERS) {
        (void)snprintf(whole, sizeof(whole), "encoder.layer.%zu.%s", layer, name);
    } else {
        (void)snprintf(whole, sizeof(whole), "embeddings.%s", name);
    }
    for (size_t i = 0; i < model->count; i++) {
        if (strcmp(model->tensors[i].name, whole) == 0)
            return model->tensors[i].at;
    }
    return NULL;
}

static inline void tiny_linear(const struct tiny_model *model, size_t layer, const char *base,
                               const double *x, size_t k, size_t n, double *y)
{
    char name[160];
    const float *w;
    const float *b;

    (void)snprintf(name, sizeof(name), "%s.weight", base);
    w = tiny_find(model, layer, name);
    (void)snprintf(name, sizeof(name), "%s.bias", base);
    b = tiny_find(model, layer, name);
    for (size_t i = 0; i < n; i++) {
        y[i] = (double)b[i];
        for (size_t j = 0; j < k; j++)
            y[i] += x[j] * (double)w[i * k + j];
    }
}

static inline void tiny_norm(const struct tiny_model *model, size_t layer, const char *base,
                             double *x)
{
    char name[160];
    const float *gain;
    const float *bias;
    double mean = 0;
    double variance = 0;

    (void)snprintf(name, sizeof(name), "%s.weight", base);
    gain = tiny_find(model, layer, name);
    (void)snprintf(name, sizeof(name), "%s.bias", base);
    bias = tiny_find(model, layer, name);
    for (size_t i = 0; i < TINY_HIDDEN; i++)
        mean += x[i] / TINY_HIDDEN;
    for (size_t i = 0; i < TINY_HIDDEN; i++)
        variance += (x[i] - mean) * (x[i] - mean) / TINY_HIDDEN;
    for (size_t i = 0; i < TINY_HIDDEN; i++)
        x[i] = (x[i] - mean) / sqrt(variance + 1e-12) * (double)gain[i] + (double)bias[i];
}

static inline void tiny_attend(double q[][TINY_HIDDEN], double k[][TINY_HIDDEN],
                               double v[][TINY_HIDDEN], size_t n, size_t t, double *out)
{
    const size_t dim = TINY_HIDDEN / TINY_HEADS;

    for (size_t h = 0; h < TINY_HEADS; h++) {
        double e[TINY_POSITIONS];
        double sum = 0;

        for (size_t s = 0; s < n; s++) {
            double dot = 0;

            for (size_t d = h * dim; d < (h + 1) * dim; d++)
                dot += q[t][d] * k[s][d];
            e[s] = exp(dot / sqrt((double)dim));
            sum += e[s];
        }
        for (size_t d = h * dim; d < (h + 1) * dim; d++) {
            out[d] = 0;
            for (size_t s = 0; s < n; s++)
                out[d] += e[s] / sum * v[s][d];
        }
    }
}

static inline void tiny_layer(const struct tiny_model *model, size_t l, double x[][TINY_HIDDEN],
                              size_t n)
{
    static double q[TINY_POSITIONS][TINY_HIDDEN];
    static double k[TINY_POSITIONS][TINY_HIDDEN];
    static double v[TINY_POSITIONS][TINY_HIDDEN];

    for (size_t t = 0; t < n; t++) {
        tiny_linear(model, l, "attention.self.query", x[t], TINY_HIDDEN, TINY_HIDDEN, q[t]);
        tiny_linear(model, l, "attention.self.key", x[t], TINY_HIDDEN, TINY_HIDDEN, k[t]);
        tiny_linear(model, l, "attention.self.value", x[t], TINY_HIDDEN, TINY_HIDDEN, v[t]);
    }
    for (size_t t = 0; t < n; t++) {
        double a[TINY_HIDDEN];
        double y[TINY_HIDDEN];
        double m[TINY_MIDDLE];

        tiny_attend(q, k, v, n, t, a);
        tiny_linear(model, l, "attention.output.dense", a, TINY_HIDDEN, TINY_HIDDEN, y);
        for (size_t d = 0; d < TINY_HIDDEN; d++)
            x[t][d] += y[d];
        tiny_norm(model, l, "attention.output.LayerNorm", x[t]);
        tiny_linear(model, l, "intermediate.dense", x[t], TINY_HIDDEN, TINY_MIDDLE, m);
        for (size_t d = 0; d < TINY_MIDDLE; d++)
            m[d] = m[d] * (1 + erf(m[d] / sqrt(2))) / 2;
        tiny_linear(model, l, "output.dense", m, TINY_MIDDLE, TINY_HIDDEN, y);
        for (size_t d = 0; d < TINY_HIDDEN; d++)
            x[t][d] += y[d];
        tiny_norm(model, l, "output.LayerNorm", x[t]);
    }
}

/* pooling: 'm'ean, 'c'ls or ma'x'. */
static inline void tiny_truth(const struct tiny_model *model, const int32_t *ids, size_t n,
                              char pooling, double *out)
{
    static double x[TINY_POSITIONS][TINY_HIDDEN];
    const size_t none = TINY_LAYERS;
    double squares = 0;

    for (size_t t = 0; t < n; t++) {
        for (size_t d = 0; d < TINY_HIDDEN; d++) {
            x[t][d] =
                (double)tiny_find(model, none,
                                  "word_embeddings.weight")[(size_t)ids[t] * TINY_HIDDEN + d] +
                (double)tiny_find(model, none, "position_embeddings.weight")[t * TINY_HIDDEN + d] +
                (double)tiny_find(model, none, "token_type_embeddings.weight")[d];
        }
        tiny_norm(model, none, "LayerNorm", x[t]);
    }
    for (size_t l = 0; l < TINY_LAYERS; l++)
        tiny_layer(model, l, x, n);
    for (size_t d = 0; d < TINY_HIDDEN; d++) {
        out[d] = x[0][d];
        for (size_t t = 1; t < n && pooling != 'c'; t++)
            out[d] = pooling == 'm' ? out[d] + x[t][d] : fmax(out[d], x[t][d]);
        squares += out[d] * out[d];
    }
    for (size_t d = 0; d < TINY_HIDDEN; d++)
        out[d] /= sqrt(squares);
}

#endif
