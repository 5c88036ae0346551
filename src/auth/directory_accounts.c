/* directory_accounts - the part of directory.h about accounts and their API keys. */
#include <string.h>

#include "auth/directory_internal.h"
#include "base/codec/base64.h"
#include "base/crypto/digest.h"

#define SECRET_BYTES     24 /* of one that is made: 32 characters */
#define KEY_BYTES        32
#define KEY_PREFIX_CHARS (TARS_KEY_PREFIX_BYTES + 6) /* that are kept to tell keys apart */
#define TEXT_MAX         ((size_t)128)

/* --------------------------------------------------------------------- secrets */

static size_t characters(const char *text)
{
    size_t count = 0;

    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

static tars_status check_secret(const char *secret, struct tars_err *err)
{
    if (characters(secret) < TARS_SECRET_CHARS_MIN) {
        return tars_fail(TARS_EINVAL, err, "the secret has less than %d characters",
                         TARS_SECRET_CHARS_MIN);
    }
    if (strlen(secret) > TARS_SECRET_BYTES_MAX) {
        return tars_fail(TARS_EINVAL, err, "the secret has more than %d bytes",
                         TARS_SECRET_BYTES_MAX);
    }
    return TARS_OK;
}

/* prefix and bytes random bytes in base64url. */
static tars_status make_text(const char *prefix, size_t bytes, struct tars_arena *arena,
                             const char **out)
{
    unsigned char random[KEY_BYTES];
    struct tars_buf text;
    char *copy;

    if (tars_random_bytes(random, bytes) != TARS_OK)
        return TARS_EIO;
    tars_buf_init(&text, TEXT_MAX);
    tars_buf_append_text(&text, prefix);
    tars_base64_encode(&text, TARS_BASE64_URL, random, bytes);
    copy = text.status == TARS_OK ? tars_arena_strndup(arena, text.ptr, text.len) : NULL;
    tars_buf_release(&text);
    if (!copy)
        return TARS_ENOMEM;
    *out = copy;
    return TARS_OK;
}

/* The chosen secret or one that is made; *hash is NULL when there is to be none. Before any lock is
 * taken: it is slow on purpose. */
static tars_status prepare_secret(struct tars_auth *auth, const char *chosen, bool make,
                                  struct tars_arena *arena, const char **made, const char **hash,
                                  struct tars_err *err)
{
    tars_status status = TARS_OK;

    *made = NULL;
    *hash = NULL;
    if (chosen) {
        status = check_secret(chosen, err);
    } else if (make) {
        status = make_text("", SECRET_BYTES, arena, made);
    }
    if (status == TARS_EINVAL || (!chosen && !make))
        return status;
    if (status == TARS_OK) {
        status =
            tars_password_hash(auth->password, tars_span_of(chosen ? chosen : *made), arena, hash);
    }
    if (status == TARS_EAGAIN)
        return tars_fail(status, err, "Too many sign-ins at a time; try again");
    return status == TARS_OK ? status
                             : tars_fail(status, err, "no secret: %s", tars_status_text(status));
}

/* -------------------------------------------------------------------- accounts */

static tars_status check_name(const char *name, struct tars_err *err)
{
    static const char *const reserved[] = {"anonymous", "owner"};
    size_t len = name ? strlen(name) : 0;

    if (len == 0)
        return tars_fail(TARS_EINVAL, err, "an account needs a name");
    if (name[0] == ' ' || name[len - 1] == ' ')
        return tars_fail(TARS_EINVAL, err, "the name begins or ends with a space");
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (strcmp(name, reserved[i]) == 0)
            return tars_fail(TARS_EINVAL, err, "\"%s\" has a meaning of its own", name);
    }
    return tars_directory_check_text(name, "the name", TARS_CLIENT_BYTES_MAX, err);
}

