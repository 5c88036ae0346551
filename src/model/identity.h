/* identity - which model made a vector, as 64 hex digits.
 *
 * Vectors may be compared only when all that shaped them is the same: the weights, the vocabulary,
 * the pooling, the longest text and the prefixes. The precision is left out on purpose: int8 and
 * fp32 vectors of one model are compatible.
 *
 * The digest of the weights costs a read of the whole file (90 MB: 60 ms where the processor has
 * SHA instructions, some 300 ms where not). It is therefore remembered in a small file,
 *
 *     tars-weights-digest 1\n<hex> <bytes> <mtime ns> <inode> <path>\n
 *
 * and believed as long as size, time and inode of the weights are the same. A side file that is
 * damaged, or cannot be written, only costs the time again.
 */
#ifndef TARS_MODEL_IDENTITY_H
#define TARS_MODEL_IDENTITY_H

#include <stdbool.h>

#include "base/crypto/digest.h"
#include "base/mem/span.h"
#include "base/status.h"
#include "model/config.h"

/* SHA-256 of the file fd, which stands at its beginning and was opened at path, into hex,
 * TARS_SHA256_HEX_BYTES. cache_dir may be NULL. */
TARS_MUST_USE tars_status tars_weights_digest(int fd, const char *path, const char *cache_dir,
                                              char *hex, struct tars_err *err);

/* The same where a side file tells it; false: somebody has to read the weights. */
bool tars_weights_recall(int fd, const char *path, const char *cache_dir, char *hex);

/* The identity into hex, TARS_SHA256_HEX_BYTES. */
TARS_MUST_USE tars_status tars_model_identity(const struct tars_model_config *config,
                                              const char *weights_digest, struct tars_span vocab,
                                              char *hex);

#endif
