/* filter - see filter.h.
 *
 * The JSON itself is the program: it is checked once, by check_*, so that evaluation need not
 * expect anything odd, and then walked for each document.
 */
#include "retrieve/filter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

struct tars_filter {
    json_t *root; /* owned; passed check_filter */
};

/* ----------------------------------------------------------------- checking */

static bool is_scalar(const json_t *value)
{
    return json_is_string(value) || json_is_number(value) || json_is_boolean(value);
}

static bool is_one_of(const char *operation, const char *const *names)
{
    for (; *names; names++) {
        if (strcmp(operation, *names) == 0)
            return true;
    }
    return false;
}

static bool is_list_of_scalars(const json_t *operand)
{
    for (size_t i = 0; i < json_array_size(operand); i++) {
        if (!is_scalar(json_array_get(operand, i)))
            return false;
    }
    return json_is_array(operand);
}

static tars_status check_operand(const char *operation, const json_t *operand, struct tars_err *err)
{
    static const char *const plain[] = {"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", NULL};
    static const char *const lists[] = {"$in", "$nin", NULL};

    if (is_one_of(operation, plain)) {
        if (is_scalar(operand))
            return TARS_OK;
        return tars_fail(TARS_EINVAL, err, "filters: %s takes a text, a number, true or false",
                         operation);
    }
    if (is_one_of(operation, lists)) {
        if (is_list_of_scalars(operand))
            return TARS_OK;
        return tars_fail(TARS_EINVAL, err, "filters: %s takes a list of plain values", operation);
    }
    return tars_fail(TARS_EINVAL, err,
                     "filters: unknown operator %s; known are $eq $ne $gt $gte $lt $lte $in $nin, "
                     "and $and $or around filters",
                     operation);
}

static tars_status check_field(const char *name, json_t *wanted, struct tars_err *err)
{
    const char *operation;
    json_t *operand;

    if (is_scalar(wanted))
        return TARS_OK;
    if (!json_is_object(wanted) || json_object_size(wanted) == 0) {
        return tars_fail(TARS_EINVAL, err,
                         "filters: \"%s\" must be compared with a text, a number, true, false or "
                         "an object of operators",
                         name);
    }
    json_object_foreach(wanted, operation, operand)
    {
        tars_status status = check_operand(operation, operand, err);

        if (status != TARS_OK)
            return status;
    }
    return TARS_OK;
}

static tars_status check_filter(json_t *filter, int depth, struct tars_err *err);

/* NOLINTNEXTLINE(misc-no-recursion) */
static tars_status check_branches(const char *name, json_t *branches, int depth,
                                  struct tars_err *err)
{
    if (!json_is_array(branches) || json_array_size(branches) == 0)
        return tars_fail(TARS_EINVAL, err, "filters: %s takes a list of filters", name);
    for (size_t i = 0; i < json_array_size(branches); i++) {
        tars_status status = check_filter(json_array_get(branches, i), depth + 1, err);

        if (status != TARS_OK)
            return status;
    }
    return TARS_OK;
}

static bool is_branch(const char *name)
{
    return strcmp(name, "$and") == 0 || strcmp(name, "$or") == 0;
}

/* Recursion is bounded by TARS_FILTER_DEPTH_MAX. NOLINTNEXTLINE(misc-no-recursion) */
static tars_status check_filter(json_t *filter, int depth, struct tars_err *err)
{
    const char *name;
    json_t *value;

    if (depth > TARS_FILTER_DEPTH_MAX)
        return tars_fail(TARS_EINVAL, err, "filters: more than %d levels", TARS_FILTER_DEPTH_MAX);
    if (!json_is_object(filter))
        return tars_fail(TARS_EINVAL, err, "filters: a filter is an object");
    json_object_foreach(filter, name, value)
    {
        tars_status status = TARS_OK;

        if (is_branch(name)) {
            status = check_branches(name, value, depth, err);
        } else {
            status = check_field(name, value, err);
        }
        if (status != TARS_OK)
            return status;
    }
    return TARS_OK;
}

