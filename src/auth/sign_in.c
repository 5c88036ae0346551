/* sign_in - the part of auth.h that hands out tokens and takes them back.
 *
 * A sign-in is charged as a failure before the secret is looked at and refunded when it was right,
 * so that a thousand guesses at the same moment are no cheaper than one after another.
 */
#include <string.h>

#include "auth/auth_internal.h"
#include "auth/rate_share.h"
#include "base/crypto/digest.h"

#define SECONDS        ((int64_t)1000000) /* microseconds of one */
#define JTI_BYTES      16
#define FAMILY_BYTES   16
#define KEY_TEXT_BYTES (2 * TARS_RATE_KEY_BYTES)
#define SETTLE_MS      100 /* that a sign-in waits for the other servers' counts */
/* Texts that no key of ours signed, kept as revoked; more are taken for revoked already: nobody can
 * sign in with them anyway. */
#define FOREIGN_MAX ((size_t)100000)

/* --------------------------------------------------------------------- tokens */

struct wanted {
    const char *family; /* NULL: a new one */
    const char *client_id;
    const char *tenant;
    bool has_device;
    const char *device_name, *device_type;
};

static tars_status sign(const struct tars_auth *auth, const struct wanted *wanted,
                        enum tars_jwt_type type, int64_t seconds, struct tars_arena *arena,
                        const char **out)
{
    bool is_access = type == TARS_JWT_ACCESS;
    char jti[2 * JTI_BYTES + 1];
    struct tars_jwt jwt = {
        .type = type,
        .sub = wanted->client_id,
        .tenant = strcmp(wanted->tenant, TARS_TENANT) == 0 ? NULL : wanted->tenant,
        .jti = jti,
        .family = wanted->family,
        .has_device = is_access && wanted->has_device,
        .device_name = wanted->device_name,
        .device_type = wanted->device_type,
        .issued_us = tars_auth_now_us(auth),
    };

    jwt.expires_s = jwt.issued_us / SECONDS + seconds;
    if (tars_random_hex(jti, JTI_BYTES) != TARS_OK)
        return TARS_EIO;
    return tars_jwt_sign(auth->secret, &jwt, arena, out);
}

static tars_status make_pair(const struct tars_auth *auth, const struct wanted *asked,
                             struct tars_arena *arena, struct tars_token_pair *out,
                             struct tars_err *err)
{
    struct tars_token_pair pair = {.expires_in = auth->config.access_seconds};
    struct wanted wanted = *asked;
    char family[2 * FAMILY_BYTES + 1];
    tars_status status = TARS_OK;

    if (!wanted.family) {
        status = tars_random_hex(family, FAMILY_BYTES);
        wanted.family = family;
    }
    if (status == TARS_OK) {
        status =
            sign(auth, &wanted, TARS_JWT_ACCESS, auth->config.access_seconds, arena, &pair.access);
    }
    if (status == TARS_OK) {
        status = sign(auth, &wanted, TARS_JWT_REFRESH, auth->config.refresh_seconds, arena,
                      &pair.refresh);
    }
    if (status != TARS_OK)
        return tars_fail(status, err, "no token could be made: %s", tars_status_text(status));
    *out = pair;
    return TARS_OK;
}

/* ------------------------------------------------------------------- throttle */

struct throttle {
    char pair[KEY_TEXT_BYTES], name[TARS_RATE_KEY_BYTES], address[TARS_RATE_KEY_BYTES];
    struct tars_span pair_key, name_key, address_key;
    int64_t now_ms;
    bool names; /* by_name was charged */
};

static struct tars_span printed(const char *text, size_t size)
{
    size_t len = strlen(text);

    return tars_span(text, len < size ? len : size - 1);
}

