/* One computation a key, whoever asks; and what becomes of those who wait when it fails. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys/clock.h"
#include "cache/cache_levels.h"
#include "cache/cache_memory.h"
#include "cache/fetch.h"
#include "support/faults.h"

#define KIB     ((size_t)1024)
#define THREADS 64

static struct tars_cache *open_memory(void)
{
    const struct tars_cache_memory_config config = {.max_bytes = 1024 * KIB};
    struct tars_cache *cache = NULL;

    assert_int_equal(tars_cache_memory_open(&config, &cache), TARS_OK);
    return cache;
}

static struct tars_cache *open_shared(void)
{
    struct tars_cache *cache = open_memory();

    assert_int_equal(tars_cache_share(cache), TARS_OK);
    return cache;
}

/* What the threads of one test share. */
struct world {
    struct tars_cache *cache;
    const char *key;      /* of all; NULL: a key a thread */
    int64_t wait_ms;      /* of who waits */
    tars_status fails;    /* of the first computation */
    bool is_mine_alone;   /* what is computed */
    bool first_is_held;   /* the first computation lasts until it is let go */
    unsigned wait_for;    /* so many must be inside fetch before a computation ends */
    atomic_uint inside;   /* fetch */
    atomic_uint computed; /* computations begun */
    atomic_uint sources[3];
    atomic_bool let_go;
};

struct asker {
    struct world *world;
    pthread_t thread;
    int number;
};

static void wait_until_inside(struct world *world, unsigned n)
{
    while (atomic_load(&world->inside) < n)
        (void)usleep(200);
}

static tars_status compute(void *ctx, struct tars_arena *arena, struct tars_cache_made *made,
                           struct tars_err *err)
{
    struct world *world = ((struct asker *)ctx)->world;
    unsigned nth = atomic_fetch_add(&world->computed, 1);

    if (nth == 0) {
        wait_until_inside(world, world->wait_for);
        while (world->first_is_held && !atomic_load(&world->let_go))
            (void)usleep(200);
        if (world->fails)
            return tars_fail(world->fails, err, "the first one fails");
    }
    made->value = tars_span(tars_arena_strdup(arena, "value"), strlen("value"));
    made->is_mine_alone = world->is_mine_alone;
    return made->value.ptr ? TARS_OK : TARS_ENOMEM;
}

static tars_status fetch(struct asker *asker, struct tars_arena *arena, struct tars_span *value,
                         enum tars_cache_source *source)
{
    struct world *world = asker->world;
    char key[32];
    struct tars_cache_wish wish = {
        .kind = TARS_CACHE_RESULT, .wait_ms = world->wait_ms, .compute = compute, .ctx = asker};

    (void)snprintf(key, sizeof(key), "key %d", asker->number);
    wish.key = tars_span_of(world->key ? world->key : key);
    return tars_cache_fetch(world->cache, &wish, arena, value, source, NULL);
}

static void *ask(void *ctx)
{
    struct asker *asker = ctx;
    struct world *world = asker->world;
    enum tars_cache_source source = TARS_CACHE_FOUND;
    struct tars_arena arena;
    struct tars_span value = {NULL, 0};
    tars_status status;

    tars_arena_init(&arena, 64 * KIB);
    atomic_fetch_add(&world->inside, 1);
    status = fetch(asker, &arena, &value, &source);
    if (status == TARS_OK) {
        assert_true(tars_span_is(value, "value"));
        atomic_fetch_add(&world->sources[source], 1);
    } else {
        assert_int_equal(status, world->fails);
    }
    tars_arena_release(&arena);
    return NULL;
}

