/* What the cache in Redis does while Redis is away: killed, stopped, started again, too slow, or
 * closing connections behind our back. Times here are upper bounds that a busy machine keeps, or
 * counted in questions. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys/clock.h"
#include "cache/cache_redis.h"
#include "cache/redis_queue.h"
#include "support/faults.h"
#include "support/redis.h"

#define MIB        ((size_t)1 << 20)
#define LONG_MS    30000
#define TIMEOUT_MS 300  /* of a get: rarely passed by a server that is merely busy */
#define FAILURES   3    /* that open the breaker */
#define BACK_MS    3500 /* within which a server that is back is used again */

static struct tars_cache *open_cache(const struct redis *redis)
{
    const struct tars_cache_redis_config config = {
        .host = "127.0.0.1", .port = redis->port, .timeout_ms = TIMEOUT_MS};
    struct tars_cache *cache = NULL;
    struct tars_err err = {""};

    if (tars_cache_redis_open(&config, &cache, &err) != TARS_OK ||
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
    tars_arena_release(&arena);
    return status;
}

static tars_status put(struct tars_cache *cache, const char *key)
{
    return cache->ops->set(cache, TARS_CACHE_RESULT, tars_span_of(key), tars_span_of("x"));
}

static uint64_t errors_of(struct tars_cache *cache)
{
    struct tars_cache_stats stats;

    tars_cache_stats(cache, &stats);
    return stats.kind[TARS_CACHE_RESULT].errors;
}

/* Asks until the server is left alone; each question that waited is counted. */
static int ask_until_left_alone(struct tars_cache *cache)
{
    for (int asked = 0; asked < 100; asked++) {
        if (look(cache, "a") == TARS_EUNAVAILABLE)
            return asked;
    }
    fail_msg("it is asked for ever");
    return 0;
}

/* While it is left alone a hundred thousand questions take no time that is worth a name. */
static void assert_costs_nothing(struct tars_cache *cache)
{
    uint64_t errors = errors_of(cache);
    int64_t began_ms = tars_clock_mono_ms();
    int answered = 0;

    for (int i = 0; i < 100000; i++)
        answered += look(cache, "a") != TARS_EUNAVAILABLE;
    assert_int_equal(answered, 0);
    assert_true(tars_clock_mono_ms() - began_ms < LONG_MS);
    assert_int_equal(errors_of(cache), errors); /* nobody looked: no error */
    assert_int_equal(put(cache, "b"), TARS_EUNAVAILABLE);
    assert_false(tars_cache_drop(cache, TARS_CACHE_RESULT, tars_span_of("b")));
}

static int64_t wait_until_used(struct tars_cache *cache)
{
    int64_t began_ms = tars_clock_mono_ms();

    while (look(cache, "a") != TARS_ENOTFOUND) {
        assert_true(tars_clock_mono_ms() - began_ms < LONG_MS);
        (void)usleep(2000);
    }
    return tars_clock_mono_ms() - began_ms;
}

/* The best of some tries: a busy machine may spoil one. */
static void assert_soon_back(struct tars_cache *cache, void (*away)(struct redis *redis),
                             void (*back)(struct redis *redis), struct redis *redis)
{
    int64_t best_ms = LONG_MS;

    for (int i = 0; i < 5 && best_ms > BACK_MS; i++) {
        int64_t took_ms;

        if (i > 0) {
            away(redis);
            (void)ask_until_left_alone(cache);
        }
        (void)usleep(1000000); /* so that pauses have grown */
        back(redis);
        took_ms = wait_until_used(cache);
        best_ms = took_ms < best_ms ? took_ms : best_ms;
    }
    print_message("  used again after %d ms\n", (int)best_ms);
    assert_true(best_ms <= BACK_MS);
}

static void a_killed_server_costs_nothing_and_is_found_again(void **state)
{
    struct tars_cache_state seen;
    struct tars_err err = {""};
    struct tars_cache *cache;
    uint64_t removed = 0;
    struct redis redis;

    (void)state;
    redis_start(&redis, NULL);
    cache = open_cache(&redis);
    assert_int_equal(look(cache, "a"), TARS_ENOTFOUND);
    redis_kill(&redis);
    assert_true(ask_until_left_alone(cache) <= FAILURES);
    assert_costs_nothing(cache);
    tars_cache_state(cache, &seen);
    assert_false(seen.is_connected);
    assert_true(seen.breaker != TARS_BREAKER_CLOSED);
    assert_true(seen.error[0] != '\0');
    assert_int_equal(tars_cache_redis_clear(cache, "tars:*", &removed, &err), TARS_EUNAVAILABLE);
    assert_soon_back(cache, redis_kill, redis_restart, &redis);
    tars_cache_state(cache, &seen);
    assert_true(seen.is_connected);
    assert_int_equal(seen.breaker, TARS_BREAKER_CLOSED);
    assert_true(seen.reconnects >= 1);
    assert_string_equal(seen.error, "");
    assert_int_equal(put(cache, "again"), TARS_OK);
    assert_int_equal(look(cache, "again"), TARS_OK);
    tars_cache_free(cache);
    redis_stop(&redis);
}

static void hang(struct redis *redis)
{
    redis_signal(redis, SIGSTOP);
}

static void go_on(struct redis *redis)
{
    redis_signal(redis, SIGCONT);
}

static void a_stopped_server_is_waited_for_three_times_at_most(void **state)
{
    struct tars_cache *cache;
    struct redis redis;
    int64_t began_ms;
    int asked;

    (void)state;
    redis_start(&redis, NULL);
    cache = open_cache(&redis);
    assert_int_equal(look(cache, "a"), TARS_ENOTFOUND);
    hang(&redis);
    began_ms = tars_clock_mono_ms();
    asked = ask_until_left_alone(cache);
    print_message("  %d waited, %d ms in all\n", asked, (int)(tars_clock_mono_ms() - began_ms));
    assert_true(asked <= FAILURES);
    assert_true(tars_clock_mono_ms() - began_ms >= TIMEOUT_MS);
    assert_costs_nothing(cache);
    assert_soon_back(cache, hang, go_on, &redis);
    tars_cache_free(cache);
    redis_stop(&redis);
}

struct asker {
    struct tars_cache *cache;
    atomic_int slow; /* questions that waited longer than they may, with room for a busy machine */
    atomic_int done;
};

static void *ask_often(void *ctx)
{
    struct asker *asker = ctx;

    for (int i = 0; i < 1000; i++) {
        int64_t began_ms = tars_clock_mono_ms();

        (void)look(asker->cache, "a");
        if (tars_clock_mono_ms() - began_ms > TIMEOUT_MS + 10000)
            atomic_fetch_add(&asker->slow, 1);
        atomic_fetch_add(&asker->done, 1);
    }
    return NULL;
}

static void many_callers_wait_once(void **state)
{
    struct asker asker = {.slow = 0};
    pthread_t threads[32];
    struct redis redis;
    int64_t began_ms;

    (void)state;
    redis_start(&redis, NULL);
    asker.cache = open_cache(&redis);
    hang(&redis);
    began_ms = tars_clock_mono_ms();
    for (int i = 0; i < 32; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &asker), 0);
    for (int i = 0; i < 32; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    print_message("  32,000 questions in %d ms\n", (int)(tars_clock_mono_ms() - began_ms));
    assert_int_equal(asker.done, 32000);
    assert_int_equal(asker.slow, 0);
    assert_true(tars_clock_mono_ms() - began_ms < LONG_MS);
    tars_cache_free(asker.cache);
    redis_stop(&redis);
}

static void connections_that_were_closed_are_not_used(void **state)
{
    struct tars_cache *cache;
    struct redis redis;

    (void)state;
    redis_start(&redis, NULL);
    cache = open_cache(&redis);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(look(cache, "a"), TARS_ENOTFOUND);
        redis_cli(&redis, "CLIENT", "KILL", "TYPE", "normal");
    }
    assert_int_equal(errors_of(cache), 0);
    tars_cache_free(cache);
    /* The same where the whole server is another by now. */
    cache = open_cache(&redis);
    redis_restart(&redis);
    (void)wait_until_used(cache);
    tars_cache_free(cache);
    redis_stop(&redis);
}

