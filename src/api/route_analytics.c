/* route_analytics - what was asked, what was read, what failed: contract section 1.5. Everything is
 * of the caller's tenant, and documents are those of collections that the caller may read; the
 * owner of the data folder sees all. */
#include <string.h>

#include "analytics/analytics.h"
#include "api/analytics_csv.h"
#include "api/access.h"
#include "api/analytics_routes.h"
#include "api/export_path.h"
#include "api/reader.h"

#define TOP_DOCUMENTS  10
#define TOP_MAX        100
#define PIECE_BYTES    ((size_t)64 << 10) /* written to a file at once */
#define PIECE_MAX      ((size_t)1 << 20)  /* and a row behind it */
#define HOUR_KEY_BYTES 4

const char *tars_analytics_route_tenant(const struct tars_exchange *ex)
{
    return ex->call.tenant ? ex->call.tenant : TARS_TENANT;
}

struct tars_analytics_range tars_analytics_route_range(const struct tars_exchange *ex)
{
    if (ex->is_owner)
        return (struct tars_analytics_range){0};
    return (struct tars_analytics_range){.tenant = tars_analytics_route_tenant(ex),
                                         .visible = ex->call.visible};
}

/* ------------------------------------------------------------------ writing */

static void write_share(struct tars_json *json, const char *count_key, const char *rate_key,
                        int64_t count, int64_t total)
{
    tars_json_int(json, count_key, count);
    tars_json_fixed(json, rate_key, total ? (double)count / (double)total : 0, 4);
}

static void write_stats(struct tars_json *json, const struct tars_query_stats *stats,
                        const char *start_time, const char *end_time)
{
    double total = stats->total ? (double)stats->total : 1;

    tars_json_int(json, "total_queries", stats->total);
    tars_json_int(json, "successful_queries", stats->successful);
    tars_json_int(json, "failed_queries", stats->total - stats->successful);
    tars_json_fixed(json, "success_rate", (double)stats->successful / total, 4);
    tars_json_fixed(json, "avg_retrieval_time_ms", stats->avg_retrieval_time_ms, 2);
    tars_json_fixed(json, "avg_generation_time_ms", stats->avg_generation_time_ms, 2);
    tars_json_fixed(json, "avg_total_time_ms", stats->avg_total_time_ms, 2);
    tars_json_fixed(json, "avg_sources_count", stats->avg_sources_count, 2);
    tars_json_fixed(json, "avg_relevance_score", stats->avg_relevance_score, 4);
    write_share(json, "reranking_usage_count", "reranking_usage_rate", stats->reranking,
                stats->total);
    write_share(json, "hybrid_search_usage_count", "hybrid_search_usage_rate", stats->hybrid_search,
                stats->total);
    write_share(json, "query_expansion_usage_count", "query_expansion_usage_rate",
                stats->query_expansion, stats->total);
    tars_json_text(json, "start_time", start_time);
    tars_json_text(json, "end_time", end_time);
}

static void write_documents(struct tars_json *json, const struct tars_popular_document *documents,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tars_json_object(json, NULL);
        tars_json_text(json, "document_id", documents[i].document_id);
        tars_json_text(json, "file_name", documents[i].file_name);
        tars_json_int(json, "access_count", documents[i].access_count);
        tars_api_write_time(json, "last_accessed", documents[i].last_accessed_us);
        tars_json_fixed(json, "avg_relevance_score", documents[i].avg_relevance_score, 4);
        tars_json_int(json, "total_retrievals", documents[i].access_count);
        tars_json_end(json);
    }
}

static void write_patterns(struct tars_json *json, const struct tars_query_patterns *patterns)
{
    char key[HOUR_KEY_BYTES];

    tars_json_int(json, "total_queries", patterns->total);
    tars_json_fixed(json, "avg_query_length", patterns->avg_length, 2);
    tars_json_int(json, "min_query_length", patterns->min_length);
    tars_json_int(json, "max_query_length", patterns->max_length);
    tars_json_object(json, "top_words");
    for (size_t i = 0; i < patterns->top_word_count; i++)
        tars_json_int(json, patterns->top_words[i].word, patterns->top_words[i].count);
    tars_json_end(json);
    tars_json_object(json, "queries_by_hour");
    for (int hour = 0; hour < 24; hour++) {
        if (patterns->by_hour[hour] > 0) {
            (void)snprintf(key, sizeof(key), "%d", hour % 24);
            tars_json_int(json, key, patterns->by_hour[hour]);
        }
    }
    tars_json_end(json);
}

/* A question to the log of questions has been answered, or not. */
static void count_asked(const struct tars_exchange *ex, const char *operation)
{
    struct tars_metrics *metrics = ex->api->config.metrics;

    tars_metrics_add(metrics, TARS_METRIC_DB_QUERIES, 1);
    tars_series_observe(tars_metrics_series(metrics, TARS_METRIC_DB_QUERY_DURATION, operation),
                        tars_exchange_elapsed_ms(ex) / 1000);
}

/* ------------------------------------------------------------------- health */

