/* websocket - see websocket.h for the contract.
 *
 *     any thread:  _send() ---> ws_queue ------ job -------.
 *     loop thread:                                         v
 *                  a slice of frames, 64 KiB at most ---> connection ---> sent: next slice
 *
 * One slice is under way at a time, so that a reader's pace shows slice by slice, and what waits
 * can be counted. Small messages that wait together leave together, each with its head, in one
 * write.
 *
 *     OPENING -> OPEN -> LEAVING -> CLOSING -> LINGER    we close, after what is queued
 *                   \--------------------------^          the other end closed, or broke a rule
 *
 * INVARIANTS
 *
 *   1. is_open is false from the moment a close was asked for, came, or became necessary; code and
 *      reason are set with it, once, and never change.
 *   2. After LINGER has begun no function of the handler is called but on_close().
 *   3. on_close() is called by settle() or at the connection's end, never from within another
 *      function of the handler.
 *   4. A job is posted only while is_open or the connection is there, under the lock: the loop
 *      outlives its connections, so it is there too.
 */
#include "net/websocket.h"

#include <assert.h>
#include <stdlib.h>

#include "base/sys/clock.h"
#include "net/conn.h"
#include "net/reply_internal.h"
#include "net/session.h"
#include "net/ws_frame.h"
#include "net/ws_handshake.h"
#include "net/ws_queue.h"

#define SLICE_MAX   65536
#define PONGS_MAX   16   /* that one read may cause at once; after it the newest ping is answered */
#define STOP_MS     1000 /* in place of close_ms when the server stops */
#define LEAVE_TIMES 2    /* write_timeout_ms, for what is queued before our close frame */
#define LINGER_MS   2000 /* for the other end to say goodbye */
#define NS_PER_MS   1000000LL
#define QUEUE_MAX   ((size_t)1 << 30) /* bytes */
#define CODE_BROKEN 1006

enum phase { OPENING, OPEN, LEAVING, CLOSING, LINGER };

struct tars_ws {
    struct tars_loop_job job; /* flush; first, so that a job is cast back to its socket */
    struct tars_loop *loop;
    struct tars_net_shared *shared; /* loop thread, while conn is set */
    const struct tars_ws_handler *handler;
    void *ctx;
    atomic_int refs;

    int64_t ping_ms, pong_ms, idle_ms, arrive_ms, close_ms, write_timeout_ms; /* constants */
    char *idle_message;                                                       /* owned, or NULL */

    struct tars_conn *conn; /* from here on: loop thread only */
    enum phase phase;
    bool is_reading, is_told;
    uint8_t pongs_left; /* of PONGS_MAX, in this read */
    int64_t heard_ms;   /* the last byte */
    int64_t message_ms; /* the last whole message */
    int64_t began_ms;   /* the message under way; 0: none */
    int64_t pinged_ms;  /* our ping that nothing came after; 0: none */
    struct tars_ws_reader reader;
    struct tars_buf message; /* the pieces of the message under way */
    size_t charged;          /* bytes of message counted in shared->bodies_bytes */

    atomic_bool is_open; /* read by anybody; written under lock */
    uv_mutex_t lock;     /* guards all below */
    uv_cond_t room;      /* signalled when something was sent, and when is_open ends */
    struct tars_ws_queue queue;
};

/* --------------------------------------------------------------- life cycle */

void tars_ws_ref(struct tars_ws *ws)
{
    atomic_fetch_add_explicit(&ws->refs, 1, memory_order_relaxed);
}

void tars_ws_unref(struct tars_ws *ws)
{
    if (!ws || atomic_fetch_sub_explicit(&ws->refs, 1, memory_order_acq_rel) != 1)
        return;
    tars_ws_queue_release(&ws->queue);
    tars_buf_release(&ws->message);
    uv_cond_destroy(&ws->room);
    uv_mutex_destroy(&ws->lock);
    free(ws->idle_message);
    free(ws);
}

/* From here on nothing is taken to be sent. Under the lock. */
static void begin_close(struct tars_ws *ws, int code, const char *reason)
{
    if (!atomic_load(&ws->is_open))
        return;
    atomic_store(&ws->is_open, false);
    tars_ws_queue_close(&ws->queue, code, reason);
    uv_cond_broadcast(&ws->room);
}

