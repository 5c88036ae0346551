/* client - see client.h for the contract.
 *
 * A line is an easy handle with a multi handle of its own, which keeps the connections; a fetch
 * borrows one from a shelf and puts it back. Not curl_easy_perform(), because that looks at
 * *cancelled only once a second while nothing moves.
 */
#include "net/client.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>
#include <pthread.h>

#include "base/sys/clock.h"

#define IDLE_MAX_DEFAULT   8
#define IDLE_MAX           256
#define CONNECT_MS_DEFAULT 5000
#define IDLE_MS_DEFAULT    60000
#define BODY_MAX_DEFAULT   ((size_t)64 * 1024 * 1024)
#define WAIT_MS            100 /* between looks at *cancelled */

struct line {
    CURLM *multi; /* owned; NULL: no line */
    CURL *easy;   /* owned */
};

struct tars_client {
    char *user_agent; /* owned */
    char *ca_file;    /* owned, or NULL */
    size_t max_idle;
    pthread_mutex_t lock; /* guards idle_count and idle */
    size_t idle_count;
    struct line idle[]; /* (max_idle,) */
};

/* A fetch under way, on the caller's stack. */
struct fetch {
    const struct tars_client_request *request;
    CURL *easy;
    tars_client_bytes_fn *bytes;
    void *ctx;
    size_t max_body;
    size_t seen;
    int64_t idle_ms;
    int64_t last_ms; /* when something moved */
    curl_off_t moved;
    tars_status why; /* what made a callback stop the transfer */
    char message[CURL_ERROR_SIZE];
};

tars_status tars_client_global_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) ? TARS_ENOMEM : TARS_OK;
}

void tars_client_global_cleanup(void)
{
    curl_global_cleanup();
}

/* -------------------------------------------------------------- life cycle */

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}

tars_status tars_client_new(const struct tars_client_config *config, struct tars_client **client)
{
    size_t max_idle = config->max_idle ? config->max_idle : IDLE_MAX_DEFAULT;
    struct tars_client *made;

    if (max_idle > IDLE_MAX)
        return TARS_EINVAL;
    made = calloc(1, sizeof(*made) + max_idle * sizeof(struct line));
    if (!made)
        return TARS_ENOMEM;
    made->max_idle = max_idle;
    pthread_mutex_init(&made->lock, NULL);
    made->user_agent = copy_text(config->user_agent ? config->user_agent : "tars");
    made->ca_file = config->ca_file ? copy_text(config->ca_file) : NULL;
    if (!made->user_agent || (config->ca_file && !made->ca_file)) {
        tars_client_free(made);
        return TARS_ENOMEM;
    }
    *client = made;
    return TARS_OK;
}

static void line_close(struct line line)
{
    if (line.easy)
        curl_easy_cleanup(line.easy);
    if (line.multi)
        curl_multi_cleanup(line.multi);
}

void tars_client_free(struct tars_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < client->idle_count; i++)
        line_close(client->idle[i]);
    pthread_mutex_destroy(&client->lock);
    free(client->user_agent);
    free(client->ca_file);
    free(client);
}

/* One from the shelf or a new one; no line when there is no memory. */
static struct line borrow(struct tars_client *client)
{
    struct line line = {NULL, NULL};

    pthread_mutex_lock(&client->lock);
    if (client->idle_count)
        line = client->idle[--client->idle_count];
    pthread_mutex_unlock(&client->lock);
    if (line.multi)
        return line;
    line = (struct line){curl_multi_init(), curl_easy_init()};
    if (line.multi && line.easy)
        return line;
    line_close(line);
    return (struct line){NULL, NULL};
}

static void put_back(struct tars_client *client, struct line line)
{
    curl_easy_reset(line.easy);
    pthread_mutex_lock(&client->lock);
    if (client->idle_count < client->max_idle) {
        client->idle[client->idle_count++] = line;
        line = (struct line){NULL, NULL};
    }
    pthread_mutex_unlock(&client->lock);
    line_close(line);
}

/* ---------------------------------------------------------------- callbacks */

static bool is_cancelled(const struct fetch *fetch)
{
    const atomic_bool *cancelled = fetch->request->cancelled;

    return cancelled && atomic_load_explicit(cancelled, memory_order_relaxed);
}

