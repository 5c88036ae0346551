/* input - the bytes of one file, as a stream or as a whole, gzip undone for those who stream.
 *
 * Threads   Not safe to share.
 * Bounds    A whole file is mapped, so it counts against the address space limit, not on the heap;
 *           over INPUT_WHOLE_MAX it is refused.
 */
#ifndef TARS_EXTRACT_FORMATS_INPUT_H
#define TARS_EXTRACT_FORMATS_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"

#define TARS_INPUT_WHOLE_MAX ((size_t)512 * 1024 * 1024) /* bytes of a mapped file */
#define TARS_INPUT_HEAD_MAX  ((size_t)64 * 1024)         /* bytes that sniffers may look at */

struct tars_charsets;

struct tars_input {
    int fd;
    size_t size;                    /* bytes */
    const char *name;               /* of the file, as told; may be a path */
    struct tars_span head;          /* first bytes, gzip undone; owned */
    bool is_gzip;                   /* the file is compressed and the stream is not */
    struct tars_charsets *charsets; /* borrowed */
    const char *map;                /* whole file once asked for; owned */
    uint64_t at;                    /* file offset of the stream */
    void *inflate;                  /* z_stream of the stream, or NULL; owned */
    char *packed;                   /* its input buffer; owned */
};

/* Does not take fd. TARS_EIO when it is not a regular file or cannot be read. */
TARS_MUST_USE tars_status tars_input_open(struct tars_input *input, int fd, const char *name,
                                          struct tars_charsets *charsets, struct tars_err *err);
void tars_input_close(struct tars_input *input);

/* The whole file, packed as it is; lent until the input is closed. */
TARS_MUST_USE tars_status tars_input_whole(struct tars_input *input, struct tars_span *bytes,
                                           struct tars_err *err);

/* The next bytes of the stream: TARS_OK with *n > 0, TARS_ENOTFOUND at the end, TARS_EFORMAT for
 * damaged gzip, TARS_EIO. */
TARS_MUST_USE tars_status tars_input_read(struct tars_input *input, char *bytes, size_t cap,
                                          size_t *n);

/* True when the file's name ends in "." and one of the extensions, joined by spaces. A ".gz" at its
 * end counts only where an extension has it. */
bool tars_input_name_ends(const struct tars_input *input, const char *extensions);

#endif
