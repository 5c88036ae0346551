/* reply - the handler's side of an exchange; see http.h and reply_internal.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/sys/clock.h"
#include "net/http1.h"
#include "net/reply_internal.h"

#define HEAD_ROOM  32768 /* bytes that the head of a reply may have */
#define CHUNK_ROOM 32    /* framing of a chunk, and of the last one */
#define HEAD_USUAL 1024  /* bytes that it has in fact */
#define GROWTH_MIN 16384 /* bytes of a body buffer at first */
#define STATUS_MIN 200
#define STATUS_MAX 599
#define NS_PER_MS  1000000ULL
#define WAIT_MS    1000 /* between looks at a writer's fate; the loop's deadline ends the wait */

/* -------------------------------------------------------------- life cycle */

struct tars_http_reply *tars_reply_new(struct tars_loop *loop, struct tars_net_shared *shared)
{
    struct tars_http_reply *reply = calloc(1, sizeof(*reply));

    if (!reply)
        return NULL;
    if (uv_mutex_init(&reply->lock)) {
        free(reply);
        return NULL;
    }
    if (uv_cond_init(&reply->room)) {
        uv_mutex_destroy(&reply->lock);
        free(reply);
        return NULL;
    }
    reply->loop = loop;
    reply->shared = shared;
    atomic_init(&reply->refs, 1);
    atomic_init(&reply->is_gone, false);
    tars_arena_init(&reply->arena, shared->max_arena_bytes);
    tars_buf_init(&reply->extra, HEAD_ROOM / 2);
    tars_buf_init(&reply->out, shared->reply_queue_bytes + HEAD_ROOM + CHUNK_ROOM);
    return reply;
}

void tars_reply_ref(struct tars_http_reply *reply)
{
    atomic_fetch_add_explicit(&reply->refs, 1, memory_order_relaxed);
}

void tars_reply_unref(struct tars_http_reply *reply)
{
    if (atomic_fetch_sub_explicit(&reply->refs, 1, memory_order_acq_rel) != 1)
        return;
    tars_reply_tell_leaving(reply); /* who is gone before gets no reply, which took as long */
    tars_reply_drop_request(reply);
    tars_buf_release(&reply->extra);
    tars_buf_release(&reply->out);
    uv_cond_destroy(&reply->room);
    uv_mutex_destroy(&reply->lock);
    free(reply);
}

void tars_reply_drop_request(struct tars_http_reply *reply)
{
    if (reply->body_cap)
        atomic_fetch_sub(&reply->shared->bodies_bytes, reply->body_cap);
    free(reply->body);
    reply->body = NULL;
    reply->body_len = reply->body_cap = 0;
    tars_arena_release(&reply->arena);
}

static size_t next_cap(const struct tars_http_reply *reply, size_t need, size_t expected)
{
    size_t cap = reply->body_cap ? 2 * reply->body_cap : GROWTH_MIN;

    while (cap < need)
        cap *= 2;
    return expected && expected >= need && cap > expected ? expected : cap;
}

/* The sums cannot overflow: the session holds the body to a limit of half of SIZE_MAX at most. */
tars_status tars_reply_add_body(struct tars_http_reply *reply, const char *ptr, size_t len,
                                size_t expected)
{
    size_t need = reply->body_len + len;

    if (need > reply->body_cap) {
        size_t cap = next_cap(reply, need, expected);
        size_t more = cap - reply->body_cap;
        char *moved;

        if (atomic_fetch_add(&reply->shared->bodies_bytes, more) + more >
            reply->shared->max_bodies_bytes) {
            atomic_fetch_sub(&reply->shared->bodies_bytes, more);
            return TARS_EUNAVAILABLE;
        }
        moved = realloc(reply->body, cap);
        if (!moved) {
            atomic_fetch_sub(&reply->shared->bodies_bytes, more);
            return TARS_ENOMEM;
        }
        reply->body = moved;
        reply->body_cap = cap;
    }
    memcpy(reply->body + reply->body_len, ptr, len);
    reply->body_len = need;
    return TARS_OK;
}

