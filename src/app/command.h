/* command - one run of the program: its command, options, settings, and how commands are declared.
 *
 * Exit statuses, the same for every command:
 *
 *     0   done
 *     1   done in part, or a check found something (a file failed, a document was not there)
 *     2   used wrongly: unknown option, wrong value of a setting
 *     3   could not be done: data folder in use, server away, no disk
 *     130 stopped by Ctrl-C or SIGTERM
 */
#ifndef TARS_APP_COMMAND_H
#define TARS_APP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "app/lifecycle.h"
#include "app/settings.h"
#include "base/mem/arena.h"
#include "obs/log.h"

enum {
    TARS_EXIT_OK = 0,
    TARS_EXIT_PARTLY = 1,
    TARS_EXIT_USAGE = 2,
    TARS_EXIT_FAILED = 3,
    TARS_EXIT_STOPPED = 130
};

#define TARS_OPTIONS_MAX 16

struct tars_option {
    const char *name;    /* "top-k"; NULL ends a table */
    char letter;         /* 'k', or 0 */
    const char *value;   /* "N" in the help; NULL: a flag */
    const char *setting; /* name of the setting that it gives, or NULL */
    const char *help;
};

struct tars_cli;
typedef int tars_command_fn(struct tars_cli *cli);

struct tars_command {
    const char *name;
    const char *usage;
    const char *summary;
    const struct tars_option *options; /* ends with a name of NULL */
    tars_command_fn *run;
};

/* All commands; *count of them. */
const struct tars_command *tars_commands(size_t *count);
/* NULL when there is none of that name. */
const struct tars_command *tars_command_find(const char *name);

struct tars_cli {
    const struct tars_command *command;
    const char *values[TARS_OPTIONS_MAX]; /* as given, in the order of the table; "" for a flag */
    const char **arguments;               /* (argument_count,) */
    size_t argument_count;
    bool json;                           /* --json */
    struct tars_settings *settings;      /* loaded */
    struct tars_settings_config sources; /* where from; borrowed for the run */
    bool names_file;                     /* --env-file was given */
    struct tars_log *log;                /* for the rooms below */
    struct tars_lifecycle *lifecycle;
    struct tars_arena arena; /* of the run */
};

/* The value of an option, "" for a flag that is given, NULL when it is not. */
const char *tars_cli_value(const struct tars_cli *cli, const char *option);
/* A whole number; absent when it is not given. False, with a message, when it is none in bounds. */
bool tars_cli_int(const struct tars_cli *cli, const char *option, long absent, long min, long max,
                  long *value);
bool tars_cli_real(const struct tars_cli *cli, const char *option, double absent, double min,
                   double max, double *value);
/* All arguments, joined by spaces. */
const char *tars_cli_joined(struct tars_cli *cli);
/* Say on standard error what no passage, title or heading holds as query demands it; unmet may be
 * empty. */
void tars_cli_tell_unmet(const char *query, const char *unmet);

/* "tars: ..." on standard error. */
__attribute__((format(printf, 1, 2))) void tars_cli_complain(const char *format, ...);
/* The exit status that goes with a room's status. */
int tars_cli_exit(const struct tars_cli *cli, tars_status status);

#define TARS_COMMAND(name, usage, summary) TARS_COMMAND_AS(name, #name, usage, summary)
#define TARS_COMMAND_AS(name, word, usage, summary)        \
    extern const struct tars_option tars_options_##name[]; \
    tars_command_fn tars_cmd_##name;
#include "app/commands.def"
#undef TARS_COMMAND_AS
#undef TARS_COMMAND

#endif
