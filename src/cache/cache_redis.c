/* cache_redis - see cache_redis.h for the contract. Here is what callers run; the keeper and the
 * writer have files of their own.
 *
 *     get    queue (what is not sent yet) -> map (who has it) -> node (a connection) -> reply
 *     set    queue -> writer
 *     keeper opens connections, tries servers that are away, asks how they are
 */
#include "cache/cache_redis.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "cache/cache_redis_internal.h"
#include "cache/redis_floats.h"

#define CONNECTIONS_DEFAULT 50
#define TIMEOUT_DEFAULT_MS  50
#define CONNECT_DEFAULT_MS  5000
#define QUEUE_BYTES         ((size_t)16 << 20)
#define HOPS_MAX            3    /* servers that one question may be sent to */
#define CLOSE_MS            500  /* that the end waits for what is still to be sent */
#define CLEAR_WAIT_MS       5000 /* that a clear waits for it, and for each reply */
#define AWAY                "Redis is away; nothing was done there"
#define CLEAR_ROUND         "500" /* keys looked at in one step of a scan */

static struct tars_redis *redis_of(struct tars_cache *cache)
{
    return (struct tars_redis *)cache;
}

/* Kinds whose values are floats here and JSON there. */
static bool is_floats(enum tars_cache_kind kind)
{
    return kind == TARS_CACHE_EMBEDDING || kind == TARS_CACHE_RERANK;
}

/* room has TARS_CACHE_NAME_BYTES. */
static tars_status name_of(enum tars_cache_kind kind, struct tars_span key, char *room,
                           struct tars_span *name)
{
    tars_status status = tars_cache_name(kind, key, room);

    *name = tars_span_of(status == TARS_OK ? room : "");
    return status;
}

/* ------------------------------------------------------------------- asking */

static const char *const away[] = {"LOADING", "CLUSTERDOWN", "MASTERDOWN", "BUSY"};

tars_status tars_redis_refused(struct tars_redis *redis, struct tars_redis_node *node,
                               const struct tars_redis_reply *reply)
{
    int len = (int)(reply->text.len < TARS_ERR_TEXT_MAX ? reply->text.len : TARS_ERR_TEXT_MAX);

    (void)pthread_mutex_lock(&redis->lock);
    (void)snprintf(redis->refusal, sizeof(redis->refusal), "%.*s", len, len ? reply->text.ptr : "");
    redis->refused_ms = tars_clock_mono_ms();
    (void)pthread_mutex_unlock(&redis->lock);
    if (tars_redis_reply_is_error(reply, "READONLY") || tars_redis_reply_is_error(reply, "MOVED"))
        tars_redis_map_doubt(&redis->map);
    for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++) {
        if (tars_redis_reply_is_error(reply, away[i])) {
            tars_redis_node_stumble(node);
            return TARS_EUNAVAILABLE;
        }
    }
    return TARS_EIO;
}

/* Say it and take its reply; after ASKING, which has one of its own. */
static tars_status exchange(struct tars_redis_conn *conn, bool is_ask, const char *verb,
                            struct tars_span name, int64_t deadline_ms,
                            struct tars_redis_reply **reply)
{
    tars_status status;

    tars_redis_conn_begin(conn);
    if (is_ask)
        tars_redis_say(&conn->out, "ASKING");
    tars_redis_command(&conn->out, 2);
    tars_redis_arg(&conn->out, tars_span_of(verb));
    tars_redis_arg(&conn->out, name);
    status = tars_redis_conn_send(conn, deadline_ms);
    if (status == TARS_OK && is_ask)
        status = tars_redis_conn_reply(conn, deadline_ms, reply);
    if (status == TARS_OK)
        status = tars_redis_conn_reply(conn, deadline_ms, reply);
    return status;
}

