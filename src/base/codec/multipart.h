/* multipart - the parts of a multipart/form-data body (RFC 7578, RFC 2046) that is in memory.
 *
 *     tars_multipart_boundary(content_type_value, &boundary)
 *     tars_multipart_init(&reader, body, boundary);
 *     while ((status = tars_multipart_next(&reader, &part)) == TARS_OK)
 *         use part.name, part.body
 *     status is TARS_ENOTFOUND at the regular end
 *
 * Model     Pure: no allocation, every span lies in the caller's bytes and lives as long as they
 *           do.
 * Strict    Line ends are CRLF; the close delimiter must be there; a part needs a
 *           content-disposition of form-data with a name.
 * Bounds    TARS_MULTIPART_PARTS_MAX parts, TARS_MULTIPART_HEAD_MAX bytes of headers in each.
 * Cost      One pass over the body (memmem).
 */
#ifndef TARS_BASE_CODEC_MULTIPART_H
#define TARS_BASE_CODEC_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_MULTIPART_BOUNDARY_MAX 70   /* characters, RFC 2046 */
#define TARS_MULTIPART_PARTS_MAX    1024 /* in one body */
#define TARS_MULTIPART_HEAD_MAX     8192 /* bytes of headers of one part */

struct tars_multipart {
    struct tars_span rest;                               /* not read yet */
    char delimiter[TARS_MULTIPART_BOUNDARY_MAX + 4 + 1]; /* CRLF "--" boundary NUL */
    size_t delimiter_len;
    size_t parts; /* given out */
    int state;    /* private */
};

struct tars_multipart_part {
    struct tars_span name;         /* as sent, between its quotes */
    struct tars_span filename;     /* as sent; see tars_multipart_file_name() */
    bool has_filename;             /* a file, even if its name is empty */
    bool filename_is_extended;     /* from filename*=charset''... */
    struct tars_span content_type; /* empty if there is none */
    struct tars_span body;
};

/* The boundary parameter of a content-type value.
 *
 *   TARS_EUNSUPPORTED  another type than multipart/form-data
 *   TARS_EFORMAT       no boundary, or one that is none
 */
TARS_MUST_USE tars_status tars_multipart_boundary(struct tars_span content_type,
                                                  struct tars_span *boundary);

/* boundary as tars_multipart_boundary() gave it. */
void tars_multipart_init(struct tars_multipart *reader, struct tars_span body,
                         struct tars_span boundary);

/* The next part. After anything but TARS_OK the same answer is given again.
 *
 *   TARS_ENOTFOUND  there was the close delimiter; all is read
 *   TARS_EFORMAT    malformed or cut short
 *   TARS_ETOOBIG    too many parts, or too large a head
 */
TARS_MUST_USE tars_status tars_multipart_next(struct tars_multipart *reader,
                                              struct tars_multipart_part *part);

/* The name of the file for keeping: escapes decoded, folders cut off ("C:\a\b.pdf", "../b.pdf" and
 * "b.pdf" are "b.pdf"), control characters made '_'. Terminated, in the arena.
 *
 *   TARS_EFORMAT  nothing left, "." or "..", not UTF-8 by declaration, or over 255 bytes
 *   TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_multipart_file_name(const struct tars_multipart_part *part,
                                                   struct tars_arena *arena, char **name);

#endif
