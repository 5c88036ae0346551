/* import_line - a line of the log that other servers of the wire contract write (section 7.9): a
 * JSON object of 19 fields.
 *
 * query_id, timestamp, query_text and success must be there; what else is absent or null is 0,
 * false or empty. A field of the wrong type, a number that is negative or not finite, and a text
 * that is not UTF-8 make the line a bad one, with words that say which. Unknown fields are passed
 * over.
 *
 * Bounds    TARS_IMPORT_LINE_MAX bytes a line.
 * Threads   Pure.
 */
#ifndef TARS_ANALYTICS_IMPORT_LINE_H
#define TARS_ANALYTICS_IMPORT_LINE_H

#include <jansson.h>

#include "analytics/analytics.h"

#define TARS_IMPORT_LINE_MAX ((size_t)1 << 20)

/* Texts are copied into arena; tenant is left NULL. A time without a zone counts as UTC. EFORMAT
 * with words, ENOMEM. */
TARS_MUST_USE tars_status tars_import_object(const json_t *object, struct tars_arena *arena,
                                             struct tars_logged_query *out, struct tars_err *err);
/* Likewise of (ptr, len). */
TARS_MUST_USE tars_status tars_import_line(const char *ptr, size_t len, struct tars_arena *arena,
                                           struct tars_logged_query *out, struct tars_err *err);

#endif