/* --------------------------------------------------------------------- gone */

void tars_reply_set_gone(struct tars_http_reply *reply)
{
    uv_mutex_lock(&reply->lock);
    atomic_store(&reply->is_gone, true);
    if (reply->gone && !reply->is_ended)
        reply->gone(reply->gone_ctx);
    reply->gone = NULL;
    uv_cond_broadcast(&reply->room);
    uv_mutex_unlock(&reply->lock);
}

void tars_reply_hurry(struct tars_http_reply *reply)
{
    uv_mutex_lock(&reply->lock);
    if (reply->gone && !reply->is_ended)
        reply->gone(reply->gone_ctx);
    reply->gone = NULL;
    uv_mutex_unlock(&reply->lock);
}

void tars_http_reply_on_gone(struct tars_http_reply *reply, tars_http_gone_fn *gone, void *ctx)
{
    uv_mutex_lock(&reply->lock);
    if (atomic_load(&reply->is_gone)) {
        gone(ctx);
    } else {
        reply->gone = gone;
        reply->gone_ctx = ctx;
    }
    uv_mutex_unlock(&reply->lock);
}

void tars_http_reply_on_leaving(struct tars_http_reply *reply, tars_http_leaving_fn *leaving,
                                void *ctx, int64_t began_ns)
{
    uv_mutex_lock(&reply->lock);
    reply->leaving = leaving;
    reply->leaving_ctx = ctx;
    reply->leaving_ns = began_ns;
    uv_mutex_unlock(&reply->lock);
}

void tars_reply_tell_leaving(struct tars_http_reply *reply)
{
    tars_http_leaving_fn *leaving;

    uv_mutex_lock(&reply->lock);
    leaving = reply->leaving;
    reply->leaving = NULL;
    uv_mutex_unlock(&reply->lock);
    if (leaving) /* set before the reply ended, and constant since */
        leaving(reply->leaving_ctx, reply->leaving_ns);
}

bool tars_http_reply_is_gone(const struct tars_http_reply *reply)
{
    return atomic_load_explicit(&reply->is_gone, memory_order_relaxed);
}

/* ------------------------------------------------------------------ helpers */

/* Have the loop look at the reply. Within the handler's own call the session does it anyway. */
static void schedule(struct tars_http_reply *reply)
{
    if (tars_loop_is_current(reply->loop) && reply->is_in_handler)
        return;
    tars_reply_ref(reply);
    if (!tars_loop_post(reply->loop,
                        &reply->job)) /* the queue has one already; ours is not the last */
        atomic_fetch_sub_explicit(&reply->refs, 1, memory_order_relaxed);
}

/* The handle's end. shared is touched last: the server may be freed when handles is 0. */
static void give_back(struct tars_http_reply *reply)
{
    struct tars_net_shared *shared = reply->shared;

    tars_reply_drop_request(reply);
    schedule(reply);
    tars_reply_unref(reply);
    atomic_fetch_sub_explicit(&shared->handles, 1, memory_order_release);
}

static bool is_ours(struct tars_span name)
{
    static const char *const ours[] = {"content-length", "transfer-encoding", "connection",
                                       "date",           "keep-alive",        "upgrade"};

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (tars_http1_is(name, ours[i]))
            return true;
    }
    return false;
}

static void append_span(struct tars_buf *out, struct tars_span span)
{
    if (span.len)
        tars_buf_append(out, span.ptr, span.len);
}

static tars_status append_header(struct tars_buf *out, const struct tars_http_header *header)
{
    if (header->name.len == 0 && header->value.len > 0) {
        append_span(out, header->value);
        return TARS_OK;
    }
    if (!tars_http1_name_is_valid(header->name) || !tars_http1_value_is_valid(header->value) ||
        is_ours(header->name))
        return TARS_EINVAL;
    append_span(out, header->name);
    tars_buf_append_text(out, ": ");
    append_span(out, header->value);
    tars_buf_append_text(out, "\r\n");
    return TARS_OK;
}

