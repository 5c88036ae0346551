/* sink - see sink.h. */
#include "extract/formats/sink.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text/normalize.h"

#define SCRATCH_MAX ((size_t)256 * 1024 * 1024)
#define FLUSH_BYTES ((size_t)64 * 1024)
#define OUT_MAX     (FLUSH_BYTES + 2 * TARS_PROTOCOL_FRAME_MAX)
#define BLOCK_BYTES (TARS_PROTOCOL_TEXT_MAX / 4) /* longer text is cut into several blocks */
#define REPLACEMENT "\xEF\xBF\xBD"
#define ZERO_WIDTH  0x200B
#define MARK_SIGN   0xFEFF
#define SOFT_HYPHEN 0xAD
#define NO_BREAK    0xA0
#define LINE_BREAK  0x2028
#define PARA_BREAK  0x2029
#define NEXT_LINE   0x85

void tars_sink_init(struct tars_sink *sink, tars_sink_write_fn *write, void *ctx)
{
    *sink = (struct tars_sink){.write = write, .ctx = ctx, .format = ""};
    tars_buf_init(&sink->out, OUT_MAX);
    tars_buf_init(&sink->text, SCRATCH_MAX);
    tars_buf_init(&sink->title, TARS_PROTOCOL_TITLE_MAX * 2);
    tars_buf_append(&sink->out, TARS_PROTOCOL_MAGIC, TARS_PROTOCOL_MAGIC_BYTES);
}

void tars_sink_release(struct tars_sink *sink)
{
    tars_buf_release(&sink->out);
    tars_buf_release(&sink->text);
    tars_buf_release(&sink->title);
}

/* -------------------------------------------------------------------- cleaning */

/* What has been seen but not written: white space, until something follows it. */
struct gap {
    bool any;
    size_t spaces;
    size_t lines;
};

static void write_gap(struct tars_buf *out, struct gap *gap, bool one_line)
{
    if (gap->any && out->len > 0) {
        if (one_line) {
            tars_buf_append_char(out, ' ');
        } else {
            for (size_t i = 0; i < gap->lines && i < 2; i++)
                tars_buf_append_char(out, '\n');
            for (size_t i = 0; i < gap->spaces; i++)
                tars_buf_append_char(out, ' ');
        }
    }
    *gap = (struct gap){0};
}

/* White space joins the gap. True if code is some. */
static bool take_space(struct gap *gap, uint32_t code)
{
    if (code == '\n' || code == NEXT_LINE || code == LINE_BREAK || code == PARA_BREAK ||
        code == '\f' || code == '\v') {
        gap->any = true;
        gap->lines++;
        gap->spaces = 0;
        return true;
    }
    if (code == ' ' || code == '\t' || code == NO_BREAK || code == '\r') {
        gap->any = true;
        gap->spaces += code == '\t' ? 4 : code == '\r' ? 0 : 1;
        return true;
    }
    return false;
}

static bool is_noise(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == ZERO_WIDTH ||
           code == MARK_SIGN || code == SOFT_HYPHEN || (code >= 0xFFFE && code <= 0xFFFF);
}

void tars_sink_clean(struct tars_buf *out, const char *text, size_t len, bool one_line)
{
    struct gap gap = {0};
    size_t start = out->len;

    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t step = tars_utf8_decode(text + i, len - i, &code);

        /* A carriage return alone is a line end of old. */
        if (code == '\r' && (i + 1 >= len || text[i + 1] != '\n'))
            code = '\n';
        if (!take_space(&gap, code) && !is_noise(code)) {
            if (out->len > start)
                write_gap(out, &gap, one_line);
            gap = (struct gap){0};
            if (code == TARS_CHAR_REPLACEMENT) {
                tars_buf_append_text(out, REPLACEMENT);
            } else {
                tars_buf_append(out, text + i, step);
            }
        }
        i += step;
    }
}

/* --------------------------------------------------------------------- writing */

static void flush(struct tars_sink *sink)
{
    if (sink->status == TARS_OK && sink->out.status != TARS_OK)
        sink->status = sink->out.status;
    if (sink->status == TARS_OK && sink->out.len > 0)
        sink->status = sink->write(sink->ctx, sink->out.ptr, sink->out.len);
    tars_buf_clear(&sink->out);
}

static void write_piece(struct tars_sink *sink, const struct tars_protocol_block *block)
{
    if (block->text.len == 0)
        return;
    tars_protocol_write_block(&sink->out, block);
    sink->blocks++;
    if (sink->out.len >= FLUSH_BYTES)
        flush(sink);
}

/* Where to cut text that is too long: after a line, else after a word, else at a character. */
static size_t cut_at(const char *text, size_t len)
{
    size_t at = BLOCK_BYTES;

    if (len <= BLOCK_BYTES)
        return len;
    for (size_t i = at; i > at / 2; i--) {
        if (text[i - 1] == '\n')
            return i;
    }
    for (size_t i = at; i > at / 2; i--) {
        if (text[i - 1] == ' ')
            return i;
    }
    return tars_utf8_floor(text, len, at);
}