static void it_starts_without_a_server(void **state)
{
    struct tars_cache *cache = NULL;
    struct tars_err err = {""};
    struct redis redis;
    struct tars_cache_redis_config config = {.host = "127.0.0.1", .timeout_ms = TIMEOUT_MS};

    (void)state;
    redis_start(&redis, NULL);
    redis_kill(&redis);
    config.port = redis.port;
    assert_int_equal(tars_cache_redis_open(&config, &cache, &err), TARS_OK);
    assert_int_equal(look(cache, "a"), TARS_EUNAVAILABLE); /* at once */
    assert_int_equal(put(cache, "a"), TARS_EUNAVAILABLE);
    assert_int_equal(errors_of(cache), 0);
    assert_int_equal(tars_cache_redis_wait(cache, 1, &err), TARS_EUNAVAILABLE);
    redis_restart(&redis);
    assert_int_equal(tars_cache_redis_wait(cache, LONG_MS, &err), TARS_OK);
    assert_int_equal(look(cache, "a"), TARS_ENOTFOUND);
    tars_cache_free(cache);
    redis_stop(&redis);
}

static void a_server_that_says_it_is_busy_is_away(void **state)
{
    struct tars_cache_redis_config config = {.host = "127.0.0.1", .timeout_ms = TIMEOUT_MS};
    struct tars_cache *cache = NULL;
    struct tars_err err = {""};
    struct redis redis;
    char port[8];
    pid_t script;

    (void)state;
    redis_start(&redis, NULL);
    config.port = redis.port;
    assert_int_equal(tars_cache_redis_open(&config, &cache, &err), TARS_OK);
    assert_int_equal(tars_cache_redis_wait(cache, LONG_MS, &err), TARS_OK);
    /* To all but those who end the script. */
    redis_cli(&redis, "CONFIG", "SET", "busy-reply-threshold", "1");
    (void)snprintf(port, sizeof(port), "%d", redis.port);
    script = process_start(
        (const char *const[]){"redis-cli", "-p", port, "EVAL", "while true do end", "0", NULL});
    for (int i = 0; i < LONG_MS / 10 && look(cache, "a") != TARS_EUNAVAILABLE; i++)
        (void)usleep(10000);
    (void)ask_until_left_alone(cache);
    assert_true(redis_cli_until(&redis, LONG_MS, "OK", "SCRIPT", "KILL"));
    process_kill(script);
    (void)wait_until_used(cache);
    tars_cache_free(cache);
    redis_stop(&redis);
}

