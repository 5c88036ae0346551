/* table - see table.h. */
#include "extract/formats/table.h"

#define TEXT_MAX     ((size_t)64 * 1024 * 1024)
#define BLOCK_ROWS   20
#define BLOCK_BYTES  2000 /* a block ends at the row that passes it */
#define CELLS_MAX    10000
#define HEADER_BYTES 1500 /* a longer header is not repeated */

void tars_table_init(struct tars_table *table, struct tars_sink *sink)
{
    *table = (struct tars_table){.sink = sink};
    tars_buf_init(&table->header, TEXT_MAX);
    tars_buf_init(&table->row, TEXT_MAX);
    tars_buf_init(&table->block, TEXT_MAX);
}

void tars_table_release(struct tars_table *table)
{
    tars_buf_release(&table->header);
    tars_buf_release(&table->row);
    tars_buf_release(&table->block);
}

void tars_table_cell(struct tars_table *table, const char *text, size_t len)
{
    size_t before;

    if (table->cells++ >= CELLS_MAX)
        return;
    if (table->cells > 1)
        tars_buf_append_text(&table->row, " | ");
    before = table->row.len;
    if (len)
        tars_sink_clean(&table->row, text, len, true);
    table->row_has_text = table->row_has_text || table->row.len > before;
}

static void flush(struct tars_table *table)
{
    tars_sink_block(table->sink, TARS_BLOCK_TABLE, 0, 0, table->block.ptr, table->block.len);
    tars_buf_clear(&table->block);
    table->rows = 0;
    table->wrote = true;
}

static void add_row(struct tars_table *table)
{
    if (!table->has_header && table->row.len <= HEADER_BYTES) {
        table->has_header = true;
        tars_buf_append(&table->header, table->row.ptr, table->row.len);
        return;
    }
    table->has_header = true;
    if (table->rows == 0 && table->header.len)
        tars_buf_append(&table->block, table->header.ptr, table->header.len);
    if (table->block.len)
        tars_buf_append_char(&table->block, '\n');
    tars_buf_append(&table->block, table->row.ptr, table->row.len);
    if (++table->rows == BLOCK_ROWS || table->block.len > BLOCK_BYTES)
        flush(table);
}

static void note_failure(struct tars_table *table)
{
    if (table->sink->status == TARS_OK && table->row.status != TARS_OK)
        table->sink->status = table->row.status;
    if (table->sink->status == TARS_OK && table->block.status != TARS_OK)
        table->sink->status = table->block.status;
}

void tars_table_end_row(struct tars_table *table)
{
    if (table->row_has_text && table->row.status == TARS_OK)
        add_row(table);
    note_failure(table);
    tars_buf_clear(&table->row);
    table->cells = 0;
    table->row_has_text = false;
}

void tars_table_end(struct tars_table *table)
{
    if (table->cells > 0)
        tars_table_end_row(table);
    if (table->rows > 0) {
        flush(table);
    } else if (!table->wrote && table->header.len) {
        tars_sink_block(table->sink, TARS_BLOCK_TABLE, 0, 0, table->header.ptr, table->header.len);
    }
    tars_buf_clear(&table->header);
    tars_buf_clear(&table->block);
    table->has_header = false;
    table->wrote = false;
    table->rows = 0;
}