tars_status tars_redis_ask(struct tars_redis *redis, const char *verb, struct tars_span name,
                           int64_t deadline_ms, tars_redis_hear_fn *hear, void *ctx)
{
    struct tars_redis_node *node = tars_redis_map_node(&redis->map, name);
    bool is_ask = false;

    for (int hop = 0; node && hop < HOPS_MAX; hop++) {
        struct tars_redis_node *next = NULL;
        struct tars_redis_reply *reply = NULL;
        struct tars_redis_conn *conn;
        tars_status used;
        tars_status status = tars_redis_node_take(node, deadline_ms, &conn);

        if (status != TARS_OK)
            return status;
        used = exchange(conn, is_ask, verb, name, deadline_ms, &reply);
        if (used != TARS_OK) {
            status = used;
        } else if (reply->type != TARS_REDIS_ERROR) {
            status = hear(ctx, reply);
        } else if (!tars_redis_map_follow(&redis->map, node, reply, &next, &is_ask)) {
            status = tars_redis_refused(redis, node, reply);
        }
        tars_redis_node_give(node, conn, used);
        if (!next)
            return status;
        node = next;
    }
    return TARS_EUNAVAILABLE;
}

void tars_redis_count_error(struct tars_redis *redis, enum tars_cache_kind kind)
{
    atomic_fetch_add_explicit(&redis->counts[kind].errors, 1, memory_order_relaxed);
}

/* ---------------------------------------------------------------------- get */

struct wanted {
    enum tars_cache_kind kind;
    struct tars_arena *arena;
    struct tars_span *value;
};

static tars_status hear_value(void *ctx, const struct tars_redis_reply *reply)
{
    struct wanted *wanted = ctx;
    char *copy;

    if (reply->type == TARS_REDIS_NIL)
        return TARS_ENOTFOUND;
    if (reply->type != TARS_REDIS_TEXT)
        return TARS_EFORMAT;
    if (is_floats(wanted->kind))
        return tars_redis_floats_read(reply->text, wanted->arena, wanted->value);
    copy = tars_arena_strndup(wanted->arena, reply->text.ptr, reply->text.len);
    if (!copy)
        return TARS_ENOMEM;
    *wanted->value = tars_span(copy, reply->text.len);
    return TARS_OK;
}

/* The one server there is does not answer: known without looking at the key. */
static bool is_away(struct tars_redis *redis)
{
    return redis->map.mode != TARS_REDIS_CLUSTER &&
           (atomic_load_explicit(&redis->map.count, memory_order_acquire) == 0 ||
            !tars_redis_node_is_up(&redis->map.nodes[0]));
}

static tars_status get(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                       struct tars_arena *arena, struct tars_span *value)
{
    struct tars_redis *redis = redis_of(cache);
    struct tars_redis_counts *counts = &redis->counts[kind];
    struct wanted wanted = {kind, arena, value};
    char room[TARS_CACHE_NAME_BYTES];
    struct tars_span name;
    tars_status status;

    if (is_away(redis))
        return TARS_EUNAVAILABLE;
    status = name_of(kind, key, room, &name);
    if (status == TARS_OK)
        status = tars_redis_queue_find(&redis->queue, name, arena, value);
    if (status == TARS_ENOTFOUND) {
        status = tars_redis_ask(redis, "GET", name, tars_clock_mono_ms() + redis->timeout_ms,
                                hear_value, &wanted);
    }
    if (status == TARS_OK) {
        atomic_fetch_add_explicit(&counts->hits, 1, memory_order_relaxed);
    } else if (status == TARS_ENOTFOUND) {
        atomic_fetch_add_explicit(&counts->misses, 1, memory_order_relaxed);
    } else if (status != TARS_EUNAVAILABLE) {
        tars_redis_count_error(redis, kind);
    }
    return status;
}

/* ---------------------------------------------------------------------- set */

