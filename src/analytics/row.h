/* row - a row as bytes for the journal, and back.
 *
 * Fields in the order of their struct: numbers as they lie in memory, texts as u32 length, bytes
 * and a NUL (length TEXT_NONE: NULL). Read by the program that wrote it, or one of another
 * version after a restart: the first byte is a version, and other versions are refused.
 */
#ifndef TARS_ANALYTICS_ROW_H
#define TARS_ANALYTICS_ROW_H

#include "analytics/sink.h"

/* Bytes that row takes. */
size_t tars_row_size(const struct tars_row *row);
/* Write them to out, which has room for max. Returns how many; 0: max is too few, and what out
 * holds is of no use. */
size_t tars_row_write(const struct tars_row *row, unsigned char *out, size_t max);
/* Read (ptr, len); texts are lent by it, the list of accesses is in arena. EFORMAT, ENOMEM. */
TARS_MUST_USE tars_status tars_row_read(const unsigned char *ptr, size_t len,
                                        struct tars_arena *arena, struct tars_row *row);

#endif
