/* Tests of api over a real server on a free port, with a service that gives what a row asks for:
 * what becomes of the failures of the rooms below. The good answers are seen by tests/http. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"
#include "api/routes.h"
#include "net/client.h"
#include "net/server.h"
#include "store/store_sqlite.h"
#include "support/files.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))
#define TOKEN   "0123456789abcdef"

#define POOL_THREADS 2

/* ------------------------------------------------------------------- doubles */

struct fake {
    tars_status status; /* what every function of the service returns */
    const char *words;
};

static tars_status outcome(struct fake *fake, struct tars_err *err)
{
    return fake->status == TARS_OK ? TARS_OK : tars_fail(fake->status, err, "%s", fake->words);
}

static tars_status fake_search(void *ctx, const struct tars_search_request *request,
                               struct tars_call *call, struct tars_search_reply *reply,
                               struct tars_err *err)
{
    struct tars_hit *hit = tars_arena_calloc(call->arena, 1, sizeof(*hit));

    assert_non_null(hit);
    *hit = (struct tars_hit){.chunk_id = "c",
                             .document_id = "d",
                             .external_id = "7",
                             .collection = "tars_documents",
                             .content = tars_span_of(request->query),
                             .file_path = "/p",
                             .file_name = "p",
                             .file_type = "md",
                             .title = "",
                             .section = "",
                             .sha256 = "",
                             .metadata_json = "{\"a\":1}",
                             .vector_score = 0.5};
    *reply = (struct tars_search_reply){hit, 1, "linear", "embedding_model", "words", 0, 0, 0};
    return outcome(ctx, err);
}

static tars_status fake_stats(void *ctx, const struct tars_visible *visible,
                              struct tars_arena *arena, struct tars_collection_stats *stats,
                              struct tars_err *err)
{
    (void)visible;
    (void)arena;
    *stats = (struct tars_collection_stats){.embedding_model = "", .language_model = ""};
    return outcome(ctx, err);
}

static tars_status fake_submit(void *ctx, const struct tars_take *takes, size_t n,
                               struct tars_call *call, int64_t *job_ids, struct tars_err *err)
{
    (void)takes;
    (void)call;
    for (size_t i = 0; i < n; i++)
        job_ids[i] = (int64_t)i + 1;
    return outcome(ctx, err);
}

static tars_status fake_wait(void *ctx, int64_t job_id, struct tars_call *call,
                             struct tars_taken *taken, struct tars_err *err)
{
    (void)call;
    *taken = (struct tars_taken){.path = "/r/a.md",
                                 .document_id = "d",
                                 .reason = "",
                                 .outcome = TARS_TAKEN_INDEXED,
                                 .chunks = 2,
                                 .job_id = job_id};
    return outcome(ctx, err);
}

static tars_status fake_ingest(void *ctx, const struct tars_tree *tree, struct tars_call *call,
                               tars_taken_fn *each, void *each_ctx, struct tars_err *err)
{
    const struct tars_taken taken = {.path = tree->path,
                                     .document_id = "d",
                                     .reason = "",
                                     .outcome = TARS_TAKEN_INDEXED,
                                     .chunks = 2,
                                     .job_id = 1};

    (void)call;
    assert_true(each(each_ctx, NULL, 1));
    assert_true(each(each_ctx, &taken, 1));
    return outcome(ctx, err);
}

static tars_status fake_forget(void *ctx, const struct tars_visible *writable,
                               const char *document_id, int64_t *chunks, struct tars_err *err)
{
    (void)writable;
    (void)document_id;
    *chunks = 3;
    return outcome(ctx, err);
}

static tars_status fake_forget_path(void *ctx, const char *collection, const char *path,
                                    int64_t *documents, int64_t *chunks, struct tars_err *err)
{
    (void)collection;
    (void)path;
    *documents = 1;
    *chunks = 3;
    return outcome(ctx, err);
}

