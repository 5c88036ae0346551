/* pdf - see pdf.h.
 *
 * poppler gives the characters of a page, a box for each, and fonts for ranges of them. Words are
 * cut from these here; everything after that is ours (pdf_layout, pdf_blocks), because reading
 * order and tables are what answers depend on.
 */
#include "extract/formats/pdf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>
#include <poppler.h>

#include "extract/formats/format.h"
#include "extract/formats/pdf_blocks.h"
#include "extract/formats/pdf_layout.h"

#define ARENA_MAX   ((size_t)600 * 1024 * 1024)
#define JUMP_EM     0.6 /* a wider gap ends a word */
#define PAGES_MAX   20000
#define WORDS_MAX   ((size_t)1000000) /* of one page */
#define MARK_WITHIN 1024              /* bytes in which "%PDF-" must begin */

/* A document of one empty page, to have the library load its tables. */
static const char smallest[] = "%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
                               "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
                               "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"
                               "trailer<</Root 1 0 R/Size 4>>\n%%EOF\n";

void tars_pdf_prepare(void)
{
    GBytes *bytes = g_bytes_new_static(smallest, sizeof(smallest) - 1);
    PopplerDocument *document = poppler_document_new_from_bytes(bytes, NULL, NULL);

    /* Never given back: the tables live as long as some document does. */
    if (document && poppler_document_get_n_pages(document) > 0) {
        PopplerPage *page = poppler_document_get_page(document, 0);

        if (page) {
            g_free(poppler_page_get_text(page));
            g_object_unref(page);
        }
    }
    g_bytes_unref(bytes);
}

static enum tars_sniff sniff(const struct tars_input *input, bool named)
{
    size_t len = input->head.len < MARK_WITHIN ? input->head.len : MARK_WITHIN;

    if (input->is_gzip)
        return TARS_SNIFF_NO;
    if (memmem(input->head.ptr, len, "%PDF-", 5))
        return TARS_SNIFF_SURE;
    return named ? TARS_SNIFF_NAME : TARS_SNIFF_NO;
}

/* ----------------------------------------------------------------------- words */

struct page_text {
    char *text; /* owned by glib, as the rest */
    PopplerRectangle *boxes;
    guint box_count;
    GList *attributes;
};

struct cutter {
    struct tars_arena *arena;
    struct tars_pdf_word *words; /* in arena */
    size_t count;
    size_t cap;
    const GList *attribute; /* of the current character, or NULL */
    guint index;            /* of the current character */
};

static bool is_bold(const char *font)
{
    return font &&
           (strcasestr(font, "bold") || strcasestr(font, "black") || strcasestr(font, "heavy") ||
            strcasestr(font, "-bd") || strcasestr(font, "demi") || strcasestr(font, "-medi"));
}

static const PopplerTextAttributes *attributes_at(struct cutter *cutter)
{
    while (cutter->attribute) {
        const PopplerTextAttributes *found = cutter->attribute->data;

        if ((guint)found->end_index >= cutter->index)
            return found;
        cutter->attribute = cutter->attribute->next;
    }
    return NULL;
}

static tars_status begin_word(struct cutter *cutter, const char *text, const PopplerRectangle *box)
{
    const PopplerTextAttributes *attributes = attributes_at(cutter);
    void *words = cutter->words;
    tars_status status = tars_arena_grow(cutter->arena, &words, &cutter->cap, cutter->count + 1,
                                         sizeof(*cutter->words));

    if (status != TARS_OK)
        return status;
    cutter->words = words;
    cutter->words[cutter->count++] = (struct tars_pdf_word){
        .text = text,
        .x0 = (float)box->x1,
        .y0 = (float)box->y1,
        .x1 = (float)box->x2,
        .y1 = (float)box->y2,
        .size = attributes ? (float)attributes->font_size : (float)(box->y2 - box->y1),
        .bold = attributes && is_bold(attributes->font_name),
    };
    return TARS_OK;
}

