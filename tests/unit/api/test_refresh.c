/* Tests of refresh: who asks gets a reading of later, and waits for one that hangs only so long. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/refresh.h"
#include "base/sys/clock.h"
#include "support/faults.h"

#define ASKERS 8

struct source {
    pthread_mutex_t gate; /* held: the next reading hangs */
    atomic_int begun, ended;
    struct tars_refresh *refresh;
};

static void read_source(void *ctx)
{
    struct source *source = ctx;

    atomic_fetch_add(&source->begun, 1);
    pthread_mutex_lock(&source->gate);
    pthread_mutex_unlock(&source->gate);
    atomic_fetch_add(&source->ended, 1);
}

static int set_up(void **state)
{
    static struct source source;

    source = (struct source){0};
    pthread_mutex_init(&source.gate, NULL);
    *state = &source;
    return tars_refresh_new(read_source, &source, &source.refresh);
}

static int tear_down(void **state)
{
    struct source *source = *state;

    tars_refresh_free(source->refresh);
    pthread_mutex_destroy(&source->gate);
    return 0;
}

static void each_gets_a_new_one(void **state)
{
    struct source *source = *state;

    assert_int_equal(atomic_load(&source->begun), 0);
    for (int i = 1; i < 5; i++) {
        assert_true(tars_refresh_now(source->refresh));
        assert_int_equal(atomic_load(&source->ended), i);
    }
}

static void *ask(void *ctx)
{
    struct source *source = ctx;

    return tars_refresh_now(source->refresh) ? source : NULL;
}

static void many_share(void **state)
{
    struct source *source = *state;
    pthread_t threads[ASKERS];

    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, source), 0);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(atomic_load(&source->ended), 1, ASKERS);
}

static void one_that_hangs(void **state)
{
    struct source *source = *state;
    int64_t start_ms = tars_clock_mono_ms();

    pthread_mutex_lock(&source->gate);
    assert_false(tars_refresh_now(source->refresh));
    assert_true(tars_clock_mono_ms() - start_ms >= TARS_REFRESH_WAIT_MS / 2);
    /* Those who come later wait for nothing: a hundred of them would take over a minute. */
    start_ms = tars_clock_mono_ms();
    for (int i = 0; i < 100; i++)
        assert_false(tars_refresh_now(source->refresh));
    assert_true(tars_clock_mono_ms() - start_ms < INT64_C(50) * TARS_REFRESH_WAIT_MS);
    assert_int_equal(atomic_load(&source->begun), 1);
    pthread_mutex_unlock(&source->gate);
    while (!tars_refresh_now(source->refresh)) /* until the first one has ended */
        ;
    assert_true(atomic_load(&source->ended) >= 2);
}

static void make_one(void *ctx)
{
    struct tars_refresh *made = NULL;

    if (tars_refresh_new(read_source, ctx, &made) == TARS_OK)
        tars_refresh_free(made);
}

static void no_memory(void **state)
{
    assert_int_equal(faults_each(make_one, *state), 1);
    tars_refresh_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_gets_a_new_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_hangs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("api/refresh", tests, NULL, NULL);
}
