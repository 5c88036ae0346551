/* docx - Word documents: headings by style or outline level, lists, tables, notes.
 *
 * The document part is read as a stream of elements. What is inside a table's cell goes to the
 * cell, nested tables too, as text. Deleted text, field codes and fall-backs for old programs are
 * skipped. There are no pages in the file: they come about when a program lays it out.
 */
#include "extract/formats/format.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "extract/formats/docx_styles.h"
#include "extract/formats/html.h"
#include "extract/formats/package.h"
#include "extract/formats/table.h"

#define TEXT_MAX   ((size_t)64 * 1024 * 1024)
#define CHUNKS_MAX 10000 /* parts that are looked at */
#define DEPTH_MAX  250   /* of elements; the library stops at 256 by itself */

static enum tars_sniff sniff(const struct tars_input *input, bool named)
{
    struct tars_span head = input->head;

    if (input->is_gzip || head.len < 4 || memcmp(head.ptr, "PK\3\4", 4) != 0) {
        return named && head.len >= 2 && memcmp(head.ptr, "PK", 2) == 0 ? TARS_SNIFF_NAME
                                                                        : TARS_SNIFF_NO;
    }
    if (named || memmem(head.ptr, head.len, "word/document.xml", 17))
        return TARS_SNIFF_SURE;
    return TARS_SNIFF_NO;
}

struct writer {
    struct tars_sink *sink;
    const struct tars_docx_styles *styles;
    struct tars_table table;
    struct tars_buf text; /* of the paragraph */
    struct tars_buf cell; /* of the cell, outermost table */
    char style[TARS_DOCX_STYLE_NAME];
    int outline;     /* level that the paragraph itself says; 0: none */
    bool is_item;    /* in a list */
    bool has_chunks; /* refers to parts in other formats */
    int tables;      /* open ones */
    int skip_until;  /* depth at which an element that is passed over began; 0: none */
};

/* ----------------------------------------------------------------- paragraphs */

static void end_paragraph(struct writer *writer)
{
    int level =
        writer->outline ? writer->outline : tars_docx_styles_level(writer->styles, writer->style);
    bool is_item = writer->is_item || tars_docx_styles_is_list(writer->styles, writer->style);

    if (writer->text.status != TARS_OK && writer->sink->status == TARS_OK)
        writer->sink->status = writer->text.status;
    if (writer->text.len == 0)
        return;
    if (writer->tables > 0) {
        if (writer->cell.len)
            tars_buf_append_char(&writer->cell, ' ');
        tars_buf_append(&writer->cell, writer->text.ptr, writer->text.len);
    } else if (level > 0) {
        tars_sink_block(writer->sink, TARS_BLOCK_HEADING, level, 0, writer->text.ptr,
                        writer->text.len);
    } else {
        tars_sink_block(writer->sink, is_item ? TARS_BLOCK_LIST : TARS_BLOCK_PARAGRAPH, 0, 0,
                        writer->text.ptr, writer->text.len);
    }
    tars_buf_clear(&writer->text);
}

static void begin_paragraph(struct writer *writer)
{
    end_paragraph(writer); /* a text box inside a paragraph */
    writer->style[0] = '\0';
    writer->outline = 0;
    writer->is_item = false;
}

static void end_cell(struct writer *writer)
{
    end_paragraph(writer);
    if (writer->tables != 1)
        return;
    tars_table_cell(&writer->table, writer->cell.ptr, writer->cell.len);
    tars_buf_clear(&writer->cell);
}

/* -------------------------------------------------------------------- elements */