static tars_status fake_forget_collection(void *ctx, const char *key, struct tars_call *call,
                                          int64_t *documents, int64_t *chunks, struct tars_err *err)
{
    (void)key;
    (void)call;
    *documents = 2;
    *chunks = 5;
    return outcome(ctx, err);
}

static tars_status fake_collections(void *ctx, const struct tars_visible *visible,
                                    struct tars_arena *arena, struct tars_collection_view **views,
                                    size_t *count, struct tars_err *err)
{
    (void)visible;
    (void)arena;
    (void)views;
    *count = 0;
    return outcome(ctx, err);
}

static tars_status fake_jobs(void *ctx, const struct tars_visible *visible, const char *state,
                             size_t limit, struct tars_arena *arena, struct tars_job_view **jobs,
                             size_t *count, struct tars_err *err)
{
    (void)visible;
    (void)state;
    (void)limit;
    (void)arena;
    (void)jobs;
    *count = 0;
    return outcome(ctx, err);
}

static tars_status fake_job(void *ctx, const struct tars_visible *visible, int64_t id,
                            struct tars_arena *arena, struct tars_job_view *job,
                            struct tars_err *err)
{
    (void)visible;
    (void)arena;
    *job = (struct tars_job_view){.id = id,
                                  .kind = "ingest",
                                  .collection = "tars_documents",
                                  .path = "/p",
                                  .state = "done",
                                  .stage = "",
                                  .error = "",
                                  .document_id = ""};
    return outcome(ctx, err);
}

static tars_status fake_change(void *ctx, const struct tars_visible *writable, int64_t id,
                               struct tars_err *err)
{
    (void)writable;
    (void)id;
    return outcome(ctx, err);
}

static tars_status fake_documents(void *ctx, const struct tars_visible *visible, size_t limit,
                                  size_t offset, struct tars_arena *arena,
                                  struct tars_document_view **documents, size_t *count,
                                  struct tars_err *err)
{
    (void)visible;
    (void)limit;
    (void)offset;
    (void)arena;
    (void)documents;
    *count = 0;
    return outcome(ctx, err);
}

static tars_status fake_document(void *ctx, const char *document_id, struct tars_arena *arena,
                                 struct tars_document_view *document, struct tars_err *err)
{
    (void)ctx;
    (void)document_id;
    (void)arena;
    (void)document;
    (void)err;
    return TARS_ENOTFOUND;
}

static tars_status fake_recall(void *ctx, const struct tars_search_request *request,
                               struct tars_call *call, struct tars_recalled *recalled)
{
    (void)ctx;
    (void)call;
    if (strcmp(request->query, "kept") != 0)
        return TARS_ENOTFOUND;
    recalled->results = tars_span_of("[{\"chunk_id\":\"k\"}]");
    recalled->count = 1;
    return TARS_OK;
}

static void fake_keep(void *ctx, const struct tars_search_request *request, struct tars_call *call,
                      const struct tars_search_reply *reply, struct tars_span results)
{
    (void)ctx;
    (void)request;
    (void)call;
    (void)reply;
    assert_true(results.len >= 2 && results.ptr[0] == '[' && results.ptr[results.len - 1] == ']');
}

static tars_status fake_vitals(void *ctx, struct tars_arena *arena, struct tars_vitals *vitals)
{
    (void)ctx;
    (void)arena;
    *vitals = (struct tars_vitals){.documents = 1, .chunks = 2, .index_vectors = 3};
    return TARS_OK;
}

static void fake_cache_view(void *ctx, bool counts_keys, struct tars_arena *arena,
                            struct tars_cache_view *view)
{
    (void)ctx;
    (void)counts_keys;
    (void)arena;
    *view = (struct tars_cache_view){.enabled = true};
}

static void fake_cache_sample(void *ctx)
{
    (void)ctx;
}

