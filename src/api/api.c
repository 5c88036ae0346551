/* api - see api.h for the contract. */
#include "api/api.h"

#include <stdlib.h>
#include <string.h>

#include "api/access.h"
#include "api/api_internal.h"
#include "api/at_once.h"
#include "api/chat.h"
#include "api/gauges.h"
#include "api/openapi.h"
#include "api/origin.h"
#include "api/proxies.h"
#include "api/refresh.h"
#include "api/reader.h"
#include "api/traced.h"
#include "api/words.h"
#include "base/crypto/digest.h"

#define UPLOAD_DEFAULT     ((size_t)50 << 20)
#define TIMEOUT_DEFAULT_MS INT64_C(300000)
#define CALL_ARENA_MAX     ((size_t)256 << 20)
#define RETRY_AFTER_S      "5" /* of what is away for a while */
#define OWNER_HEADER       "x-tars-owner"

/* --------------------------------------------------------------- life cycle */

static struct tars_live_texts texts_of(const struct tars_api_config *config)
{
    return (struct tars_live_texts){.cors_origins = config->cors_origins,
                                    .hosts = config->hosts,
                                    .metrics_token = config->metrics_token};
}

/* What lives as long as the api, and needs nothing of its configuration's defaults. */
static tars_status make_parts(struct tars_api *made, const struct tars_api_config *config,
                              struct tars_err *err)
{
    const struct tars_live_texts texts = texts_of(config);
    tars_status status = tars_tally_new(&made->tally);

    if (status == TARS_OK)
        status = tars_live_new(&texts, &made->live);
    if (status == TARS_OK)
        status = tars_at_once_new(config->questions_at_once, &made->at_once);
    if (status == TARS_OK)
        status = tars_machine_watch_new(&made->machine);
    if (status == TARS_OK)
        status = tars_refresh_new(tars_gauges_read, made, &made->gauges);
    if (status == TARS_OK) {
        status = tars_openapi_build(tars_auth_mode(config->auth) == TARS_AUTH_OPEN, &made->openapi,
                                    &made->openapi_len, err);
    }
    return status;
}

tars_status tars_api_new(const struct tars_api_config *config, struct tars_api **api,
                         struct tars_err *err)
{
    struct tars_api *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the API");
    status = make_parts(made, config, err);
    if (status != TARS_OK) {
        tars_api_free(made);
        return status;
    }
    made->config = *config;
    if (!config->collection_name || !config->collection_name[0])
        made->config.collection_name = "tars_documents";
    if (!config->conversation_name || !config->conversation_name[0])
        made->config.conversation_name = "tars_conversations";
    atomic_init(&made->max_upload_bytes,
                config->max_upload_bytes ? config->max_upload_bytes : UPLOAD_DEFAULT);
    if (!config->query_timeout_ms)
        made->config.query_timeout_ms = TIMEOUT_DEFAULT_MS;
    if (!config->default_top_k)
        made->config.default_top_k = 5;
    if (!config->environment)
        made->config.environment = "";
    made->started_us = tars_clock_wall_us();
    made->started_ms = tars_clock_mono_ms();
    status = tars_chat_new(made, &made->chat);
    if (status != TARS_OK) {
        tars_api_free(made);
        return tars_fail(status, err, "no memory for the chat");
    }
    *api = made;
    return TARS_OK;
}

void tars_api_free(struct tars_api *api)
{
    if (!api)
        return;
    tars_refresh_free(api->gauges); /* first: it reads the rest */
    tars_machine_watch_free(api->machine);
    tars_chat_free(api->chat);
    tars_at_once_free(api->at_once);
    tars_live_free(api->live);
    tars_tally_free(api->tally);
    free(api->openapi);
    free(api);
}

