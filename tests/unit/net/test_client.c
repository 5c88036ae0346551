/* The HTTP client against our own server, and against sockets that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "net/client.h"
#include "net/server.h"
#include "support/faults.h"

#define BOUND_MS 30000 /* what is not set is 60 s; machines are busy */

struct bench {
    struct tars_server *server;
    struct tars_client *client;
};

static void handle(void *ctx, const struct tars_http_request *request,
                   struct tars_http_reply *reply)
{
    static const char blanks[100000] = "";
    struct tars_span type = tars_span("", 0);
    char *text;

    (void)ctx;
    (void)tars_http_request_header(request, "content-type", &type);
    if (tars_span_is(request->path, "/404")) {
        tars_http_reply_send_text(reply, 404, "application/json", "{}", 2);
    } else if (tars_span_is(request->path, "/big")) {
        tars_http_reply_send_text(reply, 200, "a/b", blanks, sizeof(blanks));
    } else if (tars_span_is(request->path, "/redirect")) {
        struct tars_http_header to = {tars_span_of("location"), tars_span_of("/elsewhere")};

        tars_http_reply_send(reply, 302, &to, 1, NULL, 0);
    } else {
        text = tars_arena_printf(request->arena, "%.*s %.*s %.*s", (int)request->method_text.len,
                                 request->method_text.ptr, (int)type.len, type.ptr,
                                 (int)request->body.len, request->body.ptr);
        tars_http_reply_send_text(reply, 200, "text/plain", text, strlen(text));
    }
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct tars_server_config config = {.handler = handle};
    struct tars_client_config client = {.max_idle = 2};

    assert_int_equal(tars_server_open(&config, &bench->server, NULL), TARS_OK);
    assert_int_equal(tars_client_new(&client, &bench->client), TARS_OK);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    tars_client_free(bench->client);
    tars_server_close(bench->server);
    free(bench);
    return 0;
}

struct row {
    const char *name, *method, *path, *body, *header;
    int status;
    const char *answer;
};

static void test_rows(void **state)
{
    static const struct row rows[] = {
        {"GET", NULL, "/a", "", NULL, 200, "GET  "},
        {"POST", NULL, "/a", "{\"a\":1}", NULL, 200, "POST application/json {\"a\":1}"},
        {"own type", NULL, "/a", "x", "Content-Type: text/x", 200, "POST text/x x"},
        {"PUT", "PUT", "/a", "x", NULL, 200, "PUT application/json x"},
        {"DELETE", "DELETE", "/a", "", NULL, 200, "DELETE  "},
        {"HEAD", "HEAD", "/a", "", NULL, 200, ""},
        {"not found", NULL, "/404", "", NULL, 404, "{}"},
        {"redirect is not followed", NULL, "/redirect", "", NULL, 302, ""},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char url[128];
        struct tars_client_request request = {.method = rows[i].method, .url = url};
        struct tars_client_reply reply;
        struct tars_err err = {""};
        struct tars_buf body;

        snprintf(url, sizeof(url), "http://127.0.0.1:%u%s",
                 (unsigned)tars_server_port(bench->server), rows[i].path);
        request.body = tars_span_of(rows[i].body);
        request.headers = &rows[i].header;
        request.header_count = rows[i].header ? 1 : 0;
        tars_buf_init(&body, 1000);
        if (tars_client_fetch_buf(bench->client, &request, &body, &reply, &err)) {
            fail_msg("row: %s: %s", rows[i].name, err.text);
        }
        if (reply.status != rows[i].status || !tars_span_is(tars_buf_span(&body), rows[i].answer)) {
            fail_msg("row: %s: %d %s", rows[i].name, reply.status, body.ptr);
        }
        tars_buf_release(&body);
    }
    assert_int_equal(tars_server_stats(bench->server).accepted, 1); /* kept alive */
}

static bool stop(void *ctx, int status, const char *ptr, size_t len)
{
    (void)ctx;
    (void)status;
    (void)ptr;
    (void)len;
    return false;
}

static void test_limits(void **state)
{
    struct bench *bench = *state;
    char url[128];
    struct tars_client_request request = {.url = url, .max_body_bytes = 50000};
    struct tars_client_reply reply = {.status = 7};
    struct tars_buf body;

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/big",
             (unsigned)tars_server_port(bench->server));
    assert_int_equal(tars_client_fetch(bench->client, &request, NULL, NULL, &reply, NULL),
                     TARS_ETOOBIG);
    request.max_body_bytes = 0;
    assert_int_equal(tars_client_fetch(bench->client, &request, stop, NULL, &reply, NULL),
                     TARS_ECANCELED);
    tars_buf_init(&body, 10);
    assert_int_equal(tars_client_fetch_buf(bench->client, &request, &body, &reply, NULL),
                     TARS_ETOOBIG);
    tars_buf_release(&body);
    assert_int_equal(reply.status, 7); /* untouched */
    assert_int_equal(tars_client_fetch(bench->client, &request, NULL, NULL, &reply, NULL), TARS_OK);
    assert_int_equal(reply.body_bytes, 100000);
    assert_string_equal(reply.content_type, "a/b");
}

static void test_bad_requests(void **state)
{
    static const char *const urls[] = {"file:///etc/passwd", "ftp://a/", "", "http://a\r\nb/",
                                       "gopher://a"};
    static const char *const headers[] = {"a: b\r\nc: d", "no colon"};
    struct bench *bench = *state;
    struct tars_client_reply reply;

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct tars_client_request request = {.url = urls[i]};
        struct tars_err err = {""};

        assert_int_equal(tars_client_fetch(bench->client, &request, NULL, NULL, &reply, &err),
                         TARS_EINVAL);
        assert_true(err.text[0] != '\0');
    }
    for (size_t i = 0; i < 2; i++) {
        struct tars_client_request request = {
            .url = "http://127.0.0.1:1/", .headers = &headers[i], .header_count = 1};

        assert_int_equal(tars_client_fetch(bench->client, &request, NULL, NULL, &reply, NULL),
                         TARS_EINVAL);
    }
}

