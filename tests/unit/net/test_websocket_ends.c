/* WebSockets over real sockets: full queues, clients that do not read, deadlines, every way to end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem/buf.h"
#include "base/sys/clock.h"
#include "net/ws_frame.h"
#include "support/ws_bench.h"

#define PONGS_AT_ONCE 20 /* those that may leave before the sockets are full, and one more */
#define SLOW_BYTES    ((size_t)32 << 20) /* more than the sockets of a connection hold */

/* -------------------------------------------------------------------- queues */

/* On the loop thread: as much as there is room for, then TARS_EAGAIN; and never too large a one. */
static void test_no_room(void **state)
{
    struct tars_server_config config = {.write_timeout_ms = 60000};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial_with(bench, 4096);
    char command[64];
    int sent;

    (void)state;
    ws_ask(fd, "/?messages=10&bytes=1000000");
    snprintf(command, sizeof(command), "burst 1 1000001");
    ws_say_text(fd, command);
    ws_await(&bench->refused, 1);
    snprintf(command, sizeof(command), "burst %zu 1000000", SLOW_BYTES / 1000000);
    ws_say_text(fd, command);
    ws_await(&bench->bursts, 2);
    sent = (int)(SLOW_BYTES / 1000000) - atomic_load(&bench->again);
    assert_in_range(sent, 1, SLOW_BYTES / 1000000 - 1);
    for (int i = 0; i < sent; i++) {
        char *payload;
        size_t len;

        assert_int_equal(ws_hear_frame(fd, &payload, &len), 0x82);
        assert_int_equal(len, 1000000);
        free(payload);
    }
    ws_say_text(fd, "still here");
    ws_expect(fd, 0x81, "still here");
    close(fd);
    ws_shut(bench);
}

/* An offer waits on no thread; the socket goes on. */
static void test_offer(void **state)
{
    struct tars_server_config config = {.write_timeout_ms = 60000};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial_with(bench, 4096);
    int first;

    (void)state;
    ws_ask(fd, "/?bytes=1000000");
    ws_say_text(fd, "offer 100 900000");
    ws_await(&bench->again, 1);
    ws_say_text(fd, "close 1000");
    do {
        char *payload;
        size_t len;

        first = ws_hear_frame(fd, &payload, &len);
        assert_true(first == 0x88 || (first == 0x81 && len == 900000));
        free(payload);
    } while (first != 0x88);
    close(fd);
    ws_await(&bench->closed, 1);
    assert_int_equal(atomic_load(&bench->code), 1000);
    ws_shut(bench);
}

/* A client that does not read: its writer is stopped, it is closed with a reason; and when it reads
 * after all it finds whole frames, and the reason last. */
static void test_stalled(void **state)
{
    struct tars_server_config config = {.write_timeout_ms = 400};
    struct ws_bench *bench = ws_open_with(&config);
    int64_t start = tars_clock_mono_ms();
    int fd = ws_dial_with(bench, 4096);
    char *payload;
    size_t len;
    int first;

    (void)state;
    ws_ask(fd, "/");
    ws_say_text(fd, "thread 100000 10000");
    ws_await(&bench->canceled, 1);
    ws_await(&bench->closed, 1);
    assert_in_range(tars_clock_mono_ms() - start, 300, PATIENCE_MS / 2);
    assert_int_equal(atomic_load(&bench->code), 1008);
    assert_string_equal(bench->reason, "the client does not read");
    while ((first = ws_hear_frame(fd, &payload, &len)) == 0x81) {
        assert_int_equal(len, 10000);
        free(payload);
    }
    assert_int_equal(first, 0x88);
    assert_memory_equal(payload, "\x03\xf0the client does not read", len);
    free(payload);
    close(fd);
    ws_shut(bench);
}

