/* safetensors - named arrays in a mapped file, as models are shipped.
 *
 *     | header length, u64 little endian | header, JSON | data ... |
 *     header: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
 *
 * Model     The header is read once and checked whole; afterwards every tensor lies inside the
 *           bytes, has exactly the size that its shape and type ask for, and overlaps no other. The
 *           data is never copied and may be unaligned: read it through tars_tensor_read_f32().
 * Bounds    TARS_SAFETENSORS_HEADER_MAX bytes of header, _TENSORS_MAX tensors, _DIMS_MAX
 *           dimensions, names of _NAME_MAX bytes.
 * Threads   Read-only after opening: share it freely.
 * Costs     Opening parses the header, about 1 ms for 100 tensors; a lookup is a binary search.
 */
#ifndef TARS_MODEL_SAFETENSORS_H
#define TARS_MODEL_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"

#define TARS_SAFETENSORS_HEADER_MAX  ((size_t)8 << 20) /* bytes */
#define TARS_SAFETENSORS_TENSORS_MAX 16384
#define TARS_SAFETENSORS_DIMS_MAX    8
#define TARS_SAFETENSORS_NAME_MAX    512 /* bytes */

struct tars_safetensors;

enum tars_tensor_type {
    TARS_TENSOR_F32,
    TARS_TENSOR_F16,
    TARS_TENSOR_BF16,
    TARS_TENSOR_OTHER, /* integers and the rest: known to be there, never read */
};

struct tars_tensor {
    const char *name;                       /* terminated; lent by its file */
    enum tars_tensor_type type;             /* */
    size_t dims[TARS_SAFETENSORS_DIMS_MAX]; /* (dim_count,) outermost first */
    size_t dim_count;                       /* 0: a single number */
    size_t count;                           /* elements: the product of dims */
    const unsigned char *data;              /* (bytes,) any alignment; lent by its file */
    size_t bytes;                           /* of data */
};

/* Read the header of bytes that the caller keeps until _close().
 *
 *   TARS_EFORMAT  not such a file, or damaged; the message says what is wrong
 *   TARS_ETOOBIG  over one of the bounds above
 *   TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_safetensors_parse(struct tars_span bytes,
                                                 struct tars_safetensors **file,
                                                 struct tars_err *err);

/* The same for a file, which stays mapped until _close(). Messages name the path. */
TARS_MUST_USE tars_status tars_safetensors_open(const char *path, struct tars_safetensors **file,
                                                struct tars_err *err);
/* That file itself, which path may name no more. Lent until _close(); -1 when it was parsed. */
int tars_safetensors_fd(const struct tars_safetensors *file);
/* NULL is allowed. */
void tars_safetensors_close(struct tars_safetensors *file);

/* The tensor of that name, or NULL. */
const struct tars_tensor *tars_safetensors_find(const struct tars_safetensors *file,
                                                const char *name);
size_t tars_safetensors_count(const struct tars_safetensors *file);

/* Tell the system that the data is not needed for now: its pages leave the resident set and come
 * back from the file when touched. */
void tars_safetensors_forget_pages(const struct tars_safetensors *file);

/* count elements from first on as floats. TARS_EUNSUPPORTED for a type that is not a float.
 * first + count is at most tensor->count (asserted). */
TARS_MUST_USE tars_status tars_tensor_read_f32(const struct tars_tensor *tensor, size_t first,
                                               size_t count, float *out);

#endif
