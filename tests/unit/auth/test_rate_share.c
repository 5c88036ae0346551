/* rate_share: servers that count together in a real Redis; and what they do while it is away. Two
 * servers are two limits with the same seed, each with a sharer of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/rate_share.h"
#include "base/sys/clock.h"
#include "support/faults.h"
#include "support/redis.h"

#define LONG_MS 60000
#define LIMIT   10
#define WINDOW  3600000 /* so that nothing is forgotten while a busy machine runs this */
#define PREFIX  "tars:limit:{0123456789abcdef}"
#define SERVERS 3

struct server {
    struct tars_cache *redis;
    struct tars_rate_limit *limiter;
    struct tars_rate_share *share;
};

static struct redis redis;

static void open_server(struct server *server, int64_t interval_ms)
{
    const struct tars_cache_redis_config config = {
        .host = "127.0.0.1", .port = redis.port, .timeout_ms = 1000};
    const struct tars_rate_limit_config limit = {
        .limit = LIMIT, .window_ms = WINDOW, .seed = {1, 2}, .is_shared = true};
    struct tars_err err = {""};
    struct tars_rate_share_config share = {.prefix = PREFIX, .interval_ms = interval_ms};

    assert_int_equal(tars_cache_redis_open(&config, &server->redis, &err), TARS_OK);
    assert_int_equal(tars_rate_limit_new(&limit, &server->limiter), TARS_OK);
    share.redis = server->redis;
    assert_int_equal(tars_rate_share_new(&share, &server->share, &err), TARS_OK);
    assert_int_equal(
        tars_rate_share_add(server->share, "request", server->limiter, tars_clock_mono_ms),
        TARS_OK);
    assert_int_equal(tars_rate_share_start(server->share, &err), TARS_OK);
}

static void close_server(struct server *server)
{
    tars_rate_share_free(server->share);
    tars_rate_limit_free(server->limiter);
    tars_cache_free(server->redis);
}

static void await(struct server *server, bool is_shared)
{
    int64_t until_ms = tars_clock_mono_ms() + LONG_MS;

    while (tars_rate_share_is_shared(server->share) != is_shared) {
        assert_true(tars_clock_mono_ms() < until_ms);
        if (is_shared) {
            /* A first round that took too long is not waited out until the next is due. */
            tars_rate_share_settle(server->share, 1);
        }
        (void)usleep(5000);
    }
}

static void open_servers(struct server *servers, size_t count, int64_t interval_ms)
{
    for (size_t i = 0; i < count; i++)
        open_server(&servers[i], interval_ms);
    for (size_t i = 0; i < count; i++)
        await(&servers[i], true);
}

static struct tars_rate take(struct server *server, const char *key)
{
    return tars_rate_limit_take(server->limiter, tars_span_of(key), tars_clock_mono_ms());
}

static int64_t remaining(struct server *server, const char *key)
{
    return tars_rate_limit_peek(server->limiter, tars_span_of(key), tars_clock_mono_ms()).remaining;
}

static void assert_comes(struct server *server, const char *key, int64_t expected)
{
    int64_t until_ms = tars_clock_mono_ms() + LONG_MS;

    while (remaining(server, key) != expected) {
        if (tars_clock_mono_ms() > until_ms)
            fail_msg("%s: %d remain, expected %d", key, (int)remaining(server, key), (int)expected);
        (void)usleep(5000);
    }
}

/* What one counts the others hear, without having been asked for that caller before. */
static void the_limit_is_of_all_servers(void **state)
{
    struct server servers[SERVERS];

    (void)state;
    open_servers(servers, SERVERS, 20);
    for (int i = 0; i < 6; i++)
        assert_true(take(&servers[0], "a").allowed);
    assert_comes(&servers[1], "a", LIMIT - 6);
    for (int i = 0; i < 4; i++)
        assert_true(take(&servers[1], "a").allowed);
    for (size_t i = 0; i < SERVERS; i++) {
        assert_comes(&servers[i], "a", 0);
        assert_false(take(&servers[i], "a").allowed);
        assert_true(take(&servers[i], "a").retry_after_s >= 1);
        assert_true(take(&servers[i], "another").allowed);
    }
    tars_rate_limit_refund(servers[1].limiter, tars_span_of("a"), tars_clock_mono_ms());
    for (size_t i = 0; i < SERVERS; i++)
        assert_comes(&servers[i], "a", 1);
    for (size_t i = 0; i < SERVERS; i++)
        close_server(&servers[i]);
}

/* Rounds are a minute apart, and settling makes one. */
static void settling_waits_for_the_counts_of_the_others(void **state)
{
    struct server servers[2];

    (void)state;
    open_servers(servers, 2, 60000);
    for (int i = 0; i < LIMIT; i++)
        assert_true(take(&servers[0], "b").allowed);
    tars_rate_share_settle(servers[0].share, LONG_MS);
    assert_true(take(&servers[1], "b").allowed);
    assert_false(
        tars_rate_limit_is_over(servers[1].limiter, tars_span_of("b"), tars_clock_mono_ms()));
    tars_rate_share_settle(servers[1].share, LONG_MS);
    assert_true(
        tars_rate_limit_is_over(servers[1].limiter, tars_span_of("b"), tars_clock_mono_ms()));
    assert_false(
        tars_rate_limit_is_over(servers[0].limiter, tars_span_of("b"), tars_clock_mono_ms()));
    tars_rate_share_settle(NULL, LONG_MS);
    close_server(&servers[0]);
    close_server(&servers[1]);
}

