/* cmd_rights - what belongs to whom and what was done: collection, tenant, audit. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/admin.h"
#include "app/lines.h"

const struct tars_option tars_options_collection[] = {
    {"restricted", 0, NULL, NULL, "Only accounts with a grant see it"},
    {"description", 0, "TEXT", NULL, "For people"},
    {"write", 'w', NULL, NULL, "The grant allows documents in and out, too"},
    {"tenant", 't', "NAME", NULL, "Of this tenant (default)"},
    {NULL, 0, NULL, NULL, NULL},
};
const struct tars_option tars_options_tenant[] = {
    {"title", 0, "TEXT", NULL, "For people"},
    {"max-documents", 0, "N", NULL, "Documents it may have; 0: no limit"},
    {"max-bytes", 0, "N", NULL, "Bytes of files it may have; 0: no limit"},
    {"max-questions", 0, "N", NULL, "Questions a day; 0: no limit"},
    {NULL, 0, NULL, NULL, NULL},
};
const struct tars_option tars_options_audit[] = {
    {"actor", 'a', "NAME", NULL, "Only what this one did"},
    {"action", 0, "NAME", NULL, "Only this, such as sign-in-failed"},
    {"before", 0, "ID", NULL, "Only entries before this one"},
    {"limit", 'n', "N", NULL, "How many, newest first (50)"},
    {"tenant", 't', "NAME", NULL, "Of this tenant (all)"},
    {NULL, 0, NULL, NULL, NULL},
};

/* A change is one call and one line. */
static tars_status change(struct tars_admin *admin, enum tars_http_method method, json_t *body,
                          const char *path, const char *said, struct tars_err *err)
{
    tars_status status = tars_admin_ask(admin, method, body, err, path, admin->arguments[0],
                                        admin->count > 1 ? admin->arguments[1] : "", NULL);

    if (status == TARS_OK)
        tars_admin_say(admin, said, admin->arguments[0]);
    return status;
}

static tars_status bad_text(struct tars_err *err)
{
    return tars_fail(TARS_EINVAL, err, "an argument is not valid UTF-8");
}

/* -------------------------------------------------------------- collections */

static tars_status collection_add(struct tars_admin *admin, struct tars_err *err)
{
    const char *description = tars_cli_value(admin->cli, "description");
    json_t *body = json_pack("{s:s,s:s,s:b}", "name", admin->arguments[0], "description",
                             description ? description : "", "restricted",
                             tars_cli_value(admin->cli, "restricted") != NULL);

    return body ? change(admin, TARS_HTTP_POST, body, "/admin/collections", "added", err)
                : bad_text(err);
}

static void print_collection(const json_t *collection)
{
    printf("%-32s %-10s %s\n", tars_admin_text(collection, "name"),
           tars_admin_flag(collection, "restricted") ? "restricted" : "open",
           tars_admin_text(collection, "description"));
}

static tars_status collection_list(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status =
        tars_admin_ask(admin, TARS_HTTP_GET, NULL, err, "/admin/collections", NULL);

    if (status == TARS_OK)
        tars_admin_print_list(admin, "collections", print_collection);
    return status;
}

static tars_status collection_restrict(struct tars_admin *admin, struct tars_err *err)
{
    return change(admin, TARS_HTTP_PATCH, json_pack("{s:b}", "restricted", 1),
                  "/admin/collections/%s", "restricted", err);
}

static tars_status collection_open(struct tars_admin *admin, struct tars_err *err)
{
    return change(admin, TARS_HTTP_PATCH, json_pack("{s:b}", "restricted", 0),
                  "/admin/collections/%s", "opened", err);
}

static tars_status collection_grant(struct tars_admin *admin, struct tars_err *err)
{
    json_t *body = json_pack("{s:b}", "writes", tars_cli_value(admin->cli, "write") != NULL);

    return change(admin, TARS_HTTP_PUT, body, "/admin/collections/%s/grants/%s", "granted", err);
}

static tars_status collection_revoke(struct tars_admin *admin, struct tars_err *err)
{
    return change(admin, TARS_HTTP_DELETE, NULL, "/admin/collections/%s/grants/%s", "revoked", err);
}