/* One that takes a little now and then is not stalled, but no sender waits for ever. */
static void test_trickle(void **state)
{
    struct tars_server_config config = {.write_timeout_ms = 400};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial_with(bench, 4096);
    int64_t start = tars_clock_mono_ms();
    char bytes[256];

    (void)state;
    ws_ask(fd, "/");
    ws_say_text(fd, "thread 100000 10000");
    while (atomic_load(&bench->canceled) == 0 && tars_clock_mono_ms() - start < PATIENCE_MS) {
        (void)recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        usleep(20000);
    }
    ws_await(&bench->canceled, 1);
    close(fd);
    ws_await(&bench->closed, 1);
    ws_shut(bench);
}

static void flood(int fd, int count)
{
    char payload[TARS_WS_CONTROL_MAX] = "";

    for (int i = 1; i <= count; i++) {
        memset(payload, '.', sizeof(payload));
        snprintf(payload, 16, "%d", i);
        ws_say_frame(fd, 0x89, payload, sizeof(payload));
    }
}

/* Pongs up to the one for ping number last; other frames are passed over. */
static int count_pongs(int fd, int last)
{
    int count = 0;
    int at = 0;

    while (at < last) {
        char *payload;
        size_t len;
        int first = ws_hear_frame(fd, &payload, &len);

        assert_true(first == 0x8a || first == 0x82);
        if (first == 0x8a) {
            int i = (int)strtol(payload, NULL, 10);

            assert_true(i > at);
            at = i;
            count++;
        }
        free(payload);
    }
    return count;
}

/* A flood of pings is answered in part, the newest always; while nothing can be sent, once. */
static void test_ping_flood(void **state)
{
    struct tars_server_config config = {.write_timeout_ms = 20000};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial(bench, "/");

    (void)state;
    flood(fd, 20000);
    assert_in_range(count_pongs(fd, 20000), 1, 15000);
    close(fd);

    fd = ws_dial_with(bench, 4096);
    ws_ask(fd, "/?bytes=100000000&messages=1000");
    ws_say_text(fd, "burst 64 1000000");
    flood(fd, 20000);
    usleep(100000);
    assert_in_range(count_pongs(fd, 20000), 1, PONGS_AT_ONCE);
    close(fd);
    ws_await(&bench->closed, 2);
    ws_shut(bench);
}

/* Ten pings in one go are ten pongs. */
static void test_ten_pings(void **state)
{
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial(bench, "/");
    struct tars_buf all;
    char text[2] = "0";

    (void)state;
    tars_buf_init(&all, 1000);
    for (int i = 0; i < 10; i++)
        tars_buf_appendf(&all, "\x89\x81%c%c%c%c%c", 1, 1, 1, 1, ('0' + i) ^ 1);
    ws_say_n(fd, all.ptr, all.len);
    for (int i = 0; i < 10; i++) {
        text[0] = (char)('0' + i);
        ws_expect(fd, 0x8a, text);
    }
    tars_buf_release(&all);
    close(fd);
    ws_await(&bench->closed, 1);
    ws_shut(bench);
}

/* ----------------------------------------------------------------- deadlines */

static void test_heartbeat(void **state)
{
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial(bench, "/?ping=150&pong=1500");
    int64_t start = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        ws_expect(fd, 0x89, "");
        start = tars_clock_mono_ms();
        ws_say_frame(fd, 0x8a, "", 0);
    }
    ws_expect(fd, 0x89, "");
    ws_expect_close(fd, 1008, "no answer to a ping");
    assert_in_range(tars_clock_mono_ms() - start, 1000, PATIENCE_MS / 2);
    ws_await(&bench->closed, 1);
    assert_int_equal(atomic_load(&bench->code), 1008);
    assert_int_equal(atomic_load(&bench->alive), 3);
    close(fd);

    fd = ws_dial(bench, "/?ping=-1&idle=500");
    ws_expect(fd, 0x81, "time is over"); /* and no ping before */
    close(fd);
    ws_shut(bench);
}