static void run_all(struct world *world, struct asker *askers, int n)
{
    for (int i = 0; i < n; i++) {
        askers[i] = (struct asker){.world = world, .number = i};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
}

static void join_all(struct asker *askers, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
}

static struct tars_cache_counts counts_of(struct tars_cache *cache)
{
    struct tars_cache_stats stats;

    tars_cache_stats(cache, &stats);
    return tars_cache_total(&stats);
}

/* -------------------------------------------------------------------- cases */

static void sixty_four_threads_compute_once(void **state)
{
    struct world world = {.cache = open_shared(), .key = "k", .wait_for = THREADS};
    struct tars_metrics *metrics = NULL;
    struct tars_cache_stats stats;
    struct asker askers[THREADS];

    (void)state;
    assert_int_equal(tars_metrics_new(&metrics), TARS_OK);
    tars_cache_count_into(world.cache, metrics);
    run_all(&world, askers, THREADS);
    join_all(askers, THREADS);
    assert_int_equal(world.computed, 1);
    assert_int_equal(world.sources[TARS_CACHE_COMPUTED], 1);
    assert_int_equal(world.sources[TARS_CACHE_FOUND] + world.sources[TARS_CACHE_SHARED],
                     THREADS - 1);
    tars_cache_stats(world.cache, &stats);
    assert_int_equal(stats.shared, world.sources[TARS_CACHE_SHARED]);
    assert_int_equal(tars_metrics_total(metrics, TARS_METRIC_RAG_CACHE_SHARED), stats.shared);
    assert_int_equal(counts_of(world.cache).misses, 1);
    tars_cache_free(world.cache);
    tars_metrics_free(metrics);
}

/* Without waiting for each other: those who come when it has just ended find it. */
static void nobody_slips_through_between_end_and_cache(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct world world = {.cache = open_shared(), .key = "k"};
        struct asker askers[8];

        run_all(&world, askers, 8);
        join_all(askers, 8);
        assert_int_equal(world.computed, 1);
        tars_cache_free(world.cache);
    }
}

static void keys_do_not_wait_for_each_other(void **state)
{
    struct world world = {.cache = open_shared(), .wait_for = THREADS};
    struct asker askers[THREADS];

    (void)state;
    run_all(&world, askers, THREADS);
    join_all(askers, THREADS);
    assert_int_equal(world.computed, THREADS);
    assert_int_equal(world.sources[TARS_CACHE_COMPUTED], THREADS);
    tars_cache_free(world.cache);
}

static void a_failure_wakes_who_waits(void **state)
{
    struct world world = {
        .cache = open_shared(), .key = "k", .wait_for = 8, .fails = TARS_ECANCELED};
    struct asker askers[8];
    int64_t start_ms = tars_clock_mono_ms();

    (void)state;
    world.wait_ms = 600000; /* a test that waits for the bound instead would not end */
    run_all(&world, askers, 8);
    join_all(askers, 8);
    assert_true(tars_clock_mono_ms() - start_ms < 600000);
    assert_true(world.computed >= 2);
    assert_int_equal(world.sources[0] + world.sources[1] + world.sources[2], 7);
    tars_cache_free(world.cache);
}

static void what_is_for_one_alone_is_not_given_to_others(void **state)
{
    struct world world = {.cache = open_shared(), .key = "k", .wait_for = 8, .is_mine_alone = true};
    struct asker askers[8];

    (void)state;
    run_all(&world, askers, 8);
    join_all(askers, 8);
    assert_int_equal(world.computed, 8);
    assert_int_equal(world.sources[TARS_CACHE_COMPUTED], 8);
    assert_int_equal(counts_of(world.cache).sets, 0);
    tars_cache_free(world.cache);
}

/* Who has waited long enough computes himself, and the first one's end hurts nobody. */
static void waiting_has_a_bound(void **state)
{
    struct world world = {
        .cache = open_shared(), .key = "k", .wait_ms = 20, .first_is_held = true, .wait_for = 1};
    struct asker askers[4];
    struct asker first;

    (void)state;
    run_all(&world, &first, 1);
    while (atomic_load(&world.computed) == 0)
        (void)usleep(200);
    run_all(&world, askers, 4);
    join_all(askers, 4);
    assert_true(world.computed >= 2);
    assert_int_equal(world.sources[TARS_CACHE_SHARED], 0);
    atomic_store(&world.let_go, true);
    join_all(&first, 1);
    assert_int_equal(world.sources[TARS_CACHE_COMPUTED] + world.sources[TARS_CACHE_FOUND], 5);
    tars_cache_free(world.cache);
}

static bool refuse(void *ctx, struct tars_span value)
{
    (void)ctx;
    return tars_span_is(value, "value");
}

