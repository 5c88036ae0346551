/* cross_head - see cross_head.h for the contract. */
#include "model/cross_head.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/safetensors.h"

#define TOKENS_MAX 1e9 /* that is no end at all */

/* ------------------------------------------------------------------ weights */

struct part {
    const char *name;
    const char *other; /* as some files name it, or NULL */
    size_t rows;       /* 0: one dimension */
    size_t columns;
    float *to;
};

static tars_status read_part(const struct tars_safetensors *file, const char *path,
                             const struct part *part, struct tars_err *err)
{
    const struct tars_tensor *tensor = tars_safetensors_find(file, part->name);

    if (!tensor && part->other)
        tensor = tars_safetensors_find(file, part->other);
    if (!tensor) {
        return tars_fail(TARS_EFORMAT, err,
                         "%s lacks the tensor '%s'; it is not a cross-encoder of the BERT family",
                         path, part->name);
    }
    if (strcmp(part->name, "classifier.weight") == 0 && tensor->dim_count == 2 &&
        tensor->dims[0] > 1) {
        return tars_fail(TARS_EUNSUPPORTED, err,
                         "%s: a classifier of %zu labels; a reranker has one", path,
                         tensor->dims[0]);
    }
    if (tensor->dim_count != (part->rows ? 2 : 1) ||
        tensor->dims[part->rows ? 1 : 0] != part->columns ||
        (part->rows && tensor->dims[0] != part->rows) || tensor->type == TARS_TENSOR_OTHER) {
        return tars_fail(TARS_EFORMAT, err,
                         "%s: the tensor '%s' has not the shape or type that config.json asks for",
                         path, part->name);
    }
    return tars_tensor_read_f32(tensor, 0, tensor->count, part->to);
}

/* So that a row of products is added to all of the result at once, which compilers make wide. */
static void transpose(float *matrix, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++) {
            float kept = matrix[i * n + j];

            matrix[i * n + j] = matrix[j * n + i];
            matrix[j * n + i] = kept;
        }
    }
}

tars_status tars_cross_head_init(struct tars_cross_head *head, const struct tars_safetensors *file,
                                 const char *path, size_t hidden, struct tars_err *err)
{
    struct tars_cross_head made = {.hidden = hidden};
    tars_status status = TARS_OK;

    made.block = calloc(hidden + 2, hidden * sizeof(float));
    if (!made.block)
        return TARS_ENOMEM;
    made.pooler = made.block;
    made.bias = made.block + hidden * hidden;
    made.classifier = made.bias + hidden;
    const struct part parts[] = {
        {"bert.pooler.dense.weight", "pooler.dense.weight", hidden, hidden, made.pooler},
        {"bert.pooler.dense.bias", "pooler.dense.bias", 0, hidden, made.bias},
        {"classifier.weight", NULL, 1, hidden, made.classifier},
        {"classifier.bias", NULL, 0, 1, &made.out_bias},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && status == TARS_OK; i++)
        status = read_part(file, path, &parts[i], err);
    if (status != TARS_OK) {
        tars_cross_head_release(&made);
        return status;
    }
    transpose(made.pooler, hidden);
    *head = made;
    return TARS_OK;
}

void tars_cross_head_release(struct tars_cross_head *head)
{
    free(head->block);
    *head = (struct tars_cross_head){.hidden = 0};
}

#define STEP 64 /* of the pooler's outputs at once */

float tars_cross_head_logit(const struct tars_cross_head *head, const float *row)
{
    const size_t n = head->hidden;
    double logit = (double)head->out_bias;

    for (size_t first = 0; first < n; first += STEP) {
        size_t width = n - first < STEP ? n - first : STEP;
        float pooled[STEP];

        memcpy(pooled, head->bias + first, width * sizeof(*pooled));
        for (size_t from = 0; from < n; from++) {
            const float *weights = head->pooler + from * n + first;

            for (size_t to = 0; to < width; to++)
                pooled[to] += row[from] * weights[to];
        }
        for (size_t to = 0; to < width; to++)
            logit += (double)(tanhf(pooled[to]) * head->classifier[first + to]);
    }
    return (float)logit;
}

/* ----------------------------------------------------------------- settings */

static tars_status parse(struct tars_span text, const char *name, size_t flags, json_t **json,
                         struct tars_err *err)
{
    json_error_t where;

    *json = NULL;
    if (text.len == 0)
        return TARS_OK;
    *json = json_loadb(text.ptr, text.len, flags, &where);
    if (*json)
        return TARS_OK;
    if (json_error_code(&where) == json_error_out_of_memory)
        return TARS_ENOMEM;
    return tars_fail(TARS_EFORMAT, err, "%s: line %d: %s; fetch the model's folder again", name,
                     where.line, where.text);
}

static tars_status read_activation(const json_t *config, bool *is_sigmoid, struct tars_err *err)
{
    const json_t *own = json_object_get(config, "sentence_transformers");
    const char *name = json_string_value(json_object_get(own, "activation_fn"));

    if (!name)
        name = json_string_value(json_object_get(config, "sbert_ce_default_activation_function"));
    *is_sigmoid = !name || strstr(name, "Sigmoid");
    if (*is_sigmoid || strstr(name, "Identity"))
        return TARS_OK;
    return tars_fail(TARS_EUNSUPPORTED, err,
                     "config.json: the activation '%.60s' is not supported, only Sigmoid and "
                     "Identity",
                     name);
}

tars_status tars_cross_settings_read(struct tars_span config, struct tars_span tokenizer,
                                     struct tars_cross_settings *out, struct tars_err *err)
{
    struct tars_cross_settings made = {.is_sigmoid = true};
    json_t *json = NULL;
    json_t *said = NULL;
    tars_status status = parse(config, "config.json", 0, &json, err);

    if (status == TARS_OK)
        status = read_activation(json, &made.is_sigmoid, err);
    if (status == TARS_OK)
        status = parse(tokenizer, "tokenizer_config.json", JSON_DECODE_INT_AS_REAL, &said, err);
    if (status == TARS_OK) {
        /* Those that know of no end say 10^30, which is no integer here. */
        double tokens = json_real_value(json_object_get(said, "model_max_length"));

        made.max_tokens = tokens >= 1 && tokens < TOKENS_MAX ? (size_t)tokens : 0;
        *out = made;
    }
    json_decref(json);
    json_decref(said);
    return status;
}
