/* ws_bench - see ws_bench.h. */
#include "support/ws_bench.h"

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
#include <sys/socket.h>
#include <unistd.h>

#include "base/codec/url.h"
#include "base/sys/clock.h"
#include "net/websocket.h"
#include "net/ws_frame.h"
#include "support/faults.h"

/* ------------------------------------------------------------------ handler */

struct job {
    struct ws_bench *bench;
    struct tars_ws *ws;
    struct tars_http_reply *reply;
    const struct tars_http_request *request;
    bool only_offers;
    int number;
    long count;
    size_t size;
};

static void spawn(struct ws_bench *bench, void *(*run)(void *), const struct job *what)
{
    struct job *job = malloc(sizeof(*job));

    *job = *what;
    job->bench = bench;
    if (job->ws)
        tars_ws_ref(job->ws);
    pthread_create(&bench->threads[atomic_fetch_add(&bench->thread_count, 1)], NULL, run, job);
}

static void count_status(struct ws_bench *bench, tars_status status)
{
    if (status == TARS_ECANCELED)
        atomic_fetch_add(&bench->canceled, 1);
    if (status == TARS_EAGAIN)
        atomic_fetch_add(&bench->again, 1);
    if (status == TARS_ETOOBIG || status == TARS_ENOMEM)
        atomic_fetch_add(&bench->refused, 1);
}

/* count times "number:i" and as many dots as make it size bytes. */
static void *send_thread(void *arg)
{
    struct job *job = arg;
    char *text = malloc(job->size + 32);
    tars_status status = TARS_OK;

    for (long i = 0; i < job->count && !status; i++) {
        size_t len = (size_t)snprintf(text, 32, "%d:%ld", job->number, i);

        while (len < job->size)
            text[len++] = '.';
        status = job->only_offers ? tars_ws_offer(job->ws, TARS_WS_TEXT, text, len)
                                  : tars_ws_send(job->ws, TARS_WS_TEXT, text, len);
    }
    count_status(job->bench, status);
    tars_ws_unref(job->ws);
    free(text);
    free(job);
    return NULL;
}

/* Commands in a text; anything else comes back. */
static void on_message(void *ctx, struct tars_ws *ws, enum tars_ws_kind kind, const char *ptr,
                       size_t len)
{
    struct ws_bench *bench = ctx;
    char text[64] = "";
    long a = 0;
    long b = 0;

    memcpy(text, ptr, len < sizeof(text) - 1 ? len : sizeof(text) - 1);
    if (sscanf(text, "close %ld", &a) == 1) {
        tars_ws_close(ws, (int)a, "as you like");
        tars_ws_close(ws, 1000, "twice is fine");
    } else if (sscanf(text, "threads %ld %ld", &a, &b) == 2) {
        for (int i = 0; i < (int)a; i++)
            spawn(bench, send_thread, &(struct job){.ws = ws, .number = i, .count = b});
    } else if (sscanf(text, "thread %ld %ld", &a, &b) == 2) {
        spawn(bench, send_thread, &(struct job){.ws = ws, .count = a, .size = (size_t)b});
    } else if (sscanf(text, "offer %ld %ld", &a, &b) == 2) {
        spawn(bench, send_thread,
              &(struct job){.ws = ws, .count = a, .size = (size_t)b, .only_offers = true});
    } else if (sscanf(text, "burst %ld %ld", &a, &b) == 2) {
        char *bytes = calloc(1, (size_t)b);

        for (long i = 0; i < a; i++)
            count_status(bench, tars_ws_send(ws, TARS_WS_BINARY, bytes, (size_t)b));
        free(bytes);
        atomic_fetch_add(&bench->bursts, 1);
    } else if (sscanf(text, "fault %ld", &a) == 1) {
        faults_fail_after((int)a);
    } else {
        count_status(bench, tars_ws_send(ws, kind, ptr, len));
    }
}

static void on_alive(void *ctx, struct tars_ws *ws)
{
    struct ws_bench *bench = ctx;

    assert_true(tars_ws_is_open(ws));
    atomic_fetch_add(&bench->alive, 1);
}

static void on_close(void *ctx, struct tars_ws *ws, int code, const char *reason)
{
    struct ws_bench *bench = ctx;

    faults_fail_after(-1);
    assert_false(tars_ws_is_open(ws));
    assert_int_equal(tars_ws_send(ws, TARS_WS_TEXT, "x", 1), TARS_ECANCELED);
    pthread_mutex_lock(&bench->lock);
    snprintf(bench->reason, sizeof(bench->reason), "%s", reason);
    pthread_mutex_unlock(&bench->lock);
    atomic_store(&bench->code, code);
    atomic_fetch_add(&bench->closed, 1);
    tars_ws_unref(ws); /* the one of _accept() */
}

