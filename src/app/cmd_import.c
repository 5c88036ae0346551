/* cmd_import - the log that another server of the wire contract has written (section 7.9) into
 * ours: a JSON object a line.
 *
 *     FILE -> lines -> checked here, times to UTC -> batches -> POST /analytics/import
 *
 * Rows that are there already are left out, so that a run can be repeated, and one that was stopped
 * can be done again. Bad lines are counted, and the first of them named.
 *
 * Bounds    A line is read up to TARS_IMPORT_LINE_MAX bytes; a batch has BATCH_ROWS lines or
 *           BATCH_BYTES of them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "analytics/import_line.h"
#include "app/command.h"
#include "app/lines.h"
#include "app/session.h"
#include "base/codec/url.h"
#include "base/sys/clock.h"

#define BATCH_ROWS  500
#define BATCH_BYTES ((size_t)1 << 20)
#define REPLY_MAX   ((size_t)1 << 20)
#define ARENA_MAX   ((size_t)8 << 20)
#define BAD_TOLD    20 /* of a file */
#define BAR_CELLS   24
#define DRAW_MS     100
#define PATH_BYTES  512
#define ZONES       "/usr/share/zoneinfo/"
#define US_PER_S    INT64_C(1000000)

const struct tars_option tars_options_import_analytics[] = {
    {"timezone", 'z', "ZONE", NULL, "Where the log was written, such as Europe/Berlin (here)"},
    {"tenant", 't', "NAME", NULL, "Whose the rows become (default)"},
    {"quiet", 'q', NULL, NULL, "No progress bar, no bad lines one by one"},
    {NULL, 0, NULL, NULL, NULL},
};

struct run {
    struct tars_cli *cli;
    struct tars_session *session;
    struct tars_arena arena; /* of a line */
    struct tars_buf reply;
    const char *path; /* of the route */
    json_t *rows;     /* the batch; owned */
    size_t bytes;     /* of its lines */
    long long imported, already_there, bad, lines;
    bool has_bar, bar_shown;
    int64_t drawn_ms;
};

/* One file. */
struct source {
    const char *name;
    FILE *file;
    char *line; /* (TARS_IMPORT_LINE_MAX + 1,) owned */
    long long number, bad, size;
};

/* ----------------------------------------------------------------- progress */

static void hide_bar(struct run *run)
{
    if (run->bar_shown)
        (void)fputs("\r\033[K", stderr);
    run->bar_shown = false;
}

static void draw_bar(struct run *run, const struct source *source)
{
    int64_t now_ms = tars_clock_mono_ms();
    long long at = source->size > 0 ? (long long)ftello(source->file) : 0;
    int filled = source->size > 0 ? (int)(at * BAR_CELLS / source->size) : 0;

    if (!run->has_bar || now_ms - run->drawn_ms < DRAW_MS)
        return;
    run->drawn_ms = now_ms;
    (void)fputs("\r\033[K[", stderr);
    for (int i = 0; i < BAR_CELLS; i++)
        (void)fputc(i < filled ? '#' : '.', stderr);
    (void)fprintf(stderr, "] %lld lines, %lld new, %lld bad", run->lines, run->imported, run->bad);
    (void)fflush(stderr);
    run->bar_shown = true;
}

static void note_bad(struct run *run, struct source *source, const char *words)
{
    run->bad++;
    source->bad++;
    if (tars_cli_value(run->cli, "quiet") || source->bad > BAD_TOLD)
        return;
    hide_bar(run);
    (void)fprintf(stderr, "%s:%lld: %s\n", source->name, source->number, words);
    if (source->bad == BAD_TOLD)
        (void)fprintf(stderr, "%s: further bad lines are counted, not named\n", source->name);
}

/* ------------------------------------------------------------------- batches */

static tars_status send_batch(struct run *run, struct tars_err *err)
{
    json_t *body;
    json_t *reply;
    char *text;
    tars_status status;

    if (json_array_size(run->rows) == 0)
        return TARS_OK;
    body = json_pack("{s:O}", "rows", run->rows);
    text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!text)
        return tars_fail(TARS_ENOMEM, err, "no memory for a batch");
    status = tars_session_ask(run->session, TARS_HTTP_POST, run->path, text, &run->reply, err);
    free(text);
    if (status != TARS_OK)
        return status;
    reply = run->reply.ptr ? json_loadb(run->reply.ptr, run->reply.len, 0, NULL) : NULL;
    run->imported += (long long)tars_object_number(reply, "imported");
    run->already_there += (long long)tars_object_number(reply, "already_there");
    run->bad += (long long)tars_object_number(reply, "bad");
    json_decref(reply);
    (void)json_array_clear(run->rows);
    run->bytes = 0;
    return TARS_OK;
}

