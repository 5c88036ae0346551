/* admin - what the commands about people and rights share: `tars user add office` is a verb of a
 * command, and each verb asks one route of /admin, over a running server with the owner's token or
 * in this process (app/session.h).
 */
#ifndef TARS_APP_ADMIN_H
#define TARS_APP_ADMIN_H

#include <jansson.h>

#include "app/command.h"
#include "app/session.h"

/* One verb under way. */
struct tars_admin {
    struct tars_cli *cli;
    struct tars_session *session;
    struct tars_buf reply;  /* body of the last answer */
    const char **arguments; /* behind the verb; (count,) */
    size_t count;
};

struct tars_admin_verb {
    const char *name;
    const char *arguments; /* "NAME ROLE", for the message when they are wrong */
    size_t least, most;    /* how many */
    tars_status (*run)(struct tars_admin *admin, struct tars_err *err);
};

/* Find and run the verb; the exit status. verbs: (count,). */
int tars_admin_run(struct tars_cli *cli, const struct tars_admin_verb *verbs, size_t count);

/* Ask a route. The path is a format whose %s are arguments, percent-encoded here; --tenant, where
 * the command has it, is added. body: taken; NULL: none. */
TARS_MUST_USE tars_status tars_admin_ask(struct tars_admin *admin, enum tars_http_method method,
                                         json_t *body, struct tars_err *err, const char *path, ...)
    __attribute__((sentinel));

/* The reply as it is, with --json; false without. */
bool tars_admin_print_json(const struct tars_admin *admin);
/* "what NAME" on standard output, or the reply with --json. */
void tars_admin_say(const struct tars_admin *admin, const char *what, const char *name);
/* A line for each object of a list in the reply, or the reply with --json. */
void tars_admin_print_list(const struct tars_admin *admin, const char *name,
                           void (*print)(const json_t *object));
/* The reply, an object, given to print; or as it is, with --json. */
void tars_admin_print_object(const struct tars_admin *admin, void (*print)(const json_t *object));
/* A text of an object, "-" when it is empty or absent. */
const char *tars_admin_text(const json_t *object, const char *name);
bool tars_admin_flag(const json_t *object, const char *name);

#endif