/* Have the loop look at the socket. Under the lock. */
static void schedule(struct tars_ws *ws)
{
    if (ws->queue.is_close_taken)
        return;
    tars_ws_ref(ws);
    if (!tars_loop_post(ws->loop, &ws->job)) /* the queue has one already; ours is not the last */
        atomic_fetch_sub_explicit(&ws->refs, 1, memory_order_relaxed);
}

/* ------------------------------------------------------------------ sending */

/* Give a slice to the connection, of at most max bytes and control frames. False: there was none.
 */
static bool send_slice(struct tars_ws *ws, size_t max)
{
    char *bytes = NULL;
    size_t len = 0;
    tars_status status;

    uv_mutex_lock(&ws->lock);
    if (ws->conn->unsent == 0) {
        tars_ws_queue_landed(&ws->queue);
        uv_cond_broadcast(&ws->room);
    }
    status = tars_ws_queue_take(&ws->queue, max, &bytes, &len);
    if (status == TARS_ENOMEM)
        begin_close(ws, 1011, "out of memory");
    uv_mutex_unlock(&ws->lock);
    if (status == TARS_OK) {
        tars_conn_write(ws->conn, bytes, len);
    } else if (status == TARS_ENOMEM) {
        tars_conn_close(ws->conn);
    }
    return status == TARS_OK;
}

/* The last words, whatever is under way, and the end. */
static void finish(struct tars_ws *ws)
{
    if (ws->phase == LINGER || !ws->conn || ws->conn->is_closing)
        return;
    ws->phase = LINGER;
    (void)send_slice(ws, SIZE_MAX);
    if (ws->conn->is_closing)
        return;
    ws->conn->deadline_ms = tars_clock_mono_ms() + LINGER_MS;
    tars_conn_resume(ws->conn);
    tars_conn_finish(ws->conn);
}

static void fail(struct tars_ws *ws, int code, const char *why)
{
    uv_mutex_lock(&ws->lock);
    begin_close(ws, code, why);
    uv_mutex_unlock(&ws->lock);
    finish(ws);
}

/* Send what can be sent. */
static void flush(struct tars_ws *ws)
{
    while (ws->conn && !ws->conn->is_closing && ws->phase != LINGER && ws->conn->unsent == 0 &&
           send_slice(ws, SLICE_MAX)) {
    }
    if (!ws->conn)
        return;
    if (ws->phase == OPEN && !tars_ws_is_open(ws)) {
        ws->phase = LEAVING;
        ws->conn->deadline_ms = tars_clock_mono_ms() + LEAVE_TIMES * ws->write_timeout_ms;
    }
    if (ws->phase == LEAVING && ws->queue.is_close_taken) {
        bool is_stopping = atomic_load_explicit(&ws->shared->is_stopping, memory_order_relaxed);

        ws->phase = CLOSING;
        ws->conn->deadline_ms = tars_clock_mono_ms() + (is_stopping ? STOP_MS : ws->close_ms);
    }
}

/* ------------------------------------------------------------------ the end */

static void drop_message(struct tars_ws *ws)
{
    tars_buf_release(&ws->message);
    ws->began_ms = 0;
    if (ws->charged)
        atomic_fetch_sub(&ws->shared->bodies_bytes, ws->charged);
    ws->charged = 0;
}

static void tell(struct tars_ws *ws)
{
    if (ws->is_told)
        return;
    ws->is_told = true;
    uv_mutex_lock(&ws->lock);
    begin_close(ws, CODE_BROKEN, "");
    uv_mutex_unlock(&ws->lock);
    ws->handler->on_close(ws->ctx, ws, ws->queue.code, ws->queue.reason);
}

/* At the end of what the loop has us do: if that was the socket's end, say so. */
static void settle(struct tars_ws *ws)
{
    if (ws->phase != LINGER || ws->is_told)
        return;
    drop_message(ws);
    tell(ws);
}

/* ---------------------------------------------------------------- deadlines */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When the message under way must be there: each byte buys time, but not without end. */
static int64_t arrives_by(const struct tars_ws *ws)
{
    return ws->began_ms + ws->arrive_ms + (int64_t)ws->message.len;
}