static size_t got_body(char *ptr, size_t size, size_t count, void *ctx)
{
    struct fetch *fetch = ctx;
    size_t len = size * count;
    long status = 0;

    if (len > fetch->max_body - fetch->seen) {
        fetch->why = TARS_ETOOBIG;
        return 0;
    }
    fetch->seen += len;
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    if (is_cancelled(fetch) || (fetch->bytes && !fetch->bytes(fetch->ctx, (int)status, ptr, len))) {
        fetch->why = TARS_ECANCELED;
        return 0;
    }
    fetch->last_ms = tars_clock_mono_ms(); /* what bytes() took of the time is not the server's */
    return len;
}

static int got_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                        curl_off_t up)
{
    struct fetch *fetch = ctx;

    (void)down_total;
    (void)up_total;
    if (down + up != fetch->moved) {
        fetch->moved = down + up;
        fetch->last_ms = tars_clock_mono_ms();
    }
    return 0;
}

static bool is_over(struct fetch *fetch)
{
    if (is_cancelled(fetch)) {
        fetch->why = TARS_ECANCELED;
    } else if (tars_clock_mono_ms() - fetch->last_ms >= fetch->idle_ms) {
        fetch->why = TARS_ETIMEOUT;
    }
    return fetch->why != TARS_OK;
}

/* -------------------------------------------------------------------- setup */

static bool has_break(const char *text)
{
    return strpbrk(text, "\r\n") != NULL;
}

static tars_status check(const struct tars_client_request *request, struct tars_err *err)
{
    if (strncmp(request->url, "http://", 7) != 0 && strncmp(request->url, "https://", 8) != 0) {
        return tars_fail(TARS_EINVAL, err, "%.200s is not an http:// or https:// address",
                         request->url);
    }
    if (has_break(request->url) || (request->method && has_break(request->method)))
        return tars_fail(TARS_EINVAL, err, "a line break in an address");
    for (size_t i = 0; i < request->header_count; i++) {
        if (has_break(request->headers[i]) || !strchr(request->headers[i], ':'))
            return tars_fail(TARS_EINVAL, err, "a malformed header for %.200s", request->url);
    }
    if (request->body.len > INT_MAX)
        return tars_fail(TARS_ETOOBIG, err, "the request for %.200s is too large", request->url);
    return TARS_OK;
}

static bool add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (!longer)
        return false;
    *list = longer;
    return true;
}

static tars_status make_headers(const struct tars_client_request *request, struct curl_slist **list)
{
    bool has_type = false;

    for (size_t i = 0; i < request->header_count; i++) {
        has_type |= strncasecmp(request->headers[i], "content-type:", 13) == 0;
        if (!add_header(list, request->headers[i]))
            return TARS_ENOMEM;
    }
    if (request->body.len && !has_type && !add_header(list, "content-type: application/json"))
        return TARS_ENOMEM;
    /* Otherwise larger bodies wait a second for servers that do not know "100 Continue". */
    return add_header(list, "expect:") ? TARS_OK : TARS_ENOMEM;
}

static long as_ms(int64_t ms, int64_t otherwise)
{
    if (ms <= 0)
        ms = otherwise;
    return ms < LONG_MAX ? (long)ms : LONG_MAX;
}

static CURLcode set_limits(CURL *easy, struct fetch *fetch)
{
    const struct tars_client_request *request = fetch->request;
    CURLcode code = CURLE_OK;

    code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    code |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    code |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    code |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    code |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                             as_ms(request->connect_timeout_ms, CONNECT_MS_DEFAULT));
    code |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, as_ms(request->total_timeout_ms, 0));
    code |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    code |= curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, got_progress);
    code |= curl_easy_setopt(easy, CURLOPT_XFERINFODATA, fetch);
    code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, got_body);
    code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    code |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->message);
    return code;
}

/* True for an address of this machine. *code is set when there is no memory to tell. */
static bool is_here(const char *url, CURLcode *code)
{
    CURLU *parts = curl_url();
    char *host = NULL;
    struct in_addr four;
    bool here = false;

    if (!parts) {
        *code = CURLE_OUT_OF_MEMORY;
        return false;
    }
    if (!curl_url_set(parts, CURLUPART_URL, url, 0) &&
        !curl_url_get(parts, CURLUPART_HOST, &host, 0)) {
        here = strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
               (inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == 127);
    }
    curl_free(host);
    curl_url_cleanup(parts);
    return here;
}

