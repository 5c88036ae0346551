/* bert - see bert.h for the contract; bert_weights.c reads the weights.
 *
 * Activations have two forms: floats (x, qkv, context, wide) and the input type of the products
 * (input, middle: quantised, bf16 or fp32). A product gives floats, bias and GELU included; its
 * rows go on to the next input a block at a time, while they are in the second-level cache.
 */
#include "model/bert.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/bert_internal.h"

#define ALIGN_BYTES 64

/* Rows in the input type of the products. */
struct input {
    unsigned char *rows;        /* (rows, width) */
    size_t width;               /* elements of a row */
    struct tars_quantised *how; /* (rows,) int8 only */
};

struct tars_bert_work {
    struct tars_linear_run *run;
    size_t max_tokens;
    float *x;             /* (tokens, hidden) */
    float *qkv;           /* (tokens, 3 * hidden) */
    float *context;       /* (tokens, hidden) what attention gives */
    float *scratch;       /* of the attention */
    float *wide;          /* (TARS_LINEAR_ROWS, max(intermediate, hidden)) of a block */
    struct input input;   /* (tokens, hidden) */
    struct input middle;  /* (TARS_LINEAR_ROWS, intermediate) */
    unsigned char *block; /* all of the above, as malloc gave it */
};

/* --------------------------------------------------------------------- work */

static size_t wider(const struct tars_model_config *config)
{
    return config->intermediate > config->hidden ? config->intermediate : config->hidden;
}

static size_t round_rows(size_t rows)
{
    return (rows + TARS_LINEAR_STEP - 1) / TARS_LINEAR_STEP * TARS_LINEAR_STEP;
}

