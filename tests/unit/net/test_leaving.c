/* When a reply leaves: told once, before its last bytes go out, whatever becomes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "net/server.h"

#define PATIENCE_MS 60000 /* for machines that are busy */
#define H           "Host: t\r\n"
#define BUSY_MS     20 /* that the loop's thread is busy with something else */

struct bench {
    struct tars_server *server;
    atomic_int asked;           /* requests at the handler */
    atomic_int told;            /* times */
    atomic_int early;           /* it was told before the loop's thread came to the reply */
    atomic_llong until_told_ns; /* from the time given */
    pthread_t writer;
    bool has_writer;
    struct tars_http_reply *reply; /* the writer's */
};

static void note(void *ctx, int64_t began_ns)
{
    struct bench *bench = ctx;

    atomic_store(&bench->until_told_ns, tars_clock_mono_ns() - began_ns);
    atomic_fetch_add(&bench->told, 1);
}

static void *send_to_nobody(void *arg)
{
    struct bench *bench = arg;

    while (!tars_http_reply_is_gone(bench->reply))
        usleep(1000);
    tars_http_reply_send_text(bench->reply, 200, "text/plain", "late", 4);
    return NULL;
}

/* Nothing is sent before this returns. */
static void handle(void *ctx, const struct tars_http_request *request,
                   struct tars_http_reply *reply)
{
    struct bench *bench = ctx;
    struct tars_http_header type = {tars_span_of("content-type"), tars_span_of("text/plain")};

    atomic_fetch_add(&bench->asked, 1);
    tars_http_reply_on_leaving(reply, note, bench, tars_clock_mono_ns());
    if (tars_span_is(request->path, "/whole")) {
        tars_http_reply_send_text(reply, 200, "text/plain", "well", 4);
    } else if (tars_span_is(request->path, "/stream")) {
        (void)!tars_http_reply_start(reply, 200, &type, 1);
        (void)!tars_http_reply_write(reply, "we", 2);
        (void)!tars_http_reply_write(reply, "ll", 2);
        tars_http_reply_end(reply);
    } else if (tars_span_is(request->path, "/abort")) {
        tars_http_reply_abort(reply);
    } else {
        bench->reply = reply;
        bench->has_writer = pthread_create(&bench->writer, NULL, send_to_nobody, bench) == 0;
        return;
    }
    usleep(BUSY_MS * 1000);
    atomic_store(&bench->early, atomic_load(&bench->told));
}

static int ask(struct bench *bench, const char *path)
{
    struct tars_server_config config = {.handler = handle, .ctx = bench};
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct tars_err err = {""};
    char text[128];
    int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" H "\r\n", path);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (tars_server_open(&config, &bench->server, &err)) {
        fail_msg("open: %s", err.text);
    }
    address.sin_port = htons(tars_server_port(bench->server));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, text, (size_t)len, MSG_NOSIGNAL), len);
    return fd;
}

/* Something came, or the end. */
static void await(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

static void shut(struct bench *bench)
{
    tars_server_close(bench->server);
    if (bench->has_writer)
        pthread_join(bench->writer, NULL);
}

static void test_with_the_wait_for_the_loop(void **state)
{
    static const char *const paths[] = {"/whole", "/stream", "/abort"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct bench bench = {.server = NULL};
        int fd = ask(&bench, paths[i]);

        print_message("  %s\n", paths[i]);
        await(fd);
        if (strcmp(paths[i], "/abort") != 0)
            assert_int_equal(atomic_load(&bench.told), 1); /* before the first byte is here */
        close(fd);
        shut(&bench);
        assert_int_equal(atomic_load(&bench.told), 1);
        assert_int_equal(atomic_load(&bench.early), 0);
        assert_true(atomic_load(&bench.until_told_ns) >= BUSY_MS * INT64_C(1000000));
    }
}

static void test_of_a_reply_that_nobody_hears(void **state)
{
    struct bench bench = {.server = NULL};
    int fd = ask(&bench, "/nobody");
    int64_t until_ms = tars_clock_mono_ms() + PATIENCE_MS;

    (void)state;
    while (!atomic_load(&bench.asked) && tars_clock_mono_ms() < until_ms)
        usleep(1000);
    close(fd);
    shut(&bench);
    assert_int_equal(atomic_load(&bench.told), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_the_wait_for_the_loop),
        cmocka_unit_test(test_of_a_reply_that_nobody_hears),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
