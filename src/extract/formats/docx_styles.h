/* docx_styles - which paragraph styles of a DOCX file are headings (word/styles.xml). */
#ifndef TARS_EXTRACT_FORMATS_DOCX_STYLES_H
#define TARS_EXTRACT_FORMATS_DOCX_STYLES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/span.h"

#define TARS_DOCX_STYLES_MAX 2048
#define TARS_DOCX_STYLE_NAME 64 /* bytes, with its NUL; longer ones are cut */

struct tars_docx_styles {
    struct tars_docx_style {
        char id[TARS_DOCX_STYLE_NAME];
        char based_on[TARS_DOCX_STYLE_NAME]; /* "" for none */
        int level;                           /* 1.. of a heading; 0: not said here; -1: body */
        bool is_list;
    } styles[TARS_DOCX_STYLES_MAX];
    size_t count;
};

/* Read the part; what cannot be read is passed over. */
void tars_docx_styles_read(struct tars_docx_styles *styles, struct tars_span xml);

/* Heading level of a style, also by what it is based on; 0: none. */
int tars_docx_styles_level(const struct tars_docx_styles *styles, const char *id);
bool tars_docx_styles_is_list(const struct tars_docx_styles *styles, const char *id);

#endif
