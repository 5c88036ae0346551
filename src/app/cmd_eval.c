/* cmd_eval - how well questions of a judged folder are answered, and two settings side by side. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/eval.h"
#include "app/places.h"

#define SETTINGS_MAX 16

const struct tars_option tars_options_eval[] = {
    {"against", 'a', "NAME=VALUE", NULL, "Also with this setting, or several (A=1,B=2); compare"},
    {"unanswered", 'u', "DIR", NULL,
     "Also ask DIR's questions, which DIR's documents answer alone"},
    {"limit", 'n', "N", NULL, "Only the first N questions of each folder (all)"},
    {"mode", 'm', "MODE", NULL, "hybrid, words or vectors (hybrid)"},
    {"top-k", 'k', "N", NULL, "Passages for an answer (5)"},
    {"no-answers", 0, NULL, NULL, "Search only, though there is a qa.jsonl"},
    {"fresh", 0, NULL, NULL, "Take the corpus in again"},
    {"lines", 'l', "FILE", NULL, "Also write a line of JSON a question to FILE"},
    {"output", 'o', "FILE", NULL, "Also write the JSON of --json to FILE"},
    {NULL, 0, NULL, NULL, NULL},
};

/* Take "NAME=VALUE" off *rest, up to a comma that another NAME= follows. False: it is none. */
static bool take_setting(char **rest, struct tars_setting_override *setting)
{
    char *equals = strchr(*rest, '=');
    char *comma = equals ? strchr(equals, ',') : NULL;

    if (!equals || equals == *rest)
        return false;
    if (comma && !strchr(comma, '='))
        comma = NULL;
    *equals = '\0';
    *setting = (struct tars_setting_override){*rest, equals + 1};
    if (comma)
        *comma = '\0';
    *rest = comma ? comma + 1 : NULL;
    return true;
}

/* "A=1,B=2" into side. */
static tars_status read_settings(struct tars_cli *cli, const char *text,
                                 struct tars_eval_side *side, struct tars_err *err)
{
    struct tars_setting_override *list =
        tars_arena_calloc(&cli->arena, SETTINGS_MAX, sizeof(*list));
    char *rest = tars_arena_strdup(&cli->arena, text);

    if (!list || !rest)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    side->settings = list;
    side->label = text;
    while (rest) {
        if (side->setting_count == SETTINGS_MAX || !take_setting(&rest, &list[side->setting_count]))
            return tars_fail(TARS_EINVAL, err, "--against %s: expected NAME=VALUE", text);
        side->setting_count++;
    }
    return TARS_OK;
}

static bool is_mode(const char *mode)
{
    return strcmp(mode, "hybrid") == 0 || strcmp(mode, "words") == 0 ||
           strcmp(mode, "vectors") == 0;
}

static tars_status read_folders(struct tars_eval_plan *plan, long limit, struct tars_err *err)
{
    struct tars_cli *cli = plan->cli;
    const char *other = tars_cli_value(cli, "unanswered");
    tars_status status;

    plan->folder = tars_places_absolute(&cli->arena, cli->arguments[0]);
    if (!plan->folder)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    status = tars_judged_read(plan->folder, &cli->arena, &plan->judged, err);
    if (status == TARS_OK && other)
        status = tars_judged_read(other, &cli->arena, &plan->unanswered, err);
    if (status != TARS_OK)
        return status;
    plan->corpus = tars_judged_corpus(plan->folder, &cli->arena);
    if (limit > 0 && plan->judged.count > (size_t)limit)
        plan->judged.count = (size_t)limit;
    if (limit > 0 && plan->unanswered.count > (size_t)limit)
        plan->unanswered.count = (size_t)limit;
    if (plan->judged.count == 0)
        return tars_fail(TARS_EINVAL, err, "%s has no question with a judgement", plan->folder);
    return TARS_OK;
}

static bool read_options(struct tars_eval_plan *plan, long *limit)
{
    struct tars_cli *cli = plan->cli;
    const char *mode = tars_cli_value(cli, "mode");

    plan->mode = mode ? mode : "hybrid";
    plan->answers = !tars_cli_value(cli, "no-answers");
    plan->fresh = tars_cli_value(cli, "fresh") != NULL;
    if (cli->argument_count != 1) {
        tars_cli_complain("eval needs one DIR; see tars eval --help");
        return false;
    }
    if (!is_mode(plan->mode)) {
        tars_cli_complain("--mode is \"%s\": expected hybrid, words or vectors", plan->mode);
        return false;
    }
    return tars_cli_int(cli, "limit", 0, 1, TARS_JUDGED_QUERIES_MAX, limit) &&
           tars_cli_int(cli, "top-k", 5, 1, 20, &plan->top_k);
}

typedef tars_status write_fn(FILE *file, const struct tars_eval_plan *plan,
                             const struct tars_eval_side *side,
                             const struct tars_eval_side *against, struct tars_err *err);

static tars_status write_lines(FILE *file, const struct tars_eval_plan *plan,
                               const struct tars_eval_side *side,
                               const struct tars_eval_side *against, struct tars_err *err)
{
    (void)plan;
    return tars_eval_write_lines(file, side, against, err);
}

/* To the file that option names, if it is given. */
static tars_status write_to(const char *option, const struct tars_eval_plan *plan,
                            const struct tars_eval_side *side, const struct tars_eval_side *against,
                            write_fn *write, struct tars_err *err)
{
    const char *path = tars_cli_value(plan->cli, option);
    FILE *file = path ? fopen(path, "we") : NULL;
    tars_status status;

    if (!path)
        return TARS_OK;
    if (!file)
        return tars_fail(TARS_EIO, err, "cannot write %s: %s", path, strerror(errno));
    status = write(file, plan, side, against, err);
    if (fclose(file) != 0 && status == TARS_OK)
        status = tars_fail(TARS_EIO, err, "cannot write %s: %s", path, strerror(errno));
    return status;
}

static tars_status run(struct tars_eval_plan *plan, long limit, struct tars_err *err)
{
    const char *settings = tars_cli_value(plan->cli, "against");
    struct tars_eval_side sides[2] = {{.label = ""}, {.label = ""}};
    const struct tars_eval_side *against = settings ? &sides[1] : NULL;
    tars_status status = read_folders(plan, limit, err);

    if (status == TARS_OK && settings)
        status = read_settings(plan->cli, settings, &sides[1], err);
    if (status == TARS_OK)
        status = tars_eval_side_run(plan, &sides[0], err);
    if (status == TARS_OK && settings)
        status = tars_eval_side_run(plan, &sides[1], err);
    if (status != TARS_OK)
        return status;
    if (plan->cli->json) {
        status = tars_eval_write_json(stdout, plan, &sides[0], against, err);
    } else {
        tars_eval_print(plan, &sides[0], against);
    }
    if (status == TARS_OK)
        status = write_to("output", plan, &sides[0], against, tars_eval_write_json, err);
    return status == TARS_OK ? write_to("lines", plan, &sides[0], against, write_lines, err)
                             : status;
}

int tars_cmd_eval(struct tars_cli *cli)
{
    struct tars_eval_plan plan = {.cli = cli};
    struct tars_err err = {{0}};
    long limit = 0;
    tars_status status;

    if (!read_options(&plan, &limit))
        return TARS_EXIT_USAGE;
    status = run(&plan, limit, &err);
    if (status != TARS_OK && !tars_lifecycle_is_over(cli->lifecycle))
        tars_cli_complain("%s", err.text[0] ? err.text : tars_status_text(status));
    return tars_cli_exit(cli, status);
}
