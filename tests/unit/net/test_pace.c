/* The server and clients that take their time: requests that come late, answers that nobody reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "net/server.h"

#define PATIENCE_MS  60000 /* for machines that are busy */
#define H            "Host: t\r\n"
#define SLOW_US      3500000 /* as long as a body may take when the server is full, and more */
#define UNREAD       400     /* requests */
#define UNREAD_BYTES 100000  /* of an answer */

static void handle(void *ctx, const struct tars_http_request *request,
                   struct tars_http_reply *reply)
{
    static const char big[UNREAD_BYTES];

    (void)ctx;
    if (tars_span_is(request->path, "/big")) {
        tars_http_reply_send_text(reply, 200, "a/b", big, sizeof(big));
    } else {
        tars_http_reply_send_text(reply, 200, "text/plain", "well", 4);
    }
}

static struct tars_server *open_with(struct tars_server_config *config)
{
    struct tars_server *server = NULL;
    struct tars_err err = {""};

    config->handler = handle;
    if (tars_server_open(config, &server, &err)) {
        fail_msg("open: %s", err.text);
    }
    return server;
}

static int dial(const struct tars_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port = htons(tars_server_port(server));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL);

    (void)n; /* the server may have had enough */
}

/* Read until wanted was seen. */
static void hear(int fd, const char *wanted)
{
    char all[4096] = "";
    size_t len = 0;

    while (!strstr(all, wanted)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        n = recv(fd, all + len, sizeof(all) - len - 1, 0);
        if (n <= 0) {
            fail_msg("the server says nothing more after: %s", all);
        }
        len += (size_t)n;
        all[len] = '\0';
    }
}

/* A header every now and then does not move the deadline of the head, whichever request it is. */
static void test_slowloris_later(void **state)
{
    struct tars_server_config config = {.head_timeout_ms = 500};
    struct tars_server *server = open_with(&config);
    int fd = dial(server);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t start;

    (void)state;
    for (int i = 0; i < 2; i++) {
        say(fd, "GET / HTTP/1.1\r\n");
        usleep(50000);
        say(fd, H "\r\n");
        hear(fd, "well");
    }
    start = tars_clock_mono_ms();
    say(fd, "GET / HTTP/1.1\r\n" H);
    while (poll(&p, 1, 50) == 0 && tars_clock_mono_ms() - start < PATIENCE_MS)
        say(fd, "a: b\r\n");
    assert_in_range(tars_clock_mono_ms() - start, 400, PATIENCE_MS / 2);
    hear(fd, " 408 ");
    close(fd);
    tars_server_close(server);
}

/* The time that a connection was idle is not taken from its next request. */
static void test_late_request(void **state)
{
    struct tars_server_config config = {.head_timeout_ms = 6000, .idle_timeout_ms = 2000};
    struct tars_server *server = open_with(&config);
    int fd = dial(server);

    (void)state;
    say(fd, "GET / HTTP/1.1\r\n");
    usleep(50000);
    say(fd, H "\r\n");
    hear(fd, "well");
    usleep(1100000);
    say(fd, "GET / HTTP/1.1\r\n" H);
    usleep(1100000);
    say(fd, "Connection: close\r\n\r\n");
    hear(fd, "200 OK");
    close(fd);
    tars_server_close(server);
}

/* Requests without end from a client that reads no answer: they are not begun, and their answers
 * not kept in memory; when it reads at last, nothing is missing. */
static void test_unread_answers(void **state)
{
    static const char request[] = "GET /big HTTP/1.1\r\n" H "\r\n";
    struct tars_server_config config = {.threads = 1};
    struct tars_server *server = open_with(&config);
    int fd = dial(server);
    int small = 16384;
    size_t got = 0;

    (void)state;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    for (int i = 0; i < UNREAD; i++)
        say(fd, request);
    usleep(500000);
    assert_in_range(tars_server_stats(server).requests, 1, UNREAD / 4);
    while (got < (size_t)UNREAD * UNREAD_BYTES) {
        static char block[1 << 16];
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        n = recv(fd, block, sizeof(block), 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_int_equal(tars_server_stats(server).requests, UNREAD);
    close(fd);
    tars_server_close(server);
}

/* Bodies that do not come keep no place from others; one that has just begun does. */
static void test_slow_bodies_give_way(void **state)
{
    static const char begun[] = "POST / HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nabc";
    struct tars_server_config config = {.threads = 1, .max_connections = 3};
    struct tars_server *server = open_with(&config);
    int slow[2];
    int young;
    int fd;

    (void)state;
    for (int i = 0; i < 2; i++) {
        slow[i] = dial(server);
        say(slow[i], begun);
    }
    usleep(SLOW_US);
    young = dial(server);
    say(young, begun);
    usleep(100000);
    for (int i = 0; i < 2; i++) {
        fd = dial(server);
        say(fd, "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
        hear(fd, "200 OK");
        close(fd);
    }
    assert_in_range(tars_server_stats(server).evicted, 1, 2);
    say(young, "defghi");
    hear(young, "200 OK");
    close(young);
    for (int i = 0; i < 2; i++)
        close(slow[i]);
    tars_server_close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slowloris_later),
        cmocka_unit_test(test_late_request),
        cmocka_unit_test(test_unread_answers),
        cmocka_unit_test(test_slow_bodies_give_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
