/* redis_map - see redis_map.h for the contract. */
#include "cache/redis_map.h"

#include <stdio.h>
#include <string.h>

#include "base/sys/clock.h"

#define LEARN_MS       15000 /* how often the sentinels or the cluster are asked */
#define LEARN_AWAY_MS  500   /* while a server is away */
#define LEARN_STALE_MS 100   /* not sooner after the last time, whatever anybody says */

void tars_redis_map_init(struct tars_redis_map *map)
{
    (void)pthread_mutex_init(&map->lock, NULL);
    atomic_init(&map->is_stale, false);
    atomic_init(&map->count, 0);
    for (size_t i = 0; i < TARS_REDIS_NODES_MAX; i++)
        atomic_init(&map->is_used[i], false);
    for (size_t i = 0; i < TARS_REDIS_SLOTS; i++)
        atomic_init(&map->slots[i], 0);
    if (map->mode == TARS_REDIS_ONE) {
        tars_redis_node_init(&map->nodes[0], &map->node_config, &map->seeds[0]);
        atomic_store(&map->count, 1);
        atomic_store(&map->is_used[0], true);
    }
}

void tars_redis_map_release(struct tars_redis_map *map)
{
    for (size_t i = 0; i < atomic_load(&map->count); i++)
        tars_redis_node_release(&map->nodes[i]);
    (void)pthread_mutex_destroy(&map->lock);
}

void tars_redis_map_doubt(struct tars_redis_map *map)
{
    atomic_store(&map->is_stale, true);
    map->node_config.wake(map->node_config.wake_ctx);
}

/* -------------------------------------------------------------------- nodes */

static bool is_at(struct tars_redis_node *node, const struct tars_redis_address *address)
{
    bool is_there;

    (void)pthread_mutex_lock(&node->lock);
    is_there = tars_redis_address_equal(&node->address, address);
    (void)pthread_mutex_unlock(&node->lock);
    return is_there;
}

/* Under the lock: a place for a node at address: a new one, or that of one that left. */
static struct tars_redis_node *place_of(struct tars_redis_map *map,
                                        const struct tars_redis_address *address)
{
    size_t count = atomic_load(&map->count);

    for (size_t i = 0; i < count; i++) {
        if (!atomic_load(&map->is_used[i]) && tars_redis_node_is_unused(&map->nodes[i])) {
            tars_redis_node_move(&map->nodes[i], address);
            return &map->nodes[i];
        }
    }
    if (count == TARS_REDIS_NODES_MAX)
        return NULL;
    tars_redis_node_init(&map->nodes[count], &map->node_config, address);
    atomic_store(&map->count, count + 1);
    return &map->nodes[count];
}

/* The node at address, made if it must be; NULL: there are too many. */
static struct tars_redis_node *node_at(struct tars_redis_map *map,
                                       const struct tars_redis_address *address)
{
    struct tars_redis_node *node = NULL;

    (void)pthread_mutex_lock(&map->lock);
    for (size_t i = 0; !node && i < atomic_load(&map->count); i++) {
        if (is_at(&map->nodes[i], address))
            node = &map->nodes[i];
    }
    if (!node)
        node = place_of(map, address);
    if (node)
        atomic_store(&map->is_used[node - map->nodes], true);
    (void)pthread_mutex_unlock(&map->lock);
    return node;
}

struct tars_redis_node *tars_redis_map_node(struct tars_redis_map *map, struct tars_span key)
{
    unsigned at;

    if (map->mode != TARS_REDIS_CLUSTER)
        return atomic_load(&map->count) ? &map->nodes[0] : NULL;
    at = atomic_load_explicit(&map->slots[tars_redis_slot(key)], memory_order_acquire);
    return at ? &map->nodes[at - 1] : NULL;
}

bool tars_redis_map_follow(struct tars_redis_map *map, struct tars_redis_node *node,
                           const struct tars_redis_reply *reply, struct tars_redis_node **to,
                           bool *is_ask)
{
    struct tars_redis_address address;
    struct tars_redis_address asked;
    uint16_t slot;

    (void)pthread_mutex_lock(&node->lock);
    asked = node->address;
    (void)pthread_mutex_unlock(&node->lock);
    if (map->mode != TARS_REDIS_CLUSTER ||
        !tars_redis_redirect_read(reply, asked.host, &address, &slot, is_ask))
        return false;
    *to = node_at(map, &address);
    if (!*to)
        return false;
    if (!*is_ask) {
        atomic_store(&map->slots[slot], (unsigned char)(*to - map->nodes + 1));
        tars_redis_map_doubt(map);
    }
    return true;
}

/* Which nodes have slots. */
static void find_masters(struct tars_redis_map *map, bool has_slots[TARS_REDIS_NODES_MAX])
{
    memset(has_slots, 0, TARS_REDIS_NODES_MAX * sizeof(*has_slots));
    if (map->mode != TARS_REDIS_CLUSTER) {
        has_slots[0] = atomic_load(&map->count) > 0;
        return;
    }
    for (size_t i = 0; i < TARS_REDIS_SLOTS; i++) {
        unsigned at = atomic_load_explicit(&map->slots[i], memory_order_relaxed);

        if (at)
            has_slots[at - 1] = true;
    }
}

