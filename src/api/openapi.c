/* openapi - see openapi.h for the contract.
 *
 * The document is a tree of jansson values. Building it is sticky: put() remembers the first value
 * that could not be made, and the caller looks once, at the end.
 */
#include "api/openapi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "api/routes.h"
#include "base/version.h"

#define KEY_MAX 256 /* bytes of "METHOD /path name" */

struct builder {
    json_t *source; /* openapi.json; owned */
    bool is_open;
    bool failed; /* no memory */
};

/* -------------------------------------------------------------------------------------- helpers */

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* object[key] = value, which is taken, NULL being a failure. */
static void put(struct builder *b, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        b->failed = true;
}

static void put_text(struct builder *b, json_t *object, const char *key, const char *text)
{
    put(b, object, key, json_string(text));
}

static void add(struct builder *b, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        b->failed = true;
}

/* An empty object at object[key], lent; NULL on failure, which all that take it bear. */
static json_t *put_object(struct builder *b, json_t *object, const char *key)
{
    put(b, object, key, json_object());
    return json_object_get(object, key);
}

static json_t *put_array(struct builder *b, json_t *object, const char *key)
{
    put(b, object, key, json_array());
    return json_object_get(object, key);
}

static void put_ref(struct builder *b, json_t *object, const char *key, const char *section,
                    const char *name)
{
    json_t *made = put_object(b, object, key);

    put(b, made, "$ref", json_sprintf("#/components/%s/%s", section, name));
}

static const char *method_name(const struct tars_route *route)
{
    static const char *const names[] = {"OTHER",
#define X(name) #name,
                                        TARS_HTTP_METHOD_LIST(X)
#undef X
    };

    return names[route->method];
}

/* "METHOD /path", what openapi.json calls a route; with a name of its parameters behind it. */
static void route_key(const struct tars_route *route, const char *parameter, char key[KEY_MAX])
{
    (void)snprintf(key, KEY_MAX, "%s %s%s%s", method_name(route), route->path, parameter ? " " : "",
                   parameter ? parameter : "");
}

/* ----------------------------------------------------------------------------------- parameters */

/* What openapi.json says of a parameter: of this route's, or of all of that name. */
static json_t *find_parameter(struct builder *b, const struct tars_route *route, const char *name)
{
    json_t *all = json_object_get(b->source, "parameters");
    char key[KEY_MAX];
    json_t *found;

    route_key(route, name, key);
    found = json_object_get(all, key);
    return found ? found : json_object_get(all, name);
}

static void add_parameter(struct builder *b, json_t *list, const struct tars_route *route,
                          struct tars_span span, bool in_path)
{
    char name[64];
    json_t *said;
    json_t *made = json_object();

    (void)snprintf(name, sizeof(name), "%.*s", (int)span.len, span.ptr);
    said = find_parameter(b, route, name);
    put_text(b, made, "name", name);
    put_text(b, made, "in", in_path ? "path" : "query");
    if (in_path)
        put(b, made, "required", json_true());
    if (!said) {
        put(b, made, "schema", json_object()); /* a test tells of it; the server starts */
    } else if (json_object_update(made, said) != 0) {
        b->failed = true;
    }
    add(b, list, made);
}

/* Those in braces, then those of the query. */
static void put_parameters(struct builder *b, json_t *operation, const struct tars_route *route)
{
    json_t *list = put_array(b, operation, "parameters");
    const char *at = route->path;

    while ((at = strchr(at, '{')) != NULL) {
        size_t len = strcspn(++at, "}");

        add_parameter(b, list, route, tars_span(at, len), true);
    }
    at = route->parameters;
    while (*at) {
        size_t len = strcspn(at, ",");

        add_parameter(b, list, route, tars_span(at, len), false);
        at += len + (at[len] == ',');
    }
    if (json_array_size(list) == 0)
        (void)json_object_del(operation, "parameters");
}

/* ----------------------------------------------------------------------------------------- body */

static void put_media(struct builder *b, json_t *content, const char *type, const char *schema)
{
    json_t *media = put_object(b, content, type);

    put_ref(b, media, "schema", "schemas", schema);
}

static void put_body(struct builder *b, json_t *operation, const struct tars_route *route)
{
    json_t *body;
    json_t *content;

    if (!route->body[0])
        return;
    body = put_object(b, operation, "requestBody");
    put(b, body, "required", json_true());
    content = put_object(b, body, "content");
    if (strcmp(route->body, "multipart") == 0) {
        put_media(b, content, "multipart/form-data", "UploadForm");
        put_media(b, content, "application/json", "Index");
    } else {
        put_media(b, content, "application/json", route->body);
    }
}

