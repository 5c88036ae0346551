/* api - the HTTP interface: what each route means.
 *
 *     net -> tars_api_handle -> router -> inline, or a pool -> route -> service, rag -> reply
 *     command with its own data folder -> tars_api_call -> router -> route -> ... -> memory
 *
 * Threads   tars_api_handle() runs on loop threads and never blocks; tars_api_call() blocks.
 * Bounds    A pool's queue is bounded; when it is full the answer is 503 with Retry-After's cause.
 */
#ifndef TARS_API_API_H
#define TARS_API_API_H

#include <stdbool.h>
#include <stdint.h>

#include "api/exchange.h"
#include "api/service.h"
#include "base/sys/pool.h"
#include "net/http.h"
#include "obs/gpu.h"
#include "obs/health.h"
#include "obs/log.h"
#include "obs/metrics.h"

struct tars_rag;
struct tars_history;
struct tars_llm;
struct tars_analytics;
struct tars_proxies;
struct tars_rate_limit;
struct tars_quota;

/* Copied; what pointers point to is borrowed for the api's life. */
struct tars_api_config {
    const struct tars_service_ops *service; /* required */
    void *service_ctx;
    struct tars_rag *rag;             /* required for /rag/query */
    struct tars_history *history;     /* required for /conversation */
    struct tars_pool *compute;        /* NULL: everything runs on the caller's thread */
    struct tars_pool *answer;         /* the same */
    struct tars_pool *wait;           /* the same */
    struct tars_pool *ingest;         /* the same */
    struct tars_pool *status;         /* the same */
    struct tars_metrics *metrics;     /* may be NULL */
    struct tars_analytics *analytics; /* NULL: nothing is kept */
    struct tars_log *log;             /* may be NULL */
    struct tars_tracer *tracer;       /* NULL: traces are not recorded */
    const struct tars_health *health; /* required */
    struct tars_gpu *gpu;             /* NULL: there is none */

    struct tars_auth *auth;             /* required */
    struct tars_rate_limit *rate_limit; /* NULL: none */
    struct tars_quota *quota;           /* questions of tenants; NULL: not counted */

    bool only_ingests; /* nothing can be searched here: documents alone are taken in */
    bool needs_store; /* /ready is 503 while the store is away: others answer in this one's place */
    /* TARS_OK, or why nothing is answered but how this server is; TARS_EMISMATCH: for good, so that
     * it is not well either. Cheap. NULL: always. */
    tars_status (*may_answer)(void *ctx, struct tars_err *err);
    void *may_answer_ctx;
    const char *collection_name;   /* "" or NULL: tars_documents */
    const char *conversation_name; /* "" or NULL: tars_conversations; a label alone */
    const char *roots;             /* folders that /rag/index may read, joined by colons */
    const char *export_dir;        /* folder for /analytics/export; required for it */
    const char *cors_origins;      /* joined by commas; NULL: none */
    const char *hosts;             /* more names of this server, joined by commas; NULL: none */
    const struct tars_proxies *proxies; /* that are believed; NULL: none */
    const char *owner_token;   /* proves that a caller may open the data folder; NULL: nobody */
    const char *environment;   /* label of metrics */
    const char *metrics_token; /* that a scrape must show; "" or NULL: none */
    size_t max_upload_bytes;   /* of one file; 0: 50 MB */
    int64_t query_timeout_ms;  /* of one question; 0: 300,000 */
    int default_top_k;         /* of a question; 0: 5 */
    double default_threshold;  /* of a question */
    bool rerank;               /* questions and searches may be reranked */
    bool search_waits;         /* a search may wait for a network: on the answer pool then */
    bool include_sources;      /* default of the field */
    bool prometheus;           /* serve /metrics/prometheus */
    bool https_only;           /* plain HTTP is sent on to https, or refused */
    bool checks_hosts;         /* only own names in Host; see api/origin.h */

    struct tars_llm *llm;     /* writes plain chat; NULL: nobody does */
    int max_tokens;           /* of such an answer; 0: the writer's default */
    float temperature, top_p; /* as in struct tars_llm_request */
    int top_k;
    int64_t chat_heartbeat_ms; /* between pings; 0: 30,000 */
    int64_t chat_timeout_ms;   /* silence that ends a socket; 0: 300,000 */
    size_t chat_connections;   /* sockets; 0: 10 */
    size_t chat_queue;         /* messages that wait to be sent to one; 0: 100 */
    size_t questions_at_once;  /* of one caller; 0: no bound */

    /* Open client connections, for the metrics; NULL: none are counted. Any thread asks. */
    double (*connections)(void *ctx);
    void *connections_ctx;
};

TARS_MUST_USE tars_status tars_api_new(const struct tars_api_config *config, struct tars_api **api,
                                       struct tars_err *err);
/* No request may be under way. NULL is allowed. */
void tars_api_free(struct tars_api *api);

/* Go on with cors_origins, hosts, metrics_token, max_upload_bytes, questions_at_once and the chat_
 * numbers of config, whose other fields are of no interest. Any thread. TARS_ENOMEM: nothing was
 * changed. */
TARS_MUST_USE tars_status tars_api_change(struct tars_api *api,
                                          const struct tars_api_config *config);
/* The server is about to stop: /ready says so with 503, and what is cut says why. For good. */
void tars_api_drain(struct tars_api *api);

/* A tars_http_handler_fn; ctx is the api. */
void tars_api_handle(void *ctx, const struct tars_http_request *request,
                     struct tars_http_reply *reply);

/* A tars_http_refused_fn; ctx is the api: counts what never became a request. */
void tars_api_refused(void *ctx, const struct tars_http_request *request, int status);

/* The same for a port of its own, where /metrics/prometheus, /metrics and /health are all there is.
 * Plain HTTP is answered even if https_only: whoever opens that port wants it. */
void tars_api_handle_metrics(void *ctx, const struct tars_http_request *request,
                             struct tars_http_reply *reply);

#define TARS_API_STRANGER_BODY_MAX ((size_t)128 << 10) /* a question, however it is escaped */

/* A tars_http_body_limit_fn; ctx is the api. Files are taken from who may send them; all else is
 * JSON, and small: who has shown no credential must not be able to fill the room that all bodies
 * share. */
size_t tars_api_body_limit(void *ctx, const struct tars_http_request *request);

/* A request made in this process, by the owner of the data folder. */
struct tars_api_request {
    enum tars_http_method method;
    const char *path;      /* "/rag/search" */
    const char *query;     /* behind '?'; NULL: none */
    struct tars_span body; /* JSON */
    /* Called with the flag that stops the call when it begins, and with NULL when it has ended;
     * may be NULL. */
    void (*begin)(void *ctx, atomic_bool *cancelled);
    void *begin_ctx;
};

/* Answer it on this thread. Bytes of the reply's body go to bytes(ctx, status, ptr, len) as they
 * come; false stops. *status is the HTTP status. */
typedef bool tars_api_bytes_fn(void *ctx, int status, const char *ptr, size_t len);
TARS_MUST_USE tars_status tars_api_call(struct tars_api *api,
                                        const struct tars_api_request *request,
                                        tars_api_bytes_fn *bytes, void *ctx, int *status,
                                        struct tars_err *err);

#endif
