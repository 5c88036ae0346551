/* The cache in a real Redis server that answers: what is kept there and how, for how long, who may,
 * and what clearing takes. What happens while it is away is test_redis_away.c. */
#include <pthread.h>
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
#include "cache/redis_node.h"
#include "support/faults.h"
#include "support/redis.h"

#define MIB     ((size_t)1 << 20)
#define LONG_MS 20000 /* of a busy machine */
#define THREADS 64
#define ROUNDS  ((size_t)200)
#define VALUES  12000 /* elements of a large one */

static struct redis server;

static struct tars_cache_redis_config config_of(const struct redis *redis)
{
    return (struct tars_cache_redis_config){
        .host = "127.0.0.1", .port = redis->port, .timeout_ms = LONG_MS};
}

static struct tars_cache *open_config(const struct tars_cache_redis_config *config)
{
    struct tars_cache *cache = NULL;
    struct tars_err err = {""};

    if (tars_cache_redis_open(config, &cache, &err) != TARS_OK ||
        tars_cache_redis_wait(cache, LONG_MS, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return cache;
}

static struct tars_cache *open_cache(void)
{
    const struct tars_cache_redis_config config = config_of(&server);

    return open_config(&config);
}

static void put(struct tars_cache *cache, enum tars_cache_kind kind, const char *key,
                const char *value)
{
    tars_cache_set(cache, kind, tars_span_of(key), tars_span_of(value));
}

static tars_status look(struct tars_cache *cache, enum tars_cache_kind kind, const char *key,
                        struct tars_arena *arena, struct tars_span *value)
{
    return tars_cache_get(cache, kind, tars_span_of(key), arena, value);
}

/* expected NULL: a miss. */
static void assert_value(struct tars_cache *cache, enum tars_cache_kind kind, const char *key,
                         const char *expected)
{
    struct tars_arena arena;
    struct tars_span value = {NULL, 0};

    tars_arena_init(&arena, MIB);
    assert_int_equal(look(cache, kind, key, &arena, &value), expected ? TARS_OK : TARS_ENOTFOUND);
    if (expected)
        assert_true(tars_span_is(value, expected));
    tars_arena_release(&arena);
}

/* Another cache, which finds only what is in the server. */
static void assert_value_there(enum tars_cache_kind kind, const char *key, const char *expected)
{
    struct tars_cache *cache = open_cache();

    assert_value(cache, kind, key, expected);
    tars_cache_free(cache);
}

static struct tars_cache_counts counts_of(struct tars_cache *cache, enum tars_cache_kind kind)
{
    struct tars_cache_stats stats;

    tars_cache_stats(cache, &stats);
    return stats.kind[kind];
}

static const char *name_of(enum tars_cache_kind kind, const char *key)
{
    static char name[TARS_CACHE_NAME_BYTES];

    assert_int_equal(tars_cache_name(kind, tars_span_of(key), name), TARS_OK);
    return name;
}

/* ------------------------------------------------------------------- values */

static void vectors_are_kept_as_others_read_them(void **state)
{
    static const float vector[] = {0.5F, -1, 0.1F, 1.0F / 3, -0.0F};
    struct tars_cache *cache = open_cache();
    struct tars_arena arena;
    struct tars_span value;

    (void)state;
    tars_cache_set(cache, TARS_CACHE_EMBEDDING, tars_span_of("m\nq"),
                   tars_span((const char *)vector, sizeof(vector)));
    tars_cache_free(cache); /* sends what waits */
    assert_string_equal(redis_cli(&server, "GET", name_of(TARS_CACHE_EMBEDDING, "m\nq")),
                        "[0.5,-1.0,0.1,0.33333334,-0.0]\n");
    /* printf 'm\nq' | sha256sum */
    assert_string_equal(
        name_of(TARS_CACHE_EMBEDDING, "m\nq"),
        "tars:embedding:5a05a06b80b7f7d3ff1df10940a983b7860f98fbe1eac8bce6b4a769d04b435f");
    cache = open_cache();
    tars_arena_init(&arena, MIB);
    assert_int_equal(look(cache, TARS_CACHE_EMBEDDING, "m\nq", &arena, &value), TARS_OK);
    assert_true(tars_span_equal(value, tars_span((const char *)vector, sizeof(vector))));
    tars_arena_release(&arena);
    tars_cache_free(cache);
}

static void what_others_wrote_is_read(void **state)
{
    static const float expected[] = {0.25F, 100, -3};
    struct tars_cache *cache = open_cache();
    struct tars_arena arena;
    struct tars_span value = {NULL, 0};

    (void)state;
    tars_arena_init(&arena, MIB);
    redis_cli(&server, "SET", name_of(TARS_CACHE_RERANK, "theirs"), " [0.25, 1e2 , -3]\n");
    assert_int_equal(look(cache, TARS_CACHE_RERANK, "theirs", &arena, &value), TARS_OK);
    assert_true(tars_span_equal(value, tars_span((const char *)expected, sizeof(expected))));
    /* What is no array of numbers, and what is no string at all, is an error and found nowhere. */
    redis_cli(&server, "SET", name_of(TARS_CACHE_RERANK, "garbage"), "[1, \"x\"]");
    assert_int_equal(look(cache, TARS_CACHE_RERANK, "garbage", &arena, &value), TARS_EFORMAT);
    redis_cli(&server, "RPUSH", name_of(TARS_CACHE_RERANK, "a list"), "1", "2");
    assert_int_equal(look(cache, TARS_CACHE_RERANK, "a list", &arena, &value), TARS_EIO);
    assert_int_equal(counts_of(cache, TARS_CACHE_RERANK).errors, 2);
    assert_int_equal(counts_of(cache, TARS_CACHE_RERANK).hits, 1);
    /* And the connection is in step. */
    assert_value(cache, TARS_CACHE_GENERIC, "nothing", NULL);
    tars_arena_release(&arena);
    tars_cache_free(cache);
}

static void what_json_cannot_say_is_not_kept(void **state)
{
    static const uint32_t nan_bits = 0x7fc00000U;
    struct tars_cache *cache = open_cache();

    (void)state;
    put(cache, TARS_CACHE_EMBEDDING, "odd", "12345");
    tars_cache_set(cache, TARS_CACHE_EMBEDDING, tars_span_of("nan"),
                   tars_span((const char *)&nan_bits, sizeof(nan_bits)));
    assert_value(cache, TARS_CACHE_EMBEDDING, "odd", NULL);
    assert_value(cache, TARS_CACHE_EMBEDDING, "nan", NULL);
    assert_int_equal(counts_of(cache, TARS_CACHE_EMBEDDING).errors, 2);
    assert_int_equal(counts_of(cache, TARS_CACHE_EMBEDDING).sets, 0);
    tars_cache_free(cache);
}

static void bytes_are_kept_as_they_are(void **state)
{
    static const char bytes[] = "a\0b\r\n$-1\r\n\xff";
    struct tars_cache *cache = open_cache();
    struct tars_arena arena;
    struct tars_span value;

    (void)state;
    tars_arena_init(&arena, MIB);
    tars_cache_set(cache, TARS_CACHE_GENERIC, tars_span_of("bytes"),
                   tars_span(bytes, sizeof(bytes)));
    put(cache, TARS_CACHE_RESULT, "empty", "");
    tars_cache_free(cache);
    cache = open_cache();
    assert_int_equal(look(cache, TARS_CACHE_GENERIC, "bytes", &arena, &value), TARS_OK);
    assert_true(tars_span_equal(value, tars_span(bytes, sizeof(bytes))));
    assert_value(cache, TARS_CACHE_RESULT, "empty", "");
    tars_arena_release(&arena);
    tars_cache_free(cache);
}

/* What waits to be sent is there: closing waits half a second for it, which is little under a
 * sanitizer. */
static void wait_until_sent(struct tars_cache *cache, const char *pattern, uint64_t count)
{
    int64_t until_ms = tars_clock_mono_ms() + LONG_MS;
    uint64_t found = 0;
    struct tars_err err;

    while (found < count && tars_clock_mono_ms() < until_ms) {
        (void)usleep(10000);
        assert_int_equal(tars_cache_redis_count(cache, pattern, &found, &err), TARS_OK);
    }
    assert_int_equal(found, count);
}

static void large_values_are_kept(void **state)
{
    static float vector[VALUES];
    struct tars_cache *cache = open_cache();
    char *bytes = malloc(4 * MIB);
    struct tars_arena arena;
    struct tars_span value;
    uint64_t removed = 0;
    struct tars_err err;

    (void)state;
    assert_non_null(bytes);
    assert_int_equal(tars_cache_redis_clear(cache, "tars:*", &removed, &err), TARS_OK);
    memset(bytes, 'x', 4 * MIB);
    for (int i = 0; i < VALUES; i++)
        vector[i] = (float)(i - 5000) / 12345.0F;
    tars_arena_init(&arena, 64 * MIB);
    for (int i = 0; i < 20; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "%d", i);
        tars_cache_set(cache, TARS_CACHE_RERANK, tars_span_of(key),
                       tars_span((const char *)vector, sizeof(vector)));
    }
    tars_cache_set(cache, TARS_CACHE_RESULT, tars_span_of("large"), tars_span(bytes, 4 * MIB));
    wait_until_sent(cache, "tars:*", 21);
    tars_cache_free(cache);
    cache = open_cache();
    for (int i = 0; i < 20; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "%d", i);
        assert_int_equal(look(cache, TARS_CACHE_RERANK, key, &arena, &value), TARS_OK);
        assert_true(tars_span_equal(value, tars_span((const char *)vector, sizeof(vector))));
    }
    assert_int_equal(look(cache, TARS_CACHE_RESULT, "large", &arena, &value), TARS_OK);
    assert_true(tars_span_equal(value, tars_span(bytes, 4 * MIB)));
    tars_arena_release(&arena);
    tars_cache_free(cache);
    free(bytes);
}