static void extend_word(struct tars_pdf_word *word, const PopplerRectangle *box)
{
    if ((float)box->x1 < word->x0)
        word->x0 = (float)box->x1;
    if ((float)box->x2 > word->x1)
        word->x1 = (float)box->x2;
    if ((float)box->y1 < word->y0)
        word->y0 = (float)box->y1;
    if ((float)box->y2 > word->y1)
        word->y1 = (float)box->y2;
}

/* A character elsewhere begins a word, though no white space tells: below, above or far right of
 * the one before. */
static bool is_elsewhere(const PopplerRectangle *before, const PopplerRectangle *box)
{
    double height = box->y2 - box->y1;
    double width = box->x2 - box->x1;
    double middle = (box->y1 + box->y2) / 2;

    if (width > 1.5 * height || height <= 0)
        return false; /* turned, or a ligature: not to be told by its box */
    if (middle > before->y1 && middle < before->y2)
        return box->x1 - before->x2 > JUMP_EM * height || before->x1 - box->x2 > JUMP_EM * height;
    /* Turned text moves up or down the page, within its own width. */
    return box->x1 > before->x2 || box->x2 < before->x1 || box->y1 - before->y2 > height / 2 ||
           before->y1 - box->y2 > height / 2;
}

/* Which way the word runs: from its first character to its last. */
static void note_turn(struct tars_pdf_word *word, const PopplerRectangle *first,
                      const PopplerRectangle *last)
{
    double right = (last->x1 + last->x2 - first->x1 - first->x2) / 2;
    double down = (last->y1 + last->y2 - first->y1 - first->y2) / 2;
    double across = right < 0 ? -right : right;

    word->turn = 0;
    if (down > 2 * across && down > 1) {
        word->turn = 1;
    } else if (-down > 2 * across && -down > 1) {
        word->turn = -1;
    }
}

/* Words end at white space. */
static tars_status cut_words(struct cutter *cutter, const struct page_text *page)
{
    const PopplerRectangle *first = NULL; /* of the word */
    const char *at = page->text;
    bool in_word = false;
    tars_status status = TARS_OK;

    cutter->attribute = page->attributes;
    for (cutter->index = 0; *at && cutter->index < page->box_count && status == TARS_OK;
         cutter->index++) {
        const char *next = g_utf8_next_char(at);
        gunichar code = g_utf8_get_char(at);
        const PopplerRectangle *box = &page->boxes[cutter->index];

        if (g_unichar_isspace(code) || code < 0x20) {
            in_word = false;
        } else if (cutter->count < WORDS_MAX) {
            if (!in_word || is_elsewhere(box - 1, box)) {
                status = begin_word(cutter, at, box);
                first = box;
            }
            if (status == TARS_OK) {
                note_turn(&cutter->words[cutter->count - 1], first, box);
                cutter->words[cutter->count - 1].len += (size_t)(next - at);
                extend_word(&cutter->words[cutter->count - 1], box);
            }
            in_word = true;
        }
        at = next;
    }
    return status;
}

static tars_status read_page(struct tars_arena *arena, PopplerPage *source, int number,
                             struct tars_pdf_rows *rows)
{
    struct page_text page = {.text = poppler_page_get_text(source)};
    struct tars_arena scratch;
    struct cutter cutter = {.arena = &scratch};
    tars_status status = TARS_OK;

    tars_arena_init(&scratch, ARENA_MAX);
    if (page.text && *page.text &&
        poppler_page_get_text_layout(source, &page.boxes, &page.box_count)) {
        page.attributes = poppler_page_get_text_attributes(source);
        status = cut_words(&cutter, &page);
        if (status == TARS_OK)
            status = tars_pdf_layout(arena, cutter.words, cutter.count, number, rows);
    }
    if (page.attributes)
        poppler_page_free_text_attributes(page.attributes);
    g_free(page.boxes);
    g_free(page.text);
    tars_arena_release(&scratch);
    return status;
}

/* -------------------------------------------------------------------- document */