tars_status tars_api_change(struct tars_api *api, const struct tars_api_config *config)
{
    const struct tars_live_texts texts = texts_of(config);
    tars_status status = tars_live_set(api->live, &texts);

    if (status != TARS_OK)
        return status;
    tars_chat_set(api->chat, config);
    tars_at_once_set(api->at_once, config->questions_at_once);
    atomic_store(&api->max_upload_bytes,
                 config->max_upload_bytes ? config->max_upload_bytes : UPLOAD_DEFAULT);
    return TARS_OK;
}

void tars_api_drain(struct tars_api *api)
{
    atomic_store(&api->is_draining, true);
}

bool tars_api_is_draining(const struct tars_api *api)
{
    return atomic_load_explicit(&api->is_draining, memory_order_relaxed);
}

const char *tars_taken_text(enum tars_taken_outcome outcome)
{
    switch (outcome) {
#define X(name, value, text) \
    case name:               \
        return text;
        TARS_TAKEN_LIST(X)
#undef X
    }
    return "failed";
}

/* ------------------------------------------------------------------- shared */

static int http_status(tars_status status)
{
    switch (status) {
    case TARS_EINVAL:
    case TARS_EFORMAT:
        return 400;
    case TARS_EDENIED:
    case TARS_EQUOTA:
        return 403;
    case TARS_ENOTFOUND:
        return 404;
    case TARS_EEXIST:
    case TARS_EMISMATCH:
    case TARS_ECONFLICT:
        return 409;
    case TARS_ETOOBIG:
        return 413;
    case TARS_EUNSUPPORTED:
        return 415;
    case TARS_EAGAIN:
    case TARS_EBUSY:
    case TARS_EUNAVAILABLE:
        return 503;
    case TARS_ETIMEOUT:
        return 504;
    default:
        return 500;
    }
}

static const char *words_for_log(tars_status status, const struct tars_err *err)
{
    return err && err->text[0] ? err->text : tars_status_text(status);
}

void tars_api_reply_status(struct tars_exchange *ex, tars_status status, const struct tars_err *err)
{
    int code = http_status(status);
    /* 500 hides them itself. */
    const char *words =
        code == 500 ? words_for_log(status, err) : tars_words_of(ex->api, &ex->call, status, err);

    if (status == TARS_ECANCELED && tars_api_is_draining(ex->api)) {
        tars_exchange_fail(ex, 503, TARS_API_STOPPING); /* cut; who is gone reads nothing */
    } else if (status == TARS_ECANCELED) {
        struct tars_buf out = ex->out;

        tars_traced_end(ex, 0);
        ex->ops->abort(ex->ops_ctx);
        tars_buf_release(&out);
    } else if (code == 404) {
        tars_exchange_not_found(ex, words);
    } else if (code == 500) {
        tars_exchange_broken(ex, words);
    } else {
        if (code == 503 && !ex->retry_after)
            ex->retry_after = RETRY_AFTER_S;
        tars_exchange_fail(ex, code, words);
    }
}

void tars_api_write_time(struct tars_json *json, const char *key, int64_t wall_us)
{
    char text[TARS_ISO8601_BYTES];

    tars_clock_iso8601(wall_us, text);
    tars_json_text(json, key, wall_us ? text : NULL);
}

/* --------------------------------------------------------------------- HTTP */

static void http_send(void *ctx, int status, const struct tars_http_header *headers, size_t count,
                      const char *ptr, size_t len)
{
    tars_http_reply_send(ctx, status, headers, count, ptr, len);
}

static tars_status http_start(void *ctx, int status, const struct tars_http_header *headers,
                              size_t count)
{
    return tars_http_reply_start(ctx, status, headers, count);
}

static tars_status http_write(void *ctx, const char *ptr, size_t len)
{
    return tars_http_reply_write(ctx, ptr, len);
}

static void http_end(void *ctx)
{
    tars_http_reply_end(ctx);
}

static void http_abort(void *ctx)
{
    tars_http_reply_abort(ctx);
}

static tars_status http_upgrade(void *ctx, const struct tars_ws_config *config,
                                const struct tars_ws_handler *handler, void *handler_ctx,
                                struct tars_ws **ws)
{
    return tars_ws_accept(ctx, config, handler, handler_ctx, ws);
}

