/* pdf_blocks - see pdf_blocks.h. */
#include "extract/formats/pdf_blocks.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem/buf.h"

#define SIZES          200   /* half points: up to 100 points */
#define EDGE_ROWS      3     /* rows at the top and bottom of a page that may be running lines */
#define RUNNING_PAGES  3     /* at least so many pages have them */
#define RUNNING_NEAR   4     /* and so many pages lie at most between two of them */
#define HEADING_LARGER 1.12F /* times the body */
#define HEADING_BYTES  160
#define BOLD_BYTES     110
#define LINE_GAP       0.75F /* of the font's size between lines of one paragraph */
#define TABLE_ROWS     24    /* of a piece of a long table */
#define HEADER_ROWS    4     /* at most */
#define LABEL_ROWS     2     /* rows of one cell that a table may have in a row */
#define TEXT_MAX       ((size_t)64 * 1024 * 1024)

float tars_pdf_body_size(const struct tars_pdf_rows *rows)
{
    size_t count[SIZES] = {0};
    size_t best = 0;

    for (size_t i = 0; i < rows->count; i++) {
        size_t slot = (size_t)(rows->rows[i].size * 2 + 0.5F);

        if (slot < SIZES)
            count[slot] += rows->rows[i].len;
    }
    for (size_t i = 1; i < SIZES; i++) {
        if (count[i] > count[best])
            best = i;
    }
    return best ? (float)best / 2 : 10.0F;
}

/* --------------------------------------------------------------- running lines */

/* A line's text with each number as one sign, hashed. */
static uint64_t line_key(const struct tars_pdf_row *row)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    bool in_number = false;

    for (size_t i = 0; i < row->len; i++) {
        unsigned char c = (unsigned char)row->text[i];

        if (isdigit(c)) {
            if (in_number)
                continue;
            c = '#';
        }
        in_number = c == '#';
        hash = (hash ^ c) * UINT64_C(1099511628211);
    }
    return hash;
}

static bool is_page_number(const struct tars_pdf_row *row)
{
    size_t digits = 0;

    if (row->len > 14)
        return false;
    for (size_t i = 0; i < row->len; i++) {
        char c = row->text[i];

        digits += isdigit((unsigned char)c) != 0;
        if (!isdigit((unsigned char)c) && !strchr("-. /|PpageoOfF", c))
            return false;
    }
    return digits > 0 && digits <= 8;
}

struct edge {
    uint64_t key;
    size_t row;
    int page;
};

static int by_key_and_page(const void *a, const void *b)
{
    const struct edge *one = a;
    const struct edge *two = b;

    if (one->key != two->key)
        return one->key < two->key ? -1 : 1;
    return one->page - two->page;
}

/* Mark edges of one key as dropped where enough pages near each other have them. */
static void drop_run(const struct edge *edges, size_t count, bool *dropped)
{
    for (size_t first = 0; first < count;) {
        size_t end = first + 1;

        while (end < count && edges[end].page - edges[end - 1].page <= RUNNING_NEAR)
            end++;
        for (size_t i = first; i < end && end - first >= RUNNING_PAGES; i++)
            dropped[edges[i].row] = true;
        first = end;
    }
}

/* Top and bottom rows of each page. Columns are read in another order than they lie, so it is the
 * height on the page that counts. */
static size_t find_edges(const struct tars_pdf_rows *rows, struct edge *edges, bool *dropped)
{
    size_t made = 0;

    for (size_t first = 0; first < rows->count;) {
        size_t end = first;

        while (end < rows->count && rows->rows[end].page == rows->rows[first].page)
            end++;
        for (size_t i = first; i < end; i++) {
            size_t above = i - first;
            size_t below = end - 1 - i;

            if (above >= EDGE_ROWS && below >= EDGE_ROWS)
                continue;
            if ((above == 0 || below == 0) && is_page_number(&rows->rows[i]))
                dropped[i] = true;
            edges[made++] = (struct edge){line_key(&rows->rows[i]), i, rows->rows[i].page};
        }
        first = end;
    }
    return made;
}

/* A page of which nothing would be left keeps all: the line is what it says. */
static void spare_lone_lines(const struct tars_pdf_rows *rows, bool *dropped)
{
    for (size_t first = 0; first < rows->count;) {
        size_t end = first;
        size_t kept = 0;

        while (end < rows->count && rows->rows[end].page == rows->rows[first].page)
            kept += !dropped[end++];
        for (size_t i = first; i < end && kept == 0; i++)
            dropped[i] = false;
        first = end;
    }
}

