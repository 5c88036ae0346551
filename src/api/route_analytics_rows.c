/* route_analytics_rows - rows of analytics as they were kept: failures and the questions they
 * belong to, whole tables as a stream, and where the machine's numbers are heading. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analytics/trends.h"
#include "api/admin_internal.h"
#include "api/analytics_csv.h"
#include "api/analytics_routes.h"

#define ERRORS       100
#define ERRORS_MAX   1000
#define CURSOR_BYTES 48
#define PIECE_BYTES  ((size_t)64 << 10) /* sent at once */
#define PIECE_MAX    ((size_t)4 << 20)  /* and a row behind it */

/* ------------------------------------------------------------------- errors */

static void write_question(struct tars_json *json, const struct tars_logged_query *query)
{
    if (!query) {
        tars_json_null(json, "query");
        return;
    }
    tars_json_object(json, "query");
    tars_json_int(json, "id", query->id);
    tars_api_write_time(json, "timestamp", query->row.time_us);
    tars_json_text(json, "client_id", query->row.client_id);
    tars_json_text(json, "query_text", query->row.query_text);
    tars_json_text(json, "conversation_id", query->row.conversation_id);
    tars_json_fixed(json, "total_time_ms", query->row.total_time_ms, 2);
    tars_json_bool(json, "success", query->row.error_message == NULL);
    tars_json_text(json, "error_message", query->row.error_message);
    tars_json_end(json);
}

static void write_error(struct tars_json *json, const struct tars_logged_error *error)
{
    tars_json_object(json, NULL);
    tars_json_int(json, "id", error->id);
    tars_api_write_time(json, "timestamp", error->row.time_us);
    tars_json_text(json, "error_type", error->row.error_type);
    tars_json_text(json, "error_message", error->row.error_message);
    tars_json_text(json, "service", error->row.service);
    tars_json_text(json, "operation", error->row.operation);
    tars_json_text(json, "client_id", error->row.client_id);
    tars_json_text(json, "severity", error->row.severity);
    tars_json_text(json, "request_id", error->row.request_id);
    write_question(json, error->query);
    tars_json_end(json);
}

/* "TIME-ID", as "next" gave it. */
static bool read_cursor(const char *text, struct tars_analytics_cursor *cursor)
{
    char after;

    return !text || sscanf(text, "%19" SCNd64 "-%19" SCNd64 "%c", &cursor->time_us, &cursor->id,
                           &after) == 2;
}

/* False when the reply is given. */
static bool read_errors_wanted(struct tars_exchange *ex, struct tars_analytics_range *range,
                               struct tars_analytics_wanted *wanted)
{
    struct tars_reader reader;
    const char *start_time;
    const char *end_time;

    tars_reader_init_query(&reader, ex->call.arena, ex->query);
    start_time = tars_reader_text(&reader, "start_time", TARS_READER_OPTIONAL);
    end_time = tars_reader_text(&reader, "end_time", TARS_READER_OPTIONAL);
    wanted->request_id = tars_reader_text(&reader, "request_id", TARS_READER_OPTIONAL);
    wanted->max = (size_t)tars_reader_int(&reader, "limit", ERRORS, 1, ERRORS_MAX);
    if (!read_cursor(tars_reader_text(&reader, "cursor", TARS_READER_OPTIONAL), &wanted->after))
        tars_reader_refuse(&reader, "cursor", "cursor must be the next of a reply before");
    return tars_admin_close_reader(ex, &reader) &&
           tars_analytics_route_times(ex, start_time, end_time, range);
}

void tars_route_analytics_errors(struct tars_exchange *ex)
{
    struct tars_analytics_range range = tars_analytics_route_range(ex);
    struct tars_analytics_wanted wanted = {
        .table = TARS_TABLE_ERRORS, .range = &range, .newest_first = true, .with_query = true};
    struct tars_logged *rows = NULL;
    struct tars_err err = {{0}};
    size_t count = 0;
    char next[CURSOR_BYTES] = "";
    tars_status status;

    if (!read_errors_wanted(ex, &range, &wanted))
        return;
    status = tars_analytics_read(ex->api->config.analytics, &wanted, ex->call.arena, &rows, &count,
                                 &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    if (count == wanted.max) {
        struct tars_analytics_cursor end = tars_analytics_end_of(&rows[count - 1]);

        (void)snprintf(next, sizeof(next), "%" PRId64 "-%" PRId64, end.time_us, end.id);
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "errors");
    for (size_t i = 0; i < count; i++)
        write_error(&ex->json, &rows[i].as.error);
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "total", (int64_t)count);
    tars_json_text(&ex->json, "next", next[0] ? next : NULL);
    tars_exchange_send(ex, 200);
}

/* ------------------------------------------------------------------- export */

enum format { FORMAT_CSV, FORMAT_JSON, FORMAT_JSONL };

static const char *const formats[] = {"csv", "json", "jsonl"};
static const char *const types[] = {"text/csv; charset=utf-8", "application/json",
                                    "application/x-ndjson"};
static const char *const tables[] = {"queries", "accesses", "errors", "system"};

/* Place of word among names; -1: it is none of them. */
static int among(const char *word, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], word) == 0)
            return i;
    }
    return -1;
}

/* A table on its way out, a piece at a time. */
struct stream {
    struct tars_exchange *ex;
    enum tars_analytics_table table;
    enum format format;
    struct tars_buf out;
    struct tars_json json;
    tars_status status;
    bool has_begun; /* a status of HTTP is on its way */
};