static void http_on_leaving(void *ctx, tars_http_leaving_fn *leaving, void *leaving_ctx,
                            int64_t began_ns)
{
    tars_http_reply_on_leaving(ctx, leaving, leaving_ctx, began_ns);
}

static const struct tars_reply_ops http_ops = {http_send,  http_start,   http_write,     http_end,
                                               http_abort, http_upgrade, http_on_leaving};

static void on_gone(void *ctx)
{
    struct tars_call *call = ctx;

    atomic_store(&call->cancelled, true);
}

static void run_task(void *ctx)
{
    struct tars_exchange *ex = ctx;

    ex->route->run(ex);
}

bool tars_api_same_secret(struct tars_span given, const char *secret)
{
    size_t len = strlen(secret);
    unsigned char difference = given.len != len;

    for (size_t i = 0; i < given.len && i < len; i++)
        difference |= (unsigned char)(given.ptr[i] ^ secret[i]);
    return difference == 0;
}

static struct tars_span header(const struct tars_http_request *request, const char *name)
{
    struct tars_span value = {NULL, 0};

    (void)tars_http_request_header(request, name, &value);
    return value;
}

static struct tars_pool *pool_of(const struct tars_api_config *config, enum tars_route_place place)
{
    switch (place) {
    case TARS_ROUTE_COMPUTE:
        return config->compute;
    case TARS_ROUTE_ANSWER:
        return config->answer;
    case TARS_ROUTE_WAIT:
        return config->wait;
    case TARS_ROUTE_INGEST:
        return config->ingest;
    case TARS_ROUTE_HEALTH:
        return config->status;
    case TARS_ROUTE_INLINE:
        break;
    }
    return NULL;
}

static void submit(struct tars_exchange *ex, struct tars_pool *pool, tars_task_fn *task)
{
    if (tars_pool_submit(pool, task, ex) == TARS_OK)
        return;
    tars_api_count_rejected(ex->api, "busy");
    tars_exchange_fail(ex, 503, "Too many requests are waiting; try again in a moment");
}

/* Run what was matched, where it is to run. */
/* Where there is no index. */
static bool is_for_others(const struct tars_exchange *ex)
{
    static tars_route_fn *const searching[] = {tars_route_rag_search, tars_route_rag_query,
                                               tars_route_rag_stream, tars_route_chat};

    if (!ex->api->config.only_ingests || ex->match != TARS_ROUTE_FOUND)
        return false;
    for (size_t i = 0; i < sizeof(searching) / sizeof(searching[0]); i++) {
        if (ex->route->run == searching[i])
            return true;
    }
    return false;
}

tars_status tars_api_may_answer(const struct tars_api *api, struct tars_err *err)
{
    return api->config.may_answer ? api->config.may_answer(api->config.may_answer_ctx, err)
                                  : TARS_OK;
}

/* True: what this server knows is too old to answer by, and that was said. How it is can always be
 * asked. */
static bool is_out_of_date(struct tars_exchange *ex)
{
    struct tars_err err = {{0}};
    tars_status status = tars_api_may_answer(ex->api, &err);
    tars_route_fn *run = ex->match == TARS_ROUTE_FOUND ? ex->route->run : NULL;

    if (status == TARS_OK || run == tars_route_ready || run == tars_route_prometheus ||
        (run == tars_route_health && status != TARS_EMISMATCH))
        return false;
    ex->retry_after = RETRY_AFTER_S;
    tars_exchange_fail(ex, 503, err.text);
    return true;
}