/* --------------------------------------------------------------------- lines */

/* Does the time say its zone? */
static bool has_zone(const char *text)
{
    const char *time = strpbrk(text, "T ");

    return time && strpbrk(time + 1, "Zz+-") != NULL;
}

/* What stands on the clock of the zone, as UTC. */
static int64_t to_utc(int64_t local_us)
{
    struct tars_civil civil;
    struct tm tm = {.tm_isdst = -1};
    int64_t us = (local_us % US_PER_S + US_PER_S) % US_PER_S;

    tars_clock_civil(local_us, &civil);
    tm.tm_year = civil.year - 1900;
    tm.tm_mon = civil.month - 1;
    tm.tm_mday = civil.day;
    tm.tm_hour = civil.hour;
    tm.tm_min = civil.minute;
    tm.tm_sec = civil.second;
    return (int64_t)mktime(&tm) * US_PER_S + us;
}

static tars_status take_line(struct run *run, struct source *source, size_t len,
                             struct tars_err *err)
{
    json_t *object = json_loadb(source->line, len, 0, NULL);
    struct tars_logged_query query = {.query_id = NULL};
    struct tars_err why = {{0}};
    char time[TARS_ISO8601_BYTES];
    tars_status status;

    tars_arena_clear(&run->arena);
    status = object ? tars_import_object(object, &run->arena, &query, &why)
                    : tars_fail(TARS_EFORMAT, &why, "is no JSON");
    if (status == TARS_OK && !has_zone(tars_object_text(object, "timestamp"))) {
        tars_clock_iso8601(to_utc(query.row.time_us), time);
        if (json_object_set_new(object, "timestamp", json_string(time)))
            status = TARS_ENOMEM;
    }
    if (status == TARS_OK && json_array_append(run->rows, object))
        status = TARS_ENOMEM;
    json_decref(object);
    if (status == TARS_EFORMAT) {
        note_bad(run, source, why.text);
        return TARS_OK;
    }
    run->bytes += len;
    return status == TARS_OK ? status : tars_fail(status, err, "no memory for a line");
}

/* The next line without its end into source->line; -1 at the end of the file. One that is too long
 * is read to its end and comes back as TARS_IMPORT_LINE_MAX + 1 bytes. */
static long read_line(struct source *source)
{
    size_t len = 0;
    int c = getc_unlocked(source->file);

    if (c == EOF)
        return -1;
    for (; c != EOF && c != '\n'; c = getc_unlocked(source->file)) {
        if (len <= TARS_IMPORT_LINE_MAX)
            source->line[len++] = (char)c;
    }
    source->number++;
    return (long)len;
}

static bool is_blank(const char *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!strchr(" \t\r", ptr[i]))
            return false;
    }
    return true;
}

static tars_status take_lines(struct run *run, struct source *source, struct tars_err *err)
{
    tars_status status = TARS_OK;
    long len;

    while (status == TARS_OK && (len = read_line(source)) >= 0) {
        if (is_blank(source->line, (size_t)len))
            continue;
        run->lines++;
        if ((size_t)len > TARS_IMPORT_LINE_MAX) {
            note_bad(run, source, "is too long");
        } else {
            status = take_line(run, source, (size_t)len, err);
        }
        if (tars_lifecycle_is_over(run->cli->lifecycle))
            return TARS_ECANCELED;
        if (status == TARS_OK &&
            (json_array_size(run->rows) >= BATCH_ROWS || run->bytes >= BATCH_BYTES))
            status = send_batch(run, err);
        draw_bar(run, source);
    }
    return status == TARS_OK ? send_batch(run, err) : status;
}

