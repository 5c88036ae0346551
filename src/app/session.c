/* session - see session.h for the contract. */
#include "app/session.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "app/places.h"
#include "app/wiring.h"
#include "net/client.h"

#define PROBE_MS  1500
#define ERROR_MAX ((size_t)64 << 10)

struct tars_session {
    struct tars_cli *cli;
    struct tars_client *client;   /* remote */
    struct tars_wiring *wiring;   /* local */
    struct tars_server_note note; /* remote */
    const char *place;
};

static bool drop_bytes(void *ctx, int status, const char *ptr, size_t len)
{
    (void)ctx;
    (void)status;
    (void)ptr;
    (void)len;
    return true;
}

/* True when the server of the note answers; as its owner we are answered over plain HTTP, too. */
static bool is_alive(struct tars_session *session)
{
    const char *header =
        tars_arena_printf(&session->cli->arena, "x-tars-owner: %s", session->note.token);
    struct tars_client_reply reply = {0};
    struct tars_client_request request = {
        .headers = &header,
        .header_count = 1,
        .url = tars_arena_printf(&session->cli->arena, "%s/health", session->note.url),
        .connect_timeout_ms = PROBE_MS,
        .total_timeout_ms = PROBE_MS,
    };

    return header && request.url &&
           tars_client_fetch(session->client, &request, drop_bytes, NULL, &reply, NULL) ==
               TARS_OK &&
           reply.status == 200;
}

static tars_status open_remote(struct tars_session *session, const char *data)
{
    const struct tars_client_config config = {.user_agent = "tars"};
    tars_status status = tars_note_read(data, &session->cli->arena, &session->note, NULL);

    if (status == TARS_OK)
        status = tars_client_new(&config, &session->client);
    if (status == TARS_OK && !is_alive(session))
        status = TARS_EUNAVAILABLE;
    if (status != TARS_OK) {
        tars_client_free(session->client);
        session->client = NULL;
    }
    return status;
}

static tars_status open_local(struct tars_session *session, bool ingests, struct tars_err *err)
{
    const struct tars_wiring_config config = {.settings = session->cli->settings,
                                              .log = session->cli->log,
                                              .ingests = ingests,
                                              .stopping =
                                                  tars_lifecycle_flag(session->cli->lifecycle)};

    return tars_wiring_open(&config, &session->wiring, err);
}

tars_status tars_session_open(struct tars_cli *cli, bool ingests, struct tars_session **session,
                              struct tars_err *err)
{
    struct tars_session *made = calloc(1, sizeof(*made));
    const char *data;
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    made->cli = cli;
    status = tars_places_data(cli->settings, &cli->arena, &data, err);
    if (status == TARS_OK) {
        made->place = data;
        if (open_remote(made, data) == TARS_OK) {
            made->place = made->note.url;
        } else {
            status = open_local(made, ingests, err);
        }
    }
    if (status != TARS_OK) {
        tars_session_close(made);
        return status;
    }
    *session = made;
    return TARS_OK;
}

void tars_session_close(struct tars_session *session)
{
    if (!session)
        return;
    tars_client_free(session->client);
    tars_wiring_close(session->wiring);
    free(session);
}

bool tars_session_is_remote(const struct tars_session *session)
{
    return session->client != NULL;
}

const char *tars_session_warnings(const struct tars_session *session)
{
    return session->wiring ? tars_wiring_warnings(session->wiring) : "";
}

const char *tars_session_place(const struct tars_session *session)
{
    return session->place;
}

static const char *method_text(enum tars_http_method method)
{
    switch (method) {
    case TARS_HTTP_POST:
        return "POST";
    case TARS_HTTP_DELETE:
        return "DELETE";
    case TARS_HTTP_PATCH:
        return "PATCH";
    case TARS_HTTP_PUT:
        return "PUT";
    default:
        return "GET";
    }
}

