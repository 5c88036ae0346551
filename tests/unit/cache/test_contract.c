/* What every cache must do, on each back end, and what is special to the one in memory. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/cache_levels.h"
#include "cache/cache_memory.h"
#include "cache/cache_redis.h"
#include "support/faults.h"
#include "support/redis.h"

#define KIB     ((size_t)1024)
#define THREADS 4
#define ROUNDS  5000

static int64_t now_ms;
static struct redis redis;

static int64_t test_clock(void *ctx)
{
    (void)ctx;
    return now_ms;
}

static struct tars_cache *open_memory(size_t bytes)
{
    const struct tars_cache_memory_config config = {
        .max_bytes = bytes,
        .ttl_s = {[TARS_CACHE_EMBEDDING] = 10, [TARS_CACHE_RESULT] = 20},
        .now = test_clock,
    };
    struct tars_cache *cache = NULL;

    assert_int_equal(tars_cache_memory_open(&config, &cache), TARS_OK);
    return cache;
}

static struct tars_cache *open_levels(size_t bytes)
{
    struct tars_cache *cache = NULL;

    assert_int_equal(tars_cache_levels_open(open_memory(bytes), open_memory(bytes), &cache),
                     TARS_OK);
    return cache;
}

static void put(struct tars_cache *cache, enum tars_cache_kind kind, const char *key,
                const char *value)
{
    tars_cache_set(cache, kind, tars_span_of(key), tars_span_of(value));
}

/* expected NULL: a miss. */
static void assert_value(struct tars_cache *cache, enum tars_cache_kind kind, const char *key,
                         const char *expected)
{
    struct tars_arena arena;
    struct tars_span value = {NULL, 0};
    tars_status status;

    tars_arena_init(&arena, 1024 * KIB);
    status = tars_cache_get(cache, kind, tars_span_of(key), &arena, &value);
    assert_int_equal(status, expected ? TARS_OK : TARS_ENOTFOUND);
    if (expected)
        assert_true(tars_span_is(value, expected));
    tars_arena_release(&arena);
}

static struct tars_cache_counts total(struct tars_cache *cache)
{
    struct tars_cache_stats stats;

    tars_cache_stats(cache, &stats);
    return tars_cache_total(&stats);
}

/* ----------------------------------------------------------------- contract */

static void values_are_found_again(struct tars_cache *cache)
{
    put(cache, TARS_CACHE_RESULT, "a", "one");
    put(cache, TARS_CACHE_RESULT, "b", "");
    assert_value(cache, TARS_CACHE_RESULT, "a", "one");
    assert_value(cache, TARS_CACHE_RESULT, "b", "");
    assert_value(cache, TARS_CACHE_RESULT, "c", NULL);
    put(cache, TARS_CACHE_RESULT, "a", "another, longer");
    assert_value(cache, TARS_CACHE_RESULT, "a", "another, longer");
}

static void kinds_are_apart(struct tars_cache *cache)
{
    put(cache, TARS_CACHE_EMBEDDING, "a", "vect");
    assert_value(cache, TARS_CACHE_RESULT, "a", NULL);
    put(cache, TARS_CACHE_RESULT, "a", "result");
    assert_value(cache, TARS_CACHE_EMBEDDING, "a", "vect");
    assert_int_equal(tars_cache_clear(cache, TARS_CACHE_EMBEDDING), 1);
    assert_value(cache, TARS_CACHE_EMBEDDING, "a", NULL);
    assert_value(cache, TARS_CACHE_RESULT, "a", "result");
}

static void drop_says_whether_it_was_there(struct tars_cache *cache)
{
    put(cache, TARS_CACHE_GENERIC, "a", "x");
    assert_true(tars_cache_drop(cache, TARS_CACHE_GENERIC, tars_span_of("a")));
    assert_false(tars_cache_drop(cache, TARS_CACHE_GENERIC, tars_span_of("a")));
    assert_value(cache, TARS_CACHE_GENERIC, "a", NULL);
}

static void clear_forgets_all(struct tars_cache *cache)
{
    put(cache, TARS_CACHE_GENERIC, "a", "x");
    put(cache, TARS_CACHE_RERANK, "b", "yyyy");
    put(cache, TARS_CACHE_RESULT, "c", "z");
    assert_int_equal(tars_cache_clear(cache, TARS_CACHE_KINDS), 3);
    assert_int_equal(tars_cache_clear(cache, TARS_CACHE_KINDS), 0);
    assert_int_equal(total(cache).entries, 0);
}

