/* cmd_analytics - the log of questions for who runs the server: tables out, clients erased or made
 * anonymous, failures, trends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/admin.h"
#include "app/lines.h"
#include "base/codec/url.h"

#define PATH_BYTES ((size_t)16 << 10)

const struct tars_option tars_options_analytics[] = {
    {"table", 0, "NAME", NULL, "export: queries, accesses, errors or system (queries)"},
    {"format", 'f', "NAME", NULL, "export: csv, json or jsonl (csv)"},
    {"output", 'o', "FILE", NULL, "export: write to FILE, not to standard output"},
    {"from", 0, "TIME", NULL, "export, errors: from this time on, ISO 8601, UTC"},
    {"to", 0, "TIME", NULL, "export, errors: up to this time"},
    {"before", 0, "TIME", NULL, "anonymize: rows older than this"},
    {"client", 'c', "ID", NULL, "anonymize: rows of this client"},
    {"names", 0, "KIND", NULL, "anonymize: pseudonym or anonymous (pseudonym)"},
    {"request", 'r', "ID", NULL, "errors: of this request"},
    {"limit", 'n', "N", NULL, "errors: how many, newest first (50)"},
    {"tenant", 't', "NAME", NULL, "erase, anonymize: only rows of this tenant (all)"},
    {NULL, 0, NULL, NULL, NULL},
};

/* ------------------------------------------------------------------- asking */

static void add_parameter(struct tars_buf *path, const struct tars_admin *admin, const char *name,
                          const char *option)
{
    const char *value = tars_cli_value(admin->cli, option);

    if (!value)
        return;
    tars_buf_append_char(path, strchr(path->ptr ? path->ptr : "", '?') ? '&' : '?');
    tars_buf_append_text(path, name);
    tars_buf_append_char(path, '=');
    tars_url_encode(path, tars_span_of(value));
}

/* ------------------------------------------------------------------- export */

struct output {
    FILE *file;
    struct tars_buf error; /* an error body */
    bool is_full;
};

static bool take_bytes(void *ctx, int status, const char *ptr, size_t len)
{
    struct output *output = ctx;

    if (status >= 400) {
        tars_buf_append(&output->error, ptr, len);
        return true;
    }
    output->is_full = fwrite(ptr, 1, len, output->file) != len;
    return !output->is_full;
}

static tars_status stream_to(struct tars_admin *admin, FILE *file, const char *path,
                             struct tars_err *err)
{
    struct output output = {.file = file};
    int http = 0;
    tars_status status;

    tars_buf_init(&output.error, PATH_BYTES);
    status = tars_session_stream(admin->session, TARS_HTTP_GET, path, "", take_bytes, &output,
                                 &http, err);
    if (fflush(file) != 0 || output.is_full) {
        status = tars_fail(TARS_EIO, err, "cannot write the export");
    } else if (status == TARS_OK && http >= 400) {
        status = tars_fail(TARS_EIO, err, "the server said %d", http);
        tars_session_words(output.error.ptr ? output.error.ptr : "", output.error.len, err);
    }
    tars_buf_release(&output.error);
    return status;
}

static tars_status verb_export(struct tars_admin *admin, struct tars_err *err)
{
    const char *name = tars_cli_value(admin->cli, "output");
    FILE *file = name ? fopen(name, "wbe") : stdout;
    struct tars_buf path;
    tars_status status;

    if (!file)
        return tars_fail(TARS_EIO, err, "cannot write %s", name);
    tars_buf_init(&path, PATH_BYTES);
    tars_buf_append_text(&path, "/analytics/export");
    add_parameter(&path, admin, "table", "table");
    add_parameter(&path, admin, "format", "format");
    add_parameter(&path, admin, "start_time", "from");
    add_parameter(&path, admin, "end_time", "to");
    status = path.status == TARS_OK ? stream_to(admin, file, path.ptr, err) : path.status;
    tars_buf_release(&path);
    if (name && fclose(file) != 0 && status == TARS_OK)
        status = tars_fail(TARS_EIO, err, "cannot write %s", name);
    return status;
}

/* --------------------------------------------------------- erase, anonymize */

static void print_changed(const json_t *reply)
{
    printf("%.0f questions, %.0f accesses, %.0f errors\n", tars_object_number(reply, "queries"),
           tars_object_number(reply, "accesses"), tars_object_number(reply, "errors"));
}