static tars_status copy_account(struct tars_arena *arena, const struct tars_account *from,
                                struct tars_account_info *to)
{
    to->account = *from;
    to->has_secret = from->secret_hash && *from->secret_hash;
    to->account.secret_hash = "";
    to->account.tenant = tars_directory_copy(arena, from->tenant);
    to->account.name = tars_directory_copy(arena, from->name);
    to->account.external = tars_directory_copy(arena, from->external);
    return to->account.tenant && to->account.name && to->account.external ? TARS_OK : TARS_ENOMEM;
}

/* Everybody sees themselves, an admin the whole tenant. */
static bool sees(const struct tars_visit *visit, const struct tars_account *account)
{
    return strcmp(account->tenant, visit->tenant_name) == 0 &&
           (visit->manages || account->id == visit->actor->principal->account_id);
}

tars_status tars_directory_accounts(struct tars_auth *auth, const struct tars_actor *actor,
                                    const char *tenant, struct tars_arena *arena,
                                    struct tars_account_info **accounts, size_t *count,
                                    struct tars_err *err)
{
    struct tars_account_info *made = NULL;
    const struct tars_snapshot_account *all;
    struct tars_visit visit;
    tars_status status = tars_directory_enter(&visit, auth, actor, tenant, false, err);
    size_t total = 0;
    size_t n = 0;

    if (status != TARS_OK)
        goto out;
    all = tars_snapshot_accounts(visit.snapshot, &total);
    for (size_t i = 0; i < total; i++)
        n += sees(&visit, all[i].account);
    made = tars_arena_calloc(arena, n + 1, sizeof(*made));
    if (!made)
        status = TARS_ENOMEM;
    n = 0;
    for (size_t i = 0; i < total && status == TARS_OK; i++) {
        if (sees(&visit, all[i].account))
            status = copy_account(arena, all[i].account, &made[n++]);
    }
    if (status != TARS_OK)
        status = tars_fail(status, err, "no memory to list the accounts");
out:
    tars_directory_end(&visit);
    if (status == TARS_OK) {
        *accounts = made;
        *count = n;
    }
    return status;
}

static tars_status add_account(struct tars_visit *visit, const struct tars_account_wanted *wanted,
                               const char *hash, int64_t *id, struct tars_err *err)
{
    struct tars_account account = {
        .tenant = visit->tenant_name,
        .name = wanted->name,
        .secret_hash = hash ? hash : "",
        .external = "",
        .created_us = tars_auth_now_us(visit->auth),
        .kind = wanted->kind ? wanted->kind : TARS_ACCOUNT_USER,
        .role = wanted->role ? wanted->role : TARS_ROLE_READER,
    };
    tars_status status;

    tars_json_text(&visit->detail, "role", tars_role_text(account.role));
    if (tars_snapshot_account(visit->snapshot, account.tenant, account.name)) {
        return tars_fail(TARS_EEXIST, err, "there is an account \"%.255s\" already", account.name);
    }
    status = tars_accounts_add(visit->auth->config.store, &account, err);
    if (status == TARS_OK)
        *id = account.id;
    return status;
}

tars_status tars_directory_account_add(struct tars_auth *auth, const struct tars_actor *actor,
                                       const struct tars_account_wanted *wanted,
                                       struct tars_arena *arena, struct tars_account_made *made,
                                       struct tars_err *err)
{
    struct tars_account_made out = {0};
    struct tars_visit visit;
    const char *hash;
    tars_status status = check_name(wanted->name, err);

    if (status == TARS_OK && (unsigned)wanted->role > TARS_ROLE_ADMIN)
        status = tars_fail(TARS_EINVAL, err, "a role is reader, writer or admin");
    if (status == TARS_OK && actor->principal->role < TARS_ROLE_ADMIN) {
        hash = NULL; /* refused below, with an entry in the audit log, and no work done for it */
    } else if (status == TARS_OK) {
        status = prepare_secret(auth, wanted->secret, wanted->make_secret, arena, &out.secret,
                                &hash, err);
    }
    if (status != TARS_OK)
        return status;
    status = tars_directory_enter_admin(&visit, auth, actor, wanted->tenant, true, err);
    if (status == TARS_OK)
        status = add_account(&visit, wanted, hash, &out.id, err);
    status = tars_directory_leave(&visit, status, "account-added", wanted->name, err);
    if (status == TARS_OK)
        *made = out;
    return status;
}

