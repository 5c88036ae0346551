/* Two levels as one: what is where after each step, and what a far level that is away costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/cache_levels.h"
#include "cache/cache_memory.h"
#include "cache/fetch.h"
#include "support/faults.h"

#define KIB ((size_t)1024)

static int64_t now_ms;

static int64_t test_clock(void *ctx)
{
    (void)ctx;
    return now_ms;
}

static struct tars_cache *open_memory(void)
{
    const struct tars_cache_memory_config config = {
        .max_bytes = 256 * KIB, .ttl_s = {[TARS_CACHE_EMBEDDING] = 10}, .now = test_clock};
    struct tars_cache *cache = NULL;

    assert_int_equal(tars_cache_memory_open(&config, &cache), TARS_OK);
    return cache;
}

/* A far level that can be told to fail: which the real one cannot be made to do at a given moment.
 */
struct faulty {
    struct tars_cache base;
    struct tars_cache *inner;
    tars_status fails; /* TARS_OK: it works */
    unsigned asked;
};

static tars_status faulty_get(struct tars_cache *cache, enum tars_cache_kind kind,
                              struct tars_span key, struct tars_arena *arena,
                              struct tars_span *value)
{
    struct faulty *faulty = (struct faulty *)cache;

    faulty->asked++;
    return faulty->fails ? faulty->fails : tars_cache_get(faulty->inner, kind, key, arena, value);
}

static tars_status faulty_set(struct tars_cache *cache, enum tars_cache_kind kind,
                              struct tars_span key, struct tars_span value)
{
    struct faulty *faulty = (struct faulty *)cache;

    if (!faulty->fails)
        tars_cache_set(faulty->inner, kind, key, value);
    return faulty->fails;
}

static bool faulty_drop(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span key)
{
    return tars_cache_drop(((struct faulty *)cache)->inner, kind, key);
}

static uint64_t faulty_clear(struct tars_cache *cache, enum tars_cache_kind kind)
{
    return tars_cache_clear(((struct faulty *)cache)->inner, kind);
}

static tars_status faulty_clear_matching(struct tars_cache *cache, const char *pattern,
                                         uint64_t *removed, struct tars_err *err)
{
    struct faulty *faulty = (struct faulty *)cache;

    if (faulty->fails)
        return tars_fail(faulty->fails, err, "it is away");
    return tars_cache_clear_matching(faulty->inner, pattern, removed, err);
}

static void faulty_state(struct tars_cache *cache, struct tars_cache_state *state)
{
    state->is_configured = true;
    state->is_connected = !((struct faulty *)cache)->fails;
}

static void faulty_stats(struct tars_cache *cache, struct tars_cache_stats *stats)
{
    tars_cache_stats(((struct faulty *)cache)->inner, stats);
}

static void faulty_free(struct tars_cache *cache)
{
    tars_cache_free(((struct faulty *)cache)->inner);
}

static const struct tars_cache_ops faulty_ops = {
    .name = "redis",
    .get = faulty_get,
    .set = faulty_set,
    .drop = faulty_drop,
    .clear = faulty_clear,
    .clear_matching = faulty_clear_matching,
    .state = faulty_state,
    .stats = faulty_stats,
    .free = faulty_free,
};

struct world {
    struct faulty far;
    struct tars_cache *near;
    struct tars_cache *cache;
    struct tars_metrics *metrics;
    struct tars_arena arena;
};

static void world_init(struct world *world)
{
    *world = (struct world){.far = {.base.ops = &faulty_ops, .inner = open_memory()},
                            .near = open_memory()};
    now_ms = 0;
    assert_int_equal(tars_cache_levels_open(world->near, &world->far.base, &world->cache), TARS_OK);
    assert_int_equal(tars_metrics_new(&world->metrics), TARS_OK);
    tars_cache_count_into(world->cache, world->metrics);
    tars_arena_init(&world->arena, 256 * KIB);
}

static void world_release(struct world *world)
{
    tars_arena_release(&world->arena);
    tars_cache_free(world->cache);
    tars_metrics_free(world->metrics);
}

static void put(struct tars_cache *cache, const char *key, const char *value)
{
    tars_cache_set(cache, TARS_CACHE_EMBEDDING, tars_span_of(key), tars_span_of(value));
}

static bool has(struct world *world, struct tars_cache *cache, const char *key)
{
    struct tars_span value;

    return tars_cache_get(cache, TARS_CACHE_EMBEDDING, tars_span_of(key), &world->arena, &value) ==
           TARS_OK;
}

static bool has_near(struct world *world, struct tars_cache *cache, const char *key)
{
    struct tars_span value;

    return tars_cache_get_near(cache, TARS_CACHE_EMBEDDING, tars_span_of(key), &world->arena,
                               &value) == TARS_OK;
}