static void throttle_init(struct throttle *throttle, const struct tars_auth *auth,
                          const struct tars_sign_in *request)
{
    throttle->now_ms = tars_auth_now_us(auth) / 1000;
    throttle->address_key =
        tars_rate_key_of_address(request->address ? request->address : "", throttle->address);
    (void)snprintf(throttle->name, sizeof(throttle->name), "%s %s",
                   request->tenant ? request->tenant : TARS_TENANT, request->client_id);
    throttle->name_key = printed(throttle->name, sizeof(throttle->name));
    (void)snprintf(throttle->pair, sizeof(throttle->pair), "%.*s %s",
                   (int)throttle->address_key.len, throttle->address_key.ptr, throttle->name);
    throttle->pair_key = printed(throttle->pair, sizeof(throttle->pair));
}

static void throttle_refund(struct tars_auth *auth, const struct throttle *throttle)
{
    tars_rate_limit_refund(auth->by_pair, throttle->pair_key, throttle->now_ms);
    if (throttle->names)
        tars_rate_limit_refund(auth->by_name, throttle->name_key, throttle->now_ms);
    tars_rate_limit_refund(auth->by_address, throttle->address_key, throttle->now_ms);
}

/* Has this name signed in from this address of late? */
static bool is_known(struct tars_auth *auth, const struct throttle *throttle)
{
    struct tars_rate rate = tars_rate_limit_peek(auth->known, throttle->pair_key, throttle->now_ms);

    return rate.remaining < rate.limit;
}

static bool throttle_charge(struct tars_auth *auth, struct throttle *throttle)
{
    if (!tars_rate_limit_take(auth->by_pair, throttle->pair_key, throttle->now_ms).allowed)
        return false;
    throttle->names =
        tars_rate_limit_take(auth->by_name, throttle->name_key, throttle->now_ms).allowed;
    if (!throttle->names && !is_known(auth, throttle)) {
        tars_rate_limit_refund(auth->by_pair, throttle->pair_key, throttle->now_ms);
        return false;
    }
    if (!tars_rate_limit_take(auth->by_address, throttle->address_key, throttle->now_ms).allowed) {
        tars_rate_limit_refund(auth->by_pair, throttle->pair_key, throttle->now_ms);
        if (throttle->names)
            tars_rate_limit_refund(auth->by_name, throttle->name_key, throttle->now_ms);
        return false;
    }
    return true;
}

/* The others may have charged the same meanwhile: once each has told the others of its own, what is
 * over the limit passes nowhere. */
static bool throttle_settle(struct tars_auth *auth, const struct throttle *throttle)
{
    int64_t now_ms = throttle->now_ms;

    if (!auth->share)
        return true;
    tars_rate_share_settle(auth->share, SETTLE_MS);
    if (!tars_rate_limit_is_over(auth->by_pair, throttle->pair_key, now_ms) &&
        !tars_rate_limit_is_over(auth->by_address, throttle->address_key, now_ms) &&
        (!tars_rate_limit_is_over(auth->by_name, throttle->name_key, now_ms) ||
         is_known(auth, throttle)))
        return true;
    throttle_refund(auth, throttle);
    return false;
}

/* -------------------------------------------------------------------- sign in */

static tars_status check_request(const struct tars_sign_in *request, struct tars_err *err)
{
    if (strlen(request->client_id) > TARS_CLIENT_BYTES_MAX) {
        return tars_fail(TARS_EINVAL, err, "client_id is longer than %d bytes",
                         TARS_CLIENT_BYTES_MAX);
    }
    if ((request->device_name && strlen(request->device_name) > TARS_DEVICE_BYTES_MAX) ||
        (request->device_type && strlen(request->device_type) > TARS_DEVICE_BYTES_MAX)) {
        return tars_fail(TARS_EINVAL, err, "device_name or device_type is longer than %d bytes",
                         TARS_DEVICE_BYTES_MAX);
    }
    return TARS_OK;
}

/* What is known of who signs in, out of the snapshot, so that no lock and no reference is held
 * while the secret is hashed. */
struct known {
    bool may;         /* tenant and account are there, or need not be, and are enabled */
    bool asks_secret; /* mode open asks only those who have one */
    char *hash;       /* encoded, "" for none */
    int64_t account_id;
};