/* -------------------------------------------------------------------------------------- replies */

static void put_headers(struct builder *b, json_t *reply)
{
    json_t *headers = put_object(b, reply, "headers");

    put_ref(b, headers, "TARS-API-Version", "headers", "ApiVersion");
    put_ref(b, headers, "X-Request-ID", "headers", "RequestId");
}

/* The line's own "STATUS Schema", "STATUS type/subtype" or "STATUS". */
static void put_success(struct builder *b, json_t *replies, const struct tars_route *route)
{
    char status[4] = "";
    char key[KEY_MAX];
    const char *what = route->reply + strcspn(route->reply, " ");
    json_t *reply;
    json_t *content;

    (void)snprintf(status, sizeof(status), "%.3s", route->reply);
    what += strspn(what, " ");
    reply = put_object(b, replies, status);
    put_text(b, reply, "description", route->summary);
    put_headers(b, reply);
    if (!*what)
        return;
    content = put_object(b, reply, "content");
    if (!strchr(what, '/')) {
        put_media(b, content, "application/json", what);
    } else {
        json_t *media = put_object(b, content, what);
        json_t *schema = put_object(b, media, "schema");
        json_t *line;

        if (strcmp(what, "*/*") != 0) /* it may be JSON */
            put_text(b, schema, "type", "string");
        route_key(route, NULL, key);
        line = json_object_get(json_object_get(b->source, "lines"), key);
        if (line)
            put_ref(b, media, "x-tars-line", "schemas", json_string_value(line));
    }
}

static void put_error(struct builder *b, json_t *replies, const char *status)
{
    char name[16];

    (void)snprintf(name, sizeof(name), "Error%.3s", status);
    put_ref(b, replies, status, "responses", name);
}

/* What openapi.json tells besides: {"description", "schema"}, or {} for an error reply. */
static void put_more_replies(struct builder *b, json_t *replies, const struct tars_route *route)
{
    const char *status;
    char key[KEY_MAX];
    json_t *more;

    route_key(route, NULL, key);
    json_object_foreach(json_object_get(json_object_get(b->source, "replies"), key), status, more)
    {
        const char *schema = json_string_value(json_object_get(more, "schema"));
        const char *words = json_string_value(json_object_get(more, "description"));
        json_t *reply;

        if (!words) {
            put_error(b, replies, status);
            continue;
        }
        reply = put_object(b, replies, status);
        put_text(b, reply, "description", words);
        put_headers(b, reply);
        if (schema)
            put_media(b, put_object(b, reply, "content"), "application/json", schema);
    }
}

/* What goes to and fro once a connection is a WebSocket, which OpenAPI has no words for. */
static void put_socket(struct builder *b, json_t *operation, const struct tars_route *route)
{
    const char *side;
    char key[KEY_MAX];
    json_t *schema;
    json_t *said;
    json_t *socket;

    route_key(route, NULL, key);
    said = json_object_get(json_object_get(b->source, "sockets"), key);
    if (!said)
        return;
    socket = put_object(b, operation, "x-websocket");
    json_object_foreach(said, side, schema)
    {
        put_ref(b, socket, side, "schemas", json_string_value(schema));
    }
}

static bool takes_credentials(const struct tars_route *route)
{
    return route->need != TARS_ROUTE_PUBLIC;
}

static void put_replies(struct builder *b, json_t *operation, const struct tars_route *route)
{
    json_t *replies = put_object(b, operation, "responses");
    bool has_input = route->body[0] || route->parameters[0];

    put_success(b, replies, route);
    if (takes_credentials(route))
        put_error(b, replies, "401");
    /* A page of a strange origin may change nothing. */
    if (takes_credentials(route) || route->method != TARS_HTTP_GET)
        put_error(b, replies, "403");
    if (strchr(route->path, '{'))
        put_error(b, replies, "404");
    if (route->body[0])
        put_error(b, replies, "413");
    put_error(b, replies, "421");
    if (has_input)
        put_error(b, replies, "422");
    put_error(b, replies, "429");
    put_error(b, replies, "500");
    put_error(b, replies, "503");
    if (route->place == TARS_ROUTE_ANSWER)
        put_error(b, replies, "504");
    put_more_replies(b, replies, route);
}

/* --------------------------------------------------------------------------------------- rights */

