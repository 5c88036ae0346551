/* auth - who a caller is and what they may do.
 *
 *     credentials -> tars_auth_check() -> struct tars_principal -> routes ask it
 *     name and secret -> tars_auth_sign_in() -> access and refresh token
 *
 * Modes     open    (loopback only, unless set on purpose) a token for any client_id; contract
 *                   section 8. Callers without a token may do what the contract leaves open.
 *           secret  a client secret or a user's password, argon2id
 *           oidc    besides secret: tokens of a provider (see auth/oidc.h)
 * Tokens    Ours: JWT, HS256, contract section 8, with jti; tenant in claim "tenant" when it is not
 *           the default one. Role and grants are not in the token: they are looked up at each
 * check, so that a change counts at once. API keys begin with "tars_sk_". Threads   Safe to share.
 * _check() works on memory alone and never blocks, but for a provider's keys: then it says
 * TARS_EAGAIN unless may_block.
 * Shared    With others on the store (config.shared) tokens are given only by what the store says
 * at that moment: who is cut off from it lets nobody in by what was so before, since such tokens
 * would count on all the others.
 */
#ifndef TARS_AUTH_AUTH_H
#define TARS_AUTH_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"
#include "obs/call.h"
#include "obs/log.h"
#include "store/accounts.h"

struct tars_auth;
struct tars_oidc;
struct tars_oidc_page;

enum tars_auth_mode { TARS_AUTH_OPEN = 0, TARS_AUTH_SECRET = 1, TARS_AUTH_OIDC = 2 };

enum tars_credential {
    TARS_CREDENTIAL_NONE = 0, /* anonymous */
    TARS_CREDENTIAL_TOKEN,    /* our access token */
    TARS_CREDENTIAL_KEY,      /* an API key */
    TARS_CREDENTIAL_OIDC,     /* a provider's token */
    TARS_CREDENTIAL_OWNER,    /* has shown that it may open the data folder */
};

/* Who asks. Texts and arrays live in the arena of the check. */
struct tars_principal {
    const char *client_id;       /* "anonymous" without credentials */
    const char *tenant;          /* name; TARS_TENANT */
    int64_t account_id;          /* 0: none */
    int64_t key_id;              /* of an API key, else 0 */
    const char *jti;             /* of our token, else "" */
    int64_t expires_us;          /* of the credential; 0: never */
    const char *const *writable; /* (writable_count,) keys of collections that it may change */
    size_t writable_count;
    struct tars_visible visible; /* collections that it may read, by key */
    enum tars_credential credential;
    enum tars_role role;
    bool is_system;  /* may manage tenants: admin of TARS_TENANT, the owner */
    bool writes_all; /* every collection of every tenant: the owner */
};

/* Copied; what pointers point to is borrowed for the object's life. */
struct tars_auth_config {
    struct tars_store *store; /* required */
    enum tars_auth_mode mode;
    const char *secret;      /* signs tokens, at least 32 bytes; required */
    int64_t access_seconds;  /* 0: 86,400 */
    int64_t refresh_seconds; /* 0: 604,800 */
    const char *admins;      /* ADMIN_CLIENT_IDS, commas between; NULL: none */
    bool shared; /* others write accounts, too: before tokens are given, rights are read again */
    bool open_admin;        /* mode open on loopback and no admins: every token is an admin's */
    struct tars_oidc *oidc; /* mode oidc; else NULL */
    size_t password_slots;  /* secrets hashed at a time; 0: 2 */
    uint32_t password_memory_kib; /* of a new hash; 0: see auth/password.h */
    uint32_t password_passes;     /* the same */
    int64_t (*now_us)(void);      /* NULL: tars_clock_wall_us */
    struct tars_log *log;         /* NULL: silent */
    const uint64_t *limit_seed;   /* (2,) failed sign-ins are counted with other servers, which have
                                     the same; NULL: for itself. Only read while it is made */
};

TARS_MUST_USE tars_status tars_auth_new(const struct tars_auth_config *config,
                                        struct tars_auth **auth, struct tars_err *err);
/* NULL is allowed. */
void tars_auth_free(struct tars_auth *auth);
/* Failed sign-ins are counted together with other servers from now on; made with limit_seed, and
 * before anybody signs in. share is borrowed to the end, and waited for at each sign-in. */
struct tars_rate_share;
TARS_MUST_USE tars_status tars_auth_share_limits(struct tars_auth *auth,
                                                 struct tars_rate_share *share);
enum tars_auth_mode tars_auth_mode(const struct tars_auth *auth);

/* Read rights and revocations again: after any change of accounts through auth/directory.h it
 * happens by itself. */
TARS_MUST_USE tars_status tars_auth_reload(struct tars_auth *auth, struct tars_err *err);
/* Another server has revoked it, by this id. ETOOBIG, ENOMEM. */
TARS_MUST_USE tars_status tars_auth_heard_revoked(struct tars_auth *auth, const char *id,
                                                  int64_t expires_us);
/* Forget what has expired; once an hour. Blocks. */
TARS_MUST_USE tars_status tars_auth_tend(struct tars_auth *auth, struct tars_err *err);

/* The principal of a caller without credentials, and of the owner of the data folder. */
TARS_MUST_USE tars_status tars_auth_anonymous(struct tars_auth *auth, struct tars_arena *arena,
                                              struct tars_principal *out);
