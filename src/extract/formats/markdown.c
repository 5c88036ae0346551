/* markdown - CommonMark with tables, by cmark-gfm.
 *
 * Front matter (YAML between "---", TOML between "+++") is taken off and its title kept. Shortcodes
 * of site generators ({{< note >}}, {{% ... %}}) and comments are tidied away; the text between a
 * pair stays. Raw HTML loses its tags.
 */
#include "extract/formats/format.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm-extension_api.h>
#include <cmark-gfm.h>

#include "extract/formats/charset.h"
#include "extract/formats/table.h"

#define TEXT_MAX  ((size_t)64 * 1024 * 1024)
#define DEPTH_MAX 200

static enum tars_sniff sniff(const struct tars_input *input, bool named)
{
    size_t len = input->head.len;

    if (!named || input->is_gzip || (len >= 4 && memcmp(input->head.ptr, "PK\3\4", 4) == 0))
        return TARS_SNIFF_NO;
    return TARS_SNIFF_SURE;
}

/* ---------------------------------------------------------------- preparations */

/* Value of "title" in a line of front matter, quotes off; empty if it is another line. */
static struct tars_span title_of(struct tars_span line)
{
    struct tars_span value = {NULL, 0};
    size_t at = 5;

    if (line.len < 7 || strncasecmp(line.ptr, "title", 5) != 0)
        return value;
    while (at < line.len && line.ptr[at] == ' ')
        at++;
    if (at == line.len || (line.ptr[at] != ':' && line.ptr[at] != '='))
        return value;
    value = tars_span(line.ptr + at + 1, line.len - at - 1);
    while (value.len && strchr(" \t\r", value.ptr[value.len - 1]))
        value.len--;
    while (value.len && strchr(" \t", *value.ptr))
        value = tars_span(value.ptr + 1, value.len - 1);
    if (value.len >= 2 && (*value.ptr == '"' || *value.ptr == '\'') &&
        value.ptr[value.len - 1] == *value.ptr)
        value = tars_span(value.ptr + 1, value.len - 2);
    return value;
}

static struct tars_span line_at(struct tars_span text, size_t at)
{
    const char *end = memchr(text.ptr + at, '\n', text.len - at);

    return tars_span(text.ptr + at, end ? (size_t)(end - text.ptr) - at : text.len - at);
}

static bool is_fence(struct tars_span line, const char *fence)
{
    while (line.len && strchr(" \t\r", line.ptr[line.len - 1]))
        line.len--;
    return tars_span_is(line, fence);
}

/* Take front matter off the text. */
static void take_front_matter(struct tars_span *text, struct tars_span *title)
{
    const char *fence;
    struct tars_span line;

    if (text->len < 4)
        return;
    line = line_at(*text, 0);
    fence = is_fence(line, "---") ? "---" : is_fence(line, "+++") ? "+++" : NULL;
    if (!fence)
        return;
    for (size_t at = line.len + 1; at < text->len; at += line.len + 1) {
        struct tars_span found;

        line = line_at(*text, at);
        if (is_fence(line, fence)) {
            at += line.len;
            *text = tars_span(text->ptr + at, text->len - at);
            return;
        }
        found = title_of(line);
        if (title->len == 0)
            *title = found;
    }
    *title = tars_span(NULL, 0); /* never closed: a rule at the top, not front matter */
}

/* Bytes of the thing at (ptr, len) that is dropped: a shortcode or a comment; 0 for none. */
static size_t dropped_at(const char *ptr, size_t len)
{
    static const struct {
        const char *open, *close;
    } pairs[] = {{"{{<", ">}}"}, {"{{%", "%}}"}, {"<!--", "-->"}};

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        size_t n = strlen(pairs[i].open);
        const char *end;

        if (len < n || memcmp(ptr, pairs[i].open, n) != 0)
            continue;
        end = memmem(ptr + n, len - n, pairs[i].close, 3);
        return end ? (size_t)(end - ptr) + 3 : 0;
    }
    return 0;
}

/* What a reader would see of a shortcode: the text="..." of glossary links and the like. */
static void keep_words(struct tars_span code, struct tars_buf *out)
{
    const char *at = memmem(code.ptr, code.len, "text=\"", 6);
    const char *end;

    if (!at)
        return;
    at += 6;
    end = memchr(at, '"', (size_t)(code.ptr + code.len - at));
    if (end)
        tars_buf_append(out, at, (size_t)(end - at));
}

