/* What a WebSocket has to send: order, slices, control frames between frames, room, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/ws_queue.h"
#include "support/faults.h"

static void add(struct tars_ws_queue *queue, const char *text)
{
    struct tars_ws_frame *frame = tars_ws_frame_new(TARS_WS_OP_TEXT, text, strlen(text));

    assert_non_null(frame);
    tars_ws_queue_add(queue, frame);
}

static bool has_room(const struct tars_ws_queue *queue, size_t len)
{
    char *bytes = calloc(1, len + 1);
    struct tars_ws_frame *frame = tars_ws_frame_new(TARS_WS_OP_TEXT, bytes, len);
    bool room = tars_ws_queue_has_room(queue, frame);

    tars_ws_frame_free(frame);
    free(bytes);
    return room;
}

/* The next slice is (bytes, len). */
#define expect(queue, max, bytes) expect_n(queue, max, bytes, sizeof(bytes) - 1)
static void expect_n(struct tars_ws_queue *queue, size_t max, const char *bytes, size_t len)
{
    char *got = NULL;
    size_t got_len = 0;

    assert_int_equal(tars_ws_queue_take(queue, max, &got, &got_len), TARS_OK);
    assert_int_equal(got_len, len);
    assert_memory_equal(got, bytes, len);
    free(got);
}

static void expect_none(struct tars_ws_queue *queue)
{
    char *got = NULL;
    size_t len = 0;

    assert_int_equal(tars_ws_queue_take(queue, 1000, &got, &len), TARS_ENOTFOUND);
    assert_null(got);
}

static void test_order(void **state)
{
    struct tars_ws_queue queue;

    (void)state;
    tars_ws_queue_init(&queue, 10, 1000);
    expect_none(&queue);
    add(&queue, "one");
    add(&queue, "");
    add(&queue, "two");
    assert_int_equal(queue.messages, 3);
    assert_int_equal(queue.bytes, 12);
    expect(&queue, 1000, "\x81\x03one\x81\x00\x81\x03two");
    assert_int_equal(queue.bytes, 0);
    assert_int_equal(queue.flying_messages, 3);
    assert_int_equal(queue.flying_bytes, 12);
    tars_ws_queue_landed(&queue);
    assert_int_equal(queue.flying_messages + queue.flying_bytes, 0);
    assert_int_equal(queue.slices, 1);
    tars_ws_queue_landed(&queue); /* nothing was in flight */
    assert_int_equal(queue.slices, 1);
    expect_none(&queue);
    tars_ws_queue_release(&queue);
}

/* A slice ends anywhere; control frames go between frames only. */
static void test_slices(void **state)
{
    struct tars_ws_queue queue;

    (void)state;
    tars_ws_queue_init(&queue, 10, 1000);
    add(&queue, "0123456789");
    expect(&queue, 5,
           "\x81\x0a"
           "012");
    tars_ws_queue_pong(&queue, tars_span("a", 1));
    tars_ws_queue_pong(&queue, tars_span("b", 1)); /* the newest is answered */
    tars_ws_queue_ping(&queue);
    add(&queue, "x");
    expect(&queue, 5, "34567");
    expect(&queue, 5, "89\x81\x01x");
    expect(&queue, 5,
           "\x8a\x01"
           "b\x89\x00");
    expect_none(&queue);
    tars_ws_queue_pong(&queue, tars_span("c", 1));
    add(&queue, "y");
    expect(&queue, 1000,
           "\x8a\x01"
           "c\x81\x01y");
    tars_ws_queue_release(&queue);
}

