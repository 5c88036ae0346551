/* redis_conn - see redis_conn.h for the contract. */
#include "cache/redis_conn.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys/clock.h"

#define READ_BYTES       (16 * 1024)
#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_EACH_S 10
#define KEEPALIVE_COUNT  3
#define ERROR_TEXT_MAX   200 /* of what a server says, in words for people */

/* ------------------------------------------------------------------ waiting */

static tars_status wait_for(const struct tars_redis_conn *conn, short events, int64_t deadline_ms)
{
    struct pollfd fds[2] = {{.fd = conn->fd, .events = events},
                            {.fd = conn->config->stop_fd, .events = POLLIN}};

    for (;;) {
        int64_t left_ms = deadline_ms - tars_clock_mono_ms();
        int ready;

        if (left_ms <= 0)
            return TARS_ETIMEOUT;
        ready = poll(fds, 2, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX);
        if (ready < 0 && errno != EINTR)
            return TARS_EIO;
        if (ready > 0 && fds[0].revents)
            return TARS_OK;
        if (ready > 0 && fds[1].revents)
            return TARS_ECANCELED;
    }
}

/* -------------------------------------------------------------------- bytes */

static tars_status send_bytes(struct tars_redis_conn *conn, struct tars_span bytes,
                              int64_t deadline_ms)
{
    while (bytes.len) {
        ssize_t sent = send(conn->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        tars_status status = TARS_OK;

        if (sent >= 0) {
            bytes = tars_span(bytes.ptr + sent, bytes.len - (size_t)sent);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            status = wait_for(conn, POLLOUT, deadline_ms);
        } else if (errno != EINTR) {
            status = TARS_EIO;
        }
        if (status != TARS_OK)
            return status;
    }
    return TARS_OK;
}

/* What TLS has to tell the other end. */
static tars_status send_wire(struct tars_redis_conn *conn, int64_t deadline_ms)
{
    tars_buf_clear(&conn->wire);
    tars_tls_take(conn->tls, &conn->wire);
    if (conn->wire.status != TARS_OK)
        return conn->wire.status;
    return send_bytes(conn, tars_buf_span(&conn->wire), deadline_ms);
}

/* Some bytes of the network, waited for. */
static tars_status receive(struct tars_redis_conn *conn, char *bytes, size_t cap, size_t *len,
                           int64_t deadline_ms)
{
    for (;;) {
        ssize_t got = recv(conn->fd, bytes, cap, 0);
        tars_status status;

        if (got > 0) {
            *len = (size_t)got;
            return TARS_OK;
        }
        if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
            return TARS_EIO;
        status = wait_for(conn, POLLIN, deadline_ms);
        if (status != TARS_OK)
            return status;
    }
}

/* The same behind TLS: bytes as they were before it. */
static tars_status receive_plain(struct tars_redis_conn *conn, char *bytes, size_t cap, size_t *len,
                                 int64_t deadline_ms)
{
    for (;;) {
        tars_status status = tars_tls_read(conn->tls, bytes, cap, len);

        if (status != TARS_EAGAIN)
            return status == TARS_OK ? TARS_OK : TARS_EIO;
        status = receive(conn, bytes, cap, len, deadline_ms);
        if (status == TARS_OK)
            status = tars_tls_push(conn->tls, bytes, *len);
        if (status != TARS_OK)
            return status;
    }
}

/* ----------------------------------------------------------------- exchange */

void tars_redis_conn_begin(struct tars_redis_conn *conn)
{
    tars_buf_clear(&conn->out);
    tars_arena_clear(&conn->arena);
}

tars_status tars_redis_conn_send(struct tars_redis_conn *conn, int64_t deadline_ms)
{
    tars_status status = conn->out.status;

    if (status != TARS_OK)
        return status;
    if (!conn->tls)
        return send_bytes(conn, tars_buf_span(&conn->out), deadline_ms);
    status = tars_tls_write(conn->tls, conn->out.ptr, conn->out.len);
    return status == TARS_OK ? send_wire(conn, deadline_ms) : status;
}

tars_status tars_redis_conn_reply(struct tars_redis_conn *conn, int64_t deadline_ms,
                                  struct tars_redis_reply **reply)
{
    char bytes[READ_BYTES];

    for (;;) {
        tars_status status = tars_redis_reader_next(conn->reader, &conn->arena, reply);
        size_t len = 0;

        if (status != TARS_EAGAIN)
            return status;
        status = conn->tls ? receive_plain(conn, bytes, sizeof(bytes), &len, deadline_ms)
                           : receive(conn, bytes, sizeof(bytes), &len, deadline_ms);
        if (status == TARS_OK)
            status = tars_redis_reader_feed(conn->reader, bytes, len);
        if (status != TARS_OK)
            return status;
    }
}

tars_status tars_redis_conn_ask(struct tars_redis_conn *conn, int64_t deadline_ms,
                                struct tars_redis_reply **reply)
{
    tars_status status = tars_redis_conn_send(conn, deadline_ms);

    return status == TARS_OK ? tars_redis_conn_reply(conn, deadline_ms, reply) : status;
}

bool tars_redis_conn_is_quiet(struct tars_redis_conn *conn)
{
    size_t len;
    char byte;

    if (!tars_redis_reader_is_empty(conn->reader) ||
        (conn->tls && tars_tls_read(conn->tls, &byte, 1, &len) != TARS_EAGAIN))
        return false;
    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* ------------------------------------------------------------------ opening */

/* Without these it works too, only later. */
static void tune(int fd)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EACH_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof(options[i].value));
    }
}

