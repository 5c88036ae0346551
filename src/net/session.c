/* session - see session.h.
 *
 * A request's head stays in `in` until it is complete and is copied into the request's arena then,
 * because `in` moves. Body bytes go from the network's buffer into the body at once, when nothing
 * else waits in `in`.
 *
 * INVARIANTS
 *
 *   1. reply is set in BODY and BUSY, and only there.
 *   2. in_pos <= in_len <= in_cap; bytes before in_pos are used up.
 *   3. A session is in env->waiting from its birth, and from each end of an exchange on, until it
 *      leaves HEAD or is closed, and in env->bodies in BODY: those who came first are first.
 *   4. advance() is the only one that goes from one request to the next, in a loop, so that a
 *      thousand pipelined requests need no deeper stack than one.
 */
#include "net/session_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/codec/url.h"

#define PIPELINE_MAX   65536 /* bytes of later requests that may wait */
#define KEPT_MAX       16384 /* capacity of `in` that an idle connection keeps */
#define LINGER_MS      2000  /* for the other end to say goodbye */
#define YOUNG_MS       1000  /* a connection is not closed to make room before this */
#define SLOW_MS        3000  /* nor this, when its body is on its way */
#define OVER_MAX       64    /* connections that are still told why they are turned away */
#define SLOWEST_PER_MS 1     /* bytes of body; slower than this for long is no client */

static void advance(struct tars_session *session);

/* --------------------------------------------------------------- who waits */

static void begin_waiting(struct tars_session *session, struct tars_session_list *list)
{
    session->list = list;
    session->waits_since_ms = tars_clock_mono_ms();
    session->earlier = list->last;
    session->later = NULL;
    *(list->last ? &list->last->later : &list->first) = session;
    list->last = session;
}

static void end_waiting(struct tars_session *session)
{
    struct tars_session_list *list = session->list;

    if (!list)
        return;
    session->list = NULL;
    *(session->earlier ? &session->earlier->later : &list->first) = session->later;
    *(session->later ? &session->later->earlier : &list->last) = session->earlier;
}

static struct tars_session *oldest_of(const struct tars_session_list *list, int64_t age_ms)
{
    struct tars_session *oldest = list->first;

    return oldest && tars_clock_mono_ms() - oldest->waits_since_ms >= age_ms ? oldest : NULL;
}

/* Close the connection that has been idle, or at its head, the longest, or else at its body; false
 * if all are young. It counts no more at once, though it is there until the loop has closed it. */
static bool make_room(const struct tars_session_env *env)
{
    struct tars_session *oldest = oldest_of(env->waiting, YOUNG_MS);

    if (!oldest)
        oldest = oldest_of(env->bodies, SLOW_MS);
    if (!oldest)
        return false;
    end_waiting(oldest);
    oldest->is_uncounted = true;
    atomic_fetch_add_explicit(&env->shared->evicted, 1, memory_order_relaxed);
    atomic_fetch_sub(&env->shared->connections, 1);
    tars_conn_close(&oldest->conn);
    return true;
}

/* ------------------------------------------------------------------ the end */

/* Nobody is going to read this exchange's reply any more. */
void tars_session_drop_reply(struct tars_session *session)
{
    struct tars_http_reply *reply = session->reply;

    if (!reply)
        return;
    session->reply = NULL;
    reply->session = NULL;
    tars_reply_set_gone(reply);
    if (reply->upgrade.protocol) /* set before it was gone, or never */
        reply->upgrade.lost(reply->upgrade.ctx);
    tars_reply_unref(reply);
}

/* All is said: send what is queued, then wait a moment for the other end, so that what it still
 * sends does not reset the connection before it has read our last words. */
void tars_session_linger(struct tars_session *session)
{
    end_waiting(session);
    session->phase = LINGER;
    session->conn.deadline_ms =
        tars_session_in_ms(tars_session_is_stopping(session) ? LINGER_STOP_MS : LINGER_MS);
    free(session->in);
    session->in = NULL;
    session->in_pos = session->in_len = session->in_cap = 0;
    tars_conn_resume(&session->conn);
    tars_conn_finish(&session->conn);
}