static void send_piece(struct stream *stream)
{
    struct tars_exchange *ex = stream->ex;

    if (stream->status == TARS_OK)
        stream->status = stream->out.status;
    if (stream->status == TARS_OK && !stream->has_begun) {
        stream->has_begun = true;
        stream->status = tars_exchange_start(ex, types[stream->format]);
    }
    if (stream->status == TARS_OK && stream->out.len > 0)
        stream->status = ex->ops->write(ex->ops_ctx, stream->out.ptr, stream->out.len);
    if (stream->status == TARS_OK && tars_call_is_over(&ex->call))
        stream->status = TARS_ECANCELED;
    tars_buf_clear(&stream->out);
}

static bool take_row(void *ctx, const struct tars_logged *row)
{
    struct stream *stream = ctx;

    if (stream->format == FORMAT_CSV) {
        tars_analytics_csv(&stream->out, row);
    } else {
        if (stream->format == FORMAT_JSONL)
            tars_json_init(&stream->json, &stream->out);
        tars_analytics_json(&stream->json, row);
    }
    if (stream->format == FORMAT_JSONL)
        tars_buf_append_char(&stream->out, '\n');
    if (stream->out.len >= PIECE_BYTES)
        send_piece(stream);
    return stream->status == TARS_OK;
}

static void end_stream(struct stream *stream, tars_status status, struct tars_err *err)
{
    struct tars_exchange *ex = stream->ex;

    if (status == TARS_OK)
        status = stream->status;
    if (status == TARS_OK) {
        if (stream->format == FORMAT_JSON)
            tars_json_end(&stream->json);
        send_piece(stream);
        status = stream->status;
    }
    tars_buf_release(&stream->out);
    tars_access_note(ex, "analytics-exported", tables[stream->table], NULL, status == TARS_OK);
    if (!stream->has_begun) {
        tars_api_reply_status(ex, status, err);
    } else if (status == TARS_OK) {
        tars_exchange_end(ex);
    } else {
        /* Cut, so that half a table is not taken for a whole one. */
        tars_api_reply_status(ex, TARS_ECANCELED, err);
    }
}

static void stream_table(struct tars_exchange *ex, const struct tars_analytics_range *range,
                         enum tars_analytics_table table, enum format format)
{
    struct stream stream = {.ex = ex, .table = table, .format = format};
    struct tars_err err = {{0}};
    tars_status status;

    tars_buf_init(&stream.out, PIECE_MAX);
    tars_json_init(&stream.json, &stream.out);
    if (format == FORMAT_CSV)
        tars_analytics_csv_names(&stream.out, table);
    if (format == FORMAT_JSON)
        tars_json_array(&stream.json, NULL);
    status = tars_analytics_each(ex->api->config.analytics, table, range, take_row, &stream, &err);
    end_stream(&stream, status, &err);
}

void tars_route_analytics_stream(struct tars_exchange *ex)
{
    struct tars_analytics_range range = tars_analytics_route_range(ex);
    struct tars_reader reader;
    const char *start_time;
    const char *end_time;
    const char *word;
    int table = TARS_TABLE_QUERIES;
    int format = FORMAT_CSV;

    tars_reader_init_query(&reader, ex->call.arena, ex->query);
    start_time = tars_reader_text(&reader, "start_time", TARS_READER_OPTIONAL);
    end_time = tars_reader_text(&reader, "end_time", TARS_READER_OPTIONAL);
    word = tars_reader_text(&reader, "table", TARS_READER_OPTIONAL);
    if (word)
        table = among(word, tables, sizeof(tables) / sizeof(tables[0]));
    if (table < 0)
        tars_reader_refuse(&reader, "table", "table must be queries, accesses, errors or system");
    word = tars_reader_text(&reader, "format", TARS_READER_OPTIONAL);
    if (word)
        format = among(word, formats, sizeof(formats) / sizeof(formats[0]));
    if (format < 0)
        tars_reader_refuse(&reader, "format", "format must be csv, json or jsonl");
    if (!tars_admin_close_reader(ex, &reader) ||
        !tars_analytics_route_times(ex, start_time, end_time, &range) || table < 0 || format < 0)
        return;
    stream_table(ex, &range, (enum tars_analytics_table)table, (enum format)format);
}

/* ------------------------------------------------------------------- trends */

static void write_real(struct tars_json *json, const char *key, double value)
{
    if (isfinite(value)) {
        tars_json_fixed(json, key, value, 4);
    } else {
        tars_json_null(json, key);
    }
}

void tars_route_analytics_trends(struct tars_exchange *ex)
{
    struct tars_trend *trends = NULL;
    struct tars_err err = {{0}};
    size_t count = 0;
    tars_status status = tars_analytics_trends(ex->api->config.analytics, tars_clock_wall_us(),
                                               ex->call.arena, &trends, &count, &err);

    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "trends");
    for (size_t i = 0; i < count; i++) {
        tars_json_object(&ex->json, NULL);
        tars_json_text(&ex->json, "metric", trends[i].metric);
        tars_json_text(&ex->json, "unit", trends[i].unit);
        tars_json_int(&ex->json, "samples", (int64_t)trends[i].samples);
        write_real(&ex->json, "latest", trends[i].latest);
        write_real(&ex->json, "median", trends[i].median);
        write_real(&ex->json, "spread", trends[i].spread);
        write_real(&ex->json, "per_hour", trends[i].per_hour);
        tars_json_bool(&ex->json, "is_outlier", trends[i].is_outlier);
        tars_json_end(&ex->json);
    }
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "hours", TARS_TREND_HOURS);
    tars_json_text(&ex->json, "rule", tars_trend_rule);
    tars_exchange_time(ex, "timestamp");
    tars_exchange_send(ex, 200);
}