/* The next moment to look. Bytes and messages that come only move it away, so it is worked out
 * when it is reached. */
static void arm(struct tars_ws *ws)
{
    int64_t due = INT64_MAX;

    if (ws->phase != OPEN)
        return;
    if (ws->pinged_ms) {
        due = ws->pinged_ms + ws->pong_ms;
    } else if (ws->ping_ms > 0) {
        due = ws->heard_ms + ws->ping_ms;
    }
    if (ws->idle_ms > 0)
        due = earlier(due, ws->message_ms + ws->idle_ms);
    if (ws->began_ms)
        due = earlier(due, arrives_by(ws));
    ws->conn->deadline_ms = due == INT64_MAX ? 0 : due;
}

static void say_ping(struct tars_ws *ws, int64_t now_ms)
{
    if (ws->conn->unsent) { /* it would wait, and so would the pong; the reader's pace is watched */
        ws->heard_ms = now_ms;
        return;
    }
    ws->pinged_ms = now_ms;
    uv_mutex_lock(&ws->lock);
    tars_ws_queue_ping(&ws->queue);
    uv_mutex_unlock(&ws->lock);
    flush(ws);
}

static void close_idle(struct tars_ws *ws)
{
    if (ws->idle_message) {
        tars_status status =
            tars_ws_send(ws, TARS_WS_TEXT, ws->idle_message, strlen(ws->idle_message));

        (void)status; /* where there is no room, nobody reads */
    }
    tars_ws_close(ws, 1001, "idle");
    flush(ws);
}

static void look_at(struct tars_ws *ws, int64_t now_ms)
{
    if (ws->began_ms && now_ms >= arrives_by(ws)) {
        fail(ws, 1008, "the message took too long to arrive");
    } else if (ws->idle_ms > 0 && now_ms >= ws->message_ms + ws->idle_ms) {
        close_idle(ws);
    } else if (ws->pinged_ms && now_ms >= ws->pinged_ms + ws->pong_ms) {
        fail(ws, 1008, "no answer to a ping");
    } else if (!ws->pinged_ms && ws->ping_ms > 0 && now_ms >= ws->heard_ms + ws->ping_ms) {
        say_ping(ws, now_ms);
    }
    if (!ws->conn->is_closing)
        arm(ws);
}

/* ---------------------------------------------------------------- receiving */

/* Keep a piece. False when the socket had to be closed. */
static bool keep(struct tars_ws *ws, struct tars_span data)
{
    struct tars_net_shared *shared = ws->shared;
    size_t before = ws->message.cap;
    size_t more;

    tars_buf_append(&ws->message, data.len ? data.ptr : "", data.len);
    more = ws->message.cap - before;
    ws->charged += more;
    if (ws->message.status) {
        fail(ws, 1011, "out of memory");
    } else if (atomic_fetch_add(&shared->bodies_bytes, more) + more > shared->max_bodies_bytes) {
        fail(ws, 1013, "too much at once; try again later");
    } else {
        return true;
    }
    return false;
}

static void take_piece(struct tars_ws *ws, const struct tars_ws_event *event)
{
    struct tars_span whole = event->data;

    if (!atomic_load_explicit(&ws->is_open, memory_order_relaxed))
        return;
    if (!event->is_first || !event->is_last) {
        if (event->is_first) {
            ws->began_ms = ws->heard_ms;
            arm(ws);
        }
        if (!keep(ws, event->data) || !event->is_last)
            return;
        whole = tars_buf_span(&ws->message);
    }
    ws->message_ms = ws->heard_ms;
    ws->handler->on_message(ws->ctx, ws, (enum tars_ws_kind)event->opcode,
                            whole.len ? whole.ptr : "", whole.len);
    drop_message(ws);
}

static void take_ping(struct tars_ws *ws, struct tars_span data)
{
    uv_mutex_lock(&ws->lock);
    tars_ws_queue_pong(&ws->queue, data);
    uv_mutex_unlock(&ws->lock);
    if (ws->pongs_left) {
        ws->pongs_left--;
        flush(ws);
    }
}