static void counts_are_kept(struct tars_cache *cache)
{
    struct tars_cache_stats stats;

    put(cache, TARS_CACHE_RESULT, "a", "x");
    assert_value(cache, TARS_CACHE_RESULT, "a", "x");
    assert_value(cache, TARS_CACHE_RESULT, "a", "x");
    assert_value(cache, TARS_CACHE_RESULT, "b", NULL);
    assert_value(cache, TARS_CACHE_EMBEDDING, "b", NULL);
    tars_cache_stats(cache, &stats);
    assert_int_equal(stats.kind[TARS_CACHE_RESULT].hits, 2);
    assert_int_equal(stats.kind[TARS_CACHE_RESULT].misses, 1);
    assert_int_equal(stats.kind[TARS_CACHE_RESULT].sets, 1);
    assert_int_equal(stats.kind[TARS_CACHE_EMBEDDING].misses, 1);
    assert_int_equal(total(cache).misses, 2);
    assert_true(tars_cache_hit_percent(&stats.kind[TARS_CACHE_RESULT]) > 66.6);
    assert_true(tars_cache_hit_percent(&stats.kind[TARS_CACHE_RERANK]) == 0);
}

static void keys_are_bytes(struct tars_cache *cache)
{
    static const char key[] = {'a', 0, 'b'};
    static const char other[] = {'a', 0, 'c'};
    struct tars_arena arena;
    struct tars_span value;

    tars_arena_init(&arena, 64 * KIB);
    tars_cache_set(cache, TARS_CACHE_GENERIC, tars_span(key, 3), tars_span(other, 3));
    assert_int_equal(tars_cache_get(cache, TARS_CACHE_GENERIC, tars_span(other, 3), &arena, &value),
                     TARS_ENOTFOUND);
    assert_int_equal(tars_cache_get(cache, TARS_CACHE_GENERIC, tars_span(key, 3), &arena, &value),
                     TARS_OK);
    assert_true(tars_span_equal(value, tars_span(other, 3)));
    tars_arena_release(&arena);
}

static void near_is_asked_without_counting_misses(struct tars_cache *cache)
{
    struct tars_arena arena;
    struct tars_span value;

    tars_arena_init(&arena, 64 * KIB);
    assert_int_equal(
        tars_cache_get_near(cache, TARS_CACHE_RESULT, tars_span_of("a"), &arena, &value),
        TARS_ENOTFOUND);
    assert_int_equal(total(cache).misses, 0);
    put(cache, TARS_CACHE_RESULT, "a", "x");
    assert_int_equal(
        tars_cache_get_near(cache, TARS_CACHE_RESULT, tars_span_of("a"), &arena, &value), TARS_OK);
    assert_true(tars_span_is(value, "x"));
    assert_int_equal(total(cache).hits, 1);
    tars_arena_release(&arena);
}

static void clearing_by_pattern_takes_what_matches(struct tars_cache *cache)
{
    char name[TARS_CACHE_NAME_BYTES];
    struct tars_err err = {{0}};
    char long_one[TARS_CACHE_PATTERN_MAX + 2];
    uint64_t removed = 9;

    for (int i = 0; i < 50; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "%d", i);
        put(cache, TARS_CACHE_EMBEDDING, key, "vvvv");
        put(cache, TARS_CACHE_RESULT, key, "r");
    }
    assert_int_equal(tars_cache_count_matching(cache, "tars:result:*", &removed, &err), TARS_OK);
    assert_true(removed <= 50); /* what is on its way is not counted */
    assert_int_equal(tars_cache_clear_matching(cache, "other:*", &removed, &err), TARS_OK);
    assert_int_equal(removed, 0);
    assert_int_equal(tars_cache_name(TARS_CACHE_RESULT, tars_span_of("7"), name), TARS_OK);
    assert_memory_equal(name, "tars:result:", 12);
    assert_int_equal(strlen(name), 12 + 64);
    assert_int_equal(tars_cache_clear_matching(cache, name, &removed, &err), TARS_OK);
    assert_int_equal(removed, 1);
    assert_value(cache, TARS_CACHE_RESULT, "7", NULL);
    assert_value(cache, TARS_CACHE_EMBEDDING, "7", "vvvv");
    assert_int_equal(tars_cache_clear_matching(cache, "tars:emb*:*", &removed, &err), TARS_OK);
    assert_int_equal(removed, 50);
    assert_int_equal(tars_cache_clear_matching(cache, "tars:*", &removed, &err), TARS_OK);
    assert_int_equal(removed, 49);
    memset(long_one, '*', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = '\0';
    assert_int_equal(tars_cache_clear_matching(cache, long_one, &removed, &err), TARS_EINVAL);
}

