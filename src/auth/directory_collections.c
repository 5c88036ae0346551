/* directory_collections - the part of directory.h about collections and who was given them. */
#include <string.h>

#include "auth/directory_internal.h"

#define DESCRIPTION_MAX ((size_t)4096)

/* ----------------------------------------------------------------- collections */

static bool sees(const struct tars_visit *visit, const struct tars_collection *collection)
{
    return visit->manages || tars_principal_reads(visit->actor->principal, collection->key);
}

static tars_status copy_collection(struct tars_arena *arena, const struct tars_collection *from,
                                   struct tars_collection *to)
{
    *to = *from;
    to->tenant = tars_directory_copy(arena, from->tenant);
    to->name = tars_directory_copy(arena, from->name);
    to->key = tars_directory_copy(arena, from->key);
    to->description = tars_directory_copy(arena, from->description);
    return to->tenant && to->name && to->key && to->description ? TARS_OK : TARS_ENOMEM;
}

tars_status tars_directory_collections(struct tars_auth *auth, const struct tars_actor *actor,
                                       const char *tenant, struct tars_arena *arena,
                                       struct tars_collection **collections, size_t *count,
                                       struct tars_err *err)
{
    struct tars_visit visit;
    struct tars_collection *made = NULL;
    size_t n = 0;
    tars_status status = tars_directory_enter(&visit, auth, actor, tenant, false, err);

    if (status != TARS_OK)
        goto out;
    made = tars_arena_calloc(arena, visit.tenant->collection_count + 1, sizeof(*made));
    status = made ? TARS_OK : TARS_ENOMEM;
    for (size_t i = 0; i < visit.tenant->collection_count && status == TARS_OK; i++) {
        if (sees(&visit, visit.tenant->collections[i]))
            status = copy_collection(arena, visit.tenant->collections[i], &made[n++]);
    }
    if (status != TARS_OK)
        status = tars_fail(status, err, "no memory to list the collections");
out:
    tars_directory_end(&visit);
    if (status == TARS_OK) {
        *collections = made;
        *count = n;
    }
    return status;
}

static tars_status check_description(const char *text, struct tars_err *err)
{
    if (strlen(text) > DESCRIPTION_MAX)
        return tars_fail(TARS_EINVAL, err, "the description is over %zu bytes", DESCRIPTION_MAX);
    return TARS_OK;
}

tars_status tars_directory_collection_add(struct tars_auth *auth, const struct tars_actor *actor,
                                          struct tars_collection *collection, struct tars_err *err)
{
    struct tars_collection made = *collection;
    struct tars_visit visit;
    tars_status status = tars_directory_enter_admin(&visit, auth, actor, made.tenant, true, err);

    made.tenant = visit.tenant_name;
    made.description = made.description ? made.description : "";
    made.created_us = tars_auth_now_us(auth);
    if (status == TARS_OK && !tars_name_is_valid(made.name)) {
        status = tars_fail(TARS_EINVAL, err,
                           "the name of a collection has 1 to %d small letters, digits, - and _",
                           TARS_NAME_CHARS_MAX);
    }
    /* Its key would be that of collection "default". */
    if (status == TARS_OK && strcmp(made.name, TARS_COLLECTION) == 0)
        status = tars_fail(TARS_EINVAL, err, "\"%s\" has a meaning of its own", made.name);
    if (status == TARS_OK)
        status = check_description(made.description, err);
    if (status == TARS_OK && tars_snapshot_collection(visit.tenant, made.name))
        status = tars_fail(TARS_EEXIST, err, "there is a collection \"%s\" already", made.name);
    if (status == TARS_OK)
        status = tars_accounts_collection_add(auth->config.store, &made, err);
    tars_json_bool(&visit.detail, "restricted", made.restricted);
    if (status == TARS_OK)
        collection->id = made.id;
    return tars_directory_leave(&visit, status, "collection-added", made.name, err);
}

tars_status tars_directory_collection_set(struct tars_auth *auth, const struct tars_actor *actor,
                                          const char *tenant, const char *name,
                                          const struct tars_collection_change *change,
                                          struct tars_err *err)
{
    const struct tars_collection *found = NULL;
    struct tars_collection changed;
    struct tars_visit visit;
    tars_status status = tars_directory_enter_admin(&visit, auth, actor, tenant, true, err);

    if (status == TARS_OK)
        status = tars_directory_collection(&visit, name, &found, err);
    if (status == TARS_OK && change->description)
        status = check_description(change->description, err);
    if (found && status == TARS_OK) {
        changed = *found;
        changed.description = change->description ? change->description : changed.description;
        changed.restricted = change->restricted ? *change->restricted : changed.restricted;
        status = tars_accounts_collection_set(auth->config.store, &changed, err);
        tars_json_bool(&visit.detail, "restricted", changed.restricted);
    }
    return tars_directory_leave(&visit, status, "collection-changed", name, err);
}

tars_status tars_directory_collection_remove(struct tars_auth *auth, const struct tars_actor *actor,
                                             const char *tenant, const char *name,
                                             struct tars_err *err)
{
    const struct tars_collection *found = NULL;
    struct tars_visit visit;
    tars_status status = tars_directory_enter_admin(&visit, auth, actor, tenant, true, err);

    if (status == TARS_OK)
        status = tars_directory_collection(&visit, name, &found, err);
    if (status == TARS_OK && strcmp(name, TARS_COLLECTION_DEFAULT) == 0)
        status = tars_fail(TARS_ECONFLICT, err, "collection %s cannot be removed", name);
    if (found && status == TARS_OK)
        status = tars_accounts_collection_remove(auth->config.store, found->id, err);
    return tars_directory_leave(&visit, status, "collection-removed", name, err);
}