size_t tars_redis_map_masters(struct tars_redis_map *map,
                              struct tars_redis_node *nodes[TARS_REDIS_NODES_MAX])
{
    bool has_slots[TARS_REDIS_NODES_MAX];
    size_t count = 0;

    find_masters(map, has_slots);
    for (size_t i = 0; i < TARS_REDIS_NODES_MAX; i++) {
        if (has_slots[i])
            nodes[count++] = &map->nodes[i];
    }
    return count;
}

/* ----------------------------------------------------------------- learning */

static void set_error(struct tars_redis_map *map, const char *text)
{
    (void)pthread_mutex_lock(&map->lock);
    (void)snprintf(map->error, sizeof(map->error), "%s", text);
    (void)pthread_mutex_unlock(&map->lock);
}

/* What a seed is asked, and what becomes of its answer. */
struct lesson {
    void (*ask)(struct tars_redis_map *map, struct tars_buf *out);
    tars_status (*learn)(struct tars_redis_map *map, const struct tars_redis_address *asked,
                         const struct tars_redis_reply *reply, struct tars_err *err);
    const struct tars_redis_conn_config *config;
};

static tars_status ask_seed(struct tars_redis_map *map, const struct lesson *lesson,
                            const struct tars_redis_address *seed, struct tars_err *err)
{
    int64_t deadline_ms = tars_clock_mono_ms() + tars_redis_node_open_ms(&map->node_config);
    struct tars_redis_conn *conn = NULL;
    struct tars_redis_reply *reply = NULL;
    tars_status status = tars_redis_conn_open(seed, lesson->config, deadline_ms, &conn, err);

    if (status != TARS_OK)
        return status;
    tars_redis_conn_begin(conn);
    lesson->ask(map, &conn->out);
    status = tars_redis_conn_ask(conn, deadline_ms, &reply);
    if (status != TARS_OK) {
        tars_fail(status, err, "%s:%d: %s", seed->host, seed->port, tars_status_text(status));
    } else {
        status = lesson->learn(map, seed, reply, err);
    }
    tars_redis_conn_close(conn);
    return status;
}

static void ask_sentinel(struct tars_redis_map *map, struct tars_buf *out)
{
    tars_redis_say(out, "SENTINEL", "get-master-addr-by-name", map->master);
}

static tars_status learn_master(struct tars_redis_map *map, const struct tars_redis_address *asked,
                                const struct tars_redis_reply *reply, struct tars_err *err)
{
    struct tars_redis_address address;
    char port[8] = "";

    if (reply->type == TARS_REDIS_NIL) {
        return tars_fail(TARS_ENOTFOUND, err, "the sentinel %s:%d knows no master \"%s\"",
                         asked->host, asked->port, map->master);
    }
    if (reply->type == TARS_REDIS_ARRAY && reply->count == 2) {
        (void)snprintf(port, sizeof(port), ":%.5s",
                       reply->items[1]->text.ptr ? reply->items[1]->text.ptr : "");
    }
    if (tars_redis_address_parse(tars_span_of(port), "-", 0, &address) != TARS_OK ||
        tars_redis_address_set(&address, reply->items[0]->text, address.port) != TARS_OK) {
        return tars_fail(TARS_EFORMAT, err, "%s:%d does not answer as a sentinel does", asked->host,
                         asked->port);
    }
    if (atomic_load(&map->count) == 0) {
        (void)node_at(map, &address);
    } else {
        tars_redis_node_move(&map->nodes[0], &address);
    }
    return TARS_OK;
}

static void ask_slots(struct tars_redis_map *map, struct tars_buf *out)
{
    (void)map;
    tars_redis_say(out, "CLUSTER", "SLOTS");
}

/* While a cluster's slots are read. */
struct slots_read {
    struct tars_redis_map *map;
    unsigned char slots[TARS_REDIS_SLOTS];
    size_t found;
};

static tars_status take_range(void *ctx, const struct tars_redis_address *master, int first,
                              int last)
{
    struct slots_read *read = ctx;
    struct tars_redis_node *node = node_at(read->map, master);

    if (!node)
        return TARS_ETOOBIG;
    memset(read->slots + first, (int)(node - read->map->nodes + 1), (size_t)(last - first + 1));
    read->found += (size_t)(last - first + 1);
    return TARS_OK;
}

/* Give the places of those without slots away, and the others their share of connections. */
static void settle(struct tars_redis_map *map)
{
    bool has_slots[TARS_REDIS_NODES_MAX];
    size_t masters = 0;
    size_t share;

    find_masters(map, has_slots);
    for (size_t i = 0; i < TARS_REDIS_NODES_MAX; i++)
        masters += has_slots[i];
    share = masters ? map->node_config.max_connections / masters : 0;
    for (size_t i = 0; i < atomic_load(&map->count); i++) {
        if (has_slots[i]) {
            tars_redis_node_limit(&map->nodes[i], share ? share : 1);
        } else if (atomic_exchange(&map->is_used[i], false)) {
            tars_redis_node_retire(&map->nodes[i]);
        }
    }
}

