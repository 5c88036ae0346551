/* A server as a reranker: what is asked, what is remembered, what a failure costs. The server here
 * is a thread that answers as the row of the test says, over a real connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "net/client.h"
#include "obs/call.h"
#include "retrieve/reranker_remote.h"
#include "support/faults.h"

#define N           2
#define REQUEST_MAX 4096

static const char cohere_reply[] =
    "{\"results\":[{\"index\":1,\"relevance_score\":0.75},{\"index\":0,\"relevance_score\":0.5}]}";
static const char tei_reply[] = "[{\"index\":0,\"score\":0.5},{\"index\":1,\"score\":0.75}]";

struct server {
    int listener;
    int port;
    pthread_t thread;
    atomic_int requests;
    atomic_int to_cohere; /* the status that such a request gets; with 200 the reply above */
    atomic_int to_tei;
    char last[REQUEST_MAX]; /* the request seen last; read once the answer has come */
};

/* Whether a whole request is there. */
static bool is_whole(const char *request, size_t len)
{
    const char *head = strstr(request, "\r\n\r\n");
    const char *length = strstr(request, "Content-Length: ");

    return head && length && (size_t)(head + 4 - request) + strtoul(length + 16, NULL, 10) <= len;
}

static void answer(struct server *server, int fd)
{
    char reply[512];
    const char *body;
    size_t len = 0;
    int status;
    int count;

    server->last[0] = '\0';
    while (!is_whole(server->last, len) && len + 1 < REQUEST_MAX) {
        ssize_t got = recv(fd, server->last + len, REQUEST_MAX - 1 - len, 0);

        if (got <= 0)
            return;
        len += (size_t)got;
        server->last[len] = '\0';
    }
    status = atomic_load(strstr(server->last, "\"texts\"") ? &server->to_tei : &server->to_cohere);
    body = strstr(server->last, "\"texts\"") ? tei_reply : cohere_reply;
    if (status != 200)
        body = "no, not so";
    atomic_fetch_add(&server->requests, 1);
    count = snprintf(reply, sizeof(reply),
                     "HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n"
                     "connection: close\r\n\r\n%s",
                     status, strlen(body), body);
    (void)send(fd, reply, (size_t)count, MSG_NOSIGNAL);
}

static void *serve(void *ctx)
{
    struct server *server = ctx;
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        answer(server, fd);
        (void)close(fd);
    }
    return NULL;
}

static struct server *start(int to_cohere, int to_tei)
{
    struct server *server = calloc(1, sizeof(*server));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);

    assert_non_null(server);
    atomic_init(&server->to_cohere, to_cohere);
    atomic_init(&server->to_tei, to_tei);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&at, &size), 0);
    server->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

static void stop(struct server *server)
{
    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    free(server);
}

/* What asks it. */
struct asker {
    struct server *server;
    struct tars_client *client;
    struct tars_reranker *reranker;
};

static tars_status open_for(struct asker *asker, enum tars_remote_rerank_api api)
{
    const struct tars_client_config client = {.max_idle = 1};
    struct tars_reranker_remote_config config = {
        .api_key = "secret", .model = "reads-well", .api = api};
    char url[64];
    tars_status status = tars_client_new(&client, &asker->client);

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", asker->server->port);
    config.url = url;
    config.client = asker->client;
    return status == TARS_OK ? tars_reranker_remote_open(&config, &asker->reranker, NULL) : status;
}

static void close_asker(struct asker *asker)
{
    tars_reranker_close(asker->reranker);
    tars_client_free(asker->client);
    asker->reranker = NULL;
    asker->client = NULL;
}

static tars_status ask(struct asker *asker, int64_t ms, size_t *scored)
{
    static const char *const texts[N] = {"one", "two"};
    const struct tars_span passages[N] = {tars_span_of(texts[0]), tars_span_of(texts[1])};
    struct tars_call call = {.deadline_ms = 0};
    const struct tars_reranker_wish wish = {.question = tars_span_of("which?"),
                                            .passages = passages,
                                            .n = N,
                                            .until_ns = tars_clock_mono_ns() + ms * 1000000,
                                            .call = &call};
    struct tars_err why = {""};
    float scores[N] = {-1, -1};
    tars_status status = tars_reranker_score(asker->reranker, &wish, scores, scored, &why);

    if (status == TARS_OK) {
        assert_int_equal(*scored, N);
        assert_true(scores[0] == 0.5F && scores[1] == 0.75F);
    } else {
        assert_int_equal(*scored, 0);
    }
    return status;
}

