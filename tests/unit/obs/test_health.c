/* Unit tests of obs/health: parts that answer, parts that hang, and who waits how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "base/sys/clock.h"
#include "obs/health.h"
#include "support/faults.h"

#define ASKERS 4

/* A part whose check waits at a gate. */
struct gate {
    pthread_mutex_t lock; /* guards is_open */
    pthread_cond_t change;
    bool is_open;
    atomic_int begun;
    atomic_int status;
};

static void gate_init(struct gate *gate, bool is_open)
{
    *gate = (struct gate){.is_open = is_open};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->change, NULL);
}

static void gate_release(struct gate *gate)
{
    pthread_cond_destroy(&gate->change);
    pthread_mutex_destroy(&gate->lock);
}

static void gate_set(struct gate *gate, bool is_open)
{
    pthread_mutex_lock(&gate->lock);
    gate->is_open = is_open;
    pthread_cond_broadcast(&gate->change);
    pthread_mutex_unlock(&gate->lock);
}

static tars_status pass(void *ctx, struct tars_err *err)
{
    struct gate *gate = ctx;
    tars_status status;

    atomic_fetch_add(&gate->begun, 1);
    pthread_mutex_lock(&gate->lock);
    while (!gate->is_open)
        pthread_cond_wait(&gate->change, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    status = (tars_status)atomic_load(&gate->status);
    return status == TARS_OK ? TARS_OK : tars_fail(status, err, "at the gate");
}

static void slow_parts_answer(void **state)
{
    struct gate gate;
    const struct tars_health_part part = {.name = "p", .check = pass, .ctx = &gate, .slow = true};
    struct tars_health health = {0};
    struct tars_err err = {{0}};

    (void)state;
    gate_init(&gate, true);
    assert_int_equal(tars_health_add(&health, &part), TARS_OK);
    assert_int_equal(atomic_load(&gate.begun), 0); /* nobody asked */
    assert_int_equal(tars_health_check(&health, "p", &err), TARS_OK);
    atomic_store(&gate.status, TARS_EUNAVAILABLE);
    while (tars_health_check(&health, "p", &err) == TARS_OK) { /* until the answer is too old */
    }
    assert_string_equal(err.text, "at the gate");
    tars_health_release(&health);
    assert_int_equal(health.count, 0);
    gate_release(&gate);
}

/* Who asks while it hangs is told so; the first after a while, the others at once. */
static void a_hanging_part_is_told(void **state)
{
    struct gate gate;
    const struct tars_health_part part = {.name = "p", .check = pass, .ctx = &gate, .slow = true};
    struct tars_health health = {0};
    struct tars_err err = {{0}};
    int64_t began;
    int64_t first;

    (void)state;
    gate_init(&gate, false);
    assert_int_equal(tars_health_add(&health, &part), TARS_OK);
    began = tars_clock_mono_ms();
    assert_int_equal(tars_health_check(&health, "p", &err), TARS_ETIMEOUT);
    first = tars_clock_mono_ms() - began;
    assert_true(first >= TARS_HEALTH_WAIT_MS);
    assert_non_null(strstr(err.text, "has not answered for"));
    began = tars_clock_mono_ms();
    for (int i = 0; i < 20; i++)
        assert_int_equal(tars_health_check(&health, "p", NULL), TARS_ETIMEOUT);
    assert_true(tars_clock_mono_ms() - began < (int64_t)10 * TARS_HEALTH_WAIT_MS);
    assert_int_equal(atomic_load(&gate.begun), 1);
    gate_set(&gate, true);
    while (tars_health_check(&health, "p", NULL) != TARS_OK) {
    }
    tars_health_release(&health);
    gate_release(&gate);
}

struct asker {
    const struct tars_health *health;
    pthread_t thread;
    tars_status status;
};

static void *ask(void *ctx)
{
    struct asker *asker = ctx;

    asker->status = tars_health_check(asker->health, "p", NULL);
    return NULL;
}

/* One check serves all who ask while it is under way. */
static void askers_share_a_check(void **state)
{
    struct gate gate;
    const struct tars_health_part part = {.name = "p", .check = pass, .ctx = &gate, .slow = true};
    struct tars_health health = {0};
    struct asker askers[ASKERS];

    (void)state;
    gate_init(&gate, false);
    assert_int_equal(tars_health_add(&health, &part), TARS_OK);
    tars_health_begin(&health);
    while (atomic_load(&gate.begun) == 0) {
    }
    for (size_t i = 0; i < ASKERS; i++) {
        askers[i].health = &health;
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    for (size_t i = 0; i < ASKERS; i++) {
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
        assert_int_equal(askers[i].status, TARS_ETIMEOUT);
    }
    assert_int_equal(atomic_load(&gate.begun), 1);
    gate_set(&gate, true);
    tars_health_release(&health);
    gate_release(&gate);
}

static void add_one(void *ctx)
{
    const struct tars_health_part part = {.name = "p", .check = pass, .slow = true};
    struct tars_health health = {0};
    tars_status status = tars_health_add(&health, &part);

    (void)ctx;
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    assert_int_equal(health.count, status == TARS_OK ? 1 : 0);
    tars_health_release(&health);
}

static void no_memory(void **state)
{
    (void)state;
    assert_true(faults_each(add_one, NULL) >= 1);
}

static tars_status ill(void *ctx, struct tars_err *err)
{
    return tars_fail(TARS_EUNAVAILABLE, err, "%s", (const char *)ctx);
}

static void parts_are_found_by_name(void **state)
{
    char words[] = "gone fishing";
    const struct tars_health_part well = {.name = "store"};
    const struct tars_health_part bad = {
        .name = "model", .optional = true, .check = ill, .ctx = words};
    struct tars_health health = {0};
    struct tars_err err = {{0}};

    (void)state;
    assert_int_equal(tars_health_add(&health, &well), TARS_OK);
    assert_int_equal(tars_health_add(&health, &bad), TARS_OK);
    assert_int_equal(tars_health_check(&health, "store", &err), TARS_OK);
    assert_int_equal(tars_health_check(&health, "model", &err), TARS_EUNAVAILABLE);
    assert_string_equal(err.text, "gone fishing");
    assert_int_equal(tars_health_check(&health, "nobody", &err), TARS_ENOTFOUND);
    while (health.count < TARS_HEALTH_PARTS_MAX)
        assert_int_equal(tars_health_add(&health, &well), TARS_OK);
    assert_int_equal(tars_health_add(&health, &well), TARS_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_found_by_name),
        cmocka_unit_test(slow_parts_answer),
        cmocka_unit_test(a_hanging_part_is_told),
        cmocka_unit_test(askers_share_a_check),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
