/* oidc_internal - what the files about the provider share. */
#ifndef TARS_AUTH_OIDC_INTERNAL_H
#define TARS_AUTH_OIDC_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <jansson.h>

#include "auth/jwks.h"
#include "auth/oidc.h"
#include "auth/seal.h"
#include "net/client.h"

#define TARS_OIDC_SECONDS ((int64_t)1000000) /* microseconds of one */

/* What was fetched, at one moment. References are counted. */
struct tars_oidc_provider {
    atomic_size_t holders;
    struct tars_arena arena; /* texts */
    const char *authorization_endpoint, *token_endpoint, *jwks_uri;
    struct tars_jwks *jwks; /* owned */
    int64_t fetched_us;
};

struct tars_oidc {
    struct tars_arena arena; /* texts of config */
    struct tars_oidc_config config;
    struct tars_seal cookie_seal;
    struct tars_oidc_page page;
    struct tars_client *client;

    pthread_mutex_t fetch_lock;          /* one fetches at a time; held while it does */
    pthread_mutex_t lock;                /* guards all below; held for a few instructions */
    struct tars_oidc_provider *provider; /* NULL: none yet */
    int64_t tried_us;                    /* when a fetch last began */
};

int64_t tars_oidc_now_us(const struct tars_oidc *oidc);

/* The provider as it is known. With kid_missing: one fetched after a token named a key that the
 * last had not. The caller drops it. EAGAIN: it must be fetched and may_block is false;
 * EUNAVAILABLE, ETIMEOUT, EFORMAT, EDENIED with words. */
TARS_MUST_USE tars_status tars_oidc_hold(struct tars_oidc *oidc, bool may_block, bool kid_missing,
                                         struct tars_oidc_provider **out, struct tars_err *err);
void tars_oidc_drop(struct tars_oidc_provider *provider);

/* Signature and claims of a token that is meant for audience; *claims is the caller's to give back.
 * EDENIED with words, EAGAIN, ENOMEM. */
TARS_MUST_USE tars_status tars_oidc_claims(struct tars_oidc *oidc, struct tars_span token,
                                           const char *audience, bool may_block, json_t **claims,
                                           struct tars_err *err);
/* Who that is. */
TARS_MUST_USE tars_status tars_oidc_identify(const struct tars_oidc *oidc, const json_t *claims,
                                             struct tars_arena *arena,
                                             struct tars_oidc_identity *out, struct tars_err *err);

#endif
