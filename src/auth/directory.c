/* directory - see directory.h. This file: who may, what follows a change, tenants, the audit log.
 */
#include "auth/directory.h"

#include <string.h>

#include <jansson.h>

#include "auth/directory_internal.h"

#define DETAIL_MAX   ((size_t)64 << 10)
#define SETTINGS_MAX ((size_t)64 << 10)
#define AUDIT_LIMIT  1000

/* ---------------------------------------------------------------------- visits */

static bool is_own(const struct tars_actor *actor, const char *tenant)
{
    return strcmp(actor->principal->tenant, tenant) == 0;
}

static bool manages(const struct tars_actor *actor, const char *tenant)
{
    return actor->principal->is_system ||
           (actor->principal->role >= TARS_ROLE_ADMIN && is_own(actor, tenant));
}

tars_status tars_directory_enter(struct tars_visit *visit, struct tars_auth *auth,
                                 const struct tars_actor *actor, const char *tenant, bool to_change,
                                 struct tars_err *err)
{
    *visit = (struct tars_visit){.auth = auth, .actor = actor, .to_change = to_change};
    visit->tenant_name = tenant && *tenant ? tenant : actor->principal->tenant;
    tars_buf_init(&visit->detail_text, DETAIL_MAX);
    tars_json_init(&visit->detail, &visit->detail_text);
    tars_json_object(&visit->detail, NULL);
    if (to_change)
        pthread_mutex_lock(&auth->change_lock);
    visit->snapshot = tars_auth_hold(auth);
    visit->manages = manages(actor, visit->tenant_name);
    if (visit->manages || is_own(actor, visit->tenant_name))
        visit->tenant = tars_snapshot_tenant(visit->snapshot, visit->tenant_name);
    if (!visit->tenant)
        return tars_fail(TARS_ENOTFOUND, err, "there is no tenant \"%s\"", visit->tenant_name);
    return TARS_OK;
}

tars_status tars_directory_enter_admin(struct tars_visit *visit, struct tars_auth *auth,
                                       const struct tars_actor *actor, const char *tenant,
                                       bool to_change, struct tars_err *err)
{
    tars_status status = tars_directory_enter(visit, auth, actor, tenant, to_change, err);

    if (status == TARS_OK && !visit->manages)
        return tars_fail(TARS_EDENIED, err, "Admin privileges required for this operation");
    return status;
}

void tars_directory_end(struct tars_visit *visit)
{
    tars_snapshot_drop(visit->snapshot);
    visit->snapshot = NULL;
    tars_buf_release(&visit->detail_text);
    if (visit->to_change)
        pthread_mutex_unlock(&visit->auth->change_lock);
}

static void audit(struct tars_auth *auth, const struct tars_actor *actor, const char *tenant,
                  const char *action, const char *object, const char *detail, bool success)
{
    const struct tars_audit_entry entry = {
        .tenant = tenant,
        .actor = actor->principal->client_id,
        .action = action,
        .object = object,
        .address = actor->address,
        .request_id = actor->request_id,
        .detail = detail,
        .success = success,
    };

    tars_auth_audit(auth, &entry);
}

tars_status tars_directory_leave(struct tars_visit *visit, tars_status status, const char *action,
                                 const char *object, struct tars_err *err)
{
    const char *detail = NULL;

    tars_json_end(&visit->detail);
    if (visit->detail_text.status == TARS_OK && visit->detail_text.len > 2)
        detail = visit->detail_text.ptr;
    if (status == TARS_OK || status == TARS_EDENIED) {
        audit(visit->auth, visit->actor,
              visit->tenant ? visit->tenant_name : visit->actor->principal->tenant, action, object,
              detail, status == TARS_OK);
    }
    if (status == TARS_OK)
        status = tars_auth_reload(visit->auth, err);
    tars_directory_end(visit);
    return status;
}

tars_status tars_directory_account(const struct tars_visit *visit, const char *name,
                                   const struct tars_snapshot_account **out, struct tars_err *err)
{
    const struct tars_snapshot_account *account =
        tars_snapshot_account(visit->snapshot, visit->tenant_name, name);

    if (!account)
        return tars_fail(TARS_ENOTFOUND, err, "there is no account \"%.255s\"", name);
    *out = account;
    return TARS_OK;
}

tars_status tars_directory_collection(const struct tars_visit *visit, const char *name,
                                      const struct tars_collection **out, struct tars_err *err)
{
    const struct tars_collection *collection = tars_snapshot_collection(visit->tenant, name);

    if (!collection)
        return tars_fail(TARS_ENOTFOUND, err, "there is no collection \"%.64s\"", name);
    *out = collection;
    return TARS_OK;
}

const char *tars_directory_copy(struct tars_arena *arena, const char *text)
{
    return tars_arena_strdup(arena, text ? text : "");
}

