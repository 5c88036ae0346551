/* chroma - see chroma.h for the contract.
 *
 * Every call is an exchange: a method, what follows ".../collections", a body, a time. The rest of
 * the path is the API's, which is looked up when it is not known.
 */
#include "vectors/chroma.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec/url.h"
#include "base/sys/breaker.h"
#include "base/sys/clock.h"
#include "net/client.h"

#define READ_MS_DEFAULT  5000
#define WRITE_MS_DEFAULT 60000
#define CONNECT_MS       3000
#define PATH_MAX_BYTES   2048
#define REPLY_MAX        ((size_t)128 << 20)
#define REQUEST_MAX      ((size_t)64 << 20)
#define WRITE_BYTES      ((size_t)16 << 20) /* about, of a write's body */
#define NUMBER_BYTES     16                 /* about, of a number in it */
#define ROW_BYTES        4096               /* about, of the rest of a row */
#define DELETE_ROWS      1000               /* looked up and removed at a time */
#define SAID_BYTES       200                /* of a refusal, in a message */
#define BEARER           "authorization: Bearer "
#define TOKEN            "x-chroma-token: "
#define HEADERS          3

static const char *const roots[] = {
    [TARS_CHROMA_V2] = "/api/v2/tenants/default_tenant/databases/default_database/collections",
    [TARS_CHROMA_V1] = "/api/v1/collections",
};
static const char *const heads[] = {[TARS_CHROMA_V2] = "/api/v2", [TARS_CHROMA_V1] = "/api/v1"};

#define UNKNOWN (-1)

struct tars_chroma {
    struct tars_client *client; /* borrowed, or own */
    struct tars_client *own;    /* owned, or NULL */
    char *url;                  /* owned, without a slash at its end; as the two below */
    char *bearer;               /* header line, or NULL */
    char *token;                /* likewise */
    size_t batch_rows;
    int64_t read_ms, write_ms;
    const atomic_bool *stop; /* or NULL; lent */
    struct tars_breaker breaker;
    atomic_int api;      /* enum tars_chroma_api, or UNKNOWN */
    atomic_size_t limit; /* rows of a write that the server allows; 0: not known */
};

/* One request and its reply. */
struct exchange {
    const char *method;
    char tail[PATH_MAX_BYTES]; /* behind ".../collections" */
    struct tars_buf body;      /* of the request */
    struct tars_buf reply;
    int http;
    int64_t ms;
    const atomic_bool *cancelled;
    bool is_short; /* a timeout says nothing of the server */
};

/* ------------------------------------------------------------------ sending */

static tars_status send(const struct tars_chroma *chroma, const char *method, const char *path,
                        struct exchange *exchange, struct tars_err *err)
{
    const char *const headers[HEADERS] = {"content-type: application/json", chroma->bearer,
                                          chroma->token};
    char url[2 * PATH_MAX_BYTES];
    struct tars_client_reply head = {.status = 0};
    const struct tars_client_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .header_count = chroma->bearer ? HEADERS : 1,
        .body = tars_buf_span(&exchange->body),
        .connect_timeout_ms = exchange->ms < CONNECT_MS ? exchange->ms : CONNECT_MS,
        .idle_timeout_ms = exchange->ms,
        .total_timeout_ms = exchange->ms,
        .max_body_bytes = REPLY_MAX,
        .cancelled = exchange->cancelled,
    };
    tars_status status;

    if ((size_t)snprintf(url, sizeof(url), "%s%s", chroma->url, path) >= sizeof(url))
        return tars_fail(TARS_EINVAL, err, "the address of ChromaDB is too long");
    tars_buf_clear(&exchange->reply);
    status = tars_client_fetch_buf(chroma->client, &request, &exchange->reply, &head, err);
    exchange->http = head.status;
    return status;
}

/* Which status a refusal is: 0.5.x says of a collection that is not there that it is invalid. */
static tars_status status_of(int http, const char *said)
{
    if (http == 401 || http == 403)
        return TARS_EDENIED;
    if (http == 404 || strstr(said, "does not exist") || strstr(said, "does not exists"))
        return TARS_ENOTFOUND;
    if (http == 413)
        return TARS_ETOOBIG;
    if (strstr(said, "dimension"))
        return TARS_EMISMATCH;
    if (http == 400 || http == 409 || http == 422)
        return TARS_EINVAL;
    /* What it cannot do of one request, it may of the next. */
    return http == 502 || http == 503 || http == 504 ? TARS_EUNAVAILABLE : TARS_EIO;
}

