/* vocab - the pieces of a WordPiece vocabulary, whichever file of a model's folder names them.
 *
 *     vocab.txt        one piece a line, the line number is the id
 *     tokenizer.json   {"normalizer": {"lowercase": true, ...},
 *                       "model": {"type": "WordPiece", "vocab": {"piece": id, ...}, ...}, ...}
 *
 * Newer folders bring only the second. It becomes the text of the first.
 *
 * Bounds    32 MiB of file; TARS_WORDPIECE_VOCAB_MAX pieces; the ids of tokenizer.json are 0 to n -
 * 1, each once. Foreign bytes: all is checked; fuzzed.
 */
#ifndef TARS_MODEL_VOCAB_H
#define TARS_MODEL_VOCAB_H

#include <stdbool.h>

#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_VOCAB_BYTES_MAX ((size_t)32 << 20)

/* Append the vocabulary of a tokenizer.json to out. *cased: it does not lower case; untouched where
 * the file does not say.
 *
 *   TARS_EFORMAT       not JSON, or a vocabulary with holes
 *   TARS_EUNSUPPORTED  a tokenizer of another kind than WordPiece
 *   TARS_ENOMEM, TARS_ETOOBIG
 */
TARS_MUST_USE tars_status tars_vocab_of_json(struct tars_span json, struct tars_buf *out,
                                             bool *cased, struct tars_err *err);

/* Append dir/vocab.txt, or else what dir/tokenizer.json says. TARS_ENOTFOUND: neither is there. */
TARS_MUST_USE tars_status tars_vocab_read(const char *dir, struct tars_buf *out, bool *cased,
                                          struct tars_err *err);

#endif