static const char *need_text(enum tars_route_need need)
{
    static const char *const texts[] = {"public", "ask", "reader", "writer", "admin", "system"};

    return texts[need];
}

static void add_scheme(struct builder *b, json_t *list, const char *name)
{
    json_t *scheme = json_object();

    if (name)
        put(b, scheme, name, json_array());
    add(b, list, scheme);
}

static void put_rights(struct builder *b, json_t *operation, const struct tars_route *route)
{
    json_t *list = put_array(b, operation, "security");

    put_text(b, operation, "x-tars-need", need_text(route->need));
    if (!takes_credentials(route))
        return;
    if (route->need == TARS_ROUTE_ASK && b->is_open)
        add_scheme(b, list, NULL);
    add_scheme(b, list, "bearer");
    add_scheme(b, list, "apiKey");
    add_scheme(b, list, "token");
    if (route->need == TARS_ROUTE_SYSTEM)
        add_scheme(b, list, "owner");
}

/* ----------------------------------------------------------------------------------- operations */

/* "post_rag_query_stream": method and words of the path. */
static void put_operation_id(struct builder *b, json_t *operation, const struct tars_route *route)
{
    char id[KEY_MAX];
    size_t len = 0;

    route_key(route, NULL, id);
    if (strcmp(route->path, "/") == 0)
        (void)snprintf(id, sizeof(id), "%s root", method_name(route));
    for (size_t i = 0; id[i]; i++) {
        if (is_word(lower(id[i]))) {
            id[len++] = lower(id[i]);
        } else if (len > 0 && id[len - 1] != '_') {
            id[len++] = '_';
        }
    }
    while (len > 0 && id[len - 1] == '_')
        len--;
    id[len] = '\0';
    put_text(b, operation, "operationId", id);
}

static void put_operation(struct builder *b, json_t *paths, const struct tars_route *route)
{
    json_t *item = json_object_get(paths, route->path);
    json_t *operation;
    char method[16];

    (void)snprintf(method, sizeof(method), "%s", method_name(route));
    for (char *c = method; *c; c++)
        *c = lower(*c);
    if (!item)
        item = put_object(b, paths, route->path);
    operation = put_object(b, item, method);
    put(b, operation, "tags", json_pack("[s]", route->tag));
    put_text(b, operation, "summary", route->summary);
    put_operation_id(b, operation, route);
    put_parameters(b, operation, route);
    put_body(b, operation, route);
    put_replies(b, operation, route);
    put_socket(b, operation, route);
    put_rights(b, operation, route);
}

static void put_all(struct builder *b, json_t *document)
{
    json_t *info;
    json_t *paths;
    size_t count;
    const struct tars_route *routes = tars_routes(&count);

    put(b, document, "openapi", json_incref(json_object_get(b->source, "openapi")));
    put(b, document, "info", json_incref(json_object_get(b->source, "info")));
    info = json_object_get(document, "info");
    put_text(b, info, "version", TARS_VERSION);
    put_text(b, info, "x-tars-api-version", TARS_API_VERSION);
    put(b, document, "servers", json_pack("[{s:s},{s:s}]", "url", "/", "url", "/api/v1"));
    put(b, document, "tags", json_incref(json_object_get(b->source, "tags")));
    paths = put_object(b, document, "paths");
    for (size_t i = 0; i < count; i++)
        put_operation(b, paths, &routes[i]);
    put(b, document, "components", json_incref(json_object_get(b->source, "components")));
}

/* ----------------------------------------------------------------------------------- the whole */

tars_status tars_openapi_build(bool is_open, char **text, size_t *len, struct tars_err *err)
{
    struct builder b = {.is_open = is_open};
    json_t *document = json_object();
    char *made = NULL;
    json_error_t fault;
    tars_status status = TARS_OK;

    b.source = json_loadb((const char *)tars_openapi_source, tars_openapi_source_len,
                          JSON_REJECT_DUPLICATES, &fault);
    if (!b.source) {
        /* The build has embedded it and a test reads it: what fails is memory. */
        status = tars_fail(TARS_ENOMEM, err, "openapi.json: line %d: %s", fault.line, fault.text);
        goto out;
    }
    put_all(&b, document);
    made = b.failed ? NULL : json_dumps(document, JSON_COMPACT);
    if (!made) {
        status = tars_fail(TARS_ENOMEM, err, "no memory for the description of the API");
        goto out;
    }
    *len = strlen(made);
    *text = made;
out:
    json_decref(document);
    json_decref(b.source);
    return status;
}
