/* html - text of web pages, also where they lie inside other files. */
#ifndef TARS_EXTRACT_FORMATS_HTML_H
#define TARS_EXTRACT_FORMATS_HTML_H

#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"
#include "extract/formats/sink.h"

struct tars_charsets;

/* For the arena that a page is read in. */
#define TARS_HTML_ARENA_MAX (SIZE_MAX / 4)

/* The blocks of the page in bytes, in any encoding, into sink; no document is ended. The tree and
 * *title live in arena. TARS_EFORMAT, TARS_ETOOBIG. */
TARS_MUST_USE tars_status tars_html_write(struct tars_arena *arena, struct tars_charsets *charsets,
                                          struct tars_span bytes, struct tars_sink *sink,
                                          const char **title, struct tars_err *err);

#endif