static const struct tars_ws_handler handler = {
    .on_message = on_message, .on_alive = on_alive, .on_close = on_close};

static int64_t number(const struct tars_http_request *request, const char *name)
{
    struct tars_span value;

    if (tars_url_query_get(request->arena, request->query, name, &value))
        return 0;
    return strtol(value.ptr, NULL, 10);
}

static void accept_it(struct ws_bench *bench, struct tars_http_reply *reply,
                      const struct tars_http_request *request)
{
    const struct tars_ws_config config = {
        .max_message_bytes = (size_t)number(request, "max"),
        .queue_messages = (size_t)number(request, "messages"),
        .queue_bytes = (size_t)number(request, "bytes"),
        .ping_ms = number(request, "ping"),
        .pong_ms = number(request, "pong"),
        .idle_ms = number(request, "idle"),
        .message_ms = number(request, "message"),
        .close_ms = number(request, "close"),
        .idle_message = number(request, "idle") ? "time is over" : NULL,
        .text_only = number(request, "text") != 0,
        .protocol = number(request, "bearer") ? "bearer" : NULL,
    };
    struct tars_ws *ws;

    tars_http_reply_add_header(reply, "x-test", "yes");
    if (tars_ws_accept(reply, &config, &handler, bench, &ws) == TARS_OK) {
        atomic_fetch_add(&bench->opened, 1);
    } else {
        atomic_fetch_add(&bench->early, 1);
    }
}

static void *accept_thread(void *arg)
{
    struct job *job = arg;

    usleep((useconds_t)job->size * 1000);
    accept_it(job->bench, job->reply, job->request);
    free(job);
    return NULL;
}

static void handle(void *ctx, const struct tars_http_request *request,
                   struct tars_http_reply *reply)
{
    struct ws_bench *bench = ctx;
    int status;

    if (tars_span_is(request->path, "/fault"))
        faults_fail_after((int)number(request, "n"));
    if (!tars_ws_is_upgrade(request, &status)) {
        faults_fail_after(-1);
        tars_http_reply_send_text(reply, status ? status : 200, "text/plain", "plain", 5);
    } else if (tars_span_is(request->path, "/later")) {
        spawn(bench, accept_thread,
              &(struct job){
                  .reply = reply, .request = request, .size = (size_t)number(request, "ms")});
    } else {
        accept_it(bench, reply, request);
    }
}

/* ------------------------------------------------------------------- client */

struct ws_bench *ws_open_with(struct tars_server_config *config)
{
    struct ws_bench *bench = calloc(1, sizeof(*bench));
    struct tars_err err = {""};

    pthread_mutex_init(&bench->lock, NULL);
    config->handler = handle;
    config->ctx = bench;
    if (tars_server_open(config, &bench->server, &err)) {
        fail_msg("open: %s", err.text);
    }
    return bench;
}

void ws_shut(struct ws_bench *bench)
{
    assert_int_equal(tars_server_stats(bench->server).in_flight, 0);
    tars_server_close(bench->server);
    for (int i = 0; i < atomic_load(&bench->thread_count); i++)
        pthread_join(bench->threads[i], NULL);
    assert_int_equal(atomic_load(&bench->opened), atomic_load(&bench->closed));
    free(bench);
}