/* Answer with an error of our own, and end the connection. */
void tars_session_reject(struct tars_session *session, int status, const char *why)
{
    const struct tars_server_config *config = session->env->config;
    struct tars_buf out;

    atomic_fetch_add_explicit(&session->env->shared->rejected, 1, memory_order_relaxed);
    if (config->refused)
        config->refused(config->ctx, session->reply ? &session->reply->request : NULL, status);
    tars_session_drop_reply(session);
    tars_buf_init(&out, 4096);
    tars_buf_appendf(&out, "HTTP/1.1 %d %s\r\n", status, tars_http_status_text(status));
    tars_reply_append_date(&out);
    tars_buf_appendf(&out,
                     "content-type: application/json\r\ncontent-length: %zu\r\n"
                     "connection: close\r\n\r\n{\"detail\":\"%s\"}",
                     strlen(why) + sizeof("{\"detail\":\"\"}") - 1, why);
    if (out.status) {
        tars_buf_release(&out);
        tars_conn_close(&session->conn);
        return;
    }
    tars_conn_write(&session->conn, out.ptr, out.len);
    tars_session_linger(session);
}

/* ------------------------------------------------------------------- replies */

static void note_unsent(struct tars_session *session)
{
    struct tars_http_reply *reply = session->reply;

    uv_mutex_lock(&reply->lock);
    reply->unsent = session->conn.unsent;
    uv_cond_broadcast(&reply->room);
    uv_mutex_unlock(&reply->lock);
}

/* The reply has been handed to the socket: on to the next request, or to the end. */
static void finish_exchange(struct tars_session *session, bool must_close)
{
    struct tars_http_reply *reply = session->reply;

    session->reply = NULL;
    reply->session = NULL;
    tars_reply_unref(reply);
    if (must_close || session->conn.has_eof) {
        tars_session_linger(session);
        return;
    }
    session->phase = HEAD;
    session->has_head_bytes = false;
    begin_waiting(session, session->env->waiting);
    tars_http1_init(session->parser, session->env->config->max_head_bytes);
    /* An answer that was begun before the server stopped has promised another. */
    session->conn.deadline_ms = tars_session_in_ms(
        tars_session_is_stopping(session) ? STOP_MS : session->env->config->idle_timeout_ms);
}

/* The 101 is sent: from here on the bytes are another protocol's. */
static void hand_over(struct tars_session *session)
{
    struct tars_http_reply *reply = session->reply;
    struct tars_conn *conn = &session->conn;

    session->phase = UPGRADED;
    free(session->parser);
    session->parser = NULL;
    session->reply = NULL;
    conn->deadline_ms = 0;
    conn->ctx = reply->upgrade.ctx;
    conn->protocol = reply->upgrade.protocol;
    reply->session = NULL;
    tars_reply_unref(reply);
    conn->protocol->on_open(conn);
    if (tars_session_is_stopping(session))
        conn->protocol->on_stop(conn, false);
}

/* What came too early for the 101. */
static void give_rest(struct tars_session *session)
{
    char *in = session->in;
    size_t pos = session->in_pos;
    size_t len = session->in_len;

    session->in = NULL;
    session->in_pos = session->in_len = session->in_cap = 0;
    tars_conn_resume(&session->conn);
    if (len > pos && !session->conn.is_closing)
        session->conn.protocol->on_bytes(&session->conn, in + pos, len - pos);
    free(in);
}

