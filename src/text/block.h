/* block - a document as a list of text blocks, each with its place.
 *
 * What a format parser gives and the chunker takes. The text of a document is the text of its
 * blocks, joined by one line feed; char_start and char_end count Unicode characters (code points)
 * in that text, so that a citation can be found again whatever the format was.
 *
 *     heading 1  "Leave"                      [0, 5)    page 3
 *     paragraph  "Staff may take 30 days..."  [6, 48)   page 3   headings: Leave
 *     table      "| Grade | Days |\n..."      [49, 90)  page 4   headings: Leave
 *
 * Everything lives in the arena of whoever made it.
 */
#ifndef TARS_TEXT_BLOCK_H
#define TARS_TEXT_BLOCK_H

#include <stddef.h>

#include "base/mem/arena.h"
#include "base/status.h"

#define TARS_HEADING_LEVEL_MAX 6

/* Kinds travel between programs and are stored: a number is never used again. */
#define TARS_BLOCK_KIND_LIST(X)             \
    X(TARS_BLOCK_PARAGRAPH, 1, "paragraph") \
    X(TARS_BLOCK_HEADING, 2, "heading")     \
    X(TARS_BLOCK_LIST, 3, "list")           \
    X(TARS_BLOCK_TABLE, 4, "table")         \
    X(TARS_BLOCK_CODE, 5, "code")

enum tars_block_kind {
#define X(name, value, text) name = (value),
    TARS_BLOCK_KIND_LIST(X)
#undef X
};

/* Static name of a kind; "paragraph" for a value not in the list. */
const char *tars_block_kind_text(enum tars_block_kind kind);

struct tars_block {
    enum tars_block_kind kind;
    int level;            /* of a heading: 1..TARS_HEADING_LEVEL_MAX; else 0 */
    int page;             /* from 1; 0 where the format has no pages */
    const char *text;     /* (text_len,) valid UTF-8, not terminated by contract */
    size_t text_len;      /* bytes */
    const char *headings; /* terminated: headings above this block, outermost first, joined by
                             " > "; "" when there is none. A heading does not list itself. */
    size_t char_start;    /* characters, in the text of the document */
    size_t char_end;      /* one past the last */
};

/* One document out of a file: most files hold one, a JSONL file one a line. */
struct tars_document {
    const char *external_id; /* terminated; the id that the file itself gives (JSONL), or NULL */
    const char *title;       /* terminated; "" when unknown */
    const char *format; /* terminated: "txt", "markdown", "html", "csv", "jsonl", "pdf", "docx" */
    const char *metadata_json; /* terminated JSON object of other fields, or NULL */
    int page_count;            /* 0 where the format has no pages */
    struct tars_block *blocks; /* (block_count,) */
    size_t block_count;
    size_t char_count; /* characters of the document's text */
};

#endif
