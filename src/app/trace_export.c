/* trace_export - see trace_export.h for the contract. */
#include "app/trace_export.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/codec/url.h"
#include "base/crypto/digest.h"
#include "base/mem/arena.h"
#include "base/sys/clock.h"
#include "base/version.h"
#include "net/client.h"
#include "obs/trace_json.h"

#define DELAY_MS    5000
#define TIMEOUT_MS  10000
#define CONNECT_MS  5000
#define TEXTS_MAX   ((size_t)64 << 10)
#define BODY_MAX    ((size_t)32 << 20) /* of a request: a page in which all is escaped */
#define REPLY_MAX   ((size_t)64 << 10)
#define HEADERS_MAX 32
#define HOST_BYTES  256
#define ID_BYTES    16
#define RESOURCE    6

struct tars_trace_export {
    struct tars_trace_export_config config; /* with every default filled in */
    struct tars_arena arena;                /* texts below */
    struct tars_client *client;             /* owned */
    const char *url;
    const char *headers[HEADERS_MAX];
    size_t header_count;
    struct tars_trace_attribute attributes[RESOURCE];
    struct tars_trace_resource resource;
    struct tars_series *exported, *dropped, *rejected;
    bool is_failing; /* the thread's: the log has said so */
    pthread_t thread;
    bool is_running;
    atomic_bool cancelled; /* the time to flush is over */
    pthread_mutex_t lock;  /* guards the two below */
    pthread_cond_t change; /* either was set; on the monotonic clock */
    bool is_stopping, is_done;
};

/* ----------------------------------------------------------------------- sending */