static void what_the_caller_has_no_room_for_is_an_error(void **state)
{
    struct tars_cache *cache = open_cache();
    static char bytes[100000];
    struct tars_arena arena;
    struct tars_span value;

    (void)state;
    tars_cache_set(cache, TARS_CACHE_RESULT, tars_span_of("a"), tars_span(bytes, sizeof(bytes)));
    tars_cache_free(cache);
    cache = open_cache();
    tars_arena_init(&arena, 1000);
    assert_int_equal(look(cache, TARS_CACHE_RESULT, "a", &arena, &value), TARS_ENOMEM);
    tars_arena_release(&arena);
    tars_cache_free(cache);
}

/* --------------------------------------------------------------------- time */

static void every_time_to_live_ends(void **state)
{
    struct tars_cache_redis_config config = config_of(&server);
    int64_t until_ms = tars_clock_mono_ms() + LONG_MS;
    struct tars_cache *cache;

    (void)state;
    config.ttl_s[TARS_CACHE_EMBEDDING] = 1;
    config.ttl_s[TARS_CACHE_RERANK] = 1;
    config.ttl_s[TARS_CACHE_RESULT] = 2;
    cache = open_config(&config);
    for (int kind = 0; kind < TARS_CACHE_KINDS; kind++)
        put(cache, (enum tars_cache_kind)kind, "ends", "abcd");
    tars_cache_free(cache);
    assert_string_equal(redis_cli(&server, "TTL", name_of(TARS_CACHE_GENERIC, "ends")), "-1\n");
    while (tars_clock_mono_ms() < until_ms) {
        bool is_any =
            strcmp(redis_cli(&server, "EXISTS", name_of(TARS_CACHE_EMBEDDING, "ends")), "0\n") !=
                0 ||
            strcmp(redis_cli(&server, "EXISTS", name_of(TARS_CACHE_RERANK, "ends")), "0\n") != 0 ||
            strcmp(redis_cli(&server, "EXISTS", name_of(TARS_CACHE_RESULT, "ends")), "0\n") != 0;

        if (!is_any)
            break;
        (void)usleep(50000);
    }
    assert_value_there(TARS_CACHE_EMBEDDING, "ends", NULL);
    assert_value_there(TARS_CACHE_RERANK, "ends", NULL);
    assert_value_there(TARS_CACHE_RESULT, "ends", NULL);
    assert_value_there(TARS_CACHE_GENERIC, "ends", "abcd");
}

