/* rate_limit: never more than the limit in any window, exact words about what is left, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "auth/rate_limit.h"
#include "support/faults.h"

#define START ((int64_t)1000000000) /* ms; a whole second */

static struct tars_rate_limit *make(int64_t limit, size_t max_keys)
{
    const struct tars_rate_limit_config config = {.limit = limit, .max_keys = max_keys};
    struct tars_rate_limit *limiter = NULL;

    assert_int_equal(tars_rate_limit_new(&config, &limiter), TARS_OK);
    return limiter;
}

static struct tars_rate take(struct tars_rate_limit *limiter, const char *key, int64_t now_ms)
{
    return tars_rate_limit_take(limiter, tars_span_of(key), now_ms);
}

static void test_steps(void **state)
{
    static const struct {
        int64_t at_ms;
        bool allowed;
        int64_t remaining, retry_after_s;
    } rows[] = {
        {0, true, 2, 0},     /* counted in second 0 */
        {500, true, 1, 0},   /* in second 0 */
        {30000, true, 0, 0}, /* in second 30 */
        {30001, false, 0, 31} /* second 0 is forgotten at 61.0 */,
        {59999, false, 0, 2},
        {60999, false, 0, 1},
        {61000, true, 1, 0}, /* two have gone */
        {61000, true, 0, 0},
        {61000, false, 0, 30}, /* second 30 at 91.0 */
        {90999, false, 0, 1},
        {91000, true, 0, 0},
        {1000000, true, 2, 0}, /* long after */
    };
    struct tars_rate_limit *limiter = make(3, 0);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_rate rate = take(limiter, "a", START + rows[i].at_ms);

        if (rate.allowed != rows[i].allowed || rate.remaining != rows[i].remaining ||
            rate.retry_after_s != rows[i].retry_after_s || rate.limit != 3) {
            fail_msg("row %zu: %d %d %d", i, rate.allowed, (int)rate.remaining,
                     (int)rate.retry_after_s);
        }
    }
    tars_rate_limit_free(limiter);
}

/* What retry_after_s says is true: then it passes, and a second earlier it does not. */
static void test_retry(void **state)
{
    struct tars_rate_limit *limiter = make(5, 0);
    int64_t now = START + 123;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct tars_rate rate = take(limiter, "a", now);

        if (!rate.allowed) {
            assert_false(take(limiter, "a", now + (rate.retry_after_s - 1) * 1000).allowed &&
                         rate.retry_after_s > 1);
            now += rate.retry_after_s * 1000;
            assert_true(take(limiter, "a", now).allowed);
        }
        now += (i * 7919) % 9000;
    }
    tars_rate_limit_free(limiter);
}

/* Against the plain truth: no 60 seconds ever hold more than the limit. */
static void test_truth(void **state)
{
    static int64_t passed[4000];
    struct tars_rate_limit *limiter = make(20, 0);
    int64_t now = START;
    unsigned seed = 1;
    size_t count = 0;

    (void)state;
    for (int i = 0; i < 4000; i++) {
        size_t within = 0;

        seed = seed * 1103515245 + 12345;
        now += seed / 65536 % 3000;
        if (take(limiter, "a", now).allowed)
            passed[count++] = now;
        for (size_t k = count; k > 0 && passed[k - 1] > now - 60000; k--)
            within++;
        assert_true(within <= 20);
    }
    assert_true(count > 1000);
    tars_rate_limit_free(limiter);
}

static void test_keys_apart(void **state)
{
    struct tars_rate_limit *limiter = make(1, 0);

    (void)state;
    assert_true(take(limiter, "a", START).allowed);
    assert_true(take(limiter, "b", START).allowed);
    assert_false(take(limiter, "a", START).allowed);
    assert_true(tars_rate_limit_peek(limiter, tars_span_of("c"), START).allowed);
    assert_true(tars_rate_limit_peek(limiter, tars_span_of("c"), START).allowed);
    assert_false(tars_rate_limit_peek(limiter, tars_span_of("b"), START).allowed);
    tars_rate_limit_refund(limiter, tars_span_of("b"), START);
    assert_true(take(limiter, "b", START).allowed);
    tars_rate_limit_refund(limiter, tars_span_of("never seen"), START);
    /* Its own limit. */
    assert_int_equal(tars_rate_limit_take_of(limiter, tars_span_of("d"), 3, START).remaining, 2);
    assert_int_equal(tars_rate_limit_take_of(limiter, tars_span_of("d"), 3, START).remaining, 1);
    assert_false(tars_rate_limit_take_of(limiter, tars_span_of("d"), 0, START).allowed);
    tars_rate_limit_free(limiter);
}

static void test_none(void **state)
{
    struct tars_rate_limit *limiter = make(0, 0);
    const struct tars_rate_limit_config bad = {.limit = -1};

    (void)state;
    assert_true(take(limiter, "a", START).allowed);
    assert_int_equal(take(limiter, "a", START).limit, 0);
    assert_true(take(NULL, "a", START).allowed);
    assert_int_equal(tars_rate_limit_new(&bad, &limiter), TARS_EINVAL);
    tars_rate_limit_free(limiter);
    tars_rate_limit_free(NULL);
}

