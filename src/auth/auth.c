/* auth - see auth.h. This file holds the object and the checks; sign_in.c hands out and takes back
 * tokens. */
#include "auth/auth.h"

#include <stdlib.h>
#include <string.h>

#include "auth/auth_internal.h"
#include "auth/rate_share.h"
#include "base/crypto/digest.h"
#include "base/sys/clock.h"

#define ACCESS_SECONDS_DEFAULT  86400
#define REFRESH_SECONDS_DEFAULT 604800
#define SECONDS                 ((int64_t)1000000) /* microseconds of one */

/* Failed sign-ins within FAILURES_WINDOW_MS, before the next is not even looked at. */
#define FAILURES_PAIR      10
#define FAILURES_NAME      100
#define FAILURES_ADDRESS   100
#define FAILURES_WINDOW_MS 900000
/* From where somebody has signed in of late, failures elsewhere are nothing to them: else anybody
 * could lock them out. */
#define KNOWN_WINDOW_MS 604800000
#define KNOWN_MAX       ((int64_t)1 << 30)
/* A refresh token that comes again so soon was sent twice by its owner (two tabs, a reply that was
 * lost), and is only refused; when it comes later two have it, and one of them stole it. */

/* --------------------------------------------------------------- life cycle */

static tars_status make_limit(const uint64_t *seed, int64_t limit, int64_t window_ms,
                              struct tars_rate_limit **limiter)
{
    struct tars_rate_limit_config config = {
        .limit = limit, .window_ms = window_ms, .is_shared = seed != NULL};
    tars_status status = TARS_OK;

    if (seed) {
        memcpy(config.seed, seed, sizeof(config.seed));
    } else {
        status = tars_random_bytes(config.seed, sizeof(config.seed));
    }
    return status == TARS_OK ? tars_rate_limit_new(&config, limiter) : status;
}

/* "a, b,,c" -> "a\0b\0c\0" */
static tars_status copy_admins(struct tars_auth *auth, const char *list)
{
    if (!list)
        return TARS_OK;
    auth->admins = malloc(strlen(list) + 1);
    if (!auth->admins)
        return TARS_ENOMEM;
    while (*list) {
        size_t len;

        list += strspn(list, ", \t");
        len = strcspn(list, ",");
        for (const char *end = list + len; len && (end[-1] == ' ' || end[-1] == '\t'); end--)
            len--;
        if (len) {
            memcpy(auth->admins + auth->admins_len, list, len);
            auth->admins[auth->admins_len + len] = '\0';
            auth->admins_len += len + 1;
        }
        list += strcspn(list, ",");
    }
    return TARS_OK;
}

static tars_status copy_config(struct tars_auth *auth, const struct tars_auth_config *config)
{
    size_t len = strlen(config->secret);
    char *secret = malloc(len + 1);

    if (!secret)
        return TARS_ENOMEM;
    memcpy(secret, config->secret, len + 1);
    auth->config = *config;
    auth->secret = tars_span(secret, len);
    auth->config.secret = secret;
    if (!auth->config.access_seconds)
        auth->config.access_seconds = ACCESS_SECONDS_DEFAULT;
    if (!auth->config.refresh_seconds)
        auth->config.refresh_seconds = REFRESH_SECONDS_DEFAULT;
    if (!auth->config.now_us)
        auth->config.now_us = tars_clock_wall_us;
    return copy_admins(auth, config->admins);
}

