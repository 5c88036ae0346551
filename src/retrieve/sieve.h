/* sieve - the passages that a filter over documents lets through, as sorted ranges of passage ids.
 *
 * Passages of a document are contiguous, so a filter over documents is a list of ranges: made by
 * one pass over the documents, asked by a binary search for each candidate. Linear in documents
 * (about 1 us each), logarithmic per candidate. A newer sieve goes on from an older one and looks
 * at new documents only; ranges of documents that are gone are harmless, since ids are never used
 * again, and are left behind when they become many.
 */
#ifndef TARS_RETRIEVE_SIEVE_H
#define TARS_RETRIEVE_SIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "obs/call.h"

struct tars_store;
struct tars_sieve;

struct tars_sieve_config {
    struct tars_store *store;
    const char *filters_json;
    const struct tars_visible *visible; /* only documents of these are looked at */
    uint64_t upto;                      /* passages with greater ids are left out */
    const struct tars_sieve *older;     /* of the same filter and collections, or NULL */
    uint64_t older_upto;                /* its upto */
};

/* TARS_EINVAL for filters that are not understood (err says which), TARS_ENOMEM, or what the store
 * says. */
TARS_MUST_USE tars_status tars_sieve_new(const struct tars_sieve_config *config,
                                         struct tars_sieve **sieve, struct tars_err *err);
/* NULL is allowed. */
void tars_sieve_free(struct tars_sieve *sieve);
bool tars_sieve_accepts(const struct tars_sieve *sieve, uint64_t id);
/* The first range that is let through and holds from or lies behind it, cut at from; false: none.
 */
bool tars_sieve_next(const struct tars_sieve *sieve, uint64_t from, uint64_t *first,
                     uint64_t *last);
size_t tars_sieve_bytes(const struct tars_sieve *sieve);

#endif