/* The first heading may become the title. */
static void note_heading(struct tars_sink *sink)
{
    if (sink->title.len == 0) {
        tars_sink_clean(&sink->title, sink->text.ptr,
                        tars_utf8_floor(sink->text.ptr, sink->text.len, TARS_PROTOCOL_TITLE_MAX),
                        true);
    }
}

void tars_sink_block(struct tars_sink *sink, enum tars_block_kind kind, int level, int page,
                     const char *text, size_t len)
{
    struct tars_protocol_block block = {.kind = kind, .page = page};
    bool is_heading = kind == TARS_BLOCK_HEADING;

    if (sink->status != TARS_OK)
        return;
    tars_buf_clear(&sink->text);
    tars_sink_clean(&sink->text, text, len, is_heading);
    if (sink->text.status != TARS_OK) {
        sink->status = sink->text.status;
        return;
    }
    if (sink->text.len == 0)
        return;
    if (is_heading) {
        block.level = level < 1                        ? 1
                      : level > TARS_HEADING_LEVEL_MAX ? TARS_HEADING_LEVEL_MAX
                                                       : level;
        note_heading(sink);
    }
    for (size_t at = 0; at < sink->text.len && sink->status == TARS_OK;) {
        size_t step = cut_at(sink->text.ptr + at, sink->text.len - at);

        block.text = tars_span(sink->text.ptr + at, step);
        write_piece(sink, &block);
        at += step;
    }
}

/* A clean copy of span at the end of scratch, at most max bytes of it; returns where. */
static struct tars_span clean_copy(struct tars_buf *scratch, struct tars_span span, size_t max)
{
    size_t start = scratch->len;
    size_t len;

    tars_buf_append_char(scratch, '.');
    if (span.len)
        tars_sink_clean(scratch, span.ptr, span.len, true);
    if (scratch->status != TARS_OK)
        return tars_span(NULL, 0);
    len = scratch->len - start - 1;
    if (len > max)
        len = tars_utf8_floor(scratch->ptr + start + 1, len, max);
    return (struct tars_span){NULL, len};
}

void tars_sink_document(struct tars_sink *sink, const struct tars_sink_document *document)
{
    struct tars_protocol_document frame = {0};
    struct tars_span title = document->title.len ? document->title : tars_buf_span(&sink->title);
    size_t id_at;
    size_t title_at;

    if (sink->status != TARS_OK || sink->blocks == 0)
        return;
    /* Offsets first: the scratch buffer moves while it grows. */
    tars_buf_clear(&sink->text);
    frame.external_id = clean_copy(&sink->text, document->external_id, TARS_PROTOCOL_ID_MAX);
    id_at = 1;
    title_at = sink->text.len + 1;
    frame.title = clean_copy(&sink->text, title, TARS_PROTOCOL_TITLE_MAX);
    if (sink->text.status != TARS_OK) {
        sink->status = sink->text.status;
        return;
    }
    frame.external_id.ptr = sink->text.ptr + id_at;
    frame.title.ptr = sink->text.ptr + title_at;
    frame.has_id = document->has_id;
    frame.format = tars_span_of(sink->format);
    frame.page_count = document->page_count;
    if (document->metadata.len <= TARS_PROTOCOL_METADATA_MAX &&
        tars_protocol_text_is_clean(document->metadata.ptr, document->metadata.len))
        frame.metadata = document->metadata;
    tars_protocol_write_document(&sink->out, &frame);
    tars_buf_clear(&sink->title);
    sink->blocks = 0;
    sink->documents++;
    if (sink->out.len >= FLUSH_BYTES)
        flush(sink);
}

void tars_sink_error(struct tars_sink *sink, const char *format, ...)
{
    struct tars_buf clean;
    char text[512];
    va_list args;
    size_t len;

    if (sink->errors++ > 0)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    tars_buf_init(&clean, 4 * sizeof(text));
    tars_sink_clean(&clean, text, strlen(text), true);
    if (clean.status == TARS_OK && clean.len > 0) {
        len = tars_utf8_floor(clean.ptr, clean.len,
                              clean.len < TARS_PROTOCOL_MESSAGE_MAX ? clean.len
                                                                    : TARS_PROTOCOL_MESSAGE_MAX);
        memcpy(sink->first_error, clean.ptr, len);
        sink->first_error[len] = '\0';
    }
    tars_buf_release(&clean);
}

void tars_sink_end(struct tars_sink *sink, tars_status verdict, const char *message)
{
    struct tars_protocol_end end = {.status = verdict, .errors = sink->errors};

    if (sink->status != TARS_OK && sink->status != TARS_ETOOBIG && sink->status != TARS_ENOMEM)
        return; /* nobody listens */
    sink->status = TARS_OK;
    tars_buf_clear(&sink->text);
    end.message = clean_copy(&sink->text, tars_span_of(message), TARS_PROTOCOL_MESSAGE_MAX);
    end.message.ptr = sink->text.ptr ? sink->text.ptr + 1 : NULL;
    if (!end.message.ptr)
        end.message.len = 0;
    end.first_error = tars_span_of(sink->first_error);
    end.format = tars_span_of(sink->format);
    tars_protocol_write_end(&sink->out, &end);
    flush(sink);
}