/* No tenant is left without an admin by one of its own; who manages it from outside may, for they
 * can make another. */
static bool must_leave_admin(const struct tars_visit *visit, const struct tars_account *account)
{
    const struct tars_principal *actor = visit->actor->principal;

    return account->role >= TARS_ROLE_ADMIN && !account->disabled &&
           actor->credential != TARS_CREDENTIAL_OWNER &&
           strcmp(actor->tenant, account->tenant) == 0;
}

static tars_status check_last_admin(const struct tars_visit *visit,
                                    const struct tars_account *account, struct tars_err *err)
{
    const struct tars_snapshot_account *all;
    size_t total;

    if (!must_leave_admin(visit, account))
        return TARS_OK;
    all = tars_snapshot_accounts(visit->snapshot, &total);
    for (size_t i = 0; i < total; i++) {
        const struct tars_account *other = all[i].account;

        if (other->id != account->id && other->role >= TARS_ROLE_ADMIN && !other->disabled &&
            strcmp(other->tenant, account->tenant) == 0)
            return TARS_OK;
    }
    return tars_fail(TARS_ECONFLICT, err,
                     "\"%.255s\" is the last admin of tenant %s: make another one first",
                     account->name, account->tenant);
}

static tars_status set_account(struct tars_visit *visit, const char *name,
                               const struct tars_account_change *change, const char *hash,
                               int64_t *id, struct tars_err *err)
{
    const struct tars_snapshot_account *found = NULL;
    struct tars_account changed;
    tars_status status = tars_directory_account(visit, name, &found, err);

    if (!found)
        return status;
    changed = *found->account;
    changed.was = found->account;
    changed.role = change->role ? change->role : changed.role;
    changed.disabled = change->disabled ? *change->disabled : changed.disabled;
    changed.secret_hash = hash ? hash : changed.secret_hash;
    if (hash || changed.disabled)
        changed.tokens_from_us = tars_auth_now_us(visit->auth);
    if (changed.role < TARS_ROLE_ADMIN || changed.disabled) {
        changed.leaves_admin = must_leave_admin(visit, found->account);
        status = check_last_admin(visit, found->account, err);
    }
    if (status != TARS_OK)
        return status;
    if (change->role)
        tars_json_text(&visit->detail, "role", tars_role_text(changed.role));
    if (change->disabled)
        tars_json_bool(&visit->detail, "disabled", changed.disabled);
    if (hash)
        tars_json_bool(&visit->detail, "new_secret", true);
    *id = changed.id;
    return tars_accounts_set(visit->auth->config.store, &changed, err);
}

tars_status tars_directory_account_set(struct tars_auth *auth, const struct tars_actor *actor,
                                       const char *tenant, const char *name,
                                       const struct tars_account_change *change,
                                       struct tars_arena *arena, struct tars_account_made *made,
                                       struct tars_err *err)
{
    struct tars_account_made out = {0};
    struct tars_visit visit;
    const char *hash = NULL;
    tars_status status = TARS_OK;

    if ((unsigned)change->role > TARS_ROLE_ADMIN)
        return tars_fail(TARS_EINVAL, err, "a role is reader, writer or admin");
    if (actor->principal->role >= TARS_ROLE_ADMIN) {
        status = prepare_secret(auth, change->secret, change->make_secret, arena, &out.secret,
                                &hash, err);
    }
    if (status != TARS_OK)
        return status;
    status = tars_directory_enter_admin(&visit, auth, actor, tenant, true, err);
    if (status == TARS_OK)
        status = set_account(&visit, name, change, hash, &out.id, err);
    status = tars_directory_leave(&visit, status, "account-changed", name, err);
    if (status == TARS_OK)
        *made = out;
    return status;
}

