/* main - the program tars: read the command line and the settings, run one command. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "app/options.h"
#include "net/client.h"

#define ARENA_MAX ((size_t)64 << 20)

/* Commands speak to people on standard error themselves: what the rooms log is only shown there
 * when it is a warning. The server logs as the settings say. */
static tars_status open_log(struct tars_cli *cli)
{
    bool serves = strcmp(cli->command->name, "serve") == 0;
    bool is_default =
        tars_settings_origin(cli->settings, TARS_SET_LOG_LEVEL) == TARS_ORIGIN_DEFAULT;
    struct tars_log_config config = {
        .text =
            !serves || strcmp(tars_settings_text(cli->settings, TARS_SET_LOG_FORMAT), "text") == 0,
    };

    if (!tars_log_level_parse(tars_settings_text(cli->settings, TARS_SET_LOG_LEVEL), &config.level))
        config.level = TARS_LOG_INFO;
    if (!serves && is_default)
        config.level = TARS_LOG_ERROR;
    return tars_log_new(&config, &cli->log);
}

static tars_status load_settings(struct tars_cli *cli, const struct tars_parsed *parsed,
                                 struct tars_err *err)
{
    struct tars_buf warnings;
    tars_status status;

    cli->names_file = parsed->env_file != NULL;
    cli->sources = (struct tars_settings_config){
        .overrides = parsed->overrides,
        .override_count = parsed->override_count,
        .environment = (const char *const *)environ,
        .dotenv_path = parsed->env_file ? parsed->env_file : ".env",
    };
    if (parsed->env_file && access(parsed->env_file, R_OK) != 0)
        return tars_fail(TARS_EINVAL, err, "--env-file %s cannot be read", parsed->env_file);
    tars_buf_init(&warnings, (size_t)64 << 10);
    status = tars_settings_load(&cli->sources, &cli->settings, &warnings, err);
    if (warnings.len > 0)
        (void)fprintf(stderr, "tars: warning: %s", warnings.ptr);
    tars_buf_release(&warnings);
    return status;
}

static int run(struct tars_cli *cli, int argc, char **argv)
{
    struct tars_parsed parsed;
    struct tars_err err = {{0}};
    tars_status status = tars_options_parse(argc, argv, cli, &parsed, &err);

    if (status == TARS_OK && (!parsed.command || parsed.wants_help)) {
        tars_options_print(parsed.command);
        return parsed.wants_help ? TARS_EXIT_OK : TARS_EXIT_USAGE;
    }
    if (status == TARS_OK)
        status = load_settings(cli, &parsed, &err);
    if (status == TARS_OK)
        status = open_log(cli);
    if (status == TARS_OK)
        status = tars_client_global_init();
    if (status != TARS_OK) {
        tars_cli_complain("%s", err.text[0] ? err.text : tars_status_text(status));
        return tars_cli_exit(cli, status);
    }
    return cli->command->run(cli);
}

int main(int argc, char **argv)
{
    struct tars_cli cli = {0};
    int code = TARS_EXIT_FAILED;

    tars_arena_init(&cli.arena, ARENA_MAX);
    if (tars_lifecycle_new(&cli.lifecycle) == TARS_OK)
        code = run(&cli, argc, argv);
    tars_client_global_cleanup();
    tars_log_free(cli.log);
    tars_settings_free(cli.settings);
    tars_lifecycle_free(cli.lifecycle);
    tars_arena_release(&cli.arena);
    if (fflush(stdout) != 0 && code == TARS_EXIT_OK)
        code = TARS_EXIT_FAILED;
    return code;
}
