/* cache_redis_keeper - the thread that opens connections, tries servers that are away, and looks
 * now and then how they are. See cache_redis.h.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sys/clock.h"
#include "cache/cache_redis_internal.h"

#define TICK_MS      1000  /* when all is well */
#define TICK_AWAY_MS 50    /* while a server is away: its breaker says when to try */
#define LOOK_MS      5000  /* how often the servers are asked how they are */
#define LOOK_WAIT_MS 50    /* for the answer, unless callers wait longer for theirs */
#define REFUSAL_MS   60000 /* that a refusal is told after it happened last */

/* ------------------------------------------------------------- how they are */

/* The number after "name:" at the start of a line of INFO; 0 where there is none. */
static uint64_t info_number(struct tars_span info, const char *name)
{
    size_t len = strlen(name);
    const char *at = info.ptr;

    for (size_t left = info.len; at && left > len;) {
        const char *line_end = memchr(at, '\n', left);

        if (memcmp(at, name, len) == 0 && at[len] == ':')
            return strtoull(at + len + 1, NULL, 10);
        if (!line_end)
            break;
        left -= (size_t)(line_end + 1 - at);
        at = line_end + 1;
    }
    return 0;
}

static void info_text(struct tars_span info, const char *name, char *room, size_t size)
{
    const char *found = info.ptr ? strstr(info.ptr, name) : NULL;

    if (found) {
        found += strlen(name);
        (void)snprintf(room, size, "%.*s", (int)strcspn(found, "\r\n"), found);
    }
}

/* Add what one server says of itself. */
static void look_at(struct tars_redis *redis, struct tars_redis_node *node,
                    struct tars_cache_state *state)
{
    int64_t wait_ms = redis->timeout_ms > LOOK_WAIT_MS ? redis->timeout_ms : LOOK_WAIT_MS;
    struct tars_redis_conn *conn = tars_redis_node_take_idle(node);
    struct tars_redis_reply *info = NULL;
    struct tars_redis_reply *size = NULL;
    int64_t deadline_ms = tars_clock_mono_ms() + wait_ms;
    tars_status status;

    if (!conn)
        return;
    tars_redis_conn_begin(conn);
    tars_redis_say(&conn->out, "INFO");
    tars_redis_say(&conn->out, "DBSIZE");
    status = tars_redis_conn_send(conn, deadline_ms);
    if (status == TARS_OK)
        status = tars_redis_conn_reply(conn, deadline_ms, &info);
    if (status == TARS_OK)
        status = tars_redis_conn_reply(conn, deadline_ms, &size);
    if (status == TARS_OK && info->type == TARS_REDIS_TEXT) {
        state->used_memory += info_number(info->text, "used_memory");
        state->max_memory += info_number(info->text, "maxmemory");
        state->clients += info_number(info->text, "connected_clients");
        info_text(info->text, "redis_version:", state->version, sizeof(state->version));
        info_text(info->text, "maxmemory_policy:", state->policy, sizeof(state->policy));
    }
    if (status == TARS_OK && size->type == TARS_REDIS_INTEGER)
        state->keys += (uint64_t)size->integer;
    tars_redis_node_give(node, conn, status);
}

static void look(struct tars_redis *redis)
{
    struct tars_redis_node *nodes[TARS_REDIS_NODES_MAX];
    struct tars_cache_state seen = {0};
    size_t count = tars_redis_map_masters(&redis->map, nodes);

    for (size_t i = 0; i < count; i++)
        look_at(redis, nodes[i], &seen);
    if (!seen.version[0]) /* not asked, or not told */
        return;
    (void)pthread_mutex_lock(&redis->lock);
    redis->state.used_memory = seen.used_memory;
    redis->state.max_memory = seen.max_memory;
    redis->state.clients = seen.clients;
    redis->state.keys = seen.keys;
    memcpy(redis->state.version, seen.version, sizeof(seen.version));
    memcpy(redis->state.policy, seen.policy, sizeof(seen.policy));
    (void)pthread_mutex_unlock(&redis->lock);
}

/* ---------------------------------------------------------------- the thread */

/* What a server would not do, once for as long as it goes on. */
static void tell_refusal(struct tars_redis *redis)
{
    struct tars_err refusal = {""};

    (void)pthread_mutex_lock(&redis->lock);
    if (tars_clock_mono_ms() - redis->refused_ms > REFUSAL_MS)
        redis->refusal[0] = '\0';
    if (redis->refusal[0] && !redis->is_refusal_told) {
        (void)snprintf(refusal.text, sizeof(refusal.text), "%s", redis->refusal);
        redis->is_refusal_told = true;
    }
    (void)pthread_mutex_unlock(&redis->lock);
    if (refusal.text[0])
        tars_log_warning(redis->log, "cache", "Redis refuses: %s", refusal.text);
}

/* Tell who waits, and the log, when it comes or goes. Returns whether it is connected. */
static bool tell(struct tars_redis *redis)
{
    struct tars_err err = {""};
    bool is_up = tars_redis_map_is_up(&redis->map, &err);
    bool is_news;

    err.text[sizeof(redis->state.error) - 1] = '\0';
    (void)pthread_mutex_lock(&redis->lock);
    is_news =
        redis->state.is_connected != is_up || (!is_up && strcmp(redis->state.error, err.text) != 0);
    redis->state.is_connected = is_up;
    (void)snprintf(redis->state.error, sizeof(redis->state.error), "%.255s", is_up ? "" : err.text);
    (void)pthread_cond_broadcast(&redis->changed);
    (void)pthread_mutex_unlock(&redis->lock);
    if (is_news && is_up) {
        tars_log_info(redis->log, "cache", "Redis is connected");
    } else if (is_news && err.text[0]) {
        tars_log_warning(redis->log, "cache", "Redis is away: %s", err.text);
    }
    return is_up;
}

/* False: it is over. */
static bool rest(struct tars_redis *redis, int64_t for_ms)
{
    int64_t until_ms = tars_clock_mono_ms() + for_ms;
    const struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    bool goes_on;
    int failed = 0;

    (void)pthread_mutex_lock(&redis->lock);
    while (!redis->is_stopping && !redis->is_woken && !failed)
        failed = pthread_cond_timedwait(&redis->changed, &redis->lock, &until);
    redis->is_woken = false;
    goes_on = !redis->is_stopping;
    (void)pthread_mutex_unlock(&redis->lock);
    return goes_on;
}

void *tars_redis_keep(void *ctx)
{
    struct tars_redis *redis = ctx;
    int64_t look_ms = 0;
    bool is_up;

    (void)pthread_setname_np(pthread_self(), "tars-redis");
    do {
        tars_redis_map_tend(&redis->map);
        is_up = tell(redis);
        tell_refusal(redis);
        if (is_up && tars_clock_mono_ms() >= look_ms) {
            look(redis);
            look_ms = tars_clock_mono_ms() + LOOK_MS;
        }
    } while (rest(redis, is_up ? TICK_MS : TICK_AWAY_MS));
    return NULL;
}
