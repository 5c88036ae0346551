/* remote - see remote.h. */
#include "llm/remote.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ERROR_BYTES_MAX    4096 /* of a body that explains a refusal */
#define TIMEOUT_DEFAULT_MS 120000
#define RETRY_DEFAULT_MS   2000
#define ATTEMPTS_DEFAULT   3
#define CONNECT_MS         10000 /* wire contract 7.8 */
#define WAIT_STEP_MS       50
#define PARENT             "traceparent: "
#define STATE              "tracestate: "

/* One attempt. */
struct stream {
    struct tars_lines lines;
    struct tars_emit emit;
    struct tars_buf refusal; /* the body of an answer other than 200 */
    tars_remote_parse_fn *parse;
    tars_status status; /* first failure of ours */
    int http;           /* status of the answer; 0 before its first byte */
    bool done;
    char said[256]; /* the server's own error, "" if none */
};

/* ------------------------------------------------------------------- set-up */

static char *join_url(const char *base, const char *strip, const char *path)
{
    size_t len = strlen(base);
    size_t path_len = strlen(path);
    size_t strip_len = strip ? strlen(strip) : 0;
    char *url;

    while (len && base[len - 1] == '/')
        len--;
    if (strip_len && len > strip_len && memcmp(base + len - strip_len, strip, strip_len) == 0)
        len -= strip_len;
    url = malloc(len + path_len + 1);
    if (!url)
        return NULL;
    memcpy(url, base, len);
    memcpy(url + len, path, path_len + 1);
    return url;
}

static char *bearer(const char *key)
{
    static const char prefix[] = "authorization: Bearer ";
    size_t len = strlen(key);
    char *line = malloc(sizeof(prefix) + len);

    if (!line)
        return NULL;
    memcpy(line, prefix, sizeof(prefix) - 1);
    memcpy(line + sizeof(prefix) - 1, key, len + 1);
    return line;
}

tars_status tars_remote_init(struct tars_remote *remote, const struct tars_remote_config *config,
                             struct tars_err *err)
{
    const struct tars_breaker_config breaker = {.pause_ms = 500};
    bool has_key = config->api_key && *config->api_key;

    *remote = (struct tars_remote){.client = config->client, .who = config->who};
    if (!config->client || !config->base_url ||
        (strncmp(config->base_url, "http://", 7) != 0 &&
         strncmp(config->base_url, "https://", 8) != 0)) {
        return tars_fail(TARS_EINVAL, err, "%s: \"%s\" is no address; it begins with http://",
                         config->who, config->base_url ? config->base_url : "");
    }
    tars_breaker_init(&remote->breaker, &breaker);
    remote->timeout_ms = config->timeout_ms ? config->timeout_ms : TIMEOUT_DEFAULT_MS;
    remote->retry_wait_ms = config->retry_wait_ms ? config->retry_wait_ms : RETRY_DEFAULT_MS;
    remote->attempts = config->attempts ? config->attempts : ATTEMPTS_DEFAULT;
    remote->generate_url = join_url(config->base_url, config->strip, config->generate_path);
    remote->health_url = join_url(config->base_url, config->strip, config->health_path);
    if (has_key)
        remote->authorization = bearer(config->api_key);
    if (remote->generate_url && remote->health_url && (!has_key || remote->authorization))
        return TARS_OK;
    tars_remote_release(remote);
    return tars_fail(TARS_ENOMEM, err, "%s: out of memory", config->who);
}

void tars_remote_release(struct tars_remote *remote)
{
    tars_breaker_release(&remote->breaker);
    free(remote->generate_url);
    free(remote->health_url);
    free(remote->authorization);
    remote->generate_url = remote->health_url = remote->authorization = NULL;
}