/* Time that goes back, as between threads, opens nothing. */
static void test_backwards(void **state)
{
    struct tars_rate_limit *limiter = make(2, 0);

    (void)state;
    assert_true(take(limiter, "a", START + 5000).allowed);
    assert_true(take(limiter, "a", START).allowed);
    assert_false(take(limiter, "a", START + 1000).allowed);
    assert_true(take(limiter, "a", START + 66000).allowed);
    tars_rate_limit_free(limiter);
}

/* Keys used long ago make room; those in use stay. */
static void test_bound(void **state)
{
    struct tars_rate_limit *limiter = make(1, 1600);
    char key[32];

    (void)state;
    assert_true(take(limiter, "mine", START).allowed);
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(key, sizeof(key), "key %d", i);
        assert_true(take(limiter, key, START).allowed);
        if (i % 10 == 0)
            assert_false(take(limiter, "mine", START).allowed);
    }
    /* The last ones are remembered, the first are not. */
    assert_false(take(limiter, key, START).allowed);
    assert_true(take(limiter, "key 0", START).allowed);
    tars_rate_limit_free(limiter);
}

static void test_window(void **state)
{
    const struct tars_rate_limit_config config = {.limit = 1, .window_ms = 900000};
    struct tars_rate_limit *limiter = NULL;
    struct tars_rate rate;

    (void)state;
    assert_int_equal(tars_rate_limit_new(&config, &limiter), TARS_OK);
    assert_true(take(limiter, "a", START).allowed);
    rate = take(limiter, "a", START + 1);
    assert_false(rate.allowed);
    assert_true(rate.retry_after_s > 900 && rate.retry_after_s <= 915);
    assert_false(take(limiter, "a", START + 899999).allowed);
    assert_true(take(limiter, "a", START + rate.retry_after_s * 1000 + 1).allowed);
    tars_rate_limit_free(limiter);
}

static void test_addresses(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
        {"2001:db8:1:2::1", "2001:0db8:0001:0002::1", true},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
        {"::ffff:192.0.2.1", "192.0.2.1", true},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
        {"::1", "192.0.2.1", false},
        {"", "", true},
        {"unix", "192.0.2.1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char a[TARS_RATE_KEY_BYTES];
        char b[TARS_RATE_KEY_BYTES];

        if (tars_span_equal(tars_rate_key_of_address(rows[i].a, a),
                            tars_rate_key_of_address(rows[i].b, b)) != rows[i].same)
            fail_msg("%s %s", rows[i].a, rows[i].b);
    }
}

static void test_identities(void **state)
{
    const struct tars_principal who[] = {
        {.client_id = "a", .tenant = "default"},
        {.client_id = "a", .tenant = "acme"},
        {.client_id = "b", .tenant = "acme"},
        {.client_id = "b", .tenant = "acme", .key_id = 7},
        {.client_id = "b", .tenant = "acme", .key_id = 8},
        {.client_id = "owner", .tenant = "default", .credential = TARS_CREDENTIAL_OWNER},
        {.client_id = "owner", .tenant = "default"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(who) / sizeof(who[0]); i++) {
        for (size_t k = 0; k < sizeof(who) / sizeof(who[0]); k++) {
            char a[TARS_RATE_KEY_BYTES];
            char b[TARS_RATE_KEY_BYTES];

            assert_int_equal(
                tars_span_equal(tars_rate_key_of(&who[i], a), tars_rate_key_of(&who[k], b)),
                i == k);
        }
    }
}

/* Many at the same moment: exactly the limit passes. */
static struct tars_rate_limit *shared;
static atomic_int let_in;

static void *hammer(void *ctx)
{
    char key[32];

    (void)ctx;
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(key, sizeof(key), "other %d", i % 50);
        (void)take(shared, key, START + i);
        if (take(shared, "shared", START).allowed)
            atomic_fetch_add(&let_in, 1);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];

    (void)state;
    shared = make(1000, 160);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&let_in), 1000);
    tars_rate_limit_free(shared);
}

static struct tars_rate_limit *make_shared(size_t max_keys)
{
    const struct tars_rate_limit_config config = {
        .limit = 3, .max_keys = max_keys, .is_shared = true};
    struct tars_rate_limit *limiter = NULL;

    assert_int_equal(tars_rate_limit_new(&config, &limiter), TARS_OK);
    return limiter;
}