static bool is_finite_floats(struct tars_span value)
{
    if (value.len % sizeof(float) != 0 || value.len / sizeof(float) > TARS_REDIS_FLOATS_MAX)
        return false;
    for (size_t at = 0; at < value.len; at += sizeof(float)) {
        float each;

        memcpy(&each, value.ptr + at, sizeof(each));
        if (!isfinite(each))
            return false;
    }
    return true;
}

static tars_status set(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key,
                       struct tars_span value)
{
    struct tars_redis *redis = redis_of(cache);
    char room[TARS_CACHE_NAME_BYTES];
    struct tars_redis_node *node;
    struct tars_span name;
    tars_status status;

    if (is_away(redis))
        return TARS_EUNAVAILABLE;
    status = name_of(kind, key, room, &name);
    if (status == TARS_OK && is_floats(kind) && !is_finite_floats(value))
        status = TARS_EINVAL;
    if (status == TARS_OK) {
        node = tars_redis_map_node(&redis->map, name);
        if (!node || !tars_redis_node_is_up(node))
            return TARS_EUNAVAILABLE;
        status = tars_redis_queue_push(&redis->queue, kind, name, value);
    }
    if (status == TARS_OK) {
        atomic_fetch_add_explicit(&redis->counts[kind].sets, 1, memory_order_relaxed);
    } else {
        tars_redis_count_error(redis, kind);
    }
    return status;
}

/* ----------------------------------------------------------- drop and clear */

static tars_status hear_count(void *ctx, const struct tars_redis_reply *reply)
{
    if (reply->type != TARS_REDIS_INTEGER)
        return TARS_EFORMAT;
    *(int64_t *)ctx = reply->integer;
    return TARS_OK;
}

static bool drop(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key)
{
    struct tars_redis *redis = redis_of(cache);
    char room[TARS_CACHE_NAME_BYTES];
    struct tars_span name;
    int64_t removed = 0;
    int64_t deadline_ms;
    bool was_queued;
    tars_status status = name_of(kind, key, room, &name);

    if (status != TARS_OK)
        return false;
    was_queued = tars_redis_queue_drop(&redis->queue, name);
    deadline_ms = tars_clock_mono_ms() + redis->timeout_ms;
    if (was_queued) /* it may be on its way, and must not arrive after its removal */
        (void)tars_redis_queue_wait(&redis->queue, deadline_ms);
    status = tars_redis_ask(redis, "UNLINK", name, deadline_ms, hear_count, &removed);
    if (status != TARS_OK && status != TARS_EUNAVAILABLE)
        tars_redis_count_error(redis, kind);
    return was_queued || removed > 0;
}

/* One step of a scan: its reply is [cursor, [key, ...]]. */
static tars_status scan(struct tars_redis_conn *conn, const char *cursor, const char *pattern,
                        struct tars_redis_reply **reply)
{
    tars_status status;

    tars_redis_conn_begin(conn);
    tars_redis_say(&conn->out, "SCAN", cursor, "MATCH", pattern, "COUNT", CLEAR_ROUND);
    status = tars_redis_conn_ask(conn, tars_clock_mono_ms() + CLEAR_WAIT_MS, reply);
    if (status != TARS_OK || (*reply)->type == TARS_REDIS_ERROR)
        return status;
    if ((*reply)->type != TARS_REDIS_ARRAY || (*reply)->count != 2 ||
        (*reply)->items[1]->type != TARS_REDIS_ARRAY)
        return TARS_EFORMAT;
    return TARS_OK;
}

/* Each key on its own, all in one write: in a cluster they are of many slots. */
static tars_status unlink_keys(struct tars_redis_conn *conn, const struct tars_redis_reply *keys,
                               uint64_t *removed)
{
    int64_t deadline_ms = tars_clock_mono_ms() + CLEAR_WAIT_MS;
    tars_status status;

    tars_buf_clear(&conn->out);
    for (size_t i = 0; i < keys->count; i++) {
        tars_redis_command(&conn->out, 2);
        tars_redis_arg(&conn->out, tars_span_of("UNLINK"));
        tars_redis_arg(&conn->out, keys->items[i]->text);
    }
    status = tars_redis_conn_send(conn, deadline_ms);
    for (size_t i = 0; status == TARS_OK && i < keys->count; i++) {
        struct tars_redis_reply *reply;

        status = tars_redis_conn_reply(conn, deadline_ms, &reply);
        if (status == TARS_OK && reply->type == TARS_REDIS_INTEGER)
            *removed += (uint64_t)reply->integer;
    }
    return status;
}