/* ------------------------------------------------------- servers that do not behave */

struct rogue {
    int fd, port;
    const char *reply; /* to whatever comes after the handshake */
    pthread_t thread;
    atomic_bool stop;
};

static const char *answer(const struct rogue *rogue, const char *said)
{
    if (strstr(said, "SETNAME"))
        return "+OK\r\n+PONG\r\n";
    if (strstr(said, "PING"))
        return "+PONG\r\n";
    if (strstr(said, "INFO"))
        return "$-1\r\n$-1\r\n";
    return rogue->reply;
}

/* Behaves until it is asked for a value. */
static void serve(struct rogue *rogue, int client)
{
    char bytes[4096];
    ssize_t got;

    while (!atomic_load(&rogue->stop) && (got = recv(client, bytes, sizeof(bytes) - 1, 0)) > 0) {
        const char *say;

        bytes[got] = '\0';
        say = answer(rogue, bytes);
        (void)send(client, say, strlen(say), MSG_NOSIGNAL);
    }
    close(client);
}

struct served {
    struct rogue *rogue;
    int client;
};

static void *serve_one(void *ctx)
{
    struct served served = *(struct served *)ctx;

    serve(served.rogue, served.client);
    return NULL;
}

static void *serve_all(void *ctx)
{
    struct rogue *rogue = ctx;
    struct served served[64];
    pthread_t threads[64];
    int clients[64];
    int count = 0;

    while (count < 64) {
        int client = accept4(rogue->fd, NULL, NULL, SOCK_CLOEXEC);

        if (client < 0)
            break;
        served[count] = (struct served){rogue, client};
        clients[count] = client;
        if (pthread_create(&threads[count], NULL, serve_one, &served[count]) != 0)
            break;
        count++;
    }
    for (int i = 0; i < count; i++) {
        (void)shutdown(clients[i], SHUT_RDWR);
        (void)pthread_join(threads[i], NULL);
    }
    return NULL;
}

