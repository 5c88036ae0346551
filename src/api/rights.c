/* rights - see rights.h. */
#include "api/rights.h"

#include <string.h>

#include "api/api_internal.h"

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

/* Who sees all tenants may name any collection by its key. */
static const char *key_of_all(const struct tars_exchange *ex, const char *name)
{
    const struct tars_principal *caller = &ex->caller;

    for (size_t i = 0; name && i < caller->visible.count; i++) {
        if (strcmp(caller->visible.keys[i], name) == 0)
            return caller->visible.keys[i];
    }
    return NULL;
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

bool tars_api_sees_server(const struct tars_exchange *ex)
{
    return ex->is_owner || ex->caller.is_system ||
           tars_auth_mode(ex->api->config.auth) == TARS_AUTH_OPEN;
}

void tars_api_watched(const struct tars_exchange *ex, struct tars_nas_view *view)
{
    const struct tars_api_config *config = &ex->api->config;

    config->service->nas(config->service_ctx, view);
    if (!tars_visible_has(tars_api_visible(ex), TARS_COLLECTION))
        *view = (struct tars_nas_view){.enabled = view->enabled};
}

const char *tars_api_collection_name(const struct tars_exchange *ex, const char *key)
{
    return ex->caller.is_system && tars_api_visible(ex)->all && strchr(key, '/')
               ? key
               : tars_collection_name(key);
}
