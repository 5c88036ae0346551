/* directory - what administrators do: tenants, accounts, API keys, collections, grants.
 *
 *     struct tars_actor actor = {&principal, address, request_id};
 *     tars_directory_account_add(auth, &actor, &wanted, arena, &made, err);
 *
 * Rights    A tenant's admin changes what belongs to that tenant; only a system principal makes,
 *           limits, disables and removes tenants. Anybody may list and make keys for their own
 *           account, and change their own secret. Whatever belongs to a tenant that the actor may
 *           not touch is answered as what does not exist.
 * Names     Objects are named as people name them: tenant and name; tenant NULL is the actor's.
 * Changes   Each is checked, written, put into the audit log and followed by a reload, so that it
 *           counts when the function returns. Refusals for want of rights are in the audit log too.
 * Secrets   One that is made, and an API key, is told once, in what is given back, and is not kept.
 * Blocks    Disk, and argon2 where a secret is set: never on a loop thread.
 * Threads   Safe to share.
 *
 * Every function may say, with words for the one who asked:
 *   TARS_EINVAL    a value is not allowed
 *   TARS_ENOTFOUND no such object, or none that the actor may see
 *   TARS_EDENIED   the actor may not do this
 *   TARS_EEXIST    the name is taken
 *   TARS_ECONFLICT it cannot be done as things are: the last admin of a tenant, a collection or a
 *                  tenant that still holds documents, "default"
 *   TARS_EAGAIN    too many secrets are being hashed; try again
 * and TARS_EIO, TARS_ENOMEM as the store does.
 */
#ifndef TARS_AUTH_DIRECTORY_H
#define TARS_AUTH_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth.h"
#include "base/mem/arena.h"
#include "base/status.h"
#include "store/accounts.h"

#define TARS_SECRET_CHARS_MIN 12   /* of a secret that a person chose, in characters */
#define TARS_SECRET_BYTES_MAX 1024 /* longer ones are refused before they are hashed */
#define TARS_KEYS_MAX         100  /* of an account, that are good: more is a program gone wrong */
#define TARS_LABEL_BYTES_MAX  255  /* of a key's label, a title */

/* Who does it. Borrowed for the call. */
struct tars_actor {
    const struct tars_principal *principal;
    const char *address;    /* of the caller; "" or NULL for the command line */
    const char *request_id; /* "" or NULL when there is none */
};

/* ------------------------------------------------------------------ tenants */

/* What to change; what is NULL stays. Limits and disabled: system only. */
struct tars_tenant_change {
    const char *title;
    const char *settings_json; /* an object, with "roots": see api/roots.h; "" */
    const int64_t *max_documents, *max_bytes, *max_questions_day; /* 0: no limit */
    const bool *disabled;
};

/* All for a system principal, else the actor's own. By name. */
TARS_MUST_USE tars_status tars_directory_tenants(struct tars_auth *auth,
                                                 const struct tars_actor *actor,
                                                 struct tars_arena *arena,
                                                 struct tars_tenant **tenants, size_t *count,
                                                 struct tars_err *err);
/* created_us and disabled of tenant are not looked at. */
TARS_MUST_USE tars_status tars_directory_tenant_add(struct tars_auth *auth,
                                                    const struct tars_actor *actor,
                                                    const struct tars_tenant *tenant,
                                                    struct tars_err *err);
TARS_MUST_USE tars_status tars_directory_tenant_set(struct tars_auth *auth,
                                                    const struct tars_actor *actor,
                                                    const char *tenant,
                                                    const struct tars_tenant_change *change,
                                                    struct tars_err *err);
/* Its documents must be forgotten before: ECONFLICT. */
TARS_MUST_USE tars_status tars_directory_tenant_remove(struct tars_auth *auth,
                                                       const struct tars_actor *actor,
                                                       const char *tenant, struct tars_err *err);

/* ----------------------------------------------------------------- accounts */

struct tars_account_wanted {
    const char *tenant;          /* NULL: the actor's */
    const char *name;            /* 1..255 bytes, no control characters */
    enum tars_account_kind kind; /* 0: USER */
    enum tars_role role;         /* NONE: READER */
    const char *secret;          /* chosen by a person; NULL: see make_secret */
    bool make_secret;            /* make one; neither: cannot sign in with a secret */
};

/* What to change; what is NULL, NONE or false stays. */
struct tars_account_change {
    enum tars_role role;
    const bool *disabled;
    const char *secret; /* a new one */
    bool make_secret;
};

struct tars_account_made {
    int64_t id;
    const char *secret; /* in the arena; NULL when none was made */
};

/* Of a tenant, by name; secret_hash is "" in all of them (has_secret tells). */
struct tars_account_info {
    struct tars_account account;
    bool has_secret;
};
TARS_MUST_USE tars_status tars_directory_accounts(struct tars_auth *auth,
                                                  const struct tars_actor *actor,
                                                  const char *tenant, struct tars_arena *arena,
                                                  struct tars_account_info **accounts,
                                                  size_t *count, struct tars_err *err);
TARS_MUST_USE tars_status tars_directory_account_add(struct tars_auth *auth,
                                                     const struct tars_actor *actor,
                                                     const struct tars_account_wanted *wanted,
                                                     struct tars_arena *arena,
                                                     struct tars_account_made *made,
                                                     struct tars_err *err);
/* made->secret is set when one was made. ECONFLICT: it would leave the tenant without an admin (the
 * owner of the data folder may do it all the same). */