/* The next bytes of a block, aligned; with block NULL only the sizes are summed. */
static void *carve(unsigned char *block, size_t *used, size_t bytes)
{
    unsigned char *place = block ? block + *used : NULL;

    *used += (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    return place;
}

/* Lay the arrays out in block; returns the bytes needed. No product overflows: hidden,
 * intermediate and tokens are bounded by config.c. */
static size_t lay_out(const struct tars_bert *bert, struct tars_bert_work *work,
                      unsigned char *block)
{
    const struct tars_model_config *config = &bert->config;
    const size_t rows = round_rows(work->max_tokens);
    const size_t f = sizeof(float);
    const size_t x_bytes = tars_linear_set_x_bytes(bert->set);
    size_t used = 0;

    work->x = carve(block, &used, rows * config->hidden * f);
    work->qkv = carve(block, &used, rows * 3 * config->hidden * f);
    work->context = carve(block, &used, rows * config->hidden * f);
    work->scratch = carve(
        block, &used,
        bert->kernels->scratch_floats(config->max_tokens, config->hidden / config->heads) * f);
    work->wide = carve(block, &used, TARS_LINEAR_ROWS * wider(config) * f);
    work->input.width = config->hidden;
    work->input.rows = carve(block, &used, rows * config->hidden * x_bytes);
    work->input.how = carve(block, &used, rows * sizeof(*work->input.how));
    work->middle.width = config->intermediate;
    work->middle.rows = carve(block, &used, TARS_LINEAR_ROWS * config->intermediate * x_bytes);
    work->middle.how = carve(block, &used, TARS_LINEAR_ROWS * sizeof(*work->middle.how));
    return used + ALIGN_BYTES;
}

tars_status tars_bert_work_new(const struct tars_bert *bert, size_t max_tokens,
                               struct tars_bert_work **work, struct tars_err *err)
{
    struct tars_bert_work *made = calloc(1, sizeof(*made));
    tars_status status = TARS_ENOMEM;
    size_t start;

    if (!made)
        return TARS_ENOMEM;
    made->max_tokens = max_tokens;
    /* Cleared, since the padding rows of a product are read; untouched pages cost nothing. */
    made->block = calloc(1, lay_out(bert, made, NULL));
    if (made->block)
        status = tars_linear_run_new(bert->set, &made->run, err);
    if (status != TARS_OK) {
        tars_bert_work_free(made);
        return status;
    }
    start = (ALIGN_BYTES - (uintptr_t)made->block % ALIGN_BYTES) % ALIGN_BYTES;
    (void)lay_out(bert, made, made->block + start);
    *work = made;
    return TARS_OK;
}

void tars_bert_work_free(struct tars_bert_work *work)
{
    if (!work)
        return;
    tars_linear_run_free(work->run);
    free(work->block);
    free(work);
}

/* ----------------------------------------------------------------- products */

static void *input_row(const struct tars_bert *bert, const struct input *input, size_t row)
{
    return input->rows + row * input->width * tars_linear_set_x_bytes(bert->set);
}

/* Put a row of floats, which is the same afterwards, into row i of input. In many rows a single
 * float takes most of the range, and few steps are left for the others: it may be left out. */
static void put_row(const struct tars_bert *bert, struct input *input, size_t i, float *row)
{
    void *to = input_row(bert, input, i);

    switch (tars_linear_set_type(bert->set)) {
    case TARS_LINEAR_INT8:
        bert->kernels->quantise(row, input->width, tars_linear_set_levels(bert->set),
                                tars_linear_set_limit(bert->set), to, &input->how[i]);
        break;
    case TARS_LINEAR_BF16:
        bert->kernels->to_bf16(row, input->width, to);
        break;
    default:
        memcpy(to, row, input->width * sizeof(*row));
        break;
    }
}

/* Rows [first, first + rows) of input times the layer. */
static tars_status multiply(const struct tars_bert *bert, struct tars_bert_work *work,
                            const struct tars_linear *linear, const struct input *input,
                            size_t first, size_t rows, bool has_gelu, float *y,
                            struct tars_err *err)
{
    const struct tars_linear_wish wish = {.x = input_row(bert, input, first),
                                          .how = input->how + first,
                                          .rows = rows,
                                          .has_gelu = has_gelu};

    return tars_linear_apply_whole(work->run, linear, &wish, y, err);
}

static tars_status project_qkv(const struct tars_bert *bert, struct tars_bert_work *work,
                               const struct layer *layer, size_t first, size_t rows,
                               struct tars_err *err)
{
    return multiply(bert, work, &layer->qkv, &work->input, first, rows, false,
                    work->qkv + first * layer->qkv.n, err);
}

/* x = norm(x + linear(input)) for the rows of a block; input becomes the new x. */
static tars_status add_and_norm(const struct tars_bert *bert, struct tars_bert_work *work,
                                const struct tars_linear *linear, const struct input *from,
                                size_t from_first, const struct norm *norm, size_t first,
                                size_t rows, struct tars_err *err)
{
    const size_t hidden = bert->config.hidden;
    tars_status status =
        multiply(bert, work, linear, from, from_first, rows, false, work->wide, err);

    for (size_t r = 0; r < rows && status == TARS_OK; r++) {
        float *x = work->x + (first + r) * hidden;

        bert->kernels->layer_norm(x, work->wide + r * hidden, norm->gain, norm->bias,
                                  bert->config.layer_norm_eps, hidden);
        put_row(bert, &work->input, first + r, x);
    }
    return status;
}

static tars_status up(const struct tars_bert *bert, struct tars_bert_work *work,
                      const struct layer *layer, size_t first, size_t rows, struct tars_err *err)
{
    tars_status status =
        multiply(bert, work, &layer->up, &work->input, first, rows, true, work->wide, err);

    for (size_t r = 0; r < rows && status == TARS_OK; r++)
        put_row(bert, &work->middle, r, work->wide + r * layer->up.n);
    return status;
}

/* What comes after the attention of a layer, and the queries, keys and values of the next one, for
 * one block of rows. */
static tars_status finish_block(const struct tars_bert *bert, struct tars_bert_work *work, size_t i,
                                size_t first, size_t rows, struct tars_err *err)
{
    const struct layer *layer = &bert->layers[i];
    tars_status status;

    for (size_t r = first; r < first + rows; r++)
        put_row(bert, &work->input, r, work->context + r * bert->config.hidden);
    status =
        add_and_norm(bert, work, &layer->out, &work->input, first, &layer->norm1, first, rows, err);
    if (status == TARS_OK)
        status = up(bert, work, layer, first, rows, err);
    if (status == TARS_OK) {
        status = add_and_norm(bert, work, &layer->down, &work->middle, 0, &layer->norm2, first,
                              rows, err);
    }
    if (status == TARS_OK && i + 1 < bert->config.layers)
        status = project_qkv(bert, work, &bert->layers[i + 1], first, rows, err);
    return status;
}

/* ------------------------------------------------------------------ network */

static void embed_token(const struct tars_bert *bert, struct tars_bert_work *work, int32_t id,
                        size_t position, bool second, size_t row)
{
    const size_t hidden = bert->config.hidden;
    float *x = work->x + row * hidden;

    assert(id >= 0 && (size_t)id < bert->config.vocab && position < bert->config.positions);
    /* It is a type of floats: bert_weights.c has seen to that. */
    if (tars_tensor_read_f32(bert->words, (size_t)id * hidden, hidden, x) != TARS_OK)
        memset(x, 0, hidden * sizeof(*x));
    if (second && bert->second)
        bert->kernels->add(x, bert->second, hidden);
    bert->kernels->layer_norm(x, bert->positions + position * hidden, bert->norm.gain,
                              bert->norm.bias, bert->config.layer_norm_eps, hidden);
    put_row(bert, &work->input, row, x);
}

static void embed_tokens(const struct tars_bert *bert, struct tars_bert_work *work,
                         const struct tars_bert_texts *texts)
{
    for (size_t i = 0; i < texts->n; i++) {
        size_t second = texts->seconds ? texts->seconds[i] : texts->starts[i + 1];

        for (size_t t = texts->starts[i]; t < texts->starts[i + 1]; t++) {
            embed_token(bert, work, texts->ids[t], t - texts->starts[i], t >= second,
                        t - texts->starts[0]);
        }
    }
}

static void attend(const struct tars_bert *bert, struct tars_bert_work *work,
                   const struct tars_bert_texts *texts)
{
    const size_t hidden = bert->config.hidden;

    for (size_t i = 0; i < texts->n; i++) {
        size_t first = texts->starts[i] - texts->starts[0];
        const struct tars_attention attention = {.qkv = work->qkv + first * 3 * hidden,
                                                 .tokens = texts->starts[i + 1] - texts->starts[i],
                                                 .heads = bert->config.heads,
                                                 .head_dim = hidden / bert->config.heads,
                                                 .scratch = work->scratch,
                                                 .out = work->context + first * hidden};

        bert->kernels->attention(&attention);
    }
}

/* A step of the network on all rows, block by block: layer i, or with i = layers the first
 * projection. */
static tars_status each_block(const struct tars_bert *bert, struct tars_bert_work *work, size_t i,
                              size_t tokens, struct tars_err *err)
{
    const size_t step = tars_linear_set_rows(bert->set);
    tars_status status = TARS_OK;

    for (size_t first = 0; first < tokens && status == TARS_OK; first += step) {
        size_t rows = tokens - first < step ? tokens - first : step;

        if (i == bert->config.layers) {
            status = project_qkv(bert, work, &bert->layers[0], first, rows, err);
        } else {
            status = finish_block(bert, work, i, first, rows, err);
        }
    }
    return status;
}

/* ------------------------------------------------------------------ pooling */

static void pool(enum tars_model_pooling pooling, const float *x, size_t tokens, size_t hidden,
                 float *out)
{
    memcpy(out, x, hidden * sizeof(*out));
    /* The mean's divisor is left out: the vector is brought to unit length anyway. */
    for (size_t t = 1; pooling != TARS_POOLING_CLS && t < tokens; t++) {
        const float *row = x + t * hidden;

        for (size_t d = 0; d < hidden; d++) {
            if (pooling == TARS_POOLING_MEAN) {
                out[d] += row[d];
            } else {
                out[d] = row[d] > out[d] ? row[d] : out[d];
            }
        }
    }
}

static void to_unit(float *vector, size_t n)
{
    double squares = 0;
    float factor;

    for (size_t i = 0; i < n; i++)
        squares += (double)vector[i] * (double)vector[i];
    factor = squares > 0 ? (float)(1 / sqrt(squares)) : 0.0F;
    for (size_t i = 0; i < n; i++)
        vector[i] *= factor;
}

/* All layers up to the last one's attention, whose result is in work->context. */
static tars_status run_to_last(const struct tars_bert *bert, struct tars_bert_work *work,
                               const struct tars_bert_texts *texts, struct tars_err *err)
{
    const size_t tokens = texts->starts[texts->n] - texts->starts[0];
    tars_status status;

    assert(tokens <= work->max_tokens);
    embed_tokens(bert, work, texts);
    status = each_block(bert, work, bert->config.layers, tokens, err);
    for (size_t i = 0; i < bert->config.layers && status == TARS_OK; i++) {
        attend(bert, work, texts);
        if (i + 1 < bert->config.layers)
            status = each_block(bert, work, i, tokens, err);
    }
    return status;
}

tars_status tars_bert_run_first(const struct tars_bert *bert, struct tars_bert_work *work,
                                const struct tars_bert_texts *texts, float *out,
                                struct tars_err *err)
{
    const size_t row = bert->config.hidden * sizeof(float);
    tars_status status = run_to_last(bert, work, texts, err);

    if (status != TARS_OK)
        return status;
    /* The rows of the first tokens, pushed together: none comes before its place. */
    for (size_t i = 0; i < texts->n; i++) {
        size_t first = texts->starts[i] - texts->starts[0];

        memmove(work->context + i * bert->config.hidden,
                work->context + first * bert->config.hidden, row);
        memmove(work->x + i * bert->config.hidden, work->x + first * bert->config.hidden, row);
    }
    status = each_block(bert, work, bert->config.layers - 1, texts->n, err);
    if (status == TARS_OK)
        memcpy(out, work->x, texts->n * row);
    return status;
}

tars_status tars_bert_run(const struct tars_bert *bert, struct tars_bert_work *work,
                          const struct tars_bert_texts *texts, float *out, struct tars_err *err)
{
    const size_t hidden = bert->config.hidden;
    const size_t tokens = texts->starts[texts->n] - texts->starts[0];
    tars_status status = run_to_last(bert, work, texts, err);

    if (status == TARS_OK)
        status = each_block(bert, work, bert->config.layers - 1, tokens, err);
    if (status != TARS_OK)
        return status;
    for (size_t i = 0; i < texts->n; i++) {
        size_t first = texts->starts[i] - texts->starts[0];

        pool(bert->config.pooling, work->x + first * hidden,
             texts->starts[i + 1] - texts->starts[i], hidden, out + i * hidden);
        to_unit(out + i * hidden, hidden);
    }
    return TARS_OK;
}