static tars_status stream_remote(struct tars_session *session, enum tars_http_method method,
                                 const char *path, const char *body, tars_session_bytes_fn *bytes,
                                 void *ctx, int *status, struct tars_err *err)
{
    struct tars_arena *arena = &session->cli->arena;
    const char *headers[] = {tars_arena_printf(arena, "x-tars-owner: %s", session->note.token),
                             "content-type: application/json"};
    const struct tars_client_request request = {
        .method = method_text(method),
        .url = tars_arena_printf(arena, "%s%s", session->note.url, path),
        .headers = headers,
        .header_count = 2,
        .body = tars_span_of(body),
        .idle_timeout_ms = INT64_C(24) * 3600 * 1000, /* a large file may take its time */
        .max_body_bytes = SIZE_MAX / 2,
        .cancelled = tars_lifecycle_flag(session->cli->lifecycle),
    };
    struct tars_client_reply reply = {0};
    tars_status result;

    if (!headers[0] || !request.url)
        return tars_fail(TARS_ENOMEM, err, "no memory for the request");
    result = tars_client_fetch(session->client, &request, bytes, ctx, &reply, err);
    if (result == TARS_OK)
        *status = reply.status;
    return result;
}

static tars_status stream_local(struct tars_session *session, enum tars_http_method method,
                                const char *path, const char *body, tars_session_bytes_fn *bytes,
                                void *ctx, int *status, struct tars_err *err)
{
    size_t len = strcspn(path, "?");
    const struct tars_api_request request = {
        .method = method,
        .path = tars_arena_strndup(&session->cli->arena, path, len),
        .query = path[len] ? path + len + 1 : NULL,
        .body = tars_span_of(body),
        .begin = tars_lifecycle_follow,
        .begin_ctx = session->cli->lifecycle,
    };

    if (!request.path)
        return tars_fail(TARS_ENOMEM, err, "no memory for the request");
    return tars_api_call(tars_wiring_api(session->wiring), &request, bytes, ctx, status, err);
}

tars_status tars_session_stream(struct tars_session *session, enum tars_http_method method,
                                const char *path, const char *body, tars_session_bytes_fn *bytes,
                                void *ctx, int *status, struct tars_err *err)
{
    if (session->client)
        return stream_remote(session, method, path, body, bytes, ctx, status, err);
    return stream_local(session, method, path, body, bytes, ctx, status, err);
}

static bool keep_bytes(void *ctx, int status, const char *ptr, size_t len)
{
    struct tars_buf *out = ctx;

    (void)status; /* bodies of errors are read too */
    tars_buf_append(out, ptr, len);
    return out->status == TARS_OK;
}

/* The first text among these: the contract spells errors in several ways. */
static const char *find_words(const json_t *root)
{
    static const char *const names[] = {"detail", "message", "error"};
    const json_t *detail = json_object_get(root, "detail");

    if (json_is_array(detail))
        return json_string_value(json_object_get(json_array_get(detail, 0), "msg"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *words = json_string_value(json_object_get(root, names[i]));

        if (words)
            return words;
    }
    return NULL;
}

void tars_session_words(const char *ptr, size_t len, struct tars_err *err)
{
    json_t *root = ptr ? json_loadb(ptr, len, 0, NULL) : NULL;
    const char *words = find_words(root);

    (void)!tars_fail(TARS_EIO, err, "%s", words ? words : "the server's answer is not understood");
    json_decref(root);
}

static tars_status status_of(int http)
{
    switch (http) {
    case 404:
        return TARS_ENOTFOUND;
    case 403:
        return TARS_EDENIED;
    case 409:
        return TARS_EEXIST;
    case 422:
    case 400:
        return TARS_EINVAL;
    case 503:
        return TARS_EUNAVAILABLE;
    case 504:
        return TARS_ETIMEOUT;
    default:
        return TARS_EIO;
    }
}

tars_status tars_session_ask(struct tars_session *session, enum tars_http_method method,
                             const char *path, const char *body, struct tars_buf *out,
                             struct tars_err *err)
{
    int http = 0;
    tars_status status;

    tars_buf_clear(out);
    status = tars_session_stream(session, method, path, body, keep_bytes, out, &http, err);
    if (status != TARS_OK)
        return status;
    if (http >= 400) {
        tars_session_words(out->ptr, out->len, err);
        return status_of(http);
    }
    return TARS_OK;
}
