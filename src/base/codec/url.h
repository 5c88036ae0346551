/* url - percent-decoding, percent-encoding and query strings (RFC 3986).
 *
 * Pure; what needs room for decoded text takes it from the caller's arena.
 */
#ifndef TARS_BASE_CODEC_URL_H
#define TARS_BASE_CODEC_URL_H

#include <stdbool.h>

#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

/* Split a request target at its first '?'. query is empty if there is none. */
void tars_url_split(struct tars_span target, struct tars_span *path, struct tars_span *query);

/* Decode %XX, and '+' as a space if plus_is_space. out is terminated and in the arena.
 * TARS_EFORMAT for a '%' without two hex digits and for %00; TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_url_decode(struct tars_arena *arena, struct tars_span text,
                                          bool plus_is_space, struct tars_span *out);

/* Append text with all but unreserved characters (letters, digits, "-._~") as %XX. */
void tars_url_encode(struct tars_buf *out, struct tars_span text);

/* Take the next name=value off *rest, not decoded; false at the end. Empty pairs are passed over.
 */
bool tars_url_query_next(struct tars_span *rest, struct tars_span *name, struct tars_span *value);

/* The decoded value of the first pair whose decoded name is name.
 *
 *   TARS_ENOTFOUND  there is none
 *   TARS_EFORMAT    that value cannot be decoded
 *   TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_url_query_get(struct tars_arena *arena, struct tars_span query,
                                             const char *name, struct tars_span *value);

#endif
