/* accounts - who may use the program and what they may see: tenants, accounts, API keys,
 * collections, grants, revoked tokens, the audit log. Part of the store: the same object, the same
 * rules as store.h.
 *
 * Model     A tenant has accounts, collections and keys of its own; tenant TARS_TENANT is there
 * from the start and cannot be removed. A document belongs to one collection. The store knows a
 *           collection by its key:
 *
 *               tenant "default", collection "default"  ->  TARS_COLLECTION (tars_documents)
 *               tenant "default", collection "hr"       ->  "hr"
 *               tenant "acme",    collection "hr"       ->  "acme/hr"
 *
 *           so keys of two tenants never meet, and what was taken in before there were tenants
 * stays where it was. Names are lower-case letters, digits, '-' and '_', at most 63 of them. A
 * collection is open to its tenant, or restricted: then only accounts with a grant see it (and
 * admins of the tenant). Secrets   No secret is kept: accounts hold an encoded argon2id hash, keys
 * and revocations a SHA-256 in hex. Durable   Everything that changes something is on disk when it
 * returns TARS_OK, but for tars_accounts_touch() and tars_accounts_count_usage(). Audit
 * tars_accounts_audit() appends; nothing here changes or removes an entry, but for
 *           tars_accounts_audit_prune() and the removal of a tenant.
 */
#ifndef TARS_STORE_ACCOUNTS_H
#define TARS_STORE_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/status.h"
#include "store/store.h"

#define TARS_TENANT                 "default" /* when none is named */
#define TARS_COLLECTION_DEFAULT     "default" /* name, in every tenant */
#define TARS_NAME_CHARS_MAX         63
#define TARS_ACCOUNT_NAME_BYTES_MAX 255

enum tars_role {
    TARS_ROLE_NONE = 0,
    TARS_ROLE_READER = 1, /* search, ask, conversations of their own */
    TARS_ROLE_WRITER = 2, /* and documents in and out */
    TARS_ROLE_ADMIN = 3,  /* and everything of the tenant */
};
/* "reader"; "none" for TARS_ROLE_NONE. */
const char *tars_role_text(enum tars_role role);
/* False when text is no role. */
bool tars_role_parse(const char *text, enum tars_role *role);

enum tars_account_kind { TARS_ACCOUNT_USER = 1, TARS_ACCOUNT_CLIENT = 2 };

struct tars_tenant {
    const char *name;
    const char *title;         /* for people; "" */
    const char *settings_json; /* object; "" for none */
    int64_t max_documents;     /* 0: no limit */
    int64_t max_bytes;         /* of files; 0: no limit */
    int64_t max_questions_day; /* 0: no limit */
    int64_t created_us;
    bool disabled;
    const struct tars_tenant *was; /* as of an account */
};

struct tars_account {
    int64_t id; /* set by the store */
    const char *tenant;
    const char *name;        /* unique in its tenant: a user's name or a client_id, 1..255 bytes */
    const char *secret_hash; /* encoded argon2id; "": cannot sign in with a secret */
    const char *external;    /* "<issuer> <subject>" of an OIDC account, unique; "" else */
    int64_t created_us, used_us;
    int64_t tokens_from_us; /* tokens issued before are void; 0: none is */
    enum tars_account_kind kind;
    enum tars_role role;
    bool disabled;
    /* For _set() alone, where processes share the store. */
    const struct tars_account *was; /* what this was made from: what is the same is left as it is in
                                       the store by now; NULL: all is written */
    bool leaves_admin;              /* ECONFLICT when its tenant would have no other one */
};

struct tars_api_key {
    int64_t id; /* set by the store */
    int64_t account_id;
    const char *label;  /* for people */
    const char *prefix; /* first characters of the key, to tell keys apart */
    const char *hash;   /* SHA-256 of the whole key, hex */
    int64_t created_us, used_us;
    int64_t expires_us;  /* 0: never */
    enum tars_role role; /* at most this, whatever the account may; NONE: the account's */
    bool revoked;
};

struct tars_collection {
    int64_t id; /* set by the store */
    const char *tenant;
    const char *name;
    const char *key; /* given by tars_accounts_load(); see tars_collection_key() */
    const char *description;
    int64_t created_us;
    bool restricted; /* only accounts with a grant see it */
};