static tars_status fake_cache_clear(void *ctx, const char *kind, const char *pattern,
                                    uint64_t *removed, struct tars_err *err)
{
    (void)ctx, (void)kind, (void)pattern, (void)err;
    *removed = 0;
    return TARS_OK;
}

static const struct tars_service_ops fake_ops = {
    .search = fake_search,
    .recall = fake_recall,
    .keep = fake_keep,
    .cache_view = fake_cache_view,
    .cache_sample = fake_cache_sample,
    .cache_clear = fake_cache_clear,
    .stats = fake_stats,
    .vitals = fake_vitals,
    .collections = fake_collections,
    .submit = fake_submit,
    .wait = fake_wait,
    .ingest = fake_ingest,
    .forget = fake_forget,
    .forget_path = fake_forget_path,
    .forget_collection = fake_forget_collection,
    .jobs = fake_jobs,
    .job = fake_job,
    .job_cancel = fake_change,
    .job_retry = fake_change,
    .documents = fake_documents,
    .document = fake_document,
};

/* --------------------------------------------------------------------- server */

struct bench {
    struct fake fake;
    struct tars_health health;
    struct tars_metrics *metrics;
    struct tars_pool *pool;
    char dir[FILES_PATH_MAX]; /* of the store */
    struct tars_store *store;
    struct tars_auth *auth;
    char bearer[2048]; /* header of somebody who may do everything in the tenant */
    struct tars_api *api;
    struct tars_server *server;
    struct tars_client *client;
};

/* Mode open, where every token is an admin's. */
static void open_auth(struct bench *bench)
{
    const struct tars_sign_in request = {.client_id = "tester"};
    const struct tars_store_sqlite_config store = {.dir = bench->dir, .readers = 1};
    struct tars_auth_config config = {.secret = "0123456789abcdef0123456789abcdef",
                                      .open_admin = true};
    struct tars_token_pair pair;
    struct tars_arena arena;

    files_make_dir(bench->dir);
    assert_int_equal(tars_store_sqlite_open(&store, &bench->store, NULL), TARS_OK);
    config.store = bench->store;
    assert_int_equal(tars_auth_new(&config, &bench->auth, NULL), TARS_OK);
    tars_arena_init(&arena, 1 << 20);
    assert_int_equal(tars_auth_sign_in(bench->auth, &request, &arena, &pair, NULL), TARS_OK);
    (void)snprintf(bench->bearer, sizeof(bench->bearer), "authorization: Bearer %s", pair.access);
    tars_arena_release(&arena);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    const struct tars_pool_config pool = {.name = "test", .threads = POOL_THREADS};
    const struct tars_client_config client = {0};
    struct tars_api_config api = {.service = &fake_ops,
                                  .cors_origins = "http://app.test:3000,https://tars.example",
                                  .hosts = "tars.test, files.test",
                                  .roots = "/nonexistent::/tmp",
                                  .owner_token = TOKEN,
                                  .default_threshold = 0.7,
                                  .include_sources = true,
                                  .checks_hosts = true};
    struct tars_server_config server = {.handler = tars_api_handle};

    assert_non_null(bench);
    assert_int_equal(tars_client_global_init(), TARS_OK);
    assert_int_equal(tars_metrics_new(&bench->metrics), TARS_OK);
    assert_int_equal(tars_pool_new(&pool, &bench->pool), TARS_OK);
    open_auth(bench);
    api.auth = bench->auth;
    api.service_ctx = &bench->fake;
    api.health = &bench->health;
    api.metrics = bench->metrics;
    api.compute = api.wait = api.ingest = bench->pool;
    assert_int_equal(tars_api_new(&api, &bench->api, NULL), TARS_OK);
    server.ctx = bench->api;
    assert_int_equal(tars_server_open(&server, &bench->server, NULL), TARS_OK);
    assert_int_equal(tars_client_new(&client, &bench->client), TARS_OK);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    tars_client_free(bench->client);
    tars_server_close(bench->server);
    tars_pool_free(bench->pool);
    tars_api_free(bench->api);
    tars_auth_free(bench->auth);
    tars_store_close(bench->store);
    files_remove_dir(bench->dir);
    tars_metrics_free(bench->metrics);
    free(bench);
    return 0;
}

