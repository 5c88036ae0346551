/* conn - see conn.h for the contract. */
#include "net/conn.h"

#include <stdlib.h>

#include "base/sys/clock.h"

/* A write under way; it owns the bytes. */
struct out {
    uv_write_t request;
    struct tars_conn *conn;
    char *bytes;
    size_t len;
};

static struct tars_conn *conn_of(void *handle)
{
    return ((uv_handle_t *)handle)->data;
}

/* ------------------------------------------------------------------ closing */

static void closed(uv_handle_t *handle)
{
    struct tars_conn *conn = handle->data;

    tars_tls_free(conn->tls);
    conn->tls = NULL;
    conn->protocol->on_closed(conn);
}

static void link_in(struct tars_conn *conn)
{
    conn->prev = NULL;
    conn->next = conn->group->first;
    if (conn->next)
        conn->next->prev = conn;
    conn->group->first = conn;
}

static void link_out(struct tars_conn *conn)
{
    if (conn->prev) {
        conn->prev->next = conn->next;
    } else {
        conn->group->first = conn->next;
    }
    if (conn->next)
        conn->next->prev = conn->prev;
}

void tars_conn_close(struct tars_conn *conn)
{
    if (conn->is_closing)
        return;
    conn->is_closing = true;
    link_out(conn);
    uv_close((uv_handle_t *)&conn->tcp, closed);
}

static void was_shut(uv_shutdown_t *request, int status)
{
    struct tars_conn *conn = request->data;

    conn->is_shut = true;
    if (status < 0 || conn->has_eof)
        tars_conn_close(conn);
}

/* ------------------------------------------------------------------ writing */

static void wrote(uv_write_t *request, int status)
{
    struct out *out = request->data;
    struct tars_conn *conn = out->conn;

    conn->unsent -= out->len;
    conn->progress_ms = tars_clock_mono_ms();
    free(out->bytes);
    free(out);
    if (status < 0)
        tars_conn_close(conn);
    if (!conn->is_closing && conn->is_open)
        conn->protocol->on_sent(conn);
}

/* Queue what the socket did not take at once. Takes bytes. */
static void enqueue(struct tars_conn *conn, char *bytes, size_t len, size_t done)
{
    struct out *out = malloc(sizeof(*out));
    uv_buf_t rest;

    if (!out) {
        free(bytes);
        tars_conn_close(conn);
        return;
    }
    *out = (struct out){.conn = conn, .bytes = bytes, .len = len - done};
    out->request.data = out;
    if (conn->unsent == 0)
        conn->progress_ms = tars_clock_mono_ms();
    conn->unsent += out->len;
    rest = uv_buf_init(bytes + done, (unsigned)out->len);
    if (uv_write(&out->request, (uv_stream_t *)&conn->tcp, &rest, 1, wrote)) {
        conn->unsent -= out->len;
        free(out->bytes);
        free(out);
        tars_conn_close(conn);
    }
}

/* Takes bytes. Most answers fit into the socket's buffer and need no queue. */
static void send_raw(struct tars_conn *conn, char *bytes, size_t len)
{
    size_t done = 0;

    if (conn->unsent == 0 && len) {
        uv_buf_t all = uv_buf_init(bytes, (unsigned)len);
        int sent = uv_try_write((uv_stream_t *)&conn->tcp, &all, 1);

        if (sent < 0 && sent != UV_EAGAIN) {
            free(bytes);
            tars_conn_close(conn);
            return;
        }
        done = sent > 0 ? (size_t)sent : 0;
    }
    if (done == len) {
        free(bytes);
    } else {
        enqueue(conn, bytes, len, done);
    }
}

/* Send what TLS has ready. expected is a hint of how much that is. */
static void send_cipher(struct tars_conn *conn, size_t expected)
{
    struct tars_buf out;

    tars_buf_init(&out, 2 * expected + TARS_CONN_READ_BYTES);
    tars_tls_take(conn->tls, &out);
    if (out.status)
        tars_conn_close(conn);
    if (conn->is_closing || out.len == 0) {
        tars_buf_release(&out);
        return;
    }
    send_raw(conn, out.ptr, out.len);
}

