/* pdf - text of PDF files, by poppler; how pages become rows is in pdf_layout, how rows become
 * blocks in pdf_blocks.
 */
#ifndef TARS_EXTRACT_FORMATS_PDF_H
#define TARS_EXTRACT_FORMATS_PDF_H

/* Read what the library reads from its folders once and keeps: before confinement. */
void tars_pdf_prepare(void);

#endif
