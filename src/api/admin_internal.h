/* admin_internal - what the routes about people and rights share (route_auth, route_admin*). */
#ifndef TARS_API_ADMIN_INTERNAL_H
#define TARS_API_ADMIN_INTERNAL_H

#include "api/access.h"
#include "api/reader.h"

/* Release the reader. False when something was wrong: the 422 is given then. */
bool tars_admin_close_reader(struct tars_exchange *ex, struct tars_reader *reader);
/* True when the body has this field, and it is not null. */
bool tars_admin_has(const struct tars_reader *reader, const char *name);
/* A role by its name; NONE when it is absent, or wrong and told to the reader. */
enum tars_role tars_admin_role(struct tars_reader *reader, const char *name);

/* Parameter i of the path, decoded; NULL: it cannot be, and the 404 is given. */
const char *tars_admin_parameter(struct tars_exchange *ex, size_t i);
/* ?tenant=, NULL when it is absent: the caller's own. One that cannot be read is no tenant's name,
 * so that a mistake never means the caller's own. */
const char *tars_admin_tenant(struct tars_exchange *ex);

/* 422 about one field. */
void tars_admin_refuse_value(struct tars_exchange *ex, const char *name, const char *words);
/* The same of a parameter of the query. */
void tars_admin_refuse_parameter(struct tars_exchange *ex, const char *name, const char *words);
/* {"status":"success","message":...} */
void tars_admin_reply_done(struct tars_exchange *ex, const char *message);

/* The contract's TokenResponse. */
void tars_admin_reply_tokens(struct tars_exchange *ex, int status,
                             const struct tars_token_pair *pair);

/* Keys of an account (NULL: the caller's own; for a list: of the whole tenant). */
void tars_admin_make_key(struct tars_exchange *ex, const char *tenant, const char *account);
void tars_admin_list_keys(struct tars_exchange *ex, const char *tenant, const char *account);
/* The key whose number is the parameter of the path. */
void tars_admin_revoke_key(struct tars_exchange *ex);

#endif
