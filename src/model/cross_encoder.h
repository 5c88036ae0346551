/* cross_encoder - how well passages answer a question: a BERT that reads both at once.
 *
 *     [CLS] question [SEP] passage [SEP]  -> BERT -> row of [CLS] -> tanh(pooler) -> classifier ->
 * score
 *     \----- type 0 ------------/\- 1 --/
 *
 * Model     A folder as transformers writes a BertForSequenceClassification of one label (ms-marco
 *           MiniLM and TinyBERT of sentence-transformers' CrossEncoder, and the like): config.json,
 *           vocab.txt or tokenizer.json, model.safetensors. Scores are those of
 *           CrossEncoder.predict(): the logit's sigmoid, or the logit itself where the folder says
 *           so. A pair over max_tokens is cut as there ("longest_first").
 * Batches   Pairs lie end to end in one matrix, about 512 tokens at once, whole; none is padded.
 * Time      Pairs are scored in their order. Before each batch the clock is asked, and what the
 *           batch will take is judged by those before it: it holds no more pairs than will be done
 *           in time, and when there is none left that will, the call ends. The first pair of a call
 *           is always tried.
 * Threads   Safe to share; a call computes in its caller's thread, with OpenMP set to one. At most
 *           2 calls a processor compute at once, the others wait, no longer than their time.
 * Memory    As an encoder's (encoder.h), and the pooler's matrix in fp32.
 */
#ifndef TARS_MODEL_CROSS_ENCODER_H
#define TARS_MODEL_CROSS_ENCODER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/encoder.h"

struct tars_cross_encoder;

/* Copied; the strings are borrowed for the call. */
struct tars_cross_encoder_config {
    const char *dir;                       /* the model's folder; required */
    enum tars_encoder_precision precision; /* zero: int8 */
    size_t max_tokens;                     /* of a pair with [CLS] and [SEP]; 0, or more than the
                                              model's own limit: that limit */
    const char *cache_dir;                 /* as in struct tars_encoder_config */
};

/* Lent until _close(). */
struct tars_cross_encoder_info {
    const char *name;                           /* the folder's name */
    size_t max_tokens;                          /* of a pair */
    bool is_sigmoid;                            /* scores are in 0..1; else they are logits */
    enum tars_encoder_precision precision;      /* really used */
    const char *implementation;                 /* what multiplies */
    char identity[TARS_ENCODER_IDENTITY_BYTES]; /* SHA-256 over weights, vocabulary, max_tokens,
                                                   activation and precision */
};

struct tars_cross_encoder_wish {
    struct tars_span question;
    const struct tars_span *passages; /* (n,) */
    size_t n;
    int64_t until_ns;             /* of tars_clock_mono_ns(); 0: however long it takes */
    const atomic_bool *cancelled; /* asked between batches; NULL: nobody cancels */
};

/* Statuses and messages as tars_encoder_open(); TARS_EUNSUPPORTED also for more than one label. */
TARS_MUST_USE tars_status tars_cross_encoder_open(const struct tars_cross_encoder_config *config,
                                                  struct tars_cross_encoder **encoder,
                                                  struct tars_err *err);
/* Nobody may be scoring any more. NULL is allowed. */
void tars_cross_encoder_close(struct tars_cross_encoder *encoder);

const struct tars_cross_encoder_info *
tars_cross_encoder_info(const struct tars_cross_encoder *encoder);

/* scores: (n,), of which the first *scored are written; all but where the time was over or
 * *cancelled.
 *
 *   TARS_ENOMEM   *scored is 0
 *   TARS_ETOOBIG  a text of 1 GiB or more
 *   TARS_EIO      a product failed; the message says what
 */
TARS_MUST_USE tars_status tars_cross_encoder_score(struct tars_cross_encoder *encoder,
                                                   const struct tars_cross_encoder_wish *wish,
                                                   float *scores, size_t *scored,
                                                   struct tars_err *err);

#endif