/* The status of the answer, its body in out. */
static int ask(struct bench *bench, const char *method, const char *path, const char *body,
               bool is_owner, struct tars_buf *out)
{
    const char *const headers[] = {"content-type: application/json", bench->bearer,
                                   "x-tars-owner: " TOKEN};
    struct tars_client_reply reply = {0};
    char url[256];
    const struct tars_client_request request = {.method = method,
                                                .url = url,
                                                .headers = headers,
                                                .header_count = is_owner ? 3 : 2,
                                                .body = tars_span_of(body)};

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s",
                   (unsigned)tars_server_port(bench->server), path);
    tars_buf_clear(out);
    assert_int_equal(tars_client_fetch_buf(bench->client, &request, out, &reply, NULL), TARS_OK);
    return reply.status;
}

struct row {
    const char *name;
    const char *method, *path, *body;
    tars_status status; /* of the service */
    int expected;
    const char *has; /* part of the body */
};

#define SEARCH "POST", "/rag/search", "{\"query\":\"leave\"}"
#define INDEX  "POST", "/rag/index", "{\"file_path\":\"/tmp/a.md\"}"
#define FORGET "DELETE", "/rag/document", "{\"document_id\":\"doc_1\"}"

static const struct row rows[] = {
    {"search", SEARCH, TARS_OK, 200, "\"degraded\":\"embedding_model\",\"unmet\":\"words\""},
    {"search: fields of the document", SEARCH, TARS_OK, 200, "\"fields\":{\"a\":1}"},
    {"search: filters not understood", SEARCH, TARS_EINVAL, 422, "Value error, because"},
    {"search: too long", SEARCH, TARS_ETIMEOUT, 504, "{\"detail\":\"because\",\"request_id\":"},
    {"search: store away", SEARCH, TARS_EUNAVAILABLE, 503, "because"},
    {"search: broken", SEARCH, TARS_EIO, 500,
     "{\"error\":\"Internal Server Error\",\"message\":\"An unexpected error occurred\","
     "\"service\":\"T.A.R.S. Backend\",\"version\":\"v0.3.0-alpha\""},
    {"search: unknown mode", "POST", "/rag/search", "{\"query\":\"x\",\"mode\":\"odd\"}", TARS_OK,
     422, "mode is one of"},
    {"stats: broken", "GET", "/rag/stats", "", TARS_EIO, 500, "Internal Server Error"},
    {"health: broken", "GET", "/rag/health", "", TARS_EBUSY, 503, "because"},
    {"index", INDEX, TARS_OK, 201, "\"status\":\"success\",\"chunks_created\":2"},
    {"index: failure is an answer", INDEX, TARS_EIO, 201, "\"status\":\"failed\""},
    {"index: outside the roots", "POST", "/rag/index", "{\"file_path\":\"/etc/x\"}", TARS_OK, 403,
     "outside"},
    {"index: a folder that is not there", "POST", "/rag/index",
     "{\"file_path\":\"/tmp/no/such/dir/x\"}", TARS_OK, 403, "outside"},
    {"index: out of a root by dots", "POST", "/rag/index", "{\"file_path\":\"/tmp/nope/..\"}",
     TARS_OK, 403, "outside"},
    {"batch: too many fields wrong", "POST", "/rag/index/batch", "{\"file_paths\":[1,2]}", TARS_OK,
     422, "\"loc\":[\"body\",\"file_paths\",1]"},
    {"batch", "POST", "/rag/index/batch", "{\"file_paths\":[\"/tmp/a\",\"/etc/b\"]}", TARS_OK, 201,
     "\"total_files\":2,\"successful\":1,\"failed\":1,\"already_indexed\":0,\"total_chunks\":2"},
    {"upload: JSON is the alias", "POST", "/rag/upload", "{\"file_path\":\"/tmp/a.md\"}", TARS_OK,
     201, "\"document_id\":\"d\""},
    {"forget", FORGET, TARS_OK, 200, "\"status\":\"success\",\"chunks_deleted\":3"},
    {"forget: not there", FORGET, TARS_ENOTFOUND, 200, "\"status\":\"not_found\""},
    {"forget: broken", FORGET, TARS_EIO, 500, "Internal"},
    {"forget: path", "DELETE", "/rag/delete", "{\"path\":\"/a\"}", TARS_OK, 200,
     "\"documents_deleted\":1"},
    {"forget: path not there", "DELETE", "/rag/document", "{\"path\":\"/a\"}", TARS_ENOTFOUND, 200,
     "not_found"},
    {"forget: path broken", "DELETE", "/rag/document", "{\"path\":\"/a\"}", TARS_EIO, 500, ""},
    {"forget: nothing named", "DELETE", "/rag/document", "{}", TARS_OK, 422, "document_id"},
    {"jobs: broken", "GET", "/rag/jobs?limit=7&state=done", "", TARS_EIO, 500, "Internal"},
    {"job", "GET", "/rag/jobs/5", "", TARS_OK, 200, "\"id\":5"},
    {"job: no number", "GET", "/rag/jobs/5x", "", TARS_OK, 404, "No such job"},
    {"job: ended already", "DELETE", "/rag/jobs/5", "", TARS_EINVAL, 409, "because"},
    {"job: again", "POST", "/rag/jobs/5", "", TARS_OK, 200, "\"state\":\"done\""},
    {"documents: broken", "GET", "/rag/documents", "", TARS_EIO, 500, "Internal"},
    {"ingest", "POST", "/rag/ingest", "{\"path\":\"/tmp\"}", TARS_OK, 200,
     "\"status\": \"indexed\""},
    {"ingest: failure ends the stream", "POST", "/rag/ingest", "{\"path\":\"/tmp\"}", TARS_EIO, 200,
     "\"error\": \"because\""},
    {"ingest: path missing", "POST", "/rag/ingest", "{}", TARS_OK, 422, "missing"},
    {"not ready without parts", "GET", "/ready", "", TARS_OK, 200, "\"status\":\"degraded\""},
    {"metrics that are switched off", "GET", "/metrics/prometheus", "", TARS_OK, 404, "Not Found"},
};