static tars_status refuse(struct tars_chroma *chroma, const struct exchange *exchange,
                          struct tars_err *err)
{
    char said[SAID_BYTES];
    tars_status status;

    tars_chroma_read_refusal(tars_buf_span(&exchange->reply), said, sizeof(said));
    if (exchange->http == 405 || exchange->http == 410) {
        atomic_store(&chroma->api, UNKNOWN); /* another version answers now */
        return tars_fail(TARS_EUNAVAILABLE, err, "ChromaDB at %s is not what it was: %s",
                         chroma->url, said);
    }
    status = status_of(exchange->http, said);
    return tars_fail(status, err, "ChromaDB at %s answered %d: %s", chroma->url, exchange->http,
                     said);
}

/* ---------------------------------------------------------------- which API */

static tars_status look(struct tars_chroma *chroma, enum tars_chroma_api api,
                        struct exchange *exchange, bool *is_it, struct tars_err *err)
{
    char path[PATH_MAX_BYTES];
    tars_status status;

    (void)snprintf(path, sizeof(path), "%s/heartbeat", heads[api]);
    status = send(chroma, NULL, path, exchange, err);
    *is_it = status == TARS_OK && exchange->http == 200 && exchange->reply.len > 0 &&
             exchange->reply.ptr[0] == '{';
    if (status == TARS_OK && exchange->http >= 500) {
        status = refuse(chroma, exchange, err);
        return status == TARS_EIO ? TARS_EUNAVAILABLE : status; /* of it nothing is simpler */
    }
    return status;
}

/* The older one first: who speaks both does best there. */
static tars_status detect(struct tars_chroma *chroma, const struct exchange *from,
                          struct tars_err *err)
{
    static const enum tars_chroma_api order[] = {TARS_CHROMA_V1, TARS_CHROMA_V2};
    struct exchange exchange = {.ms = from->ms, .cancelled = from->cancelled};
    tars_status status = TARS_OK;
    bool is_it = false;

    if (exchange.ms > chroma->read_ms)
        exchange.ms = chroma->read_ms;
    tars_buf_init(&exchange.body, REQUEST_MAX);
    tars_buf_init(&exchange.reply, REPLY_MAX);
    for (size_t i = 0; i < 2 && status == TARS_OK && !is_it; i++) {
        status = look(chroma, order[i], &exchange, &is_it, err);
        if (is_it)
            atomic_store(&chroma->api, (int)order[i]);
    }
    if (status == TARS_OK && !is_it && (exchange.http == 401 || exchange.http == 403)) {
        status = refuse(chroma, &exchange, err);
    } else if (status == TARS_OK && !is_it) {
        status = tars_fail(TARS_EFORMAT, err, "what answers at %s is no ChromaDB", chroma->url);
    }
    tars_buf_release(&exchange.reply);
    return status;
}

/* ------------------------------------------------------------------ exchange */

static tars_status talk(struct tars_chroma *chroma, struct exchange *exchange, struct tars_err *err)
{
    char path[PATH_MAX_BYTES + 128];
    tars_status status = TARS_OK;
    int api;

    if (atomic_load(&chroma->api) == UNKNOWN)
        status = detect(chroma, exchange, err);
    api = atomic_load(&chroma->api);
    if (status != TARS_OK || api == UNKNOWN)
        return status ? status : TARS_EUNAVAILABLE;
    (void)snprintf(path, sizeof(path), "%s%s", roots[api], exchange->tail);
    return send(chroma, exchange->method, path, exchange, err);
}

static bool is_away(tars_status status)
{
    return status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT;
}