tars_status tars_directory_account_remove(struct tars_auth *auth, const struct tars_actor *actor,
                                          const char *tenant, const char *name,
                                          struct tars_err *err)
{
    const struct tars_snapshot_account *found = NULL;
    struct tars_account changed;
    struct tars_visit visit;
    tars_status status = tars_directory_enter_admin(&visit, auth, actor, tenant, true, err);

    if (status == TARS_OK)
        status = tars_directory_account(&visit, name, &found, err);
    if (found)
        status = check_last_admin(&visit, found->account, err);
    /* Two at once, on two servers, would leave none: here the later one is told. */
    if (found && status == TARS_OK && must_leave_admin(&visit, found->account)) {
        changed = *found->account;
        changed.was = found->account;
        changed.disabled = changed.leaves_admin = true;
        status = tars_accounts_set(auth->config.store, &changed, err);
    }
    if (found && status == TARS_OK)
        status = tars_accounts_remove(auth->config.store, found->account->id, err);
    return tars_directory_leave(&visit, status, "account-removed", name, err);
}

static tars_status own_account(const struct tars_visit *visit,
                               const struct tars_snapshot_account **out, struct tars_err *err)
{
    const struct tars_snapshot_account *account =
        visit->actor->principal->account_id
            ? tars_snapshot_account_by_id(visit->snapshot, visit->actor->principal->account_id)
            : NULL;

    if (!account)
        return tars_fail(TARS_EDENIED, err, "There is no account behind this token");
    *out = account;
    return TARS_OK;
}

tars_status tars_directory_own_secret(struct tars_auth *auth, const struct tars_actor *actor,
                                      const char *old_secret, const char *secret,
                                      struct tars_err *err)
{
    const struct tars_sign_in proof = {.client_id = actor->principal->client_id,
                                       .secret = old_secret,
                                       .tenant = actor->principal->tenant,
                                       .address = actor->address,
                                       .request_id = actor->request_id};
    const struct tars_snapshot_account *found = NULL;
    struct tars_account changed;
    struct tars_arena arena;
    struct tars_visit visit;
    const char *made;
    const char *hash = NULL;
    tars_status status = TARS_OK;

    if (actor->principal->credential != TARS_CREDENTIAL_TOKEN)
        return tars_fail(TARS_EDENIED, err, "Sign in with the old secret to change it");
    tars_arena_init(&arena, (size_t)1 << 20);
    status = tars_auth_prove(auth, &proof, &arena, err);
    if (status == TARS_OK)
        status = prepare_secret(auth, secret, false, &arena, &made, &hash, err);
    if (status != TARS_OK)
        goto out;
    status = tars_directory_enter(&visit, auth, actor, NULL, true, err);
    if (status == TARS_OK)
        status = own_account(&visit, &found, err);
    if (found) {
        changed = *found->account;
        changed.was = found->account;
        changed.secret_hash = hash;
        changed.tokens_from_us = tars_auth_now_us(auth);
        status = tars_accounts_set(auth->config.store, &changed, err);
    }
    tars_json_bool(&visit.detail, "new_secret", true);
    status =
        tars_directory_leave(&visit, status, "account-changed", actor->principal->client_id, err);
out:
    tars_arena_release(&arena);
    return status;
}

/* -------------------------------------------------------------------- API keys */

static bool sees_key(const struct tars_visit *visit, const char *account,
                     const struct tars_snapshot_key *key)
{
    const struct tars_account *owner = key->account->account;

    return sees(visit, owner) && (!account || strcmp(owner->name, account) == 0);
}

static tars_status copy_key(struct tars_arena *arena, const struct tars_snapshot_key *from,
                            struct tars_key_info *to)
{
    to->key = *from->key;
    to->key.hash = "";
    to->key.label = tars_directory_copy(arena, from->key->label);
    to->key.prefix = tars_directory_copy(arena, from->key->prefix);
    to->account = tars_directory_copy(arena, from->account->account->name);
    return to->key.label && to->key.prefix && to->account ? TARS_OK : TARS_ENOMEM;
}