static CURLcode set_request(const struct tars_client *client, CURL *easy,
                            const struct tars_client_request *request, struct curl_slist *headers)
{
    CURLcode code = CURLE_OK;

    code |= curl_easy_setopt(easy, CURLOPT_URL, request->url);
    code |= curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    code |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    /* A proxy of the environment must not see what stays on this machine, nor our token. */
    if (is_here(request->url, &code))
        code |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (client->ca_file)
        code |= curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
    if (request->body.len) {
        code |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)request->body.len);
        code |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.ptr);
    }
    if (request->method && strcmp(request->method, "HEAD") == 0) {
        code |= curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (request->method) {
        code |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
    return code;
}

/* ------------------------------------------------------------------- results */

static tars_status status_of(CURLcode code)
{
    switch (code) {
    case CURLE_URL_MALFORMAT:
        return TARS_EINVAL;
    case CURLE_OPERATION_TIMEDOUT:
        return TARS_ETIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return TARS_ENOMEM;
    case CURLE_UNSUPPORTED_PROTOCOL: /* the URL's was looked at before; so the answer's */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return TARS_EFORMAT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return TARS_EDENIED;
    default:
        return TARS_EUNAVAILABLE;
    }
}

static tars_status fail(const struct fetch *fetch, CURLcode code, struct tars_err *err)
{
    tars_status status = fetch->why ? fetch->why : status_of(code);
    const char *words = fetch->message[0] ? fetch->message : curl_easy_strerror(code);

    if (fetch->why)
        words = tars_status_text(fetch->why);
    return tars_fail(status, err, "%.200s: %s", fetch->request->url, words);
}

static void fill_reply(const struct fetch *fetch, struct tars_client_reply *reply)
{
    long status = 0;
    curl_off_t retry_after = 0;
    char *type = NULL;

    *reply = (struct tars_client_reply){.body_bytes = fetch->seen};
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(fetch->easy, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(fetch->easy, CURLINFO_RETRY_AFTER, &retry_after);
    reply->status = (int)status;
    reply->retry_after_s = retry_after;
    if (type && strlen(type) < sizeof(reply->content_type))
        memcpy(reply->content_type, type, strlen(type) + 1);
}

static CURLcode result_of(CURLM *multi)
{
    int left = 0;
    const CURLMsg *message = curl_multi_info_read(multi, &left);

    return message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_OUT_OF_MEMORY;
}

static CURLcode perform(CURLM *multi, struct fetch *fetch)
{
    CURLMcode code = curl_multi_add_handle(multi, fetch->easy);
    CURLcode result = CURLE_OUT_OF_MEMORY;
    int running = 1;

    if (code)
        return result;
    while (!code && running && !is_over(fetch)) {
        code = curl_multi_perform(multi, &running);
        if (!code && running)
            code = curl_multi_poll(multi, NULL, 0, WAIT_MS, NULL);
    }
    if (!code && !running)
        result = result_of(multi);
    curl_multi_remove_handle(multi, fetch->easy);
    return result;
}

tars_status tars_client_fetch(struct tars_client *client, const struct tars_client_request *request,
                              tars_client_bytes_fn *bytes, void *ctx,
                              struct tars_client_reply *reply, struct tars_err *err)
{
    struct fetch fetch = {.request = request, .bytes = bytes, .ctx = ctx};
    struct curl_slist *headers = NULL;
    struct line line;
    tars_status status = check(request, err);
    CURLcode code;

    if (status)
        return status;
    fetch.max_body = request->max_body_bytes ? request->max_body_bytes : BODY_MAX_DEFAULT;
    fetch.idle_ms = request->idle_timeout_ms ? request->idle_timeout_ms : IDLE_MS_DEFAULT;
    fetch.last_ms = tars_clock_mono_ms();
    line = borrow(client);
    if (!line.multi)
        return tars_fail(TARS_ENOMEM, err, "no memory to ask %.200s", request->url);
    fetch.easy = line.easy;
    if (make_headers(request, &headers) || set_limits(fetch.easy, &fetch) ||
        set_request(client, fetch.easy, request, headers)) {
        status = tars_fail(TARS_ENOMEM, err, "no memory to ask %.200s", request->url);
        goto out;
    }
    code = perform(line.multi, &fetch);
    if (code) {
        status = fail(&fetch, code, err);
    } else {
        fill_reply(&fetch, reply);
    }
out:
    put_back(client, line);
    curl_slist_free_all(headers);
    return status;
}

static bool append(void *ctx, int status, const char *ptr, size_t len)
{
    struct tars_buf *body = ctx;

    (void)status;
    tars_buf_append(body, ptr, len);
    return body->status == TARS_OK;
}

tars_status tars_client_fetch_buf(struct tars_client *client,
                                  const struct tars_client_request *request, struct tars_buf *body,
                                  struct tars_client_reply *reply, struct tars_err *err)
{
    tars_status status = tars_client_fetch(client, request, append, body, reply, err);

    return status == TARS_ECANCELED && body->status ? body->status : status;
}
