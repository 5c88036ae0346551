/* extracted - a document in memory through a format, as text to compare.
 *
 *     p:Text           paragraph        h2:Heading   heading of level 2     l: list  t: table  c:
 * code p@3:Text         on page 3 D:format|id|title|metadata        end of a document
 *     E:status|errors|message           end of the file
 */
#ifndef TARS_TESTS_EXTRACTED_H
#define TARS_TESTS_EXTRACTED_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem/buf.h"
#include "extract/formats/charset.h"
#include "extract/formats/format.h"
#include "extract/protocol.h"

static inline void extracted_frame(const struct tars_protocol_frame *frame, struct tars_buf *out)
{
    static const char kinds[] = " phltc";

    if (frame->type == 'B') {
        tars_buf_append_char(out, kinds[frame->block.kind]);
        if (frame->block.level)
            tars_buf_appendf(out, "%d", frame->block.level);
        if (frame->block.page)
            tars_buf_appendf(out, "@%d", frame->block.page);
        tars_buf_append_char(out, ':');
        tars_buf_append(out, frame->block.text.ptr, frame->block.text.len);
        tars_buf_append_char(out, '\n');
    } else if (frame->type == 'D') {
        tars_buf_appendf(out, "D:%.*s|%.*s|%.*s|%.*s\n", (int)frame->document.format.len,
                         frame->document.format.ptr, (int)frame->document.external_id.len,
                         frame->document.external_id.ptr, (int)frame->document.title.len,
                         frame->document.title.ptr, (int)frame->document.metadata.len,
                         frame->document.metadata.len ? frame->document.metadata.ptr : "");
    } else {
        tars_buf_appendf(out, "E:%s|%llu|%.*s\n", tars_status_text(frame->end.status),
                         (unsigned long long)frame->end.errors, (int)frame->end.message.len,
                         frame->end.message.ptr);
    }
}

/* Every frame must be one that the client would take. */
static inline tars_status extracted_write(void *ctx, const char *bytes, size_t len)
{
    struct tars_buf *out = ctx;
    size_t at = len >= 8 && memcmp(bytes, TARS_PROTOCOL_MAGIC, 8) == 0 ? 8 : 0;

    while (at < len) {
        struct tars_protocol_frame frame;
        size_t used = 0;

        if (tars_protocol_read(bytes + at, len - at, &frame, &used) != TARS_OK) {
            tars_buf_append_text(out, "BROKEN FRAME\n");
            return TARS_EFORMAT;
        }
        extracted_frame(&frame, out);
        at += used;
    }
    return TARS_OK;
}

/* Append what (bytes, len) under that name holds to out. */
static inline tars_status extracted(const char *name, const void *bytes, size_t len,
                                    struct tars_charsets *charsets, struct tars_buf *out)
{
    int fd = memfd_create("document", MFD_CLOEXEC);
    struct tars_input input;
    struct tars_sink sink;
    struct tars_err err = {{0}};
    tars_status status = TARS_EIO;

    tars_sink_init(&sink, extracted_write, out);
    if (fd >= 0 && write(fd, bytes, len) == (ssize_t)len)
        status = tars_input_open(&input, fd, name, charsets, &err);
    if (status == TARS_OK) {
        status = tars_format_extract(&input, &sink);
        tars_input_close(&input);
    }
    tars_sink_release(&sink);
    (void)close(fd);
    return status;
}

#endif
