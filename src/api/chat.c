/* chat - see chat.h for the contract. Here: sessions, from the handshake to the end, and the
 * ticker. What they say is in chat_answer.c. */
#include "api/chat.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api_internal.h"
#include "api/chat_internal.h"
#include "base/sys/clock.h"

#define TICK_MS       250
#define CHECK_BYTES   ((size_t)1 << 20) /* for one look at a credential */
#define MESSAGE_BYTES 4096              /* of the chat's own messages */
#define HEARTBEAT_MS  30000
#define TIMEOUT_MS    300000
#define CONNECTIONS   10
#define QUEUE         100

/* -------------------------------------------------------------------- messages */

void tars_chat_begin(struct tars_json *json, struct tars_buf *out, const char *type)
{
    char now[TARS_ISO8601_BYTES];

    tars_buf_clear(out);
    tars_json_init(json, out);
    tars_clock_iso8601(tars_clock_wall_us(), now);
    tars_json_object(json, NULL);
    tars_json_text(json, "type", type);
    tars_json_text(json, "timestamp", now);
}

tars_status tars_chat_send(struct tars_chat_session *session, struct tars_json *json, bool may_wait)
{
    const struct tars_buf *out = json->out;
    tars_status status;

    while (json->depth > 0)
        tars_json_end(json);
    if (out->status != TARS_OK)
        return out->status;
    status = may_wait ? tars_ws_send(session->ws, TARS_WS_TEXT, out->ptr, out->len)
                      : tars_ws_offer(session->ws, TARS_WS_TEXT, out->ptr, out->len);
    if (status == TARS_OK) {
        tars_series_add(session->chat->sent, 1);
        atomic_store(&session->active_us, tars_clock_wall_us());
    }
    return status;
}

/* A message without fields but one, or none. */
static void say(struct tars_chat_session *session, const char *type, const char *message)
{
    struct tars_buf out;
    struct tars_json json;

    tars_buf_init(&out, MESSAGE_BYTES);
    tars_chat_begin(&json, &out, type);
    if (message) {
        tars_json_text(&json, "message", message);
        tars_json_text(&json, "level", "warning");
    }
    /* Who does not read needs no heartbeat, and will be closed by the socket. */
    if (tars_chat_send(session, &json, false) == TARS_ENOMEM)
        tars_ws_close(session->ws, 1011, "out of memory");
    tars_buf_release(&out);
}

void tars_chat_send_error(struct tars_chat_session *session, const char *conversation_id,
                          const char *code, const char *text)
{
    struct tars_buf out;
    struct tars_json json;

    atomic_fetch_add(&session->errors, 1);
    atomic_fetch_add(&session->chat->total_errors, 1);
    tars_buf_init(&out, TARS_CHAT_QUEUE_BYTES);
    tars_chat_begin(&json, &out, "error");
    tars_json_text(&json, "error", text);
    tars_json_text(&json, "code", code);
    tars_json_text(&json, "conversation_id", conversation_id);
    if (tars_chat_send(session, &json, true) == TARS_ENOMEM)
        tars_ws_close(session->ws, 1011, "out of memory");
    tars_buf_release(&out);
}

/* -------------------------------------------------------------------- sessions */

static void free_session(struct tars_chat_session *session)
{
    tars_ws_unref(session->ws);
    pthread_mutex_destroy(&session->lock);
    free(session->token);
    free(session);
}

void tars_chat_session_unref(struct tars_chat_session *session)
{
    if (atomic_fetch_sub(&session->refs, 1) == 1)
        free_session(session);
}

tars_status tars_chat_identify(const struct tars_chat_session *session, bool may_block,
                               struct tars_arena *arena, struct tars_principal *out,
                               const char **why)
{
    struct tars_auth *auth = session->chat->api->config.auth;

    *why = TARS_AUTH_INVALID;
    if (tars_api_may_answer(session->chat->api, NULL) != TARS_OK) {
        *why = "This server has lost the store";
        return TARS_EDENIED;
    }
    if (session->is_owner)
        return tars_auth_owner(auth, arena, out);
    return tars_auth_check(auth, tars_span_of(session->token), may_block, arena, out, why);
}

