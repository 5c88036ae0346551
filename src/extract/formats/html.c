/* html - pages: the article as headings, paragraphs, lists, code and tables.
 *
 * gumbo builds the tree as browsers do, html_article says which parts are read, and one walk over
 * these writes blocks: inline elements join the text, block elements end it. The tree lives in an
 * arena, because the library would free it recursively. The library does not look whether it got
 * memory: the arena has no ceiling of its own, so that the one of the process is what is hit, and
 * told as such (formats/main.c).
 */
#include "extract/formats/html.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <gumbo.h>

#include "extract/formats/charset.h"
#include "extract/formats/format.h"
#include "extract/formats/html_article.h"
#include "extract/formats/table.h"

#define TEXT_MAX    ((size_t)64 * 1024 * 1024)
#define HEAD_BYTES  2048 /* in which a page names its encoding */
#define LINK_LISTS  0.5  /* lists and small blocks with a larger share of links are left out */
#define LAYOUT_TEXT 400  /* characters in a cell of a table that only lays out the page */

static enum tars_sniff sniff(const struct tars_input *input, bool named)
{
    static const char *const marks[] = {"<!doctype html", "<html", "<head", "<body", "<!-- "};
    const char *at = input->head.ptr;
    size_t len = input->head.len;

    if (input->is_gzip || (len >= 4 && memcmp(at, "PK\3\4", 4) == 0))
        return TARS_SNIFF_NO;
    while (len > 0 && (isspace((unsigned char)*at) || (unsigned char)*at >= 0xBB)) {
        at++;
        len--;
    }
    for (size_t i = 0; i + 1 < sizeof(marks) / sizeof(marks[0]); i++) {
        size_t n = strlen(marks[i]);

        if (len >= n && strncasecmp(at, marks[i], n) == 0)
            return TARS_SNIFF_SURE;
    }
    return named ? TARS_SNIFF_NAME : TARS_SNIFF_NO;
}

/* What the page says about its encoding: charset=... in its first bytes. */
static struct tars_span declared_charset(struct tars_span page)
{
    size_t len = page.len < HEAD_BYTES ? page.len : HEAD_BYTES;

    for (size_t i = 0; i + 8 < len; i++) {
        size_t start = i + 8;
        size_t end;

        if (strncasecmp(page.ptr + i, "charset=", 8) != 0)
            continue;
        while (start < len && strchr("\"' ", page.ptr[start]))
            start++;
        end = start;
        while (end < len && (isalnum((unsigned char)page.ptr[end]) || strchr("-_", page.ptr[end])))
            end++;
        return tars_span(page.ptr + start, end - start);
    }
    return tars_span(NULL, 0);
}

/* ------------------------------------------------------------------------ walk */

struct walker {
    struct tars_sink *sink;
    const struct tars_html_page *page;
    struct tars_table table;
    struct tars_buf text; /* of the block so far */
    struct tars_buf cell; /* of the cell so far */
    size_t hint;          /* of tars_html_find() */
    int pre;              /* open pre elements */
    int cells;            /* open cells of a data table: text goes there */
    int items;            /* open list items */
    bool all;             /* furniture too: there was nothing else */
};

static void end_block(struct walker *walker, enum tars_block_kind kind, int level)
{
    if (walker->cells > 0) {
        if (walker->text.len) {
            tars_buf_append_char(&walker->cell, ' ');
            tars_buf_append(&walker->cell, walker->text.ptr, walker->text.len);
        }
    } else {
        tars_sink_block(walker->sink, kind, level, 0, walker->text.ptr, walker->text.len);
    }
    if (walker->text.status != TARS_OK && walker->sink->status == TARS_OK)
        walker->sink->status = walker->text.status;
    tars_buf_clear(&walker->text);
}

static void end_flow(struct walker *walker)
{
    enum tars_block_kind kind = walker->pre > 0     ? TARS_BLOCK_CODE
                                : walker->items > 0 ? TARS_BLOCK_LIST
                                                    : TARS_BLOCK_PARAGRAPH;

    end_block(walker, kind, 0);
}

