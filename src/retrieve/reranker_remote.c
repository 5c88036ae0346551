/* reranker_remote - see reranker_remote.h for the contract. */
#include "retrieve/reranker_remote.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem/buf.h"
#include "base/sys/breaker.h"
#include "base/sys/clock.h"
#include "net/client.h"
#include "obs/call.h"
#include "obs/trace.h"
#include "retrieve/rerank_wire.h"

#define REQUEST_MAX ((size_t)16 << 20)
#define REPLY_MAX   ((size_t)1 << 20)
#define PATH        "/rerank"
#define BEARER      "authorization: Bearer "
#define NS_IN_MS    1000000LL
#define SAID_CHARS  200 /* of a refusal's body, in a message */

struct remote {
    struct tars_reranker base;
    struct tars_client *client; /* borrowed */
    char *url;                  /* owned, as the three below */
    char *authorization;        /* header line, or NULL */
    char *model;                /* "": the server's own */
    char *identity;
    atomic_int api;      /* enum tars_rerank_api that is asked with next */
    atomic_bool is_sure; /* it was set, or the server took it */
    struct tars_breaker breaker;
};

static struct remote *remote_of(struct tars_reranker *self)
{
    return (struct remote *)(void *)self;
}

/* ------------------------------------------------------------------ asking */

/* One request and its reply. */
struct turn {
    struct tars_buf body;  /* of the request */
    struct tars_buf reply; /* of the answer */
    struct tars_client_reply head;
};

static int64_t left_ms(const struct tars_reranker_wish *wish)
{
    return (wish->until_ns - tars_clock_mono_ns()) / NS_IN_MS;
}

static tars_status send(struct remote *remote, const struct tars_reranker_wish *wish,
                        struct turn *turn, struct tars_err *err)
{
    const char *const headers[] = {"content-type: application/json", remote->authorization};
    int64_t ms = left_ms(wish);
    const struct tars_client_request request = {
        .url = remote->url,
        .headers = headers,
        .header_count = remote->authorization ? 2 : 1,
        .body = tars_buf_span(&turn->body),
        .connect_timeout_ms = ms,
        .idle_timeout_ms = ms,
        .total_timeout_ms = ms,
        .max_body_bytes = REPLY_MAX,
        .cancelled = &wish->call->cancelled,
    };

    if (ms <= 0)
        return tars_fail(TARS_ETIMEOUT, err, "no time is left for the reranker");
    return tars_client_fetch_buf(remote->client, &request, &turn->reply, &turn->head, err);
}

static tars_status refuse(const struct turn *turn, struct tars_err *err)
{
    int status = turn->head.status;
    int len = (int)(turn->reply.len < SAID_CHARS ? turn->reply.len : SAID_CHARS);

    return tars_fail(status == 401 || status == 403 ? TARS_EDENIED : TARS_EUNAVAILABLE, err,
                     "the reranker answered %d: %.*s", status, len,
                     turn->reply.ptr ? turn->reply.ptr : "");
}

static tars_status ask(struct remote *remote, enum tars_rerank_api api,
                       const struct tars_reranker_wish *wish, float *scores, int *http,
                       struct tars_err *err)
{
    struct turn turn = {.head = {.status = 0}};
    tars_status status;

    tars_buf_init(&turn.body, REQUEST_MAX);
    tars_buf_init(&turn.reply, REPLY_MAX);
    tars_rerank_write(&turn.body, api, remote->model, wish->question, wish->passages, wish->n);
    status = turn.body.status;
    if (status == TARS_OK)
        status = send(remote, wish, &turn, err);
    if (status == TARS_OK && turn.head.status != 200) {
        status = refuse(&turn, err);
    } else if (status == TARS_OK) {
        status = tars_rerank_read(tars_buf_span(&turn.reply), wish->n, scores, err);
    }
    *http = turn.head.status;
    tars_buf_release(&turn.body);
    tars_buf_release(&turn.reply);
    return status;
}

/* Does this answer mean that the server is asked in another way? */
static bool is_other_api(int http)
{
    return http == 400 || http == 404 || http == 405 || http == 415 || http == 422;
}

static tars_status ask_either(struct remote *remote, const struct tars_reranker_wish *wish,
                              float *scores, struct tars_err *err)
{
    enum tars_rerank_api api = atomic_load(&remote->api);
    bool is_sure = atomic_load(&remote->is_sure);
    int http = 0;
    tars_status status = ask(remote, api, wish, scores, &http, err);

    if (!is_sure && is_other_api(http)) {
        api = api == TARS_RERANK_COHERE ? TARS_RERANK_TEI : TARS_RERANK_COHERE;
        status = ask(remote, api, wish, scores, &http, err);
    }
    if (!is_sure && status == TARS_OK) {
        atomic_store(&remote->api, (int)api);
        atomic_store(&remote->is_sure, true);
    }
    return status;
}