void tars_reply_append_date(struct tars_buf *out)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char line[] = "date: Sun, 00 Jan 0000 00:00:00 GMT\r\n";
    struct tars_civil now;

    tars_clock_civil(tars_clock_wall_us(), &now);
    memcpy(line + 6, days + (size_t)now.weekday * 3, 3);
    (void)tars_clock_digits(line + 11, (unsigned)now.day, 2);
    memcpy(line + 14, months + (size_t)(now.month - 1) * 3, 3);
    (void)tars_clock_digits(line + 18, (unsigned)now.year, 4);
    (void)tars_clock_digits(line + 23, (unsigned)now.hour, 2);
    (void)tars_clock_digits(line + 26, (unsigned)now.minute, 2);
    (void)tars_clock_digits(line + 29, (unsigned)now.second, 2);
    tars_buf_append(out, line, sizeof(line) - 1);
}

static void append_connection(struct tars_http_reply *reply)
{
    if (atomic_load_explicit(&reply->shared->is_stopping, memory_order_relaxed))
        reply->must_close = true;
    if (reply->must_close) {
        tars_buf_append_text(&reply->out, "connection: close\r\n");
    } else if (reply->minor == 0) {
        tars_buf_append_text(&reply->out, "connection: keep-alive\r\n");
    }
}

/* What every head begins with. */
static void append_start(struct tars_http_reply *reply, int status)
{
    struct tars_buf *out = &reply->out;

    tars_buf_append_text(out, "HTTP/1.1 ");
    tars_buf_append_uint(out, (uint64_t)status);
    tars_buf_append_char(out, ' ');
    tars_buf_append_text(out, tars_http_status_text(status));
    tars_buf_append_text(out, "\r\n");
    tars_reply_append_date(out);
    if (reply->shared->server_name) {
        tars_buf_append_text(out, "server: ");
        tars_buf_append_text(out, reply->shared->server_name);
        tars_buf_append_text(out, "\r\n");
    }
    append_span(out, tars_buf_span(&reply->extra));
    if (status == 426) /* what to become is ours to say, as is the connection's fate */
        tars_buf_append_text(out, "connection: upgrade\r\nupgrade: websocket\r\n");
}

/* The head, all but the framing and the empty line. */
static tars_status append_head(struct tars_http_reply *reply, int status,
                               const struct tars_http_header *headers, size_t count)
{
    struct tars_buf *out = &reply->out;
    tars_status result = TARS_OK;

    if (status < STATUS_MIN || status > STATUS_MAX)
        return TARS_EINVAL;
    append_start(reply, status);
    for (size_t i = 0; i < count && !result; i++)
        result = append_header(out, &headers[i]);
    if (!result)
        result = reply->extra.status;
    return result ? result : out->status;
}

static bool has_no_body(int status)
{
    return status == 204 || status == 304;
}

/* ------------------------------------------------------------------ answers */

void tars_http_reply_add_header(struct tars_http_reply *reply, const char *name, const char *value)
{
    struct tars_http_header header = {tars_span_of(name), tars_span_of(value)};

    uv_mutex_lock(&reply->lock);
    if (append_header(&reply->extra, &header) && !reply->extra.status)
        reply->extra.status = TARS_EINVAL;
    uv_mutex_unlock(&reply->lock);
}

/* A whole answer into out. */
static tars_status build(struct tars_http_reply *reply, int status,
                         const struct tars_http_header *headers, size_t count,
                         struct tars_span body)
{
    tars_status result;

