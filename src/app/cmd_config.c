/* cmd_config - effective settings, each with its origin. */
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "base/codec/json_write.h"

#define OUTPUT_MAX ((size_t)1 << 20)

const struct tars_option tars_options_config[] = {
    {"all", 'a', NULL, NULL, "Also settings that nothing in this version reads"},
    {"changed", 'c', NULL, NULL, "Only settings that are not at their default"},
    {NULL, 0, NULL, NULL, NULL},
};

static bool is_named(const struct tars_cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->argument_count; i++) {
        if (strcmp(cli->arguments[i], name) == 0)
            return true;
    }
    return cli->argument_count == 0;
}

static bool is_shown(const struct tars_cli *cli, enum tars_setting id,
                     const struct tars_setting_info *info)
{
    bool is_default = tars_settings_origin(cli->settings, id) == TARS_ORIGIN_DEFAULT;

    if (cli->argument_count > 0)
        return is_named(cli, info->name);
    if (tars_cli_value(cli, "changed"))
        return !is_default;
    return !info->is_unused || !is_default || tars_cli_value(cli, "all");
}

static void print_setting(const struct tars_cli *cli, enum tars_setting id,
                          const struct tars_setting_info *info)
{
    const char *note = info->is_unused     ? " (not used by this version)"
                       : info->is_reloaded ? " (SIGHUP reads it again)"
                                           : "";

    printf("%-30s %-42s %s%s\n", info->name, info->value[0] ? info->value : "\"\"",
           tars_setting_origin_text(tars_settings_origin(cli->settings, id)), note);
}

static void write_setting(const struct tars_cli *cli, enum tars_setting id,
                          const struct tars_setting_info *info, struct tars_json *json)
{
    tars_json_object(json, info->name);
    tars_json_text(json, "value", info->value);
    tars_json_text(json, "origin",
                   tars_setting_origin_text(tars_settings_origin(cli->settings, id)));
    tars_json_bool(json, "used", !info->is_unused);
    tars_json_bool(json, "reloaded", info->is_reloaded);
    tars_json_text(json, "help", info->help);
    tars_json_end(json);
}

int tars_cmd_config(struct tars_cli *cli)
{
    struct tars_buf text;
    struct tars_json json;
    size_t shown = 0;

    tars_buf_init(&text, OUTPUT_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    for (int i = 0; i < TARS_SETTING_COUNT; i++) {
        enum tars_setting id = (enum tars_setting)i;
        struct tars_setting_info info = tars_settings_info(cli->settings, id);

        if (!is_shown(cli, id, &info))
            continue;
        shown++;
        if (cli->json) {
            write_setting(cli, id, &info, &json);
        } else {
            print_setting(cli, id, &info);
        }
    }
    tars_json_end(&json);
    if (cli->json)
        printf("%s\n", text.status == TARS_OK ? text.ptr : "{}");
    tars_buf_release(&text);
    if (shown == 0 && cli->argument_count > 0) {
        tars_cli_complain("%s is not a setting; tars config --all lists them", cli->arguments[0]);
        return TARS_EXIT_USAGE;
    }
    return TARS_EXIT_OK;
}