/* Each row runs on a fresh cache of each back end. */
static const struct row {
    const char *name;
    void (*run)(struct tars_cache *cache);
    bool needs_near; /* of those that answer without waiting alone */
} rows[] = {
    {"values are found again", values_are_found_again, false},
    {"kinds are apart", kinds_are_apart, false},
    {"drop says whether it was there", drop_says_whether_it_was_there, false},
    {"clear forgets all", clear_forgets_all, false},
    {"counts are kept", counts_are_kept, false},
    {"keys are bytes", keys_are_bytes, false},
    {"near is asked without counting misses", near_is_asked_without_counting_misses, true},
    {"clearing by pattern takes what matches", clearing_by_pattern_takes_what_matches, false},
};

static struct tars_cache *new_memory(void)
{
    return open_memory(256 * KIB);
}

static struct tars_cache *new_levels(void)
{
    return open_levels(256 * KIB);
}

/* An empty one of a server that all rows share. */
static struct tars_cache *new_redis(void)
{
    const struct tars_cache_redis_config config = {
        .host = "127.0.0.1",
        .port = redis.port,
        .timeout_ms = 20000, /* of a busy machine */
        .ttl_s = {[TARS_CACHE_EMBEDDING] = 1000, [TARS_CACHE_RESULT] = 2000},
    };
    struct tars_cache *cache = NULL;
    struct tars_err err;

    assert_int_equal(tars_cache_redis_open(&config, &cache, &err), TARS_OK);
    assert_int_equal(tars_cache_redis_wait(cache, 20000, &err), TARS_OK);
    (void)tars_cache_clear(cache, TARS_CACHE_KINDS);
    return cache;
}

static struct tars_cache *new_levels_before_redis(void)
{
    struct tars_cache *cache = NULL;

    assert_int_equal(tars_cache_levels_open(open_memory(256 * KIB), new_redis(), &cache), TARS_OK);
    return cache;
}

static const struct {
    const char *name;
    struct tars_cache *(*open)(void);
    bool has_near;
} back_ends[] = {
    {"memory", new_memory, true},
    {"levels", new_levels, true},
    {"redis", new_redis, false},
    {"levels before redis", new_levels_before_redis, true},
};

static void the_contract_holds(void **state)
{
    (void)state;
    redis_start(&redis, NULL);
    for (size_t b = 0; b < sizeof(back_ends) / sizeof(back_ends[0]); b++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct tars_cache *cache;

            if (rows[i].needs_near && !back_ends[b].has_near)
                continue;
            print_message("  %s: %s\n", back_ends[b].name, rows[i].name);
            cache = back_ends[b].open();
            rows[i].run(cache);
            tars_cache_free(cache);
        }
    }
    redis_stop(&redis);
}

/* ---------------------------------------------------------------- in memory */

static void no_cache_is_a_miss(void **state)
{
    (void)state;
    put(NULL, TARS_CACHE_RESULT, "a", "x");
    assert_value(NULL, TARS_CACHE_RESULT, "a", NULL);
    assert_false(tars_cache_drop(NULL, TARS_CACHE_RESULT, tars_span_of("a")));
    assert_int_equal(tars_cache_clear(NULL, TARS_CACHE_KINDS), 0);
    assert_int_equal(total(NULL).misses, 0);
    assert_false(tars_cache_is_fast(NULL));
    tars_cache_free(NULL);
    assert_string_equal(tars_cache_kind_text(TARS_CACHE_RERANK), "rerank");
    assert_string_equal(tars_cache_kind_text(TARS_CACHE_KINDS), "all");
}

static void time_ends_a_value(void **state)
{
    struct tars_cache *cache = open_memory(256 * KIB);

    (void)state;
    now_ms = 1000;
    put(cache, TARS_CACHE_EMBEDDING, "a", "x");
    put(cache, TARS_CACHE_GENERIC, "a", "x");
    now_ms = 10999;
    assert_value(cache, TARS_CACHE_EMBEDDING, "a", "x");
    now_ms = 11000;
    assert_value(cache, TARS_CACHE_EMBEDDING, "a", NULL);
    now_ms = INT64_C(1) << 40;
    assert_value(cache, TARS_CACHE_GENERIC, "a", "x");
    assert_int_equal(total(cache).entries, 1);
    tars_cache_free(cache);
}