static tars_status look_up(struct tars_auth *auth, const struct tars_sign_in *request,
                           struct tars_arena *arena, struct known *known)
{
    struct tars_snapshot *snapshot = tars_auth_hold(auth);
    const char *name = request->tenant ? request->tenant : TARS_TENANT;
    const struct tars_snapshot_tenant *tenant = tars_snapshot_tenant(snapshot, name);
    const struct tars_snapshot_account *account =
        tars_snapshot_account(snapshot, name, request->client_id);
    bool is_open = auth->config.mode == TARS_AUTH_OPEN;
    const char *hash =
        account && account->account->secret_hash ? account->account->secret_hash : "";

    known->may =
        tenant && !tenant->tenant->disabled && (account ? !account->account->disabled : is_open);
    known->asks_secret = !is_open || !known->may || *hash;
    known->hash = tars_arena_strdup(arena, hash);
    known->account_id = account ? account->account->id : 0;
    tars_snapshot_drop(snapshot);
    return known->hash ? TARS_OK : TARS_ENOMEM;
}

/* The same work whoever it is: without an account, or with one that may not, a hash is made for
 * nothing. */
static tars_status check_secret(struct tars_auth *auth, const struct known *known,
                                const char *secret)
{
    tars_status status =
        tars_password_verify(auth->password, known->may ? known->hash : NULL, tars_span_of(secret));

    return status == TARS_OK && !known->may ? TARS_EDENIED : status;
}

/* Where others change accounts, too: is what the secret was checked against still so? */
static tars_status is_still_so(struct tars_auth *auth, const struct tars_sign_in *request,
                               struct tars_arena *arena, const struct known *known,
                               struct tars_err *err)
{
    struct known now = {.may = false};
    tars_status status;

    if (!auth->config.shared)
        return TARS_OK;
    status = tars_auth_reload(auth, err);
    if (status == TARS_OK)
        status = look_up(auth, request, arena, &now);
    if (status == TARS_OK && (now.may != known->may || now.account_id != known->account_id ||
                              strcmp(now.hash, known->hash) != 0))
        status = tars_fail(TARS_EDENIED, err, "Invalid credentials");
    return status;
}

static void audit_sign_in(struct tars_auth *auth, const struct tars_sign_in *request,
                          const struct known *known, bool success)
{
    const struct tars_audit_entry entry = {
        .tenant = known->may ? request->tenant : NULL,
        .actor = success ? request->client_id : "anonymous",
        .action = success ? "sign-in" : "sign-in-failed",
        .object = request->client_id,
        .address = request->address,
        .request_id = request->request_id,
        .success = success,
    };

    tars_auth_audit(auth, &entry);
}

static tars_status sign_in_checked(struct tars_auth *auth, const struct tars_sign_in *request,
                                   struct tars_arena *arena, struct known *known,
                                   struct tars_err *err)
{
    struct throttle throttle;
    tars_status status = look_up(auth, request, arena, known);

    if (status != TARS_OK || !known->asks_secret)
        return status;
    throttle_init(&throttle, auth, request);
    if (!throttle_charge(auth, &throttle) || !throttle_settle(auth, &throttle))
        return tars_fail(TARS_EAGAIN, err, "Too many failed sign-ins; try again later");
    status = check_secret(auth, known, request->secret);
    if (status != TARS_EDENIED)
        throttle_refund(auth, &throttle);
    if (status == TARS_OK)
        (void)tars_rate_limit_take(auth->known, throttle.pair_key, throttle.now_ms);
    if (status == TARS_EAGAIN)
        return tars_fail(status, err, "Too many sign-ins at a time; try again");
    if (status == TARS_EDENIED) {
        audit_sign_in(auth, request, known, false);
        return tars_fail(status, err, "Invalid credentials");
    }
    if (status != TARS_OK) {
        return tars_fail(status, err, "the secret could not be checked: %s",
                         tars_status_text(status));
    }
    return TARS_OK;
}

tars_status tars_auth_prove(struct tars_auth *auth, const struct tars_sign_in *request,
                            struct tars_arena *arena, struct tars_err *err)
{
    struct known known = {.may = false};
    tars_status status = check_request(request, err);