tars_status tars_directory_check_text(const char *text, const char *what, size_t max,
                                      struct tars_err *err)
{
    size_t len = strlen(text);

    if (len > max)
        return tars_fail(TARS_EINVAL, err, "%s has %zu bytes: %zu are allowed", what, len, max);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return tars_fail(TARS_EINVAL, err, "%s has a control character", what);
    }
    return TARS_OK;
}

/* --------------------------------------------------------------------- tenants */

static tars_status copy_tenant(struct tars_arena *arena, const struct tars_tenant *from,
                               struct tars_tenant *to)
{
    *to = *from;
    to->name = tars_directory_copy(arena, from->name);
    to->title = tars_directory_copy(arena, from->title);
    to->settings_json = tars_directory_copy(arena, from->settings_json);
    return to->name && to->title && to->settings_json ? TARS_OK : TARS_ENOMEM;
}

tars_status tars_directory_tenants(struct tars_auth *auth, const struct tars_actor *actor,
                                   struct tars_arena *arena, struct tars_tenant **tenants,
                                   size_t *count, struct tars_err *err)
{
    struct tars_snapshot *snapshot = tars_auth_hold(auth);
    size_t all;
    const struct tars_snapshot_tenant *list = tars_snapshot_tenants(snapshot, &all);
    struct tars_tenant *made = tars_arena_calloc(arena, all + 1, sizeof(*made));
    tars_status status = made ? TARS_OK : TARS_ENOMEM;
    size_t n = 0;

    for (size_t i = 0; i < all && status == TARS_OK; i++) {
        if (actor->principal->is_system || is_own(actor, list[i].tenant->name))
            status = copy_tenant(arena, list[i].tenant, &made[n++]);
    }
    tars_snapshot_drop(snapshot);
    if (status != TARS_OK)
        return tars_fail(status, err, "no memory to list the tenants");
    *tenants = made;
    *count = n;
    return TARS_OK;
}

/* Folders: absolute paths, or none. */
static bool are_roots(const json_t *roots)
{
    if (roots && !json_is_array(roots))
        return false;
    for (size_t i = 0; i < json_array_size(roots); i++) {
        const char *path = json_string_value(json_array_get(roots, i));

        if (!path || path[0] != '/')
            return false;
    }
    return true;
}

static tars_status check_settings(const char *text, struct tars_err *err)
{
    json_t *root;
    bool is_object;
    bool good;

    if (!*text)
        return TARS_OK;
    if (strlen(text) > SETTINGS_MAX)
        return tars_fail(TARS_EINVAL, err, "settings are over %zu bytes", SETTINGS_MAX);
    root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    is_object = json_is_object(root);
    good = are_roots(json_object_get(root, "roots"));
    json_decref(root);
    if (!is_object)
        return tars_fail(TARS_EINVAL, err, "settings are no JSON object");
    return good ? TARS_OK
                : tars_fail(TARS_EINVAL, err, "settings: roots are absolute paths of folders");
}

static tars_status check_tenant(const struct tars_tenant *tenant, struct tars_err *err)
{
    tars_status status;

    if (tenant->max_documents < 0 || tenant->max_bytes < 0 || tenant->max_questions_day < 0)
        return tars_fail(TARS_EINVAL, err, "a limit is negative: 0 means none");
    status = tars_directory_check_text(tenant->title, "title", TARS_LABEL_BYTES_MAX, err);
    return status == TARS_OK ? check_settings(tenant->settings_json, err) : status;
}

/* Visits of those who manage tenants go to the default one. */
static tars_status enter_system(struct tars_visit *visit, struct tars_auth *auth,
                                const struct tars_actor *actor, struct tars_err *err)
{
    tars_status status = tars_directory_enter(visit, auth, actor, NULL, true, err);

    if (status == TARS_OK && !actor->principal->is_system)
        return tars_fail(TARS_EDENIED, err, "Admin privileges required for this operation");
    return status;
}

static void tell_limits(struct tars_visit *visit, const struct tars_tenant *tenant)
{
    tars_json_int(&visit->detail, "max_documents", tenant->max_documents);
    tars_json_int(&visit->detail, "max_bytes", tenant->max_bytes);
    tars_json_int(&visit->detail, "max_questions_day", tenant->max_questions_day);
}