/* TARS_OK: the reply's body is there. The exchange is to be ended in any case. */
static tars_status run(struct tars_chroma *chroma, struct exchange *exchange, struct tars_err *err)
{
    tars_status status = exchange->body.status;

    if (status != TARS_OK)
        return tars_fail(status, err, "the request for ChromaDB is too large");
    if (!tars_breaker_may_try(&chroma->breaker, tars_clock_mono_ms())) {
        return tars_fail(TARS_EUNAVAILABLE, err,
                         "ChromaDB at %s did not answer; it is asked again in a moment",
                         chroma->url);
    }
    if (!exchange->cancelled)
        exchange->cancelled = chroma->stop;
    status = talk(chroma, exchange, err);
    if (status == TARS_OK && exchange->http / 100 != 2)
        status = refuse(chroma, exchange, err);
    if (exchange->is_short && status == TARS_ETIMEOUT)
        return status;
    if (status != TARS_ECANCELED && status != TARS_ENOMEM)
        tars_breaker_note(&chroma->breaker, !is_away(status), tars_clock_mono_ms());
    if (is_away(status))
        atomic_store(&chroma->api, UNKNOWN);
    return status;
}

static void begin(struct exchange *exchange, const char *method, int64_t ms)
{
    *exchange = (struct exchange){.method = method, .ms = ms};
    tars_buf_init(&exchange->body, REQUEST_MAX);
    tars_buf_init(&exchange->reply, REPLY_MAX);
}

static void end(struct exchange *exchange)
{
    tars_buf_release(&exchange->body);
    tars_buf_release(&exchange->reply);
}

/* To what follows a collection's id. */
static void aim(struct exchange *exchange, const char *id, const char *verb)
{
    (void)snprintf(exchange->tail, sizeof(exchange->tail), "/%s%s", id, verb);
}

static tars_status aim_name(struct exchange *exchange, const char *name, struct tars_err *err)
{
    struct tars_buf path;
    tars_status status;

    tars_buf_init(&path, sizeof(exchange->tail) - 2);
    tars_url_encode(&path, tars_span_of(name));
    status = path.status;
    if (status == TARS_OK && path.len > 0)
        (void)snprintf(exchange->tail, sizeof(exchange->tail), "/%s", path.ptr);
    tars_buf_release(&path);
    return status == TARS_ENOMEM || (status == TARS_OK && name[0])
               ? status
               : tars_fail(TARS_EINVAL, err, "\"%.40s\" is no name of a collection", name);
}

/* --------------------------------------------------------------- collections */

tars_status tars_chroma_find(struct tars_chroma *chroma, const char *name, struct tars_arena *arena,
                             struct tars_chroma_collection *out, struct tars_err *err)
{
    struct exchange exchange;
    tars_status status;

    begin(&exchange, NULL, chroma->read_ms);
    status = aim_name(&exchange, name, err);
    if (status == TARS_OK)
        status = run(chroma, &exchange, err);
    if (status == TARS_OK) {
        status = tars_chroma_read_collection(tars_buf_span(&exchange.reply), arena, out, err);
    } else if (status == TARS_ENOTFOUND) {
        status =
            tars_fail(status, err, "ChromaDB at %s has no collection \"%s\"", chroma->url, name);
    }
    end(&exchange);
    return status;
}

tars_status tars_chroma_make(struct tars_chroma *chroma, const char *name, const char *space,
                             const char *metadata, struct tars_arena *arena,
                             struct tars_chroma_collection *out, struct tars_err *err)
{
    struct exchange exchange;
    tars_status status = TARS_OK;

    begin(&exchange, NULL, chroma->write_ms);
    if (atomic_load(&chroma->api) == UNKNOWN)
        status = detect(chroma, &exchange, err); /* the body is the API's, too */
    if (status == TARS_OK) {
        tars_chroma_write_collection(&exchange.body,
                                     atomic_load(&chroma->api) == TARS_CHROMA_V1 ? TARS_CHROMA_V1
                                                                                 : TARS_CHROMA_V2,
                                     name, space, metadata);
        status = run(chroma, &exchange, err);
    }
    if (status == TARS_OK)
        status = tars_chroma_read_collection(tars_buf_span(&exchange.reply), arena, out, err);
    end(&exchange);
    return status;
}

