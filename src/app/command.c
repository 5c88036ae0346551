/* command - see command.h for the contract. */
#include "app/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem/buf.h"
#include "retrieve/wording.h"

static const struct tars_command table[] = {
#define TARS_COMMAND(name, usage, summary) TARS_COMMAND_AS(name, #name, usage, summary)
#define TARS_COMMAND_AS(name, word, usage, summary) \
    {word, usage, summary, tars_options_##name, tars_cmd_##name},
#include "app/commands.def"
#undef TARS_COMMAND_AS
#undef TARS_COMMAND
};

#define COMMANDS (sizeof(table) / sizeof(table[0]))

const struct tars_command *tars_commands(size_t *count)
{
    *count = COMMANDS;
    return table;
}

const struct tars_command *tars_command_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    }
    return NULL;
}

const char *tars_cli_value(const struct tars_cli *cli, const char *option)
{
    for (size_t i = 0; cli->command->options[i].name; i++) {
        if (strcmp(cli->command->options[i].name, option) == 0)
            return cli->values[i];
    }
    return NULL;
}

bool tars_cli_int(const struct tars_cli *cli, const char *option, long absent, long min, long max,
                  long *value)
{
    const char *text = tars_cli_value(cli, option);
    char *end = NULL;

    *value = absent;
    if (!text)
        return true;
    errno = 0;
    *value = strtol(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *value >= min && *value <= max)
        return true;
    tars_cli_complain("--%s is \"%s\": expected a whole number from %ld to %ld", option, text, min,
                      max);
    return false;
}

bool tars_cli_real(const struct tars_cli *cli, const char *option, double absent, double min,
                   double max, double *value)
{
    const char *text = tars_cli_value(cli, option);
    char *end = NULL;

    *value = absent;
    if (!text)
        return true;
    *value = strtod(text, &end);
    if (end != text && *end == '\0' && *value >= min && *value <= max)
        return true;
    tars_cli_complain("--%s is \"%s\": expected a number from %g to %g", option, text, min, max);
    return false;
}

const char *tars_cli_joined(struct tars_cli *cli)
{
    struct tars_buf text;
    const char *joined;

    tars_buf_init(&text, (size_t)1 << 20);
    for (size_t i = 0; i < cli->argument_count; i++) {
        if (i > 0)
            tars_buf_append_char(&text, ' ');
        tars_buf_append_text(&text, cli->arguments[i]);
    }
    joined = tars_arena_strndup(&cli->arena, text.ptr ? text.ptr : "", text.len);
    tars_buf_release(&text);
    return joined ? joined : "";
}

void tars_cli_complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fputs("tars: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

void tars_cli_tell_unmet(const char *query, const char *unmet)
{
    if (unmet[0]) {
        tars_cli_complain("no %s holds \"%s\"; searched for its words",
                          tars_wording_place(tars_span(query, strlen(query)), unmet), unmet);
    }
}

int tars_cli_exit(const struct tars_cli *cli, tars_status status)
{
    if (tars_lifecycle_is_over(cli->lifecycle))
        return TARS_EXIT_STOPPED;
    switch (status) {
    case TARS_OK:
        return TARS_EXIT_OK;
    case TARS_EINVAL:
        return TARS_EXIT_USAGE;
    case TARS_ENOTFOUND:
        return TARS_EXIT_PARTLY;
    default:
        return TARS_EXIT_FAILED;
    }
}
