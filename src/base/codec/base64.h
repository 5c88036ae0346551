/* base64 - RFC 4648, both alphabets; strict decoding (canonical form only). */
#ifndef TARS_BASE_CODEC_BASE64_H
#define TARS_BASE_CODEC_BASE64_H

#include <stddef.h>

#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

enum tars_base64 {
    TARS_BASE64,     /* '+', '/', with padding */
    TARS_BASE64_URL, /* '-', '_', without padding */
};

/* Append the encoding of (ptr, len) to out. */
void tars_base64_encode(struct tars_buf *out, enum tars_base64 kind, const void *ptr, size_t len);
/* The encoding of (ptr, len) with its final NUL into out, of size bytes. TARS_ETOOBIG: no room. */
TARS_MUST_USE tars_status tars_base64_text(enum tars_base64 kind, const void *ptr, size_t len,
                                           char *out, size_t size);

/* Append the decoding of text to out. TARS_EFORMAT for a foreign character, wrong padding or
 * left-over bits that are not zero, and out is as before then; else out's status. */
TARS_MUST_USE tars_status tars_base64_decode(struct tars_buf *out, enum tars_base64 kind,
                                             struct tars_span text);

#endif