void tars_remote_place(const char *base_url, char *host, size_t size, int *port)
{
    bool is_tls = strncmp(base_url, "https://", 8) == 0;
    const char *start = base_url + (is_tls ? 8 : 7);
    size_t len = strcspn(start, "/?#");
    const char *at = memrchr(start, '@', len);
    const char *colon;
    const char *end;

    if (at) {
        len -= (size_t)(at + 1 - start);
        start = at + 1;
    }
    end = len && start[0] == '[' ? memchr(start, ']', len) : NULL;
    colon = memrchr(end ? end : start, ':', len - (size_t)((end ? end : start) - start));
    *port = colon ? (int)strtol(colon + 1, NULL, 10) : 0;
    if (*port <= 0 || *port > 65535)
        *port = is_tls ? 443 : 80;
    if (colon)
        len = (size_t)(colon - start);
    (void)snprintf(host, size, "%.*s", (int)len, start);
}

void tars_remote_drop(void *hold)
{
    json_decref(hold);
}

/* ---------------------------------------------------------------- one attempt */

static void note_error(struct stream *stream, struct tars_span text)
{
    size_t len = text.len < sizeof(stream->said) - 1 ? text.len : sizeof(stream->said) - 1;

    if (!text.ptr)
        return;
    while (len && len < text.len && ((unsigned char)text.ptr[len] & 0xC0U) == 0x80U)
        len--;
    if (len)
        memcpy(stream->said, text.ptr, len);
    stream->said[len] = '\0';
}

static tars_status take_line(void *ctx, struct tars_span line)
{
    struct stream *stream = ctx;
    struct tars_remote_line read = {.done = false};
    void *hold = NULL;
    tars_status status = TARS_OK;

    if (line.len == 0 || stream->done)
        return TARS_OK;
    status = stream->parse(line, &read, &hold);
    if (status == TARS_OK && read.error.len) {
        note_error(stream, read.error);
        status = TARS_EUNAVAILABLE;
    }
    if (status == TARS_OK)
        status = tars_emit_push(&stream->emit, read.text.ptr, read.text.len);
    if (read.tokens)
        stream->emit.result->tokens = read.tokens;
    if (read.prompt_tokens)
        stream->emit.result->prompt_tokens = read.prompt_tokens;
    stream->done = read.done;
    tars_remote_drop(hold);
    return status;
}

static bool take_bytes(void *ctx, int http_status, const char *ptr, size_t len)
{
    struct stream *stream = ctx;

    stream->http = http_status;
    if (http_status != 200) {
        size_t room = ERROR_BYTES_MAX - stream->refusal.len;

        tars_buf_append(&stream->refusal, ptr, len < room ? len : room);
        return true;
    }
    stream->status = tars_lines_push(&stream->lines, ptr, len);
    return stream->status == TARS_OK;
}

/* {"error":"words"} or {"error":{"message":"words"}}, else the beginning of the body. */
static void read_refusal(struct stream *stream)
{
    json_t *root = json_loadb(stream->refusal.ptr ? stream->refusal.ptr : "", stream->refusal.len,
                              JSON_REJECT_DUPLICATES, NULL);
    json_t *error = json_object_get(root, "error");

    if (json_is_object(error))
        error = json_object_get(error, "message");
    if (json_is_string(error)) {
        note_error(stream, tars_span(json_string_value(error), json_string_length(error)));
    } else if (stream->refusal.len) {
        note_error(stream, tars_buf_span(&stream->refusal));
    }
    json_decref(root);
}

static int64_t time_left(const struct tars_remote *remote, const struct tars_call *call)
{
    int64_t left;

    if (!call || !call->deadline_ms)
        return remote->timeout_ms;
    left = call->deadline_ms - tars_clock_mono_ms();
    if (left < 1)
        left = 1;
    return left < remote->timeout_ms ? left : remote->timeout_ms;
}

