/* Questions a day: counted at once, written now and then, refused beyond the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "auth/quota.h"
#include "store/accounts.h"
#include "store/store_sqlite.h"
#include "support/faults.h"
#include "support/files.h"

#define DAY     INT64_C(20000)
#define US_DAY  (INT64_C(86400) * 1000000)
#define THREADS 4
#define ASKED   50

static int64_t now_us = DAY * US_DAY + 5;

static int64_t fake_now(void)
{
    return now_us;
}

static char dir[FILES_PATH_MAX];
static struct tars_store *store;

static int set_up(void **state)
{
    struct tars_store_sqlite_config config = {.dir = dir};
    struct tars_tenant acme = {.name = "acme", .max_questions_day = 3};

    (void)state;
    now_us = DAY * US_DAY + 5;
    files_make_dir(dir);
    assert_int_equal(tars_store_sqlite_open(&config, &store, NULL), TARS_OK);
    return tars_accounts_tenant_add(store, &acme, NULL) == TARS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tars_store_close(store);
    files_remove_dir(dir);
    return 0;
}

static struct tars_quota *open_quota(void)
{
    struct tars_quota_config config = {.store = store, .now_us = fake_now, .flush_ms = -1};
    struct tars_quota *quota = NULL;

    assert_int_equal(tars_quota_new(&config, &quota, NULL), TARS_OK);
    return quota;
}

static tars_status ask(struct tars_quota *quota, const char *tenant)
{
    int64_t retry = 0;
    tars_status status = tars_quota_question(quota, tenant, &retry, NULL);

    assert_true(status == TARS_OK ? retry == 0 : retry > 0 && retry <= 86400);
    return status;
}

static int64_t written(const char *tenant, int64_t day)
{
    int64_t questions = -1;

    assert_int_equal(tars_accounts_usage(store, tenant, day, &questions, NULL), TARS_OK);
    return questions;
}

static void a_limit_holds_for_a_day(void **state)
{
    struct tars_quota *quota = open_quota();

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(quota, "acme"), TARS_OK);
    assert_int_equal(ask(quota, "acme"), TARS_EQUOTA);
    assert_int_equal(ask(quota, NULL), TARS_OK);
    assert_int_equal(ask(quota, "nobody"), TARS_OK);
    assert_int_equal(written("acme", DAY), 0);
    assert_int_equal(tars_quota_flush(quota, NULL), TARS_OK);
    assert_int_equal(written("acme", DAY), 3);
    assert_int_equal(written("default", DAY), 1);
    now_us += US_DAY;
    assert_int_equal(ask(quota, "acme"), TARS_OK);
    tars_quota_free(quota);
    assert_int_equal(written("acme", DAY), 3);
    assert_int_equal(written("acme", DAY + 1), 1);
    assert_int_equal(ask(NULL, "acme"), TARS_OK);
}

static void a_restart_forgets_nothing(void **state)
{
    struct tars_quota *quota = open_quota();

    (void)state;
    assert_int_equal(ask(quota, "acme"), TARS_OK);
    assert_int_equal(ask(quota, "acme"), TARS_OK);
    tars_quota_free(quota);
    quota = open_quota();
    assert_int_equal(ask(quota, "acme"), TARS_OK);
    assert_int_equal(ask(quota, "acme"), TARS_EQUOTA);
    tars_quota_free(quota);
}

static void what_was_counted_before_midnight_is_of_that_day(void **state)
{
    struct tars_quota *quota = open_quota();

    (void)state;
    assert_int_equal(ask(quota, "acme"), TARS_OK);
    now_us += US_DAY;
    assert_int_equal(ask(quota, "acme"), TARS_OK);
    assert_int_equal(tars_quota_flush(quota, NULL), TARS_OK);
    assert_int_equal(written("acme", DAY), 1);
    assert_int_equal(written("acme", DAY + 1), 1);
    tars_quota_free(quota);
}

static void a_changed_limit_counts_after_a_reload(void **state)
{
    struct tars_quota *quota = open_quota();
    struct tars_tenant acme = {.name = "acme", .max_questions_day = 1};

    (void)state;
    assert_int_equal(ask(quota, "acme"), TARS_OK);
    assert_int_equal(tars_accounts_tenant_set(store, &acme, NULL), TARS_OK);
    assert_int_equal(tars_quota_reload(quota, NULL), TARS_OK);
    assert_int_equal(ask(quota, "acme"), TARS_EQUOTA);
    acme.max_questions_day = 0;
    assert_int_equal(tars_accounts_tenant_set(store, &acme, NULL), TARS_OK);
    assert_int_equal(tars_quota_reload(quota, NULL), TARS_OK);
    assert_int_equal(ask(quota, "acme"), TARS_OK);
    tars_quota_free(quota);
}

static void *ask_often(void *ctx)
{
    int64_t retry;

    for (int i = 0; i < ASKED; i++)
        assert_int_equal(tars_quota_question(ctx, "default", &retry, NULL), TARS_OK);
    return NULL;
}

static void many_ask_at_once(void **state)
{
    struct tars_quota_config config = {.store = store, .now_us = fake_now, .flush_ms = 1};
    struct tars_quota *quota = NULL;
    pthread_t threads[THREADS];

    (void)state;
    assert_int_equal(tars_quota_new(&config, &quota, NULL), TARS_OK);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, quota), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    tars_quota_free(quota);
    assert_int_equal(written("default", DAY), THREADS * ASKED);
}

static void use_all(void *ctx)
{
    struct tars_quota_config config = {.store = store, .now_us = fake_now, .flush_ms = -1};
    struct tars_quota *quota = NULL;

    (void)ctx;
    if (tars_quota_new(&config, &quota, NULL))
        return;
    (void)ask(quota, "somebody");
    (void)!tars_quota_flush(quota, NULL);
    tars_quota_free(quota);
}

static void no_memory_is_survived(void **state)
{
    (void)state;
    assert_true(faults_each(use_all, NULL) > 2);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_limit_holds_for_a_day),
        ROW(a_restart_forgets_nothing),
        ROW(what_was_counted_before_midnight_is_of_that_day),
        ROW(a_changed_limit_counts_after_a_reload),
        ROW(many_ask_at_once),
        ROW(no_memory_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
