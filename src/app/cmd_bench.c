/* cmd_bench - how fast each stage is on this machine, with the documents of the data folder.
 *
 *     open the folder -> sample -> take the sample in, in a temporary folder -> stages -> report
 *
 * Where the folder has no documents, text is made up, and searches are of the temporary folder.
 */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/bench.h"
#include "app/lines.h"
#include "app/places.h"
#include "app/session.h"
#include "app/wiring.h"
#include "base/codec/json_write.h"
#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "base/sys/process.h"
#include "model/encoder.h"

#define SECONDS       20
#define SHARES        16 /* parts of the time: a stage has one, searches two and ask twice */
#define OVERRIDES_MAX 64
#define TAKE_TOKENS   150 /* of a passage, about */
#define TAKE_MIN      8
#define SAMPLE_MAX    ((size_t)64 << 20)
#define NAME_TEXT     "tars-bench-XXXXXX"

const struct tars_option tars_options_bench[] = {
    {"seconds", 's', "N", NULL, "How long, about (20)"},
    {"svg", 0, "FILE", NULL, "Also draw how times are spread, as SVG, into FILE"},
    {"output", 'o', "FILE", NULL, "Also write the JSON of --json to FILE"},
    {NULL, 0, NULL, NULL, NULL},
};

struct run {
    struct tars_cli *cli;
    struct tars_wiring *wiring; /* the user's folder */
    struct tars_wiring *own;    /* the temporary one, where text is made up */
    const char *folder;         /* temporary */
    long seconds;
    struct tars_bench_result result;
};

/* ----------------------------------------------------------------- settings */

/* The settings of the command, but for a private folder and for what would be counted or kept. */
static tars_status load(const struct tars_cli *cli, const char *folder,
                        struct tars_settings **settings, struct tars_err *err)
{
    struct tars_setting_override list[OVERRIDES_MAX];
    struct tars_settings_config config = cli->sources;
    size_t n = 0;

    if (cli->sources.override_count > OVERRIDES_MAX - 4)
        return tars_fail(TARS_EINVAL, err, "too many settings");
    for (; n < cli->sources.override_count; n++)
        list[n] = cli->sources.overrides[n];
    list[n++] = (struct tars_setting_override){"ANALYTICS_ENABLED", "false"};
    list[n++] = (struct tars_setting_override){"REDIS_ENABLED", "false"};
    list[n++] = (struct tars_setting_override){"LLM_BACKEND", "extract"};
    if (folder)
        list[n++] = (struct tars_setting_override){"TARS_DATA", folder};
    config.overrides = list;
    config.override_count = n;
    return tars_settings_load(&config, settings, NULL, err);
}

/* Open a wiring that lends its settings until both are closed. */
static tars_status open_folder(struct run *run, const char *folder, struct tars_settings **settings,
                               struct tars_wiring **wiring, struct tars_err *err)
{
    struct tars_wiring_config config = {.log = run->cli->log,
                                        .stopping = tars_lifecycle_flag(run->cli->lifecycle)};
    tars_status status = load(run->cli, folder, settings, err);

    if (status != TARS_OK)
        return status;
    config.settings = *settings;
    status = tars_wiring_open(&config, wiring, err);
    if (status == TARS_EBUSY) {
        return tars_fail(status, err,
                         "a server has this data folder; stop it, or give another one "
                         "with --data");
    }
    return status;
}

/* ---------------------------------------------------------------- ingestion */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static tars_status make_folder(struct run *run, struct tars_err *err)
{
    const char *tmp = getenv("TMPDIR");
    char *folder =
        tars_arena_printf(&run->cli->arena, "%s/" NAME_TEXT, tmp && tmp[0] ? tmp : "/tmp");

    if (!folder)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    if (!mkdtemp(folder))
        return tars_fail(TARS_EIO, err, "cannot make %s: %s", folder, strerror(errno));
    run->folder = folder;
    return TARS_OK;
}

/* As many of the sample's passages as can be embedded in some seconds, as JSON lines. */
static tars_status write_sample(struct run *run, size_t count, const char **path,
                                struct tars_err *err)
{
    const struct tars_bench_sample *sample = &run->result.sample;
    struct tars_buf text;
    struct tars_json json;
    tars_status status;

