/* directory_internal - what the files of the directory share: who may do it, and what follows. */
#ifndef TARS_AUTH_DIRECTORY_INTERNAL_H
#define TARS_AUTH_DIRECTORY_INTERNAL_H

#include "auth/auth_internal.h"
#include "auth/directory.h"
#include "base/codec/json_write.h"
#include "base/mem/buf.h"

/* A visit to one tenant: what is there at this moment, and with to_change nobody else changing it.
 *
 *     status = tars_directory_enter(&visit, auth, actor, tenant, true, err);
 *     if (status == TARS_OK) status = ...the change...;
 *     return tars_directory_leave(&visit, status, "account-added", name, err);
 */
struct tars_visit {
    struct tars_auth *auth;
    const struct tars_actor *actor;
    const char *tenant_name;        /* that is asked for */
    struct tars_snapshot *snapshot; /* held; NULL: never entered */
    const struct tars_snapshot_tenant *tenant;
    struct tars_buf detail_text;
    struct tars_json detail; /* of the audit entry: an open object; never a secret */
    bool to_change;          /* the change lock is held, and a reload follows */
    bool manages;            /* the actor may change what belongs to the tenant */
};

/* tenant NULL: the actor's. ENOTFOUND: no such tenant, or one that the actor may not see. Enter and
 * leave go together whatever enter says. */
TARS_MUST_USE tars_status tars_directory_enter(struct tars_visit *visit, struct tars_auth *auth,
                                               const struct tars_actor *actor, const char *tenant,
                                               bool to_change, struct tars_err *err);
/* The same, and EDENIED for who does not manage it. */
TARS_MUST_USE tars_status tars_directory_enter_admin(struct tars_visit *visit,
                                                     struct tars_auth *auth,
                                                     const struct tars_actor *actor,
                                                     const char *tenant, bool to_change,
                                                     struct tars_err *err);
/* What status says is done: into the audit log with it (a success, or a refusal for want of
 * rights), and read the rights again. Gives status, or that of the reload. */
TARS_MUST_USE tars_status tars_directory_leave(struct tars_visit *visit, tars_status status,
                                               const char *action, const char *object,
                                               struct tars_err *err);
/* For visits that only look. */
void tars_directory_end(struct tars_visit *visit);

/* ENOTFOUND with words. */
TARS_MUST_USE tars_status tars_directory_account(const struct tars_visit *visit, const char *name,
                                                 const struct tars_snapshot_account **out,
                                                 struct tars_err *err);
TARS_MUST_USE tars_status tars_directory_collection(const struct tars_visit *visit,
                                                    const char *name,
                                                    const struct tars_collection **out,
                                                    struct tars_err *err);

/* A copy in the arena; NULL is "". Without memory NULL. */
const char *tars_directory_copy(struct tars_arena *arena, const char *text);
/* EINVAL: text of a person, called what, is over max bytes or has control characters. */
TARS_MUST_USE tars_status tars_directory_check_text(const char *text, const char *what, size_t max,
                                                    struct tars_err *err);

#endif
