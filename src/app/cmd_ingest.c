/* cmd_ingest - files and folders in, with a line a file and a progress bar for people. */
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/command.h"
#include "app/lines.h"
#include "app/places.h"
#include "app/session.h"
#include "base/codec/json_write.h"
#include "base/sys/clock.h"

#define WATCH_STEP_MS 2000
#define BAR_CELLS     24
#define BODY_MAX      ((size_t)64 << 10)

const struct tars_option tars_options_ingest[] = {
    {"force", 'f', NULL, NULL, "Also what has not changed"},
    {"forget-missing", 0, NULL, NULL, "Forget documents whose file is gone from a PATH"},
    {"watch", 'w', NULL, NULL, "Stay, and keep in step with the PATHs (implies --forget-missing)"},
    {"quiet", 'q', NULL, NULL, "Only failures and the summary"},
    {"collection", 'c', "NAME", NULL, "Put the documents into this collection"},
    {NULL, 0, NULL, NULL, NULL},
};

/* In the order of the summary. */
static const char *const outcomes[] = {"indexed", "unchanged", "failed", "skipped", "forgotten"};
#define OUTCOMES (sizeof(outcomes) / sizeof(outcomes[0]))

struct run {
    struct tars_cli *cli;
    struct tars_session *session;
    bool is_terminal; /* a bar on standard error */
    bool is_quiet;
    bool bar_shown;
    long long counts[OUTCOMES];
    long long chunks;
    int64_t start_ms;
    int64_t drawn_ms; /* when the bar was drawn last */
    char error[TARS_ERR_TEXT_MAX];
};

/* ----------------------------------------------------------------- progress */

static void hide_bar(struct run *run)
{
    if (run->bar_shown)
        (void)fputs("\r\033[K", stderr);
    run->bar_shown = false;
}

/* path without the control bytes that a file name may hold. */
static void print_name(FILE *to, const char *path, int width)
{
    for (; *path && width > 0; path++, width--)
        (void)fputc((unsigned char)*path < 0x20 || *path == 0x7f ? '?' : *path, to);
}

static void draw_bar(struct run *run, long long done, long long total, const char *path)
{
    struct winsize window = {0};
    int columns =
        ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
    int filled = total > 0 ? (int)(done * BAR_CELLS / total) : 0;
    const char *slash = strrchr(path, '/');

    if (!run->is_terminal || (done < total && tars_clock_mono_ms() - run->drawn_ms < 50))
        return;
    run->drawn_ms = tars_clock_mono_ms();
    (void)fputs("\r\033[K[", stderr);
    for (int i = 0; i < BAR_CELLS; i++)
        (void)fputc(i < filled ? '#' : '.', stderr);
    (void)fprintf(stderr, "] %lld/%lld ", done, total);
    print_name(stderr, slash ? slash + 1 : path, columns - BAR_CELLS - 24);
    (void)fflush(stderr);
    run->bar_shown = true;
}

static void print_file(struct run *run, const json_t *line)
{
    const char *status = tars_object_text(line, "status");
    const char *reason = tars_object_text(line, "reason");
    bool is_bad = strcmp(status, "failed") == 0;

    if (run->is_quiet && !is_bad)
        return;
    if (!is_bad && strcmp(status, "indexed") != 0 && run->is_terminal)
        return; /* the summary counts them */
    hide_bar(run);
    (void)fprintf(stderr, "%-9s ", status);
    print_name(stderr, tars_object_text(line, "path"), 4096);
    if (reason[0]) {
        (void)fprintf(stderr, ": %s\n", reason);
    } else {
        (void)fprintf(stderr, " (%.0f chunks, %.0f ms)\n", tars_object_number(line, "chunks"),
                      tars_object_number(line, "ms"));
    }
}

/* -------------------------------------------------------------------- lines */

static void print_json(const json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);

    if (text)
        printf("%s\n", text);
    (void)fflush(stdout);
    free(text);
}

