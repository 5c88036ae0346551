/* bert - the network itself: token ids in, one pooled vector of unit length a text out.
 *
 *     x = norm(word + position + type)                                   (tokens, hidden)
 *     each layer: x = norm(x + out(attention(qkv(x)))); x = norm(x + down(gelu(up(x))))
 *     vector = unit(pool(x))
 *
 * Model     The tokens of all texts of a call lie end to end in one matrix, without padding;
 *           everything but the attention works on its rows, 128 at a time, so that what a block
 *           touches stays in the second-level cache.
 * Threads   A bert is read-only after opening: share it. A work belongs to one thread at a time.
 */
#ifndef TARS_MODEL_BERT_H
#define TARS_MODEL_BERT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "model/config.h"
#include "model/linear.h"

struct tars_bert;
struct tars_safetensors;
struct tars_bert_work;

/* Texts as token ids: text i is ids[starts[i]] up to ids[starts[i + 1]]. */
struct tars_bert_texts {
    const int32_t *ids;    /* each in the vocabulary */
    const size_t *starts;  /* (n + 1,) */
    const size_t *seconds; /* (n,) where in ids the second part of each text begins, whose tokens
                              are of the second type; NULL: all are of the first */
    size_t n;
};

/* Where the weights are. */
struct tars_bert_weights {
    const char *path;      /* safetensors; required */
    char *digest;          /* the SHA-256 of that file in hex is written here,
                              TARS_SHA256_HEX_BYTES; NULL: nobody wants it, nothing is kept */
    const char *cache_dir; /* where they are kept as packed (packed.h); NULL: nowhere */
};

/* Read the weights as the model that config describes. What is kept gives the very same network.
 * A digest that is not remembered (identity.h) is computed beside the reading.
 * Statuses and messages as tars_encoder_open(). */
TARS_MUST_USE tars_status tars_bert_open(const struct tars_model_config *config,
                                         const struct tars_bert_weights *weights,
                                         enum tars_linear_type type, struct tars_bert **bert,
                                         struct tars_err *err);
void tars_bert_close(struct tars_bert *bert);
enum tars_linear_type tars_bert_type(const struct tars_bert *bert);
const char *tars_bert_implementation(const struct tars_bert *bert);
/* The file of the weights, for what stands on top of the network. Lent until _close(). */
const struct tars_safetensors *tars_bert_file(const struct tars_bert *bert);

/* Room for calls of at most max_tokens tokens in all. */
TARS_MUST_USE tars_status tars_bert_work_new(const struct tars_bert *bert, size_t max_tokens,
                                             struct tars_bert_work **work, struct tars_err *err);
void tars_bert_work_free(struct tars_bert_work *work);

/* out: (texts->n, hidden). The ids and lengths have been checked by the caller (asserted). */
TARS_MUST_USE tars_status tars_bert_run(const struct tars_bert *bert, struct tars_bert_work *work,
                                        const struct tars_bert_texts *texts, float *out,
                                        struct tars_err *err);

/* out: (texts->n, hidden), what the last layer says of the first token of each text, neither pooled
 * nor brought to unit length. The rest of that layer is not computed. */
TARS_MUST_USE tars_status tars_bert_run_first(const struct tars_bert *bert,
                                              struct tars_bert_work *work,
                                              const struct tars_bert_texts *texts, float *out,
                                              struct tars_err *err);

#endif