static int compare_newest(const void *a, const void *b)
{
    int64_t left = ((const struct tars_key_info *)a)->key.id;
    int64_t right = ((const struct tars_key_info *)b)->key.id;

    return (left < right) - (left > right);
}

static tars_status list_keys(const struct tars_visit *visit, const char *account,
                             struct tars_arena *arena, struct tars_key_info **keys, size_t *count)
{
    size_t total;
    const struct tars_snapshot_key *all = tars_snapshot_keys(visit->snapshot, &total);
    struct tars_key_info *made;
    tars_status status = TARS_OK;
    size_t n = 0;

    for (size_t i = 0; i < total; i++)
        n += sees_key(visit, account, &all[i]);
    made = tars_arena_calloc(arena, n + 1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    n = 0;
    for (size_t i = 0; i < total && status == TARS_OK; i++) {
        if (sees_key(visit, account, &all[i]))
            status = copy_key(arena, &all[i], &made[n++]);
    }
    if (status != TARS_OK)
        return status;
    qsort(made, n, sizeof(*made), compare_newest);
    *keys = made;
    *count = n;
    return TARS_OK;
}

tars_status tars_directory_keys(struct tars_auth *auth, const struct tars_actor *actor,
                                const char *tenant, const char *account, struct tars_arena *arena,
                                struct tars_key_info **keys, size_t *count, struct tars_err *err)
{
    struct tars_visit visit;
    tars_status status = tars_directory_enter(&visit, auth, actor, tenant, false, err);

    if (status == TARS_OK) {
        status = list_keys(&visit, account, arena, keys, count);
        if (status != TARS_OK)
            status = tars_fail(status, err, "no memory to list the keys");
    }
    tars_directory_end(&visit);
    return status;
}

/* Whose key it is to be. For themselves anybody who has signed in: a key that could make keys would
 * outlive itself. */
static tars_status key_owner(const struct tars_visit *visit, const char *name,
                             const struct tars_snapshot_account **out, struct tars_err *err)
{
    const struct tars_principal *actor = visit->actor->principal;
    tars_status status =
        name ? tars_directory_account(visit, name, out, err) : own_account(visit, out, err);

    if (visit->manages)
        return status;
    if (*out && (*out)->account->id == actor->account_id && actor->account_id &&
        actor->credential != TARS_CREDENTIAL_KEY)
        return TARS_OK;
    return tars_fail(TARS_EDENIED, err, "Admin privileges required for this operation");
}

/* Everything that is kept of everybody is in memory, so nobody may fill it. */
static tars_status check_key_count(const struct tars_visit *visit, const struct tars_account *owner,
                                   struct tars_err *err)
{
    int64_t now_us = tars_auth_now_us(visit->auth);
    size_t total;
    const struct tars_snapshot_key *all = tars_snapshot_keys(visit->snapshot, &total);
    size_t count = 0;