/* The times as the server has them, so that nothing has to be waited for. */
static void each_kind_has_its_time(void **state)
{
    struct tars_cache_redis_config config = config_of(&server);
    struct tars_cache *cache;

    (void)state;
    for (int kind = 0; kind < TARS_CACHE_KINDS; kind++)
        config.ttl_s[kind] = INT64_C(1000) * (kind + 1);
    cache = open_config(&config);
    for (int kind = 0; kind < TARS_CACHE_KINDS; kind++)
        put(cache, (enum tars_cache_kind)kind, "lives", "abcd");
    tars_cache_free(cache);
    for (int kind = 0; kind < TARS_CACHE_KINDS; kind++) {
        long ttl_s = strtol(redis_cli(&server, "TTL", name_of((enum tars_cache_kind)kind, "lives")),
                            NULL, 10);

        assert_in_range(ttl_s, 1000 * (kind + 1) - 60, 1000 * (kind + 1));
    }
}

/* ----------------------------------------------------------------- clearing */

static void clearing_leaves_what_is_others(void **state)
{
    struct tars_cache *cache = open_cache();
    struct tars_err err = {""};
    uint64_t removed = 0;

    (void)state;
    redis_cli(&server, "FLUSHALL");
    redis_cli(&server, "EVAL",
              "for i = 1, 5000 do redis.call('SET', 'others:' .. i, i) end "
              "for i = 1, 3000 do redis.call('SET', 'tars:embedding:' .. i, '[1]') end "
              "for i = 1, 200 do redis.call('SET', 'tars:result:' .. i, i) end "
              "redis.call('SET', 'tars:embeddings', 1) "
              "redis.call('SET', 'my:tars:embedding:1', 1)",
              "0");
    assert_int_equal(tars_cache_clear(cache, TARS_CACHE_EMBEDDING), 3000);
    assert_string_equal(redis_cli(&server, "DBSIZE"), "5202\n");
    assert_int_equal(tars_cache_redis_clear(cache, "tars:result:1?", &removed, &err), TARS_OK);
    assert_int_equal(removed, 10);
    assert_int_equal(tars_cache_clear(cache, TARS_CACHE_KINDS), 190);
    assert_int_equal(tars_cache_redis_clear(cache, "nobody's:*", &removed, &err), TARS_OK);
    assert_int_equal(removed, 0);
    assert_string_equal(redis_cli(&server, "DBSIZE"), "5002\n");
    assert_null(strstr(redis_cli(&server, "INFO", "commandstats"), "cmdstat_keys"));
    tars_cache_free(cache);
}