tars_status tars_filter_parse(const char *json, struct tars_filter **filter, struct tars_err *err)
{
    struct tars_filter *made = NULL;
    size_t len = strlen(json);
    json_error_t fault;
    tars_status status;

    if (len > TARS_FILTER_BYTES_MAX)
        return tars_fail(TARS_EINVAL, err, "filters: longer than %zu bytes", TARS_FILTER_BYTES_MAX);
    made = calloc(1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    made->root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &fault);
    if (!made->root) {
        status = tars_fail(TARS_EINVAL, err, "filters: not JSON: %s", fault.text);
    } else {
        status = check_filter(made->root, 1, err);
    }
    if (status != TARS_OK) {
        tars_filter_free(made);
        return status;
    }
    *filter = made;
    return TARS_OK;
}

void tars_filter_free(struct tars_filter *filter)
{
    if (!filter)
        return;
    json_decref(filter->root);
    free(filter);
}

/* --------------------------------------------------------------- evaluation */

/* Sign of field - value in *order; false when they are of different kinds. */
static bool compare(struct tars_field field, const json_t *value, int *order)
{
    double number;

    if (json_is_string(value)) {
        if (field.kind != TARS_FIELD_TEXT)
            return false;
        *order = strcmp(field.text, json_string_value(value));
        return true;
    }
    if (json_is_boolean(value) != (field.kind == TARS_FIELD_BOOL) ||
        field.kind == TARS_FIELD_NONE || field.kind == TARS_FIELD_TEXT)
        return false;
    number = json_is_boolean(value) ? json_boolean_value(value) : json_number_value(value);
    *order = (field.number > number) - (field.number < number);
    return true;
}

static bool is_in(struct tars_field field, const json_t *list)
{
    int order;

    for (size_t i = 0; i < json_array_size(list); i++) {
        if (compare(field, json_array_get(list, i), &order) && order == 0)
            return true;
    }
    return false;
}

static bool holds(const char *operation, struct tars_field field, const json_t *operand)
{
    int order = 0;
    bool comparable;

    if (strcmp(operation, "$in") == 0)
        return is_in(field, operand);
    if (strcmp(operation, "$nin") == 0)
        return !is_in(field, operand);
    comparable = compare(field, operand, &order);
    if (strcmp(operation, "$ne") == 0)
        return !comparable || order != 0;
    if (!comparable)
        return false;
    if (strcmp(operation, "$eq") == 0)
        return order == 0;
    if (strcmp(operation, "$gt") == 0)
        return order > 0;
    if (strcmp(operation, "$gte") == 0)
        return order >= 0;
    if (strcmp(operation, "$lt") == 0)
        return order < 0;
    assert(strcmp(operation, "$lte") == 0);
    return order <= 0;
}

static bool field_holds(struct tars_field field, json_t *wanted)
{
    const char *operation;
    json_t *operand;

    if (!json_is_object(wanted))
        return holds("$eq", field, wanted);
    json_object_foreach(wanted, operation, operand)
    {
        if (!holds(operation, field, operand))
            return false;
    }
    return true;
}

static bool accepts(json_t *filter, tars_field_fn *field, void *ctx);

/* NOLINTNEXTLINE(misc-no-recursion) */
static bool branches_hold(const char *name, json_t *branches, tars_field_fn *field, void *ctx)
{
    bool all = strcmp(name, "$and") == 0;

    for (size_t i = 0; i < json_array_size(branches); i++) {
        if (accepts(json_array_get(branches, i), field, ctx) != all)
            return !all;
    }
    return all;
}

/* Bounded by check_filter. NOLINTNEXTLINE(misc-no-recursion) */
static bool accepts(json_t *filter, tars_field_fn *field, void *ctx)
{
    const char *name;
    json_t *value;

    json_object_foreach(filter, name, value)
    {
        bool held = is_branch(name) ? branches_hold(name, value, field, ctx)
                                    : field_holds(field(ctx, name), value);

        if (!held)
            return false;
    }
    return true;
}

bool tars_filter_accepts(const struct tars_filter *filter, tars_field_fn *field, void *ctx)
{
    return accepts(filter->root, field, ctx);
}
