/* Unit tests of api/openapi: the document and the list of routes tell the same, every name in one
 * means something in the other, and nothing is described that is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "api/openapi.h"
#include "api/routes.h"
#include "support/faults.h"

#define KEY_MAX 512

struct bench {
    json_t *source;
    json_t *open;   /* the document in mode open */
    json_t *closed; /* in the others */
};

static json_t *build(bool is_open)
{
    struct tars_err err = {{0}};
    char *text = NULL;
    size_t len = 0;
    json_t *document;

    if (tars_openapi_build(is_open, &text, &len, &err) != TARS_OK)
        fail_msg("%s", err.text);
    assert_int_equal(len, strlen(text));
    document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    free(text);
    return document;
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    assert_non_null(bench);
    bench->source = json_loadb((const char *)tars_openapi_source, tars_openapi_source_len, 0, NULL);
    assert_non_null(bench->source);
    bench->open = build(true);
    bench->closed = build(false);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    json_decref(bench->source);
    json_decref(bench->open);
    json_decref(bench->closed);
    free(bench);
    return 0;
}

static void lower_method(const struct tars_route *route, char out[16])
{
    static const char *const names[] = {"other",
#define X(name) #name,
                                        TARS_HTTP_METHOD_LIST(X)
#undef X
    };

    (void)snprintf(out, 16, "%s", names[route->method]);
    for (char *c = out; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 'a' - 'A' : *c);
}

static json_t *operation_of(const json_t *document, const struct tars_route *route)
{
    char method[16];

    lower_method(route, method);
    return json_object_get(json_object_get(json_object_get(document, "paths"), route->path),
                           method);
}

/* True when "METHOD /path", at the start of key, is a route; *rest is what follows. */
static bool begins_with_route(const char *key, const char **rest)
{
    size_t count;
    const struct tars_route *routes = tars_routes(&count);

    for (size_t i = 0; i < count; i++) {
        char name[KEY_MAX];
        char method[16];
        size_t len;

        lower_method(&routes[i], method);
        len = (size_t)snprintf(name, sizeof(name), "%s %s", method, routes[i].path);
        if (strncasecmp(key, name, strlen(method)) == 0 &&
            strncmp(key + strlen(method), name + strlen(method), len - strlen(method)) == 0 &&
            (key[len] == '\0' || key[len] == ' ')) {
            *rest = key + len + (key[len] == ' ');
            return true;
        }
    }
    return false;
}

/* -------------------------------------------------------------------- routes */

static void every_route_is_described(void **state)
{
    struct bench *bench = *state;
    size_t count;
    const struct tars_route *routes = tars_routes(&count);

    for (size_t i = 0; i < count; i++) {
        const json_t *operation = operation_of(bench->open, &routes[i]);
        char status[4];

        if (!operation)
            fail_msg("%s is not described", routes[i].path);
        (void)snprintf(status, sizeof(status), "%.3s", routes[i].reply);
        assert_non_null(json_object_get(json_object_get(operation, "responses"), status));
        assert_string_equal(json_string_value(json_object_get(operation, "summary")),
                            routes[i].summary);
        assert_int_equal(json_object_get(operation, "requestBody") != NULL,
                         routes[i].body[0] != '\0');
    }
}

static void every_operation_is_a_route(void **state)
{
    struct bench *bench = *state;
    json_t *ids = json_object();
    size_t count;
    size_t operations = 0;
    const char *path;
    const char *method;
    json_t *item;
    json_t *operation;

    (void)tars_routes(&count);
    json_object_foreach(json_object_get(bench->open, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            const char *id = json_string_value(json_object_get(operation, "operationId"));
            char key[KEY_MAX];
            const char *rest;

            (void)snprintf(key, sizeof(key), "%s %s", method, path);
            assert_true(begins_with_route(key, &rest));
            if (json_object_get(ids, id))
                fail_msg("two operations are called %s", id);
            assert_int_equal(json_object_set_new(ids, id, json_true()), 0);
            operations++;
        }
    }
    assert_int_equal(operations, count);
    json_decref(ids);
}