tars_status tars_chroma_drop(struct tars_chroma *chroma, const char *name, struct tars_err *err)
{
    struct exchange exchange;
    tars_status status;

    begin(&exchange, "DELETE", chroma->write_ms);
    status = aim_name(&exchange, name, err);
    if (status == TARS_OK)
        status = run(chroma, &exchange, err);
    end(&exchange);
    return status;
}

tars_status tars_chroma_describe(struct tars_chroma *chroma, const char *id, const char *metadata,
                                 struct tars_err *err)
{
    struct exchange exchange;
    tars_status status;

    begin(&exchange, "PUT", chroma->write_ms);
    aim(&exchange, id, "");
    tars_chroma_write_metadata(&exchange.body, metadata);
    status = run(chroma, &exchange, err);
    end(&exchange);
    return status;
}

tars_status tars_chroma_count(struct tars_chroma *chroma, const char *id, size_t *count,
                              struct tars_err *err)
{
    struct exchange exchange;
    tars_status status;

    begin(&exchange, NULL, chroma->read_ms);
    aim(&exchange, id, "/count");
    status = run(chroma, &exchange, err);
    if (status == TARS_OK)
        status = tars_chroma_read_count(tars_buf_span(&exchange.reply), count, err);
    end(&exchange);
    return status;
}

/* ----------------------------------------------------------------------- rows */

/* What the server allows; not known is no failure. */
static void learn_limit(struct tars_chroma *chroma)
{
    struct exchange exchange;
    char path[64];
    size_t rows = 0;
    int api = atomic_load(&chroma->api);

    if (atomic_load(&chroma->limit) > 0 || api == UNKNOWN)
        return;
    begin(&exchange, NULL, chroma->read_ms);
    (void)snprintf(path, sizeof(path), "%s/pre-flight-checks", heads[api]);
    if (send(chroma, NULL, path, &exchange, NULL) == TARS_OK && exchange.http == 200 &&
        tars_chroma_read_limit(tars_buf_span(&exchange.reply), &rows, NULL) == TARS_OK && rows > 0)
        atomic_store(&chroma->limit, rows);
    end(&exchange);
}

static size_t step_of(struct tars_chroma *chroma, size_t dim)
{
    size_t step = chroma->batch_rows;
    size_t by_bytes = WRITE_BYTES / (dim * NUMBER_BYTES + ROW_BYTES);
    size_t limit;

    learn_limit(chroma);
    limit = atomic_load(&chroma->limit);
    if (limit > 0 && limit < step)
        step = limit;
    if (by_bytes < step)
        step = by_bytes;
    return step > 0 ? step : 1;
}

static tars_status write_batch(struct tars_chroma *chroma, const char *id,
                               const struct tars_chroma_row *rows, size_t n, size_t dim,
                               struct tars_err *err)
{
    struct exchange exchange;
    tars_status status;

    begin(&exchange, NULL, chroma->write_ms);
    aim(&exchange, id, "/upsert");
    tars_chroma_write_rows(&exchange.body, rows, n, dim);
    status = run(chroma, &exchange, err);
    end(&exchange);
    return status;
}

tars_status tars_chroma_upsert(struct tars_chroma *chroma, const char *id,
                               const struct tars_chroma_row *rows, size_t n, size_t dim,
                               struct tars_err *err)
{
    size_t step = n ? step_of(chroma, dim) : 1;
    tars_status status = TARS_OK;

    for (size_t i = 0; i < n && status == TARS_OK; i += step)
        status = write_batch(chroma, id, rows + i, n - i < step ? n - i : step, dim, err);
    return status;
}

tars_status tars_chroma_delete_ids(struct tars_chroma *chroma, const char *id,
                                   const char *const *ids, size_t n, struct tars_err *err)
{
    size_t step = chroma->batch_rows < DELETE_ROWS ? chroma->batch_rows : DELETE_ROWS;
    tars_status status = TARS_OK;

    for (size_t i = 0; i < n && status == TARS_OK; i += step) {
        const struct tars_chroma_wish wish = {.ids = ids + i,
                                              .id_count = n - i < step ? n - i : step};
        struct exchange exchange;

        begin(&exchange, NULL, chroma->write_ms);
        aim(&exchange, id, "/delete");
        tars_chroma_write_delete(&exchange.body, &wish);
        status = run(chroma, &exchange, err);
        end(&exchange);
    }
    return status;
}