static void memory_is_bounded_and_the_oldest_goes(void **state)
{
    size_t max = 256 * KIB;
    struct tars_cache *cache = open_memory(max);
    char value[500];
    char key[32];

    (void)state;
    now_ms = 0;
    memset(value, 'v', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    put(cache, TARS_CACHE_RERANK, "kept", value);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof(key), "key %d", i);
        put(cache, TARS_CACHE_RERANK, key, value);
        assert_value(cache, TARS_CACHE_RERANK, "kept", value); /* used, so it stays */
        assert_true(total(cache).bytes <= max);
    }
    assert_value(cache, TARS_CACHE_RERANK, "key 0", NULL);
    assert_value(cache, TARS_CACHE_RERANK, "key 4999", value);
    assert_int_equal(total(cache).entries + total(cache).evictions, 5001);
    tars_cache_free(cache);
}

static void what_is_too_large_is_not_kept(void **state)
{
    struct tars_cache *cache = open_memory(64 * KIB);
    static char large[2 * 1024];

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    put(cache, TARS_CACHE_RESULT, "a", large);
    assert_value(cache, TARS_CACHE_RESULT, "a", NULL);
    put(cache, TARS_CACHE_RESULT, large, "a");
    assert_value(cache, TARS_CACHE_RESULT, large, NULL);
    assert_int_equal(total(cache).sets, 0);
    tars_cache_free(cache);
}

static void a_wrong_size_is_refused(void **state)
{
    const struct tars_cache_memory_config config = {.max_bytes = 1000};
    struct tars_cache *cache = NULL;

    (void)state;
    assert_int_equal(tars_cache_memory_open(&config, &cache), TARS_EINVAL);
    assert_null(cache);
}

static void faulty_run(void *ctx)
{
    const struct tars_cache_memory_config config = {.max_bytes = 256 * KIB};
    struct tars_cache *cache = NULL;
    struct tars_arena arena;
    struct tars_span value;
    char key[16];

    (void)ctx;
    if (tars_cache_memory_open(&config, &cache) != TARS_OK) {
        assert_true(faults_happened());
        return;
    }
    tars_arena_init(&arena, 64 * KIB);
    for (int i = 0; i < 1200; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        put(cache, TARS_CACHE_RESULT, key, key);
    }
    if (tars_cache_get(cache, TARS_CACHE_RESULT, tars_span_of("1199"), &arena, &value) == TARS_OK) {
        assert_true(tars_span_is(value, "1199"));
    } else {
        assert_true(faults_happened());
    }
    assert_true(total(cache).errors <= 1);
    tars_arena_release(&arena);
    tars_cache_free(cache);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(faulty_run, NULL) > 1200);
}

static void *hammer(void *ctx)
{
    struct tars_cache *cache = ctx;
    char key[16];

    for (int i = 0; i < ROUNDS; i++) {
        struct tars_arena arena;
        struct tars_span value;

        tars_arena_init(&arena, 64 * KIB);
        (void)snprintf(key, sizeof(key), "%d", i * 7 % 300);
        if (tars_cache_get(cache, TARS_CACHE_GENERIC, tars_span_of(key), &arena, &value) ==
            TARS_OK) {
            assert_true(tars_span_is(value, key));
        } else {
            put(cache, TARS_CACHE_GENERIC, key, key);
        }
        if (i % 100 == 0)
            (void)tars_cache_drop(cache, TARS_CACHE_GENERIC, tars_span_of(key));
        if (i % 1000 == 0)
            (void)tars_cache_clear(cache, TARS_CACHE_GENERIC);
        tars_arena_release(&arena);
    }
    return NULL;
}

static void threads_share_it(void **state)
{
    struct tars_cache *cache = open_memory(64 * KIB);
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, cache), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(total(cache).hits + total(cache).misses, THREADS * ROUNDS);
    tars_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_contract_holds),
        cmocka_unit_test(no_cache_is_a_miss),
        cmocka_unit_test(time_ends_a_value),
        cmocka_unit_test(memory_is_bounded_and_the_oldest_goes),
        cmocka_unit_test(what_is_too_large_is_not_kept),
        cmocka_unit_test(a_wrong_size_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(threads_share_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
