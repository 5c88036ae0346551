/* config - what the files of a sentence-transformers folder say about a model.
 *
 * Reads  config.json             shape of the BERT; the only one that must be there
 *        modules.json            where the pooling is described (else 1_Pooling/)
 *        <pooling>/config.json   mean (also when there is none), cls or max
 *        sentence_bert_config.json   longest text in tokens
 *        tokenizer_config.json   lower case or not
 *        config_sentence_transformers.json   prefixes of questions and passages
 *
 * Folders of the e5 and bge families that bring no prefixes get those of their authors.
 */
#ifndef TARS_MODEL_CONFIG_H
#define TARS_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define TARS_MODEL_PREFIX_MAX 256 /* bytes, with the final NUL */
#define TARS_MODEL_NAME_MAX   128 /* bytes, with the final NUL */

enum tars_model_pooling {
    TARS_POOLING_MEAN,
    TARS_POOLING_CLS,
    TARS_POOLING_MAX,
};

struct tars_model_config {
    size_t hidden;        /* floats of a token's vector, and of the result */
    size_t layers;        /* */
    size_t heads;         /* divides hidden */
    size_t intermediate;  /* floats between the two products of a layer's second half */
    size_t positions;     /* longest text that the weights know */
    size_t vocab;         /* rows of the word table */
    size_t max_tokens;    /* longest text to embed, at most positions */
    float layer_norm_eps; /* */
    bool cased;           /* false: the tokenizer lowers case */
    enum tars_model_pooling pooling;
    char name[TARS_MODEL_NAME_MAX]; /* of the folder */
    char query_prefix[TARS_MODEL_PREFIX_MAX];
    char passage_prefix[TARS_MODEL_PREFIX_MAX];
};

/* Read the folder. *config is written on success only; messages name the file.
 *
 *   TARS_ENOTFOUND     the folder, or its config.json, is not there
 *   TARS_EFORMAT       a file is not JSON, or a number is missing or out of range
 *   TARS_EUNSUPPORTED  not a BERT, or a pooling or activation that is not known
 */
TARS_MUST_USE tars_status tars_model_config_read(const char *dir, struct tars_model_config *config,
                                                 struct tars_err *err);

/* "mean", "cls" or "max". */
const char *tars_model_pooling_text(enum tars_model_pooling pooling);

#endif