/* What becomes of keys that were found: adds to *count. */
typedef tars_status keys_fn(struct tars_redis_conn *conn, const struct tars_redis_reply *keys,
                            uint64_t *count);

/* A key that moves while the scan goes on may be counted twice: Redis promises no more. */
static tars_status count_keys(struct tars_redis_conn *conn, const struct tars_redis_reply *keys,
                              uint64_t *count)
{
    (void)conn;
    *count += keys->count;
    return TARS_OK;
}

/* *refusal: the server's words, lent by the connection, or NULL. */
static tars_status scan_conn(struct tars_redis_conn *conn, const char *pattern, keys_fn *each,
                             uint64_t *count, struct tars_span *refusal)
{
    char cursor[24] = "0";
    tars_status status;

    do {
        struct tars_redis_reply *reply = NULL;

        status = scan(conn, cursor, pattern, &reply);
        if (status != TARS_OK)
            return status;
        if (reply->type == TARS_REDIS_ERROR) {
            *refusal = reply->text;
            return TARS_OK;
        }
        (void)snprintf(cursor, sizeof(cursor), "%.*s", (int)reply->items[0]->text.len,
                       reply->items[0]->text.ptr ? reply->items[0]->text.ptr : "0");
        status = each(conn, reply->items[1], count);
    } while (status == TARS_OK && strcmp(cursor, "0") != 0);
    return status;
}

static tars_status scan_node(struct tars_redis_node *node, const char *pattern, keys_fn *each,
                             uint64_t *count, struct tars_err *err)
{
    struct tars_span refusal = {NULL, 0};
    struct tars_redis_conn *conn;
    tars_status status = tars_redis_node_take(node, tars_clock_mono_ms() + CLEAR_WAIT_MS, &conn);
    tars_status used;

    if (status != TARS_OK)
        return tars_fail(status, err, AWAY);
    used = status = scan_conn(conn, pattern, each, count, &refusal);
    if (status != TARS_OK)
        tars_fail(status, err, "Redis went away meanwhile: %s", tars_status_text(status));
    if (refusal.len)
        status = tars_fail(TARS_EDENIED, err, "Redis refuses: %.*s", (int)refusal.len, refusal.ptr);
    tars_redis_node_give(node, conn, used);
    return status;
}

static tars_status scan_all(struct tars_redis *redis, const char *pattern, keys_fn *each,
                            uint64_t *count, struct tars_err *err)
{
    struct tars_redis_node *nodes[TARS_REDIS_NODES_MAX];
    size_t node_count = tars_redis_map_masters(&redis->map, nodes);
    tars_status status = TARS_OK;

    *count = 0;
    if (node_count == 0)
        return tars_fail(TARS_EUNAVAILABLE, err, AWAY);
    for (size_t i = 0; i < node_count; i++) {
        tars_status one = scan_node(nodes[i], pattern, each, count, err);

        if (one != TARS_OK)
            status = one;
    }
    return status;
}

tars_status tars_cache_redis_clear(struct tars_cache *cache, const char *pattern, uint64_t *removed,
                                   struct tars_err *err)
{
    struct tars_redis *redis = redis_of(cache);

    /* What is set before has to be there, so that it goes too. */
    (void)tars_redis_queue_wait(&redis->queue, tars_clock_mono_ms() + CLEAR_WAIT_MS);
    return scan_all(redis, pattern, unlink_keys, removed, err);
}

