/* rights - see rights.h. */
#include "api/rights.h"

#include <string.h>

const struct tars_visible *tars_api_visible(const struct tars_exchange *ex)
{
    static const struct tars_visible nothing;

    return ex->call.visible ? ex->call.visible : &nothing;
}

struct tars_visible tars_api_writable(const struct tars_exchange *ex)
{
    return (struct tars_visible){.all = ex->caller.writes_all,
                                 .keys = ex->caller.writable,
                                 .count = ex->caller.writable_count};
}

/* Who sees all may name any that could be; the store says whether it is. */
static const char *key_of_all(struct tars_exchange *ex, const char *name)
{
    const char *tenant = ex->caller.tenant ? ex->caller.tenant : TARS_TENANT;
    char key[TARS_COLLECTION_KEY_BYTES];

    if (!name || !name[0])
        name = TARS_COLLECTION_DEFAULT;
    if (tars_collection_key(tenant, name, key) != TARS_OK)
        return NULL;
    return tars_arena_strdup(ex->call.arena, key);
}

bool tars_api_collection(struct tars_exchange *ex, const char *name, bool writes, const char **key)
{
    bool all = writes ? ex->caller.writes_all : tars_api_visible(ex)->all;
    const char *found = tars_principal_collection(&ex->caller, name, writes);

    if (!found && all)
        found = key_of_all(ex, name);
    if (!found) {
        tars_exchange_not_found(ex, "No such collection");
        return false;
    }
    *key = found;
    return true;
}

bool tars_api_narrow(struct tars_exchange *ex, const char *name, const char **key)
{
    *key = NULL;
    return !name || !name[0] || tars_api_collection(ex, name, false, key);
}

const char *tars_api_collection_name(const struct tars_exchange *ex, const char *key)
{
    return ex->caller.is_system && tars_api_visible(ex)->all && strchr(key, '/')
               ? key
               : tars_collection_name(key);
}