static void dispatch(struct tars_exchange *ex)
{
    struct tars_pool *pool =
        ex->match == TARS_ROUTE_FOUND ? pool_of(&ex->api->config, ex->route->place) : NULL;

    if (is_out_of_date(ex))
        return;
    if (is_for_others(ex)) {
        ex->retry_after = RETRY_AFTER_S;
        tars_exchange_fail(ex, 503,
                           "This server takes documents in and answers no questions "
                           "(TARS_ROLE=ingest); ask another");
        return;
    }
    if (pool && ex->api->config.search_waits && ex->route->run == tars_route_rag_search)
        pool = ex->api->config.answer;
    if (!pool) {
        tars_routes_run(ex);
    } else if (ex->route->run != tars_route_rag_search || !tars_route_rag_search_recalled(ex)) {
        submit(ex, pool, run_task);
    }
}

/* On the wait pool: the keys of a provider may be fetched here. */
static void check_task(void *ctx)
{
    struct tars_exchange *ex = ctx;

    if (tars_access_decide(ex, true) == TARS_ACCESS_GO)
        dispatch(ex);
}

static void admit(struct tars_exchange *ex)
{
    struct tars_pool *pool = ex->api->config.wait;

    switch (tars_access_decide(ex, pool == NULL)) {
    case TARS_ACCESS_GO:
        dispatch(ex);
        break;
    case TARS_ACCESS_WAIT:
        submit(ex, pool, check_task);
        break;
    case TARS_ACCESS_ANSWERED:
        break;
    }
}

static void fill_exchange(struct tars_exchange *ex, const struct tars_api *api,
                          const struct tars_http_request *request)
{
    const char *token = api->config.owner_token;

    ex->api = api;
    ex->request = request;
    tars_exchange_init(ex, request->arena);
    tars_exchange_use_id(ex, header(request, "x-request-id"));
    ex->method = request->method;
    ex->path = request->path;
    ex->query = request->query;
    ex->body = request->body;
    ex->content_type = header(request, "content-type");
    ex->accept = header(request, "accept");
    ex->host = header(request, "host");
    ex->cookie = header(request, "cookie");
    tars_proxies_client(api->config.proxies, request, ex->address);
    ex->is_https = tars_proxies_is_https(api->config.proxies, request);
    ex->is_owner = token && token[0] && tars_api_same_secret(header(request, OWNER_HEADER), token);
    tars_access_read(ex, request);
}

/* NULL when the answer is given. */
static struct tars_exchange *take(const struct tars_api *api,
                                  const struct tars_http_request *request,
                                  struct tars_http_reply *reply)
{
    static const char busy[] = "{\"detail\":\"Out of memory; try again in a moment\"}";
    struct tars_exchange *ex = tars_arena_calloc(request->arena, 1, sizeof(*ex));

    if (!ex) {
        tars_http_reply_send_text(reply, 503, "application/json", busy, sizeof(busy) - 1);
        return NULL;
    }
    fill_exchange(ex, api, request);
    ex->ops = &http_ops;
    ex->ops_ctx = reply;
    tars_traced_begin(ex, request);
    tars_http_reply_on_gone(reply, on_gone, &ex->call);
    return ex;
}

void tars_api_handle(void *ctx, const struct tars_http_request *request,
                     struct tars_http_reply *reply)
{
    struct tars_exchange *ex = take(ctx, request, reply);

    if (!ex || tars_origin_answers(ex, request, reply))
        return;
    tars_routes_match(ex);
    admit(ex);
}

static bool is_measured(const struct tars_route *route)
{
    static const char *const paths[] = {"/metrics/prometheus", "/metrics", "/health"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (strcmp(route->path, paths[i]) == 0)
            return true;
    }
    return false;
}

void tars_api_handle_metrics(void *ctx, const struct tars_http_request *request,
                             struct tars_http_reply *reply)
{
    struct tars_exchange *ex = take(ctx, request, reply);

    if (!ex || tars_origin_is_strange(ex))
        return;
    tars_routes_match(ex);
    if (ex->match == TARS_ROUTE_FOUND && is_measured(ex->route)) {
        admit(ex);
        return;
    }
    ex->route = NULL;
    tars_exchange_not_found(ex, NULL);
}