static void test_close(void **state)
{
    struct tars_ws_queue queue;

    (void)state;
    tars_ws_queue_init(&queue, 10, 1000);
    add(&queue, "last");
    tars_ws_queue_close(&queue, 1001, "bye");
    tars_ws_queue_close(&queue, 1002, "too late");
    tars_ws_queue_ping(&queue);
    expect(&queue, 4, "\x89\x00\x81\x04la");
    expect(&queue, 4,
           "st\x88\x05\x03\xe9"
           "bye");
    assert_true(queue.is_close_taken);
    tars_ws_queue_ping(&queue);
    expect_none(&queue);
    tars_ws_queue_release(&queue);

    tars_ws_queue_init(&queue, 10, 1000);
    tars_ws_queue_close(&queue, 1005, NULL);
    expect(&queue, 4, "\x88\x00");
    tars_ws_queue_release(&queue);
}

/* 123 bytes of reason at most, never half a character. */
static void test_reason(void **state)
{
    static const struct {
        size_t ascii; /* letters before the characters of two bytes */
        size_t len;   /* what is left */
    } table[] = {{122, 122}, {121, 123}, {120, 122}, {0, 122}, {200, 123}};
    char reason[300];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct tars_ws_queue queue;
        size_t at = table[i].ascii;

        memset(reason, 'a', at);
        for (; at < 298; at += 2)
            memcpy(reason + at, "\xc3\xa4", 2);
        reason[at] = '\0';
        tars_ws_queue_init(&queue, 1, 1);
        tars_ws_queue_close(&queue, 1000, reason);
        if (strlen(queue.reason) != table[i].len) {
            fail_msg("row %zu: %zu", i, strlen(queue.reason));
        }
        tars_ws_queue_release(&queue);
    }
}

static void test_room(void **state)
{
    struct tars_ws_queue queue;

    (void)state;
    tars_ws_queue_init(&queue, 2, 20);
    assert_true(has_room(&queue, 100)); /* an empty queue takes one of any size */
    add(&queue, "0123456789");
    assert_true(has_room(&queue, 6));
    assert_false(has_room(&queue, 7));
    expect(&queue, 1000,
           "\x81\x0a"
           "0123456789");
    assert_false(has_room(&queue, 7)); /* what is in flight counts */
    tars_ws_queue_landed(&queue);
    assert_true(has_room(&queue, 7));
    add(&queue, "");
    add(&queue, "");
    assert_false(has_room(&queue, 0)); /* two messages */
    tars_ws_queue_release(&queue);
}

static void test_drop(void **state)
{
    struct tars_ws_queue queue;

    (void)state;
    tars_ws_queue_init(&queue, 10, 1000);
    add(&queue, "abc");
    tars_ws_queue_drop(&queue);
    expect_none(&queue);
    add(&queue, "abc");
    add(&queue, "def");
    add(&queue, "ghi");
    expect(&queue, 3,
           "\x81\x03"
           "a");
    tars_ws_queue_drop(&queue);
    assert_int_equal(queue.messages, 1);
    assert_int_equal(queue.bytes, 2);
    tars_ws_queue_close(&queue, 1008, "slow");
    expect(&queue, 1000, "bc\x88\x06\x03\xf0slow");
    tars_ws_queue_release(&queue);
}

static void use_all(void *ctx)
{
    struct tars_ws_queue queue;
    struct tars_ws_frame *frame;
    char *bytes = NULL;
    size_t len = 0;

    (void)ctx;
    tars_ws_queue_init(&queue, 10, 1000);
    frame = tars_ws_frame_new(TARS_WS_OP_BINARY, "abc", 3);
    if (frame) {
        tars_ws_queue_add(&queue, frame);
        if (tars_ws_queue_take(&queue, 100, &bytes, &len) == TARS_ENOMEM) {
            assert_int_equal(queue.messages, 1); /* nothing is lost */
            assert_null(bytes);
        }
        free(bytes);
    }
    tars_ws_queue_release(&queue);
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_int_equal(faults_each(use_all, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),          cmocka_unit_test(test_slices),
        cmocka_unit_test(test_close),          cmocka_unit_test(test_reason),
        cmocka_unit_test(test_room),           cmocka_unit_test(test_drop),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