void tars_conn_write(struct tars_conn *conn, char *bytes, size_t len)
{
    tars_status status;

    if (conn->is_closing || conn->is_finishing || len == 0 || len > INT32_MAX) {
        free(bytes);
        if (len > INT32_MAX)
            tars_conn_close(conn);
        return;
    }
    if (!conn->tls) {
        send_raw(conn, bytes, len);
        return;
    }
    status = tars_tls_write(conn->tls, bytes, len);
    free(bytes);
    if (status) {
        tars_conn_close(conn);
    } else {
        send_cipher(conn, len);
    }
}

void tars_conn_finish(struct tars_conn *conn)
{
    if (conn->is_finishing || conn->is_closing)
        return;
    if (conn->tls) {
        tars_tls_bye(conn->tls);
        send_cipher(conn, 0);
    }
    conn->is_finishing = true;
    conn->shutdown.data = conn;
    if (!conn->is_closing && uv_shutdown(&conn->shutdown, (uv_stream_t *)&conn->tcp, was_shut))
        tars_conn_close(conn);
}

/* ------------------------------------------------------------------ who it is */

uint16_t tars_conn_peer(const struct tars_conn *conn, char *text, size_t size)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    int len = sizeof(address);

    text[0] = '\0';
    if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&address, &len))
        return 0;
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;

        uv_ip6_name(in6, text, size);
        return ntohs(in6->sin6_port);
    }
    uv_ip4_name((const struct sockaddr_in *)&address, text, size);
    return ntohs(((const struct sockaddr_in *)&address)->sin_port);
}

/* ------------------------------------------------------------------ reading */

static void open_up(struct tars_conn *conn)
{
    conn->is_open = true;
    conn->deadline_ms = 0;
    conn->protocol->on_open(conn);
}

static void give_plain(struct tars_conn *conn)
{
    struct tars_conn_group *group = conn->group;
    tars_status status = TARS_OK;
    size_t len = 0;

    while (!conn->is_closing && !status) {
        status = tars_tls_read(conn->tls, group->plain, sizeof(group->plain), &len);
        if (!status)
            conn->protocol->on_bytes(conn, group->plain, len);
    }
    if (conn->is_closing)
        return;
    send_cipher(conn, 0); /* answers to key updates, alerts */
    if (conn->is_closing || status == TARS_EAGAIN)
        return;
    if (status == TARS_ENOTFOUND && !conn->has_eof) {
        conn->has_eof = true;
        conn->protocol->on_eof(conn);
    } else if (status != TARS_ENOTFOUND) {
        tars_conn_close(conn);
    }
}

static void take_cipher(struct tars_conn *conn, const char *ptr, size_t len)
{
    tars_status status = tars_tls_push(conn->tls, ptr, len);

    if (!status && !conn->is_open) {
        status = tars_tls_handshake(conn->tls);
        send_cipher(conn, 0);
        if (status == TARS_EAGAIN || conn->is_closing)
            return;
        if (status) {
            atomic_fetch_add_explicit(conn->group->tls_failures, 1, memory_order_relaxed);
        } else {
            open_up(conn);
        }
    }
    if (status) {
        tars_conn_close(conn);
    } else if (!conn->is_closing) {
        give_plain(conn);
    }
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct tars_conn *conn = handle->data;

    (void)suggested;
    *buf = uv_buf_init(conn->group->scratch, sizeof(conn->group->scratch));
}

static void got_end(struct tars_conn *conn, ssize_t error)
{
    uv_read_stop((uv_stream_t *)&conn->tcp);
    if (error != UV_EOF || !conn->is_open || conn->is_shut) {
        tars_conn_close(conn);
        return;
    }
    if (!conn->has_eof) {
        conn->has_eof = true;
        conn->protocol->on_eof(conn);
    }
}