TARS_MUST_USE tars_status tars_auth_owner(struct tars_auth *auth, struct tars_arena *arena,
                                          struct tars_principal *out);

/* Check an access token of ours, an API key, or a provider's token.
 *
 *   TARS_EDENIED    not a valid one; *why is static and says which of the contract's words
 *   TARS_EAGAIN     a provider's keys must be fetched and may_block is false
 */
#define TARS_AUTH_INVALID "Could not validate credentials"
#define TARS_AUTH_REVOKED "Token has been revoked"
TARS_MUST_USE tars_status tars_auth_check(struct tars_auth *auth, struct tars_span token,
                                          bool may_block, struct tars_arena *arena,
                                          struct tars_principal *out, const char **why);

#define TARS_CLIENT_BYTES_MAX 255  /* of a client_id */
#define TARS_DEVICE_BYTES_MAX 1024 /* of a device's name or type */

/* What is asked for at /auth/token. In mode open a secret is asked for only where the account has
 * one. */
struct tars_sign_in {
    const char *client_id;   /* name of a user or client */
    const char *secret;      /* NULL: none given */
    const char *tenant;      /* NULL: TARS_TENANT */
    const char *device_name; /* NULL: null in the token */
    const char *device_type;
    const char *address; /* for the audit log */
    const char *request_id;
};

struct tars_token_pair {
    const char *access, *refresh; /* in the arena */
    int64_t expires_in;           /* seconds */
};

/* Blocks (argon2, disk). TARS_EDENIED: wrong or missing secret, disabled, unknown: one answer for
 * all, in the same time. TARS_EUNAVAILABLE, TARS_ETIMEOUT: shared, and the store is away.
 * TARS_EAGAIN: too many failures for this name or address, or too many at a time; try later.
 * TARS_EINVAL: a name is too long. */
TARS_MUST_USE tars_status tars_auth_sign_in(struct tars_auth *auth,
                                            const struct tars_sign_in *request,
                                            struct tars_arena *arena, struct tars_token_pair *out,
                                            struct tars_err *err);
/* For who has signed in elsewhere (OIDC): tokens for an account. */
TARS_MUST_USE tars_status tars_auth_issue(struct tars_auth *auth, const char *tenant,
                                          const char *client_id, struct tars_arena *arena,
                                          struct tars_token_pair *out, struct tars_err *err);
/* One use: the refresh token is revoked. One that comes again ends the whole sign-in, all tokens
 * that were ever made of it, unless it comes within seconds, as from two tabs. TARS_EDENIED with
 * *why; "Invalid token type" is one. Blocks (disk). */
#define TARS_AUTH_TYPE "Invalid token type"
TARS_MUST_USE tars_status tars_auth_refresh(struct tars_auth *auth, struct tars_span token,
                                            const char *address, const char *request_id,
                                            struct tars_arena *arena, struct tars_token_pair *out,
                                            const char **why, struct tars_err *err);
/* Revoke a token, an API key, any text (contract: any string). Ours by its jti until it expires;
 * what we cannot read, for as long as an access token lives. Blocks (disk). by: who asks.
 * TARS_EBUSY: too many unexpired ones are kept already. */
TARS_MUST_USE tars_status tars_auth_revoke(struct tars_auth *auth, struct tars_span token,
                                           const struct tars_principal *by, const char *address,
                                           const char *request_id, struct tars_err *err);

/* The way by web page, with the provider of config->oidc (auth/oidc.h):
 *
 *     browser -> _page_begin()  -> 302 to the provider, a cookie with what must be known on return
 *     browser <- 302 back ----- -> _page_finish() -> a ticket in a second cookie, 302 to our page
 *     page    -> _page_redeem() -> tokens, in the body of a reply that only the page can read
 *
 * So no token is ever in an address, a history or a log. A ticket is good for TARS_TICKET_SECONDS
 * and once. All block. TARS_EUNAVAILABLE: there is no such way; TARS_EDENIED with words; else the
 * provider's trouble. */
#define TARS_TICKET_SECONDS 60
TARS_MUST_USE tars_status tars_auth_page_begin(struct tars_auth *auth, struct tars_arena *arena,
                                               const char **url, const char **cookie,
                                               struct tars_err *err);
TARS_MUST_USE tars_status tars_auth_page_finish(struct tars_auth *auth, struct tars_span query,
                                                struct tars_span cookie, const char *address,
                                                const char *request_id, struct tars_arena *arena,
                                                const char **ticket, struct tars_err *err);
TARS_MUST_USE tars_status tars_auth_page_redeem(struct tars_auth *auth, struct tars_span ticket,
                                                struct tars_arena *arena,
                                                struct tars_token_pair *out, struct tars_err *err);
/* What a browser is told on it; NULL: there is no such way. */
const struct tars_oidc_page *tars_auth_page(const struct tars_auth *auth);

/* May it read, or change, the collection with this key? */
bool tars_principal_reads(const struct tars_principal *principal, const char *key);
bool tars_principal_writes(const struct tars_principal *principal, const char *key);
/* The key of the collection called name in its tenant ("" or NULL: default), if it may read it (or
 * with writes: change it); NULL: no such collection, or no right: the same to a caller. Lent. */
const char *tars_principal_collection(const struct tars_principal *principal, const char *name,
                                      bool writes);

#endif
