/* oidc - a provider of identities (OpenID Connect Core 1.0): its tokens, and its way to sign in.
 *
 *     bearer    token -> tars_oidc_verify() -> who that is
 *     web page  _begin() -> 302 to the provider ... 302 back -> _finish() -> who that is
 *
 * Provider  Its endpoints and keys are fetched when they are needed first, kept for an hour, and
 *           fetched again when a token names a key that is not among them: at most every 30
 * seconds, whatever tokens strangers send. While the provider is away its last keys go on for a
 * day. Checked   Signature (auth/jwks.h), iss, aud, azp, exp (no leeway), nbf (a minute), sub; for
 * the web page state and nonce, with PKCE S256. Browser   What _finish() must know lies in a cookie
 * of the browser that began, signed by us: there is no table of attempts to fill, and an answer
 * brought to another browser is worth nothing. Threads   Safe to share. _begin() and _finish()
 * block; _verify() only if it may.
 */
#ifndef TARS_AUTH_OIDC_H
#define TARS_AUTH_OIDC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"
#include "obs/log.h"
#include "store/accounts.h"

#define TARS_OIDC_COOKIE_SECONDS 600 /* from beginning to end of a sign-in */

struct tars_oidc;

/* Copied. Texts that are NULL or "" have the default. */
struct tars_oidc_config {
    const char *issuer;        /* https://..., or http:// on loopback; required */
    const char *client_id;     /* required */
    const char *client_secret; /* none: a public client */
    const char *redirect_uri;  /* ours, .../auth/oidc/callback; none: no sign-in by web page */
    const char *scopes;        /* "openid profile email" */
    const char *audience;      /* of bearer tokens; client_id */
    const char *name_claim;    /* names an account that is made; "preferred_username" */
    const char *role_claim;    /* text or list, dots go into objects; none: the account's role */
    const char *admin_values;  /* values of that claim, commas between */
    const char *writer_values;
    const char *reader_values;
    const char *tenant_claim;    /* none: TARS_TENANT */
    enum tars_role default_role; /* of a new account, and where the claim has no such value */
    const char *page;            /* where the browser goes at the end; "/ui" */
    const char *ca_file;         /* PEM, for the provider's certificate; the system's */
    struct tars_span secret;     /* signs the cookie, at least 32 bytes; required */
    int64_t (*now_us)(void);     /* NULL: tars_clock_wall_us */
    struct tars_log *log;        /* NULL: silent */
};

/* Asks nobody. EINVAL with words. */
TARS_MUST_USE tars_status tars_oidc_new(const struct tars_oidc_config *config,
                                        struct tars_oidc **oidc, struct tars_err *err);
/* NULL is allowed. */
void tars_oidc_free(struct tars_oidc *oidc);
/* What a browser is told on the way by web page. */
struct tars_oidc_page {
    const char *cookie_path; /* redirect_uri's folder, as the browser sees it */
    const char *page;        /* where it goes at the end */
    bool is_https;           /* cookies are for https alone */
};
/* NULL: no sign-in by web page, for there is no redirect_uri. */
const struct tars_oidc_page *tars_oidc_page(const struct tars_oidc *oidc);
enum tars_role tars_oidc_default_role(const struct tars_oidc *oidc);

/* Whom a provider's token speaks of. Texts in the arena. */
struct tars_oidc_identity {
    const char *external; /* "<issuer> <subject>" */
    const char *name;     /* for a new account */
    const char *tenant;   /* NULL: the token does not say */
    enum tars_role role;  /* as the token says; NONE with says_role: no right at all */
    bool says_role;       /* a role_claim is set */
    int64_t expires_us;
};

/* TARS_EDENIED: not a valid one; TARS_EAGAIN: keys must be fetched and may_block is false; ENOMEM.
 * A provider that cannot be reached is EDENIED too, and logged. */
TARS_MUST_USE tars_status tars_oidc_verify(struct tars_oidc *oidc, struct tars_span token,
                                           bool may_block, struct tars_arena *arena,
                                           struct tars_oidc_identity *out);

/* Where to send the browser, and what it is to keep (a cookie's value) until it comes back. */
struct tars_oidc_begun {
    const char *url;
    const char *cookie;
};
TARS_MUST_USE tars_status tars_oidc_begin(struct tars_oidc *oidc, struct tars_arena *arena,
                                          struct tars_oidc_begun *out, struct tars_err *err);

/* It has come back, with this query and that cookie. EDENIED with words: refused by the provider,
 * or not what was begun here; EUNAVAILABLE, ETIMEOUT: the provider cannot be reached. */
TARS_MUST_USE tars_status tars_oidc_finish(struct tars_oidc *oidc, struct tars_span query,
                                           struct tars_span cookie, struct tars_arena *arena,
                                           struct tars_oidc_identity *out, struct tars_err *err);

#endif