static void rogue_start(struct rogue *rogue, const char *reply)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);

    *rogue = (struct rogue){.reply = reply};
    rogue->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(rogue->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(rogue->fd, 64), 0);
    assert_int_equal(getsockname(rogue->fd, (struct sockaddr *)&at, &len), 0);
    rogue->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&rogue->thread, NULL, serve_all, rogue), 0);
}

static void rogue_stop(struct rogue *rogue)
{
    atomic_store(&rogue->stop, true);
    (void)shutdown(rogue->fd, SHUT_RDWR);
    (void)pthread_join(rogue->thread, NULL);
    close(rogue->fd);
}

static void answers_that_are_none_are_errors(void **state)
{
    static const struct {
        const char *name, *reply;
        tars_status status;
    } rows[] = {
        {"not Redis", "HTTP/1.1 200 OK\r\n\r\n", TARS_EFORMAT},
        {"an integer", ":1\r\n", TARS_EFORMAT},
        {"an array", "*1\r\n$1\r\nx\r\n", TARS_EFORMAT},
        {"a promise", "$1000\r\nx", TARS_ETIMEOUT},
        {"more than anybody asked for", "$1000000000\r\nx", TARS_ETIMEOUT},
        {"sent elsewhere, where no cluster is", "-MOVED 1 127.0.0.1:1\r\n", TARS_EIO},
        {"something", "-ERR something\r\n", TARS_EIO},
        {"an answer and one more", "$-1\r\n$1\r\nx\r\n", TARS_ENOTFOUND},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_cache_redis_config config = {.host = "127.0.0.1", .timeout_ms = 1000};
        struct tars_cache *cache = NULL;
        struct tars_err err = {""};
        struct rogue rogue;

        print_message("  %s\n", rows[i].name);
        rogue_start(&rogue, rows[i].reply);
        config.port = rogue.port;
        if (tars_cache_redis_open(&config, &cache, &err) != TARS_OK ||
            tars_cache_redis_wait(cache, LONG_MS, &err) != TARS_OK)
            fail_msg("%s", err.text);
        assert_int_equal(look(cache, "a"), rows[i].status);
        /* Nothing of it is taken for the answer to the next question. */
        assert_int_equal(look(cache, "b"), rows[i].status);
        tars_cache_free(cache);
        rogue_stop(&rogue);
    }
}

/* -------------------------------------------------------------------- the queue */

static void push(struct tars_redis_queue *queue, const char *name, const char *value,
                 tars_status expected)
{
    assert_int_equal(
        tars_redis_queue_push(queue, TARS_CACHE_RESULT, tars_span_of(name), tars_span_of(value)),
        expected);
}

static void assert_queued(struct tars_redis_queue *queue, const char *name, const char *value)
{
    struct tars_arena arena;
    struct tars_span found;

    tars_arena_init(&arena, MIB);
    assert_int_equal(tars_redis_queue_find(queue, tars_span_of(name), &arena, &found),
                     value ? TARS_OK : TARS_ENOTFOUND);
    if (value)
        assert_true(tars_span_is(found, value));
    tars_arena_release(&arena);
}

