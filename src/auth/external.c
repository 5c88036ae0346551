/* external - the part of auth.h about those whom a provider knows: their accounts here, their
 * bearer tokens, and their way in by web page.
 *
 * An account belongs to "<issuer> <subject>", never to a name: names can be chosen, and are given
 * to others. A name that is taken gets a few digits of that text's digest behind it.
 */
#include <string.h>

#include "auth/auth_internal.h"
#include "base/crypto/digest.h"

#define SECONDS    ((int64_t)1000000) /* microseconds of one */
#define MARK_CHARS 8
#define ID_BYTES   16

/* -------------------------------------------------------------------- accounts */

static bool is_fit(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > TARS_CLIENT_BYTES_MAX || strcmp(name, "owner") == 0 ||
        strcmp(name, "anonymous") == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    }
    return true;
}

/* The name that the provider says, if nobody has it here; else one of our making. */
static tars_status choose_name(const struct tars_snapshot *snapshot, const char *tenant,
                               const struct tars_oidc_identity *identity, struct tars_arena *arena,
                               const char **name)
{
    char hash[TARS_SHA256_HEX_BYTES];
    tars_status status;

    *name = identity->name;
    if (is_fit(identity->name) && !tars_snapshot_account(snapshot, tenant, identity->name))
        return TARS_OK;
    status = tars_sha256_hex(identity->external, strlen(identity->external), hash);
    if (status != TARS_OK)
        return status;
    *name = tars_arena_printf(arena, "%.*s#%.*s", is_fit(identity->name) ? 200 : 0, identity->name,
                              MARK_CHARS, hash);
    if (!*name)
        return TARS_ENOMEM;
    return tars_snapshot_account(snapshot, tenant, *name) ? TARS_EDENIED : TARS_OK;
}

static void audit(struct tars_auth *auth, const char *action, const char *tenant, const char *name,
                  const char *address, const char *request_id)
{
    const struct tars_audit_entry entry = {
        .tenant = tenant,
        .actor = name,
        .action = action,
        .object = name,
        .address = address,
        .request_id = request_id,
        .detail = "{\"by\":\"provider\"}",
        .success = true,
    };

    tars_auth_audit(auth, &entry);
}

static tars_status make_account(struct tars_auth *auth, const struct tars_snapshot *snapshot,
                                const struct tars_oidc_identity *identity, struct tars_arena *arena)
{
    struct tars_account account = {
        .tenant = identity->tenant ? identity->tenant : TARS_TENANT,
        .secret_hash = "",
        .external = identity->external,
        .created_us = tars_auth_now_us(auth),
        .kind = TARS_ACCOUNT_USER,
        .role = identity->says_role ? identity->role : tars_oidc_default_role(auth->config.oidc),
    };
    tars_status status;

    if (!tars_snapshot_tenant(snapshot, account.tenant))
        return TARS_EDENIED;
    status = choose_name(snapshot, account.tenant, identity, arena, &account.name);
    if (status == TARS_OK)
        status = tars_accounts_add(auth->config.store, &account, NULL);
    if (status == TARS_OK)
        audit(auth, "account-added", account.tenant, account.name, NULL, NULL);
    return status;
}

/* With to_keep the role that the provider says becomes the account's. */
static tars_status update_account(struct tars_auth *auth, const struct tars_account *account,
                                  const struct tars_oidc_identity *identity, bool *changed)
{
    struct tars_account fresh = *account;
    tars_status status;

    *changed = identity->says_role && identity->role != account->role;
    if (!*changed)
        return TARS_OK;
    fresh.was = account;
    fresh.role = identity->role;
    status = tars_accounts_set(auth->config.store, &fresh, NULL);
    if (status == TARS_OK)
        audit(auth, "account-changed", account->tenant, account->name, NULL, NULL);
    return status;
}

/* The account of identity is there, and with to_keep has its role. Under the lock, so that two
 * first sign-ins at once make one account. */
