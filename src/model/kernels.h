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

#include <stdbool.h>
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

/* How a row of floats became bytes: x[i] ~ q[i] * scale + zero. */
struct tars_quantised {
    float scale;
    float zero;
    size_t place; /* of the float that was left out; the row's length: none was */
    float value;  /* what that float has more than its byte says */
};

/* Sums of products of bytes, of some rows and columns of a whole product. */
struct tars_tile {
    const int32_t *sums; /* (rows, columns), each row step numbers after the one before; what lies
                            up to the next multiple of 16 columns may be read */
    size_t step;
    size_t first; /* row */
    size_t rows;
    size_t column; /* first one; a multiple of 16 */
    size_t columns;
};

/* What turns them into floats. */
struct tars_finish {
    const float *scale;                /* (n,) of each column's weights */
    const float *sum;                  /* (n,) of each column's weights */
    const float *bias;                 /* (n,) */
    const struct tars_quantised *rows; /* (rows,) of x */
    const int8_t *weights;             /* of gemm8.h's layout, for what was left out; NULL where
                                          nothing ever is */
    size_t k;                          /* length of a row of x */
    size_t panel_bytes;                /* from a panel of weights to the next */
    bool has_gelu;                     /* applied last */
    float *y;                          /* (rows, n) */
    size_t n;
};

struct tars_kernels {
    const char *name;
    /* row[i] += bias[i] */
    void (*add)(float *row, const float *bias, size_t n);
    /* y[r][i] = sums[r][i] * scale_r * scale[i] + zero_r * sum[i] + bias[i], and what was left out
     * of row r times its weights; the sums may lie where y does. */
    void (*finish)(const struct tars_finish *finish, const struct tars_tile *tile);
    /* The n floats as levels + 1 steps from their least to their greatest. If their range is over
     * limit times their root mean square, the one farthest from 0 is left out and counts as 0;
     * limit 0: none is. row is the same afterwards. */
    void (*quantise)(float *row, size_t n, int levels, float limit, uint8_t *out,
                     struct tars_quantised *how);
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
