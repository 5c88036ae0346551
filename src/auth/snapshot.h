/* snapshot - everything that decides about rights, at one moment, made to be asked quickly.
 *
 * Model     Made from the store's tables, then never changed; references are counted, so a reader
 *           keeps the one that it holds while a newer one is published.
 *
 *               tenants      by name                 each with its collections' keys, twice:
 *               accounts     by tenant and name       all[] and those open to the tenant, open[]
 *               by_external  accounts by external
 *               by_id        accounts by id, each with its grants
 *               keys         by hash
 *
 * Bounds    TARS_SNAPSHOT_BYTES_MAX.
 * Threads   Safe to share.
 * Cost      A question is a binary search or two; making one sorts every table.
 */
#ifndef TARS_AUTH_SNAPSHOT_H
#define TARS_AUTH_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "auth/auth.h"
#include "base/mem/arena.h"
#include "base/status.h"
#include "store/accounts.h"

#define TARS_SNAPSHOT_BYTES_MAX ((size_t)512 << 20)

struct tars_snapshot;

/* A collection that an account was given. */
struct tars_snapshot_grant {
    const struct tars_collection *collection;
    bool writes;
};

struct tars_snapshot_tenant {
    const struct tars_tenant *tenant;
    const struct tars_collection *const *collections; /* (collection_count,) by name */
    const char *const *all;                           /* (collection_count,) keys by strcmp */
    size_t collection_count;
    const char *const *open; /* (open_count,) keys of those that are not restricted, by strcmp */
    size_t open_count;
};

struct tars_snapshot_account {
    const struct tars_account *account;
    const struct tars_snapshot_tenant *tenant;
    const struct tars_snapshot_grant *grants; /* (grant_count,) by the collection's key */
    size_t grant_count;
};

struct tars_snapshot_key {
    const struct tars_api_key *key;
    const struct tars_snapshot_account *account;
};

/* Read from the store. One reference, the caller's. */
TARS_MUST_USE tars_status tars_snapshot_read(struct tars_store *store,
                                             struct tars_snapshot **snapshot, struct tars_err *err);
/* One more reference; gives snapshot back. */
struct tars_snapshot *tars_snapshot_hold(struct tars_snapshot *snapshot);
/* One less; the last frees it. NULL is allowed. */
void tars_snapshot_drop(struct tars_snapshot *snapshot);

/* NULL: there is none. What is given lives as long as the snapshot. */
const struct tars_snapshot_tenant *tars_snapshot_tenant(const struct tars_snapshot *snapshot,
                                                        const char *name);
const struct tars_snapshot_account *tars_snapshot_account(const struct tars_snapshot *snapshot,
                                                          const char *tenant, const char *name);
const struct tars_snapshot_account *
tars_snapshot_account_by_id(const struct tars_snapshot *snapshot, int64_t id);
const struct tars_snapshot_account *
tars_snapshot_account_by_external(const struct tars_snapshot *snapshot, const char *external);
const struct tars_snapshot_key *tars_snapshot_key(const struct tars_snapshot *snapshot,
                                                  const char *hash);
const struct tars_collection *tars_snapshot_collection(const struct tars_snapshot_tenant *tenant,
                                                       const char *name);

/* The tables, each sorted as above. */
const struct tars_snapshot_tenant *tars_snapshot_tenants(const struct tars_snapshot *snapshot,
                                                         size_t *count);
const struct tars_snapshot_account *tars_snapshot_accounts(const struct tars_snapshot *snapshot,
                                                           size_t *count);
const struct tars_snapshot_key *tars_snapshot_keys(const struct tars_snapshot *snapshot,
                                                   size_t *count);

/* Set visible and writable of out: the collections of tenant that someone with out->role and
 * account (NULL: none) may read and change, in the arena. */
TARS_MUST_USE tars_status tars_snapshot_rights(const struct tars_snapshot_tenant *tenant,
                                               const struct tars_snapshot_account *account,
                                               struct tars_arena *arena,
                                               struct tars_principal *out);
/* The same for who may read and change every collection of every tenant. */
TARS_MUST_USE tars_status tars_snapshot_rights_all(const struct tars_snapshot *snapshot,
                                                   struct tars_arena *arena,
                                                   struct tars_principal *out);

#endif