static void row_holds(void **state)
{
    struct bench *bench;
    const struct row *row = *state;
    struct tars_buf body;
    void *made = NULL;
    int status;

    assert_int_equal(set_up(&made), 0);
    bench = made;
    bench->fake = (struct fake){row->status, "because"};
    tars_buf_init(&body, 1 << 20);
    status = ask(bench, row->method, row->path, row->body, false, &body);
    if (status != row->expected || !body.ptr || !strstr(body.ptr, row->has))
        print_message("got %d %s\n", status, body.ptr ? body.ptr : "");
    assert_int_equal(status, row->expected);
    assert_non_null(strstr(body.ptr ? body.ptr : "", row->has));
    tars_buf_release(&body);
    (void)tear_down(&made);
}

static void owner_may_read_anywhere(void **state)
{
    struct bench *bench = *state;
    struct tars_buf body;

    tars_buf_init(&body, 1 << 20);
    assert_int_equal(ask(bench, "POST", "/rag/index", "{\"file_path\":\"/etc/x\"}", true, &body),
                     201);
    assert_int_equal(
        ask(bench, "POST", "/rag/search", "{\"query\":\"x\",\"top_k\":900}", true, &body), 200);
    assert_int_equal(
        ask(bench, "POST", "/rag/search", "{\"query\":\"x\",\"top_k\":900}", false, &body), 422);
    tars_buf_release(&body);
}