static tars_status conclude(const struct tars_remote *remote, struct stream *stream, int http,
                            struct tars_err *err)
{
    if (http != 200) {
        read_refusal(stream);
        return tars_fail(TARS_EUNAVAILABLE, err, "%s answered %d%s%s (%s)", remote->who, http,
                         stream->said[0] ? ": " : "", stream->said, remote->generate_url);
    }
    if (stream->status == TARS_OK)
        stream->status = tars_lines_finish(&stream->lines);
    if (stream->status == TARS_OK && stream->done)
        stream->status = tars_emit_finish(&stream->emit);
    if (stream->status == TARS_OK) {
        return stream->done ? TARS_OK
                            : tars_fail(TARS_EUNAVAILABLE, err,
                                        "%s broke off in the middle of its answer", remote->who);
    }
    if (stream->said[0])
        return tars_fail(stream->status, err, "%s says: %s", remote->who, stream->said);
    return tars_fail(stream->status, err, "%s: its answer could not be used: %s", remote->who,
                     tars_status_text(stream->status));
}

/* The headers beside the type of the body; how many there are then. The server may go on with the
 * call's trace. */
static size_t fill_headers(const struct tars_remote *remote, const struct tars_call *call,
                           const char **headers, char *parent, char *state)
{
    size_t count = 1;

    if (remote->authorization)
        headers[count++] = remote->authorization;
    memcpy(parent, PARENT, sizeof(PARENT));
    if (!call || !tars_traceparent_write(&call->trace, parent + sizeof(PARENT) - 1))
        return count;
    headers[count++] = parent;
    if (call->trace.state.len) {
        (void)snprintf(state, sizeof(STATE) + TARS_TRACESTATE_MAX, "%s%.*s", STATE,
                       (int)call->trace.state.len, call->trace.state.ptr);
        headers[count++] = state;
    }
    return count;
}

/* *may_pass: trying again might help. */
static tars_status attempt(const struct tars_remote *remote, struct tars_span body,
                           struct stream *stream, struct tars_call *call, bool *may_pass,
                           struct tars_err *err)
{
    const char *headers[4] = {"content-type: application/json"};
    char parent[sizeof(PARENT) + TARS_TRACEPARENT_BYTES];
    char state[sizeof(STATE) + TARS_TRACESTATE_MAX];
    struct tars_client_request request = {
        .method = "POST",
        .url = remote->generate_url,
        .headers = headers,
        .header_count = fill_headers(remote, call, headers, parent, state),
        .body = body,
        .connect_timeout_ms = CONNECT_MS,
        .idle_timeout_ms = remote->timeout_ms,
        .total_timeout_ms = time_left(remote, call),
        .max_body_bytes = TARS_REMOTE_BODY_MAX,
        .cancelled = call ? &call->cancelled : NULL,
    };
    struct tars_client_reply reply = {.status = 0};
    tars_status status =
        tars_client_fetch(remote->client, &request, take_bytes, stream, &reply, err);

    if (status == TARS_ECANCELED && stream->status != TARS_OK) {
        status = TARS_OK; /* it was we who stopped it */
        reply.status = stream->http;
    }
    if (status == TARS_OK) {
        status = conclude(remote, stream, reply.status, err);
        *may_pass = reply.status == 429 || reply.status >= 500 ||
                    (status == TARS_EUNAVAILABLE && reply.status == 200);
    } else {
        *may_pass = status == TARS_EUNAVAILABLE;
    }
    return status;
}

static tars_status wait_for(struct tars_call *call, int64_t ms)
{
    const struct timespec step = {0, WAIT_STEP_MS * 1000000L};
    int64_t until = tars_clock_mono_ms() + ms;
    tars_status status = tars_emit_call_status(call);

    while (status == TARS_OK && tars_clock_mono_ms() < until) {
        (void)nanosleep(&step, NULL);
        status = tars_emit_call_status(call);
    }
    return status;
}

/* ---------------------------------------------------------------- the breaker */