/* The other end's close frame: the answer to ours, or the first, and then ours says the same. */
static void take_close(struct tars_ws *ws, const struct tars_ws_event *event)
{
    char reason[TARS_WS_REASON_MAX + 1];

    memcpy(reason, event->data.ptr, event->data.len);
    reason[event->data.len] = '\0';
    uv_mutex_lock(&ws->lock);
    begin_close(ws, event->code, reason);
    uv_mutex_unlock(&ws->lock);
    finish(ws);
}

static void take(struct tars_ws *ws, const struct tars_ws_event *event)
{
    switch (event->opcode) {
    case TARS_WS_OP_CLOSE:
        take_close(ws, event);
        return;
    case TARS_WS_OP_PING:
        take_ping(ws, event->data);
        break;
    case TARS_WS_OP_PONG:
        break;
    default:
        take_piece(ws, event);
        return;
    }
    if (ws->handler->on_alive && ws->phase == OPEN)
        ws->handler->on_alive(ws->ctx, ws);
}

/* ------------------------------------------------- the connection's functions */

static void on_open(struct tars_conn *conn)
{
    struct tars_ws *ws = conn->ctx;

    ws->conn = conn;
    ws->phase = OPEN;
    ws->heard_ms = ws->message_ms = tars_clock_mono_ms();
    arm(ws);
    flush(ws);
}

static void on_bytes(struct tars_conn *conn, char *ptr, size_t len)
{
    struct tars_ws *ws = conn->ctx;
    tars_status status = TARS_OK;

    if (ws->phase == LINGER)
        return;
    ws->heard_ms = tars_clock_mono_ms();
    ws->pinged_ms = 0;
    ws->pongs_left = PONGS_MAX;
    ws->is_reading = true;
    while (ws->phase != LINGER && !conn->is_closing && !status) {
        struct tars_ws_event event;

        status = tars_ws_reader_next(&ws->reader, &ptr, &len, &event);
        if (!status)
            take(ws, &event);
    }
    ws->is_reading = false;
    if (status == TARS_EFORMAT)
        fail(ws, ws->reader.code, ws->reader.why);
    flush(ws);
    settle(ws);
}

static void on_eof(struct tars_conn *conn)
{
    struct tars_ws *ws = conn->ctx;

    if (ws->phase != LINGER || conn->is_shut)
        tars_conn_close(conn);
}

static void on_sent(struct tars_conn *conn)
{
    struct tars_ws *ws = conn->ctx;

    flush(ws);
    settle(ws);
}

static void on_timeout(struct tars_conn *conn)
{
    struct tars_ws *ws = conn->ctx;

    if (ws->phase == OPEN) {
        look_at(ws, tars_clock_mono_ms());
        settle(ws);
    } else {
        tars_conn_close(conn);
    }
}

/* It takes nothing. Should it ever read on, it reads why this was the end. */
static void on_stalled(struct tars_conn *conn)
{
    struct tars_ws *ws = conn->ctx;

    if (ws->phase == LINGER) {
        tars_conn_close(conn);
        return;
    }
    uv_mutex_lock(&ws->lock);
    tars_ws_queue_drop(&ws->queue);
    uv_mutex_unlock(&ws->lock);
    fail(ws, 1008, "the client does not read");
    settle(ws);
}

static void on_stop(struct tars_conn *conn, bool is_late)
{
    struct tars_ws *ws = conn->ctx;

    if (ws->phase != OPEN)
        return;
    if (ws->handler->on_stop && tars_ws_is_open(ws)) {
        ws->handler->on_stop(ws->ctx, ws, is_late);
    } else {
        tars_ws_close(ws, 1001, "the server stops");
    }
    flush(ws);
}

static void on_closed(struct tars_conn *conn)
{
    struct tars_ws *ws = conn->ctx;

    drop_message(ws);
    tell(ws);
    uv_mutex_lock(&ws->lock);
    ws->queue.is_close_taken = true; /* nothing is scheduled any more */
    tars_ws_queue_release(&ws->queue);
    ws->conn = NULL;
    uv_mutex_unlock(&ws->lock);
    ws->phase = LINGER;
    tars_session_release(conn);
    tars_ws_unref(ws);
}

static const struct tars_conn_protocol websocket = {
    .on_open = on_open,
    .on_bytes = on_bytes,
    .on_eof = on_eof,
    .on_sent = on_sent,
    .on_timeout = on_timeout,
    .on_stalled = on_stalled,
    .on_stop = on_stop,
    .on_closed = on_closed,
};