    if (status == TARS_OK)
        status = sign_in_checked(auth, request, arena, &known, err);
    if (status == TARS_OK && !known.asks_secret)
        status = tars_fail(TARS_EDENIED, err, "Invalid credentials");
    return status;
}

tars_status tars_auth_sign_in(struct tars_auth *auth, const struct tars_sign_in *request,
                              struct tars_arena *arena, struct tars_token_pair *out,
                              struct tars_err *err)
{
    const struct wanted wanted = {
        .client_id = request->client_id,
        .tenant = request->tenant ? request->tenant : TARS_TENANT,
        .has_device = true,
        .device_name = request->device_name,
        .device_type = request->device_type,
    };
    struct known known = {.may = false};
    tars_status status = check_request(request, err);

    if (status == TARS_OK)
        status = sign_in_checked(auth, request, arena, &known, err);
    if (status == TARS_OK)
        status = is_still_so(auth, request, arena, &known, err);
    if (status == TARS_OK)
        status = make_pair(auth, &wanted, arena, out, err);
    if (status != TARS_OK)
        return status;
    audit_sign_in(auth, request, &known, true);
    if (known.account_id && tars_accounts_touch(auth->config.store, known.account_id, 0,
                                                tars_auth_now_us(auth), NULL) != TARS_OK)
        tars_log_warning(auth->config.log, "auth", "when an account was used could not be kept");
    return TARS_OK;
}

/* The subject of a token must still be somebody. */
static tars_status still_there(struct tars_auth *auth, const struct tars_jwt *jwt)
{
    struct tars_snapshot *snapshot = tars_auth_hold(auth);
    struct tars_auth_subject subject;
    tars_status status = tars_auth_subject(auth, snapshot, jwt, &subject);

    tars_snapshot_drop(snapshot);
    return status;
}

tars_status tars_auth_issue(struct tars_auth *auth, const char *tenant, const char *client_id,
                            struct tars_arena *arena, struct tars_token_pair *out,
                            struct tars_err *err)
{
    const struct tars_jwt jwt = {
        .sub = client_id, .tenant = tenant, .issued_us = tars_auth_now_us(auth)};
    const struct wanted wanted = {
        .client_id = client_id, .tenant = tenant ? tenant : TARS_TENANT, .has_device = true};

    tars_status status = auth->config.shared ? tars_auth_reload(auth, err) : TARS_OK;

    if (status != TARS_OK)
        return status;
    if (still_there(auth, &jwt) != TARS_OK)
        return tars_fail(TARS_EDENIED, err, "Invalid credentials");
    return make_pair(auth, &wanted, arena, out, err);
}

/* -------------------------------------------------------------------- refresh */

static void audit_token(struct tars_auth *auth, const char *action, const struct tars_jwt *jwt,
                        const char *address, const char *request_id, bool success)
{
    const struct tars_audit_entry entry = {
        .tenant = jwt->tenant,
        .actor = jwt->sub,
        .action = action,
        .object = jwt->sub,
        .address = address,
        .request_id = request_id,
        .success = success,
    };

    tars_auth_audit(auth, &entry);
}

static struct tars_span key_of(const char *id)
{
    return tars_span(id, strlen(id));
}

/* Remembered here after the store has it; a set that is full says no to the next token too. */
static tars_status remember(struct tars_auth *auth, const char *id, int64_t expires_us)
{
    return tars_revoked_add(auth->revoked, id, expires_us, tars_auth_now_us(auth));
}

static tars_status revoke_family(struct tars_auth *auth, const char *id, struct tars_err *err)
{
    const struct tars_auth_config *config = &auth->config;
    int64_t longest_s = config->access_seconds > config->refresh_seconds ? config->access_seconds
                                                                         : config->refresh_seconds;
    int64_t expires_us = tars_auth_now_us(auth) + longest_s * SECONDS;
    tars_status status = tars_accounts_revoke(config->store, id, expires_us, err);

    return status == TARS_OK ? remember(auth, id, expires_us) : status;
}

