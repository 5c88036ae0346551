/* cmd_ask - an answer, written as it comes, with the passages that it stands on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "app/command.h"
#include "app/lines.h"
#include "app/session.h"

#define REPLY_MAX ((size_t)64 << 20)

const struct tars_option tars_options_ask[] = {
    {"top-k", 'k', "N", NULL, "Passages to answer from, 1 to 20 (RAG_TOP_K)"},
    {"threshold", 't', "X", NULL, "Least relevance, 0 to 1 (RAG_RELEVANCE_THRESHOLD)"},
    {"filters", 0, "JSON", NULL, "Only documents with these fields"},
    {"collection", 'c', "NAME", NULL, "Only documents of this collection"},
    {"quotes", 0, NULL, NULL, "Quote the passages; no language model writes"},
    {NULL, 0, NULL, NULL, NULL},
};

struct answer {
    struct tars_cli *cli;
    json_t *sources; /* owned; NULL when there are none */
    bool wrote;      /* some text of the answer is on the screen */
    bool completed;
    char error[TARS_ERR_TEXT_MAX];
};

/* ------------------------------------------------------------------- output */

static void print_place(const json_t *source)
{
    double page = tars_object_number(source, "page_number");
    double last = tars_object_number(source, "page_last");
    const char *section = tars_object_text(source, "section");

    printf("%s", tars_object_text(source, "file_path"));
    if (page > 0 && last > page) {
        printf(", pages %.0f-%.0f", page, last);
    } else if (page > 0) {
        printf(", page %.0f", page);
    }
    if (section[0])
        printf(", \"%s\"", section);
    printf(", characters %.0f-%.0f", tars_object_number(source, "char_start"),
           tars_object_number(source, "char_end"));
    printf(" (relevance %.2f)\n", tars_object_number(source, "similarity_score"));
}

static void print_sources(const json_t *sources)
{
    size_t count = json_array_size(sources);

    if (count > 0)
        printf("\nSources:\n");
    for (size_t i = 0; i < count; i++) {
        printf("  [%zu] ", i + 1);
        print_place(json_array_get(sources, i));
    }
}

static void print_numbers(const json_t *numbers)
{
    for (size_t i = 0; i < json_array_size(numbers); i++)
        printf("[%lld]", (long long)json_integer_value(json_array_get(numbers, i)));
}

/* Which sentence stands on which source, and which on none. */
static void print_citations(const json_t *citations)
{
    size_t count = json_array_size(citations);
    bool headed = false;

    for (size_t i = 0; i < count; i++) {
        const json_t *citation = json_array_get(citations, i);
        const json_t *numbers = json_object_get(citation, "sources");
        bool supported = json_is_true(json_object_get(citation, "supported"));

        if (supported && json_array_size(numbers) == 0)
            continue;
        if (!headed)
            printf("\nChecked against the sources:\n");
        headed = true;
        printf("  %s ", supported ? "supported  " : "UNSUPPORTED");
        print_numbers(numbers);
        printf("%s%s\n", json_array_size(numbers) ? " " : "", tars_object_text(citation, "text"));
    }
}

static void print_complete(struct answer *answer, const json_t *line)
{
    const char *degraded = tars_object_text(line, "degraded");

    answer->completed = true;
    if (answer->wrote)
        printf("\n");
    print_citations(json_object_get(line, "citations"));
    print_sources(answer->sources);
    printf("\n(%s, %.0f ms to find, %.0f ms to write)\n", tars_object_text(line, "model"),
           tars_object_number(line, "retrieval_time_ms"),
           tars_object_number(line, "generation_time_ms"));
    (void)fflush(stdout);
    if (degraded[0])
        (void)fprintf(stderr, "tars: %s\n", degraded);
    tars_cli_tell_unmet(tars_cli_joined(answer->cli), tars_object_text(line, "unmet"));
}

