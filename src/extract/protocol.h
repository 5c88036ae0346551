/* protocol - what tars-extract writes and tars reads.
 *
 *     stream = magic (8 bytes "TARSX01\n"), frame...
 *     frame  = payload length u32, type u8, payload        (numbers little-endian)
 *
 *     'B' block     kind u8, level u8, page u32, text (the rest)
 *     'D' document  the blocks since the last one are a document:
 *                   page_count u32, has_id u8, then four strings: format, external id, title,
 *                   metadata ("" for none)
 *     'E' end       status u32, errors u64, then three strings: message, first error, format;
 *                   the last frame
 *     string = length u32, bytes
 *
 * Reading   Pure: no allocation, spans into the caller's bytes. Everything is checked: lengths,
 *           kinds, levels, UTF-8; nothing but line feed and tab below U+0020.
 * Writing   Into a tars_buf, sticky. The writer may be fed anything that the reader would take.
 */
#ifndef TARS_EXTRACT_PROTOCOL_H
#define TARS_EXTRACT_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"
#include "text/block.h"

#define TARS_PROTOCOL_MAGIC        "TARSX01\n"
#define TARS_PROTOCOL_MAGIC_BYTES  8
#define TARS_PROTOCOL_HEAD_BYTES   5
#define TARS_PROTOCOL_TEXT_MAX     ((size_t)1024 * 1024) /* bytes of one block's text */
#define TARS_PROTOCOL_TITLE_MAX    ((size_t)1024)        /* bytes */
#define TARS_PROTOCOL_ID_MAX       ((size_t)1024)        /* bytes */
#define TARS_PROTOCOL_METADATA_MAX ((size_t)256 * 1024)  /* bytes */
#define TARS_PROTOCOL_MESSAGE_MAX  ((size_t)240)         /* bytes, of either message */
#define TARS_PROTOCOL_FORMAT_MAX   ((size_t)15)          /* bytes */
#define TARS_PROTOCOL_PAGE_MAX     10000000
#define TARS_PROTOCOL_FRAME_MAX    (TARS_PROTOCOL_TEXT_MAX + 1024) /* bytes of a payload */

struct tars_protocol_block {
    enum tars_block_kind kind;
    int level; /* 1..TARS_HEADING_LEVEL_MAX of a heading, else 0 */
    int page;  /* 0: none */
    struct tars_span text;
};

struct tars_protocol_document {
    struct tars_span format;
    struct tars_span external_id; /* only if has_id */
    bool has_id;
    struct tars_span title;
    struct tars_span metadata; /* a JSON object, or empty */
    int page_count;
};

struct tars_protocol_end {
    tars_status status;
    uint64_t errors;              /* parts of the file that were passed over */
    struct tars_span message;     /* for people; empty when status is TARS_OK */
    struct tars_span first_error; /* about the first of errors */
    struct tars_span format;      /* "" when it was not known */
};

struct tars_protocol_frame {
    char type; /* 'B', 'D' or 'E': which of the three below is set */
    union {
        struct tars_protocol_block block;
        struct tars_protocol_document document;
        struct tars_protocol_end end;
    };
};

void tars_protocol_write_block(struct tars_buf *out, const struct tars_protocol_block *block);
void tars_protocol_write_document(struct tars_buf *out,
                                  const struct tars_protocol_document *document);
void tars_protocol_write_end(struct tars_buf *out, const struct tars_protocol_end *end);

/* One frame off the front of (ptr, len), which starts after the magic or a frame.
 *
 *   TARS_OK       *frame is set, *used bytes are done with
 *   TARS_EAGAIN   not complete: call again with more bytes
 *   TARS_EFORMAT  not a frame: stop reading
 */
TARS_MUST_USE tars_status tars_protocol_read(const char *ptr, size_t len,
                                             struct tars_protocol_frame *frame, size_t *used);

/* True for valid UTF-8 without control characters but line feed and tab. */
bool tars_protocol_text_is_clean(const char *ptr, size_t len);

#endif
