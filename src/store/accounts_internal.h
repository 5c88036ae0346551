/* accounts_internal - what a back end gives for accounts.h. Not for others. */
#ifndef TARS_STORE_ACCOUNTS_INTERNAL_H
#define TARS_STORE_ACCOUNTS_INTERNAL_H

#include "store/accounts.h"

/* Words for a full tenant: its name, its limit. */
#define TARS_QUOTA_DOCUMENTS "tenant %s may hold %lld documents and has no room for more"
#define TARS_QUOTA_BYTES     "tenant %s may hold %lld bytes of files and has no room for more"

#define TARS_REVOKED_ID_BYTES 256 /* of a jti or a digest, with a NUL */
#define TARS_AUDIT_LIMIT      100 /* entries, when none is named */

/* What the tenant of a collection may hold, and holds. */
struct tars_store_limits {
    char tenant[TARS_NAME_CHARS_MAX + 1];
    bool disabled;
    int64_t max_documents, max_bytes; /* 0: no limit */
    int64_t documents, bytes;
};
/* TARS_EQUOTA: limits holds too much, and this much of it is new. */
TARS_MUST_USE tars_status tars_store_check_limits(const struct tars_store_limits *limits,
                                                  int64_t new_documents, int64_t new_bytes,
                                                  struct tars_err *err);

/* Each promises what the function of accounts.h with its name does. */
struct tars_accounts_ops {
    tars_status (*load)(struct tars_store *store, struct tars_arena *arena, struct tars_access *out,
                        struct tars_err *err);
    tars_status (*tenant_add)(struct tars_store *store, const struct tars_tenant *tenant,
                              struct tars_err *err);
    tars_status (*tenant_set)(struct tars_store *store, const struct tars_tenant *tenant,
                              struct tars_err *err);
    tars_status (*tenant_remove)(struct tars_store *store, const char *name, struct tars_err *err);
    tars_status (*add)(struct tars_store *store, struct tars_account *account,
                       struct tars_err *err);
    tars_status (*set)(struct tars_store *store, const struct tars_account *account,
                       struct tars_err *err);
    tars_status (*remove)(struct tars_store *store, int64_t id, struct tars_err *err);
    tars_status (*touch)(struct tars_store *store, int64_t account_id, int64_t key_id,
                         int64_t now_us, struct tars_err *err);
    tars_status (*key_add)(struct tars_store *store, struct tars_api_key *key,
                           struct tars_err *err);
    tars_status (*key_revoke)(struct tars_store *store, int64_t id, struct tars_err *err);
    tars_status (*collection_add)(struct tars_store *store, struct tars_collection *collection,
                                  struct tars_err *err);
    tars_status (*collection_set)(struct tars_store *store,
                                  const struct tars_collection *collection, struct tars_err *err);
    tars_status (*collection_remove)(struct tars_store *store, int64_t id, struct tars_err *err);
    tars_status (*grant)(struct tars_store *store, const struct tars_grant *grant,
                         struct tars_err *err);
    tars_status (*ungrant)(struct tars_store *store, int64_t account_id, int64_t collection_id,
                           struct tars_err *err);
    tars_status (*sizes)(struct tars_store *store, struct tars_arena *arena,
                         struct tars_collection_size **sizes, size_t *count, struct tars_err *err);
    tars_status (*room)(struct tars_store *store, const char *collection, int64_t documents,
                        int64_t bytes, struct tars_err *err);
    tars_status (*revoke)(struct tars_store *store, const char *id, int64_t expires_us,
                          struct tars_err *err);
    tars_status (*revoke_once)(struct tars_store *store, const char *id, int64_t expires_us,
                               struct tars_err *err);
    tars_status (*revoked_lately)(struct tars_store *store, const char *id, int64_t ms,
                                  bool *lately, struct tars_err *err); /* NULL: never */
    tars_status (*revoked)(struct tars_store *store, tars_revoked_fn *each, void *ctx,
                           struct tars_err *err);
    tars_status (*revoked_prune)(struct tars_store *store, int64_t now_us, struct tars_err *err);
    tars_status (*count_usage)(struct tars_store *store, const char *tenant, int64_t day,
                               int64_t questions, struct tars_err *err);
    tars_status (*usage)(struct tars_store *store, const char *tenant, int64_t day,
                         int64_t *questions, struct tars_err *err);
    tars_status (*audit)(struct tars_store *store, const struct tars_audit_entry *entry,
                         struct tars_err *err);
    tars_status (*audit_list)(struct tars_store *store, const struct tars_audit_filter *filter,
                              struct tars_arena *arena, struct tars_audit_entry **entries,
                              size_t *count, struct tars_err *err);
    tars_status (*audit_prune)(struct tars_store *store, int64_t before_us, struct tars_err *err);
};

#endif
