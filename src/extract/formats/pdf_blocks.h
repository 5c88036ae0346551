/* pdf_blocks - the rows of a document into headings, paragraphs and tables.
 *
 * Running lines   A first or last line of a page that is on many pages, numbers apart, is dropped;
 *                 so is a lone page number.
 * Headings        Lines that are larger than the body, or bold and short and alone.
 * Paragraphs      Lines that follow each other closely; a hyphen at a line's end is taken back.
 * Tables          Runs of rows with cells; a long table is cut, and each piece begins with its
 *                 header again.
 *
 * Pure: memory from the caller's arena.
 */
#ifndef TARS_EXTRACT_FORMATS_PDF_BLOCKS_H
#define TARS_EXTRACT_FORMATS_PDF_BLOCKS_H

#include "base/mem/arena.h"
#include "extract/formats/pdf_layout.h"
#include "extract/formats/sink.h"

/* Size of the font in which most of the document is set, points. */
float tars_pdf_body_size(const struct tars_pdf_rows *rows);

/* Blocks of all rows into sink. rows are those of page_count pages, in order. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_pdf_write_blocks(struct tars_arena *arena,
                                                const struct tars_pdf_rows *rows, int page_count,
                                                struct tars_sink *sink);

#endif