static struct tars_cache_counts counts_of(struct tars_cache *cache)
{
    struct tars_cache_stats stats;

    tars_cache_stats(cache, &stats);
    return tars_cache_total(&stats);
}

static double series(struct world *world, const char *line)
{
    struct tars_buf text;
    char wanted[128];
    const char *at;
    double value = -1;

    tars_buf_init(&text, 1024 * KIB);
    tars_metrics_write(world->metrics, &text);
    (void)snprintf(wanted, sizeof(wanted), "\n%s ", line);
    at = strstr(text.ptr, wanted);
    if (at)
        (void)sscanf(at + strlen(wanted), "%lf", &value); /* NOLINT(cert-err34-c) */
    tars_buf_release(&text);
    return value;
}

/* -------------------------------------------------------------------- cases */

static void set_goes_to_both(struct world *world)
{
    put(world->cache, "a", "x");
    assert_true(has(world, world->near, "a"));
    assert_true(has(world, world->far.inner, "a"));
}

static void a_far_hit_comes_near(struct world *world)
{
    put(world->far.inner, "a", "x");
    assert_false(has_near(world, world->cache, "a"));
    assert_true(has(world, world->cache, "a"));
    assert_int_equal(world->far.asked, 1);
    assert_true(has_near(world, world->cache, "a"));
    assert_true(has(world, world->cache, "a"));
    assert_int_equal(world->far.asked, 1);
}

static void near_ends_before_far_is_asked_again(struct world *world)
{
    put(world->cache, "a", "x");
    now_ms = 9999;
    assert_true(has(world, world->cache, "a"));
    assert_int_equal(world->far.asked, 0);
    now_ms = 10000;
    assert_false(has(world, world->cache, "a"));
    assert_int_equal(world->far.asked, 1);
}

static void nothing_is_older_than_twice_its_time(struct world *world)
{
    put(world->cache, "a", "x");
    (void)tars_cache_drop(world->near, TARS_CACHE_EMBEDDING, tars_span_of("a"));
    now_ms = 9999;
    assert_true(has(world, world->cache, "a")); /* promoted at the last moment */
    now_ms = 19998;
    assert_true(has(world, world->cache, "a"));
    now_ms = 19999;
    assert_false(has(world, world->cache, "a"));
}

static void drop_and_clear_are_of_both(struct world *world)
{
    uint64_t removed;

    put(world->cache, "a", "x");
    assert_true(tars_cache_drop(world->cache, TARS_CACHE_EMBEDDING, tars_span_of("a")));
    assert_false(has(world, world->cache, "a"));
    put(world->cache, "a", "x");
    put(world->far.inner, "b", "x");
    assert_int_equal(tars_cache_clear(world->cache, TARS_CACHE_EMBEDDING), 2);
    assert_false(has(world, world->cache, "a"));
    assert_false(has(world, world->cache, "b"));
    put(world->cache, "a", "x");
    assert_int_equal(tars_cache_clear_matching(world->cache, "tars:*", &removed, NULL), TARS_OK);
    assert_int_equal(removed, 1);
    assert_false(has(world, world->cache, "a"));
}

static void each_level_counts_for_itself(struct world *world)
{
    put(world->cache, "a", "x");
    put(world->far.inner, "b", "x");
    assert_true(has(world, world->cache, "a"));
    assert_true(has(world, world->cache, "b"));
    assert_false(has(world, world->cache, "c"));
    assert_int_equal(counts_of(world->cache).hits, 2);
    assert_int_equal(counts_of(world->cache).misses, 1);
    assert_int_equal(counts_of(world->cache).sets, 1);
    assert_int_equal(counts_of(world->near).hits, 1);
    assert_int_equal(counts_of(world->near).misses, 2);
    assert_true(series(world, "tars_cache_hits_total") == 2);
    assert_true(series(world, "tars_cache_misses_total") == 1);
    assert_true(series(world, "tars_embedding_cache_hits_total") == 2);
    assert_true(series(world, "tars_redis_cache_hits_total") == 1);
    assert_true(series(world, "tars_redis_cache_misses_total") == 1);
    assert_true(
        series(world, "tars_cache_operations_total{operation=\"set\",result=\"success\"}") == 1);
    assert_true(series(world, "rag_cache_lookups_total{level=\"memory\",kind=\"embedding\","
                              "result=\"hit\"}") == 1);
    assert_true(series(world, "rag_cache_lookups_total{level=\"memory\",kind=\"embedding\","
                              "result=\"miss\"}") == 2);
    assert_true(series(world, "rag_cache_lookups_total{level=\"redis\",kind=\"embedding\","
                              "result=\"hit\"}") == 1);
    tars_cache_sample(world->cache);
    assert_true(series(world, "rag_cache_entries{level=\"memory\"}") == 2);
    assert_true(series(world, "rag_cache_bytes{level=\"memory\"}") > 0);
    assert_true(series(world, "tars_cache_hit_rate") > 66);
    assert_ptr_equal(tars_cache_level(world->cache, 0), world->near);
    assert_ptr_equal(tars_cache_level(world->cache, 1), &world->far.base);
    assert_null(tars_cache_level(world->cache, 2));
    assert_ptr_equal(tars_cache_level(world->near, 0), world->near);
    assert_null(tars_cache_level(world->near, 1));
    assert_string_equal(tars_cache_level_name(world->near), "memory");
}

