/* charset - text of unknown encoding into UTF-8.
 *
 * Order     byte order mark; UTF-8 if it is valid; the encoding that the document itself names
 *           (hint) if the bytes are valid in it; the shape of UTF-16 without a mark; else each
 *           candidate decodes a sample strictly, and the one whose result looks most like written
 *           language wins (common characters of its script, case that words really have).
 * Opening   iconv loads tables from files, which a confined process cannot: open the set before.
 * Threads   Not safe to share.
 */
#ifndef TARS_EXTRACT_FORMATS_CHARSET_H
#define TARS_EXTRACT_FORMATS_CHARSET_H

#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

struct tars_charsets;

/* TARS_ENOMEM. An encoding that this system does not know is left out. */
TARS_MUST_USE tars_status tars_charsets_new(struct tars_charsets **charsets);
void tars_charsets_free(struct tars_charsets *charsets);

/* Name of the encoding of bytes, static: "UTF-8", "windows-1252", ... hint: a name in any spelling,
 * may be empty. bytes may be the first part of a text. charsets may be NULL: Unicode only. */
const char *tars_charset_detect(struct tars_charsets *charsets, struct tars_span bytes,
                                struct tars_span hint);

/* Append bytes to out as UTF-8, from the encoding that _detect() named; without a byte order mark.
 * What is no character there becomes U+FFFD. out keeps a failure. */
void tars_charset_convert(struct tars_charsets *charsets, const char *name, struct tars_span bytes,
                          struct tars_buf *out);

#endif
