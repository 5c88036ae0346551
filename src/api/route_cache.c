/* route_cache - the cache: how it does (the info object of contract section 4, and more), and to
 * forget what it keeps. */
#include <stdio.h>

#include "api/access.h"
#include "api/admin_internal.h"
#include "api/api_internal.h"

/* As Redis writes it: 512B, 1.04M. */
static void write_bytes(struct tars_json *json, const char *key, uint64_t bytes)
{
    static const char units[] = "BKMGTP";
    double value = (double)bytes;
    size_t unit = 0;
    char text[32];

    while (value >= 1024 && unit + 2 < sizeof(units)) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(text, sizeof(text), "%.*f%c", unit ? 2 : 0, value, units[unit]);
    tars_json_text(json, key, text);
}

/* The contract's names, and what they leave out. */
static void write_tally(struct tars_json *json, const char *key,
                        const struct tars_cache_tally *tally)
{
    tars_json_object(json, key);
    tars_json_int(json, "hits", (int64_t)tally->hits);
    tars_json_int(json, "misses", (int64_t)tally->misses);
    tars_json_int(json, "sets", (int64_t)tally->sets);
    tars_json_int(json, "errors", (int64_t)tally->errors);
    tars_json_fixed(json, "hit_rate_percent", tally->hit_rate_percent, 2);
    tars_json_int(json, "total_reads", (int64_t)(tally->hits + tally->misses));
    tars_json_int(json, "evictions", (int64_t)tally->evictions);
    tars_json_int(json, "entries", (int64_t)tally->entries);
    tars_json_int(json, "bytes", (int64_t)tally->bytes);
    tars_json_end(json);
}

static void write_kinds(struct tars_json *json, const struct tars_cache_tally *kinds)
{
    tars_json_object(json, "kinds");
    for (size_t i = 0; i < TARS_CACHE_VIEW_KINDS; i++)
        write_tally(json, kinds[i].name, &kinds[i]);
    tars_json_end(json);
}

static void write_levels(struct tars_json *json, const struct tars_cache_view *view)
{
    tars_json_array(json, "levels");
    for (size_t i = 0; i < view->level_count; i++) {
        tars_json_object(json, NULL);
        tars_json_text(json, "name", view->levels[i].name);
        write_tally(json, "total", &view->levels[i].total);
        write_kinds(json, view->levels[i].kinds);
        tars_json_end(json);
    }
    tars_json_end(json);
}

static const char *why_not(const struct tars_redis_view *redis)
{
    if (!redis->configured)
        return "Redis is not used";
    return redis->error[0] ? redis->error : "Redis is not connected";
}

/* The contract's info object. */
static void write_redis(struct tars_json *json, const struct tars_cache_view *view)
{
    const struct tars_redis_view *redis = &view->redis;

    tars_json_bool(json, "connected", redis->connected);
    if (!redis->connected) {
        tars_json_text(json, "error", why_not(redis));
    } else {
        tars_json_text(json, "host", redis->host);
        tars_json_int(json, "port", redis->port);
        tars_json_int(json, "db", redis->db);
        tars_json_text(json, "redis_version", redis->version);
        write_bytes(json, "used_memory_human", redis->used_memory);
        tars_json_int(json, "connected_clients", (int64_t)redis->clients);
        tars_json_int(json, "total_keys", (int64_t)redis->total_keys);
        tars_json_int(json, "tars_keys", (int64_t)redis->tars_keys);
    }
    write_tally(json, "cache_stats", &view->total);
    tars_json_object(json, "ttl_config");
    tars_json_int(json, "embedding_ttl_seconds", view->embedding_ttl_s);
    tars_json_int(json, "reranker_ttl_seconds", view->reranker_ttl_s);
    tars_json_int(json, "default_ttl_seconds", view->default_ttl_s);
    tars_json_end(json);
}

/* How the way to Redis is. */
static void write_link(struct tars_json *json, const struct tars_redis_view *redis)
{
    tars_json_object(json, "redis");
    tars_json_bool(json, "configured", redis->configured);
    tars_json_text(json, "breaker", redis->configured ? redis->breaker : NULL);
    tars_json_int(json, "used_memory_bytes", (int64_t)redis->used_memory);
    tars_json_int(json, "max_memory_bytes", (int64_t)redis->max_memory);
    tars_json_int(json, "open_connections", (int64_t)redis->connections);
    tars_json_int(json, "busy_connections", (int64_t)redis->busy);
    tars_json_int(json, "reconnects", (int64_t)redis->reconnects);
    tars_json_end(json);
}

void tars_route_admin_cache(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_cache_view view;

    config->service->cache_view(config->service_ctx, true, ex->call.arena, &view);
    tars_exchange_json(ex);
    write_redis(&ex->json, &view);
    tars_json_bool(&ex->json, "enabled", view.enabled);
    tars_json_int(&ex->json, "shared_computations", (int64_t)view.shared);
    write_kinds(&ex->json, view.kinds);
    write_levels(&ex->json, &view);
    write_link(&ex->json, &view.redis);
    tars_exchange_send(ex, 200);
}

/* ?kind=, ?pattern=, or all. */
void tars_route_admin_clear_cache(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_err err = {{0}};
    struct tars_reader reader;
    const char *kind;
    const char *pattern;
    uint64_t removed = 0;
    tars_status status;

    tars_reader_init_query(&reader, ex->call.arena, ex->query);
    kind = tars_reader_text(&reader, "kind", TARS_READER_OPTIONAL);
    pattern = tars_reader_text(&reader, "pattern", TARS_READER_OPTIONAL);
    if (!tars_admin_close_reader(ex, &reader))
        return;
    status = config->service->cache_clear(config->service_ctx, kind, pattern, &removed, &err);
    if (status == TARS_EINVAL) {
        tars_admin_refuse_parameter(ex, kind ? "kind" : "pattern", err.text);
        return;
    }
    tars_access_note(ex, "cache-cleared", kind ? kind : pattern, NULL, status == TARS_OK);
    if (status != TARS_OK) {
        tars_exchange_fail(ex, 503, err.text);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "cache cleared");
    tars_json_int(&ex->json, "removed", (int64_t)removed);
    tars_exchange_send(ex, 200);
}