static tars_status delete_page(struct tars_chroma *chroma, const char *id,
                               const struct tars_chroma_rows *rows, struct tars_arena *arena,
                               struct tars_err *err)
{
    const char **ids = tars_arena_calloc(arena, rows->count, sizeof(*ids));

    if (!ids)
        return TARS_ENOMEM;
    for (size_t i = 0; i < rows->count; i++)
        ids[i] = rows->items[i].id;
    return tars_chroma_delete_ids(chroma, id, ids, rows->count, err);
}

/* By ids, since a server removes only so many at a time, and does not say when where is more. */
tars_status tars_chroma_delete(struct tars_chroma *chroma, const char *id, const char *where,
                               struct tars_err *err)
{
    size_t step = chroma->batch_rows < DELETE_ROWS ? chroma->batch_rows : DELETE_ROWS;
    const struct tars_chroma_wish wish = {.where = where, .limit = step};
    char last[SAID_BYTES] = ""; /* the first row of the page before */
    struct tars_chroma_rows rows = {.count = 0};
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, REPLY_MAX);
    do {
        tars_arena_clear(&arena);
        status = tars_chroma_get(chroma, id, &wish, &arena, &rows, err);
        if (status != TARS_OK || rows.count == 0)
            break;
        if (strncmp(last, rows.items[0].id, sizeof(last) - 1) == 0) {
            status = tars_fail(TARS_EIO, err, "ChromaDB at %s keeps row %s, which was removed",
                               chroma->url, last);
            break;
        }
        (void)snprintf(last, sizeof(last), "%s", rows.items[0].id);
        status = delete_page(chroma, id, &rows, &arena, err);
    } while (status == TARS_OK && rows.count == step);
    tars_arena_release(&arena);
    return status;
}

tars_status tars_chroma_get(struct tars_chroma *chroma, const char *id,
                            const struct tars_chroma_wish *wish, struct tars_arena *arena,
                            struct tars_chroma_rows *out, struct tars_err *err)
{
    struct exchange exchange;
    tars_status status;

    assert(wish->limit >= 1 && wish->limit <= TARS_CHROMA_ROWS_MAX);
    begin(&exchange, NULL, chroma->write_ms);
    aim(&exchange, id, "/get");
    tars_chroma_write_get(&exchange.body, wish);
    status = run(chroma, &exchange, err);
    if (status == TARS_OK) {
        status = tars_chroma_read_rows(tars_buf_span(&exchange.reply), wish->limit, wish->include,
                                       arena, out, err);
    }
    end(&exchange);
    return status;
}

tars_status tars_chroma_query(struct tars_chroma *chroma, const char *id, const float *vector,
                              size_t dim, size_t n, const char *where,
                              const struct tars_chroma_wait *wait, struct tars_arena *arena,
                              struct tars_chroma_hits *out, struct tars_err *err)
{
    struct exchange exchange;
    tars_status status;

    begin(&exchange, NULL, wait && wait->ms ? wait->ms : chroma->read_ms);
    exchange.cancelled = wait ? wait->cancelled : NULL;
    exchange.is_short = wait && wait->is_short;
    aim(&exchange, id, "/query");
    tars_chroma_write_query(&exchange.body, vector, dim, n, where);
    status = run(chroma, &exchange, err);
    if (status == TARS_OK)
        status = tars_chroma_read_hits(tars_buf_span(&exchange.reply), n, arena, out, err);
    end(&exchange);
    return status;
}

/* -------------------------------------------------------------------- set-up */

static void read_version(struct tars_chroma *chroma, struct tars_chroma_info *info)
{
    struct exchange exchange;
    char path[64];
    size_t len = 0;

    begin(&exchange, NULL, chroma->read_ms);
    (void)snprintf(path, sizeof(path), "%s/version", heads[info->api]);
    if (send(chroma, NULL, path, &exchange, NULL) == TARS_OK && exchange.http == 200) {
        for (size_t i = 0; i < exchange.reply.len && len + 1 < sizeof(info->version); i++) {
            char c = exchange.reply.ptr[i];

            if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-')
                info->version[len++] = c;
        }
    }
    end(&exchange);
}