/* A length that everybody may send, so that who it is need not be asked. */
static bool is_short(const struct tars_http_request *request)
{
    struct tars_span text = header(request, "content-length");
    size_t length = 0;

    if (text.len == 0 || text.len > 6)
        return false;
    for (size_t i = 0; i < text.len; i++)
        length = length * 10 + (size_t)(text.ptr[i] - '0'); /* net has seen that they are digits */
    return length <= TARS_API_STRANGER_BODY_MAX;
}

size_t tars_api_body_limit(void *ctx, const struct tars_http_request *request)
{
    const struct tars_api *api = ctx;
    struct tars_exchange *ex;

    if (is_short(request))
        return TARS_API_STRANGER_BODY_MAX;
    ex = tars_arena_calloc(request->arena, 1, sizeof(*ex));
    if (!ex)
        return 0;
    fill_exchange(ex, api, request);
    tars_routes_match(ex);
    if (ex->match != TARS_ROUTE_FOUND)
        return TARS_API_STRANGER_BODY_MAX;
    switch (tars_access_foresee(ex)) {
    case TARS_ACCESS_STRANGER:
        break;
    case TARS_ACCESS_KNOWN:
        return TARS_READER_BODY_MAX;
    case TARS_ACCESS_ABLE:
        return strcmp(ex->route->body, "multipart") == 0 ? SIZE_MAX : TARS_READER_BODY_MAX;
    }
    return TARS_API_STRANGER_BODY_MAX;
}

/* --------------------------------------------------------------- in process */

struct local {
    tars_api_bytes_fn *bytes;
    void *ctx;
    int status;
    bool stopped;
};

static tars_status local_write(void *ctx, const char *ptr, size_t len)
{
    struct local *local = ctx;

    if (!local->stopped && len > 0)
        local->stopped = !local->bytes(local->ctx, local->status, ptr, len);
    return local->stopped ? TARS_ECANCELED : TARS_OK;
}

static tars_status local_start(void *ctx, int status, const struct tars_http_header *headers,
                               size_t count)
{
    struct local *local = ctx;

    (void)headers; /* nobody in this process asks for them */
    (void)count;
    local->status = status;
    return TARS_OK;
}

static void local_send(void *ctx, int status, const struct tars_http_header *headers, size_t count,
                       const char *ptr, size_t len)
{
    struct local *local = ctx;

    (void)headers;
    (void)count;
    local->status = status;
    (void)local_write(local, ptr, len);
}

static void local_end(void *ctx)
{
}

static void local_abort(void *ctx)
{
    struct local *local = ctx;

    local->stopped = true;
}

static const struct tars_reply_ops local_ops = {local_send,  local_start, local_write, local_end,
                                                local_abort, NULL,        NULL};

tars_status tars_api_call(struct tars_api *api, const struct tars_api_request *request,
                          tars_api_bytes_fn *bytes, void *ctx, int *status, struct tars_err *err)
{
    struct local local = {.bytes = bytes, .ctx = ctx};
    struct tars_exchange ex = {0};
    struct tars_arena arena;

    tars_arena_init(&arena, CALL_ARENA_MAX);
    ex.api = api;
    tars_exchange_init(&ex, &arena);
    ex.method = request->method;
    ex.path = tars_span_of(request->path);
    ex.query = tars_span_of(request->query);
    ex.body = request->body;
    ex.is_owner = true;
    ex.ops = &local_ops;
    ex.ops_ctx = &local;
    if (tars_access_own(&ex) != TARS_OK) {
        tars_arena_release(&arena);
        return tars_fail(TARS_ENOMEM, err, "no memory for the rights of the owner");
    }
    tars_routes_match(&ex);
    tars_traced_begin(&ex, NULL);
    if (request->begin)
        request->begin(request->begin_ctx, &ex.call.cancelled);
    tars_routes_run(&ex);
    if (request->begin)
        request->begin(request->begin_ctx, NULL);
    tars_arena_release(&arena);
    if (local.stopped)
        return tars_fail(TARS_ECANCELED, err, "stopped");
    *status = local.status;
    return TARS_OK;
}