static tars_status why_not(const GError *error, struct tars_err *err)
{
    if (error && g_error_matches(error, POPPLER_ERROR, POPPLER_ERROR_ENCRYPTED)) {
        return tars_fail(TARS_EPASSWORD, err,
                         "the PDF is encrypted and needs a password; save it without one");
    }
    return tars_fail(TARS_EFORMAT, err, "the PDF is damaged and cannot be opened (%s)",
                     error ? error->message : "no reason given");
}

/* Programs put the name of a file into the title; that is not one. */
static bool is_title(const char *title)
{
    static const char *const suffixes[] = {".doc", ".docx", ".pdf", ".indd", ".xls",
                                           ".ppt", ".tex",  ".dvi", ".qxd",  ".rtf"};
    size_t len = title ? strlen(title) : 0;

    if (len < 4 || strncasecmp(title, "microsoft ", 10) == 0 ||
        strncasecmp(title, "untitled", 8) == 0)
        return false;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        size_t n = strlen(suffixes[i]);

        if (len > n && strcasecmp(title + len - n, suffixes[i]) == 0)
            return false;
    }
    return true;
}

static void write_document(PopplerDocument *document, int pages, struct tars_sink *sink)
{
    char *title = poppler_document_get_title(document);
    struct tars_sink_document attributes = {.page_count = pages};

    if (is_title(title))
        attributes.title = tars_span_of(title);
    tars_sink_document(sink, &attributes);
    g_free(title);
}

static tars_status read_pages(PopplerDocument *document, int pages, struct tars_sink *sink,
                              struct tars_err *err)
{
    struct tars_pdf_rows rows = {0};
    struct tars_arena arena;
    tars_status status = TARS_OK;
    int missing = 0;

    tars_arena_init(&arena, ARENA_MAX);
    for (int i = 0; i < pages && status == TARS_OK; i++) {
        PopplerPage *page = poppler_document_get_page(document, i);

        if (!page) {
            missing++;
            continue;
        }
        status = read_page(&arena, page, i + 1, &rows);
        g_object_unref(page);
    }
    if (status == TARS_OK)
        status = tars_pdf_write_blocks(&arena, &rows, pages, sink);
    if (status != TARS_OK) {
        (void)tars_fail(TARS_ETOOBIG, err, "the PDF holds more than fits into memory");
    } else if (missing == pages) {
        status = tars_fail(TARS_EFORMAT, err, "the PDF is damaged: none of its %d pages is there",
                           pages);
    } else if (sink->blocks == 0 && sink->status == TARS_OK) {
        status = tars_fail(TARS_ENOTEXT, err,
                           "no text layer on any of %d pages: a scan; run text recognition first",
                           pages);
    }
    if (status == TARS_OK)
        write_document(document, pages, sink);
    tars_arena_release(&arena);
    return status == TARS_ENOMEM ? TARS_ETOOBIG : status;
}

static tars_status parse(struct tars_input *input, struct tars_sink *sink, struct tars_err *err)
{
    PopplerDocument *document = NULL;
    struct tars_span span;
    GError *error = NULL;
    GBytes *bytes;
    int pages;
    tars_status status = tars_input_whole(input, &span, err);

    if (status != TARS_OK)
        return status;
    bytes = g_bytes_new_static(span.ptr, span.len);
    document = poppler_document_new_from_bytes(bytes, NULL, &error);
    if (!document) {
        status = why_not(error, err);
        goto out;
    }
    pages = poppler_document_get_n_pages(document);
    if (pages <= 0) {
        status = tars_fail(TARS_EFORMAT, err, "the PDF is damaged: it has no pages");
    } else if (pages > PAGES_MAX) {
        status = tars_fail(TARS_ETOOBIG, err, "the PDF has %d pages; %d are read at most", pages,
                           PAGES_MAX);
    } else {
        status = read_pages(document, pages, sink, err);
    }
out:
    if (document)
        g_object_unref(document);
    if (error)
        g_error_free(error);
    g_bytes_unref(bytes);
    return status;
}

const struct tars_format tars_format_pdf = {.sniff = sniff, .parse = parse};