static tars_status take_file(struct run *run, const char *name, struct tars_err *err)
{
    bool is_stdin = strcmp(name, "-") == 0;
    struct source source = {.name = name, .file = is_stdin ? stdin : fopen(name, "rbe")};
    struct stat st;
    tars_status status;

    if (!source.file)
        return tars_fail(TARS_EIO, err, "cannot open %s: %s", name, strerror(errno));
    if (fstat(fileno(source.file), &st) == 0 && S_ISREG(st.st_mode))
        source.size = (long long)st.st_size;
    source.line = malloc(TARS_IMPORT_LINE_MAX + 1);
    status = source.line ? take_lines(run, &source, err)
                         : tars_fail(TARS_ENOMEM, err, "no memory for a line");
    if (status == TARS_OK && ferror(source.file))
        status = tars_fail(TARS_EIO, err, "cannot read %s", name);
    free(source.line);
    if (!is_stdin)
        (void)fclose(source.file);
    return status;
}

/* ----------------------------------------------------------------------- run */

/* False, with a message, when there is no such zone. Before any thread is there. */
static bool set_zone(const struct tars_cli *cli)
{
    const char *zone = tars_cli_value(cli, "timezone");
    char path[PATH_BYTES];

    if (zone) {
        (void)snprintf(path, sizeof(path), ZONES "%s", zone);
        if (strstr(zone, "..") || (strcmp(zone, "UTC") != 0 && access(path, R_OK) != 0)) {
            tars_cli_complain("--timezone is \"%s\": expected a name such as Europe/Berlin or UTC",
                              zone);
            return false;
        }
        (void)setenv("TZ", zone, 1);
    }
    tzset();
    return true;
}

static const char *path_of(struct tars_cli *cli)
{
    const char *tenant = tars_cli_value(cli, "tenant");
    struct tars_buf path;
    const char *kept;

    tars_buf_init(&path, PATH_BYTES);
    tars_buf_append_text(&path, "/analytics/import");
    if (tenant) {
        tars_buf_append_text(&path, "?tenant=");
        tars_url_encode(&path, tars_span_of(tenant));
    }
    kept = path.status == TARS_OK ? tars_arena_strdup(&cli->arena, path.ptr) : NULL;
    tars_buf_release(&path);
    return kept;
}

static void print_summary(const struct run *run)
{
    if (run->cli->json) {
        printf("{\"lines\":%lld,\"imported\":%lld,\"already_there\":%lld,\"bad\":%lld}\n",
               run->lines, run->imported, run->already_there, run->bad);
    } else {
        printf("%lld lines: %lld imported, %lld already there, %lld bad\n", run->lines,
               run->imported, run->already_there, run->bad);
    }
}

static int import_files(struct run *run)
{
    struct tars_cli *cli = run->cli;
    struct tars_err err = {{0}};
    tars_status status = tars_session_open(cli, false, &run->session, &err);

    for (size_t i = 0; i < cli->argument_count && status == TARS_OK; i++)
        status = take_file(run, cli->arguments[i], &err);
    hide_bar(run);
    if (status != TARS_OK && !tars_lifecycle_is_over(cli->lifecycle))
        tars_cli_complain("%s", err.text[0] ? err.text : tars_status_text(status));
    if (run->session)
        print_summary(run);
    tars_session_close(run->session);
    if (status == TARS_OK && run->bad > 0)
        return TARS_EXIT_PARTLY;
    return tars_cli_exit(cli, status);
}

int tars_cmd_import_analytics(struct tars_cli *cli)
{
    struct run run = {.cli = cli,
                      .rows = json_array(),
                      .path = path_of(cli),
                      .has_bar = isatty(STDERR_FILENO) && !tars_cli_value(cli, "quiet")};
    int code;

    if (cli->argument_count == 0 || !set_zone(cli)) {
        if (cli->argument_count == 0)
            tars_cli_complain("expected tars import-analytics FILE...");
        json_decref(run.rows);
        return TARS_EXIT_USAGE;
    }
    if (!run.rows || !run.path) {
        json_decref(run.rows);
        return tars_cli_exit(cli, TARS_ENOMEM);
    }
    tars_arena_init(&run.arena, ARENA_MAX);
    tars_buf_init(&run.reply, REPLY_MAX);
    code = import_files(&run);
    tars_buf_release(&run.reply);
    tars_arena_release(&run.arena);
    json_decref(run.rows);
    return code;
}