static bool is_tag(const json_t *document, const char *name)
{
    size_t i;
    json_t *tag;

    json_array_foreach(json_object_get(document, "tags"), i, tag)
    {
        if (strcmp(json_string_value(json_object_get(tag, "name")), name) == 0)
            return true;
    }
    return false;
}

static void every_tag_is_described(void **state)
{
    struct bench *bench = *state;
    size_t count;
    const struct tars_route *routes = tars_routes(&count);

    for (size_t i = 0; i < count; i++) {
        if (!is_tag(bench->open, routes[i].tag))
            fail_msg("the tag %s of %s is not described", routes[i].tag, routes[i].path);
    }
}

/* --------------------------------------------------------------------- names */

/* The component that ref names; NULL when there is none. */
static json_t *resolve(const json_t *document, const char *ref)
{
    char section[64];
    char name[128];

    if (sscanf(ref, "#/components/%63[^/]/%127s", section, name) != 2)
        return NULL;
    return json_object_get(json_object_get(json_object_get(document, "components"), section), name);
}

/* Walk value, noting each component that it names, and what that names. As deep as the document is.
 * NOLINTNEXTLINE(misc-no-recursion) */
static void follow(const json_t *document, json_t *value, json_t *seen)
{
    const char *key;
    json_t *item;
    size_t i;

    json_array_foreach(value, i, item)
    {
        follow(document, item, seen);
    }
    json_object_foreach(value, key, item)
    {
        const char *ref = strcmp(key, "$ref") == 0 ? json_string_value(item) : NULL;

        follow(document, item, seen);
        if (!ref || json_object_get(seen, ref))
            continue;
        if (!resolve(document, ref))
            fail_msg("%s is named, but openapi.json says nothing of it", ref);
        assert_int_equal(json_object_set_new(seen, ref, json_true()), 0);
        follow(document, resolve(document, ref), seen);
    }
}

static void every_name_means_something_and_is_used(void **state)
{
    static const char *const sections[] = {"schemas", "responses", "headers"};
    struct bench *bench = *state;
    json_t *seen = json_object();

    follow(bench->open, json_object_get(bench->open, "paths"), seen);
    for (size_t s = 0; s < 3; s++) {
        json_t *section = json_object_get(json_object_get(bench->open, "components"), sections[s]);
        const char *name;
        json_t *said;

        json_object_foreach(section, name, said)
        {
            char ref[KEY_MAX];

            (void)snprintf(ref, sizeof(ref), "#/components/%s/%s", sections[s], name);
            if (!json_object_get(seen, ref) && strcmp(sections[s], "responses") != 0)
                fail_msg("%s is described, but nothing uses it", ref);
        }
    }
    json_decref(seen);
}

/* A parameter belongs to one route, "METHOD /path name", or to all that name it. */
static bool parameter_is_used(const char *key)
{
    size_t count;
    const struct tars_route *routes = tars_routes(&count);
    const char *rest = key;
    bool of_one = begins_with_route(key, &rest);
    char needle[KEY_MAX];

    for (size_t i = 0; i < count; i++) {
        char list[KEY_MAX];

        if (of_one && !strstr(key, routes[i].path))
            continue;
        (void)snprintf(list, sizeof(list), ",%s,", routes[i].parameters);
        (void)snprintf(needle, sizeof(needle), ",%s,", rest);
        if (strstr(list, needle))
            return true;
        (void)snprintf(needle, sizeof(needle), "{%s}", rest);
        if (strstr(routes[i].path, needle))
            return true;
    }
    return false;
}

static void every_parameter_is_used(void **state)
{
    struct bench *bench = *state;
    const char *key;
    json_t *said;

    json_object_foreach(json_object_get(bench->source, "parameters"), key, said)
    {
        if (!parameter_is_used(key))
            fail_msg("the parameter %s is described, but no route has it", key);
        assert_non_null(json_object_get(said, "description"));
        assert_non_null(json_object_get(said, "schema"));
    }
}