int ws_dial_with(const struct ws_bench *bench, int receive_bytes)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (receive_bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    address.sin_port = htons(tars_server_port(bench->server));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void ws_say_n(int fd, const char *ptr, size_t len)
{
    while (len) {
        ssize_t n = send(fd, ptr, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        ptr += n;
        len -= (size_t)n;
    }
}

void ws_say(int fd, const char *text)
{
    ws_say_n(fd, text, strlen(text));
}

bool ws_hear(int fd, char *ptr, size_t len)
{
    int64_t until = tars_clock_mono_ms() + PATIENCE_MS;

    while (len) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (tars_clock_mono_ms() > until) {
            fail_msg("the server says nothing more");
        }
        if (poll(&p, 1, 100) == 0)
            continue;
        n = recv(fd, ptr, len, 0);
        if (n <= 0)
            return false;
        ptr += n;
        len -= (size_t)n;
    }
    return true;
}

void ws_hear_head(int fd, char *head, size_t size)
{
    size_t len = 0;

    do {
        assert_true(len + 1 < size && ws_hear(fd, head + len, 1));
        head[++len] = '\0';
    } while (len < 4 || strcmp(head + len - 4, "\r\n\r\n") != 0);
}

void ws_ask(int fd, const char *target)
{
    char head[2048];

    ws_say(fd, "GET ");
    ws_say(fd, target);
    ws_say(fd, " HTTP/1.1\r\n" UPGRADE "\r\n");
    ws_hear_head(fd, head, sizeof(head));
    if (strncmp(head, "HTTP/1.1 101 Switching Protocols\r\n", 34) != 0) {
        fail_msg("%s: %s", target, head);
    }
}

int ws_dial(const struct ws_bench *bench, const char *target)
{
    int fd = ws_dial_with(bench, 0);

    ws_ask(fd, target);
    return fd;
}

void ws_say_frame(int fd, unsigned char first, const char *ptr, size_t len)
{
    static const unsigned char key[4] = {0x12, 0x34, 0x56, 0x78};
    char *frame = malloc(len + 14);
    size_t head = tars_ws_frame_head(frame, TARS_WS_OP_TEXT, len);

    frame[0] = (char)first;
    frame[1] = (char)(frame[1] | 0x80);
    memcpy(frame + head, key, 4);
    for (size_t i = 0; i < len; i++)
        frame[head + 4 + i] = (char)(ptr[i] ^ key[i % 4]);
    ws_say_n(fd, frame, head + 4 + len);
    free(frame);
}

void ws_say_text(int fd, const char *text)
{
    ws_say_frame(fd, 0x81, text, strlen(text));
}

void ws_say_close(int fd, int code)
{
    char payload[2] = {(char)(code >> 8), (char)(code & 0xff)};

    ws_say_frame(fd, 0x88, payload, 2);
}

int ws_hear_frame(int fd, char **payload, size_t *len)
{
    unsigned char head[10];
    size_t more;

    *payload = NULL;
    *len = 0;
    if (!ws_hear(fd, (char *)head, 2))
        return -1;
    assert_false(head[1] & 0x80);
    more = head[1] == 126 ? 2 : head[1] == 127 ? 8 : 0;
    if (!ws_hear(fd, (char *)head + 2, more))
        return -1;
    *len = more ? 0 : head[1];
    for (size_t i = 0; i < more; i++)
        *len = *len << 8 | head[2 + i];
    *payload = malloc(*len + 1);
    (*payload)[*len] = '\0';
    if (!ws_hear(fd, *payload, *len))
        return -1;
    return head[0];
}

void ws_expect_n(int fd, int first, const char *ptr, size_t len)
{
    char *payload;
    size_t got;
    int byte = ws_hear_frame(fd, &payload, &got);

    if (byte != first || got != len || memcmp(payload, ptr, len) != 0) {
        fail_msg("expected %02x %.40s, got %02x %.40s", (unsigned)first, ptr, (unsigned)byte,
                 payload ? payload : "(the end)");
    }
    free(payload);
}

void ws_expect(int fd, int first, const char *text)
{
    ws_expect_n(fd, first, text, strlen(text));
}

void ws_expect_close(int fd, int code, const char *reason)
{
    char *payload;
    size_t len;
    int first = ws_hear_frame(fd, &payload, &len);
    char rest;
    int got = len >= 2 ? (unsigned char)payload[0] << 8 | (unsigned char)payload[1] : 0;
    bool is_right = first == 0x88 && got == code && (!reason || strcmp(payload + 2, reason) == 0);

    if (!is_right) {
        print_error("got %02x %d %.40s", (unsigned)first, got, len >= 2 ? payload + 2 : "");
    }
    free(payload);
    assert_true(is_right);
    ws_say_close(fd, code);
    assert_false(ws_hear(fd, &rest, 1));
}

void ws_await_in_flight(const struct ws_bench *bench, unsigned wanted)
{
    for (int i = 0; i < PATIENCE_MS && tars_server_stats(bench->server).in_flight < wanted; i++)
        usleep(1000);
    assert_int_equal(tars_server_stats(bench->server).in_flight, wanted);
}

void ws_await(const atomic_int *value, int wanted)
{
    for (int i = 0; i < PATIENCE_MS && atomic_load(value) < wanted; i++)
        usleep(1000);
    assert_int_equal(atomic_load(value), wanted);
}