static void tidy(struct tars_span text, struct tars_buf *out)
{
    size_t start = 0;

    for (size_t i = 0; i < text.len;) {
        size_t n =
            text.ptr[i] == '{' || text.ptr[i] == '<' ? dropped_at(text.ptr + i, text.len - i) : 0;

        if (!n) {
            i++;
            continue;
        }
        tars_buf_append(out, text.ptr + start, i - start);
        keep_words(tars_span(text.ptr + i, n), out);
        i += n;
        start = i;
    }
    tars_buf_append(out, text.ptr + start, text.len - start);
}

/* ---------------------------------------------------------------------- blocks */

struct writer {
    struct tars_sink *sink;
    struct tars_table table;
    struct tars_buf text; /* scratch */
};

/* Text between tags. */
static void append_untagged(struct tars_buf *out, const char *html)
{
    bool in_tag = false;

    for (; *html; html++) {
        if (*html == '<') {
            in_tag = true;
        } else if (*html == '>' && in_tag) {
            in_tag = false;
            tars_buf_append_char(out, ' ');
        } else if (!in_tag) {
            tars_buf_append_char(out, *html);
        }
    }
}

static bool is_literal(cmark_node_type type)
{
    return type == CMARK_NODE_TEXT || type == CMARK_NODE_CODE || type == CMARK_NODE_CODE_BLOCK;
}

/* All text below node. The library's iterator does not recurse. */
static void append_inlines(struct tars_buf *out, cmark_node *node)
{
    cmark_iter *iter = cmark_iter_new(node);
    cmark_event_type event;

    while ((event = cmark_iter_next(iter)) != CMARK_EVENT_DONE) {
        cmark_node *at = cmark_iter_get_node(iter);
        cmark_node_type type = cmark_node_get_type(at);

        if (event == CMARK_EVENT_EXIT) {
            if (type == CMARK_NODE_PARAGRAPH)
                tars_buf_append_char(out, '\n');
            continue;
        }
        if (is_literal(type)) {
            tars_buf_append_text(out, cmark_node_get_literal(at));
        } else if (type == CMARK_NODE_SOFTBREAK) {
            tars_buf_append_char(out, ' ');
        } else if (type == CMARK_NODE_LINEBREAK) {
            tars_buf_append_char(out, '\n');
        }
    }
    cmark_iter_free(iter);
}

static void write_node(struct writer *writer, cmark_node *node, enum tars_block_kind kind,
                       int level)
{
    tars_buf_clear(&writer->text);
    append_inlines(&writer->text, node);
    tars_sink_block(writer->sink, kind, level, 0, writer->text.ptr, writer->text.len);
}

static void write_table(struct writer *writer, cmark_node *node)
{
    for (cmark_node *row = cmark_node_first_child(node); row; row = cmark_node_next(row)) {
        for (cmark_node *cell = cmark_node_first_child(row); cell; cell = cmark_node_next(cell)) {
            tars_buf_clear(&writer->text);
            append_inlines(&writer->text, cell);
            tars_table_cell(&writer->table, writer->text.ptr, writer->text.len);
        }
        tars_table_end_row(&writer->table);
    }
    tars_table_end(&writer->table);
}

static void write_html(struct writer *writer, cmark_node *node)
{
    const char *html = cmark_node_get_literal(node);

    tars_buf_clear(&writer->text);
    if (strncasecmp(html, "<script", 7) != 0 && strncasecmp(html, "<style", 6) != 0)
        append_untagged(&writer->text, html);
    tars_sink_block(writer->sink, TARS_BLOCK_PARAGRAPH, 0, 0, writer->text.ptr, writer->text.len);
}

static void write_children(struct writer *writer, cmark_node *node, int depth);

/* Items of a list that hold nothing but a paragraph are one block, a line each; others, with code
 * or tables inside, are written part by part. */