static struct timespec as_time(int64_t ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

/* True when there is to be another try. */
static bool pause_for(struct tars_trace_export *exporter, int64_t ms)
{
    int64_t due_ms = tars_clock_mono_ms() + ms;
    const struct timespec due = as_time(due_ms);
    bool goes_on;

    pthread_mutex_lock(&exporter->lock);
    while (!exporter->is_stopping && tars_clock_mono_ms() < due_ms)
        (void)pthread_cond_timedwait(&exporter->change, &exporter->lock, &due);
    goes_on = !exporter->is_stopping;
    pthread_mutex_unlock(&exporter->lock);
    return goes_on;
}

static bool is_stopping(struct tars_trace_export *exporter)
{
    bool stopping;

    pthread_mutex_lock(&exporter->lock);
    stopping = exporter->is_stopping;
    pthread_mutex_unlock(&exporter->lock);
    return stopping;
}

/* {"partialSuccess":{"rejectedSpans":"2","errorMessage":"words"}}: how many; 0 when all is well. */
static size_t rejected_of(struct tars_trace_export *exporter, const struct tars_buf *reply,
                          size_t count)
{
    json_t *root = json_loadb(reply->ptr ? reply->ptr : "", reply->len, 0, NULL);
    json_t *partial = json_object_get(root, "partialSuccess");
    json_t *rejected = json_object_get(partial, "rejectedSpans");
    const char *words = json_string_value(json_object_get(partial, "errorMessage"));
    long long n = json_is_string(rejected) ? strtoll(json_string_value(rejected), NULL, 10)
                                           : json_integer_value(rejected);

    if (n > (long long)count)
        n = (long long)count;
    if (n > 0 || (words && words[0])) {
        tars_log_warning(exporter->config.log, "traces", "the collector refused %lld spans: %s", n,
                         words ? words : "");
    }
    json_decref(root);
    return n > 0 ? (size_t)n : 0;
}

static bool may_pass(tars_status status, int http)
{
    if (status != TARS_OK)
        return status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT;
    return http == 429 || http == 502 || http == 503 || http == 504;
}

/* The log hears of the first failure and of the first success after it. */
static void note_outcome(struct tars_trace_export *exporter, bool good, const char *why)
{
    if (good && exporter->is_failing)
        tars_log_info(exporter->config.log, "traces", "traces are exported again");
    if (!good && !exporter->is_failing)
        tars_log_warning(exporter->config.log, "traces", "traces are not exported: %s", why);
    exporter->is_failing = !good;
}

struct outcome {
    bool good, may_pass;
    size_t rejected;
    int64_t retry_after_ms; /* 0: not said */
};

static struct outcome try_batch(struct tars_trace_export *exporter, struct tars_span body,
                                size_t count)
{
    const struct tars_client_request request = {
        .method = "POST",
        .url = exporter->url,
        .headers = exporter->headers,
        .header_count = exporter->header_count,
        .body = body,
        .connect_timeout_ms = CONNECT_MS,
        .idle_timeout_ms = exporter->config.timeout_ms,
        .total_timeout_ms = exporter->config.timeout_ms,
        .max_body_bytes = REPLY_MAX,
        .cancelled = &exporter->cancelled,
    };
    struct tars_client_reply reply = {.status = 0};
    struct outcome outcome = {.good = false};
    struct tars_err err = {{0}};
    struct tars_buf text;
    tars_status status;

    tars_buf_init(&text, REPLY_MAX);
    status = tars_client_fetch_buf(exporter->client, &request, &text, &reply, &err);
    outcome.good = status == TARS_OK && reply.status >= 200 && reply.status < 300;
    outcome.may_pass = may_pass(status, reply.status);
    outcome.retry_after_ms = reply.retry_after_s * 1000;
    if (outcome.good)
        outcome.rejected = rejected_of(exporter, &text, count);
    if (status == TARS_OK && !outcome.good)
        (void)tars_fail(TARS_EIO, &err, "%s answered %d", exporter->url, reply.status);
    note_outcome(exporter, outcome.good, err.text);
    tars_buf_release(&text);
    return outcome;
}

/* Up to a fifth more, so that many servers do not come back to a collector all at once. */
static int64_t with_jitter(int64_t ms)
{
    unsigned char byte = 0;

    if (tars_random_bytes(&byte, 1) != TARS_OK)
        return ms;
    return ms + ms * byte / 1275;
}

static void send_batch(struct tars_trace_export *exporter, struct tars_span body, size_t count)
{
    int64_t pause_ms = exporter->config.pause_ms;
    struct outcome outcome = {.good = false};

    for (int i = 0; i < TARS_TRACE_TRIES && !atomic_load(&exporter->cancelled); i++) {
        int64_t wait_ms;

        outcome = try_batch(exporter, body, count);
        if (outcome.good || !outcome.may_pass)
            break;
        wait_ms = outcome.retry_after_ms > 0 ? outcome.retry_after_ms : with_jitter(pause_ms);
        if (wait_ms > TARS_TRACE_PAUSE_MAX_MS)
            wait_ms = TARS_TRACE_PAUSE_MAX_MS;
        pause_ms += pause_ms / 2;
        if (i + 1 < TARS_TRACE_TRIES && !pause_for(exporter, wait_ms))
            break;
    }
    if (outcome.good) {
        tars_series_add(exporter->exported, count - outcome.rejected);
        tars_series_add(exporter->rejected, outcome.rejected);
    } else {
        tars_series_add(exporter->dropped, count);
    }
}

static void export_page(struct tars_trace_export *exporter)
{
    size_t spans;
    struct tars_span page = tars_tracer_take(exporter->config.tracer, &spans);

    while (page.len > 0) {
        struct tars_buf body;
        size_t count;

        tars_buf_init(&body, BODY_MAX);
        count = tars_trace_write(&body, &exporter->resource, &page, TARS_TRACE_BATCH);
        if (body.status == TARS_OK) {
            send_batch(exporter, tars_buf_span(&body), count);
        } else {
            tars_series_add(exporter->dropped, count);
        }
        tars_buf_release(&body);
    }
}

static void *run(void *ctx)
{
    struct tars_trace_export *exporter = ctx;

    while (!is_stopping(exporter)) {
        tars_tracer_wait(exporter->config.tracer, exporter->config.delay_ms);
        export_page(exporter);
    }
    /* What ended while the last page was on its way. */
    export_page(exporter);
    pthread_mutex_lock(&exporter->lock);
    exporter->is_done = true;
    pthread_cond_broadcast(&exporter->change);
    pthread_mutex_unlock(&exporter->lock);
    return NULL;
}

/* ----------------------------------------------------------------------- opening */

/* "name=value" as a header's line. */
static tars_status add_header(struct tars_trace_export *exporter, struct tars_span pair,
                              struct tars_err *err)
{
    const char *equals = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
    size_t name = equals ? (size_t)(equals - pair.ptr) : 0;
    struct tars_span value;
    tars_status status;
    char *line;

    if (name == 0 || exporter->header_count == HEADERS_MAX)
        return tars_fail(TARS_EINVAL, err, "OTEL_EXPORTER_OTLP_HEADERS is name=value,name=value");
    status = tars_url_decode(&exporter->arena, tars_span(equals + 1, pair.len - name - 1), false,
                             &value);
    if (status != TARS_OK) {
        return tars_fail(status == TARS_EFORMAT ? TARS_EINVAL : status, err,
                         "OTEL_EXPORTER_OTLP_HEADERS: a value is malformed");
    }
    line = tars_arena_printf(&exporter->arena, "%.*s: %s", (int)name, pair.ptr, value.ptr);
    if (!line)
        return tars_fail(TARS_ENOMEM, err, "no memory for traces");
    if (strpbrk(line, "\r\n"))
        return tars_fail(TARS_EINVAL, err, "OTEL_EXPORTER_OTLP_HEADERS: a line break in a value");
    exporter->headers[exporter->header_count++] = line;
    return TARS_OK;
}

static tars_status add_headers(struct tars_trace_export *exporter, struct tars_err *err)
{
    const char *at = exporter->config.headers ? exporter->config.headers : "";
    tars_status status = TARS_OK;

    exporter->headers[exporter->header_count++] = "content-type: application/json";
    while (status == TARS_OK && *at) {
        size_t len;

        at += strspn(at, ", ");
        len = strcspn(at, ",");
        if (len > 0)
            status = add_header(exporter, tars_span(at, len), err);
        at += len;
    }
    return status;
}

static tars_status set_url(struct tars_trace_export *exporter, struct tars_err *err)
{
    const char *endpoint = exporter->config.endpoint;
    size_t len = endpoint ? strlen(endpoint) : 0;

    if (len == 0 ||
        (strncmp(endpoint, "http://", 7) != 0 && strncmp(endpoint, "https://", 8) != 0)) {
        return tars_fail(TARS_EINVAL, err,
                         "OTEL_EXPORTER_OTLP_ENDPOINT: \"%s\" is no address; it begins with "
                         "http:// or https://",
                         endpoint ? endpoint : "");
    }
    while (len > 0 && endpoint[len - 1] == '/')
        len--;
    exporter->url = tars_arena_printf(&exporter->arena, "%.*s/v1/traces", (int)len, endpoint);
    return exporter->url ? TARS_OK : tars_fail(TARS_ENOMEM, err, "no memory for traces");
}

static void describe(struct tars_trace_export *exporter, const char *key, const char *text)
{
    struct tars_trace_resource *resource = &exporter->resource;

    if (!text || !text[0])
        return;
    exporter->attributes[resource->count++] =
        (struct tars_trace_attribute){key, TARS_TRACE_TEXT, {.text = tars_span_of(text)}};
}

static tars_status set_resource(struct tars_trace_export *exporter)
{
    char *host = tars_arena_calloc(&exporter->arena, 1, HOST_BYTES);
    char *id = tars_arena_calloc(&exporter->arena, 1, (size_t)2 * ID_BYTES + 1);
    struct tars_trace_resource *resource = &exporter->resource;

    if (!host || !id)
        return TARS_ENOMEM;
    if (tars_random_hex(id, ID_BYTES) != TARS_OK)
        id[0] = '\0';
    if (gethostname(host, HOST_BYTES - 1) != 0)
        host[0] = '\0';
    resource->attributes = exporter->attributes;
    describe(exporter, "service.name", exporter->config.service);
    describe(exporter, "service.version", TARS_VERSION);
    describe(exporter, "service.instance.id", id);
    describe(exporter, "deployment.environment.name", exporter->config.environment);
    describe(exporter, "host.name", host);
    exporter->attributes[resource->count++] =
        (struct tars_trace_attribute){"process.pid", TARS_TRACE_INT, {.number = getpid()}};
    return TARS_OK;
}

static void set_defaults(struct tars_trace_export *exporter)
{
    struct tars_trace_export_config *config = &exporter->config;

    if (!config->delay_ms)
        config->delay_ms = DELAY_MS;
    if (!config->timeout_ms)
        config->timeout_ms = TIMEOUT_MS;
    if (!config->pause_ms)
        config->pause_ms = TARS_TRACE_PAUSE_MS;
    exporter->exported = tars_metrics_series(config->metrics, TARS_METRIC_RAG_SPANS, "exported");
    exporter->dropped = tars_metrics_series(config->metrics, TARS_METRIC_RAG_SPANS, "dropped");
    exporter->rejected = tars_metrics_series(config->metrics, TARS_METRIC_RAG_SPANS, "rejected");
}

static tars_status fill_exporter(struct tars_trace_export *exporter, struct tars_err *err)
{
    const struct tars_client_config client = {.max_idle = 1};
    tars_status status = set_url(exporter, err);

    if (status == TARS_OK)
        status = add_headers(exporter, err);
    if (status != TARS_OK)
        return status;
    if (set_resource(exporter) != TARS_OK || tars_client_new(&client, &exporter->client) != TARS_OK)
        return tars_fail(TARS_ENOMEM, err, "no memory for traces");
    if (pthread_create(&exporter->thread, NULL, run, exporter) != 0)
        return tars_fail(TARS_ENOMEM, err, "cannot start a thread");
    exporter->is_running = true;
    return TARS_OK;
}

tars_status tars_trace_export_open(const struct tars_trace_export_config *config,
                                   struct tars_trace_export **out, struct tars_err *err)
{
    struct tars_trace_export *made = calloc(1, sizeof(*made));
    pthread_condattr_t attributes;
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for traces");
    made->config = *config;
    tars_arena_init(&made->arena, TEXTS_MAX);
    atomic_init(&made->cancelled, false);
    pthread_mutex_init(&made->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&made->change, &attributes);
    pthread_condattr_destroy(&attributes);
    set_defaults(made);
    status = fill_exporter(made, err);
    if (status != TARS_OK) {
        tars_trace_export_close(made);
        return status;
    }
    *out = made;
    return TARS_OK;
}

/* Let the thread send what is there, and end; past the time to flush, end all the same. */
static void stop(struct tars_trace_export *exporter)
{
    int64_t due_ms = tars_clock_mono_ms() + TARS_TRACE_FLUSH_MS;
    const struct timespec due = as_time(due_ms);

    pthread_mutex_lock(&exporter->lock);
    exporter->is_stopping = true;
    pthread_cond_broadcast(&exporter->change);
    pthread_mutex_unlock(&exporter->lock);
    tars_tracer_wake(exporter->config.tracer);
    pthread_mutex_lock(&exporter->lock);
    while (!exporter->is_done && tars_clock_mono_ms() < due_ms)
        (void)pthread_cond_timedwait(&exporter->change, &exporter->lock, &due);
    pthread_mutex_unlock(&exporter->lock);
    atomic_store(&exporter->cancelled, true);
    pthread_join(exporter->thread, NULL);
}

void tars_trace_export_close(struct tars_trace_export *exporter)
{
    if (!exporter)
        return;
    if (exporter->is_running)
        stop(exporter);
    tars_client_free(exporter->client);
    pthread_cond_destroy(&exporter->change);
    pthread_mutex_destroy(&exporter->lock);
    tars_arena_release(&exporter->arena);
    free(exporter);
}
