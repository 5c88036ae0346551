/* Unit tests of base/sys/pool. */
#include <setjmp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sys/pool.h"
#include "support/faults.h"

#define TASKS 5000

static atomic_int ran;
static atomic_int entered;

static void count(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&ran, 1);
}

static void enter(void)
{
    atomic_fetch_add(&entered, 1);
}

static void every_task_runs_before_the_end(void **state)
{
    struct tars_pool_config config = {
        .name = "test", .threads = 3, .max_queued = TASKS, .enter = enter};
    struct tars_pool *pool = NULL;

    (void)state;
    atomic_store(&ran, 0);
    assert_int_equal(tars_pool_new(&config, &pool), TARS_OK);
    for (int i = 0; i < TASKS; i++)
        assert_int_equal(tars_pool_submit(pool, count, NULL), TARS_OK);
    tars_pool_free(pool);
    assert_int_equal(atomic_load(&ran), TASKS);
    assert_int_equal(atomic_load(&entered), 3);
}

static void wait_for(void *ctx)
{
    pthread_mutex_t *gate = ctx;

    (void)pthread_mutex_lock(gate);
    (void)pthread_mutex_unlock(gate);
}

static void a_full_queue_says_so(void **state)
{
    struct tars_pool_config config = {.name = "test", .threads = 1, .max_queued = 2};
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct tars_pool *pool = NULL;

    (void)state;
    atomic_store(&ran, 0);
    (void)pthread_mutex_lock(&gate);
    assert_int_equal(tars_pool_new(&config, &pool), TARS_OK);
    assert_int_equal(tars_pool_submit(pool, wait_for, &gate), TARS_OK);
    while (tars_pool_queued(pool) > 0)
        continue;
    assert_int_equal(tars_pool_submit(pool, count, NULL), TARS_OK);
    assert_int_equal(tars_pool_submit(pool, count, NULL), TARS_OK);
    assert_int_equal(tars_pool_submit(pool, count, NULL), TARS_EAGAIN);
    (void)pthread_mutex_unlock(&gate);
    tars_pool_free(pool);
    assert_int_equal(atomic_load(&ran), 2);
}

static void bad_configurations_are_refused(void **state)
{
    struct tars_pool *pool = NULL;

    (void)state;
    assert_int_equal(tars_pool_new(&(struct tars_pool_config){0}, &pool), TARS_EINVAL);
    assert_int_equal(
        tars_pool_new(&(struct tars_pool_config){.name = "x", .threads = 100000}, &pool),
        TARS_EINVAL);
    assert_null(pool);
    tars_pool_free(NULL);
}

static void make_once(void *ctx)
{
    struct tars_pool_config config = {.name = "test"};
    struct tars_pool *pool = NULL;
    tars_status status = tars_pool_new(&config, &pool);

    (void)ctx;
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    tars_pool_free(pool);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(faults_each(make_once, NULL), 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_before_the_end),
        cmocka_unit_test(a_full_queue_says_so),
        cmocka_unit_test(bad_configurations_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