static tars_status make_parts(struct tars_auth *auth)
{
    const uint64_t *seed = auth->config.limit_seed;
    const struct tars_password_config password = {
        .slots = auth->config.password_slots,
        .memory_kib = auth->config.password_memory_kib,
        .passes = auth->config.password_passes,
    };
    tars_status status = tars_password_new(&password, &auth->password);

    if (status == TARS_OK) {
        status =
            tars_seal_init(&auth->ticket_seal, auth->secret, "ticket of a sign-in by provider");
    }
    if (status == TARS_OK)
        status = tars_revoked_new(0, &auth->revoked);
    if (status == TARS_OK)
        status = make_limit(seed, FAILURES_PAIR, FAILURES_WINDOW_MS, &auth->by_pair);
    if (status == TARS_OK)
        status = make_limit(seed, FAILURES_NAME, FAILURES_WINDOW_MS, &auth->by_name);
    if (status == TARS_OK)
        status = make_limit(seed, FAILURES_ADDRESS, FAILURES_WINDOW_MS, &auth->by_address);
    if (status == TARS_OK)
        status = make_limit(NULL, KNOWN_MAX, KNOWN_WINDOW_MS, &auth->known);
    if (status == TARS_OK)
        status = make_limit(NULL, KNOWN_MAX, TARS_REUSE_GRACE_MS, &auth->just_used);
    return status;
}

tars_status tars_auth_new(const struct tars_auth_config *config, struct tars_auth **auth,
                          struct tars_err *err)
{
    struct tars_auth *made;
    tars_status status;

    if (!config->secret || strlen(config->secret) < TARS_JWT_SECRET_MIN) {
        return tars_fail(TARS_EINVAL, err, "the secret that signs tokens needs at least %d bytes",
                         TARS_JWT_SECRET_MIN);
    }
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for sign-in");
    pthread_mutex_init(&made->change_lock, NULL);
    pthread_mutex_init(&made->reload_lock, NULL);
    pthread_mutex_init(&made->lock, NULL);
    status = copy_config(made, config);
    if (status == TARS_OK)
        status = make_parts(made);
    if (status != TARS_OK)
        status = tars_fail(status, err, "sign-in: %s", tars_status_text(status));
    if (status == TARS_OK)
        status = tars_auth_reload(made, err);
    if (status != TARS_OK) {
        tars_auth_free(made);
        return status;
    }
    *auth = made;
    return TARS_OK;
}

static int64_t wall_ms(void)
{
    return tars_clock_wall_us() / 1000;
}

tars_status tars_auth_share_limits(struct tars_auth *auth, struct tars_rate_share *share)
{
    tars_status status = tars_rate_share_add(share, "pair", auth->by_pair, wall_ms);

    if (status == TARS_OK)
        status = tars_rate_share_add(share, "name", auth->by_name, wall_ms);
    if (status == TARS_OK)
        status = tars_rate_share_add(share, "address", auth->by_address, wall_ms);
    if (status == TARS_OK)
        auth->share = share;
    return status;
}

void tars_auth_free(struct tars_auth *auth)
{
    if (!auth)
        return;
    tars_snapshot_drop(auth->snapshot);
    tars_rate_limit_free(auth->by_pair);
    tars_rate_limit_free(auth->by_name);
    tars_rate_limit_free(auth->by_address);
    tars_rate_limit_free(auth->known);
    tars_rate_limit_free(auth->just_used);
    tars_revoked_free(auth->revoked);
    tars_password_free(auth->password);
    free(auth->admins);
    free((char *)auth->secret.ptr);
    pthread_mutex_destroy(&auth->lock);
    pthread_mutex_destroy(&auth->reload_lock);
    pthread_mutex_destroy(&auth->change_lock);
    free(auth);
}

enum tars_auth_mode tars_auth_mode(const struct tars_auth *auth)
{
    return auth->config.mode;
}

int64_t tars_auth_now_us(const struct tars_auth *auth)
{
    return auth->config.now_us();
}

struct loading {
    struct tars_auth *auth;
    tars_status status;
};

static bool add_revoked(void *ctx, const char *id, int64_t expires_us)
{
    struct loading *loading = ctx;

    loading->status =
        tars_revoked_add(loading->auth->revoked, id, expires_us, tars_auth_now_us(loading->auth));
    return loading->status == TARS_OK;
}

static tars_status read_all(struct tars_auth *auth, struct tars_snapshot **snapshot,
                            struct tars_err *err)
{
    struct loading loading = {auth, TARS_OK};
    tars_status status = tars_snapshot_read(auth->config.store, snapshot, err);