/* One block: token, client, tenant. */
static bool copy_names(struct tars_chat_session *session, const struct tars_exchange *ex)
{
    size_t token = ex->is_owner ? 0 : ex->credential.len;
    size_t client = strlen(ex->caller.client_id);
    size_t tenant = strlen(ex->caller.tenant);
    char *block = malloc(token + client + tenant + 3);

    if (!block)
        return false;
    session->token = block;
    session->client_id = block + token + 1;
    session->tenant = session->client_id + client + 1;
    if (token)
        memcpy(session->token, ex->credential.ptr, token);
    session->token[token] = '\0';
    memcpy(session->client_id, ex->caller.client_id, client + 1);
    memcpy(session->tenant, ex->caller.tenant, tenant + 1);
    return true;
}

static struct tars_chat_session *make_session(struct tars_chat *chat,
                                              const struct tars_exchange *ex)
{
    struct tars_chat_session *made = calloc(1, sizeof(*made));

    if (!made)
        return NULL;
    if (!copy_names(made, ex) || pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made->token);
        free(made);
        return NULL;
    }
    made->chat = chat;
    made->is_owner = ex->is_owner;
    atomic_init(&made->refs, 2);
    tars_answer_uuid(made->id);
    memcpy(made->address, ex->address, sizeof(made->address));
    made->connected_us = tars_clock_wall_us();
    atomic_init(&made->active_us, made->connected_us);
    atomic_init(&made->heard_ms, tars_clock_mono_ms());
    made->beat_ms = tars_clock_mono_ms() + chat->heartbeat_ms;
    return made;
}

static void unlist(struct tars_chat_session *session)
{
    struct tars_chat *chat = session->chat;
    bool was_listed;

    pthread_mutex_lock(&chat->lock);
    was_listed = session->is_listed;
    if (was_listed) {
        if (session->prev) {
            session->prev->next = session->next;
        } else {
            chat->first = session->next;
        }
        if (session->next)
            session->next->prev = session->prev;
        chat->count--;
        session->is_listed = false;
    }
    pthread_mutex_unlock(&chat->lock);
    if (was_listed)
        tars_metrics_move(chat->api->config.metrics, TARS_METRIC_WEBSOCKET_CONNECTIONS, -1);
}

/* ----------------------------------------------------------------------- ticker */

/* An answer under way is no silence. */
static bool is_silent(struct tars_chat_session *session, int64_t now_ms)
{
    bool busy;

    if (now_ms - atomic_load(&session->heard_ms) < session->chat->timeout_ms)
        return false;
    pthread_mutex_lock(&session->lock);
    busy = session->job_count > 0;
    pthread_mutex_unlock(&session->lock);
    return !busy;
}

/* True when the credential is still good, or cannot be looked at without waiting. */
static bool is_good(const struct tars_chat_session *session, const char **why)
{
    struct tars_principal principal;
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, CHECK_BYTES);
    status = tars_chat_identify(session, false, &arena, &principal, why);
    tars_arena_release(&arena);
    return status != TARS_EDENIED;
}

static void look_at(struct tars_chat_session *session, int64_t now_ms)
{
    const char *why;

    if (!tars_ws_is_open(session->ws))
        return;
    if (is_silent(session, now_ms)) {
        say(session, "system", "Connection timeout - please reconnect");
        tars_ws_close(session->ws, 1001, "Connection timeout");
    } else if (now_ms >= session->beat_ms) {
        session->beat_ms = now_ms + session->chat->heartbeat_ms;
        if (is_good(session, &why)) {
            say(session, "ping", NULL);
        } else {
            tars_ws_close(session->ws, 1008, why);
        }
    }
}

static void wait_a_tick(struct tars_chat *chat)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&chat->change, &chat->lock, &until);
}

