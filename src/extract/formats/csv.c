/* csv - rows of fields (RFC 4180), whatever separates them and however they are encoded.
 *
 * The first row is taken for the header; rows come out as table blocks (formats/table.h).
 *
 * Delimiter  the one of , ; tab | : that splits the first rows most evenly. A lone column is fine.
 * Lenient    A quote inside an unquoted field is a sign like any other; an unfinished quote ends
 *            with the file.
 */
#include "extract/formats/format.h"

#include <stdlib.h>
#include <string.h>

#include "extract/formats/charset.h"
#include "extract/formats/table.h"

#define TEXT_MAX    ((size_t)256 * 1024 * 1024)
#define SAMPLE_ROWS 20

static enum tars_sniff sniff(const struct tars_input *input, bool named)
{
    if (!named || input->is_gzip)
        return TARS_SNIFF_NO;
    /* A spreadsheet or picture under a wrong name has its marks in the first bytes. */
    if (input->head.len >= 4 && (memcmp(input->head.ptr, "PK\3\4", 4) == 0 ||
                                 memcmp(input->head.ptr, "\xD0\xCF\x11\xE0", 4) == 0))
        return TARS_SNIFF_NO;
    return TARS_SNIFF_NAME;
}

/* One field at a time off a text. */
struct scanner {
    const char *at;
    const char *end;
    char delimiter;
};

enum after { AFTER_FIELD, AFTER_ROW, AFTER_TEXT };

static enum after after_field(struct scanner *scanner)
{
    if (scanner->at == scanner->end)
        return AFTER_TEXT;
    if (*scanner->at == scanner->delimiter) {
        scanner->at++;
        return AFTER_FIELD;
    }
    if (*scanner->at == '\r')
        scanner->at++;
    if (scanner->at < scanner->end && *scanner->at == '\n')
        scanner->at++;
    return scanner->at == scanner->end ? AFTER_TEXT : AFTER_ROW;
}

static void scan_quoted(struct scanner *scanner, struct tars_buf *out)
{
    scanner->at++;
    while (scanner->at < scanner->end) {
        if (*scanner->at == '"') {
            if (scanner->at + 1 == scanner->end || scanner->at[1] != '"') {
                scanner->at++;
                return;
            }
            scanner->at++;
        }
        if (out)
            tars_buf_append_char(out, *scanner->at);
        scanner->at++;
    }
}

/* Append the next field to out (NULL: pass over it). */
static enum after scan_field(struct scanner *scanner, struct tars_buf *out)
{
    const char *start;

    if (scanner->at < scanner->end && *scanner->at == '"')
        scan_quoted(scanner, out);
    start = scanner->at;
    while (scanner->at < scanner->end && *scanner->at != scanner->delimiter &&
           *scanner->at != '\n' && *scanner->at != '\r')
        scanner->at++;
    if (out)
        tars_buf_append(out, start, (size_t)(scanner->at - start));
    return after_field(scanner);
}

/* How evenly delimiter splits the first rows: columns of the first row times the share of rows that
 * have as many; 0 when it does not split at all. */
static double rate_delimiter(struct tars_span text, char delimiter)
{
    struct scanner scanner = {text.ptr, text.ptr + text.len, delimiter};
    size_t first = 0;
    size_t rows = 0;
    size_t alike = 0;
    enum after after = AFTER_ROW;

    while (rows < SAMPLE_ROWS && after != AFTER_TEXT) {
        size_t columns = 0;

        do {
            after = scan_field(&scanner, NULL);
            columns++;
        } while (after == AFTER_FIELD);
        if (rows++ == 0)
            first = columns;
        alike += columns == first;
    }
    return first > 1 ? (double)first * (double)alike * (double)alike / (double)(rows * rows) : 0;
}

static char find_delimiter(struct tars_span text)
{
    static const char candidates[] = ",;\t|:";
    double best = 1;
    char found = ',';

    for (const char *c = candidates; *c; c++) {
        double rating = rate_delimiter(text, *c);

        /* A colon is in times and addresses: it must be much better. */
        if (*c == ':')
            rating /= 2;
        if (rating > best) {
            best = rating;
            found = *c;
        }
    }
    return found;
}

/* The next row into table. field is scratch. */
static enum after scan_row(struct scanner *scanner, struct tars_buf *field,
                           struct tars_table *table)
{
    enum after after;

    do {
        tars_buf_clear(field);
        after = scan_field(scanner, field);
        tars_table_cell(table, field->ptr, field->len);
    } while (after == AFTER_FIELD);
    tars_table_end_row(table);
    return after;
}

static void write_table(struct tars_sink *sink, struct tars_span text, char delimiter)
{
    struct scanner scanner = {text.ptr, text.ptr + text.len, delimiter};
    struct tars_table table;
    struct tars_buf field;
    enum after after = text.len ? AFTER_ROW : AFTER_TEXT;

    tars_table_init(&table, sink);
    tars_buf_init(&field, TEXT_MAX);
    while (after != AFTER_TEXT && sink->status == TARS_OK)
        after = scan_row(&scanner, &field, &table);
    tars_table_end(&table);
    tars_buf_release(&field);
    tars_table_release(&table);
}

/* Excel's own first line, "sep=;". */
static char take_declared(struct tars_span *text)
{
    char delimiter = 0;

    if (text->len >= 5 && memcmp(text->ptr, "sep=", 4) == 0) {
        const char *end = memchr(text->ptr, '\n', text->len < 8 ? text->len : 8);

        if (end) {
            delimiter = text->ptr[4];
            *text = tars_span(end + 1, (size_t)(text->ptr + text->len - end - 1));
        }
    }
    return delimiter;
}

static tars_status parse(struct tars_input *input, struct tars_sink *sink, struct tars_err *err)
{
    struct tars_span bytes;
    struct tars_span span;
    struct tars_buf text;
    char delimiter;
    tars_status status = tars_input_whole(input, &bytes, err);

    if (status != TARS_OK)
        return status;
    tars_buf_init(&text, TEXT_MAX);
    tars_charset_convert(input->charsets,
                         tars_charset_detect(input->charsets, bytes, tars_span(NULL, 0)), bytes,
                         &text);
    status = text.status;
    if (status == TARS_OK && text.len > 0) {
        span = tars_buf_span(&text);
        delimiter = take_declared(&span);
        if (!delimiter)
            delimiter = find_delimiter(span);
        write_table(sink, span, delimiter);
    }
    tars_sink_document(sink, &(struct tars_sink_document){0});
    tars_buf_release(&text);
    if (status != TARS_OK)
        return tars_fail(TARS_ETOOBIG, err, "the table is too large");
    return TARS_OK;
}

const struct tars_format tars_format_csv = {.sniff = sniff, .parse = parse};
