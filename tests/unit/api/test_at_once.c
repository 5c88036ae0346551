/* Questions of one caller under way: the bound, places that are free again, many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "api/at_once.h"
#include "support/faults.h"

#define CALLERS 100
#define THREADS 8
#define TURNS   2000

static tars_status enter(struct tars_at_once *at_once, const char *caller, uint64_t *place)
{
    return tars_at_once_enter(at_once, tars_span_of(caller), place);
}

static void each_caller_has_its_own(void **state)
{
    struct tars_at_once *at_once = NULL;
    uint64_t ann[3];
    uint64_t bob;
    uint64_t more = 0;

    (void)state;
    assert_int_equal(tars_at_once_new(2, &at_once), TARS_OK);
    assert_int_equal(tars_at_once_limit(at_once), 2);
    assert_int_equal(enter(at_once, "ann", &ann[0]), TARS_OK);
    assert_int_equal(enter(at_once, "ann", &ann[1]), TARS_OK);
    assert_int_equal(enter(at_once, "ann", &more), TARS_EBUSY);
    assert_int_equal(more, 0);
    assert_int_equal(enter(at_once, "bob", &bob), TARS_OK);
    tars_at_once_leave(at_once, ann[0]);
    assert_int_equal(enter(at_once, "ann", &ann[0]), TARS_OK);
    assert_int_equal(enter(at_once, "ann", &more), TARS_EBUSY);
    tars_at_once_set(at_once, 3);
    assert_int_equal(enter(at_once, "ann", &ann[2]), TARS_OK);
    tars_at_once_set(at_once, 1);
    tars_at_once_leave(at_once, ann[0]);
    assert_int_equal(enter(at_once, "ann", &more), TARS_EBUSY);
    tars_at_once_leave(at_once, ann[1]);
    tars_at_once_leave(at_once, ann[2]);
    assert_int_equal(enter(at_once, "ann", &ann[0]), TARS_OK);
    tars_at_once_leave(at_once, ann[0]);
    tars_at_once_leave(at_once, bob);
    tars_at_once_free(at_once);
    tars_at_once_free(NULL);
}

static void none_is_no_bound(void **state)
{
    struct tars_at_once *at_once = NULL;
    uint64_t places[2 * CALLERS];

    (void)state;
    assert_int_equal(tars_at_once_new(0, &at_once), TARS_OK);
    for (int i = 0; i < 2 * CALLERS; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "c%d", i % CALLERS);
        assert_int_equal(enter(at_once, name, &places[i]), TARS_OK);
    }
    for (int i = 0; i < 2 * CALLERS; i++)
        tars_at_once_leave(at_once, places[i]);
    tars_at_once_free(at_once);
}

struct shared {
    struct tars_at_once *at_once;
    atomic_int inside, most, entered;
};

static void *come_and_go(void *ctx)
{
    struct shared *shared = ctx;

    for (int i = 0; i < TURNS; i++) {
        uint64_t place;
        int inside;

        if (enter(shared->at_once, "ann", &place) != TARS_OK)
            continue;
        atomic_fetch_add(&shared->entered, 1);
        inside = atomic_fetch_add(&shared->inside, 1) + 1;
        if (inside > atomic_load(&shared->most))
            atomic_store(&shared->most, inside);
        atomic_fetch_sub(&shared->inside, 1);
        tars_at_once_leave(shared->at_once, place);
    }
    return NULL;
}

static void many_threads(void **state)
{
    struct shared shared = {.most = 0};
    pthread_t threads[THREADS];

    (void)state;
    assert_int_equal(tars_at_once_new(3, &shared.at_once), TARS_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &shared), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_in_range(atomic_load(&shared.most), 1, 3);
    assert_true(atomic_load(&shared.entered) > 0);
    tars_at_once_free(shared.at_once);
}

static void use_once(void *ctx)
{
    struct tars_at_once *at_once = NULL;
    uint64_t place;
    tars_status status = tars_at_once_new(1, &at_once);

    (void)ctx;
    if (status == TARS_OK)
        status = enter(at_once, "ann", &place);
    if (status == TARS_OK)
        tars_at_once_leave(at_once, place);
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    tars_at_once_free(at_once);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(faults_each(use_once, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_caller_has_its_own),
        cmocka_unit_test(none_is_no_bound),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
