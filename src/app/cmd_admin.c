/* cmd_admin - what is there, what is under way, what is to go: status, jobs, forget, reindex; and
 * version and help. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "app/command.h"
#include "app/lines.h"
#include "app/options.h"
#include "app/places.h"
#include "app/session.h"
#include "app/wiring.h"
#include "base/version.h"

#define BYTES_PER_MB 1048576.0
#define REPLY_MAX    ((size_t)64 << 20)

const struct tars_option tars_options_status[] = {{NULL, 0, NULL, NULL, NULL}};
const struct tars_option tars_options_jobs[] = {
    {"state", 's', "STATE", NULL, "Only queued, running, done, failed or cancelled ones"},
    {"limit", 'n', "N", NULL, "How many, newest first (50)"},
    {NULL, 0, NULL, NULL, NULL},
};
const struct tars_option tars_options_forget[] = {
    {"collection", 'c', "NAME", NULL, "Paths of this collection (default)"},
    {NULL, 0, NULL, NULL, NULL},
};
const struct tars_option tars_options_reindex[] = {{NULL, 0, NULL, NULL, NULL}};
const struct tars_option tars_options_version[] = {{NULL, 0, NULL, NULL, NULL}};
const struct tars_option tars_options_help[] = {{NULL, 0, NULL, NULL, NULL}};

/* Open a session, run fn on it, say what went wrong. */
typedef tars_status session_fn(struct tars_cli *cli, struct tars_session *session,
                               struct tars_buf *reply, struct tars_err *err);

static int with_session(struct tars_cli *cli, session_fn *fn)
{
    struct tars_session *session = NULL;
    struct tars_err err = {{0}};
    struct tars_buf reply;
    tars_status status;

    tars_buf_init(&reply, REPLY_MAX);
    status = tars_session_open(cli, false, &session, &err);
    if (status == TARS_OK)
        status = fn(cli, session, &reply, &err);
    if (status != TARS_OK && !tars_lifecycle_is_over(cli->lifecycle))
        tars_cli_complain("%s", err.text[0] ? err.text : tars_status_text(status));
    tars_session_close(session);
    tars_buf_release(&reply);
    return tars_cli_exit(cli, status);
}

/* ------------------------------------------------------------------- status */

static json_t *parse(const struct tars_buf *reply)
{
    return reply->ptr ? json_loadb(reply->ptr, reply->len, 0, NULL) : NULL;
}

/* What each collection holds, where there are several. */
static void print_collections(const json_t *list)
{
    for (size_t i = 0; json_array_size(list) > 1 && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);

        printf("%-16s %s: %.0f documents, %.0f chunks, %.2f MB\n", i ? "" : "collections",
               tars_object_text(one, "collection"), tars_object_number(one, "total_documents"),
               tars_object_number(one, "total_chunks"),
               tars_object_number(one, "total_size") / BYTES_PER_MB);
    }
}

static void print_status(const struct tars_session *session, const json_t *stats,
                         const json_t *ready)
{
    const json_t *jobs = json_object_get(stats, "jobs");
    const json_t *degraded = json_object_get(ready, "degraded");
    const char *model = tars_object_text(stats, "embedding_model");
    const char *last = tars_object_text(stats, "last_indexed");
    const char *reranker = tars_object_text(stats, "reranker");

    printf("%-16s %s (%s)\n", tars_session_is_remote(session) ? "server" : "data folder",
           tars_session_place(session), tars_object_text(ready, "status"));
    printf("%-16s %.0f in %.0f files, %.2f MB\n", "documents",
           tars_object_number(stats, "total_documents"), tars_object_number(stats, "file_count"),
           tars_object_number(stats, "total_size_mb"));
    printf("%-16s %.0f\n", "chunks", tars_object_number(stats, "total_chunks"));
    print_collections(json_object_get(stats, "collections"));
    printf("%-16s %s\n", "last taken in", last[0] ? last : "never");
    printf("%-16s %.0f waiting, %.0f running, %.0f failed\n", "jobs",
           tars_object_number(jobs, "queued"), tars_object_number(jobs, "running"),
           tars_object_number(jobs, "failed"));
    printf("%-16s %s\n", "embedding model", model[0] ? model : "none: words only");
    printf("%-16s %s\n", "language model", tars_object_text(stats, "language_model"));
    printf("%-16s %s\n", "reranker", reranker[0] ? reranker : "none; tars doctor says why");
    for (size_t i = 0; i < json_array_size(degraded); i++)
        printf("%-16s %s\n", "away", json_string_value(json_array_get(degraded, i)));
}