static tars_status verb_erase(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status = tars_admin_ask(admin, TARS_HTTP_DELETE, NULL, err, "/analytics/clients/%s",
                                        admin->arguments[0], NULL);

    if (status == TARS_OK)
        tars_admin_print_object(admin, print_changed);
    return status;
}

static tars_status verb_anonymize(struct tars_admin *admin, struct tars_err *err)
{
    const char *names = tars_cli_value(admin->cli, "names");
    json_t *body =
        json_pack("{s:s?,s:s?,s:s}", "before", tars_cli_value(admin->cli, "before"), "client_id",
                  tars_cli_value(admin->cli, "client"), "names", names ? names : "pseudonym");
    tars_status status;

    if (!body)
        return tars_fail(TARS_EINVAL, err, "an argument is not valid UTF-8");
    status = tars_admin_ask(admin, TARS_HTTP_POST, body, err, "/analytics/anonymize", NULL);
    if (status == TARS_OK)
        tars_admin_print_object(admin, print_changed);
    return status;
}

/* ----------------------------------------------------------- errors, trends */

static void print_error(const json_t *error)
{
    const json_t *query = json_object_get(error, "query");

    printf("%-26s %-8s %-18s %-16s %s: %s\n", tars_admin_text(error, "timestamp"),
           tars_admin_text(error, "severity"), tars_admin_text(error, "error_type"),
           tars_admin_text(error, "client_id"), tars_admin_text(error, "operation"),
           tars_admin_text(error, "error_message"));
    printf("%-26s request %s\n", "", tars_admin_text(error, "request_id"));
    if (json_is_object(query))
        printf("%-26s asked \"%s\"\n", "", tars_admin_text(query, "query_text"));
}

static tars_status verb_errors(struct tars_admin *admin, struct tars_err *err)
{
    struct tars_buf path;
    tars_status status;

    tars_buf_init(&path, PATH_BYTES);
    tars_buf_append_text(&path, "/analytics/errors");
    add_parameter(&path, admin, "start_time", "from");
    add_parameter(&path, admin, "end_time", "to");
    add_parameter(&path, admin, "request_id", "request");
    if (tars_cli_value(admin->cli, "limit")) {
        add_parameter(&path, admin, "limit", "limit");
    } else {
        tars_buf_append_text(&path,
                             strchr(path.ptr ? path.ptr : "", '?') ? "&limit=50" : "?limit=50");
    }
    status = path.status;
    if (status == TARS_OK) {
        status = tars_session_ask(admin->session, TARS_HTTP_GET, path.ptr, "", &admin->reply, err);
    }
    tars_buf_release(&path);
    if (status == TARS_OK)
        tars_admin_print_list(admin, "errors", print_error);
    return status;
}

static void print_trend(const json_t *trend)
{
    const json_t *slope = json_object_get(trend, "per_hour");

    printf("%-28s %12.2f %12.2f %10.2f ", tars_admin_text(trend, "metric"),
           tars_object_number(trend, "latest"), tars_object_number(trend, "median"),
           tars_object_number(trend, "spread"));
    if (json_is_number(slope)) {
        printf("%+12.4f  %s\n", json_number_value(slope),
               tars_admin_flag(trend, "is_outlier") ? "outlier" : "");
    } else {
        printf("%12s\n", "too few");
    }
}

static tars_status verb_trends(struct tars_admin *admin, struct tars_err *err)
{
    tars_status status = tars_session_ask(admin->session, TARS_HTTP_GET, "/analytics/trends", "",
                                          &admin->reply, err);

    if (status != TARS_OK)
        return status;
    if (!admin->cli->json)
        printf("%-28s %12s %12s %10s %12s\n", "metric", "latest", "median", "spread", "per hour");
    tars_admin_print_list(admin, "trends", print_trend);
    return status;
}

int tars_cmd_analytics(struct tars_cli *cli)
{
    static const struct tars_admin_verb verbs[] = {
        {"export", "", 0, 0, verb_export},       {"erase", "CLIENT_ID", 1, 1, verb_erase},
        {"anonymize", "", 0, 0, verb_anonymize}, {"errors", "", 0, 0, verb_errors},
        {"trends", "", 0, 0, verb_trends},
    };

    return tars_admin_run(cli, verbs, sizeof(verbs) / sizeof(verbs[0]));
}