    if (status != TARS_OK)
        return status;
    status = tars_accounts_revoked(auth->config.store, add_revoked, &loading, err);
    if (status == TARS_OK && loading.status != TARS_OK) {
        status =
            tars_fail(loading.status, err, "revoked tokens: %s", tars_status_text(loading.status));
    }
    if (status != TARS_OK)
        tars_snapshot_drop(*snapshot);
    return status;
}

tars_status tars_auth_reload(struct tars_auth *auth, struct tars_err *err)
{
    struct tars_snapshot *fresh = NULL;
    struct tars_snapshot *old = NULL;
    tars_status status;

    pthread_mutex_lock(&auth->reload_lock);
    status = read_all(auth, &fresh, err);
    if (status == TARS_OK) {
        pthread_mutex_lock(&auth->lock);
        old = auth->snapshot;
        auth->snapshot = fresh;
        pthread_mutex_unlock(&auth->lock);
    }
    pthread_mutex_unlock(&auth->reload_lock);
    tars_snapshot_drop(old);
    return status;
}

tars_status tars_auth_heard_revoked(struct tars_auth *auth, const char *id, int64_t expires_us)
{
    return tars_revoked_add(auth->revoked, id, expires_us, tars_auth_now_us(auth));
}

tars_status tars_auth_tend(struct tars_auth *auth, struct tars_err *err)
{
    int64_t now_us = tars_auth_now_us(auth);

    tars_revoked_prune(auth->revoked, now_us);
    return tars_accounts_revoked_prune(auth->config.store, now_us, err);
}

struct tars_snapshot *tars_auth_hold(struct tars_auth *auth)
{
    struct tars_snapshot *snapshot;

    pthread_mutex_lock(&auth->lock);
    snapshot = tars_snapshot_hold(auth->snapshot);
    pthread_mutex_unlock(&auth->lock);
    return snapshot;
}

void tars_auth_audit(struct tars_auth *auth, const struct tars_audit_entry *entry)
{
    struct tars_audit_entry full = *entry;
    struct tars_err err = {{0}};

    full.time_us = tars_auth_now_us(auth);
    full.tenant = full.tenant ? full.tenant : TARS_TENANT;
    full.actor = full.actor ? full.actor : "";
    full.object = full.object ? full.object : "";
    full.address = full.address ? full.address : "";
    full.request_id = full.request_id ? full.request_id : "";
    full.detail = full.detail ? full.detail : "";
    if (tars_accounts_audit(auth->config.store, &full, &err) != TARS_OK) {
        tars_log_error(auth->config.log, "auth", "%s is not in the audit log: %s", full.action,
                       err.text);
    }
}

/* ----------------------------------------------------------------- principals */

static bool is_listed(const struct tars_auth *auth, const char *name)
{
    for (size_t at = 0; at < auth->admins_len; at += strlen(auth->admins + at) + 1) {
        if (strcmp(auth->admins + at, name) == 0)
            return true;
    }
    return false;
}

/* What an account (NULL: none, in mode open) may at most do. NONE: nothing at all. */
static enum tars_role role_of(const struct tars_auth *auth, const char *tenant, const char *name,
                              const struct tars_account *account)
{
    bool is_open = auth->config.mode == TARS_AUTH_OPEN;
    bool is_home = strcmp(tenant, TARS_TENANT) == 0;
    enum tars_role role = account ? account->role : TARS_ROLE_NONE;

    /* A provider lets people choose their names. */
    if (is_home && is_listed(auth, name) && !(account && account->external && *account->external))
        return TARS_ROLE_ADMIN;
    if (is_open && is_home && auth->config.open_admin && auth->admins_len == 0)
        return TARS_ROLE_ADMIN;
    if (is_open && role < TARS_ROLE_WRITER)
        return TARS_ROLE_WRITER;
    return role;
}

/* A token of somebody who had the name before is not this account's, nor is one that was issued
 * before its secret was changed, or it was disabled. */