/* The client left before the 101 was sent. */
static void lost(void *ctx)
{
    struct tars_ws *ws = ctx;

    tell(ws);
    uv_mutex_lock(&ws->lock);
    ws->queue.is_close_taken = true;
    uv_mutex_unlock(&ws->lock);
    ws->phase = LINGER;
    tars_ws_unref(ws);
}

static void flush_job(struct tars_loop_job *job)
{
    struct tars_ws *ws = (struct tars_ws *)job;

    flush(ws);
    settle(ws);
    tars_ws_unref(ws);
}

/* -------------------------------------------------------------- any thread's */

/* On the loop's thread there may be room as soon as somebody looks. Under the lock. */
static tars_status look_for_room(struct tars_ws *ws, const struct tars_ws_frame *frame)
{
    uv_mutex_unlock(&ws->lock);
    flush(ws);
    uv_mutex_lock(&ws->lock);
    return tars_ws_queue_has_room(&ws->queue, frame) ? TARS_OK : TARS_EAGAIN;
}

/* Until there is room or the socket is not open. Under the lock. */
static void await_room(struct tars_ws *ws, const struct tars_ws_frame *frame)
{
    int64_t now_ms = tars_clock_mono_ms();
    int64_t until_ms = now_ms + ws->write_timeout_ms;
    unsigned slices = ws->queue.slices;

    while (atomic_load(&ws->is_open) && !tars_ws_queue_has_room(&ws->queue, frame)) {
        if (now_ms >= until_ms) {
            begin_close(ws, 1008, "the client does not read");
            schedule(ws);
            break;
        }
        (void)uv_cond_timedwait(&ws->room, &ws->lock, (uint64_t)((until_ms - now_ms) * NS_PER_MS));
        now_ms = tars_clock_mono_ms();
        if (slices != ws->queue.slices) {
            slices = ws->queue.slices;
            until_ms = now_ms + ws->write_timeout_ms;
        }
    }
}

/* Takes frame on success. Under the lock. */
static tars_status enqueue(struct tars_ws *ws, struct tars_ws_frame *frame, bool may_wait)
{
    tars_status status = TARS_OK;

    if (!atomic_load(&ws->is_open))
        return TARS_ECANCELED;
    if (tars_ws_queue_has_room(&ws->queue, frame)) {
        /* as nearly always */
    } else if (tars_loop_is_current(ws->loop)) {
        status = look_for_room(ws, frame);
    } else if (may_wait) {
        await_room(ws, frame);
    } else {
        status = TARS_EAGAIN;
    }
    if (!atomic_load(&ws->is_open))
        return TARS_ECANCELED;
    if (status)
        return status;
    tars_ws_queue_add(&ws->queue, frame);
    if (!tars_loop_is_current(ws->loop) || !ws->is_reading) /* else on_bytes() flushes */
        schedule(ws);
    return TARS_OK;
}

static tars_status send_message(struct tars_ws *ws, enum tars_ws_kind kind, const char *ptr,
                                size_t len, bool may_wait)
{
    struct tars_ws_frame *frame;
    tars_status status;

    if (len > ws->queue.max_bytes) /* a constant */
        return TARS_ETOOBIG;
    if (!tars_ws_is_open(ws))
        return TARS_ECANCELED;
    frame = tars_ws_frame_new((enum tars_ws_opcode)kind, ptr, len);
    if (!frame) {
        tars_ws_close(ws, 1011, "out of memory");
        return TARS_ENOMEM;
    }
    uv_mutex_lock(&ws->lock);
    status = enqueue(ws, frame, may_wait);
    uv_mutex_unlock(&ws->lock);
    if (status)
        tars_ws_frame_free(frame);
    return status;
}

tars_status tars_ws_send(struct tars_ws *ws, enum tars_ws_kind kind, const char *ptr, size_t len)
{
    return send_message(ws, kind, ptr, len, true);
}

tars_status tars_ws_offer(struct tars_ws *ws, enum tars_ws_kind kind, const char *ptr, size_t len)
{
    return send_message(ws, kind, ptr, len, false);
}

