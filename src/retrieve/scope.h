/* scope - the passages that a filter lets through, as sorted ranges of passage ids.
 *
 * Passages of a document are contiguous, so a filter over documents is a list of ranges: made by
 * one pass over the documents, asked by a binary search for each candidate. Linear in documents
 * (about 1 us each), logarithmic per candidate.
 */
#ifndef TARS_RETRIEVE_SCOPE_H
#define TARS_RETRIEVE_SCOPE_H

#include "base/status.h"
#include "index/index.h"

struct tars_store;
struct tars_scope;

/* TARS_EINVAL for filters that are not understood (err says which), TARS_ENOMEM, or what the store
 * says. */
TARS_MUST_USE tars_status tars_scope_new(struct tars_store *store, const char *filters_json,
                                         struct tars_scope **scope, struct tars_err *err);
void tars_scope_free(struct tars_scope *scope);
/* Lent until the scope is freed. */
const struct tars_index_filter *tars_scope_filter(const struct tars_scope *scope);

#endif