/* Send what the handler's side has left for us. */
static void pump(struct tars_session *session)
{
    struct tars_http_reply *reply = session->reply;
    bool is_ended, is_aborted, must_close;
    struct tars_buf out;

    uv_mutex_lock(&reply->lock);
    out = reply->out;
    tars_buf_init(&reply->out, out.max);
    reply->unsent += out.len;
    is_ended = reply->is_ended;
    is_aborted = reply->is_aborted || out.status;
    must_close = reply->must_close;
    uv_mutex_unlock(&reply->lock);

    if (is_aborted) {
        tars_buf_release(&out);
        tars_conn_close(&session->conn);
        tars_session_drop_reply(session);
        return;
    }
    if (is_ended)
        tars_reply_tell_leaving(reply);
    if (out.len) {
        tars_conn_write(&session->conn, out.ptr, out.len);
    } else {
        tars_buf_release(&out);
    }
    if (session->conn.is_closing) {
        tars_session_drop_reply(session);
    } else if (is_ended && reply->upgrade.protocol) {
        hand_over(session);
    } else if (is_ended) {
        finish_exchange(session, must_close);
    } else {
        note_unsent(session);
    }
}

static void pump_job(struct tars_loop_job *job)
{
    struct tars_http_reply *reply = (struct tars_http_reply *)job;
    struct tars_session *session = reply->session;

    if (session) {
        pump(session);
        advance(session);
    }
    tars_reply_unref(reply);
}

/* ---------------------------------------------------------------- requests */

static void dispatch(struct tars_session *session)
{
    struct tars_http_reply *reply = session->reply;
    struct tars_net_shared *shared = session->env->shared;

    end_waiting(session);
    session->phase = BUSY;
    session->conn.deadline_ms = 0;
    reply->request.body = tars_span(reply->body, reply->body_len);
    atomic_fetch_add_explicit(&shared->requests, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shared->handles, 1, memory_order_relaxed);
    tars_reply_ref(reply); /* the handle's */
    reply->is_in_handler = true;
    session->env->config->handler(session->env->config->ctx, &reply->request, reply);
    reply->is_in_handler = false;
    pump(session);
}

/* The spans of the request, over a copy of the head that stays where it is. */
static tars_status describe(struct tars_session *session, struct tars_http_reply *reply)
{
    const struct tars_http1 *parser = session->parser;
    struct tars_http_request *request = &reply->request;
    struct tars_arena *arena = &reply->arena;
    char *head = tars_arena_strndup(arena, session->in + session->in_pos, parser->head_len);
    struct tars_http_header *headers =
        tars_arena_alloc(arena, (parser->header_count + 1) * sizeof(*headers));

    if (!head || !headers)
        return TARS_ENOMEM;
    for (uint32_t i = 0; i < parser->header_count; i++) {
        headers[i].name = tars_http1_span(head, parser->headers[i].name);
        headers[i].value = tars_http1_span(head, parser->headers[i].value);
    }
    *request = (struct tars_http_request){.method = parser->method,
                                          .headers = headers,
                                          .header_count = parser->header_count,
                                          .version_minor = parser->minor,
                                          .is_tls = session->conn.tls != NULL,
                                          .peer_port = session->peer_port,
                                          .arrived_ns = tars_clock_mono_ns(),
                                          .arena = arena};
    request->method_text = tars_http1_span(head, parser->method_text);
    request->target = tars_http1_span(head, parser->target);
    tars_url_split(request->target, &request->path, &request->query);
    memcpy(request->peer, session->peer, sizeof(request->peer));
    return TARS_OK;
}

static void send_continue(struct tars_session *session)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char *copy = malloc(sizeof(text));

    if (!copy) {
        tars_conn_close(&session->conn);
        return;
    }
    memcpy(copy, text, sizeof(text));
    tars_conn_write(&session->conn, copy, sizeof(text) - 1);
}

/* The head is complete; in_pos is behind it. */
static void begin_body(struct tars_session *session)
{
    const struct tars_http1 *parser = session->parser;

    if (!parser->is_chunked && parser->content_length == 0) {
        dispatch(session);
        return;
    }
    session->phase = BODY;
    begin_waiting(session, session->env->bodies);
    session->body_began_ms = tars_clock_mono_ms();
    session->conn.deadline_ms = tars_session_in_ms(session->env->config->body_timeout_ms);
    tars_chunked_init(&session->chunked);
    if (parser->expects_continue && session->in_pos == session->in_len)
        send_continue(session);
}

