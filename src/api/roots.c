/* roots - see roots.h for the contract. */
#include "api/roots.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "api/access.h"
#include "api/api_internal.h"
#include "auth/directory.h"
#include "base/sys/file.h"

/* The real path of what may not be there yet: links are followed as far as there is something. */
static char *real_path(struct tars_arena *arena, const char *path)
{
    char resolved[PATH_MAX];
    char *folder = tars_arena_strdup(arena, path);
    char *slash = folder ? strrchr(folder, '/') : NULL;

    if (realpath(path, resolved))
        return tars_arena_strdup(arena, resolved);
    if (errno != ENOENT || !slash || slash[1] == '\0' || strcmp(slash + 1, "..") == 0 ||
        strcmp(slash + 1, ".") == 0)
        return NULL;
    *slash = '\0';
    if (!realpath(slash == folder ? "/" : folder, resolved))
        return NULL;
    return tars_arena_printf(arena, "%s/%s", resolved[1] ? resolved : "", slash + 1);
}

/* Is real, a real path, in the folder root? */
static bool is_in(struct tars_arena *arena, const char *real, const char *root)
{
    const char *real_root = root && root[0] ? real_path(arena, root) : NULL;

    return real_root && tars_path_is_below(real, real_root);
}

static bool is_in_one(struct tars_arena *arena, const char *real, const char *roots)
{
    while (roots && *roots) {
        size_t len = strcspn(roots, ":");

        if (is_in(arena, real, tars_arena_strndup(arena, roots, len)))
            return true;
        roots += len + (roots[len] == ':');
    }
    return false;
}

static bool is_in_settings(struct tars_arena *arena, const char *real, const char *settings,
                           bool otherwise)
{
    json_t *root = settings[0] ? json_loads(settings, 0, NULL) : NULL;
    const json_t *roots = json_object_get(root, "roots");
    bool found = !roots && otherwise;

    for (size_t i = 0; i < json_array_size(roots) && !found; i++)
        found = is_in(arena, real, json_string_value(json_array_get(roots, i)));
    json_decref(root);
    return found;
}

/* Is it one of the folders that the caller's tenant was given? */
static bool is_of_tenant(struct tars_exchange *ex, const char *real)
{
    const struct tars_actor actor = tars_access_actor(ex);
    const char *name = ex->caller.tenant;
    struct tars_tenant *tenants = NULL;
    size_t count = 0;

    if (tars_directory_tenants(ex->api->config.auth, &actor, ex->call.arena, &tenants, &count,
                               NULL) != TARS_OK)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tenants[i].name, name) == 0) {
            return is_in_settings(ex->call.arena, real, tenants[i].settings_json,
                                  strcmp(name, TARS_TENANT) == 0);
        }
    }
    return false;
}

const char *tars_roots_permitted(struct tars_exchange *ex, const char *path)
{
    const char *real = path[0] == '/' ? real_path(ex->call.arena, path) : NULL;

    if (ex->is_owner)
        return real ? real : path;
    if (!real || !is_in_one(ex->call.arena, real, ex->api->config.roots) || !is_of_tenant(ex, real))
        return NULL;
    return real;
}