static bool is_before(const struct tars_account *account, const struct tars_jwt *jwt)
{
    int64_t issued_s = jwt->issued_us / SECONDS;

    return (jwt->issued_us && issued_s < account->created_us / SECONDS) ||
           issued_s < account->tokens_from_us / SECONDS;
}

tars_status tars_auth_subject(const struct tars_auth *auth, const struct tars_snapshot *snapshot,
                              const struct tars_jwt *jwt, struct tars_auth_subject *out)
{
    struct tars_auth_subject subject = {
        .tenant = tars_snapshot_tenant(snapshot, jwt->tenant ? jwt->tenant : TARS_TENANT)};
    const char *tenant;

    if (!subject.tenant || subject.tenant->tenant->disabled)
        return TARS_EDENIED;
    tenant = subject.tenant->tenant->name;
    subject.account = tars_snapshot_account(snapshot, tenant, jwt->sub);
    if (!subject.account && auth->config.mode != TARS_AUTH_OPEN)
        return TARS_EDENIED;
    if (subject.account &&
        (subject.account->account->disabled || is_before(subject.account->account, jwt)))
        return TARS_EDENIED;
    subject.role =
        role_of(auth, tenant, jwt->sub, subject.account ? subject.account->account : NULL);
    *out = subject;
    return TARS_OK;
}

tars_status tars_auth_fill(const struct tars_auth_subject *subject, const char *client_id,
                           enum tars_credential credential, struct tars_arena *arena,
                           struct tars_principal *out)
{
    struct tars_principal made = {.credential = credential, .role = subject->role, .jti = ""};
    tars_status status;

    made.client_id = tars_arena_strdup(arena, client_id);
    made.tenant = tars_arena_strdup(arena, subject->tenant->tenant->name);
    if (!made.client_id || !made.tenant)
        return TARS_ENOMEM;
    made.is_system = made.role >= TARS_ROLE_ADMIN && strcmp(made.tenant, TARS_TENANT) == 0;
    made.account_id = subject->account ? subject->account->account->id : 0;
    status = tars_snapshot_rights(subject->tenant, subject->account, arena, &made);
    if (status == TARS_OK)
        *out = made;
    return status;
}

tars_status tars_auth_anonymous(struct tars_auth *auth, struct tars_arena *arena,
                                struct tars_principal *out)
{
    struct tars_snapshot *snapshot = tars_auth_hold(auth);
    struct tars_auth_subject subject = {.tenant = tars_snapshot_tenant(snapshot, TARS_TENANT)};
    tars_status status = TARS_EUNAVAILABLE;

    if (auth->config.mode == TARS_AUTH_OPEN)
        subject.role = TARS_ROLE_READER;
    if (subject.tenant)
        status = tars_auth_fill(&subject, "anonymous", TARS_CREDENTIAL_NONE, arena, out);
    tars_snapshot_drop(snapshot);
    return status;
}

tars_status tars_auth_owner(struct tars_auth *auth, struct tars_arena *arena,
                            struct tars_principal *out)
{
    struct tars_snapshot *snapshot = tars_auth_hold(auth);
    struct tars_principal made = {.client_id = "owner",
                                  .tenant = TARS_TENANT,
                                  .credential = TARS_CREDENTIAL_OWNER,
                                  .role = TARS_ROLE_ADMIN,
                                  .is_system = true,
                                  .jti = ""};
    tars_status status = tars_snapshot_rights_all(snapshot, arena, &made);

    tars_snapshot_drop(snapshot);
    if (status == TARS_OK)
        *out = made;
    return status;
}

/* --------------------------------------------------------------------- checks */

/* header.payload of a token, the whole of any other text. There may be many good signatures of the
 * same claims (ECDSA), or many ways to write one down: none is another token. */
static struct tars_span signed_part(struct tars_span token)
{
    size_t dots = 0;
    size_t last = 0;

    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] == '.') {
            dots++;
            last = i;
        }
    }
    return dots == 2 ? tars_span(token.ptr, last) : token;
}