static tars_status learn_slots(struct tars_redis_map *map, const struct tars_redis_address *asked,
                               const struct tars_redis_reply *reply, struct tars_err *err)
{
    struct slots_read read = {.map = map};
    tars_status status;

    if (reply->type == TARS_REDIS_ERROR) {
        return tars_fail(TARS_EFORMAT, err, "%s:%d tells no slots: %.*s", asked->host, asked->port,
                         (int)(reply->text.len < 200 ? reply->text.len : 200), reply->text.ptr);
    }
    status = tars_redis_slots_read(reply, asked, take_range, &read);
    if (status == TARS_ETOOBIG)
        return tars_fail(status, err, "the cluster has over %d masters", TARS_REDIS_NODES_MAX);
    if (status != TARS_OK || read.found == 0) {
        return tars_fail(TARS_EFORMAT, err, "%s:%d knows no slots: is the cluster made?",
                         asked->host, asked->port);
    }
    for (size_t i = 0; i < TARS_REDIS_SLOTS; i++)
        atomic_store_explicit(&map->slots[i], read.slots[i], memory_order_release);
    settle(map);
    return TARS_OK;
}

/* Nodes that answer may know more than the seeds, which may all be gone by now. */
static bool ask_nodes(struct tars_redis_map *map, const struct lesson *lesson)
{
    struct tars_redis_node *nodes[TARS_REDIS_NODES_MAX];
    size_t count = tars_redis_map_masters(map, nodes);
    struct tars_err err;

    for (size_t i = 0; i < count; i++) {
        struct tars_redis_address address;

        if (!tars_redis_node_is_up(nodes[i]))
            continue;
        (void)pthread_mutex_lock(&nodes[i]->lock);
        address = nodes[i]->address;
        (void)pthread_mutex_unlock(&nodes[i]->lock);
        if (ask_seed(map, lesson, &address, &err) == TARS_OK)
            return true;
    }
    return false;
}

/* Ask the seeds in turn, the one that answered last first, until one knows. */
static void learn(struct tars_redis_map *map)
{
    const struct lesson of_sentinels = {ask_sentinel, learn_master, &map->sentinel_config};
    const struct lesson of_cluster = {ask_slots, learn_slots, &map->node_config.conn};
    const struct lesson *lesson = map->mode == TARS_REDIS_SENTINELS ? &of_sentinels : &of_cluster;
    struct tars_err err = {""};

    atomic_store(&map->is_stale, false);
    for (size_t i = 0; i < map->seed_count; i++) {
        tars_status status = ask_seed(map, lesson, &map->seeds[map->seed_at], &err);

        if (status == TARS_OK) {
            set_error(map, "");
            return;
        }
        if (status == TARS_ECANCELED)
            return;
        map->seed_at++;
        if (map->seed_at == map->seed_count)
            map->seed_at = 0;
    }
    if (map->mode == TARS_REDIS_CLUSTER && ask_nodes(map, lesson))
        err.text[0] = '\0';
    set_error(map, err.text);
}

bool tars_redis_map_is_up(struct tars_redis_map *map, struct tars_err *err)
{
    struct tars_redis_node *nodes[TARS_REDIS_NODES_MAX];
    size_t count = tars_redis_map_masters(map, nodes);

    for (size_t i = 0; i < count; i++) {
        if (!tars_redis_node_is_up(nodes[i])) {
            tars_redis_node_error(nodes[i], err);
            return false;
        }
    }
    if (count == 0) {
        (void)pthread_mutex_lock(&map->lock);
        (void)snprintf(err->text, sizeof(err->text), "%s", map->error);
        (void)pthread_mutex_unlock(&map->lock);
    }
    return count > 0;
}

static void learn_if_due(struct tars_redis_map *map)
{
    int64_t now_ms = tars_clock_mono_ms();
    struct tars_err err;
    int64_t pause_ms;

    if (now_ms < map->due_ms && !atomic_load(&map->is_stale) && tars_redis_map_is_up(map, &err))
        return;
    pause_ms = tars_redis_map_is_up(map, &err) ? LEARN_STALE_MS : LEARN_AWAY_MS;
    if (now_ms < map->due_ms - LEARN_MS + pause_ms)
        return;
    learn(map);
    map->due_ms = tars_clock_mono_ms() + LEARN_MS;
}

void tars_redis_map_tend(struct tars_redis_map *map)
{
    if (map->mode != TARS_REDIS_ONE)
        learn_if_due(map);
    for (size_t i = 0; i < atomic_load(&map->count); i++) {
        if (atomic_load(&map->is_used[i]))
            tars_redis_node_tend(&map->nodes[i]);
    }
}