static void servers_of_each_kind(void **state)
{
    static const struct {
        const char *name;
        enum tars_remote_rerank_api api;
        int to_cohere, to_tei;
        tars_status status;
        int first, second; /* requests for the first question, and for a second one */
    } rows[] = {
        {"cohere, as set", TARS_REMOTE_RERANK_COHERE, 200, 422, TARS_OK, 1, 1},
        {"tei, as set", TARS_REMOTE_RERANK_TEI, 404, 200, TARS_OK, 1, 1},
        {"cohere, found out", TARS_REMOTE_RERANK_AUTO, 200, 422, TARS_OK, 1, 1},
        {"tei, found out and remembered", TARS_REMOTE_RERANK_AUTO, 422, 200, TARS_OK, 2, 1},
        {"neither", TARS_REMOTE_RERANK_AUTO, 404, 404, TARS_EUNAVAILABLE, 2, 2},
        {"another one than was set", TARS_REMOTE_RERANK_COHERE, 422, 200, TARS_EUNAVAILABLE, 1, 1},
        {"a key that it does not know", TARS_REMOTE_RERANK_AUTO, 401, 401, TARS_EDENIED, 1, 1},
        {"busy", TARS_REMOTE_RERANK_AUTO, 503, 503, TARS_EUNAVAILABLE, 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct asker asker = {.server = start(rows[i].to_cohere, rows[i].to_tei)};
        size_t scored = 9;

        print_message("  %s\n", rows[i].name);
        assert_int_equal(open_for(&asker, rows[i].api), TARS_OK);
        assert_string_equal(asker.reranker->kind, "remote");
        assert_string_equal(asker.reranker->model, "reads-well");
        assert_true(asker.reranker->waits);
        assert_int_equal(ask(&asker, 20000, &scored), rows[i].status);
        assert_int_equal(atomic_load(&asker.server->requests), rows[i].first);
        assert_non_null(strstr(asker.server->last, "POST /rerank HTTP/1.1"));
        assert_non_null(strstr(asker.server->last, "uthorization: Bearer secret\r\n"));
        assert_int_equal(ask(&asker, 20000, &scored), rows[i].status);
        assert_int_equal(atomic_load(&asker.server->requests), rows[i].first + rows[i].second);
        close_asker(&asker);
        stop(asker.server);
    }
}

/* After three failures it is not asked at all, and says so when asked for its health. */
static void it_is_left_alone(void **state)
{
    struct asker asker = {.server = start(500, 500)};
    size_t scored = 9;

    (void)state;
    assert_int_equal(open_for(&asker, TARS_REMOTE_RERANK_COHERE), TARS_OK);
    assert_int_equal(asker.reranker->ops->health(asker.reranker, NULL), TARS_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(&asker, 20000, &scored), TARS_EUNAVAILABLE);
    assert_int_equal(ask(&asker, 20000, &scored), TARS_EUNAVAILABLE);
    assert_int_equal(atomic_load(&asker.server->requests), 3);
    assert_int_equal(asker.reranker->ops->health(asker.reranker, NULL), TARS_EUNAVAILABLE);
    close_asker(&asker);
    stop(asker.server);
}

static void no_time_is_no_request(void **state)
{
    struct asker asker = {.server = start(200, 200)};
    size_t scored = 9;

    (void)state;
    assert_int_equal(open_for(&asker, TARS_REMOTE_RERANK_COHERE), TARS_OK);
    assert_int_equal(ask(&asker, 0, &scored), TARS_ETIMEOUT);
    assert_int_equal(atomic_load(&asker.server->requests), 0);
    close_asker(&asker);
    stop(asker.server);
}

static void settings_that_are_refused(void **state)
{
    static const struct tars_reranker_remote_config rows[] = {
        {.url = "ftp://x"},
        {.url = ""},
        {.url = "http://x\r\ny"},
        {.url = "http://x", .api_key = "a\nb"},
        {.url = "http://x", .model = "a\rb"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_reranker *reranker = NULL;

        assert_int_equal(tars_reranker_remote_open(&rows[i], &reranker, NULL), TARS_EINVAL);
        assert_null(reranker);
    }
}

static void ask_once(void *ctx)
{
    struct asker *asker = ctx;
    size_t scored = 0;
    tars_status status = open_for(asker, TARS_REMOTE_RERANK_AUTO);

    if (status == TARS_OK)
        status = ask(asker, 20000, &scored);
    assert_true(status == TARS_OK || (faults_happened() && status == TARS_ENOMEM));
    close_asker(asker);
}

static void every_allocation_may_fail(void **state)
{
    struct asker asker = {.server = start(422, 200)};

    (void)state;
    assert_true(faults_each(ask_once, &asker) > 8);
    stop(asker.server);
}

static int prepare(void **state)
{
    (void)state;
    return tars_client_global_init() == TARS_OK ? 0 : -1;
}

static int tidy_up(void **state)
{
    (void)state;
    tars_client_global_cleanup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_of_each_kind),      cmocka_unit_test(it_is_left_alone),
        cmocka_unit_test(no_time_is_no_request),     cmocka_unit_test(settings_that_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, prepare, tidy_up);
}
