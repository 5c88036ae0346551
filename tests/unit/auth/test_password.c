/* password: the right secret and no other, the same work for a name that is not there, and a bound
 * on how much of it goes on at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "auth/password.h"
#include "base/sys/clock.h"
#include "support/faults.h"

static struct tars_password *make(size_t slots, size_t waiting, uint32_t memory_kib)
{
    const struct tars_password_config config = {
        .slots = slots, .waiting = waiting, .memory_kib = memory_kib, .passes = 1};
    struct tars_password *password = NULL;

    assert_int_equal(tars_password_new(&config, &password), TARS_OK);
    return password;
}

static void test_verify(void **state)
{
    static char long_secret[TARS_PASSWORD_BYTES_MAX + 2];
    struct tars_password *password = make(0, 0, 64);
    struct tars_arena arena;
    const char *encoded = NULL;
    const char *again = NULL;

    (void)state;
    tars_arena_init(&arena, (size_t)1 << 16);
    assert_int_equal(tars_password_hash(password, tars_span_of("secret"), &arena, &encoded),
                     TARS_OK);
    assert_int_equal(tars_password_hash(password, tars_span_of("secret"), &arena, &again), TARS_OK);
    assert_string_not_equal(encoded, again);
    assert_memory_equal(encoded, "$argon2id$v=19$m=64,t=1,p=1$", 28);
    assert_int_equal(tars_password_verify(password, encoded, tars_span_of("secret")), TARS_OK);
    assert_int_equal(tars_password_verify(password, again, tars_span_of("secret")), TARS_OK);
    assert_int_equal(tars_password_verify(password, encoded, tars_span_of("Secret")), TARS_EDENIED);
    assert_int_equal(tars_password_verify(password, encoded, tars_span_of("")), TARS_EDENIED);
    assert_int_equal(tars_password_verify(password, encoded, tars_span(NULL, 0)), TARS_EDENIED);
    assert_int_equal(tars_password_verify(password, NULL, tars_span_of("secret")), TARS_EDENIED);
    assert_int_equal(tars_password_verify(password, "", tars_span_of("secret")), TARS_EDENIED);
    assert_int_equal(tars_password_verify(password, "", tars_span(NULL, 0)), TARS_EDENIED);
    assert_int_equal(tars_password_verify(password, "$argon2id$x", tars_span_of("secret")),
                     TARS_EFORMAT);
    memset(long_secret, 'x', sizeof(long_secret) - 1);
    assert_int_equal(tars_password_verify(password, encoded, tars_span_of(long_secret)),
                     TARS_EDENIED);
    assert_int_equal(tars_password_hash(password, tars_span_of(long_secret), &arena, &encoded),
                     TARS_EINVAL);
    assert_int_equal(tars_password_hash(password, tars_span_of(""), &arena, &encoded), TARS_EINVAL);
    tars_password_free(password);
    tars_password_free(NULL);
    tars_arena_release(&arena);
}

/* A name that is not there takes as long as one that is: the same memory, the same passes. Compared
 * over many, with a wide margin, because other programs run too. */
static void test_same_work(void **state)
{
    struct tars_password *password = make(0, 0, 2048);
    struct tars_arena arena;
    const char *encoded = NULL;
    int64_t there = INT64_MAX;
    int64_t not_there = INT64_MAX;

    (void)state;
    tars_arena_init(&arena, (size_t)1 << 16);
    assert_int_equal(tars_password_hash(password, tars_span_of("secret"), &arena, &encoded),
                     TARS_OK);
    for (int i = 0; i < 40; i++) {
        int64_t start = tars_clock_mono_ns();
        int64_t middle;
        int64_t end;

        assert_int_equal(tars_password_verify(password, encoded, tars_span_of("x")), TARS_EDENIED);
        middle = tars_clock_mono_ns();
        assert_int_equal(tars_password_verify(password, NULL, tars_span_of("x")), TARS_EDENIED);
        end = tars_clock_mono_ns();
        there = middle - start < there ? middle - start : there;
        not_there = end - middle < not_there ? end - middle : not_there;
    }
    assert_true(not_there > there / 2 && not_there < there * 2);
    tars_password_free(password);
    tars_arena_release(&arena);
}

/* One slot and one who waits: of many at the same moment, some are sent away, none is wrong. */
static struct tars_password *shared;
static atomic_int denied, sent_away;

static void *guess(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 20; i++) {
        tars_status status = tars_password_verify(shared, NULL, tars_span_of("x"));

        atomic_fetch_add(status == TARS_EAGAIN ? &sent_away : &denied, 1);
    }
    return NULL;
}

static void test_flood(void **state)
{
    pthread_t threads[8];

    (void)state;
    shared = make(1, 1, 1024);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, guess, NULL), 0);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&denied) + atomic_load(&sent_away), 160);
    assert_true(atomic_load(&denied) > 0 && atomic_load(&sent_away) > 0);
    assert_int_equal(tars_password_verify(shared, NULL, tars_span_of("x")), TARS_EDENIED);
    tars_password_free(shared);
}

static void hash_once(void *ctx)
{
    const struct tars_password_config config = {.memory_kib = 64, .passes = 1};
    struct tars_password *password = NULL;
    struct tars_arena arena;
    const char *encoded = NULL;
    tars_status status = tars_password_new(&config, &password);

    (void)ctx;
    tars_arena_init(&arena, (size_t)1 << 16);
    if (status == TARS_OK)
        status = tars_password_hash(password, tars_span_of("secret"), &arena, &encoded);
    if (status == TARS_OK)
        status = tars_password_verify(password, encoded, tars_span_of("secret"));
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_arena_release(&arena);
    tars_password_free(password);
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(faults_each(hash_once, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_verify),
                                       cmocka_unit_test(test_same_work),
                                       cmocka_unit_test(test_flood), cmocka_unit_test(test_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