/* Who asks, by the names in the request: a page of a strange site, or a strange name of ours (DNS
 * rebinding), gets nothing. */
static void strangers_are_refused(void **state)
{
    static const struct {
        const char *name, *method, *path, *host, *origin;
        int expected;
    } asks[] = {
        {"own address", "GET", "/health", NULL, NULL, 200},
        {"localhost", "GET", "/health", "host: LocalHost:8000", NULL, 200},
        {"below localhost", "GET", "/health", "host: tars.localhost", NULL, 200},
        {"IPv6", "GET", "/health", "host: [::1]:8000", NULL, 200},
        {"a listed origin's name", "GET", "/health", "host: tars.example", NULL, 200},
        {"its name with a port", "GET", "/health", "host: app.test:8000", NULL, 200},
        {"rebound name", "GET", "/health", "host: evil.test:8000", NULL, 421},
        {"rebound name, same site", "POST", "/rag/jobs/5", "host: evil.test",
         "origin: http://evil.test", 421},
        {"looks like localhost", "GET", "/health", "host: localhost.evil.test", NULL, 421},
        {"looks like an address", "GET", "/health", "host: 127.0.0.1.evil.test", NULL, 421},
        {"half a listed name", "GET", "/health", "host: tars.exampl", NULL, 421},
        {"a name of TARS_HOSTS", "GET", "/health", "host: Files.Test:8000", NULL, 200},
        {"strange page", "POST", "/rag/jobs/5", NULL, "origin: http://evil.test", 403},
        {"page without an origin", "POST", "/rag/jobs/5", NULL, "origin: null", 403},
        {"other port of ours", "DELETE", "/rag/jobs/5", "host: localhost:8000",
         "origin: http://localhost:9000", 403},
        {"own page", "POST", "/rag/jobs/5", "host: localhost:8000", "origin: http://localhost:8000",
         200},
        {"listed page", "POST", "/rag/jobs/5", NULL, "origin: http://app.test:3000", 200},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < ROWS(asks); i++) {
        const char *headers[3] = {bench->bearer};
        struct tars_client_reply reply = {0};
        char url[256];
        struct tars_client_request request = {
            .method = asks[i].method, .url = url, .headers = headers, .header_count = 1};

        if (asks[i].host)
            headers[request.header_count++] = asks[i].host;
        if (asks[i].origin)
            headers[request.header_count++] = asks[i].origin;
        (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s",
                       (unsigned)tars_server_port(bench->server), asks[i].path);
        assert_int_equal(tars_client_fetch(bench->client, &request, NULL, NULL, &reply, NULL),
                         TARS_OK);
        if (reply.status != asks[i].expected) {
            fail_msg("%s: %d", asks[i].name, reply.status);
        }
    }
}

/* What is larger than a request's memory is refused, and never taken for absent. */
static void long_texts_are_refused(void **state)
{
    static const char *const asks[][2] = {
        {"/rag/search", "{\"query\":\"%s\"}"},
        {"/rag/index", "{\"file_path\":\"%s\"}"},
        {"/rag/index/batch", "{\"file_paths\":[\"%s\"]}"},
        {"/rag/ingest", "{\"path\":\"%s\"}"},
    };
    struct bench *bench = *state;
    size_t len = (size_t)17 << 20;
    char *text = malloc(len + 1);
    char *body = malloc(len + 64);
    struct tars_buf answer;

    assert_non_null(text);
    assert_non_null(body);
    memset(text, '/', len);
    text[len] = '\0';
    tars_buf_init(&answer, 1 << 20);
    for (size_t i = 0; i < ROWS(asks); i++) {
        char *hole = strstr(asks[i][1], "%s");

        (void)snprintf(body, len + 64, "%.*s%s%s", (int)(hole - asks[i][1]), asks[i][1], text,
                       hole + 2);
        assert_int_equal(ask(bench, "POST", asks[i][0], body, false, &answer), 422);
        assert_non_null(strstr(answer.ptr, "larger than"));
    }
    tars_buf_release(&answer);
    free(body);
    free(text);
}