/* One address of a name. */
static tars_status connect_one(struct tars_redis_conn *conn, const struct addrinfo *at,
                               int64_t deadline_ms, int *error)
{
    socklen_t size = sizeof(*error);
    tars_status status;

    conn->fd = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        *error = errno;
        return TARS_EUNAVAILABLE;
    }
    tune(conn->fd);
    *error = 0;
    if (connect(conn->fd, at->ai_addr, at->ai_addrlen) == 0)
        return TARS_OK;
    *error = errno;
    if (errno != EINPROGRESS)
        return TARS_EUNAVAILABLE;
    status = wait_for(conn, POLLOUT, deadline_ms);
    if (status != TARS_OK)
        return status;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, error, &size) != 0)
        *error = errno;
    return *error ? TARS_EUNAVAILABLE : TARS_OK;
}

static tars_status connect_any(struct tars_redis_conn *conn,
                               const struct tars_redis_address *address, int64_t deadline_ms,
                               struct tars_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    tars_status status = TARS_EUNAVAILABLE;
    char port[8];
    int error = 0;
    int failed;

    (void)snprintf(port, sizeof(port), "%d", address->port);
    failed = getaddrinfo(address->host, port, &hints, &found);
    if (failed) {
        return tars_fail(TARS_EUNAVAILABLE, err, "the name %s is not found (%s)", address->host,
                         gai_strerror(failed));
    }
    for (struct addrinfo *at = found; at && status == TARS_EUNAVAILABLE; at = at->ai_next) {
        if (conn->fd >= 0)
            close(conn->fd);
        status = connect_one(conn, at, deadline_ms, &error);
    }
    freeaddrinfo(found);
    if (status == TARS_EUNAVAILABLE) {
        char words[128];

        return tars_fail(status, err, "%s:%d: %s", address->host, address->port,
                         strerror_r(error, words, sizeof(words)));
    }
    if (status == TARS_ETIMEOUT)
        tars_fail(status, err, "%s:%d does not answer", address->host, address->port);
    return status;
}