/* Our counts go out once each, with the step that they are of. */
static void test_collected(void **state)
{
    struct tars_rate_limit *limiter = make_shared(0);
    struct tars_rate_count counts[8];

    (void)state;
    assert_int_equal(tars_rate_limit_collect(limiter, counts, 8), 0);
    (void)take(limiter, "a", START);
    (void)take(limiter, "a", START + 500);
    (void)take(limiter, "a", START + 2000);
    assert_false(take(limiter, "a", START + 3000).allowed);
    assert_int_equal(tars_rate_limit_collect(limiter, counts, 2), 2);
    assert_int_equal(counts[0].step, START / 1000);
    assert_int_equal(counts[0].count, 2);
    assert_int_equal(counts[1].count, 0);
    assert_int_equal(tars_rate_limit_collect(limiter, counts, 8), 2); /* what had no room */
    assert_int_equal(counts[0].step, START / 1000 + 2);
    assert_int_equal(counts[0].count, 1);
    assert_int_equal(tars_rate_limit_collect(limiter, counts, 8), 0);
    tars_rate_limit_refund(limiter, tars_span_of("a"), START + 3000);
    assert_int_equal(tars_rate_limit_collect(limiter, counts, 8), 2);
    assert_int_equal(counts[0].count, 0);
    tars_rate_limit_tell_again(limiter);
    assert_int_equal(tars_rate_limit_collect(limiter, counts, 8), 4);
    assert_int_equal(counts[0].count, 2);
    tars_rate_limit_free(limiter);
}

/* Counts of others count like ours, until their step is forgotten. */
static void test_heard(void **state)
{
    struct tars_rate_limit *limiter = make_shared(0);
    struct tars_rate_count heard;

    (void)state;
    (void)take(limiter, "a", START);
    assert_int_equal(tars_rate_limit_collect(limiter, &heard, 1), 1);
    heard.count = 2;
    heard.step++;
    tars_rate_limit_heard(limiter, heard);
    tars_rate_limit_heard(limiter, heard); /* the same again is nothing more */
    assert_int_equal(tars_rate_limit_peek(limiter, tars_span_of("a"), START + 1000).remaining, 0);
    assert_false(take(limiter, "a", START + 1000).allowed);
    assert_false(tars_rate_limit_is_over(limiter, tars_span_of("a"), START + 1000));
    heard.count = 3;
    tars_rate_limit_heard(limiter, heard);
    assert_true(tars_rate_limit_is_over(limiter, tars_span_of("a"), START + 1000));
    assert_false(tars_rate_limit_is_over(limiter, tars_span_of("b"), START + 1000));
    assert_int_equal(take(limiter, "a", START + 1000).retry_after_s, 61);
    heard.count = 1;
    tars_rate_limit_heard(limiter, heard); /* refunded there */
    assert_int_equal(take(limiter, "a", START + 1000).remaining, 0);
    /* Ours of the first two steps and theirs are forgotten; what is older than that is not heard.
     */
    assert_int_equal(take(limiter, "a", START + 62000).remaining, 2);
    tars_rate_limit_heard(limiter, heard);
    assert_int_equal(take(limiter, "a", START + 62000).remaining, 1);
    assert_int_equal(tars_rate_limit_collect(limiter, NULL, 0), 0);
    heard.step = -1;
    tars_rate_limit_heard(limiter, heard);
    tars_rate_limit_free(limiter);
}

/* The clock of the servers is before ours. */
static void test_clock(void **state)
{
    struct tars_rate_limit *limiter = make_shared(0);
    struct tars_rate_count count;

    (void)state;
    tars_rate_limit_set_clock(limiter, 500000);
    (void)take(limiter, "a", START);
    assert_int_equal(tars_rate_limit_step_ms(limiter), 1000);
    assert_int_equal(tars_rate_limit_collect(limiter, &count, 1), 1);
    assert_int_equal(count.step, (START + 500000) / 1000);
    assert_int_equal(take(limiter, "a", START + 60000).remaining, 1);
    assert_int_equal(take(limiter, "a", START + 61000).remaining, 1);
    tars_rate_limit_free(limiter);
}

/* Those of whom we only heard push out the oldest, too, and no more. */
static void test_heard_bound(void **state)
{
    struct tars_rate_limit *limiter = make_shared(16);

    (void)state;
    for (uint64_t key = 0; key < 10000; key++)
        tars_rate_limit_heard(limiter, (struct tars_rate_count){key, START / 1000, 3});
    assert_true(take(limiter, "a", START).allowed);
    tars_rate_limit_free(limiter);
}

static void make_one(void *ctx)
{
    const struct tars_rate_limit_config config = {.limit = 1, .max_keys = 100};
    struct tars_rate_limit *limiter = NULL;
    tars_status status = tars_rate_limit_new(&config, &limiter);

    (void)ctx;
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    if (status == TARS_OK)
        assert_true(take(limiter, "a", START).allowed);
    tars_rate_limit_free(limiter);
}

static void test_memory(void **state)
{
    (void)state;
    assert_int_equal(faults_each(make_one, NULL), 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),     cmocka_unit_test(test_retry),
        cmocka_unit_test(test_truth),     cmocka_unit_test(test_keys_apart),
        cmocka_unit_test(test_none),      cmocka_unit_test(test_backwards),
        cmocka_unit_test(test_collected), cmocka_unit_test(test_heard),
        cmocka_unit_test(test_clock),     cmocka_unit_test(test_heard_bound),
        cmocka_unit_test(test_bound),     cmocka_unit_test(test_window),
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_identities),
        cmocka_unit_test(test_threads),   cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