static bool take_line(void *ctx, json_t *line)
{
    struct answer *answer = ctx;
    const char *type = tars_object_text(line, "type");

    if (strcmp(type, "rag_sources") == 0) {
        json_decref(answer->sources);
        answer->sources = json_incref(json_object_get(line, "sources"));
    } else if (strcmp(type, "rag_token") == 0) {
        printf("%s", tars_object_text(line, "token"));
        (void)fflush(stdout);
        answer->wrote = true;
    } else if (strcmp(type, "rag_complete") == 0) {
        print_complete(answer, line);
    } else if (strcmp(type, "error") == 0) {
        (void)snprintf(answer->error, sizeof(answer->error), "%s", tars_object_text(line, "error"));
    }
    return true;
}

/* --------------------------------------------------------------------- ways */

static tars_status ask_text(struct answer *answer, struct tars_session *session, const char *body,
                            struct tars_err *err)
{
    struct tars_object_lines lines;
    int http = 0;
    tars_status status;

    tars_object_lines_init(&lines, take_line, answer);
    status = tars_session_stream(session, TARS_HTTP_POST, "/rag/query/stream", body,
                                 tars_object_lines_take, &lines, &http, err);
    if (status == TARS_OK && http >= 400) {
        tars_session_words(lines.rest.ptr, lines.rest.len, err);
        status = TARS_EINVAL;
    } else if (status == TARS_OK && answer->error[0]) {
        status = tars_fail(TARS_EIO, err, "%s", answer->error);
    } else if (status == TARS_OK && !answer->completed) {
        status = tars_fail(TARS_EIO, err, "the answer was cut off");
    }
    tars_object_lines_release(&lines);
    return status;
}

static tars_status ask_json(struct tars_session *session, const char *body, struct tars_err *err)
{
    struct tars_buf reply;
    tars_status status;

    tars_buf_init(&reply, REPLY_MAX);
    status = tars_session_ask(session, TARS_HTTP_POST, "/rag/query", body, &reply, err);
    if (status == TARS_OK)
        printf("%s\n", reply.ptr ? reply.ptr : "");
    tars_buf_release(&reply);
    return status;
}

/* The request's body, to be freed; NULL with a message when an option is wrong. */
static char *make_body(struct tars_cli *cli)
{
    const char *filters = tars_cli_value(cli, "filters");
    const char *collection = tars_cli_value(cli, "collection");
    json_t *body = json_object();
    char *text = NULL;
    double threshold;
    long top_k;

    if (!tars_cli_int(cli, "top-k", 0, 1, 20, &top_k) ||
        !tars_cli_real(cli, "threshold", -1, 0, 1, &threshold))
        goto out;
    (void)json_object_set_new(body, "query", json_string(tars_cli_joined(cli)));
    if (top_k > 0)
        (void)json_object_set_new(body, "top_k", json_integer(top_k));
    if (threshold >= 0)
        (void)json_object_set_new(body, "relevance_threshold", json_real(threshold));
    if (tars_cli_value(cli, "quotes"))
        (void)json_object_set_new(body, "quotes_only", json_true());
    if (collection)
        (void)json_object_set_new(body, "collection", json_string(collection));
    if (filters && json_object_set_new(body, "filters", json_loads(filters, 0, NULL)) != 0) {
        tars_cli_complain("--filters is not JSON");
        goto out;
    }
    text = json_dumps(body, JSON_COMPACT);
out:
    json_decref(body);
    return text;
}

int tars_cmd_ask(struct tars_cli *cli)
{
    struct answer answer = {.cli = cli};
    struct tars_session *session = NULL;
    struct tars_err err = {{0}};
    tars_status status;
    char *body;

    if (cli->argument_count == 0) {
        tars_cli_complain("ask needs a QUESTION; see tars ask --help");
        return TARS_EXIT_USAGE;
    }
    body = make_body(cli);
    if (!body)
        return TARS_EXIT_USAGE;
    status = tars_session_open(cli, false, &session, &err);
    if (status == TARS_OK)
        (void)fputs(tars_session_warnings(session), stderr);
    if (status == TARS_OK)
        status = cli->json ? ask_json(session, body, &err) : ask_text(&answer, session, body, &err);
    if (status != TARS_OK && answer.wrote)
        printf("\n");
    if (status != TARS_OK && !tars_lifecycle_is_over(cli->lifecycle))
        tars_cli_complain("%s", err.text[0] ? err.text : tars_status_text(status));
    tars_session_close(session);
    json_decref(answer.sources);
    free(body);
    return tars_cli_exit(cli, status);
}
