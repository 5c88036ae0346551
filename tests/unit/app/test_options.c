/* Unit tests of app/options and app/command: a row is a command line and what is understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/command.h"
#include "app/options.h"

#define ROWS(a)   (sizeof(a) / sizeof((a)[0]))
#define WORDS_MAX 8

struct row {
    const char *name;
    const char *words[WORDS_MAX]; /* behind the program's name */
    const char *command;          /* expected; NULL: none */
    const char *error;            /* part of the words, or NULL: understood */
    const char *joined;           /* arguments, by spaces */
    const char *option;           /* looked at, or NULL */
    const char *value;            /* of it; NULL: not given */
};

static const struct row rows[] = {
    {"nothing", {NULL}, NULL, NULL, "", NULL, NULL},
    {"a command", {"status"}, "status", NULL, "", NULL, NULL},
    {"arguments", {"search", "annual", "leave"}, "search", NULL, "annual leave", NULL, NULL},
    {"long option", {"search", "--top-k", "3", "x"}, "search", NULL, "x", "top-k", "3"},
    {"long option with equals", {"search", "--top-k=3", "x"}, "search", NULL, "x", "top-k", "3"},
    {"short option", {"search", "-k", "3", "x"}, "search", NULL, "x", "top-k", "3"},
    {"flag", {"ingest", "-f", "a"}, "ingest", NULL, "a", "force", ""},
    {"flag that is not given", {"ingest", "a"}, "ingest", NULL, "a", "force", NULL},
    {"options end", {"ask", "--", "--top-k", "-x"}, "ask", NULL, "--top-k -x", "top-k", NULL},
    {"a dash alone is an argument", {"search", "-"}, "search", NULL, "-", NULL, NULL},
    {"global before the command", {"--data", "/d", "status"}, "status", NULL, "", NULL, NULL},
    {"unknown command", {"frobnicate"}, NULL, "not a command", "", NULL, NULL},
    {"unknown option", {"status", "--frob"}, "status", "--frob is not an option", "", NULL, NULL},
    {"unknown letter", {"status", "-z"}, "status", "-z is not an option", "", NULL, NULL},
    {"value missing", {"search", "--top-k"}, "search", "--top-k needs N", "", NULL, NULL},
    {"value for a flag", {"ingest", "--force=1"}, "ingest", "takes no value", "", NULL, NULL},
    {"set without equals",
     {"config", "--set", "X"},
     "config",
     "expected NAME=VALUE",
     "",
     NULL,
     NULL},
};

static void row_holds(void **state)
{
    const struct row *row = *state;
    char program[] = "tars";
    char *argv[WORDS_MAX + 1] = {program};
    int argc = 1;
    struct tars_cli cli = {0};
    struct tars_parsed parsed;
    struct tars_err err = {{0}};
    tars_status status;

    for (int i = 0; i < WORDS_MAX && row->words[i]; i++)
        argv[argc++] = (char *)row->words[i];
    tars_arena_init(&cli.arena, 1 << 20);
    status = tars_options_parse(argc, argv, &cli, &parsed, &err);
    assert_true(row->command == NULL || parsed.command != NULL);
    if (row->error) {
        assert_int_equal(status, TARS_EINVAL);
        assert_non_null(strstr(err.text, row->error));
    } else {
        assert_int_equal(status, TARS_OK);
        assert_string_equal(tars_cli_joined(&cli), row->joined);
    }
    assert_int_equal(parsed.command != NULL, row->command != NULL);
    if (row->command && parsed.command)
        assert_string_equal(parsed.command->name, row->command);
    if (!cli.command)
        goto out;
    if (row->option && row->value)
        assert_string_equal(tars_cli_value(&cli, row->option), row->value);
    if (row->option && !row->value)
        assert_null(tars_cli_value(&cli, row->option));
out:
    tars_arena_release(&cli.arena);
}

static void settings_are_gathered(void **state)
{
    char words[][16] = {"tars", "serve", "--port",       "0",     "--json", "--set", "A=b=c",
                        "-d",   "/d",    "--env-file=x", "--help"};
    char *argv[ROWS(words)];
    struct tars_cli cli = {0};
    struct tars_parsed parsed;

    (void)state;
    for (size_t i = 0; i < ROWS(words); i++)
        argv[i] = words[i];
    tars_arena_init(&cli.arena, 1 << 20);
    assert_int_equal(tars_options_parse((int)ROWS(words), argv, &cli, &parsed, NULL), TARS_OK);
    assert_true(cli.json);
    assert_true(parsed.wants_help);
    assert_string_equal(parsed.env_file, "x");
    assert_int_equal(parsed.override_count, 3);
    assert_string_equal(parsed.overrides[0].name, "BACKEND_PORT");
    assert_string_equal(parsed.overrides[1].name, "A");
    assert_string_equal(parsed.overrides[1].value, "b=c");
    assert_string_equal(parsed.overrides[2].name, "TARS_DATA");
    tars_arena_release(&cli.arena);
}

static void every_command_is_declared_well(void **state)
{
    size_t count;
    const struct tars_command *commands = tars_commands(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        size_t options = 0;

        assert_ptr_equal(tars_command_find(commands[i].name), &commands[i]);
        while (commands[i].options[options].name)
            options++;
        assert_true(options <= TARS_OPTIONS_MAX);
    }
    assert_null(tars_command_find("frobnicate"));
}

static void numbers_are_checked(void **state)
{
    char words[][12] = {"tars", "search", "-k", "12x", "-t", "0.5"};
    char *argv[ROWS(words)];
    struct tars_cli cli = {0};
    struct tars_parsed parsed;
    double real;
    long number;

    (void)state;
    for (size_t i = 0; i < ROWS(words); i++)
        argv[i] = words[i];
    tars_arena_init(&cli.arena, 1 << 20);
    assert_int_equal(tars_options_parse((int)ROWS(words), argv, &cli, &parsed, NULL), TARS_OK);
    assert_false(tars_cli_int(&cli, "top-k", 10, 1, 100, &number));
    assert_true(tars_cli_int(&cli, "queries", 10, 1, 100, &number));
    assert_int_equal(number, 10);
    assert_true(tars_cli_real(&cli, "threshold", -1, 0, 1, &real));
    assert_true(real == 0.5);
    assert_false(tars_cli_real(&cli, "threshold", -1, 0, 0.25, &real));
    tars_arena_release(&cli.arena);
}

int main(void)
{
    struct CMUnitTest tests[ROWS(rows) + 3];
    size_t n = 0;

    for (size_t i = 0; i < ROWS(rows); i++) {
        tests[n++] = (struct CMUnitTest){rows[i].name, row_holds, NULL, NULL, (void *)&rows[i]};
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(settings_are_gathered);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(every_command_is_declared_well);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(numbers_are_checked);
    return _cmocka_run_group_tests("app/options", tests, n, NULL, NULL);
}