static void *tick(void *ctx)
{
    struct tars_chat *chat = ctx;

    pthread_mutex_lock(&chat->lock);
    while (!chat->is_closing) {
        int64_t now_ms = tars_clock_mono_ms();

        for (struct tars_chat_session *s = chat->first; s; s = s->next)
            look_at(s, now_ms);
        wait_a_tick(chat);
    }
    pthread_mutex_unlock(&chat->lock);
    return NULL;
}

/* ------------------------------------------------------------------- life cycle */

static tars_status init_locks(struct tars_chat *chat)
{
    pthread_condattr_t attributes;

    if (pthread_mutex_init(&chat->lock, NULL) != 0)
        return TARS_ENOMEM;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (pthread_cond_init(&chat->change, &attributes) != 0) {
        pthread_condattr_destroy(&attributes);
        pthread_mutex_destroy(&chat->lock);
        return TARS_ENOMEM;
    }
    pthread_condattr_destroy(&attributes);
    return TARS_OK;
}

void tars_chat_set(struct tars_chat *chat, const struct tars_api_config *config)
{
    atomic_store(&chat->heartbeat_ms,
                 config->chat_heartbeat_ms ? config->chat_heartbeat_ms : HEARTBEAT_MS);
    atomic_store(&chat->timeout_ms, config->chat_timeout_ms ? config->chat_timeout_ms : TIMEOUT_MS);
    atomic_store(&chat->max_connections,
                 config->chat_connections ? config->chat_connections : CONNECTIONS);
    atomic_store(&chat->queue_messages, config->chat_queue ? config->chat_queue : QUEUE);
}

tars_status tars_chat_new(const struct tars_api *api, struct tars_chat **chat)
{
    const struct tars_api_config *config = &api->config;
    struct tars_chat *made = calloc(1, sizeof(*made));

    if (!made || init_locks(made) != TARS_OK) {
        free(made);
        return TARS_ENOMEM;
    }
    made->api = api;
    tars_chat_set(made, config);
    made->sent = tars_metrics_series(config->metrics, TARS_METRIC_WEBSOCKET_MESSAGES, "sent");
    made->received =
        tars_metrics_series(config->metrics, TARS_METRIC_WEBSOCKET_MESSAGES, "received");
    *chat = made;
    return TARS_OK;
}

void tars_chat_free(struct tars_chat *chat)
{
    if (!chat)
        return;
    pthread_mutex_lock(&chat->lock);
    chat->is_closing = true;
    pthread_cond_signal(&chat->change);
    pthread_mutex_unlock(&chat->lock);
    if (chat->is_ticking)
        pthread_join(chat->ticker, NULL);
    pthread_cond_destroy(&chat->change);
    pthread_mutex_destroy(&chat->lock);
    free(chat);
}

/* -------------------------------------------------------------------- handshake */

/* Before anything else is said, whichever thread comes first. */
static void welcome(struct tars_chat_session *session)
{
    struct tars_buf out;
    struct tars_json json;

    pthread_mutex_lock(&session->lock);
    if (!session->is_welcomed) {
        session->is_welcomed = true;
        tars_buf_init(&out, MESSAGE_BYTES);
        tars_chat_begin(&json, &out, "connection_ack");
        tars_json_text(&json, "client_id", session->client_id);
        tars_json_text(&json, "session_id", session->id);
        if (tars_chat_send(session, &json, false) == TARS_ENOMEM)
            tars_ws_close(session->ws, 1011, "out of memory");
        tars_buf_release(&out);
    }
    pthread_mutex_unlock(&session->lock);
}

static void on_message(void *ctx, struct tars_ws *ws, enum tars_ws_kind kind, const char *ptr,
                       size_t len)
{
    struct tars_chat_session *session = ctx;

    (void)ws;
    (void)kind;
    atomic_fetch_add(&session->messages, 1);
    atomic_fetch_add(&session->chat->total_messages, 1);
    tars_series_add(session->chat->received, 1);
    atomic_store(&session->active_us, tars_clock_wall_us());
    atomic_store(&session->heard_ms, tars_clock_mono_ms());
    welcome(session);
    tars_chat_take(session, ptr, len);
}

