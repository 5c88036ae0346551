/* encoder - texts to vectors: a BERT of the sentence-transformers kind, on oneDNN.
 *
 * Model     A folder as sentence-transformers writes it (model/config.h) names the shape, the
 *           pooling and the prefixes; its weights stay mapped, and the matrices of the layers are
 *           packed once in the precision asked for. The texts of a call are packed end to end, so
 *           that no row of a product is padding but the last few of a batch.
 * Precision int8: weights per output channel, activations per token; cosine to fp32 >= 0.99.
 *           Vectors of all precisions are compatible and share one identity.
 * Threads   Safe to share; any number of callers. A call computes in the caller's thread, and with
 *           threads > 1 a call of many texts also in the encoder's own workers. OpenMP is set to
 *           one thread in each thread that computes, the caller's included.
 * Memory    int8: 11 MB for MiniLM-L6, besides touched pages of the mapped word table; fp32: 43
 *           MB. About 9 KB a token for at most 512 tokens, for each call under way; not more than
 *           2 * threads are, the others wait.
 * Costs     Linear in tokens; attention is quadratic in the tokens of one text.
 */
#ifndef TARS_MODEL_ENCODER_H
#define TARS_MODEL_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"
#include "text/wordpiece.h"

#define TARS_ENCODER_IDENTITY_BYTES 65  /* 64 lower-case hex digits and a NUL */
#define TARS_ENCODER_THREADS_MAX    256 /* workers of one encoder */

struct tars_encoder;

enum tars_encoder_precision {
    TARS_ENCODER_INT8, /* the default; with VNNI or AVX2, else fp32 is taken */
    TARS_ENCODER_BF16, /* where the processor multiplies bf16 itself, else fp32 is taken */
    TARS_ENCODER_FP32,
};

/* What a text is: some models want another prefix before a question than before a passage. */
enum tars_embed_kind {
    TARS_EMBED_QUERY,
    TARS_EMBED_PASSAGE,
};

/* How an encoder is opened. Copied; the strings are borrowed for the call. */
struct tars_encoder_config {
    const char *dir;                       /* the model's folder; required */
    enum tars_encoder_precision precision; /* zero: int8 */
    size_t threads;                        /* computing in one call, the caller's counted; 0: one */
    size_t max_tokens;     /* of one text with [CLS] and [SEP]; 0, or more than the model's own
                              limit: that limit */
    const char *cache_dir; /* where the digest of the weights is remembered and packed weights are
                              kept (packed.h), so that a start need neither read 90 MB nor pack
                              them; NULL: done at each open */
};

/* Lent until _close(). */
struct tars_encoder_info {
    size_t dim;                                 /* floats of one vector */
    size_t max_tokens;                          /* of one text, [CLS] and [SEP] counted */
    char identity[TARS_ENCODER_IDENTITY_BYTES]; /* SHA-256 over weights, vocabulary, pooling,
                                                   max_tokens and prefixes; not the precision */
    const char *name;                           /* the folder's name */
    const char *query_prefix;                   /* put before questions; may be empty */
    const char *passage_prefix;                 /* put before passages; may be empty */
    enum tars_encoder_precision precision;      /* really used */
    const char *implementation;                 /* what multiplies, by oneDNN's name or ours */
};

/* Open a model. On success *encoder is a new object that the caller closes; on failure *encoder is
 * untouched and the message names the file and the remedy.
 *
 *   TARS_EINVAL        dir missing, or threads out of range
 *   TARS_ENOTFOUND     the folder or a file in it is not there
 *   TARS_EFORMAT       a file is damaged or does not fit the others
 *   TARS_EUNSUPPORTED  a model of another family
 *   TARS_EIO, TARS_EDENIED, TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_encoder_open(const struct tars_encoder_config *config,
                                            struct tars_encoder **encoder, struct tars_err *err);

/* Nobody may be embedding any more. NULL is allowed. */
void tars_encoder_close(struct tars_encoder *encoder);

const struct tars_encoder_info *tars_encoder_info(const struct tars_encoder *encoder);

/* The tokenizer of the model, lent until _close(). */
const struct tars_wordpiece *tars_encoder_wordpiece(const struct tars_encoder *encoder);

/* Vectors of unit length into out, shape (n, dim), in the order of texts, shape (n,). The prefix of
 * kind is put before each text; what lies past max_tokens is cut. An empty text has a vector too.
 *
 *   TARS_ENOMEM   out may be partly written
 *   TARS_ETOOBIG  a text of 1 GiB or more
 *   TARS_EIO      oneDNN refused; the message says what
 */
TARS_MUST_USE tars_status tars_encoder_embed(struct tars_encoder *encoder,
                                             enum tars_embed_kind kind,
                                             const struct tars_span *texts, size_t n, float *out,
                                             struct tars_err *err);

/* The same for texts that are tokens already: the ids of text i are ids[starts[i]] up to
 * ids[starts[i + 1]], [CLS] and [SEP] among them; starts has shape (n + 1,). Each text has at least
 * one token and at most max_tokens.
 *
 *   TARS_EINVAL  an id outside the vocabulary, or a text of no or too many tokens
 */
TARS_MUST_USE tars_status tars_encoder_embed_ids(struct tars_encoder *encoder, const int32_t *ids,
                                                 const size_t *starts, size_t n, float *out,
                                                 struct tars_err *err);

#endif