tars_status tars_cache_redis_count(struct tars_cache *cache, const char *pattern, uint64_t *count,
                                   struct tars_err *err)
{
    return scan_all(redis_of(cache), pattern, count_keys, count, err);
}

static uint64_t clear(struct tars_cache *cache, enum tars_cache_kind kind)
{
    uint64_t removed = 0;
    char pattern[64];
    struct tars_err err;

    (void)snprintf(pattern, sizeof(pattern), "tars:%s:*", tars_cache_kind_text(kind));
    if (tars_cache_redis_clear(cache, pattern, &removed, &err) != TARS_OK) {
        tars_redis_count_error(redis_of(cache), kind);
        tars_log_warning(redis_of(cache)->log, "cache", "%s was not cleared whole: %s", pattern,
                         err.text);
    }
    return removed;
}

/* --------------------------------------------------------- stats and state */

static void stats(struct tars_cache *cache, struct tars_cache_stats *out)
{
    struct tars_redis *redis = redis_of(cache);

    for (int kind = 0; kind < TARS_CACHE_KINDS; kind++) {
        const struct tars_redis_counts *counts = &redis->counts[kind];

        out->kind[kind].hits = atomic_load_explicit(&counts->hits, memory_order_relaxed);
        out->kind[kind].misses = atomic_load_explicit(&counts->misses, memory_order_relaxed);
        out->kind[kind].sets = atomic_load_explicit(&counts->sets, memory_order_relaxed);
        out->kind[kind].errors = atomic_load_explicit(&counts->errors, memory_order_relaxed);
    }
}

static void state(struct tars_cache *cache, struct tars_cache_state *out)
{
    struct tars_redis *redis = redis_of(cache);
    struct tars_redis_node *nodes[TARS_REDIS_NODES_MAX];
    size_t count = tars_redis_map_masters(&redis->map, nodes);
    struct tars_err err = {""};

    (void)pthread_mutex_lock(&redis->lock);
    *out = redis->state;
    (void)snprintf(out->error, sizeof(out->error), "%.255s", redis->refusal);
    (void)pthread_mutex_unlock(&redis->lock);
    out->is_connected = tars_redis_map_is_up(&redis->map, &err);
    if (!out->is_connected)
        (void)snprintf(out->error, sizeof(out->error), "%.255s", err.text);
    out->breaker = TARS_BREAKER_CLOSED;
    for (size_t i = 0; i < count; i++) {
        enum tars_breaker_state breaker = tars_breaker_state(&nodes[i]->breaker);

        if (breaker > out->breaker)
            out->breaker = breaker;
        (void)pthread_mutex_lock(&nodes[i]->lock);
        if (i == 0) {
            (void)snprintf(out->host, sizeof(out->host), "%s", nodes[i]->address.host);
            out->port = nodes[i]->address.port;
        }
        out->open += nodes[i]->open;
        out->busy += nodes[i]->busy;
        out->reconnects += nodes[i]->reconnects;
        (void)pthread_mutex_unlock(&nodes[i]->lock);
    }
}

tars_status tars_cache_redis_wait(struct tars_cache *cache, int64_t timeout_ms,
                                  struct tars_err *err)
{
    struct tars_redis *redis = redis_of(cache);
    int64_t deadline_ms = tars_clock_mono_ms() + timeout_ms;
    const struct timespec until = {.tv_sec = deadline_ms / 1000,
                                   .tv_nsec = deadline_ms % 1000 * 1000000};
    struct tars_err why = {""};
    bool is_up;
    int failed = 0;

    (void)pthread_mutex_lock(&redis->lock);
    while (!(is_up = redis->state.is_connected) && failed != ETIMEDOUT)
        failed = pthread_cond_timedwait(&redis->changed, &redis->lock, &until);
    (void)pthread_mutex_unlock(&redis->lock);
    if (is_up || tars_redis_map_is_up(&redis->map, &why))
        return TARS_OK;
    return tars_fail(TARS_EUNAVAILABLE, err, "Redis is not connected: %s",
                     why.text[0] ? why.text : "it has not answered yet");
}