/* ------------------------------------------------- servers that misbehave */

/* A listener that takes one connection, says something, and then nothing for the rest. */
struct mute {
    const char *name, *words;
    bool hang_up;
    tars_status status;
    int fd;
};

static void *mute_thread(void *arg)
{
    struct mute *mute = arg;
    int fd = accept(mute->fd, NULL, NULL);
    char bytes[4096];

    (void)recv(fd, bytes, sizeof(bytes), 0);
    (void)send(fd, mute->words, strlen(mute->words), MSG_NOSIGNAL);
    if (!mute->hang_up)
        (void)recv(fd, bytes, sizeof(bytes), 0); /* until the client leaves */
    close(fd);
    return NULL;
}

static unsigned listen_any(int *fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(*fd, 1), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static void test_misbehaving(void **state)
{
    static const struct mute table[] = {
        {"silent", "", false, TARS_ETIMEOUT, 0},
        {"half a head", "HTTP/1.1 200 OK\r\ncont", false, TARS_ETIMEOUT, 0},
        {"half a body", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", false, TARS_ETIMEOUT, 0},
        {"hangs up at once", "", true, TARS_EUNAVAILABLE, 0},
        {"hangs up in the body", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", true,
         TARS_EUNAVAILABLE, 0},
        {"not HTTP", "SSH-2.0-x\r\n", true, TARS_EFORMAT, 0},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct mute mute = table[i];
        char url[64];
        struct tars_client_request request = {.url = url, .idle_timeout_ms = 300};
        struct tars_client_reply reply;
        int64_t start = tars_clock_mono_ms();
        struct tars_err err = {""};
        pthread_t thread;
        tars_status status;

        snprintf(url, sizeof(url), "http://127.0.0.1:%u/", listen_any(&mute.fd));
        pthread_create(&thread, NULL, mute_thread, &mute);
        status = tars_client_fetch(bench->client, &request, NULL, NULL, &reply, &err);
        if (status != mute.status) {
            fail_msg("row: %s: %d %s", mute.name, status, err.text);
        }
        assert_true(tars_clock_mono_ms() - start < BOUND_MS);
        close(mute.fd);
        pthread_join(thread, NULL);
    }
}

/* What is asked of this machine must not be told to a proxy of the environment. */
static void test_no_proxy_for_this_machine(void **state)
{
    static const struct {
        const char *host;
        tars_status status;
    } rows[] = {
        {"127.0.0.1", TARS_OK},
        {"LOCALHOST", TARS_OK},
        {"name.test", TARS_EUNAVAILABLE}, /* by way of the proxy, which is not there */
    };
    struct bench *bench = *state;

    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:9", 1), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char url[128];
        struct tars_client_request request = {.url = url};
        struct tars_client_reply reply;

        snprintf(url, sizeof(url), "http://%s:%u/a", rows[i].host,
                 (unsigned)tars_server_port(bench->server));
        assert_int_equal(tars_client_fetch(bench->client, &request, NULL, NULL, &reply, NULL),
                         rows[i].status);
    }
    assert_int_equal(unsetenv("http_proxy"), 0);
}

static void *cancel_soon(void *arg)
{
    usleep(100000);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

static void test_cancel(void **state)
{
    struct bench *bench = *state;
    struct mute mute = {.words = ""};
    atomic_bool cancelled = false;
    char url[64];
    struct tars_client_request request = {.url = url, .cancelled = &cancelled};
    struct tars_client_reply reply;
    int64_t start = tars_clock_mono_ms();
    pthread_t thread;
    pthread_t canceller;

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", listen_any(&mute.fd));
    pthread_create(&thread, NULL, mute_thread, &mute);
    pthread_create(&canceller, NULL, cancel_soon, &cancelled);
    assert_int_equal(tars_client_fetch(bench->client, &request, NULL, NULL, &reply, NULL),
                     TARS_ECANCELED);
    assert_true(tars_clock_mono_ms() - start < BOUND_MS);
    pthread_join(canceller, NULL);
    close(mute.fd);
    pthread_join(thread, NULL);
}

static void test_refused(void **state)
{
    struct bench *bench = *state;
    char url[64];
    struct tars_client_request request = {.url = url};
    struct tars_client_reply reply;
    int fd;

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", listen_any(&fd));
    close(fd);
    assert_int_equal(tars_client_fetch(bench->client, &request, NULL, NULL, &reply, NULL),
                     TARS_EUNAVAILABLE);
}

static void make_client(void *ctx)
{
    struct tars_client_config config = {.ca_file = "/x"};
    struct tars_client *client = NULL;

    (void)ctx;
    if (tars_client_new(&config, &client) == TARS_OK)
        tars_client_free(client);
}

static void test_without_memory(void **state)
{
    struct tars_client_config config = {.max_idle = 100000};
    struct tars_client *client = NULL;

    (void)state;
    assert_int_equal(faults_each(make_client, NULL), 3);
    assert_int_equal(tars_client_new(&config, &client), TARS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_misbehaving, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_proxy_for_this_machine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test(test_without_memory),
    };
    int failed;

    if (tars_client_global_init())
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    tars_client_global_cleanup();
    return failed;
}