static void dropping_takes_one(void **state)
{
    struct tars_cache *cache = open_cache();

    (void)state;
    put(cache, TARS_CACHE_RESULT, "one", "1");
    put(cache, TARS_CACHE_RESULT, "two", "2");
    assert_true(tars_cache_drop(cache, TARS_CACHE_RESULT, tars_span_of("one")));
    assert_value(cache, TARS_CACHE_RESULT, "one", NULL);
    tars_cache_free(cache);
    assert_value_there(TARS_CACHE_RESULT, "one", NULL);
    assert_value_there(TARS_CACHE_RESULT, "two", "2");
}

/* --------------------------------------------------------------- who, where */

static void databases_are_apart(void **state)
{
    struct tars_cache_redis_config config = config_of(&server);
    struct tars_cache_state seen;
    struct tars_cache *cache;

    (void)state;
    config.db = 5;
    cache = open_config(&config);
    put(cache, TARS_CACHE_RESULT, "in five", "x");
    tars_cache_free(cache);
    assert_value_there(TARS_CACHE_RESULT, "in five", NULL);
    cache = open_config(&config);
    assert_value(cache, TARS_CACHE_RESULT, "in five", "x");
    tars_cache_state(cache, &seen);
    assert_int_equal(seen.db, 5);
    tars_cache_free(cache);
}

