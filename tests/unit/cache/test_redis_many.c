/* Several servers of Redis: a master that sentinels name, and a cluster of three. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys/clock.h"
#include "cache/cache_redis.h"
#include "cache/redis_conn.h"
#include "cache/redis_slots.h"
#include "support/redis.h"

#define MIB        ((size_t)1 << 20)
#define LONG_MS    60000
#define TIMEOUT_MS 1000
#define NODES      4 /* of the cluster: three masters, and a replica of the first */
#define KEYS       300

static struct tars_cache *open_config(const struct tars_cache_redis_config *config)
{
    struct tars_cache *cache = NULL;
    struct tars_err err = {""};

    if (tars_cache_redis_open(config, &cache, &err) != TARS_OK ||
        tars_cache_redis_wait(cache, LONG_MS, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return cache;
}

static tars_status look(struct tars_cache *cache, const char *key)
{
    struct tars_arena arena;
    struct tars_span value;
    tars_status status;

    tars_arena_init(&arena, MIB);
    status = cache->ops->get(cache, TARS_CACHE_RESULT, tars_span_of(key), &arena, &value);
    if (status == TARS_OK)
        assert_true(tars_span_is(value, key));
    tars_arena_release(&arena);
    return status;
}

static void put(struct tars_cache *cache, const char *key)
{
    tars_cache_set(cache, TARS_CACHE_RESULT, tars_span_of(key), tars_span_of(key));
}

static void assert_soon(struct tars_cache *cache, const char *key, tars_status expected)
{
    int64_t until_ms = tars_clock_mono_ms() + LONG_MS;
    tars_status status;

    do {
        status = look(cache, key);
        if (status != expected)
            (void)usleep(5000);
    } while (status != expected && tars_clock_mono_ms() < until_ms);
    assert_int_equal(status, expected);
}

static void assert_words(const struct tars_cache_redis_config *config, const char *words)
{
    int64_t until_ms = tars_clock_mono_ms() + LONG_MS;
    struct tars_cache *cache = NULL;
    struct tars_err err = {""};

    assert_int_equal(tars_cache_redis_open(config, &cache, &err), TARS_OK);
    do {
        assert_int_equal(tars_cache_redis_wait(cache, 50, &err), TARS_EUNAVAILABLE);
    } while (!strstr(err.text, words) && tars_clock_mono_ms() < until_ms);
    print_message("  %s\n", err.text);
    assert_non_null(strstr(err.text, words));
    tars_cache_free(cache);
}

/* The rule of docs/redis.md, with what these need besides. */
static void permit(struct redis *redis, const char *more, const char *even_more)
{
    assert_string_equal(redis_cli(redis, "ACL", "SETUSER", "tars", "on", ">secret", "~tars:*",
                                  "resetchannels", "+get", "+set", "+setex", "+unlink", "+scan",
                                  "+ping", "+select", "+client|setname", "+info", "+dbsize", more,
                                  even_more),
                        "OK\n");
}

/* ---------------------------------------------------------------- sentinels */

static void start_sentinel(struct redis *sentinel, int master_port)
{
    static char path[FILES_PATH_MAX];
    static char port[8];
    static char dir[FILES_PATH_MAX];
    char text[1024];
    int len;

    *sentinel = (struct redis){.program = "redis-sentinel", .port = process_free_port()};
    files_make_dir(dir);
    len = snprintf(text, sizeof(text),
                   "bind 127.0.0.1\n"
                   "requirepass watch\n"
                   "sentinel monitor first 127.0.0.1 %d 1\n"
                   "sentinel auth-pass first secret\n"
                   "sentinel down-after-milliseconds first 1000\n"
                   "sentinel failover-timeout first 5000\n",
                   master_port);
    files_write(dir, "sentinel.conf", text, (size_t)len, path);
    (void)snprintf(port, sizeof(port), "%d", sentinel->port);
    sentinel->args[0] = path;
    sentinel->args[1] = "--port";
    sentinel->args[2] = port;
    sentinel->cli[0] = "-a";
    sentinel->cli[1] = "watch";
    redis_begin(sentinel);
    files_remove_dir(sentinel->dir);
    (void)snprintf(sentinel->dir, sizeof(sentinel->dir), "%s", dir);
}

/* A master, its replica, and a sentinel that watches both. */
static void start_pair(struct redis *master, struct redis *replica, struct redis *sentinel)
{
    static const char *const common[] = {"--requirepass", "secret", "--masterauth", "secret"};
    static char replica_of[32];
    const char *args[8] = {common[0], common[1], common[2], common[3]};

    redis_start(master, args);
    (void)snprintf(replica_of, sizeof(replica_of), "127.0.0.1 %d", master->port);
    args[4] = "--replicaof";
    args[5] = replica_of;
    redis_start(replica, args);
    master->cli[0] = replica->cli[0] = "-a";
    master->cli[1] = replica->cli[1] = "secret";
    assert_true(redis_cli_until(replica, LONG_MS, "master_link_status:up", "INFO", "replication"));
    permit(master, "+role", NULL);
    permit(replica, "+role", NULL);
    start_sentinel(sentinel, master->port);
    assert_true(redis_cli_until(sentinel, LONG_MS, "num-slaves\n1", "SENTINEL", "MASTER", "first"));
}

static void a_new_master_is_followed(void **state)
{
    struct tars_cache_redis_config config = {.timeout_ms = TIMEOUT_MS,
                                             .username = "tars",
                                             .password = "secret",
                                             .master = "first",
                                             .sentinel_password = "watch"};
    struct redis master;
    struct redis replica;
    struct redis sentinel;
    struct tars_cache_state seen;
    struct tars_cache *cache;
    char sentinels[64];

    (void)state;
    start_pair(&master, &replica, &sentinel);

    /* The first is not there: the next is asked. */
    (void)snprintf(sentinels, sizeof(sentinels), "127.0.0.1:%d, 127.0.0.1:%d", process_free_port(),
                   sentinel.port);
    config.sentinels = sentinels;
    config.master = "unknown";
    assert_words(&config, "knows no master \"unknown\"");
    config.master = "first";
    config.sentinel_password = "wrong";
    assert_words(&config, "user name or password is wrong");
    config.sentinel_password = "watch";
    cache = open_config(&config);
    put(cache, "before");
    assert_int_equal(look(cache, "before"), TARS_OK);
    tars_cache_state(cache, &seen);
    assert_int_equal(seen.port, master.port);

    redis_kill(&master);
    assert_true(redis_cli_until(&replica, LONG_MS, "role:master", "INFO", "replication"));
    assert_soon(cache, "none", TARS_ENOTFOUND);
    tars_cache_state(cache, &seen);
    assert_int_equal(seen.port, replica.port);
    assert_true(seen.is_connected);
    put(cache, "after");
    tars_cache_free(cache);
    cache = open_config(&config);
    assert_int_equal(look(cache, "after"), TARS_OK);
    tars_cache_free(cache);
    redis_stop(&sentinel);
    redis_stop(&replica);
    redis_stop(&master);
}

/* As it may happen while a failover is under way. */
static void a_replica_is_not_taken_for_the_master(void **state)
{
    const struct tars_redis_conn_config config = {.must_be_master = true, .stop_fd = -1};
    struct tars_redis_conn *conn = NULL;
    struct tars_redis_address address = {"127.0.0.1", 0};
    struct tars_err err = {""};
    struct redis master;
    struct redis replica;
    char replica_of[32];

    (void)state;
    redis_start(&master, NULL);
    (void)snprintf(replica_of, sizeof(replica_of), "127.0.0.1 %d", master.port);
    redis_start(&replica, (const char *const[]){"--replicaof", replica_of, NULL});
    address.port = replica.port;
    assert_int_equal(
        tars_redis_conn_open(&address, &config, tars_clock_mono_ms() + LONG_MS, &conn, &err),
        TARS_EMISMATCH);
    assert_non_null(strstr(err.text, "is not the master"));
    address.port = master.port;
    assert_int_equal(
        tars_redis_conn_open(&address, &config, tars_clock_mono_ms() + LONG_MS, &conn, &err),
        TARS_OK);
    tars_redis_conn_close(conn);
    redis_stop(&replica);
    redis_stop(&master);
}

static void what_is_no_sentinel_is_told(void **state)
{
    struct tars_cache_redis_config config = {.timeout_ms = TIMEOUT_MS, .master = "first"};
    struct redis redis;
    char sentinels[32];

    (void)state;
    redis_start(&redis, NULL);
    (void)snprintf(sentinels, sizeof(sentinels), "127.0.0.1:%d", redis.port);
    config.sentinels = sentinels;
    assert_words(&config, "does not answer as a sentinel does");
    redis_stop(&redis);
}

/* ------------------------------------------------------------------ cluster */

struct cluster {
    struct redis nodes[NODES];
    char bus[NODES][8];
    char ids[NODES][64];
    char addresses[128];
};

static void text_of(char *to, size_t size, int value)
{
    (void)snprintf(to, size, "%d", value);
}

static void cluster_start(struct cluster *cluster)
{
    static const char *const ranges[3][2] = {{"0", "5460"}, {"5461", "10922"}, {"10923", "16383"}};

    for (int i = 0; i < NODES; i++) {
        struct redis *node = &cluster->nodes[i];
        const char *id;

        text_of(cluster->bus[i], sizeof(cluster->bus[i]), process_free_port());
        redis_start(node, (const char *const[]){"--cluster-enabled", "yes", "--cluster-port",
                                                cluster->bus[i], "--cluster-node-timeout", "2000",
                                                "--cluster-require-full-coverage", "no",
                                                "--cluster-config-file", "nodes.conf", NULL});
        id = redis_cli(node, "CLUSTER", "MYID");
        (void)snprintf(cluster->ids[i], sizeof(cluster->ids[i]), "%.40s", id);
        if (i < 3)
            redis_cli(node, "CLUSTER", "ADDSLOTSRANGE", ranges[i][0], ranges[i][1]);
        redis_cli(node, "CLUSTER", "SET-CONFIG-EPOCH", (const char *[]){"1", "2", "3", "4"}[i]);
    }
    for (int i = 1; i < NODES; i++) {
        char port[8];

        text_of(port, sizeof(port), cluster->nodes[i].port);
        assert_string_equal(
            redis_cli(&cluster->nodes[0], "CLUSTER", "MEET", "127.0.0.1", port, cluster->bus[i]),
            "OK\n");
    }
    for (int i = 0; i < NODES; i++) {
        assert_true(redis_cli_until(&cluster->nodes[i], LONG_MS, "cluster_known_nodes:4", "CLUSTER",
                                    "INFO"));
        assert_true(
            redis_cli_until(&cluster->nodes[i], LONG_MS, "cluster_state:ok", "CLUSTER", "INFO"));
    }
    assert_true(redis_cli_until(&cluster->nodes[3], LONG_MS, "OK", "CLUSTER", "REPLICATE",
                                cluster->ids[0]));
    assert_true(redis_cli_until(&cluster->nodes[3], LONG_MS, "master_link_status:up", "INFO",
                                "replication"));
    /* The first is nobody; when the second dies, those that it named are asked. */
    (void)snprintf(cluster->addresses, sizeof(cluster->addresses), "127.0.0.1:%d,127.0.0.1:%d",
                   process_free_port(), cluster->nodes[0].port);
}

static void cluster_stop(struct cluster *cluster)
{
    for (int i = 0; i < NODES; i++)
        redis_stop(&cluster->nodes[i]);
}

static const char *key_of(int i)
{
    static char key[16];

    (void)snprintf(key, sizeof(key), "key %d", i);
    return key;
}

static uint16_t slot_of(const char *key)
{
    char name[TARS_CACHE_NAME_BYTES];

    assert_int_equal(tars_cache_name(TARS_CACHE_RESULT, tars_span_of(key), name), TARS_OK);
    return tars_redis_slot(tars_span_of(name));
}

/* A key of the node's slots, as they were at the start. */
static const char *key_at(int node, int after)
{
    for (int i = after; i < after + 1000; i++) {
        if (slot_of(key_of(i)) / 5461 == node)
            return key_of(i);
    }
    fail_msg("no key");
    return NULL;
}

static struct tars_cache_counts counts_of(struct tars_cache *cache)
{
    struct tars_cache_stats stats;

    tars_cache_stats(cache, &stats);
    return stats.kind[TARS_CACHE_RESULT];
}

static void values_are_spread(struct cluster *cluster, const struct tars_cache_redis_config *config)
{
    struct tars_cache *cache = open_config(config);
    struct tars_cache_state seen;

    for (int i = 0; i < KEYS; i++)
        put(cache, key_of(i));
    tars_cache_free(cache);
    for (int i = 0; i < 3; i++) {
        assert_true(strtol(redis_cli(&cluster->nodes[i], "DBSIZE"), NULL, 10) > KEYS / 6);
        redis_cli(&cluster->nodes[i], "SET", (const char *[]){"{06S}x", "{Qi}x", "{5L5}x"}[i], "1");
    }
    cache = open_config(config);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(look(cache, key_of(i)), TARS_OK);
    assert_int_equal(counts_of(cache).errors, 0);
    assert_true(tars_cache_drop(cache, TARS_CACHE_RESULT, tars_span_of(key_of(7))));
    assert_int_equal(tars_cache_clear(cache, TARS_CACHE_KINDS), KEYS - 1);
    tars_cache_state(cache, &seen);
    assert_true(seen.is_connected);
    tars_cache_free(cache);
}

static void set_slot(struct cluster *cluster, int node, int slot, const char *what, int id)
{
    char number[8];

    text_of(number, sizeof(number), slot);
    assert_string_equal(
        redis_cli(&cluster->nodes[node], "CLUSTER", "SETSLOT", number, what, cluster->ids[id]),
        "OK\n");
}

/* The slot of one key of node 1 moves to node 2, while the cache believes otherwise. */
static void a_slot_that_moves_is_followed(struct cluster *cluster,
                                          const struct tars_cache_redis_config *config)
{
    struct tars_cache *cache = open_config(config);
    char key[16];
    int slot;

    (void)snprintf(key, sizeof(key), "%s", key_at(1, 0));
    slot = slot_of(key);
    set_slot(cluster, 2, slot, "IMPORTING", 1);
    set_slot(cluster, 1, slot, "MIGRATING", 2);
    assert_int_equal(look(cache, key), TARS_ENOTFOUND); /* ASK */
    put(cache, key);
    tars_cache_free(cache);
    cache = open_config(config);
    assert_int_equal(look(cache, key), TARS_OK); /* ASK, and it is there */
    assert_true(tars_cache_drop(cache, TARS_CACHE_RESULT, tars_span_of(key)));
    put(cache, key);
    set_slot(cluster, 2, slot, "NODE", 2);
    set_slot(cluster, 1, slot, "NODE", 2);
    assert_int_equal(look(cache, key), TARS_OK);
    assert_int_equal(counts_of(cache).errors, 0);
    tars_cache_free(cache);
    cache = open_config(config);
    assert_true(tars_cache_drop(cache, TARS_CACHE_RESULT, tars_span_of(key)));
    set_slot(cluster, 1, slot, "NODE", 1); /* and back, as the nodes know and the cache does not */
    set_slot(cluster, 2, slot, "NODE", 1);
    assert_int_equal(look(cache, key), TARS_ENOTFOUND); /* MOVED */
    put(cache, key);
    assert_int_equal(look(cache, key), TARS_OK);
    assert_int_equal(counts_of(cache).errors, 0);
    tars_cache_free(cache);
}

/* The first master dies: others go on, and its replica takes its place. */
static void a_master_that_dies_is_replaced(struct cluster *cluster,
                                           const struct tars_cache_redis_config *config)
{
    struct tars_cache *cache = open_config(config);
    struct tars_cache_state seen;
    struct tars_err err;
    char key[16];
    char other[16];

    (void)snprintf(key, sizeof(key), "%s", key_at(0, 0));
    (void)snprintf(other, sizeof(other), "%s", key_at(2, 0));
    put(cache, key);
    put(cache, other);
    assert_int_equal(look(cache, other), TARS_OK);
    redis_kill(&cluster->nodes[0]);
    for (int i = 0; i < 20; i++) /* the breaker is the dead one's alone */
        (void)look(cache, "another" + i % 7);
    assert_int_equal(look(cache, other), TARS_OK);
    assert_true(redis_cli_until(&cluster->nodes[3], LONG_MS, "role:master", "INFO", "replication"));
    assert_int_equal(tars_cache_redis_wait(cache, LONG_MS, &err), TARS_OK);
    assert_soon(cache, key_at(0, 5000), TARS_ENOTFOUND);
    put(cache, "new");
    assert_int_equal(look(cache, "new"), TARS_OK);
    tars_cache_state(cache, &seen);
    assert_int_equal(seen.breaker, TARS_BREAKER_CLOSED);
    tars_cache_free(cache);
}

static void a_cluster_is_one_cache(void **state)
{
    static struct cluster cluster;
    struct tars_cache_redis_config config = {
        .timeout_ms = LONG_MS, .username = "tars", .password = "secret"};

    (void)state;
    cluster_start(&cluster);
    for (int i = 0; i < NODES; i++)
        permit(&cluster.nodes[i], "+cluster|slots", "+asking");
    config.cluster = cluster.addresses;
    values_are_spread(&cluster, &config);
    a_slot_that_moves_is_followed(&cluster, &config);
    config.timeout_ms = TIMEOUT_MS;
    a_master_that_dies_is_replaced(&cluster, &config);
    cluster_stop(&cluster);
}

static void what_is_no_cluster_is_told(void **state)
{
    struct tars_cache_redis_config config = {.timeout_ms = TIMEOUT_MS};
    struct redis redis;
    char address[32];

    (void)state;
    redis_start(&redis, NULL);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", redis.port);
    config.cluster = address;
    assert_words(&config, "cluster support disabled");
    redis_stop(&redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_master_is_followed),
        cmocka_unit_test(a_replica_is_not_taken_for_the_master),
        cmocka_unit_test(what_is_no_sentinel_is_told),
        cmocka_unit_test(a_cluster_is_one_cache),
        cmocka_unit_test(what_is_no_cluster_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