struct tars_grant {
    int64_t account_id;
    int64_t collection_id;
    bool writes; /* also documents in and out, if the account's role allows it */
};

/* Everything that decides about rights, read in one transaction. Arrays in the arena. */
struct tars_access {
    struct tars_tenant *tenants;
    size_t tenant_count;
    struct tars_account *accounts;
    size_t account_count;
    struct tars_api_key *keys;
    size_t key_count;
    struct tars_collection *collections;
    size_t collection_count;
    struct tars_grant *grants;
    size_t grant_count;
};

struct tars_audit_entry {
    int64_t id;      /* set by the store */
    int64_t time_us; /* since 1970, UTC */
    const char *tenant;
    const char *actor;      /* client_id, "owner", "anonymous" */
    const char *action;     /* "sign-in", "sign-in-failed", "token-revoked", "account-added", ... */
    const char *object;     /* what it was done to; "" */
    const char *address;    /* of the caller; "" for the command line */
    const char *request_id; /* "" when there is none */
    const char *detail;     /* JSON object; "" for none; never a secret */
    bool success;
};

struct tars_audit_filter {
    const char *tenant; /* NULL: all */
    const char *actor;  /* NULL: all */
    const char *action; /* NULL: all */
    int64_t before_id;  /* 0: from the newest */
    size_t limit;       /* 0: 100 */
};

/* What a collection holds. */
struct tars_collection_size {
    const char *key;
    int64_t files, documents, passages;
    int64_t bytes; /* of its files */
    int64_t last_indexed_us;
};

/* A back end's; reached through struct tars_store_ops.accounts. Each as the function below. */
struct tars_accounts_ops;

/* out: the key, at most TARS_COLLECTION_KEY_BYTES with its NUL. TARS_EINVAL: a name is not one. */
#define TARS_COLLECTION_KEY_BYTES (2 * TARS_NAME_CHARS_MAX + 2)
TARS_MUST_USE tars_status tars_collection_key(const char *tenant, const char *name, char *out);
/* The name that its tenant has for the collection with this key. Points into key, or is static. */
const char *tars_collection_name(const char *key);
/* True when text may be the name of a tenant or a collection. */
bool tars_name_is_valid(const char *text);

TARS_MUST_USE tars_status tars_accounts_load(struct tars_store *store, struct tars_arena *arena,
                                             struct tars_access *out, struct tars_err *err);

/* Tenants. _add makes collection "default" with it. EEXIST, EINVAL, ENOTFOUND. */
TARS_MUST_USE tars_status tars_accounts_tenant_add(struct tars_store *store,
                                                   const struct tars_tenant *tenant,
                                                   struct tars_err *err);
/* title, settings, limits and disabled of tenant->name. */
TARS_MUST_USE tars_status tars_accounts_tenant_set(struct tars_store *store,
                                                   const struct tars_tenant *tenant,
                                                   struct tars_err *err);
/* Removes its accounts, keys, collections, grants, conversations, usage and audit entries. Its
 * documents must be forgotten before (TARS_ECONFLICT). EINVAL for TARS_TENANT. */
TARS_MUST_USE tars_status tars_accounts_tenant_remove(struct tars_store *store, const char *name,
                                                      struct tars_err *err);

/* Accounts. _add sets account->id. EEXIST: the name is taken in its tenant. */
TARS_MUST_USE tars_status tars_accounts_add(struct tars_store *store, struct tars_account *account,
                                            struct tars_err *err);
/* role, secret_hash, external, disabled and tokens_from_us, which never goes back, of account->id;
 * see there for was. */
TARS_MUST_USE tars_status tars_accounts_set(struct tars_store *store,
                                            const struct tars_account *account,
                                            struct tars_err *err);
/* With its keys, its grants and its conversations: who is given the name next is somebody else. */
TARS_MUST_USE tars_status tars_accounts_remove(struct tars_store *store, int64_t id,
                                               struct tars_err *err);
/* It was used. Not durable. */
TARS_MUST_USE tars_status tars_accounts_touch(struct tars_store *store, int64_t account_id,
                                              int64_t key_id, int64_t now_us, struct tars_err *err);