/* White space runs are one space, but in pre. */
static void append_text(struct walker *walker, const char *text)
{
    if (walker->pre > 0) {
        tars_buf_append_text(&walker->text, text);
        return;
    }
    for (; *text; text++) {
        bool space = isspace((unsigned char)*text) != 0;
        const struct tars_buf *buf = &walker->text;
        bool after_space = buf->len == 0 || isspace((unsigned char)buf->ptr[buf->len - 1]);

        if (!space) {
            tars_buf_append_char(&walker->text, *text);
        } else if (!after_space) {
            tars_buf_append_char(&walker->text, ' ');
        }
    }
}

static int heading_level(GumboTag tag)
{
    return tag >= GUMBO_TAG_H1 && tag <= GUMBO_TAG_H6 ? (int)(tag - GUMBO_TAG_H1) + 1 : 0;
}

static bool is_block(GumboTag tag)
{
    switch (tag) {
    case GUMBO_TAG_ADDRESS:
    case GUMBO_TAG_ARTICLE:
    case GUMBO_TAG_ASIDE:
    case GUMBO_TAG_BLOCKQUOTE:
    case GUMBO_TAG_BODY:
    case GUMBO_TAG_CAPTION:
    case GUMBO_TAG_CENTER:
    case GUMBO_TAG_DD:
    case GUMBO_TAG_DETAILS:
    case GUMBO_TAG_DIV:
    case GUMBO_TAG_DL:
    case GUMBO_TAG_DT:
    case GUMBO_TAG_FIELDSET:
    case GUMBO_TAG_FIGCAPTION:
    case GUMBO_TAG_FIGURE:
    case GUMBO_TAG_FOOTER:
    case GUMBO_TAG_FORM:
    case GUMBO_TAG_HEADER:
    case GUMBO_TAG_HR:
    case GUMBO_TAG_HTML:
    case GUMBO_TAG_LI:
    case GUMBO_TAG_MAIN:
    case GUMBO_TAG_NAV:
    case GUMBO_TAG_OL:
    case GUMBO_TAG_P:
    case GUMBO_TAG_PRE:
    case GUMBO_TAG_SECTION:
    case GUMBO_TAG_SUMMARY:
    case GUMBO_TAG_TABLE:
    case GUMBO_TAG_TBODY:
    case GUMBO_TAG_TD:
    case GUMBO_TAG_TFOOT:
    case GUMBO_TAG_TH:
    case GUMBO_TAG_THEAD:
    case GUMBO_TAG_TR:
    case GUMBO_TAG_UL:
        return true;
    default:
        return heading_level(tag) > 0;
    }
}

static bool is_list_like(GumboTag tag)
{
    return tag == GUMBO_TAG_UL || tag == GUMBO_TAG_OL || tag == GUMBO_TAG_DL ||
           tag == GUMBO_TAG_TABLE || tag == GUMBO_TAG_DIV || tag == GUMBO_TAG_SECTION;
}

/* Lists of links inside an article are furniture too. Not so the whole page or a chosen part. */
static bool is_link_list(const struct tars_html_note *note)
{
    GumboTag tag = note->node->v.element.tag;

    if (note->chosen || !is_list_like(tag) || note->text == 0)
        return false;
    return (double)note->link_text > LINK_LISTS * (double)note->text && note->paragraphs == 0;
}

/* A table with one column, tables inside or long texts in cells only lays out the page. */
static bool is_data_table(const struct walker *walker, const struct tars_html_note *note)
{
    size_t rows = 0;
    size_t cells = 0;

    for (int i = (int)(note - walker->page->notes) + 1; i <= note->last; i++) {
        const struct tars_html_note *inner = &walker->page->notes[i];
        GumboTag tag = inner->node->v.element.tag;

        if (tag == GUMBO_TAG_TABLE)
            return false;
        rows += tag == GUMBO_TAG_TR;
        if (tag == GUMBO_TAG_TD || tag == GUMBO_TAG_TH) {
            cells++;
            if (inner->text > LAYOUT_TEXT || inner->paragraphs > 1)
                return false;
        }
    }
    return rows > 1 && cells >= 2 * rows;
}