static void count(struct run *run, const json_t *line)
{
    const char *status = tars_object_text(line, "status");

    for (size_t i = 0; i < OUTCOMES; i++)
        run->counts[i] += strcmp(status, outcomes[i]) == 0;
    if (strcmp(status, "indexed") == 0)
        run->chunks += (long long)tars_object_number(line, "chunks");
}

static bool take_line(void *ctx, json_t *line)
{
    struct run *run = ctx;
    const json_t *progress = json_object_get(line, "progress");
    const json_t *summary = json_object_get(line, "summary");

    if (summary) {
        (void)snprintf(run->error, sizeof(run->error), "%s", tars_object_text(summary, "error"));
        return true;
    }
    if (json_object_get(line, "path")) {
        count(run, line);
        if (!run->cli->json)
            print_file(run, line);
    }
    draw_bar(run, (long long)tars_object_number(progress, "done"),
             (long long)tars_object_number(progress, "total"), tars_object_text(line, "path"));
    if (run->cli->json && json_object_get(line, "path")) {
        (void)json_object_del(line, "progress");
        print_json(line);
    }
    return true;
}

static const char *body_for(struct run *run, const char *path, bool forget_missing)
{
    const char *collection = tars_cli_value(run->cli, "collection");
    const char *absolute = tars_places_absolute(&run->cli->arena, path);
    struct tars_buf text;
    struct tars_json json;
    const char *body;

    tars_buf_init(&text, BODY_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "path", absolute ? absolute : path);
    tars_json_bool(&json, "force_reindex", tars_cli_value(run->cli, "force") != NULL);
    tars_json_bool(&json, "forget_missing", forget_missing);
    if (collection)
        tars_json_text(&json, "collection", collection);
    tars_json_end(&json);
    body = tars_arena_strndup(&run->cli->arena, text.ptr ? text.ptr : "", text.len);
    tars_buf_release(&text);
    return body ? body : "{}";
}

/* One PATH, followed to its end. */
static tars_status take_path(struct run *run, const char *path, bool forget_missing)
{
    struct tars_object_lines lines;
    struct tars_err err = {{0}};
    int http = 0;
    tars_status status;

    tars_object_lines_init(&lines, take_line, run);
    run->error[0] = '\0';
    status = tars_session_stream(run->session, TARS_HTTP_POST, "/rag/ingest",
                                 body_for(run, path, forget_missing), tars_object_lines_take,
                                 &lines, &http, &err);
    if (status == TARS_OK && http >= 400) {
        tars_session_words(lines.rest.ptr, lines.rest.len, &err);
        status = TARS_EIO;
    } else if (status == TARS_OK && run->error[0]) {
        status = tars_fail(TARS_EIO, &err, "%s", run->error);
    }
    tars_object_lines_release(&lines);
    hide_bar(run);
    if (status != TARS_OK && !tars_lifecycle_is_over(run->cli->lifecycle))
        tars_cli_complain("%s: %s", path, err.text[0] ? err.text : tars_status_text(status));
    return status;
}

static void print_summary(struct run *run)
{
    long long ms = tars_clock_mono_ms() - run->start_ms;
    const char *comma = "";

    if (run->cli->json) {
        printf("{\"summary\":{");
        for (size_t i = 0; i < OUTCOMES; i++)
            printf("\"%s\":%lld,", outcomes[i], run->counts[i]);
        printf("\"chunks\":%lld,\"ms\":%lld}}\n", run->chunks, ms);
        (void)fflush(stdout);
        return;
    }
    for (size_t i = 0; i < OUTCOMES; i++) {
        if (run->counts[i] > 0 || i == 0) {
            printf("%s%lld %s", comma, run->counts[i], outcomes[i]);
            comma = ", ";
        }
    }
    printf("; %lld chunks in %.1f s\n", run->chunks, (double)ms / 1000);
    (void)fflush(stdout);
}

/* -------------------------------------------------------------------- watch */