static void print_grant(const json_t *grant)
{
    printf("%-24s %s\n", tars_admin_text(grant, "account"),
           tars_admin_flag(grant, "writes") ? "reads and writes" : "reads");
}

static tars_status collection_grants(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status = tars_admin_ask(admin, TARS_HTTP_GET, NULL, err,
                                        "/admin/collections/%s/grants", admin->arguments[0], NULL);

    if (status == TARS_OK)
        tars_admin_print_list(admin, "grants", print_grant);
    return status;
}

static tars_status collection_remove(struct tars_admin *admin, struct tars_err *err)
{
    return change(admin, TARS_HTTP_DELETE, NULL, "/admin/collections/%s", "removed", err);
}

int tars_cmd_collection(struct tars_cli *cli)
{
    static const struct tars_admin_verb verbs[] = {
        {"add", "NAME", 1, 1, collection_add},
        {"list", "", 0, 0, collection_list},
        {"restrict", "NAME", 1, 1, collection_restrict},
        {"open", "NAME", 1, 1, collection_open},
        {"grant", "NAME USER", 2, 2, collection_grant},
        {"revoke", "NAME USER", 2, 2, collection_revoke},
        {"grants", "NAME", 1, 1, collection_grants},
        {"remove", "NAME", 1, 1, collection_remove},
    };

    return tars_admin_run(cli, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

/* ------------------------------------------------------------------ tenants */

/* The options that are given, as fields of body. */
static tars_status add_limits(struct tars_admin *admin, json_t *body, struct tars_err *err)
{
    static const char *const names[][2] = {{"max-documents", "max_documents"},
                                           {"max-bytes", "max_bytes"},
                                           {"max-questions", "max_questions_day"}};
    const char *title = tars_cli_value(admin->cli, "title");

    if (title && json_object_set_new(body, "title", json_string(title)))
        return bad_text(err);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        long value;

        if (!tars_cli_int(admin->cli, names[i][0], 0, 0, LONG_MAX, &value))
            return tars_fail(TARS_EINVAL, err, "see tars tenant --help");
        if (tars_cli_value(admin->cli, names[i][0]) &&
            json_object_set_new(body, names[i][1], json_integer(value)))
            return TARS_ENOMEM;
    }
    return TARS_OK;
}

static tars_status with_limits(struct tars_admin *admin, enum tars_http_method method, json_t *body,
                               const char *path, const char *said, struct tars_err *err)
{
    tars_status status = body ? add_limits(admin, body, err) : bad_text(err);

    if (status == TARS_OK)
        return change(admin, method, body, path, said, err);
    json_decref(body);
    return status;
}

static tars_status tenant_add(struct tars_admin *admin, struct tars_err *err)
{
    return with_limits(admin, TARS_HTTP_POST, json_pack("{s:s}", "name", admin->arguments[0]),
                       "/admin/tenants", "added", err);
}

static tars_status tenant_set(struct tars_admin *admin, struct tars_err *err)
{
    return with_limits(admin, TARS_HTTP_PATCH, json_object(), "/admin/tenants/%s", "changed", err);
}

static void print_tenant(const json_t *tenant)
{
    printf("%-24s %-9s %10.0f documents %14.0f bytes %8.0f questions a day  %s\n",
           tars_admin_text(tenant, "name"),
           tars_admin_flag(tenant, "disabled") ? "disabled" : "enabled",
           tars_object_number(tenant, "max_documents"), tars_object_number(tenant, "max_bytes"),
           tars_object_number(tenant, "max_questions_day"), tars_admin_text(tenant, "title"));
}

static tars_status tenant_list(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status = tars_admin_ask(admin, TARS_HTTP_GET, NULL, err, "/admin/tenants", NULL);

    if (status == TARS_OK)
        tars_admin_print_list(admin, "tenants", print_tenant);
    return status;
}

static tars_status tenant_disable(struct tars_admin *admin, struct tars_err *err)
{
    return change(admin, TARS_HTTP_PATCH, json_pack("{s:b}", "disabled", 1), "/admin/tenants/%s",
                  "disabled", err);
}

static tars_status tenant_enable(struct tars_admin *admin, struct tars_err *err)
{
    return change(admin, TARS_HTTP_PATCH, json_pack("{s:b}", "disabled", 0), "/admin/tenants/%s",
                  "enabled", err);
}

static void print_usage(const json_t *usage)
{
    static const char *const names[][2] = {{"documents", "max_documents"},
                                           {"bytes", "max_bytes"},
                                           {"questions_today", "max_questions_day"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        double limit = tars_object_number(usage, names[i][1]);

        printf("%-16s %.0f", names[i][0], tars_object_number(usage, names[i][0]));
        if (limit > 0)
            printf(" of %.0f", limit);
        printf("\n");
    }
}

static tars_status tenant_usage(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status = tars_admin_ask(admin, TARS_HTTP_GET, NULL, err, "/admin/tenants/%s/usage",
                                        admin->arguments[0], NULL);

    if (status == TARS_OK)
        tars_admin_print_object(admin, print_usage);
    return status;
}

static void print_export(const json_t *done)
{
    printf("%s\n", tars_object_text(done, "path"));
}

static tars_status tenant_export(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status = tars_admin_ask(admin, TARS_HTTP_POST, NULL, err,
                                        "/admin/tenants/%s/export", admin->arguments[0], NULL);

    if (status == TARS_OK)
        tars_admin_print_object(admin, print_export);
    return status;
}

static tars_status tenant_remove(struct tars_admin *admin, struct tars_err *err)
{
    return change(admin, TARS_HTTP_DELETE, NULL, "/admin/tenants/%s", "removed", err);
}

int tars_cmd_tenant(struct tars_cli *cli)
{
    static const struct tars_admin_verb verbs[] = {
        {"add", "NAME", 1, 1, tenant_add},       {"list", "", 0, 0, tenant_list},
        {"set", "NAME", 1, 1, tenant_set},       {"disable", "NAME", 1, 1, tenant_disable},
        {"usage", "NAME", 1, 1, tenant_usage},   {"export", "NAME", 1, 1, tenant_export},
        {"enable", "NAME", 1, 1, tenant_enable}, {"remove", "NAME", 1, 1, tenant_remove},
    };

    return tars_admin_run(cli, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

/* -------------------------------------------------------------------- audit */

static void print_entry(const json_t *entry)
{
    printf("%8.0f  %-26s %-12s %-20s %-24s %-6s %s\n", tars_object_number(entry, "id"),
           tars_admin_text(entry, "time"), tars_admin_text(entry, "tenant"),
           tars_admin_text(entry, "actor"), tars_admin_text(entry, "action"),
           tars_admin_flag(entry, "success") ? "done" : "failed", tars_admin_text(entry, "object"));
}

static tars_status audit_list(struct tars_admin *admin, struct tars_err *err)
{
    const char *actor = tars_cli_value(admin->cli, "actor");
    const char *action = tars_cli_value(admin->cli, "action");
    const char *before = tars_cli_value(admin->cli, "before");
    const char *limit = tars_cli_value(admin->cli, "limit");
    const char *path = actor && action ? "/admin/audit?limit=%s&before=%s&actor=%s&action=%s"
                       : action        ? "/admin/audit?limit=%s&before=%s&action=%s"
                       : actor         ? "/admin/audit?limit=%s&before=%s&actor=%s"
                                       : "/admin/audit?limit=%s&before=%s";
    tars_status status =
        tars_admin_ask(admin, TARS_HTTP_GET, NULL, err, path, limit ? limit : "50",
                       before ? before : "0", actor ? actor : action, action, NULL);

    if (status == TARS_OK)
        tars_admin_print_list(admin, "entries", print_entry);
    return status;
}

int tars_cmd_audit(struct tars_cli *cli)
{
    static const struct tars_admin_verb verbs[] = {{"list", "", 0, 0, audit_list}};

    return tars_admin_run(cli, verbs, sizeof(verbs) / sizeof(verbs[0]));
}