static size_t body_limit(const struct tars_session *session, const struct tars_http_reply *reply)
{
    const struct tars_server_config *config = session->env->config;
    size_t limit = atomic_load(&session->env->shared->max_body_bytes);
    size_t wanted = config->body_limit ? config->body_limit(config->ctx, &reply->request) : limit;

    return wanted < limit ? wanted : limit;
}

static void begin_exchange(struct tars_session *session)
{
    const struct tars_http1 *parser = session->parser;
    struct tars_http_reply *reply;

    reply = tars_reply_new(session->env->group->loop, session->env->shared);
    if (!reply || describe(session, reply)) {
        if (reply)
            tars_reply_unref(reply);
        tars_session_reject(session, 503, "the server is out of memory; try again later");
        return;
    }
    reply->job.run = pump_job;
    reply->session = session;
    reply->is_head = parser->method == TARS_HTTP_HEAD;
    reply->minor = parser->minor;
    reply->must_close = !parser->keep_alive;
    session->reply = reply;
    if (parser->is_chunked || parser->content_length > 0)
        session->body_max = body_limit(session, reply);
    if (!parser->is_chunked && parser->content_length > session->body_max) {
        tars_session_reject(session, 413, "the body is too large for this path and caller");
        return;
    }
    end_waiting(session);
    session->in_pos += parser->head_len;
    begin_body(session);
}

/* ------------------------------------------------------------------- bodies */

static bool add_body(struct tars_session *session, struct tars_span data, size_t expected)
{
    struct tars_http_reply *reply = session->reply;
    tars_status status;

    if (data.len > session->body_max - reply->body_len) {
        tars_session_reject(session, 413, "the body is too large for this path and caller");
        return false;
    }
    status = tars_reply_add_body(reply, data.ptr, data.len, expected);
    if (status) {
        tars_session_reject(session, 503,
                            status == TARS_ENOMEM ? "the server is out of memory; try again later"
                                                  : "too many uploads at once; try again later");
        return false;
    }
    return true;
}

static void body_chunked(struct tars_session *session, struct tars_span *in)
{
    struct tars_span data;
    tars_status status;

    do {
        status = tars_chunked_next(&session->chunked, in, &data);
        if (!status && !add_body(session, data, 0))
            return;
    } while (!status);
    if (status == TARS_ENOTFOUND) {
        dispatch(session);
    } else if (status != TARS_EAGAIN) {
        tars_session_reject(session, 400, "the chunks of the body are malformed");
    }
}

static void body_counted(struct tars_session *session, struct tars_span *in)
{
    size_t whole = (size_t)session->parser->content_length; /* <= body_max */
    size_t left = whole - session->reply->body_len;
    size_t take = in->len < left ? in->len : left;

    if (!add_body(session, tars_span(in->ptr, take), whole))
        return;
    in->ptr += take;
    in->len -= take;
    if (take == left)
        dispatch(session);
}

/* Each byte buys time, but not without end. */
static void extend_deadline(struct tars_session *session)
{
    int64_t timeout = session->env->config->body_timeout_ms;
    int64_t soon = tars_session_in_ms(timeout);
    int64_t last =
        session->body_began_ms + 2 * timeout + (int64_t)(session->reply->body_len / SLOWEST_PER_MS);

    session->conn.deadline_ms = soon < last ? soon : last;
}

/* Take body bytes off *in. The phase may be another after it. */
static void take_body(struct tars_session *session, struct tars_span *in)
{
    if (session->parser->is_chunked) {
        body_chunked(session, in);
    } else {
        body_counted(session, in);
    }
    if (session->phase == BODY && session->reply)
        extend_deadline(session);
}

/* ------------------------------------------------------------------ reading */

/* What comes after the request in hand waits in `in`. */
static bool keep(struct tars_session *session, const char *ptr, size_t len)
{
    size_t need = session->in_len + len;

    if (need > session->in_cap) {
        size_t cap = session->in_cap ? session->in_cap : 2048;
        char *moved;

        while (cap < need)
            cap *= 2;
        moved = realloc(session->in, cap);
        if (!moved)
            return false;
        session->in = moved;
        session->in_cap = cap;
    }
    memcpy(session->in + session->in_len, ptr, len);
    session->in_len = need;
    return true;
}