static bool is_any(const char *name, const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static void read_value(struct writer *writer, xmlTextReaderPtr reader, const char *name)
{
    char *value = tars_xml_attribute(reader, "val");

    if (!value)
        return;
    if (strcmp(name, "pStyle") == 0) {
        (void)snprintf(writer->style, sizeof(writer->style), "%s", value);
    } else if (strcmp(name, "outlineLvl") == 0) {
        long level = strtol(value, NULL, 10);

        writer->outline = level >= 0 && level < 9 ? (int)level + 1 : 0;
    } else if (strcmp(name, "numId") == 0) {
        writer->is_item = strcmp(value, "0") != 0;
    }
    xmlFree(value);
}

static void begin_element(struct writer *writer, xmlTextReaderPtr reader)
{
    static const char *const skipped[] = {"del",       "delText",   "instrText", "Fallback",
                                          "moveFrom",  "rPrChange", "pPrChange", "sectPr",
                                          "separator", "binData",   NULL};
    static const char *const valued[] = {"pStyle", "outlineLvl", "numId", NULL};
    const char *name = tars_xml_name(reader);
    bool is_empty = xmlTextReaderIsEmptyElement(reader) == 1;

    if (is_any(name, skipped)) {
        if (!is_empty)
            writer->skip_until = xmlTextReaderDepth(reader) + 1;
    } else if (strcmp(name, "p") == 0) {
        begin_paragraph(writer);
    } else if (is_any(name, valued)) {
        read_value(writer, reader, name);
    } else if (strcmp(name, "tab") == 0) {
        tars_buf_append_char(&writer->text, ' ');
    } else if (strcmp(name, "br") == 0 || strcmp(name, "cr") == 0) {
        tars_buf_append_char(&writer->text, '\n');
    } else if (strcmp(name, "noBreakHyphen") == 0) {
        tars_buf_append_char(&writer->text, '-');
    } else if (strcmp(name, "altChunk") == 0) {
        writer->has_chunks = true;
    } else if (strcmp(name, "tbl") == 0 && !is_empty) {
        end_paragraph(writer);
        writer->tables++;
    }
}

static void end_element(struct writer *writer, const char *name)
{
    if (strcmp(name, "p") == 0) {
        end_paragraph(writer);
    } else if (strcmp(name, "tc") == 0) {
        end_cell(writer);
    } else if (strcmp(name, "tr") == 0 && writer->tables == 1) {
        tars_table_end_row(&writer->table);
    } else if (strcmp(name, "tbl") == 0 && writer->tables > 0) {
        end_paragraph(writer);
        if (--writer->tables == 0)
            tars_table_end(&writer->table);
    }
}

/* Character data counts only inside w:t (and m:t of formulas). */
static void take_text(struct writer *writer, xmlTextReaderPtr reader, bool in_text)
{
    const xmlChar *value = in_text ? xmlTextReaderConstValue(reader) : NULL;

    if (value)
        tars_buf_append_text(&writer->text, (const char *)value);
}

static void take_node(struct writer *writer, xmlTextReaderPtr reader, bool *in_text)
{
    const char *name = tars_xml_name(reader);

    switch (xmlTextReaderNodeType(reader)) {
    case XML_READER_TYPE_ELEMENT:
        *in_text = strcmp(name, "t") == 0;
        begin_element(writer, reader);
        break;
    case XML_READER_TYPE_END_ELEMENT:
        *in_text = false;
        end_element(writer, name);
        break;
    case XML_READER_TYPE_TEXT:
    case XML_READER_TYPE_CDATA:
    case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
    case XML_READER_TYPE_WHITESPACE:
        take_text(writer, reader, *in_text);
        break;
    default:
        break;
    }
}

/* True if the XML was sound to its end. */
static bool write_part(struct writer *writer, struct tars_span xml)
{
    xmlTextReaderPtr reader = tars_xml_open(xml);
    bool in_text = false;
    int rc = reader ? xmlTextReaderRead(reader) : -1;

    while (rc == 1 && writer->sink->status == TARS_OK) {
        int depth = xmlTextReaderDepth(reader);

        if (depth > DEPTH_MAX) {
            rc = -1;
            break;
        }
        if (writer->skip_until && depth < writer->skip_until) {
            writer->skip_until = 0;
        } else if (!writer->skip_until) {
            take_node(writer, reader, &in_text);
        }
        rc = xmlTextReaderRead(reader);
    }
    end_paragraph(writer);
    if (writer->tables > 0) {
        writer->tables = 1;
        end_cell(writer);
        writer->tables = 0;
        tars_table_end(&writer->table);
    }
    writer->skip_until = 0;
    xmlFreeTextReader(reader);
    return rc == 0;
}

/* ------------------------------------------------------------------------ file */

/* The title that the file says, into (title, cap); "" if none. */
static void read_title(struct tars_package *package, struct tars_buf *title)
{
    struct tars_span xml;
    xmlTextReaderPtr reader;
    bool inside = false;

    if (tars_package_read(package, "docProps/core.xml", &xml, NULL) != TARS_OK)
        return;
    reader = tars_xml_open(xml);
    while (reader && xmlTextReaderRead(reader) == 1) {
        int type = xmlTextReaderNodeType(reader);

        if (type == XML_READER_TYPE_ELEMENT) {
            inside = strcmp(tars_xml_name(reader), "title") == 0;
        } else if (type == XML_READER_TYPE_END_ELEMENT) {
            inside = false;
        } else if (inside && xmlTextReaderConstValue(reader)) {
            tars_buf_append_text(title, (const char *)xmlTextReaderConstValue(reader));
        }
    }
    xmlFreeTextReader(reader);
    free((char *)xml.ptr);
}

/* The notes, after the text; they carry no heading. */
static void write_notes(struct writer *writer, struct tars_package *package, const char *name)
{
    struct tars_span xml;

    if (tars_package_read(package, name, &xml, NULL) != TARS_OK)
        return;
    (void)write_part(writer, xml);
    free((char *)xml.ptr);
}

static bool ends_in(const char *text, const char *suffix)
{
    size_t len = strlen(text);
    size_t n = strlen(suffix);

    return len >= n && strcasecmp(text + len - n, suffix) == 0;
}

/* Web pages that the file carries in place of text (altChunk). */
static void write_chunks(struct writer *writer, struct tars_package *package,
                         struct tars_charsets *charsets)
{
    for (size_t i = 0; writer->has_chunks && i < CHUNKS_MAX; i++) {
        const char *name = tars_package_name(package, i);
        const char *title = "";
        struct tars_arena arena;
        struct tars_span page;

        if (!name)
            return;
        if (strncmp(name, "word/", 5) != 0 ||
            !(ends_in(name, ".htm") || ends_in(name, ".html") || ends_in(name, ".xhtml")) ||
            tars_package_read(package, name, &page, NULL) != TARS_OK)
            continue;
        tars_arena_init(&arena, TARS_HTML_ARENA_MAX);
        if (tars_html_write(&arena, charsets, page, writer->sink, &title, NULL) != TARS_OK)
            tars_sink_error(writer->sink, "%s could not be read", name);
        tars_arena_release(&arena);
        free((char *)page.ptr);
    }
}

static tars_status write_document(struct writer *writer, struct tars_package *package,
                                  struct tars_charsets *charsets, struct tars_err *err)
{
    struct tars_span xml;
    tars_status status = tars_package_read(package, "word/document.xml", &xml, err);
    bool is_sound;

    if (status == TARS_ENOTFOUND)
        status = tars_package_read(package, "word/document2.xml", &xml, err);
    if (status == TARS_ENOTFOUND)
        return tars_fail(TARS_EFORMAT, err, "not a Word document: there is no text part in it");
    if (status != TARS_OK)
        return status;
    is_sound = write_part(writer, xml);
    free((char *)xml.ptr);
    if (!is_sound && writer->sink->blocks == 0 && writer->sink->status == TARS_OK)
        return tars_fail(TARS_EFORMAT, err, "the file is damaged: its text part is not sound XML");
    if (!is_sound && writer->sink->status == TARS_OK)
        tars_sink_error(writer->sink, "the text part is damaged; what follows is missing");
    write_chunks(writer, package, charsets);
    write_notes(writer, package, "word/footnotes.xml");
    write_notes(writer, package, "word/endnotes.xml");
    return TARS_OK;
}

static tars_status read_styles(struct tars_package *package, struct tars_docx_styles *styles)
{
    struct tars_span xml;

    styles->count = 0;
    if (tars_package_read(package, "word/styles.xml", &xml, NULL) == TARS_OK) {
        tars_docx_styles_read(styles, xml);
        free((char *)xml.ptr);
    }
    return TARS_OK;
}

static tars_status parse(struct tars_input *input, struct tars_sink *sink, struct tars_err *err)
{
    struct tars_docx_styles *styles = NULL;
    struct tars_package *package = NULL;
    struct writer writer = {.sink = sink};
    struct tars_buf title;
    struct tars_span bytes;
    tars_status status = tars_input_whole(input, &bytes, err);

    tars_table_init(&writer.table, sink);
    tars_buf_init(&writer.text, TEXT_MAX);
    tars_buf_init(&writer.cell, TEXT_MAX);
    tars_buf_init(&title, TARS_PROTOCOL_TITLE_MAX * 4);
    if (status == TARS_OK)
        status = tars_package_open(bytes, &package, err);
    if (status != TARS_OK)
        goto out;
    styles = malloc(sizeof(*styles));
    if (!styles) {
        status = tars_fail(TARS_ENOMEM, err, "out of memory");
        goto out;
    }
    status = read_styles(package, styles);
    writer.styles = styles;
    if (status == TARS_OK)
        status = write_document(&writer, package, input->charsets, err);
    if (status == TARS_OK) {
        read_title(package, &title);
        tars_sink_document(sink, &(struct tars_sink_document){.title = tars_buf_span(&title)});
    }
out:
    free(styles);
    tars_package_close(package);
    tars_buf_release(&title);
    tars_buf_release(&writer.cell);
    tars_buf_release(&writer.text);
    tars_table_release(&writer.table);
    return status;
}

const struct tars_format tars_format_docx = {.sniff = sniff, .parse = parse};
