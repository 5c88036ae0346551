/* cmd_search - passages for one question, or for a file of them in the format of evaluators. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "app/command.h"
#include "app/lines.h"
#include "app/session.h"
#include "base/codec/json_write.h"

#define REPLY_MAX   ((size_t)256 << 20)
#define SHOWN_CHARS 300 /* of a passage, for people */

const struct tars_option tars_options_search[] = {
    {"top-k", 'k', "N", NULL, "How many passages (10), or documents with --distinct"},
    {"threshold", 't', "X", NULL, "Least relevance, 0 to 1 (none)"},
    {"mode", 'm', "MODE", NULL, "hybrid, words or vectors (hybrid)"},
    {"filters", 0, "JSON", NULL, "Only documents with these fields, as {\"file_type\":\"pdf\"}"},
    {"collection", 'c', "NAME", NULL, "Only documents of this collection"},
    {"distinct", 0, NULL, NULL, "One passage a document, its best"},
    {"rerank", 0, NULL, NULL, "Let the reranker read the first ones (the default)"},
    {"no-rerank", 0, NULL, NULL, "Leave the reranker out"},
    {"queries", 'q', "FILE", NULL, "A question a line: {\"_id\",\"text\"}; - is standard input"},
    {"format", 0, "FORMAT", NULL, "text, json or trec (text; trec counts distinct documents)"},
    {NULL, 0, NULL, NULL, NULL},
};

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_TREC };

struct search {
    struct tars_cli *cli;
    struct tars_session *session;
    enum format format;
    long top_k;
    double threshold;
    const char *mode;
    json_t *filters; /* or NULL */
    bool distinct;
    bool rerank;
    struct tars_buf reply;
};

static tars_status ask(struct search *search, const char *query, struct tars_err *err)
{
    const char *collection = tars_cli_value(search->cli, "collection");
    json_t *body = json_object();
    char *text;
    tars_status status;

    (void)json_object_set_new(body, "query", json_string(query));
    (void)json_object_set_new(body, "top_k", json_integer(search->top_k));
    (void)json_object_set_new(body, "mode", json_string(search->mode));
    (void)json_object_set_new(body, "distinct_documents", json_boolean(search->distinct));
    (void)json_object_set_new(body, "rerank", json_boolean(search->rerank));
    if (search->threshold >= 0)
        (void)json_object_set_new(body, "relevance_threshold", json_real(search->threshold));
    if (search->filters)
        (void)json_object_set(body, "filters", search->filters);
    if (collection)
        (void)json_object_set_new(body, "collection", json_string(collection));
    if (search->format == FORMAT_TREC)
        (void)json_object_set_new(body, "include_content", json_false());
    text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    if (!text)
        return tars_fail(TARS_EINVAL, err, "the question is not valid UTF-8");
    status =
        tars_session_ask(search->session, TARS_HTTP_POST, "/rag/search", text, &search->reply, err);
    free(text);
    return status;
}

/* ------------------------------------------------------------------- output */

/* At most chars characters of text on one line, white space folded. */
static void print_text(const char *text, int chars)
{
    bool space = false;

    for (; *text && chars > 0; text++) {
        unsigned char c = (unsigned char)*text;

        if (c <= ' ' || c == 0x7f) {
            space = true;
            continue;
        }
        if (space && (c & 0xC0U) != 0x80)
            putchar(' ');
        space = false;
        putchar(c);
        chars -= (c & 0xC0U) != 0x80;
    }
    printf("%s\n", *text ? "..." : "");
}

static void print_hit(size_t rank, const json_t *hit)
{
    const json_t *about = json_object_get(hit, "metadata");
    const char *section = tars_object_text(about, "section");
    const char *external = tars_object_text(about, "external_id");
    double page = tars_object_number(about, "page_number");

    printf("%2zu. %.2f  %s", rank, tars_object_number(hit, "similarity_score"),
           tars_object_text(about, "file_name"));
    if (external[0])
        printf(" [%s]", external);
    if (page > 0)
        printf(", page %.0f", page);
    if (section[0])
        printf(", %s", section);
    printf("\n    ");
    print_text(tars_object_text(hit, "content"), SHOWN_CHARS);
}

/* The id by which judgements know a document: the file's own, else ours. */
static const char *judged_id(const json_t *hit)
{
    const char *external = tars_object_text(json_object_get(hit, "metadata"), "external_id");

    return external[0] ? external : tars_object_text(hit, "document_id");
}

/* Evaluators sort by the score: where the order is a reranker's, that of the search would undo it.
 */
static void print_trec(const char *query_id, size_t rank, const json_t *hit, bool is_reranked)
{
    const json_t *about = json_object_get(hit, "metadata");
    double score = is_reranked ? 1 / (double)rank : tars_object_number(about, "original_score");

    printf("%s Q0 %s %zu %.9g tars\n", query_id, judged_id(hit), rank, score);
}

static void print_reply(struct search *search, const char *query_id, const char *query)
{
    json_t *root = json_loadb(search->reply.ptr, search->reply.len, 0, NULL);
    const json_t *hits = json_object_get(root, "results");
    size_t count = json_array_size(hits);
    const json_t *first = json_object_get(json_array_get(hits, 0), "metadata");
    bool is_reranked = json_is_true(json_object_get(first, "reranked"));

    for (size_t i = 0; i < count; i++) {
        if (search->format == FORMAT_TREC) {
            print_trec(query_id, i + 1, json_array_get(hits, i), is_reranked);
        } else {
            print_hit(i + 1, json_array_get(hits, i));
        }
    }
    if (count == 0 && search->format == FORMAT_TEXT)
        printf("Nothing found.\n");
    if (tars_object_text(root, "degraded")[0])
        (void)fprintf(stderr, "tars: searched without %s\n", tars_object_text(root, "degraded"));
    tars_cli_tell_unmet(query, tars_object_text(root, "unmet"));
    json_decref(root);
}

