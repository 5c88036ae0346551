/* scope - what a call may find: the collections that it may read, and its filters.
 *
 *     call->visible, request->collection  ->  a bit for each collection  (owners.h)
 *     request->filters                    ->  ranges of passages         (sieve.h)
 *
 * Both are asked inside the searches, for every candidate: what may not be seen is never a
 * candidate, so no score, count or range comes from it.
 *
 * No filter is given to the searches (the fast way) when everything may be read: visible says all,
 * or it holds every collection that has documents. The second is a fact about a moment; who has
 * searched asks _has_expired(), and if so searches again with _new(..., exact).
 *
 * Kept      Sieves are shared by calls with the same filters and collections: TARS_SCOPES_KEPT of
 *           them, TARS_SCOPES_BYTES_MAX in all, least recently used go first. When the index moves
 *           on they are brought along by looking at new documents only.
 * Threads   Safe to share; a scope is of one call.
 */
#ifndef TARS_RETRIEVE_SCOPE_H
#define TARS_RETRIEVE_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/status.h"
#include "index/index.h"
#include "obs/call.h"

#define TARS_SCOPES_KEPT      64
#define TARS_SCOPES_BYTES_MAX ((size_t)64 << 20)

struct tars_store;
struct tars_scopes; /* what calls share */
struct tars_scope;

TARS_MUST_USE tars_status tars_scopes_new(struct tars_store *store, struct tars_scopes **scopes);
/* NULL is allowed; no scope may be left. */
void tars_scopes_free(struct tars_scopes *scopes);

struct tars_scope_wish {
    const struct tars_visible *visible; /* NULL: nothing; borrowed for the scope's life */
    const char *collection;             /* only this one; NULL: all that are visible */
    const char *filters_json;           /* or NULL */
    uint64_t seq;                       /* of the index, now */
    bool exact;                         /* never "everything" because it happens to be */
};

/* In arena. TARS_EINVAL for filters that are not understood (err says which), TARS_ENOMEM, or what
 * the store says. */
TARS_MUST_USE tars_status tars_scope_new(struct tars_scopes *scopes,
                                         const struct tars_scope_wish *wish,
                                         struct tars_arena *arena, struct tars_scope **scope,
                                         struct tars_err *err);
/* NULL is allowed. */
void tars_scope_release(struct tars_scope *scope);
/* NULL: everything. Lent until the scope is released. */
const struct tars_index_filter *tars_scope_filter(const struct tars_scope *scope);
/* The same for rights alone, without the filters of the request; NULL: all may be seen. */
const struct tars_index_filter *tars_scope_rights(const struct tars_scope *scope);
/* Passages that these accept. */
uint64_t tars_scope_passages(const struct tars_scope *scope);
/* The collections that may be seen, narrowed to the one that was asked for. Lent likewise. */
const struct tars_visible *tars_scope_visible(const struct tars_scope *scope);
/* The filter demands more than these collections. */
bool tars_scope_is_narrow(const struct tars_scope *scope);
/* Nothing can be found. */
bool tars_scope_is_empty(const struct tars_scope *scope);
/* May documents of this collection be seen? */
bool tars_scope_shows(const struct tars_scope *scope, const char *collection);
/* "Everything" was true and is not any more at seq. When the store cannot tell, it is. */
bool tars_scope_has_expired(struct tars_scope *scope, uint64_t seq);

#endif
