/* route_analytics - what was asked, what was read, what failed: contract section 1.5. Everything is
 * of the caller's tenant, and documents are those of collections that the caller may read; the
 * owner of the data folder sees all. */
#include <string.h>

#include "analytics/analytics.h"
#include "api/api_internal.h"
#include "api/reader.h"

static struct tars_analytics_range range_of(const struct tars_exchange *ex)
{
    if (ex->is_owner)
        return (struct tars_analytics_range){0};
    return (struct tars_analytics_range){
        .tenant = ex->call.tenant ? ex->call.tenant : TARS_TENANT,
        .visible = ex->call.visible,
    };
}

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

void tars_route_analytics_health(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    const struct tars_analytics_range range = range_of(ex);
    struct tars_analytics_totals totals = {0};
    struct tars_err err = {{0}};
    tars_status status = tars_analytics_totals(config->analytics, &range, &totals, &err);

    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "healthy");
    tars_json_bool(&ex->json, "enable_logging", tars_analytics_is_on(config->analytics));
    tars_json_int(&ex->json, "total_queries", totals.queries);
    tars_json_int(&ex->json, "total_errors", totals.errors);
    tars_json_int(&ex->json, "tracked_documents", totals.documents);
    tars_exchange_send(ex, 200);
}

void tars_route_analytics_stats(struct tars_exchange *ex)
{
    const struct tars_analytics_range range = range_of(ex);
    struct tars_query_stats stats;
    struct tars_err err = {{0}};
    tars_status status = tars_analytics_stats(ex->api->config.analytics, &range, &stats, &err);

    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    write_stats(&ex->json, &stats, NULL, NULL);
    tars_exchange_send(ex, 200);
}