static tars_status start_tls(struct tars_redis_conn *conn, const struct tars_redis_address *address,
                             int64_t deadline_ms, struct tars_err *err)
{
    tars_status status = tars_tls_client_new(conn->config->tls, address->host, &conn->tls);
    char bytes[READ_BYTES];

    while (status == TARS_OK) {
        size_t len = 0;
        tars_status shaken = tars_tls_handshake(conn->tls);

        status = send_wire(conn, deadline_ms);
        if (shaken == TARS_EFORMAT) {
            return tars_fail(TARS_EDENIED, err, "%s:%d: no TLS: %s", address->host, address->port,
                             tars_tls_client_reason(conn->tls));
        }
        if (status != TARS_OK || shaken == TARS_OK)
            break;
        status = receive(conn, bytes, sizeof(bytes), &len, deadline_ms);
        if (status == TARS_OK)
            status = tars_tls_push(conn->tls, bytes, len);
    }
    if (status != TARS_OK) {
        tars_fail(status, err, "%s:%d: TLS did not come about: %s", address->host, address->port,
                  status == TARS_EIO ? "the other end hung up" : tars_status_text(status));
    }
    return status;
}

/* ----------------------------------------------------------- who we are */

enum step { STEP_AUTH, STEP_NAME, STEP_DB, STEP_ROLE, STEP_PING, STEPS };

static bool is_given(const char *text)
{
    return text && *text;
}

static bool wants(const struct tars_redis_conn_config *config, enum step step)
{
    switch (step) {
    case STEP_AUTH:
        return is_given(config->password);
    case STEP_DB:
        return config->db != 0;
    case STEP_ROLE:
        return config->must_be_master;
    case STEP_NAME:
    case STEP_PING:
    case STEPS:
        break;
    }
    return true;
}

static void say_step(struct tars_redis_conn *conn, enum step step)
{
    const struct tars_redis_conn_config *config = conn->config;

    switch (step) {
    case STEP_AUTH:
        if (is_given(config->username)) {
            tars_redis_say(&conn->out, "AUTH", config->username, config->password);
        } else {
            tars_redis_say(&conn->out, "AUTH", config->password);
        }
        break;
    case STEP_NAME:
        tars_redis_say(&conn->out, "CLIENT", "SETNAME", "tars");
        break;
    case STEP_DB:
        tars_redis_command(&conn->out, 2);
        tars_redis_arg(&conn->out, tars_span_of("SELECT"));
        tars_redis_arg_int(&conn->out, config->db);
        break;
    case STEP_ROLE:
        tars_redis_say(&conn->out, "ROLE");
        break;
    case STEP_PING:
    case STEPS:
        tars_redis_say(&conn->out, "PING");
        break;
    }
}

static tars_status refused(tars_status status, const struct tars_redis_address *address,
                           const char *what, const struct tars_redis_reply *reply,
                           struct tars_err *err)
{
    int len = (int)(reply->text.len < ERROR_TEXT_MAX ? reply->text.len : ERROR_TEXT_MAX);

    return tars_fail(status, err, "%s:%d: %s: %.*s", address->host, address->port, what, len,
                     reply->text.ptr ? reply->text.ptr : "");
}

static tars_status hear_step(enum step step, const struct tars_redis_address *address,
                             const struct tars_redis_reply *reply, struct tars_err *err)
{
    bool is_error = reply->type == TARS_REDIS_ERROR;

    if (tars_redis_reply_is_error(reply, "NOAUTH") && step != STEP_NAME)
        return refused(TARS_EDENIED, address, "a password is needed", reply, err);
    switch (step) {
    case STEP_AUTH:
        if (is_error)
            return refused(TARS_EDENIED, address, "user name or password is wrong", reply, err);
        break;
    case STEP_DB:
        if (is_error)
            return refused(TARS_EDENIED, address, "the database cannot be selected", reply, err);
        break;
    case STEP_ROLE:
        if (is_error)
            return refused(TARS_EDENIED, address, "its role is not told", reply, err);
        if (reply->type != TARS_REDIS_ARRAY || reply->count == 0 ||
            !tars_redis_reply_is(reply->items[0], "master")) {
            return tars_fail(TARS_EMISMATCH, err, "%s:%d is not the master (yet)", address->host,
                             address->port);
        }
        break;
    case STEP_PING:
        if (!tars_redis_reply_is(reply, "PONG"))
            return refused(TARS_EUNAVAILABLE, address, "not ready", reply, err);
        break;
    case STEP_NAME: /* only for who looks at the list of clients */
    case STEPS:
        break;
    }
    return TARS_OK;
}