tars_status tars_chroma_ping(struct tars_chroma *chroma, struct tars_chroma_info *info,
                             struct tars_err *err)
{
    const struct exchange from = {.ms = chroma->read_ms};
    tars_status status = detect(chroma, &from, err);

    if (status != TARS_ECANCELED && status != TARS_ENOMEM)
        tars_breaker_note(&chroma->breaker, !is_away(status), tars_clock_mono_ms());
    if (status != TARS_OK)
        return status;
    *info = (struct tars_chroma_info){
        .api = atomic_load(&chroma->api) == TARS_CHROMA_V1 ? TARS_CHROMA_V1 : TARS_CHROMA_V2};
    read_version(chroma, info);
    return TARS_OK;
}

const char *tars_chroma_url(const struct tars_chroma *chroma)
{
    return chroma->url;
}

static char *join(const char *a, const char *b, size_t b_len)
{
    size_t a_len = strlen(a);
    char *text = malloc(a_len + b_len + 1);

    if (!text)
        return NULL;
    memcpy(text, a, a_len);
    memcpy(text + a_len, b, b_len);
    text[a_len + b_len] = '\0';
    return text;
}

static tars_status fill(struct tars_chroma *chroma, const struct tars_chroma_config *config)
{
    const char *token = config->token && config->token[0] ? config->token : NULL;
    const struct tars_client_config client = {0};
    size_t len = strlen(config->url);

    if (!config->client && tars_client_new(&client, &chroma->own) != TARS_OK)
        return TARS_ENOMEM;
    chroma->client = config->client ? config->client : chroma->own;
    while (len > 0 && config->url[len - 1] == '/')
        len--;
    chroma->url = join(strstr(config->url, "://") ? "" : "http://", config->url, len);
    if (token) {
        chroma->bearer = join(BEARER, token, strlen(token));
        chroma->token = join(TOKEN, token, strlen(token));
    }
    return chroma->url && (!token || (chroma->bearer && chroma->token)) ? TARS_OK : TARS_ENOMEM;
}

static tars_status check(const struct tars_chroma_config *config, struct tars_err *err)
{
    const char *scheme = strstr(config->url, "://");

    if (!config->url[0] || strpbrk(config->url, "\r\n \"?#") ||
        strlen(config->url) > PATH_MAX_BYTES / 2 ||
        (scheme && strncmp(config->url, "http://", 7) != 0 &&
         strncmp(config->url, "https://", 8) != 0)) {
        return tars_fail(TARS_EINVAL, err,
                         "\"%.80s\" is no http:// or https:// address of ChromaDB", config->url);
    }
    if (config->token && strpbrk(config->token, "\r\n"))
        return tars_fail(TARS_EINVAL, err, "the token for ChromaDB holds a line break");
    return TARS_OK;
}

tars_status tars_chroma_new(const struct tars_chroma_config *config, struct tars_chroma **chroma,
                            struct tars_err *err)
{
    const struct tars_breaker_config breaker = {.failures = config->breaker_failures};
    struct tars_chroma *made;
    tars_status status = check(config, err);

    if (status != TARS_OK)
        return status;
    made = calloc(1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    made->batch_rows = config->batch_rows ? config->batch_rows : TARS_CHROMA_BATCH_DEFAULT;
    made->read_ms = config->read_ms ? config->read_ms : READ_MS_DEFAULT;
    made->write_ms = config->write_ms ? config->write_ms : WRITE_MS_DEFAULT;
    atomic_init(&made->api, UNKNOWN);
    atomic_init(&made->limit, 0);
    tars_breaker_init(&made->breaker, &breaker);
    status = fill(made, config);
    if (status != TARS_OK) {
        tars_chroma_free(made);
        return status;
    }
    *chroma = made;
    return TARS_OK;
}

void tars_chroma_stop_by(struct tars_chroma *chroma, const atomic_bool *stop)
{
    chroma->stop = stop;
}

void tars_chroma_free(struct tars_chroma *chroma)
{
    if (!chroma)
        return;
    tars_breaker_release(&chroma->breaker);
    tars_client_free(chroma->own);
    free(chroma->url);
    free(chroma->bearer);
    free(chroma->token);
    free(chroma);
}