    for (size_t i = 0; i < total; i++) {
        const struct tars_api_key *key = all[i].key;

        count += key->account_id == owner->id && !key->revoked &&
                 (key->expires_us == 0 || key->expires_us > now_us);
    }
    return count < TARS_KEYS_MAX
               ? TARS_OK
               : tars_fail(TARS_ECONFLICT, err, "\"%.255s\" has %d keys: revoke one first",
                           owner->name, TARS_KEYS_MAX);
}

static tars_status add_key(struct tars_visit *visit, const struct tars_key_wanted *wanted,
                           const char *text, int64_t *id, struct tars_err *err)
{
    const struct tars_snapshot_account *owner = NULL;
    char hash[TARS_SHA256_HEX_BYTES];
    char prefix[KEY_PREFIX_CHARS + 1];
    struct tars_api_key key = {.label = wanted->label ? wanted->label : "",
                               .prefix = prefix,
                               .hash = hash,
                               .created_us = tars_auth_now_us(visit->auth),
                               .expires_us = wanted->expires_us,
                               .role = wanted->role};
    tars_status status = key_owner(visit, wanted->account, &owner, err);

    if (status != TARS_OK || !owner)
        return status;
    status = check_key_count(visit, owner->account, err);
    if (status != TARS_OK)
        return status;
    key.account_id = owner->account->id;
    (void)snprintf(prefix, sizeof(prefix), "%s", text);
    status = tars_sha256_hex(text, strlen(text), hash);
    if (status != TARS_OK)
        return tars_fail(status, err, "no memory for a key");
    tars_json_text(&visit->detail, "account", owner->account->name);
    tars_json_text(&visit->detail, "role", tars_role_text(key.role));
    status = tars_accounts_key_add(visit->auth->config.store, &key, err);
    if (status == TARS_OK)
        *id = key.id;
    return status;
}

static tars_status check_key_wanted(const struct tars_auth *auth,
                                    const struct tars_key_wanted *wanted, struct tars_err *err)
{
    if ((unsigned)wanted->role > TARS_ROLE_ADMIN)
        return tars_fail(TARS_EINVAL, err, "a role is reader, writer or admin");
    if (wanted->expires_us && wanted->expires_us <= tars_auth_now_us(auth))
        return tars_fail(TARS_EINVAL, err, "the key would have expired already");
    return tars_directory_check_text(wanted->label ? wanted->label : "", "the label",
                                     TARS_LABEL_BYTES_MAX, err);
}

tars_status tars_directory_key_add(struct tars_auth *auth, const struct tars_actor *actor,
                                   const struct tars_key_wanted *wanted, struct tars_arena *arena,
                                   struct tars_key_made *made, struct tars_err *err)
{
    struct tars_key_made out = {0};
    struct tars_visit visit;
    tars_status status = check_key_wanted(auth, wanted, err);

    if (status != TARS_OK)
        return status;
    status = make_text(TARS_KEY_PREFIX, KEY_BYTES, arena, &out.key);
    if (status != TARS_OK)
        return tars_fail(status, err, "no key: %s", tars_status_text(status));
    status = tars_directory_enter(&visit, auth, actor, wanted->tenant, true, err);
    if (status == TARS_OK)
        status = add_key(&visit, wanted, out.key, &out.id, err);
    status = tars_directory_leave(&visit, status, "key-added", wanted->label, err);
    if (status == TARS_OK)
        *made = out;
    return status;
}

/* By its id, whatever the tenant: a key of another one is not there. */
static const struct tars_snapshot_key *find_key(const struct tars_snapshot *snapshot,
                                                const struct tars_actor *actor, int64_t id)
{
    const struct tars_principal *principal = actor->principal;
    size_t total;
    const struct tars_snapshot_key *all = tars_snapshot_keys(snapshot, &total);

    for (size_t i = 0; i < total; i++) {
        const struct tars_account *owner = all[i].account->account;
        bool manages = principal->is_system || (principal->role >= TARS_ROLE_ADMIN &&
                                                strcmp(owner->tenant, principal->tenant) == 0);

        if (all[i].key->id == id)
            return manages || (owner->id == principal->account_id) ? &all[i] : NULL;
    }
    return NULL;
}

tars_status tars_directory_key_revoke(struct tars_auth *auth, const struct tars_actor *actor,
                                      int64_t id, struct tars_err *err)
{
    struct tars_visit visit;
    const struct tars_snapshot_key *key = NULL;
    tars_status status = tars_directory_enter(&visit, auth, actor, NULL, true, err);
    char object[32];

    (void)snprintf(object, sizeof(object), "%lld", (long long)id);
    if (status == TARS_OK)
        key = find_key(visit.snapshot, actor, id);
    if (status == TARS_OK && !key)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no key %lld", (long long)id);
    if (key) {
        visit.tenant_name = key->account->account->tenant;
        tars_json_text(&visit.detail, "account", key->account->account->name);
        tars_json_text(&visit.detail, "prefix", key->key->prefix);
        status = tars_accounts_key_revoke(auth->config.store, id, err);
    }
    return tars_directory_leave(&visit, status, "key-revoked", object, err);
}