/* Move what is left to the front; an idle connection gives its memory back. */
static void compact(struct tars_session *session)
{
    size_t left = session->in_len - session->in_pos;

    if (session->in_pos && left)
        memmove(session->in, session->in + session->in_pos, left);
    session->in_len = left;
    session->in_pos = 0;
    if (left == 0 && session->in_cap > KEPT_MAX) {
        free(session->in);
        session->in = NULL;
        session->in_cap = 0;
    }
}

/* True when there was progress. */
static bool step_head(struct tars_session *session)
{
    tars_status status = tars_http1_feed(session->parser, session->in + session->in_pos,
                                         session->in_len - session->in_pos);

    if (status == TARS_EAGAIN)
        return false;
    if (status) {
        tars_session_reject(session, session->parser->reject, session->parser->why);
    } else {
        begin_exchange(session);
    }
    return true;
}

static bool step_body(struct tars_session *session)
{
    struct tars_span in =
        tars_span(session->in + session->in_pos, session->in_len - session->in_pos);
    size_t before = in.len;

    take_body(session, &in);
    if (session->in) /* not if it was rejected */
        session->in_pos += before - in.len;
    return true;
}

/* Who does not read the answers gets no more of them: the next request is not begun. */
static bool is_choked(const struct tars_session *session)
{
    return session->phase == HEAD && session->conn.unsent > session->env->config->reply_queue_bytes;
}

/* Not if the reply was sent within the handler: then in_pos was not brought up to date yet. */
static bool step(struct tars_session *session)
{
    if (session->conn.is_closing || session->in_pos == session->in_len)
        return false;
    switch (session->phase) {
    case HEAD:
        return !is_choked(session) && step_head(session);
    case BODY:
        return step_body(session);
    default:
        return false;
    }
}

/* Go as far as the bytes in `in` allow. */
static void advance(struct tars_session *session)
{
    bool must_wait;

    if (session->is_advancing)
        return;
    session->is_advancing = true;
    while (step(session)) {
    }
    session->is_advancing = false;
    if (session->phase == UPGRADED)
        give_rest(session);
    if (session->conn.is_closing || session->phase == LINGER || session->phase == UPGRADED)
        return;
    compact(session);
    must_wait = session->phase == BUSY || is_choked(session);
    if (session->phase == HEAD && session->in_len && !must_wait && !session->has_head_bytes) {
        session->has_head_bytes = true;
        session->conn.deadline_ms = tars_session_in_ms(session->env->config->head_timeout_ms);
    }
    if (must_wait && session->in_len >= PIPELINE_MAX) {
        tars_conn_pause(&session->conn);
    } else {
        tars_conn_resume(&session->conn);
    }
}

static void on_bytes(struct tars_conn *conn, char *ptr, size_t len)
{
    struct tars_session *session = tars_session_of(conn);
    struct tars_span in = tars_span(ptr, len);

    if (session->phase == LINGER)
        return;
    if (session->phase == BODY && session->in_len == 0)
        take_body(session, &in);
    if (conn->is_closing || session->phase == LINGER)
        return;
    if (in.len && !keep(session, in.ptr, in.len)) {
        tars_session_reject(session, 503, "the server is out of memory; try again later");
        return;
    }
    advance(session);
}

/* ------------------------------------------------------------------- events */

static void on_open(struct tars_conn *conn)
{
    struct tars_session *session = tars_session_of(conn);

    session->peer_port = tars_conn_peer(conn, session->peer, sizeof(session->peer));
    conn->deadline_ms = tars_session_in_ms(
        tars_session_is_stopping(session) ? STOP_MS : session->env->config->head_timeout_ms);
    if (session->is_over)
        tars_session_reject(session, 503, "too many connections; try again later");
}

/* A client that ends its side while we work has given up: nobody reads an answer then. */
static void on_eof(struct tars_conn *conn)
{
    struct tars_session *session = tars_session_of(conn);

    if (session->phase == LINGER) {
        if (conn->is_shut)
            tars_conn_close(conn);
    } else if (session->phase == HEAD && conn->unsent) {
        tars_session_linger(session);
    } else {
        tars_conn_close(conn);
        tars_session_drop_reply(session);
    }
}

