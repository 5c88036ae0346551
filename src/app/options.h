/* options - a command line into a command, its options, its arguments and settings.
 *
 *     tars [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]
 *
 * --name VALUE, --name=VALUE, -n VALUE; "--" ends options. Every command knows the global ones:
 * --help, --json, --data DIR, --env-file FILE, --set NAME=VALUE.
 */
#ifndef TARS_APP_OPTIONS_H
#define TARS_APP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "app/command.h"
#include "app/settings.h"
#include "base/status.h"

#define TARS_OVERRIDES_MAX 64

struct tars_parsed {
    const struct tars_command *command; /* NULL when none is named */
    bool wants_help;
    const char *env_file; /* NULL: .env */
    struct tars_setting_override overrides[TARS_OVERRIDES_MAX];
    size_t override_count;
};

/* Fills cli's command, values, arguments and json too. EINVAL with words. Texts are lent by argv
 * or live in cli's arena. */
TARS_MUST_USE tars_status tars_options_parse(int argc, char **argv, struct tars_cli *cli,
                                             struct tars_parsed *parsed, struct tars_err *err);

/* The help of a command, or of all when it is NULL, on standard output. */
void tars_options_print(const struct tars_command *command);

#endif