    tars_buf_init(&text, SAMPLE_MAX);
    for (size_t i = 0; i < count && i < sample->text_count; i++) {
        char id[32];

        (void)snprintf(id, sizeof(id), "%zu", i);
        tars_json_init(&json, &text);
        tars_json_object(&json, NULL);
        tars_json_text(&json, "_id", id);
        tars_json_text_n(&json, "text", sample->texts[i].ptr, sample->texts[i].len);
        tars_json_end(&json);
        tars_buf_append_char(&text, '\n');
    }
    *path = tars_arena_printf(&run->cli->arena, "%s/sample.jsonl", run->folder);
    if (!*path || text.status != TARS_OK) {
        status = tars_fail(TARS_ENOMEM, err, "no memory for a sample");
    } else {
        status = tars_file_replace(*path, text.ptr, text.len, 0600, err);
    }
    tars_buf_release(&text);
    return status;
}

static bool count_line(void *ctx, json_t *line)
{
    double *passages = ctx;

    if (strcmp(tars_object_text(line, "status"), "indexed") == 0)
        *passages += tars_object_number(line, "chunks");
    return true;
}

static tars_status take_in(struct run *run, const char *path, struct tars_err *err)
{
    const char *body = tars_arena_printf(&run->cli->arena, "{\"path\":\"%s\"}", path);
    struct tars_stage *stage = &run->result.stages[run->result.count];
    struct tars_session *session = NULL;
    struct tars_object_lines lines;
    double passages = 0;
    double *time = tars_arena_calloc(&run->cli->arena, 1, sizeof(*time));
    double cpu;
    int64_t start;
    int http = 0;
    tars_status status;

    if (!body || !time)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    status = tars_session_open(run->cli, true, &session, err);
    cpu = tars_stage_cpu_ms();
    start = tars_clock_mono_ns();
    tars_object_lines_init(&lines, count_line, &passages);
    if (status == TARS_OK) {
        status = tars_session_stream(session, TARS_HTTP_POST, "/rag/ingest", body,
                                     tars_object_lines_take, &lines, &http, err);
    }
    *time = (double)(tars_clock_mono_ns() - start) / 1e6;
    cpu = tars_stage_cpu_ms() - cpu;
    if (status == TARS_OK && passages <= 0)
        status = tars_fail(TARS_EIO, err, "the sample was not taken in");
    if (status == TARS_OK) {
        *stage = (struct tars_stage){.name = "ingestion", .unit = "passages"};
        tars_stage_fill(stage, time, 1, cpu, passages);
        run->result.count++;
    }
    tars_object_lines_release(&lines);
    tars_session_close(session);
    return status;
}

/* In a folder of its own, with what the command's settings say else. */
static tars_status bench_ingestion(struct run *run, size_t count, struct tars_err *err)
{
    struct tars_settings *before = run->cli->settings;
    struct tars_settings *settings = NULL;
    const char *path = NULL;
    tars_status status = write_sample(run, count, &path, err);

    if (status == TARS_OK)
        status = load(run->cli, run->folder, &settings, err);
    if (status != TARS_OK)
        return status;
    run->cli->settings = settings;
    status = take_in(run, path, err);
    run->cli->settings = before;
    tars_settings_free(settings);
    return status;
}

/* ------------------------------------------------------------------- stages */

static tars_status bench_stages(struct run *run, const struct tars_wiring *wiring, bool searches,
                                struct tars_err *err)
{
    const struct tars_bench_parts parts = tars_wiring_bench_parts(wiring);
    const struct tars_bench_sample *sample = &run->result.sample;
    const struct tars_stages_config config = {
        .encoder = searches ? NULL : parts.encoder,
        .wordpiece = parts.wordpiece,
        .retriever = searches ? parts.retriever : NULL,
        .texts = sample->texts,
        .text_count = sample->text_count,
        .questions = sample->questions,
        .question_count = sample->question_count,
        .stage_ms = run->seconds * 1000 / SHARES,
        .stopping = tars_lifecycle_flag(run->cli->lifecycle),
    };
    struct tars_stage stages[TARS_STAGES_MAX];
    size_t count = 0;
    tars_status status = tars_stages_run(&config, &run->cli->arena, stages, &count, err);

    /* The tokenizer is in both, and told once. */
    for (size_t i = searches ? 1 : 0; status == TARS_OK && i < count; i++)
        run->result.stages[run->result.count++] = stages[i];
    return status;
}

/* Passages that a fifth of the time is enough for, at the speed that was just seen. */
static size_t sample_size(const struct run *run)
{
    double tokens_s = 0;
    double count;

    for (size_t i = 0; i < run->result.count; i++) {
        const struct tars_stage *stage = &run->result.stages[i];

        if (strcmp(stage->unit, "tokens") == 0 && stage->items_s > 0 && i == 1)
            tokens_s = stage->items_s;
    }
    count = tokens_s > 0 ? (double)run->seconds / 5 * tokens_s / TAKE_TOKENS
                         : (double)run->result.sample.text_count;
    return count > TAKE_MIN ? (size_t)count : TAKE_MIN;
}