/* A number that changes when a file below path comes, goes or is written. */
static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * UINT64_C(1099511628211);
}

static uint64_t fingerprint_file(const char *path, const struct stat *about)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (const char *p = path; *p; p++)
        hash = mix(hash, (unsigned char)*p);
    hash = mix(hash, (uint64_t)about->st_size);
    hash = mix(hash, (uint64_t)about->st_mtim.tv_sec);
    return mix(hash, (uint64_t)about->st_mtim.tv_nsec);
}

/* The order in which a folder lists its files does not matter: the sum of all. */
/* NOLINTNEXTLINE(misc-no-recursion): depth bounds it */
static uint64_t fingerprint(struct tars_arena *arena, const char *path, int depth)
{
    struct stat about;
    struct dirent *entry;
    uint64_t sum = 0;
    DIR *dir;

    if (depth > 64 || lstat(path, &about) != 0)
        return 0;
    if (!S_ISDIR(about.st_mode))
        return fingerprint_file(path, &about);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        const char *below = tars_arena_printf(arena, "%s/%s", path, entry->d_name);

        if (below && entry->d_name[0] != '.')
            sum += fingerprint(arena, below, depth + 1);
    }
    if (dir)
        closedir(dir);
    return sum + 1;
}

static uint64_t fingerprint_all(const struct tars_cli *cli)
{
    struct tars_arena arena;
    uint64_t sum = 0;

    for (size_t i = 0; i < cli->argument_count; i++) {
        tars_arena_init(&arena, (size_t)256 << 20);
        sum = mix(sum, fingerprint(&arena, cli->arguments[i], 0));
        tars_arena_release(&arena);
    }
    return sum;
}

/* Take the paths in again whenever they have changed and are quiet. */
static void watch(struct run *run)
{
    uint64_t done = fingerprint_all(run->cli);
    uint64_t last = done;

    if (!run->cli->json)
        (void)fprintf(stderr, "watching; Ctrl-C stops\n");
    while (!tars_lifecycle_wait(run->cli->lifecycle, WATCH_STEP_MS)) {
        uint64_t now = fingerprint_all(run->cli);

        if (now != done && now == last) {
            for (size_t i = 0; i < run->cli->argument_count; i++) {
                if (take_path(run, run->cli->arguments[i], true) == TARS_ECANCELED)
                    return;
            }
            done = now;
        }
        last = now;
    }
}

int tars_cmd_ingest(struct tars_cli *cli)
{
    bool watches = tars_cli_value(cli, "watch") != NULL;
    bool forget = watches || tars_cli_value(cli, "forget-missing") != NULL;
    struct run run = {.cli = cli, .start_ms = tars_clock_mono_ms()};
    struct tars_err err = {{0}};
    tars_status status;
    bool failed = false;

    if (cli->argument_count == 0) {
        tars_cli_complain("ingest needs a PATH; see tars ingest --help");
        return TARS_EXIT_USAGE;
    }
    run.is_quiet = tars_cli_value(cli, "quiet") != NULL;
    run.is_terminal = !cli->json && !run.is_quiet && isatty(STDERR_FILENO);
    status = tars_session_open(cli, true, &run.session, &err);
    if (status != TARS_OK) {
        tars_cli_complain("%s", err.text);
        return TARS_EXIT_FAILED;
    }
    (void)fputs(tars_session_warnings(run.session), stderr);
    for (size_t i = 0; i < cli->argument_count && !tars_lifecycle_is_over(cli->lifecycle); i++)
        failed = take_path(&run, cli->arguments[i], forget) != TARS_OK || failed;
    if (watches && !tars_lifecycle_is_over(cli->lifecycle))
        watch(&run);
    print_summary(&run);
    tars_session_close(run.session);
    if (tars_lifecycle_is_over(cli->lifecycle) && !watches)
        return TARS_EXIT_STOPPED;
    return failed || run.counts[2] > 0 ? TARS_EXIT_PARTLY : TARS_EXIT_OK;
}