static bool *find_running(struct tars_arena *arena, const struct tars_pdf_rows *rows)
{
    bool *dropped = tars_arena_calloc(arena, rows->count + 1, sizeof(*dropped));
    struct edge *edges = tars_arena_calloc(arena, rows->count + 1, sizeof(*edges));
    size_t count;

    if (!dropped || !edges)
        return NULL;
    count = find_edges(rows, edges, dropped);
    qsort(edges, count, sizeof(*edges), by_key_and_page);
    for (size_t first = 0; first < count;) {
        size_t end = first + 1;

        while (end < count && edges[end].key == edges[first].key)
            end++;
        drop_run(edges + first, end - first, dropped);
        first = end;
    }
    spare_lone_lines(rows, dropped);
    return dropped;
}

/* ---------------------------------------------------------------------- blocks */

struct writer {
    struct tars_sink *sink;
    const struct tars_pdf_row *rows; /* without the running lines */
    size_t count;
    float body;
    struct tars_buf text;  /* the block so far */
    struct tars_buf lines; /* header of a table */
};

static bool has_letter(const struct tars_pdf_row *row)
{
    for (size_t i = 0; i < row->len; i++) {
        if (isalpha((unsigned char)row->text[i]) || (unsigned char)row->text[i] >= 0x80)
            return true;
    }
    return false;
}

static char last_of(const struct tars_pdf_row *row)
{
    return row->text[row->len ? row->len - 1 : 0];
}

/* Level of a row that is a heading, else 0. */
static int heading_level(const struct writer *writer, size_t i)
{
    const struct tars_pdf_row *row = &writer->rows[i];
    float ratio = row->size / writer->body;
    const char last = last_of(row);

    if (row->cells > 1 || row->len < 2 || row->turned || !has_letter(row))
        return 0;
    if (ratio >= HEADING_LARGER && row->len <= HEADING_BYTES)
        return ratio >= 1.7F ? 1 : ratio >= 1.35F ? 2 : 3;
    if (row->bold && row->len <= BOLD_BYTES && ratio > 0.9F && !strchr(".,;", last))
        return 4;
    return 0;
}

static bool is_close(const struct tars_pdf_row *above, const struct tars_pdf_row *row)
{
    float gap = row->y0 - above->y1;
    float em = row->size > 1 ? row->size : 10;

    if (row->new_column || row->page != above->page)
        return false;
    return gap < LINE_GAP * em && gap > -2 * em;
}

static bool is_like(const struct tars_pdf_row *a, const struct tars_pdf_row *b)
{
    float difference = a->size - b->size;

    return difference < 0.8F && difference > -0.8F && a->bold == b->bold;
}

/* Append a line to the paragraph, taking back a hyphen that only broke the word. */
static void join_line(struct tars_buf *text, const struct tars_pdf_row *row)
{
    if (text->len >= 2 && text->ptr[text->len - 1] == '-' &&
        islower((unsigned char)text->ptr[text->len - 2]) && islower((unsigned char)row->text[0])) {
        /* Rewritten without its last sign: buffers only grow. */
        struct tars_span kept = tars_span(text->ptr, text->len - 1);
        char *copy = strndup(kept.ptr, kept.len);

        if (!copy)
            return;
        tars_buf_clear(text);
        tars_buf_append(text, copy, kept.len);
        free(copy);
    } else if (text->len) {
        tars_buf_append_char(text, ' ');
    }
    tars_buf_append(text, row->text, row->len);
}

static void flush(struct writer *writer, enum tars_block_kind kind, int level, int page)
{
    if (writer->text.len)
        tars_sink_block(writer->sink, kind, level, page, writer->text.ptr, writer->text.len);
    tars_buf_clear(&writer->text);
}

/* A line may be the first of a list item. */
static bool begins_item(const struct tars_pdf_row *row)
{
    const char *text = row->text;

    return strncmp(text, "\xE2\x80\xA2", 3) == 0 || strncmp(text, "\xE2\x97\x8F", 3) == 0 ||
           strncmp(text, "\xE2\x96\xAA", 3) == 0 || strncmp(text, "- ", 2) == 0 ||
           strncmp(text, "\xE2\x80\x93 ", 4) == 0;
}

static bool goes_on(const struct tars_pdf_row *above, const struct tars_pdf_row *row)
{
    const char last = last_of(above);
    bool is_new_place = row->new_column || row->page != above->page;

    if (row->cells > 1 || begins_item(row))
        return false;
    if (is_new_place) { /* a sentence may go on over a column's or page's end */
        return is_like(above, row) && !strchr(".:;!?", last) &&
               islower((unsigned char)row->text[0]);
    }
    return is_close(above, row) && is_like(above, row);
}

static size_t write_paragraph(struct writer *writer, size_t i)
{
    int page = writer->rows[i].page;
    bool is_item = begins_item(&writer->rows[i]);

    do {
        join_line(&writer->text, &writer->rows[i]);
        i++;
    } while (i < writer->count && goes_on(&writer->rows[i - 1], &writer->rows[i]) &&
             !heading_level(writer, i));
    flush(writer, is_item ? TARS_BLOCK_LIST : TARS_BLOCK_PARAGRAPH, 0, page);
    return i;
}