/* The words of a cache that does not connect. */
static void assert_not_connected(const struct tars_cache_redis_config *config, const char *words)
{
    int64_t until_ms = tars_clock_mono_ms() + LONG_MS;
    struct tars_cache *cache = NULL;
    struct tars_cache_state seen;
    struct tars_err err = {""};

    assert_int_equal(tars_cache_redis_open(config, &cache, &err), TARS_OK);
    do {
        assert_int_equal(tars_cache_redis_wait(cache, 50, &err), TARS_EUNAVAILABLE);
    } while (!strstr(err.text, words) && tars_clock_mono_ms() < until_ms);
    print_message("  %s\n", err.text);
    assert_non_null(strstr(err.text, words));
    tars_cache_state(cache, &seen);
    assert_true(seen.is_configured);
    assert_false(seen.is_connected);
    assert_non_null(strstr(seen.error, words));
    assert_value(cache, TARS_CACHE_RESULT, "a", NULL);
    tars_cache_free(cache);
}

static void a_password_is_needed_and_told(void **state)
{
    struct redis guarded;
    struct tars_cache_redis_config config;
    struct tars_cache *cache;

    (void)state;
    redis_start(&guarded, (const char *const[]){"--requirepass", "open sesame", NULL});
    config = config_of(&guarded);
    assert_not_connected(&config, "a password is needed");
    config.password = "wrong";
    assert_not_connected(&config, "user name or password is wrong: WRONGPASS");
    config.password = "open sesame";
    cache = open_config(&config);
    put(cache, TARS_CACHE_RESULT, "a", "x");
    assert_value(cache, TARS_CACHE_RESULT, "a", "x");
    tars_cache_free(cache);
    redis_stop(&guarded);
}

/* The rule of docs/redis.md: it suffices, and nothing of it is too much. */
static void the_documented_access_rule_suffices(void **state)
{
    static const char *const commands[] = {"+get",  "+set",   "+setex",  "+unlink",
                                           "+scan", "+ping",  "+select", "+client|setname",
                                           "+info", "+dbsize"};
    const char *words[32] = {"ACL", "SETUSER", "tars", "on", ">secret", "~tars:*", "resetchannels"};
    struct tars_cache_redis_config config = config_of(&server);
    struct tars_err err = {""};
    struct tars_cache_state seen;
    struct tars_cache *cache;
    uint64_t removed = 0;
    size_t count = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        words[count++] = commands[i];
    assert_string_equal(redis_cli_list(&server, words), "OK\n");
    config.username = "tars";
    config.password = "secret";
    config.db = 3;
    config.ttl_s[TARS_CACHE_RESULT] = 100;
    cache = open_config(&config);
    put(cache, TARS_CACHE_RESULT, "a", "x");
    put(cache, TARS_CACHE_GENERIC, "b", "y");
    assert_value(cache, TARS_CACHE_RESULT, "none", NULL);
    assert_true(tars_cache_drop(cache, TARS_CACHE_RESULT, tars_span_of("a")));
    assert_int_equal(tars_cache_redis_clear(cache, "tars:*", &removed, &err), TARS_OK);
    assert_int_equal(removed, 1);
    for (int i = 0; i < LONG_MS / 20; i++) {
        tars_cache_state(cache, &seen);
        if (seen.version[0])
            break;
        (void)usleep(20000);
    }
    assert_true(seen.used_memory > 0);
    assert_string_equal(seen.error, "");
    for (int kind = 0; kind < TARS_CACHE_KINDS; kind++)
        assert_int_equal(counts_of(cache, (enum tars_cache_kind)kind).errors, 0);
    tars_cache_free(cache);
    assert_null(strstr(redis_cli(&server, "ACL", "LOG"), "tars"));
    redis_cli(&server, "ACL", "DELUSER", "tars");
}