/* --------------------------------------------------------------- life cycle */

static void wake(void *ctx)
{
    struct tars_redis *redis = ctx;

    (void)pthread_mutex_lock(&redis->lock);
    redis->is_woken = true;
    (void)pthread_cond_broadcast(&redis->changed);
    (void)pthread_mutex_unlock(&redis->lock);
}

static void stop_threads(struct tars_redis *redis)
{
    const uint64_t one = 1;
    struct tars_err err;

    if (redis->has_writer && tars_redis_map_is_up(&redis->map, &err))
        (void)tars_redis_queue_wait(&redis->queue, tars_clock_mono_ms() + CLOSE_MS);
    tars_redis_queue_stop(&redis->queue);
    (void)pthread_mutex_lock(&redis->lock);
    redis->is_stopping = true;
    (void)pthread_cond_broadcast(&redis->changed);
    (void)pthread_mutex_unlock(&redis->lock);
    if (redis->stop_fd >= 0 && write(redis->stop_fd, &one, sizeof(one)) != sizeof(one))
        tars_log_warning(redis->log, "cache", "the end of Redis' threads may take a moment");
    if (redis->has_writer)
        (void)pthread_join(redis->writer, NULL);
    if (redis->has_keeper)
        (void)pthread_join(redis->keeper, NULL);
}

static void free_redis(struct tars_cache *cache)
{
    struct tars_redis *redis = redis_of(cache);

    stop_threads(redis);
    tars_redis_map_release(&redis->map);
    tars_redis_queue_release(&redis->queue);
    tars_tls_client_context_free(redis->tls);
    if (redis->stop_fd >= 0)
        close(redis->stop_fd);
    (void)pthread_cond_destroy(&redis->changed);
    (void)pthread_mutex_destroy(&redis->lock);
    tars_arena_release(&redis->texts);
    free(redis);
}

static const struct tars_cache_ops ops = {
    .name = "redis",
    .is_fast = false,
    .get = get,
    .set = set,
    .drop = drop,
    .clear = clear,
    .clear_matching = tars_cache_redis_clear,
    .count_matching = tars_cache_redis_count,
    .state = state,
    .stats = stats,
    .free = free_redis,
};

/* A copy that lives as long as the cache; NULL for what is not given. */
static char *keep_text(struct tars_redis *redis, const char *text)
{
    return text && *text ? tars_arena_strdup(&redis->texts, text) : NULL;
}

static bool is_given(const char *text)
{
    return text && *text;
}

static tars_status find_seeds(struct tars_redis_map *map,
                              const struct tars_cache_redis_config *config, struct tars_err *err)
{
    struct tars_err why = {""};
    tars_status status;

    map->mode = TARS_REDIS_ONE;
    if (is_given(config->cluster)) {
        map->mode = TARS_REDIS_CLUSTER;
        status = tars_redis_address_list(config->cluster, TARS_REDIS_PORT_DEFAULT, map->seeds,
                                         TARS_REDIS_SEEDS_MAX, &map->seed_count, &why);
    } else if (is_given(config->sentinels)) {
        map->mode = TARS_REDIS_SENTINELS;
        status = tars_redis_address_list(config->sentinels, TARS_REDIS_PORT_SENTINEL, map->seeds,
                                         TARS_REDIS_SEEDS_MAX, &map->seed_count, &why);
    } else {
        int port = config->port ? config->port : TARS_REDIS_PORT_DEFAULT;

        map->seed_count = 1;
        status = tars_redis_address_set(&map->seeds[0], tars_span_of(config->host), port);
        if (status != TARS_OK) {
            tars_fail(status, &why, "\"%s\" port %d is no address",
                      config->host ? config->host : "", port);
        }
    }
    if (status != TARS_OK)
        return tars_fail(status, err, "addresses of Redis: %s", why.text);
    if (map->mode == TARS_REDIS_CLUSTER && config->db != 0)
        return tars_fail(TARS_EINVAL, err, "a cluster of Redis has no database but 0");
    if (map->mode == TARS_REDIS_SENTINELS && !is_given(config->master))
        return tars_fail(TARS_EINVAL, err, "the name of the sentinels' master is missing");
    return TARS_OK;
}