static tars_status show_status(struct tars_cli *cli, struct tars_session *session,
                               struct tars_buf *reply, struct tars_err *err)
{
    json_t *stats = NULL;
    json_t *ready = NULL;
    tars_status status = tars_session_ask(session, TARS_HTTP_GET, "/rag/stats", "", reply, err);

    if (status != TARS_OK)
        return status;
    stats = parse(reply);
    status = tars_session_ask(session, TARS_HTTP_GET, "/ready", "", reply, err);
    if (status == TARS_OK) {
        ready = parse(reply);
        if (cli->json) {
            json_t *both =
                json_pack("{s:o?,s:o?}", "stats", json_incref(stats), "ready", json_incref(ready));
            char *text = json_dumps(both, JSON_COMPACT);

            printf("%s\n", text ? text : "{}");
            free(text);
            json_decref(both);
        } else {
            print_status(session, stats, ready);
        }
    }
    json_decref(stats);
    json_decref(ready);
    return status;
}

int tars_cmd_status(struct tars_cli *cli)
{
    return with_session(cli, show_status);
}

/* --------------------------------------------------------------------- jobs */

static void print_job(const json_t *job)
{
    const char *error = tars_object_text(job, "error");

    printf("%6.0f  %-9s %3.0f%%  %s%s%s\n", tars_object_number(job, "id"),
           tars_object_text(job, "state"), tars_object_number(job, "progress") * 100,
           tars_object_text(job, "path"), error[0] ? ": " : "", error);
}

static tars_status list_jobs(struct tars_cli *cli, struct tars_session *session,
                             struct tars_buf *reply, struct tars_err *err)
{
    const char *state = tars_cli_value(cli, "state");
    const char *path;
    json_t *root;
    const json_t *jobs;
    tars_status status;
    long limit;

    if (!tars_cli_int(cli, "limit", 50, 1, 1000, &limit))
        return tars_fail(TARS_EINVAL, err, "see tars jobs --help");
    if (state && strspn(state, "abcdefghijklmnopqrstuvwxyz") != strlen(state))
        return tars_fail(TARS_EINVAL, err, "--state is \"%s\"; see tars jobs --help", state);
    path = tars_arena_printf(&cli->arena, "/rag/jobs?limit=%ld%s%s", limit, state ? "&state=" : "",
                             state ? state : "");
    if (!path)
        return TARS_ENOMEM;
    status = tars_session_ask(session, TARS_HTTP_GET, path, "", reply, err);
    if (status != TARS_OK)
        return status;
    if (cli->json) {
        printf("%s\n", reply->ptr ? reply->ptr : "{}");
        return TARS_OK;
    }
    root = parse(reply);
    jobs = json_object_get(root, "jobs");
    for (size_t i = 0; i < json_array_size(jobs); i++)
        print_job(json_array_get(jobs, i));
    if (json_array_size(jobs) == 0)
        printf("No jobs.\n");
    json_decref(root);
    return TARS_OK;
}

static tars_status change_job(struct tars_cli *cli, struct tars_session *session,
                              struct tars_buf *reply, struct tars_err *err)
{
    const char *verb = cli->arguments[0];
    const char *id = cli->argument_count == 2 ? cli->arguments[1] : "";
    bool cancels = strcmp(verb, "cancel") == 0;
    const char *path = tars_arena_printf(&cli->arena, "/rag/jobs/%s", id);
    json_t *job;
    tars_status status;

    if ((!cancels && strcmp(verb, "retry") != 0) || !id[0] ||
        strspn(id, "0123456789") != strlen(id) || !path)
        return tars_fail(TARS_EINVAL, err, "expected tars jobs cancel ID, or retry ID");
    status = tars_session_ask(session, cancels ? TARS_HTTP_DELETE : TARS_HTTP_POST, path, "", reply,
                              err);
    if (status != TARS_OK)
        return status;
    if (cli->json) {
        printf("%s\n", reply->ptr ? reply->ptr : "{}");
        return TARS_OK;
    }
    job = parse(reply);
    print_job(job);
    json_decref(job);
    return TARS_OK;
}

int tars_cmd_jobs(struct tars_cli *cli)
{
    return with_session(cli, cli->argument_count > 0 ? change_job : list_jobs);
}

/* ------------------------------------------------------------------- forget */

static bool is_document_id(const char *text)
{
    return strncmp(text, "doc_", 4) == 0 && strlen(text) == 20 &&
           strspn(text + 4, "0123456789abcdef") == 16;
}

static char *forget_body(struct tars_cli *cli, const char *what)
{
    bool is_id = is_document_id(what);
    const char *value = is_id ? what : tars_places_absolute(&cli->arena, what);
    json_t *body = json_pack("{s:s,s:s?}", is_id ? "document_id" : "path", value ? value : what,
                             "collection", tars_cli_value(cli, "collection"));
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    json_decref(body);
    return text;
}

