/* options - see options.h for the contract. */
#include "app/options.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct tars_option globals[] = {
    {"help", 'h', NULL, NULL, "Explain"},
    {"json", 0, NULL, NULL, "JSON instead of text"},
    {"data", 'd', "DIR", "TARS_DATA", "The data folder"},
    {"env-file", 0, "FILE", NULL, "Read settings from FILE instead of .env"},
    {"set", 0, "NAME=VALUE", NULL, "Give a setting; see tars config"},
    {NULL, 0, NULL, NULL, NULL},
};

struct parser {
    char **argv;
    int argc;
    int at; /* the next word */
    struct tars_cli *cli;
    struct tars_parsed *parsed;
    struct tars_err *err;
};

/* An option as it was met. */
struct met {
    const struct tars_option *option;
    size_t place; /* in the command's table */
    bool is_global;
    const char *value;
};

static bool names(const struct tars_option *option, const char *text, size_t len, bool is_long)
{
    if (is_long)
        return strlen(option->name) == len && strncmp(option->name, text, len) == 0;
    return option->letter && len == 1 && option->letter == text[0];
}

static bool find_in(const struct tars_option *options, const char *text, size_t len, bool is_long,
                    struct met *met)
{
    for (size_t i = 0; options && options[i].name; i++) {
        if (names(&options[i], text, len, is_long)) {
            met->option = &options[i];
            met->place = i;
            return true;
        }
    }
    return false;
}

static tars_status add_override(struct parser *parser, const char *name, const char *value)
{
    struct tars_parsed *parsed = parser->parsed;

    if (parsed->override_count == TARS_OVERRIDES_MAX)
        return tars_fail(TARS_EINVAL, parser->err, "more than %d settings", TARS_OVERRIDES_MAX);
    parsed->overrides[parsed->override_count].name = name;
    parsed->overrides[parsed->override_count++].value = value;
    return TARS_OK;
}

static tars_status apply_global(struct parser *parser, const struct met *met)
{
    const char *name = met->option->name;
    const char *value = met->value ? met->value : "";
    const char *equals;

    if (strcmp(name, "help") == 0) {
        parser->parsed->wants_help = true;
    } else if (strcmp(name, "json") == 0) {
        parser->cli->json = true;
    } else if (strcmp(name, "env-file") == 0) {
        parser->parsed->env_file = met->value;
    } else if (met->option->setting) {
        return add_override(parser, met->option->setting, met->value);
    } else {
        equals = strchr(value, '=');
        name = equals ? tars_arena_strndup(&parser->cli->arena, value, (size_t)(equals - value))
                      : NULL;
        if (!name)
            return tars_fail(TARS_EINVAL, parser->err, "--set %s: expected NAME=VALUE", value);
        return add_override(parser, name, equals + 1);
    }
    return TARS_OK;
}

static tars_status apply(struct parser *parser, const struct met *met)
{
    if (met->is_global)
        return apply_global(parser, met);
    parser->cli->values[met->place] = met->value ? met->value : "";
    if (met->option->setting)
        return add_override(parser, met->option->setting, met->value ? met->value : "true");
    return TARS_OK;
}

/* A word that begins with '-', taken apart. */
struct word {
    const char *text;   /* behind the dashes */
    size_t len;         /* of the name */
    const char *equals; /* the '=' of --name=value, or NULL */
    bool is_long;
};

static struct word split(const char *word)
{
    struct word split = {.is_long = word[1] == '-'};

    split.text = word + (split.is_long ? 2 : 1);
    split.equals = split.is_long ? strchr(split.text, '=') : NULL;
    split.len = split.equals ? (size_t)(split.equals - split.text) : strlen(split.text);
    return split;
}

static tars_status find_option(struct parser *parser, const char *word, const struct word *split,
                               struct met *met)
{
    const struct tars_command *command = parser->parsed->command;
    const char *name = command ? command->name : "";