/* Alone each lets through all of it; when Redis is back, empty, all is known to all. */
static void while_redis_is_away_each_counts_alone(void **state)
{
    struct server servers[2];
    struct server late;

    (void)state;
    open_servers(servers, 2, 20);
    assert_true(take(&servers[0], "c").allowed);
    assert_comes(&servers[1], "c", LIMIT - 1);
    redis_kill(&redis);
    await(&servers[0], false);
    await(&servers[1], false);
    for (int i = 0; i < 3; i++)
        assert_true(take(&servers[0], "c").allowed);
    assert_true(take(&servers[1], "c").allowed);
    assert_int_equal(remaining(&servers[0], "c"), LIMIT - 4);
    assert_int_equal(remaining(&servers[1], "c"), LIMIT - 2);
    tars_rate_share_settle(servers[0].share, LONG_MS); /* does not wait */
    redis_restart(&redis);
    assert_comes(&servers[0], "c", LIMIT - 5);
    assert_comes(&servers[1], "c", LIMIT - 5);
    open_server(&late, 20);
    assert_comes(&late, "c", LIMIT - 5);
    close_server(&late);
    close_server(&servers[0]);
    close_server(&servers[1]);
}

/* Names are as documented, hold nothing of the caller, and end by themselves. */
static void what_redis_keeps_ends(void **state)
{
    struct server server;
    const char *found;
    char name[128];

    (void)state;
    open_servers(&server, 1, 20);
    assert_true(take(&server, "address 192.0.2.77").allowed);
    tars_rate_share_settle(server.share, LONG_MS);
    found = redis_cli(&redis, "--scan", "--pattern", PREFIX ":request:*");
    assert_non_null(strstr(found, PREFIX ":request:"));
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(found, "\n"), found);
    assert_null(strstr(redis_cli(&redis, "HGETALL", name), "192.0.2.77"));
    found = redis_cli(&redis, "PTTL", name);
    assert_true(strtoll(found, NULL, 10) > 0);
    assert_true(strtoll(found, NULL, 10) <= (int64_t)62 * WINDOW / 60);
    close_server(&server);
}

/* What others wrote there is passed over, or ends the round; it never counts for somebody. */
static void what_is_foreign_is_no_count(void **state)
{
    static const char *const fields[][2] = {
        {"short", "5"},
        {"0000000000000000000000zz", "5"},
        {"000000000000000000000001", "-5"},
        {"000000000000000000000001", "five"},
        {"000000000000000000000001", "99999999999"},
        {"000000000000000000000001", ""},
    };
    struct server server;
    char name[128];
    const char *found;

    (void)state;
    open_servers(&server, 1, 20);
    assert_true(take(&server, "d").allowed);
    tars_rate_share_settle(server.share, LONG_MS);
    found = redis_cli(&redis, "--scan", "--pattern", PREFIX ":request:*");
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(found, "\n"), found);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        (void)redis_cli(&redis, "HSET", name, fields[i][0], fields[i][1]);
        tars_rate_share_settle(server.share, LONG_MS);
        assert_true(tars_rate_share_is_shared(server.share));
        assert_int_equal(remaining(&server, "d"), LIMIT - 1);
    }
    (void)redis_cli(&redis, "DEL", name);
    (void)redis_cli(&redis, "SET", name, "a text");
    await(&server, false);
    assert_int_equal(remaining(&server, "d"), LIMIT - 1);
    (void)redis_cli(&redis, "DEL", name);
    await(&server, true);
    close_server(&server);
}

static struct tars_cache no_cache;

static void make_one(void *ctx)
{
    const struct tars_rate_limit_config limit = {.limit = LIMIT, .is_shared = true};
    const struct tars_rate_share_config config = {.redis = &no_cache, .prefix = PREFIX};
    struct tars_rate_limit *limiter = NULL;
    struct tars_rate_share *share = NULL;
    struct tars_err err;
    tars_status status = tars_rate_limit_new(&limit, &limiter);

    (void)ctx;
    if (status == TARS_OK)
        status = tars_rate_share_new(&config, &share, &err);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    for (size_t i = 0; share && i < TARS_RATE_SHARES_MAX; i++)
        assert_int_equal(tars_rate_share_add(share, "x", limiter, tars_clock_mono_ms), TARS_OK);
    if (share) {
        assert_int_equal(tars_rate_share_add(share, "x", limiter, tars_clock_mono_ms),
                         TARS_ETOOBIG);
    }
    tars_rate_share_free(share);
    tars_rate_limit_free(limiter);
}

static void without_memory_nothing_is_made(void **state)
{
    (void)state;
    assert_int_equal(faults_each(make_one, NULL), 67);
}

static int start(void **state)
{
    static const char *const none[] = {NULL};

    (void)state;
    redis_start(&redis, none);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redis_stop(&redis);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_of_all_servers),
        cmocka_unit_test(settling_waits_for_the_counts_of_the_others),
        cmocka_unit_test(while_redis_is_away_each_counts_alone),
        cmocka_unit_test(what_redis_keeps_ends),
        cmocka_unit_test(what_is_foreign_is_no_count),
        cmocka_unit_test(without_memory_nothing_is_made),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
