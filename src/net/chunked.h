/* chunked - takes the chunks of a request body apart (RFC 9112, 7.1), strictly and bit by bit.
 *
 *     while ((status = tars_chunked_next(&chunked, &rest, &data)) == TARS_OK)
 *         keep data
 *     TARS_EAGAIN: feed more; TARS_ENOTFOUND: complete, rest is what follows the body
 *
 * Model     Pure: no allocation; data lies in the caller's bytes. The result does not depend on how
 *           the bytes are cut.
 * Strict    CRLF only, no space round the size, extensions and trailers are checked and dropped.
 * Bounds    Extensions of all chunks together and trailers: TARS_CHUNKED_WASTE_MAX bytes each.
 */
#ifndef TARS_NET_CHUNKED_H
#define TARS_NET_CHUNKED_H

#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"

#define TARS_CHUNKED_WASTE_MAX 4096

struct tars_chunked {
    uint64_t left;  /* bytes of the chunk that are not read yet, or its size while that is read */
    uint32_t waste; /* bytes of extensions so far, then of trailers */
    uint8_t digits; /* of the size that is being read */
    uint8_t state;  /* private */
};

void tars_chunked_init(struct tars_chunked *chunked);

/* Take what is known off *in.
 *
 *   TARS_OK        *data is some of the body, at least one byte
 *   TARS_EAGAIN    *in is used up
 *   TARS_ENOTFOUND the body is complete
 *   TARS_EFORMAT   malformed; the connection cannot be used any more
 *   TARS_ETOOBIG   extensions or trailers over the limit; the same
 */
TARS_MUST_USE tars_status tars_chunked_next(struct tars_chunked *chunked, struct tars_span *in,
                                            struct tars_span *data);

#endif
