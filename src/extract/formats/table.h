/* table - rows of cells into table blocks that can each be read alone.
 *
 *     Name | Grade | Days          the first row, again in front of each block
 *     Kim | 3 | 30
 *
 * A row without a letter is left out; a table of one row is that row. Sticky, as the sink is.
 */
#ifndef TARS_EXTRACT_FORMATS_TABLE_H
#define TARS_EXTRACT_FORMATS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/buf.h"
#include "extract/formats/sink.h"

struct tars_table {
    struct tars_sink *sink;
    struct tars_buf header; /* first row, once it has ended */
    struct tars_buf row;    /* cells so far */
    struct tars_buf block;  /* rows not written yet */
    size_t cells;           /* in row */
    size_t rows;            /* in block, without the header */
    bool row_has_text;
    bool has_header;
    bool wrote; /* some block */
};

void tars_table_init(struct tars_table *table, struct tars_sink *sink);
void tars_table_release(struct tars_table *table);

void tars_table_cell(struct tars_table *table, const char *text, size_t len);
void tars_table_end_row(struct tars_table *table);
/* Write what is left; the table is empty then and can be used again. */
void tars_table_end(struct tars_table *table);

#endif