/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX bounds it. */
static void write_list(struct writer *writer, cmark_node *list, int depth)
{
    bool is_simple = true;
    int number = cmark_node_get_list_start(list);
    bool is_ordered = cmark_node_get_list_type(list) == CMARK_ORDERED_LIST;

    for (cmark_node *item = cmark_node_first_child(list); item; item = cmark_node_next(item)) {
        for (cmark_node *at = cmark_node_first_child(item); at; at = cmark_node_next(at))
            is_simple = is_simple && cmark_node_get_type(at) == CMARK_NODE_PARAGRAPH;
    }
    if (!is_simple) {
        for (cmark_node *item = cmark_node_first_child(list); item; item = cmark_node_next(item))
            write_children(writer, item, depth + 1);
        return;
    }
    tars_buf_clear(&writer->text);
    for (cmark_node *item = cmark_node_first_child(list); item; item = cmark_node_next(item)) {
        if (is_ordered) {
            tars_buf_appendf(&writer->text, "%d. ", number++);
        } else {
            tars_buf_append_text(&writer->text, "- ");
        }
        append_inlines(&writer->text, item);
    }
    tars_sink_block(writer->sink, TARS_BLOCK_LIST, 0, 0, writer->text.ptr, writer->text.len);
}

/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX bounds it. */
static void write_one(struct writer *writer, cmark_node *node, int depth)
{
    cmark_node_type type = cmark_node_get_type(node);

    if (type == CMARK_NODE_HEADING) {
        write_node(writer, node, TARS_BLOCK_HEADING, cmark_node_get_heading_level(node));
    } else if (type == CMARK_NODE_CODE_BLOCK) {
        write_node(writer, node, TARS_BLOCK_CODE, 0);
    } else if (type == CMARK_NODE_LIST) {
        write_list(writer, node, depth);
    } else if (type == CMARK_NODE_HTML_BLOCK) {
        write_html(writer, node);
    } else if (strcmp(cmark_node_get_type_string(node), "table") == 0) {
        write_table(writer, node);
    } else if (type == CMARK_NODE_PARAGRAPH || depth >= DEPTH_MAX) {
        write_node(writer, node, TARS_BLOCK_PARAGRAPH, 0);
    } else {
        write_children(writer, node, depth + 1);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX bounds it. */
static void write_children(struct writer *writer, cmark_node *node, int depth)
{
    for (cmark_node *at = cmark_node_first_child(node); at && writer->sink->status == TARS_OK;
         at = cmark_node_next(at))
        write_one(writer, at, depth);
}

static cmark_node *parse_text(struct tars_span text)
{
    cmark_parser *parser;
    cmark_node *root;

    cmark_gfm_core_extensions_ensure_registered();
    parser = cmark_parser_new(CMARK_OPT_VALIDATE_UTF8);
    (void)cmark_parser_attach_syntax_extension(parser, cmark_find_syntax_extension("table"));
    (void)cmark_parser_attach_syntax_extension(parser,
                                               cmark_find_syntax_extension("strikethrough"));
    cmark_parser_feed(parser, text.ptr, text.len);
    root = cmark_parser_finish(parser);
    cmark_parser_free(parser);
    return root;
}

static void write_text(struct tars_sink *sink, struct tars_span text, struct tars_span title)
{
    struct writer writer = {.sink = sink};
    cmark_node *root = parse_text(text);

    tars_table_init(&writer.table, sink);
    tars_buf_init(&writer.text, TEXT_MAX);
    write_children(&writer, root, 0);
    tars_sink_document(sink, &(struct tars_sink_document){.title = title});
    tars_buf_release(&writer.text);
    tars_table_release(&writer.table);
    cmark_node_free(root);
}

static tars_status parse(struct tars_input *input, struct tars_sink *sink, struct tars_err *err)
{
    struct tars_span bytes;
    struct tars_span span;
    struct tars_span title = {NULL, 0};
    struct tars_buf text;
    struct tars_buf clean;
    tars_status status = tars_input_whole(input, &bytes, err);

    if (status != TARS_OK)
        return status;
    tars_buf_init(&text, TEXT_MAX);
    tars_buf_init(&clean, TEXT_MAX);
    tars_charset_convert(input->charsets,
                         tars_charset_detect(input->charsets, bytes, tars_span(NULL, 0)), bytes,
                         &text);
    span = tars_buf_span(&text);
    take_front_matter(&span, &title);
    if (span.len)
        tidy(span, &clean);
    status = text.status != TARS_OK ? text.status : clean.status;
    if (status == TARS_OK)
        write_text(sink, tars_buf_span(&clean), title);
    tars_buf_release(&clean);
    tars_buf_release(&text);
    if (status != TARS_OK)
        return tars_fail(TARS_ETOOBIG, err, "the text is too long");
    return TARS_OK;
}

const struct tars_format tars_format_markdown = {.sniff = sniff, .parse = parse};