    tars_buf_release(&reply->out);
    tars_buf_init(&reply->out, HEAD_ROOM + body.len);
    (void)tars_buf_reserve(&reply->out, HEAD_USUAL + body.len); /* once; a failure is sticky */
    result = append_head(reply, status, headers, count);
    if (result)
        return result;
    append_connection(reply);
    if (!has_no_body(status)) {
        tars_buf_append_text(&reply->out, "content-length: ");
        tars_buf_append_uint(&reply->out, body.len);
        tars_buf_append_text(&reply->out, "\r\n");
    }
    tars_buf_append_text(&reply->out, "\r\n");
    if (!has_no_body(status) && !reply->is_head)
        append_span(&reply->out, body);
    return reply->out.status;
}

/* The last resort: no header of the caller's, or nothing at all. */
static void build_500(struct tars_http_reply *reply)
{
    static const char text[] = "{\"detail\":\"the answer could not be built\"}";
    struct tars_http_header type = {tars_span_of("content-type"), tars_span_of("application/json")};

    tars_buf_release(&reply->extra);
    tars_buf_init(&reply->extra, HEAD_ROOM / 2);
    reply->must_close = true;
    if (build(reply, 500, &type, 1, tars_span(text, sizeof(text) - 1)))
        reply->is_aborted = true;
}

void tars_http_reply_send(struct tars_http_reply *reply, int status,
                          const struct tars_http_header *headers, size_t count, const char *ptr,
                          size_t len)
{
    uv_mutex_lock(&reply->lock);
    assert(!reply->is_started && !reply->is_ended);
    if (build(reply, status, headers, count, tars_span(ptr, len)))
        build_500(reply);
    reply->is_started = true;
    reply->is_ended = true;
    reply->gone = NULL;
    uv_mutex_unlock(&reply->lock);
    give_back(reply);
}

void tars_http_reply_send_text(struct tars_http_reply *reply, int status, const char *content_type,
                               const char *ptr, size_t len)
{
    struct tars_http_header type = {tars_span_of("content-type"), tars_span_of(content_type)};

    tars_http_reply_send(reply, status, &type, 1, ptr, len);
}

/* ------------------------------------------------------------------ streams */

static tars_status start(struct tars_http_reply *reply, int status,
                         const struct tars_http_header *headers, size_t count)
{
    tars_status result = append_head(reply, status, headers, count);

    if (result) {
        bool is_dry = reply->out.status == TARS_ENOMEM;

        tars_buf_clear(&reply->out); /* as if nothing had been said */
        return is_dry ? TARS_ENOMEM : result;
    }
    reply->is_bodyless = reply->is_head || has_no_body(status);
    reply->is_chunked = !reply->is_bodyless && reply->minor == 1;
    if (!reply->is_bodyless && reply->minor == 0)
        reply->must_close = true;
    append_connection(reply);
    if (reply->is_chunked)
        tars_buf_append_text(&reply->out, "transfer-encoding: chunked\r\n");
    tars_buf_append_text(&reply->out, "\r\n");
    if (reply->out.status) {
        result = reply->out.status;
        tars_buf_clear(&reply->out);
    }
    reply->is_started = !result;
    return result;
}

tars_status tars_http_reply_start(struct tars_http_reply *reply, int status,
                                  const struct tars_http_header *headers, size_t count)
{
    tars_status result = TARS_ECANCELED;

    uv_mutex_lock(&reply->lock);
    assert(!reply->is_started);
    if (!atomic_load(&reply->is_gone))
        result = start(reply, status, headers, count);
    uv_mutex_unlock(&reply->lock);
    if (!result)
        schedule(reply);
    return result;
}

static size_t room_left(const struct tars_http_reply *reply)
{
    size_t held = reply->out.len + reply->unsent;

    return held < reply->shared->reply_queue_bytes ? reply->shared->reply_queue_bytes - held : 0;
}

/* One chunk, of at most the room there is. Returns the bytes taken. */
static size_t append_chunk(struct tars_http_reply *reply, const char *ptr, size_t len)
{
    size_t take = room_left(reply) < len ? room_left(reply) : len;

    if (reply->is_chunked)
        tars_buf_appendf(&reply->out, "%zx\r\n", take);
    tars_buf_append(&reply->out, ptr, take);
    if (reply->is_chunked)
        tars_buf_append_text(&reply->out, "\r\n");
    return take;
}

