/* packed - weights as gemm8 wants them, kept in a file between openings: fitting them takes some
 * tenths of a second of a core, reading them some milliseconds.
 *
 * File      <cache_dir>/weights.packed: a header of TARS_PACKED_HEAD bytes, then the body.
 *
 *               tars-packed-weights 1 <label> <bytes of the body> <SHA-256 of the body>\n, zeros
 *
 *           Nothing in it is parsed: the header that the body ought to have is made anew, and
 *           anything else is refused. The label tells of what weights the body is and how it is
 *           laid out. Written as a whole (tars_file_replace), mapped read-only and shared.
 * Failures  None to the caller but lack of memory for the body: a file that is not there, is
 *           another's, is damaged or cannot be written costs the time of fitting again.
 */
#ifndef TARS_MODEL_PACKED_H
#define TARS_MODEL_PACKED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/sys/file.h"

#define TARS_PACKED_HEAD      256 /* bytes; a multiple of TARS_LINEAR_ALIGN */
#define TARS_PACKED_LABEL_MAX 128 /* bytes of a label with its NUL */
#define TARS_PACKED_NAME      "weights.packed"

/* Zeroed: nothing is held. */
struct tars_packed {
    const char *body; /* (len,) aligned to TARS_LINEAR_ALIGN */
    size_t len;
    char *image;         /* header and body while they are being made, in room; or NULL */
    void *room;          /* owned */
    struct tars_map map; /* what body lies in otherwise */
};

/* Whether cache_dir keeps a body of that label and length; it is mapped then. */
bool tars_packed_find(const char *cache_dir, const char *label, size_t len,
                      struct tars_packed *packed);
/* Whether a file is there that may keep a body of that length, of whatever label. */
bool tars_packed_may_be_kept(const char *cache_dir, size_t len);
/* Memory for a body of len bytes, zeroed; *body is where to write it. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_packed_new(size_t len, struct tars_packed *packed, char **body);
/* Keep a body that has been made. Whether it was written changes nothing else. */
bool tars_packed_keep(const char *cache_dir, const char *label, struct tars_packed *packed);
void tars_packed_release(struct tars_packed *packed);

#endif