static void test_idle(void **state)
{
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial(bench, "/?idle=1500&ping=150");
    int64_t start = tars_clock_mono_ms();
    char *payload;
    size_t len;
    int first;

    (void)state;
    usleep(700000);
    ws_say_text(fd, "not yet");
    do { /* pongs do not count as messages */
        first = ws_hear_frame(fd, &payload, &len);
        if (first == 0x89)
            ws_say_frame(fd, 0x8a, "", 0);
        if (first == 0x81 && strcmp(payload, "time is over") == 0)
            first = -2;
        free(payload);
    } while (first >= 0);
    assert_int_equal(first, -2);
    assert_in_range(tars_clock_mono_ms() - start, 2100, PATIENCE_MS / 2);
    ws_expect_close(fd, 1001, "idle");
    ws_await(&bench->closed, 1);
    assert_int_equal(atomic_load(&bench->code), 1001);
    close(fd);
    ws_shut(bench);
}

/* A message that comes byte by byte, for ever. */
static void test_slow_message(void **state)
{
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial(bench, "/?message=500");
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t start = tars_clock_mono_ms();

    (void)state;
    ws_say_frame(fd, 0x01, "", 0);
    while (poll(&p, 1, 50) == 0 && tars_clock_mono_ms() - start < PATIENCE_MS)
        ws_say_frame(fd, 0x00, "x", 1);
    assert_in_range(tars_clock_mono_ms() - start, 450, PATIENCE_MS / 2);
    ws_expect_close(fd, 1008, "the message took too long to arrive");
    ws_await(&bench->closed, 1);
    assert_int_equal(tars_server_stats(bench->server).bodies_bytes, 0);
    close(fd);
    ws_shut(bench);
}

/* ------------------------------------------------------------------- places */

/* Ask for a page on a connection that stays open. */
static void get_page(int fd)
{
    char head[2048];
    char body[5];

    ws_say(fd, "GET / HTTP/1.1\r\n" H "\r\n");
    ws_hear_head(fd, head, sizeof(head));
    assert_non_null(strstr(head, " 200 "));
    assert_true(ws_hear(fd, body, sizeof(body)));
    assert_memory_equal(body, "plain", 5);
}

/* When all places are taken, the connection that has been idle the longest gives way, if it has
 * been for a second; a socket does not, nor one that is being answered. */
static void test_makes_room(void **state)
{
    struct tars_server_config config = {.max_connections = 4};
    struct ws_bench *bench = ws_open_with(&config);
    int socket = ws_dial(bench, "/");
    int busy = ws_dial_with(bench, 0);
    int slow = ws_dial_with(bench, 0);
    int idle = ws_dial_with(bench, 0);
    int first;
    int second;
    int third;
    char head[2048];
    char rest;

    (void)state;
    ws_say(busy, "GET /later?ms=4000 HTTP/1.1\r\n" UPGRADE "\r\n");
    ws_say(slow, "GET / HTTP/1.1\r\n");
    get_page(idle);
    usleep(1100000);
    first = ws_dial_with(bench, 0);
    get_page(first);
    assert_false(ws_hear(slow, &rest, 1));
    second = ws_dial_with(bench, 0);
    get_page(second);
    assert_false(ws_hear(idle, &rest, 1));
    third = ws_dial_with(bench, 0); /* the others are young, busy or upgraded */
    ws_hear_head(third, head, sizeof(head));
    assert_non_null(strstr(head, " 503 "));
    assert_int_equal(tars_server_stats(bench->server).evicted, 2);
    ws_say_text(socket, "still here");
    ws_expect(socket, 0x81, "still here");
    ws_hear_head(busy, head, sizeof(head));
    assert_non_null(strstr(head, " 101 "));
    close(socket);
    close(busy);
    close(slow);
    close(idle);
    close(first);
    close(second);
    close(third);
    ws_await(&bench->closed, 2);
    ws_shut(bench);
}

/* ------------------------------------------------------------------ the end */

