/* Unit tests of api/live: who has taken a set of texts keeps it while others are published. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "api/live.h"
#include "support/faults.h"

#define READERS 4
#define ROUNDS  2000

static void sets_are_kept(void **state)
{
    const struct tars_live_texts first = {.cors_origins = "https://a", .metrics_token = "t"};
    const struct tars_live_texts second = {.cors_origins = "https://b", .hosts = "h"};
    const struct tars_live_texts *taken;
    const struct tars_live_texts *now;
    struct tars_live_box *box = NULL;

    (void)state;
    assert_int_equal(tars_live_new(&first, &box), TARS_OK);
    taken = tars_live_take(box);
    assert_int_equal(tars_live_set(box, &second), TARS_OK);
    now = tars_live_take(box);
    assert_string_equal(taken->cors_origins, "https://a");
    assert_string_equal(taken->hosts, "");
    assert_string_equal(taken->metrics_token, "t");
    assert_string_equal(now->cors_origins, "https://b");
    assert_string_equal(now->hosts, "h");
    assert_string_equal(now->metrics_token, "");
    tars_live_give(taken);
    tars_live_give(now);
    tars_live_free(box);
    tars_live_free(NULL);
}

/* The texts of a set belong together. */
static void *read_on(void *ctx)
{
    struct tars_live_box *box = ctx;

    for (int i = 0; i < ROUNDS; i++) {
        const struct tars_live_texts *taken = tars_live_take(box);
        bool fits = strcmp(taken->cors_origins, taken->hosts) == 0;

        tars_live_give(taken);
        if (!fits)
            return ctx;
    }
    return NULL;
}

static void readers_see_whole_sets(void **state)
{
    const struct tars_live_texts first = {.cors_origins = "0", .hosts = "0"};
    struct tars_live_box *box = NULL;
    pthread_t readers[READERS];
    void *wrong = NULL;

    (void)state;
    assert_int_equal(tars_live_new(&first, &box), TARS_OK);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, box), 0);
    for (int i = 0; i < ROUNDS; i++) {
        char text[16];
        const struct tars_live_texts next = {.cors_origins = text, .hosts = text};

        (void)snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(tars_live_set(box, &next), TARS_OK);
    }
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i], &wrong), 0);
        assert_null(wrong);
    }
    tars_live_free(box);
}

static void make_and_set(void *ctx)
{
    const struct tars_live_texts texts = {.hosts = "h"};
    const struct tars_live_texts *taken;
    struct tars_live_box *box = NULL;

    (void)ctx;
    if (tars_live_new(&texts, &box) != TARS_OK) {
        assert_null(box);
        return;
    }
    (void)!tars_live_set(box, &texts); /* the old ones stay */
    taken = tars_live_take(box);
    assert_string_equal(taken->hosts, "h");
    tars_live_give(taken);
    tars_live_free(box);
}

static void no_memory(void **state)
{
    (void)state;
    assert_int_equal(faults_each(make_and_set, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_kept),
        cmocka_unit_test(readers_see_whole_sets),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