static void walk_children(struct walker *walker, const GumboNode *node, int depth);

/* NOLINTNEXTLINE(misc-no-recursion): depth is bounded. */
static void walk_cell(struct walker *walker, const GumboNode *node, int depth)
{
    end_flow(walker);
    walker->cells++;
    walk_children(walker, node, depth);
    end_flow(walker);
    if (--walker->cells == 0) {
        tars_table_cell(&walker->table, walker->cell.ptr, walker->cell.len);
        tars_buf_clear(&walker->cell);
    }
}

/* Rows and cells of a data table.
 * NOLINTNEXTLINE(misc-no-recursion): depth is bounded. */
static void walk_rows(struct walker *walker, const GumboNode *node, int depth)
{
    const GumboVector *children = &node->v.element.children;

    for (unsigned i = 0; i < children->length && depth < TARS_HTML_DEPTH_MAX; i++) {
        const GumboNode *child = children->data[i];

        if (child->type != GUMBO_NODE_ELEMENT)
            continue;
        if (child->v.element.tag == GUMBO_TAG_TD || child->v.element.tag == GUMBO_TAG_TH) {
            walk_cell(walker, child, depth + 1);
            continue;
        }
        if (child->v.element.tag == GUMBO_TAG_CAPTION)
            continue;
        walk_rows(walker, child, depth + 1);
        if (child->v.element.tag == GUMBO_TAG_TR)
            tars_table_end_row(&walker->table);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is bounded. */
static void walk_table(struct walker *walker, const GumboNode *node,
                       const struct tars_html_note *note, int depth)
{
    if (walker->cells > 0 || !is_data_table(walker, note)) {
        end_flow(walker);
        walk_children(walker, node, depth);
        end_flow(walker);
        return;
    }
    end_flow(walker);
    walk_rows(walker, node, depth);
    tars_table_end(&walker->table);
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is bounded. */
static void walk_block(struct walker *walker, const GumboNode *node, int depth)
{
    GumboTag tag = node->v.element.tag;
    int level = heading_level(tag);

    end_flow(walker);
    walker->pre += tag == GUMBO_TAG_PRE;
    walker->items += tag == GUMBO_TAG_LI;
    walk_children(walker, node, depth);
    if (level) {
        end_block(walker, TARS_BLOCK_HEADING, level);
    } else {
        end_flow(walker);
    }
    walker->pre -= tag == GUMBO_TAG_PRE;
    walker->items -= tag == GUMBO_TAG_LI;
}

/* NOLINTNEXTLINE(misc-no-recursion): TARS_HTML_DEPTH_MAX bounds it. */
static void walk_element(struct walker *walker, const GumboNode *node, int depth)
{
    const struct tars_html_note *note = tars_html_find(walker->page, node, &walker->hint);
    GumboTag tag = node->v.element.tag;

    if (!note || walker->sink->status != TARS_OK || tars_html_is_never_read(node))
        return;
    if (!walker->all && (note->dropped || is_link_list(note)))
        return;
    if (tag == GUMBO_TAG_BR) {
        tars_buf_append_char(&walker->text, '\n');
    } else if (tag == GUMBO_TAG_TABLE) {
        walk_table(walker, node, note, depth);
    } else if (is_block(tag)) {
        walk_block(walker, node, depth);
    } else {
        walk_children(walker, node, depth);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): TARS_HTML_DEPTH_MAX bounds it. */
static void walk_children(struct walker *walker, const GumboNode *node, int depth)
{
    const GumboVector *children = &node->v.element.children;

    for (unsigned i = 0; i < children->length && depth < TARS_HTML_DEPTH_MAX; i++) {
        const GumboNode *child = children->data[i];

        if (child->type == GUMBO_NODE_TEXT || child->type == GUMBO_NODE_WHITESPACE ||
            child->type == GUMBO_NODE_CDATA) {
            append_text(walker, child->v.text.text);
        } else if (child->type == GUMBO_NODE_ELEMENT) {
            walk_element(walker, child, depth + 1);
        }
    }
}

/* ------------------------------------------------------------------------ page */

/* Text of the title element, which lies in the head. */
static const char *find_title(const GumboNode *root)
{
    const GumboVector *parts = &root->v.element.children;

    for (unsigned i = 0; i < parts->length; i++) {
        const GumboNode *head = parts->data[i];

        if (head->type != GUMBO_NODE_ELEMENT || head->v.element.tag != GUMBO_TAG_HEAD)
            continue;
        for (unsigned k = 0; k < head->v.element.children.length; k++) {
            const GumboNode *title = head->v.element.children.data[k];
            const GumboNode *text;

            if (title->type != GUMBO_NODE_ELEMENT || title->v.element.tag != GUMBO_TAG_TITLE ||
                title->v.element.children.length == 0)
                continue;
            text = title->v.element.children.data[0];
            return text->type == GUMBO_NODE_TEXT ? text->v.text.text : "";
        }
    }
    return "";
}

static void write_parts(struct tars_sink *sink, const struct tars_html_page *page, bool all)
{
    struct walker walker = {.sink = sink, .page = page, .all = all};

    tars_table_init(&walker.table, sink);
    tars_buf_init(&walker.text, TEXT_MAX);
    tars_buf_init(&walker.cell, TEXT_MAX);
    for (size_t i = 0; i < page->count; i++) {
        if (all ? i == 0 : page->notes[i].chosen) {
            walk_element(&walker, page->notes[i].node, 0);
            end_flow(&walker);
        }
    }
    tars_buf_release(&walker.cell);
    tars_buf_release(&walker.text);
    tars_table_release(&walker.table);
}

static void *allocate(void *arena, size_t size)
{
    return tars_arena_alloc(arena, size);
}

/* All is given back at once, with the arena. */
static void deallocate(void *arena, void *ptr)
{
    (void)arena;
    (void)ptr;
}

static tars_status write_page(struct tars_arena *arena, struct tars_sink *sink,
                              struct tars_span text, const char **title, struct tars_err *err)
{
    GumboOptions options = kGumboDefaultOptions;
    struct tars_html_page page;
    size_t before = sink->blocks;
    GumboOutput *output;

    options.allocator = allocate;
    options.deallocator = deallocate;
    options.userdata = arena;
    output = gumbo_parse_with_options(&options, text.ptr, text.len);
    if (!output || !output->root)
        return tars_fail(TARS_EFORMAT, err, "the page cannot be parsed");
    if (!tars_html_choose(arena, output->root, &page))
        return tars_fail(TARS_ETOOBIG, err, "the page has too many elements");
    write_parts(sink, &page, false);
    if (sink->blocks == before)
        write_parts(sink, &page, true);
    *title = find_title(output->root);
    return TARS_OK;
}

tars_status tars_html_write(struct tars_arena *arena, struct tars_charsets *charsets,
                            struct tars_span bytes, struct tars_sink *sink, const char **title,
                            struct tars_err *err)
{
    struct tars_buf text;
    tars_status status;

    tars_buf_init(&text, TEXT_MAX);
    tars_charset_convert(charsets, tars_charset_detect(charsets, bytes, declared_charset(bytes)),
                         bytes, &text);
    if (text.status != TARS_OK) {
        status = tars_fail(TARS_ETOOBIG, err, "the page is too large");
    } else {
        status = write_page(arena, sink, tars_buf_span(&text), title, err);
    }
    tars_buf_release(&text);
    return status;
}

static tars_status parse(struct tars_input *input, struct tars_sink *sink, struct tars_err *err)
{
    struct tars_arena arena;
    const char *title = "";
    struct tars_span bytes;
    tars_status status = tars_input_whole(input, &bytes, err);

    tars_arena_init(&arena, TARS_HTML_ARENA_MAX);
    if (status == TARS_OK)
        status = tars_html_write(&arena, input->charsets, bytes, sink, &title, err);
    if (status == TARS_OK)
        tars_sink_document(sink, &(struct tars_sink_document){.title = tars_span_of(title)});
    tars_arena_release(&arena);
    return status;
}

const struct tars_format tars_format_html = {.sniff = sniff, .parse = parse};