tars_status tars_auth_token_id(const struct tars_jwt *jwt, struct tars_span token, char *id)
{
    struct tars_span text = signed_part(token);
    size_t len = jwt && jwt->jti ? strlen(jwt->jti) : 0;

    if (len == 0 || len >= TARS_REVOKED_ID_BYTES)
        return tars_sha256_hex(text.ptr, text.len, id);
    memcpy(id, jwt->jti, len + 1);
    return TARS_OK;
}

static tars_status check_token(struct tars_auth *auth, struct tars_span token,
                               struct tars_arena *arena, struct tars_principal *out,
                               const char **why)
{
    struct tars_snapshot *snapshot;
    struct tars_auth_subject subject;
    char id[TARS_REVOKED_ID_BYTES];
    struct tars_jwt jwt;
    tars_status status =
        tars_jwt_verify(auth->secret, token, tars_auth_now_us(auth) / SECONDS, arena, &jwt);

    *why = TARS_AUTH_INVALID;
    if (status != TARS_OK)
        return status == TARS_ENOMEM ? status : TARS_EDENIED;
    status = tars_auth_token_id(&jwt, token, id);
    if (status != TARS_OK)
        return status;
    if (tars_auth_is_revoked(auth, &jwt, id)) {
        *why = TARS_AUTH_REVOKED;
        return TARS_EDENIED;
    }
    if (jwt.type != TARS_JWT_ACCESS)
        return TARS_EDENIED;
    snapshot = tars_auth_hold(auth);
    status = tars_auth_subject(auth, snapshot, &jwt, &subject);
    if (status == TARS_OK)
        status = tars_auth_fill(&subject, jwt.sub, TARS_CREDENTIAL_TOKEN, arena, out);
    tars_snapshot_drop(snapshot);
    if (status == TARS_OK) {
        out->jti = jwt.jti ? jwt.jti : "";
        out->expires_us = jwt.expires_s * SECONDS;
    }
    return status;
}

static enum tars_role lower(enum tars_role a, enum tars_role b)
{
    return a < b ? a : b;
}

/* The account's role, but at most the key's. A key is never an unknown's, so mode open adds
 * nothing.
 */
static enum tars_role role_of_key(const struct tars_auth *auth, const struct tars_snapshot_key *key)
{
    const struct tars_account *account = key->account->account;
    bool is_external = account->external && *account->external;
    enum tars_role role = account->role;

    if (!is_external && strcmp(account->tenant, TARS_TENANT) == 0 && is_listed(auth, account->name))
        role = TARS_ROLE_ADMIN;
    return key->key->role == TARS_ROLE_NONE ? role : lower(role, key->key->role);
}

static tars_status check_key(struct tars_auth *auth, struct tars_span token,
                             struct tars_arena *arena, struct tars_principal *out, const char **why)
{
    struct tars_snapshot *snapshot = tars_auth_hold(auth);
    struct tars_auth_subject subject;
    char hash[TARS_SHA256_HEX_BYTES];
    tars_status status = tars_sha256_hex(token.ptr, token.len, hash);
    const struct tars_snapshot_key *key =
        status == TARS_OK ? tars_snapshot_key(snapshot, hash) : NULL;

    *why = TARS_AUTH_INVALID;
    if (status != TARS_OK)
        goto out;
    status = TARS_EDENIED;
    if (!key)
        goto out;
    if (key->key->revoked) {
        *why = TARS_AUTH_REVOKED;
        goto out;
    }
    if ((key->key->expires_us && key->key->expires_us <= tars_auth_now_us(auth)) ||
        key->account->account->disabled || key->account->tenant->tenant->disabled)
        goto out;
    subject =
        (struct tars_auth_subject){key->account->tenant, key->account, role_of_key(auth, key)};
    status = tars_auth_fill(&subject, key->account->account->name, TARS_CREDENTIAL_KEY, arena, out);
    if (status == TARS_OK) {
        out->key_id = key->key->id;
        out->expires_us = key->key->expires_us;
    }
out:
    tars_snapshot_drop(snapshot);
    return status;
}