static void got_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct tars_conn *conn = conn_of(stream);

    if (n == 0 || conn->is_closing)
        return;
    if (n < 0) {
        got_end(conn, n);
    } else if (conn->tls) {
        take_cipher(conn, buf->base, (size_t)n);
    } else {
        conn->protocol->on_bytes(conn, buf->base, (size_t)n);
    }
}

bool tars_conn_has_input(const struct tars_conn *conn)
{
    uv_os_fd_t fd;
    char byte;

    return uv_fileno((const uv_handle_t *)&conn->tcp, &fd) == 0 &&
           recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void tars_conn_pause(struct tars_conn *conn)
{
    if (conn->is_paused || conn->is_closing)
        return;
    conn->is_paused = true;
    uv_read_stop((uv_stream_t *)&conn->tcp);
}

void tars_conn_resume(struct tars_conn *conn)
{
    if (!conn->is_paused || conn->is_closing)
        return;
    conn->is_paused = false;
    if (uv_read_start((uv_stream_t *)&conn->tcp, lend_buffer, got_bytes))
        tars_conn_close(conn);
}

/* ------------------------------------------------------------------- births */

tars_status tars_conn_accept(struct tars_conn *conn, struct tars_conn_group *group,
                             const struct tars_conn_protocol *protocol, uv_stream_t *listener,
                             struct tars_tls_context *context)
{
    tars_status status = TARS_OK;

    *conn = (struct tars_conn){.group = group, .protocol = protocol};
    if (context)
        status = tars_tls_new(context, &conn->tls);
    if (status)
        return status;
    if (uv_tcp_init(&group->loop->uv, &conn->tcp)) {
        tars_tls_free(conn->tls);
        return TARS_ENOMEM;
    }
    conn->tcp.data = conn;
    link_in(conn);
    if (uv_accept(listener, (uv_stream_t *)&conn->tcp) ||
        uv_read_start((uv_stream_t *)&conn->tcp, lend_buffer, got_bytes)) {
        tars_conn_close(conn);
        return TARS_EIO;
    }
    uv_tcp_nodelay(&conn->tcp, 1);
    if (context) {
        conn->deadline_ms = tars_clock_mono_ms() + group->handshake_timeout_ms;
    } else {
        open_up(conn);
    }
    return TARS_OK;
}

/* ---------------------------------------------------------------- deadlines */

static bool has_stalled(struct tars_conn *conn, int64_t now_ms)
{
    size_t queue = uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);

    if (queue != conn->queue_seen) {
        conn->queue_seen = queue;
        conn->progress_ms = now_ms;
        return false;
    }
    return now_ms - conn->progress_ms >= conn->group->write_timeout_ms;
}

static void look_at(struct tars_conn *conn, int64_t now_ms)
{
    if (conn->unsent && has_stalled(conn, now_ms)) {
        atomic_fetch_add_explicit(conn->group->timeouts, 1, memory_order_relaxed);
        conn->progress_ms = now_ms;
        if (conn->is_open && conn->protocol->on_stalled) {
            conn->protocol->on_stalled(conn);
        } else {
            tars_conn_close(conn);
        }
    } else if (conn->deadline_ms && now_ms >= conn->deadline_ms) {
        conn->deadline_ms = 0;
        if (conn->is_open) {
            conn->protocol->on_timeout(conn);
        } else {
            atomic_fetch_add_explicit(conn->group->timeouts, 1, memory_order_relaxed);
            tars_conn_close(conn);
        }
    }
}

void tars_conn_tick(struct tars_conn_group *group)
{
    int64_t now_ms = tars_clock_mono_ms();
    struct tars_conn *next;

    for (struct tars_conn *conn = group->first; conn; conn = next) {
        next = conn->next; /* look_at() closes at most conn itself */
        look_at(conn, now_ms);
    }
}
