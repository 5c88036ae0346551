/* routes - see routes.h for the contract. */
#include "api/routes.h"

#include <stdio.h>
#include <string.h>

#include "api/api_internal.h"

static const struct tars_route table[] = {
#define TARS_ROUTE(method, path, need, place, handler, tag, parameters, body, reply, summary) \
    {TARS_HTTP_##method,                                                                      \
     path,                                                                                    \
     TARS_ROUTE_##need,                                                                       \
     TARS_ROUTE_##place,                                                                      \
     handler,                                                                                 \
     tag,                                                                                     \
     parameters,                                                                              \
     body,                                                                                    \
     reply,                                                                                   \
     summary},
#include "api/routes.def"
#undef TARS_ROUTE
};

#define ROUTES (sizeof(table) / sizeof(table[0]))

const struct tars_route *tars_routes(size_t *count)
{
    *count = ROUTES;
    return table;
}

/* path without the prefix under which every route is there too. */
static struct tars_span without_prefix(struct tars_span path)
{
    static const char prefix[] = TARS_API_PREFIX;
    size_t len = sizeof(prefix) - 1;

    if (path.len < len || memcmp(path.ptr, prefix, len) != 0)
        return path;
    if (path.len == len)
        return tars_span("/", 1);
    return path.ptr[len] == '/' ? tars_span(path.ptr + len, path.len - len) : path;
}

/* The segment at the start of text: up to the next slash. */
static struct tars_span segment(struct tars_span text)
{
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;

    return tars_span(text.ptr, slash ? (size_t)(slash - text.ptr) : text.len);
}

/* True when path fits template; parameters are then what stands for its braces, in order. */
static bool fits(const char *template, struct tars_span path, struct tars_span *parameters)
{
    size_t used = 0;

    memset(parameters, 0, TARS_ROUTE_PARAMETERS * sizeof(*parameters));
    while (*template) {
        size_t plain = strcspn(template, "{");

        if (path.len < plain || memcmp(path.ptr, template, plain) != 0)
            return false;
        template += plain;
        path = tars_span(path.ptr + plain, path.len - plain);
        if (*template == '{') {
            struct tars_span value = segment(path);

            template += strcspn(template, "}") + 1;
            if (value.len == 0 || used == TARS_ROUTE_PARAMETERS)
                return false;
            parameters[used++] = value;
            path = tars_span(path.ptr + value.len, path.len - value.len);
        }
    }
    return path.len == 0;
}

static enum tars_http_method effective(enum tars_http_method method)
{
    return method == TARS_HTTP_HEAD ? TARS_HTTP_GET : method;
}

static const char *method_text(enum tars_http_method method)
{
    switch (method) {
#define X(name)            \
    case TARS_HTTP_##name: \
        return #name;
        TARS_HTTP_METHOD_LIST(X)
#undef X
    case TARS_HTTP_OTHER:
        break;
    }
    return "OTHER";
}

static bool is_literal(const struct tars_route *route)
{
    return !strchr(route->path, '{');
}

/* True when some route is called path, letter for letter. Such a path is not what braces stand for,
 * whatever the method. */
static bool is_literal_path(struct tars_span path)
{
    for (size_t i = 0; i < ROUTES; i++) {
        if (is_literal(&table[i]) && tars_span_is(path, table[i].path))
            return true;
    }
    return false;
}

/* The methods of this path, joined by ", ". */
static const char *allowed(struct tars_exchange *ex, struct tars_span path)
{
    bool literal = is_literal_path(path);
    char list[64] = "";
    size_t used = 0;
    struct tars_span parameters[TARS_ROUTE_PARAMETERS];

    for (size_t i = 0; i < ROUTES; i++) {
        if (fits(table[i].path, path, parameters) && literal == is_literal(&table[i]) &&
            used < sizeof(list) - 16) {
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "",
                                     method_text(table[i].method));
        }
    }
    return used ? tars_arena_strdup(ex->call.arena, list) : NULL;
}

static const struct tars_route *look_up(struct tars_exchange *ex, struct tars_span path)
{
    for (size_t i = 0; i < ROUTES; i++) {
        if (table[i].method == effective(ex->method) && fits(table[i].path, path, ex->parameters))
            return is_literal(&table[i]) || !is_literal_path(path) ? &table[i] : NULL;
    }
    return NULL;
}

const char *tars_routes_template(struct tars_span path)
{
    struct tars_span parameters[TARS_ROUTE_PARAMETERS];
    const char *found = NULL;

    path = without_prefix(path);
    if (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    for (size_t i = 0; i < ROUTES; i++) {
        if (!fits(table[i].path, path, parameters))
            continue;
        if (is_literal(&table[i]))
            return table[i].path;
        found = table[i].path;
    }
    return found;
}

static enum tars_route_match match(struct tars_exchange *ex)
{
    struct tars_span path = without_prefix(ex->path);

    ex->route = look_up(ex, path);
    if (ex->route)
        return TARS_ROUTE_FOUND;
    ex->allow = allowed(ex, path);
    if (ex->allow)
        return TARS_ROUTE_METHOD;
    if (path.len > 1 && path.ptr[path.len - 1] == '/') {
        path.len--;
        if (look_up(ex, path) || allowed(ex, path)) {
            ex->location = tars_arena_printf(
                ex->call.arena, "%.*s%s%.*s", (int)ex->path.len - 1, ex->path.ptr,
                ex->query.len ? "?" : "", (int)ex->query.len, ex->query.ptr ? ex->query.ptr : "");
            return TARS_ROUTE_TRAILING;
        }
    }
    return TARS_ROUTE_NONE;
}

void tars_routes_match(struct tars_exchange *ex)
{
    ex->match = match(ex);
}

void tars_routes_run(struct tars_exchange *ex)
{
    switch (ex->match) {
    case TARS_ROUTE_FOUND:
        ex->route->run(ex);
        break;
    case TARS_ROUTE_METHOD:
        tars_exchange_fail(ex, 405, "Method Not Allowed");
        break;
    case TARS_ROUTE_TRAILING:
        tars_exchange_send_bytes(ex, 307, "text/plain; charset=utf-8", "", 0);
        break;
    case TARS_ROUTE_NONE:
        tars_exchange_not_found(ex, NULL);
        break;
    }
}
