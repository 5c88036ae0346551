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

/* ------------------------------------------------------------------ limits */

tars_status tars_store_check_limits(const struct tars_store_limits *limits, int64_t new_documents,
                                    int64_t new_bytes, struct tars_err *err)
{
    if (limits->max_documents && limits->documents > limits->max_documents && new_documents > 0) {
        return tars_fail(TARS_EQUOTA, err, TARS_QUOTA_DOCUMENTS, limits->tenant,
                         (long long)limits->max_documents);
    }
    if (limits->max_bytes && limits->bytes > limits->max_bytes && new_bytes > 0) {
        return tars_fail(TARS_EQUOTA, err, TARS_QUOTA_BYTES, limits->tenant,
                         (long long)limits->max_bytes);
    }
    return TARS_OK;
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
    if (!tars_name_is_valid(tenant->name)) {
        return tars_fail(TARS_EINVAL, err,
                         "%s cannot be a tenant: lower-case letters, digits, - and _, at most %d "
                         "of them",
                         tenant->name ? tenant->name : "nothing", TARS_NAME_CHARS_MAX);
    }
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
    if (strcmp(name, TARS_TENANT) == 0)
        return tars_fail(TARS_EINVAL, err, "tenant %s cannot be removed", TARS_TENANT);
    return store->ops->accounts->tenant_remove(store, name, err);
}

static tars_status check_account(const struct tars_account *account, struct tars_err *err)
{
    size_t len = account->name ? strlen(account->name) : 0;

    if (len == 0 || len > TARS_ACCOUNT_NAME_BYTES_MAX) {
        return tars_fail(TARS_EINVAL, err, "the name of an account has 1 to %d bytes",
                         TARS_ACCOUNT_NAME_BYTES_MAX);
    }
    if (account->kind != TARS_ACCOUNT_USER && account->kind != TARS_ACCOUNT_CLIENT)
        return tars_fail(TARS_EINVAL, err, "an account is a user's or a client's");
    return TARS_OK;
}

tars_status tars_accounts_add(struct tars_store *store, struct tars_account *account,
                              struct tars_err *err)
{
    tars_status status = check_account(account, err);

    return status ? status : store->ops->accounts->add(store, account, err);
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
    if (!key->hash || !key->hash[0])
        return tars_fail(TARS_EINVAL, err, "a key is kept by its hash, and there is none");
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

static tars_status check_revoked(const char *id, struct tars_err *err)
{
    if (id && id[0] && strlen(id) < TARS_REVOKED_ID_BYTES)
        return TARS_OK;
    return tars_fail(TARS_EINVAL, err, "what identifies a token has 1 to %d bytes",
                     TARS_REVOKED_ID_BYTES - 1);
}

tars_status tars_accounts_revoke(struct tars_store *store, const char *id, int64_t expires_us,
                                 struct tars_err *err)
{
    tars_status status = check_revoked(id, err);

    return status ? status : store->ops->accounts->revoke(store, id, expires_us, err);
}

tars_status tars_accounts_revoked_lately(struct tars_store *store, const char *id, int64_t ms,
                                         bool *lately, struct tars_err *err)
{
    *lately = false;
    return store->ops->accounts->revoked_lately
               ? store->ops->accounts->revoked_lately(store, id, ms, lately, err)
               : TARS_OK;
}

tars_status tars_accounts_revoke_once(struct tars_store *store, const char *id, int64_t expires_us,
                                      struct tars_err *err)
{
    tars_status status = check_revoked(id, err);

    return status ? status : store->ops->accounts->revoke_once(store, id, expires_us, err);
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