/* ---------------------------------------------------------- who is gone at once */

static tars_status refuse_start(void *ctx, int status, const struct tars_http_header *headers,
                                size_t count)
{
    (void)ctx;
    (void)status;
    (void)headers;
    (void)count;
    return TARS_ECANCELED;
}

static tars_status count_write(void *ctx, const char *ptr, size_t len)
{
    int *calls = ctx;

    (void)ptr;
    (void)len;
    *calls += 100;
    return TARS_ECANCELED;
}

static void count_end(void *ctx)
{
    int *calls = ctx;

    *calls += 1;
}

/* Nothing may be written to a stream that did not begin; it is given back all the same. */
static void stream_that_cannot_begin(void **state)
{
    static const struct tars_reply_ops ops = {
        .start = refuse_start, .write = count_write, .end = count_end};
    struct bench *bench = *state;
    struct tars_arena arena;
    struct tars_exchange ex = {.api = bench->api,
                               .method = TARS_HTTP_POST,
                               .path = tars_span_of("/rag/ingest"),
                               .body = tars_span_of("{\"path\":\"/tmp\"}"),
                               .ops = &ops};
    static const char *const keys[] = {TARS_COLLECTION};
    int calls = 0;

    ex.ops_ctx = &calls;
    tars_arena_init(&arena, 1 << 20);
    tars_exchange_init(&ex, &arena);
    ex.caller = (struct tars_principal){
        .tenant = TARS_TENANT, .writes_all = true, .writable = keys, .writable_count = 1};
    tars_routes_match(&ex);
    tars_routes_run(&ex);
    assert_int_equal(calls, 1);
    tars_arena_release(&arena);
}

/* A pool with no room sheds load instead of letting requests pile up. */
static void block(void *ctx)
{
    int *gate = ctx;
    char byte;

    (void)!read(gate[0], &byte, 1);
}

static void full_pool_sheds_load(void **state)
{
    struct bench *bench = *state;
    struct tars_buf body;
    int gate[2];
    int queued = 0;

    assert_int_equal(pipe(gate), 0);
    /* Both threads first: while they still take tasks, a full queue has room again. */
    for (; queued < POOL_THREADS; queued++)
        assert_int_equal(tars_pool_submit(bench->pool, block, gate), TARS_OK);
    while (tars_pool_queued(bench->pool) > 0)
        usleep(1000);
    /* Only when both threads are at work does a full queue stay full. */
    for (; queued < 2; queued++)
        assert_int_equal(tars_pool_submit(bench->pool, block, gate), TARS_OK);
    while (tars_pool_queued(bench->pool) > 0)
        (void)usleep(1000);
    while (tars_pool_submit(bench->pool, block, gate) == TARS_OK)
        queued++;
    tars_buf_init(&body, 1 << 20);
    assert_int_equal(ask(bench, "GET", "/rag/stats", "", false, &body), 503);
    assert_int_equal(ask(bench, "GET", "/health", "", false, &body), 200);
    for (int i = 0; i < queued; i++)
        assert_int_equal(write(gate[1], "x", 1), 1);
    tars_buf_release(&body);
    tars_pool_free(bench->pool);
    bench->pool = NULL;
    close(gate[0]);
    close(gate[1]);
}

/* ----------------------------------------------------------------- in process */

struct heard {
    char text[4096];
    size_t len;
    size_t stop_after; /* bytes */
};

static bool hear(void *ctx, int status, const char *ptr, size_t len)
{
    struct heard *heard = ctx;

    (void)status;
    if (heard->len + len < sizeof(heard->text)) {
        memcpy(heard->text + heard->len, ptr, len);
        heard->len += len;
    }
    return !heard->stop_after || heard->len < heard->stop_after;
}

