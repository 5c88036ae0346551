/* pdf_layout - the words of one page into rows, in reading order.
 *
 *     words -> segments    neighbours on a line, closer than about one em
 *           -> columns     where a gutter has prose on both sides, left is read before right
 *           -> rows        segments beside each other; more than one is a row of a table
 *
 * A table's cells are segments too, but they are short: a column of prose fills its width. So pages
 * of tables stay rows, and pages of two or three columns are read column by column.
 *
 * Pure: memory from the caller's arena. Coordinates are points from the upper left corner.
 */
#ifndef TARS_EXTRACT_FORMATS_PDF_LAYOUT_H
#define TARS_EXTRACT_FORMATS_PDF_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/arena.h"
#include "base/status.h"

struct tars_pdf_word {
    const char *text; /* (len,) UTF-8 */
    size_t len;
    float x0, y0, x1, y1; /* left, top, right, bottom */
    float size;           /* of the font, points */
    bool bold;
    int turn; /* 0: upright; -1: runs up the page, 1: runs down */
};

struct tars_pdf_row {
    const char *text; /* terminated; cells joined by " | " */
    size_t len;
    float x0, y0, x1, y1;
    float size;      /* of most of its characters */
    bool bold;       /* all of it */
    int cells;       /* 1: a line of text */
    int numbers;     /* cells that begin like a number */
    int page;        /* from 1 */
    bool turned;     /* does not run across the page */
    bool new_column; /* first row of a column: what is above it belongs elsewhere */
};

struct tars_pdf_rows {
    struct tars_pdf_row *rows; /* (count,) in arena */
    size_t count;
    size_t cap;
};

/* Append the rows of one page: upright text first, then what is turned, as if the page were. words
 * are reordered and turned words get the coordinates of the turned page. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_pdf_layout(struct tars_arena *arena, struct tars_pdf_word *words,
                                          size_t count, int page, struct tars_pdf_rows *rows);

#endif