static void on_close(void *ctx, struct tars_ws *ws, int code, const char *reason)
{
    struct tars_chat_session *session = ctx;

    (void)ws;
    tars_log_write(session->chat->api->config.log, TARS_LOG_DEBUG, "chat", session->id,
                   "closed: %d %s", code, reason);
    atomic_store(&session->is_gone, true);
    tars_chat_cancel(session, NULL);
    unlist(session);
    tars_chat_session_unref(session);
}

void tars_chat_end(struct tars_chat_session *session)
{
    bool is_busy;

    pthread_mutex_lock(&session->lock);
    is_busy = session->job_count > 0;
    pthread_mutex_unlock(&session->lock);
    if (!is_busy)
        tars_ws_close(session->ws, 1001, "the server stops");
}

static void on_stop(void *ctx, struct tars_ws *ws, bool is_late)
{
    struct tars_chat_session *session = ctx;

    (void)ws;
    if (is_late) {
        tars_chat_cancel(session, NULL);
    } else {
        welcome(session);
        say(session, "system", TARS_API_STOPPING);
        atomic_store(&session->is_ending, true);
    }
    tars_chat_end(session);
}

/* One socket too many: nothing is asked of it. */
static void ignore(void *ctx, struct tars_ws *ws, enum tars_ws_kind kind, const char *ptr,
                   size_t len)
{
    (void)ctx;
    (void)ws;
    (void)kind;
    (void)ptr;
    (void)len;
}

static void forget(void *ctx, struct tars_ws *ws, int code, const char *reason)
{
    (void)ctx;
    (void)ws;
    (void)code;
    (void)reason;
}

static void turn_away(struct tars_exchange *ex, const struct tars_ws_config *config)
{
    static const struct tars_ws_handler handler = {.on_message = ignore, .on_close = forget};
    struct tars_ws *ws = NULL;

    if (tars_exchange_upgrade(ex, config, &handler, NULL, &ws) == TARS_OK) {
        tars_api_count_rejected(ex->api, "busy");
        tars_ws_close(ws, 1013, "Too many connections");
        tars_ws_unref(ws);
    }
}

/* Take a place in the list, and have somebody look at it. False: there is none. */
static bool enlist(struct tars_chat_session *session)
{
    struct tars_chat *chat = session->chat;
    bool done = false;

    pthread_mutex_lock(&chat->lock);
    if (!chat->is_ticking)
        chat->is_ticking = pthread_create(&chat->ticker, NULL, tick, chat) == 0;
    if (chat->is_ticking && chat->count < chat->max_connections &&
        !atomic_load(&session->is_gone)) {
        session->next = chat->first;
        if (chat->first)
            chat->first->prev = session;
        chat->first = session;
        chat->count++;
        session->is_listed = done = true;
    }
    pthread_mutex_unlock(&chat->lock);
    if (done) {
        atomic_fetch_add(&chat->total_connections, 1);
        tars_metrics_move(chat->api->config.metrics, TARS_METRIC_WEBSOCKET_CONNECTIONS, 1);
    }
    return done;
}

static bool has_room(struct tars_chat *chat)
{
    bool room;

    pthread_mutex_lock(&chat->lock);
    room = chat->count < chat->max_connections;
    pthread_mutex_unlock(&chat->lock);
    return room;
}

void tars_chat_open(struct tars_chat *chat, struct tars_exchange *ex)
{
    static const struct tars_ws_handler handler = {
        .on_message = on_message, .on_stop = on_stop, .on_close = on_close};
    const struct tars_ws_config config = {.max_message_bytes = TARS_CHAT_MESSAGE_MAX,
                                          .queue_messages = chat->queue_messages,
                                          .queue_bytes = TARS_CHAT_QUEUE_BYTES,
                                          .text_only = true,
                                          .protocol = ex->has_protocol ? "bearer" : NULL};
    struct tars_chat_session *session = NULL;

    if (!has_room(chat)) {
        turn_away(ex, &config);
        return;
    }
    session = make_session(chat, ex);
    if (!session) {
        tars_exchange_fail(ex, 503, "Out of memory; try again in a moment");
        return;
    }
    if (tars_exchange_upgrade(ex, &config, &handler, session, &session->ws) != TARS_OK) {
        session->ws = NULL;
        free_session(session); /* nobody else has heard of it */
        return;
    }
    /* The handler may have been called already, here or on another thread: refs has a second one,
     * for the rest of this function. */
    if (enlist(session)) {
        welcome(session);
    } else {
        tars_api_count_rejected(session->chat->api, "busy");
        tars_ws_close(session->ws, 1013, "Too many connections");
    }
    tars_chat_session_unref(session);
}