void tars_route_analytics_health(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    const struct tars_analytics_range range = tars_analytics_route_range(ex);
    struct tars_analytics_totals totals = {0};
    struct tars_analytics_counts counts;
    struct tars_err err = {{0}};
    tars_status status = tars_analytics_totals(config->analytics, &range, &totals, &err);
    bool is_well = !config->analytics || tars_analytics_health(config->analytics, NULL) == TARS_OK;

    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", is_well ? "healthy" : "degraded");
    tars_json_bool(&ex->json, "enable_logging", tars_analytics_is_on(config->analytics));
    tars_json_int(&ex->json, "total_queries", totals.queries);
    tars_json_int(&ex->json, "total_errors", totals.errors);
    tars_json_int(&ex->json, "tracked_documents", totals.documents);
    counts = tars_analytics_counts(config->analytics);
    tars_json_int(&ex->json, "waiting_bytes", (int64_t)counts.queued_bytes);
    tars_json_int(&ex->json, "journal_bytes", (int64_t)counts.queue_bytes);
    tars_json_int(&ex->json, "lost_rows", (int64_t)counts.dropped);
    tars_json_int(&ex->json, "replayed_rows", (int64_t)counts.replayed);
    tars_exchange_send(ex, 200);
}

/* --------------------------------------------------------------- statistics */

/* An end of the range. False when the reply is given. */
static bool read_time(struct tars_exchange *ex, const char *text, int64_t *us)
{
    const char *words;

    if (!text)
        return true;
    if (tars_clock_parse(text, us)) {
        *us -= *us == 0; /* 0 stands for no end */
        return true;
    }
    words = tars_arena_printf(ex->call.arena, "Invalid time format: Invalid isoformat string: '%s'",
                              text);
    tars_exchange_fail(ex, 400, words ? words : "Invalid time format");
    return false;
}

bool tars_analytics_route_times(struct tars_exchange *ex, const char *start_time,
                                const char *end_time, struct tars_analytics_range *range)
{
    return read_time(ex, start_time, &range->from_us) && read_time(ex, end_time, &range->to_us);
}

void tars_route_analytics_stats(struct tars_exchange *ex)
{
    struct tars_analytics_range range = tars_analytics_route_range(ex);
    struct tars_err err = {{0}};
    struct tars_query_stats stats;
    struct tars_reader reader;
    const char *start_time;
    const char *end_time;
    tars_status status;

    tars_reader_init_query(&reader, ex->call.arena, ex->query);
    start_time = tars_reader_text(&reader, "start_time", TARS_READER_OPTIONAL);
    end_time = tars_reader_text(&reader, "end_time", TARS_READER_OPTIONAL);
    if (tars_reader_is_bad(&reader)) {
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
        tars_reader_release(&reader);
        return;
    }
    tars_reader_release(&reader);
    if (!tars_analytics_route_times(ex, start_time, end_time, &range))
        return;
    status = tars_analytics_stats(ex->api->config.analytics, &range, &stats, &err);
    count_asked(ex, "query_stats");
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    write_stats(&ex->json, &stats, start_time, end_time);
    tars_exchange_send(ex, 200);
}

void tars_route_analytics_documents(struct tars_exchange *ex)
{
    const struct tars_analytics_range range = tars_analytics_route_range(ex);
    struct tars_popular_document *documents = NULL;
    struct tars_err err = {{0}};
    struct tars_reader reader;
    size_t count = 0;
    int64_t top_n;
    tars_status status;

    tars_reader_init_query(&reader, ex->call.arena, ex->query);
    top_n = tars_reader_int(&reader, "top_n", TOP_DOCUMENTS, 1, TOP_MAX);
    if (tars_reader_is_bad(&reader)) {
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
        tars_reader_release(&reader);
        return;
    }
    tars_reader_release(&reader);
    status = tars_analytics_popular(ex->api->config.analytics, &range, (size_t)top_n,
                                    ex->call.arena, &documents, &count, &err);
    count_asked(ex, "document_popularity");
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json_list(ex);
    write_documents(&ex->json, documents, count);
    tars_exchange_send(ex, 200);
}

void tars_route_analytics_patterns(struct tars_exchange *ex)
{
    const struct tars_analytics_range range = tars_analytics_route_range(ex);
    struct tars_query_patterns patterns;
    struct tars_err err = {{0}};
    tars_status status =
        tars_analytics_patterns(ex->api->config.analytics, &range, ex->call.arena, &patterns, &err);

    count_asked(ex, "query_patterns");
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    write_patterns(&ex->json, &patterns);
    tars_exchange_send(ex, 200);
}

