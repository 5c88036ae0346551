/* The server over real sockets: framing, limits, deadlines, streams, clients that leave, the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/codec/url.h"
#include "base/mem/buf.h"
#include "base/sys/clock.h"
#include "net/server.h"
#include "support/faults.h"

#define PATIENCE_MS 60000 /* for machines that are busy */
#define H           "Host: t\r\n"

struct bench {
    struct tars_server *server;
    atomic_int gone;     /* hooks that ran */
    atomic_int canceled; /* writers that heard TARS_ECANCELED */
    atomic_int release;  /* /hold waits for it */
    pthread_t writers[64];
    atomic_int writer_count;
};

/* ------------------------------------------------------------------ handler */

struct job {
    struct bench *bench;
    struct tars_http_reply *reply;
    long count;
    size_t size;
};

static void *stream_thread(void *arg)
{
    struct job *job = arg;
    struct tars_http_header type = {tars_span_of("content-type"), tars_span_of("text/plain")};
    char *block = malloc(job->size);
    tars_status status = tars_http_reply_start(job->reply, 200, &type, 1);

    memset(block, 'x', job->size);
    for (long i = 0; i < job->count && !status; i++)
        status = tars_http_reply_write(job->reply, block, job->size);
    if (status == TARS_ECANCELED)
        atomic_fetch_add(&job->bench->canceled, 1);
    tars_http_reply_end(job->reply);
    free(block);
    free(job);
    return NULL;
}

static void *hold_thread(void *arg)
{
    struct job *job = arg;

    while (!atomic_load(&job->bench->release) && !tars_http_reply_is_gone(job->reply))
        usleep(1000);
    tars_http_reply_send_text(job->reply, 200, "text/plain", "held", 4);
    free(job);
    return NULL;
}

static void count_gone(void *ctx)
{
    atomic_fetch_add((atomic_int *)ctx, 1);
}

static void spawn(struct bench *bench, struct tars_http_reply *reply, void *(*run)(void *),
                  long count, size_t size)
{
    struct job *job = malloc(sizeof(*job));

    *job = (struct job){bench, reply, count, size};
    pthread_create(&bench->writers[atomic_fetch_add(&bench->writer_count, 1)], NULL, run, job);
}

static long number(const struct tars_http_request *request, const char *name, long otherwise)
{
    struct tars_span value;

    if (tars_url_query_get(request->arena, request->query, name, &value))
        return otherwise;
    return strtol(value.ptr, NULL, 10);
}

static void describe(const struct tars_http_request *request, struct tars_http_reply *reply)
{
    struct tars_span host = tars_span("", 0);
    char *text;

    (void)tars_http_request_header(request, "HOST", &host);
    text = tars_arena_printf(request->arena, "%.*s %.*s q=%.*s host=%.*s peer=%s body=%zu tls=%d\n",
                             (int)request->method_text.len, request->method_text.ptr,
                             (int)request->path.len, request->path.ptr, (int)request->query.len,
                             request->query.ptr, (int)host.len, host.ptr, request->peer,
                             request->body.len, request->is_tls);
    tars_http_reply_add_header(reply, "x-test", "yes");
    tars_http_reply_send_text(reply, 200, "text/plain", text, strlen(text));
}

static void handle(void *ctx, const struct tars_http_request *request,
                   struct tars_http_reply *reply)
{
    struct bench *bench = ctx;
    struct tars_http_header bad = {tars_span_of("x"), tars_span_of("a\r\nb")};

    if (tars_span_is(request->path, "/echo")) {
        tars_http_reply_send(reply, 200, NULL, 0, request->body.ptr, request->body.len);
    } else if (tars_span_is(request->path, "/stream")) {
        tars_http_reply_on_gone(reply, count_gone, &bench->gone);
        spawn(bench, reply, stream_thread, number(request, "n", 3),
              (size_t)number(request, "size", 5));
    } else if (tars_span_is(request->path, "/hold")) {
        tars_http_reply_on_gone(reply, count_gone, &bench->gone);
        spawn(bench, reply, hold_thread, 0, 0);
    } else if (tars_span_is(request->path, "/abort")) {
        tars_http_reply_abort(reply);
    } else if (tars_span_is(request->path, "/empty")) {
        tars_http_reply_end(reply);
    } else if (tars_span_is(request->path, "/204")) {
        tars_http_reply_send(reply, 204, NULL, 0, "ignored", 7);
    } else if (tars_span_is(request->path, "/bad-header")) {
        tars_http_reply_send(reply, 200, &bad, 1, "x", 1);
    } else if (tars_span_is(request->path, "/big")) {
        size_t size = (size_t)number(request, "size", 1);
        char *bytes = calloc(1, size);

        tars_http_reply_send_text(reply, 200, "a/b", bytes, bytes ? size : 0);
        free(bytes);
    } else if (tars_span_is(request->path, "/fault")) {
        faults_fail_after((int)number(request, "n", 0));
        describe(request, reply);
    } else {
        describe(request, reply);
    }
}