static tars_status settle(struct tars_auth *auth, const struct tars_oidc_identity *identity,
                          bool to_keep, struct tars_arena *arena)
{
    const struct tars_snapshot_account *account;
    struct tars_snapshot *snapshot;
    bool changed = true;
    tars_status status = TARS_OK;

    pthread_mutex_lock(&auth->change_lock);
    snapshot = tars_auth_hold(auth);
    account = tars_snapshot_account_by_external(snapshot, identity->external);
    if (!account) {
        status = make_account(auth, snapshot, identity, arena);
    } else if (to_keep) {
        status = update_account(auth, account->account, identity, &changed);
    } else {
        changed = false;
    }
    if (status == TARS_OK && changed)
        status = tars_auth_reload(auth, NULL);
    tars_snapshot_drop(snapshot);
    pthread_mutex_unlock(&auth->change_lock);
    return status;
}

/* May this account go on, as what identity says? */
static bool may(const struct tars_snapshot_account *account,
                const struct tars_oidc_identity *identity)
{
    return !account->account->disabled && !account->tenant->tenant->disabled &&
           (!identity->tenant || strcmp(identity->tenant, account->account->tenant) == 0);
}

/* ---------------------------------------------------------------------- bearer */

/* ENOTFOUND: there is no account yet. */
static tars_status fill(struct tars_auth *auth, const struct tars_oidc_identity *identity,
                        struct tars_arena *arena, struct tars_principal *out)
{
    struct tars_snapshot *snapshot = tars_auth_hold(auth);
    const struct tars_snapshot_account *account =
        tars_snapshot_account_by_external(snapshot, identity->external);
    struct tars_auth_subject subject;
    tars_status status = TARS_ENOTFOUND;

    if (account && !may(account, identity)) {
        status = TARS_EDENIED;
    } else if (account) {
        subject = (struct tars_auth_subject){account->tenant, account,
                                             identity->says_role ? identity->role
                                                                 : account->account->role};
        status = tars_auth_fill(&subject, account->account->name, TARS_CREDENTIAL_OIDC, arena, out);
    }
    tars_snapshot_drop(snapshot);
    if (status == TARS_OK)
        out->expires_us = identity->expires_us;
    return status;
}

tars_status tars_auth_check_external(struct tars_auth *auth, struct tars_span token, bool may_block,
                                     struct tars_arena *arena, struct tars_principal *out)
{
    struct tars_oidc_identity identity;
    tars_status status = tars_oidc_verify(auth->config.oidc, token, may_block, arena, &identity);

    if (status != TARS_OK)
        return status;
    status = fill(auth, &identity, arena, out);
    if (status != TARS_ENOTFOUND)
        return status;
    if (!may_block)
        return TARS_EAGAIN;
    status = settle(auth, &identity, false, arena);
    if (status == TARS_OK)
        status = fill(auth, &identity, arena, out);
    return status == TARS_ENOTFOUND ? TARS_EDENIED : status;
}

/* -------------------------------------------------------------------- web page */

const struct tars_oidc_page *tars_auth_page(const struct tars_auth *auth)
{
    return auth->config.oidc ? tars_oidc_page(auth->config.oidc) : NULL;
}

static tars_status check_page(const struct tars_auth *auth, struct tars_err *err)
{
    if (tars_auth_page(auth))
        return TARS_OK;
    return tars_fail(TARS_EUNAVAILABLE, err, "There is no sign-in with a provider here");
}

tars_status tars_auth_page_begin(struct tars_auth *auth, struct tars_arena *arena, const char **url,
                                 const char **cookie, struct tars_err *err)
{
    struct tars_oidc_begun begun;
    tars_status status = check_page(auth, err);

    if (status == TARS_OK)
        status = tars_oidc_begin(auth->config.oidc, arena, &begun, err);
    if (status != TARS_OK)
        return status;
    *url = begun.url;
    *cookie = begun.cookie;
    return TARS_OK;
}

/* account . expires . id . MAC */
static tars_status make_ticket(struct tars_auth *auth, const struct tars_oidc_identity *identity,
                               const char *address, const char *request_id,
                               struct tars_arena *arena, const char **ticket)
{
    struct tars_snapshot *snapshot = tars_auth_hold(auth);
    const struct tars_snapshot_account *account =
        tars_snapshot_account_by_external(snapshot, identity->external);
    int64_t expires_s = tars_auth_now_us(auth) / SECONDS + TARS_TICKET_SECONDS;
    char id[2 * ID_BYTES + 1];
    const char *text = NULL;
    tars_status status = TARS_EDENIED;

