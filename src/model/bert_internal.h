/* bert_internal - what bert.c and bert_weights.c share. */
#ifndef TARS_MODEL_BERT_INTERNAL_H
#define TARS_MODEL_BERT_INTERNAL_H

#include "model/bert.h"
#include "model/kernels.h"
#include "model/packed.h"
#include "model/safetensors.h"

struct norm {
    float *gain; /* (hidden,) owned; bias lies behind it */
    float *bias; /* (hidden,) */
};

struct layer {
    struct tars_linear qkv;  /* hidden -> 3 * hidden: queries, keys, values */
    struct tars_linear out;  /* hidden -> hidden, after the attention */
    struct tars_linear up;   /* hidden -> intermediate */
    struct tars_linear down; /* intermediate -> hidden */
    struct norm norm1;       /* after out */
    struct norm norm2;       /* after down */
};

struct tars_bert {
    struct tars_model_config config;
    struct tars_linear_set *set;
    const struct tars_kernels *kernels;
    struct tars_safetensors *file;   /* stays mapped for words */
    const struct tars_tensor *words; /* (vocab, hidden) of floats; only rows in use are touched */
    float *positions;                /* (positions, hidden) with the type vector added; owned */
    float *second;                   /* (hidden,) what the second type adds to that; owned; NULL:
                                        the model has no second type */
    struct norm norm;                /* of the embedding */
    struct layer *layers;            /* (config.layers,) owned */
    struct tars_packed packed;       /* what the layers' weights lie in, with gemm8 */
};

#endif
