/* plain - text without a format: any encoding, paragraphs, underlined and numbered headings.
 *
 * A paragraph ends at an empty line. A line that is followed by a line of one repeated sign of at
 * least its length (as in reStructuredText and setext Markdown) is a heading; which sign means
 * which level is learnt from the order of first use, as reStructuredText has it. Lines that are
 * indented or framed by signs stay as they are.
 */
#include "extract/formats/format.h"

#include <string.h>

#include "extract/formats/charset.h"
#include "text/normalize.h"

#define TEXT_MAX      ((size_t)256 * 1024 * 1024) /* bytes as UTF-8 */
#define UNDERLINES    "=-~^\"'`#*+:.<>_"
#define TITLE_MAX     200 /* bytes of a heading line */
#define CONTROLS_PART 50  /* one in so many may be a control character */

/* Text has few control characters and, but for UTF-16 and -32, no zeros. */
static bool looks_like_text(struct tars_span head)
{
    const char *name = tars_charset_detect(NULL, head, tars_span(NULL, 0));
    size_t controls = 0;

    if (strncmp(name, "UTF-16", 6) == 0 || strncmp(name, "UTF-32", 6) == 0)
        return true;
    for (size_t i = 0; i < head.len; i++) {
        unsigned char c = (unsigned char)head.ptr[i];

        if (c == 0)
            return false;
        controls += c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1B;
    }
    return controls * CONTROLS_PART <= head.len;
}

static enum tars_sniff sniff(const struct tars_input *input, bool named)
{
    if (input->is_gzip || !looks_like_text(input->head))
        return TARS_SNIFF_NO;
    return named ? TARS_SNIFF_NAME : TARS_SNIFF_MAYBE;
}

struct lines {
    struct tars_span text;
    size_t at;
};

/* The next line without its end; false at the end of the text. */
static bool next_line(struct lines *lines, struct tars_span *line)
{
    size_t left = lines->text.len - lines->at;
    const char *start;
    const char *end;
    size_t len;

    if (left == 0)
        return false;
    start = lines->text.ptr + lines->at;
    end = memchr(start, '\n', left);
    len = end ? (size_t)(end - start) : left;
    lines->at += len + (end != NULL);
    if (len > 0 && start[len - 1] == '\r')
        len--;
    *line = tars_span(start, len);
    return true;
}

static bool is_blank(struct tars_span line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] != ' ' && line.ptr[i] != '\t' && line.ptr[i] != '\f')
            return false;
    }
    return true;
}

/* The sign that a line repeats from end to end; 0 if it is no such line. */
static char underline_sign(struct tars_span line)
{
    size_t len = line.len;

    while (len > 0 && (line.ptr[len - 1] == ' ' || line.ptr[len - 1] == '\t'))
        len--;
    if (len < 3 || !strchr(UNDERLINES, line.ptr[0]))
        return 0;
    for (size_t i = 1; i < len; i++) {
        if (line.ptr[i] != line.ptr[0])
            return 0;
    }
    return line.ptr[0];
}

struct writer {
    struct tars_sink *sink;
    char signs[16];             /* underlines seen, in order; terminated */
    struct tars_span paragraph; /* lines joined so far; empty: none */
};

static void end_paragraph(struct writer *writer)
{
    tars_sink_block(writer->sink, TARS_BLOCK_PARAGRAPH, 0, 0, writer->paragraph.ptr,
                    writer->paragraph.len);
    writer->paragraph = tars_span(NULL, 0);
}

static int level_of(struct writer *writer, char sign)
{
    char *at = strchr(writer->signs, sign);
    size_t count = strlen(writer->signs);

    if (at)
        return (int)(at - writer->signs) + 1;
    if (count + 1 < sizeof(writer->signs)) {
        writer->signs[count] = sign;
        writer->signs[count + 1] = '\0';
    }
    return (int)count + 1;
}

static void add_line(struct writer *writer, struct tars_span line)
{
    if (writer->paragraph.len == 0) {
        writer->paragraph = line;
    } else {
        writer->paragraph.len = (size_t)(line.ptr + line.len - writer->paragraph.ptr);
    }
}

/* True if next underlines line, which then is a heading. */
static bool is_heading(const struct writer *writer, struct tars_span line, struct tars_span next)
{
    if (writer->paragraph.len > 0 || line.len == 0 || line.len > TITLE_MAX || is_blank(line))
        return false;
    return underline_sign(next) && !underline_sign(line) &&
           tars_utf8_count(line.ptr, line.len) <= next.len + 2 && line.ptr[0] != ' ';
}

static void write_blocks(struct tars_sink *sink, struct tars_span text)
{
    struct writer writer = {.sink = sink};
    struct lines lines = {.text = text};
    struct tars_span line;

    while (sink->status == TARS_OK && next_line(&lines, &line)) {
        struct lines ahead = lines;
        struct tars_span next = {0};

        if (is_blank(line)) {
            end_paragraph(&writer);
            continue;
        }
        if (next_line(&ahead, &next) && is_heading(&writer, line, next)) {
            tars_sink_block(sink, TARS_BLOCK_HEADING, level_of(&writer, underline_sign(next)), 0,
                            line.ptr, line.len);
            lines = ahead;
            continue;
        }
        /* The line above a heading that is framed on both sides, and rules between sections. */
        if (underline_sign(line) && writer.paragraph.len == 0)
            continue;
        add_line(&writer, line);
    }
    end_paragraph(&writer);
}

static tars_status parse(struct tars_input *input, struct tars_sink *sink, struct tars_err *err)
{
    struct tars_span bytes;
    struct tars_buf text;
    tars_status status = tars_input_whole(input, &bytes, err);

    if (status != TARS_OK)
        return status;
    tars_buf_init(&text, TEXT_MAX);
    tars_charset_convert(input->charsets,
                         tars_charset_detect(input->charsets, bytes, tars_span(NULL, 0)), bytes,
                         &text);
    status = text.status;
    if (status == TARS_OK) {
        write_blocks(sink, tars_buf_span(&text));
        tars_sink_document(sink, &(struct tars_sink_document){0});
    }
    tars_buf_release(&text);
    if (status != TARS_OK)
        return tars_fail(TARS_ETOOBIG, err, "the text is too long");
    return TARS_OK;
}

const struct tars_format tars_format_plain = {.sniff = sniff, .parse = parse};