static void on_sent(struct tars_conn *conn)
{
    struct tars_session *session = tars_session_of(conn);

    if (session->phase == BUSY && session->reply) {
        note_unsent(session);
    } else if (session->phase == HEAD && session->in_len) {
        advance(session);
    }
}

static void on_timeout(struct tars_conn *conn)
{
    struct tars_session *session = tars_session_of(conn);

    if (session->phase == LINGER) {
        if (conn->unsent) { /* it still reads; when it does not, that ends it */
            conn->deadline_ms = tars_session_in_ms(LINGER_STOP_MS);
        } else {
            tars_conn_close(conn);
        }
        return;
    }
    if (session->phase == HEAD && (session->in_len == 0 || is_choked(session))) {
        tars_session_end_idle(session);
        return;
    }
    atomic_fetch_add_explicit(&session->env->shared->timeouts, 1, memory_order_relaxed);
    tars_session_reject(session, 408, "the request took too long to arrive");
}

void tars_session_release(struct tars_conn *conn)
{
    struct tars_session *session = tars_session_of(conn);

    tars_session_drop_reply(session);
    end_waiting(session);
    if (!session->is_uncounted)
        atomic_fetch_sub_explicit(&session->env->shared->connections, 1, memory_order_release);
    free(session->in);
    free(session->parser);
    free(session);
}

static const struct tars_conn_protocol http = {
    .on_open = on_open,
    .on_bytes = on_bytes,
    .on_eof = on_eof,
    .on_sent = on_sent,
    .on_timeout = on_timeout,
    .on_stop = tars_session_on_stop,
    .on_closed = tars_session_release,
};

/* Too many, or no memory: take the connection off the listener and close it at once. False if not
 * even that was possible: the listener sleeps until someone accepts. */
static bool turn_away(const struct tars_session_env *env, uv_stream_t *listener)
{
    uv_tcp_t *tcp = malloc(sizeof(*tcp));

    if (!tcp)
        return false;
    if (uv_tcp_init(&env->group->loop->uv, tcp)) {
        free(tcp);
        return false;
    }
    atomic_fetch_add_explicit(&env->shared->rejected, 1, memory_order_relaxed);
    (void)uv_accept(listener, (uv_stream_t *)tcp);
    uv_close((uv_handle_t *)tcp, (uv_close_cb)free);
    return true;
}

static struct tars_session *make_session(const struct tars_session_env *env, bool is_over)
{
    struct tars_session *session = calloc(1, sizeof(*session));

    if (!session)
        return NULL;
    session->parser = malloc(sizeof(*session->parser));
    if (!session->parser) {
        free(session);
        return NULL;
    }
    tars_http1_init(session->parser, env->config->max_head_bytes);
    session->env = env;
    session->phase = HEAD;
    session->is_over = is_over;
    begin_waiting(session, session->env->waiting);
    return session;
}

bool tars_session_accept(const struct tars_session_env *env, uv_stream_t *listener)
{
    struct tars_session *session;
    size_t most = atomic_load_explicit(&env->shared->max_connections, memory_order_relaxed);
    bool is_over = atomic_load(&env->shared->connections) >= most && !make_room(env);

    if (atomic_load(&env->shared->connections) >= most + OVER_MAX)
        return turn_away(env, listener);
    session = make_session(env, is_over);
    if (!session)
        return turn_away(env, listener);
    atomic_fetch_add_explicit(&env->shared->accepted, 1, memory_order_relaxed);
    atomic_fetch_add(&env->shared->connections, 1);
    if (tars_conn_accept(&session->conn, env->group, &http, listener, env->tls) &&
        !session->conn.is_closing) {
        atomic_fetch_sub(&env->shared->connections, 1);
        end_waiting(session);
        free(session->parser);
        free(session);
        return turn_away(env, listener);
    }
    return true;
}
