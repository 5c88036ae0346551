/* sink - where a format's parser puts what it finds.
 *
 * Cleans text (ill-formed bytes, control characters, white space at both ends), drops what is empty
 * then, cuts what is too long for a frame, and writes frames (extract/protocol.h) as they come, so
 * that memory does not grow with the document. Sticky: the first failure is in status, later calls
 * do nothing; a parser of long input looks at it now and then.
 */
#ifndef TARS_EXTRACT_FORMATS_SINK_H
#define TARS_EXTRACT_FORMATS_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/buf.h"
#include "base/status.h"
#include "extract/protocol.h"

/* Takes bytes of the stream, in order. */
typedef tars_status tars_sink_write_fn(void *ctx, const char *bytes, size_t len);

struct tars_sink {
    tars_sink_write_fn *write;
    void *ctx;             /* of write; borrowed */
    struct tars_buf out;   /* frames not written yet */
    struct tars_buf text;  /* scratch: one block's clean text */
    struct tars_buf title; /* scratch: first heading of the document */
    const char *format;    /* of the documents; borrowed */
    size_t blocks;         /* of the document so far */
    uint64_t documents;
    uint64_t errors;
    char first_error[TARS_PROTOCOL_MESSAGE_MAX + 1];
    tars_status status; /* TARS_OK, or the first failure */
};

/* Attributes of a document; zero is "none" everywhere. Spans are cleaned like text. */
struct tars_sink_document {
    struct tars_span external_id;
    struct tars_span title;    /* empty: the first heading */
    struct tars_span metadata; /* a JSON object; left out when it is too long for a frame */
    bool has_id;
    int page_count;
};

void tars_sink_init(struct tars_sink *sink, tars_sink_write_fn *write, void *ctx);
void tars_sink_release(struct tars_sink *sink);

void tars_sink_block(struct tars_sink *sink, enum tars_block_kind kind, int level, int page,
                     const char *text, size_t len);
/* The blocks so far are a document; without any there is none. */
void tars_sink_document(struct tars_sink *sink, const struct tars_sink_document *document);
/* Something was passed over; the first message is kept. */
__attribute__((format(printf, 2, 3))) void tars_sink_error(struct tars_sink *sink,
                                                           const char *format, ...);
/* Write the end frame, and all that is still here. */
void tars_sink_end(struct tars_sink *sink, tars_status verdict, const char *message);

/* Append (text, len) to out as the protocol wants it: valid UTF-8, no control characters, CR LF as
 * LF. With one_line, runs of white space become one space. Ends trimmed. */
void tars_sink_clean(struct tars_buf *out, const char *text, size_t len, bool one_line);

#endif