static void test_server_closes(void **state)
{
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial(bench, "/?close=300");
    int64_t start;
    char rest;

    (void)state;
    ws_say_text(fd, "close 4000");
    ws_expect_close(fd, 4000, "as you like");
    ws_await(&bench->closed, 1);
    assert_int_equal(atomic_load(&bench->code), 4000);
    assert_string_equal(bench->reason, "as you like");
    close(fd);

    fd = ws_dial(bench, "/?close=300"); /* one that does not answer */
    start = tars_clock_mono_ms();
    ws_say_text(fd, "close 1000");
    ws_say_text(fd, "not heard any more");
    ws_expect_n(fd, 0x88,
                "\x03\xe8"
                "as you like",
                13);
    assert_false(ws_hear(fd, &rest, 1));
    assert_in_range(tars_clock_mono_ms() - start, 250, PATIENCE_MS / 2);
    ws_await(&bench->closed, 2);
    close(fd);
    ws_shut(bench);
}

static void test_client_closes(void **state)
{
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial(bench, "/");
    char rest;

    (void)state;
    ws_say_frame(fd, 0x88, "", 0);
    ws_say_text(fd, "not heard any more");
    ws_expect_n(fd, 0x88, "", 0);
    ws_await(&bench->closed, 1);
    assert_int_equal(atomic_load(&bench->code), 1005);
    assert_false(ws_hear(fd, &rest, 1));
    close(fd);

    fd = ws_dial(bench, "/");
    shutdown(fd, SHUT_WR);
    ws_await(&bench->closed, 2);
    assert_int_equal(atomic_load(&bench->code), 1006);
    close(fd);

    fd = ws_dial(bench, "/");
    ws_say_text(fd, "thread 100000 100");
    ws_expect(
        fd, 0x81,
        "0:0...................................................................................."
        ".............");
    close(fd); /* bytes unread: a reset */
    ws_await(&bench->closed, 3);
    ws_await(&bench->canceled, 1);
    assert_int_equal(atomic_load(&bench->code), 1006);
    ws_shut(bench);
}

static void *stop_thread(void *arg)
{
    assert_int_equal(tars_server_stop(arg, PATIENCE_MS), TARS_OK);
    return NULL;
}

static void test_stop(void **state)
{
    struct tars_server_config config = {.threads = 2};
    struct ws_bench *bench = ws_open_with(&config);
    int64_t start = tars_clock_mono_ms();
    pthread_t thread;
    int fds[8];

    (void)state;
    for (int i = 0; i < 8; i++)
        fds[i] = ws_dial(bench, "/");
    pthread_create(&thread, NULL, stop_thread, bench->server);
    for (int i = 0; i < 7; i++)
        ws_expect_close(fds[i], 1001, "the server stops"); /* the last one does not answer */
    ws_await(&bench->closed, 8);
    assert_int_equal(atomic_load(&bench->code), 1001);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    pthread_join(thread, NULL);
    assert_true(tars_clock_mono_ms() - start < PATIENCE_MS / 2);
    ws_shut(bench);
}

/* Accepted while the server stops. */
static void test_stop_early(void **state)
{
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);
    pthread_t thread;
    int fd = ws_dial_with(bench, 0);
    char head[2048];

    (void)state;
    ws_say(fd, "GET /later?ms=1000 HTTP/1.1\r\n" UPGRADE "\r\n");
    ws_await_in_flight(bench, 1);
    pthread_create(&thread, NULL, stop_thread, bench->server);
    ws_hear_head(fd, head, sizeof(head));
    ws_expect_close(fd, 1001, "the server stops");
    pthread_join(thread, NULL);
    close(fd);
    ws_shut(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_room),       cmocka_unit_test(test_offer),
        cmocka_unit_test(test_stalled),       cmocka_unit_test(test_trickle),
        cmocka_unit_test(test_ping_flood),    cmocka_unit_test(test_ten_pings),
        cmocka_unit_test(test_heartbeat),     cmocka_unit_test(test_idle),
        cmocka_unit_test(test_slow_message),  cmocka_unit_test(test_makes_room),
        cmocka_unit_test(test_server_closes), cmocka_unit_test(test_client_closes),
        cmocka_unit_test(test_stop),          cmocka_unit_test(test_stop_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