/* A refresh token that was used before is shown again (RFC 6819, 5.2.2.3): whoever else has it may
 * have got tokens for it, so all of that sign-in are worth nothing from now on. */
static void note_reuse(struct tars_auth *auth, const struct tars_jwt *jwt, const char *id,
                       const char *address, const char *request_id)
{
    struct tars_rate rate =
        tars_rate_limit_peek(auth->just_used, key_of(id), tars_auth_now_us(auth) / 1000);
    char family[TARS_REVOKED_ID_BYTES];
    struct tars_err err = {{0}};
    bool lately = false;

    if (rate.remaining < rate.limit || !jwt->family)
        return;
    tars_auth_family_id(jwt->family, family);
    if (tars_revoked_has(auth->revoked, family))
        return;
    if (tars_accounts_revoked_lately(auth->config.store, id, TARS_REUSE_GRACE_MS, &lately, &err) !=
            TARS_OK ||
        lately)
        return; /* used up on another server just now; or that cannot be known */
    if (revoke_family(auth, family, &err) != TARS_OK) {
        tars_log_error(auth->config.log, "auth", "tokens of a sign-in could not be revoked: %s",
                       err.text);
        return;
    }
    tars_log_warning(auth->config.log, "auth",
                     "a refresh token of %s was used again: its sign-in is ended", jwt->sub);
    audit_token(auth, "refresh-reused", jwt, address, request_id, false);
}

/* EDENIED and *why, or a refresh token of somebody who is still there. */
static tars_status read_refresh(struct tars_auth *auth, struct tars_span token, const char *address,
                                const char *request_id, struct tars_arena *arena,
                                struct tars_jwt *jwt, char *id, const char **why)
{
    tars_status status =
        tars_jwt_verify(auth->secret, token, tars_auth_now_us(auth) / SECONDS, arena, jwt);

    *why = TARS_AUTH_INVALID;
    if (status == TARS_ENOMEM)
        return status;
    if (tars_auth_token_id(status == TARS_OK ? jwt : NULL, token, id) != TARS_OK)
        return TARS_ENOMEM;
    if (tars_auth_is_revoked(auth, status == TARS_OK ? jwt : NULL, id)) {
        if (status == TARS_OK && jwt->type == TARS_JWT_REFRESH)
            note_reuse(auth, jwt, id, address, request_id);
        *why = TARS_AUTH_REVOKED;
        return TARS_EDENIED;
    }
    if (status != TARS_OK)
        return TARS_EDENIED;
    if (jwt->type != TARS_JWT_REFRESH) {
        *why = TARS_AUTH_TYPE;
        return TARS_EDENIED;
    }
    return still_there(auth, jwt);
}

tars_status tars_auth_refresh(struct tars_auth *auth, struct tars_span token, const char *address,
                              const char *request_id, struct tars_arena *arena,
                              struct tars_token_pair *out, const char **why, struct tars_err *err)
{
    char id[TARS_REVOKED_ID_BYTES];
    struct wanted wanted = {.tenant = TARS_TENANT};
    struct tars_jwt jwt;
    tars_status status = read_refresh(auth, token, address, request_id, arena, &jwt, id, why);

    if (status == TARS_OK)
        status = tars_accounts_revoke_once(auth->config.store, id, jwt.expires_s * SECONDS, err);
    if (status == TARS_EEXIST) {
        *why = TARS_AUTH_REVOKED;
        return TARS_EDENIED;
    }
    /* Before anybody can find it revoked. */
    if (status == TARS_OK) {
        (void)tars_rate_limit_take(auth->just_used, key_of(id), tars_auth_now_us(auth) / 1000);
        status = remember(auth, id, jwt.expires_s * SECONDS);
    }
    if (status != TARS_OK)
        return status;
    wanted.family = jwt.family;
    wanted.client_id = jwt.sub;
    wanted.tenant = jwt.tenant ? jwt.tenant : TARS_TENANT;
    status = make_pair(auth, &wanted, arena, out, err);
    if (status == TARS_OK)
        audit_token(auth, "refresh", &jwt, address, request_id, true);
    return status;
}