    if (!account || !may(account, identity))
        goto out;
    status = tars_random_hex(id, ID_BYTES);
    if (status == TARS_OK) {
        text = tars_arena_printf(arena, "%lld.%lld.%s", (long long)account->account->id,
                                 (long long)expires_s, id);
        status = text ? tars_seal_close(&auth->ticket_seal, text, arena, ticket) : TARS_ENOMEM;
    }
    if (status == TARS_OK) {
        audit(auth, "sign-in", account->account->tenant, account->account->name, address,
              request_id);
    }
out:
    tars_snapshot_drop(snapshot);
    return status;
}

static void audit_refused(struct tars_auth *auth, const char *address, const char *request_id)
{
    const struct tars_audit_entry entry = {
        .actor = "anonymous",
        .action = "sign-in-failed",
        .address = address,
        .request_id = request_id,
        .detail = "{\"by\":\"provider\"}",
    };

    tars_auth_audit(auth, &entry);
}

tars_status tars_auth_page_finish(struct tars_auth *auth, struct tars_span query,
                                  struct tars_span cookie, const char *address,
                                  const char *request_id, struct tars_arena *arena,
                                  const char **ticket, struct tars_err *err)
{
    struct tars_oidc_identity identity;
    tars_status status = check_page(auth, err);

    if (status == TARS_OK)
        status = tars_oidc_finish(auth->config.oidc, query, cookie, arena, &identity, err);
    if (status != TARS_OK)
        return status;
    status = settle(auth, &identity, true, arena);
    if (status == TARS_OK)
        status = make_ticket(auth, &identity, address, request_id, arena, ticket);
    if (status == TARS_EDENIED) {
        audit_refused(auth, address, request_id);
        return tars_fail(status, err, "The provider knows you, but you may not sign in here");
    }
    return status == TARS_OK ? status : tars_fail(status, err, "%s", tars_status_text(status));
}

/* A number of digits up to the next dot; *text goes behind it. False when it is none. */
static bool take_number(struct tars_span *text, int64_t *number)
{
    size_t i = 0;

    *number = 0;
    while (i < text->len && i < 18 && text->ptr[i] >= '0' && text->ptr[i] <= '9')
        *number = *number * 10 + (text->ptr[i++] - '0');
    if (i == 0 || i == text->len || text->ptr[i] != '.')
        return false;
    *text = tars_span(text->ptr + i + 1, text->len - i - 1);
    return true;
}

static tars_status read_ticket(const struct tars_auth *auth, struct tars_span ticket,
                               int64_t *account_id, int64_t *expires_s, char *id)
{
    struct tars_span text;
    tars_status status = tars_seal_open(&auth->ticket_seal, ticket, &text);

    if (status != TARS_OK)
        return status;
    if (!take_number(&text, account_id) || !take_number(&text, expires_s) ||
        text.len != (size_t)2 * ID_BYTES || *expires_s <= tars_auth_now_us(auth) / SECONDS)
        return TARS_EDENIED;
    memcpy(id, text.ptr, text.len);
    id[text.len] = '\0';
    return TARS_OK;
}

tars_status tars_auth_page_redeem(struct tars_auth *auth, struct tars_span ticket,
                                  struct tars_arena *arena, struct tars_token_pair *out,
                                  struct tars_err *err)
{
    const struct tars_snapshot_account *account;
    struct tars_snapshot *snapshot = NULL;
    char id[2 * ID_BYTES + 1];
    int64_t account_id;
    int64_t expires_s;
    tars_status status = check_page(auth, err);

    if (status != TARS_OK)
        return status;
    status = read_ticket(auth, ticket, &account_id, &expires_s, id);
    if (status == TARS_OK)
        status = tars_accounts_revoke_once(auth->config.store, id, expires_s * SECONDS, err);
    if (status == TARS_EDENIED || status == TARS_EEXIST)
        return tars_fail(TARS_EDENIED, err, TARS_AUTH_INVALID);
    if (status != TARS_OK)
        return status;
    snapshot = tars_auth_hold(auth);
    account = tars_snapshot_account_by_id(snapshot, account_id);
    if (account) {
        status = tars_auth_issue(auth, account->account->tenant, account->account->name, arena, out,
                                 err);
    } else {
        status = tars_fail(TARS_EDENIED, err, TARS_AUTH_INVALID);
    }
    tars_snapshot_drop(snapshot);
    return status;
}
