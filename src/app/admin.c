/* admin - see admin.h for the contract. */
#include "app/admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/lines.h"
#include "base/codec/url.h"

#define REPLY_MAX  ((size_t)64 << 20)
#define PATH_BYTES ((size_t)16 << 10)

static const struct tars_admin_verb *find(const struct tars_cli *cli,
                                          const struct tars_admin_verb *verbs, size_t count)
{
    const char *wanted = cli->argument_count > 0 ? cli->arguments[0] : "list";

    for (size_t i = 0; i < count; i++) {
        if (strcmp(verbs[i].name, wanted) == 0)
            return &verbs[i];
    }
    tars_cli_complain("%s %s is not known; see tars %s --help", cli->command->name, wanted,
                      cli->command->name);
    return NULL;
}

int tars_admin_run(struct tars_cli *cli, const struct tars_admin_verb *verbs, size_t count)
{
    const struct tars_admin_verb *verb = find(cli, verbs, count);
    size_t given = cli->argument_count > 0 ? cli->argument_count - 1 : 0;
    struct tars_admin admin = {.cli = cli, .arguments = cli->arguments + 1, .count = given};
    struct tars_err err = {{0}};
    tars_status status;

    if (!verb)
        return TARS_EXIT_USAGE;
    if (given < verb->least || given > verb->most) {
        tars_cli_complain("expected tars %s %s%s%s", cli->command->name, verb->name,
                          verb->arguments[0] ? " " : "", verb->arguments);
        return TARS_EXIT_USAGE;
    }
    tars_buf_init(&admin.reply, REPLY_MAX);
    status = tars_session_open(cli, false, &admin.session, &err);
    if (status == TARS_OK)
        status = verb->run(&admin, &err);
    if (status != TARS_OK && !tars_lifecycle_is_over(cli->lifecycle))
        tars_cli_complain("%s", err.text[0] ? err.text : tars_status_text(status));
    tars_session_close(admin.session);
    tars_buf_release(&admin.reply);
    return tars_cli_exit(cli, status);
}

/* ------------------------------------------------------------------- asking */

static void write_path(struct tars_admin *admin, struct tars_buf *out, const char *path, va_list ap)
{
    const char *tenant = tars_cli_value(admin->cli, "tenant");
    bool has_query = false;

    for (const char *at = path; *at; at++) {
        has_query = has_query || *at == '?';
        if (at[0] == '%' && at[1] == 's') {
            tars_url_encode(out, tars_span_of(va_arg(ap, const char *)));
            at++;
        } else {
            tars_buf_append_char(out, *at);
        }
    }
    if (tenant) {
        tars_buf_append_text(out, has_query ? "&tenant=" : "?tenant=");
        tars_url_encode(out, tars_span_of(tenant));
    }
}

tars_status tars_admin_ask(struct tars_admin *admin, enum tars_http_method method, json_t *body,
                           struct tars_err *err, const char *path, ...)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct tars_buf target;
    tars_status status;
    va_list ap;

    if (body && !text) {
        json_decref(body);
        return tars_fail(TARS_EINVAL, err, "an argument is not valid UTF-8");
    }
    tars_buf_init(&target, PATH_BYTES);
    va_start(ap, path);
    write_path(admin, &target, path, ap);
    va_end(ap);
    status = target.status;
    if (status == TARS_OK) {
        status = tars_session_ask(admin->session, method, target.ptr, text ? text : "",
                                  &admin->reply, err);
    }
    tars_buf_release(&target);
    if (text)
        explicit_bzero(text, strlen(text)); /* it may hold a secret */
    free(text);
    json_decref(body);
    return status;
}

/* ----------------------------------------------------------------- printing */

bool tars_admin_print_json(const struct tars_admin *admin)
{
    if (admin->cli->json)
        printf("%s\n", admin->reply.ptr ? admin->reply.ptr : "{}");
    return admin->cli->json;
}

void tars_admin_say(const struct tars_admin *admin, const char *what, const char *name)
{
    if (!tars_admin_print_json(admin))
        printf("%s %s\n", what, name);
}

void tars_admin_print_list(const struct tars_admin *admin, const char *name,
                           void (*print)(const json_t *object))
{
    json_t *root;
    const json_t *list;

    if (tars_admin_print_json(admin))
        return;
    root = admin->reply.ptr ? json_loadb(admin->reply.ptr, admin->reply.len, 0, NULL) : NULL;
    list = json_object_get(root, name);
    for (size_t i = 0; i < json_array_size(list); i++)
        print(json_array_get(list, i));
    if (json_array_size(list) == 0)
        printf("No %s.\n", name);
    json_decref(root);
}

void tars_admin_print_object(const struct tars_admin *admin, void (*print)(const json_t *object))
{
    json_t *root;

    if (tars_admin_print_json(admin))
        return;
    root = admin->reply.ptr ? json_loadb(admin->reply.ptr, admin->reply.len, 0, NULL) : NULL;
    print(root);
    json_decref(root);
}

const char *tars_admin_text(const json_t *object, const char *name)
{
    const char *text = tars_object_text(object, name);

    return text[0] ? text : "-";
}

bool tars_admin_flag(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}