void tars_ws_close(struct tars_ws *ws, int code, const char *reason)
{
    assert(tars_ws_close_code_is_valid((uint16_t)code));
    uv_mutex_lock(&ws->lock);
    if (atomic_load(&ws->is_open)) {
        begin_close(ws, code, reason);
        schedule(ws);
    }
    uv_mutex_unlock(&ws->lock);
}

bool tars_ws_is_open(const struct tars_ws *ws)
{
    return atomic_load(&ws->is_open);
}

/* ------------------------------------------------------------------- births */

bool tars_ws_is_upgrade(const struct tars_http_request *request, int *status)
{
    return tars_ws_handshake_check(request, status);
}

static size_t size_or(size_t value, size_t otherwise)
{
    return value ? value : otherwise;
}

static int64_t ms_or(int64_t value, int64_t otherwise)
{
    return value ? value : otherwise;
}

static struct tars_ws *make(struct tars_http_reply *reply, const struct tars_ws_config *config)
{
    struct tars_ws *ws = calloc(1, sizeof(*ws));
    size_t max_message = size_or(config->max_message_bytes, (size_t)1 << 20);
    size_t queue_bytes = size_or(config->queue_bytes, (size_t)1 << 20);

    if (!ws)
        return NULL;
    if (config->idle_message) {
        ws->idle_message = strdup(config->idle_message);
        if (!ws->idle_message) {
            free(ws);
            return NULL;
        }
    }
    if (uv_mutex_init(&ws->lock)) {
        free(ws->idle_message);
        free(ws);
        return NULL;
    }
    if (uv_cond_init(&ws->room)) {
        uv_mutex_destroy(&ws->lock);
        free(ws->idle_message);
        free(ws);
        return NULL;
    }
    ws->job.run = flush_job;
    ws->loop = reply->loop;
    ws->shared = reply->shared;
    tars_ws_queue_init(&ws->queue, size_or(config->queue_messages, 100),
                       queue_bytes < QUEUE_MAX ? queue_bytes : QUEUE_MAX);
    ws->ping_ms = ms_or(config->ping_ms, 20000);
    ws->pong_ms = ms_or(config->pong_ms, 20000);
    ws->idle_ms = config->idle_ms;
    ws->arrive_ms = ms_or(config->message_ms, 60000);
    ws->close_ms = ms_or(config->close_ms, 5000);
    ws->write_timeout_ms = reply->shared->write_timeout_ms;
    tars_ws_reader_init(&ws->reader, max_message, config->text_only);
    tars_buf_init(&ws->message, max_message);
    atomic_init(&ws->refs, 2);
    atomic_init(&ws->is_open, true);
    return ws;
}

/* Answer that it could not be done, and give the handle back. */
static tars_status refuse(struct tars_http_reply *reply, tars_status status)
{
    static const char text[] = "{\"detail\":\"the server is out of memory; try again later\"}";

    if (status == TARS_ENOMEM) {
        uv_mutex_lock(&reply->lock);
        reply->must_close = true; /* what follows on the connection may not be HTTP */
        uv_mutex_unlock(&reply->lock);
        tars_http_reply_send_text(reply, 503, "application/json", text, sizeof(text) - 1);
    } else {
        tars_http_reply_abort(reply);
    }
    return status;
}

tars_status tars_ws_accept(struct tars_http_reply *reply, const struct tars_ws_config *config,
                           const struct tars_ws_handler *handler, void *ctx, struct tars_ws **ws)
{
    struct tars_ws *made = make(reply, config);
    struct tars_buf lines;
    tars_status status;

    if (!made)
        return refuse(reply, TARS_ENOMEM);
    made->handler = handler;
    made->ctx = ctx;
    tars_buf_init(&lines, 1024);
    status = tars_ws_handshake_answer(&reply->request, config->protocol, &lines);
    if (!status) {
        struct tars_reply_upgrade upgrade = {.protocol = &websocket, .ctx = made, .lost = lost};

        *ws = made; /* before the handler can be called, on another thread */
        status = tars_reply_upgrade(reply, &upgrade, tars_buf_span(&lines));
    }
    tars_buf_release(&lines);
    if (!status)
        return TARS_OK;
    atomic_store(&made->refs, 1);
    tars_ws_unref(made);
    return refuse(reply, status);
}
