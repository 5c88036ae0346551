/* Unit tests of app/events. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "app/events.h"
#include "support/faults.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))
#define POSTS   2000

static struct tars_ingest_event event_of(const char *path, int64_t job_id)
{
    return (struct tars_ingest_event){.job_id = job_id,
                                      .path = path,
                                      .outcome = TARS_INGEST_INDEXED,
                                      .reason = "",
                                      .document_id = "doc_1",
                                      .chunks = 3,
                                      .ms = 1.5};
}

static void listener_hears_its_folder(void **state)
{
    struct tars_ingest_event inside = event_of("/a/x", 7);
    struct tars_ingest_event outside = event_of("/b/x", 8);
    struct tars_events *events;
    struct tars_listener *one;
    struct tars_listener *other;
    struct tars_arena arena;
    struct tars_taken taken;

    (void)state;
    tars_arena_init(&arena, 65536);
    assert_int_equal(tars_events_new(&events), TARS_OK);
    assert_int_equal(tars_events_listen(events, NULL, "/a", &one), TARS_OK);
    assert_int_equal(tars_events_listen(events, NULL, "/", &other), TARS_OK);
    tars_events_post(events, &inside);
    tars_events_post(events, &outside);
    assert_int_equal(tars_listener_next(one, 0, &arena, &taken), TARS_OK);
    assert_string_equal(taken.path, "/a/x");
    assert_int_equal(taken.job_id, 7);
    assert_int_equal(taken.outcome, TARS_TAKEN_INDEXED);
    assert_int_equal(taken.chunks, 3);
    assert_int_equal(tars_listener_next(one, 20, &arena, &taken), TARS_ETIMEOUT);
    assert_int_equal(tars_listener_ended(one), 1);
    assert_int_equal(tars_listener_ended(other), 2);
    tars_listener_free(one);
    tars_listener_free(other); /* with what it has not read */
    tars_listener_free(NULL);
    tars_events_free(events);
    tars_arena_release(&arena);
}

static void listener_hears_its_collection(void **state)
{
    struct tars_ingest_event mine = event_of("/a/x", 1);
    struct tars_ingest_event others = event_of("/a/x", 2);
    struct tars_events *events;
    struct tars_listener *one;
    struct tars_listener *plain;
    struct tars_arena arena;
    struct tars_taken taken;

    (void)state;
    mine.collection = "acme/hr";
    others.collection = "acme/h";
    tars_arena_init(&arena, 65536);
    assert_int_equal(tars_events_new(&events), TARS_OK);
    assert_int_equal(tars_events_listen(events, "acme/hr", "/a", &one), TARS_OK);
    assert_int_equal(tars_events_listen(events, NULL, "/a", &plain), TARS_OK);
    tars_events_post(events, &others);
    tars_events_post(events, &mine);
    others.collection = TARS_COLLECTION;
    tars_events_post(events, &others);
    assert_int_equal(tars_listener_next(one, 0, &arena, &taken), TARS_OK);
    assert_int_equal(taken.job_id, 1);
    assert_int_equal(tars_listener_ended(one), 1);
    assert_int_equal(tars_listener_ended(plain), 1);
    tars_listener_free(one);
    tars_listener_free(plain);
    tars_events_free(events);
    tars_arena_release(&arena);
}

static void outcomes_translate(void **state)
{
    static const enum tars_ingest_outcome from[] = {TARS_INGEST_INDEXED, TARS_INGEST_UNCHANGED,
                                                    TARS_INGEST_FAILED, TARS_INGEST_SKIPPED,
                                                    TARS_INGEST_FORGOTTEN};
    struct tars_events *events;
    struct tars_listener *listener;
    struct tars_arena arena;
    struct tars_taken taken;

    (void)state;
    tars_arena_init(&arena, 65536);
    assert_int_equal(tars_events_new(&events), TARS_OK);
    assert_int_equal(tars_events_listen(events, NULL, "/", &listener), TARS_OK);
    for (size_t i = 0; i < ROWS(from); i++) {
        struct tars_ingest_event event = event_of("/x", 1);

        event.outcome = from[i];
        tars_events_post(events, &event);
        assert_int_equal(tars_listener_next(listener, 0, &arena, &taken), TARS_OK);
        assert_string_equal(tars_taken_text(taken.outcome), tars_ingest_outcome_text(from[i]));
    }
    tars_listener_free(listener);
    tars_events_free(events);
    tars_arena_release(&arena);
}

static void *post_many(void *ctx)
{
    for (int i = 0; i < POSTS; i++) {
        struct tars_ingest_event event = event_of("/a/x", i + 1);

        tars_events_post(ctx, &event);
    }
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    struct tars_events *events;
    struct tars_listener *listener;
    struct tars_arena arena;
    struct tars_taken taken;
    pthread_t thread;
    int heard = 0;

    (void)state;
    tars_arena_init(&arena, 65536);
    assert_int_equal(tars_events_new(&events), TARS_OK);
    assert_int_equal(tars_events_listen(events, NULL, "/a", &listener), TARS_OK);
    assert_int_equal(pthread_create(&thread, NULL, post_many, events), 0);
    while (heard < POSTS) {
        assert_int_equal(tars_listener_next(listener, 5000, &arena, &taken), TARS_OK);
        assert_int_equal(taken.job_id, ++heard);
        tars_arena_clear(&arena);
    }
    pthread_join(thread, NULL);
    tars_listener_free(listener);
    tars_events_free(events);
    tars_arena_release(&arena);
}

static void go_through(void *ctx)
{
    struct tars_ingest_event event = event_of("/a/x", 1);
    struct tars_events *events = NULL;
    struct tars_listener *listener = NULL;
    struct tars_arena arena;
    struct tars_taken taken;

    (void)ctx;
    tars_arena_init(&arena, 65536);
    if (tars_events_new(&events) == TARS_OK &&
        tars_events_listen(events, NULL, "/a", &listener) == TARS_OK) {
        tars_events_post(events, &event);
        (void)!tars_listener_next(listener, 0, &arena, &taken);
    }
    tars_listener_free(listener);
    tars_events_free(events);
    tars_arena_release(&arena);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(go_through, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listener_hears_its_folder),
        cmocka_unit_test(listener_hears_its_collection),
        cmocka_unit_test(outcomes_translate),
        cmocka_unit_test(threads_lose_nothing),
        cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("app/events", tests, NULL, NULL);
}
