/* cross_head - what stands on top of a BERT that scores pairs: pooler, classifier, activation.
 *
 *     score = activation(classifier . tanh(pooler x + bias) + bias)      x: the row of [CLS]
 *
 * In fp32 whatever the precision of the network: it is one row a pair. The activation is what
 * config.json names for CrossEncoder: Identity, or Sigmoid, which is also the default.
 *
 * Threads   Read-only after opening.
 */
#ifndef TARS_MODEL_CROSS_HEAD_H
#define TARS_MODEL_CROSS_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/span.h"
#include "base/status.h"

struct tars_safetensors;

/* The caller's storage; zero is released. */
struct tars_cross_head {
    size_t hidden;
    float *block;      /* owned; holds all below */
    float *pooler;     /* (hidden, hidden) [from][to] */
    float *bias;       /* (hidden,) of the pooler */
    float *classifier; /* (hidden,) */
    float out_bias;
};

/* What the folder's JSON files say besides the shape of the BERT. */
struct tars_cross_settings {
    bool is_sigmoid;
    size_t max_tokens; /* tokenizer_config.json's model_max_length; 0: it says none */
};

/* TARS_EFORMAT: a tensor is missing or of another shape; TARS_EUNSUPPORTED: more labels than one.
 * path is for messages. */
TARS_MUST_USE tars_status tars_cross_head_init(struct tars_cross_head *head,
                                               const struct tars_safetensors *file,
                                               const char *path, size_t hidden,
                                               struct tars_err *err);
void tars_cross_head_release(struct tars_cross_head *head);

/* The logit of row, (hidden,). */
float tars_cross_head_logit(const struct tars_cross_head *head, const float *row);

/* Of the bytes of config.json and of tokenizer_config.json (empty: there is none).
 *
 *   TARS_EFORMAT       not JSON
 *   TARS_EUNSUPPORTED  an activation that is not known
 *   TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_cross_settings_read(struct tars_span config,
                                                   struct tars_span tokenizer,
                                                   struct tars_cross_settings *out,
                                                   struct tars_err *err);

#endif
