/* cmd_user - who may sign in, and with what: user, token. Secrets come from the terminal or from
 * standard input, never from the command line. */
#include <stdio.h>
#include <string.h>

#include "app/admin.h"
#include "app/lines.h"
#include "app/prompt.h"

const struct tars_option tars_options_user[] = {
    {"role", 'r', "ROLE", NULL, "reader, writer or admin (reader)"},
    {"client", 0, NULL, NULL, "It is a program, not a person"},
    {"make-secret", 'm', NULL, NULL, "Have a secret made, and print it this once"},
    {"no-secret", 0, NULL, NULL, "It signs in with API keys or a provider alone"},
    {"tenant", 't', "NAME", NULL, "Of this tenant (default)"},
    {NULL, 0, NULL, NULL, NULL},
};
const struct tars_option tars_options_token[] = {
    {"role", 'r', "ROLE", NULL, "The key may do at most what this role may"},
    {"label", 'l', "TEXT", NULL, "What the key is for"},
    {"days", 0, "N", NULL, "The key is good for so many days (for ever)"},
    {"tenant", 't', "NAME", NULL, "Of this tenant (default)"},
    {NULL, 0, NULL, NULL, NULL},
};

#define DAYS_MAX 36500

/* A text of the reply, printed alone: what is told once. */
static void print_told(const struct tars_admin *admin, const char *name)
{
    json_t *root = NULL;

    if (tars_admin_print_json(admin))
        return;
    root = admin->reply.ptr ? json_loadb(admin->reply.ptr, admin->reply.len, 0, NULL) : NULL;
    printf("%s\n", tars_object_text(root, name));
    json_decref(root);
}

/* -------------------------------------------------------------------- users */

/* Ask for a secret and put it into body, or ask that one be made. */
static tars_status add_secret(struct tars_admin *admin, const char *name, json_t *body,
                              struct tars_err *err)
{
    const char *what = tars_arena_printf(&admin->cli->arena, "Secret for %s", name);
    const char *secret;
    tars_status status;

    if (tars_cli_value(admin->cli, "no-secret"))
        return TARS_OK;
    if (tars_cli_value(admin->cli, "make-secret"))
        return json_object_set_new(body, "make_secret", json_true()) ? TARS_ENOMEM : TARS_OK;
    status = tars_prompt_secret(what ? what : "Secret", &admin->cli->arena, &secret, err);
    if (status != TARS_OK)
        return status;
    if (json_object_set_new(body, "secret", json_string(secret)))
        return tars_fail(TARS_EINVAL, err, "the secret is not valid UTF-8");
    return TARS_OK;
}

static tars_status user_add(struct tars_admin *admin, struct tars_err *err)
{
    const char *name = admin->arguments[0];
    const char *role = tars_cli_value(admin->cli, "role");
    json_t *body = json_pack("{s:s,s:s,s:s}", "name", name, "role", role ? role : "reader", "kind",
                             tars_cli_value(admin->cli, "client") ? "client" : "user");
    tars_status status;

    if (!body)
        return tars_fail(TARS_EINVAL, err, "the name is not valid UTF-8");
    status = add_secret(admin, name, body, err);
    if (status != TARS_OK) {
        json_decref(body);
        return status;
    }
    status = tars_admin_ask(admin, TARS_HTTP_POST, body, err, "/admin/users", NULL);
    if (status != TARS_OK)
        return status;
    if (tars_cli_value(admin->cli, "make-secret")) {
        print_told(admin, "secret");
    } else {
        tars_admin_say(admin, "added", name);
    }
    return TARS_OK;
}

static void print_user(const json_t *user)
{
    printf("%-24s %-7s %-7s %-9s %s\n", tars_admin_text(user, "name"),
           tars_admin_text(user, "kind"), tars_admin_text(user, "role"),
           tars_admin_flag(user, "disabled") ? "disabled" : "enabled",
           tars_admin_text(user, "used_at"));
}

static tars_status user_list(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status = tars_admin_ask(admin, TARS_HTTP_GET, NULL, err, "/admin/users", NULL);

    if (status == TARS_OK)
        tars_admin_print_list(admin, "users", print_user);
    return status;
}

static tars_status change_user(struct tars_admin *admin, json_t *body, const char *what,
                               struct tars_err *err)
{
    tars_status status;

    if (!body)
        return tars_fail(TARS_EINVAL, err, "an argument is not valid UTF-8");
    status = tars_admin_ask(admin, TARS_HTTP_PATCH, body, err, "/admin/users/%s",
                            admin->arguments[0], NULL);
    if (status == TARS_OK)
        tars_admin_say(admin, what, admin->arguments[0]);
    return status;
}

static tars_status user_role(struct tars_admin *admin, struct tars_err *err)
{
    return change_user(admin, json_pack("{s:s}", "role", admin->arguments[1]), "changed", err);
}