static void what_waits_is_found_and_bounded(void **state)
{
    struct tars_redis_queue queue;
    struct tars_redis_item *batch;
    struct tars_redis_item *second;
    static char large[5000];

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    tars_redis_queue_init(&queue, 4096);
    push(&queue, "a", "1", TARS_OK);
    push(&queue, "a", "2", TARS_OK);
    push(&queue, "b", "3", TARS_OK);
    push(&queue, "c", large, TARS_EBUSY);
    assert_queued(&queue, "a", "2");
    batch = tars_redis_queue_take(&queue, 2, 1000);
    assert_non_null(batch);
    second = batch->next;
    assert_non_null(second);
    assert_null(second->next);
    assert_true(tars_span_is(tars_redis_item_value(batch), "1"));
    assert_queued(&queue, "a", "2"); /* while it is under way */
    assert_false(tars_redis_queue_wait(&queue, tars_clock_mono_ms() + 1));
    tars_redis_queue_done(&queue, batch);
    tars_redis_queue_again(&queue, second);
    assert_true(tars_redis_queue_drop(&queue, tars_span_of("a")));
    assert_false(tars_redis_queue_drop(&queue, tars_span_of("a")));
    assert_queued(&queue, "a", NULL);
    batch = tars_redis_queue_take(&queue, 9, 1);
    assert_non_null(batch);
    assert_null(batch->next);
    assert_true(tars_span_is(tars_redis_item_name(batch), "b"));
    tars_redis_queue_done(&queue, batch);
    batch = tars_redis_queue_take(&queue, 9, 1000);
    assert_true(batch->is_void);
    tars_redis_queue_done(&queue, batch);
    assert_true(tars_redis_queue_wait(&queue, tars_clock_mono_ms() + 1));
    assert_int_equal(queue.bytes, 0);
    push(&queue, "left", "behind", TARS_OK);
    tars_redis_queue_stop(&queue);
    push(&queue, "late", "x", TARS_EBUSY);
    assert_null(tars_redis_queue_take(&queue, 9, 1000));
    tars_redis_queue_release(&queue);
}

static void faulty_queue(void *ctx)
{
    struct tars_redis_queue queue;
    struct tars_arena arena;
    struct tars_span found;
    tars_status status;

    (void)ctx;
    tars_redis_queue_init(&queue, 4096);
    tars_arena_init(&arena, MIB);
    status = tars_redis_queue_push(&queue, TARS_CACHE_RESULT, tars_span_of("a"), tars_span_of("1"));
    if (status == TARS_OK)
        status = tars_redis_queue_find(&queue, tars_span_of("a"), &arena, &found);
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    tars_redis_queue_stop(&queue);
    tars_redis_queue_release(&queue);
    tars_arena_release(&arena);
}

static void every_allocation_of_the_queue_may_fail(void **state)
{
    (void)state;
    assert_int_equal(faults_each(faulty_queue, NULL), 2);
}

/* Values that are queued while the server hangs are lost and counted, or arrive; none is half there
 * and nobody waits for them. */
static void sets_wait_for_nobody(void **state)
{
    struct tars_cache *cache;
    struct redis redis;
    int64_t began_ms;
    uint64_t taken = 0;
    char key[16];

    (void)state;
    redis_start(&redis, NULL);
    cache = open_cache(&redis);
    hang(&redis);
    began_ms = tars_clock_mono_ms();
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        taken += put(cache, key) == TARS_OK;
    }
    assert_true(tars_clock_mono_ms() - began_ms < LONG_MS);
    (void)ask_until_left_alone(cache);
    go_on(&redis);
    (void)wait_until_used(cache);
    assert_int_equal(put(cache, "after"), TARS_OK);
    assert_int_equal(look(cache, "after"), TARS_OK);
    print_message("  %d of 20,000 taken, %d lost\n", (int)taken, (int)errors_of(cache));
    tars_cache_free(cache);
    redis_stop(&redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_server_costs_nothing_and_is_found_again),
        cmocka_unit_test(a_stopped_server_is_waited_for_three_times_at_most),
        cmocka_unit_test(many_callers_wait_once),
        cmocka_unit_test(connections_that_were_closed_are_not_used),
        cmocka_unit_test(it_starts_without_a_server),
        cmocka_unit_test(a_server_that_says_it_is_busy_is_away),
        cmocka_unit_test(answers_that_are_none_are_errors),
        cmocka_unit_test(what_waits_is_found_and_bounded),
        cmocka_unit_test(every_allocation_of_the_queue_may_fail),
        cmocka_unit_test(sets_wait_for_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