static void a_far_level_that_is_away_costs_nothing(struct world *world)
{
    struct tars_cache_state state;

    world->far.fails = TARS_EUNAVAILABLE;
    put(world->cache, "a", "x");
    assert_true(has(world, world->cache, "a"));
    assert_false(has(world, world->cache, "b"));
    assert_int_equal(counts_of(world->cache).sets, 1);
    assert_int_equal(counts_of(world->cache).misses, 1);
    assert_int_equal(counts_of(world->cache).errors, 0);
    assert_true(series(world, "rag_cache_lookups_total{level=\"redis\",kind=\"embedding\","
                              "result=\"error\"}") == 0);
    tars_cache_state(world->cache, &state);
    assert_true(state.is_configured);
    assert_false(state.is_connected);
}

static void a_far_level_that_fails_is_an_error(struct world *world)
{
    struct tars_err err = {{0}};
    uint64_t removed;

    world->far.fails = TARS_ETIMEOUT;
    assert_false(has(world, world->cache, "b"));
    assert_int_equal(counts_of(world->cache).misses, 0);
    assert_int_equal(counts_of(world->cache).errors, 1);
    assert_true(series(world, "tars_cache_operations_total{operation=\"all\",result=\"error\"}") ==
                1);
    assert_true(series(world, "rag_cache_lookups_total{level=\"redis\",kind=\"embedding\","
                              "result=\"error\"}") == 1);
    put(world->cache, "a", "x");
    assert_int_equal(tars_cache_clear_matching(world->cache, "*", &removed, &err), TARS_ETIMEOUT);
    assert_string_equal(err.text, "it is away");
    assert_int_equal(removed, 1); /* the near one did what it could */
    assert_false(has_near(world, world->cache, "a"));
}

static const struct row {
    const char *name;
    void (*run)(struct world *world);
} rows[] = {
    {"set goes to both", set_goes_to_both},
    {"a far hit comes near", a_far_hit_comes_near},
    {"near ends before far is asked again", near_ends_before_far_is_asked_again},
    {"nothing is older than twice its time", nothing_is_older_than_twice_its_time},
    {"drop and clear are of both", drop_and_clear_are_of_both},
    {"each level counts for itself", each_level_counts_for_itself},
    {"a far level that is away costs nothing", a_far_level_that_is_away_costs_nothing},
    {"a far level that fails is an error", a_far_level_that_fails_is_an_error},
};

static void two_levels_are_one_cache(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world world;

        print_message("  %s\n", rows[i].name);
        world_init(&world);
        rows[i].run(&world);
        world_release(&world);
    }
}

static void faulty_run(void *ctx)
{
    const struct tars_cache_memory_config config = {.max_bytes = 64 * KIB};
    struct tars_cache *near = NULL;
    struct tars_cache *far = NULL;
    struct tars_cache *cache = NULL;
    struct tars_arena arena;
    struct tars_span value;

    (void)ctx;
    if (tars_cache_memory_open(&config, &near) == TARS_OK &&
        tars_cache_memory_open(&config, &far) == TARS_OK &&
        tars_cache_levels_open(near, far, &cache) == TARS_OK) {
        tars_arena_init(&arena, 64 * KIB);
        put(cache, "a", "x");
        (void)tars_cache_drop(near, TARS_CACHE_EMBEDDING, tars_span_of("a"));
        if (tars_cache_get(cache, TARS_CACHE_EMBEDDING, tars_span_of("a"), &arena, &value) ==
            TARS_OK) {
            assert_true(tars_span_is(value, "x"));
        } else {
            assert_true(faults_happened());
        }
        tars_arena_release(&arena);
    } else {
        assert_true(faults_happened());
    }
    if (!cache) {
        tars_cache_free(near);
        tars_cache_free(far);
    }
    tars_cache_free(cache);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(faulty_run, NULL) > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_levels_are_one_cache),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