static void a_value_that_is_no_good_is_made_again(void **state)
{
    struct world world = {.cache = open_shared()};
    struct asker asker = {.world = &world};
    const struct tars_cache_wish wish = {.kind = TARS_CACHE_RESULT,
                                         .key = tars_span_of("k"),
                                         .compute = compute,
                                         .is_good = refuse,
                                         .ctx = &asker};
    enum tars_cache_source source;
    struct tars_arena arena;
    struct tars_span value;

    (void)state;
    tars_arena_init(&arena, 64 * KIB);
    tars_cache_set(world.cache, TARS_CACHE_RESULT, tars_span_of("k"), tars_span_of("damaged"));
    assert_int_equal(tars_cache_fetch(world.cache, &wish, &arena, &value, &source, NULL), TARS_OK);
    assert_true(tars_span_is(value, "value"));
    assert_int_equal(source, TARS_CACHE_COMPUTED);
    assert_int_equal(tars_cache_fetch(world.cache, &wish, &arena, &value, &source, NULL), TARS_OK);
    assert_int_equal(source, TARS_CACHE_FOUND);
    tars_arena_release(&arena);
    tars_cache_free(world.cache);
}

static void without_a_cache_it_is_computed(void **state)
{
    struct world world = {.key = "k"};
    struct asker asker = {.world = &world};
    enum tars_cache_source source;
    struct tars_arena arena;
    struct tars_span value;

    (void)state;
    tars_arena_init(&arena, 64 * KIB);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fetch(&asker, &arena, &value, &source), TARS_OK);
        assert_int_equal(source, TARS_CACHE_COMPUTED);
    }
    world.cache = open_shared();
    world.key = "";
    assert_int_equal(fetch(&asker, &arena, &value, &source), TARS_OK);
    assert_int_equal(counts_of(world.cache).sets, 0);
    tars_arena_release(&arena);
    tars_cache_free(world.cache);
}

/* A far level alone has nothing near, and what only it has is found before anything is computed. */
static void far_is_asked_before_it_is_computed(void **state)
{
    struct world world = {.key = "k"};
    struct asker asker = {.world = &world};
    struct tars_cache *near = open_memory();
    struct tars_cache *far = open_memory();
    enum tars_cache_source source;
    struct tars_arena arena;
    struct tars_span value;

    (void)state;
    tars_arena_init(&arena, 64 * KIB);
    assert_int_equal(tars_cache_levels_open(near, far, &world.cache), TARS_OK);
    assert_int_equal(tars_cache_share(world.cache), TARS_OK);
    tars_cache_set(far, TARS_CACHE_RESULT, tars_span_of("k"), tars_span_of("value"));
    assert_int_equal(fetch(&asker, &arena, &value, &source), TARS_OK);
    assert_int_equal(source, TARS_CACHE_FOUND);
    assert_int_equal(world.computed, 0);
    tars_arena_release(&arena);
    tars_cache_free(world.cache);
}

static void faulty_run(void *ctx)
{
    struct world world = {.key = "k"};
    struct asker asker = {.world = &world};
    const struct tars_cache_memory_config config = {.max_bytes = 64 * KIB};
    enum tars_cache_source source;
    struct tars_arena arena;
    struct tars_span value;

    (void)ctx;
    tars_arena_init(&arena, 64 * KIB);
    if (tars_cache_memory_open(&config, &world.cache) == TARS_OK &&
        tars_cache_share(world.cache) == TARS_OK) {
        /* Without memory for the cache it is computed, and the asker never hears of it. */
        tars_status status = fetch(&asker, &arena, &value, &source);

        if (status == TARS_OK) {
            assert_true(tars_span_is(value, "value"));
        } else {
            assert_int_equal(status, TARS_ENOMEM);
            assert_true(faults_happened());
        }
    } else {
        assert_true(faults_happened());
    }
    tars_arena_release(&arena);
    tars_cache_free(world.cache);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(faulty_run, NULL) > 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixty_four_threads_compute_once),
        cmocka_unit_test(nobody_slips_through_between_end_and_cache),
        cmocka_unit_test(keys_do_not_wait_for_each_other),
        cmocka_unit_test(a_failure_wakes_who_waits),
        cmocka_unit_test(what_is_for_one_alone_is_not_given_to_others),
        cmocka_unit_test(waiting_has_a_bound),
        cmocka_unit_test(a_value_that_is_no_good_is_made_again),
        cmocka_unit_test(without_a_cache_it_is_computed),
        cmocka_unit_test(far_is_asked_before_it_is_computed),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