static void what_is_not_permitted_is_told(void **state)
{
    struct tars_cache_redis_config config = config_of(&server);
    struct tars_arena arena;
    struct tars_span value;
    struct tars_cache_state seen;
    struct tars_cache *cache;

    (void)state;
    redis_cli(&server, "ACL", "SETUSER", "little", "on", ">secret", "~other:*", "+ping", "+get");
    config.username = "little";
    config.password = "secret";
    cache = open_config(&config);
    tars_arena_init(&arena, MIB);
    assert_int_equal(look(cache, TARS_CACHE_RESULT, "a", &arena, &value), TARS_EIO);
    tars_cache_state(cache, &seen);
    assert_true(seen.is_connected);
    assert_non_null(strstr(seen.error, "NOPERM"));
    assert_int_equal(counts_of(cache, TARS_CACHE_RESULT).errors, 1);
    tars_arena_release(&arena);
    tars_cache_free(cache);
    config.password = "wrong";
    assert_not_connected(&config, "user name or password is wrong");
    redis_cli(&server, "ACL", "DELUSER", "little");
}

static void a_full_server_loses_sets_and_says_so(void **state)
{
    struct redis full;
    struct tars_cache_redis_config config;
    struct tars_cache *cache;
    struct tars_cache_state seen;

    (void)state;
    redis_start(&full, (const char *const[]){"--maxmemory", "1", NULL});
    config = config_of(&full);
    cache = open_config(&config);
    put(cache, TARS_CACHE_RESULT, "a", "x");
    for (int i = 0; i < LONG_MS / 10 && !counts_of(cache, TARS_CACHE_RESULT).errors; i++)
        (void)usleep(10000);
    assert_int_equal(counts_of(cache, TARS_CACHE_RESULT).errors, 1);
    tars_cache_state(cache, &seen);
    assert_non_null(strstr(seen.error, "OOM"));
    assert_int_equal(seen.breaker, TARS_BREAKER_CLOSED);
    assert_value(cache, TARS_CACHE_RESULT, "a", NULL);
    tars_cache_free(cache);
    redis_stop(&full);
}

static void the_state_is_told(void **state)
{
    struct tars_cache *cache = open_cache();
    struct tars_cache_state seen = {0};
    char version[128];

    (void)state;
    redis_cli(&server, "CONFIG", "SET", "maxmemory", "100mb");
    for (int i = 0; i < LONG_MS / 50 && seen.max_memory != 100 * MIB; i++) {
        tars_cache_state(cache, &seen);
        (void)usleep(50000);
    }
    assert_int_equal(seen.max_memory, 100 * MIB);
    assert_true(seen.is_configured && seen.is_connected);
    assert_string_equal(seen.host, "127.0.0.1");
    assert_int_equal(seen.port, server.port);
    (void)snprintf(version, sizeof(version), "redis_version:%s\r\n", seen.version);
    assert_non_null(strstr(redis_cli(&server, "INFO", "server"), version));
    assert_true(seen.used_memory > MIB / 4);
    assert_true(seen.clients >= 1 && seen.open >= 1);
    assert_true(seen.keys > 1000);
    assert_string_equal(seen.error, "");
    assert_int_equal(seen.reconnects, 0);
    assert_int_equal(seen.breaker, TARS_BREAKER_CLOSED);
    redis_cli(&server, "CONFIG", "SET", "maxmemory", "0");
    assert_non_null(strstr(redis_cli(&server, "CLIENT", "LIST"), "name=tars"));
    tars_cache_free(cache);
}