void tars_route_analytics_summary(struct tars_exchange *ex)
{
    struct tars_analytics *analytics = ex->api->config.analytics;
    const struct tars_analytics_range range = tars_analytics_route_range(ex);
    struct tars_popular_document *documents = NULL;
    struct tars_query_patterns patterns;
    struct tars_query_stats stats;
    struct tars_err err = {{0}};
    size_t count = 0;
    tars_status status = tars_analytics_stats(analytics, &range, &stats, &err);

    if (status == TARS_OK) {
        status = tars_analytics_popular(analytics, &range, TOP_DOCUMENTS, ex->call.arena,
                                        &documents, &count, &err);
    }
    if (status == TARS_OK)
        status = tars_analytics_patterns(analytics, &range, ex->call.arena, &patterns, &err);
    count_asked(ex, "summary");
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_object(&ex->json, "query_stats");
    write_stats(&ex->json, &stats, NULL, NULL);
    tars_json_end(&ex->json);
    tars_json_array(&ex->json, "top_documents");
    write_documents(&ex->json, documents, count);
    tars_json_end(&ex->json);
    tars_json_object(&ex->json, "query_patterns");
    write_patterns(&ex->json, &patterns);
    tars_json_end(&ex->json);
    tars_exchange_time(ex, "timestamp");
    tars_exchange_send(ex, 200);
}

/* ------------------------------------------------------------------- export */

struct exporter {
    struct tars_export file;
    struct tars_buf out;
    struct tars_json json;
    struct tars_err *err;
    tars_status status;
    struct tars_call *call;
};

static void write_piece(struct exporter *exporter)
{
    if (exporter->status == TARS_OK)
        exporter->status = exporter->out.status;
    if (exporter->status == TARS_OK && exporter->out.len > 0) {
        exporter->status =
            tars_export_write(&exporter->file, exporter->out.ptr, exporter->out.len, exporter->err);
    }
    tars_buf_clear(&exporter->out);
}

static bool export_row(void *ctx, const struct tars_logged *row)
{
    struct exporter *exporter = ctx;

    if (exporter->file.is_json) {
        tars_analytics_json(&exporter->json, row);
    } else {
        tars_analytics_csv(&exporter->out, row);
    }
    if (exporter->out.len >= PIECE_BYTES)
        write_piece(exporter);
    if (exporter->status == TARS_OK && tars_call_is_over(exporter->call))
        exporter->status = tars_fail(TARS_ECANCELED, exporter->err, "stopped");
    return exporter->status == TARS_OK;
}

static tars_status export_rows(struct tars_exchange *ex, struct exporter *exporter)
{
    const struct tars_analytics_range range = tars_analytics_route_range(ex);
    tars_status status;

    tars_buf_init(&exporter->out, PIECE_MAX);
    tars_json_init(&exporter->json, &exporter->out);
    if (exporter->file.is_json) {
        tars_json_array(&exporter->json, NULL);
    } else {
        tars_analytics_csv_names(&exporter->out, TARS_TABLE_QUERIES);
    }
    status = tars_analytics_each(ex->api->config.analytics, TARS_TABLE_QUERIES, &range, export_row,
                                 exporter, exporter->err);
    if (status == TARS_OK)
        status = exporter->status;
    if (exporter->file.is_json)
        tars_json_end(&exporter->json);
    write_piece(exporter);
    tars_buf_release(&exporter->out);
    return status == TARS_OK ? exporter->status : status;
}

/* Tenants write apart, so that none can overwrite, or find out, what another one exported. */
static const char *folder_of(struct tars_exchange *ex)
{
    const char *root = ex->api->config.export_dir;

    if (ex->is_owner || strcmp(tars_analytics_route_tenant(ex), TARS_TENANT) == 0)
        return root;
    return tars_arena_printf(ex->call.arena, "%s/%s", root, tars_analytics_route_tenant(ex));
}

static void export_to(struct tars_exchange *ex, const char *wanted)
{
    struct tars_err err = {{0}};
    struct exporter exporter = {.err = &err, .call = &ex->call};
    const char *folder = folder_of(ex);
    tars_status status = folder ? TARS_OK : TARS_ENOMEM;

    if (status == TARS_OK)
        status = tars_export_begin(folder, wanted, ex->call.arena, &exporter.file, &err);
    if (status == TARS_OK)
        status = tars_export_end(&exporter.file, export_rows(ex, &exporter), &err);
    tars_access_note(ex, "analytics-exported", wanted, NULL, status == TARS_OK);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "success");
    tars_json_text(&ex->json, "output_path", wanted);
    tars_json_text(
        &ex->json, "message",
        tars_arena_printf(ex->call.arena, "Analytics exported to %s", exporter.file.path));
    tars_exchange_send(ex, 200);
}

void tars_route_analytics_export(struct tars_exchange *ex)
{
    struct tars_reader reader;
    const char *wanted;
    bool good;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    wanted = tars_reader_text(&reader, "output_path", TARS_READER_REQUIRED);
    good = !tars_reader_is_bad(&reader);
    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
    tars_reader_release(&reader);
    if (good)
        export_to(ex, wanted);
}

void tars_route_analytics_clear(struct tars_exchange *ex)
{
    const char *tenant = ex->is_owner ? NULL : tars_analytics_route_tenant(ex);
    struct tars_err err = {{0}};
    tars_status status = tars_analytics_clear(ex->api->config.analytics, tenant, &err);

    tars_access_note(ex, "analytics-cleared", NULL, NULL, status == TARS_OK);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "success");
    tars_json_text(&ex->json, "message", "Analytics data cleared");
    tars_exchange_send(ex, 200);
}