/* ---------------------------------------------------------------------- grants */

static bool is_asked(const char *filter, const char *name)
{
    return !filter || strcmp(filter, name) == 0;
}

/* Grants of one account, added to made when it is not NULL. Returns how many. */
static size_t take_grants(const struct tars_snapshot_account *account, const char *collection,
                          struct tars_arena *arena, struct tars_grant_info *made)
{
    size_t n = 0;

    for (size_t i = 0; i < account->grant_count; i++) {
        const struct tars_snapshot_grant *grant = &account->grants[i];

        if (!is_asked(collection, grant->collection->name))
            continue;
        if (made) {
            made[n] = (struct tars_grant_info){
                .account = tars_directory_copy(arena, account->account->name),
                .collection = tars_directory_copy(arena, grant->collection->name),
                .writes = grant->writes};
        }
        n++;
    }
    return n;
}

static bool sees_grants(const struct tars_visit *visit, const struct tars_account *account,
                        const char *filter)
{
    return strcmp(account->tenant, visit->tenant_name) == 0 && is_asked(filter, account->name) &&
           (visit->manages || account->id == visit->actor->principal->account_id);
}

static tars_status list_grants(const struct tars_visit *visit, const char *account,
                               const char *collection, struct tars_arena *arena,
                               struct tars_grant_info **grants, size_t *count)
{
    size_t total;
    const struct tars_snapshot_account *all = tars_snapshot_accounts(visit->snapshot, &total);
    struct tars_grant_info *made;
    size_t n = 0;

    for (size_t i = 0; i < total; i++) {
        if (sees_grants(visit, all[i].account, account))
            n += take_grants(&all[i], collection, NULL, NULL);
    }
    made = tars_arena_calloc(arena, n + 1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    n = 0;
    for (size_t i = 0; i < total; i++) {
        if (sees_grants(visit, all[i].account, account))
            n += take_grants(&all[i], collection, arena, made + n);
    }
    for (size_t i = 0; i < n; i++) {
        if (!made[i].account || !made[i].collection)
            return TARS_ENOMEM;
    }
    *grants = made;
    *count = n;
    return TARS_OK;
}

tars_status tars_directory_grants(struct tars_auth *auth, const struct tars_actor *actor,
                                  const char *tenant, const char *account, const char *collection,
                                  struct tars_arena *arena, struct tars_grant_info **grants,
                                  size_t *count, struct tars_err *err)
{
    struct tars_visit visit;
    tars_status status = tars_directory_enter(&visit, auth, actor, tenant, false, err);

    if (status == TARS_OK) {
        status = list_grants(&visit, account, collection, arena, grants, count);
        if (status != TARS_OK)
            status = tars_fail(status, err, "no memory to list the grants");
    }
    tars_directory_end(&visit);
    return status;
}

static tars_status find_both(struct tars_visit *visit, const char *account, const char *collection,
                             struct tars_grant *out, struct tars_err *err)
{
    const struct tars_snapshot_account *found = NULL;
    const struct tars_collection *what = NULL;
    tars_status status = tars_directory_account(visit, account, &found, err);

    if (status == TARS_OK)
        status = tars_directory_collection(visit, collection, &what, err);
    if (!found || !what)
        return status;
    tars_json_text(&visit->detail, "collection", collection);
    out->account_id = found->account->id;
    out->collection_id = what->id;
    return TARS_OK;
}

tars_status tars_directory_grant(struct tars_auth *auth, const struct tars_actor *actor,
                                 const char *tenant, const struct tars_grant_info *grant,
                                 struct tars_err *err)
{
    struct tars_grant made = {.writes = grant->writes};
    struct tars_visit visit;
    tars_status status = tars_directory_enter_admin(&visit, auth, actor, tenant, true, err);

    if (status == TARS_OK)
        status = find_both(&visit, grant->account, grant->collection, &made, err);
    if (status == TARS_OK)
        status = tars_accounts_grant(auth->config.store, &made, err);
    tars_json_bool(&visit.detail, "writes", grant->writes);
    return tars_directory_leave(&visit, status, "grant-added", grant->account, err);
}

static bool has_grant(const struct tars_visit *visit, const struct tars_grant *grant)
{
    const struct tars_snapshot_account *account =
        tars_snapshot_account_by_id(visit->snapshot, grant->account_id);

    for (size_t i = 0; account && i < account->grant_count; i++) {
        if (account->grants[i].collection->id == grant->collection_id)
            return true;
    }
    return false;
}

tars_status tars_directory_ungrant(struct tars_auth *auth, const struct tars_actor *actor,
                                   const char *tenant, const char *account, const char *collection,
                                   struct tars_err *err)
{
    struct tars_grant gone = {.writes = false};
    struct tars_visit visit;
    tars_status status = tars_directory_enter_admin(&visit, auth, actor, tenant, true, err);

    if (status == TARS_OK)
        status = find_both(&visit, account, collection, &gone, err);
    if (status == TARS_OK && !has_grant(&visit, &gone)) {
        status = tars_fail(TARS_ENOTFOUND, err, "\"%.255s\" was not given collection \"%.64s\"",
                           account, collection);
    }
    if (status == TARS_OK) {
        status =
            tars_accounts_ungrant(auth->config.store, gone.account_id, gone.collection_id, err);
    }
    return tars_directory_leave(&visit, status, "grant-removed", account, err);
}