static void wrong_addresses_are_refused(void **state)
{
    static const struct {
        const char *name;
        struct tars_cache_redis_config config;
        const char *words;
    } rows[] = {
        {"no host", {.port = 1}, "is no address"},
        {"port", {.host = "a", .port = 70000}, "is no address"},
        {"sentinels", {.sentinels = "a:b", .master = "m"}, "\"a:b\" is not a host:port"},
        {"no master", {.sentinels = "a"}, "name of the sentinels' master is missing"},
        {"cluster", {.cluster = ",a"}, "is not a host:port"},
        {"database of a cluster", {.cluster = "a", .db = 1}, "no database but 0"},
        {"authorities", {.host = "a", .tls = true, .tls_ca = "/nowhere"}, "/nowhere"},
        {"certificate without key", {.host = "a", .tls = true, .tls_cert = "/x"}, "together"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_cache *cache = NULL;
        struct tars_err err = {""};

        print_message("  %s\n", rows[i].name);
        assert_true(tars_cache_redis_open(&rows[i].config, &cache, &err) != TARS_OK);
        assert_null(cache);
        assert_non_null(strstr(err.text, rows[i].words));
    }
}

static void what_is_not_redis_is_told(void **state)
{
    const struct tars_cache_redis_config nowhere = {.host = "no-such-host.invalid"};
    struct tars_cache_redis_config config = {.host = "127.0.0.1"};

    (void)state;
    assert_not_connected(&nowhere, "no-such-host.invalid is not found");
    config.port = process_free_port();
    assert_not_connected(&config, "Connection refused");
}

/* -------------------------------------------------------------------- many */

static void *hammer(void *ctx)
{
    struct tars_cache *cache = ctx;
    char key[16];

    for (size_t i = 0; i < ROUNDS; i++) {
        struct tars_arena arena;
        struct tars_span value;

        tars_arena_init(&arena, MIB);
        (void)snprintf(key, sizeof(key), "key %zu", i * 7 % 50);
        if (tars_cache_get(cache, TARS_CACHE_GENERIC, tars_span_of(key), &arena, &value) ==
            TARS_OK) {
            assert_true(tars_span_is(value, key));
        } else {
            put(cache, TARS_CACHE_GENERIC, key, key);
        }
        if (i % 40 == 0)
            (void)tars_cache_drop(cache, TARS_CACHE_GENERIC, tars_span_of(key));
        tars_arena_release(&arena);
    }
    return NULL;
}

static void sixty_four_threads_share_it(void **state)
{
    struct tars_cache_redis_config config = config_of(&server);
    struct tars_cache_counts counts;
    struct tars_cache_state seen;
    struct tars_cache *cache;
    pthread_t threads[THREADS];

    (void)state;
    config.max_connections = 20; /* fewer than threads: they wait for one another */
    cache = open_config(&config);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, cache), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    counts = counts_of(cache, TARS_CACHE_GENERIC);
    assert_int_equal(counts.errors, 0);
    assert_int_equal(counts.hits + counts.misses, THREADS * ROUNDS);
    tars_cache_state(cache, &seen);
    assert_in_range(seen.open, 2, 20);
    assert_int_equal(seen.busy, 0);
    tars_cache_free(cache);
}

/* ------------------------------------------------------------------- faults */