static tars_status hear_steps(struct tars_redis_conn *conn,
                              const struct tars_redis_address *address, int64_t deadline_ms,
                              struct tars_err *err)
{
    for (int step = 0; step < STEPS; step++) {
        struct tars_redis_reply *reply = NULL;
        tars_status status;

        if (!wants(conn->config, (enum step)step))
            continue;
        status = tars_redis_conn_reply(conn, deadline_ms, &reply);
        if (status == TARS_OK)
            status = hear_step((enum step)step, address, reply, err);
        if (status != TARS_OK)
            return status;
    }
    return TARS_OK;
}

static const char *words_of(const struct tars_redis_conn *conn, tars_status status)
{
    if (status == TARS_EFORMAT)
        return "what answers there is not Redis";
    if (status == TARS_EIO && conn->tls)
        return "the other end hung up; does it want a certificate?";
    if (status == TARS_EIO)
        return "the other end hung up; does it want TLS?";
    return tars_status_text(status);
}

static tars_status introduce(struct tars_redis_conn *conn, const struct tars_redis_address *address,
                             int64_t deadline_ms, struct tars_err *err)
{
    struct tars_err why = {""};
    tars_status status;

    tars_redis_conn_begin(conn);
    for (int step = 0; step < STEPS; step++) {
        if (wants(conn->config, (enum step)step))
            say_step(conn, (enum step)step);
    }
    status = tars_redis_conn_send(conn, deadline_ms);
    if (status == TARS_OK)
        status = hear_steps(conn, address, deadline_ms, &why);
    if (status == TARS_OK)
        return TARS_OK;
    if (why.text[0])
        return tars_fail(status, err, "%s", why.text);
    return tars_fail(status, err, "%s:%d: %s", address->host, address->port,
                     words_of(conn, status));
}

static tars_status make(const struct tars_redis_conn_config *config, struct tars_redis_conn **conn)
{
    struct tars_redis_conn *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->fd = -1;
    made->config = config;
    tars_buf_init(&made->out, TARS_REDIS_REPLY_MAX);
    tars_buf_init(&made->wire, TARS_REDIS_REPLY_MAX);
    tars_arena_init(&made->arena, TARS_REDIS_REPLY_MAX);
    if (tars_redis_reader_new(TARS_REDIS_REPLY_MAX, &made->reader) != TARS_OK) {
        tars_redis_conn_close(made);
        return TARS_ENOMEM;
    }
    *conn = made;
    return TARS_OK;
}

tars_status tars_redis_conn_open(const struct tars_redis_address *address,
                                 const struct tars_redis_conn_config *config, int64_t deadline_ms,
                                 struct tars_redis_conn **conn, struct tars_err *err)
{
    struct tars_redis_conn *made = NULL;
    tars_status status = make(config, &made);

    if (status != TARS_OK)
        return tars_fail(status, err, "no memory for a connection");
    status = connect_any(made, address, deadline_ms, err);
    if (status == TARS_OK && config->tls)
        status = start_tls(made, address, deadline_ms, err);
    if (status == TARS_OK)
        status = introduce(made, address, deadline_ms, err);
    if (status != TARS_OK) {
        tars_redis_conn_close(made);
        return status;
    }
    *conn = made;
    return TARS_OK;
}

void tars_redis_conn_close(struct tars_redis_conn *conn)
{
    if (!conn)
        return;
    if (conn->fd >= 0)
        close(conn->fd);
    tars_tls_free(conn->tls);
    tars_redis_reader_free(conn->reader);
    tars_arena_release(&conn->arena);
    tars_buf_release(&conn->wire);
    tars_buf_release(&conn->out);
    free(conn);
}
