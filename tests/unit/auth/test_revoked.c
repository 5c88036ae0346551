/* revoked: what was put in is there until it expires, and no more than the bound is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "auth/revoked.h"
#include "support/faults.h"

static const char *name(char *out, size_t size, int i)
{
    (void)snprintf(out, size, "id %d", i);
    return out;
}

static void test_set(void **state)
{
    struct tars_revoked *revoked = NULL;
    char id[32];

    (void)state;
    assert_int_equal(tars_revoked_new(0, &revoked), TARS_OK);
    assert_false(tars_revoked_has(revoked, "id 0"));
    for (int i = 0; i < 5000; i++)
        assert_int_equal(tars_revoked_add(revoked, name(id, sizeof(id), i), 100 + i, 50), TARS_OK);
    assert_int_equal(tars_revoked_count(revoked), 5000);
    for (int i = 0; i < 5000; i++)
        assert_true(tars_revoked_has(revoked, name(id, sizeof(id), i)));
    assert_false(tars_revoked_has(revoked, "id 5000"));
    /* Again, with an earlier and a later end: the later one counts. */
    assert_int_equal(tars_revoked_add(revoked, "id 0", 60, 50), TARS_OK);
    assert_int_equal(tars_revoked_add(revoked, "id 1", 90000, 50), TARS_OK);
    assert_int_equal(tars_revoked_count(revoked), 5000);
    /* One that has expired need not be kept. */
    assert_int_equal(tars_revoked_add(revoked, "old", 50, 50), TARS_OK);
    assert_false(tars_revoked_has(revoked, "old"));
    tars_revoked_prune(revoked, 100);
    assert_false(tars_revoked_has(revoked, "id 0"));
    assert_true(tars_revoked_has(revoked, "id 1"));
    tars_revoked_prune(revoked, 100 + 4998);
    assert_int_equal(tars_revoked_count(revoked), 2);
    assert_true(tars_revoked_has(revoked, "id 4999"));
    tars_revoked_prune(revoked, 90000);
    assert_int_equal(tars_revoked_count(revoked), 0);
    tars_revoked_free(revoked);
    tars_revoked_free(NULL);
}

static void test_bound(void **state)
{
    struct tars_revoked *revoked = NULL;
    char id[32];

    (void)state;
    assert_int_equal(tars_revoked_new(100, &revoked), TARS_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(tars_revoked_add(revoked, name(id, sizeof(id), i), 100 + i, 50), TARS_OK);
    assert_int_equal(tars_revoked_add(revoked, "more", 1000, 50), TARS_ETOOBIG);
    assert_int_equal(tars_revoked_add(revoked, "more", 1000, 149), TARS_OK);
    assert_true(tars_revoked_has(revoked, "more"));
    assert_true(tars_revoked_has(revoked, "id 99"));
    assert_int_equal(tars_revoked_count(revoked), 51);
    tars_revoked_free(revoked);
}

static struct tars_revoked *shared;

static void *read_all(void *ctx)
{
    char id[32];

    (void)ctx;
    for (int i = 0; i < 3000; i++)
        (void)tars_revoked_has(shared, name(id, sizeof(id), i));
    return NULL;
}

static void *write_all(void *ctx)
{
    char id[32];

    (void)ctx;
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(tars_revoked_add(shared, name(id, sizeof(id), i), 100 + i, 50), TARS_OK);
        if (i % 500 == 0)
            tars_revoked_prune(shared, 99);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];

    (void)state;
    assert_int_equal(tars_revoked_new(0, &shared), TARS_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? read_all : write_all, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(tars_revoked_count(shared), 3000);
    tars_revoked_free(shared);
}

static void fill(void *ctx)
{
    struct tars_revoked *revoked = NULL;
    tars_status status = tars_revoked_new(0, &revoked);
    char id[32];

    (void)ctx;
    for (int i = 0; i < 200 && status == TARS_OK; i++)
        status = tars_revoked_add(revoked, name(id, sizeof(id), i), 100, 50);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_revoked_free(revoked);
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(faults_each(fill, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_set), cmocka_unit_test(test_bound),
                                       cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