static void note_flag(void *ctx, atomic_bool *flag)
{
    int *calls = ctx;

    *calls += flag ? 1 : 10;
}

static void calls_in_process(void **state)
{
    struct bench *bench = *state;
    struct heard heard = {.len = 0};
    int begins = 0;
    struct tars_api_request request = {.method = TARS_HTTP_POST,
                                       .path = "/rag/ingest",
                                       .body = tars_span_of("{\"path\":\"/etc\"}"),
                                       .begin = note_flag,
                                       .begin_ctx = &begins};
    int status = 0;

    assert_int_equal(tars_api_call(bench->api, &request, hear, &heard, &status, NULL), TARS_OK);
    assert_int_equal(status, 200);
    assert_non_null(strstr(heard.text, "{\"summary\": {\"indexed\": 1"));
    assert_int_equal(begins, 11);
    heard = (struct heard){.stop_after = 1};
    request.path = "/health";
    request.method = TARS_HTTP_GET;
    assert_int_equal(tars_api_call(bench->api, &request, hear, &heard, &status, NULL),
                     TARS_ECANCELED);
}

/* A path that a route is called by is no value of another route's braces. */
static void literal_paths_win(void **state)
{
    static const struct {
        const char *path;
        enum tars_http_method method;
        enum tars_route_match match;
        const char *allow;
    } asks[] = {
        {"/conversation/list", TARS_HTTP_GET, TARS_ROUTE_FOUND, NULL},
        {"/conversation/list", TARS_HTTP_DELETE, TARS_ROUTE_METHOD, "GET"},
        {"/conversation/message", TARS_HTTP_GET, TARS_ROUTE_METHOD, "POST"},
        {"/conversation/other", TARS_HTTP_DELETE, TARS_ROUTE_FOUND, NULL},
        {"/conversation/other", TARS_HTTP_POST, TARS_ROUTE_METHOD, "GET, DELETE"},
        {"/conversation/list/", TARS_HTTP_GET, TARS_ROUTE_TRAILING, NULL},
    };
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ROWS(asks); i++) {
        struct tars_exchange ex = {.method = asks[i].method, .path = tars_span_of(asks[i].path)};

        tars_exchange_init(&ex, &arena);
        tars_routes_match(&ex);
        assert_int_equal(ex.match, asks[i].match);
        if (asks[i].allow)
            assert_string_equal(ex.allow, asks[i].allow);
    }
    tars_arena_release(&arena);
}

static void routes_are_sane(void **state)
{
    size_t count;
    const struct tars_route *routes = tars_routes(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(routes[i].path[0], '/');
        assert_non_null(routes[i].run);
        assert_true(strlen(routes[i].summary) > 5);
        for (size_t j = 0; j < i; j++) {
            assert_false(routes[i].method == routes[j].method &&
                         strcmp(routes[i].path, routes[j].path) == 0);
        }
    }
}

int main(void)
{
    struct CMUnitTest tests[ROWS(rows) + 8];
    size_t n = 0;

    for (size_t i = 0; i < ROWS(rows); i++) {
        tests[n++] = (struct CMUnitTest){rows[i].name, row_holds, NULL, NULL, (void *)&rows[i]};
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(owner_may_read_anywhere, set_up,
                                                                    tear_down);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(strangers_are_refused, set_up,
                                                                    tear_down);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(long_texts_are_refused, set_up,
                                                                    tear_down);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(stream_that_cannot_begin,
                                                                    set_up, tear_down);
    tests[n++] =
        (struct CMUnitTest)cmocka_unit_test_setup_teardown(full_pool_sheds_load, set_up, tear_down);
    tests[n++] =
        (struct CMUnitTest)cmocka_unit_test_setup_teardown(calls_in_process, set_up, tear_down);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(routes_are_sane);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(literal_paths_win);
    return _cmocka_run_group_tests("api", tests, n, NULL, NULL);
}