void tars_auth_family_id(const char *family, char *id)
{
    (void)snprintf(id, TARS_REVOKED_ID_BYTES, "family:%s", family);
}

bool tars_auth_is_revoked(struct tars_auth *auth, const struct tars_jwt *jwt, const char *id)
{
    char family[TARS_REVOKED_ID_BYTES];

    if (tars_revoked_has(auth->revoked, id))
        return true;
    if (!jwt || !jwt->family)
        return false;
    tars_auth_family_id(jwt->family, family);
    return tars_revoked_has(auth->revoked, family);
}

/* What is not ours may still have been revoked, word for word. */
static tars_status refuse_other(struct tars_auth *auth, struct tars_span token, const char **why)
{
    char id[TARS_REVOKED_ID_BYTES];
    tars_status status = tars_auth_token_id(NULL, token, id);

    if (status != TARS_OK)
        return status;
    *why = tars_revoked_has(auth->revoked, id) ? TARS_AUTH_REVOKED : TARS_AUTH_INVALID;
    return TARS_EDENIED;
}

static tars_status check_external(struct tars_auth *auth, struct tars_span token, bool may_block,
                                  struct tars_arena *arena, struct tars_principal *out,
                                  const char **why)
{
    char id[TARS_REVOKED_ID_BYTES];
    tars_status status = tars_auth_token_id(NULL, token, id);

    if (status != TARS_OK)
        return status;
    if (tars_revoked_has(auth->revoked, id)) {
        *why = TARS_AUTH_REVOKED;
        return TARS_EDENIED;
    }
    return tars_auth_check_external(auth, token, may_block, arena, out);
}

static bool is_key(struct tars_span token)
{
    return token.len > TARS_KEY_PREFIX_BYTES &&
           memcmp(token.ptr, TARS_KEY_PREFIX, TARS_KEY_PREFIX_BYTES) == 0;
}

tars_status tars_auth_check(struct tars_auth *auth, struct tars_span token, bool may_block,
                            struct tars_arena *arena, struct tars_principal *out, const char **why)
{
    tars_status status;

    *why = TARS_AUTH_INVALID;
    if (token.len > TARS_JWT_BYTES_MAX)
        return TARS_EDENIED;
    if (is_key(token)) {
        status = check_key(auth, token, arena, out, why);
    } else if (tars_jwt_looks_ours(token)) {
        status = check_token(auth, token, arena, out, why);
    } else if (auth->config.oidc) {
        status = check_external(auth, token, may_block, arena, out, why);
    } else {
        status = TARS_EDENIED;
    }
    if (status == TARS_EDENIED && strcmp(*why, TARS_AUTH_INVALID) == 0)
        status = refuse_other(auth, token, why);
    return status;
}

/* --------------------------------------------------------------- what it may */

static int compare_key(const void *key, const void *member)
{
    return strcmp(key, *(const char *const *)member);
}

static bool is_among(const char *const *keys, size_t count, const char *key)
{
    return count && bsearch(key, (const void *)keys, count, sizeof(*keys), compare_key);
}

bool tars_principal_reads(const struct tars_principal *principal, const char *key)
{
    return principal->visible.all ||
           is_among(principal->visible.keys, principal->visible.count, key);
}

bool tars_principal_writes(const struct tars_principal *principal, const char *key)
{
    return principal->writes_all || is_among(principal->writable, principal->writable_count, key);
}

const char *tars_principal_collection(const struct tars_principal *principal, const char *name,
                                      bool writes)
{
    const char *const *keys = writes ? principal->writable : principal->visible.keys;
    size_t count = writes ? principal->writable_count : principal->visible.count;
    char key[TARS_COLLECTION_KEY_BYTES];
    const char *const *found;

    if (!name || !*name)
        name = TARS_COLLECTION_DEFAULT;
    if (tars_collection_key(principal->tenant, name, key) != TARS_OK || count == 0)
        return NULL;
    found = bsearch(key, (const void *)keys, count, sizeof(*keys), compare_key);
    return found ? *found : NULL;
}
