/* kernels - what an encoder does to rows of floats between its matrix products.
 *
 * Model     One table of functions per instruction set, all made from kernels_body.h; the build
 *           compiles it once for each. tars_kernels() picks the best that the processor has.
 * Threads   Stateless.
 * Truth     Each function agrees with its scalar definition below to about 1e-6; the tests hold
 *           every table that the machine can run to it.
 */
#ifndef TARS_MODEL_KERNELS_H
#define TARS_MODEL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* One sequence's attention. */
struct tars_attention {
    const float *qkv; /* (tokens, 3 * heads * head_dim): queries, keys, values of each token */
    size_t tokens;
    size_t heads;
    size_t head_dim;
    float *scratch; /* tars_kernels.scratch_floats(tokens, head_dim) of them */
    float *out;     /* (tokens, heads * head_dim) */
};

/* A row of products of quantised numbers, and what turns it into floats. */
struct tars_dequantise {
    const int32_t *acc; /* (n,) sums of products */
    const float *scale; /* (n,) of each weight column */
    const float *sum;   /* (n,) of each column's weights */
    const float *bias;  /* (n,) */
    float row_scale;    /* of the activations: x = q * row_scale + row_zero */
    float row_zero;
};

/* One input of a product that was left out of its bytes, and the weights that it meets. */
struct tars_left_out {
    const int8_t *weights; /* of gemm8.h's layout, at the 4 k of the input, first panel */
    size_t panel_bytes;    /* from a panel to the next */
    int place;             /* of the input in its 4, 0 to 3 */
    const float *scale;    /* (n,) of each weight column */
    float value;
};

struct tars_kernels {
    const char *name;
    /* row[i] += bias[i] */
    void (*add)(float *row, const float *bias, size_t n);
    /* out[i] = acc[i] * row_scale * scale[i] + row_zero * sum[i] + bias[i] */
    void (*dequantise)(const struct tars_dequantise *from, float *out, size_t n);
    /* The n floats as levels + 1 steps from their least to their greatest:
     * row[i] ~ out[i] * *scale + *zero */
    void (*quantise)(const float *row, size_t n, int levels, uint8_t *out, float *scale,
                     float *zero);
    /* The place of the float farthest from 0 if the floats' range is over limit times their root
     * mean square, else n. */
    size_t (*outlier)(const float *row, size_t n, float limit);
    /* out[i] += value * weight[i] * scale[i] */
    void (*add_left_out)(const struct tars_left_out *from, float *out, size_t n);
    /* The n floats as bfloat16, rounded to nearest even. */
    void (*to_bf16)(const float *row, size_t n, uint16_t *out);
    /* row[i] = row[i] * (1 + erf(row[i] / sqrt(2))) / 2 */
    void (*gelu)(float *row, size_t n);
    /* x = layer_norm(x + add), add may be NULL. Mean and variance over the n floats. */
    void (*layer_norm)(float *x, const float *add, const float *gain, const float *bias, float eps,
                       size_t n);
    /* out = softmax(q k' / sqrt(head_dim)) v of each head. */
    void (*attention)(const struct tars_attention *attention);
    size_t (*scratch_floats)(size_t tokens, size_t head_dim);
};

/* The best table for this processor that the environment (DNNL_MAX_CPU_ISA) allows. */
const struct tars_kernels *tars_kernels(void);
/* The i-th table, best first, that this processor can run; NULL past the last. For tests. */
const struct tars_kernels *tars_kernels_at(size_t i);

#endif