static tars_status user_disable(struct tars_admin *admin, struct tars_err *err)
{
    return change_user(admin, json_pack("{s:b}", "disabled", 1), "disabled", err);
}

static tars_status user_enable(struct tars_admin *admin, struct tars_err *err)
{
    return change_user(admin, json_pack("{s:b}", "disabled", 0), "enabled", err);
}

static tars_status user_secret(struct tars_admin *admin, struct tars_err *err)
{
    json_t *body = json_object();
    tars_status status = body ? add_secret(admin, admin->arguments[0], body, err) : TARS_ENOMEM;

    if (status != TARS_OK) {
        json_decref(body);
        return status;
    }
    status = tars_admin_ask(admin, TARS_HTTP_PATCH, body, err, "/admin/users/%s",
                            admin->arguments[0], NULL);
    if (status != TARS_OK)
        return status;
    if (tars_cli_value(admin->cli, "make-secret")) {
        print_told(admin, "secret");
    } else {
        tars_admin_say(admin, "changed", admin->arguments[0]);
    }
    return TARS_OK;
}

static tars_status user_remove(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status = tars_admin_ask(admin, TARS_HTTP_DELETE, NULL, err, "/admin/users/%s",
                                        admin->arguments[0], NULL);

    if (status == TARS_OK)
        tars_admin_say(admin, "removed", admin->arguments[0]);
    return status;
}

int tars_cmd_user(struct tars_cli *cli)
{
    static const struct tars_admin_verb verbs[] = {
        {"add", "NAME", 1, 1, user_add},         {"list", "", 0, 0, user_list},
        {"role", "NAME ROLE", 2, 2, user_role},  {"secret", "NAME", 1, 1, user_secret},
        {"disable", "NAME", 1, 1, user_disable}, {"enable", "NAME", 1, 1, user_enable},
        {"remove", "NAME", 1, 1, user_remove},
    };

    return tars_admin_run(cli, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

/* ------------------------------------------------------------------- tokens */

static tars_status token_issue(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status = tars_admin_ask(admin, TARS_HTTP_POST, NULL, err, "/admin/users/%s/tokens",
                                        admin->arguments[0], NULL);

    if (status == TARS_OK)
        print_told(admin, "access_token");
    return status;
}

static tars_status token_create(struct tars_admin *admin, struct tars_err *err)
{
    const char *role = tars_cli_value(admin->cli, "role");
    const char *label = tars_cli_value(admin->cli, "label");
    tars_status status;
    json_t *body;
    long days;

    if (!tars_cli_int(admin->cli, "days", 0, 1, DAYS_MAX, &days))
        return tars_fail(TARS_EINVAL, err, "see tars token --help");
    body = json_pack("{s:s?,s:s,s:o*}", "role", role, "label", label ? label : "",
                     "expires_in_days", days ? json_integer(days) : NULL); /* absent: for ever */
    if (!body)
        return tars_fail(TARS_EINVAL, err, "an argument is not valid UTF-8");
    status = tars_admin_ask(admin, TARS_HTTP_POST, body, err, "/admin/users/%s/keys",
                            admin->arguments[0], NULL);
    if (status == TARS_OK)
        print_told(admin, "key");
    return status;
}

static void print_key(const json_t *key)
{
    printf("%6.0f  %-20s %-16s %-7s %-8s %-26s %s\n", tars_object_number(key, "id"),
           tars_admin_text(key, "account"), tars_admin_text(key, "prefix"),
           tars_admin_text(key, "role"), tars_admin_flag(key, "revoked") ? "revoked" : "good",
           tars_admin_text(key, "expires_at"), tars_admin_text(key, "label"));
}

static tars_status token_list(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status = admin->count > 0
                             ? tars_admin_ask(admin, TARS_HTTP_GET, NULL, err,
                                              "/admin/users/%s/keys", admin->arguments[0], NULL)
                             : tars_admin_ask(admin, TARS_HTTP_GET, NULL, err, "/admin/keys", NULL);

    if (status == TARS_OK)
        tars_admin_print_list(admin, "keys", print_key);
    return status;
}

static tars_status token_revoke(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status = tars_admin_ask(admin, TARS_HTTP_DELETE, NULL, err, "/admin/keys/%s",
                                        admin->arguments[0], NULL);

    if (status == TARS_OK)
        tars_admin_say(admin, "revoked", admin->arguments[0]);
    return status;
}

int tars_cmd_token(struct tars_cli *cli)
{
    static const struct tars_admin_verb verbs[] = {
        {"issue", "NAME", 1, 1, token_issue},
        {"create", "NAME", 1, 1, token_create},
        {"list", "[NAME]", 0, 1, token_list},
        {"revoke", "ID", 1, 1, token_revoke},
    };

    return tars_admin_run(cli, verbs, sizeof(verbs) / sizeof(verbs[0]));
}