static void describe(struct run *run, const struct tars_bench_parts *parts)
{
    static const char *const precisions[] = {"int8", "bf16", "fp32"};
    const struct tars_encoder_info *info =
        parts->encoder ? tars_encoder_info(parts->encoder) : NULL;
    double load = 0;

    (void)getloadavg(&load, 1);
    run->result.load = load;
    run->result.model = info ? tars_arena_strdup(&run->cli->arena, info->name) : "";
    run->result.precision = info ? precisions[info->precision] : "";
}

/* Stages that need no index, ingestion, then searches. */
static tars_status bench_all(struct run *run, struct tars_err *err)
{
    struct tars_settings *settings = NULL;
    const struct tars_bench_parts parts = tars_wiring_bench_parts(run->wiring);
    tars_status status;

    describe(run, &parts);
    status = tars_bench_sample_take(&parts, &run->cli->arena, &run->result.sample, err);
    if (status == TARS_OK)
        status = bench_stages(run, run->wiring, false, err);
    if (status == TARS_OK)
        status = make_folder(run, err);
    if (status == TARS_OK)
        status = bench_ingestion(run, sample_size(run), err);
    if (status == TARS_OK && run->result.sample.is_made_up)
        status = open_folder(run, run->folder, &settings, &run->own, err);
    if (status == TARS_OK)
        status = bench_stages(run, run->own ? run->own : run->wiring, true, err);
    tars_wiring_close(run->own);
    tars_settings_free(settings);
    if (run->folder)
        (void)nftw(run->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}

/* ------------------------------------------------------------------- output */

typedef tars_status write_fn(FILE *file, const struct tars_bench_result *result,
                             struct tars_err *err);

static tars_status write_to(const struct run *run, const char *option, write_fn *write,
                            struct tars_err *err)
{
    const char *path = tars_cli_value(run->cli, option);
    FILE *file = path ? fopen(path, "we") : NULL;
    tars_status status;

    if (!path)
        return TARS_OK;
    if (!file)
        return tars_fail(TARS_EIO, err, "cannot write %s: %s", path, strerror(errno));
    status = write(file, &run->result, err);
    if (fclose(file) != 0 && status == TARS_OK)
        status = tars_fail(TARS_EIO, err, "cannot write %s: %s", path, strerror(errno));
    return status;
}

static tars_status report(const struct run *run, struct tars_err *err)
{
    tars_status status = TARS_OK;

    if (run->cli->json) {
        status = tars_bench_write_json(stdout, &run->result, err);
    } else {
        tars_bench_print(&run->result);
    }
    if (status == TARS_OK)
        status = write_to(run, "output", tars_bench_write_json, err);
    return status == TARS_OK ? write_to(run, "svg", tars_bench_write_svg, err) : status;
}

int tars_cmd_bench(struct tars_cli *cli)
{
    struct run run = {.cli = cli};
    struct tars_settings *settings = NULL;
    struct tars_process_use use;
    struct tars_err err = {{0}};
    int64_t start = tars_clock_mono_ms();
    tars_status status;

    if (!tars_cli_int(cli, "seconds", SECONDS, 1, 600, &run.seconds))
        return TARS_EXIT_USAGE;
    if (isatty(STDERR_FILENO) && !cli->json)
        (void)fprintf(stderr, "measuring for about %ld seconds; Ctrl-C stops\n", run.seconds);
    status = open_folder(&run, NULL, &settings, &run.wiring, &err);
    if (status == TARS_OK) {
        run.result.data = tars_wiring_data(run.wiring);
        (void)fputs(tars_wiring_warnings(run.wiring), stderr);
        status = bench_all(&run, &err);
    }
    tars_process_read(&use);
    run.result.resident_mb = (double)use.resident_bytes / 1048576;
    run.result.seconds = (double)(tars_clock_mono_ms() - start) / 1e3;
    if (status == TARS_OK)
        status = report(&run, &err);
    tars_wiring_close(run.wiring);
    tars_settings_free(settings);
    if (status != TARS_OK && !tars_lifecycle_is_over(cli->lifecycle))
        tars_cli_complain("%s", err.text[0] ? err.text : tars_status_text(status));
    return tars_cli_exit(cli, status);
}