/* --------------------------------------------------------------------- revoke */

/* Until when a text must be kept that is no token of ours: a provider's token as long as it lives,
 * and however many other texts there are. */
static int64_t kept_until(struct tars_auth *auth, struct tars_span token, struct tars_arena *arena,
                          int64_t now_us)
{
    struct tars_oidc_identity identity;

    if (auth->config.oidc &&
        tars_oidc_verify(auth->config.oidc, token, true, arena, &identity) == TARS_OK)
        return identity.expires_us;
    return tars_revoked_count(auth->revoked) < FOREIGN_MAX
               ? now_us + auth->config.access_seconds * SECONDS
               : 0;
}

/* Until when an id must be kept; 0: it need not be. */
static tars_status find_id(struct tars_auth *auth, struct tars_span token, struct tars_arena *arena,
                           char *id, int64_t *expires_us)
{
    int64_t now_us = tars_auth_now_us(auth);
    struct tars_jwt jwt;
    tars_status status = tars_jwt_verify(auth->secret, token, now_us / SECONDS, arena, &jwt);

    switch (status) {
    case TARS_OK:
        *expires_us = jwt.expires_s * SECONDS;
        return tars_auth_token_id(&jwt, token, id);
    case TARS_ETIMEOUT:
        *expires_us = 0;
        return tars_auth_token_id(&jwt, token, id);
    case TARS_EDENIED:
        *expires_us = kept_until(auth, token, arena, now_us);
        return tars_auth_token_id(NULL, token, id);
    default:
        return status;
    }
}

/* True when the text was an API key, which is revoked as one. */
static tars_status revoke_key(struct tars_auth *auth, struct tars_span token, bool *was_key,
                              struct tars_err *err)
{
    struct tars_snapshot *snapshot = tars_auth_hold(auth);
    const struct tars_snapshot_key *key = NULL;
    char hash[TARS_SHA256_HEX_BYTES];
    int64_t key_id = 0;
    tars_status status = tars_sha256_hex(token.ptr, token.len, hash);

    if (status == TARS_OK)
        key = tars_snapshot_key(snapshot, hash);
    if (key)
        key_id = key->key->id;
    tars_snapshot_drop(snapshot);
    *was_key = key_id != 0;
    if (status != TARS_OK || !key_id)
        return status;
    status = tars_accounts_key_revoke(auth->config.store, key_id, err);
    return status == TARS_OK ? tars_auth_reload(auth, err) : status;
}

static tars_status revoke_text(struct tars_auth *auth, struct tars_span token, struct tars_err *err)
{
    char id[TARS_REVOKED_ID_BYTES];
    struct tars_arena arena;
    int64_t expires_us = 0;
    tars_status status;

    tars_arena_init(&arena, 8 * TARS_JWT_BYTES_MAX);
    status = find_id(auth, token, &arena, id, &expires_us);
    tars_arena_release(&arena);
    if (status != TARS_OK)
        return tars_fail(status, err, "%s", tars_status_text(status));
    if (expires_us == 0)
        return TARS_OK;
    status = tars_accounts_revoke(auth->config.store, id, expires_us, err);
    if (status == TARS_OK)
        status = remember(auth, id, expires_us);
    return status == TARS_ETOOBIG ? tars_fail(TARS_EBUSY, err, "too many tokens are revoked")
                                  : status;
}

tars_status tars_auth_revoke(struct tars_auth *auth, struct tars_span token,
                             const struct tars_principal *by, const char *address,
                             const char *request_id, struct tars_err *err)
{
    const struct tars_audit_entry entry = {
        .tenant = by->tenant,
        .actor = by->client_id,
        .action = "token-revoked",
        .address = address,
        .request_id = request_id,
        .success = true,
    };
    bool was_key = false;
    tars_status status = revoke_key(auth, token, &was_key, err);

    if (status == TARS_OK && !was_key)
        status = revoke_text(auth, token, err);
    if (status == TARS_OK)
        tars_auth_audit(auth, &entry);
    return status;
}