static void faulty_run(void *ctx)
{
    const struct tars_cache_redis_config *config = ctx;
    struct tars_cache *cache = NULL;
    struct tars_arena arena;
    struct tars_span value;
    struct tars_err err;
    tars_status status = tars_cache_redis_open(config, &cache, &err);

    if (status != TARS_OK) {
        assert_int_equal(status, TARS_ENOMEM);
        assert_true(faults_happened());
        return;
    }
    assert_int_equal(tars_cache_redis_wait(cache, LONG_MS, &err), TARS_OK);
    tars_arena_init(&arena, MIB);
    put(cache, TARS_CACHE_RESULT, "new", "y");
    if (look(cache, TARS_CACHE_RESULT, "new", &arena, &value) == TARS_OK) {
        assert_true(tars_span_is(value, "y"));
    } else {
        assert_true(faults_happened());
    }
    if (look(cache, TARS_CACHE_EMBEDDING, "old", &arena, &value) == TARS_OK) {
        assert_int_equal(value.len, 8);
    } else {
        assert_true(faults_happened());
    }
    (void)tars_cache_drop(cache, TARS_CACHE_RESULT, tars_span_of("new"));
    tars_arena_release(&arena);
    tars_cache_free(cache);
}

static void every_allocation_may_fail(void **state)
{
    struct tars_cache_redis_config config = config_of(&server);

    (void)state;
    config.username = "default";
    config.master = "unused";
    redis_cli(&server, "SET", name_of(TARS_CACHE_EMBEDDING, "old"), "[1, 2]");
    assert_true(faults_each(faulty_run, &config) >= 3);
}

static void no_wake(void *ctx)
{
    (void)ctx;
}

/* What the keeper does, here on the thread whose allocations fail. */
static void faulty_tending(void *ctx)
{
    const struct tars_redis_node_config config = {.conn = {.stop_fd = -1},
                                                  .max_connections = 2,
                                                  .timeout_ms = LONG_MS,
                                                  .connect_timeout_ms = LONG_MS,
                                                  .wake = no_wake};
    struct tars_redis_address address = {"127.0.0.1", server.port};
    struct tars_redis_node node;
    struct tars_redis_conn *conn = NULL;

    (void)ctx;
    tars_redis_node_init(&node, &config, &address);
    tars_redis_node_tend(&node);
    if (!tars_redis_node_is_up(&node)) {
        assert_true(faults_happened());
        tars_redis_node_tend(&node);
    }
    assert_true(tars_redis_node_is_up(&node));
    assert_int_equal(tars_redis_node_take(&node, tars_clock_mono_ms() + LONG_MS, &conn), TARS_OK);
    tars_redis_node_give(&node, conn, TARS_OK);
    tars_redis_node_release(&node);
}

static void every_allocation_of_opening_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(faulty_tending, NULL) >= 3);
}

static int start(void **state)
{
    (void)state;
    redis_start(&server, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redis_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_kept_as_others_read_them),
        cmocka_unit_test(what_others_wrote_is_read),
        cmocka_unit_test(what_json_cannot_say_is_not_kept),
        cmocka_unit_test(bytes_are_kept_as_they_are),
        cmocka_unit_test(large_values_are_kept),
        cmocka_unit_test(what_the_caller_has_no_room_for_is_an_error),
        cmocka_unit_test(every_time_to_live_ends),
        cmocka_unit_test(each_kind_has_its_time),
        cmocka_unit_test(clearing_leaves_what_is_others),
        cmocka_unit_test(dropping_takes_one),
        cmocka_unit_test(databases_are_apart),
        cmocka_unit_test(a_password_is_needed_and_told),
        cmocka_unit_test(the_documented_access_rule_suffices),
        cmocka_unit_test(what_is_not_permitted_is_told),
        cmocka_unit_test(a_full_server_loses_sets_and_says_so),
        cmocka_unit_test(the_state_is_told),
        cmocka_unit_test(wrong_addresses_are_refused),
        cmocka_unit_test(what_is_not_redis_is_told),
        cmocka_unit_test(sixty_four_threads_share_it),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_allocation_of_opening_may_fail),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