/* Any answer to a GET, with a bound. TARS_OK: the server is there. */
static tars_status look(const struct tars_remote *remote, const struct tars_call *call, int64_t ms,
                        struct tars_client_reply *reply, struct tars_err *err)
{
    struct tars_client_request request = {
        .url = remote->health_url,
        .headers = (const char *const *)&remote->authorization,
        .header_count = remote->authorization ? 1 : 0,
        .connect_timeout_ms = ms,
        .idle_timeout_ms = ms,
        .total_timeout_ms = ms,
        .max_body_bytes = TARS_REMOTE_LINE_MAX,
        .cancelled = call ? &call->cancelled : NULL,
    };
    struct tars_buf body;
    tars_status status;

    tars_buf_init(&body, TARS_REMOTE_LINE_MAX);
    status = tars_client_fetch_buf(remote->client, &request, &body, reply, err);
    tars_buf_release(&body);
    return status;
}

/* May a generation be sent? */
static tars_status admit(struct tars_remote *remote, const struct tars_call *call,
                         struct tars_err *err)
{
    struct tars_client_reply reply = {.status = 0};

    if (!tars_breaker_may_try(&remote->breaker, tars_clock_mono_ms())) {
        return tars_fail(TARS_EUNAVAILABLE, err, "%s did not answer; it is asked again in a moment",
                         remote->who);
    }
    if (tars_breaker_state(&remote->breaker) == TARS_BREAKER_CLOSED ||
        look(remote, call, TARS_REMOTE_PROBE_MS, &reply, err) == TARS_OK) {
        return TARS_OK;
    }
    tars_breaker_note(&remote->breaker, false, tars_clock_mono_ms());
    return TARS_EUNAVAILABLE;
}

/* A refusal of this one request, or an asker who went away, says nothing of the server. */
static void note(struct tars_remote *remote, tars_status status, bool may_pass,
                 struct tars_call *call, const struct tars_llm_result *result)
{
    bool is_away = may_pass || (status == TARS_ETIMEOUT && !result->started);

    if (status != TARS_OK && tars_emit_call_status(call) != TARS_OK)
        return;
    tars_breaker_note(&remote->breaker, !is_away, tars_clock_mono_ms());
}

tars_status tars_remote_generate(struct tars_remote *remote, struct tars_span body,
                                 tars_remote_parse_fn *parse, struct tars_call *call,
                                 const struct tars_llm_sink *sink, struct tars_llm_result *result,
                                 struct tars_err *err)
{
    int64_t wait_ms = remote->retry_wait_ms;
    tars_status status = TARS_EUNAVAILABLE;
    bool may_pass = true;

    for (int i = 0; i < remote->attempts && may_pass; i++) {
        struct stream stream = {.parse = parse, .status = TARS_OK};

        if (i > 0) {
            if (wait_for(call, wait_ms) != TARS_OK)
                break;
            wait_ms *= 2;
        }
        status = admit(remote, call, err);
        if (status != TARS_OK)
            break;
        tars_lines_init(&stream.lines, TARS_REMOTE_LINE_MAX, take_line, &stream);
        tars_buf_init(&stream.refusal, ERROR_BYTES_MAX);
        tars_emit_init(&stream.emit, sink, call, result);
        status = attempt(remote, body, &stream, call, &may_pass, err);
        note(remote, status, may_pass && status != TARS_OK, call, result);
        tars_lines_release(&stream.lines);
        tars_buf_release(&stream.refusal);
        if (status == TARS_OK || result->started)
            break;
    }
    return status;
}

tars_status tars_remote_health(const struct tars_remote *remote, struct tars_call *call,
                               struct tars_err *err)
{
    struct tars_client_reply reply = {.status = 0};
    tars_status status = look(remote, call, TARS_REMOTE_HEALTH_MS, &reply, err);

    if (status == TARS_OK && reply.status != 200) {
        status = tars_fail(TARS_EUNAVAILABLE, err, "%s answered %d (%s)", remote->who, reply.status,
                           remote->health_url);
    }
    return status;
}