/* ------------------------------------------------------------------------- state */

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;

    return (*left > *right) - (*left < *right);
}

/* FNV-1a over tenant and client. */
static uint64_t hash_client(const struct tars_chat_session *session)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (const char *c = session->tenant; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    hash = (hash ^ 0xFFU) * UINT64_C(1099511628211);
    for (const char *c = session->client_id; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return hash;
}

/* A hash of each session's client; *count of them. NULL: no memory, or none. */
static uint64_t *hash_all(struct tars_chat *chat, size_t *count)
{
    uint64_t *hashes;
    size_t n = 0;

    pthread_mutex_lock(&chat->lock);
    *count = chat->count;
    hashes = chat->count ? malloc(chat->count * sizeof(*hashes)) : NULL;
    for (const struct tars_chat_session *s = chat->first; hashes && s; s = s->next)
        hashes[n++] = hash_client(s);
    pthread_mutex_unlock(&chat->lock);
    return hashes;
}

void tars_chat_stats(struct tars_chat *chat, struct tars_chat_stats *out)
{
    size_t count = 0;
    uint64_t *hashes = hash_all(chat, &count);
    int64_t unique = hashes ? 1 : (int64_t)count;

    if (hashes)
        qsort(hashes, count, sizeof(*hashes), compare);
    for (size_t i = 1; hashes && i < count; i++)
        unique += hashes[i] != hashes[i - 1];
    free(hashes);
    *out = (struct tars_chat_stats){
        .active_connections = (int64_t)count,
        .unique_clients = unique,
        .max_connections = (int64_t)chat->max_connections,
        .total_connections = atomic_load(&chat->total_connections),
        .total_messages = atomic_load(&chat->total_messages),
        .total_tokens = atomic_load(&chat->total_tokens),
        .total_errors = atomic_load(&chat->total_errors),
    };
}

static void write_session(struct tars_json *json, const struct tars_chat_session *session,
                          bool addresses)
{
    tars_json_object(json, session->id);
    tars_json_text(json, "client_id", session->client_id);
    tars_json_text(json, "session_id", session->id);
    tars_json_text(json, "ip_address", addresses ? session->address : NULL);
    tars_api_write_time(json, "connected_at", session->connected_us);
    tars_api_write_time(json, "last_activity", atomic_load(&session->active_us));
    tars_json_int(json, "message_count", atomic_load(&session->messages));
    tars_json_int(json, "token_count", atomic_load(&session->tokens));
    tars_json_int(json, "error_count", atomic_load(&session->errors));
    tars_json_end(json);
}

static bool is_of(const struct tars_chat_session *session, const char *tenant)
{
    return !tenant || strcmp(session->tenant, tenant) == 0;
}

void tars_chat_write_sessions(struct tars_chat *chat, struct tars_json *json, const char *tenant,
                              bool addresses)
{
    int64_t count = 0;

    pthread_mutex_lock(&chat->lock);
    for (const struct tars_chat_session *s = chat->first; s; s = s->next)
        count += is_of(s, tenant);
    tars_json_int(json, "total_sessions", count);
    tars_json_object(json, "sessions");
    for (const struct tars_chat_session *s = chat->first; s; s = s->next) {
        if (is_of(s, tenant))
            write_session(json, s, addresses);
    }
    tars_json_end(json);
    pthread_mutex_unlock(&chat->lock);
}