    if (find_in(command ? command->options : NULL, split->text, split->len, split->is_long, met))
        return TARS_OK;
    met->is_global = find_in(globals, split->text, split->len, split->is_long, met);
    if (met->is_global)
        return TARS_OK;
    return tars_fail(TARS_EINVAL, parser->err, "%s is not an option; see tars %s%s--help", word,
                     name, name[0] ? " " : "");
}

/* Its value comes from behind '=' or is the next word. */
static tars_status find_value(struct parser *parser, const struct word *split, struct met *met)
{
    const struct tars_option *option = met->option;

    assert(option);
    if (!option->value) {
        return split->equals
                   ? tars_fail(TARS_EINVAL, parser->err, "--%s takes no value", option->name)
                   : TARS_OK;
    }
    met->value = split->equals ? split->equals + 1 : NULL;
    if (!met->value && parser->at < parser->argc)
        met->value = parser->argv[parser->at++];
    if (met->value)
        return TARS_OK;
    return tars_fail(TARS_EINVAL, parser->err, "--%s needs %s", option->name, option->value);
}

static tars_status take_option(struct parser *parser, const char *word)
{
    struct word parts = split(word);
    struct met met = {0};
    tars_status status = find_option(parser, word, &parts, &met);

    if (status == TARS_OK)
        status = find_value(parser, &parts, &met);
    return status == TARS_OK ? apply(parser, &met) : status;
}

static tars_status take_argument(struct parser *parser, const char *word)
{
    struct tars_cli *cli = parser->cli;

    if (parser->parsed->command) {
        cli->arguments[cli->argument_count++] = word;
        return TARS_OK;
    }
    parser->parsed->command = cli->command = tars_command_find(word);
    if (!cli->command)
        return tars_fail(TARS_EINVAL, parser->err, "%s is not a command; see tars help", word);
    return TARS_OK;
}

tars_status tars_options_parse(int argc, char **argv, struct tars_cli *cli,
                               struct tars_parsed *parsed, struct tars_err *err)
{
    struct parser parser = {argv, argc, 1, cli, parsed, err};
    tars_status status = TARS_OK;
    bool options_ended = false;

    *parsed = (struct tars_parsed){0};
    cli->arguments = tars_arena_calloc(&cli->arena, (size_t)argc + 1, sizeof(*cli->arguments));
    if (!cli->arguments)
        return tars_fail(TARS_ENOMEM, err, "no memory for the command line");
    while (parser.at < argc && status == TARS_OK) {
        const char *word = argv[parser.at++];

        if (!options_ended && strcmp(word, "--") == 0) {
            options_ended = true;
        } else if (!options_ended && word[0] == '-' && word[1] != '\0') {
            status = take_option(&parser, word);
        } else {
            status = take_argument(&parser, word);
        }
    }
    return status;
}

/* --------------------------------------------------------------------- help */

static void print_options(const struct tars_option *options)
{
    char left[64];

    for (; options->name; options++) {
        char letter[8] = "    ";

        if (options->letter)
            (void)snprintf(letter, sizeof(letter), "-%c, ", options->letter);
        (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, options->name,
                       options->value ? " " : "", options->value ? options->value : "");
        printf("  %-30s %s\n", left, options->help);
    }
}

static void help_all(void)
{
    size_t count;
    const struct tars_command *commands = tars_commands(&count);

    printf("tars - answers questions from your own documents, on your own machine\n\n"
           "usage: tars COMMAND [OPTIONS] [ARGUMENTS]\n\n");
    for (size_t i = 0; i < count; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    printf("\nEvery command knows:\n");
    print_options(globals);
    printf("\ntars COMMAND --help explains a command; tars config lists all settings.\n"
           "Exit status: 0 done, 1 in part, 2 used wrongly, 3 could not be done, 130 stopped.\n");
}

void tars_options_print(const struct tars_command *command)
{
    if (!command) {
        help_all();
        return;
    }
    printf("usage: tars %s [OPTIONS]%s%s\n\n%s.\n\n", command->name, command->usage[0] ? " " : "",
           command->usage, command->summary);
    print_options(command->options);
    print_options(globals);
}