static tars_status configure(struct tars_redis *redis, const struct tars_cache_redis_config *config,
                             struct tars_err *err)
{
    struct tars_redis_map *map = &redis->map;
    const struct tars_tls_client_config tls = {config->tls_ca, config->tls_cert, config->tls_key};
    tars_status status = find_seeds(map, config, err);

    if (status == TARS_OK && config->tls)
        status = tars_tls_client_context_new(&tls, &redis->tls, err);
    if (status != TARS_OK)
        return status;
    map->node_config = (struct tars_redis_node_config){
        .conn = {.username = keep_text(redis, config->username),
                 .password = keep_text(redis, config->password),
                 .db = config->db,
                 .must_be_master = map->mode == TARS_REDIS_SENTINELS,
                 .tls = redis->tls,
                 .stop_fd = redis->stop_fd},
        .max_connections = config->max_connections ? config->max_connections : CONNECTIONS_DEFAULT,
        .timeout_ms = redis->timeout_ms,
        .connect_timeout_ms =
            config->connect_timeout_ms ? config->connect_timeout_ms : CONNECT_DEFAULT_MS,
        .wake = wake,
        .wake_ctx = redis,
    };
    map->sentinel_config = (struct tars_redis_conn_config){
        .password = keep_text(redis, config->sentinel_password),
        .tls = redis->tls,
        .stop_fd = redis->stop_fd,
    };
    map->master = keep_text(redis, config->master);
    if (redis->texts.failed)
        return tars_fail(TARS_ENOMEM, err, "no memory for the cache in Redis");
    redis->state.is_configured = true;
    redis->state.db = config->db;
    return TARS_OK;
}

static tars_status start_threads(struct tars_redis *redis, struct tars_err *err)
{
    redis->has_keeper = pthread_create(&redis->keeper, NULL, tars_redis_keep, redis) == 0;
    redis->has_writer =
        redis->has_keeper && pthread_create(&redis->writer, NULL, tars_redis_write, redis) == 0;
    if (!redis->has_writer)
        return tars_fail(TARS_ENOMEM, err, "a thread for Redis cannot be started");
    return TARS_OK;
}

static struct tars_redis *make(const struct tars_cache_redis_config *config)
{
    struct tars_redis *made = calloc(1, sizeof(*made));
    pthread_condattr_t attr;

    if (!made)
        return NULL;
    made->base.ops = &ops;
    made->log = config->log;
    made->timeout_ms = config->timeout_ms ? config->timeout_ms : TIMEOUT_DEFAULT_MS;
    memcpy(made->ttl_s, config->ttl_s, sizeof(made->ttl_s));
    tars_arena_init(&made->texts, (size_t)1 << 20);
    made->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&made->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&made->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    tars_redis_queue_init(&made->queue, QUEUE_BYTES);
    return made;
}

tars_status tars_cache_redis_open(const struct tars_cache_redis_config *config,
                                  struct tars_cache **cache, struct tars_err *err)
{
    struct tars_redis *made = make(config);
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the cache in Redis");
    status = configure(made, config, err);
    if (status != TARS_OK)
        made->map.mode = TARS_REDIS_CLUSTER; /* no node is made */
    tars_redis_map_init(&made->map);
    if (status == TARS_OK)
        status = start_threads(made, err);
    if (status != TARS_OK) {
        free_redis(&made->base);
        return status;
    }
    *cache = &made->base;
    return TARS_OK;
}
