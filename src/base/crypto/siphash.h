/* siphash - SipHash-2-4 (Aumasson and Bernstein 2012): a keyed hash for tables that hold what
 * strangers send, so that nobody can make up texts that all fall into one bucket. About 1 ns a
 * byte.
 */
#ifndef TARS_BASE_CRYPTO_SIPHASH_H
#define TARS_BASE_CRYPTO_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define TARS_SIPHASH_SEED_BYTES 16

/* seed: random bytes, kept for the table's life. */
uint64_t tars_siphash(const unsigned char *seed, const void *ptr, size_t len);

#endif
