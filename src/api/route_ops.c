/* route_ops - the whole service at a glance, for those who run it: contract section 1.8. */
#include "analytics/analytics.h"
#include "api/api_internal.h"
#include "api/rights.h"

#define DAY_US        (INT64_C(86400) * 1000000)
#define RETRY_AFTER_S "5"

static bool is_needed(const struct tars_health_part *part)
{
    return !part->optional;
}

/* "healthy", or "degraded" when a part that is needed is away. */
static const char *overall(const struct tars_exchange *ex)
{
    const struct tars_health *health = ex->api->config.health;

    for (size_t i = 0; i < health->count; i++) {
        if (is_needed(&health->parts[i]) && !tars_api_is_well(ex, health->parts[i].name))
            return "degraded";
    }
    return "healthy";
}

static void write_services(struct tars_exchange *ex)
{
    const struct tars_health *health = ex->api->config.health;
    struct tars_json *json = &ex->json;

    tars_json_array(json, "services");
    for (size_t i = 0; i < health->count; i++) {
        const struct tars_health_part *part = &health->parts[i];
        struct tars_err why = {{0}};
        tars_status status = tars_health_check(health, part->name, &why);

        tars_json_object(json, NULL);
        tars_json_text(json, "name", part->name);
        tars_json_text(json, "status", status == TARS_OK ? "healthy" : "unhealthy");
        tars_json_bool(json, "optional", part->optional);
        /* Names of machines and folders. */
        tars_json_text(json, "detail",
                       status == TARS_OK || !tars_api_sees_server(ex) ? NULL : why.text);
        tars_json_end(json);
    }
    tars_json_end(json);
}

static void write_collection(struct tars_exchange *ex, const struct tars_collection_stats *stats)
{
    struct tars_json *json = &ex->json;

    tars_json_object(json, "model");
    tars_json_text(json, "language_model", stats->language_model);
    tars_json_text(json, "embedding_model", stats->embedding_model);
    tars_json_text(json, "reranker", stats->reranker);
    tars_json_int(json, "embedding_dimension", stats->dimension);
    tars_json_end(json);
    tars_json_object(json, "chroma_stats");
    tars_json_text(json, "collection_name", ex->api->config.collection_name);
    tars_json_int(json, "total_documents", stats->documents);
    tars_json_int(json, "total_chunks", stats->chunks);
    tars_json_fixed(json, "total_size_mb", (double)stats->bytes / 1048576, 2);
    tars_json_end(json);
    tars_json_object(json, "ingestion");
    tars_json_int(json, "queued", stats->jobs_queued);
    tars_json_int(json, "running", stats->jobs_running);
    tars_json_int(json, "failed", stats->jobs_failed);
    tars_api_write_time(json, "last_indexed", stats->last_indexed_us);
    tars_json_end(json);
}

static void write_activity(struct tars_exchange *ex, const struct tars_query_stats *all,
                           const struct tars_query_stats *day)
{
    struct tars_json *json = &ex->json;

    tars_json_object(json, "query_activity");
    tars_json_int(json, "total_queries", all->total);
    tars_json_int(json, "failed_queries", all->total - all->successful);
    tars_json_int(json, "queries_last_24h", day->total);
    tars_json_fixed(json, "avg_total_time_ms_last_24h", day->avg_total_time_ms, 2);
    tars_json_end(json);
}

/* Who sees to the server is told which part is away, and why. */
static void refuse(struct tars_exchange *ex, tars_status status, const struct tars_err *err)
{
    if (status != TARS_EUNAVAILABLE || !err->text[0] || !tars_api_sees_server(ex)) {
        tars_api_reply_status(ex, status, err);
        return;
    }
    ex->retry_after = RETRY_AFTER_S;
    tars_exchange_fail(ex, 503, err->text);
}

void tars_route_ops_summary(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_analytics_range range = {.tenant = ex->is_owner ? NULL : ex->caller.tenant};
    struct tars_collection_stats stats;
    struct tars_query_stats all;
    struct tars_query_stats day;
    struct tars_nas_view nas;
    struct tars_err err = {{0}};
    tars_status status = config->service->stats(config->service_ctx, tars_api_visible(ex),
                                                ex->call.arena, &stats, &err);

    if (status == TARS_OK)
        status = tars_analytics_stats(config->analytics, &range, &all, &err);
    range.from_us = tars_clock_wall_us() - DAY_US;
    if (status == TARS_OK)
        status = tars_analytics_stats(config->analytics, &range, &day, &err);
    if (status != TARS_OK) {
        refuse(ex, status, &err);
        return;
    }
    tars_api_watched(ex, &nas);
    tars_exchange_json(ex);
    tars_exchange_time(ex, "timestamp");
    tars_json_text(&ex->json, "version", TARS_SERVICE_VERSION);
    tars_json_int(&ex->json, "uptime_seconds", tars_api_uptime_seconds(ex));
    tars_json_text(&ex->json, "overall_status", overall(ex));
    write_services(ex);
    write_collection(ex, &stats);
    write_activity(ex, &all, &day);
    tars_json_bool(&ex->json, "nas_mounted", nas.mounted);
    tars_json_int(&ex->json, "nas_document_count", nas.indexed_files);
    tars_exchange_send(ex, 200);
}

void tars_route_ops_snapshot(struct tars_exchange *ex)
{
    const struct tars_health *health = ex->api->config.health;

    tars_exchange_json(ex);
    tars_exchange_time(ex, "timestamp");
    tars_json_text(&ex->json, "version", TARS_SERVICE_VERSION);
    tars_json_text(&ex->json, "status", overall(ex));
    tars_json_object(&ex->json, "services");
    for (size_t i = 0; i < health->count; i++) {
        tars_json_text(&ex->json, health->parts[i].name,
                       tars_api_is_well(ex, health->parts[i].name) ? "healthy" : "unhealthy");
    }
    tars_json_end(&ex->json);
    tars_exchange_send(ex, 200);
}
