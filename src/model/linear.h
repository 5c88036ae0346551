/* linear - y = x W' for the layers of an encoder, on oneDNN or gemm8.
 *
 * Model     A linear_set holds what the layers of one model share: oneDNN's engine, the precision,
 *           and one primitive for each shape (k, n) and bucket of rows. A linear is one layer's
 *           weights, packed once into the layout that the primitives of its shape ask for; a
 *           linear_run is what one computing thread needs.
 * Buckets   Rows are rounded up to a multiple of 16, at most 128: a primitive of fixed shape is up
 *           to a third faster than one with runtime rows. Primitives are made when first needed,
 *           under a lock.
 * int8      Weights: signed, one scale per output column. Activations: unsigned, one scale and zero
 *           per row, applied to the sums (kernels.h: finish); as a post-op they would push
 *           oneDNN to its reference loop. oneDNN computes them only where the processor adds
 * products in 32 bits (VNNI): elsewhere it adds pairs in 16 bits, activations would have to keep to
 * 7 bits, and the cosine to fp32 falls to 0.98. There gemm8.h computes them, with AVX2; without
 * AVX2 the set is fp32. By hand   The environment variable DNNL_MAX_CPU_ISA (AVX2, SSE41, ...)
 * holds for all of this. Threads   A set and its linears are safe to share; a run is not. A
 * computing thread calls tars_linear_one_thread() first.
 */
#ifndef TARS_MODEL_LINEAR_H
#define TARS_MODEL_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "model/kernels.h"

#define TARS_LINEAR_ROWS   128 /* most rows of one product */
#define TARS_LINEAR_STEP   16  /* rows are rounded up to a multiple of it */
#define TARS_LINEAR_ALIGN  64  /* bytes */
#define TARS_LINEAR_LEVELS 255 /* greatest step of a quantised activation, on any processor */

enum tars_linear_type {
    TARS_LINEAR_INT8, /* x uint8_t, y int32_t */
    TARS_LINEAR_BF16, /* x uint16_t, y float */
    TARS_LINEAR_FP32, /* x float, y float */
};

struct tars_linear_set;
struct tars_linear_run;

/* Fields are read-only outside this module. */
struct tars_linear {
    size_t k, n;         /* floats in, floats out */
    float *bias;         /* (n,) */
    float *scale;        /* (n,) int8: of each column; else NULL */
    float *sum;          /* (n,) int8: of each column's weights, scaled; else NULL */
    struct shape *shape; /* of the set; NULL where gemm8 computes */
    void *weights;       /* dnnl_memory_t, packed; or NULL */
    const int8_t *bytes; /* packed for gemm8; or NULL */
    void *room;          /* owned, what bytes lie in; NULL: lent */
};

/* A type that the processor has no good product for becomes fp32: see tars_linear_set_type(). */
TARS_MUST_USE tars_status tars_linear_set_new(enum tars_linear_type type,
                                              struct tars_linear_set **set, struct tars_err *err);
void tars_linear_set_free(struct tars_linear_set *set);

enum tars_linear_type tars_linear_set_type(const struct tars_linear_set *set);
/* Bytes of an element of x. */
size_t tars_linear_set_x_bytes(const struct tars_linear_set *set);

/* Greatest step that an element of x may have, with int8; at most TARS_LINEAR_LEVELS. */
int tars_linear_set_levels(const struct tars_linear_set *set);

/* Name of what computes (k, n) with that many rows, oneDNN's or gemm8's; "" when there is none.
 * Lent until the set is freed. */
const char *tars_linear_set_implementation(struct tars_linear_set *set, size_t k, size_t n,
                                           size_t rows);

/* Pack weights (n, k) and bias (n,), which are copied. linear is caller's storage. */
TARS_MUST_USE tars_status tars_linear_init(struct tars_linear_set *set, size_t k, size_t n,
                                           const float *weights, const float *bias,
                                           struct tars_linear *linear, struct tars_err *err);
/* Bytes of the room that weights of (k, n), packed, take with their scales and sums, a multiple of
 * TARS_LINEAR_ALIGN; 0 where oneDNN packs them, whose layout is its own affair. */
size_t tars_linear_packed_bytes(const struct tars_linear_set *set, size_t k, size_t n);
/* The same, packed into room of that many bytes, zeroed, aligned to TARS_LINEAR_ALIGN and lent
 * until _release(). What is in it then may be kept, for any process. */
TARS_MUST_USE tars_status tars_linear_init_in(const struct tars_linear_set *set, size_t k, size_t n,
                                              const float *weights, const float *bias, void *room,
                                              struct tars_linear *linear);
/* From a room that was packed so. */
TARS_MUST_USE tars_status tars_linear_init_packed(const struct tars_linear_set *set, size_t k,
                                                  size_t n, const void *room, const float *bias,
                                                  struct tars_linear *linear);
void tars_linear_release(struct tars_linear *linear);

TARS_MUST_USE tars_status tars_linear_run_new(struct tars_linear_set *set,
                                              struct tars_linear_run **run, struct tars_err *err);
void tars_linear_run_free(struct tars_linear_run *run);

/* y (rows, n) = x (rows, k) * weights, 1 <= rows <= TARS_LINEAR_ROWS; scales and bias are left to
 * the caller. Both must have room for rows rounded up to TARS_LINEAR_STEP: the rest of x is read
 * and the rest of y written, with anything. */
TARS_MUST_USE tars_status tars_linear_apply(struct tars_linear_run *run,
                                            const struct tars_linear *linear, const void *x,
                                            size_t rows, void *y, struct tars_err *err);

/* Rows of a product, and what becomes of them. */
struct tars_linear_wish {
    const void *x;                    /* (rows, k) */
    const struct tars_quantised *how; /* (rows,) int8: of tars_kernels.quantise; else unused */
    size_t rows;
    bool has_gelu; /* applied last */
};

/* y (rows, n) = x * weights + bias, as floats; else as tars_linear_apply(). */
TARS_MUST_USE tars_status tars_linear_apply_whole(struct tars_linear_run *run,
                                                  const struct tars_linear *linear,
                                                  const struct tars_linear_wish *wish, float *y,
                                                  struct tars_err *err);

/* How many rows at a time are computed fastest where there are many; at most TARS_LINEAR_ROWS. */
size_t tars_linear_set_rows(const struct tars_linear_set *set);
/* What quantise() is to be given as its limit: floats may be left out where gemm8 computes, whose
 * activations have fewer steps than elsewhere. */
float tars_linear_set_limit(const struct tars_linear_set *set);

/* OpenMP, which oneDNN uses, may not start threads of its own in the calling thread. */
void tars_linear_one_thread(void);

#endif