static void every_parameter_is_described(void **state)
{
    struct bench *bench = *state;
    size_t count;
    const struct tars_route *routes = tars_routes(&count);

    for (size_t i = 0; i < count; i++) {
        size_t at;
        json_t *parameter;

        json_array_foreach(json_object_get(operation_of(bench->open, &routes[i]), "parameters"), at,
                           parameter)
        {
            if (!json_object_get(parameter, "description")) {
                fail_msg("openapi.json says nothing of the parameter %s of %s",
                         json_string_value(json_object_get(parameter, "name")), routes[i].path);
            }
        }
    }
}

static void what_is_said_of_routes_is_of_routes(void **state)
{
    static const char *const sections[] = {"replies", "lines", "sockets"};
    struct bench *bench = *state;

    for (size_t s = 0; s < 3; s++) {
        const char *key;
        const char *rest;
        json_t *said;

        json_object_foreach(json_object_get(bench->source, sections[s]), key, said)
        {
            if (!begins_with_route(key, &rest) || *rest)
                fail_msg("%s: %s is no route", sections[s], key);
        }
    }
}

/* -------------------------------------------------------------------- rights */

static void rights_are_told(void **state)
{
    struct bench *bench = *state;
    size_t count;
    const struct tars_route *routes = tars_routes(&count);

    for (size_t i = 0; i < count; i++) {
        json_t *open = json_object_get(operation_of(bench->open, &routes[i]), "security");
        json_t *closed = json_object_get(operation_of(bench->closed, &routes[i]), "security");
        bool asks = routes[i].need == TARS_ROUTE_ASK;
        json_t *replies = json_object_get(operation_of(bench->open, &routes[i]), "responses");

        assert_int_equal(json_array_size(closed) == 0, routes[i].need == TARS_ROUTE_PUBLIC);
        assert_int_equal(json_array_size(open), json_array_size(closed) + asks);
        assert_int_equal(asks, json_is_object(json_array_get(open, 0)) &&
                                   json_object_size(json_array_get(open, 0)) == 0);
        assert_true(json_object_get(replies, "401") || routes[i].need == TARS_ROUTE_PUBLIC);
    }
}

/* ------------------------------------------------------------------- failure */

static void *failing_malloc(size_t size)
{
    return malloc(size);
}

static void plain_free(void *ptr)
{
    free(ptr);
}

static int allocations;

static void *counting_malloc(size_t size)
{
    allocations++;
    return malloc(size);
}

/* Reading openapi.json comes first, and jansson's parser passes over a byte for which it has no
 * room: what is tested is the building, from the first allocation behind that. */
static int count_reading(void)
{
    json_t *source;

    json_set_alloc_funcs(counting_malloc, plain_free);
    allocations = 0;
    source = json_loadb((const char *)tars_openapi_source, tars_openapi_source_len,
                        JSON_REJECT_DUPLICATES, NULL);
    json_decref(source);
    return allocations;
}

/* Thousands of allocations: after the first ones, one in a few is made to fail. */
static void no_memory_is_told(void **state)
{
    int first = count_reading() + 1; /* and the document's own object */
    int step = 1;
    int failures = 0;

    (void)state;
    json_set_alloc_funcs(failing_malloc, plain_free);
    for (int n = first;; n += step) {
        char *text = NULL;
        size_t len = 0;
        tars_status status;

        faults_fail_after(n);
        status = tars_openapi_build(true, &text, &len, NULL);
        if (!faults_happened()) {
            faults_fail_after(-1);
            assert_int_equal(status, TARS_OK);
            free(text);
            break;
        }
        assert_int_equal(status, TARS_ENOMEM);
        assert_null(text);
        failures++;
        step = n < first + 64 ? 1 : 101;
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(failures > 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(every_operation_is_a_route),
        cmocka_unit_test(every_tag_is_described),
        cmocka_unit_test(every_name_means_something_and_is_used),
        cmocka_unit_test(every_parameter_is_used),
        cmocka_unit_test(every_parameter_is_described),
        cmocka_unit_test(what_is_said_of_routes_is_of_routes),
        cmocka_unit_test(rights_are_told),
        cmocka_unit_test(no_memory_is_told),
    };

    return cmocka_run_group_tests_name("openapi", tests, set_up, tear_down);
}