tars_status tars_directory_tenant_add(struct tars_auth *auth, const struct tars_actor *actor,
                                      const struct tars_tenant *tenant, struct tars_err *err)
{
    struct tars_visit visit;
    struct tars_tenant made = *tenant;
    tars_status status = enter_system(&visit, auth, actor, err);

    made.title = made.title ? made.title : "";
    made.settings_json = made.settings_json ? made.settings_json : "";
    made.created_us = tars_auth_now_us(auth);
    made.disabled = false;
    if (status == TARS_OK && !tars_name_is_valid(made.name)) {
        status = tars_fail(TARS_EINVAL, err,
                           "the name of a tenant has 1 to %d small letters, digits, - and _",
                           TARS_NAME_CHARS_MAX);
    }
    if (status == TARS_OK)
        status = check_tenant(&made, err);
    if (status == TARS_OK && tars_snapshot_tenant(visit.snapshot, made.name))
        status = tars_fail(TARS_EEXIST, err, "there is a tenant \"%s\" already", made.name);
    if (status == TARS_OK)
        status = tars_accounts_tenant_add(auth->config.store, &made, err);
    tell_limits(&visit, &made);
    return tars_directory_leave(&visit, status, "tenant-added", made.name, err);
}

/* Quotas, folders of the server and being let in at all are not for those who are meant by them. */
static tars_status may_change(const struct tars_visit *visit,
                              const struct tars_tenant_change *change, struct tars_err *err)
{
    bool is_limit = change->max_documents || change->max_bytes || change->max_questions_day ||
                    change->disabled || change->settings_json;

    if (is_limit && !visit->actor->principal->is_system)
        return tars_fail(TARS_EDENIED, err, "Only an administrator of all tenants may do this");
    if (change->disabled && *change->disabled && strcmp(visit->tenant_name, TARS_TENANT) == 0)
        return tars_fail(TARS_ECONFLICT, err, "tenant %s cannot be disabled", TARS_TENANT);
    return TARS_OK;
}

static void apply(struct tars_tenant *tenant, const struct tars_tenant_change *change)
{
    if (change->title)
        tenant->title = change->title;
    if (change->settings_json)
        tenant->settings_json = change->settings_json;
    if (change->max_documents)
        tenant->max_documents = *change->max_documents;
    if (change->max_bytes)
        tenant->max_bytes = *change->max_bytes;
    if (change->max_questions_day)
        tenant->max_questions_day = *change->max_questions_day;
    if (change->disabled)
        tenant->disabled = *change->disabled;
}

tars_status tars_directory_tenant_set(struct tars_auth *auth, const struct tars_actor *actor,
                                      const char *tenant, const struct tars_tenant_change *change,
                                      struct tars_err *err)
{
    struct tars_visit visit;
    struct tars_tenant changed;
    tars_status status = tars_directory_enter_admin(&visit, auth, actor, tenant, true, err);

    if (status == TARS_OK)
        status = may_change(&visit, change, err);
    if (status == TARS_OK) {
        changed = *visit.tenant->tenant;
        changed.was = visit.tenant->tenant;
        apply(&changed, change);
        status = check_tenant(&changed, err);
    }
    if (status == TARS_OK) {
        status = tars_accounts_tenant_set(auth->config.store, &changed, err);
        tell_limits(&visit, &changed);
        tars_json_bool(&visit.detail, "disabled", changed.disabled);
    }
    return tars_directory_leave(&visit, status, "tenant-changed", visit.tenant_name, err);
}

tars_status tars_directory_tenant_remove(struct tars_auth *auth, const struct tars_actor *actor,
                                         const char *tenant, struct tars_err *err)
{
    struct tars_visit visit;
    tars_status status = enter_system(&visit, auth, actor, err);

    if (status == TARS_OK && !tars_snapshot_tenant(visit.snapshot, tenant))
        status = tars_fail(TARS_ENOTFOUND, err, "there is no tenant \"%.64s\"", tenant);
    if (status == TARS_OK && strcmp(tenant, TARS_TENANT) == 0)
        status = tars_fail(TARS_ECONFLICT, err, "tenant %s cannot be removed", TARS_TENANT);
    if (status == TARS_OK)
        status = tars_accounts_tenant_remove(auth->config.store, tenant, err);
    return tars_directory_leave(&visit, status, "tenant-removed", tenant, err);
}

/* ----------------------------------------------------------------------- audit */

tars_status tars_directory_audit(struct tars_auth *auth, const struct tars_actor *actor,
                                 const struct tars_audit_filter *filter, struct tars_arena *arena,
                                 struct tars_audit_entry **entries, size_t *count,
                                 struct tars_err *err)
{
    struct tars_audit_filter allowed = *filter;

    if (actor->principal->role < TARS_ROLE_ADMIN)
        return tars_fail(TARS_EDENIED, err, "Admin privileges required for this operation");
    if (!actor->principal->is_system)
        allowed.tenant = actor->principal->tenant;
    if (allowed.limit > AUDIT_LIMIT)
        allowed.limit = AUDIT_LIMIT;
    return tars_accounts_audit_list(auth->config.store, &allowed, arena, entries, count, err);
}

void tars_directory_note(struct tars_auth *auth, const struct tars_actor *actor, const char *action,
                         const char *object, const char *detail, bool success)
{
    audit(auth, actor, actor->principal->tenant, action, object, detail, success);
}
