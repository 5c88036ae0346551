/* package - the parts of an office file, which is a ZIP archive of XML.
 *
 * Bounds    A part's size once unpacked (TARS_PACKAGE_PART_MAX), whatever the archive says.
 * Strict    The archive must be sound; a part that is encrypted is TARS_EPASSWORD.
 * XML       Entities are not expanded, nothing is fetched.
 */
#ifndef TARS_EXTRACT_FORMATS_PACKAGE_H
#define TARS_EXTRACT_FORMATS_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>

#include <libxml/xmlreader.h>

#include "base/mem/span.h"
#include "base/status.h"

#define TARS_PACKAGE_PART_MAX ((size_t)128 * 1024 * 1024) /* bytes, unpacked */

struct tars_package;

/* bytes are lent until it is closed. TARS_EFORMAT with words. */
TARS_MUST_USE tars_status tars_package_open(struct tars_span bytes, struct tars_package **package,
                                            struct tars_err *err);
void tars_package_close(struct tars_package *package);

/* The part, unpacked; free() part->ptr. TARS_ENOTFOUND without words when there is none;
 * TARS_ETOOBIG, TARS_EFORMAT, TARS_EPASSWORD, TARS_ENOMEM with words. */
TARS_MUST_USE tars_status tars_package_read(struct tars_package *package, const char *name,
                                            struct tars_span *part, struct tars_err *err);

/* Name of the part of that index, lent; NULL past the last one. */
const char *tars_package_name(const struct tars_package *package, size_t index);

/* A reader over XML bytes, which are lent to it; NULL when there is no memory. */
xmlTextReaderPtr tars_xml_open(struct tars_span bytes);
/* Local name of the current element; "" for anything else. */
const char *tars_xml_name(xmlTextReaderPtr reader);
/* Value of the attribute of that local name, copied; free with xmlFree(); NULL when absent. */
char *tars_xml_attribute(xmlTextReaderPtr reader, const char *name);

#endif
