/* accounts - see accounts.h for the contract. Names and keys, and the way to the back end. */
#include "store/accounts.h"

#include <string.h>

#include "store/accounts_internal.h"

/* ------------------------------------------------------------------- names */

static const char *const roles[] = {"none", "reader", "writer", "admin"};

#define ROLE_COUNT (sizeof(roles) / sizeof(roles[0]))

const char *tars_role_text(enum tars_role role)
{
    return (size_t)role < ROLE_COUNT ? roles[role] : "none";
}

bool tars_role_parse(const char *text, enum tars_role *role)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (strcmp(roles[i], text) == 0) {
            *role = (enum tars_role)i;
            return true;
        }
    }
    return false;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool tars_name_is_valid(const char *text)
{
    size_t len = 0;

    while (text && len <= TARS_NAME_CHARS_MAX && is_name_byte(text[len]))
        len++;
    return len > 0 && len <= TARS_NAME_CHARS_MAX && !text[len];
}

tars_status tars_collection_key(const char *tenant, const char *name, char *out)
{
    bool first = strcmp(tenant, TARS_TENANT) == 0;

    if (!tars_name_is_valid(tenant) || !tars_name_is_valid(name))
        return TARS_EINVAL;
    if (first && strcmp(name, TARS_COLLECTION_DEFAULT) == 0) {
        (void)snprintf(out, TARS_COLLECTION_KEY_BYTES, "%s", TARS_COLLECTION);
    } else if (first) {
        (void)snprintf(out, TARS_COLLECTION_KEY_BYTES, "%s", name);
    } else {
        (void)snprintf(out, TARS_COLLECTION_KEY_BYTES, "%s/%s", tenant, name);
    }
    return TARS_OK;
}

const char *tars_collection_name(const char *key)
{
    const char *slash = strchr(key, '/');

    if (strcmp(key, TARS_COLLECTION) == 0)
        return TARS_COLLECTION_DEFAULT;
    return slash ? slash + 1 : key;
}

/* ---------------------------------------------------------------- dispatch */

tars_status tars_accounts_load(struct tars_store *store, struct tars_arena *arena,
                               struct tars_access *out, struct tars_err *err)
{
    return store->ops->accounts->load(store, arena, out, err);
}

tars_status tars_accounts_tenant_add(struct tars_store *store, const struct tars_tenant *tenant,
                                     struct tars_err *err)
{
    return store->ops->accounts->tenant_add(store, tenant, err);
}

tars_status tars_accounts_tenant_set(struct tars_store *store, const struct tars_tenant *tenant,
                                     struct tars_err *err)
{
    return store->ops->accounts->tenant_set(store, tenant, err);
}

tars_status tars_accounts_tenant_remove(struct tars_store *store, const char *name,
                                        struct tars_err *err)
{
    return store->ops->accounts->tenant_remove(store, name, err);
}

tars_status tars_accounts_add(struct tars_store *store, struct tars_account *account,
                              struct tars_err *err)
{
    return store->ops->accounts->add(store, account, err);
}

tars_status tars_accounts_set(struct tars_store *store, const struct tars_account *account,
                              struct tars_err *err)
{
    return store->ops->accounts->set(store, account, err);
}

tars_status tars_accounts_remove(struct tars_store *store, int64_t id, struct tars_err *err)
{
    return store->ops->accounts->remove(store, id, err);
}

tars_status tars_accounts_touch(struct tars_store *store, int64_t account_id, int64_t key_id,
                                int64_t now_us, struct tars_err *err)
{
    return store->ops->accounts->touch(store, account_id, key_id, now_us, err);
}

tars_status tars_accounts_key_add(struct tars_store *store, struct tars_api_key *key,
                                  struct tars_err *err)
{
    return store->ops->accounts->key_add(store, key, err);
}

tars_status tars_accounts_key_revoke(struct tars_store *store, int64_t id, struct tars_err *err)
{
    return store->ops->accounts->key_revoke(store, id, err);
}

tars_status tars_accounts_collection_add(struct tars_store *store,
                                         struct tars_collection *collection, struct tars_err *err)
{
    return store->ops->accounts->collection_add(store, collection, err);
}

tars_status tars_accounts_collection_set(struct tars_store *store,
                                         const struct tars_collection *collection,
                                         struct tars_err *err)
{
    return store->ops->accounts->collection_set(store, collection, err);
}

tars_status tars_accounts_collection_remove(struct tars_store *store, int64_t id,
                                            struct tars_err *err)
{
    return store->ops->accounts->collection_remove(store, id, err);
}

tars_status tars_accounts_grant(struct tars_store *store, const struct tars_grant *grant,
                                struct tars_err *err)
{
    return store->ops->accounts->grant(store, grant, err);
}

tars_status tars_accounts_ungrant(struct tars_store *store, int64_t account_id,
                                  int64_t collection_id, struct tars_err *err)
{
    return store->ops->accounts->ungrant(store, account_id, collection_id, err);
}

tars_status tars_accounts_sizes(struct tars_store *store, struct tars_arena *arena,
                                struct tars_collection_size **sizes, size_t *count,
                                struct tars_err *err)
{
    return store->ops->accounts->sizes(store, arena, sizes, count, err);
}

tars_status tars_accounts_room(struct tars_store *store, const char *collection, int64_t documents,
                               int64_t bytes, struct tars_err *err)
{
    return store->ops->accounts->room(store, collection, documents, bytes, err);
}

tars_status tars_accounts_revoke(struct tars_store *store, const char *id, int64_t expires_us,
                                 struct tars_err *err)
{
    return store->ops->accounts->revoke(store, id, expires_us, err);
}

tars_status tars_accounts_revoke_once(struct tars_store *store, const char *id, int64_t expires_us,
                                      struct tars_err *err)
{
    return store->ops->accounts->revoke_once(store, id, expires_us, err);
}

tars_status tars_accounts_revoked(struct tars_store *store, tars_revoked_fn *each, void *ctx,
                                  struct tars_err *err)
{
    return store->ops->accounts->revoked(store, each, ctx, err);
}

tars_status tars_accounts_revoked_prune(struct tars_store *store, int64_t now_us,
                                        struct tars_err *err)
{
    return store->ops->accounts->revoked_prune(store, now_us, err);
}

tars_status tars_accounts_count_usage(struct tars_store *store, const char *tenant, int64_t day,
                                      int64_t questions, struct tars_err *err)
{
    return store->ops->accounts->count_usage(store, tenant, day, questions, err);
}

tars_status tars_accounts_usage(struct tars_store *store, const char *tenant, int64_t day,
                                int64_t *questions, struct tars_err *err)
{
    return store->ops->accounts->usage(store, tenant, day, questions, err);
}

tars_status tars_accounts_audit(struct tars_store *store, const struct tars_audit_entry *entry,
                                struct tars_err *err)
{
    return store->ops->accounts->audit(store, entry, err);
}

tars_status tars_accounts_audit_list(struct tars_store *store,
                                     const struct tars_audit_filter *filter,
                                     struct tars_arena *arena, struct tars_audit_entry **entries,
                                     size_t *count, struct tars_err *err)
{
    return store->ops->accounts->audit_list(store, filter, arena, entries, count, err);
}

tars_status tars_accounts_audit_prune(struct tars_store *store, int64_t before_us,
                                      struct tars_err *err)
{
    return store->ops->accounts->audit_prune(store, before_us, err);
}