TARS_MUST_USE tars_status tars_accounts_key_add(struct tars_store *store, struct tars_api_key *key,
                                                struct tars_err *err);
TARS_MUST_USE tars_status tars_accounts_key_revoke(struct tars_store *store, int64_t id,
                                                   struct tars_err *err);

TARS_MUST_USE tars_status tars_accounts_collection_add(struct tars_store *store,
                                                       struct tars_collection *collection,
                                                       struct tars_err *err);
/* description and restricted. */
TARS_MUST_USE tars_status tars_accounts_collection_set(struct tars_store *store,
                                                       const struct tars_collection *collection,
                                                       struct tars_err *err);
/* ECONFLICT while it holds documents; EINVAL for "default". */
TARS_MUST_USE tars_status tars_accounts_collection_remove(struct tars_store *store, int64_t id,
                                                          struct tars_err *err);
/* Adds or changes. */
TARS_MUST_USE tars_status tars_accounts_grant(struct tars_store *store,
                                              const struct tars_grant *grant, struct tars_err *err);
TARS_MUST_USE tars_status tars_accounts_ungrant(struct tars_store *store, int64_t account_id,
                                                int64_t collection_id, struct tars_err *err);

/* What each collection that holds something holds, by key. */
TARS_MUST_USE tars_status tars_accounts_sizes(struct tars_store *store, struct tars_arena *arena,
                                              struct tars_collection_size **sizes, size_t *count,
                                              struct tars_err *err);

/* May the tenant of the collection take in this much more? What a put would answer: TARS_ENOTFOUND,
 * TARS_EDENIED, TARS_EQUOTA. It holds nothing back, so the put asks again. */
TARS_MUST_USE tars_status tars_accounts_room(struct tars_store *store, const char *collection,
                                             int64_t documents, int64_t bytes,
                                             struct tars_err *err);

/* Revoked tokens: id is what identifies one (its jti, or a SHA-256 of it). A second time is fine.
 */
TARS_MUST_USE tars_status tars_accounts_revoke(struct tars_store *store, const char *id,
                                               int64_t expires_us, struct tars_err *err);
/* *lately: it was revoked less than ms ago, by whoever shares the store; false where nobody does.
 */
TARS_MUST_USE tars_status tars_accounts_revoked_lately(struct tars_store *store, const char *id,
                                                       int64_t ms, bool *lately,
                                                       struct tars_err *err);
/* Atomically: TARS_EEXIST when it was revoked already, so that a token is used once. */
TARS_MUST_USE tars_status tars_accounts_revoke_once(struct tars_store *store, const char *id,
                                                    int64_t expires_us, struct tars_err *err);
/* false: stop. */
typedef bool tars_revoked_fn(void *ctx, const char *id, int64_t expires_us);
TARS_MUST_USE tars_status tars_accounts_revoked(struct tars_store *store, tars_revoked_fn *each,
                                                void *ctx, struct tars_err *err);
/* Forget those that have expired. */
TARS_MUST_USE tars_status tars_accounts_revoked_prune(struct tars_store *store, int64_t now_us,
                                                      struct tars_err *err);

/* Add n questions to the usage of a tenant on a day (days since 1970, UTC). Not durable. */
TARS_MUST_USE tars_status tars_accounts_count_usage(struct tars_store *store, const char *tenant,
                                                    int64_t day, int64_t questions,
                                                    struct tars_err *err);
/* Questions on that day; 0 when there is no row. */
TARS_MUST_USE tars_status tars_accounts_usage(struct tars_store *store, const char *tenant,
                                              int64_t day, int64_t *questions,
                                              struct tars_err *err);

TARS_MUST_USE tars_status tars_accounts_audit(struct tars_store *store,
                                              const struct tars_audit_entry *entry,
                                              struct tars_err *err);
/* Newest first. */
TARS_MUST_USE tars_status tars_accounts_audit_list(struct tars_store *store,
                                                   const struct tars_audit_filter *filter,
                                                   struct tars_arena *arena,
                                                   struct tars_audit_entry **entries, size_t *count,
                                                   struct tars_err *err);
TARS_MUST_USE tars_status tars_accounts_audit_prune(struct tars_store *store, int64_t before_us,
                                                    struct tars_err *err);

#endif