/* Wait until there is room or nobody to write to. */
static tars_status await_room(struct tars_http_reply *reply)
{
    while (room_left(reply) == 0 && !atomic_load(&reply->is_gone)) {
        uv_mutex_unlock(&reply->lock);
        schedule(reply);
        uv_mutex_lock(&reply->lock);
        if (room_left(reply) == 0 && !atomic_load(&reply->is_gone))
            (void)uv_cond_timedwait(&reply->room, &reply->lock, WAIT_MS * NS_PER_MS);
    }
    return atomic_load(&reply->is_gone) ? TARS_ECANCELED : TARS_OK;
}

static tars_status write_all(struct tars_http_reply *reply, const char *ptr, size_t len)
{
    bool may_wait = !tars_loop_is_current(reply->loop);
    tars_status status = atomic_load(&reply->is_gone) ? TARS_ECANCELED : TARS_OK;

    if (!status && !may_wait && len > room_left(reply))
        return TARS_EAGAIN;
    while (!status && len) {
        if (may_wait)
            status = await_room(reply);
        if (!status) {
            size_t done = append_chunk(reply, ptr, len);

            ptr += done;
            len -= done;
            status = reply->out.status;
        }
    }
    return status;
}

tars_status tars_http_reply_write(struct tars_http_reply *reply, const char *ptr, size_t len)
{
    tars_status status;

    uv_mutex_lock(&reply->lock);
    assert(reply->is_started && !reply->is_ended);
    if (reply->is_bodyless) {
        status = atomic_load(&reply->is_gone) ? TARS_ECANCELED : TARS_OK;
    } else {
        status = write_all(reply, ptr, len);
    }
    uv_mutex_unlock(&reply->lock);
    if (!status && len)
        schedule(reply);
    return status;
}

void tars_http_reply_end(struct tars_http_reply *reply)
{
    uv_mutex_lock(&reply->lock);
    assert(!reply->is_ended);
    if (!reply->is_started) {
        build_500(reply);
    } else if (reply->is_chunked) {
        tars_buf_append_text(&reply->out, "0\r\n\r\n");
    }
    if (reply->out.status)
        reply->is_aborted = true;
    reply->is_ended = true;
    reply->gone = NULL;
    uv_mutex_unlock(&reply->lock);
    give_back(reply);
}

void tars_http_reply_abort(struct tars_http_reply *reply)
{
    uv_mutex_lock(&reply->lock);
    reply->is_aborted = true;
    reply->is_ended = true;
    reply->gone = NULL;
    uv_mutex_unlock(&reply->lock);
    give_back(reply);
}

/* ------------------------------------------------------------------ upgrade */

static tars_status build_101(struct tars_http_reply *reply, struct tars_span lines)
{
    tars_status status = reply->extra.status;

    if (atomic_load(&reply->is_gone))
        return TARS_ECANCELED;
    append_start(reply, 101);
    append_span(&reply->out, lines);
    tars_buf_append_text(&reply->out, "\r\n");
    if (!status)
        status = reply->out.status;
    if (status)
        tars_buf_clear(&reply->out);
    return status;
}

tars_status tars_reply_upgrade(struct tars_http_reply *reply,
                               const struct tars_reply_upgrade *upgrade, struct tars_span lines)
{
    tars_status status;

    uv_mutex_lock(&reply->lock);
    assert(!reply->is_started && !reply->is_ended);
    status = build_101(reply, lines);
    if (!status) {
        reply->upgrade = *upgrade;
        reply->is_started = true;
        reply->is_ended = true;
        reply->gone = NULL;
    }
    uv_mutex_unlock(&reply->lock);
    if (!status)
        give_back(reply);
    return status;
}
