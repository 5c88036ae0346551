/* redis_floats - vectors and scores as the text that other programs read: a JSON array of numbers.
 *
 *     {0.5F, -1.0F, 0.1F}   <->   [0.5,-1.0,0.1]
 *
 * Written   The fewest digits, from six to nine, that read back as the same float, bit for bit,
 * -0.0 too; below 1e-7 and from 1e9 on always nine, with an exponent. A float that JSON cannot say
 * (NaN, infinity) is refused. Read      Any JSON array of numbers (RFC 8259), as other programs
 * write it, with white space and exponents; each number becomes the nearest double and then the
 * nearest float, as it does for whoever reads it with a JSON library. Nothing after the array. Cost
 * About 30 ns a float written and 15 ns read; numbers of more than 15 digits, which others write,
 * about 100 ns.
 */
#ifndef TARS_CACHE_REDIS_FLOATS_H
#define TARS_CACHE_REDIS_FLOATS_H

#include <stddef.h>

#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_REDIS_FLOATS_MAX ((size_t)1 << 22) /* of an array */

/* floats is (n,) in this machine's order, at any address. TARS_EINVAL: not whole floats, or one
 * that JSON cannot say. A failure of out is left in it. */
TARS_MUST_USE tars_status tars_redis_floats_write(struct tars_span floats, struct tars_buf *out);
/* *floats in arena. TARS_EFORMAT: not an array of numbers that a float holds; TARS_ETOOBIG;
 * TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_redis_floats_read(struct tars_span text, struct tars_arena *arena,
                                                 struct tars_span *floats);

#endif
