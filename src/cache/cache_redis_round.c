/* cache_redis_round - commands of others, over the connections of the cache. See cache_redis.h. */
#include "base/sys/clock.h"
#include "cache/cache_redis_internal.h"

/* A reply that is an error: what it means for the round. */
static tars_status refused(struct tars_redis *redis, struct tars_redis_node *node,
                           const struct tars_redis_reply *reply)
{
    struct tars_redis_node *next = NULL;
    bool is_ask = false;

    if (tars_redis_map_follow(&redis->map, node, reply, &next, &is_ask))
        return TARS_EUNAVAILABLE;
    return tars_redis_refused(redis, node, reply);
}

/* *used: how the connection did, which is to be closed after any failure of it. */
static tars_status go(struct tars_redis *redis, struct tars_redis_node *node,
                      struct tars_redis_conn *conn, const struct tars_redis_round *round,
                      int64_t deadline_ms, tars_status *used)
{
    tars_status status = TARS_OK;
    size_t count;

    tars_redis_conn_begin(conn);
    count = round->fill(round->ctx, &conn->out);
    *used = tars_redis_conn_send(conn, deadline_ms);
    for (size_t at = 0; *used == TARS_OK && at < count; at++) {
        struct tars_redis_reply *reply = NULL;

        *used = tars_redis_conn_reply(conn, deadline_ms, &reply);
        if (*used != TARS_OK || status != TARS_OK)
            continue; /* the replies that are still to come are taken, so that it stays in step */
        status = reply->type == TARS_REDIS_ERROR ? refused(redis, node, reply)
                                                 : round->hear(round->ctx, at, reply);
    }
    return *used != TARS_OK ? *used : status;
}

tars_status tars_cache_redis_round(struct tars_cache *cache, struct tars_span name,
                                   const struct tars_redis_round *round, int64_t timeout_ms)
{
    struct tars_redis *redis = (struct tars_redis *)cache;
    int64_t deadline_ms = tars_clock_mono_ms() + timeout_ms;
    struct tars_redis_node *node = tars_redis_map_node(&redis->map, name);
    struct tars_redis_conn *conn = NULL;
    tars_status used = TARS_OK;
    tars_status status;

    if (!node)
        return TARS_EUNAVAILABLE;
    status = tars_redis_node_take(node, deadline_ms, &conn);
    if (status != TARS_OK)
        return status;
    status = go(redis, node, conn, round, deadline_ms, &used);
    tars_redis_node_give(node, conn, used);
    return status;
}