TARS_MUST_USE tars_status tars_directory_account_set(
    struct tars_auth *auth, const struct tars_actor *actor, const char *tenant, const char *name,
    const struct tars_account_change *change, struct tars_arena *arena,
    struct tars_account_made *made, struct tars_err *err);
/* With its keys and grants. ECONFLICT as above. */
TARS_MUST_USE tars_status tars_directory_account_remove(struct tars_auth *auth,
                                                        const struct tars_actor *actor,
                                                        const char *tenant, const char *name,
                                                        struct tars_err *err);
/* The actor's own secret; the old one is asked for. EDENIED: it is wrong, or the actor came with an
 * API key. */
TARS_MUST_USE tars_status tars_directory_own_secret(struct tars_auth *auth,
                                                    const struct tars_actor *actor,
                                                    const char *old_secret, const char *secret,
                                                    struct tars_err *err);

/* ----------------------------------------------------------------- API keys */

struct tars_key_wanted {
    const char *tenant;  /* NULL: the actor's */
    const char *account; /* name; NULL: the actor's own */
    const char *label;   /* "" or NULL: none */
    enum tars_role role; /* at most this; NONE: the account's */
    int64_t expires_us;  /* 0: never; else in the future */
};

struct tars_key_made {
    int64_t id;
    const char *key; /* "tars_sk_..."; in the arena; told this once */
};

struct tars_key_info {
    struct tars_api_key key; /* hash is "" */
    const char *account;     /* its name */
};
/* Of an account; account NULL: of the whole tenant for its admin, else the actor's own. Newest
 * first. */
TARS_MUST_USE tars_status tars_directory_keys(struct tars_auth *auth,
                                              const struct tars_actor *actor, const char *tenant,
                                              const char *account, struct tars_arena *arena,
                                              struct tars_key_info **keys, size_t *count,
                                              struct tars_err *err);
TARS_MUST_USE tars_status tars_directory_key_add(struct tars_auth *auth,
                                                 const struct tars_actor *actor,
                                                 const struct tars_key_wanted *wanted,
                                                 struct tars_arena *arena,
                                                 struct tars_key_made *made, struct tars_err *err);
TARS_MUST_USE tars_status tars_directory_key_revoke(struct tars_auth *auth,
                                                    const struct tars_actor *actor, int64_t id,
                                                    struct tars_err *err);

/* ------------------------------------------------------ collections, grants */

/* What to change; what is NULL stays. */
struct tars_collection_change {
    const char *description;
    const bool *restricted;
};

/* Of a tenant, by name. For its admin all, else those that the actor may read. */
TARS_MUST_USE tars_status tars_directory_collections(struct tars_auth *auth,
                                                     const struct tars_actor *actor,
                                                     const char *tenant, struct tars_arena *arena,
                                                     struct tars_collection **collections,
                                                     size_t *count, struct tars_err *err);
/* tenant NULL: the actor's; id, key and created_us are set by the store. */
TARS_MUST_USE tars_status tars_directory_collection_add(struct tars_auth *auth,
                                                        const struct tars_actor *actor,
                                                        struct tars_collection *collection,
                                                        struct tars_err *err);
TARS_MUST_USE tars_status tars_directory_collection_set(struct tars_auth *auth,
                                                        const struct tars_actor *actor,
                                                        const char *tenant, const char *name,
                                                        const struct tars_collection_change *change,
                                                        struct tars_err *err);
/* ECONFLICT while it holds documents, and for "default". */
TARS_MUST_USE tars_status tars_directory_collection_remove(struct tars_auth *auth,
                                                           const struct tars_actor *actor,
                                                           const char *tenant, const char *name,
                                                           struct tars_err *err);

struct tars_grant_info {
    const char *account;    /* name */
    const char *collection; /* name */
    bool writes;
};
/* Of a tenant; account, collection: only of these, NULL: all. */
TARS_MUST_USE tars_status tars_directory_grants(struct tars_auth *auth,
                                                const struct tars_actor *actor, const char *tenant,
                                                const char *account, const char *collection,
                                                struct tars_arena *arena,
                                                struct tars_grant_info **grants, size_t *count,
                                                struct tars_err *err);
/* Adds or changes. */
TARS_MUST_USE tars_status tars_directory_grant(struct tars_auth *auth,
                                               const struct tars_actor *actor, const char *tenant,
                                               const struct tars_grant_info *grant,
                                               struct tars_err *err);
/* ENOTFOUND: there is none. */
TARS_MUST_USE tars_status tars_directory_ungrant(struct tars_auth *auth,
                                                 const struct tars_actor *actor, const char *tenant,
                                                 const char *account, const char *collection,
                                                 struct tars_err *err);

/* -------------------------------------------------------------------- audit */

/* Of the actor's tenant; of all, or filter->tenant, for a system principal. Admins only. */
TARS_MUST_USE tars_status tars_directory_audit(struct tars_auth *auth,
                                               const struct tars_actor *actor,
                                               const struct tars_audit_filter *filter,
                                               struct tars_arena *arena,
                                               struct tars_audit_entry **entries, size_t *count,
                                               struct tars_err *err);
/* Write an entry about something that was done elsewhere (a deletion, an export). A failure is
 * logged; the caller's work is done already. object and detail (a JSON object) may be NULL. */
void tars_directory_note(struct tars_auth *auth, const struct tars_actor *actor, const char *action,
                         const char *object, const char *detail, bool success);

#endif