static tars_status ask_traced(struct remote *remote, const struct tars_reranker_wish *wish,
                              float *scores, struct tars_err *err)
{
    struct tars_trace_span span;
    tars_status status;

    tars_trace_begin(&wish->call->trace, &span, "POST " PATH, TARS_SPAN_CLIENT);
    tars_trace_text(&span, "http.request.method", "POST");
    status = ask_either(remote, wish, scores, err);
    tars_trace_text(&span, "tars.rerank.api", tars_rerank_api_text(atomic_load(&remote->api)));
    tars_trace_status(&span, status, err);
    tars_trace_end(&span);
    return status;
}

static tars_status score(struct tars_reranker *self, const struct tars_reranker_wish *wish,
                         float *scores, size_t *scored, struct tars_err *err)
{
    struct remote *remote = remote_of(self);
    tars_status status;

    *scored = 0;
    if (!tars_breaker_may_try(&remote->breaker, tars_clock_mono_ms())) {
        return tars_fail(TARS_EUNAVAILABLE, err,
                         "the reranker did not answer; it is asked again in a moment");
    }
    status = ask_traced(remote, wish, scores, err);
    if (status != TARS_ECANCELED && status != TARS_ENOMEM)
        tars_breaker_note(&remote->breaker, status == TARS_OK, tars_clock_mono_ms());
    if (status == TARS_OK)
        *scored = wish->n;
    return status;
}

static tars_status health(struct tars_reranker *self, struct tars_err *err)
{
    struct remote *remote = remote_of(self);

    if (tars_breaker_state(&remote->breaker) == TARS_BREAKER_CLOSED)
        return TARS_OK;
    return tars_fail(TARS_EUNAVAILABLE, err, "the reranker at %s does not answer", remote->url);
}

/* ------------------------------------------------------------------- set-up */

static void close_remote(struct tars_reranker *self)
{
    struct remote *remote = remote_of(self);

    tars_breaker_release(&remote->breaker);
    free(remote->url);
    free(remote->authorization);
    free(remote->model);
    free(remote->identity);
    free(remote);
}

/* The parts one behind another, on the heap. */
static char *join(const char *a, size_t a_len, const char *b)
{
    size_t b_len = strlen(b);
    char *text = malloc(a_len + b_len + 1);

    if (!text)
        return NULL;
    memcpy(text, a, a_len);
    memcpy(text + a_len, b, b_len + 1);
    return text;
}

static char *make_url(const char *url)
{
    const size_t path = sizeof(PATH) - 1;
    size_t len = strlen(url);
    bool is_whole;

    while (len > 0 && url[len - 1] == '/')
        len--;
    is_whole = len >= path && memcmp(url + len - path, PATH, path) == 0;
    return join(url, len, is_whole ? "" : PATH);
}

static bool has_line_break(const char *text)
{
    return strpbrk(text, "\r\n") != NULL;
}

static tars_status fill(struct remote *remote, const struct tars_reranker_remote_config *config)
{
    static const char *const apis[] = {"auto", "cohere", "tei"};
    const char *model = config->model ? config->model : "";
    struct tars_buf identity;

    remote->client = config->client;
    remote->url = make_url(config->url);
    remote->model = join(model, strlen(model), "");
    if (config->api_key && config->api_key[0])
        remote->authorization = join(BEARER, sizeof(BEARER) - 1, config->api_key);
    tars_buf_init(&identity, REPLY_MAX);
    tars_buf_appendf(&identity, "remote %s %s %s", apis[config->api],
                     remote->url ? remote->url : "", model);
    if (identity.status == TARS_OK)
        remote->identity = join(identity.ptr, identity.len, "");
    tars_buf_release(&identity);
    return remote->url && remote->model && remote->identity &&
                   (!config->api_key || !config->api_key[0] || remote->authorization)
               ? TARS_OK
               : TARS_ENOMEM;
}

tars_status tars_reranker_remote_open(const struct tars_reranker_remote_config *config,
                                      struct tars_reranker **reranker, struct tars_err *err)
{
    static const struct tars_reranker_ops ops = {score, health, close_remote};
    const struct tars_breaker_config breaker = {0};
    struct remote *made;

    if (strncmp(config->url, "http://", 7) != 0 && strncmp(config->url, "https://", 8) != 0)
        return tars_fail(TARS_EINVAL, err, "RERANK_URL is no http:// or https:// address");
    if (has_line_break(config->url) || (config->api_key && has_line_break(config->api_key)) ||
        (config->model && has_line_break(config->model)))
        return tars_fail(TARS_EINVAL, err, "the reranker's settings hold a line break");
    made = calloc(1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    tars_breaker_init(&made->breaker, &breaker);
    atomic_init(&made->api,
                config->api == TARS_REMOTE_RERANK_TEI ? TARS_RERANK_TEI : TARS_RERANK_COHERE);
    atomic_init(&made->is_sure, config->api != TARS_REMOTE_RERANK_AUTO);
    if (fill(made, config) != TARS_OK) {
        close_remote(&made->base);
        return TARS_ENOMEM;
    }
    made->base.ops = &ops;
    made->base.kind = "remote";
    made->base.model = made->model[0] ? made->model : made->url;
    made->base.identity = made->identity;
    made->base.waits = true;
    *reranker = &made->base;
    return TARS_OK;
}