/* ------------------------------------------------------------------ helpers */

static struct bench *open_with(struct tars_server_config *config)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct tars_err err = {""};

    config->handler = handle;
    config->ctx = bench;
    if (tars_server_open(config, &bench->server, &err)) {
        fail_msg("open: %s", err.text);
    }
    return bench;
}

static void shut(struct bench *bench)
{
    tars_server_close(bench->server);
    for (int i = 0; i < atomic_load(&bench->writer_count); i++)
        pthread_join(bench->writers[i], NULL);
    free(bench);
}

static int dial(const struct bench *bench)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port = htons(tars_server_port(bench->server));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say_n(int fd, const char *ptr, size_t len)
{
    while (len) {
        ssize_t n = send(fd, ptr, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        ptr += n;
        len -= (size_t)n;
    }
}

static void say(int fd, const char *text)
{
    say_n(fd, text, strlen(text));
}

/* All until the server ends the connection, or stop (if not NULL) is seen. Terminated; the caller
 * frees it. */
static char *hear(int fd, const char *stop)
{
    size_t len = 0;
    size_t cap = (size_t)1 << 16;
    char *all = malloc(cap);
    int64_t until = tars_clock_mono_ms() + PATIENCE_MS;

    all[0] = '\0';
    while (!stop || !strstr(all, stop)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (tars_clock_mono_ms() > until) {
            fail_msg("the server says nothing more after %zu bytes: %.200s", len, all);
        }
        if (poll(&p, 1, 100) == 0)
            continue;
        if (cap - len < 4096)
            all = realloc(all, cap *= 2);
        n = recv(fd, all + len, cap - len - 1, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        all[len] = '\0';
        until = tars_clock_mono_ms() + PATIENCE_MS;
    }
    return all;
}

static int count_of(const char *text, const char *word)
{
    int count = 0;

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}

static void await(const atomic_int *value, int wanted)
{
    for (int i = 0; i < PATIENCE_MS && atomic_load(value) < wanted; i++)
        usleep(1000);
    assert_int_equal(atomic_load(value), wanted);
}

static void await_held(const struct bench *bench)
{
    for (int i = 0; i < PATIENCE_MS && tars_server_stats(bench->server).in_flight == 0; i++)
        usleep(1000);
}

/* ------------------------------------------------------------------- tables */

struct row {
    const char *name, *request;
    const char *first; /* of the answer */
    const char *has;   /* somewhere in it */
    const char *lacks; /* nowhere; NULL: anything goes */
};

static const struct row rows[] = {
    {"GET", "GET /a?b=c HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
     "GET /a q=b=c host=t peer=127.0.0.1 body=0 tls=0\n", NULL},
    {"own header", "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
     "x-test: yes\r\n", NULL},
    {"HEAD", "HEAD /a HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
     "content-length: 46\r\n", "host=t"},
    {"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "connection: close\r\n", NULL},
    {"body", "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\nConnection: close\r\n\r\nhello",
     "HTTP/1.1 200 OK\r\n", "\r\n\r\nhello", NULL},
    {"chunked body",
     "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
     "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nt: u\r\n\r\n",
     "HTTP/1.1 200 OK\r\n", "\r\n\r\nabcde", NULL},
    {"expectation",
     "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 0\r\n"
     "Connection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n", "content-length: 0", NULL},
    {"204", "GET /204 HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 204 No Content\r\n",
     "date: ", "content-length"},
    {"stream", "GET /stream HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
     "5\r\nxxxxx\r\n5\r\nxxxxx\r\n5\r\nxxxxx\r\n0\r\n\r\n", "content-length"},
    {"stream for HTTP/1.0", "GET /stream HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n",
     "\r\n\r\nxxxxxxxxxxxxxxx", "chunked"},
    {"stream for HEAD", "HEAD /stream HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n", "text/plain", "xxxxx"},
    {"handler's bad header", "GET /bad-header HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 500 ", "detail",
     NULL},
    {"handler without answer", "GET /empty HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 500 ", "detail", NULL},
    {"bad request", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n",
     "{\"detail\":\"host is missing\"}", NULL},
    {"not HTTP", "\x16\x03\x01\n", "HTTP/1.1 400 ", "application/json", NULL},
    {"smuggled", "POST / HTTP/1.1\r\n" H "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
     "HTTP/1.1 400 ", "connection: close", "200 OK"},
    {"coding", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 ", "detail",
     NULL},
    {"bad chunk", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
     "HTTP/1.1 400 ", "chunks", NULL},
    {"body too large", "POST / HTTP/1.1\r\n" H "Content-Length: 99999999\r\n\r\n", "HTTP/1.1 413 ",
     "too large", NULL},
    {"body too large, expected",
     "POST / HTTP/1.1\r\n" H "Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n",
     "HTTP/1.1 413 ", "too large", "100 Continue"},
    {"version", "GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 ", "detail", NULL},
    {"pipelined after close",
     "GET /1 HTTP/1.1\r\n" H "Connection: close\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\n",
     "HTTP/1.1 200 OK", "/1", "/2"},
};

static void test_rows(void **state)
{
    struct tars_server_config config = {
        .max_body_bytes = 100000, .threads = 2, .idle_timeout_ms = 300};
    struct bench *bench = open_with(&config);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = dial(bench);
        char *answer;

        say(fd, rows[i].request);
        answer = hear(fd, NULL);
        if (strncmp(answer, rows[i].first, strlen(rows[i].first)) != 0 ||
            !strstr(answer, rows[i].has) || (rows[i].lacks && strstr(answer, rows[i].lacks))) {
            fail_msg("row: %s: %s", rows[i].name, answer);
        }
        assert_true(strstr(answer, "\r\ndate: ") != NULL);
        free(answer);
        close(fd);
    }
    shut(bench);
}

/* --------------------------------------------------------------- connection */

static void test_pipeline(void **state)
{
    struct tars_server_config config = {.threads = 1};
    struct bench *bench = open_with(&config);
    int fd = dial(bench);
    struct tars_buf all;
    char *answer;
    char *at;

    (void)state;
    tars_buf_init(&all, 1 << 20);
    for (int i = 0; i < 1000; i++) {
        if (i % 20 == 19) {
            tars_buf_appendf(&all, "GET /stream?n=1&size=2 HTTP/1.1\r\n" H "\r\n");
        } else if (i % 2) {
            tars_buf_appendf(&all, "GET /n%d HTTP/1.1\r\n" H "\r\n", i);
        } else {
            tars_buf_appendf(&all, "POST /n%d HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", i);
        }
    }
    tars_buf_appendf(&all, "GET /last HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    say_n(fd, all.ptr, all.len);
    answer = hear(fd, NULL);
    assert_int_equal(count_of(answer, "HTTP/1.1 200 OK"), 1001);
    at = answer;
    for (int i = 0; i < 1000; i++) {
        char wanted[32];

        snprintf(wanted, sizeof(wanted), i % 20 == 19 ? "2\r\nxx\r\n0\r\n" : " /n%d ", i);
        at = strstr(at, wanted);
        if (!at) {
            fail_msg("answer %d is missing or out of order", i);
        }
    }
    free(answer);
    tars_buf_release(&all);
    close(fd);
    shut(bench);
}

static void test_byte_by_byte(void **state)
{
    static const char request[] = "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
                                  "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                                  "GET /next HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
    struct tars_server_config config = {0};
    struct bench *bench = open_with(&config);
    int fd = dial(bench);
    char *answer;

    (void)state;
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        say_n(fd, request + i, 1);
        usleep(200);
    }
    answer = hear(fd, NULL);
    assert_non_null(strstr(answer, "abcde"));
    assert_non_null(strstr(answer, "/next"));
    free(answer);
    close(fd);
    shut(bench);
}

static void test_continue(void **state)
{
    struct tars_server_config config = {0};
    struct bench *bench = open_with(&config);
    int fd = dial(bench);
    char *answer;

    (void)state;
    say(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 2\r\nExpect: 100-continue\r\n"
            "Connection: close\r\n\r\n");
    answer = hear(fd, "\r\n\r\n");
    assert_string_equal(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    free(answer);
    say(fd, "ok");
    answer = hear(fd, NULL);
    assert_non_null(strstr(answer, "\r\n\r\nok"));
    free(answer);
    close(fd);
    shut(bench);
}

static void test_big_bodies(void **state)
{
    struct tars_server_config config = {0};
    struct bench *bench = open_with(&config);
    size_t size = (size_t)8 << 20;
    char *body = malloc(size + 1);
    char *answer;
    char head[128];
    int fd = dial(bench);

    (void)state;
    memset(body, 'z', size);
    snprintf(head, sizeof(head),
             "POST /count HTTP/1.1\r\n" H "Content-Length: %zu\r\nConnection: close\r\n\r\n", size);
    say(fd, head);
    say_n(fd, body, size);
    answer = hear(fd, NULL);
    assert_non_null(strstr(answer, "body=8388608"));
    free(answer);
    close(fd);
    fd = dial(bench);
    say(fd, "GET /stream?n=100&size=100000 HTTP/1.0\r\n\r\n");
    answer = hear(fd, NULL);
    assert_int_equal(strlen(strstr(answer, "\r\n\r\n") + 4), 10000000);
    free(answer);
    close(fd);
    assert_int_equal(tars_server_stats(bench->server).bodies_bytes, 0);
    free(body);
    shut(bench);
}

/* Too many bodies at once, and a chunked body over the limit. */
static void test_budget(void **state)
{
    struct tars_server_config config = {.max_body_bytes = 200000, .max_bodies_bytes = 100000};
    struct bench *bench = open_with(&config);
    char *block = calloc(1, 150000);
    char *answer;
    int fd = dial(bench);

    (void)state;
    say(fd, "POST / HTTP/1.1\r\n" H "Content-Length: 150000\r\n\r\n");
    say_n(fd, block, 150000);
    answer = hear(fd, NULL);
    assert_non_null(strstr(answer, "HTTP/1.1 503 "));
    free(answer);
    close(fd);
    shut(bench);

    config = (struct tars_server_config){.max_body_bytes = 1000};
    bench = open_with(&config);
    fd = dial(bench);
    say(fd, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3e9\r\n");
    say_n(fd, block, 1001);
    answer = hear(fd, NULL);
    assert_non_null(strstr(answer, "HTTP/1.1 413 "));
    free(answer);
    close(fd);
    free(block);
    assert_int_equal(tars_server_stats(bench->server).bodies_bytes, 0);
    shut(bench);
}

static void test_too_many(void **state)
{
    struct tars_server_config config = {.max_connections = 2};
    struct bench *bench = open_with(&config);
    int a = dial(bench);
    int b = dial(bench);
    int c;
    char *answer;

    (void)state;
    say(a, "GET / HTTP/1.1\r\n" H "\r\n");
    free(hear(a, "tls=0"));
    say(b, "GET / HTTP/1.1\r\n" H "\r\n");
    free(hear(b, "tls=0"));
    c = dial(bench);
    answer = hear(c, NULL);
    assert_non_null(strstr(answer, "HTTP/1.1 503 "));
    free(answer);
    close(a);
    close(b);
    close(c);
    shut(bench);
}

/* ---------------------------------------------------------------- deadlines */

struct slow {
    const char *name, *bytes;
    const char *answer; /* "": closed without a word */
};

static void test_slow_clients(void **state)
{
    static const struct slow table[] = {
        {"nothing at all", "", ""},
        {"half a head", "GET / HTTP/1.1\r\nHo", "HTTP/1.1 408 "},
        {"half a body", "POST / HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nab", "HTTP/1.1 408 "},
    };
    struct tars_server_config config = {
        .head_timeout_ms = 300, .body_timeout_ms = 300, .idle_timeout_ms = 300};
    struct bench *bench = open_with(&config);

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int64_t start = tars_clock_mono_ms();
        int fd = dial(bench);
        char *answer;

        say(fd, table[i].bytes);
        answer = hear(fd, NULL);
        if (strncmp(answer, table[i].answer, strlen(table[i].answer)) != 0) {
            fail_msg("row: %s: %s", table[i].name, answer);
        }
        assert_true(tars_clock_mono_ms() - start < 9000); /* what is not set is 10 s and more */
        free(answer);
        close(fd);
    }
    shut(bench);
}

/* A header every now and then does not move the deadline of the head. */
static void test_slowloris(void **state)
{
    struct tars_server_config config = {.head_timeout_ms = 500};
    struct bench *bench = open_with(&config);
    int64_t start = tars_clock_mono_ms();
    int fd = dial(bench);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char *answer;

    (void)state;
    say(fd, "GET / HTTP/1.1\r\n" H);
    while (poll(&p, 1, 50) == 0 && tars_clock_mono_ms() - start < PATIENCE_MS)
        say(fd, "a: b\r\n");
    assert_in_range(tars_clock_mono_ms() - start, 400, PATIENCE_MS / 2);
    answer = hear(fd, NULL);
    assert_non_null(strstr(answer, " 408 "));
    assert_int_equal(tars_server_stats(bench->server).timeouts, 1);
    free(answer);
    close(fd);
    shut(bench);
}

/* A reader that takes nothing: the writer is stopped and hears of it. */
static void test_stalled_reader(void **state)
{
    struct tars_server_config config = {.write_timeout_ms = 400};
    struct bench *bench = open_with(&config);
    int fd = dial(bench);

    (void)state;
    say(fd, "GET /stream?n=100000&size=10000 HTTP/1.1\r\n" H "\r\n");
    await(&bench->canceled, 1);
    await(&bench->gone, 1);
    close(fd);
    shut(bench);
}

/* ---------------------------------------------------------------- leave, end */

static void test_gone(void **state)
{
    struct tars_server_config config = {0};
    struct bench *bench = open_with(&config);
    int fd = dial(bench);

    (void)state;
    say(fd, "GET /hold HTTP/1.1\r\n" H "\r\n");
    await_held(bench);
    close(fd);
    await(&bench->gone, 1);
    fd = dial(bench);
    say(fd, "GET /stream?n=100000&size=10000 HTTP/1.1\r\n" H "\r\n");
    free(hear(fd, "xxxx"));
    close(fd);
    await(&bench->gone, 2);
    await(&bench->canceled, 1);
    shut(bench);
}

static void test_abort(void **state)
{
    struct tars_server_config config = {0};
    struct bench *bench = open_with(&config);
    int fd = dial(bench);
    char *answer;

    (void)state;
    say(fd, "GET /abort HTTP/1.1\r\n" H "\r\n");
    answer = hear(fd, NULL);
    assert_string_equal(answer, "");
    free(answer);
    close(fd);
    shut(bench);
}

struct late {
    struct bench *bench;
    int fd;
};

/* What comes on a connection that was promised another answer, while the server stops. */
static void *ask_late(void *arg)
{
    struct late *late = arg;

    usleep(200000);
    say(late->fd, "GET / HTTP/1.1\r\n" H "\r\n");
    atomic_store(&late->bench->release, 1);
    return NULL;
}

static void test_graceful(void **state)
{
    struct tars_server_config config = {.threads = 2};
    struct bench *bench = open_with(&config);
    int busy = dial(bench);
    int idle = dial(bench);
    int half = dial(bench);
    struct late late = {bench, dial(bench)};
    pthread_t thread;
    char *answer;

    (void)state;
    say(busy, "GET /hold HTTP/1.1\r\n" H "\r\n");
    say(half, "GET / HT");
    say(idle, "GET / HTTP/1.1\r\n" H "\r\n");
    free(hear(idle, "tls=0"));
    await_held(bench);
    usleep(50000);
    pthread_create(&thread, NULL, ask_late, &late);
    assert_int_equal(tars_server_stop(bench->server, PATIENCE_MS), TARS_OK);
    pthread_join(thread, NULL);
    answer = hear(busy, NULL);
    assert_non_null(strstr(answer, "connection: close"));
    assert_non_null(strstr(answer, "held"));
    free(answer);
    answer = hear(idle, NULL);
    assert_string_equal(answer, "");
    free(answer);
    answer = hear(late.fd, NULL);
    assert_non_null(strstr(answer, "connection: close"));
    assert_non_null(strstr(answer, "tls=0"));
    free(answer);
    close(busy);
    close(idle);
    close(half);
    close(late.fd);
    shut(bench);
}

static void test_grace_over(void **state)
{
    struct tars_server_config config = {0};
    struct bench *bench = open_with(&config);
    int fd = dial(bench);
    char *answer;

    (void)state;
    say(fd, "GET /hold HTTP/1.1\r\n" H "\r\n");
    await_held(bench);
    assert_int_equal(tars_server_stop(bench->server, 100), TARS_ETIMEOUT);
    await(&bench->gone, 1);
    answer = hear(fd, NULL);
    assert_string_equal(answer, "");
    free(answer);
    close(fd);
    shut(bench);
}

/* ------------------------------------------------------------------ opening */

struct opening {
    const char *name;
    struct tars_server_config config;
    tars_status status;
};

static void test_open(void **state)
{
    struct tars_server_config first = {0};
    struct bench *bench = open_with(&first);
    const struct opening table[] = {
        {"no handler", {.bind = "127.0.0.1"}, TARS_EINVAL},
        {"no address", {.handler = handle, .bind = "here"}, TARS_EINVAL},
        {"foreign address", {.handler = handle, .bind = "192.0.2.1"}, TARS_EINVAL},
        {"port taken", {.handler = handle, .port = tars_server_port(bench->server)}, TARS_EBUSY},
        {"threads", {.handler = handle, .threads = 1000}, TARS_EINVAL},
        {"head", {.handler = handle, .max_head_bytes = 1 << 20}, TARS_EINVAL},
        {"key without certificate", {.handler = handle, .tls_key = "x"}, TARS_EINVAL},
        {"no certificate",
         {.handler = handle, .tls_key = "/nonexistent", .tls_cert = "/nonexistent"},
         TARS_ENOTFOUND},
        {"name", {.handler = handle, .server_name = "a\nb"}, TARS_EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct tars_server *server = NULL;
        struct tars_err err = {""};
        tars_status status = tars_server_open(&table[i].config, &server, &err);

        if (status != table[i].status || err.text[0] == '\0') {
            fail_msg("row: %s: %d %s", table[i].name, status, err.text);
        }
    }
    shut(bench);
}

static void open_and_close(void *ctx)
{
    struct tars_server_config config = {.handler = handle, .threads = 2};
    struct tars_server *server = NULL;
    tars_status status = tars_server_open(&config, &server, NULL);

    (void)ctx;
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    if (!status)
        tars_server_close(server);
}

static void test_open_without_memory(void **state)
{
    (void)state;
    assert_true(faults_each(open_and_close, NULL) > 0);
}

/* Each allocation of the loop thread fails once while it serves: no crash, no leak, and afterwards
 * it serves again. */
static void test_without_memory(void **state)
{
    struct tars_server_config config = {.threads = 1};
    struct bench *bench = open_with(&config);

    (void)state;
    for (int n = 0; n < 25; n++) {
        int fd = dial(bench);
        char arm[64];
        char *answer;

        snprintf(arm, sizeof(arm), "GET /fault?n=%d HTTP/1.1\r\n" H "\r\n", n);
        say(fd, arm);
        say(fd, "POST /echo HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 5\r\n\r\nhello");
        free(hear(fd, NULL));
        close(fd);
        fd = dial(bench);
        say(fd, "GET /fault?n=-1 HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
        free(hear(fd, NULL));
        close(fd);
        fd = dial(bench);
        say(fd, "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
        answer = hear(fd, NULL);
        assert_non_null(strstr(answer, "200 OK"));
        free(answer);
        close(fd);
    }
    shut(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),           cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_byte_by_byte),   cmocka_unit_test(test_continue),
        cmocka_unit_test(test_big_bodies),     cmocka_unit_test(test_budget),
        cmocka_unit_test(test_too_many),       cmocka_unit_test(test_slow_clients),
        cmocka_unit_test(test_slowloris),      cmocka_unit_test(test_stalled_reader),
        cmocka_unit_test(test_gone),           cmocka_unit_test(test_abort),
        cmocka_unit_test(test_graceful),       cmocka_unit_test(test_grace_over),
        cmocka_unit_test(test_open),           cmocka_unit_test(test_open_without_memory),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
