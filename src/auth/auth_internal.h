/* auth_internal - what the files of this room share. */
#ifndef TARS_AUTH_AUTH_INTERNAL_H
#define TARS_AUTH_AUTH_INTERNAL_H

#include <pthread.h>

#include "auth/auth.h"
#include "auth/jwt.h"
#include "auth/oidc.h"
#include "auth/password.h"
#include "auth/rate_limit.h"
#include "auth/revoked.h"
#include "auth/seal.h"
#include "auth/snapshot.h"

#define TARS_KEY_PREFIX       "tars_sk_"
#define TARS_KEY_PREFIX_BYTES 8
/* In which a refresh token may come again. */
#define TARS_REUSE_GRACE_MS 10000

struct tars_auth {
    struct tars_auth_config config; /* secret and admins point to the copies below */
    struct tars_span secret;        /* owned */
    char *admins;                   /* ADMIN_CLIENT_IDS, names with a NUL behind each; owned */
    size_t admins_len;              /* bytes of them */
    struct tars_seal ticket_seal;
    struct tars_password *password;
    struct tars_revoked *revoked;
    struct tars_rate_share *share;      /* of the next three, with other servers; or NULL */
    struct tars_rate_limit *by_pair;    /* failed sign-ins of a name from an address */
    struct tars_rate_limit *by_name;    /* of a name from anywhere */
    struct tars_rate_limit *by_address; /* of an address with any name */
    struct tars_rate_limit *known;      /* good ones of a name from an address; it limits nothing */
    struct tars_rate_limit *just_used;  /* refresh tokens, by id; it limits nothing */

    /* One change of accounts at a time, so that each sees what the last one did. */
    pthread_mutex_t change_lock;
    /* One reads the store at a time, so that none publishes old news. */
    pthread_mutex_t reload_lock;
    pthread_mutex_t lock; /* guards the pointer below; held for a few instructions */
    struct tars_snapshot *snapshot;
};

int64_t tars_auth_now_us(const struct tars_auth *auth);
/* The rights of this moment; the caller drops it. */
struct tars_snapshot *tars_auth_hold(struct tars_auth *auth);

/* Whom a token speaks for, at this moment. EDENIED: nobody any more. account is NULL where mode
 * open needs none. */
struct tars_auth_subject {
    const struct tars_snapshot_tenant *tenant;
    const struct tars_snapshot_account *account;
    enum tars_role role;
};
TARS_MUST_USE tars_status tars_auth_subject(const struct tars_auth *auth,
                                            const struct tars_snapshot *snapshot,
                                            const struct tars_jwt *jwt,
                                            struct tars_auth_subject *out);

/* The id by which a token is revoked: its jti if it is ours, else a digest of what was signed. id
 * has TARS_REVOKED_ID_BYTES. */
#define TARS_REVOKED_ID_BYTES 65
TARS_MUST_USE tars_status tars_auth_token_id(const struct tars_jwt *jwt, struct tars_span token,
                                             char *id);

/* By its id, or with its whole family. */
bool tars_auth_is_revoked(struct tars_auth *auth, const struct tars_jwt *jwt, const char *id);
/* The id by which a family is revoked; as above. */
void tars_auth_family_id(const char *family, char *id);

/* A principal with the rights of subject, in the arena. */
TARS_MUST_USE tars_status tars_auth_fill(const struct tars_auth_subject *subject,
                                         const char *client_id, enum tars_credential credential,
                                         struct tars_arena *arena, struct tars_principal *out);

/* A provider's token. EAGAIN unless may_block: keys to fetch, or an account to make. */
TARS_MUST_USE tars_status tars_auth_check_external(struct tars_auth *auth, struct tars_span token,
                                                   bool may_block, struct tars_arena *arena,
                                                   struct tars_principal *out);

/* Who asks knows the secret of an account that has one. As tars_auth_sign_in(), without tokens. */
TARS_MUST_USE tars_status tars_auth_prove(struct tars_auth *auth,
                                          const struct tars_sign_in *request,
                                          struct tars_arena *arena, struct tars_err *err);

/* An entry of the audit log; a failure is logged and nothing else. NULL texts are "". */
void tars_auth_audit(struct tars_auth *auth, const struct tars_audit_entry *entry);

#endif