static size_t write_heading(struct writer *writer, size_t i)
{
    int page = writer->rows[i].page;
    int level = heading_level(writer, i);
    size_t start = i;

    do {
        join_line(&writer->text, &writer->rows[i]);
        i++;
    } while (i < writer->count && i < start + 3 && heading_level(writer, i) == level &&
             is_close(&writer->rows[i - 1], &writer->rows[i]) &&
             is_like(&writer->rows[i - 1], &writer->rows[i]));
    flush(writer, TARS_BLOCK_HEADING, level, page);
    return i;
}

/* One past the last row of the table that begins at i. Rows of one cell inside are its labels. */
static size_t table_end(const struct writer *writer, size_t i)
{
    size_t end = i + 1;
    size_t singles = 0;

    for (size_t k = i + 1; k < writer->count; k++) {
        const struct tars_pdf_row *row = &writer->rows[k];

        if (row->page != writer->rows[i].page || row->new_column)
            break;
        if (row->cells > 1) {
            singles = 0;
            end = k + 1;
        } else if (++singles > LABEL_ROWS) {
            break;
        }
    }
    return end;
}

/* Rows at the top, before the first one with a number in a cell after the first. */
static size_t header_rows(const struct writer *writer, size_t first, size_t end)
{
    size_t count = 0;

    while (first + count < end && count < HEADER_ROWS) {
        const struct tars_pdf_row *row = &writer->rows[first + count];
        const char *second = strstr(row->text, " | ");

        /* Years make a header; other numbers make a row. */
        if (row->numbers > 0 && row->cells > 1 && second &&
            !(strstr(row->text, "20") || strstr(row->text, "19")))
            break;
        count++;
        if (row->numbers > 0 && row->cells > 1)
            break;
    }
    return first + count < end ? count : 0;
}

static void add_table_row(struct tars_buf *text, const struct tars_pdf_row *row)
{
    if (text->len)
        tars_buf_append_char(text, '\n');
    tars_buf_append(text, row->text, row->len);
}

static size_t write_table(struct writer *writer, size_t i)
{
    size_t end = table_end(writer, i);
    size_t header = header_rows(writer, i, end);
    int page = writer->rows[i].page;
    size_t rows = 0;

    tars_buf_clear(&writer->lines);
    for (size_t k = i; k < i + header; k++)
        add_table_row(&writer->lines, &writer->rows[k]);
    for (size_t k = i + header; k < end; k++) {
        if (rows == 0 && writer->lines.len)
            tars_buf_append(&writer->text, writer->lines.ptr, writer->lines.len);
        add_table_row(&writer->text, &writer->rows[k]);
        /* A small rest stays with the last piece. */
        if (++rows >= TABLE_ROWS && end - k > TABLE_ROWS / 4) {
            flush(writer, TARS_BLOCK_TABLE, 0, page);
            rows = 0;
        }
    }
    flush(writer, TARS_BLOCK_TABLE, 0, page);
    return end;
}

/* Rows with cells make a table when there are two, or one between lines. */
static bool begins_table(const struct writer *writer, size_t i)
{
    return writer->rows[i].cells > 1 && table_end(writer, i) > i + 1;
}

tars_status tars_pdf_write_blocks(struct tars_arena *arena, const struct tars_pdf_rows *rows,
                                  int page_count, struct tars_sink *sink)
{
    struct writer writer = {.sink = sink, .body = tars_pdf_body_size(rows)};
    bool *dropped = find_running(arena, rows);
    struct tars_pdf_row *kept = tars_arena_calloc(arena, rows->count + 1, sizeof(*kept));
    tars_status status;

    (void)page_count;
    if (!dropped || !kept)
        return TARS_ENOMEM;
    for (size_t i = 0; i < rows->count; i++) {
        if (!dropped[i])
            kept[writer.count++] = rows->rows[i];
    }
    writer.rows = kept;
    tars_buf_init(&writer.text, TEXT_MAX);
    tars_buf_init(&writer.lines, TEXT_MAX);
    for (size_t i = 0; i < writer.count && sink->status == TARS_OK;) {
        if (begins_table(&writer, i)) {
            i = write_table(&writer, i);
        } else if (heading_level(&writer, i)) {
            i = write_heading(&writer, i);
        } else {
            i = write_paragraph(&writer, i);
        }
    }
    status = writer.text.status != TARS_OK ? writer.text.status : writer.lines.status;
    tars_buf_release(&writer.text);
    tars_buf_release(&writer.lines);
    return status;
}