static tars_status run_one(struct search *search, const char *query_id, const char *query,
                           struct tars_err *err)
{
    tars_status status = ask(search, query, err);

    if (status != TARS_OK)
        return status;
    if (search->format == FORMAT_JSON) {
        printf("%s\n", search->reply.ptr ? search->reply.ptr : "");
    } else {
        print_reply(search, query_id, query);
    }
    return TARS_OK;
}

/* ------------------------------------------------------------- file of them */

static const char *first_text(const json_t *object, const char *a, const char *b)
{
    const char *text = tars_object_text(object, a);

    return text[0] ? text : tars_object_text(object, b);
}

/* The id, which may be a number. */
static const char *query_id(struct search *search, const json_t *object)
{
    const json_t *id = json_object_get(object, "_id");

    if (!id)
        id = json_object_get(object, "id");
    if (json_is_integer(id)) {
        const char *text =
            tars_arena_printf(&search->cli->arena, "%lld", (long long)json_integer_value(id));

        return text ? text : "";
    }
    return json_string_value(id) ? json_string_value(id) : "";
}

static tars_status run_line(struct search *search, const char *line, size_t number,
                            struct tars_err *err)
{
    json_t *object = json_loads(line, 0, NULL);
    const char *query = first_text(object, "text", "query");
    tars_status status;

    if (!query[0])
        query = tars_object_text(object, "question");
    if (!query[0]) {
        status = tars_fail(TARS_EINVAL, err, "line %zu has no text; expected {\"_id\",\"text\"}",
                           number);
    } else {
        status = run_one(search, query_id(search, object), query, err);
    }
    json_decref(object);
    return status;
}

static tars_status run_file(struct search *search, const char *path, struct tars_err *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    size_t number = 0;
    tars_status status = TARS_OK;

    if (!file)
        return tars_fail(TARS_EINVAL, err, "--queries %s cannot be opened", path);
    while (status == TARS_OK && getline(&line, &cap, file) >= 0) {
        number++;
        if (tars_lifecycle_is_over(search->cli->lifecycle)) {
            status = TARS_ECANCELED;
        } else if (line[strspn(line, " \t\r\n")] != '\0') {
            status = run_line(search, line, number, err);
        }
    }
    free(line);
    if (file != stdin)
        (void)fclose(file);
    return status;
}

/* ------------------------------------------------------------------ options */

static bool read_format(struct search *search)
{
    const char *format = tars_cli_value(search->cli, "format");

    search->format = search->cli->json ? FORMAT_JSON : FORMAT_TEXT;
    if (!format)
        return true;
    if (strcmp(format, "trec") == 0) {
        search->format = FORMAT_TREC;
    } else if (strcmp(format, "json") == 0) {
        search->format = FORMAT_JSON;
    } else if (strcmp(format, "text") != 0) {
        tars_cli_complain("--format is \"%s\": expected text, json or trec", format);
        return false;
    }
    return true;
}

static bool read_options(struct search *search)
{
    struct tars_cli *cli = search->cli;
    const char *mode = tars_cli_value(cli, "mode");
    const char *filters = tars_cli_value(cli, "filters");

    search->mode = mode ? mode : "hybrid";
    if (!tars_cli_int(cli, "top-k", 10, 1, 1000, &search->top_k) ||
        !tars_cli_real(cli, "threshold", -1, 0, 1, &search->threshold) || !read_format(search))
        return false;
    search->rerank = !tars_cli_value(cli, "no-rerank");
    if (!search->rerank && tars_cli_value(cli, "rerank")) {
        tars_cli_complain("--rerank and --no-rerank exclude each other");
        return false;
    }
    search->distinct = search->format == FORMAT_TREC || tars_cli_value(cli, "distinct") != NULL;
    if (filters) {
        search->filters = json_loads(filters, 0, NULL);
        if (!json_is_object(search->filters)) {
            tars_cli_complain("--filters is not a JSON object");
            return false;
        }
    }
    if (cli->argument_count == 0 && !tars_cli_value(cli, "queries")) {
        tars_cli_complain("search needs a QUERY or --queries FILE; see tars search --help");
        return false;
    }
    return true;
}

int tars_cmd_search(struct tars_cli *cli)
{
    struct search search = {.cli = cli};
    const char *file = tars_cli_value(cli, "queries");
    struct tars_err err = {{0}};
    tars_status status;

    if (!read_options(&search)) {
        json_decref(search.filters);
        return TARS_EXIT_USAGE;
    }
    tars_buf_init(&search.reply, REPLY_MAX);
    status = tars_session_open(cli, false, &search.session, &err);
    if (status == TARS_OK)
        (void)fputs(tars_session_warnings(search.session), stderr);
    if (status == TARS_OK) {
        status = file ? run_file(&search, file, &err)
                      : run_one(&search, "1", tars_cli_joined(cli), &err);
    }
    if (status != TARS_OK && !tars_lifecycle_is_over(cli->lifecycle))
        tars_cli_complain("%s", err.text[0] ? err.text : tars_status_text(status));
    tars_session_close(search.session);
    tars_buf_release(&search.reply);
    json_decref(search.filters);
    return tars_cli_exit(cli, status);
}