static tars_status forget_one(struct tars_cli *cli, struct tars_session *session, const char *what,
                              struct tars_buf *reply, struct tars_err *err)
{
    char *body = forget_body(cli, what);
    json_t *root;
    tars_status status;

    if (!body)
        return tars_fail(TARS_EINVAL, err, "%s is not valid UTF-8", what);
    status = tars_session_ask(session, TARS_HTTP_DELETE, "/rag/document", body, reply, err);
    free(body);
    if (status != TARS_OK)
        return status;
    root = parse(reply);
    if (cli->json) {
        printf("%s\n", reply->ptr ? reply->ptr : "{}");
    } else if (strcmp(tars_object_text(root, "status"), "success") == 0) {
        printf("forgotten: %s (%.0f chunks)\n", what, tars_object_number(root, "chunks_deleted"));
    }
    if (strcmp(tars_object_text(root, "status"), "success") != 0)
        status = tars_fail(TARS_ENOTFOUND, err, "%s is not among the documents", what);
    json_decref(root);
    return status;
}

static tars_status forget_all(struct tars_cli *cli, struct tars_session *session,
                              struct tars_buf *reply, struct tars_err *err)
{
    tars_status first = TARS_OK;

    for (size_t i = 0; i < cli->argument_count; i++) {
        struct tars_err why = {{0}};
        tars_status status = forget_one(cli, session, cli->arguments[i], reply, &why);

        if (status == TARS_OK)
            continue;
        if (first != TARS_OK)
            tars_cli_complain("%s", err->text);
        first = status;
        *err = why;
    }
    return first;
}

int tars_cmd_forget(struct tars_cli *cli)
{
    if (cli->argument_count == 0) {
        tars_cli_complain("forget needs a PATH or a DOCUMENT_ID; see tars forget --help");
        return TARS_EXIT_USAGE;
    }
    return with_session(cli, forget_all);
}

/* ------------------------------------------------------------------ reindex */

static void show_progress(void *ctx, int64_t done, int64_t total)
{
    bool *is_terminal = ctx;

    if (*is_terminal)
        (void)fprintf(stderr, "\r\033[K%lld of %lld passages", (long long)done, (long long)total);
    if (*is_terminal && done == total)
        (void)fputc('\n', stderr);
}

int tars_cmd_reindex(struct tars_cli *cli)
{
    bool is_terminal = !cli->json && isatty(STDERR_FILENO);
    bool beside = false; /* a server has the folder, and goes on serving with the old vectors */
    struct tars_server_note note;
    struct tars_err err = {{0}};
    const char *data = "";
    tars_status status = tars_places_data(cli->settings, &cli->arena, &data, &err);

    if (status == TARS_OK) {
        beside = tars_note_read(data, &cli->arena, &note, NULL) == TARS_OK;
        status = tars_wiring_reindex(cli->settings, beside, tars_lifecycle_flag(cli->lifecycle),
                                     show_progress, &is_terminal, &err);
    }
    if (status == TARS_OK && cli->json) {
        printf("{\"status\":\"success\",\"in_use\":%s}\n", beside ? "false" : "true");
    } else if (status == TARS_OK) {
        printf(
            beside
                ? "All passages are embedded again. The server goes over to the new vectors, all "
                  "at once, when it is started again with this EMBED_MODEL.\n"
                : "All passages are embedded again.\n");
    } else if (tars_lifecycle_is_over(cli->lifecycle)) {
        tars_cli_complain("stopped; run tars reindex again to go on");
    } else {
        tars_cli_complain("%s", err.text[0] ? err.text : tars_status_text(status));
    }
    return tars_cli_exit(cli, status);
}

/* ------------------------------------------------------------ version, help */

int tars_cmd_version(struct tars_cli *cli)
{
    if (cli->json) {
        printf("{\"version\":\"%s\",\"api\":\"%s\"}\n", TARS_VERSION, TARS_SERVICE_VERSION);
    } else {
        printf("tars %s\n", TARS_VERSION);
    }
    return TARS_EXIT_OK;
}

int tars_cmd_help(struct tars_cli *cli)
{
    const struct tars_command *command =
        cli->argument_count > 0 ? tars_command_find(cli->arguments[0]) : NULL;

    if (cli->argument_count > 0 && !command) {
        tars_cli_complain("%s is not a command; see tars help", cli->arguments[0]);
        return TARS_EXIT_USAGE;
    }
    tars_options_print(command);
    return TARS_EXIT_OK;
}
